//! What can go wrong while a plan is driven.

use std::io;
use std::path::{Path, PathBuf};

use crate::SourceError;

/// The result of the engine's work.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that stopped the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host refused something.
    #[error(transparent)]
    Host(#[from] reprise_host::Error),
    /// The backup could not be read, or its content not written.
    #[error(transparent)]
    Source(SourceError),
    /// The host is not in the state that the plan was made for.
    #[error("{what}: {why}")]
    Refused {
        /// What it is about.
        what: String,
        /// What is not as it should be.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A container did not become healthy.
    #[error("container {container} is not healthy after {seconds} s: {state}")]
    Unhealthy {
        /// Its name.
        container: String,
        /// How long was waited.
        seconds: u64,
        /// What it was last seen as.
        state: String,
    },
    /// Someone asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The journal cannot be written or read.
    #[error("cannot {action} the journal {}: {source}", path.display())]
    Journal {
        /// What was tried.
        action: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A journal that says what no version of Reprise writes.
    #[error("the journal {} is damaged at line {line}: {reason}", path.display())]
    DamagedJournal {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Another process drives this operation, or another one on this state directory.
    #[error("operation {0} is being worked on by another process")]
    Busy(String),
    /// There is no such operation.
    #[error("there is no operation {0}")]
    NoSuchOperation(String),
    /// What was given of an id names several operations.
    #[error("`{prefix}` names {} operations: {}", candidates.len(), shown(candidates))]
    AmbiguousOperation {
        /// What was given.
        prefix: String,
        /// The ids that begin with it, newest first.
        candidates: Vec<String>,
    },
    /// It was not done in the time it was given.
    #[error("it was not done within its time limit of {seconds} s")]
    TimeLimit {
        /// The limit.
        seconds: u64,
    },
    /// The rollback window has closed.
    #[error("operation {id} can no longer be rolled back: {reason}")]
    WindowClosed {
        /// The operation.
        id: String,
        /// Since when, or why.
        reason: String,
    },
}

impl Error {
    /// What to do about it, where something can be said.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Host(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Refused { hint, .. } => Some(hint),
            Self::Unhealthy { .. } => Some("`docker logs` of that container tells why"),
            Self::Journal { .. } => Some("the state directory must be writable and have some free space"),
            Self::DamagedJournal { .. } => Some(
                "keep the file; nothing is changed on its word. `operations log` prints what can be read of it",
            ),
            Self::Busy(_) => Some("wait until it ends; `operations list` shows it"),
            Self::NoSuchOperation(_) => Some("`operations list` shows the ones there are"),
            Self::AmbiguousOperation { .. } => Some("give more of the id"),
            Self::TimeLimit { .. } => Some("restore again with a longer --time-limit, or with none"),
            Self::WindowClosed { .. } => Some("restore again from an archive of the time you want back"),
            Self::Cancelled => None,
        }
    }

    pub(crate) fn journal(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Journal { action, path: path.to_owned(), source: source.into() }
    }
}

/// The first of `ids`, as many as a person reads.
fn shown(ids: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = if ids.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", ids[..ids.len().min(SHOWN)].join(", "))
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Cancelled => Self::Cancelled,
            other => Self::Source(other),
        }
    }
}
