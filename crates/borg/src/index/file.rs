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

pub(crate) const HEADER: usize = 18;
pub(crate) const BUCKET: usize = 40;
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
        lookup(&self.map, self.buckets, id)
    }
}

/// Where the table, which has so many buckets, says that an object lies.
pub(crate) fn lookup(table: &[u8], buckets: usize, id: &Id) -> Option<Place> {
    let [a, b, c, d, ..] = id.0;
    let first = u32::from_le_bytes([a, b, c, d]) as usize % buckets;
    // At most one turn: a table without an empty bucket must not keep us here.
    for number in (first..buckets).chain(0..first) {
        let bucket = &table[HEADER + number * BUCKET..][..BUCKET];
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

fn le32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// The number of buckets, if the header is one and the file has the size it implies.
pub(crate) fn check_header(map: &[u8]) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with these buckets as they stand.
    fn table(buckets: &[(u8, u32)]) -> Vec<u8> {
        let mut table = b"BORG_IDX".to_vec();
        table.extend((buckets.len() as u32).to_le_bytes());
        table.extend((buckets.len() as u32).to_le_bytes());
        table.extend([32, 8]);
        for (id, segment) in buckets {
            table.extend([*id; 32]);
            table.extend(segment.to_le_bytes());
            table.extend(8_u32.to_le_bytes());
        }
        table
    }

    fn find(table: &[u8], id: u8) -> Option<u32> {
        let buckets = check_header(table).unwrap();
        lookup(table, buckets, &Id([id; 32])).map(|place| place.segment)
    }

    #[test]
    fn looking_goes_past_deleted_buckets_and_round_the_end() {
        // All of them begin at the last bucket but one.
        let start = |id: u8| u32::from_le_bytes([id; 4]) % 5;
        let at_3: Vec<u8> = (1..=255).filter(|id| start(*id) == 3).take(4).collect();
        let [a, b, c, d] = at_3[..] else { panic!() };
        let buckets = [(b, 7), (0, EMPTY), (c, 9), (a, DELETED), (d, 5)];
        let table = table(&buckets);
        assert_eq!(find(&table, d), Some(5), "after a deleted one");
        assert_eq!(find(&table, b), Some(7), "round the end");
        assert_eq!(find(&table, a), None, "deleted");
        assert_eq!(find(&table, c), None, "behind an empty one, where none can have been put");
    }

    #[test]
    fn a_table_without_an_empty_bucket_is_searched_once() {
        for buckets in [&[(1, DELETED), (2, DELETED), (3, DELETED)][..], &[(1, 1), (2, 2), (3, 3)]] {
            assert_eq!(find(&table(buckets), 99), None);
        }
    }

    #[test]
    fn a_header_that_does_not_fit_its_file_is_none() {
        let sound = table(&[(1, 1), (2, 2)]);
        assert!(check_header(&sound).is_some());
        for at in (0..8).chain([12, 16, 17]) {
            let mut damaged = sound.clone();
            damaged[at] ^= 4;
            assert_eq!(check_header(&damaged), None, "byte {at}");
        }
        assert_eq!(check_header(&sound[..sound.len() - 1]), None);
        let none = [b"BORG_IDX", &[0; 8][..], &[32, 8]].concat();
        assert_eq!(check_header(&none), None, "no buckets at all");
    }
}
