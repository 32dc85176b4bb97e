//! The last line of defence: the rewritten text, parsed again, differs from the original in the edited values and
//! in nothing else.

use std::collections::HashMap;

use super::super::error::ComposeError;
use super::super::yaml::{Kind, NodeId, Tree};
use super::sites::Edits;
use super::splice::Replacement;

/// Compares the trees of the original and the rewritten text.
pub(super) fn only_these(before: &Tree, after: &str, edits: &Edits) -> Result<(), ComposeError> {
    let refused = |detail: String| ComposeError::RewriteRefused { detail };
    let after = Tree::parse(after).map_err(|error| refused(error.to_string()))?;
    let mut comparison = Comparison { before, after: &after, edits, counterparts: HashMap::new(), edited: 0 };
    comparison.nodes(before.root, after.root).map_err(refused)?;
    if comparison.edited != edits.len() {
        return Err(refused("an edit did not arrive".into()));
    }
    Ok(())
}

struct Comparison<'a> {
    before: &'a Tree,
    after: &'a Tree,
    edits: &'a Edits,
    /// Node of the rewritten text for each one of the original, for checking aliases.
    counterparts: HashMap<NodeId, NodeId>,
    edited: usize,
}

impl Comparison<'_> {
    fn nodes(&mut self, old_id: NodeId, new_id: NodeId) -> Result<(), String> {
        let (old, new) = (&self.before.nodes[old_id], &self.after.nodes[new_id]);
        let differs = || Err(format!("line {} of the rewritten text", new.line));
        self.counterparts.insert(old_id, new_id);
        if old.anchored != new.anchored || old.tag != new.tag {
            return differs();
        }
        if let Some(to) = self.edits.get(&old_id) {
            self.edited += 1;
            return if self.is(new_id, to) { Ok(()) } else { differs() };
        }
        match (&old.kind, &new.kind) {
            (
                Kind::Scalar { value: old, style: old_style },
                Kind::Scalar { value: new, style: new_style },
            ) if old == new && old_style == new_style => Ok(()),
            (Kind::Alias(old), Kind::Alias(new)) if self.counterparts.get(old) == Some(new) => Ok(()),
            (Kind::Sequence(old), Kind::Sequence(new)) if old.len() == new.len() => {
                old.iter().zip(new).try_for_each(|(&old, &new)| self.nodes(old, new))
            }
            (Kind::Mapping(old), Kind::Mapping(new)) if old.len() == new.len() => {
                old.iter().zip(new).try_for_each(|(old, new)| {
                    self.nodes(old.0, new.0)?;
                    self.nodes(old.1, new.1)
                })
            }
            _ => differs(),
        }
    }

    /// Whether a node of the rewritten text is what was asked for.
    fn is(&self, id: NodeId, to: &Replacement) -> bool {
        let node = &self.after.nodes[id];
        match (to, &node.kind) {
            (Replacement::Text(text), Kind::Scalar { value, .. }) => {
                value == text && self.after.scalar(id).is_some()
            }
            (Replacement::True, Kind::Scalar { value, .. }) => value == "true",
            (Replacement::Mapping(fields), Kind::Mapping(pairs)) => {
                fields.len() == pairs.len()
                    && fields.iter().zip(pairs).all(|((key, to), pair)| {
                        self.after.scalar(pair.0) == Some(*key) && self.is(pair.1, to)
                    })
            }
            _ => false,
        }
    }
}
