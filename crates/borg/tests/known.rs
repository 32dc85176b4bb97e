//! A repository that was swapped for a weaker one is noticed.

mod common;

use std::fs;
use std::path::Path;

use common::{Bench, PASSPHRASE};
use reprise_borg::{Encryption, Error, Lock, OpenOptions, Repository};
use secrecy::SecretString;

fn open(path: &Path, known: &Path) -> Result<Repository, Error> {
    let options = OpenOptions {
        passphrase: &|| Ok(Some(SecretString::from(PASSPHRASE))),
        known: Some(known),
        lock: Lock::Bypass,
        ..OpenOptions::default()
    };
    Repository::open(path, &options)
}

fn init(bench: &Bench, encryption: &str, name: &str) {
    bench.borg(&["init", "-e", encryption, bench.path(name).to_str().unwrap()]);
}

fn swap(bench: &Bench, for_it: &str) {
    fs::rename(bench.repo(), bench.path("away")).unwrap();
    fs::rename(bench.path(for_it), bench.repo()).unwrap();
}

/// Gives a repository the id of another.
fn call_it_the_same(path: &Path, id: &str) {
    let config = fs::read_to_string(path.join("config")).unwrap();
    let own = config.lines().find_map(|line| line.strip_prefix("id = ")).unwrap().to_owned();
    fs::write(path.join("config"), config.replace(&own, id)).unwrap();
}

#[test]
fn an_encrypted_repository_is_not_exchanged_for_an_unencrypted_one() {
    let bench = Bench::with("repokey");
    let known = bench.path("state/repositories");
    let id = open(&bench.repo(), &known).unwrap().id().to_string();
    init(&bench, "none", "other");

    // Elsewhere and with an id of its own, it is another repository.
    open(&bench.path("other"), &known).unwrap();
    fs::remove_dir_all(&known).unwrap();
    open(&bench.repo(), &known).unwrap();

    // In its place.
    swap(&bench, "other");
    let error = open(&bench.repo(), &known).unwrap_err();
    let Error::Downgraded { was, now, record, .. } = &error else { panic!("{error}") };
    assert_eq!((*was, *now), (Encryption::Repokey, Encryption::None));
    assert!(record.starts_with(&known) && error.to_string().contains(record.to_str().unwrap()), "{error}");
    assert!(error.hint().is_some());

    // Anywhere, under its id.
    fs::rename(bench.repo(), bench.path("copy")).unwrap();
    call_it_the_same(&bench.path("copy"), &id);
    assert!(matches!(open(&bench.path("copy"), &known), Err(Error::Downgraded { .. })));

    // Until somebody says that it is meant.
    fs::remove_file(record).unwrap();
    open(&bench.path("copy"), &known).unwrap();
}

#[test]
fn authenticated_is_less_than_encrypted_and_more_than_nothing() {
    let bench = Bench::with("authenticated-blake2");
    let known = bench.path("known");
    open(&bench.repo(), &known).unwrap();
    init(&bench, "none", "worse");
    swap(&bench, "worse");
    assert!(matches!(open(&bench.repo(), &known), Err(Error::Downgraded { .. })));
    fs::remove_dir_all(bench.path("away")).unwrap();
    init(&bench, "repokey", "better");
    swap(&bench, "better");
    open(&bench.repo(), &known).unwrap();
}

#[test]
fn an_older_state_of_a_repository_is_told() {
    let bench = Bench::with("repokey");
    let known = bench.path("known");
    let copy = bench.path("before");
    let copied = std::process::Command::new("cp").arg("-a").args([&bench.repo(), &copy]).status().unwrap();
    assert!(copied.success());
    fs::write(bench.src().join("file"), "content").unwrap();
    bench.create("a", &[]);
    let newest = open(&bench.repo(), &known).unwrap();
    assert_eq!(newest.seen_later(), None);
    let older = open(&copy, &known).unwrap();
    assert_eq!(older.seen_later(), Some(newest.last_modified()));
    // It is not forgotten by that.
    assert!(open(&copy, &known).unwrap().seen_later().is_some());
    assert_eq!(open(&bench.repo(), &known).unwrap().seen_later(), None);
}

#[test]
fn not_being_able_to_remember_is_no_error() {
    let bench = Bench::with("repokey");
    let file = bench.path("a file");
    fs::write(&file, "").unwrap();
    open(&bench.repo(), &file.join("known")).unwrap();
    // Nor is what somebody else put there.
    let known = bench.empty("known");
    let id = open(&bench.repo(), &file.join("known")).unwrap().id();
    for (name, text) in [(format!("{id}.json"), "{\"location\": 1}"), ("x.json".to_owned(), "{}")] {
        fs::write(known.join(name), text).unwrap();
    }
    open(&bench.repo(), &known).unwrap();
    let left: Vec<_> = fs::read_dir(&known).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
