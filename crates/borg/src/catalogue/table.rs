//! The table itself: a row of fixed length for each node, and what varies in length beside it.
//!
//! In memory it is as it is on disk: rows are bytes, little-endian, and decoded when they are looked at.

use super::{Entry, Node};
use crate::item::Kind;

/// No node, no name, no place.
pub(super) const NONE: u32 = u32::MAX;

pub(super) const ROW: usize = 76;
pub(super) const OWNER: usize = 24;
pub(super) const ID: usize = 32;

/// What a row's flags say.
pub(super) mod flag {
    pub const MTIME: u32 = 1;
    pub const CTIME: u32 = 1 << 1;
    pub const XATTRS: u32 = 1 << 2;
    pub const ACL: u32 = 1 << 3;
    pub const DAMAGED: u32 = 1 << 4;
    /// Has no item of its own.
    pub const IMPLICIT: u32 = 1 << 5;
    /// Another item of the same path came later: not in the tree, and `children` is that one.
    pub const REPLACED: u32 = 1 << 6;
    /// Its path leads nowhere: not in the tree.
    pub const REFUSED: u32 = 1 << 7;
    /// A further name of a file.
    pub const LINK: u32 = 1 << 8;
}

/// What is kept beside a row because few have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Extra {
    End = 0,
    /// The item's path, where it is not that of its place in the tree.
    Path = 1,
    /// The target of a symbolic link, or of a hard link whose first name is not told by `first`.
    Source = 2,
    Atime = 3,
    Birthtime = 4,
    /// Where it does not fit in the row.
    Mtime = 5,
    Ctime = 6,
    Rdev = 7,
}

/// A node, without what varies in length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub parent: u32,
    /// Where its name is in the heap.
    pub name: u32,
    pub name_len: u32,
    /// Where its children begin in the list of children.
    pub children: u32,
    pub child_count: u32,
    pub mode: u32,
    /// Which of the owners.
    pub owner: u32,
    /// Of the first of several names: how many there are.
    pub nlink: u32,
    /// The first of several names.
    pub first: u32,
    /// Where in the heap the rest begins.
    pub extra: u32,
    /// Where in the stream its item is.
    pub piece: u32,
    pub offset: u32,
    pub flags: u32,
    pub size: u64,
    pub mtime: i64,
    pub ctime: i64,
}

impl Row {
    pub fn to_bytes(self) -> [u8; ROW] {
        let mut bytes = [0; ROW];
        let small = [
            self.parent,
            self.name,
            self.name_len,
            self.children,
            self.child_count,
            self.mode,
            self.owner,
            self.nlink,
            self.first,
            self.extra,
            self.piece,
            self.offset,
            self.flags,
        ];
        let (fours, eights) = bytes.split_at_mut(4 * small.len());
        for (place, value) in fours.chunks_exact_mut(4).zip(small) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        let large = [self.size, self.mtime as u64, self.ctime as u64];
        for (place, value) in eights.chunks_exact_mut(8).zip(large) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8; ROW]) -> Self {
        let four = |at: usize| u32_at(bytes, 4 * at);
        let eight = |at: usize| u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32;
        Self {
            parent: four(0),
            name: four(1),
            name_len: four(2),
            children: four(3),
            child_count: four(4),
            mode: four(5),
            owner: four(6),
            nlink: four(7),
            first: four(8),
            extra: four(9),
            piece: four(10),
            offset: four(11),
            flags: four(12),
            size: eight(52),
            mtime: eight(60) as i64,
            ctime: eight(68) as i64,
        }
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The four bytes at `at`; 0 beyond the end.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}

/// Whom an item belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Owner<'a> {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub user: Option<&'a [u8]>,
    pub group: Option<&'a [u8]>,
}

/// All of a catalogue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Items in the archive's order, then directories without one.
    pub rows: Vec<[u8; ROW]>,
    /// How many of the rows are items.
    pub items: u32,
    /// The node of the top.
    pub root: u32,
    /// Nodes, those of one directory together and sorted by name.
    pub children: Vec<[u8; 4]>,
    pub owners: Vec<[u8; OWNER]>,
    /// The ids of the metadata chunks.
    pub pieces: Vec<[u8; ID]>,
    /// Names, and all else that varies in length.
    pub heap: Vec<u8>,
}

impl Table {
    /// The row of a node, which must be of this table.
    pub fn row(&self, node: u32) -> Row {
        Row::from_bytes(&self.rows[node as usize])
    }

    pub fn bytes(&self, start: u32, len: u32) -> &[u8] {
        let start = start as usize;
        self.heap.get(start..start.saturating_add(len as usize)).unwrap_or_default()
    }

    pub fn name(&self, row: &Row) -> &[u8] {
        self.bytes(row.name, row.name_len)
    }

    /// The children of a node; of a replaced item none.
    pub fn children(&self, row: &Row) -> &[[u8; 4]] {
        let start = row.children as usize;
        self.children.get(start..start.saturating_add(row.child_count as usize)).unwrap_or_default()
    }

