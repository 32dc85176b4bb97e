//! Repositories on servers. What stands for `ssh` here runs the command on this machine; the real one has a test of its
//! own at the end.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Bench, PASSPHRASE, assert_same_below, borg_1_4, noise};
use reprise_borg::{Error, Extraction, Lock, OpenOptions, Options, Repository, Server, Shell};
use reprise_model::Unobserved;
use secrecy::SecretString;

/// A program in the bench's directory.
fn program(bench: &Bench, name: &str, text: &str) -> String {
    let path = bench.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Runs the command on this machine, after what `first` does.
fn rsh(bench: &Bench, name: &str, first: &str) -> String {
    let text = format!("#!/bin/sh\n[ \"$1\" = -p ] && shift 2\nshift\n{first}\nexec \"$@\"\n");
    program(bench, name, &text)
}

fn server(path: &Path) -> Server {
    Server::parse(&format!("ssh://host{}", path.display())).unwrap().unwrap()
}

fn shell(ssh: String) -> Shell {
    let pauses = [10, 100, 300].map(Duration::from_millis).to_vec();
    Shell { ssh: vec![ssh], pauses, ..Shell::default() }
}

fn connect(bench: &Bench, ssh: String, interrupt: Option<Arc<AtomicBool>>) -> Result<Repository, Error> {
    connect_by(bench, &shell(ssh), interrupt)
}

fn connect_by(bench: &Bench, shell: &Shell, interrupt: Option<Arc<AtomicBool>>) -> Result<Repository, Error> {
    let keys = [bench.path("home/.config/borg/keys")];
    let options = OpenOptions {
        passphrase: &|| Ok(Some(SecretString::from(PASSPHRASE))),
        keys: &keys,
        interrupt,
        ..OpenOptions::default()
    };
    Repository::connect(&server(&bench.repo()), shell, &options)
}

/// Files of every size, some of them many times.
fn fill(src: &Path) {
    fs::create_dir_all(src.join("small")).unwrap();
    for number in 0..300 {
        fs::write(src.join(format!("small/{number}")), noise(number, 3000)).unwrap();
    }
    for number in 0..4 {
        fs::write(src.join(format!("large-{number}")), noise(1000 + number % 3, 12_000_000)).unwrap();
    }
    fs::write(src.join("empty"), "").unwrap();
    fs::hard_link(src.join("large-0"), src.join("again")).unwrap();
}

fn extract(repository: &Repository, bench: &Bench, to: &str) -> PathBuf {
    let to = bench.empty(to);
    let report = repository
        .archive("a")
        .unwrap()
        .extract(&Extraction::everything(), &to, &Unobserved)
        .expect("extraction ends well");
    assert!(report.is_clean(), "{:?}", report.problems);
    to
}

fn is_locked(bench: &Bench) -> bool {
    fs::read_to_string(bench.repo().join("lock.roster")).is_ok_and(|roster| roster.contains("[["))
}

#[test]
fn what_a_server_hands_out_is_what_borg_extracts() {
    for encryption in ["none", "repokey", "keyfile-blake2"] {
        let bench = Bench::with(encryption);
        fill(&bench.src());
        bench.create("a", &[]);
        let theirs = bench.borg_extract("a", "theirs");
        let repository = connect(&bench, rsh(&bench, "rsh", ""), None).unwrap();
        assert!(is_locked(&bench), "a reader keeps writers out");
        assert_eq!(repository.location(), format!("ssh://host{}", bench.repo().display()));
        assert_same_below(&extract(&repository, &bench, "ours"), &theirs);
        let archive = repository.archive("a").unwrap();
        let large = archive.find(b"large-1").unwrap();
        let range = archive.read(&large, 5_000_000..5_000_100).unwrap();
        assert_eq!(range, &noise(1001, 12_000_000)[5_000_000..5_000_100]);
        let found = repository.verify(&Unobserved).unwrap();
        assert!(found.is_sound() && found.is_remote && found.archives[0].is_whole());
        assert_eq!(repository.segment_bytes().unwrap(), None);
        let mut tar = Vec::new();
        assert!(archive.export_tar(&Extraction::everything(), &mut tar, &Unobserved).unwrap().is_clean());
        drop(repository);
        assert!(!is_locked(&bench), "the lock is given back");
    }
}

#[test]
fn a_server_of_borg_1_4_speaks_the_same() {
    let bench = Bench::of(&borg_1_4(), "repokey-blake2");
    fill(&bench.src());
    bench.create("a", &[]);
    let theirs = bench.borg_extract("a", "theirs");
    let shell = Shell { borg: borg_1_4(), ..shell(rsh(&bench, "rsh", "")) };
    let repository = connect_by(&bench, &shell, None).unwrap();
    assert!(is_locked(&bench), "a reader keeps writers out");
    assert_same_below(&extract(&repository, &bench, "ours"), &theirs);
    assert!(repository.verify(&Unobserved).unwrap().is_sound());
    drop(repository);
    assert!(!is_locked(&bench), "the lock is given back");
}

#[test]
fn a_writer_keeps_us_out_as_it_does_locally() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("file"), "x").unwrap();
    bench.create("a", &[]);
    let mut writer = bench
        .command(bench.dir.path(), &["with-lock", bench.repo().to_str().unwrap(), "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !bench.repo().join("lock.exclusive").exists() {
        assert!(begin.elapsed() < Duration::from_mins(1));
        std::thread::yield_now();
    }
    let error = connect(&bench, rsh(&bench, "rsh", ""), None).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
    let repository = connect(&bench, rsh(&bench, "rsh", ""), None).unwrap();
    drop(repository);
    assert!(!is_locked(&bench));
}

