//! From the stream of items to the table, in one pass.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::table::{Extra, NONE, Owner, Row, Table, flag};
use super::tree::Tree;
use crate::Id;
use crate::archive::Spot;
use crate::extract::normalize;
use crate::item::{Kind, View};

/// More than the table can number.
#[derive(Debug)]
pub(super) struct TooLarge;

/// A table on its way.
#[derive(Default)]
pub(super) struct Builder {
    table: Table,
    tree: Tree,
    owners: HashTable<u32>,
    hasher: RandomState,
    /// Who the last item belonged to: most often it is the same as the next.
    last_owner: u32,
}

impl Builder {
    /// Adds an item, the next in the archive's order.
    pub fn add(&mut self, spot: Spot, item: &View<'_>) -> Result<(), TooLarge> {
        let node = self.table.rows.len() as u32;
        let strings = [Some(item.path), Some(item.path), item.source, item.user, item.group];
        let bytes: usize = strings.iter().flatten().map(|string| string.len()).sum();
        // With room for directories that have no item, and for what is kept of numbers.
        if self.table.rows.len() >= NONE as usize / 2 || self.table.heap.len() + bytes + 256 >= NONE as usize
        {
            return Err(TooLarge);
        }
        let kind = Kind::of_mode(item.mode);
        let mut row = Row {
            mode: item.mode,
            owner: self.owner(item),
            nlink: 1,
            first: NONE,
            piece: spot.piece,
            offset: spot.offset,
            size: content_size(item, kind),
            ..Row::default()
        };
        // Only a directory can be the root: all else is in it.
        let normal = normalize(item.path).ok().filter(|path| kind == Kind::Directory || !path.is_empty());
        match &normal {
            Some(path) => {
                let place = self.tree.place(path, &mut self.table.heap);
                (row.name, row.name_len) = self.tree.name(place);
                // The place itself, until the nodes of all directories are known.
                row.parent = place;
                if let Some(before) = self.tree.put(place, node) {
                    self.table.update(before, |row| {
                        row.flags |= flag::REPLACED;
                        row.children = node;
                    });
                }
            }
            None => row.flags |= flag::REFUSED,
        }
        let mut source = item.source;
        if kind.is_hard_linkable()
            && let Some(path) = source
        {
            row.flags |= flag::LINK;
            if let Some(Found { first, tells_path }) = self.first_name(path, node) {
                row.first = first;
                self.table.update(first, |row| row.nlink += 1);
                source = source.filter(|_| !tells_path);
            }
        }
        let flags = [
            (flag::XATTRS, item.xattr_count > 0),
            (flag::ACL, item.acl_access.is_some() || item.acl_default.is_some()),
            (flag::DAMAGED, item.chunks_healthy.count > 0),
        ];
        row.flags |= flags.into_iter().filter(|(_, is)| *is).fold(0, |flags, (flag, _)| flags | flag);
        let is_odd = normal.is_none_or(|normal| *normal != *item.path);
        self.extras(&mut row, item, item.path, is_odd, source);
        self.table.rows.push(row.to_bytes());
        Ok(())
    }

    fn extras(&mut self, row: &mut Row, item: &View<'_>, path: &[u8], is_odd: bool, source: Option<&[u8]>) {
        let heap = &mut self.table.heap;
        let start = heap.len() as u32;
        let mut extra = |tag: Extra, value: &[u8]| {
            heap.push(tag as u8);
            heap.extend_from_slice(&(value.len() as u32).to_le_bytes());
            heap.extend_from_slice(value);
        };
        if is_odd {
            extra(Extra::Path, path);
        }
        if let Some(source) = source {
            extra(Extra::Source, source);
        }
        let mut number = |tag, value: i128| extra(tag, &value.to_le_bytes());
        let mut time = |time: Option<i128>, flag, tag| match time.map(|time| (time, i64::try_from(time))) {
            None => 0,
            Some((_, Ok(time))) => {
                row.flags |= flag;
                time
            }
            Some((time, Err(_))) => {
                number(tag, time);
                0
            }
        };
        row.mtime = time(item.mtime, flag::MTIME, Extra::Mtime);
        row.ctime = time(item.ctime, flag::CTIME, Extra::Ctime);
        if let Some(atime) = item.atime {
            number(Extra::Atime, atime);
        }
        if let Some(birthtime) = item.birthtime {
            number(Extra::Birthtime, birthtime);
        }
        if item.rdev != 0 {
            number(Extra::Rdev, i128::from(item.rdev));
        }
        if heap.len() as u32 == start {
            row.extra = NONE;
        } else {
            heap.push(Extra::End as u8);
            row.extra = start;
        }
    }

    /// The first of the names that the item at `path`, which must have come before, is one of.
    fn first_name(&self, path: &[u8], own: u32) -> Option<Found> {
        let normal = normalize(path).ok()?;
        let place = self.tree.find(&normal, &self.table.heap)?;
        let node = self.tree.node(place).filter(|node| *node != own)?;
        let row = self.table.row(node);
        if row.has(flag::LINK) {
            // A link to what is nowhere leads nowhere.
            return Some(Found { first: row.first, tells_path: false }).filter(|found| found.first != NONE);
        }
        let recorded = self.table.extra(&row, Extra::Path);
        let tells_path = recorded.map_or(*normal == *path, |recorded| recorded == path);
        Some(Found { first: node, tells_path }).filter(|_| Kind::of_mode(row.mode).is_hard_linkable())
    }

    fn owner(&mut self, item: &View<'_>) -> u32 {
        let owner = Owner { uid: item.uid, gid: item.gid, user: item.user, group: item.group };
        if self.table.owner(self.last_owner) == Some(owner) {
            return self.last_owner;
        }
        let hash = self.hasher.hash_one(owner);
        let table = &self.table;
        let found = self.owners.find(hash, |index| table.owner(*index) == Some(owner)).copied();
        self.last_owner = found.unwrap_or_else(|| {
            let index = self.table.add_owner(owner);
            let (table, hasher) = (&self.table, &self.hasher);
            self.owners
                .insert_unique(hash, index, |index| hasher.hash_one(table.owner(*index).unwrap_or_default()));
            index
        });
        self.last_owner
    }

    /// The whole, once there are no more items.
    pub fn finish(mut self, pieces: &[Id]) -> Table {
        self.table.items = self.table.rows.len() as u32;
        self.table.pieces = pieces.iter().map(|id| id.0).collect();
        self.tree.finish(&mut self.table);
        self.table.rows.shrink_to_fit();
        self.table.heap.shrink_to_fit();
        self.table
    }
}

/// The first name of a file.
struct Found {
    first: u32,
    /// Whether its recorded path is the one it was looked for by.
    tells_path: bool,
}

fn content_size(item: &View<'_>, kind: Kind) -> u64 {
    match (kind, item.chunks) {
        (Kind::File, Some(chunks)) => chunks.size,
        (Kind::File, None) => item.size.unwrap_or(0),
        _ => 0,
    }
}
