//! The stream of items: chunks of metadata, one after the other, in which items may begin and end anywhere.

use crate::item::{Item, decode};
use crate::msgpack::{Fault, Reader};
use crate::repository::{Chunks, Repository};
use crate::{Error, Id};

/// Iterates over the items of an archive. See [`crate::Archive::items`].
#[derive(Debug)]
pub struct Items<'r> {
    chunks: Chunks<'r>,
    archive: String,
    stream: std::vec::IntoIter<Id>,
    buffer: Vec<u8>,
    /// Where in the buffer the next item begins.
    position: usize,
    /// Below so many buffered bytes the next item is known to be incomplete.
    needed: usize,
    done: bool,
}

impl<'r> Items<'r> {
    pub(super) fn new(repository: &'r Repository, archive: String, stream: Vec<Id>) -> Self {
        Self {
            chunks: repository.chunks(),
            archive,
            stream: stream.into_iter(),
            buffer: Vec::new(),
            position: 0,
            needed: 0,
            done: false,
        }
    }

    /// The next item, parts of files included.
    fn next_item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            let rest = &self.buffer[self.position..];
            if !rest.is_empty() && rest.len() >= self.needed {
                let mut reader = Reader::new(rest);
                match decode(&mut reader) {
                    Ok(item) => {
                        self.position = self.buffer.len() - reader.rest().len();
                        self.needed = 0;
                        return Ok(Some(item));
                    }
                    // Doubling keeps one huge item (a file of very many chunks) from being decoded again and again.
                    Err(Fault::Incomplete) => self.needed = rest.len() * 2,
                    Err(fault) => return Err(self.malformed(&fault.to_string())),
                }
            }
            let Some(id) = self.stream.next() else {
                if self.buffer.len() == self.position {
                    return Ok(None);
                }
                if self.needed <= self.buffer.len() - self.position {
                    return Err(self.malformed("its items end too early"));
                }
                // The last attempt is made with all there is.
                self.needed = 0;
                let mut reader = Reader::new(&self.buffer[self.position..]);
                let item = decode(&mut reader).map_err(|fault| self.malformed(&fault.to_string()))?;
                self.position = self.buffer.len() - reader.rest().len();
                return Ok(Some(item));
            };
            self.buffer.drain(..self.position);
            self.position = 0;
            self.buffer.extend_from_slice(self.chunks.read(&id, None)?);
        }
    }

    fn malformed(&self, reason: &str) -> Error {
        Error::Archive { name: self.archive.clone(), reason: format!("an item is malformed: {reason}") }
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            match self.next_item() {
                // Parts repeat what the whole file holds.
                Ok(Some(item)) if item.part.is_some() => {}
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
