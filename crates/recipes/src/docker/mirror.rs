//! How each restored tree takes its place: exchanged as a whole where that can be and nothing else was asked for, else
//! entry by entry ([`Mirror`]).

use std::path::{Path, PathBuf};

use reprise_engine::{Change, Keep, Mirror, OpenStore, Way};
use reprise_host::FileKind;
use reprise_model::{Destination, Finding, ItemKind, Manner, Message, Protect, Severity};

use super::plan::beside;
use super::request::Request;
use super::survey::{Facts, Outside, Site};

/// How one tree takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Put {
    /// It is renamed to where nothing is.
    Place,
    /// It changes places with what is there.
    Swap,
    /// Its names move, by way of a store.
    Mirror(Way, PathBuf),
}

impl Put {
    /// Whether there will be two copies for a while.
    pub fn is_staged(&self) -> bool {
        !matches!(self, Self::Mirror(way, _) if !way.is_staged())
    }

    /// Whether nothing is kept in the file system that it goes to.
    pub fn is_filled(&self) -> bool {
        matches!(self, Self::Mirror(Way::Fill, _))
    }

    /// Where the tree is put together before it takes its place.
    pub fn staged(&self, site: &Site, request: &Request<'_>) -> Option<PathBuf> {
        match self {
            Self::Place | Self::Swap => Some(beside(&site.target, request.id, "new")),
            Self::Mirror(way, store) => way.is_staged().then(|| store.join("new")),
        }
    }

    /// What has to be there before that.
    pub fn store(&self, site: &Site) -> Option<Change> {
        let Self::Mirror(_, store) = self else { return None };
        Some(Change::OpenStore(OpenStore { target: site.target.clone(), store: store.clone() }))
    }

    /// The step that mirrors `site`.
    pub fn mirror(&self, site: &Site, protect: Protect, users: &[String]) -> Option<Change> {
        let Self::Mirror(way, store) = self else { return None };
        Some(Change::Mirror(Mirror {
            from: site.item.path.clone(),
            target: site.target.clone(),
            store: store.clone(),
            way: *way,
            keep: match protect {
                Protect::Auto if *way != Way::Fill => Keep::InStore,
                Protect::Auto | Protect::Snapshot => Keep::Elsewhere,
            },
            entries: site.item.entries,
            bytes: site.item.bytes,
            users: users.to_vec(),
        }))
    }
}

/// How the tree of each site takes its place. `remaking`: there are containers to be made anew.
pub(super) fn puts(request: &Request<'_>, facts: &Facts, remaking: bool) -> Vec<Put> {
    facts.sites.iter().map(|site| of(request, site, facts, remaking)).collect()
}

fn of(request: &Request<'_>, site: &Site, facts: &Facts, remaking: bool) -> Put {
    let in_place = request.choice.destination == Destination::InPlace;
    let Some(present) = &site.present else {
        // The engine makes an empty one, which is exchanged.
        let is_made = in_place && site.item.kind == ItemKind::Volume && site.volume.is_none();
        return if is_made { Put::Swap } else { Put::Place };
    };
    if !in_place || present.kind != FileKind::Directory {
        return if in_place { Put::Swap } else { Put::Place };
    }
    let mirror = |way| Put::Mirror(way, store(site, request));
    match request.choice.manner {
        Manner::Merge => mirror(Way::Merge),
        _ if is_exposed(site, remaking) => Put::Mirror(Way::Fill, beside(&site.target, request.id, "kept")),
        Manner::OnlyChanged => mirror(Way::Exact),
        // What is there is written over, so nothing but names that move will do.
        _ if request.choice.protect != Protect::Auto => {
            // What is exchanged there was sent before anything stopped.
            mirror(if facts.is_here() { Way::Exact } else { Way::Exchange })
        }
        Manner::Replace if site.tight.is_some() && can_be_written_over(site, request, facts) => {
            mirror(Way::Exact)
        }
        Manner::Replace if site.is_mounted() => mirror(Way::Exchange),
        Manner::Replace => Put::Swap,
    }
}

/// Whether nothing would forbid to write only what differs.
fn can_be_written_over(site: &Site, request: &Request<'_>, facts: &Facts) -> bool {
    let seen = seen(site, &Put::Mirror(Way::Exact, store(site, request)), facts);
    site.nested.is_none() && site.flagged.is_none() && seen.is_none()
}

/// Whether nothing may be kept in the file system that is restored into: others may write there, or nobody knows yet what
/// containers that are made anew will mount.
fn is_exposed(site: &Site, remaking: bool) -> bool {
    site.outside.is_some() && (site.is_shared || remaking)
}

/// A directory on the target's own file system: beside it, or in it where it is a file system.
fn store(site: &Site, request: &Request<'_>) -> PathBuf {
    if site.is_mounted() {
        site.target.join(format!(".reprise-{}", request.id))
    } else {
        beside(&site.target, request.id, "kept")
    }
}

