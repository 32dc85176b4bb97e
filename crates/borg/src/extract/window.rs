//! What is to be read next, gathered until it is worth sorting.
//!
//! Within a window each chunk is decoded once, however many files want it, and chunks are read in the order in which they
//! lie on disk. A window is bounded, so files are finished, and memory stays small, however large the archive.

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::pool::{Places, Task};
use crate::Id;
use crate::item::Chunk;
use crate::store::Store;

/// Bytes of content in a window.
const BYTES: u64 = 64 << 20;
/// Chunks in a window, which matters where they are tiny.
const CHUNKS: usize = 4096;
/// Files in a window that consist of several chunks: as many can be open at a time.
const OPEN_FILES: usize = 192;
/// What a worker takes at a time: little, so that all have something to do until the end.
const BATCH_BYTES: u64 = 4 << 20;
const BATCH_TASKS: usize = 32;

/// Gathers work and hands it out sorted.
pub(super) struct Window<'a, F> {
    store: &'a Store,
    tasks: &'a Sender<Vec<Task<F>>>,
    /// With the order in which they were first wanted.
    chunks: HashMap<Id, (Chunk, Places<F>, usize)>,
    empty: Vec<Arc<F>>,
    bytes: u64,
    open_files: usize,
}

impl<'a, F> Window<'a, F> {
    pub fn new(store: &'a Store, tasks: &'a Sender<Vec<Task<F>>>) -> Self {
        Self { store, tasks, chunks: HashMap::new(), empty: Vec::new(), bytes: 0, open_files: 0 }
    }

    /// Adds a file made of these chunks.
    pub fn add(&mut self, file: &Arc<F>, chunks: &[Chunk]) {
        if chunks.is_empty() {
            self.empty.push(Arc::clone(file));
            if self.empty.len() >= BATCH_TASKS {
                self.flush_empty();
            }
            return;
        }
        if chunks.len() > 1 {
            self.open_files += 1;
        }
        let mut offset = 0;
        for chunk in chunks {
            let place = (Arc::clone(file), offset);
            let order = self.chunks.len();
            let (known, places, _) =
                self.chunks.entry(chunk.id).or_insert_with(|| (*chunk, Vec::new(), order));
            if known.size == chunk.size {
                places.push(place);
            } else {
                // One of the two sizes is a lie; each is found out on its own.
                self.send(vec![Task::Chunk(*chunk, vec![place])]);
            }
            offset += u64::from(chunk.size);
            self.bytes += u64::from(chunk.size);
            if self.bytes >= BYTES || self.chunks.len() >= CHUNKS {
                self.flush();
            }
        }
        if self.open_files >= OPEN_FILES {
            self.flush();
        }
    }

    /// Hands out all that was gathered.
    pub fn flush(&mut self) {
        let store = self.store;
        let mut chunks: Vec<_> = self
            .chunks
            .drain()
            .map(|(id, (chunk, places, order))| ((store.place(&id), order), (chunk, places)))
            .collect();
        chunks.sort_unstable_by_key(|(order, _)| *order);
        store.expect(chunks.iter().map(|(_, (chunk, _))| (chunk.id, chunk.stored)));
        self.flush_empty();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (_, (chunk, places)) in chunks {
            bytes += u64::from(chunk.size);
            batch.push(Task::Chunk(chunk, places));
            if bytes >= BATCH_BYTES || batch.len() >= BATCH_TASKS {
                self.send(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.send(batch);
        }
        self.bytes = 0;
        self.open_files = 0;
    }

    fn flush_empty(&mut self) {
        if !self.empty.is_empty() {
            let files = std::mem::take(&mut self.empty);
            self.send(vec![Task::WithoutChunks(files)]);
        }
    }

    fn send(&self, batch: Vec<Task<F>>) {
        // Fails only once all workers are gone, which they are only when this window is no longer needed.
        drop(self.tasks.send(batch));
    }
}
