//! Pieces that are there, of one file or of several, compared together: hashes made side by side take much less time.

use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Update;
use super::candidate::{Candidate, Piece};
use crate::crypto::{Lanes, Message, matches};

/// Bytes that are read of a piece at a time: so few that they are still in the processor's cache when they are hashed.
const STRETCH: usize = 128 << 10;

/// What a thread compares at the same time. The files are open meanwhile.
pub(super) struct Together<'u, 'a> {
    pub update: &'u Update<'a>,
    lanes: Lanes<Reading>,
}

/// A piece of a file that is being read from what is there.
struct Reading {
    file: Arc<Candidate>,
    /// Its number in the file.
    index: usize,
    /// Bytes of it that were read, the part in memory included.
    read: usize,
    memory: Vec<u8>,
    /// Bytes in memory.
    part: usize,
}

impl AsRef<[u8]> for Reading {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.part]
    }
}

impl Message for Reading {
    fn next_part(&mut self) -> bool {
        let Piece { chunk, offset, .. } = &self.file.pieces[self.index];
        let part = STRETCH.min(chunk.size as usize - self.read);
        let at = offset + self.read as u64;
        let Some(old) = self.file.opened().filter(|_| part > 0) else { return false };
        debug_assert!(self.read.is_multiple_of(STRETCH), "a part after one that was not whole");
        // What cannot be read ends it too soon.
        let is_read = old.file.read_exact_at(&mut self.memory[..part], at).is_ok();
        if is_read {
            self.read += part;
            self.part = part;
        }
        is_read
    }
}

impl<'u, 'a> Together<'u, 'a> {
    pub fn new(update: &'u Update<'a>) -> Self {
        Self { update, lanes: Lanes::of(update.shared.repository.key().id()) }
    }

    /// Takes a piece of a file from what is there; one that cannot be read is not there.
    pub fn read(&mut self, file: &Arc<Candidate>, index: usize) {
        if !self.lanes.has_room() {
            self.compare_one();
        }
        let buffer = self.update.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = buffer.unwrap_or_else(|| vec![0; STRETCH]);
        file.one_more();
        let reading = Reading { file: Arc::clone(file), index, read: 0, memory, part: 0 };
        self.lanes.begin(self.update.shared.repository.key().id(), reading);
    }

    /// Compares what is left.
    pub fn finish(mut self) {
        while !self.lanes.is_empty() && !self.update.shared.stopped() {
            self.compare_one();
        }
    }

    fn compare_one(&mut self) {
        let Some((Reading { file, index, read, memory, .. }, hash)) = self.lanes.end_one() else { return };
        self.update.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        let run = &self.update.shared.run;
        if run.stopped() {
            return;
        }
        let Piece { chunk, is_there, .. } = &file.pieces[index];
        if read == chunk.size as usize && matches(&chunk.id, &hash).is_ok() {
            is_there.store(true, Ordering::Release);
            run.observer.advance(u64::from(chunk.size), 0);
        }
        file.compared(self.update);
    }
}
