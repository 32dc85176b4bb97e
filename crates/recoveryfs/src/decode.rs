//! From the repository into the cache.

use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use reprise_borg::{Buffers, Chunk, Error, Id, Repository};

use crate::cache::{ChunkCache, Content, Loading, Look};

/// How many processors there are.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// How many threads decode what nobody waits for yet.
pub fn threads_ahead() -> usize {
    processors().clamp(2, 4)
}

/// Buffers in use, given back when dropped.
#[derive(Debug)]
struct Borrowed<'d> {
    decoder: &'d Decoder,
    buffers: Buffers,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut free = self.decoder.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(std::mem::take(&mut self.buffers));
        self.decoder.returned.notify_one();
    }
}

/// Decodes chunks.
#[derive(Debug)]
pub struct Decoder {
    repository: Arc<Repository>,
    cache: ChunkCache,
    /// Each takes several large chunks, so there are few: the one used last is used next.
    buffers: Mutex<Vec<Buffers>>,
    returned: Condvar,
}

impl Decoder {
    /// From `repository` into `cache`.
    pub fn new(repository: Arc<Repository>, cache: ChunkCache) -> Self {
        // One for each that decodes ahead, which may take long, and for each that answers. What is not used takes no memory.
        let count = threads_ahead() + crate::THREADS;
        let buffers = Mutex::new((0..count).map(|_| Buffers::default()).collect());
        Self { repository, cache, buffers, returned: Condvar::new() }
    }

    /// Where chunks come from.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Where they go.
    pub fn cache(&self) -> &ChunkCache {
        &self.cache
    }

    /// Decodes a chunk that somebody waits for.
    pub fn decode(&self, chunk: &Chunk, loading: Loading<'_>) -> Result<Content, Error> {
        let (mut wanted, mut decoded) = (Some((loading, *chunk)), None);
        self.read(
            || wanted.take(),
            |loading, content| decoded = Some(content.map(|content| loading.done(content))),
        );
        decoded.unwrap_or(Err(Error::ChunkMissing { id: chunk.id }))
    }

    /// Decodes chunks that somebody may want, as far as nobody has, until `next` gives none. What cannot be read is told to
    /// who wants it.
    pub fn prepare(&self, mut next: impl FnMut() -> Option<Chunk>) {
        let claim = || {
            loop {
                let chunk = next()?;
                if let Some(loading) = self.cache.claim(&chunk.id) {
                    return Some((loading, chunk));
                }
            }
        };
        self.read(claim, |loading, content| {
            // Dropped, it is free for whoever wants it, and finds out.
            if let Ok(content) = content {
                loading.done(content);
            }
        });
    }

    fn read<'c>(
        &self,
        mut next: impl FnMut() -> Option<(Loading<'c>, Chunk)>,
        take: impl FnMut(Loading<'c>, Result<&[u8], Error>),
    ) {
        // What has come over a network is not held back by what has still to come.
        let one_by_one = !self.repository.is_local();
        let next = |idle: bool| if one_by_one && !idle { None } else { next() };
        self.repository.read_chunks(next, &mut self.borrow().buffers, take);
    }

    fn borrow(&self) -> Borrowed<'_> {
        let mut free = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match free.pop() {
                Some(buffers) => return Borrowed { decoder: self, buffers },
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A chunk of metadata.
    pub fn metadata(&self, id: &Id) -> Result<Content, Error> {
        match self.cache.look(id) {
            Look::Here(content) | Look::Came(content) => Ok(content),
            Look::Ours(loading) => Ok(loading.done(&self.repository.read_metadata(id)?)),
        }
    }
}
