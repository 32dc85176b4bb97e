//! The stream of items: pieces of metadata, one after the other, in which items may begin and end anywhere.
//!
//! Where a piece is lost, what comes before the gap is never joined with what comes after it: the next item is looked
//! for, and whoever reads is told of the gap.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::LostItems;
use super::pieces::Pieces;
use super::resync::{self, Found, Then};
use crate::Error;
use crate::item::View;
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
    /// Pieces read, or found to be lost.
    read: u32,
    /// Bytes read.
    bytes: u64,
    /// Why the piece after the buffer is lost, if it is.
    gap: Option<Error>,
    /// Where in the buffer the last item lies.
    last: Range<usize>,
    /// Its path, once it is no longer in the buffer.
    last_path: Option<Vec<u8>>,
}

impl<'r> Stream<'r> {
    pub fn new(pieces: Pieces<'r>, archive: String) -> Self {
        Self {
            pieces,
            archive,
            buffer: Vec::new(),
            position: 0,
            needed: 0,
            starts: VecDeque::new(),
            read: 0,
            bytes: 0,
            gap: None,
            last: 0..0,
            last_path: None,
        }
    }

    /// Reads the next item with `take`, which answers [`Fault::Incomplete`] where it needs more of the stream, and is
    /// then called again. `None` at the end. After [`Error::ItemsLost`] it goes on behind the gap; any other error is the end.
    pub fn next<R>(
        &mut self,
        mut take: impl FnMut(Spot, &mut Reader<'_>) -> Result<R, Fault>,
    ) -> Result<Option<R>, Error> {
        loop {
            let rest = self.buffer.len() - self.position;
            // The last attempt before a gap is made with all there is.
            if rest > 0 && (rest >= self.needed || self.gap.is_some()) {
                match self.attempt(&mut take) {
                    Ok(taken) => return Ok(Some(taken)),
                    // Doubling keeps one huge item (a file of very many chunks) from being decoded again and again.
                    Err(Fault::Incomplete) => self.needed = rest * 2,
                    Err(fault) => return Err(self.malformed(&fault.to_string())),
                }
            }
            if let Some(cause) = self.gap.take() {
                return Err(self.pass(cause)?.into());
            }
            match self.piece() {
                Some(Ok(piece)) => self.append(piece),
                Some(Err(error)) if error.is_final() => return Err(error),
                Some(Err(error)) => self.gap = Some(error),
                None if rest == 0 => return Ok(None),
                None if self.needed <= rest => return Err(self.malformed("its items end too early")),
                // The last attempt is made with all there is.
                None => {
                    return match self.attempt(&mut take) {
                        Ok(taken) => Ok(Some(taken)),
                        Err(fault) => Err(self.malformed(&fault.to_string())),
                    };
                }
            }
        }
    }

    /// Goes on to the first item after a gap, or to the end if there is none.
    fn pass(&mut self, cause: Error) -> Result<LostItems, Error> {
        let mut lost = LostItems {
            pieces: self.read - 1..self.read,
            of: self.pieces.total(),
            before_gap: self.bytes,
            cut: (self.buffer.len() - self.position) as u64,
            after: self.path_of_last(),
            before: None,
            cause: Arc::new(cause),
        };
        self.clear();
        let mut needed = 0;
        loop {
            let piece = self.piece();
            let then = if piece.is_none() { Then::End } else { Then::More };
            match piece {
                Some(Err(error)) if error.is_final() => return Err(error),
                Some(Ok(piece)) => {
                    self.append(piece);
                    // One huge item must not be looked for again and again.
                    if self.buffer.len() < needed {
                        continue;
                    }
                }
                Some(Err(error)) => self.gap = Some(error),
                None => {}
            }
            match resync::find(&self.buffer[self.position..], then) {
                Found::Item(start) => {
                    lost.cut += start as u64;
                    self.position += start;
                    lost.before = path_at(&self.buffer[self.position..]);
                    return Ok(lost);
                }
                Found::NotBefore(start) => {
                    if self.gap.take().is_some() {
                        lost.pieces.end = self.read;
                        lost.cut += (self.buffer.len() - self.position) as u64;
                        self.clear();
                        needed = 0;
                    } else if then == Then::End {
                        lost.cut += (self.buffer.len() - self.position) as u64;
                        self.clear();
                        return Ok(lost);
                    } else {
                        lost.cut += start as u64;
                        self.position += start;
                        needed = (self.buffer.len() - self.position) * 2;
                    }
                }
            }
        }
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.starts.clear();
        (self.position, self.needed, self.last) = (0, 0, 0..0);
        self.last_path = None;
    }

    fn piece(&mut self) -> Option<Result<Vec<u8>, Error>> {
        let piece = self.pieces.next()?;
        self.read += 1;
        Some(piece)
    }

    fn path_of_last(&mut self) -> Option<Vec<u8>> {
        path_at(&self.buffer[self.last.clone()]).or_else(|| self.last_path.take())
    }

    fn attempt<R>(
        &mut self,
        take: &mut impl FnMut(Spot, &mut Reader<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut reader = Reader::new(&self.buffer[self.position..]);
        let taken = take(self.spot(), &mut reader)?;
        let end = self.buffer.len() - reader.rest().len();
        self.last = self.position..end;
        self.position = end;
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
        if !self.last.is_empty() {
            self.last_path = self.path_of_last();
            self.last = 0..0;
        }
        let dropped = self.position as i64;
        for (start, _) in &mut self.starts {
            *start -= dropped;
        }
        self.buffer.drain(..self.position);
        self.position = 0;
        self.starts.push_back((self.buffer.len() as i64, self.read - 1));
        while self.starts.get(1).is_some_and(|(start, _)| *start <= 0) {
            self.starts.pop_front();
        }
        self.bytes += piece.len() as u64;
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

/// The path of the item at the front of `bytes`.
fn path_at(bytes: &[u8]) -> Option<Vec<u8>> {
    View::decode(&mut Reader::new(bytes)).ok().map(|item| item.path.to_vec())
}
