//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository, or the archive, cannot be read.
    #[error(transparent)]
    Borg(#[from] reprise_borg::Error),
    /// The place to mount on cannot be used.
    #[error("{dir} cannot be mounted on: {reason}", dir = .dir.display())]
    Unusable {
        /// The place.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
    /// Mounting failed.
    #[error("cannot mount on {dir}: {source}", dir = .dir.display())]
    Mount {
        /// The place.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing of ours is mounted there.
    #[error("{dir} is no mount of Reprise: {reason}", dir = .dir.display())]
    NotOurs {
        /// The place.
        dir: PathBuf,
        /// What it is.
        reason: String,
    },
    /// Somebody uses it.
    #[error("{dir} is in use", dir = .dir.display())]
    Busy {
        /// The place.
        dir: PathBuf,
    },
    /// Unmounting failed.
    #[error("cannot unmount {dir}: {reason}", dir = .dir.display())]
    Unmount {
        /// The place.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Borg(error) => error.hint(),
            Self::Unusable { .. } => Some("Name an empty directory that is there."),
            Self::Mount { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "See that /dev/fuse is there (`modprobe fuse`), and for users other than root `fusermount3`.",
            ),
            Self::Mount { .. } => Some("See that you may use /dev/fuse, and that the directory is yours."),
            Self::NotOurs { .. } => Some(
                "`findmnt -t fuse,fuse.reprise` lists the mounts of Reprise: their source begins with `reprise:`.",
            ),
            Self::Busy { .. } => {
                Some("Leave the directory and close what is open in it (`fuser -vm DIR` tells).")
            }
            Self::Unmount { .. } => None,
        }
    }
}
