//! Room that a restore needs, by file system. Staged trees lie beside what they replace, and what is replaced
//! is kept: all of it is needed at once.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::path::Path;

use reprise_engine::SpaceNeed;
use reprise_host::Space;
use reprise_model::{Finding, Message, Severity};

use super::estimate::footprint;
use super::mirror::Put;
use super::survey::{Archiving, Facts, Site};

/// What something takes of a file system.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    bytes: u64,
    entries: u64,
    /// Bytes besides, if all differs of the trees of which only that is written.
    perhaps: u64,
    /// Bytes besides, if an archive of what is there has nothing in common with what its repository holds.
    archive: u64,
}

impl Room {
    fn of(bytes: u64, entries: u64) -> Self {
        Self { bytes, entries, ..Self::default() }
    }

    /// What comes to `site`, put together beside what is there.
    fn coming(site: &Site) -> Self {
        Self::of(footprint(site.item.bytes, site.item.entries), site.item.entries)
    }

    /// Bytes, if all differs that may.
    fn differing(self) -> u64 {
        self.bytes.saturating_add(self.perhaps)
    }

    /// Bytes, whatever it may be.
    fn at_most(self) -> u64 {
        self.differing().saturating_add(self.archive)
    }
}

impl AddAssign for Room {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.entries += more.entries;
        self.perhaps += more.perhaps;
        self.archive += more.archive;
    }
}

/// What is needed of one file system.
pub(super) struct Need<'a> {
    room: Room,
    /// The first place there.
    path: &'a Path,
    space: &'a Space,
    /// What to do where it is not enough.
    advice: &'static str,
}

/// What is needed of each file system. What differs from the archive is known when it was compared: of trees of which only that is
/// written, only what they need at most is known.
pub(super) fn needs<'a>(facts: &'a Facts, puts: &[Put]) -> Vec<Need<'a>> {
    // Another machine's numbers say nothing about this one's.
    let mut systems: BTreeMap<(bool, u64), Need<'a>> = BTreeMap::new();
    let mut add_on = |is_here, path: &'a Path, space: &'a Space, room: Room, advice| {
        let none = Need { room: Room::default(), path, space, advice };
        systems.entry((is_here, space.device)).or_insert(none).room += room;
    };
    let is_here = facts.is_here();
    let mut add = |path, space, room, advice| add_on(is_here, path, space, room, advice);
    for (site, put) in facts.sites.iter().zip(puts) {
        let comes = Room::coming(site);
        match &site.outside {
            // A snapshot that keeps what is there counts its room itself.
            _ if !put.is_staged() && site.under.is_some() => {}
            // As much as there is more of is needed, whatever differs: what is written over is kept.
            _ if !put.is_staged() => {
                let more = site.tight.map(|is| {
                    let bytes = comes.bytes.saturating_sub(footprint(is.bytes, is.entries));
                    Room::of(bytes, comes.entries.saturating_sub(is.entries))
                });
                let more = more.unwrap_or_default();
                let room = Room { perhaps: comes.bytes - more.bytes, ..more };
                add(&site.target, &site.space, room, "no-space-advice");
            }
            Some(outside) if put.is_filled() => {
                let is = Room::of(outside.taken.bytes, outside.taken.entries);
                let beside = site.target.parent().unwrap_or(&site.target);
                add(beside, &outside.space, comes, "no-space-beside-advice");
                // Where something else protects it, there is no copy.
                if site.under.is_none() {
                    add(beside, &outside.space, is, "no-space-beside-advice");
                }
                // What is there goes before anything comes, and the other way round on the way back.
                let more: fn(u64, u64) -> u64 = if outside.frees() { u64::saturating_sub } else { u64::max };
                let more = Room::of(more(comes.bytes, is.bytes), more(comes.entries, is.entries));
                add(&site.target, &site.space, more, "no-space-beside-advice");
            }
            _ => add(&site.target, &site.space, comes, "no-space-advice"),
        }
    }
    if let Some(Archiving { directory, space, bytes }) = &facts.archiving {
        add_on(true, directory, space, Room { archive: *bytes, ..Room::default() }, "no-space-advice");
    }
    systems.into_values().filter(|need| need.room.at_most() > 0).collect()
}

/// Trees on file systems that have too little room for all that comes there beside what is there.
pub(super) fn without_room(sites: &mut [Site]) -> impl Iterator<Item = &mut Site> {
    let mut coming: BTreeMap<u64, Room> = BTreeMap::new();
    for site in &*sites {
        *coming.entry(site.space.device).or_default() += Room::coming(site);
    }
    sites.iter_mut().filter(move |site| {
        let (comes, free) = (coming[&site.space.device], &site.space);
        site.is_tree() && (comes.bytes > free.free_bytes || comes.entries > free.free_inodes)
    })
}

impl Need<'_> {
    /// For the plan.
    pub fn shown(&self) -> SpaceNeed {
        let Need { room, path, space, .. } = *self;
        let (needed, at_most) = (room.bytes, room.at_most());
        SpaceNeed { path: path.to_owned(), needed, at_most, free: space.free_bytes }
    }

    /// What is missing, or may be, if something is.
    pub fn finding(&self) -> Option<Finding> {
        let Need { room, path, space, advice } = *self;
        let of_bytes = |key, bytes| Message::new(key).bytes("needed", bytes).bytes("free", space.free_bytes);
        let (severity, message, advice) = if room.bytes > space.free_bytes {
            (Severity::Blocker, of_bytes("no-space", room.bytes), advice)
        } else if room.entries > space.free_inodes {
            let message = Message::new("no-inodes").count("needed", room.entries);
            (Severity::Blocker, message.count("free", space.free_inodes), advice)
        } else if room.differing() > space.free_bytes {
            (Severity::Warning, of_bytes("space-unsure", room.differing()), "space-unsure-advice")
        } else if room.at_most() > space.free_bytes {
            let message = of_bytes("archive-space-unsure", room.at_most());
            (Severity::Warning, message, "archive-space-unsure-advice")
        } else {
            return None;
        };
        let finding = Finding::new(severity, message.text("path", path.display()));
        Some(finding.advise(Message::new(advice)))
    }
}
