//! What can go wrong on a host.

use std::io;
use std::path::{Path, PathBuf};

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
}

impl Error {
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
                    Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => Some("try again as root"),
                    _ => None,
                }
            }
            Self::Start { .. } => Some("is the program installed and in PATH?"),
            Self::Command { command, .. } if command.starts_with("docker start ") => Some(
                "`docker inspect` shows what the container mounts; does that fit what lies there, and are its ports free?",
            ),
            _ => None,
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::File { action, path: path.to_owned(), source: source.into() }
    }
}
