//! Archives made to do harm, through the program: whatever is asked of it, nothing outside of where it writes is touched, what is
//! refused is named, and the exit code says so.

#[path = "../../borg/tests/common/forge.rs"]
#[allow(dead_code, reason = "shared with the reader's own tests, which use the rest")]
mod forge;
#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod program;
#[path = "support/tree.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use forge::{DIR, FILE, Forge, LINK, Value, bytes, item};
use program::{Ended, run};
use tempfile::TempDir;
use tree::{Tree, assert_same};

/// Names that only this test would make.
const EVIL: &str = "evil-of-reprise-test";

/// A hostile repository, and a neighbour that must stay as it is.
struct Trap {
    dir: TempDir,
    outside: Tree,
    times: Vec<(i64, i64)>,
    /// Below what everything lies in the archive: nothing, or a directory's name and a slash.
    prefix: String,
}

impl Trap {
    fn new(prefix: &str) -> Self {
        // Not /tmp, which may be in memory: files here keep extended attributes.
        let dir = tempfile::Builder::new().prefix("reprise-hostile").tempdir_in("/var/tmp").unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir_all(outside.join("dir")).unwrap();
        fs::write(outside.join("victim"), "untouched").unwrap();
        let (outside, times) = (Tree::of(&outside), times_of_change(&outside));
        let trap = Self { dir, outside, times, prefix: prefix.to_owned() };
        let mut forge = Forge::new();
        let items = trap.items(&mut forge);
        forge.finish(&trap.path("repo"), &items);
        trap
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The cases of CVE-2026-62268 and their like, and something good.
    fn items(&self, forge: &mut Forge) -> Vec<Value> {
        let outside = self.path("outside");
        let victim = outside.join("victim").display().to_string();
        let content = [("chunks", forge.content(b"evil"))];
        let master = [("chunks", forge.content(b"evil")), ("hardlink_master", Value::True)];
        let to = |target: &str| [("source", bytes(target))];
        let at = |path: &str| format!("{}{path}", self.prefix);
        let marked = [("xattrs", Value::Named(vec![(b"user.evil".to_vec(), bytes("1"))]))];
        let parents = self.prefix.match_indices('/').map(|(end, _)| item(&self.prefix[..end], DIR, &[]));
        let mut items: Vec<_> = parents.collect();
        items.extend([
            item(at("good"), FILE, &content),
            // Through a parent that is a symbolic link.
            item(at("link"), LINK, &to(outside.to_str().unwrap())),
            item(at("link/new"), FILE, &content),
            item(at("link/victim"), FILE, &content),
            item(at("link/made"), DIR, &[]),
            item(at("link/dir"), 0o040_777, &marked),
            item(at("link/deep/er"), FILE, &content),
            item(at("link/pipe"), 0o010_644, &[]),
            item(at("up"), LINK, &to("../outside")),
            item(at("up/new"), FILE, &content),
            item(at("proc"), LINK, &to("/proc/self/root")),
            item(at(&format!("proc/tmp/{EVIL}")), FILE, &content),
            // With `..` within, and absolute.
            item(at("a/../../outside/new"), FILE, &content),
            item(at("a/../../../outside/new"), DIR, &[]),
            item(format!("/tmp/{EVIL}"), FILE, &content),
            item(&victim, FILE, &content),
            // Further names of files that are outside.
            item(at("hard-through-link"), FILE, &to(&at("link/victim"))),
            item(at("hard-up"), FILE, &to(&at("../outside/victim"))),
            item(at("hard-within"), FILE, &to(&at("a/../../outside/victim"))),
            item(at("hard-absolute"), FILE, &to(&victim)),
            item(at("link/first"), FILE, &master),
            item(at("hard-of-refused"), FILE, &to(&at("link/first"))),
            item(at("first"), FILE, &master),
            item(at("link/hard-into"), FILE, &to(&at("first"))),
            item(at("second"), FILE, &to(&at("first"))),
        ]);
        items
    }

    /// Paths of items that must be refused wherever they are to go.
    fn refused(&self) -> BTreeSet<String> {
        let through = ["new", "victim", "made", "dir", "deep/er", "pipe", "first", "hard-into"]
            .map(|name| format!("link/{name}"));
        let others = ["up/new", "a/../../outside/new", "a/../../../outside/new"];
        let hard =
            ["through-link", "up", "within", "absolute", "of-refused"].map(|name| format!("hard-{name}"));
        let all = through.into_iter().chain(others.map(str::to_owned)).chain(hard);
        let mut all: BTreeSet<_> = all.map(|path| format!("{}{path}", self.prefix)).collect();
        all.insert(format!("{}proc/tmp/{EVIL}", self.prefix));
        all
    }

    fn command(&self, program: &str, at: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(at)
            .env("REPRISE_CACHE_DIR", self.path("cache"))
            .env("REPRISE_STATE_DIR", self.path("state"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn reprise(&self, at: &Path, args: &[&str]) -> Ended {
        run(&mut self.command(env!("CARGO_BIN_EXE_reprise"), at, args))
    }

    /// A new directory to write to.
    fn root(&self, name: &str) -> PathBuf {
        let root = self.path(name);
        fs::create_dir(&root).unwrap();
        root
    }

    /// Asserts that nothing but `here` has changed.
    #[track_caller]
    fn assert_untouched(&self, here: &[&str]) {
        assert_same(&self.outside, &Tree::of(&self.path("outside")), "the outside");
        assert_eq!(self.times, times_of_change(&self.path("outside")), "not even changed back");
        assert!(!Path::new("/tmp").join(EVIL).exists());
        let known = ["cache", "outside", "repo", "state"];
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&&*name) || here.contains(&&*name), "{name} is new beside the root");
        }
    }

    /// Asserts that exactly the good parts are in `root`.
    #[track_caller]
    fn assert_only_good(root: &Path) {
        let names: BTreeSet<_> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let good = ["first", "good", "link", "proc", "second", "up"];
        let expected = BTreeSet::from(good.map(str::to_owned));
        assert_eq!(names, expected);
        assert_eq!(fs::read(root.join("good")).unwrap(), b"evil");
        assert_eq!(fs::metadata(root.join("second")).unwrap().nlink(), 2);
        assert!(root.join("link").is_symlink() && root.join("up").is_symlink());
    }
}

/// Times of change: they tell even changes that were undone or changed nothing.
fn times_of_change(outside: &Path) -> Vec<(i64, i64)> {
    let all = ["", "victim", "dir"].map(|name| fs::metadata(outside.join(name)).unwrap());
    all.iter().map(|data| (data.ctime(), data.ctime_nsec())).collect()
}

/// The paths that a report names.
fn named(ended: &Ended) -> BTreeSet<String> {
    let report = ended.json()["report"]["problems"].clone();
    let problems = report.as_array().expect("problems").iter();
    problems.map(|problem| problem["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn extracting_stays_where_it_is_and_names_what_it_refused() {
    let trap = Trap::new("");
    for (number, options) in
        [&[][..], &["--only-changed"], &["--sparse"], &["--numeric-ids"]].iter().enumerate()
    {
        let name = format!("root{number}");
        let root = trap.root(&name);
        // Twice, so that the links of the first time are there.
        for _ in 0..2 {
            let args = [&["extract", "../repo::a", "--json"], *options].concat();
            let ended = trap.reprise(&root, &args).expect(1);
            trap.assert_untouched(&["root0", "root1", "root2", "root3"]);
            Trap::assert_only_good(&root);
            let named = named(&ended);
            let missing: Vec<_> = trap.refused().difference(&named).cloned().collect();
            assert!(missing.is_empty(), "{options:?}: not named: {missing:?}");
            assert!(named.iter().any(|path| path.starts_with("/tmp")), "{named:?}");
        }
    }
    // For people as well.
    let ended = trap.reprise(&trap.root("people"), &["extract", "../repo::a"]).expect(1);
    for path in trap.refused() {
        assert!(ended.stderr.contains(&path), "{path} is not named in {}", ended.stderr);
    }
    let ended = trap.reprise(&trap.root("dry"), &["extract", "../repo::a", "--dry-run"]).expect(1);
    assert!(ended.stderr.contains("a/../../outside/new"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(trap.path("dry")).unwrap().count(), 0);
}

#[test]
fn nothing_that_lies_in_the_way_leads_out_either() {
    let trap = Trap::new("");
    for options in [&[][..], &["--only-changed"]] {
        let root = trap.root(if options.is_empty() { "plain" } else { "changed" });
        // Somebody has put links where good things go.
        symlink(trap.path("outside/victim"), root.join("good")).unwrap();
        symlink(trap.path("outside/dir"), root.join("first")).unwrap();
        let args = [&["extract", "../repo::a"], options].concat();
        trap.reprise(&root, &args).expect(1);
        trap.assert_untouched(&["plain", "changed"]);
        Trap::assert_only_good(&root);
    }
}

#[test]
fn stripping_components_opens_no_way_out() {
    let trap = Trap::new("x/");
    for options in [&[][..], &["--only-changed"]] {
        let root = trap.root(if options.is_empty() { "plain" } else { "changed" });
        let args = [&["extract", "../repo::a", "--strip-components", "1", "--json"], options].concat();
        let ended = trap.reprise(&root, &args).expect(1);
        trap.assert_untouched(&["plain", "changed"]);
        Trap::assert_only_good(&root);
        let named = named(&ended);
        let missing: Vec<_> = trap.refused().difference(&named).cloned().collect();
        assert!(missing.is_empty(), "not named: {missing:?}");
    }
    // What begins with `..` once a component is gone.
    let root = trap.root("two");
    trap.reprise(&root, &["extract", "../repo::a", "--strip-components", "2"]);
    trap.assert_untouched(&["plain", "changed", "two"]);
}

#[test]
fn a_tar_stream_is_harmless_even_to_who_follows_everything() {
    let trap = Trap::new("");
    let ended = trap.reprise(trap.dir.path(), &["export-tar", "repo::a", "a.tar", "--json"]).expect(1);
    let here = ["a.tar", "gnu", "gnu-P", "python"];
    trap.assert_untouched(&here);
    let named = named(&ended);
    let missing: Vec<_> = trap.refused().difference(&named).cloned().collect();
    assert!(missing.is_empty(), "not named: {missing:?}");

    // GNU tar, as it is and told to trust all names; and one that follows whatever there is.
    let naive =
        "import tarfile; t = tarfile.open('../a.tar'); t.extraction_filter = lambda m, p: m; t.extractall()";
    let unpackers: [(&str, &[&str]); 3] = [
        ("gnu", &["tar", "--xattrs", "--acls", "-xpf", "../a.tar"]),
        ("gnu-P", &["tar", "--xattrs", "--acls", "-P", "-xpf", "../a.tar"]),
        ("python", &["/usr/bin/python3", "-c", naive]),
    ];
    for (name, command) in unpackers {
        let root = trap.root(name);
        run(&mut trap.command(command[0], &root, &command[1..])).expect(0);
        trap.assert_untouched(&here);
        Trap::assert_only_good(&root);
    }
}

#[test]
fn a_mount_shows_no_way_out_but_its_symbolic_links() {
    let trap = Trap::new("");
    let root = trap.root("mounted");
    trap.reprise(trap.dir.path(), &["mount", "repo::a", "mounted"]).expect(0);
    let walked = std::panic::catch_unwind(|| walk(&root));
    trap.reprise(trap.dir.path(), &["umount", "mounted"]).expect(0);
    let seen = walked.expect("nothing in it is out of the ordinary");
    trap.assert_untouched(&["mounted"]);
    for good in ["good", "first", "second"] {
        assert!(seen.contains(good), "{seen:?}");
    }
    let odd =
        |path: &&String| path.split('/').any(|name| matches!(name, ".." | "." | "")) || path.contains(EVIL);
    assert_eq!(seen.iter().find(odd), None);
}

/// All names below a directory, no link followed.
fn walk(root: &Path) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            seen.insert(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            let data = fs::symlink_metadata(entry.path()).unwrap();
            if data.is_dir() {
                open.push(entry.path());
            } else if data.is_symlink() {
                fs::read_link(entry.path()).unwrap();
            } else if data.is_file() {
                // Whose content is lost is an error, and nothing else.
                let _ = fs::read(entry.path());
            }
        }
    }
    seen
}

#[test]
fn a_restore_of_a_volume_that_leads_out_is_taken_back_whole() {
    let trap = Trap::new("var/lib/docker/volumes/evil_files/_data/");
    let to = trap.path("to");
    let args = ["docker", "restore", "repo::a", "--to", to.to_str().unwrap(), "--type", "volumes", "--yes"];
    // A volume of which parts were refused is not one to start anything on.
    let ended = trap.reprise(trap.dir.path(), &args).expect(3);
    trap.assert_untouched(&["to"]);
    assert!(!to.exists(), "everything is as it was before");
    assert!(
        ended.stderr.contains("_data/link/") && ended.stderr.contains("symbolic link"),
        "{}",
        ended.stderr
    );
}
