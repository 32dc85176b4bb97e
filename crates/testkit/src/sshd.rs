//! A real ssh server on a port of the loopback device: this machine as if it were another.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reprise_host::{Destination, Exchange, HostKey, Settings, make_identity, pin};
use tempfile::TempDir;

/// An sshd with keys of its own, gone when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    dir: TempDir,
    server: Child,
    port: u16,
    user: &'static str,
}

/// Who may log in, and what becomes of it.
const USER: &str = "reprise-test";

impl Sshd {
    /// One that lets root in.
    pub fn start() -> Self {
        Self::start_with("root", "", "")
    }

    /// One whose user is not root and may do with `sudo` what `rules`, lines of a sudoers file, say. The user is there
    /// in the server's mount namespace alone.
    pub fn with_sudo(rules: &str) -> Self {
        let enter = "cp /etc/passwd /etc/shadow \"$DIR\" && echo \"$LOGIN:x:64123:64123::/:/bin/sh\" >>\"$DIR/passwd\" \
                     && echo \"$LOGIN:*:19000::::::\" >>\"$DIR/shadow\" && mount --bind \"$DIR/passwd\" /etc/passwd \
                     && mount --bind \"$DIR/shadow\" /etc/shadow && mount --bind \"$DIR/sudoers\" /etc/sudoers && ";
        Self::start_with(USER, enter, rules)
    }

    /// One for root in mount and process namespaces of its own, which lines of shell that end in `&&` have changed. All
    /// that they start ends with it.
    pub fn behind(enter: &str) -> Self {
        Self::start_with("root", enter, "")
    }

    fn start_with(user: &'static str, enter: &str, sudoers: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("reprise-sshd-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let at = |name: &str| dir.path().join(name);
        make_identity(&at("host_key"), "host").expect("a host key");
        let public = make_identity(&at("id"), "tests").expect("a key");
        fs::write(at("authorized_keys"), public).expect("a file");
        fs::write(at("sudoers"), format!("{sudoers}\n")).expect("a file");
        fs::set_permissions(at("sudoers"), fs::Permissions::from_mode(0o440)).expect("permissions");
        // For a server that separates privileges; with a service manager it is there.
        fs::create_dir_all("/run/sshd").expect("/run/sshd; the tests run as root");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let options = [
            format!("ListenAddress=127.0.0.1:{port}"),
            format!("HostKey={}", at("host_key").display()),
            format!("AuthorizedKeysFile={}", at("authorized_keys").display()),
            "PidFile=none".to_owned(),
            "StrictModes=no".to_owned(),
            "UsePAM=no".to_owned(),
            "PermitRootLogin=prohibit-password".to_owned(),
            "MaxSessions=20".to_owned(),
            // For bash that is not the first shell, which reads the user's `.bashrc`: what that does and says on the machine
            // of whoever runs the tests is not looked at.
            "SetEnv=SHLVL=2".to_owned(),
        ];
        // Mounts are seen by a server that has no namespace of its own.
        let own: &[&str] = &["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let namespace = if enter.is_empty() { &[] } else { own };
        let script = format!("{enter}exec /usr/sbin/sshd -D -e -f /dev/null \"$@\"");
        let server = Command::new("unshare")
            .args(namespace)
            .args(["sh", "-c", &script, "sh"])
            .args(options.iter().flat_map(|option| ["-o", option]))
            .env("DIR", dir.path())
            .env("LOGIN", user)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log")).expect("a file"))
            .spawn()
            .expect("unshare");
        let sshd = Self { dir, server, port, user };
        sshd.pin("host");
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not answer: {}", sshd.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        sshd
    }

    /// Pins the server's key for a host called `name`.
    fn pin(&self, name: &str) {
        let public = fs::read_to_string(self.at("host_key.pub")).expect("a public key");
        pin(&self.known_hosts(), name, &public.parse::<HostKey>().expect("a host key"))
            .expect("a pinned key");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where it is, and who to be.
    pub fn destination(&self) -> Destination {
        Destination { user: self.user.to_owned(), address: "127.0.0.1".to_owned(), port: self.port }
    }

    /// The private key that it lets in.
    pub fn identity(&self) -> PathBuf {
        self.at("id")
    }

    /// The public key of the server, as `ssh-keygen` writes it.
    pub fn host_key(&self) -> String {
        fs::read_to_string(self.at("host_key.pub")).expect("a public key").trim().to_owned()
    }

    /// The file that pins its key, for a host called `host`.
    pub fn known_hosts(&self) -> PathBuf {
        self.at("known_hosts")
    }

    /// Everything that is needed to reach it, as a host called `host`. Sockets go to `scratch`.
    pub fn settings(&self, scratch: &Path) -> Settings {
        Settings {
            name: "host".to_owned(),
            destination: self.destination(),
            identity: Some(self.identity()),
            known_hosts: self.known_hosts(),
            scratch: scratch.to_owned(),
            exchange: Exchange::ALL.to_vec(),
        }
    }

    /// The root directory as the server sees it.
    pub fn root(&self) -> PathBuf {
        Path::new("/proc").join(self.server.id().to_string()).join("root")
    }

    /// Itself and all that it has started and that is still there, by process number.
    pub fn processes(&self) -> Vec<u32> {
        let mut known = vec![self.server.id()];
        let mut at = 0;
        while let Some(process) = known.get(at) {
            let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
            let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
            let children = children.collect::<Vec<_>>().join(" ");
            known.extend(children.split_whitespace().map(|child| child.parse::<u32>().expect("a number")));
            at += 1;
        }
        known
    }

    /// What it has written down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// How many logins there were.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Sessions end with their clients.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