/// What is to be known about it.
pub(super) fn findings(request: &Request<'_>, facts: &Facts, puts: &[Put], remaking: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (site, put) in facts.sites.iter().zip(puts) {
        let Put::Mirror(way, store) = put else { continue };
        let mut say = |severity, key: &'static str| {
            let message =
                Message::new(key).text("path", site.target.display()).text("store", store.display());
            found.push(Finding::new(severity, message).about(site.item.reference()));
        };
        if store.parent() == Some(Path::new(&site.target)) {
            say(Severity::Info, "mount-store");
        }
        match way {
            Way::Exact if request.choice.protect == Protect::Snapshot => {
                say(Severity::Info, "over-what-differs");
            }
            Way::Exact if request.choice.manner == Manner::Replace => {
                say(Severity::Warning, "no-space-for-two");
            }
            Way::Exact => say(Severity::Info, "only-what-differs"),
            Way::Merge => say(Severity::Warning, "merge-leaves"),
            Way::Fill if request.choice.manner == Manner::OnlyChanged => {
                say(Severity::Info, "only-changed-shared");
            }
            Way::Exchange | Way::Fill => {}
        }
    }
    if !facts.sees_attributes && puts.iter().any(|put| !put.is_staged()) {
        found.push(Finding::new(Severity::Warning, Message::new("attributes-unseen")));
    }
    found.extend(facts.sites.iter().zip(puts).filter_map(|(site, put)| in_use(site, put)));
    for (site, put) in facts.sites.iter().zip(puts).filter(|(_, put)| matches!(put, Put::Mirror(..))) {
        found.extend(nested(site));
        found.extend(flagged(site, put));
    }
    found.extend(facts.sites.iter().zip(puts).filter_map(|(site, put)| seen(site, put, facts)));
    found.extend(facts.sites.iter().zip(puts).filter_map(|(site, put)| shared(site, put, remaking)));
    found
}

/// What another operation keeps in a mount point would be swallowed by a second one, and its rollback find nothing.
fn in_use(site: &Site, put: &Put) -> Option<Finding> {
    let store = site.stores.first()?;
    if put.is_filled() {
        // Whoever made it there: it is left alone.
        let message = Message::new("store-left").text("store", store.display());
        return Some(Finding::new(Severity::Info, message).about(site.item.reference()));
    }
    let message = Message::new("store-in-use").text("path", site.target.display());
    let finding = Finding::new(Severity::Blocker, message.text("store", store.display()));
    Some(finding.about(site.item.reference()))
}

/// Whoever can write where something is kept could have another thing put back, or removed, by who rolls back. Outside of the
/// file system nothing is in reach of those that are stopped; one that gets at it by another way is not.
fn shared(site: &Site, put: &Put, remaking: bool) -> Option<Finding> {
    let message = |key| Message::new(key).text("path", site.target.display());
    let (found, advice) = match (&site.outside, put) {
        (Some(outside), Put::Mirror(Way::Fill, _)) if outside.is_in_memory() => {
            (message("mount-beside-memory"), message("mount-beside-memory-advice"))
        }
        (Some(Outside { backdoor, .. }), Put::Mirror(Way::Fill, _)) => {
            let container = backdoor.as_ref()?;
            let found = message("mount-backdoor").text("container", container);
            (found, message("mount-backdoor-advice").text("container", container))
        }
        (Some(_), Put::Mirror(..)) if is_exposed(site, remaking) => {
            let above = site.target.parent().unwrap_or(&site.target);
            (message("mount-shared"), message("mount-shared-advice").text("above", above.display()))
        }
        _ => return None,
    };
    Some(Finding::new(Severity::Blocker, found).about(site.item.reference()).advise(advice))
}

/// A container that may write where something is kept beside the target.
fn seen(site: &Site, put: &Put, facts: &Facts) -> Option<Finding> {
    let Put::Mirror(_, store) = put else { return None };
    if store.starts_with(&site.target) {
        return None;
    }
    let container = facts.containers.iter().find(|container| container.may_write_to(store))?;
    let message = Message::new("container-sees-kept").text("path", site.target.display());
    let finding = Finding::new(Severity::Blocker, message.text("container", &container.name));
    let key = if put.is_filled() { "container-sees-beside-advice" } else { "container-sees-kept-advice" };
    let advice = Message::new(key).text("container", &container.name);
    Some(finding.about(site.item.reference()).advise(advice))
}

/// What cannot be moved, or not be put back as it was.
fn flagged(site: &Site, put: &Put) -> Option<Finding> {
    let (path, advice) = match &site.outside {
        Some(outside) if put.is_filled() => (outside.flagged.as_ref()?, "file-flags-copy-advice"),
        _ => (site.flagged.as_ref()?, "file-flags-advice"),
    };
    let finding = Finding::new(Severity::Blocker, Message::new("file-flags").text("path", path.display()));
    Some(finding.about(site.item.reference()).advise(Message::new(advice)))
}

/// A subvolume below a target is in none of its snapshots, and no name moves from one to the other.
fn nested(site: &Site) -> Option<Finding> {
    let subvolume = site.nested.as_ref()?;
    let message = Message::new("nested-subvolume").text("path", site.target.display());
    let finding = Finding::new(Severity::Blocker, message.text("subvolume", subvolume.display()));
    Some(finding.about(site.item.reference()))
}
