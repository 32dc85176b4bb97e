//! What an extraction did, and what it could not.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use crate::Error;
use crate::archive::LostItems;
use crate::extract::path;

/// Problems listed one by one; further ones are only counted.
const LISTED: usize = 10_000;

/// What an extraction did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Files, directories, links and so on that were extracted.
    pub items: u64,
    /// Bytes of content that were written.
    pub bytes: u64,
    /// How many of the items were right already, where only what was not was extracted.
    pub unchanged: u64,
    /// What would be extracted, where only that was asked.
    pub changed: Vec<Changed>,
    /// What could not be extracted as it was, at most 10,000 of them.
    pub problems: Vec<Problem>,
    /// How many more problems there were.
    pub more_problems: u64,
    /// The paths of selections that matched nothing, as they were given.
    pub unmatched: Vec<String>,
}

impl Report {
    /// True if everything is as it was.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Problems that cost content, as opposed to attributes.
    pub fn losses(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.is_loss())
    }

    pub(super) fn add(&mut self, problem: Problem) {
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }
}

/// Something that is not as the archive has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// The item, as the archive names it.
    pub path: Vec<u8>,
    /// What about it.
    pub what: Change,
}

/// How something is not as the archive has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is not there.
    New,
    /// Something of another kind is in its place.
    Kind,
    /// It holds or leads to something else, or shares its content with other names than in the archive.
    Content,
    /// Only its owner, mode, times, extended attributes, ACLs or flags are others.
    Attributes,
}

/// Something that was not extracted as it was.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}{kind}", String::from_utf8_lossy(.path), if .path.is_empty() { "" } else { ": " })]
#[non_exhaustive]
pub struct Problem {
    /// The item, as the archive names it. Empty where the archive no longer tells which items they are.
    pub path: Vec<u8>,
    /// Where it was to go, relative to the root; `None` if that could not be said.
    pub destination: Option<PathBuf>,
    /// What happened.
    #[source]
    pub kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(path: &[u8], destination: Option<&[u8]>, kind: ProblemKind) -> Self {
        Self { path: path.to_vec(), destination: destination.map(path::to_path), kind }
    }

    /// True if the item is missing or incomplete, false if only an attribute is.
    pub fn is_loss(&self) -> bool {
        !matches!(self.kind, ProblemKind::Attribute { .. })
    }
}

/// What can happen to an item while the extraction goes on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A piece of the content is missing or damaged. The file was left out, unless damaged ones are kept.
    #[error("bytes {} to {} are lost: {cause}", .range.start, .range.end)]
    Content {
        /// Bytes from the start of the file.
        range: Range<u64>,
        /// What was found, often a damaged chunk.
        cause: Arc<Error>,
    },
    /// The content was lost earlier, and `borg check --repair` put zeros in its place. Treated the same.
    #[error("bytes {} to {} were replaced with zeros by an earlier repair", .range.start, .range.end)]
    Repaired {
        /// Bytes from the start of the file.
        range: Range<u64>,
    },
    /// The pieces of the content do not add up to the recorded size. The file was left out, unless damaged ones are kept.
    #[error("its content has {found} bytes, {recorded} are recorded")]
    Size {
        /// Bytes recorded.
        recorded: u64,
        /// Bytes found.
        found: u64,
    },
    /// Its path leads out of the extraction's root, or through a symbolic link. Nothing was done.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: &'static str,
    },
    /// It is a device node, and those are not to be created.
    #[error("device nodes are not extracted")]
    Device,
    /// It could not be created.
    #[error("it cannot be created: {cause}")]
    Create {
        /// Why.
        cause: Arc<io::Error>,
    },
    /// It is a further name of a file that is not in the archive, or was not extracted.
    #[error("it is a hard link to {}, which was not extracted", String::from_utf8_lossy(.target))]
    HardLink {
        /// The first name, as the archive tells it.
        target: Vec<u8>,
    },
    /// The archive's metadata is lost, and with it items of unknown names, whether or not they were selected.
    #[error("{0}")]
    Items(Box<LostItems>),
    /// An attribute could not be set; the item itself is there.
    #[error("{attribute} cannot be set: {cause}")]
    Attribute {
        /// Which one.
        attribute: Attribute,
        /// Why.
        cause: Arc<io::Error>,
    },
}

impl ProblemKind {
    pub(super) fn create(cause: io::Error) -> Self {
        match Errno::from_io_error(&cause) {
            // What RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH answer with.
            Some(Errno::LOOP) => Self::Refused { reason: "its path leads through a symbolic link" },
            Some(Errno::XDEV) => Self::Refused { reason: "its path leads out of the root" },
            _ => Self::Create { cause: Arc::new(cause) },
        }
    }
}

/// An attribute of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute {
    /// User or group.
    Owner,
    /// Permissions.
    Mode,
    /// The access ACL, or a directory's default ACL.
    Acl,
    /// An extended attribute, by name.
    Xattr(Vec<u8>),
    /// Time of access or change.
    Times,
    /// Flags such as "immutable".
    Flags,
}

impl std::fmt::Display for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner => f.write_str("the owner"),
            Self::Mode => f.write_str("the mode"),
            Self::Acl => f.write_str("the ACL"),
            Self::Xattr(name) => write!(f, "the extended attribute {}", String::from_utf8_lossy(name)),
            Self::Times => f.write_str("the times"),
            Self::Flags => f.write_str("the file flags"),
        }
    }
}
