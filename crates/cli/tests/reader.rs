//! The commands that read archives, beside the real `borg` on the same archives.

#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod program;
#[path = "support/tree.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use program::{Ended, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tree::{Tree, assert_same};

const PASSPHRASE: &str = "correct horse";

/// A repository with two archives of a tree that holds one of everything.
struct Library {
    dir: TempDir,
}

impl Library {
    fn new() -> Self {
        // Not /tmp, which may be in memory: files here keep extended attributes.
        let dir = tempfile::Builder::new().prefix("reprise-reader").tempdir_in("/var/tmp").unwrap();
        let library = Self { dir };
        fs::create_dir(library.path("src")).unwrap();
        fill(&library.path("src"));
        library.borg("", &["init", "-e", "repokey", "repo"]);
        library.borg("src", &["create", "--comment", "the first", "../repo::one", "etc", "srv"]);
        fs::write(library.path("src/etc/later"), "later").unwrap();
        library.borg("src", &["create", "../repo::two", "etc", "srv"]);
        library
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: &str, at: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.path(at))
            .env("BORG_BASE_DIR", self.path("home"))
            .env("BORG_PASSPHRASE", PASSPHRASE)
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("REPRISE_CACHE_DIR", self.path("cache"))
            .env("REPRISE_STATE_DIR", self.path("state"))
            .env_remove("BORG_REPO");
        command
    }

    #[track_caller]
    fn borg(&self, at: &str, args: &[&str]) -> String {
        run(&mut self.command("borg", at, args)).expect(0).stdout
    }

    fn reprise(&self, at: &str, args: &[&str]) -> Ended {
        run(&mut self.command(env!("CARGO_BIN_EXE_reprise"), at, args))
    }

    fn make(&self, name: &str) -> &Self {
        fs::create_dir(self.path(name)).unwrap();
        self
    }

    /// Flips a bit in the only segment that holds file content.
    fn damage(&self) {
        let mut segments: Vec<PathBuf> =
            fs::read_dir(self.path("repo/data/0")).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.sort_by_key(|path| fs::metadata(path).unwrap().len());
        let largest = segments.last().unwrap();
        let mut content = fs::read(largest).unwrap();
        // What lies in the middle is a chunk of the large file, which is most of the segment.
        let middle = content.len() / 2;
        content[middle] ^= 1;
        fs::write(largest, content).unwrap();
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

fn fill(src: &Path) {
    fs::create_dir_all(src.join("etc/app")).unwrap();
    fs::create_dir_all(src.join("srv/data")).unwrap();
    fs::write(src.join("etc/hostname"), "web\n").unwrap();
    fs::write(src.join("etc/app/app.conf"), "key = value\n").unwrap();
    fs::write(src.join("etc/app/app.log"), "a line\n").unwrap();
    fs::write(src.join("srv/data/large"), noise(9_000_000)).unwrap();
    fs::write(src.join("srv/empty"), "").unwrap();
    fs::write(src.join("srv/two\nlines\x1b[31m"), "odd").unwrap();
    fs::write(src.join(OsStr::from_bytes(b"srv/not-utf8-\xff")), "odd").unwrap();
    fs::hard_link(src.join("etc/hostname"), src.join("srv/linked")).unwrap();
    symlink("../etc/hostname", src.join("srv/link")).unwrap();
    fs::set_permissions(src.join("etc/app/app.conf"), fs::Permissions::from_mode(0o4640)).unwrap();
    let script = "mkfifo srv/pipe; mknod srv/null c 1 3; chown 1234:5678 srv/empty
        touch -d '2001-02-03 04:05:06.123456789Z' etc/hostname";
    run(Command::new("sh").args(["-ec", script]).current_dir(src)).expect(0);
}

/// Path to what is known of it, from JSON of ours and lines of borg's.
fn listed(json: &Value) -> BTreeMap<String, (String, u64)> {
    let items = json.as_array().expect("an array");
    let listed = items.iter().map(|item| {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        // Borg shows bytes that are no UTF-8 as question marks.
        let path = text("path").replace('\u{fffd}', "?");
        (path, (text("mode"), item["size"].as_u64().unwrap()))
    });
    listed.collect()
}

#[test]
fn ls_lists_what_borg_lists() {
    let library = Library::new();
    let theirs: BTreeMap<String, (String, u64)> = library
        .borg("", &["list", "--json-lines", "repo::two"])
        .lines()
        .map(|line| {
            let item: Value = serde_json::from_str(line).unwrap();
            let size = if item["type"] == "-" { item["size"].as_u64().unwrap() } else { 0 };
            (item["path"].as_str().unwrap().to_owned(), (item["mode"].as_str().unwrap().to_owned(), size))
        })
        .collect();
    let ended = library.reprise("", &["ls", "repo::two", "--recursive", "--json"]).expect(0);
    let mut ours = listed(&ended.json());
    // Borg counts a further name's size from what it recorded, and so do we.
    assert_eq!(ours.remove("srv/linked").map(|of| of.0), Some("hrw-r--r--".to_owned()));
    let mut theirs = theirs;
    theirs.remove("srv/linked").expect("it is a further name");
    assert_eq!(ours, theirs);

    let top = library.reprise("", &["ls", "repo", "--json"]).expect(0);
    assert_eq!(listed(&top.json()).into_keys().collect::<Vec<_>>(), ["etc", "srv"]);
    let below = library.reprise("", &["ls", "repo::one", "/etc/", "--json"]).expect(0);
    assert_eq!(listed(&below.json()).into_keys().collect::<Vec<_>>(), ["etc/app", "etc/hostname"]);
    let odd = library.reprise("", &["find", "repo::one", "sh:srv/not-utf8-?", "--json"]).expect(0);
    assert_eq!(odd.json()[0]["path_hex"], "7372762f6e6f742d757466382dff");
    assert_eq!(
        library.reprise("", &["find", "repo::one", "*.none", "--json"]).expect(1).json(),
        Value::from(Vec::<u8>::new())
    );

    // For people: a line each, and no name can begin another or steer the terminal.
    let lines = library.reprise("", &["ls", "repo::one", "srv"]).expect(0).stdout;
    assert_eq!(lines.lines().count(), 8, "{lines}");
    assert!(!lines.contains('\x1b') && lines.contains("srv/link -> ../etc/hostname"), "{lines}");
    let found = library.reprise("", &["find", "repo::two", "*.conf"]).expect(0).stdout;
    assert!(
        found.starts_with("-rwSr----- root ") && found.trim_end().ends_with("etc/app/app.conf"),
        "{found}"
    );
    library.reprise("", &["ls", "repo::one", "nowhere"]).expect(2);
}

#[test]
fn cat_prints_a_file_or_a_part_of_it() {
    let library = Library::new();
    assert_eq!(library.reprise("", &["cat", "repo::one", "etc/hostname"]).expect(0).stdout, "web\n");
    assert_eq!(
        library.reprise("", &["cat", "repo::one", "srv/linked", "--range", "1-3"]).expect(0).stdout,
        "eb"
    );
    let json = library.reprise("", &["cat", "repo::one", "etc/hostname", "--range", "2-", "--json"]);
    let json = json.expect(0).json();
    assert_eq!(
        (json["text"].as_str(), json["from"].as_u64(), json["size"].as_u64()),
        (Some("b\n"), Some(2), Some(4))
    );
    let output = library
        .command(
            env!("CARGO_BIN_EXE_reprise"),
            "",
            &["cat", "repo::one", "srv/data/large", "--range", "2999990-7000001"],
        )
        .output()
        .unwrap();
    assert!(output.stdout == noise(9_000_000)[2_999_990..7_000_001]);
    library.reprise("", &["cat", "repo::one", "etc"]).expect(2);
    library.reprise("", &["cat", "repo::one", "etc/none"]).expect(2);
    library.reprise("", &["cat", "repo::one", "etc/hostname", "--range", "5-2"]).expect(2);
}

#[test]
fn extract_makes_the_trees_that_borg_makes() {
    let library = Library::new();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--numeric-ids", "--devices"], &["--numeric-ids"]),
        (&["srv", "--devices"], &["srv"]),
        (&["-e", "*.log", "-e", "sh:srv/*"], &["-e", "*.log", "-e", "sh:srv/*"]),
        (&["etc/app", "--strip-components", "1"], &["etc/app", "--strip-components", "1"]),
    ];
    for (number, (ours, theirs)) in cases.iter().enumerate() {
        let [here, there] = ["ours", "theirs"].map(|name| format!("{name}{number}"));
        library.make(&here).make(&there);
        let location = ["extract", "../repo::two"];
        library.reprise(&here, &[&location[..], ours].concat()).expect(0);
        // Options go first for borg.
        let (options, paths): (Vec<&str>, Vec<&str>) = match theirs {
            [path, rest @ ..] if !path.starts_with('-') => (rest.to_vec(), vec![*path]),
            options => (options.to_vec(), vec![]),
        };
        library.borg(&there, &[&["extract"], &options[..], &["../repo::two"], &paths].concat());
        assert!(fs::read_dir(library.path(&here)).unwrap().count() > 0);
        let [here, there] = [here, there].map(|name| Tree::of(&library.path(&name)).without_root_time());
        assert_same(&there, &here, "extracted trees differ");
    }
    // To a directory that is not there yet.
    let ended =
        library.reprise("", &["extract", "repo::one", "etc", "--to", "new/place", "--json"]).expect(0);
    assert_eq!(ended.json()["report"]["problems"], Value::from(Vec::<u8>::new()));
    assert_eq!(fs::read_to_string(library.path("new/place/etc/hostname")).unwrap(), "web\n");
}

