//! Damage costs what is damaged and nothing else, and never goes unnoticed.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use common::mounted::Mounted;
use common::{Bench, PASSPHRASE, locate, noise};
use reprise_borg::{Error, Extraction, Id, OpenOptions, Options, ProblemKind, Report, Repository, Tam};
use reprise_model::{Observer, Unobserved};
use secrecy::SecretString;

fn extract(bench: &Bench, name: &str, options: Options) -> (PathBuf, Result<Report, Error>) {
    let out = bench.empty(name);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let report = archive.extract(&Extraction::everything().with(options), &out, &Unobserved);
    (out, report)
}

/// A repository with a file of several chunks, another name of it, and others.
fn prepared(encryption: &str) -> (Bench, Vec<Id>) {
    let bench = Bench::with(encryption);
    fs::create_dir(bench.src().join("one")).unwrap();
    fs::create_dir(bench.src().join("two")).unwrap();
    fs::write(bench.src().join("one/big"), noise(1, 1_500_000)).unwrap();
    fs::hard_link(bench.src().join("one/big"), bench.src().join("two/again")).unwrap();
    fs::write(bench.src().join("good"), noise(2, 500_000)).unwrap();
    fs::write(bench.src().join("small"), "small").unwrap();
    let target = format!("{}::a", bench.repo().display());
    let chunker = ["create", "--chunker-params", "buzhash,15,18,16,4095", &target];
    // Named one by one, so that they are backed up in this order.
    bench.borg_in(&bench.src(), &[&chunker[..], &["one", "good", "small", "two"]].concat());
    let repository = bench.open();
    let big = repository.archive("a").unwrap().find(b"one/big").unwrap();
    let ids: Vec<_> = big.chunks.unwrap().iter().map(|chunk| chunk.id).collect();
    assert!(ids.len() > 4);
    (bench, ids)
}

#[test]
fn a_corrupt_chunk_costs_its_file_and_nothing_else() {
    for encryption in ["none", "repokey-blake2"] {
        let (bench, ids) = prepared(encryption);
        let (segment, at) = locate(&bench, ids[2]);
        let mut content = fs::read(&segment).unwrap();
        content[at + 100] ^= 1;
        fs::write(segment, content).unwrap();

        let (out, report) = extract(&bench, "out", Options::default());
        let report = report.unwrap();
        let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["good", "one", "small", "two"]);
        assert!(!out.join("two/again").exists());
        assert_eq!(fs::read(out.join("good")).unwrap(), noise(2, 500_000));
        let [content, link] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
        assert_eq!(content.path, b"one/big");
        assert_eq!(content.destination.as_deref(), Some(Path::new("one/big")));
        let ProblemKind::Content { range, cause } = &content.kind else { panic!("{content}") };
        assert!(matches!(&**cause, Error::Integrity { id, .. } if *id == ids[2]));
        assert!(range.start > 0 && range.end > range.start && range.end < 1_500_000);
        assert!(matches!(&link.kind, ProblemKind::HardLink { target } if target == b"one/big"));

        // Kept if wanted, with zeros for what is lost.
        let options = Options { keep_damaged: true, ..Options::default() };
        let (out, report) = extract(&bench, "kept", options);
        assert_eq!(report.unwrap().problems.len(), 1);
        let mut expected = noise(1, 1_500_000);
        expected[range.start as usize..range.end as usize].fill(0);
        assert!(fs::read(out.join("two/again")).unwrap() == expected);

        // Reading tells as well, but not for the rest of the file.
        let repository = bench.open();
        let archive = repository.archive("a").unwrap();
        let big = archive.find(b"one/big").unwrap();
        assert!(matches!(archive.read(&big, 0..1_500_000), Err(Error::Integrity { .. })));
        assert_eq!(archive.read(&big, 0..10).unwrap(), noise(1, 10));

        // A stream leaves the file out.
        let mut stream = Vec::new();
        let report = archive.export_tar(&Extraction::everything(), &mut stream, &Unobserved).unwrap();
        assert_eq!(report.losses().next().unwrap().path, b"one/big");
    }
}

