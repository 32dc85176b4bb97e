//! The first pass: every entry of every segment.
//!
//! One thread reads the files in order and cuts them into entries; the others check these.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};
use reprise_model::Observer;

use super::{Damage, LISTED, Objects, Short, Verification, short};
use crate::index::Place;
use crate::processors::processors;
use crate::repository::{Chunks, Repository, Sealed, TOGETHER_BYTES};
use crate::segment::{Cut, HEADER, Head, KEYED_HEADER, Segments, Tag};
use crate::store::Local;
use crate::{Error, Id};

/// What a worker takes at a time, unless it is many bytes.
const BATCH_ENTRIES: usize = 1024;

/// Entries, as they were read.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    /// All of theirs, one after the other.
    bytes: Vec<u8>,
}

struct Entry {
    segment: u32,
    offset: u64,
    head: Head,
}

/// What the workers found.
#[derive(Default)]
pub(super) struct Found {
    good: Vec<(Short, u32)>,
    bad: HashMap<Id, Arc<Error>>,
    damage: Vec<Damage>,
    /// What each worker found beyond what is listed.
    more_damage: u64,
    entries: u64,
    objects: u64,
}

/// Where a segment stops making sense, and where its last entry before that begins.
struct Break {
    segment: u32,
    offset: u64,
    last: Option<u64>,
    reason: String,
}

