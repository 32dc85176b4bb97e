//! Verifying finds every kind of damage, gives it its exact name, and finds none where there is none.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Bench, PASSPHRASE, locate, noise};
use reprise_borg::{
    Chunk, Damage, Error, Extraction, Id, OpenOptions, ProblemKind, Repository, Verification,
};
use reprise_model::{Observer, Unobserved};

/// Two archives that share a file of several chunks; each also has one of its own.
struct Subject {
    bench: Bench,
    /// Of the file `data/big`.
    chunks: Vec<Chunk>,
}

fn prepared(encryption: &str) -> Subject {
    let bench = Bench::with(encryption);
    fs::create_dir(bench.src().join("data")).unwrap();
    fs::create_dir(bench.src().join("more")).unwrap();
    fs::write(bench.src().join("data/big"), noise(1, 1_500_000)).unwrap();
    fs::hard_link(bench.src().join("data/big"), bench.src().join("more/again")).unwrap();
    let create = |name: &str, files: &[&str]| {
        let target = format!("{}::{name}", bench.repo().display());
        let chunker = ["create", "--chunker-params", "buzhash,15,18,16,4095", &target];
        bench.borg_in(&bench.src(), &[&chunker[..], files].concat());
    };
    fs::write(bench.src().join("first"), noise(2, 300_000)).unwrap();
    create("one", &["data", "first"]);
    fs::write(bench.src().join("second"), noise(3, 300_000)).unwrap();
    create("two", &["data", "more", "second"]);
    let chunks = bench.open().archive("one").unwrap().find(b"data/big").unwrap().chunks.unwrap();
    assert!(chunks.len() > 4);
    Subject { bench, chunks }
}

impl Subject {
    fn verify(&self) -> Verification {
        self.bench.open().verify(&Unobserved).unwrap()
    }

    /// Bytes of `data/big` that chunk `number` holds.
    fn range(&self, number: usize) -> std::ops::Range<u64> {
        let start = self.chunks[..number].iter().map(|chunk| u64::from(chunk.size)).sum();
        start..start + u64::from(self.chunks[number].size)
    }

    /// What borg's own check says: whether all is well.
    fn borg_is_content(&self) -> bool {
        let output = self.bench.try_borg_in(
            self.bench.dir.path(),
            &["check", "--verify-data", self.bench.repo().to_str().unwrap()],
        );
        output.status.code() == Some(0)
    }

    fn change(&self, id: Id, change: impl FnOnce(&mut Vec<u8>, usize)) -> (PathBuf, u64) {
        let (segment, at) = locate(&self.bench, id);
        let mut content = fs::read(&segment).unwrap();
        change(&mut content, at);
        fs::write(&segment, content).unwrap();
        (segment, at as u64 - 41)
    }
}

