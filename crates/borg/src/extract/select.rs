//! From items to targets: which placements want an item, where it goes in each, and what becomes of hard links.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::path::{below, join, normalize};
use super::{Extraction, ProblemKind};
use crate::Error;
use crate::item::{Chunk, Item, Kind};
use crate::pattern::{Selection, Verdict};

/// An item on its way to a place.
pub(super) struct Target {
    /// Relative to the root; empty for the root itself.
    pub destination: Vec<u8>,
    pub action: Action,
}

/// What is to be made of an item at a place.
pub(super) enum Action {
    /// Create it, with the item's own content if it is a file.
    Create,
    /// Create it with the content of a file that is not extracted there itself.
    CreateWith(Arc<Content>),
    /// Another name for what was extracted to this place.
    Link(Vec<u8>),
}

/// The content of a file with several names.
pub(super) struct Content {
    pub chunks: Vec<Chunk>,
    pub healthy: Vec<Chunk>,
}

pub(super) fn size_of(chunks: &[Chunk]) -> u64 {
    chunks.iter().map(|chunk| u64::from(chunk.size)).sum()
}

/// Damage that shows in the item itself: what its content is now, and what it was before a repair.
pub(crate) fn known_problems(item: &Item, chunks: &[Chunk], healthy: &[Chunk]) -> Vec<ProblemKind> {
    let mut problems = Vec::new();
    let mut start = 0;
    for (now, before) in chunks.iter().zip(healthy) {
        let end = start + u64::from(now.size);
        if now.id != before.id {
            problems.push(ProblemKind::Repaired { range: start..end });
        }
        start = end;
    }
    let found = size_of(chunks);
    if let Some(recorded) = item.size.filter(|recorded| *recorded != found) {
        problems.push(ProblemKind::Size { recorded, found });
    }
    problems
}

struct Placed {
    subtree: Vec<u8>,
    destination: Vec<u8>,
    selection: Selection,
    strip_components: usize,
    /// Which paths of the selection have matched something.
    matched: Vec<bool>,
    /// Where files with several names went, by their first name in the archive.
    first_names: HashMap<Vec<u8>, Vec<u8>>,
}

impl Placed {
    /// Where an item goes whose path is `path`, and `clean` when normalized; `None` if it is not wanted here.
    fn destination(&mut self, path: &[u8], clean: &[u8]) -> Option<Vec<u8>> {
        let mut rest = below(clean, &self.subtree)?;
        match self.selection.verdict(path) {
            Verdict::Out => return None,
            Verdict::In => {}
            Verdict::Wanted(index) => self.matched[index] = true,
        }
        for _ in 0..self.strip_components {
            let slash = rest.iter().position(|byte| *byte == b'/')?;
            rest = &rest[slash + 1..];
        }
        Some(join(&self.destination, rest))
    }
}

/// Where an item was to go, if that can be said, and why it cannot.
pub(super) type Unplaced = (Option<Vec<u8>>, ProblemKind);

/// Maps the items of an archive, which must be given in order.
pub(super) struct Selector {
    placed: Vec<Placed>,
    /// Content of files with several names whose first name some placement leaves out.
    outside: HashMap<Vec<u8>, Arc<Content>>,
}

impl Selector {
    pub fn new(extraction: &Extraction) -> Result<Self, Error> {
        let clean = |path: &[u8]| {
            normalize(path).map(Cow::into_owned).map_err(|reason| Error::Invalid {
                reason: format!("the placement {:?} cannot be used: {reason}", String::from_utf8_lossy(path)),
            })
        };
        let placed = extraction
            .placements
            .iter()
            .map(|placement| {
                Ok(Placed {
                    subtree: clean(&placement.subtree)?,
                    destination: clean(&placement.destination)?,
                    selection: placement.selection.clone(),
                    strip_components: placement.strip_components,
                    matched: vec![false; placement.selection.paths().len()],
                    first_names: HashMap::new(),
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { placed, outside: HashMap::new() })
    }

    /// Where the item goes. A problem concerns one place, or all of them if the path itself is the problem.
    pub fn targets(&mut self, item: &Item) -> Vec<Result<Target, Unplaced>> {
        let path = match normalize(&item.path) {
            Ok(path) => path,
            Err(reason) if self.might_be_wanted(&item.path) => {
                return vec![Err((None, ProblemKind::Refused { reason }))];
            }
            Err(_) => return Vec::new(),
        };
        let first_name = item.hard_link_target();
        let has_names = item.hardlink_master && item.kind() != Kind::Directory && first_name.is_none();
        let mut targets = Vec::new();
        let mut left_out = false;
        for placed in &mut self.placed {
            let Some(destination) = placed.destination(&item.path, &path) else {
                left_out = true;
                continue;
            };
            let action = match first_name {
                None => {
                    if has_names {
                        placed.first_names.insert(item.path.clone(), destination.clone());
                    }
                    Action::Create
                }
                Some(first) => match placed.first_names.get(first) {
                    Some(linked) => Action::Link(linked.clone()),
                    None if item.kind() != Kind::File => Action::Create,
                    None => {
                        let Some(content) = self.outside.get(first) else {
                            let kind = ProblemKind::HardLink { target: first.to_vec() };
                            targets.push(Err((Some(destination), kind)));
                            continue;
                        };
                        placed.first_names.insert(first.to_vec(), destination.clone());
                        Action::CreateWith(Arc::clone(content))
                    }
                },
            };
            targets.push(Ok(Target { destination, action }));
        }
        if left_out && has_names && item.kind() == Kind::File {
            let content = Content {
                chunks: item.chunks.clone().unwrap_or_default(),
                healthy: item.chunks_healthy.clone(),
            };
            self.outside.insert(item.path.clone(), Arc::new(content));
        }
        targets
    }

    /// Whether a path too odd to be followed looks as if it lay in what was asked for.
    fn might_be_wanted(&self, path: &[u8]) -> bool {
        let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
        self.placed
            .iter()
            .any(|placed| path[start..].starts_with(&placed.subtree) && placed.selection.includes(path))
    }

    /// The paths of selections that nothing has matched, as they were given.
    pub fn unmatched(&self) -> Vec<String> {
        let unmatched = |placed: &Placed| {
            let paths = placed.selection.paths().iter().zip(&placed.matched);
            paths.filter(|(_, matched)| !**matched).map(|(path, _)| path.to_string()).collect::<Vec<_>>()
        };
        self.placed.iter().flat_map(unmatched).collect()
    }
}
