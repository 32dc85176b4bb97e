//! From the repository into the cache.

use std::sync::{Arc, Mutex, PoisonError};

use reprise_borg::{Buffers, Chunk, Error, Id, Repository};

use crate::cache::{ChunkCache, Content, Loading, Look};

/// Buffers kept for later: as many as are in use most of the time.
const KEPT: usize = 2;

/// Decodes chunks.
#[derive(Debug)]
pub struct Decoder {
    repository: Arc<Repository>,
    cache: ChunkCache,
    buffers: Mutex<Vec<Buffers>>,
}

impl Decoder {
    /// From `repository` into `cache`.
    pub fn new(repository: Arc<Repository>, cache: ChunkCache) -> Self {
        Self { repository, cache, buffers: Mutex::default() }
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
        let (mut loading, mut decoded) = (Some(loading), None);
        self.read(&[*chunk], |_, content| {
            decoded = loading.take().map(|loading| content.map(|content| loading.done(content)));
        });
        decoded.unwrap_or(Err(Error::ChunkMissing { id: chunk.id }))
    }

    /// Decodes chunks that somebody may want, as far as nobody has. What cannot be read is told to who wants it.
    pub fn prepare(&self, chunks: &[Chunk]) {
        let mut claimed = Vec::with_capacity(chunks.len());
        let mut wanted = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            if let Some(loading) = self.cache.claim(&chunk.id) {
                claimed.push(Some(loading));
                wanted.push(*chunk);
            }
        }
        self.read(&wanted, |number, content| {
            // Dropped, it is free for whoever wants it, and finds out.
            if let (Some(loading), Ok(content)) = (claimed[number].take(), content) {
                loading.done(content);
            }
        });
    }

    fn read(&self, chunks: &[Chunk], take: impl FnMut(usize, Result<&[u8], Error>)) {
        let kept = || self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = kept().pop().unwrap_or_default();
        self.repository.read_chunks(chunks, &mut buffers, take);
        let mut kept = kept();
        if kept.len() < KEPT {
            kept.push(buffers);
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
