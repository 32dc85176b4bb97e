//! States that a repository can be in, other than at rest: what crashes leave, what compaction moves, what repairs rebuild, and
//! authentication that was taken away. What is read is what `borg` reads. See README.md beside this for borg's own tests of these.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::forge::Forge;
use common::look::{look_at, tells, wrong};
use common::{Bench, noise};
use reprise_borg::{Chunk, Error, Extraction, Id, Lock, OpenOptions, Repository};
use reprise_model::Unobserved;

fn names(repository: &Repository) -> Vec<&str> {
    repository.archives().iter().map(|archive| archive.name.as_str()).collect()
}

/// Every segment file with its content.
fn segments(bench: &Bench) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(bench.repo().join("data/0")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn remove_files(bench: &Bench, kinds: &[&str]) {
    for entry in fs::read_dir(bench.repo()).unwrap() {
        let path = entry.unwrap().path();
        if kinds.iter().any(|kind| path.file_stem().unwrap() == *kind) && path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Asserts that the repository shows the same with its index and with one made anew from the segments.
fn same_without_index(bench: &Bench) {
    let truth = look_at(&bench.open());
    assert!(!tells(&truth));
    remove_files(bench, &["index", "hints", "integrity"]);
    assert_eq!(wrong(&look_at(&bench.open()), &truth), None);
}

/// Three archives, of which the first was deleted, and its chunks with it.
fn with_deletions() -> Bench {
    let bench = Bench::with("repokey");
    for (seed, name) in [(1, "a"), (2, "b"), (3, "c")] {
        fs::write(bench.src().join("changes"), noise(seed, 60_000)).unwrap();
        fs::write(bench.src().join("stays"), noise(9, 60_000)).unwrap();
        bench.create(name, &[]);
    }
    bench.borg(&["delete", &format!("{}::a", bench.repo().display())]);
    bench
}

#[test]
fn segments_that_a_crash_kept_from_being_deleted_after_compaction_do_no_harm() {
    let bench = with_deletions();
    let before = segments(&bench);
    bench.borg(&["compact", "--threshold", "0", bench.repo().to_str().unwrap()]);
    let gone: Vec<_> = before.iter().filter(|(path, _)| !path.exists()).collect();
    assert!(!gone.is_empty(), "something was compacted");
    let truth = look_at(&bench.open());
    for (path, content) in gone {
        fs::write(path, content).unwrap();
    }
    assert_eq!(wrong(&look_at(&bench.open()), &truth), None);
    remove_files(&bench, &["index", "hints", "integrity"]);
    let repository = bench.open();
    assert_eq!(names(&repository), ["b", "c"], "what was deleted stays deleted");
    assert_eq!(wrong(&look_at(&repository), &truth), None);
    drop(repository);
    bench.borg(&["check", bench.repo().to_str().unwrap()]);
}

#[test]
fn deletions_and_replacements_hold_after_any_compaction() {
    for threshold in ["0", "10", "50", "100"] {
        let bench = with_deletions();
        let repo = bench.repo().display().to_string();
        bench.borg(&["compact", "--threshold", threshold, &repo]);
        // Entries that shadow others move again, and with them what they shadow.
        fs::write(bench.src().join("changes"), noise(1, 60_000)).unwrap();
        bench.create("a", &[]);
        bench.borg(&["delete", &format!("{repo}::b")]);
        bench.borg(&["compact", "--threshold", threshold, &repo]);
        assert_eq!(names(&bench.open()), ["c", "a"]);
        let archive = bench.open();
        let file = archive.archive("a").unwrap().find(b"changes").unwrap();
        assert!(archive.archive("a").unwrap().read_all(&file, 1 << 20).unwrap() == noise(1, 60_000));
        drop(archive);
        same_without_index(&bench);
    }
}

#[test]
fn the_last_entry_of_an_object_counts_whatever_lies_between() {
    let bench = Bench::new();
    let path = bench.repo();
    let id = [7; 32];
    let stored = |text: &[u8]| [&id[..], &[2, 0, 0], text].concat();
    let mut forge = Forge::new();
    forge.entry(0, &stored(b"first"));
    forge.entry(1, &id);
    forge.finish(&path, &[]);
    // Deleted in segment 0, which ends with a manifest and a commit.
    let later = |number: u32, entries: &[(u8, Vec<u8>)]| {
        let mut forge = Forge::new();
        for (tag, body) in entries {
            forge.entry(*tag, body);
        }
        forge.entry(2, &[]);
        fs::write(path.join(format!("data/0/{number}")), forge.segment()).unwrap();
    };
    let chunk = Chunk { id: Id(id), size: 5, stored: 8 };
    let read = || common::open(&path, Path::new("/nonexistent")).unwrap().read_chunk(&chunk);
    assert!(matches!(read(), Err(Error::ChunkMissing { .. })), "deleted");
    later(1, &[(0, stored(b"again"))]);
    // Its id is not the hash of that: what tells is which error it is.
    assert!(matches!(read(), Err(Error::Integrity { .. })), "there again");
    later(2, &[(1, id.to_vec())]);
    assert!(matches!(read(), Err(Error::ChunkMissing { .. })), "deleted again");
    later(3, &[(0, stored(b"third")), (1, id.to_vec()), (0, stored(b"forth"))]);
    assert!(matches!(read(), Err(Error::Integrity { .. })), "the last of one segment");
}

#[test]
fn a_commit_within_somebodys_data_is_none() {
    let bench = Bench::new();
    let path = bench.repo();
    Forge::new().finish(&path, &[]);
    let sound = look_at(&common::open(&path, Path::new("/nonexistent")).unwrap());
    // A whole transaction that would replace the manifest, but whose commit is the end of an object's data.
    let mut whole = Forge::new();
    whole.entry(2, &[]);
    let commit = &whole.segment()[8..];
    let mut forge = Forge::new();
    forge.entry(0, &[&[0; 32][..], &[2, 0, 0], b"no manifest", commit].concat());
    assert!(forge.segment().ends_with(commit));
    fs::write(path.join("data/0/1"), forge.segment()).unwrap();
    assert_eq!(wrong(&look_at(&common::open(&path, Path::new("/nonexistent")).unwrap()), &sound), None);
}

#[test]
fn a_deleted_nonce_is_not_missed() {
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("a"), "content").unwrap();
    bench.create("a", &[]);
    fs::remove_file(bench.repo().join("nonce")).unwrap();
    let repository = bench.open();
    assert!(
        repository.archive("a").unwrap().check(&Extraction::everything(), &Unobserved).unwrap().is_clean()
    );
}

#[test]
fn a_manifest_that_a_repair_made_anew_is_read() {
    let bench = with_deletions();
    let repo = bench.repo().display().to_string();
    bench.borg(&["debug", "delete-obj", &repo, &"0".repeat(64)]);
    assert!(matches!(
        common::open(&bench.repo(), &bench.path("none")),
        Err(Error::Manifest { reason }) if reason == "it is missing"
    ));
    let mut repair = bench.command(bench.dir.path(), &["check", "--repair", &repo]);
    repair.env("BORG_CHECK_I_KNOW_WHAT_I_AM_DOING", "YES").output().unwrap();
    let options = OpenOptions {
        passphrase: &|| Ok(Some(common::PASSPHRASE.to_owned().into())),
        ignore_invalid_archive_tam: true,
        ..OpenOptions::default()
    };
    let repository = Repository::open(bench.repo(), &options).unwrap();
    let listed = String::from_utf8(bench.borg(&["list", "--short", &repo]).stdout).unwrap();
    let mut ours = names(&repository);
    ours.sort_unstable();
    let mut theirs: Vec<_> = listed.lines().collect();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(ours, ["b", "c"]);
}

#[test]
fn a_read_only_repository_is_read_without_a_lock_and_told_why_not_with_one() {
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("a"), "content").unwrap();
    bench.create("a", &[]);
    let view = bench.empty("read-only");
    let mount = |args: &[&str]| {
        let mounted = Command::new("mount").args(args).arg(&view).status().unwrap();
        assert!(mounted.success(), "this test mounts: run it as root");
    };
    mount(&["--bind", bench.repo().to_str().unwrap()]);
    mount(&["-o", "remount,bind,ro"]);
    let open = |lock| {
        let passphrase = || Ok(Some(common::PASSPHRASE.to_owned().into()));
        Repository::open(&view, &OpenOptions { passphrase: &passphrase, lock, ..OpenOptions::default() })
    };
    let locked = open(Lock::Shared { wait: Duration::ZERO }).map(drop);
    let read = open(Lock::Bypass).map(|repository| {
        assert!(repository.verify(&Unobserved).unwrap().is_sound());
        look_at(&repository)
    });
    assert!(Command::new("umount").arg(&view).status().unwrap().success());
    let error = locked.unwrap_err();
    assert!(matches!(error, Error::LockFailed { .. }), "{error}");
    assert!(error.hint().unwrap().contains("without a lock"), "{error}");
    assert!(!tells(&read.unwrap()));
}

#[test]
fn whether_the_manifest_is_authenticated_is_told() {
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("a"), "content").unwrap();
    bench.create("a", &[]);
    assert!(bench.open().is_manifest_authenticated());
    // The key then asks for no code, as those of very old repositories do. What has one is verified all the same.
    bench.borg(&["upgrade", "--disable-tam", bench.repo().to_str().unwrap()]);
    let repository = bench.open();
    assert!(repository.is_manifest_authenticated());
    assert!(!tells(&look_at(&repository)));

    let bench = Bench::new();
    Forge::new().finish(&bench.repo(), &[]);
    assert!(
        !common::open(&bench.repo(), &bench.path("none")).unwrap().is_manifest_authenticated(),
        "it has none"
    );
}

#[test]
fn a_manifest_of_a_later_borg_is_told_as_one() {
    let bench = Bench::new();
    Forge::new().finish_with_manifest(&bench.repo(), &[0xc1; 40]);
    let error = common::open(&bench.repo(), &bench.path("none")).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("newer")), "{error}");
}
