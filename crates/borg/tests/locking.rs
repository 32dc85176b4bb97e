//! Our lock and borg's respect each other, and nothing of ours stays behind.

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, PASSPHRASE, noise};
use reprise_borg::{Error, Extraction, Lock, OpenOptions, Repository};
use reprise_model::Unobserved;
use secrecy::SecretString;

fn open(bench: &Bench, lock: Lock) -> Result<Repository, Error> {
    let passphrase = || Ok(Some(SecretString::from(PASSPHRASE)));
    Repository::open(bench.repo(), &OpenOptions { passphrase: &passphrase, lock, ..OpenOptions::default() })
}

fn shared(milliseconds: u64) -> Lock {
    Lock::Shared { wait: Duration::from_millis(milliseconds) }
}

/// Names in the repository that have to do with locks.
fn traces(bench: &Bench) -> Vec<String> {
    let entries = fs::read_dir(bench.repo()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("lock")).collect()
}

fn prepared() -> Bench {
    let bench = Bench::with("none");
    fs::write(bench.src().join("a"), "content").unwrap();
    bench.create("a", &[]);
    bench
}

#[test]
fn readers_share_and_writers_wait() {
    let bench = prepared();
    let repo = bench.repo().display().to_string();
    let repository = open(&bench, shared(1000)).unwrap();
    let roster = fs::read_to_string(bench.repo().join("lock.roster")).unwrap();
    assert!(roster.contains(&std::process::id().to_string()), "{roster}");
    assert_eq!(traces(&bench), ["lock.roster"]);

    bench.borg(&["list", &repo]);
    let refused =
        bench.try_borg_in(&bench.src(), &["create", "--lock-wait", "1", &format!("{repo}::b"), "."]);
    assert_eq!(refused.status.code(), Some(2), "a writer gives up");
    let roster = fs::read_to_string(bench.repo().join("lock.roster")).unwrap();
    assert!(roster.contains(&std::process::id().to_string()), "borg kept our entry: {roster}");

    drop(repository);
    assert_eq!(traces(&bench), [""; 0]);
    bench.create("b", &[]);
}

#[test]
fn two_readers_in_one_process_have_one_entry_that_lasts_as_long_as_either() {
    let bench = prepared();
    let first = open(&bench, shared(1000)).unwrap();
    let second = open(&bench, shared(1000)).unwrap();
    drop(first);
    assert_eq!(traces(&bench), ["lock.roster"]);
    drop(second);
    assert_eq!(traces(&bench), [""; 0]);
}

#[test]
fn an_exclusive_lock_held_by_borg_is_respected() {
    let bench = prepared();
    // `borg with-lock` holds it until the command it runs ends, here at the end of its input.
    let mut borg = bench
        .command(
            bench.dir.path(),
            &["with-lock", bench.repo().to_str().unwrap(), "sh", "-c", "echo held; cat"],
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install borgbackup");
    let mut held = [0; 5];
    std::io::Read::read_exact(borg.stdout.as_mut().unwrap(), &mut held).unwrap();

    let began = Instant::now();
    let error = open(&bench, shared(300)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(300));
    let Error::Locked { by, .. } = &error else { panic!("{error}") };
    assert!(by.contains(&format!("process {}", borg.id())), "{by}");
    assert!(error.hint().unwrap().contains("break-lock"));
    assert_eq!(open(&bench, Lock::Bypass).unwrap().archives().len(), 1);
    assert!(bench.repo().join("lock.exclusive").exists(), "bypassing left it alone");

    borg.stdin.take().unwrap().flush().unwrap();
    assert!(borg.wait().unwrap().success());
    drop(open(&bench, shared(1000)).unwrap());
    assert_eq!(traces(&bench), [""; 0]);
}

#[test]
fn a_lock_is_waited_for() {
    let bench = prepared();
    let lock = bench.repo().join("lock.exclusive");
    fs::create_dir(&lock).unwrap();
    fs::write(lock.join("somewhere-else@1.1-0"), "").unwrap();
    let releaser = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        fs::remove_dir_all(lock).unwrap();
    });
    drop(open(&bench, shared(5000)).unwrap());
    releaser.join().unwrap();
}

