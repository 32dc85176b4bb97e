//! One login for many commands: a control master that lives as long as we do, and is made anew when it is lost.
//!
//! The master's own session holds a pipe from us: when we are gone, however that came, the pipe ends, and with it the
//! session, the master and its socket. What a killed process leaves is a private directory with a dead socket, which
//! the next one removes.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use wait_timeout::ChildExt;

use super::agent::Agent;
use super::probe::{self, Facts};
use super::wire::{self, Answer, Call};
use super::{Settings, trouble};
use crate::claim::{self, Holder};
use crate::command::{Dialogue, SECRETS};
use crate::process::{self, collect, drain};
use crate::{Claim, Error, Result, Trouble};

/// How long a login may take in all.
const LOGIN: Duration = Duration::from_secs(40);

/// The pauses before a command is tried again after the connection was lost.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Beyond a command's own time limit: for what the network does.
const GRACE: Duration = Duration::from_secs(30);

/// The connection to a host.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) settings: Settings,
    /// Shells there that wait for something to do.
    idle: Mutex<Vec<Agent>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    master: Option<Arc<Master>>,
    /// Once it was there, a host that cannot be reached is waited for.
    was_up: bool,
    /// What is claimed there, and what holds it.
    claim: Option<(Claim, Option<Holder>)>,
}

/// What a command that ran to its end said.
#[derive(Debug)]
pub(super) struct Said {
    pub status: u8,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// A session whose standard input is ours to write.
#[derive(Debug)]
pub(super) struct Session {
    pub child: Child,
    pub mark: String,
    /// What it says on its standard error, once somebody listens.
    heard: Option<JoinHandle<Vec<u8>>>,
    // Its control socket must stay as long as it does.
    master: Arc<Master>,
}

impl Session {
    fn belongs_to(&self, master: &Arc<Master>) -> bool {
        Arc::ptr_eq(&self.master, master)
    }

    /// Listens to its standard error from now on: where it says more than a pipe holds before it ends, it would wait for that.
    pub(super) fn listen(&mut self) {
        self.heard = self.heard.take().or_else(|| self.child.stderr.take().map(drain));
    }

