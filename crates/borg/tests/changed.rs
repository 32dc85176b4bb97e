//! Extracting only what has changed leaves the tree that extracting everything makes, and touches nothing else.

mod common;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::mounted::Mounted;
use common::{Bench, assert_same_below, locate, noise, snapshot, xattrs};
use reprise_borg::{Archive, Change, Described, Extraction, Kind, Options, Placement, Report};
use reprise_model::Unobserved;
use sha2::{Digest, Sha256};

const SIZE: usize = 12_000_000;

fn only_changed() -> Extraction {
    Extraction::everything().with(Options { only_changed: true, devices: true, ..Options::default() })
}

fn update(archive: &Archive<'_>, to: &Path) -> Report {
    archive.extract(&only_changed(), to, &Unobserved).unwrap()
}

fn sh(at: &Path, script: &str) {
    assert!(Command::new("sh").args(["-ec", script]).current_dir(at).status().unwrap().success(), "{script}");
}

/// In turn: content, length, kind, attributes, links, and what is not in the archive at all.
const DAMAGE: &str =
        "echo x | dd of=large bs=1 seek=6000000 conv=notrunc 2>/dev/null
         echo more >> small-05; : > small-06; echo content > none; truncate -s 3000000 holes
         rm small-07 link pipe; mkdir small-07; ln -s elsewhere link; echo no pipe > pipe
         rm dirlink small-08; ln -s /etc/passwd small-08; mkdir dirlink; rmdir dir/empty
         setfattr -x user.kept small-01; setfattr -n user.more -v x small-09; chmod 777 small-02 dir; chown 1:1 small-03 first
         touch small-04; setfattr -n user.more -v x dir
         rm null; mknod null c 1 5
         rm third; cp dir/second third; ln small-11 ../outside/shared; ln small-12 ../outside/other; chmod 600 small-12
         echo keep me > not-in-the-archive";

/// A backup of one of everything, and a directory with all of it.
fn extracted() -> (Bench, std::path::PathBuf) {
    let bench = Bench::with("repokey");
    let src = bench.src();
    fs::write(src.join("large"), noise(1, SIZE)).unwrap();
    for number in 0..50 {
        fs::write(src.join(format!("small-{number:02}")), noise(number, 1000)).unwrap();
    }
    sh(
        &src,
        "mkdir -p dir/empty one two; echo both > one/name; ln one/name two/name; echo linked > first; ln first dir/second; ln first third; : > none
         mkfifo pipe pipe-too; ln pipe-too dir/pipe-again; mknod null c 1 3; ln null null-again
         mkdir shared; setfacl -d -m u:nobody:rx shared; ln -s first link; ln -s dir dirlink
         truncate -s 5M holes; echo end >> holes
         setfattr -n user.kept -v value small-01; chmod 4750 small-02; chown 1234:5678 small-03
         touch -d '2001-02-03 04:05:06.123456789Z' small-04 dir",
    );
    bench.create("a", &["--chunker-params", "buzhash,16,20,18,4095"]);
    let to = bench.empty("to");
    {
        let repository = bench.open();
        let everything = Extraction::everything().with(Options { devices: true, ..Options::default() });
        let report = repository.archive("a").unwrap().extract(&everything, &to, &Unobserved).unwrap();
        assert!(report.is_clean());
    }
    (bench, to)
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

fn assert_no_leftovers(dir: &Path) {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".reprise-")));
}

#[test]
fn what_is_right_is_not_written_again() {
    let (bench, to) = extracted();
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let before = snapshot(&to);
    let report = update(&archive, &to);
    assert!(report.is_clean());
    assert_eq!((report.unchanged, report.bytes), (report.items, 0));
    assert_eq!(report.items, archive.items().count() as u64);
    common::assert_alike(&snapshot(&to), &before);
}