#[test]
fn a_dry_run_reads_everything_and_writes_nothing() {
    let library = Library::new();
    library.make("empty");
    let before = Tree::of(&library.path("empty"));
    let ended =
        library.reprise("empty", &["extract", "../repo::two", "--dry-run", "--devices", "--json"]).expect(0);
    assert_same(&before, &Tree::of(&library.path("empty")), "a dry run wrote");
    assert!(ended.json()["report"]["bytes"].as_u64() > Some(9_000_000));
    library.reprise("", &["extract", "repo::two", "--dry-run", "--to", "none"]).expect(1);
    assert!(!library.path("none").exists());

    library.damage();
    let ended =
        library.reprise("empty", &["extract", "../repo::two", "--dry-run", "--devices", "--json"]).expect(1);
    let problem = &ended.json()["report"]["problems"][0];
    assert_eq!((problem["path"].as_str(), problem["loss"].as_bool()), (Some("srv/data/large"), Some(true)));
    assert!(problem["from"].as_u64() < problem["to"].as_u64());
    assert!(ended.stderr.contains("srv/data/large"), "{}", ended.stderr);
    assert_same(&before, &Tree::of(&library.path("empty")), "a dry run wrote");
    // For real, all but the damaged file is there.
    library.reprise("empty", &["extract", "../repo::two", "--devices"]).expect(1);
    assert!(library.path("empty/etc/hostname").exists() && !library.path("empty/srv/data/large").exists());
    // Nothing wrong is printed either.
    let output = library
        .command(env!("CARGO_BIN_EXE_reprise"), "", &["cat", "repo::two", "srv/data/large"])
        .output()
        .unwrap();
    assert!(output.status.code() == Some(2) && noise(9_000_000).starts_with(&output.stdout));
}