    /// Waits for its end, once its input has ended, and ends it where that does not come.
    pub(super) fn give_up(&mut self) {
        if !matches!(self.child.wait_timeout(process::GRACE), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// The program that it is, whose messages nobody hears.
    pub(super) fn into_dialogue(mut self) -> Dialogue {
        self.listen();
        Dialogue::of(self.child, Some(self.master))
    }
}

#[derive(Debug)]
struct Master {
    child: Mutex<Child>,
    _alive: ChildStdin,
    socket: PathBuf,
    mark: String,
    facts: Facts,
    _dir: TempDir,
}

impl Drop for Master {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Connection {
    /// Logs in. Fails at once where that cannot be.
    pub fn open(settings: Settings) -> Result<Self> {
        let connection = Self {
            settings,
            idle: Mutex::default(),
            state: Mutex::new(State { master: None, was_up: false, claim: None }),
        };
        connection.master()?;
        Ok(connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn master(&self) -> Result<Arc<Master>> {
        let mut state = self.state();
        let master = if let Some(master) = state.master.take().filter(|master| master.is_alive()) {
            master
        } else {
            let master = Arc::new(Master::start(&self.settings)?);
            state.was_up = true;
            master
        };
        state.master = Some(Arc::clone(&master));
        // A claim that was lost with a connection is taken anew before anything is done.
        if let Some((claim, holder)) = &mut state.claim
            && !holder.as_mut().is_some_and(Holder::is_alive)
        {
            *holder = Some(self.take(claim, &master)?);
        }
        drop(state);
        Ok(master)
    }

    /// Claims what `claim` names, until [`Connection::release`].
    pub fn claim(&self, claim: &Claim) -> Result<()> {
        self.state().claim = Some((claim.clone(), None));
        self.persist(|| self.master()).map(drop).inspect_err(|_| self.release())
    }

    /// Gives back what was claimed.
    pub fn release(&self) {
        let claim = self.state().claim.take();
        drop(claim);
    }

    fn take(&self, claim: &Claim, master: &Arc<Master>) -> Result<Holder> {
        let call = Call::script(claim::SCRIPT, &[]).arg(&claim.operation).arg(claim::MARK);
        claim::patiently(claim, &self.settings.name, || {
            Ok(self.session_of(master, |mark| wire::fed(&call, mark))?.child)
        })
    }

    /// What was found when it was logged in last.
    pub(super) fn facts(&self) -> Result<Facts> {
        self.persist(|| Ok(self.master()?.facts.clone()))
    }

    /// Does `work` again, after growing pauses, while the connection is what it fails for.
    pub(super) fn persist<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut pauses = PAUSES.iter();
        loop {
            match work() {
                Err(error) if error.is_connection_lost() && self.state().was_up => match pauses.next() {
                    Some(pause) => std::thread::sleep(*pause),
                    None => return Err(error),
                },
                other => return other,
            }
        }
    }

    /// Runs `call` there, again if the connection is lost: only for what can be done twice.
    pub(super) fn call(&self, call: &Call) -> Result<Said> {
        let said = self.call_unless(&|| false, call)?;
        said.ok_or_else(|| self.settings.error(Trouble::Lost, "it was given up"))
    }

    /// The same, of one that may be given up half-way: nothing when `cancelled` said so, and it was ended before it had.
    pub(super) fn call_unless(&self, cancelled: &dyn Fn() -> bool, call: &Call) -> Result<Option<Said>> {
        self.persist(|| self.call_once(cancelled, call))
    }

    fn call_once(&self, cancelled: &dyn Fn() -> bool, call: &Call) -> Result<Option<Said>> {
        let master = self.master()?;
        let idle = self.idle().pop().filter(|agent| agent.session.belongs_to(&master));
        let mut agent = match idle {
            Some(agent) => agent,
            None => Agent::of(self.session_of(&master, wire::serve)?),
        };
        // One that failed to answer is not asked again.
        let said = agent
            .ask(call, call.time_limit() + GRACE, cancelled)
            .map_err(|why| self.settings.error(Trouble::Lost, &why))?;
        if said.is_some() {
            self.idle().push(agent);
        }
        Ok(said)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Agent>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `call` there with `input` as its standard input, which `stays_open` until it ends or not; once.
    pub(super) fn call_with(&self, call: &Call, input: &[u8], stays_open: bool) -> Result<Said> {
        let mut session = self.session(|mark| wire::fed(call, mark))?;
        let mut stdin = session.child.stdin.take();
        if let Some(stdin) = &mut stdin {
            // Why it could not be written, the command or ssh tells better.
            let _ = stdin.write_all(input);
        }
        let _open = stdin.filter(|_| stays_open);
        self.end(session, Some(call.time_limit() + GRACE))
    }

    /// Begins `call`, which has the session's input as its own, again if the connection is lost; what it says is listened to.
    pub(super) fn begin(&self, call: &Call) -> Result<Session> {
        let mut session = self.persist(|| self.session(|mark| wire::fed(call, mark)))?;
        session.listen();
        Ok(session)
    }

    /// Begins the script that `script` makes of the mark it must print last.
    pub(super) fn session(&self, script: impl Fn(&str) -> Vec<u8>) -> Result<Session> {
        self.session_of(&self.master()?, script)
    }

    fn session_of(&self, master: &Arc<Master>, script: impl Fn(&str) -> Vec<u8>) -> Result<Session> {
        let script = script(&master.mark);
        let settings = &self.settings;
        let mut ssh = ssh(settings);
        ssh.arg("-o").arg(control_path(&master.socket));
        // Without the master it must fail, not log in anew.
        ssh.args(["-o", "ControlMaster=no", "-o", "ProxyCommand=false"]);
        ssh.args(["-T", "--", &settings.destination.address]);
        ssh.arg(wire::reader(script.len(), settings.sudo()));
        let mut child = ssh.spawn().map_err(|source| Error::Start { program: "ssh".to_owned(), source })?;
        if let Some(stdin) = &mut child.stdin {
            // A script that did not arrive prints no mark.
            let _ = stdin.write_all(&script);
        }
        Ok(Session { child, mark: master.mark.clone(), heard: None, master: Arc::clone(master) })
    }

    /// Waits for the end of `session`, at most so long.
    pub(super) fn end(&self, mut session: Session, limit: Option<Duration>) -> Result<Said> {
        let stdout = session.child.stdout.take().map(drain);
        session.listen();
        let stderr = session.heard.take();
        let ended = match limit {
            Some(limit) => session.child.wait_timeout(limit),
            None => session.child.wait().map(Some),
        };
        let in_time = matches!(ended, Ok(Some(_)));
        if !in_time {
            let _ = session.child.kill();
            let _ = session.child.wait();
        }
        let (stdout, mut stderr) = (collect(stdout), collect(stderr));
        let answer = wire::answer(&mut stderr, &session.mark);
        let stderr = String::from_utf8_lossy(&stderr);
        let message = wire::own_words(&stderr, &session.mark);
        match answer {
            Answer::Ended(status) => Ok(Said { status, stdout, stderr: message.to_owned() }),
            Answer::Lost if !in_time => {
                Err(self.settings.error(Trouble::Lost, "it does not answer any more"))
            }
            Answer::Lost => {
                let message = if message.is_empty() { "the connection was closed" } else { message };
                Err(self.settings.error(Trouble::Lost, message))
            }
        }
    }
}

impl Master {
    fn is_alive(&self) -> bool {
        matches!(self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait(), Ok(None))
    }

    fn start(settings: &Settings) -> Result<Self> {
        sweep(&settings.scratch);
        let local = |source| Error::file("make a directory in", &settings.scratch, source);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir_in(&settings.scratch)
            .map_err(local)?;
        let socket = dir.path().join("m");
        // Its name is as hard to guess as any.
        let name = dir.path().file_name().unwrap_or_default().to_string_lossy();
        let mark = name.trim_start_matches('.').to_owned();
        let script = wire::plain(&probe::script(&mark));
        let mut ssh = ssh(settings);
        ssh.arg("-o").arg(control_path(&socket)).args(["-o", "ControlMaster=yes"]);
        ssh.args(["-T", "--", &settings.destination.address]);
        ssh.arg(wire::reader(script.len(), settings.sudo()));
        let mut child = ssh.spawn().map_err(|source| Error::Start { program: "ssh".to_owned(), source })?;
        let mut alive = child.stdin.take();
        if let Some(stdin) = &mut alive {
            let _ = stdin.write_all(&script);
        }
        let greeting = child.stdout.take().and_then(|stdout| greeting(stdout, mark.clone()));
        let stderr = child.stderr.take().map(drain);
        let (Some(alive), Some((noise, lines))) = (alive, greeting) else {
            let _ = child.kill();
            let _ = child.wait();
            let said = stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
            return Err(trouble::login(settings, &String::from_utf8_lossy(&said)));
        };
        let master = Self {
            child: Mutex::new(child),
            _alive: alive,
            socket,
            mark,
            facts: Facts::read(&lines, settings),
            _dir: dir,
        };
        if let Some(noise) = noise {
            return Err(settings.error(Trouble::Noise, &format!("`{noise}`")));
        }
        if master.facts.user != 0 {
            let user = &settings.destination.user;
            return Err(
                settings.error(Trouble::NotRoot, &format!("{user} has the number {}", master.facts.user))
            );
        }
        Ok(master)
    }
}

/// What the other side printed before its greeting, and the greeting; nothing when none came in time.
fn greeting(stdout: impl Read + Send + 'static, mark: String) -> Option<(Option<String>, Vec<String>)> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut noise, mut lines, mut begun) = (None, Vec::new(), false);
        // Not to be read on to its end: that is the master's.
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if line == format!("{mark} ready") {
                let _ = send.send((noise, lines));
                return;
            }
            if line == mark {
                begun = true;
            } else if begun {
                lines.push(line);
            } else {
                noise.get_or_insert(line);
            }
        }
    });
    receive.recv_timeout(LOGIN).ok()
}

fn control_path(socket: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from("ControlPath=");
    option.push(socket);
    option
}

/// The ssh program with all that is the same for every call. No configuration of a user's or the machine's: what
/// happens is decided here, and by what is pinned for this host.
fn ssh(settings: &Settings) -> Process {
    let mut ssh = Process::new("ssh");
    for name in SECRETS {
        ssh.env_remove(name);
    }
    ssh.args(["-F", "none", "-p", &settings.destination.port.to_string(), "-l", &settings.destination.user]);
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=none",
        "UpdateHostKeys=no",
        "CheckHostIP=no",
        "ConnectTimeout=15",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "ControlPersist=no",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "PermitLocalCommand=no",
        "EscapeChar=none",
        "LogLevel=ERROR",
    ] {
        ssh.args(["-o", option]);
    }
    ssh.arg("-o").arg(format!("HostKeyAlias={}", settings.name));
    let mut known = std::ffi::OsString::from("UserKnownHostsFile=\"");
    known.push(&settings.known_hosts);
    known.push("\"");
    ssh.arg("-o").arg(known);
    if let Some(identity) = &settings.identity {
        ssh.arg("-i").arg(identity).args(["-o", "IdentitiesOnly=yes"]);
    }
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A Ctrl+C is meant for us, and for what runs there only when we say so.
    ssh.process_group(0);
    ssh
}

const PREFIX: &str = "reprise-ssh-";

/// Removes what processes that are gone have left in `scratch`.
fn sweep(scratch: &Path) {
    use std::os::unix::fs::MetadataExt;
    let us = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        let is_ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == us);
        if is_ours && pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