#[test]
fn whatever_differs_becomes_what_the_archive_has() {
    let (bench, to) = extracted();
    let right = inode(&to.join("small-10"));
    let outside = bench.empty("outside");
    sh(&to, DAMAGE);
    let (shared, other) = (snapshot(&outside), inode(&outside.join("other")));
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();

    let told = archive.compare(&only_changed(), &to, &Unobserved).unwrap();
    let what = |path: &str| {
        told.changed.iter().find(|changed| changed.path == path.as_bytes()).map(|changed| changed.what)
    };
    assert_eq!(what("large"), Some(Change::Content));
    assert_eq!(what("small-07"), Some(Change::Kind));
    assert_eq!(what("small-08"), Some(Change::Kind));
    assert_eq!(what("small-01"), Some(Change::Attributes));
    assert_eq!(what("dir/empty"), Some(Change::New));
    assert_eq!(what("third"), Some(Change::Content));
    assert_eq!(what("small-10"), None);
    assert_eq!(told.unchanged + told.changed.len() as u64, told.items);
    common::assert_alike(&snapshot(&outside), &shared);

    let report = update(&archive, &to);
    let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, Vec::<String>::new());
    assert!(report.bytes < 5_000_000, "parts of the large files: {}", report.bytes);
    assert_eq!(report.unchanged, told.unchanged);
    assert_eq!(fs::read_to_string(to.join("not-in-the-archive")).unwrap(), "keep me\n");
    assert_eq!(inode(&to.join("small-10")), right);
    assert_no_leftovers(&to);
    fs::remove_file(to.join("not-in-the-archive")).unwrap();
    let anew = bench.empty("anew");
    let everything = Extraction::everything().with(Options { devices: true, ..Options::default() });
    archive.extract(&everything, &anew, &Unobserved).unwrap();
    assert_same_below(&to, &anew);

    // Names outside have what they had, and no part in this any more.
    assert_eq!(inode(&outside.join("other")), other);
    assert_ne!(inode(&to.join("small-12")), other);
    assert_eq!(fs::metadata(outside.join("other")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        update(&archive, &to).unchanged,
        report.items - 1,
        "all but the top, whose time the removal changed"
    );
}

/// What lies at and below `root`, as somebody describes it who can read it.
fn described(root: &Path) -> HashMap<Vec<u8>, Described> {
    let found = Command::new("find").arg(root).args(["-printf", "%P\\0"]).output().unwrap().stdout;
    let paths = found.split_inclusive(|byte| *byte == 0).map(|path| &path[..path.len() - 1]);
    let describe = |path: &[u8]| {
        let full = root.join(OsStr::from_bytes(path));
        let meta = fs::symlink_metadata(&full).unwrap();
        let kind = match meta.mode() & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Symlink,
            0o010_000 => Kind::Fifo,
            _ => Kind::Other,
        };
        let target = || fs::read_link(&full).unwrap().into_os_string().into_encoded_bytes();
        let digest = || Sha256::digest(fs::read(&full).unwrap()).into();
        let described = Described {
            kind,
            size: meta.size(),
            permissions: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
            target: if kind == Kind::Symlink { target() } else { Vec::new() },
            xattrs: xattrs(&full).into_iter().map(|(name, value)| (name.into_bytes(), value)).collect(),
            digest: (kind == Kind::File).then(digest),
            inode: meta.ino(),
            names: meta.nlink(),
        };
        (path.to_vec(), described)
    };
    paths.map(describe).collect()
}