#[test]
fn export_tar_says_what_borgs_says() {
    let library = Library::new();
    library.reprise("", &["export-tar", "repo::two", "ours.tar"]).expect(0);
    library.borg("", &["export-tar", "repo::two", "theirs.tar"]);
    // To the minute: borg's stream has no fractions of seconds.
    for owners in [&["--numeric-owner"][..], &[]] {
        let arguments = |name| [owners, &["-tvf", name]].concat();
        let list = |name| run(&mut library.command("tar", "", &arguments(name))).expect(0).stdout;
        assert_eq!(list("ours.tar"), list("theirs.tar"), "{owners:?}");
    }
    for name in ["ours", "theirs"] {
        library.make(name);
        run(&mut library.command("tar", name, &["-xpf", &format!("../{name}.tar")])).expect(0);
    }
    let content = |name: &str| fs::read(library.path(name).join("srv/data/large")).unwrap();
    assert!(content("ours") == content("theirs"));

    // To standard output, and a part of it.
    let script = format!("{} export-tar repo::two - etc -e '*.log' | tar -t", env!("CARGO_BIN_EXE_reprise"));
    let names = run(&mut library.command("sh", "", &["-c", &script])).expect(0).stdout;
    assert!(
        names.contains("etc/app/app.conf") && !names.contains(".log") && !names.contains("srv"),
        "{names}"
    );
    // Nothing is overwritten, nothing pretended, no document mixed with data.
    library.reprise("", &["export-tar", "repo::two", "ours.tar"]).expect(2).says(&["ours.tar"]);
    library.reprise("", &["export-tar", "repo::two", "x.tar.gz"]).expect(2).says(&["compressed"]);
    library.reprise("", &["export-tar", "repo::two", "-", "--json"]).expect(2);
    let json = library.reprise("", &["export-tar", "repo::two", "again.tar", "--json"]).expect(0).json();
    assert_eq!(json["file"], "again.tar");
}

