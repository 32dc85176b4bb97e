//! Entrances for fuzzing, see [`crate::fuzzing`].

use super::build::Builder;
use super::file::{self, Opening, Seal, read_table};
use super::{Catalogue, Node, flag};
use crate::Id;
use crate::archive::Spot;
use crate::crypto::Key;
use crate::item::View;

/// Makes a catalogue of items, asserts that it tells of each, and that it is the same after it was kept.
pub(crate) fn same_when_kept(key: &Key, views: &[View<'_>]) {
    let mut builder = Builder::default();
    for (offset, view) in (0..).zip(views) {
        if builder.add(Spot { piece: 0, offset }, view).is_err() {
            return;
        }
    }
    let table = builder.finish(&[Id::MANIFEST]);
    assert!(table.is_sound());
    let seal = Seal::new(key, Id::MANIFEST, Id::MANIFEST);
    let mut kept = Vec::new();
    file::write(&table, &seal, &mut kept).expect("there is room");
    let read = file::read(&seal, kept.as_slice(), kept.len() as u64).expect("what was written");
    assert!(read == table, "the same table");

    let catalogue = Catalogue { table, lost: Vec::new(), is_kept: false };
    assert_eq!(catalogue.len(), views.len());
    let (mut path, mut further) = (Vec::new(), Vec::new());
    for (node, view) in catalogue.in_order().zip(views) {
        let entry = catalogue.entry(node);
        assert_eq!((entry.mode, entry.uid, entry.gid), (view.mode, view.uid, view.gid));
        assert_eq!((entry.user, entry.group, entry.rdev), (view.user, view.group, view.rdev));
        assert_eq!((entry.mtime, entry.ctime), (view.mtime, view.ctime));
        assert_eq!((entry.atime, entry.birthtime), (view.atime, view.birthtime));
        catalogue.path(node, &mut path);
        assert_eq!(path, view.path);
        if catalogue.is_placed(node) {
            assert_eq!(catalogue.find(&path), Some(node), "it is at its path");
        }
        if catalogue.link_target(node, &mut further) {
            assert_eq!(Some(further.as_slice()), view.source);
        }
    }
    for node in (0..catalogue.node_count() as u32).map(Node) {
        let names: Vec<_> = catalogue.children(node).map(|child| catalogue.entry(child).name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "by name, each once");
    }
    let leads_nowhere = |node: &Node| catalogue.table.row(node.0).has(flag::REFUSED);
    let placed = catalogue.in_order().filter(|node| !leads_nowhere(node));
    assert!(catalogue.below(catalogue.root()).eq(placed), "all that has a place is below the top");
}

/// Reads the content of a catalogue's file as if its seal were right: what is accepted can be looked at.
pub(crate) fn any_table(content: &[u8]) {
    let Some(table) = read_table(Opening::of(content.to_vec()), content.len() as u64) else { return };
    if !table.is_sound() {
        return;
    }
    let catalogue = Catalogue { table, lost: Vec::new(), is_kept: false };
    let nodes = (0..catalogue.node_count().min(100) as u32).map(Node);
    for node in nodes.chain([catalogue.root()]) {
        let entry = catalogue.entry(node);
        assert!(entry.name.len() <= content.len());
        for child in catalogue.children(node).chain(entry.first).chain([catalogue.parent(node)]) {
            assert!(catalogue.node(child.index()).is_some(), "every node is one of its own");
        }
        catalogue.child(node, entry.name);
    }
}
