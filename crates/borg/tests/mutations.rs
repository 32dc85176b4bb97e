//! Every byte of a small repository is damaged, and every file of it cut off at every length: what is read afterwards is what was
//! written, or an error. Never wrong data, never a panic, never more memory than a sound repository takes.
//!
//! What an attacker could do is another matter: who can write to a repository without a key (`none`) can write anything. There, these
//! tests show that accidents are found by checksums and ids; the id in its `config` alone is protected by nothing.

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::look::{ID, Look, look, open, tells, wrong};
use common::quick::{file_of_key, newest, shrink_index, weaken};
use common::{Bench, noise};
use peak_alloc::PeakAlloc;
use reprise_borg::Error;
use reprise_model::Unobserved;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What is done to a byte: its lowest bit, its highest.
const PATTERNS: [u8; 2] = [0x01, 0x80];

/// What became of damages.
#[derive(Debug, Default)]
struct Outcome {
    /// Nothing changed.
    same: usize,
    /// At least one error, and nothing wrong.
    told: usize,
    /// All of it as it was before the last transaction.
    before: usize,
}

/// A repository with every kind of thing in its segments, and what it shows.
struct Site {
    bench: Bench,
    keys: Vec<PathBuf>,
    truth: Look,
    /// What it showed before the last transaction, to which the loss of its commit leads back.
    before: Look,
    last_commit: PathBuf,
    /// Bytes that reading the sound repository takes at most, with its index and without.
    honest: usize,
    encrypted: bool,
    // The count of memory is one for the whole process, so two sites at a time would count each other's. (With nextest, each test
    // has a process of its own.)
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Site {
    fn new(encryption: &str, compression: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let bench = Bench::with(encryption);
        let src = bench.src();
        fs::create_dir(src.join("dir")).unwrap();
        fs::write(src.join("dir/text"), "lorem ipsum ".repeat(20)).unwrap();
        fs::write(src.join("noise"), noise(1, 600)).unwrap();
        fs::hard_link(src.join("noise"), src.join("other-name")).unwrap();
        std::os::unix::fs::symlink("noise", src.join("link")).unwrap();
        fs::write(src.join("empty"), "").unwrap();
        bench.create("first", &["-C", compression]);
        fs::write(src.join("late"), "only in the second").unwrap();
        bench.create("second", &["-C", compression]);
        // Superseded and deleted entries.
        bench.borg(&["delete", &format!("{}::first", bench.repo().display())]);
        weaken(&bench);
        shrink_index(&bench);
        // It is sound to borg as well, and stays as it is.
        bench.borg(&["check", "--verify-data", bench.repo().to_str().unwrap()]);
        assert!(fs::metadata(newest(&bench.repo(), "index").0).unwrap().len() < 2000);

        let keys: Vec<_> = file_of_key(&bench).into_iter().filter(|path| !path.ends_with("config")).collect();
        let last_commit = segments(&bench.repo()).pop().unwrap();
        assert_eq!(fs::metadata(&last_commit).unwrap().len(), 17, "a segment with a commit and nothing else");
        MEMORY.reset_peak_usage();
        let base = MEMORY.current_usage();
        let truth = look(&bench.repo(), &keys);
        assert!(!tells(&truth));
        let aside = bench.path("aside");
        let (index, _) = newest(&bench.repo(), "index");
        fs::rename(&index, &aside).unwrap();
        assert!(wrong(&look(&bench.repo(), &keys), &truth).is_none(), "the same without an index");
        fs::rename(&aside, &index).unwrap();
        let honest = MEMORY.peak_usage() - base;
        fs::rename(&last_commit, &aside).unwrap();
        let before = look(&bench.repo(), &keys);
        fs::rename(&aside, &last_commit).unwrap();
        assert!(!tells(&before) && before.contains_key(&b"first"[..]) && !truth.contains_key(&b"first"[..]));
        let encrypted = encryption != "none";
        Self { bench, keys, truth, before, last_commit, honest, encrypted, _alone: alone }
    }

    fn repo(&self) -> PathBuf {
        self.bench.repo()
    }

    /// Looks at the repository with `damaged` (which names the damage) done to `file`.
    fn judge(&self, file: &Path, damaged: &str, outcome: &mut Outcome) {
        let base = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let mut found = look(&self.repo(), &self.keys);
        let peak = MEMORY.peak_usage() - base;
        assert!(
            peak <= self.honest + self.honest / 4,
            "{} {damaged}: {peak} bytes, but {} when sound",
            file.display(),
            self.honest
        );
        if !self.encrypted
            && file.ends_with("config")
            && let (Some(Ok(of)), Ok(right)) = (found.get_mut(ID), &self.truth[ID])
        {
            of.clone_from(right);
        }
        let Some(fault) = wrong(&found, &self.truth) else {
            *(if tells(&found) { &mut outcome.told } else { &mut outcome.same }) += 1;
            return;
        };
        // As borg has it: what has no commit never happened.
        assert!(file == self.last_commit && !tells(&found), "{} {damaged}: {fault}", file.display());
        assert_eq!(wrong(&found, &self.before), None, "{} {damaged}", file.display());
        outcome.before += 1;
    }

    /// Flips bits of every byte of the file.
    fn flip(&self, file: &Path, patterns: &[u8], mut after: impl FnMut(&str)) -> Outcome {
        let mut outcome = Outcome::default();
        let sound = fs::read(file).unwrap();
        let writer = OpenOptions::new().write(true).open(file).unwrap();
        for (at, byte) in sound.iter().enumerate() {
            for pattern in patterns {
                writer.write_all_at(&[byte ^ pattern], at as u64).unwrap();
                let damaged = format!("byte {at} ^ {pattern:#x}");
                self.judge(file, &damaged, &mut outcome);
                after(&damaged);
            }
            writer.write_all_at(&[*byte], at as u64).unwrap();
        }
        assert_eq!(fs::read(file).unwrap(), sound);
        outcome
    }

    /// Cuts the file off at every length.
    fn cut(&self, file: &Path) -> Outcome {
        self.cut_to(file, |_| true)
    }

    /// Cuts the file off at every length that is `wanted`.
    fn cut_to(&self, file: &Path, wanted: impl Fn(usize) -> bool) -> Outcome {
        let mut outcome = Outcome::default();
        let sound = fs::read(file).unwrap();
        let writer = File::options().write(true).open(file).unwrap();
        for len in (0..sound.len()).rev().filter(|len| wanted(*len)) {
            writer.set_len(len as u64).unwrap();
            self.judge(file, &format!("cut to {len} bytes"), &mut outcome);
        }
        fs::write(file, sound).unwrap();
        outcome
    }

    /// Damages everything, and asserts that verifying tells of every damaged byte of a segment.
    fn damage_all(&self) {
        let mut told = 0;
        for segment in segments(&self.repo()) {
            let flipped = self.flip(&segment, &PATTERNS[1..], |_| {});
            let noticed = self.flip(&segment, &PATTERNS[..1], |damaged| {
                let Ok(repository) = open(&self.repo(), &self.keys) else { return };
                let found = repository.verify(&Unobserved).unwrap();
                let noticed = !found.is_sound() || found.unfinished_segments > 0;
                assert!(noticed, "{} {damaged}: not noticed", segment.display());
            });
            let cut = self.cut(&segment);
            for outcome in [&flipped, &noticed, &cut] {
                assert_eq!(outcome.before > 0, segment == self.last_commit, "{outcome:?}");
            }
            told += flipped.told + noticed.told + cut.told;
        }
        // What is no longer in use may be damaged without effect, but not everything.
        assert!(told > 2000, "{told} times");
        // What these tell is in the segments as well.
        for kind in ["index", "hints", "integrity"] {
            let (file, _) = newest(&self.repo(), kind);
            let flipped = self.flip(&file, &PATTERNS, |_| {});
            assert_eq!((flipped.told, flipped.before), (0, 0), "{kind} is made anew");
            let cut = self.cut(&file);
            assert_eq!((cut.told, cut.before), (0, 0), "{kind} is made anew");
        }
        let mut secrets = vec![self.repo().join("config")];
        secrets.extend(self.keys.iter().cloned());
        for file in secrets {
            let flipped = self.flip(&file, &PATTERNS, |_| {});
            let cut = self.cut(&file);
            assert!(flipped.told > 100 && cut.told > 100, "{}: {flipped:?} {cut:?}", file.display());
        }
        assert_eq!(wrong(&look(&self.repo(), &self.keys), &self.truth), None, "all is as it was");
    }
}

fn segments(repo: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(repo.join("data/0")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.collect();
    all.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap());
    all
}

#[test]
fn none_without_compression() {
    Site::new("none", "none").damage_all();
}

#[test]
fn authenticated_with_lzma() {
    Site::new("authenticated", "lzma,0").damage_all();
}

#[test]
fn authenticated_blake2_with_obfuscation() {
    Site::new("authenticated-blake2", "obfuscate,1,zstd").damage_all();
}

#[test]
fn repokey_with_lz4() {
    Site::new("repokey", "lz4").damage_all();
}

#[test]
fn repokey_blake2_with_zstd() {
    Site::new("repokey-blake2", "zstd").damage_all();
}

#[test]
fn keyfile_with_zlib() {
    Site::new("keyfile", "zlib").damage_all();
}

#[test]
fn keyfile_blake2_with_whatever_is_best() {
    Site::new("keyfile-blake2", "auto,zstd").damage_all();
}

#[test]
fn without_an_index_any_damaged_segment_is_an_error_or_a_lost_commit() {
    let site = Site::new("repokey", "lz4");
    fs::remove_file(newest(&site.repo(), "index").0).unwrap();
    for segment in segments(&site.repo()) {
        let flipped = site.flip(&segment, &PATTERNS, |_| {});
        assert_eq!(flipped.same, 0, "{}: {flipped:?}", segment.display());
        // What ends with an entry might have been written so: only an index tells that there was more.
        let ends = ends_of_entries(&fs::read(&segment).unwrap());
        let cut = site.cut_to(&segment, |len| !ends.contains(&len));
        assert_eq!(cut.same, 0, "{}: {cut:?}", segment.display());
    }
}

/// Where the entries of a segment end, its magic and nothing at all included.
fn ends_of_entries(segment: &[u8]) -> Vec<usize> {
    let mut ends = vec![0, 8];
    let mut at = 8;
    while at < segment.len() {
        at += u32::from_le_bytes(segment[at + 4..at + 8].try_into().unwrap()) as usize;
        ends.push(at);
    }
    ends
}

#[test]
fn a_damaged_index_that_nothing_vouches_for_leads_to_errors_at_worst() {
    let site = Site::new("none", "lz4");
    let (index, _) = newest(&site.repo(), "index");
    fs::remove_file(newest(&site.repo(), "integrity").0).unwrap();
    let flipped = site.flip(&index, &PATTERNS, |_| {});
    assert!(flipped.told > 100 && flipped.before == 0, "{flipped:?}");
}

#[test]
fn files_that_are_gone_are_as_good_as_damaged() {
    let site = Site::new("repokey", "lz4");
    let mut files = segments(&site.repo());
    files.extend(["index", "hints", "integrity"].map(|kind| newest(&site.repo(), kind).0));
    files.push(site.repo().join("config"));
    let aside = site.bench.path("aside");
    let mut outcome = Outcome::default();
    for file in files {
        fs::rename(&file, &aside).unwrap();
        site.judge(&file, "gone", &mut outcome);
        fs::rename(&aside, &file).unwrap();
    }
    assert!(outcome.told > 3 && outcome.before == 1, "{outcome:?}");
}

#[test]
fn a_wrong_key_is_told_as_one() {
    // Also by whoever reads the message: a key that is damaged cannot be told from a wrong passphrase.
    let site = Site::new("keyfile", "lz4");
    let text = fs::read(&site.keys[0]).unwrap();
    let at = text.len() / 2;
    let writer = File::options().write(true).open(&site.keys[0]).unwrap();
    let other = if text[at] == b'A' { b'B' } else { b'A' };
    writer.write_all_at(&[other], at as u64).unwrap();
    let error = open(&site.repo(), &site.keys).unwrap_err();
    assert!(matches!(error, Error::WrongPassphrase | Error::Key { .. }), "{error}");
}
