//! From id to content: read, verify, decrypt, decompress, verify the id.
//!
//! Most of that is hashing, and hashes of several chunks are made in much less time side by side. So whoever wants many
//! asks for them together.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use super::Repository;
use super::opening::{Data, Opening, Sealed, Spare};
use crate::compression::Decompressor;
use crate::crypto::Key;
use crate::item::Chunk;
use crate::manifest::Manifest;
use crate::processors::processors;
use crate::{Error, Id};

/// Bytes of content that a thread has in hand, about: enough to hash side by side, and on a machine with many processors no
/// more than its share of 128 MiB.
pub(crate) static TOGETHER_BYTES: LazyLock<usize> =
    LazyLock::new(|| ((128 << 20) / processors()).clamp(4 << 20, 16 << 20));

/// An object with what stands around it.
struct Entry {
    memory: Vec<u8>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Entry {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }
}

impl AsMut<[u8]> for Entry {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.range.clone()]
    }
}

impl Data for Entry {
    fn into_memory(self) -> Vec<u8> {
        self.memory
    }
}

/// Reads chunks one after the other or several together, using its memory again. One per thread.
pub(crate) struct Chunks<'r> {
    repository: &'r Repository,
    buffers: Buffers,
}

/// What reading chunks takes beside what comes of it: kept for the next ones, it saves time.
#[derive(Default)]
pub struct Buffers {
    decompressor: Decompressor,
    spare: Spare,
    /// Of the chunk that was read last.
    sealed: Vec<u8>,
    content: Vec<u8>,
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

impl<'r> Chunks<'r> {
    pub fn new(repository: &'r Repository) -> Self {
        Self::with(repository, Buffers::default())
    }

    pub fn with(repository: &'r Repository, buffers: Buffers) -> Self {
        Self { repository, buffers }
    }

    pub fn into_buffers(self) -> Buffers {
        self.buffers
    }

    /// The content of a chunk. `known` is what an item says about it: its size is then enforced.
    pub fn read(&mut self, id: &Id, known: Option<&Chunk>) -> Result<&[u8], Error> {
        let key = &self.repository.key;
        let Buffers { decompressor, sealed, content, .. } = &mut self.buffers;
        let data = self.repository.store.get(id, known.map(|chunk| chunk.stored), sealed)?;
        let packed = key.open(id, &mut sealed[data])?;
        let unpacked = decompressor.run(id, packed, known.map(|chunk| chunk.size), content)?;
        let content = unpacked.of(packed, content);
        key.check_id(id, content)?;
        Ok(content)
    }

    /// Reads the chunks that `next` gives, and hands the content of each to `take` with what came with it, in any order.
    /// `next` is told whether there is nothing else to do, so that it may wait.
    pub fn read_all<T>(
        &mut self,
        mut next: impl FnMut(bool) -> Option<(T, Chunk)>,
        take: impl FnMut(T, Result<&[u8], Error>),
    ) {
        let Self { repository: Repository { store, key, .. }, buffers } = self;
        let Buffers { decompressor, spare, .. } = buffers;
        Opening::new(key, decompressor, spare, take).run(|idle, spare| {
            let (tag, chunk) = next(idle)?;
            // A server's answer comes with its own.
            let mut memory = if store.local().is_some() { spare.take() } else { Vec::new() };
            let range = store.get(&chunk.id, Some(chunk.stored), &mut memory);
            let data = range.map(|range| Entry { memory, range });
            Some(Sealed { tag, id: chunk.id, size: Some(chunk.size), data })
        });
    }

    /// Opens what was read already, and hands the content of each to `take` with its tag, in any order.
    pub fn open_each<T, D: Data>(
        &mut self,
        sealed: impl IntoIterator<Item = Sealed<T, D>>,
        take: impl FnMut(T, Result<&[u8], Error>),
    ) {
        let mut sealed = sealed.into_iter();
        let Buffers { decompressor, spare, .. } = &mut self.buffers;
        Opening::new(&self.repository.key, decompressor, spare, take).run(|_, _| sealed.next());
    }
}

impl fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

/// Opens the manifest, the only object whose id is not checked.
pub(super) fn open_manifest(key: &Key, sealed: &mut [u8]) -> Result<Manifest, Error> {
    let damaged = |error: Error| match error {
        Error::Integrity { reason, .. } => Error::Manifest { reason },
        other => other,
    };
    let packed = key.open(&Id::MANIFEST, sealed).map_err(damaged)?;
    let mut buffer = Vec::new();
    let unpacked = Decompressor::default().run(&Id::MANIFEST, packed, None, &mut buffer).map_err(damaged)?;
    Manifest::parse(key, unpacked.of(packed, &buffer))
}