#[test]
fn verify_tells_sound_from_damaged() {
    let library = Library::new();
    let sound = library.reprise("", &["verify", "repo", "--json"]).expect(0).json();
    assert_eq!((sound["sound"].as_bool(), sound["archives"].as_array().map(Vec::len)), (Some(true), Some(2)));
    assert!(library.reprise("", &["verify", "repo"]).expect(0).stdout.contains("Sound"));
    library.reprise("", &["verify", "repo::latest"]).expect(0);

    library.damage();
    let damaged = library.reprise("", &["verify", "repo", "--json"]).expect(1).json();
    assert_eq!(damaged["sound"], false);
    let kinds: Vec<_> = damaged["damage"].as_array().unwrap().iter().map(|damage| &damage["kind"]).collect();
    assert_eq!(kinds, ["segment", "file", "file"]);
    assert_eq!(damaged["damage"][2]["archive"], "two");
    assert_eq!(damaged["damage"][2]["path"], "srv/data/large");
    assert_eq!(
        damaged["archives"][0]["files"].as_u64(),
        damaged["archives"][0]["whole_files"].as_u64().map(|whole| whole + 1)
    );
    let shown = library.reprise("", &["verify", "repo"]).expect(1);
    assert!(shown.stdout.contains("DAMAGED") && shown.stderr.contains("two: srv/data/large: bytes "));
    let one = library.reprise("", &["verify", "repo::one", "--json"]).expect(1).json();
    assert_eq!(one["report"]["problems"][0]["path"], "srv/data/large");
    assert!(run(&mut library.command("borg", "", &["check", "--verify-data", "repo"])).code == 1);
}

#[test]
fn info_tells_what_borg_tells() {
    let library = Library::new();
    let theirs: Value = serde_json::from_str(&library.borg("", &["info", "--json", "repo::one"])).unwrap();
    let theirs = &theirs["archives"][0];
    let ours = library.reprise("", &["info", "repo::one", "--deduplicated", "--json"]).expect(0).json();
    for (our, their) in [
        ("name", "name"),
        ("id", "id"),
        ("hostname", "hostname"),
        ("comment", "comment"),
        ("command_line", "command_line"),
    ] {
        assert_eq!(ours[our], theirs[their], "{our}");
    }
    for (our, their) in [
        ("original_bytes", "original_size"),
        ("compressed_bytes", "compressed_size"),
        ("files", "nfiles"),
        ("deduplicated_bytes", "deduplicated_size"),
    ] {
        assert_eq!(ours[our], theirs["stats"][their], "{our}");
    }
    let whole = library.reprise("", &["info", "repo", "--json"]).expect(0).json();
    assert_eq!((whole["encryption"].as_str(), whole["archives"].as_u64()), (Some("repokey"), Some(2)));
    let shown = library.reprise("", &["info", "repo::one"]).expect(0).stdout;
    assert!(shown.contains("the first"), "{shown}");
}

