//! What can go wrong, to what, and what to do about it.
//!
//! Rules: a variant names the thing it happened to (a path, an id, a segment); a caller that must act
//! differently gets a variant of its own (a wrong passphrase is not a corrupt key); advice lives in
//! [`Error::hint`], apart from the message, so that an interface can show it as it likes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Id;
use crate::archive::LostItems;
use crate::crypto::Encryption;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing, or no Borg repository, is at this path.
    #[error("{path} is not a Borg repository: {reason}", path = .path.display())]
    NotARepository {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The repository uses something this crate does not read.
    #[error("cannot read this repository: {what}")]
    Unsupported {
        /// What is not supported.
        what: String,
    },
    /// Somebody else holds the lock, and kept it for as long as we were told to wait.
    #[error("{path} is locked by {by}", path = .path.display())]
    Locked {
        /// The repository.
        path: PathBuf,
        /// Host, process and thread of the holder, as it recorded them.
        by: String,
    },
    /// The lock could not be taken or released for another reason, for example a read-only file system.
    #[error("cannot lock {path}: {source}", path = .path.display())]
    LockFailed {
        /// The repository.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A server could not be reached, or did not do what it should.
    #[error("{location}: {reason}")]
    Server {
        /// The repository, as it was named.
        location: String,
        /// What happened, as far as possible in the words of who said it.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The key is protected by a passphrase and none was provided.
    #[error("this repository needs a passphrase")]
    PassphraseNeeded,
    /// The passphrase does not open the key.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The passphrase provider failed.
    #[error("the passphrase could not be obtained: {0}")]
    Passphrase(#[source] crate::PassphraseError),
    /// The key is missing or not readable.
    #[error("no usable key: {reason}")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
    /// The repository had a better protection when it was last seen.
    #[error(
        "{location} has the encryption {now}, and had {was} when it was last seen, as {record} tells",
        record = .record.display()
    )]
    Downgraded {
        /// The repository, as it was named.
        location: String,
        /// What it had.
        was: Encryption,
        /// What it has.
        now: Encryption,
        /// The file that remembers it.
        record: PathBuf,
    },
    /// The manifest is missing, malformed or not authentic.
    #[error("the repository's manifest cannot be used: {reason}")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no archive of this name.
    #[error("there is no archive named {name:?}")]
    NoSuchArchive {
        /// What was asked for.
        name: String,
    },
    /// There is no such path in the archive.
    #[error("the archive holds no {}", String::from_utf8_lossy(.path))]
    NoSuchPath {
        /// What was asked for.
        path: Vec<u8>,
    },
    /// An archive's metadata is malformed, or its authentication code is wrong.
    #[error("the archive {name:?} cannot be used: {reason}")]
    Archive {
        /// The archive.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A chunk is referenced, but the repository does not hold it.
    #[error("chunk {id} is missing")]
    ChunkMissing {
        /// The chunk.
        id: Id,
    },
    /// A chunk is there but is not what was stored: damage, or tampering.
    #[error("chunk {id} is damaged: {reason}")]
    Integrity {
        /// The chunk.
        id: Id,
        /// Which check failed.
        reason: String,
    },
    /// Some of an archive's metadata is lost, and with it the items that it described. The others can be read.
    #[error("{0}")]
    ItemsLost(Box<LostItems>),
    /// A segment file is damaged where its entries must be read to rebuild the index.
    #[error("segment {segment} is damaged at byte {offset}: {reason}")]
    Segment {
        /// Its number.
        segment: u32,
        /// Where, in bytes from its start.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Reading the repository failed.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The content is larger than the caller's limit.
    #[error("{size} bytes are more than the limit of {limit}")]
    TooLarge {
        /// Bytes asked for.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The place things are extracted to cannot be used.
    #[error("cannot extract to {path}: {source}", path = .path.display())]
    Destination {
        /// The root, or the file below it that could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system extracted to is full, or a quota is used up.
    #[error("no space left while writing {path}", path = .path.display())]
    DestinationFull {
        /// The file that could not be written, relative to the root.
        path: PathBuf,
    },
    /// Writing a stream, of a tar archive or of a file's content, failed.
    #[error("cannot write the stream: {0}")]
    Stream(#[source] io::Error),
    /// What was asked for makes no sense.
    #[error("{reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What to do next, in a sentence, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Server { hint, .. } => Some(hint),
            Self::NotARepository { .. } => Some("Give the directory that holds `config` and `data`."),
            Self::Locked { .. } => Some(
                "Wait for the other program to end. If none runs any more, remove its lock with `borg break-lock`.",
            ),
            Self::LockFailed { .. } => {
                Some("If nothing writes to the repository meanwhile, open it without a lock.")
            }
            Self::Downgraded { .. } => {
                Some("Somebody may have put another repository there. If it was you, remove that file.")
            }
            Self::PassphraseNeeded | Self::WrongPassphrase => Some("Provide the passphrase of the key."),
            Self::Key { .. } => {
                Some("Restore the key from `borg key export`, or name the directory of the key file.")
            }
            Self::Manifest { .. } | Self::Segment { .. } => {
                Some("Copy the repository, then run `borg check --repair` on the copy.")
            }
            Self::ChunkMissing { .. }
            | Self::Integrity { .. }
            | Self::Archive { .. }
            | Self::ItemsLost(_) => {
                Some("Run `borg check --verify-data` to see how far the damage goes, or use another archive.")
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "Something may have been removed while it was read. Start again, with a lock if there was none.",
            ),
            Self::NoSuchPath { .. } => {
                Some("`ls --recursive` and `find` show what it holds; paths have no leading slash there.")
            }
            Self::DestinationFull { .. } => Some("Free space at the destination and start again."),
            _ => None,
        }
    }

    /// True for damage of the repository's content that leaves the rest of it readable.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::ChunkMissing { .. } | Self::Integrity { .. } | Self::ItemsLost(_))
    }

    /// True if nothing else can be read either, so that it says nothing about what was to be read.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Server { .. } | Self::Cancelled)
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Writing `path`, relative to the root, failed in a way that concerns more than this path.
    pub(crate) fn destination(path: &[u8], source: io::Error) -> Self {
        let path = PathBuf::from(OsStr::from_bytes(if path.is_empty() { b"." } else { path }));
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DestinationFull { path },
            _ => Self::Destination { path, source },
        }
    }

    pub(crate) fn integrity(id: Id, reason: impl Into<String>) -> Self {
        Self::Integrity { id, reason: reason.into() }
    }
}

impl From<LostItems> for Error {
    fn from(lost: LostItems) -> Self {
        Self::ItemsLost(Box::new(lost))
    }
}