#[test]
fn a_missing_chunk_costs_its_file_and_nothing_else() {
    let (bench, ids) = prepared("repokey");
    bench.borg(&["debug", "delete-obj", bench.repo().to_str().unwrap(), &ids[1].to_string()]);
    let (out, report) = extract(&bench, "out", Options::default());
    let report = report.unwrap();
    assert!(!out.join("one/big").exists());
    let ProblemKind::Content { cause, .. } = &report.problems[0].kind else {
        panic!("{:?}", report.problems)
    };
    assert!(matches!(&**cause, Error::ChunkMissing { id } if *id == ids[1]));
    assert!(report.problems[0].is_loss() && report.items == 4, "{report:?}");
}

#[test]
fn what_a_repair_replaced_with_zeros_is_not_passed_off_as_content() {
    let (bench, ids) = prepared("none");
    bench.borg(&["debug", "delete-obj", bench.repo().to_str().unwrap(), &ids[1].to_string()]);
    let mut check = bench.command(bench.dir.path(), &["check", "--repair", bench.repo().to_str().unwrap()]);
    check.env("BORG_CHECK_I_KNOW_WHAT_I_AM_DOING", "YES").output().unwrap();
    // Borg 1.2.4 leaves an archive that it repaired with a code that no longer fits; newer ones make a new code.
    let options = OpenOptions { ignore_invalid_archive_tam: true, ..OpenOptions::default() };
    let repository = Repository::open(bench.repo(), &options).unwrap();
    let archive = repository.archive("a").unwrap();
    if archive.info().tam == Tam::Invalid {
        assert!(matches!(bench.open().archive("a"), Err(Error::Archive { .. })));
    }
    let out = bench.empty("out");
    let report = archive.extract(&Extraction::everything(), &out, &Unobserved).unwrap();
    assert!(!out.join("one/big").exists());
    assert!(matches!(report.problems[0].kind, ProblemKind::Repaired { .. }), "{:?}", report.problems);
    let big = archive.find(b"one/big").unwrap();
    assert!(big.is_damaged());
    assert!(matches!(archive.read_all(&big, u64::MAX), Err(Error::Integrity { id, .. }) if id == ids[1]));
}

#[test]
fn chunks_that_were_swapped_are_found_out() {
    // Valid in all but their place: only the id tells.
    let (bench, ids) = prepared("repokey");
    let [(segment, one), (same, two)] = [locate(&bench, ids[1]), locate(&bench, ids[2])];
    assert_eq!(segment, same);
    let mut content = fs::read(&segment).unwrap();
    for (at, id) in [(one, ids[2]), (two, ids[1])] {
        content[at - 32..at].copy_from_slice(&id.0);
        let head = at - 41;
        let size = u32::from_le_bytes(content[head + 4..head + 8].try_into().unwrap()) as usize;
        let crc = crc32fast::hash(&content[head + 4..head + size]);
        content[head..head + 4].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(&segment, content).unwrap();
    for entry in fs::read_dir(bench.repo()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("index.") {
            fs::remove_file(path).unwrap();
        }
    }
    let (out, report) = extract(&bench, "out", Options::default());
    assert!(report.unwrap().losses().any(|problem| problem.path == b"one/big"));
    assert!(!out.join("one/big").exists());
}

#[test]
fn passphrases_are_asked_for_only_if_needed_and_wrong_ones_are_told_apart() {
    let open = |bench: &Bench, answer: Option<&str>| {
        let passphrase = || Ok(answer.map(|text| SecretString::from(text.to_owned())));
        Repository::open(bench.repo(), &OpenOptions { passphrase: &passphrase, ..OpenOptions::default() })
    };
    let bench = Bench::with("repokey");
    assert!(matches!(open(&bench, Some("wrong")), Err(Error::WrongPassphrase)));
    assert!(matches!(open(&bench, Some("")), Err(Error::WrongPassphrase)));
    assert!(matches!(open(&bench, None), Err(Error::PassphraseNeeded)));
    open(&bench, Some(PASSPHRASE)).unwrap();

    let bench = Bench::with("none");
    let never = || panic!("asked for a passphrase that nothing needs");
    Repository::open(bench.repo(), &OpenOptions { passphrase: &never, ..OpenOptions::default() }).unwrap();

    let bench = Bench::with("keyfile");
    let error = open(&bench, Some(PASSPHRASE)).unwrap_err();
    assert!(matches!(error, Error::Key { .. }), "{error}");
    let failing = || Err("the agent is not running".into());
    let keys = [bench.path("home/.config/borg/keys")];
    let options = OpenOptions { passphrase: &failing, keys: &keys, ..OpenOptions::default() };
    let error = Repository::open(bench.repo(), &options).unwrap_err();
    assert!(error.to_string().contains("agent is not running"));
}

#[test]
fn a_full_file_system_ends_the_extraction_with_an_error_of_its_own() {
    let (bench, _) = prepared("none");
    let small = bench.empty("small");
    let _mounted = Mounted::at(&small, &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
    let repository = bench.open();
    let result = repository.archive("a").unwrap().extract(&Extraction::everything(), &small, &Unobserved);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::DestinationFull { .. }), "{error}");
    assert!(error.hint().unwrap().contains("Free space"));
}

