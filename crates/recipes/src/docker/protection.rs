//! What makes a restore undoable where that is not the exchange of whole trees: snapshots, and what they cost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reprise_engine::{BackUp, Lvm, Snapshot, SnapshotKind, TreeCopy, Way};
use reprise_model::{Finding, Message, Protect, Severity, human_bytes};

use super::estimate::footprint;
use super::mirror::Put;
use super::request::Request;
use super::survey::{Facts, Site, bytes_there};
use super::under::Under;
use crate::borg::{BEFORE, create};

/// Snapshots of one file system, and what is put back from it.
type Group<'a> = (&'a Under, Vec<(&'a Site, &'a PathBuf)>);

/// The sites that a snapshot is taken for, by what lies under them.
fn groups<'a>(facts: &'a Facts, puts: &'a [Put]) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    for (site, put) in facts.sites.iter().zip(puts) {
        if let (Some(under), Put::Mirror(_, store)) = (&site.under, put) {
            groups.entry(under.to_string()).or_insert_with(|| (under, Vec::new())).1.push((site, store));
        }
    }
    groups.into_values().collect()
}

/// Room for what changes while the restore and, perhaps, its undoing write: each block that is written is kept once. The one
/// writes what comes, the other what is there now, of which nobody knows more than what is used in all.
fn wanted((under, sites): &Group<'_>) -> u64 {
    const UNIT: u64 = 4 << 20;
    let bytes: u64 = sites.iter().map(|(site, _)| footprint(site.item.bytes, site.item.entries)).sum();
    let Under::Lvm { size, used, thin, .. } = under else { return bytes };
    let bytes = bytes.saturating_add(*used);
    let estimate = bytes.saturating_add(bytes / 5).saturating_add(64 << 20);
    // LVM's own records take a little more than the volume.
    let most = size.saturating_add(size / 50).saturating_add(UNIT);
    let least = if *thin { 0 } else { size / 5 };
    estimate.max(least).min(most).next_multiple_of(UNIT)
}

fn snapshot(request: &Request<'_>, group: &Group<'_>, users: &[String]) -> Option<Snapshot> {
    let (under, sites) = group;
    let kind = match under {
        Under::Btrfs { subvolume } => {
            SnapshotKind::Btrfs { subvolume: subvolume.clone(), at: sites.first()?.1.join("snapshot") }
        }
        Under::Lvm { group: name, volume, thin, mount, file_system, options, .. } => SnapshotKind::Lvm(Lvm {
            group: name.clone(),
            volume: volume.clone(),
            name: format!("reprise-{}-{volume}", request.id),
            bytes: (!thin).then(|| wanted(group)),
            mount: mount.clone(),
            file_system: file_system.clone(),
            options: options.clone(),
            at: PathBuf::from(format!("/run/reprise-{}-{volume}", request.id)),
        }),
        Under::Other(_) => return None,
    };
    let targets = sites.iter().map(|(site, _)| site.target.clone()).collect();
    let store = sites.first()?.1.clone();
    Some(Snapshot { kind, targets, store, users: users.to_vec() })
}

/// The steps that take snapshots, once nothing uses what they are of.
pub(super) fn snapshots(
    request: &Request<'_>,
    facts: &Facts,
    puts: &[Put],
    users: &[String],
) -> Vec<Snapshot> {
    if request.choice.protect == Protect::Snapshot {
        return groups(facts, puts).iter().filter_map(|group| snapshot(request, group, users)).collect();
    }
    facts.sites.iter().zip(puts).filter_map(|(site, put)| copy(site, put, users)).collect()
}

/// The copy of what is there where nothing can be kept on its own file system.
fn copy(site: &Site, put: &Put, users: &[String]) -> Option<Snapshot> {
    let (Put::Mirror(Way::Fill, store), Some(outside)) = (put, &site.outside) else { return None };
    let of = site.target.clone();
    let kind =
        TreeCopy { of, at: store.join("copy"), entries: outside.taken.entries, bytes: outside.taken.bytes };
    Some(Snapshot {
        kind: SnapshotKind::Copy(kind),
        targets: vec![site.target.clone()],
        store: store.clone(),
        users: users.to_vec(),
    })
}

/// The step that makes an archive of what is there, once nothing writes to it any more.
pub(super) fn back_up(request: &Request<'_>, facts: &Facts, puts: &[Put]) -> Option<BackUp> {
    let present: Vec<&Site> = facts.sites.iter().filter(|site| site.present.is_some()).collect();
    if !request.choice.backup_before || present.is_empty() {
        return None;
    }
    let archive = format!("{BEFORE}{}", request.id);
    let paths: Vec<PathBuf> = present.iter().map(|site| site.target.clone()).collect();
    // A store in what is backed up is none of it.
    let stores = facts.sites.iter().zip(puts).filter_map(|(site, put)| match put {
        Put::Mirror(_, store) if store.starts_with(&site.target) => Some(store.clone()),
        _ => None,
    });
    let except: Vec<PathBuf> = stores.collect();
    Some(BackUp {
        by_hand: create(&request.source.repository, &archive, &paths, &except),
        bytes: bytes_there(&facts.sites),
        archive,
        paths,
        except,
    })
}

