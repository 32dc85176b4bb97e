//! Pieces that are there, of one file or of several, compared together: hashes made side by side take much less time.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Update;
use super::candidate::{Candidate, Piece};
use crate::repository::TOGETHER_BYTES;

/// Bytes that are read before they are hashed, less where many processors share; a piece that is larger goes alone.
const BYTES: usize = 8 << 20;
/// Pieces likewise. The files they belong to are open meanwhile.
const PIECES: usize = 16;

/// What a thread has read and not compared yet.
pub(super) struct Together<'u, 'a> {
    pub update: &'u Update<'a>,
    buffer: Vec<u8>,
    /// Pieces, by the numbers they have in their files, and where in the buffer they are.
    read: Vec<(Arc<Candidate>, usize, Range<usize>)>,
    /// Files a part of which ends here.
    ended: Vec<Arc<Candidate>>,
}

impl<'u, 'a> Together<'u, 'a> {
    pub fn new(update: &'u Update<'a>) -> Self {
        let buffer = update.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Self { update, buffer, read: Vec::new(), ended: Vec::new() }
    }

    /// Takes a piece of a file from what is there; one that cannot be read is not there.
    pub fn read(&mut self, file: &Arc<Candidate>, index: usize, old: &File) {
        let Piece { chunk, offset, .. } = &file.pieces[index];
        let length = chunk.size as usize;
        if self.filled() + length > BYTES.min(*TOGETHER_BYTES) || self.read.len() >= PIECES {
            self.compare();
        }
        let range = self.filled()..self.filled() + length;
        if self.buffer.len() < range.end {
            self.buffer.resize(range.end, 0);
        }
        if old.read_exact_at(&mut self.buffer[range.clone()], *offset).is_ok() {
            self.read.push((Arc::clone(file), index, range));
        }
    }

    /// All of a part of this file was taken.
    pub fn ended(&mut self, file: &Arc<Candidate>) {
        self.ended.push(Arc::clone(file));
    }

    /// Compares what is left.
    pub fn finish(mut self) {
        self.compare();
        if self.buffer.len() <= BYTES {
            self.update.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(self.buffer);
        }
    }

    fn filled(&self) -> usize {
        self.read.last().map_or(0, |(_, _, range)| range.end)
    }

    fn compare(&mut self) {
        let run = &self.update.shared.run;
        if run.stopped() {
            return;
        }
        let named = |(file, index, range): &(Arc<Candidate>, usize, Range<usize>)| {
            (file.pieces[*index].chunk.id, &self.buffer[range.clone()])
        };
        let there: Vec<_> = self.read.iter().map(named).collect();
        let checked = run.repository.key().check_ids(&there);
        for ((file, index, range), checked) in self.read.drain(..).zip(checked) {
            if checked.is_ok() {
                file.pieces[index].is_there.store(true, Ordering::Release);
                run.observer.advance(range.len() as u64, 0);
            }
        }
        for file in self.ended.drain(..) {
            file.compared(self.update);
        }
    }
}
