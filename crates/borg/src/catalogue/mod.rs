//! An archive's items as a table: made in one pass over its metadata, kept on disk, and then at hand at once.
//!
//! ```text
//! item stream ─ build ─ table ─┬─ in memory: about 100 bytes an item
//!               tree           └─ keep ─ file: the same bytes, sealed
//! ```
//!
//! Lists of chunks, extended attributes and ACLs are not in the table: it tells where in the stream an item lies, and
//! [`Catalogue::item`] decodes it again.

mod build;
mod entry;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keep;
mod table;
mod tree;

use std::ops::Deref;
use std::path::Path;

use reprise_model::Observer;

use crate::archive::{Archive, Found, LostItems};
use crate::extract::normalize;
use crate::item::{Item, Kind, View};
use crate::msgpack::{Fault, Reader};
use crate::repository::Repository;
use crate::{Error, Id};

use build::{Builder, TooLarge};
pub use entry::Entry;
use file::Seal;
use keep::Shelf;
use table::{Extra, NONE, Row, Table, flag};

/// A thing in a [`Catalogue`]: an item of the archive, or a directory that others lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u32);

impl Node {
    /// Its number in its catalogue: items count from 0 in the archive's order, directories without an item follow.
    pub fn index(self) -> u32 {
        self.0
    }
}

/// An archive's items as a tree and as a list. It borrows nothing and never changes.
///
/// Every path is normalised: empty and `.` components say nothing. Should two items have one path, the last one is in the tree, as
/// it is what extraction leaves there; the list has both. Directories that others lie in are in the tree even without an
/// item of their own. A path that leads nowhere (absolute, with `..` or a zero byte) is in the list only. In a hostile archive,
/// things that are no directories may have children.
///
/// Nodes are those of one catalogue: with those of another, methods tell of something else, or panic.
#[derive(Debug)]
pub struct Catalogue {
    table: Table,
    lost: Vec<LostItems>,
    /// Whether it was found kept.
    is_kept: bool,
}

impl Catalogue {
    /// That of `archive`, from below the directory `cache` if there is one that is sound, else from its items.
    pub(crate) fn of(
        archive: &Archive<'_>,
        cache: Option<&Path>,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let id = archive.info().id;
        let shelf = cache.and_then(|cache| Shelf::open(cache, archive.repository.id()));
        if let Some(table) = shelf.and_then(|shelf| shelf.read(id, &seal(archive))) {
            // Unless the file is a forgery.
            if is_of(&table, archive) {
                return Ok(Self { table, lost: Vec::new(), is_kept: true });
            }
        }
        Self::build(archive, observer)
    }

    /// Keeps it below the directory `cache`, if it is that of `archive`, new and whole. Not being able to costs time later,
    /// and nothing else.
    pub(crate) fn keep(&self, archive: &Archive<'_>, cache: &Path) {
        let repository = archive.repository;
        if self.is_kept || !self.lost.is_empty() || !is_of(&self.table, archive) {
            return;
        }
        if let Some(shelf) = Shelf::open(cache, repository.id()) {
            let _ = shelf.keep(archive.info().id, &seal(archive), &self.table);
            let _ = shelf.tidy(repository.archives().iter().map(|entry| entry.id));
        }
    }

    fn build(archive: &Archive<'_>, observer: &dyn Observer) -> Result<Self, Error> {
        let too_large = || Error::Archive {
            name: archive.info().name.clone(),
            reason: "it has more items than a catalogue can hold".into(),
        };
        let mut builder = Builder::default();
        let mut lost = Vec::new();
        archive.each_view(|found| {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            match found {
                Found::Item(spot, item) => {
                    observer.advance(0, 1);
                    builder.add(spot, item).map_err(|TooLarge| too_large())
                }
                // What lies around it is worth knowing.
                Found::Lost(gap) => {
                    lost.push(gap);
                    Ok(())
                }
            }
        })?;
        Ok(Self { table: builder.finish(&archive.stream), lost, is_kept: false })
    }

    /// How many items the archive has, those of one path counted each.
    pub fn len(&self) -> usize {
        self.table.items as usize
    }

