//! `reprise mount` beside `borg mount`, on real FUSE.

#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod program;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program::{Ended, run, wait_at_most};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A repository with an archive of everything there is, and places to mount it.
struct Shelf {
    dir: TempDir,
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("reprise-mount").tempdir_in("/var/tmp").unwrap();
        let shelf = Self { dir };
        for name in ["src", "ours", "theirs"] {
            fs::create_dir(shelf.path(name)).unwrap();
        }
        fill(&shelf.path("src"));
        shelf.borg(&["init", "-e", "repokey", "repo"]);
        shelf.back_up("one");
        shelf
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn back_up(&self, name: &str) {
        let mut command = self.command("borg", &["create", "--atime", &format!("../repo::{name}"), "."]);
        run(command.current_dir(self.path("src"))).expect(0);
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("BORG_BASE_DIR", self.path("home"))
            .env("BORG_PASSPHRASE", "correct horse")
            // Relative: who serves leaves this directory.
            .env("REPRISE_CACHE_DIR", "cache")
            .env("REPRISE_STATE_DIR", "state")
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    fn borg(&self, args: &[&str]) -> Ended {
        run(&mut self.command("borg", args)).expect(0)
    }

    fn reprise(&self, args: &[&str]) -> Ended {
        run(&mut self.command(env!("CARGO_BIN_EXE_reprise"), args))
    }

    fn is_mounted(&self, name: &str) -> bool {
        let path = self.path(name);
        let table = fs::read("/proc/self/mountinfo").unwrap();
        table.split(|byte| *byte == b'\n').any(|line| {
            line.split(|byte| *byte == b' ')
                .nth(4)
                .is_some_and(|mounted| mounted == path.as_os_str().as_bytes())
        })
    }

    /// The process that serves a mount of ours.
    fn server(&self, name: &str) -> Pid {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let path = self.path(name);
        let line = table.lines().find(|line| line.split(' ').nth(4) == path.to_str()).expect("it is mounted");
        let source = line.split(" reprise:").nth(1).expect("it is ours");
        Pid::from_raw(source.split(' ').next().unwrap().parse().unwrap()).unwrap()
    }

    /// What the mounts in the background told.
    fn log(&self) -> String {
        fs::read_to_string(self.path("state/mount.log")).unwrap_or_default()
    }

    /// Damages one of the two files that make up nearly all of the largest segment.
    fn damage(&self) {
        let segments = fs::read_dir(self.path("repo/data/0")).unwrap().map(|entry| entry.unwrap().path());
        let largest = segments.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let mut content = fs::read(&largest).unwrap();
        content[6_000_000] ^= 1;
        fs::write(largest, content).unwrap();
    }

    fn is_locked(&self) -> bool {
        fs::read_to_string(self.path("repo/lock.roster")).is_ok_and(|roster| roster.contains("[["))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for name in ["ours", "theirs"] {
            while self.is_mounted(name) {
                let _ = Command::new("umount").arg("-l").arg(self.path(name)).status();
            }
        }
    }
}

fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(Duration::from_mins(1), what, condition);
}

fn fill(src: &Path) {
    fs::create_dir_all(src.join("dir/empty")).unwrap();
    fs::write(src.join("dir/large"), noise(1, 9_000_000)).unwrap();
    fs::write(src.join("dir/again"), noise(2, 4_000_000)).unwrap();
    fs::write(src.join("nothing"), "").unwrap();
    for number in 0..200 {
        fs::write(src.join(format!("dir/small-{number:03}")), noise(number, 900)).unwrap();
    }
    fs::hard_link(src.join("dir/large"), src.join("another name")).unwrap();
    symlink("dir/large", src.join("link")).unwrap();
    fs::write(src.join(std::ffi::OsString::from_vec(b"bytes-\xff".to_vec())), "not UTF-8").unwrap();
    let more = "mkfifo pipe; mknod null c 1 3; chown 1234:5678 pipe; chown -h 1:2 link; chmod 4750 nothing
        setfattr -n user.comment -v hello nothing; setfattr -n user.empty nothing; setfattr -n user.d -v x dir
        setfacl -m u:1234:rwx dir/small-000; chmod 000 dir/small-001
        touch -d '1999-12-31 23:59:58.123456789Z' nothing; touch -h -d '2001-02-03 04:05:06.7Z' link dir";
    let done = Command::new("sh").args(["-ec", more]).current_dir(src).status().unwrap();
    assert!(done.success());
}

