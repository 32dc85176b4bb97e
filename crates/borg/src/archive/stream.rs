//! The stream of items: pieces of metadata, one after the other, in which items may begin and end anywhere.

use std::collections::VecDeque;

use super::pieces::Pieces;
use crate::Error;
use crate::msgpack::{Fault, Reader};

/// Where an item begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Which of the archive's metadata chunks.
    pub piece: u32,
    /// Bytes from its start.
    pub offset: u32,
}

/// Finds the items in the pieces.
#[derive(Debug)]
pub(super) struct Stream<'r> {
    pieces: Pieces<'r>,
    archive: String,
    buffer: Vec<u8>,
    /// Where in the buffer the next item begins.
    position: usize,
    /// Below so many buffered bytes the next item is known to be incomplete.
    needed: usize,
    /// Where in the buffer its pieces begin; that of the first one may have been dropped.
    starts: VecDeque<(i64, u32)>,
    /// Pieces read.
    read: u32,
}

impl<'r> Stream<'r> {
    pub fn new(pieces: Pieces<'r>, archive: String) -> Self {
        let starts = VecDeque::new();
        Self { pieces, archive, buffer: Vec::new(), position: 0, needed: 0, starts, read: 0 }
    }

    /// Reads the next item with `take`, which answers [`Fault::Incomplete`] where it needs more of the stream, and is
    /// then called again. `None` at the end.
    pub fn next<R>(
        &mut self,
        mut take: impl FnMut(Spot, &mut Reader<'_>) -> Result<R, Fault>,
    ) -> Result<Option<R>, Error> {
        loop {
            let rest = self.buffer.len() - self.position;
            if rest > 0 && rest >= self.needed {
                match self.attempt(&mut take) {
                    Ok(taken) => return Ok(Some(taken)),
                    // Doubling keeps one huge item (a file of very many chunks) from being decoded again and again.
                    Err(Fault::Incomplete) => self.needed = rest * 2,
                    Err(fault) => return Err(self.malformed(&fault.to_string())),
                }
            }
            let Some(piece) = self.pieces.next() else {
                if rest == 0 {
                    return Ok(None);
                }
                if self.needed <= rest {
                    return Err(self.malformed("its items end too early"));
                }
                // The last attempt is made with all there is.
                return match self.attempt(&mut take) {
                    Ok(taken) => Ok(Some(taken)),
                    Err(fault) => Err(self.malformed(&fault.to_string())),
                };
            };
            self.append(piece?);
        }
    }

    fn attempt<R>(
        &mut self,
        take: &mut impl FnMut(Spot, &mut Reader<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut reader = Reader::new(&self.buffer[self.position..]);
        let taken = take(self.spot(), &mut reader)?;
        self.position = self.buffer.len() - reader.rest().len();
        self.needed = 0;
        Ok(taken)
    }

    /// Where the next item begins.
    fn spot(&self) -> Spot {
        let position = self.position as i64;
        let start = self.starts.iter().rev().find(|(start, _)| *start <= position);
        let (start, piece) = start.copied().unwrap_or_default();
        Spot { piece, offset: (position - start) as u32 }
    }

    fn append(&mut self, piece: Vec<u8>) {
        let dropped = self.position as i64;
        for (start, _) in &mut self.starts {
            *start -= dropped;
        }
        self.buffer.drain(..self.position);
        self.position = 0;
        self.starts.push_back((self.buffer.len() as i64, self.read));
        while self.starts.get(1).is_some_and(|(start, _)| *start <= 0) {
            self.starts.pop_front();
        }
        self.read += 1;
        if self.buffer.is_empty() {
            self.buffer = piece;
        } else {
            self.buffer.extend_from_slice(&piece);
        }
    }

    fn malformed(&self, reason: &str) -> Error {
        Error::Archive { name: self.archive.clone(), reason: format!("an item is malformed: {reason}") }
    }
}
