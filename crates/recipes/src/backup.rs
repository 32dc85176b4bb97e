//! The port to an archive's contents, for analysing them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use reprise_engine::SourceError;
use reprise_model::Observer;

/// What kind of thing an archive's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// One entry of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path: any bytes, no leading slash.
    pub path: &'a [u8],
    /// Its kind.
    pub kind: EntryKind,
    /// Bytes of its content.
    pub bytes: u64,
    /// For a further name of a file, its first name.
    pub first: Option<&'a [u8]>,
}

/// An archive that can be looked through.
pub trait Backup {
    /// Calls `visit` with every entry, in the archive's order, until `observer` cancels.
    fn each_entry(
        &self,
        visit: &mut dyn FnMut(Entry<'_>),
        observer: &dyn Observer,
    ) -> Result<(), SourceError>;

    /// The directory of this machine in which it lies, among others of its kind; nothing when it lies on a server.
    fn directory(&self) -> Option<PathBuf>;

    /// The content of those regular files among `paths` that are there and hold at most `limit` bytes.
    fn read(&self, paths: &BTreeSet<String>, limit: u64) -> Result<BTreeMap<String, Vec<u8>>, SourceError>;
}
