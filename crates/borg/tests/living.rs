//! Beside a borg at work: readers see one whole state or say that the repository is locked, and nobody is left waiting.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{Bench, PASSPHRASE, noise};
use reprise_borg::{Error, Extraction, Lock, OpenOptions, Repository};
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

#[test]
fn while_borg_writes_readers_see_one_state_or_the_lock() {
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("same"), noise(1, 200_000)).unwrap();
    fs::write(bench.src().join("turn"), "0").unwrap();
    bench.create("turn-0", &[]);
    let repo = bench.repo().display().to_string();
    let (begins, turns) = channel();
    std::thread::scope(|scope| {
        let bench = &bench;
        let reader = scope.spawn(move || {
            let (mut read, mut locked) = (0, 0);
            // Thrice for each thing borg does, so that borg always finds a gap between readers.
            for () in turns.iter().flat_map(|()| [(); 3]) {
                let repository = match open(bench, Lock::Shared { wait: Duration::from_millis(100) }) {
                    Ok(repository) => repository,
                    Err(Error::Locked { .. }) => {
                        locked += 1;
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                };
                let entry = repository.archives().last().unwrap();
                let archive = repository.archive(&entry.name).unwrap();
                let item = archive.find(b"turn").unwrap();
                let turn = String::from_utf8(archive.read_all(&item, 100).unwrap()).unwrap();
                assert_eq!(entry.name, format!("turn-{turn}"));
                assert!(archive.check(&Extraction::everything(), &Unobserved).unwrap().is_clean());
                let found = repository.verify(&Unobserved).unwrap();
                assert!(found.is_sound(), "{:?}", found.damage);
                read += 1;
            }
            (read, locked)
        });
        for turn in 1..=4 {
            fs::write(bench.src().join("turn"), turn.to_string()).unwrap();
            fs::write(bench.src().join("other"), noise(turn + 5, 300_000)).unwrap();
            // A reader holds it up for as long as it reads, and no longer.
            begins.send(()).unwrap();
            bench.create(&format!("turn-{turn}"), &["--lock-wait", "5"]);
            begins.send(()).unwrap();
            bench.borg(&["prune", "--lock-wait", "5", "--keep-last", "1", &repo]);
            begins.send(()).unwrap();
            bench.borg(&["compact", "--lock-wait", "5", "--threshold", "0", &repo]);
        }
        drop(begins);
        let (read, locked) = reader.join().unwrap();
        assert!(read > 0 && read + locked == 36, "{read} states, {locked} times the lock");
    });
    assert_eq!(traces(&bench), [""; 0]);
    bench.borg(&["check", "--verify-data", &repo]);
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
