//! An item: one thing a backup holds, with all its metadata.

mod view;

pub(crate) use view::View;

use crate::Id;

/// A piece of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Of its content.
    pub id: Id,
    /// Bytes of content.
    pub size: u32,
    /// Bytes it takes in the repository, compressed and sealed.
    pub stored: u32,
}

/// Name and value of an extended attribute. Borg's "no value" is an empty one.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// Anything else; Borg backs up nothing else.
    Other,
}

impl Kind {
    /// By the type bits of `st_mode`.
    pub(crate) fn of_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o010_000 => Self::Fifo,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            _ => Self::Other,
        }
    }

    /// Whether things of this kind can have several names.
    pub(crate) fn is_hard_linkable(self) -> bool {
        !matches!(self, Self::Symlink | Self::Directory | Self::Other)
    }
}

/// One thing in an archive. Times are nanoseconds since 1970 in UTC, and may be negative.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Item {
    /// Where it was, without a leading slash. Any bytes, and not to be trusted.
    pub path: Vec<u8>,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// The owner's number; `None` if the archive has none that Linux could use.
    pub uid: Option<u32>,
    /// The group's number.
    pub gid: Option<u32>,
    /// The owner's name on the machine backed up, where it had one.
    pub user: Option<Vec<u8>>,
    /// The group's name.
    pub group: Option<Vec<u8>>,
    /// Last change of content.
    pub mtime: Option<i128>,
    /// Last access. Borg leaves it out unless told to keep it.
    pub atime: Option<i128>,
    /// Last change of metadata. Cannot be restored.
    pub ctime: Option<i128>,
    /// Creation. Cannot be restored on Linux.
    pub birthtime: Option<i128>,
    /// Bytes of content, as recorded. See [`Item::content_size`].
    pub size: Option<u64>,
    /// The content; `None` for what has none, and for further names of a hard-linked file.
    pub chunks: Option<Vec<Chunk>>,
    /// What `chunks` was before `borg check --repair` replaced lost ones with zeros; empty if it never did.
    pub chunks_healthy: Vec<Chunk>,
    /// The target of a symbolic link, or for a hard link the path of the item that came first.
    pub source: Option<Vec<u8>>,
    /// True for the first of several names of one file.
    pub hardlink_master: bool,
    /// Of a device, as in `st_rdev` on Linux.
    pub rdev: u64,
    /// File flags in the numbering of BSD: 1 no dump, 2 immutable, 4 append only, 0x20 compressed.
    pub bsdflags: u64,
    /// Extended attributes, names with their namespace.
    pub xattrs: Vec<Xattr>,
    /// The access ACL in text form, each entry with the number of user or group as a fourth field.
    pub acl_access: Option<Vec<u8>>,
    /// The default ACL of a directory.
    pub acl_default: Option<Vec<u8>>,
    /// Set for a part of a file that a checkpoint split off; its content is in the whole file as well.
    pub part: Option<u64>,
}

impl Item {
    /// What it is.
    pub fn kind(&self) -> Kind {
        Kind::of_mode(self.mode)
    }

    /// Permissions with the set-id and sticky bits.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// The path of the item this is another name of.
    pub fn hard_link_target(&self) -> Option<&[u8]> {
        // A symbolic link keeps its target in the same field.
        self.source.as_deref().filter(|_| self.kind().is_hard_linkable())
    }

    /// The target of a symbolic link.
    pub fn symlink_target(&self) -> Option<&[u8]> {
        if self.kind() == Kind::Symlink { self.source.as_deref() } else { None }
    }

    /// Bytes of content in its chunks; for further names of a hard-linked file what was recorded, or 0.
    pub fn content_size(&self) -> u64 {
        match &self.chunks {
            Some(chunks) => chunks.iter().map(|chunk| u64::from(chunk.size)).sum(),
            None => self.size.unwrap_or(0),
        }
    }

    /// True if `borg check --repair` replaced lost content with zeros.
    pub fn is_damaged(&self) -> bool {
        !self.chunks_healthy.is_empty()
    }
}
