//! A machine that is reached over SSH, with nothing of ours on it: a shell, coreutils, `find`, `flock`, `tar` and
//! `docker` are all that is asked of it. The system's own `ssh` does the talking.

mod agent;
mod carry;
mod connection;
mod destination;
mod files;
mod keys;
mod pack;
mod present;
mod probe;
mod told;
mod trouble;
mod unpack;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use connection::Connection;
use connection::Said;
pub use destination::{BadDestination, Destination};
pub use keys::{HostKey, make_identity, pin, scan};
pub use probe::{Exchange, Facts};
pub use trouble::Trouble;

use crate::command::Dialogue;
use crate::docker::{DockerCli, Run};
use crate::{Command, Error, Output, Result};
use wire::Call;

/// How a host is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is called, in messages and in plans.
    pub name: String,
    /// Where it is, and who to be there. Who is not root there uses `sudo`.
    pub destination: Destination,
    /// The private key to log in with; without one, what ssh finds by itself.
    pub identity: Option<PathBuf>,
    /// The file that pins its key, under its name.
    pub known_hosts: PathBuf,
    /// A directory for sockets, such as `/tmp`. Its path must be short.
    pub scratch: PathBuf,
    /// Ways that may be used to exchange two trees, best first.
    pub exchange: Vec<Exchange>,
}

impl Settings {
    fn sudo(&self) -> bool {
        self.destination.user != "root"
    }

    fn error(&self, trouble: Trouble, message: &str) -> Error {
        Error::Connection { host: self.name.clone(), trouble, message: message.to_owned() }
    }
}

/// A machine reached over SSH, and the Docker engine that `docker` reaches there.
#[derive(Debug)]
pub struct SshHost {
    connection: Arc<Connection>,
    docker: DockerCli<There>,
}

impl SshHost {
    /// Logs in. Fails when that cannot be, or when what is needed there is missing.
    pub fn connect(settings: Settings) -> Result<Self> {
        let host = Self::look(settings)?;
        let missing = host.facts()?.missing;
        if missing.is_empty() {
            return Ok(host);
        }
        Err(host.connection.settings.error(Trouble::ToolsMissing, &missing.join(", ")))
    }

    /// Logs in, whatever may be missing there.
    pub fn look(settings: Settings) -> Result<Self> {
        let connection = Arc::new(Connection::open(settings)?);
        let docker = DockerCli::new(There(Arc::clone(&connection)));
        Ok(Self { connection, docker })
    }

    /// What the login found out.
    pub fn facts(&self) -> Result<Facts> {
        self.connection.facts()
    }
}

/// What `command`, which said this, answered, or how it failed.
fn output(command: &Command, said: Said) -> Result<Output> {
    let start =
        |why: std::io::ErrorKind| Error::Start { program: command.program().to_owned(), source: why.into() };
    match said.status {
        0 => Ok(Output { stdout: said.stdout, stderr: said.stderr }),
        124 | 137 => {
            Err(Error::TimedOut { command: command.to_string(), seconds: command.time_limit().as_secs() })
        }
        127 => Err(start(std::io::ErrorKind::NotFound)),
        126 => Err(start(std::io::ErrorKind::PermissionDenied)),
        status => Err(Error::Command {
            command: command.to_string(),
            status: format!("exit status {status}"),
            message: said.stderr,
        }),
    }
}

/// Runs commands on the other side.
#[derive(Debug, Clone)]
struct There(Arc<Connection>);

impl Run for There {
    fn run(&self, command: &Command) -> Result<Output> {
        let call = Call::from(command);
        let said = match command.given() {
            [] => self.0.call(&call)?,
            input => self.0.persist(|| self.0.call_with(&call, input, command.input_stays_open()))?,
        };
        output(command, said)
    }

    fn begin(&self, command: &Command) -> Result<Dialogue> {
        Ok(self.0.begin(&Call::from(command))?.into_dialogue())
    }
}
