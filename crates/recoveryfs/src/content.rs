//! Ranges of files, through the cache. Knows nothing of FUSE.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use reprise_borg::{Chunk, Error, Id, Item, Repository};

use crate::ahead::Ahead;
use crate::cache::{ChunkCache, Content, Look};
use crate::decode::Decoder;
use crate::track::Track;

/// After so many reads here and there that had to wait, a file is wanted as a whole.
const STRAYS: u32 = 3;

/// A file that somebody has open.
#[derive(Debug)]
pub struct OpenFile {
    chunks: Vec<Chunk>,
    /// Where each chunk begins, and at last where the file ends.
    starts: Vec<u64>,
    way: Mutex<Way>,
}

#[derive(Debug, Default)]
struct Way {
    track: Track,
    /// Reads here and there that had to wait.
    strays: u32,
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
        Self { chunks, starts, way: Mutex::default() }
    }

    /// Its chunks, in order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Bytes in it.
    pub fn size(&self) -> u64 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// The first chunk that begins at `offset` or after.
    fn begins(&self, offset: u64) -> usize {
        self.starts.partition_point(|start| *start < offset).min(self.chunks.len())
    }

    /// How many chunks have ended at `offset`.
    fn ended(&self, offset: u64) -> usize {
        self.starts[1..].partition_point(|end| *end <= offset)
    }
}

/// Part of a file.
#[derive(Debug)]
pub enum Piece {
    /// Of one chunk.
    Within(Content, Range<usize>),
    /// Of several.
    Joined(Vec<u8>),
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Within(content, range) => &content[range.clone()],
            Self::Joined(joined) => joined,
        }
    }
}

/// Whether so much of a file of `size` bytes fits into `budget` that reading here and there seldom has to wait.
fn nearly_fits(size: u64, budget: u64) -> bool {
    size <= budget.saturating_add(budget / 8)
}

/// Bytes of a file that cannot be read.
#[derive(Debug)]
pub struct Lost {
    /// Which: those of a chunk.
    pub range: Range<u64>,
    /// Why.
    pub error: Error,
}

/// Reads files.
#[derive(Debug)]
pub struct Reader {
    decoder: Arc<Decoder>,
    ahead: Ahead,
}

impl Reader {
    /// Reads from `repository` through `cache`.
    pub fn new(repository: Arc<Repository>, cache: ChunkCache) -> Self {
        let decoder = Arc::new(Decoder::new(repository, cache));
        Self { ahead: Ahead::new(&decoder), decoder }
    }

    /// A chunk of an archive's metadata. Files that lie beside each other are described in the same.
    pub fn metadata(&self, id: &Id) -> Result<Piece, Error> {
        let content = self.decoder.metadata(id)?;
        let all = 0..content.len();
        Ok(Piece::Within(content, all))
    }

    /// A file is closed. Who has read it to its end in order will hardly come back, and the kernel has it.
    pub fn closed(&self, file: &OpenFile) {
        let run = file.way.lock().unwrap_or_else(PoisonError::into_inner).track.run();
        if run >= file.size() {
            self.decoder.cache().leave(file.chunks.iter().map(|chunk| chunk.id));
        }
    }

    /// The bytes of a range; less only where the file ends.
    pub fn read(&self, file: &Arc<OpenFile>, range: Range<u64>) -> Result<Piece, Lost> {
        let end = range.end.min(file.size());
        let range = range.start.min(end)..end;
        let chunks = file.ended(range.start)..file.begins(range.end);
        let step = file.way.lock().unwrap_or_else(PoisonError::into_inner).track.read(&range);
        // First, so that it happens while this thread is at what is wanted now.
        // Never so much that it drives out what it was made ready for.
        let room = self.decoder.cache().budget() as u64 / 2;
        let ahead = step.ahead.start..step.ahead.end.min(range.end.saturating_add(room));
        self.ahead.soon(file, file.begins(ahead.start)..file.begins(ahead.end));
        let left = &file.chunks[file.ended(step.left.start)..file.ended(step.left.end)];
        if !left.is_empty() {
            self.decoder.cache().leave(left.iter().map(|chunk| chunk.id));
        }
        let mut waited = false;
        let mut within = |index: usize| -> Result<(Content, Range<usize>), Lost> {
            let (start, end) = (file.starts[index], file.starts[index + 1]);
            let (content, was_here) =
                self.chunk(&file.chunks[index]).map_err(|error| Lost { range: start..end, error })?;
            waited |= !was_here;
            let (from, to) = (range.start.max(start) - start, range.end.min(end) - start);
            Ok((content, from as usize..to as usize))
        };
        let piece = if chunks.len() == 1 {
            let (content, range) = within(chunks.start)?;
            Piece::Within(content, range)
        } else {
            let mut joined = Vec::with_capacity((range.end - range.start) as usize);
            for index in chunks {
                let (content, range) = within(index)?;
                joined.extend_from_slice(&content[range]);
            }
            Piece::Joined(joined)
        };
        if step.is_stray && waited {
            self.strayed(file);
        }
        Ok(piece)
    }

    /// The content of a chunk, and whether it was there at once.
    fn chunk(&self, chunk: &Chunk) -> Result<(Content, bool), Error> {
        let (content, was_here) = match self.decoder.cache().look(&chunk.id) {
            Look::Here(content) => (content, true),
            Look::Came(content) => (content, false),
            Look::Ours(loading) => {
                let _demand = self.ahead.demand();
                (self.decoder.decode(chunk, loading)?, false)
            }
        };
        // Another file may have asked for it under another size, one of which is a lie.
        if content.len() == chunk.size as usize {
            return Ok((content, was_here));
        }
        let reason = "its size is not the one recorded".to_owned();
        Err(Error::Integrity { id: chunk.id, reason })
    }

    /// Who reads here and there in a file that can be kept whole, or nearly, will want all of it. From a server it would come at the
    /// cost of what others want.
    fn strayed(&self, file: &Arc<OpenFile>) {
        let mut way = file.way.lock().unwrap_or_else(PoisonError::into_inner);
        way.strays = way.strays.saturating_add(1);
        if way.strays == STRAYS
            && nearly_fits(file.size(), self.decoder.cache().budget() as u64)
            && self.decoder.repository().is_local()
        {
            drop(way);
            self.ahead.whole(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_large_as_the_default_cache_is_worth_being_decoded_whole() {
        let options = crate::Options::default();
        let budget = ChunkCache::new(options.cache_bytes).budget() as u64;
        assert!(nearly_fits(options.cache_bytes as u64, budget));
        assert!(!nearly_fits(2 * options.cache_bytes as u64, budget));
    }
}
