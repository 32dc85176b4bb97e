//! Memory for decoded chunks, which goes back to the system as soon as it is let go.
//!
//! Chunks have all sizes and come and go in any order: the allocator's heap would be left with holes that add half as much again
//! to what is in use. So all but small ones have pages of their own.

use std::ops::Deref;

use memmap2::MmapMut;

/// From so many bytes on, pages of its own are worth asking the system for them.
const OWN_PAGES: usize = 64 << 10;

/// Bytes that are written once.
#[derive(Debug)]
pub struct Memory {
    place: Place,
    len: usize,
}

#[derive(Debug)]
enum Place {
    Heap(Vec<u8>),
    Pages(MmapMut),
}

impl Memory {
    /// Room for `len` bytes, none of which is written yet.
    pub fn with_room(len: usize) -> Self {
        let pages = if len < OWN_PAGES { None } else { MmapMut::map_anon(len).ok() };
        Self { place: pages.map_or_else(|| Place::Heap(vec![0; len]), Place::Pages), len: 0 }
    }

    /// Bytes it has room for.
    pub fn room(&self) -> usize {
        match &self.place {
            Place::Heap(heap) => heap.len(),
            Place::Pages(pages) => pages.len(),
        }
    }

    /// The same memory with `content` in it, which it must have room for.
    pub fn filled(mut self, content: &[u8]) -> Self {
        let all: &mut [u8] = match &mut self.place {
            Place::Heap(heap) => heap,
            Place::Pages(pages) => pages,
        };
        all[..content.len()].copy_from_slice(content);
        self.len = content.len();
        self
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.place {
            Place::Heap(heap) => &heap[..self.len],
            Place::Pages(pages) => &pages[..self.len],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_into_it_last_wherever_it_lies() {
        for room in [0, 1, OWN_PAGES - 1, OWN_PAGES, 3 * OWN_PAGES + 1] {
            let memory = Memory::with_room(room);
            assert_eq!((memory.room(), memory.len()), (room, 0));
            let memory = memory.filled(&vec![1; room]).filled(&vec![2; room / 2]);
            assert_eq!(*memory, vec![2; room / 2]);
        }
    }
}
