//! What changing a tree entry by entry takes, where it cannot be exchanged as a whole: names that are carried out of
//! it and into it, and the attributes of its directories.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::FileKind;

/// One name that changes its place: out of a tree into a store, or from the store into the tree. Each place in a store is
/// used once, so what is there tells whether it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The place in the store.
    pub stored: PathBuf,
    /// The place in the tree.
    pub placed: PathBuf,
    /// Out of the tree. Done when something is at `stored`; there is nothing to do either when nothing is at `placed`.
    /// Into the tree otherwise: done when nothing is at `stored`.
    pub out: bool,
    /// It is only to be done while something is here.
    pub only_if: Option<PathBuf>,
}

/// Something below a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where, relative to that directory.
    pub path: PathBuf,
    /// What.
    pub kind: FileKind,
    /// Bytes of content, if it is a regular file.
    pub size: u64,
    /// The number of its inode, by which several names of one file are told.
    pub inode: u64,
    /// How many names it has.
    pub names: u64,
}

/// What a directory has besides what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permissions, with the set-id and sticky bits.
    pub mode: u32,
    /// Its owner's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// When it last changed: seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: u32,
    /// Extended attributes, access lists among them, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<(String, Vec<u8>)>,
}

impl Attributes {
    /// The most bytes of extended attributes that are carried along, and of one of them. Who owns a directory can give it many megabytes
    /// on some file systems, and neither a record nor a command line should have to hold them.
    const MOST: (usize, usize) = (256 << 10, 60 << 10);

    /// These, unless there is more of them than can be put back everywhere.
    pub(crate) fn bounded(self) -> io::Result<Self> {
        let sizes = || self.xattrs.iter().map(|(name, value)| name.len() + value.len());
        if sizes().sum::<usize>() <= Self::MOST.0 && sizes().all(|size| size <= Self::MOST.1) {
            return Ok(self);
        }
        Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, "it has too large extended attributes"))
    }
}

/// A path of any bytes as JSON: a text where it is one, else the bytes.
pub mod any_path {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, OsStrExt, OsString, OsStringExt, Path, PathBuf, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either<T, B> {
        Text(T),
        Bytes(B),
    }

    /// Writes it.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = path.as_os_str().as_bytes();
        std::str::from_utf8(bytes).map_or(Either::Bytes(bytes), Either::Text).serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(match Either::<String, Vec<u8>>::deserialize(deserializer)? {
            Either::Text(text) => PathBuf::from(text),
            Either::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        })
    }
}

/// Whether an attribute of that name is somebody's, as opposed to the system's.
pub(crate) fn is_of_users(name: &str) -> bool {
    name.starts_with("user.")
        || name.starts_with("trusted.")
        || ["security.capability", "system.posix_acl_access", "system.posix_acl_default"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_attributes_than_can_be_put_back_everywhere_are_refused() {
        let with = |sizes: &[usize]| Attributes {
            mode: 0o755,
            uid: 0,
            gid: 0,
            seconds: 0,
            nanoseconds: 0,
            xattrs: sizes.iter().map(|size| ("user.a".to_owned(), vec![0; *size])).collect(),
        };
        assert!(with(&[50_000; 5]).bounded().is_ok());
        assert!(with(&[50_000; 6]).bounded().is_err() && with(&[65_000]).bounded().is_err());
    }
}