    /// Whether the archive has no items.
    pub fn is_empty(&self) -> bool {
        self.table.items == 0
    }

    /// How many nodes there are: the items, and the directories without one.
    pub fn node_count(&self) -> usize {
        self.table.rows.len()
    }

    /// The node with this number, if there is one.
    pub fn node(&self, index: u32) -> Option<Node> {
        Some(Node(index)).filter(|_| (index as usize) < self.table.rows.len())
    }

    /// Whether it was found on disk.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Where the archive's metadata is lost, and with it items that are not here. Such a catalogue is not kept.
    pub fn lost(&self) -> &[LostItems] {
        &self.lost
    }

    /// The top: the item `.`, if the archive has one.
    pub fn root(&self) -> Node {
        Node(self.table.root)
    }

    /// What lies in a directory, sorted by name (as bytes).
    pub fn children(&self, node: Node) -> impl ExactSizeIterator<Item = Node> + '_ {
        self.children_from(node, 0)
    }

    /// The same without the first `skipped` of them, which takes no longer for many.
    pub fn children_from(&self, node: Node, skipped: usize) -> impl ExactSizeIterator<Item = Node> + '_ {
        let children = self.table.children(&self.table.row(node.0));
        let rest = children.get(skipped..).unwrap_or_default();
        rest.iter().map(|child| Node(u32::from_le_bytes(*child)))
    }

    /// What is called `name` in a directory.
    pub fn child(&self, node: Node, name: &[u8]) -> Option<Node> {
        let children = self.table.children(&self.table.row(node.0));
        let name_of = |child: &[u8; 4]| {
            let row = self.table.row(u32::from_le_bytes(*child));
            self.table.bytes(row.name, row.name_len)
        };
        let found = children.binary_search_by(|child| name_of(child).cmp(name)).ok()?;
        Some(Node(u32::from_le_bytes(children[found])))
    }

    /// What is at a path in the tree, which may have empty and `.` components.
    pub fn find(&self, path: &[u8]) -> Option<Node> {
        let path = normalize(path).ok()?;
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.try_fold(self.root(), |node, name| self.child(node, name))
    }

    /// The directory that a node lies in; for the top, and for what has no place in the tree, the top.
    pub fn parent(&self, node: Node) -> Node {
        Node(self.table.row(node.0).parent)
    }

    /// What is known of a node.
    pub fn entry(&self, node: Node) -> Entry<'_> {
        self.table.entry(node.0)
    }

    /// All items in the order they were backed up.
    pub fn in_order(&self) -> impl ExactSizeIterator<Item = Node> + use<> {
        (0..self.table.items).map(Node)
    }

    /// The items at and below a node, in the order they were backed up, those replaced by others of the same path
    /// included.
    pub fn below(&self, node: Node) -> impl Iterator<Item = Node> + '_ {
        let mut is_below = vec![false; self.table.rows.len()];
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            is_below[node.0 as usize] = true;
            open.extend(self.children(node));
        }
        self.in_order().filter(move |node| {
            let mut row = self.table.row(node.0);
            let mut now = node.0;
            while row.has(flag::REPLACED) {
                now = row.children;
                row = self.table.row(now);
            }
            is_below[now as usize]
        })
    }

    /// Whether a node is in the tree: neither replaced by a later item of its path, nor of a path that leads nowhere.
    pub fn is_placed(&self, node: Node) -> bool {
        !self.table.row(node.0).has(flag::REPLACED | flag::REFUSED)
    }

    /// Writes the path of a node into `path`, in place of what it holds: for an item as the archive has it.
    pub fn path(&self, node: Node, path: &mut Vec<u8>) {
        path.clear();
        let row = self.table.row(node.0);
        match self.table.extra(&row, Extra::Path) {
            Some(recorded) => path.extend_from_slice(recorded),
            None => self.push_place(row, path),
        }
    }

    /// The path of a place in the tree.
    fn push_place(&self, mut row: Row, path: &mut Vec<u8>) {
        // From its end to its start, as the way leads up.
        let top = self.table.root;
        let mut length = row.name_len as usize;
        let mut above = row;
        while above.parent != top && above.name_len > 0 {
            above = self.table.row(above.parent);
            length += 1 + above.name_len as usize;
        }
        path.resize(length, b'/');
        let mut end = length;
        loop {
            let name = self.table.name(&row);
            let start = end - name.len();
            path[start..end].copy_from_slice(name);
            if start == 0 {
                return;
            }
            end = start - 1;
            row = self.table.row(row.parent);
        }
    }

    /// For a further name of a file, the path of the first as the archive tells it, written into `path`; false for
    /// anything else.
    pub fn link_target(&self, node: Node, path: &mut Vec<u8>) -> bool {
        path.clear();
        let row = self.table.row(node.0);
        if !row.has(flag::LINK) {
            return false;
        }
        match self.table.extra(&row, Extra::Source) {
            Some(source) => path.extend_from_slice(source),
            None if row.first != NONE => self.path(Node(row.first), path),
            None => {}
        }
        true
    }

    /// Whether any item has extended attributes.
    pub fn has_xattrs(&self) -> bool {
        self.in_order().any(|node| self.table.row(node.0).has(flag::XATTRS))
    }

    /// The whole item of a node, decoded again from the archive's metadata: with chunks, extended attributes and ACLs. A
    /// further name of a file comes with the content of the first. For a directory without an item, one without attributes.
    pub fn item(&self, repository: &Repository, node: Node) -> Result<Item, Error> {
        self.item_by(node, |id| repository.read_metadata(id))
    }

    /// The same, with chunks of metadata ([`Repository::read_metadata`]) from `piece`, which may keep them: neighbours
    /// are described in the same ones.
    pub fn item_by<P: Deref<Target = [u8]>>(
        &self,
        node: Node,
        mut piece: impl FnMut(&Id) -> Result<P, Error>,
    ) -> Result<Item, Error> {
        let row = self.table.row(node.0);
        if row.has(flag::IMPLICIT) {
            let mut item = Item { mode: row.mode, ..Item::default() };
            self.path(node, &mut item.path);
            return Ok(item);
        }
        let mut item = self.decode(row, &mut piece)?;
        if item.chunks.is_none() && row.first != NONE && item.kind() == Kind::File {
            let first = self.decode(self.table.row(row.first), &mut piece)?;
            item.chunks = first.chunks;
            item.chunks_healthy = first.chunks_healthy;
        }
        Ok(item)
    }

    fn decode<P: Deref<Target = [u8]>>(
        &self,
        row: Row,
        piece: &mut impl FnMut(&Id) -> Result<P, Error>,
    ) -> Result<Item, Error> {
        let malformed = |fault: Fault| Error::Invalid { reason: format!("an item is malformed: {fault}") };
        let mut ids = self.table.pieces.iter().skip(row.piece as usize).map(|id| Id(*id));
        let Some(first) = ids.next() else { return Err(malformed(Fault::Incomplete)) };
        let first = piece(&first)?;
        let begin = first.get(row.offset as usize..).unwrap_or_default();
        // Most are in one piece.
        match View::decode(&mut Reader::new(begin)) {
            Err(Fault::Incomplete) => {}
            decoded => return decoded.map(View::to_item).map_err(malformed),
        }
        let mut rest = begin.to_vec();
        let mut needed = 0;
        for id in ids {
            rest.extend_from_slice(&piece(&id)?);
            // Doubling keeps one huge item from being decoded again and again.
            if rest.len() < needed {
                continue;
            }
            match View::decode(&mut Reader::new(&rest)) {
                Err(Fault::Incomplete) => needed = rest.len() * 2,
                decoded => return decoded.map(View::to_item).map_err(malformed),
            }
        }
        View::decode(&mut Reader::new(&rest)).map(View::to_item).map_err(malformed)
    }
}

/// Whether a table was made of the chunks that describe `archive`.
fn is_of(table: &Table, archive: &Archive<'_>) -> bool {
    table.pieces.iter().map(|id| Id(*id)).eq(archive.stream.iter().copied())
}

/// What a catalogue of `archive` is sealed with on disk.
fn seal(archive: &Archive<'_>) -> Seal {
    Seal::new(archive.repository.key(), archive.repository.id(), archive.info().id)
}
