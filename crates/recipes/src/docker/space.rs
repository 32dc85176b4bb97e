//! Room that a restore needs, by file system. Staged trees lie beside what they replace, and what is replaced
//! is kept: all of it is needed at once.

use std::collections::BTreeMap;

use reprise_engine::SpaceNeed;
use reprise_model::{Finding, Message, Severity};

use super::estimate::footprint;
use super::mirror::Put;
use super::survey::Site;

/// What is needed of one file system.
pub(super) struct Need<'a> {
    bytes: u64,
    entries: u64,
    /// The first site that goes there.
    site: &'a Site,
}

/// What `sites` need of each file system.
/// What differs from the archive is known when it was compared, so trees of which only that is written count as nothing.
pub(super) fn needs<'a>(sites: &'a [Site], puts: &[Put]) -> Vec<Need<'a>> {
    let mut systems: BTreeMap<u64, Need<'_>> = BTreeMap::new();
    for (site, put) in sites.iter().zip(puts) {
        if !put.is_staged() {
            continue;
        }
        let need = systems.entry(site.space.device).or_insert(Need { bytes: 0, entries: 0, site });
        need.bytes += footprint(site.item.bytes, site.item.entries);
        need.entries += site.item.entries;
    }
    systems.into_values().collect()
}

impl Need<'_> {
    /// For the plan.
    pub fn shown(&self) -> SpaceNeed {
        let Need { bytes, site, .. } = *self;
        SpaceNeed { path: site.target.clone(), needed: bytes, free: site.space.free_bytes }
    }

    /// What is missing, if something is.
    pub fn finding(&self) -> Option<Finding> {
        let Need { bytes, entries, site } = *self;
        let message = if bytes > site.space.free_bytes {
            Message::new("no-space").bytes("needed", bytes).bytes("free", site.space.free_bytes)
        } else if entries > site.space.free_inodes {
            Message::new("no-inodes").count("needed", entries).count("free", site.space.free_inodes)
        } else {
            return None;
        };
        let finding = Finding::new(Severity::Blocker, message.text("path", site.target.display()));
        Some(finding.advise(Message::new("no-space-advice")))
    }
}
