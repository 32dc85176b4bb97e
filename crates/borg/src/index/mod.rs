//! Where each object lies: its segment and offset.
//!
//! Borg keeps an index file per transaction. It may be missing, stale (a crash between commit and index), newer
//! than the last commit (a crash before the commit) or corrupt. Borg then writes a repaired one; here what the file lacks is
//! replayed from the segments into memory, and the file stays as it is.

pub(crate) mod file;
pub(crate) mod integrity;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::segment::{Segments, Tag};
use crate::{Error, Id};

use file::IndexFile;

/// Where an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub segment: u32,
    /// Of its PUT entry, in bytes from the start of the segment.
    pub offset: u32,
}

/// All objects of the last committed transaction.
#[derive(Debug)]
pub(crate) struct Index {
    file: Option<IndexFile>,
    /// What the segments say beyond the file; `None` where an object was deleted.
    changes: HashMap<Id, Option<Place>>,
}

impl Index {
    /// The index of the last committed transaction, from its file as far as that is usable.
    pub fn open(repository: &Path, segments: &Segments) -> Result<Self, Error> {
        let newest = newest_file(repository)?;
        let Some(transaction) = segments.last_transaction()? else {
            if newest.is_some() {
                return Err(Error::Manifest {
                    reason: "there is an index, but no segment ends with a commit".into(),
                });
            }
            return Ok(Self { file: None, changes: HashMap::new() });
        };
        // An index newer than the last commit describes a transaction that was lost.
        let usable = newest.filter(|number| *number <= transaction);
        let (file, after) = match usable {
            Some(number) => match IndexFile::open(repository, number)? {
                Some(file) => (Some(file), Some(number)),
                None => (None, None),
            },
            None => (None, None),
        };
        let mut index = Self { file, changes: HashMap::new() };
        if after != Some(transaction) {
            index.replay(segments, after, transaction)?;
        }
        Ok(index)
    }

    /// Applies the segments after `after` (or all) up to `last`.
    fn replay(&mut self, segments: &Segments, after: Option<u32>, last: u32) -> Result<(), Error> {
        let changes = &mut self.changes;
        let wanted = |segment: &u32| after.is_none_or(|after| *segment > after) && *segment <= last;
        for segment in segments.list()?.into_iter().filter(wanted) {
            segments.scan(segment, |tag, id, offset| match tag {
                Tag::Put => drop(changes.insert(id, Some(Place { segment, offset }))),
                Tag::Delete => drop(changes.insert(id, None)),
                Tag::Commit => {}
            })?;
        }
        Ok(())
    }

    /// Where an object lies, if the repository holds it.
    pub fn get(&self, id: &Id) -> Option<Place> {
        match self.changes.get(id) {
            Some(change) => *change,
            None => self.file.as_ref()?.get(id),
        }
    }
}

/// The number of the newest index file that is not empty.
fn newest_file(repository: &Path) -> Result<Option<u32>, Error> {
    let mut newest = None;
    for entry in fs::read_dir(repository).map_err(Error::read(repository))? {
        let entry = entry.map_err(Error::read(repository))?;
        let name = entry.file_name();
        let Some(number) = name
            .to_str()
            .and_then(|name| name.strip_prefix("index."))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u32>().ok())
        else {
            continue;
        };
        if entry.metadata().is_ok_and(|data| data.len() > 0) {
            newest = newest.max(Some(number));
        }
    }
    Ok(newest)
}