/// What speaks against it, and what is to be known.
pub(super) fn findings(request: &Request<'_>, facts: &Facts, puts: &[Put]) -> Vec<Finding> {
    let mut found = Vec::new();
    if request.choice.backup_before {
        if let Some(Err(reason)) = &facts.borg {
            let message = Message::new("backup-before-no-borg").text("reason", reason);
            found.push(Finding::new(Severity::Blocker, message));
        } else if !facts.is_here() && facts.sites.iter().any(|site| site.present.is_some()) {
            found.push(Finding::new(Severity::Info, Message::new("backup-before-no-attributes")));
        }
    }
    match request.choice.protect {
        Protect::Auto => {}
        Protect::Snapshot => {
            for group in groups(facts, puts) {
                let (under, sites) = &group;
                let path =
                    sites.first().map(|(site, _)| site.target.display().to_string()).unwrap_or_default();
                // It would lie in what it is of.
                let exposed =
                    sites.iter().find(|(site, store)| site.is_mounted() && !store.starts_with(&site.target));
                if let (Under::Btrfs { .. }, Some((site, _))) = (under, exposed) {
                    let message = Message::new("no-snapshot-shared").text("path", site.target.display());
                    let finding = Finding::new(Severity::Blocker, message);
                    found.push(finding.advise(Message::new("no-snapshot-advice")));
                } else if let Under::Other(what) = under {
                    let message = Message::new("no-snapshot").text("path", path).text("what", what);
                    let finding = Finding::new(Severity::Blocker, message);
                    found.push(finding.advise(Message::new("no-snapshot-advice")));
                } else if let Under::Lvm { free, group: name, .. } = under
                    && wanted(&group) > *free
                {
                    let message = Message::new("no-snapshot-room").text("group", name);
                    let message = message.bytes("needed", wanted(&group)).bytes("free", *free);
                    let finding = Finding::new(Severity::Blocker, message);
                    found.push(finding.advise(Message::new("no-snapshot-advice")));
                } else if let (Under::Btrfs { .. }, Some((site, _))) = (under, sites.first())
                    && wanted(&group) > site.space.free_bytes
                {
                    // What is written over is not freed while the snapshot has it.
                    let message = Message::new("no-snapshot-space").text("path", path);
                    let message =
                        message.bytes("needed", wanted(&group)).bytes("free", site.space.free_bytes);
                    let finding = Finding::new(Severity::Blocker, message);
                    found.push(finding.advise(Message::new("no-snapshot-advice")));
                }
            }
        }
    }
    found
}

/// How each tree is protected, where that is not by exchanging it: for people, with what it costs.
pub(super) fn shown(
    request: &Request<'_>,
    facts: &Facts,
    puts: &[Put],
    snapshots: &[Snapshot],
    back_up: Option<&BackUp>,
) -> Vec<Message> {
    let mut shown: Vec<Message> = snapshots
        .iter()
        .map(|snapshot| {
            let message = |key| Message::new(key).text("name", snapshot.name());
            match &snapshot.kind {
                SnapshotKind::Lvm(Lvm { bytes: Some(bytes), .. }) => {
                    message("protection-lvm").text("size", human_bytes(*bytes))
                }
                SnapshotKind::Lvm(_) => message("protection-thin"),
                SnapshotKind::Btrfs { .. } => message("protection-btrfs"),
                SnapshotKind::Copy(copy) => {
                    let site = facts.sites.iter().find(|site| site.target == copy.of);
                    let comes = site.map_or(0, |site| site.item.bytes);
                    let message = message("protection-copy").text("path", copy.of.display());
                    message.bytes("size", copy.bytes).bytes("comes", comes)
                }
            }
        })
        .collect();
    for (site, put) in facts.sites.iter().zip(puts) {
        let key = match (put, request.choice.protect) {
            (Put::Swap, _) => "protection-swap",
            (Put::Place | Put::Mirror(Way::Fill, _), _) | (_, Protect::Snapshot) => continue,
            (Put::Mirror(Way::Exchange, _), _) => "protection-exchange",
            (Put::Mirror(..), _) => "protection-differences",
        };
        shown.push(Message::new(key).text("path", site.target.display()));
    }
    if shown.iter().all(|message| message.key() == "protection-swap") {
        // The usual, which is said once for all.
        shown.clear();
    }
    if let Some(BackUp { archive, bytes, .. }) = back_up {
        if shown.is_empty() {
            shown.push(Message::new("plan-protection-swap"));
        }
        shown.push(Message::new("protection-archive").text("archive", archive).bytes("size", *bytes));
    }
    shown
}
