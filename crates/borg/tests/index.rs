//! Whatever the state of index and segments: the last committed state is read, and nothing in the repository changes.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::quick::newest;
use common::{Bench, assert_same, noise};
use reprise_borg::{Error, Extraction};
use reprise_model::Unobserved;

/// A repository with three transactions, one of which deletes; its last archive is "c".
fn prepared() -> Bench {
    let bench = Bench::with("repokey");
    for (seed, name) in [(1, "a"), (2, "b"), (3, "c")] {
        fs::write(bench.src().join(name), noise(seed, 200_000)).unwrap();
        fs::write(bench.src().join("same"), "always the same").unwrap();
        bench.create(name, &[]);
    }
    bench.borg(&["delete", &format!("{}::b", bench.repo().display())]);
    bench
}

/// Every file of the repository with its content.
fn bytes_of(repo: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![repo.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path.clone());
                found.insert(path, Vec::new());
            } else {
                let content = fs::read(&path).unwrap();
                found.insert(path, content);
            }
        }
    }
    found
}

/// Asserts that all is readable and nothing was written.
fn read_all(bench: &Bench, name: &str) {
    let before = bytes_of(&bench.repo());
    let repository = bench.open();
    let names: Vec<_> = repository.archives().iter().map(|archive| archive.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    let out = bench.empty(name);
    let archive = repository.archive("c").unwrap();
    let report = archive.extract(&Extraction::everything(), &out, &Unobserved).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_same(&out, &bench.src());
    drop(repository);
    assert!(bytes_of(&bench.repo()) == before, "the repository was written to");
}

fn segments(bench: &Bench) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(bench.repo().join("data/0")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        entries.map(|path| (path.file_name().unwrap().to_str().unwrap().parse().unwrap(), path)).collect();
    all.sort();
    all
}

#[test]
fn a_sound_index_is_used() {
    read_all(&prepared(), "out");
}

#[test]
fn a_missing_index_is_replayed() {
    let bench = prepared();
    let (index, number) = newest(&bench.repo(), "index");
    fs::remove_file(index).unwrap();
    read_all(&bench, "without index");
    fs::remove_file(bench.repo().join(format!("integrity.{number}"))).unwrap();
    fs::remove_file(bench.repo().join(format!("hints.{number}"))).unwrap();
    read_all(&bench, "without anything");
}

#[test]
fn a_stale_index_is_brought_up_to_date() {
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("a"), noise(1, 200_000)).unwrap();
    bench.create("a", &[]);
    fs::write(bench.src().join("b"), noise(2, 200_000)).unwrap();
    bench.create("b", &[]);
    let (old, number) = newest(&bench.repo(), "index");
    let keep: Vec<_> = ["index", "hints", "integrity"]
        .map(|kind| (kind, fs::read(bench.repo().join(format!("{kind}.{number}"))).unwrap()))
        .to_vec();
    // What a crash between commit and index leaves: the segments of later transactions, the files of this one.
    bench.borg(&["delete", &format!("{}::b", bench.repo().display())]);
    fs::write(bench.src().join("c"), noise(3, 200_000)).unwrap();
    bench.create("c", &[]);
    for kind in ["index", "hints", "integrity"] {
        fs::remove_file(newest(&bench.repo(), kind).0).unwrap();
    }
    for (kind, content) in keep {
        fs::write(bench.repo().join(format!("{kind}.{number}")), content).unwrap();
    }
    assert!(old.exists());
    read_all(&bench, "out");
}

#[test]
fn an_index_newer_than_the_last_commit_is_not_believed() {
    let bench = prepared();
    let (index, number) = newest(&bench.repo(), "index");
    fs::rename(index, bench.repo().join(format!("index.{}", number + 2))).unwrap();
    read_all(&bench, "out");
}

#[test]
fn a_corrupt_index_is_rebuilt() {
    let bench = prepared();
    let (index, number) = newest(&bench.repo(), "index");
    let sound = fs::read(&index).unwrap();
    let middle = sound.len() / 2;
    let mut damages: Vec<Vec<u8>> =
        vec![sound[..middle].to_vec(), sound[..10].to_vec(), b"BORG_IDX".to_vec()];
    for at in [0, 9, 13, 16, 17, 20, middle] {
        let mut flipped = sound.clone();
        flipped[at] ^= 0x40;
        damages.push(flipped);
    }
    for (count, content) in damages.iter().enumerate() {
        fs::write(&index, content).unwrap();
        read_all(&bench, &format!("out{count}"));
    }
    fs::write(&index, &sound).unwrap();
    fs::write(bench.repo().join(format!("integrity.{number}")), "damaged").unwrap();
    read_all(&bench, "integrity damaged");
}

#[test]
fn an_integrity_file_of_an_unknown_version_is_ignored() {
    let bench = prepared();
    let (integrity, _) = newest(&bench.repo(), "integrity");
    let mut content = fs::read(&integrity).unwrap();
    let at = content.windows(7).position(|window| window == b"version").unwrap() + 7;
    assert_eq!(content[at], 2);
    content[at] = 77;
    fs::write(&integrity, content).unwrap();
    read_all(&bench, "out");
}

#[test]
fn remains_of_a_transaction_that_was_never_finished_are_ignored() {
    let bench = prepared();
    let all = segments(&bench);
    let (last, _) = all.last().unwrap();
    let whole = fs::read(&all[0].1).unwrap();
    let committed = fs::read(&all.last().unwrap().1).unwrap();
    let torn: Vec<Vec<u8>> = vec![
        whole[..whole.len() / 2].to_vec(),
        b"BORG_SEG".to_vec(),
        b"BORG".to_vec(),
        Vec::new(),
        noise(9, 1000),
        // One that ends like a commit, but is cut off before: part of somebody's data, perhaps.
        [&whole[..whole.len() / 2], &committed[8..]].concat(),
    ];
    for (count, content) in torn.iter().enumerate() {
        fs::write(bench.repo().join(format!("data/0/{}", last + 1)), content).unwrap();
        read_all(&bench, &format!("out{count}"));
    }
}

#[test]
fn losing_the_last_commit_leads_back_to_the_transaction_before() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("a"), "a").unwrap();
    bench.create("a", &[]);
    fs::write(bench.src().join("b"), "b").unwrap();
    bench.create("b", &["--timestamp", "2030-01-01T00:00:00"]);
    let all = segments(&bench);
    let (_, last) = all.last().unwrap();
    let content = fs::read(last).unwrap();
    fs::write(last, &content[..content.len() - 1]).unwrap();
    let repository = bench.open();
    let names: Vec<_> = repository.archives().iter().map(|archive| archive.name.as_str()).collect();
    assert_eq!(names, ["a"], "as borg would show");
}

#[test]
fn an_index_without_any_commit_is_an_error() {
    let bench = prepared();
    for (_, segment) in segments(&bench) {
        fs::remove_file(segment).unwrap();
    }
    let error = common::open(&bench.repo(), &bench.path("none")).unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "{error}");
}

#[test]
fn a_damaged_segment_is_no_base_for_a_rebuild() {
    let bench = prepared();
    fs::remove_file(newest(&bench.repo(), "index").0).unwrap();
    let (_, first) = &segments(&bench)[0];
    let mut content = fs::read(first).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(first, content).unwrap();
    let error = common::open(&bench.repo(), &bench.path("none")).unwrap_err();
    assert!(matches!(error, Error::Segment { segment: 0 | 1, .. }), "{error}");
    assert!(error.hint().unwrap().contains("check --repair"));
}