#[test]
fn damage_costs_the_file_and_not_the_rest() {
    let bench = Bench::with("repokey");
    fill(&bench.src());
    bench.create("a", &[]);
    let chunk = bench.open().archive("a").unwrap().find(b"small/7").unwrap().chunks.unwrap()[0];
    let (segment, at) = common::locate(&bench, chunk.id);
    let mut content = fs::read(&segment).unwrap();
    content[at + 40] ^= 1;
    fs::write(&segment, content).unwrap();
    let repository = connect(&bench, rsh(&bench, "rsh", ""), None).unwrap();
    let to = bench.empty("ours");
    let report =
        repository.archive("a").unwrap().extract(&Extraction::everything(), &to, &Unobserved).unwrap();
    let lost: Vec<&[u8]> = report.losses().map(|problem| problem.path.as_slice()).collect();
    assert_eq!(lost, [b"small/7"]);
    assert_eq!(fs::read(to.join("small/8")).unwrap(), noise(8, 3000));
    let found = repository.verify(&Unobserved).unwrap();
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    assert_eq!(found.archives[0].files - found.archives[0].whole_files, 1);
}

#[test]
fn a_connection_that_breaks_is_made_anew() {
    let bench = Bench::with("repokey");
    fill(&bench.src());
    bench.create("a", &[]);
    let theirs = bench.borg_extract("a", "theirs");
    // The first three conversations end after so many bytes.
    let broken = format!(
        "n=$(ls {0}/talk.* 2>/dev/null | wc -l); : > {0}/talk.$$\n\
         [ $n -lt 3 ] && {{ \"$@\" | {{ dd bs=65536 count=80 status=none; kill $$; }}; exit 255; }}",
        bench.dir.path().display()
    );
    let repository = connect(&bench, rsh(&bench, "rsh", &broken), None).unwrap();
    assert_same_below(&extract(&repository, &bench, "ours"), &theirs);
    drop(repository);
    assert!(!is_locked(&bench));
}

#[test]
fn a_connection_that_stays_broken_is_told_and_blamed_on_no_file() {
    let bench = Bench::with("repokey");
    fill(&bench.src());
    bench.create("a", &[]);
    let once = format!(
        "[ -e {0}/gone ] && {{ echo 'connect to host: No route to host' >&2; exit 255; }}\n\
         : > {0}/gone; \"$@\" | {{ dd bs=65536 count=80 status=none; kill $$; }}; exit 255",
        bench.dir.path().display()
    );
    let repository = connect(&bench, rsh(&bench, "rsh", &once), None).unwrap();
    let to = bench.empty("ours");
    let error =
        repository.archive("a").unwrap().extract(&Extraction::everything(), &to, &Unobserved).unwrap_err();
    assert!(matches!(&error, Error::Server { reason, .. } if reason.contains("No route to host")), "{error}");
}

