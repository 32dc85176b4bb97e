//! Readers in trouble: damaged metadata, media that cannot be written to, repositories that were swapped, names that
//! were mistyped, readers that had enough, and runs that were killed.

#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod program;

use std::fs;
use std::io::{BufRead, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::{Ended, run, start, wait_at_most};
use tempfile::TempDir;

struct Bench(TempDir);

impl Bench {
    /// With an archive `a` of what `fill` makes.
    fn new(encryption: &str, fill: impl FnOnce(&Path)) -> Self {
        let bench = Self(tempfile::Builder::new().prefix("reprise-trouble").tempdir_in("/var/tmp").unwrap());
        fs::create_dir(bench.path("src")).unwrap();
        fill(&bench.path("src"));
        bench.run("borg", &["init", "-e", encryption, "repo"]).expect(0);
        let create = "cd src && borg create --compression none ../repo::a .";
        bench.run("sh", &["-ec", create]).expect(0);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.0.path())
            .env("BORG_BASE_DIR", self.path("base"))
            .env("BORG_PASSPHRASE", "correct horse")
            .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
            .env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes")
            .env("REPRISE_CACHE_DIR", self.path("cache"))
            .env("REPRISE_STATE_DIR", self.path("state"))
            .env("REPRISE", env!("CARGO_BIN_EXE_reprise"))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("BORG_REPO");
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Ended {
        run(&mut self.command(program, args))
    }

    fn reprise(&self, args: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_reprise"), args)
    }
}

fn small(src: &Path) {
    fs::create_dir_all(src.join("etc")).unwrap();
    fs::write(src.join("etc/hostname"), "web\n").unwrap();
    fs::write(src.join("large"), vec![b'x'; 300_000]).unwrap();
}

/// So much metadata that it is several pieces.
fn many(src: &Path) {
    let padding = "x".repeat(200);
    // Enough for the one in the middle to be neither in the first nor in the last piece of 512 KiB at most.
    for number in 0..8000 {
        fs::write(src.join(format!("file-{number:04}-{padding}")), "").unwrap();
    }
}

#[test]
fn damaged_metadata_costs_some_items_and_is_told_by_every_reader() {
    let bench = Bench::new("none", many);
    let all: Vec<String> = {
        let listed = bench.reprise(&["ls", "-r", "--json", "repo::a"]).expect(0).json();
        listed.as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    };
    let order = bench.run("borg", &["list", "--short", "repo::a"]).expect(0).stdout;
    fs::remove_dir_all(bench.path("cache")).unwrap();
    // One from the middle; two of them, as a border of pieces may go through a name.
    let hit = all[all.len() / 2..].iter().take(2).find(|name| {
        fs::read_dir(bench.path("repo/data/0")).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            let mut content = fs::read(&path).unwrap();
            let Some(at) = content.windows(name.len()).position(|window| window == name.as_bytes()) else {
                return false;
            };
            content[at] ^= 1;
            fs::write(&path, content).unwrap();
            true
        })
    });
    let hit = hit.expect("the list of items holds one of the names whole");
    let told = |ended: &Ended| {
        assert!(ended.stderr.contains("of the list of items is lost"), "{}\n{}", ended.command, ended.stderr);
        assert!(ended.stderr.contains(" between file-"), "{}", ended.stderr);
    };
    // Twice: what is not whole is not kept.
    for _ in 0..2 {
        let ended = bench.reprise(&["ls", "-r", "--json", "repo::a"]).expect(1);
        told(&ended);
        let left = ended.json();
        let left: Vec<&str> =
            left.as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap()).collect();
        assert!(left.len() > all.len() / 2 && left.len() < all.len());
        assert!(left.contains(&all[1].as_str()) && left.contains(&all.last().unwrap().as_str()));
        assert!(!left.contains(&hit.as_str()));
    }
    told(&bench.reprise(&["find", "repo::a", "file-0001*"]).expect(1));
    told(&bench.reprise(&["cat", "repo::a", hit]).expect(2));
    told(&bench.reprise(&["verify", "repo::a"]).expect(1));
    told(&bench.reprise(&["verify", "repo"]).expect(1));
    let ended = bench.reprise(&["extract", "--json", "repo::a", "--to", "out"]).expect(1);
    told(&ended);
    let report = &ended.json()["report"];
    let gap = &report["problems"][0]["gap"];
    assert_eq!((&gap["first"], report["problems"].as_array().unwrap().len()), (&gap["last"], 1), "{report}");
    // By the order of the archive: Borg takes files by their inodes, not by their names.
    let place = |name: &str| order.lines().position(|known| known == name).expect("a name of the archive");
    let [after, before] = ["after", "before"].map(|end| place(gap[end].as_str().unwrap()));
    assert!((after + 1..before).contains(&place(hit)), "{hit}: {gap}");
    assert_eq!(
        fs::read_dir(bench.path("out")).unwrap().count() as u64 + 1,
        report["items"].as_u64().unwrap()
    );
    told(&bench.reprise(&["export-tar", "repo::a", "out.tar"]).expect(1));
    // What is to be complete fails.
    told(&bench.reprise(&["contents", "repo::a"]).expect(2));
    told(&bench.reprise(&["info", "--directories", "repo::a"]).expect(2));
    told(&bench.reprise(&["docker", "restore", "repo::a", "--yes", "--in-place"]).expect(2));
}