/// Everything that can be seen below a directory, by path.
fn seen(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    look(root, root, &mut all, &mut inodes);
    all
}

fn look(root: &Path, dir: &Path, all: &mut BTreeMap<PathBuf, String>, inodes: &mut BTreeMap<u64, PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.strip_prefix(root).unwrap().to_owned();
        let data = fs::symlink_metadata(&path).unwrap();
        let first = inodes.entry(data.ino()).or_insert_with(|| name.clone()).clone();
        let content = match () {
            () if data.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_vec(),
            () if data.is_file() => fs::read(&path).unwrap(),
            () => Vec::new(),
        };
        let xattrs = if data.is_file() || data.is_dir() { xattrs(&path) } else { Vec::new() };
        let facts = format!(
            "mode {:o} owner {}:{} size {} blocks {} links {} same as {} rdev {} times {:?} content {} {:x} xattrs {xattrs:?}",
            data.mode(),
            data.uid(),
            data.gid(),
            data.size(),
            data.blocks(),
            data.nlink(),
            first.display(),
            data.rdev(),
            [
                (data.mtime(), data.mtime_nsec()),
                (data.atime(), data.atime_nsec()),
                (data.ctime(), data.ctime_nsec())
            ],
            content.len(),
            content.iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte)),
        );
        all.insert(name, facts);
        if data.is_dir() {
            look(root, &path, all, inodes);
        }
    }
}

fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0_u8; 4096];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap();
    let mut all: Vec<_> = names[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0_u8; 4096];
            let len = rustix::fs::lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value).unwrap();
            (name.to_vec(), value[..len].to_vec())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn what_is_mounted_looks_as_borg_mounts_it() {
    let shelf = Shelf::new();
    shelf.borg(&["mount", "repo::one", "theirs"]);
    wait_until("borg's mount", || shelf.is_mounted("theirs"));
    let ended = shelf.reprise(&["mount", "repo::one", "ours", "--json"]).expect(0);
    assert_eq!(ended.json()["dir"], shelf.path("ours").to_str().unwrap());
    let (ours, theirs) = (seen(&shelf.path("ours")), seen(&shelf.path("theirs")));
    for (path, facts) in &theirs {
        assert_eq!(ours.get(path), Some(facts), "{} (ours, then theirs)", path.display());
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 200);
    // Ways to look that do not go through `read` from the start.
    let source = noise(1, 9_000_000);
    let file = File::open(shelf.path("ours/dir/large")).unwrap();
    for at in [0, 1, 8191, 2_000_000, 4_194_303, 8_999_990, 9_000_000] {
        let mut piece = vec![0; 8192];
        let read = file.read_at(&mut piece, at).unwrap();
        let wanted = &source[at as usize..(at as usize + 8192).min(source.len())];
        assert!(read <= wanted.len() && piece[..read] == wanted[..read], "at {at}");
        assert!(read > 0 || wanted.is_empty());
    }
    drop(file);
    shelf.reprise(&["umount", "ours"]).expect(0);
    assert!(!shelf.is_mounted("ours"));
    shelf.borg(&["umount", "theirs"]);
    wait_until("the lock's end", || !shelf.is_locked());
}

#[test]
fn many_who_read_at_once_read_the_same() {
    let shelf = Shelf::new();
    shelf.reprise(&["mount", "repo::one", "ours", "--cache", "4"]).expect(0);
    let source = noise(1, 9_000_000);
    std::thread::scope(|scope| {
        for reader in 0..8_u64 {
            let (shelf, source) = (&shelf, &source);
            scope.spawn(move || {
                let mut file = File::open(shelf.path("ours/another name")).unwrap();
                let mut piece = vec![0; 50_000];
                let mut at = reader * 1_000_003 % 8_000_000;
                for _ in 0..60 {
                    file.seek(SeekFrom::Start(at)).unwrap();
                    file.read_exact(&mut piece).unwrap();
                    assert!(piece == source[at as usize..at as usize + 50_000], "at {at}");
                    at = (at * 31 + reader * 7919) % 8_900_000;
                }
            });
        }
    });
    shelf.reprise(&["umount", "ours"]).expect(0);
}

