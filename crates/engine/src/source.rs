//! The port to backups. The engine asks for trees; what an archive is, it does not know.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use reprise_host::{Packed, Present};
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

/// How a directory differs from what a backup holds. All paths are relative to it; its own is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// What is to be made anew, directories before what is in them: what is missing, of another kind, holds something else,
    /// or is no directory and has other attributes. All names of a file, if one of them is.
    pub anew: Vec<PathBuf>,
    /// Directories that are there and have other attributes.
    pub directories: Vec<PathBuf>,
    /// What the backup does not hold, directories before what is in them.
    pub extra: Vec<PathBuf>,
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

/// A backup that trees are extracted from, among others of its kind.
pub trait Source: Send + Sync {
    /// Writes what the backup holds at `path` (no leading slash) as `to`, which does not exist yet but
    /// whose parent does. Only `some` entries of it where that is given, as [`Differences`] names them, and directories that lead to
    /// them. All or an error: a tree with something missing is not a success. What was
    /// written before an error stays for the caller to remove.
    fn extract(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        to: &Path,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError>;

    /// Writes the same to `to` as a tar stream, in which the tree is called `name`.
    fn stream(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError>;

    /// How the directory `root` differs from what the backup holds at `path`; `present` is all that is to be looked at below it.
    /// Content is compared, whatever names and times say. Of the directory itself, only what this machine can read is.
    fn differences(
        &self,
        path: &str,
        root: &Path,
        present: &Present,
        observer: &dyn Observer,
    ) -> Result<Differences, SourceError>;

    /// The content of the regular file at `path`; fails when it has more than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError>;

    /// Fails when [`Source::extract`] could not even begin with `path`.
    fn check(&self, path: &str) -> Result<(), SourceError>;

    /// Whether there is an archive called `name` where the backup is.
    fn has_archive(&self, name: &str) -> Result<bool, SourceError>;

    /// Makes an archive called `name` there, of what lies at `paths` on this machine but for what lies at `except`. It is
    /// there as a whole or not at all. Returns what could not be read, for people.
    fn back_up(
        &self,
        name: &str,
        paths: &[PathBuf],
        except: &[PathBuf],
        observer: &dyn Observer,
    ) -> Result<Vec<String>, SourceError>;

    /// The same of what another machine has `packed`. Fails with its error where not all of it came: then there is no archive of
    /// that name.
    fn back_up_packed(
        &self,
        name: &str,
        packed: Packed<'_>,
        observer: &dyn Observer,
    ) -> crate::Result<Vec<String>>;

    /// Removes the archive called `name`; fine when there is none.
    fn remove_archive(&self, name: &str) -> Result<(), SourceError>;
}
