//! Borg's index file: an open-addressing hash table, used where it lies by mapping it into memory.
//!
//! 18 bytes of header (`BORG_IDX`, entries and buckets as i32, key and value size as one byte each, little-endian),
//! then buckets of 40 bytes: id, segment, offset. A segment of `0xffff_ffff` marks an empty bucket, where probing
//! ends, one of `0xffff_fffe` a deleted one. Borg 1.x, `_hashindex.c`.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::{Place, integrity};
use crate::{Error, Id};

pub(super) const HEADER: usize = 18;
const BUCKET: usize = 40;
const EMPTY: u32 = 0xffff_ffff;
const DELETED: u32 = 0xffff_fffe;

/// An index file that passed its checks.
#[derive(Debug)]
pub(super) struct IndexFile {
    map: Mmap,
    buckets: usize,
}

impl IndexFile {
    /// The file of transaction `number`; `None` if it is not usable, whether by its form or by its digests.
    pub fn open(repository: &Path, number: u32) -> Result<Option<Self>, Error> {
        let name = format!("index.{number}");
        let path = repository.join(&name);
        let file = File::open(&path).map_err(Error::read(&path))?;
        let map = map(&file).map_err(Error::read(&path))?;
        let Some(buckets) = check_header(&map) else { return Ok(None) };
        if !integrity::matches(repository, number, &name, &map)? {
            return Ok(None);
        }
        Ok(Some(Self { map, buckets }))
    }

    pub fn get(&self, id: &Id) -> Option<Place> {
        let [a, b, c, d, ..] = id.0;
        let first = u32::from_le_bytes([a, b, c, d]) as usize % self.buckets;
        // At most one turn: a table without an empty bucket must not keep us here.
        for number in (first..self.buckets).chain(0..first) {
            let bucket = &self.map[HEADER + number * BUCKET..][..BUCKET];
            let segment = le32(&bucket[32..36]);
            if segment == EMPTY {
                return None;
            }
            if segment != DELETED && bucket[..32] == id.0 {
                return Some(Place { segment, offset: le32(&bucket[36..40]) });
            }
        }
        None
    }
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// The number of buckets, if the header is one and the file has the size it implies.
fn check_header(map: &[u8]) -> Option<usize> {
    let header = map.get(..HEADER)?;
    let entries = le32(&header[8..12]) as usize;
    let buckets = le32(&header[12..16]) as usize;
    let sound = &header[..8] == b"BORG_IDX"
        && header[16..18] == [32, 8]
        && buckets > 0
        && entries <= buckets
        && map.len() == HEADER + buckets * BUCKET;
    sound.then_some(buckets)
}

#[expect(
    unsafe_code,
    reason = "an index can be hundreds of megabytes; Borg never changes one in place, it writes a new file and \
              removes the old one, so the mapping neither changes nor shrinks"
)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: see the reason above. Content is checked on every access and never assumed to be sound.
    unsafe { Mmap::map(file) }
}