#[test]
fn all_archives_of_a_repository_are_directories() {
    let shelf = Shelf::new();
    fs::write(shelf.path("src/later"), "later").unwrap();
    shelf.back_up("two");
    shelf.reprise(&["mount", "repo", "ours"]).expect(0);
    let mut names: Vec<_> =
        fs::read_dir(shelf.path("ours")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(fs::read_to_string(shelf.path("ours/two/later")).unwrap(), "later");
    assert!(!shelf.path("ours/one/later").exists());
    assert!(!shelf.path("ours/three").exists());
    assert_eq!(fs::read(shelf.path("ours/one/dir/again")).unwrap(), noise(2, 4_000_000));
    shelf.reprise(&["umount", "ours"]).expect(0);
}

#[test]
fn archives_among_others_look_as_borg_shows_them_and_are_looked_into_late() {
    let shelf = Shelf::new();
    shelf.back_up("two");
    shelf.borg(&["mount", "repo", "theirs"]);
    wait_until("borg's mount", || shelf.is_mounted("theirs"));
    shelf.reprise(&["mount", "repo", "ours"]).expect(0);
    let about = |mount: &str, name: &str| {
        let data = fs::metadata(shelf.path(mount).join(name)).unwrap();
        (data.mode(), data.uid(), data.gid(), data.mtime(), data.atime(), data.ctime())
    };
    let catalogues = || {
        let dirs = fs::read_dir(shelf.path("cache")).into_iter().flatten();
        dirs.map(|dir| fs::read_dir(dir.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    for name in ["one", "two"] {
        assert_eq!(about("ours", name), about("theirs", name), "{name} (ours, then theirs)");
    }
    assert_eq!(about("ours", "").0, about("theirs", "").0);
    assert_eq!(catalogues(), 0, "nobody has looked into any of them");
    let inside = about("ours", "two/dir");
    wait_until("the catalogue being kept", || catalogues() == 1);
    assert_eq!(inside, about("theirs", "two/dir"));
    assert_eq!(about("ours", "two"), about("theirs", "two"), "also once it was looked into");
    shelf.reprise(&["umount", "ours"]).expect(0);
    shelf.borg(&["umount", "theirs"]);
}

#[test]
fn the_kernel_stops_asking_for_attributes_that_nothing_has() {
    let shelf = Shelf::new();
    run(shelf
        .command("borg", &["create", "../repo::plain", "dir/again", "link"])
        .current_dir(shelf.path("src")))
    .expect(0);
    shelf.reprise(&["mount", "repo::plain", "ours"]).expect(0);
    let path = shelf.path("ours/dir/again");
    let unsupported = Err(rustix::io::Errno::OPNOTSUPP);
    assert_eq!(rustix::fs::llistxattr(&path, &mut [0; 64]), unsupported);
    assert_eq!(rustix::fs::lgetxattr(&path, "user.comment", &mut [0; 64]), unsupported);
    let listed = run(Command::new("ls").arg("-l").arg(shelf.path("ours/dir"))).expect(0);
    assert!(listed.stdout.contains("again") && listed.stderr.is_empty(), "{}", listed.stderr);
    shelf.reprise(&["umount", "ours"]).expect(0);
}

#[test]
fn without_a_lock_backups_do_not_wait() {
    let shelf = Shelf::new();
    shelf.reprise(&["mount", "--bypass-lock", "repo::one", "ours"]).expect(0);
    assert!(!shelf.is_locked());
    shelf.borg(&["create", "repo::meanwhile", "src/nothing"]);
    assert_eq!(fs::read(shelf.path("ours/dir/again")).unwrap(), noise(2, 4_000_000));
    shelf.reprise(&["umount", "ours"]).expect(0);
}

#[test]
fn users_without_privileges_mount_through_fusermount() {
    let shelf = Shelf::new();
    fs::copy(env!("CARGO_BIN_EXE_reprise"), shelf.path("reprise")).unwrap();
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(shelf.dir.path()).status().unwrap();
    assert!(owned.success());
    // Some machines keep /dev/fuse for root, and then nobody else could: here they have one as most machines have it, in a
    // namespace that nobody else sees.
    let script = "mknod -m 666 fuse c 10 229; mount --bind fuse /dev/fuse
        as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"; }
        as_nobody ./reprise mount --numeric-ids repo::one ours
        grep -q $PWD/ours /proc/self/mountinfo; as_nobody md5sum ours/dir/large src/dir/large
        as_nobody ./reprise umount ours; ! grep -q $PWD/ours /proc/self/mountinfo";
    let read = run(&mut shelf.command("unshare", &["--mount", "sh", "-ec", script])).expect(0);
    let sums: Vec<&str> = read.stdout.lines().map(|line| &line[..32]).collect();
    assert!(sums.len() == 2 && sums[0] == sums[1], "{sums:?} {}", read.stderr);
    assert!(!shelf.is_mounted("ours") && !shelf.is_locked());
}

#[test]
fn what_is_lost_is_an_error_and_nothing_else_is() {
    let shelf = Shelf::new();
    shelf.reprise(&["mount", "repo::one", "ours"]).expect(0);
    // Damage that comes after mounting.
    shelf.damage();
    let read = |name: &str| fs::read(shelf.path("ours/dir").join(name));
    let (damaged, whole) = if read("large").is_err() { ("large", "again") } else { ("again", "large") };
    // Twice: a failure is not kept for good, and does no harm.
    for _ in 0..2 {
        assert_eq!(read(damaged).unwrap_err().raw_os_error(), Some(5));
    }
    let log = shelf.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(": bytes ")).collect();
    assert_eq!(lines.len(), 1, "said once, where somebody who got the error can look: {log}");
    // By the name that the archive has first, which is for borg to choose.
    let names = [format!("dir/{damaged}"), "another name".to_owned()];
    assert!(names.iter().any(|name| lines[0].contains(&format!("{name} in one: bytes "))), "{log}");
    assert!(lines[0].contains("cannot be read: "), "{log}");
    assert!(read(whole).unwrap() == if whole == "again" { noise(2, 4_000_000) } else { noise(1, 9_000_000) });
    for number in 0..200 {
        assert_eq!(read(&format!("small-{number:03}")).unwrap(), noise(number, 900));
    }
    assert_eq!(fs::read_link(shelf.path("ours/link")).unwrap(), Path::new("dir/large"));
    shelf.reprise(&["umount", "ours"]).expect(0);
}

#[test]
fn a_server_that_was_killed_leaves_nothing_that_stays_in_the_way() {
    let shelf = Shelf::new();
    shelf.reprise(&["mount", "repo::one", "ours"]).expect(0);
    let twice = shelf.reprise(&["mount", "repo::one", "ours"]).expect(2);
    assert!(twice.stderr.contains("mounted there already"), "{}", twice.stderr);
    kill_process(shelf.server("ours"), Signal::KILL).unwrap();
    wait_until("its end", || fs::read_dir(shelf.path("ours")).is_err());
    shelf.reprise(&["mount", "repo::one", "ours"]).expect(0);
    assert_eq!(fs::read(shelf.path("ours/dir/again")).unwrap(), noise(2, 4_000_000));
    let server = shelf.server("ours");
    kill_process(server, Signal::KILL).unwrap();
    wait_until("its end", || fs::read_dir(shelf.path("ours")).is_err());
    shelf.reprise(&["umount", "ours"]).expect(0);
    assert!(!shelf.is_mounted("ours"));
    // Borg breaks the lock of the dead on its own, once nothing is left of them.
    wait_until("its burial", || test_kill_process(server).is_err());
    shelf.borg(&["create", "repo::more", "src/nothing"]);
}

#[test]
fn a_signal_ends_it_in_good_order_even_while_it_is_used() {
    let shelf = Shelf::new();
    shelf.reprise(&["mount", "repo::one", "ours"]).expect(0);
    assert!(shelf.is_locked());
    kill_process(shelf.server("ours"), Signal::TERM).unwrap();
    wait_until("its end", || !shelf.is_mounted("ours") && !shelf.is_locked());

    shelf.reprise(&["mount", "repo::one", "ours"]).expect(0);
    let mut file = File::open(shelf.path("ours/dir/large")).unwrap();
    let busy = shelf.reprise(&["umount", "ours"]).expect(2);
    assert!(busy.stderr.contains("in use"), "{}", busy.stderr);
    kill_process(shelf.server("ours"), Signal::TERM).unwrap();
    wait_until("it being out of sight", || !shelf.is_mounted("ours"));
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content, noise(1, 9_000_000), "who has it open reads on");
    drop(file);
    wait_until("its end", || !shelf.is_locked());
}

#[test]
fn who_never_leaves_does_not_keep_it_from_ending() {
    let shelf = Shelf::new();
    shelf.reprise(&["mount", "repo::one", "ours"]).expect(0);
    let file = File::open(shelf.path("ours/dir/large")).unwrap();
    let server = shelf.server("ours");
    kill_process(server, Signal::HUP).unwrap();
    wait_until("it being out of sight", || !shelf.is_mounted("ours"));
    wait_until("its end", || test_kill_process(server).is_err());
    assert!(!shelf.is_locked(), "the lock was given back");
    let error = file.read_at(&mut [0; 10], 5_000_000).unwrap_err().raw_os_error();
    assert!(matches!(error, Some(107 | 103)), "{error:?}");
}

#[test]
fn in_the_foreground_what_is_lost_is_told_on_standard_error() {
    let shelf = Shelf::new();
    let server = shelf
        .command(env!("CARGO_BIN_EXE_reprise"), &["mount", "--foreground", "repo::one", "ours"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the mount", || shelf.is_mounted("ours"));
    shelf.damage();
    let lost = ["large", "again"].map(|name| fs::read(shelf.path("ours/dir").join(name)).is_err());
    assert_eq!(lost.iter().filter(|lost| **lost).count(), 1);
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    let said = String::from_utf8(server.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains(" in one: bytes ") && said.contains("cannot be read"), "{said}");
    assert_eq!(shelf.log(), "");
}

#[test]
fn in_the_foreground_it_stays_until_it_is_told_to_end() {
    let shelf = Shelf::new();
    let mut server: Child = shelf
        .command(env!("CARGO_BIN_EXE_reprise"), &["mount", "--foreground", "repo::one", "ours"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the mount", || shelf.is_mounted("ours"));
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(!shelf.is_mounted("ours") && !shelf.is_locked());
}

#[test]
fn who_asks_twice_need_not_wait_for_who_uses_it() {
    let shelf = Shelf::new();
    let mut server = shelf
        .command(env!("CARGO_BIN_EXE_reprise"), &["mount", "--foreground", "repo::one", "ours"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the mount", || shelf.is_mounted("ours"));
    let _file = File::open(shelf.path("ours/dir/large")).unwrap();
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    wait_until("it being out of sight", || !shelf.is_mounted("ours"));
    assert!(server.try_wait().unwrap().is_none(), "who uses it has some time");
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(130));
    assert!(!shelf.is_locked(), "the lock was given back");
}

#[test]
fn bad_input_gets_a_clear_error() {
    let shelf = Shelf::new();
    let said = |args: &[&str]| shelf.reprise(args).expect(2).stderr;
    assert!(said(&["mount", "repo::one", "nowhere"]).contains("it is not there"));
    assert!(said(&["mount", "repo::one", "src"]).contains("not empty"));
    assert!(said(&["mount", "repo::one", "src/nothing"]).contains("no directory"));
    assert!(said(&["mount", "repo::none", "ours"]).contains("there is no archive"));
    assert!(said(&["mount", "nothing::one", "ours"]).contains("not a Borg repository"));
    assert!(said(&["umount", "ours"]).contains("nothing is mounted"));
    assert!(said(&["umount", "/proc"]).contains("no mount of Reprise"));
    let wrong = run(shelf
        .command(env!("CARGO_BIN_EXE_reprise"), &["mount", "repo::one", "ours", "--json"])
        .env("BORG_PASSPHRASE", "wrong"))
    .expect(2);
    assert!(wrong.json()["error"]["message"].as_str().unwrap().contains("passphrase is wrong"));
    assert!(!shelf.is_mounted("ours") && !shelf.is_locked());
}
