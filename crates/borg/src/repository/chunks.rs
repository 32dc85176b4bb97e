//! From id to content: read, verify, decrypt, decompress, verify the id.

use std::fmt;

use super::Repository;
use crate::compression::Decompressor;
use crate::crypto::Key;
use crate::item::Chunk;
use crate::manifest::Manifest;
use crate::{Error, Id};

/// Reads chunks one after the other, reusing its buffers. One per thread.
pub(crate) struct Chunks<'r> {
    repository: &'r Repository,
    decompressor: Decompressor,
    sealed: Vec<u8>,
    content: Vec<u8>,
}

impl<'r> Chunks<'r> {
    pub fn new(repository: &'r Repository) -> Self {
        Self { repository, decompressor: Decompressor::default(), sealed: Vec::new(), content: Vec::new() }
    }

    /// The content of a chunk. `known` is what an item says about it: its size is then enforced.
    pub fn read(&mut self, id: &Id, known: Option<&Chunk>) -> Result<&[u8], Error> {
        let key = &self.repository.key;
        let sealed = self.repository.store.get(id, known.map(|chunk| chunk.stored), &mut self.sealed)?;
        let packed = key.open(id, sealed)?;
        self.decompressor.run(id, packed, known.map(|chunk| chunk.size), &mut self.content)?;
        key.check_id(id, &self.content)?;
        Ok(&self.content)
    }

    /// The content that was read last.
    pub fn into_content(self) -> Vec<u8> {
        self.content
    }

    /// The content of a chunk that was read elsewhere, and whose envelope is opened in place.
    pub fn open(&mut self, id: &Id, sealed: &mut [u8]) -> Result<&[u8], Error> {
        let key = &self.repository.key;
        let packed = key.open(id, sealed)?;
        self.decompressor.run(id, packed, None, &mut self.content)?;
        key.check_id(id, &self.content)?;
        Ok(&self.content)
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
    let mut plain = Vec::new();
    Decompressor::default().run(&Id::MANIFEST, packed, None, &mut plain).map_err(damaged)?;
    Manifest::parse(key, &plain)
}
