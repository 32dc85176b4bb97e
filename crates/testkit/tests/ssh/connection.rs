//! Logging in, losing the connection, and leaving nothing behind.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use reprise_host::{Host, HostKey, Settings, SshHost, Tree, Trouble, pin, scan};
use reprise_testkit::{Sshd, scratch};

use crate::{There, kill, processes, wait_until};

fn trouble(settings: Settings) -> Trouble {
    match SshHost::connect(settings) {
        Err(reprise_host::Error::Connection { host, trouble, .. }) if host == "host" => trouble,
        other => panic!("it should not have come about: {other:?}"),
    }
}

#[test]
fn many_commands_need_one_login_and_leave_nothing() {
    let there = There::new();
    for _ in 0..20 {
        there.host.stat(std::path::Path::new("/")).unwrap();
    }
    assert_eq!(there.sshd.logins(), 1);
    let There { host, sshd, scratch } = there;
    drop(host);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    let there = There { host: SshHost::connect(sshd.settings(scratch.path())).unwrap(), sshd, scratch };
    assert_eq!(there.clients().len(), 1, "the first one's master is gone");
}

#[test]
fn how_its_clock_goes_is_asked_of_the_host() {
    let hour_ahead = "cp \"$(command -v date)\" \"$DIR/real\" && \
                      printf '#!/bin/sh\\nexec %s/real -d \"1 hour\" \"$@\"\\n' \"$DIR\" >\"$DIR/date\" && \
                      chmod 755 \"$DIR/date\" && mount --bind \"$DIR/date\" \"$(command -v date)\" && ";
    for (sshd, seconds) in [(Sshd::start(), 0), (Sshd::behind(hour_ahead), 3600)] {
        let scratch = tempfile::tempdir().unwrap();
        let ahead = SshHost::connect(sshd.settings(scratch.path())).unwrap().clock_ahead().unwrap();
        assert!((ahead - seconds * 1000).abs() < 30_000, "{ahead} ms, {seconds} s");
    }
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next() {
    let (sshd, scratch) = (Sshd::start(), tempfile::tempdir().unwrap());
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let stale = scratch.path().join(format!("reprise-ssh-{}-abc", gone.id()));
    let others = scratch.path().join(format!("reprise-ssh-{}-abc", std::process::id()));
    fs::create_dir(&stale).unwrap();
    fs::create_dir(&others).unwrap();
    SshHost::connect(sshd.settings(scratch.path())).unwrap();
    assert!(!stale.exists() && others.exists());
}

#[test]
fn a_connection_that_is_lost_is_made_anew() {
    let there = There::new();
    for pid in there.clients() {
        kill(pid);
    }
    there.host.stat(std::path::Path::new("/")).unwrap().unwrap();
    assert_eq!(there.sshd.logins(), 2);
}

#[test]
fn a_command_whose_connection_is_killed_is_tried_again() {
    let there = There::new();
    let dir = scratch();
    // Something that takes long enough to be killed in: opening a pipe that nobody writes to yet.
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let readers = || processes(&["head", pipe.to_str().unwrap()]);
    let content = std::thread::scope(|scope| {
        let reading = scope.spawn(|| there.host.read(&pipe, 100));
        wait_until("the command runs there", || readers().len() == 1);
        let first = readers();
        there.clients().into_iter().for_each(kill);
        wait_until("it was ended there, and begun again", || readers().len() == 1 && readers() != first);
        fs::write(&pipe, "at last").unwrap();
        reading.join().unwrap()
    });
    assert_eq!(content.unwrap(), b"at last");
    assert_eq!(there.sshd.logins(), 2);
}

#[test]
fn a_tree_that_is_given_up_is_no_longer_written_when_that_returns() {
    let (there, dir) = (There::new(), scratch());
    let Tree::Elsewhere(mut tree) = there.host.tree(&dir.path().join("tree")).unwrap() else {
        panic!("its files are elsewhere");
    };
    let mut header = [0_u8; 512];
    header[..4].copy_from_slice(b"tree");
    let _ = tree.write_all(&header);
    drop(tree);
    there.host.remove_tree(&dir.path().join("tree")).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_host_with_another_key_is_not_talked_to() {
    let (sshd, other, scratch) = (Sshd::start(), Sshd::start(), tempfile::tempdir().unwrap());
    let settings = Settings { known_hosts: other.known_hosts(), ..sshd.settings(scratch.path()) };
    assert_eq!(trouble(settings.clone()), Trouble::KeyChanged);
    let settings = Settings { known_hosts: scratch.path().join("none"), ..settings };
    assert_eq!(trouble(settings), Trouble::KeyUnknown);
    assert_eq!(sshd.logins(), 0);
}

#[test]
fn what_keeps_us_out_is_told_apart() {
    let (sshd, other, scratch) = (Sshd::start(), Sshd::start(), tempfile::tempdir().unwrap());
    let settings = sshd.settings(scratch.path());
    let refused = Settings { identity: Some(other.identity()), ..settings.clone() };
    assert_eq!(trouble(refused), Trouble::LoginRefused);
    drop(sshd);
    let began = Instant::now();
    assert_eq!(trouble(settings), Trouble::Unreachable);
    assert!(began.elapsed() < Duration::from_secs(10), "the first login is not tried again");
}

#[test]
fn who_is_not_root_needs_sudo_without_a_password() {
    let scratch = tempfile::tempdir().unwrap();
    let sshd = Sshd::with_sudo("reprise-test ALL=(root) NOPASSWD: ALL");
    let host = SshHost::connect(sshd.settings(scratch.path())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    host.make_dir(&dir.path().join("of root"), 0o700).unwrap();
    assert_eq!(host.stat(&dir.path().join("of root")).unwrap().unwrap().owner, 0);
    drop(host);

    let sshd = Sshd::with_sudo("reprise-test ALL=(root) NOPASSWD: /usr/bin/sh, /bin/sh");
    SshHost::connect(sshd.settings(scratch.path())).unwrap();

    let sshd = Sshd::with_sudo("reprise-test ALL=(root) ALL");
    assert_eq!(trouble(sshd.settings(scratch.path())), Trouble::SudoRefused);
}

#[test]
fn what_a_login_shell_says_of_itself_is_neither_a_warning_nor_an_error() {
    let noisy = "printf '#!/bin/sh\\nprintf \"cp: No space left on device\" >&2\\nexec /bin/sh \"$@\"\\n' >\"$DIR/shell\" && \
                 chmod 755 \"$DIR/shell\" && sed \"s,^\\(root:.*:\\).*,\\1$DIR/shell,\" /etc/passwd >\"$DIR/passwd\" && \
                 mount --bind \"$DIR/passwd\" /etc/passwd && ";
    let (sshd, scratch) = (Sshd::behind(noisy), tempfile::tempdir().unwrap());
    let host = SshHost::connect(sshd.settings(scratch.path())).unwrap();
    let dir = reprise_testkit::scratch();
    fs::write(dir.path().join("tree"), "content").unwrap();
    let tar = Command::new("tar").args(["-c", "-C"]).arg(dir.path()).arg("tree").output().unwrap();
    let Tree::Elsewhere(mut tree) = host.tree(&dir.path().join("tree")).unwrap() else {
        panic!("its files are elsewhere");
    };
    tree.write_all(&tar.stdout).unwrap();
    assert_eq!(tree.finish().unwrap().warnings, Vec::<String>::new());
    let said = host.ask(&reprise_host::Command::new("sh").args(["-c", "echo really >&2"])).unwrap();
    assert_eq!(said.stderr, "really");
    // The first failure of a shell that serves requests, whose words are looked for a reason.
    let fresh = SshHost::connect(sshd.settings(scratch.path())).unwrap();
    let error = fresh.read(&dir.path().join("none"), 10).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn what_is_given_up_there_has_ended_when_that_returns() {
    let (there, dir) = (There::new(), scratch());
    let at_work = dir.path().join("at work");
    let script =
        "trap 'sleep 0.3; rmdir \"$0\"; exit' TERM; mkdir \"$0\"; while :; do sleep 0.05; done".to_owned();
    let command = reprise_host::Command::new("sh").args(["-c".to_owned(), script]);
    let command = command.arg(at_work.to_str().unwrap());
    let ended = there.host.run_unless(&|| at_work.exists(), &command).unwrap();
    assert!(ended.is_none() && !at_work.exists(), "{ended:?}");
    there.host.stat(dir.path()).unwrap().unwrap();
    assert_eq!(there.sshd.logins(), 1, "the connection stays");
}

#[test]
fn host_keys_are_shown_and_pinned() {
    let (sshd, scratch) = (Sshd::start(), tempfile::tempdir().unwrap());
    let key: HostKey = sshd.host_key().parse().unwrap();
    assert_eq!(scan(&sshd.destination()).unwrap(), std::slice::from_ref(&key));
    assert!(key.fingerprint.starts_with("SHA256:"));
    let known_hosts = scratch.path().join("known");
    pin(&known_hosts, "host", &key).unwrap();
    SshHost::connect(Settings { known_hosts, ..sshd.settings(scratch.path()) }).unwrap();
    assert!("ssh-ed25519 AAAA".parse::<HostKey>().is_err());
}
