//! Where the items belong: places in a tree, each with a name below another.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::table::{NONE, Row, Table, flag};
use crate::extract::split;

/// What a directory without an item of its own is shown as: Borg's mount does likewise.
const IMPLICIT_MODE: u32 = 0o040_755;

/// A place in the tree. Those above it come before it.
#[derive(Debug, Clone, Copy)]
struct Place {
    parent: u32,
    /// Where its name is in the heap.
    name: (u32, u32),
    /// The last item that was put there.
    node: u32,
}

/// The places known so far. The first is the top.
pub(super) struct Tree {
    places: Vec<Place>,
    by_name: HashTable<u32>,
    hasher: RandomState,
    /// The directory of the last item, most often that of the next as well.
    last: (Vec<u8>, u32),
}

impl Default for Tree {
    fn default() -> Self {
        let top = Place { parent: 0, name: (0, 0), node: NONE };
        let (by_name, hasher) = (HashTable::new(), RandomState::default());
        Self { places: vec![top], by_name, hasher, last: (Vec::new(), 0) }
    }
}

impl Tree {
    /// The place of a normal path, made if need be, with all above it.
    pub fn place(&mut self, path: &[u8], heap: &mut Vec<u8>) -> u32 {
        if path.is_empty() {
            return 0;
        }
        let (directory, name) = split(path);
        if directory != self.last.0 {
            let names = directory.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
            let place = names.fold(0, |parent, name| self.child(parent, name, heap));
            self.last.0.clear();
            self.last.0.extend_from_slice(directory);
            self.last.1 = place;
        }
        self.child(self.last.1, name, heap)
    }

    /// The place of a normal path, if there is one.
    pub fn find(&self, path: &[u8], heap: &[u8]) -> Option<u32> {
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.try_fold(0, |parent, name| self.find_child(parent, name, heap))
    }

    /// The item at a place.
    pub fn node(&self, place: u32) -> Option<u32> {
        Some(self.places[place as usize].node).filter(|node| *node != NONE)
    }

    /// The name of a place, as start and length in the heap.
    pub fn name(&self, place: u32) -> (u32, u32) {
        self.places[place as usize].name
    }

    /// Puts an item at a place; returns the one that was there.
    pub fn put(&mut self, place: u32, node: u32) -> Option<u32> {
        let before = self.node(place);
        self.places[place as usize].node = node;
        before
    }

    fn find_child(&self, parent: u32, name: &[u8], heap: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one((parent, name));
        let is_it = |place: &u32| {
            let place = self.places[*place as usize];
            place.parent == parent && bytes(heap, place.name) == name
        };
        self.by_name.find(hash, is_it).copied()
    }

    fn child(&mut self, parent: u32, name: &[u8], heap: &mut Vec<u8>) -> u32 {
        if let Some(found) = self.find_child(parent, name, heap) {
            return found;
        }
        let place = self.places.len() as u32;
        let start = heap.len() as u32;
        heap.extend_from_slice(name);
        self.places.push(Place { parent, name: (start, name.len() as u32), node: NONE });
        let (places, hasher) = (&self.places, &self.hasher);
        let hash = |place: &u32| {
            let place = places[*place as usize];
            hasher.hash_one((place.parent, bytes(heap, place.name)))
        };
        self.by_name.insert_unique(hasher.hash_one((parent, name)), place, hash);
        place
    }

    /// Gives every place a node, and every node its parent and its children. Until now the parent of an item was its
    /// own place.
    pub fn finish(self, table: &mut Table) {
        let Self { mut places, by_name, .. } = self;
        drop(by_name);
        for place in places.iter_mut().filter(|place| place.node == NONE) {
            place.node = table.rows.len() as u32;
            let row = Row {
                parent: NONE,
                name: place.name.0,
                name_len: place.name.1,
                mode: IMPLICIT_MODE,
                owner: NONE,
                nlink: 1,
                first: NONE,
                extra: NONE,
                flags: flag::IMPLICIT,
                ..Row::default()
            };
            table.rows.push(row.to_bytes());
        }
        table.root = places[0].node;
        let node_of = |place: u32| places[place as usize].node;
        for bytes in &mut table.rows {
            let mut row = Row::from_bytes(bytes);
            if row.has(flag::REFUSED) {
                row.parent = table.root;
            } else if row.parent != NONE {
                row.parent = node_of(places[row.parent as usize].parent);
            }
            *bytes = row.to_bytes();
        }
        // The parents of those without an item, and how many children each has.
        for place in &places {
            let parent = node_of(place.parent);
            table.update(place.node, |row| row.parent = parent);
        }
        for place in &places[1..] {
            table.update(node_of(place.parent), |row| row.child_count += 1);
        }
        let mut next = 0;
        for place in &places {
            // Counted anew while they are put where they belong.
            table.update(place.node, |row| {
                row.children = next;
                next += row.child_count;
                row.child_count = 0;
            });
        }
        table.children = vec![[0; 4]; next as usize];
        for place in &places[1..] {
            let mut at = 0;
            table.update(node_of(place.parent), |row| {
                at = row.children + row.child_count;
                row.child_count += 1;
            });
            table.children[at as usize] = place.node.to_le_bytes();
        }
        let mut children = std::mem::take(&mut table.children);
        for place in &places {
            let row = table.row(place.node);
            let own = &mut children[row.children as usize..][..row.child_count as usize];
            own.sort_unstable_by_key(|child| {
                let child = table.row(u32::from_le_bytes(*child));
                table.bytes(child.name, child.name_len)
            });
        }
        table.children = children;
    }
}

fn bytes(heap: &[u8], (start, len): (u32, u32)) -> &[u8] {
    &heap[start as usize..start as usize + len as usize]
}