#[test]
fn each_refusal_is_told_in_its_own_words() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("file"), "x").unwrap();
    bench.create("a", &[]);
    let told = |first: &str| {
        let error = connect(&bench, rsh(&bench, "rsh", first), None).unwrap_err();
        (error.to_string(), error.hint().unwrap_or_default())
    };
    let (text, hint) = told("echo 'sh: 1: borg: not found' >&2; exit 127");
    assert!(text.contains("borg: not found") && hint.contains("BORG_REMOTE_PATH"), "{text} {hint}");
    let (text, hint) = told("echo Welcome to this host; sleep 1000 & exec cat");
    assert!(text.contains("Welcome to this host") && hint.contains("login"), "{text} {hint}");
    let (text, _) = told("set -- \"$@\" --restrict-to-path /nowhere");
    assert!(text.contains("does not let"), "{text}");
    let options = OpenOptions::default();
    let nowhere = server(&bench.path("nowhere"));
    let error = Repository::connect(&nowhere, &shell(rsh(&bench, "rsh", "")), &options).unwrap_err();
    assert!(matches!(error, Error::NotARepository { .. }), "{error}");
    let error = Repository::connect(&nowhere, &shell("/no/such/program".into()), &options).unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

#[test]
fn a_server_that_hangs_does_not_keep_us_from_stopping() {
    let bench = Bench::with("none");
    fill(&bench.src());
    bench.create("a", &[]);
    let interrupt = Arc::new(AtomicBool::new(false));
    // It answers for a while and then no more, and does not end either.
    let hangs = rsh(&bench, "rsh", "{ \"$@\" | dd bs=65536 count=40 status=none; sleep 1000; }; exit 0");
    let repository = connect(&bench, hangs, Some(Arc::clone(&interrupt))).unwrap();
    let to = bench.empty("ours");
    let stopper = {
        let (interrupt, to) = (Arc::clone(&interrupt), to.clone());
        std::thread::spawn(move || {
            let begin = Instant::now();
            while fs::read_dir(&to).map_or(0, Iterator::count) == 0 {
                assert!(begin.elapsed() < Duration::from_mins(1));
                std::thread::sleep(Duration::from_millis(5));
            }
            interrupt.store(true, Ordering::Relaxed);
        })
    };
    let ended = repository.archive("a").unwrap().extract(&Extraction::everything(), &to, &Unobserved);
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    stopper.join().unwrap();
}

/// Speaks the protocol, and lies.
const LIAR: &str = r"#!/usr/bin/env python3
import os, struct, sys
sys.argv.pop(1) if sys.argv[1] != '-p' else None
mode = os.environ['LIE']
def raw(b): return b'\xdb' + struct.pack('>I', len(b)) + b
def answer(i, r): sys.stdout.buffer.write(b'\x82' + b'\xa1i\xce' + struct.pack('>I', i) + b'\xa1r' + r); sys.stdout.buffer.flush()
data = b''
while True:
    piece = os.read(0, 65536)
    if not piece: break
    data += piece
    while b'\xa1m' in data:
        at = data.index(b'\xa1i\xce'); number = struct.unpack('>I', data[at + 3:at + 7])[0]
        m = data.index(b'\xa1m') + 2; size = data[m] & 0x1f; method = data[m + 1:m + 1 + size]
        if method == b'get' and len(data) < m + 1 + size + 43: break
        data = data[m + 1 + size:]
        if method == b'negotiate': answer(number, b'\x81\xaeserver_version\x94\x01\x02\x04\xff')
        elif method == b'open':
            again = mode == 'other' and os.path.exists(sys.argv[0] + '.seen')
            open(sys.argv[0] + '.seen', 'w').close()
            answer(number, raw(b'8' * 32 if again else b'7' * (5 if mode == 'id' else 32)))
        elif method == b'load_key': answer(number, raw(b''))
        elif mode == 'junk': answer(number, raw(b'\x02' + b'junk' * 1000))
        elif mode == 'map': answer(number, b'\x80')
        elif mode == 'endless':
            sys.stdout.buffer.write(b'\x82\xa1i\x01\xa1r\xdb\x7f\xff\xff\xff')
            while True: sys.stdout.buffer.write(b'\0' * 1000000)
        elif mode == 'deep': sys.stdout.buffer.write(b'\x81' * 100000 + b'\x91' * 1000000); sys.stdout.buffer.flush()
        elif mode == 'stranger': answer(4000000000, raw(b'x' * 1000)); answer(number, raw(b''))
        elif mode == 'dies': answer(4000000000, raw(b'x')); sys.exit(0)
        elif mode == 'other': sys.exit(0)
        elif mode == 'flood':
            for _ in range(100): sys.stderr.write('x' * 1000000 + '\n' * 1000)
            answer(number, raw(b''))