#[test]
fn entries_of_dead_processes_of_this_host_go_and_those_of_other_hosts_stay() {
    let bench = prepared();
    let mut child = Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    let host = host_as_borg_calls_it(&bench);

    let exclusive = bench.repo().join("lock.exclusive");
    fs::create_dir(&exclusive).unwrap();
    fs::write(exclusive.join(format!("{host}.{dead}-0")), "").unwrap();
    let roster = format!(r#"{{"shared": [["{host}", {dead}, 0], ["elsewhere@1", {dead}, 0]]}}"#);
    fs::write(bench.repo().join("lock.roster"), roster).unwrap();

    drop(open(&bench, shared(200)).unwrap());
    let roster = fs::read_to_string(bench.repo().join("lock.roster")).unwrap();
    assert_eq!(roster, r#"{"shared":[["elsewhere@1",DEAD,0]]}"#.replace("DEAD", &dead.to_string()));
    assert!(!exclusive.exists());

    fs::write(bench.repo().join("lock.roster"), "").unwrap();
    fs::create_dir(&exclusive).unwrap();
    fs::write(exclusive.join(format!("elsewhere@1.{dead}-0")), "").unwrap();
    let error = open(&bench, shared(100)).unwrap_err();
    assert!(error.to_string().contains("elsewhere@1"), "{error}");
}

/// Borg tells by the lock it takes.
fn host_as_borg_calls_it(bench: &Bench) -> String {
    let repo = bench.repo();
    let script = format!("ls {}", repo.join("lock.exclusive").display());
    let output = bench.borg(&["with-lock", repo.to_str().unwrap(), "sh", "-c", &script]);
    let name = String::from_utf8(output.stdout).unwrap();
    name.trim().rsplit_once('.').unwrap().0.to_owned()
}

#[test]
fn we_call_this_host_what_borg_calls_it() {
    let bench = prepared();
    let repository = open(&bench, shared(1000)).unwrap();
    let roster = fs::read_to_string(bench.repo().join("lock.roster")).unwrap();
    drop(repository);
    assert!(roster.contains(&format!("[\"{}\",", host_as_borg_calls_it(&bench))), "{roster}");
}

#[test]
fn failing_to_open_releases_the_lock() {
    let bench = Bench::with("repokey");
    let wrong = || Ok(Some(SecretString::from("wrong")));
    let options = OpenOptions { passphrase: &wrong, ..OpenOptions::default() };
    assert!(matches!(Repository::open(bench.repo(), &options), Err(Error::WrongPassphrase)));
    assert_eq!(traces(&bench), [""; 0]);
    fs::remove_file(bench.repo().join("config")).unwrap();
    assert!(matches!(Repository::open(bench.repo(), &options), Err(Error::NotARepository { .. })));
    assert_eq!(traces(&bench), [""; 0]);
}

#[test]
fn what_a_writer_takes_away_from_a_reader_without_a_lock_is_an_error_and_never_other_data() {
    let bench = Bench::with("repokey");
    // In segments that are small: one that is open can be read on even when it is gone.
    let config = fs::read_to_string(bench.repo().join("config")).unwrap();
    let small = config.replace("max_segment_size = 524288000", "max_segment_size = 1048576");
    assert_ne!(small, config);
    fs::write(bench.repo().join("config"), small).unwrap();
    for number in 0..20 {
        fs::write(bench.src().join(number.to_string()), noise(number, 200_000)).unwrap();
    }
    bench.create("a", &[]);
    let repository = open(&bench, Lock::Bypass).unwrap();
    let archive = repository.archive("a").unwrap();
    let items: Vec<_> = archive.items().map(Result::unwrap).collect();
    assert_eq!(traces(&bench), [""; 0]);

    // Nothing keeps the writer out; what lay in the segments goes, other things take their place.
    bench.borg(&["delete", &format!("{}::a", bench.repo().display())]);
    bench.borg(&["compact", "--threshold", "0", bench.repo().to_str().unwrap()]);
    for number in 0..20 {
        fs::write(bench.src().join(number.to_string()), noise(number + 1000, 200_000)).unwrap();
    }
    bench.create("b", &[]);
    let out = bench.empty("out");
    match archive.extract(&Extraction::everything(), &out, &Unobserved) {
        Ok(report) => {
            let lost = report.losses().count();
            assert!(lost > 0 && report.problems.iter().all(reprise_borg::Problem::is_loss), "{report:?}");
        }
        Err(error) => assert!(error.hint().is_some(), "{error}"),
    }
    for number in 0..20 {
        if let Ok(content) = fs::read(out.join(number.to_string())) {
            assert!(content == noise(number, 200_000), "{number}");
        }
    }
    let mut refused = 0;
    for item in items.iter().filter(|item| item.size.is_some_and(|size| size > 0)) {
        match archive.read_all(item, u64::MAX) {
            Ok(content) => {
                let name = String::from_utf8_lossy(&item.path);
                let number = name.rsplit('/').next().and_then(|name| name.parse().ok()).unwrap();
                assert!(content == noise(number, 200_000), "{name}");
            }
            Err(error) => {
                assert!(error.hint().is_some(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "nothing was taken away");
}
