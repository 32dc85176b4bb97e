//! What ends a command early, and the exit codes.

use std::process::ExitCode;

use reprise_engine::SourceError;
use reprise_recipes::docker::SurveyError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, but something should be looked at.
    Warnings = 1,
    /// An error; nothing was changed.
    Error = 2,
    /// Failed, and everything is as before.
    RolledBack = 3,
    /// Failed, and not everything is as before.
    RollbackIncomplete = 4,
    /// Cancelled, and everything is as before.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How the program ends.
    pub code: Exit,
}

impl Failure {
    /// An error before anything was changed.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Exit::Error }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Someone asked to stop before anything was changed.
    pub fn cancelled() -> Self {
        Self { message: "cancelled; nothing was changed".to_owned(), hint: None, code: Exit::Cancelled }
    }

    fn wrong_passphrase() -> Self {
        let wrong = reprise_borg::Error::WrongPassphrase;
        Self::new(format!("{wrong}; it was taken from {}", crate::passphrase::origin()))
            .maybe_hint(wrong.hint())
    }

    fn maybe_hint(self, hint: Option<&str>) -> Self {
        Self { hint: hint.map(ToOwned::to_owned), ..self }
    }
}

impl From<reprise_borg::Error> for Failure {
    fn from(error: reprise_borg::Error) -> Self {
        match error {
            reprise_borg::Error::Cancelled => Self::cancelled(),
            reprise_borg::Error::WrongPassphrase => Self::wrong_passphrase(),
            reprise_borg::Error::PassphraseNeeded => Self::new(error.to_string())
                .hint("set BORG_PASSPHRASE or BORG_PASSCOMMAND, or run this on a terminal"),
            reprise_borg::Error::Passphrase(ref why) if is_given_up(why.as_ref()) => Self::cancelled(),
            reprise_borg::Error::Passphrase(_) => Self::new(error.to_string()).hint(
                "see to BORG_PASSPHRASE, BORG_PASSCOMMAND or BORG_PASSPHRASE_FD; without them a terminal is asked",
            ),
            reprise_borg::Error::LockFailed { .. } => Self::new(error.to_string()).hint(
                "where the repository cannot be written to, add --bypass-lock: it is read without a lock, and no backup may run meanwhile",
            ),
            reprise_borg::Error::Locked { .. } => Self::new(error.to_string()).hint(
                "wait for the other program to end (--lock-wait SECONDS does); if none runs any more, remove its lock with `borg break-lock`",
            ),
            other => Self::new(other.to_string()).maybe_hint(other.hint()),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Cancelled => Self::cancelled(),
            // The engine knows no passphrases, and tells the repository's words on.
            SourceError::Unreadable { message, .. }
                if message == reprise_borg::Error::WrongPassphrase.to_string() =>
            {
                Self::wrong_passphrase()
            }
            other => Self::new(other.to_string()).maybe_hint(other.hint()),
        }
    }
}

impl From<reprise_recoveryfs::Error> for Failure {
    fn from(error: reprise_recoveryfs::Error) -> Self {
        match error {
            reprise_recoveryfs::Error::Borg(error) => error.into(),
            other => Self::new(other.to_string()).maybe_hint(other.hint()),
        }
    }
}

impl From<reprise_host::Error> for Failure {
    fn from(error: reprise_host::Error) -> Self {
        Self::new(error.to_string()).maybe_hint(error.hint())
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Host(error) => error.into(),
            SurveyError::Source(error) => error.into(),
        }
    }
}

impl From<reprise_engine::Error> for Failure {
    fn from(error: reprise_engine::Error) -> Self {
        match error {
            reprise_engine::Error::Cancelled => Self::cancelled(),
            other => Self::new(other.to_string()).maybe_hint(other.hint()),
        }
    }
}

impl From<reprise_model::SelectionError> for Failure {
    fn from(error: reprise_model::SelectionError) -> Self {
        Self::new(error.to_string()).hint("`reprise contents REPO::ARCHIVE` shows what is there")
    }
}

/// Whether somebody did not want to answer.
fn is_given_up(why: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    use inquire::InquireError::{OperationCanceled, OperationInterrupted};
    matches!(why.downcast_ref(), Some(OperationCanceled | OperationInterrupted))
}

impl From<inquire::InquireError> for Failure {
    fn from(error: inquire::InquireError) -> Self {
        match error {
            inquire::InquireError::OperationCanceled | inquire::InquireError::OperationInterrupted => {
                Self::cancelled()
            }
            other => Self::new(format!("cannot ask: {other}")),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
