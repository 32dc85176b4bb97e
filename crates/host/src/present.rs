//! What is below a directory, to be compared with a backup.

use std::ffi::OsString;

use crate::{Attributes, Found};

/// What is below a directory, and where it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// The host's files are this machine's: whoever compares them reads them.
    Here(Vec<Found>),
    /// They are another machine's, which has looked through them.
    There(Vec<Seen>),
}

impl Present {
    /// All of it, directories before what is in them.
    pub fn found(&self) -> Vec<&Found> {
        match self {
            Self::Here(found) => found.iter().collect(),
            Self::There(seen) => seen.iter().map(|seen| &seen.found).collect(),
        }
    }
}

/// Something below a directory of another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What and where.
    pub found: Found,
    /// What it has besides its content.
    pub attributes: Attributes,
    /// Whether it is a named pipe.
    pub is_pipe: bool,
    /// Where it leads, if it is a symbolic link; empty otherwise.
    pub target: OsString,
    /// The SHA-256 of its content, if it is a regular file.
    pub digest: Option<[u8; 32]>,
}
