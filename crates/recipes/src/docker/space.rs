//! Room that a restore needs, by file system. Staged trees lie beside what they replace, and what is replaced
//! is kept: all of it is needed at once.

use std::collections::BTreeMap;
use std::path::Path;

use reprise_engine::SpaceNeed;
use reprise_host::Space;
use reprise_model::{Finding, Message, Severity};

use super::estimate::footprint;
use super::mirror::Put;
use super::survey::Site;

/// What is needed of one file system.
pub(super) struct Need<'a> {
    bytes: u64,
    entries: u64,
    /// The first place there.
    path: &'a Path,
    space: &'a Space,
    /// What to do where it is not enough.
    advice: &'static str,
}

/// What `sites` need of each file system.
/// What differs from the archive is known when it was compared, so trees of which only that is written count as nothing.
pub(super) fn needs<'a>(sites: &'a [Site], puts: &[Put]) -> Vec<Need<'a>> {
    let mut systems: BTreeMap<u64, Need<'a>> = BTreeMap::new();
    let mut add = |path: &'a Path, space: &'a Space, (bytes, entries): (u64, u64), advice| {
        let none = Need { bytes: 0, entries: 0, path, space, advice };
        let need = systems.entry(space.device).or_insert(none);
        need.bytes += bytes;
        need.entries += entries;
    };
    for (site, put) in sites.iter().zip(puts).filter(|(_, put)| put.is_staged()) {
        let comes = (footprint(site.item.bytes, site.item.entries), site.item.entries);
        match &site.outside {
            Some(outside) if put.is_filled() => {
                let is = (outside.bytes, outside.entries);
                let beside = site.target.parent().unwrap_or(&site.target);
                add(beside, &outside.space, comes, "no-space-beside-advice");
                // Where something else protects it, there is no copy.
                if site.under.is_none() {
                    add(beside, &outside.space, is, "no-space-beside-advice");
                }
                // What is there goes before anything comes, and the other way round on the way back.
                let more = if outside.frees() {
                    (comes.0.saturating_sub(is.0), comes.1.saturating_sub(is.1))
                } else {
                    (comes.0.max(is.0), comes.1.max(is.1))
                };
                add(&site.target, &site.space, more, "no-space-beside-advice");
            }
            _ => add(&site.target, &site.space, comes, "no-space-advice"),
        }
    }
    systems.into_values().filter(|need| need.bytes > 0).collect()
}

impl Need<'_> {
    /// For the plan.
    pub fn shown(&self) -> SpaceNeed {
        let Need { bytes, path, space, .. } = *self;
        SpaceNeed { path: path.to_owned(), needed: bytes, free: space.free_bytes }
    }

    /// What is missing, if something is.
    pub fn finding(&self) -> Option<Finding> {
        let Need { bytes, entries, path, space, advice } = *self;
        let message = if bytes > space.free_bytes {
            Message::new("no-space").bytes("needed", bytes).bytes("free", space.free_bytes)
        } else if entries > space.free_inodes {
            Message::new("no-inodes").count("needed", entries).count("free", space.free_inodes)
        } else {
            return None;
        };
        let finding = Finding::new(Severity::Blocker, message.text("path", path.display()));
        Some(finding.advise(Message::new(advice)))
    }
}