    /// What is kept beside the row.
    pub fn extra(&self, row: &Row, wanted: Extra) -> Option<&[u8]> {
        let mut rest = self.heap.get(row.extra as usize..)?;
        loop {
            let (tag, after) = rest.split_first()?;
            if *tag == Extra::End as u8 {
                return None;
            }
            let (len, after) = after.split_first_chunk()?;
            let (value, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            if *tag == wanted as u8 {
                return Some(value);
            }
            rest = after;
        }
    }

    fn extra_number(&self, row: &Row, wanted: Extra) -> Option<i128> {
        self.extra(row, wanted)?.first_chunk().map(|bytes| i128::from_le_bytes(*bytes))
    }

    /// Changes the row of a node.
    pub fn update(&mut self, node: u32, change: impl FnOnce(&mut Row)) {
        let bytes = &mut self.rows[node as usize];
        let mut row = Row::from_bytes(bytes);
        change(&mut row);
        *bytes = row.to_bytes();
    }

    /// Numbers and names of a user and a group; none without an item.
    pub fn owner(&self, index: u32) -> Option<Owner<'_>> {
        let bytes = self.owners.get(index as usize)?;
        let four = |at: usize| u32_at(bytes, 4 * at);
        let number = |at| Some(four(at)).filter(|number| *number != NONE);
        let name = |at| number(at + 1).map(|len| self.bytes(four(at), len));
        Some(Owner { uid: number(0), gid: number(1), user: name(2), group: name(4) })
    }

    pub fn add_owner(&mut self, owner: Owner<'_>) -> u32 {
        let mut name = |name: Option<&[u8]>| match name {
            Some(name) => {
                let start = self.heap.len() as u32;
                self.heap.extend_from_slice(name);
                [start, name.len() as u32]
            }
            None => [0, NONE],
        };
        let numbers = [owner.uid.unwrap_or(NONE), owner.gid.unwrap_or(NONE)];
        let values = [numbers, name(owner.user), name(owner.group)];
        let mut bytes = [0; OWNER];
        for (place, value) in bytes.chunks_exact_mut(4).zip(values.as_flattened()) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        self.owners.push(bytes);
        self.owners.len() as u32 - 1
    }

    /// The row of the file that this is a name of: its own, or that of its first name.
    pub fn file(&self, row: Row) -> Row {
        if row.first == NONE { row } else { self.row(row.first) }
    }

    pub fn entry(&self, node: u32) -> Entry<'_> {
        let row = self.row(node);
        let owner = self.owner(row.owner).unwrap_or_default();
        let time = |flag, value, extra| {
            if row.has(flag) { Some(i128::from(value)) } else { self.extra_number(&row, extra) }
        };
        let kind = Kind::of_mode(row.mode);
        let source = self.extra(&row, Extra::Source);
        Entry {
            name: self.name(&row),
            kind,
            mode: row.mode,
            uid: owner.uid,
            gid: owner.gid,
            user: owner.user,
            group: owner.group,
            mtime: time(flag::MTIME, row.mtime, Extra::Mtime),
            ctime: time(flag::CTIME, row.ctime, Extra::Ctime),
            atime: self.extra_number(&row, Extra::Atime),
            birthtime: self.extra_number(&row, Extra::Birthtime),
            size: row.size,
            rdev: self.extra_number(&row, Extra::Rdev).and_then(|rdev| rdev.try_into().ok()).unwrap_or(0),
            nlink: self.file(row).nlink,
            first: Some(row.first).filter(|first| *first != NONE).map(Node),
            is_link: row.has(flag::LINK),
            symlink_target: source.filter(|_| kind == Kind::Symlink),
            has_xattrs: row.has(flag::XATTRS),
            has_acl: row.has(flag::ACL),
            damaged: row.has(flag::DAMAGED),
            implicit: row.has(flag::IMPLICIT),
        }
    }

    /// Whether every number in it is one of this table: true of all that was written here.
    pub fn is_sound(&self) -> bool {
        let nodes = self.rows.len() as u64;
        let is_node = |node: u32| u64::from(node) < nodes;
        let row_is_sound = |bytes: &[u8; ROW]| {
            let row = Row::from_bytes(bytes);
            let children = u64::from(row.children) + u64::from(row.child_count);
            is_node(row.parent)
                && (row.first == NONE || is_node(row.first))
                && (row.has(flag::REPLACED) && is_node(row.children)
                    || children <= self.children.len() as u64)
        };
        is_node(self.root)
            && u64::from(self.items) <= nodes
            && self.rows.iter().all(row_is_sound)
            && self.children.iter().all(|child| is_node(u32::from_le_bytes(*child)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ROW, Row};

    #[test]
    fn rows_are_read_as_they_were_written() {
        let bytes: [u8; ROW] = std::array::from_fn(|at| at as u8 ^ 0xa5);
        assert_eq!(Row::from_bytes(&bytes).to_bytes(), bytes);
    }
}