fn number(segment: &Path) -> u32 {
    segment.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// Archive, path and range of the files that lost content, and whether that is all there is besides segments.
fn lost(found: &Verification) -> Vec<(String, String, std::ops::Range<u64>)> {
    let files = found.damage.iter().filter_map(|damage| match damage {
        Damage::File { archive, problem } => match &problem.kind {
            ProblemKind::Content { range, .. } | ProblemKind::Repaired { range } => {
                Some((archive.clone(), String::from_utf8_lossy(&problem.path).into_owned(), range.clone()))
            }
            other => panic!("{other}"),
        },
        Damage::Segment { .. } => None,
        other => panic!("{other}"),
    });
    files.collect()
}

/// Places of damaged entries, and what objects they are for.
fn places(found: &Verification) -> Vec<(u32, u64, Option<Id>)> {
    let places = found.damage.iter().filter_map(|damage| match damage {
        Damage::Segment { segment, offset, id, .. } => Some((*segment, *offset, *id)),
        _ => None,
    });
    places.collect()
}

#[test]
fn a_sound_repository_is_sound() {
    for encryption in ["none", "authenticated-blake2", "repokey", "keyfile-blake2"] {
        let subject = prepared(encryption);
        let found = subject.verify();
        assert!(found.is_sound() && found.more_damage == 0, "{encryption}: {:?}", found.damage);
        assert_eq!(found.bytes, subject.bench.open().segment_bytes().unwrap().unwrap());
        assert!(found.objects > 12 && found.entries > found.objects && found.segments > 1);
        let [one, two] = found.archives.as_slice() else { panic!() };
        assert_eq!((one.name.as_str(), one.files, one.bytes), ("one", 2, 1_800_000));
        assert_eq!((two.name.as_str(), two.files, two.whole_files, two.lost_bytes), ("two", 2, 2, 0));
        assert!(one.is_whole() && two.is_whole());
        assert!(subject.borg_is_content());
    }
}

#[test]
fn a_flipped_bit_is_named_by_place_and_by_the_files_it_costs() {
    for encryption in ["none", "repokey-blake2"] {
        let subject = prepared(encryption);
        let id = subject.chunks[2].id;
        let (segment, offset) = subject.change(id, |content, at| content[at + 100] ^= 1);
        let found = subject.verify();
        assert_eq!(places(&found), [(number(&segment), offset, Some(id))]);
        let range = subject.range(2);
        let expected =
            ["one", "two"].map(|archive| (archive.to_owned(), "data/big".to_owned(), range.clone()));
        assert_eq!(lost(&found), expected);
        for archive in &found.archives {
            assert_eq!((archive.files, archive.whole_files), (2, 1));
            assert_eq!(archive.lost_bytes, range.end - range.start);
            assert!(archive.is_readable && !archive.is_whole());
        }
        assert!(!subject.borg_is_content());
        // Checking one archive finds the same, and the other name of the file.
        let repository = subject.bench.open();
        let report =
            repository.archive("two").unwrap().check(&Extraction::everything(), &Unobserved).unwrap();
        let [content, link] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
        assert!(matches!(&content.kind, ProblemKind::Content { range: r, .. } if *r == range));
        assert!(matches!(&link.kind, ProblemKind::HardLink { target } if target == b"data/big"));
        assert_eq!(report.items, 3);
    }
}

#[test]
fn what_was_forged_with_a_right_checksum_is_found_all_the_same() {
    for (encryption, reason) in [("repokey", "authentication"), ("none", "id"), ("authenticated", "id")] {
        let subject = prepared(encryption);
        let id = subject.chunks[0].id;
        let stored = subject.chunks[0].stored as usize;
        subject.change(id, |content, at| {
            content[at + stored - 1] ^= 1;
            let entry = at - 41;
            let crc = crc32fast::hash(&content[entry + 4..at + stored]);
            content[entry..entry + 4].copy_from_slice(&crc.to_le_bytes());
        });
        let found = subject.verify();
        assert_eq!(places(&found).iter().map(|place| place.2).collect::<Vec<_>>(), [Some(id)]);
        assert!(found.damage[0].to_string().contains(reason), "{}", found.damage[0]);
        assert_eq!(lost(&found).len(), 2);
        assert!(!subject.borg_is_content());
    }
}

#[test]
fn a_missing_chunk_has_the_names_of_its_files() {
    let subject = prepared("repokey");
    let id = subject.chunks[1].id;
    subject.bench.borg(&["debug", "delete-obj", subject.bench.repo().to_str().unwrap(), &id.to_string()]);
    let found = subject.verify();
    assert_eq!(places(&found), []);
    assert_eq!(lost(&found)[1], ("two".into(), "data/big".into(), subject.range(1)));
    let missing = |damage: &Damage| match damage {
        Damage::File { problem, .. } => matches!(&problem.kind,
            ProblemKind::Content { cause, .. } if matches!(&**cause, Error::ChunkMissing { id: i } if *i == id)),
        _ => false,
    };
    assert!(found.damage.len() == 2 && found.damage.iter().all(missing));

    // A repair puts zeros in its place. That is still a loss, and another one.
    let repo = subject.bench.repo();
    let args = ["check", "--repair", repo.to_str().unwrap()];
    let mut repair = subject.bench.command(subject.bench.dir.path(), &args);
    repair.env("BORG_CHECK_I_KNOW_WHAT_I_AM_DOING", "YES").output().unwrap();
    // Borg 1.2.4 repairs without authenticating anew.
    let options = OpenOptions {
        passphrase: &|| Ok(Some(PASSPHRASE.into())),
        ignore_invalid_archive_tam: true,
        ..OpenOptions::default()
    };
    let found = Repository::open(subject.bench.repo(), &options).unwrap().verify(&Unobserved).unwrap();
    assert_eq!(lost(&found)[0], ("one".into(), "data/big".into(), subject.range(1)));
    let repaired = |damage: &Damage| {
        matches!(damage,
        Damage::File { problem, .. } if matches!(problem.kind, ProblemKind::Repaired { .. }))
    };
    assert!(found.damage.len() == 2 && found.damage.iter().all(repaired), "{:?}", found.damage);
}

#[test]
fn a_segment_that_makes_no_sense_from_some_place_on_costs_only_what_is_damaged() {
    let subject = prepared("none");
    let id = subject.chunks[2].id;
    // A wrong size: where the next entry begins is lost.
    let (segment, offset) = subject.change(id, |content, at| content[at - 41 + 5] ^= 0x40);
    let found = subject.verify();
    assert_eq!(places(&found).len(), 1, "{:?}", found.damage);
    assert_eq!((places(&found)[0].0, places(&found)[0].1), (number(&segment), offset));
    assert_eq!(lost(&found).iter().map(|lost| lost.2.clone()).collect::<Vec<_>>(), vec![subject.range(2); 2]);

    // An unknown tag: the head itself tells.
    let subject = prepared("repokey");
    let (segment, offset) = subject.change(subject.chunks[3].id, |content, at| content[at - 33] = 7);
    let found = subject.verify();
    assert_eq!(places(&found), [(number(&segment), offset, None)]);
    assert_eq!(lost(&found).iter().map(|lost| lost.2.clone()).collect::<Vec<_>>(), vec![subject.range(3); 2]);
}

#[test]
fn cut_off_and_missing_segments_are_named_with_what_they_held() {
    let subject = prepared("repokey");
    let (segment, at) = locate(&subject.bench, subject.chunks[4].id);
    let content = fs::read(&segment).unwrap();
    fs::write(&segment, &content[..at + 10]).unwrap();
    let found = subject.verify();
    assert_eq!(places(&found), [(number(&segment), at as u64 - 41, None)]);
    assert!(found.damage[0].to_string().contains("cut off"));
    // What came later lies in the same segment.
    let files = |found: &Verification, reason: &str| {
        let texts = found.damage.iter().map(ToString::to_string);
        texts.filter(|text| text.starts_with("two: data/big: bytes") && text.contains(reason)).count()
    };
    assert_eq!(files(&found, "cut off"), subject.chunks.len() - 4);

    fs::remove_file(&segment).unwrap();
    let found = subject.verify();
    assert_eq!(files(&found, "the segment is missing"), subject.chunks.len());
}

#[test]
fn damaged_metadata_costs_its_archive_and_no_other() {
    let subject = prepared("repokey");
    let id = subject.bench.open().archives()[0].id;
    subject.change(id, |content, at| content[at + 50] ^= 1);
    let found = subject.verify();
    let [Damage::Segment { id: Some(place), .. }, Damage::Archive { archive, .. }] = found.damage.as_slice()
    else {
        panic!("{:?}", found.damage)
    };
    assert_eq!((*place, archive.as_str()), (id, "one"));
    assert!(!found.archives[0].is_readable && found.archives[1].is_whole());
    assert!(!subject.borg_is_content());
}

#[test]
fn damage_in_what_is_no_longer_used_costs_no_file() {
    let subject = prepared("none");
    // What only the second archive uses is no longer in use, but there until the repository is compacted.
    let second = subject.bench.open().archive("two").unwrap().find(b"second").unwrap().chunks.unwrap()[0];
    subject.bench.borg(&["delete", &format!("{}::two", subject.bench.repo().display())]);
    let (segment, offset) = subject.change(second.id, |content, at| content[at + 9] ^= 1);
    let found = subject.verify();
    assert_eq!(places(&found), [(number(&segment), offset, None)]);
    assert!(found.damage.len() == 1 && found.archives[0].is_whole());
}

struct Counting {
    bytes: AtomicU64,
    items: AtomicU64,
    limit: u64,
}

impl Observer for Counting {
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
fn progress_adds_up_and_cancelling_ends_it() {
    let subject = prepared("repokey");
    let repository = subject.bench.open();
    let observer = Counting { bytes: 0.into(), items: 0.into(), limit: u64::MAX };
    let found = repository.verify(&observer).unwrap();
    // All but the eight bytes at the beginning of each segment.
    assert_eq!(
        observer.bytes.into_inner() + found.segments * 8,
        repository.segment_bytes().unwrap().unwrap()
    );
    assert_eq!(observer.items.into_inner(), 8);
    let observer = Counting { bytes: 0.into(), items: 0.into(), limit: 500_000 };
    assert!(matches!(repository.verify(&observer), Err(Error::Cancelled)));
    assert!(observer.bytes.into_inner() < 1_500_000);
}
