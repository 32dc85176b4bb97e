//! The port to backups. The engine asks for trees; what an archive is, it does not know.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use reprise_model::Observer;

/// What an extraction wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Entries written: files, directories, links and all else.
    pub entries: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// How many of the entries were knowingly not written: device nodes.
    pub left_out: u64,
    /// What was not restored as it was but loses no content, such as an attribute that the file system
    /// does not know. For people.
    pub warnings: Vec<String>,
}

/// A source that could not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The backup cannot be read, or not all of it.
    #[error("{message}")]
    Unreadable {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The destination cannot be written.
    #[error("{message}")]
    Unwritable {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl SourceError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Cancelled => None,
            Self::Unreadable { hint, .. } | Self::Unwritable { hint, .. } => hint.as_deref(),
        }
    }
}

/// A backup that trees are extracted from.
pub trait Source: Send + Sync {
    /// Writes what the backup holds at `path` (no leading slash) as `to`, which does not exist yet but
    /// whose parent does. All or an error: a tree with something missing is not a success. What was
    /// written before an error stays for the caller to remove.
    fn extract(&self, path: &str, to: &Path, observer: &dyn Observer) -> Result<Extracted, SourceError>;

    /// Writes the same to `to` as a tar stream, in which the tree is called `name`.
    fn stream(
        &self,
        path: &str,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError>;

    /// The content of the regular file at `path`; fails when it has more than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError>;

    /// Fails when [`Source::extract`] could not even begin with `path`.
    fn check(&self, path: &str) -> Result<(), SourceError>;
}
