//! This machine reached over a real ssh server: what is asked of it there is answered as it is here.

mod claims;
mod connection;
mod files;
mod looking;
mod packing;

use std::time::{Duration, Instant};

use reprise_host::{Exchange, SshHost};
use reprise_testkit::Sshd;
use tempfile::TempDir;

/// A server, a directory for its clients' sockets, and a connection.
struct There {
    host: SshHost,
    sshd: Sshd,
    scratch: TempDir,
}

impl There {
    fn new() -> Self {
        Self::exchanging_with(&Exchange::ALL)
    }

    fn exchanging_with(ways: &[Exchange]) -> Self {
        let (sshd, scratch) = (Sshd::start(), tempfile::tempdir().unwrap());
        let settings = reprise_host::Settings { exchange: ways.to_vec(), ..sshd.settings(scratch.path()) };
        let host = SshHost::connect(settings).unwrap();
        Self { host, sshd, scratch }
    }

    /// The processes of ours that talk to it: the master and sessions.
    fn clients(&self) -> Vec<u32> {
        processes(&["ssh", &self.sshd.destination().port.to_string()])
    }
}

/// The processes of the program `words[0]` that have all other `words` among their arguments.
fn processes(words: &[&str]) -> Vec<u32> {
    let matches = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let args: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        args[0] == words[0].as_bytes() && words.iter().all(|word| args.contains(&word.as_bytes()))
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(matches).collect()
}

/// Waits until `condition` holds; fails the test after half a minute.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "after 30 s still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills a process, which may have ended since it was seen: one client's end can be another's.
fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    assert!(matches!(killed, Ok(()) | Err(rustix::io::Errno::SRCH)), "{killed:?}");
}