/// A directory shown read-only for as long as this lives.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn new(of: &Path, at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        run(Command::new("mount").arg("--bind").args([of, &at])).expect(0);
        run(Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&at)).expect(0);
        Self(at)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn media_that_cannot_be_written_to_are_read_without_a_lock() {
    let bench = Bench::new("repokey", small);
    let _media = ReadOnly::new(&bench.path("repo"), bench.path("media"));
    let readers: [&[&str]; 9] = [
        &["archives", "media"],
        &["info", "media"],
        &["contents", "media::a"],
        &["ls", "media::a"],
        &["find", "media::a", "hostname"],
        &["cat", "media::a", "etc/hostname"],
        &["extract", "-n", "media::a"],
        &["export-tar", "media::a", "out.tar"],
        &["verify", "media"],
    ];
    for reader in readers {
        bench.reprise(reader).expect(2).says(&["cannot lock", "--bypass-lock"]);
        bench.reprise(&[reader, &["--bypass-lock"]].concat()).expect(0);
    }
    bench.reprise(&["ls", "media::a", "--bypass-lock", "--lock-wait", "3"]).expect(2);
}

#[test]
fn a_writer_is_waited_for_as_long_as_is_asked() {
    let bench = Bench::new("none", small);
    let locked = "borg with-lock repo sh -c 'touch held; while ! [ -e done ]; do sleep 0.05; done'";
    let mut writer = start(&mut bench.command("sh", &["-ec", locked]));
    let until = Instant::now() + Duration::from_mins(1);
    while !bench.path("held").exists() {
        assert!(Instant::now() < until, "borg takes no lock");
        std::thread::sleep(Duration::from_millis(20));
    }
    bench.reprise(&["ls", "repo::a", "--lock-wait", "0"]).expect(2).says(&["is locked by", "--lock-wait"]);
    bench.reprise(&["ls", "repo::a", "--bypass-lock"]).expect(0);
    let waiting =
        start(&mut bench.command(env!("CARGO_BIN_EXE_reprise"), &["ls", "repo::a", "--lock-wait", "120"]));
    fs::write(bench.path("done"), "").unwrap();
    assert!(waiting.wait_with_output().unwrap().status.success());
    writer.wait().unwrap();
}