/// Reads all segments of the last committed transaction.
pub(super) fn read<'r>(
    repository: &'r Repository,
    local: &Local,
    observer: &dyn Observer,
    verification: &mut Verification,
) -> Result<Objects<'r>, Error> {
    let found = Mutex::new(Found::default());
    let threads = processors();
    let breaks = std::thread::scope(|scope| {
        let (batches, queue) = crossbeam_channel::bounded::<Batch>(threads);
        let (used, room) = crossbeam_channel::unbounded::<Vec<u8>>();
        for _ in 0..threads {
            let (queue, used, found) = (queue.clone(), used.clone(), &found);
            scope.spawn(move || check(repository, local, &queue, &used, found));
        }
        // Taken along, so that it ends with this function and the workers with it.
        let batches = batches;
        cut(local.segments(), observer, &batches, &room, verification)
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for Break { segment, offset, last, reason } in breaks {
        // If the entry before is damaged as well, what comes after it was looked for in the wrong place.
        let explained = found.damage.iter().any(
            |damage| matches!(damage, Damage::Segment { segment: s, offset: o, .. } if *s == segment && Some(*o) == last),
        );
        if !explained {
            found.damage.push(Damage::Segment { segment, offset, id: None, reason });
        }
    }
    found.damage.sort_by_key(|damage| match damage {
        Damage::Segment { segment, offset, .. } => (*segment, *offset),
        Damage::File { .. } | Damage::Archive { .. } => (u32::MAX, 0),
    });
    Ok(found.into_objects(repository, verification))
}

/// Cuts the segments into entries and hands these to the workers, in what comes back from them as `room`: new memory for
/// each would cost as much as checking its sum.
fn cut(
    segments: &Segments,
    observer: &dyn Observer,
    batches: &Sender<Batch>,
    room: &Receiver<Vec<u8>>,
    verification: &mut Verification,
) -> Result<Vec<Break>, Error> {
    let last = segments.last_transaction()?;
    let mut breaks = Vec::new();
    // What follows the last transaction was never finished and is nobody's.
    let (segments_in_use, unfinished): (Vec<u32>, Vec<u32>) =
        segments.list()?.into_iter().partition(|segment| Some(*segment) <= last);
    verification.unfinished_segments = unfinished.len() as u64;
    for segment in segments_in_use {
        let (mut entries, mut previous) = (Vec::new(), None);
        let mut cancelled = false;
        let more = || room.try_recv().unwrap_or_default();
        let mut bytes = more();
        let end = segments.cut(segment, &mut bytes, |offset, head, bytes| {
            previous = Some(offset);
            observer.advance(head.size as u64, 0);
            entries.push(Entry { segment, offset, head });
            if bytes.len() >= *TOGETHER_BYTES || entries.len() >= BATCH_ENTRIES {
                let (entries, bytes) = (std::mem::take(&mut entries), std::mem::replace(bytes, more()));
                drop(batches.send(Batch { entries, bytes }));
            }
            cancelled = observer.cancelled();
            if cancelled { Cut::Stop } else { Cut::Next }
        });
        drop(batches.send(Batch { entries, bytes }));
        if cancelled || observer.cancelled() {
            return Err(Error::Cancelled);
        }
        match end {
            Ok(()) => {}
            Err(Error::Segment { segment, offset, reason }) => {
                breaks.push(Break { segment, offset, last: previous, reason });
            }
            Err(other) => return Err(other),
        }
        verification.segments += 1;
        verification.bytes += segments.size(segment)?;
    }
    Ok(breaks)
}

/// What a worker does: all entries it can get.
fn check(
    repository: &Repository,
    local: &Local,
    queue: &Receiver<Batch>,
    used: &Sender<Vec<u8>>,
    found: &Mutex<Found>,
) {
    let mut own = Found::default();
    let mut chunks = repository.chunks();
    for mut batch in queue {
        own.entries(local, &mut chunks, &mut batch);
        batch.bytes.clear();
        // Nobody wants it any more once all is cut.
        drop(used.send(batch.bytes));
    }
    found.lock().unwrap_or_else(PoisonError::into_inner).merge(own);
}

impl Found {
    /// Takes in what another worker found.
    pub fn merge(&mut self, mut other: Self) {
        self.good.append(&mut other.good);
        self.bad.extend(other.bad);
        self.damage.append(&mut other.damage);
        self.more_damage += other.more_damage;
        self.entries += other.entries;
        self.objects += other.objects;
    }

    /// An object is what was stored, and has so many bytes of content.
    pub fn sound(&mut self, id: &Id, size: usize) {
        self.good.push((short(id), size as u32));
        self.objects += 1;
    }

    /// An object is not what was stored.
    pub fn broken(&mut self, id: Id, error: Error) {
        self.bad.insert(id, Arc::new(error));
    }

    /// What the second pass needs; the rest goes into the report.
    pub fn into_objects<'r>(
        mut self,
        repository: &'r Repository,
        verification: &mut Verification,
    ) -> Objects<'r> {
        self.damage.into_iter().for_each(|damage| verification.add(damage));
        verification.more_damage += self.more_damage;
        verification.entries = self.entries;
        verification.objects = self.objects;
        self.good.sort_unstable();
        Objects { repository, good: self.good, bad: self.bad, late: std::sync::RwLock::default() }
    }

    fn entries(&mut self, local: &Local, chunks: &mut Chunks<'_>, batch: &mut Batch) {
        let mut sealed = Vec::new();
        let mut rest = batch.bytes.as_mut_slice();
        for entry in &batch.entries {
            // Behind a break there is the beginning of an entry that never came whole.
            let Some((bytes, behind)) = rest.split_at_mut_checked(entry.head.size) else { break };
            rest = behind;
            if let Some(id) = self.object(local, entry, bytes) {
                let tag = (id, entry.segment, entry.offset);
                sealed.push(Sealed { tag, id, size: None, data: Ok(&mut bytes[KEYED_HEADER..]) });
            }
        }
        chunks.open_each(sealed, |(id, segment, offset), content| match content {
            Ok(content) => self.sound(&id, content.len()),
            Err(error) => {
                let reason = match &error {
                    Error::Integrity { reason, .. } => reason.clone(),
                    other => other.to_string(),
                };
                self.damaged(segment, offset, Some(id), reason);
                self.broken(id, error);
            }
        });
    }

    fn damaged(&mut self, segment: u32, offset: u64, id: Option<Id>, reason: String) {
        if self.damage.len() < LISTED {
            self.damage.push(Damage::Segment { segment, offset, id, reason });
        } else {
            self.more_damage += 1;
        }
    }

    /// Checks an entry; the object in it if there is one in use, still to be opened.
    fn object(&mut self, local: &Local, entry: &Entry, bytes: &[u8]) -> Option<Id> {
        let Entry { segment, offset, head } = entry;
        let id = bytes.get(HEADER..KEYED_HEADER).and_then(Id::from_slice);
        let place = u32::try_from(*offset).ok().map(|offset| Place { segment: *segment, offset });
        // Others are no longer in use, or the damage is in the id itself.
        let live = id.filter(|id| place.is_some() && local.place(id) == place);
        if !head.verify(bytes) {
            let reason = "a checksum is wrong";
            self.damaged(*segment, *offset, live, reason.into());
            if let Some(id) = live {
                let reason = format!("{reason} (segment {segment}, byte {offset})");
                self.broken(id, Error::integrity(id, reason));
            }
            return None;
        }
        self.entries += 1;
        let id = live.filter(|_| head.tag == Tag::Put)?;
        if id == Id::MANIFEST {
            // It was authenticated when the repository was opened, and its id is no hash.
            self.objects += 1;
            return None;
        }
        Some(id)
    }
}
