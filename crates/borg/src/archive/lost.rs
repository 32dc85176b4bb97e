//! What is lost of an archive's list of items.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::Error;

/// A gap in an archive's list of items, with the items that were in it.
///
/// Their names and their number are unknown: the metadata that told them is gone. An archive lists its items in the order in
/// which they were backed up, so what lies around the gap tells where they were.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LostItems {
    /// Which of the archive's metadata chunks are of no use, counted from 0.
    pub pieces: Range<u32>,
    /// How many metadata chunks the archive has.
    pub of: u32,
    /// Bytes of the list that could be read before the gap.
    pub before_gap: u64,
    /// Bytes at the edges of the gap that belong to items of which the rest is lost.
    pub cut: u64,
    /// The path of the item before the gap, if there is one.
    pub after: Option<Vec<u8>>,
    /// The path of the item after the gap, if there is one.
    pub before: Option<Vec<u8>>,
    /// What became of the first of the chunks.
    pub cause: Arc<Error>,
}

impl fmt::Display for LostItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last, of) = (self.pieces.start + 1, self.pieces.end, self.of);
        if first == last {
            write!(f, "piece {first} of {of} of the list of items is lost")?;
        } else {
            write!(f, "pieces {first} to {last} of {of} of the list of items are lost")?;
        }
        f.write_str(", and with it all items ")?;
        match (&self.after, &self.before) {
            (Some(after), Some(before)) => {
                write!(f, "between {} and {}", Path(after), Path(before))?;
            }
            (Some(after), None) => write!(f, "after {}", Path(after))?,
            (None, Some(before)) => write!(f, "before {}", Path(before))?,
            (None, None) => f.write_str("of the archive")?,
        }
        write!(f, ": {}", self.cause)
    }
}

/// A path in a message.
struct Path<'a>(&'a [u8]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}