#[test]
fn a_repository_exchanged_for_an_unencrypted_one_is_refused_until_its_memory_is_removed() {
    let bench = Bench::new("repokey", small);
    bench.reprise(&["ls", "repo::a"]).expect(0);
    fs::rename(bench.path("repo"), bench.path("real")).unwrap();
    bench.run("borg", &["init", "-e", "none", "repo"]).expect(0);
    for reader in [&["archives", "repo"][..], &["docker", "restore", "repo", "--yes", "--in-place"]] {
        bench.reprise(reader).expect(2).says(&["encryption none", "had repokey", "remove that file"]);
    }
    let record = fs::read_dir(bench.path("state/repositories")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(record).unwrap();
    bench.reprise(&["archives", "repo"]).expect(0);
}

#[test]
fn an_older_state_is_pointed_out() {
    let bench = Bench::new("repokey", small);
    run(Command::new("cp").arg("-a").args([bench.path("repo"), bench.path("before")])).expect(0);
    bench.run("borg", &["create", "repo::b", "src"]).expect(0);
    bench.reprise(&["archives", "repo"]).expect(0);
    fs::remove_dir_all(bench.path("repo")).unwrap();
    fs::rename(bench.path("before"), bench.path("repo")).unwrap();
    let ended = bench.reprise(&["archives", "repo"]).expect(0);
    assert!(ended.stderr.contains("older state"), "{}", ended.stderr);
}

#[test]
fn what_was_mistyped_is_guessed() {
    let bench = Bench::new("none", small);
    bench.run("borg", &["rename", "repo::a", "web-2026-11-24"]).expect(0);
    bench
        .reprise(&["ls", "repo::web-2026-11-25"])
        .expect(2)
        .says(&["no archive", "did you mean `web-2026-11-24`?"]);
    let ended = bench.reprise(&["ls", "repo::other"]).expect(2).says(&["reprise archives"]);
    assert!(!ended.stderr.contains("did you mean"), "{}", ended.stderr);
    bench.reprise(&["ls", "src::a"]).expect(2).says(&["is not a Borg repository"]);
    bench.reprise(&["ls", "nowhere::a"]).expect(2).says(&["nowhere"]);
    bench.reprise(&["cat", "repo::latest", "etc/hostnam"]).expect(2);
}

#[test]
fn readers_that_had_enough_are_no_error() {
    let bench = Bench::new("none", small);
    for reader in ["cat repo::a large", "ls -r repo::a", "find repo::a '*'"] {
        let script = format!("\"$REPRISE\" {reader} | head -c 1 > head; exit ${{PIPESTATUS[0]}}");
        let ended = bench.run("bash", &["-c", &script]).expect(0);
        assert_eq!(ended.stderr, "", "{reader}");
    }
    let ended = bench.run("bash", &["-c", "\"$REPRISE\" cat repo::a large > /dev/full"]).expect(2);
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
}

/// Processes that have the repository open.
fn readers(bench: &Bench) -> usize {
    let roster = fs::read(bench.path("repo/lock.roster")).unwrap_or_else(|_| b"{}".to_vec());
    let roster: serde_json::Value = serde_json::from_slice(&roster).unwrap_or_default();
    roster["shared"].as_array().map_or(0, Vec::len)
}

fn signal(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}

#[test]
fn who_is_told_twice_to_stop_gives_the_lock_back() {
    let bench = Bench::new("none", small);
    // Nobody reads what it writes, so it does not see the first.
    let mut cat = start(&mut bench.command(env!("CARGO_BIN_EXE_reprise"), &["cat", "repo::a", "large"]));
    wait_at_most(Duration::from_mins(1), "the lock", || readers(&bench) == 1);
    let mut first = [0];
    cat.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    signal(cat.id(), rustix::process::Signal::INT);
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(cat.stderr.take().unwrap());
    while !said.contains("Stopping") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    signal(cat.id(), rustix::process::Signal::INT);
    assert_eq!(cat.wait().unwrap().code(), Some(130));
    assert_eq!(readers(&bench), 0);
}

#[test]
fn who_is_asked_for_a_passphrase_can_be_stopped() {
    let bench = Bench::new("repokey", small);
    let asked = "echo $$ > pid; exec \"$REPRISE\" info repo";
    let mut command = bench.command("script", &["-qefc", asked, "said"]);
    command.env_remove("BORG_PASSPHRASE").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut script = command.spawn().unwrap();
    // Kept open: `script` hands the end of its own input on, as Ctrl+D.
    let _keyboard = script.stdin.take();
    let said = || fs::read_to_string(bench.path("said")).unwrap_or_default();
    wait_at_most(Duration::from_mins(1), "the question", || said().contains("passphrase"));
    let process: u32 = fs::read_to_string(bench.path("pid")).unwrap().trim().parse().unwrap();
    signal(process, rustix::process::Signal::TERM);
    assert_eq!(script.wait().unwrap().code(), Some(130), "{}", said());
    assert_eq!(readers(&bench), 0);
}

#[test]
fn only_changed_that_is_killed_leaves_the_old_file_and_the_next_run_finishes() {
    let noise = |seed: u64| -> Vec<u8> {
        let mut state = seed;
        (0..60_000_000 / 8)
            .flat_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect()
    };
    let wanted = noise(1);
    let bench = Bench::new("repokey", |src| fs::write(src.join("large"), &wanted).unwrap());
    let old = noise(2);
    fs::create_dir(bench.path("to")).unwrap();
    fs::write(bench.path("to/large"), &old).unwrap();
    let args = ["extract", "repo::a", "--to", "to", "--only-changed"];
    let half_made = || {
        fs::read_dir(bench.path("to")).unwrap().map(|entry| entry.unwrap()).find(|entry| {
            entry.file_name().to_string_lossy().starts_with(".reprise-")
                && entry.metadata().is_ok_and(|data| data.blocks() > 0)
        })
    };
    let mut running = start(&mut bench.command(env!("CARGO_BIN_EXE_reprise"), &args));
    while half_made().is_none() {
        assert!(running.try_wait().unwrap().is_none(), "it was done before it could be killed");
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(half_made().is_some());
    assert!(fs::read(bench.path("to/large")).unwrap() == old, "the old file is as it was");
    bench.reprise(&args).expect(0);
    assert!(fs::read(bench.path("to/large")).unwrap() == wanted);
    let left: Vec<_> =
        fs::read_dir(bench.path("to")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["large"]);
}
