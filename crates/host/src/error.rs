//! What can go wrong on a host.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Claim, Trouble};

/// The result of asking a host for something.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request to a host that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status}): {message}")]
    Command {
        /// The command line; secrets are never part of one.
        command: String,
        /// Its exit status in words.
        status: String,
        /// What it said on stderr.
        message: String,
    },
    /// A program did not end in time and was stopped.
    #[error("`{command}` did not end within {seconds} s and was stopped")]
    TimedOut {
        /// The command line.
        command: String,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// The Docker engine does not answer.
    #[error("the Docker engine does not answer: {0}")]
    DockerUnreachable(String),
    /// Docker answered with something that is not understood.
    #[error("cannot read what `{command}` answered: {reason}")]
    Answer {
        /// The command asked.
        command: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A host cannot be worked on over SSH, or not any more.
    #[error("{host}: {}: {message}", trouble.words())]
    Connection {
        /// What it is called.
        host: String,
        /// What is in the way.
        trouble: Trouble,
        /// What was said about it.
        message: String,
    },
    /// What failed on another host.
    #[error("{host}: {error}")]
    On {
        /// What it is called.
        host: String,
        /// What failed.
        error: Box<Self>,
    },
    /// Two paths cannot be exchanged in one step there.
    #[error("{} cannot be exchanged with another path in one step", .0.display())]
    CannotExchange(PathBuf),
    /// Another operation works on the same thing.
    #[error("{host}: operation {} works on {thing}, run by {} since {}", other.operation, other.by, other.since)]
    Claimed {
        /// The host.
        host: String,
        /// What both work on.
        thing: String,
        /// The other one.
        other: Box<Claim>,
    },
    /// It cannot be made known on the host what is being worked on.
    #[error("{host}: it cannot be made known there what is being worked on: {reason}")]
    CannotClaim {
        /// The host.
        host: String,
        /// Why not.
        reason: String,
    },
    /// A key, or the file that pins one, could not be made or found.
    #[error("{what}: {reason}")]
    Key {
        /// What was tried.
        what: String,
        /// Why it failed.
        reason: String,
    },
}

impl Error {
    /// Whether a network was not made because another one has its addresses.
    pub fn is_address_conflict(&self) -> bool {
        match self {
            Self::Command { message, .. } => message.contains("overlaps with other one"),
            Self::On { error, .. } => error.is_address_conflict(),
            _ => false,
        }
    }

    /// What to do about it, where something general can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::DockerUnreachable(_) => {
                Some("see whether the daemon runs (`docker info`) and whether you may use its socket")
            }
            Self::File { source, .. } => {
                match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                    Some(rustix::io::Errno::NOSPC) => {
                        Some("free some space on that file system and try again")
                    }
                    Some(rustix::io::Errno::ACCESS) => Some("try again as root"),
                    Some(rustix::io::Errno::PERM) => Some(
                        "try again as root; root may not either where a file is immutable or append-only: `lsattr` shows that, `chattr` ends it",
                    ),
                    _ => None,
                }
            }
            Self::Start { .. } => Some("is the program installed and in PATH?"),
            Self::Command { command, .. } if command.starts_with("docker start ") => Some(
                "`docker inspect` shows what the container mounts; does that fit what lies there, and are its ports free?",
            ),
            Self::Connection { trouble, .. } => Some(trouble.hint()),
            Self::On { error, .. } => error.hint(),
            Self::CannotExchange(_) => {
                Some("perl or python3 on the host, or coreutils 9.5, make it possible")
            }
            Self::Claimed { .. } => Some("wait until it ends, then try again; nothing was changed"),
            Self::CannotClaim { .. } => {
                Some("`flock` and a directory /run that root may write to are needed")
            }
            Self::Key { .. } => Some("are ssh-keygen and ssh-keyscan installed here (openssh-client)?"),
            _ => None,
        }
    }

    /// Whether the way to the host was lost, so that what failed may have been done or not, and may be tried again.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Connection { trouble, .. } => trouble.is_passing(),
            Self::On { error, .. } => error.is_connection_lost(),
            _ => false,
        }
    }

    /// The system's number for what failed, where it has one.
    pub(crate) fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            Self::File { source, .. } => source.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
            Self::On { error, .. } => error.errno(),
            _ => None,
        }
    }

    /// The same as one of `host`.
    pub(crate) fn on(self, host: &str) -> Self {
        Self::On { host: host.to_owned(), error: Box::new(self) }
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::File { action, path: path.to_owned(), source: source.into() }
    }
}