#[test]
fn what_is_only_described_is_compared_alike() {
    let (bench, to) = extracted();
    sh(&to, "mkdir ../outside");
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    // Devices are neither made nor looked at.
    let everything = Extraction::everything();
    let paths = |report: &Report| -> BTreeSet<String> {
        let paths = report.changed.iter().map(|changed| String::from_utf8_lossy(&changed.path).into_owned());
        paths.collect()
    };
    let whole = archive.compare_with(&everything, &described(&to), &Unobserved).unwrap();
    // But for another name of one.
    assert_eq!(paths(&whole).len(), 1, "{:?}", whole.changed);
    assert_eq!(paths(&whole), paths(&archive.compare(&everything, &to, &Unobserved).unwrap()));
    for script in [
        DAMAGE,
        "printf X | dd of=large bs=1 seek=11999999 conv=notrunc 2>/dev/null; touch -r small-10 large",
    ] {
        sh(&to, script);
        let here = archive.compare(&everything, &to, &Unobserved).unwrap();
        let there = archive.compare_with(&everything, &described(&to), &Unobserved).unwrap();
        assert!(paths(&there).len() > 15);
        // All names of a file are one thing: which of them is told makes no difference.
        let names = ["first", "third", "dir/second", "pipe", "pipe-too", "dir/pipe-again"];
        let but = |paths: BTreeSet<String>| -> Vec<String> {
            paths.into_iter().filter(|path| !names.contains(&path.as_str())).collect()
        };
        assert_eq!(but(paths(&there)), but(paths(&here)));
        assert!(paths(&there).contains("first") || paths(&there).contains("third"));
    }
    // Content that the archive has lost can be compared with nothing, and that is told.
    let large = archive.items().map(Result::unwrap).find(|item| item.path == b"large").unwrap();
    let (segment, at) = locate(&bench, large.chunks.unwrap()[0].id);
    sh(&to, "rm -rf ../again; cp -a . ../again");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[at + 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    drop(repository);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let again = bench.path("again");
    let everything = Extraction::of([Placement::new("large", "large")]);
    sh(&again, "touch -r ../src/large large");
    let report = archive.compare_with(&everything, &described(&again), &Unobserved).unwrap();
    assert_eq!(report.losses().count(), 1, "{:?}", report.problems);
}

#[test]
fn a_dry_run_changes_nothing_and_reads_nothing_of_the_content() {
    let (bench, to) = extracted();
    sh(&to, "echo more >> large; rm small-00 first; chmod 700 dir");
    let before = snapshot(&to);
    let repository = bench.open();
    let report = repository.archive("a").unwrap().compare(&only_changed(), &to, &Unobserved).unwrap();
    common::assert_alike(&snapshot(&to), &before);
    let changed: Vec<_> =
        report.changed.iter().map(|changed| (String::from_utf8_lossy(&changed.path), changed.what)).collect();
    assert!(changed.iter().any(|(path, what)| path == "large" && *what == Change::Content));
    assert!(changed.iter().any(|(path, what)| path == "small-00" && *what == Change::New));
    assert!(changed.iter().any(|(path, what)| path == "dir" && *what == Change::Attributes));
}

#[test]
fn links_in_a_hostile_destination_lead_nowhere() {
    let (bench, to) = extracted();
    let outside = bench.empty("outside");
    fs::create_dir(outside.join("empty")).unwrap();
    fs::write(outside.join("second"), "not yours").unwrap();
    fs::write(outside.join("small"), noise(0, 1000)).unwrap();
    fs::remove_dir_all(to.join("dir")).unwrap();
    symlink(&outside, to.join("dir")).unwrap();
    fs::remove_file(to.join("small-00")).unwrap();
    symlink(outside.join("small"), to.join("small-00")).unwrap();
    let before = snapshot(&outside);
    let repository = bench.open();
    let report = update(&repository.archive("a").unwrap(), &to);
    common::assert_alike(&snapshot(&outside), &before);
    assert!(report.is_clean(), "{:?}", report.problems);
    // As a plain extraction does, links are replaced by what belongs there.
    assert!(fs::symlink_metadata(to.join("dir")).unwrap().is_dir());
    assert!(fs::symlink_metadata(to.join("small-00")).unwrap().is_file());
}

#[test]
fn a_file_whose_content_is_lost_stays_as_it_was() {
    let (bench, to) = extracted();
    let lost = {
        let repository = bench.open();
        let item = repository.archive("a").unwrap().find(b"large").unwrap();
        item.chunks.unwrap()[3].id
    };
    let (path, offset) = locate(&bench, lost);
    let mut content = fs::read(&path).unwrap();
    content[offset + 50] ^= 1;
    fs::write(&path, content).unwrap();

    // Nothing of it is needed while all is right.
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    assert!(update(&archive, &to).is_clean());
    fs::write(to.join("large"), "something else").unwrap();
    let report = update(&archive, &to);
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].is_loss());
    assert_eq!(fs::read_to_string(to.join("large")).unwrap(), "something else");
    assert_no_leftovers(&to);
}

