//! Verifying a whole repository, as `borg check --verify-data` does: that every byte of it is what was written.
//!
//! Two passes. First the segments are read from end to end: the checksum of every entry, and of every object in use
//! its authentication code, its compression and its id ([`segments`]). Then the items of all archives are walked and
//! matched with what the first pass found, so that damage has the names of the files it costs ([`archives`]). What the
//! first pass could not reach, because a segment ends early or makes no sense from some place on, the second one
//! looks for by the index. Of a repository on a server, the first pass reads what archives use ([`used`]).
//!
//! Memory: 20 bytes for each sound object, some 200 for each damaged one, a few batches of about 4 MiB for each thread, and
//! up to 10,000 findings for each thread and archive.

mod archives;
mod segments;
mod used;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use reprise_model::Observer;

use crate::extract::Problem;
use crate::repository::{Chunks, Repository};
use crate::{Error, Id};

/// Findings listed one by one; further ones are only counted.
const LISTED: usize = 10_000;

/// What verifying a repository found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Whether it is on a server: then only what archives use was read, each object once, and no segment file.
    pub is_remote: bool,
    /// Segment files read.
    pub segments: u64,
    /// Bytes of them; of objects, if it is on a server.
    pub bytes: u64,
    /// Segment files after the last transaction, which are not read: remains of a backup that did not end, or of one
    /// whose end is damaged.
    pub unfinished_segments: u64,
    /// Entries whose checksum is right.
    pub entries: u64,
    /// Objects in use that are what was stored.
    pub objects: u64,
    /// The archives, in the order of the manifest.
    pub archives: Vec<VerifiedArchive>,
    /// What is damaged, at most 10,000 of them: segments by place, then files by archive.
    pub damage: Vec<Damage>,
    /// How much more damage there is.
    pub more_damage: u64,
}

impl Verification {
    /// True if everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    fn add(&mut self, damage: Damage) {
        if self.damage.len() < LISTED {
            self.damage.push(damage);
        } else {
            self.more_damage += 1;
        }
    }
}

/// What an archive still holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedArchive {
    /// As the manifest has it.
    pub name: String,
    /// Regular files, further names of the same file not counted.
    pub files: u64,
    /// Files of these that are whole.
    pub whole_files: u64,
    /// Bytes of content recorded.
    pub bytes: u64,
    /// Bytes of these that are lost.
    pub lost_bytes: u64,
    /// False if its own metadata is damaged: there may have been more files than were counted.
    pub is_readable: bool,
}

impl VerifiedArchive {
    /// True if all of it can be restored.
    pub fn is_whole(&self) -> bool {
        self.is_readable && self.whole_files == self.files
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Damage {
    /// An entry of a segment file. It may be one that is no longer in use.
    Segment {
        /// The number of the segment.
        segment: u32,
        /// Bytes from its start.
        offset: u64,
        /// The object that the entry is for, unless the damage hides it.
        id: Option<Id>,
        /// What is wrong.
        reason: String,
    },
    /// A file of an archive.
    File {
        /// The archive.
        archive: String,
        /// Which file and what of it.
        problem: Problem,
    },
    /// The description of an archive, or its list of items from some place on.
    Archive {
        /// The archive.
        archive: String,
        /// What was found.
        cause: Arc<Error>,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment { segment, offset, id: Some(id), reason } => {
                write!(f, "segment {segment}, byte {offset} (object {id}): {reason}")
            }
            Self::Segment { segment, offset, id: None, reason } => {
                write!(f, "segment {segment}, byte {offset}: {reason}")
            }
            Self::File { archive, problem } => write!(f, "{archive}: {problem}"),
            Self::Archive { archive, cause } => write!(f, "{archive}: {cause}"),
        }
    }
}

/// Verifies. See [`Repository::verify`].
pub(crate) fn repository(repository: &Repository, observer: &dyn Observer) -> Result<Verification, Error> {
    let mut found = Verification::default();
    let objects = if let Some(local) = repository.store().local() {
        segments::read(repository, local, observer, &mut found)?
    } else {
        found.is_remote = true;
        used::read(repository, observer, &mut found)?
    };
    archives::walk(repository, &objects, observer, &mut found)?;
    Ok(found)
}

/// As much of an id as tells it from all others that anyone can make.
type Short = [u8; 16];

fn short(id: &Id) -> Short {
    std::array::from_fn(|index| id.0[index])
}

/// What is known about objects: good ones with their size, bad ones with what is wrong.
struct Objects<'r> {
    repository: &'r Repository,
    /// Sorted.
    good: Vec<(Short, u32)>,
    bad: HashMap<Id, Arc<Error>>,
    /// What was looked at since.
    late: RwLock<HashMap<Id, Result<u32, Arc<Error>>>>,
}

impl Objects<'_> {
    /// Bytes of the object's content, or what is wrong with it.
    fn state(&self, id: &Id, chunks: &mut Chunks<'_>) -> Result<u32, Arc<Error>> {
        if let Some(cause) = self.bad.get(id) {
            return Err(Arc::clone(cause));
        }
        let wanted = short(id);
        let store = self.repository.store();
        if (store.local().is_none() || store.place(id).is_some())
            && let Ok(index) = self.good.binary_search_by(|(known, _)| known.cmp(&wanted))
        {
            return Ok(self.good[index].1);
        }
        if let Some(known) = self.late.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return known.clone();
        }
        let state = chunks.read(id, None).map(|content| content.len() as u32).map_err(Arc::new);
        self.late.write().unwrap_or_else(PoisonError::into_inner).insert(*id, state.clone());
        state
    }
}
