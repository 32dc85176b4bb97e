//! Objects by id, from the segment files of a local repository, every checksum verified.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::index::{Index, Place};
use crate::segment::{HEADER, Head, KEYED_HEADER, MAGIC, Segments, Tag};
use crate::{Error, Id};

/// Segment files kept open. Extraction reads in the order of segments, so few are needed at a time.
const OPEN_FILES: usize = 64;
/// Read at first where nothing is known about an object's size.
const FIRST_READ: usize = 128 * 1024;

/// The objects of the last committed transaction.
#[derive(Debug)]
pub(crate) struct Local {
    segments: Segments,
    index: Index,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

impl Local {
    pub fn open(repository: &Path, segments_per_dir: u32) -> Result<Self, Error> {
        let segments = Segments::new(repository, segments_per_dir);
        let index = Index::open(repository, &segments)?;
        Ok(Self { segments, index, open: Mutex::default() })
    }

    /// Where an object lies. Objects read in the order of their places are read fastest.
    pub fn place(&self, id: &Id) -> Option<Place> {
        self.index.get(id)
    }

    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Reads an object into `buffer` and returns the range that holds its data. `hint` is the expected size of the
    /// data in bytes; a good one saves a read, a wrong one is harmless.
    pub fn get(&self, id: &Id, hint: Option<u32>, buffer: &mut Vec<u8>) -> Result<Range<usize>, Error> {
        let place = self.index.get(id).ok_or(Error::ChunkMissing { id: *id })?;
        let damaged = |reason: &str| {
            Error::integrity(*id, format!("{reason} (segment {}, byte {})", place.segment, place.offset))
        };
        // An index that was not checked can point anywhere.
        if (place.offset as usize) < MAGIC.len() {
            return Err(damaged("the index is wrong"));
        }
        let file = match self.segment(place.segment) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("the segment is missing"));
            }
            Err(source) => return Err(Error::Read { path: self.segments.path(place.segment), source }),
        };
        let first =
            hint.map_or(FIRST_READ, |size| (size as usize).min(crate::segment::MAX_ENTRY) + KEYED_HEADER);
        let read = |buffer: &mut Vec<u8>, from: usize, to: usize| {
            if buffer.len() < to {
                buffer.resize(to, 0);
            }
            read_up_to(&file, &mut buffer[from..to], u64::from(place.offset) + from as u64)
                .map_err(Error::read(&self.segments.path(place.segment)))
        };
        let have = read(buffer, 0, first)?;
        let head: &[u8; HEADER] =
            buffer[..have].first_chunk().ok_or_else(|| damaged("the segment is cut off"))?;
        let head = Head::parse(head).map_err(damaged)?;
        if head.tag != Tag::Put {
            return Err(damaged("the index points at something else"));
        }
        if have < head.size {
            // No room is made for what is not there: the size may be anything up to the largest there can be.
            let end = u64::from(place.offset) + head.size as u64;
            let len = file.metadata().map_err(Error::read(&self.segments.path(place.segment)))?.len();
            if end > len || have + read(buffer, have, head.size)? < head.size {
                return Err(damaged("the segment is cut off"));
            }
        }
        let entry = &buffer[..head.size];
        if !head.verify(entry) {
            return Err(damaged("a checksum is wrong"));
        }
        if entry[HEADER..KEYED_HEADER] != id.0 {
            return Err(damaged("the index points at something else"));
        }
        Ok(KEYED_HEADER..head.size)
    }

    fn segment(&self, number: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.segments.path(number))?);
        if open.len() >= OPEN_FILES {
            // Segments are visited in ascending order, so the lowest is the least likely to be needed again.
            if let Some(lowest) = open.keys().min().copied() {
                open.remove(&lowest);
            }
        }
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

/// Reads until the buffer is full or the file ends; returns how much that was.
fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