";

#[test]
fn a_lying_server_is_found_out() {
    let bench = Bench::new();
    let liar = program(&bench, "liar", LIAR);
    for lie in ["id", "junk", "map", "endless", "deep", "stranger", "dies", "flood", "other"] {
        let ssh = vec!["env".to_owned(), format!("LIE={lie}"), liar.clone()];
        let options = OpenOptions { lock: Lock::Bypass, ..OpenOptions::default() };
        let shell = Shell { ssh, pauses: vec![Duration::ZERO; 3], ..Shell::default() };
        let error = Repository::connect(&server(&bench.repo()), &shell, &options).unwrap_err();
        assert!(
            matches!(error, Error::Server { .. } | Error::Manifest { .. } | Error::Unsupported { .. }),
            "{lie}: {error:?}"
        );
        let is_another = error.to_string().contains("another one now");
        assert_eq!(is_another, lie == "other", "{lie}: {error}");
        fs::remove_file(bench.path("liar.seen")).unwrap();
    }
}

/// An `sshd` of our own, for the user we are.
struct Sshd {
    bench: Bench,
    port: u16,
    daemon: std::process::Child,
}

impl Sshd {
    fn start(bench: Bench) -> Self {
        for key in ["host", "user"] {
            let path = bench.path(key);
            let args = ["-q", "-t", "ed25519", "-N", "", "-f", path.to_str().unwrap()];
            assert!(Command::new("ssh-keygen").args(args).status().unwrap().success());
        }
        let dir = bench.dir.path().display();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/user.pub\n\
             StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n\
             SetEnv BORG_BASE_DIR={dir}/server\n"
        );
        fs::write(bench.path("sshd_config"), config).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let daemon = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", bench.path("sshd_config").to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need a real sshd: install openssh-server");
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "sshd does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { bench, port, daemon }
    }

    /// Pins `key` as the server's.
    fn pin(&self, key: &str) {
        let key = fs::read_to_string(self.bench.path(key)).unwrap();
        fs::write(self.bench.path("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    fn connect(&self, identity: &str) -> Result<Repository, Error> {
        let bench = &self.bench;
        let option = |text: String| ["-o".to_owned(), text];
        let mut ssh = vec!["ssh".to_owned(), "-F".to_owned(), "none".to_owned()];
        ssh.extend(option(format!("UserKnownHostsFile={}", bench.path("known_hosts").display())));
        ssh.extend(option(format!("IdentityFile={}", bench.path(identity).display())));
        ssh.extend(
            ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"]
                .map(str::to_owned)
                .into_iter()
                .flat_map(option),
        );
        let text = format!("ssh://127.0.0.1:{}{}", self.port, bench.repo().display());
        let options = OpenOptions {
            passphrase: &|| Ok(Some(SecretString::from(PASSPHRASE))),
            ..OpenOptions::default()
        };
        let shell = Shell { ssh, ..Shell::default() };
        Repository::connect(&Server::parse(&text).unwrap().unwrap(), &shell, &options)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn over_real_ssh_host_keys_are_pinned_and_everything_comes_through() {
    let bench = Bench::with("repokey-blake2");
    fill(&bench.src());
    bench.create("a", &[]);
    let theirs = bench.borg_extract("a", "theirs");
    let sshd = Sshd::start(bench);
    fs::write(sshd.bench.path("known_hosts"), "").unwrap();
    let unknown = sshd.connect("user").unwrap_err();
    assert!(unknown.to_string().contains("never accepted"), "{unknown}");
    sshd.pin("user.pub");
    let changed = sshd.connect("user").unwrap_err();
    assert!(changed.to_string().contains("not the one that was accepted"), "{changed}");
    sshd.pin("host.pub");
    let denied = sshd.connect("host").unwrap_err();
    assert!(denied.to_string().contains("Permission denied"), "{denied}");
    let repository = sshd.connect("user").unwrap();
    let options = Options { sparse: true, ..Options::default() };
    let to = sshd.bench.empty("ours");
    let extraction = Extraction::everything().with(options);
    let report = repository.archive("a").unwrap().extract(&extraction, &to, &Unobserved).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_same_below(&to, &theirs);
    drop(repository);
    assert!(!is_locked(&sshd.bench));
}