#[test]
fn what_cannot_be_done_is_an_error_of_its_own() {
    let library = Library::new();
    for args in
        [&["ls", "repo::one"][..], &["verify", "repo"], &["extract", "repo::one", "-n"], &["info", "repo"]]
    {
        let mut command = library.command(env!("CARGO_BIN_EXE_reprise"), "", args);
        run(command.env("BORG_PASSPHRASE", "wrong")).expect(2).says(&["passphrase is wrong"]);
        let json = run(command.arg("--json")).expect(2).json();
        assert!(json["error"]["message"].as_str().unwrap().contains("passphrase"));
    }
    library.reprise("", &["ls", "repo::none"]).expect(2).says(&["no archive"]);
    library.reprise("", &["verify", "nowhere"]).expect(2).says(&["not a Borg repository"]);
    let ended =
        library.reprise("", &["extract", "repo::one", "-n", "--devices", "etc", "sh:*.none"]).expect(1);
    assert!(ended.stderr.contains("sh:*.none"), "{}", ended.stderr);
    library.reprise("", &["extract", "repo::one", "-n", "-e", "re:("]).expect(2);
    // Who leaves early is no reason to complain.
    let script = format!("{} ls repo::one -r | head -n 1", env!("CARGO_BIN_EXE_reprise"));
    let ended = run(&mut library.command("bash", "", &["-o", "pipefail", "-c", &script])).expect(0);
    assert_eq!((ended.stdout.lines().count(), ended.stderr.as_str()), (1, ""));
    // All repositories are as they were, unlocked.
    assert!(!library.path("repo/lock.roster").exists() && !library.path("repo/lock.exclusive").exists());
}

#[test]
fn cancelling_ends_in_good_order() {
    let library = Library::new();
    let args = ["cat", "repo::one", "srv/data/large"];
    let mut child = program::start(&mut library.command(env!("CARGO_BIN_EXE_reprise"), "", &args));
    // The pipe is full long before the file ends, so it is still at work.
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 1]).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.len() < 8_999_999 && noise(9_000_000)[1..].starts_with(&rest));
    assert!(!library.path("repo/lock.roster").exists());
}

#[test]
fn only_what_changed_is_extracted_again() {
    let library = Library::new();
    library.make("to");
    library.reprise("to", &["extract", "../repo::two", "--devices"]).expect(0);
    let only_changed = ["extract", "../repo::two", "--devices", "--only-changed"];
    let all = library.reprise("to", &[&only_changed[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(all["report"]["unchanged"], all["report"]["items"], "{all}");
    fs::write(library.path("to/etc/hostname"), "other\n").unwrap();
    fs::remove_file(library.path("to/etc/later")).unwrap();
    let told = library.reprise("to", &[&only_changed[..], &["--dry-run"]].concat()).expect(0);
    assert!(told.stdout.contains("new        etc/later\n"), "{}", told.stdout);
    assert!(told.stdout.contains("content    etc/hostname\n"), "{}", told.stdout);
    assert_eq!(fs::read_to_string(library.path("to/etc/hostname")).unwrap(), "other\n");
    library.reprise("to", &only_changed).expect(0);
    library.make("theirs");
    library.borg("theirs", &["extract", "../repo::two"]);
    let [here, there] = ["to", "theirs"].map(|name| Tree::of(&library.path(name)).without_root_time());
    assert_same(&there, &here, "extracted trees differ");
    let elsewhere = ["extract", "repo::two", "--only-changed", "--dry-run", "--to", "nowhere"];
    let ended = library.reprise("", &elsewhere).expect(2);
    assert!(ended.stderr.contains("nowhere"), "{}", ended.stderr);
}

#[test]
fn info_tells_what_takes_the_space() {
    let library = Library::new();
    let json = library.reprise("", &["info", "repo::two", "--directories", "--json"]).expect(0).json();
    let directories = json["directories"].as_array().unwrap();
    let paths: Vec<_> = directories.iter().map(|directory| directory["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["", "etc", "srv"]);
    assert_eq!(directories[2]["unique_bytes"], 0, "the other archive has it as well");
    assert!(directories[1]["unique_bytes"].as_u64().unwrap() > 0, "but for one file");
    let shown = library.reprise("", &["info", "repo::two", "--directories", "--depth", "2"]).expect(0).stdout;
    assert!(shown.lines().any(|line| line.trim_end().ends_with("srv/data")), "{shown}");
    library.reprise("", &["info", "repo", "--directories"]).expect(2);
    library.reprise("", &["info", "repo::two", "--depth", "2"]).expect(2);
}