/// Cancels after so many bytes.
struct Impatient {
    bytes: AtomicU64,
    items: AtomicU64,
    limit: u64,
}

impl Observer for Impatient {
    fn advance(&self, bytes: u64, items: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.items.fetch_add(items, Ordering::Relaxed);
    }
    fn item(&self, _: &[u8]) {}
    fn cancelled(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.limit
    }
}

#[test]
fn progress_adds_up_and_cancelling_ends_soon() {
    let (bench, _) = prepared("repokey");
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let observer = Impatient { bytes: 0.into(), items: 0.into(), limit: u64::MAX };
    let report = archive.extract(&Extraction::everything(), &bench.empty("all"), &observer).unwrap();
    assert_eq!(report.bytes, observer.bytes.load(Ordering::Relaxed));
    assert_eq!(report.items, observer.items.load(Ordering::Relaxed));
    assert_eq!((report.items, report.bytes), (6, 2_000_005));

    let observer = Impatient { bytes: 0.into(), items: 0.into(), limit: 1 };
    let result = archive.extract(&Extraction::everything(), &bench.empty("some"), &observer);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(observer.bytes.load(Ordering::Relaxed) < 2_000_005);
    let result = archive.export_tar(&Extraction::everything(), std::io::sink(), &observer);
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[test]
fn damage_far_into_a_file_is_zeros_in_a_stream_and_costs_no_other_file() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("huge"), noise(1, 80_000_000)).unwrap();
    fs::write(bench.src().join("later"), "sound").unwrap();
    let target = format!("{}::a", bench.repo().display());
    // Named one by one, so that they are backed up in this order.
    bench.borg_in(&bench.src(), &["create", "-C", "none", &target, "huge", "later"]);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let tail = *archive.find(b"huge").unwrap().chunks.unwrap().last().unwrap();
    let (segment, at) = locate(&bench, tail.id);
    let mut content = fs::read(&segment).unwrap();
    content[at + 10] ^= 1;
    fs::write(segment, content).unwrap();

    for keep_damaged in [false, true] {
        let mut stream = Vec::new();
        let options = Options { keep_damaged, ..Options::default() };
        let report =
            archive.export_tar(&Extraction::everything().with(options), &mut stream, &Unobserved).unwrap();
        let lost = 80_000_000 - u64::from(tail.size)..80_000_000;
        assert!(matches!(&report.problems[0].kind, ProblemKind::Content { range, .. } if *range == lost));
        assert_eq!(report.losses().count(), 1);
        let mut read = tar::Archive::new(stream.as_slice());
        let sizes: Vec<_> = read.entries().unwrap().map(|entry| entry.unwrap().size()).collect();
        assert_eq!(sizes, [80_000_000, 5]);
    }
}