#[test]
fn what_cannot_be_replaced_is_a_problem_of_its_own() {
    let (bench, to) = extracted();
    fs::write(to.join("small-20"), "other").unwrap();
    fs::write(to.join("small-21"), "other").unwrap();
    fs::remove_file(to.join("small-22")).unwrap();
    fs::create_dir_all(to.join("small-22/full")).unwrap();
    // Where the file system has no flags there is nothing to test them with.
    let has_flags =
        Command::new("chattr").args(["+i", "small-20"]).current_dir(&to).status().unwrap().success();
    let repository = bench.open();
    let report = update(&repository.archive("a").unwrap(), &to);
    if has_flags {
        sh(&to, "chattr -i small-20");
        assert_eq!(fs::read_to_string(to.join("small-20")).unwrap(), "other");
    }
    let mut paths: Vec<_> =
        report.problems.iter().map(|problem| String::from_utf8_lossy(&problem.path)).collect();
    paths.sort();
    assert_eq!(paths, if has_flags { vec!["small-20", "small-22"] } else { vec!["small-22"] });
    assert_eq!(fs::read(to.join("small-21")).unwrap(), noise(21, 1000));
    assert_no_leftovers(&to);
}

#[test]
fn an_empty_directory_gets_everything_and_sparse_files_stay_so() {
    let (bench, _) = extracted();
    let to = bench.empty("new");
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let mut sparse = only_changed();
    sparse.options.sparse = true;
    let report = archive.extract(&sparse, &to, &Unobserved).unwrap();
    assert_eq!(report.unchanged, 0);
    let anew = bench.empty("anew");
    let everything = Extraction::everything().with(Options { devices: true, ..Options::default() });
    archive.extract(&everything, &anew, &Unobserved).unwrap();
    assert_same_below(&to, &anew);
    let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
    assert!(blocks(&to.join("holes")) < blocks(&anew.join("holes")) / 2);
}

#[test]
fn what_a_killed_run_left_behind_is_removed_and_nothing_else() {
    let (bench, to) = extracted();
    let before = snapshot(&to);
    let held = to.join("dir/.reprise-0000000000000003");
    // One file is all that is in `one` and `two`: in either of them is nothing but a further name.
    sh(
        &to,
        "for dir in . dir one two; do echo half > $dir/.reprise-0123456789abcdef; done
         ln small-20 .reprise-0000000000000001
         echo mine > .reprise-notes; echo mine > .reprise-0123456789ABCDEF; mkdir .reprise-0000000000000002
         echo theirs > dir/.reprise-0000000000000003; echo x >> small-21",
    );
    // A run that is still at work holds its own.
    let file = fs::File::open(&held).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    archive.compare(&only_changed(), &to, &Unobserved).unwrap();
    assert!(to.join(".reprise-0123456789abcdef").exists(), "looking removes nothing");
    assert!(update(&archive, &to).is_clean());
    let mut after = snapshot(&to);
    for kept in [
        ".reprise-notes",
        ".reprise-0123456789ABCDEF",
        ".reprise-0000000000000002",
        "dir/.reprise-0000000000000003",
    ] {
        assert!(after.remove(kept.as_bytes()).is_some(), "{kept}");
    }
    common::assert_alike(&after, &before);
}

#[test]
fn what_is_right_of_a_file_is_shared_with_the_old_one_where_the_file_system_can() {
    for make in ["mkfs.btrfs", "mkfs.xfs"] {
        let bench = Bench::with("repokey");
        let content = noise(1, 48_000_000);
        fs::write(bench.src().join("large"), &content).unwrap();
        bench.create("a", &["--chunker-params", "buzhash,16,20,18,4095"]);
        let mounted = Mounted::made(&bench, &[make, "-q"], 512);
        let at = &mounted.0;
        let mut other = content.clone();
        other[20_000_000] ^= 1;
        fs::write(at.join("large"), &other).unwrap();
        // Another name keeps the old file.
        fs::hard_link(at.join("large"), at.join("kept")).unwrap();
        let used = || {
            sh(at, "sync -f .");
            let stat = rustix::fs::statvfs(at).unwrap();
            (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        };
        let before = used();
        let repository = bench.open();
        let report = update(&repository.archive("a").unwrap(), at);
        assert!(report.is_clean() && report.bytes > 0 && report.bytes < 2_000_000, "{make}: {report:?}");
        assert!(fs::read(at.join("large")).unwrap() == content, "{make}");
        assert!(fs::read(at.join("kept")).unwrap() == other, "{make}");
        let grown = used().saturating_sub(before);
        assert!(grown < 16_000_000, "{make}: {grown} bytes more for one that is nearly the same");
    }
}
