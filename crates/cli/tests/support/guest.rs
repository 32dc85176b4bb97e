//! A machine with a kernel of its own, which knows LVM: Debian under User Mode Linux, reached by ssh. `scripts/guest`
//! builds its disk.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::program::run;

/// How many this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running guest with an empty disk, gone when this is dropped.
#[derive(Debug)]
pub struct Guest {
    dir: TempDir,
    kernel: Child,
    tap: String,
    address: String,
}

fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guest").join(name);
    assert!(path.exists(), "{} is not there: scripts/guest builds it", path.display());
    path
}

impl Guest {
    /// One with an empty second disk of so many MiB, `/dev/ubdb`. Needs root.
    pub fn start(mebibytes: u64) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let disk = File::create(dir.path().join("disk")).expect("a file");
        disk.set_len(mebibytes << 20).expect("room");
        // Four addresses for each, and not two for one.
        let number = (std::process::id() + 4096 * STARTED.fetch_add(1, Ordering::Relaxed)) % 16384;
        let network = |last: u32| format!("10.98.{}.{}", number / 64, number % 64 * 4 + last);
        let tap = format!("reprise{number}");
        let ip = |args: &[&str]| run(Command::new("ip").args(args)).expect(0);
        ip(&["tuntap", "add", "dev", &tap, "mode", "tap"]);
        ip(&["addr", "add", &format!("{}/30", network(1)), "dev", &tap]);
        ip(&["link", "set", &tap, "up"]);
        let console = File::create(dir.path().join("console")).expect("a file");
        let at = |name: &str| dir.path().join(name).display().to_string();
        // It leads a session of its own: what ends this process, a time limit say, would not end it.
        // At every system call its processes hand over to each other, which is faster on one processor than between two.
        let processor = rustix::thread::sched_getcpu().to_string();
        let kernel = Command::new("taskset")
            .args(["-c", &processor, "setpriv", "--pdeathsig", "TERM", "--", "linux.uml"])
            .args(["mem=640M", "root=/dev/ubda", "rw", "quiet", "selinux=0", "init=/sbin/guest-init"])
            .args(["con=null", "con0=null,fd:1", "ssl=null"])
            .arg(format!("ubd0={},{}", at("root.cow"), built("root.img").display()))
            .arg(format!("ubd1={}", at("disk")))
            .arg(format!("vec0:transport=tap,ifname={tap}"))
            .arg(format!("GIP={}/30", network(2)))
            .env("TMPDIR", "/dev/shm")
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a file"))
            .stderr(console)
            .spawn()
            .expect("linux.uml; scripts/setup installs it");
        let guest = Self { dir, kernel, tap, address: network(2) };
        let socket = format!("{}:22", guest.address).parse().expect("an address");
        // It takes 6 s where nothing else runs, and much longer where much does.
        let deadline = Instant::now() + Duration::from_mins(3);
        while TcpStream::connect_timeout(&socket, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < deadline, "the guest does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        // Not asked before it can answer: each question takes it seconds.
        guest.sh(
            "until [ -S /run/docker.sock ]; do sleep 0.2; done; until docker version >/dev/null 2>&1; do sleep 1; done",
        );
        guest
    }

    /// Makes it known to programs whose home is `home`, as the host `guest`.
    pub fn declare(&self, home: &Path) {
        let config = home.join(".config/reprise");
        fs::create_dir_all(&config).expect("a directory");
        let key = fs::read_to_string(built("host_key.pub")).expect("a key");
        let text = format!(
            "[hosts.guest]\naddress = \"root@{}\"\nidentity = \"{}\"\nhost_key = \"{}\"\n",
            self.address,
            built("id").display(),
            key.trim()
        );
        fs::write(config.join("reprise.toml"), text).expect("a file");
    }

    fn ask(&self, script: &str) -> super::Ended {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "LogLevel=ERROR",
        ]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-i"]).arg(built("id"));
        run(ssh.arg(format!("root@{}", self.address)).arg("--").arg(script))
    }

    /// What `script` prints there.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.ask(&format!("PATH=$PATH:/usr/sbin:/sbin; set -e\n{script}")).expect(0).stdout
    }

    /// Unpacks the directory `from` of this machine there as `to`, which is made.
    pub fn put(&self, from: &Path, to: &str) {
        let ssh = format!(
            "tar -C {} --xattrs --numeric-owner -cf - . | ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o LogLevel=ERROR -o UserKnownHostsFile=/dev/null -i {} root@{} 'mkdir -p {to} && tar -C {to} --xattrs -xpf -'",
            from.display(),
            built("id").display(),
            self.address
        );
        run(Command::new("bash").args(["-o", "pipefail", "-c", &ssh])).expect(0);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.kernel.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.kernel.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.kernel.kill();
        let _ = self.kernel.wait();
        let _ = run(Command::new("ip").args(["link", "del", &self.tap]));
        if std::thread::panicking() {
            let console = fs::read_to_string(self.dir.path().join("console")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "{console}");
        }
    }
}
