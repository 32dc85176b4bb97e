//! What a catalogue tells of a node.

use super::Node;
use crate::item::Kind;

/// What a catalogue knows of an item, or of a directory without one. Times are nanoseconds since 1970 in UTC, and may
/// be negative.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// Its name in its directory; empty for the top, and for what has no place in the tree.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// The owner's number; `None` if the archive has none that Linux could use.
    pub uid: Option<u32>,
    /// The group's number.
    pub gid: Option<u32>,
    /// The owner's name on the machine backed up, where it had one.
    pub user: Option<&'a [u8]>,
    /// The group's name.
    pub group: Option<&'a [u8]>,
    /// Last change of content.
    pub mtime: Option<i128>,
    /// Last access.
    pub atime: Option<i128>,
    /// Last change of metadata.
    pub ctime: Option<i128>,
    /// Creation.
    pub birthtime: Option<i128>,
    /// Bytes of content of a regular file. A further name of a file has what was recorded with it, most often 0:
    /// that of its [`Entry::first`] is the size of the file.
    pub size: u64,
    /// Of a device, as in `st_rdev` on Linux.
    pub rdev: u64,
    /// How many names the file has in the archive: 1, or more for all of those.
    pub nlink: u32,
    /// For a further name of a file, the node of its first name, whose content and attributes it has. That one may have
    /// been replaced at its place since.
    pub first: Option<Node>,
    /// Whether it is a further name of a file. Without a [`Entry::first`], its first name is not in the archive.
    pub is_link: bool,
    /// The target of a symbolic link.
    pub symlink_target: Option<&'a [u8]>,
    /// Whether the item has extended attributes.
    pub has_xattrs: bool,
    /// Whether the item has an ACL.
    pub has_acl: bool,
    /// Whether `borg check --repair` replaced lost content with zeros.
    pub damaged: bool,
    /// Whether it is a directory that has no item of its own.
    pub implicit: bool,
}

impl Entry<'_> {
    /// Permissions with the set-id and sticky bits.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}
