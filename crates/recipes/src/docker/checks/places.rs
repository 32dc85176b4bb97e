//! Whether things can go where they are to go.

use std::path::Path;

use reprise_host::Volume;
use reprise_model::{Destination, Finding, Message, Severity};

use super::super::request::Request;
use super::super::survey::{Facts, Site};
use super::super::{mirror, protection, space};

/// What is wrong with the places of a restore; `remaking`, containers are made anew, too.
pub(super) fn findings(request: &Request<'_>, facts: &Facts, remaking: bool) -> Vec<Finding> {
    let sites = &facts.sites;
    let puts = mirror::puts(request, facts, remaking);
    let mut found: Vec<Finding> =
        space::needs(facts, &puts).iter().filter_map(space::Need::finding).collect();
    found.extend(sites.iter().filter_map(obstacles));
    found.extend(sites.iter().filter_map(foreign_link));
    found.extend(overlaps(sites));
    found.extend(reserved(request, facts));
    match request.choice.destination {
        Destination::InPlace => {
            found.extend(sites.iter().flat_map(impossible_swaps));
            found.extend(mirror::findings(request, facts, &puts, remaking));
            found.extend(protection::findings(request, facts, &puts));
        }
        Destination::Directory(_) => found.extend(sites.iter().filter_map(occupied)),
    }
    found
}

fn obstacles(site: &Site) -> Option<Finding> {
    let path = site.obstacle.as_ref()?;
    let message = Message::new("not-a-directory").text("path", path.display());
    Some(Finding::new(Severity::Blocker, message).about(site.item.reference()))
}

fn foreign_link(site: &Site) -> Option<Finding> {
    let link = site.foreign_link.as_ref()?;
    let message =
        Message::new("foreign-link").text("link", link.display()).text("path", site.target.display());
    Some(Finding::new(Severity::Blocker, message).about(site.item.reference()))
}

/// Two items for one place, or one inside another's: only one of them could win.
fn overlaps(sites: &[Site]) -> Vec<Finding> {
    let pairs =
        sites.iter().enumerate().flat_map(|(at, one)| sites[at + 1..].iter().map(move |other| (one, other)));
    let overlapping = pairs.filter(|(one, other)| touch(&one.target, &other.target));
    let finding = |(one, other): (&Site, &Site)| {
        let message = Message::new("targets-overlap").text("one", one.target.display());
        Finding::new(Severity::Blocker, message.text("other", other.target.display()))
    };
    overlapping.map(finding).collect()
}

/// Whether one of the paths is, or lies in, the other.
fn touch(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// What must not change its place while a restore runs, or ever after.
fn reserved(request: &Request<'_>, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut block = |site: &Site, path: &Path, what: &Message| {
        let message = what.clone().text("path", path.display()).text("target", site.target.display());
        let finding = Finding::new(Severity::Blocker, message).about(site.item.reference());
        found.push(finding.advise(Message::new("reserved-advice")));
    };
    for site in &facts.sites {
        for (path, what) in request.reserved.iter().filter(|(path, _)| touch(path, &site.target)) {
            block(site, path, what);
        }
        // Volumes lie in the engine's directory; only that itself must stay where it is.
        if let Some(Ok(engine)) = facts
            .engine
            .as_ref()
            .filter(|engine| engine.as_ref().is_ok_and(|engine| engine.root.starts_with(&site.target)))
        {
            block(site, &engine.root, &Message::new("reserved-engine"));
        }
    }
    found
}

/// Where an alternative location already has something of that name.
fn occupied(site: &Site) -> Option<Finding> {
    site.present?;
    let message = Message::new("destination-occupied").text("path", site.target.display());
    Some(Finding::new(Severity::Blocker, message).about(site.item.reference()))
}

/// Targets that cannot change their places with a tree beside them.
fn impossible_swaps(site: &Site) -> Vec<Finding> {
    let blocker = |message: Message| {
        let finding = Finding::new(Severity::Blocker, message).about(site.item.reference());
        finding.advise(Message::new("no-swap-advice"))
    };
    // One at the target itself is restored into; those below it would end up on the wrong file system.
    let mounts = site.mounts.iter().filter(|mount| !site.is_tree() || **mount != site.target);
    let mounts = mounts.map(|mount| blocker(Message::new("mount-point").text("path", mount.display())));
    let is_elsewhere = |volume: &&Volume| volume.driver != "local" || !volume.options.is_empty();
    let driver =
        site.volume.as_ref().filter(is_elsewhere).filter(|volume| volume.bound_directory().is_none());
    let driver = driver.map(|volume| blocker(Message::new("volume-driver").text("volume", &volume.name)));
    mounts.chain(driver).collect()
}
