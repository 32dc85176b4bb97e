//! From what should change where it is *used* to what is edited where it is *written*.
//!
//! A value behind an anchor is written once and used in several places. If all of them want the same change,
//! the definition is edited. If only some do, the alias itself is replaced where it stands for just this value.
//! Anything else would change what nobody asked to change, and is refused.

use std::collections::BTreeMap;

use super::super::error::ComposeError;
use super::super::yaml::{Kind, NodeId, Tree};
use super::plan::Wish;
use super::splice::Replacement;

/// Replacements by the node whose text is replaced, in the order of the text.
pub(super) type Edits = BTreeMap<NodeId, Replacement>;

/// Turns wishes into edits.
pub(super) fn edits(tree: &Tree, wishes: Vec<Wish>) -> Result<Edits, ComposeError> {
    let uses = Uses::count(tree);
    let mut by_definition: BTreeMap<NodeId, Vec<Wish>> = BTreeMap::new();
    for wish in wishes {
        by_definition.entry(tree.resolve(wish.site)).or_default().push(wish);
    }
    let mut edits = Edits::new();
    for (definition, wishes) in by_definition {
        if let Some(to) = unanimous(&wishes, uses.of(definition)) {
            // Nothing to do where the value already is what it should be, such as `type: bind`.
            if tree.scalar(definition).is_none_or(|now| *to != Replacement::Text(now.to_owned())) {
                edits.insert(definition, to.clone());
            }
            continue;
        }
        let mut by_site: BTreeMap<NodeId, Vec<Wish>> = BTreeMap::new();
        for wish in wishes {
            by_site.entry(wish.site).or_default().push(wish);
        }
        for (site, wishes) in by_site {
            match unanimous(&wishes, uses.of(site)) {
                Some(to) if site != definition => edits.insert(site, to.clone()),
                _ => {
                    return Err(ComposeError::SharedValue {
                        line: tree.nodes[definition].line,
                        value: tree.scalar(definition).unwrap_or_default().to_owned(),
                    });
                }
            };
        }
    }
    Ok(edits)
}

/// The one thing all uses of a place want.
fn unanimous(wishes: &[Wish], uses: usize) -> Option<&Replacement> {
    let to = &wishes.first()?.to;
    (wishes.len() == uses && wishes.iter().all(|wish| wish.to == *to)).then_some(to)
}

/// How often each scalar and each alias counts in the file as Compose sees it. Extension fields (`x-…`), where
/// shared parts are usually kept, do not count themselves.
struct Uses(Vec<usize>);

impl Uses {
    fn count(tree: &Tree) -> Self {
        let mut uses = Self(vec![0; tree.nodes.len()]);
        uses.visit(tree, tree.root, 0);
        uses
    }

    fn of(&self, id: NodeId) -> usize {
        self.0[id]
    }

    /// The tree's limits bound both the depth of this and its length.
    fn visit(&mut self, tree: &Tree, site: NodeId, level: usize) {
        let id = tree.resolve(site);
        if id != site {
            self.0[site] += 1;
        }
        match &tree.nodes[id].kind {
            Kind::Sequence(items) => {
                for &item in items {
                    self.visit(tree, item, level + 1);
                }
            }
            Kind::Mapping(_) => {
                // The file itself (0) and a service or other definition (2) may carry extension fields; the
                // names in a section (1) and labels, variables and so on (3 and deeper) may begin with anything.
                let extensible = level == 0 || level == 2;
                for entry in tree.entries(id) {
                    if !(extensible && entry.key.starts_with("x-")) {
                        self.visit(tree, entry.value, level + 1);
                    }
                }
            }
            Kind::Scalar { .. } => self.0[id] += 1,
            Kind::Alias(_) => {}
        }
    }
}
