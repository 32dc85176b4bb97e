//! Beside a borg at work: readers see one whole state or say that the repository is locked, and nobody is left waiting.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::quick::weaken;
use common::{Bench, PASSPHRASE, noise};
use reprise_borg::{Error, Lock, OpenOptions, Repository};
use reprise_model::Unobserved;
use secrecy::SecretString;

fn open(bench: &Bench, lock: Lock) -> Result<Repository, Error> {
    let passphrase = || Ok(Some(SecretString::from(PASSPHRASE)));
    Repository::open(bench.repo(), &OpenOptions { passphrase: &passphrase, lock, ..OpenOptions::default() })
}

fn traces(bench: &Bench) -> Vec<String> {
    let names =
        fs::read_dir(bench.repo()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("lock")).collect()
}

/// Ends those who read for as long as somebody writes, even if the writer panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Archives are called after what the file `turn` in them holds: a state that was never there would not fit.
fn read_one_state(repository: &Repository) -> Result<(), Error> {
    for entry in repository.archives() {
        let archive = repository.archive(&entry.name)?;
        let item = archive.find(b"turn")?;
        let turn = String::from_utf8(archive.read_all(&item, 100)?).unwrap();
        assert_eq!(entry.name, format!("turn-{turn}"));
        let other = archive.find(b"other")?;
        assert!(archive.read_all(&other, 1 << 20)? == noise(turn.parse().unwrap(), 300_000), "{turn}");
    }
    Ok(())
}

fn back_up_turn(bench: &Bench, turn: u64) {
    fs::write(bench.src().join("turn"), turn.to_string()).unwrap();
    fs::write(bench.src().join("other"), noise(turn, 300_000)).unwrap();
    bench.create(&format!("turn-{turn}"), &["--lock-wait", "60"]);
}

#[test]
fn while_borg_writes_readers_see_one_state_or_the_lock() {
    let bench = &Bench::with("repokey");
    weaken(bench);
    back_up_turn(bench, 0);
    let repo = bench.repo().display().to_string();
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let with_a_lock = scope.spawn(move || {
            let (mut read, mut locked) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                match open(bench, Lock::Shared { wait: Duration::from_millis(20) }) {
                    Ok(repository) => {
                        assert!(!repository.archives().is_empty());
                        read_one_state(&repository).unwrap();
                        let found = repository.verify(&Unobserved).unwrap();
                        assert!(found.is_sound(), "{:?}", found.damage);
                        read += 1;
                    }
                    Err(Error::Locked { .. }) => locked += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (read, locked)
        });
        // Without one, what is read may be gone in the middle; but what is read was there.
        let without = scope.spawn(move || {
            let mut whole = 0;
            while !done.load(Ordering::Relaxed) {
                let read = open(bench, Lock::Bypass).and_then(|repository| read_one_state(&repository));
                whole += u32::from(read.is_ok());
            }
            whole
        });
        let end = End(done);
        for turn in 1..=2 {
            back_up_turn(bench, turn);
            bench.borg(&["prune", "--lock-wait", "60", "--keep-last", "2", &repo]);
            bench.borg(&["compact", "--lock-wait", "60", "--threshold", "0", &repo]);
        }
        drop(end);
        let ((read, locked), whole) = (with_a_lock.join().unwrap(), without.join().unwrap());
        assert!(read > 0 && locked > 0, "{read} states, {locked} times the lock");
        assert!(whole > 0, "without a lock, too");
    });
    assert_eq!(traces(bench), [""; 0]);
    bench.borg(&["check", "--verify-data", &repo]);
}

#[test]
fn a_writer_waits_for_a_reader_and_no_longer_and_other_readers_do_not_wait() {
    let bench = Bench::with("repokey");
    back_up_turn(&bench, 0);
    let repo = bench.repo().display().to_string();
    let reader = open(&bench, Lock::default()).unwrap();
    bench.borg(&["list", "--lock-wait", "0", &repo]);
    drop(open(&bench, Lock::Shared { wait: Duration::ZERO }).unwrap());
    let args = ["create", "--lock-wait", "60", &format!("{repo}::turn-1"), "."];
    let mut writer = bench.command(&bench.src(), &args).spawn().unwrap();
    // It has begun, and waits for those who were there before.
    while !bench.repo().join("lock.exclusive").exists() {
        assert_eq!(writer.try_wait().unwrap(), None, "it waits");
        std::thread::yield_now();
    }
    // Borg gives its place back while it waits, so that other readers come in, its own as well as we.
    drop(open(&bench, Lock::Shared { wait: Duration::from_secs(30) }).unwrap());
    read_one_state(&reader).unwrap();
    assert_eq!(writer.try_wait().unwrap(), None, "it still waits");
    drop(reader);
    assert!(writer.wait().unwrap().success());
    assert_eq!(traces(&bench), [""; 0]);
}

#[test]
fn the_lock_of_a_reader_that_was_killed_holds_nobody_up() {
    let bench = Bench::with("repokey");
    bench.create("a", &[]);
    let mut reader = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "reader_that_is_killed", "--nocapture"])
        .env("READ_FROM", bench.repo())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = std::io::BufRead::lines(std::io::BufReader::new(reader.stdout.take().unwrap()));
    assert!(told.any(|line| line.unwrap().contains("the lock is held")));
    assert_eq!(traces(&bench), ["lock.roster"]);
    let waiting = ["create", "--lock-wait", "0", &format!("{}::b", bench.repo().display()), "."];
    assert_eq!(bench.try_borg_in(&bench.src(), &waiting).status.code(), Some(2));

    reader.kill().unwrap();
    reader.wait().unwrap();
    bench.borg_in(&bench.src(), &waiting);
    assert_eq!(open(&bench, Lock::default()).unwrap().archives().len(), 2);
    assert_eq!(traces(&bench), [""; 0]);
}

#[test]
#[ignore = "a part of the test above, which runs it as another process"]
fn reader_that_is_killed() {
    let from = std::env::var_os("READ_FROM").unwrap();
    let passphrase = || Ok(Some(SecretString::from(PASSPHRASE)));
    let options = OpenOptions { passphrase: &passphrase, ..OpenOptions::default() };
    let _repository = Repository::open(from, &options).unwrap();
    std::io::stdout().write_all(b"the lock is held\n").unwrap();
    // Until whoever started this is gone, should it forget to kill.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[test]
fn a_lock_that_borg_broke_is_not_missed() {
    let bench = Bench::with("none");
    bench.create("a", &[]);
    let repository = open(&bench, Lock::default()).unwrap();
    bench.borg(&["break-lock", bench.repo().to_str().unwrap()]);
    assert_eq!(traces(&bench), [""; 0]);
    drop(repository);
    assert_eq!(traces(&bench), [""; 0]);
    bench.create("b", &[]);
}
