//! From id to content: read, verify, decrypt, decompress, verify the id.
//!
//! Most of that is hashing, and hashes of several chunks are made in much less time side by side. So whoever wants many
//! asks for them together.

use std::fmt;
use std::sync::LazyLock;

use super::Repository;
use crate::compression::Decompressor;
use crate::crypto::Key;
use crate::item::Chunk;
use crate::manifest::Manifest;
use crate::processors::processors;
use crate::{Error, Id};

/// Chunks that are in hand at the same time, at most.
const TOGETHER: usize = 32;
/// Bytes of content a thread has in hand, but for what the last chunk has beyond: enough to hash side by side, and on a
/// machine with many processors no more than its share of 128 MiB.
pub(crate) static TOGETHER_BYTES: LazyLock<usize> =
    LazyLock::new(|| ((128 << 20) / processors()).clamp(2 << 20, 16 << 20));

/// Bytes of buffers that are kept at least: two chunks of the usual size.
const KEPT_AT_LEAST: usize = 4 << 20;

/// An object as it lies in the repository.
pub(crate) struct Sealed<'b> {
    pub id: Id,
    /// Bytes of its content, where that is known.
    pub size: Option<u32>,
    /// It, or why it could not be read.
    pub data: Result<&'b mut [u8], Error>,
}

/// Reads chunks one after the other or several together, reusing its buffers. One per thread.
pub(crate) struct Chunks<'r> {
    repository: &'r Repository,
    decompressor: Decompressor,
    sealed: Vec<Vec<u8>>,
    contents: Vec<Vec<u8>>,
}

/// What reading chunks takes beside what comes of it: kept for the next ones, it saves time.
#[derive(Default)]
pub struct Buffers {
    decompressor: Decompressor,
    sealed: Vec<Vec<u8>>,
    contents: Vec<Vec<u8>>,
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
        let Buffers { decompressor, mut sealed, mut contents } = buffers;
        sealed.resize_with(sealed.len().max(1), Vec::new);
        contents.resize_with(contents.len().max(1), Vec::new);
        Self { repository, decompressor, sealed, contents }
    }

    pub fn into_buffers(self) -> Buffers {
        let Self { decompressor, sealed, contents, .. } = self;
        Buffers { decompressor, sealed, contents }
    }

    /// The content of a chunk. `known` is what an item says about it: its size is then enforced.
    pub fn read(&mut self, id: &Id, known: Option<&Chunk>) -> Result<&[u8], Error> {
        let key = &self.repository.key;
        let sealed = self.repository.store.get(id, known.map(|chunk| chunk.stored), &mut self.sealed[0])?;
        let packed = key.open(id, sealed)?;
        let content =
            self.decompressor.run(id, packed, known.map(|chunk| chunk.size), &mut self.contents[0])?;
        key.check_id(id, content)?;
        Ok(content)
    }

    /// Reads chunks and hands the content of each to `take` with its number, in any order.
    pub fn read_each(&mut self, chunks: &[Chunk], mut take: impl FnMut(usize, Result<&[u8], Error>)) {
        let mut first = 0;
        while first < chunks.len() {
            let mut bytes = 0;
            let fits = |chunk: &&Chunk| {
                let fits = bytes < *TOGETHER_BYTES;
                bytes += chunk.size as usize;
                fits
            };
            let count = chunks[first..].iter().take(TOGETHER).take_while(fits).count();
            self.read_together(&chunks[first..][..count], |number, content| take(first + number, content));
            first += count;
        }
    }

    fn read_together(&mut self, chunks: &[Chunk], take: impl FnMut(usize, Result<&[u8], Error>)) {
        let mut buffers = std::mem::take(&mut self.sealed);
        buffers.resize_with(chunks.len().max(buffers.len()), Vec::new);
        let read = chunks.iter().zip(&mut buffers).map(|(chunk, buffer)| {
            let data = self.repository.store.get(&chunk.id, Some(chunk.stored), buffer);
            Sealed { id: chunk.id, size: Some(chunk.size), data }
        });
        let read = read.collect();
        self.open_each(read, take);
        keep_some(&mut buffers);
        self.sealed = buffers;
    }

    /// Opens what was read already, and hands the content of each to `take` with its number, in any order.
    pub fn open_each(&mut self, sealed: Vec<Sealed<'_>>, mut take: impl FnMut(usize, Result<&[u8], Error>)) {
        let (mut about, mut envelopes) = (Vec::with_capacity(sealed.len()), Vec::with_capacity(sealed.len()));
        for (number, Sealed { id, size, data }) in sealed.into_iter().enumerate() {
            match data {
                Ok(data) => {
                    about.push((number, id, size));
                    envelopes.push((id, data));
                }
                Err(error) => take(number, Err(error)),
            }
        }
        self.contents.resize_with(TOGETHER, Vec::new);
        let mut opened = about.into_iter().zip(self.repository.key.open_each(envelopes)).peekable();
        // Nobody knows beforehand how large a content is: it must not add up, so some are handed out before the rest.
        while opened.peek().is_some() {
            let (mut names, mut contents, mut bytes) = (Vec::new(), Vec::new(), 0);
            for (buffer, ((number, id, size), packed)) in self.contents.iter_mut().zip(opened.by_ref()) {
                match packed.and_then(|packed| self.decompressor.run(&id, packed, size, buffer)) {
                    Ok(content) => {
                        bytes += content.len();
                        names.push(number);
                        contents.push((id, content));
                    }
                    Err(error) => take(number, Err(error)),
                }
                if bytes >= *TOGETHER_BYTES {
                    break;
                }
            }
            let checked = self.repository.key.check_ids(&contents);
            for ((number, (_, content)), checked) in names.into_iter().zip(contents).zip(checked) {
                take(number, checked.map(|()| content));
            }
            keep_some(&mut self.contents);
        }
    }
}

/// Gives back the memory of buffers, but for some that the next chunks find. More of it saves no time that can be measured.
fn keep_some(buffers: &mut [Vec<u8>]) {
    let mut bytes = 0;
    for buffer in buffers {
        bytes += buffer.capacity();
        if bytes > (*TOGETHER_BYTES / 2).max(KEPT_AT_LEAST) {
            bytes -= buffer.capacity();
            *buffer = Vec::new();
        }
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
    let plain = Decompressor::default().run(&Id::MANIFEST, packed, None, &mut buffer).map_err(damaged)?;
    Manifest::parse(key, plain)
}
