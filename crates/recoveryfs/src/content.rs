//! Ranges of files, through the cache. Knows nothing of FUSE.
//!
//! Who reads a file from one end to the other finds the next chunks decoded. Threads of low standing do that: what
//! somebody waits for is never behind what somebody may want.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use reprise_borg::{Chunk, Error, Item, Repository};

use crate::cache::{ChunkCache, Content};

/// Chunks decoded ahead of who reads on.
const AHEAD: usize = 3;
/// Threads that decode ahead.
const THREADS: usize = 2;
/// The kernel asks from several threads, so that requests come a little out of order.
const SLACK: u64 = 2 << 20;

/// A file that somebody has open.
#[derive(Debug)]
pub struct OpenFile {
    chunks: Vec<Chunk>,
    /// Where each chunk begins, and at last where the file ends.
    starts: Vec<u64>,
    /// Where the last read ended.
    position: AtomicU64,
}

impl OpenFile {
    /// The content of an item.
    pub fn new(item: Item) -> Self {
        let chunks = item.chunks.unwrap_or_default();
        let mut end = 0_u64;
        let mut starts = Vec::with_capacity(chunks.len() + 1);
        starts.push(0);
        for chunk in &chunks {
            end = end.saturating_add(u64::from(chunk.size));
            starts.push(end);
        }
        Self { chunks, starts, position: AtomicU64::new(0) }
    }

    /// The number of the chunk that holds the byte at `offset`, or that of chunks beyond the end.
    fn chunk_at(&self, offset: u64) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }
}

/// Reads files.
#[derive(Debug)]
pub struct Reader {
    inner: Arc<Inner>,
    /// Chunks that may soon be wanted; `None` once it ends.
    guesses: Option<Sender<Chunk>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.guesses = None;
        // Only with the last of them the repository is closed and its lock given back.
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

#[derive(Debug)]
struct Inner {
    repository: Arc<Repository>,
    cache: ChunkCache,
    /// Chunks that somebody waits for being decoded.
    demand: AtomicUsize,
}

impl Inner {
    fn chunk(&self, chunk: &Chunk) -> Result<Content, Error> {
        let content = self.cache.get(&chunk.id, || self.repository.read_chunk(chunk))?;
        // Another file may have asked for it under another size, one of which is a lie.
        if content.len() == chunk.size as usize {
            return Ok(content);
        }
        let reason = "its size is not the one recorded".to_owned();
        Err(Error::Integrity { id: chunk.id, reason })
    }
}

impl Reader {
    /// Reads from `repository` through `cache`.
    pub fn new(repository: Arc<Repository>, cache: ChunkCache) -> Self {
        let inner = Arc::new(Inner { repository, cache, demand: AtomicUsize::new(0) });
        let (guesses, queue) = bounded::<Chunk>(AHEAD * 2);
        let threads = (0..THREADS).map(|_| {
            let (inner, queue) = (Arc::clone(&inner), queue.clone());
            thread::spawn(move || decode_ahead(&inner, &queue))
        });
        Self { threads: threads.collect(), inner, guesses: Some(guesses) }
    }

    /// The repository read from.
    pub fn repository(&self) -> &Repository {
        &self.inner.repository
    }

    /// At most `length` bytes from `offset` on; less only where the file ends.
    pub fn read(&self, file: &OpenFile, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let size = file.starts.last().copied().unwrap_or_default();
        let end = offset.saturating_add(length as u64).min(size);
        let mut read = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut index = file.chunk_at(offset);
        let first = index;
        while index < file.chunks.len() && file.starts[index] < end {
            self.inner.demand.fetch_add(1, Ordering::Relaxed);
            let content = self.inner.chunk(&file.chunks[index]);
            self.inner.demand.fetch_sub(1, Ordering::Relaxed);
            let start = file.starts[index];
            let (from, to) = (offset.max(start) - start, end.min(file.starts[index + 1]) - start);
            read.extend_from_slice(&content?[from as usize..to as usize]);
            index += 1;
        }
        let before = file.position.swap(end, Ordering::Relaxed);
        let goes_on = offset <= before + SLACK && before <= offset + SLACK;
        if goes_on && (offset > 0 || first > 0 || end < size) {
            self.guess(file, index);
        }
        Ok(read)
    }

    /// Has the chunks from `index` on decoded, as far as that is no burden.
    fn guess(&self, file: &OpenFile, index: usize) {
        let Some(guesses) = &self.guesses else { return };
        for chunk in file.chunks.iter().skip(index).take(AHEAD) {
            if !self.inner.cache.has(&chunk.id) && guesses.try_send(*chunk).is_err() {
                return;
            }
        }
    }
}

fn decode_ahead(inner: &Inner, queue: &Receiver<Chunk>) {
    for chunk in queue {
        // What is not decoded ahead will be when it is wanted.
        if inner.demand.load(Ordering::Relaxed) < THREADS && !inner.cache.has(&chunk.id) {
            drop(inner.chunk(&chunk));
        }
    }
}
