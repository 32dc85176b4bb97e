//! What is to be known, thought of or mended before a restore (DR-7, DR-10).

use std::collections::{BTreeMap, BTreeSet};

use reprise_host::Container;
use reprise_model::{Destination, Finding, ItemKind, Message, Selection, Severity};

use super::estimate::footprint;
use super::request::Request;
use super::survey::{Facts, Site};

/// Everything the checks find, the worst first.
pub(super) fn findings(request: &Request<'_>, facts: &Facts, stopping: &BTreeSet<&str>) -> Vec<Finding> {
    let mut found = request.contents.findings.clone();
    found.extend(request.remarks.iter().cloned());
    found.extend(covered(request.selection));
    found.extend(space(&facts.sites));
    found.extend(facts.sites.iter().filter_map(obstacles));
    match request.choice.destination {
        Destination::InPlace => {
            found.extend(engine(facts));
            found.extend(facts.sites.iter().flat_map(impossible_swaps));
            found.extend(containers(facts, stopping));
            found.extend(engine_restart(request.selection));
            found.extend(volumes_without_project(request.selection));
            found.extend(projects_without_containers(facts));
            found.extend(
                request
                    .age_seconds
                    .map(|age| Finding::new(Severity::Info, Message::new("newer-data").seconds("age", age))),
            );
        }
        Destination::Directory(_) => found.extend(facts.sites.iter().filter_map(occupied)),
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn covered(selection: &Selection) -> impl Iterator<Item = Finding> {
    selection.covered.iter().map(|item| {
        let message = Message::new("item-covered").text("item", item.reference());
        Finding::new(Severity::Info, message).about(item.reference())
    })
}

fn engine(facts: &Facts) -> Option<Finding> {
    let Some(Err(reason)) = &facts.engine else { return None };
    let finding = Finding::new(Severity::Blocker, Message::new("docker-unreachable").text("reason", reason));
    Some(finding.advise(Message::new("docker-unreachable-advice")))
}

/// Room on every file system that something goes to. Staged trees lie beside what they replace, so all of
/// it is needed at once.
fn space(sites: &[Site]) -> Vec<Finding> {
    let mut systems: BTreeMap<u64, (u64, u64, &Site)> = BTreeMap::new();
    for site in sites {
        let (bytes, entries, _) = systems.entry(site.space.device).or_insert((0, 0, site));
        *bytes += footprint(site.item.bytes, site.item.entries);
        *entries += site.item.entries;
    }
    let short = systems.into_values().filter_map(|(bytes, entries, site)| {
        let path = site.target.display();
        let message = if bytes > site.space.free_bytes {
            Message::new("no-space").bytes("needed", bytes).bytes("free", site.space.free_bytes)
        } else if entries > site.space.free_inodes {
            Message::new("no-inodes").count("needed", entries).count("free", site.space.free_inodes)
        } else {
            return None;
        };
        let finding = Finding::new(Severity::Blocker, message.text("path", path));
        Some(finding.advise(Message::new("no-space-advice")))
    });
    short.collect()
}

fn obstacles(site: &Site) -> Option<Finding> {
    let path = site.obstacle.as_ref()?;
    let message = Message::new("not-a-directory").text("path", path.display());
    Some(Finding::new(Severity::Blocker, message).about(site.item.reference()))
}

/// Where an alternative location already has something of that name.
fn occupied(site: &Site) -> Option<Finding> {
    site.present?;
    let message = Message::new("destination-occupied").text("path", site.target.display());
    let finding = Finding::new(Severity::Blocker, message).about(site.item.reference());
    Some(finding.advise(Message::new("destination-occupied-advice")))
}

/// Targets that cannot change their places with a tree beside them.
fn impossible_swaps(site: &Site) -> Vec<Finding> {
    let blocker = |message: Message| {
        let finding = Finding::new(Severity::Blocker, message).about(site.item.reference());
        finding.advise(Message::new("no-swap-advice"))
    };
    let mounts =
        site.mounts.iter().map(|mount| blocker(Message::new("mount-point").text("path", mount.display())));
    let driver = site.volume.as_ref().filter(|volume| volume.driver != "local" || !volume.options.is_empty());
    let driver = driver.map(|volume| blocker(Message::new("volume-driver").text("volume", &volume.name)));
    mounts.chain(driver).collect()
}

fn containers(facts: &Facts, stopping: &BTreeSet<&str>) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in facts.containers.iter().filter(|container| container.running) {
        let name = &container.name;
        if stopping.contains(name.as_str()) {
            let used = facts.sites.iter().find(|site| container.mounts_within(&site.target));
            let message = match used {
                Some(site) => Message::new("container-uses").text("path", site.target.display()),
                None => Message::new("container-waits"),
            };
            found.push(Finding::new(Severity::Info, message.text("container", name)));
            if container.project().is_none() {
                let message = Message::new("container-not-compose").text("container", name);
                found.push(Finding::new(Severity::Warning, message));
            }
        } else if let Some(site) = facts.sites.iter().find(|site| sees_from_above(container, site)) {
            let message = Message::new("container-above").text("container", name);
            let finding = Finding::new(Severity::Warning, message.text("path", site.target.display()));
            found.push(finding.advise(Message::new("container-above-advice")));
        }
    }
    found
}

/// Whether the container may write to a directory that the target lies in.
fn sees_from_above(container: &Container, site: &Site) -> bool {
    container.mounts.iter().any(|mount| mount.writable && site.target.starts_with(&mount.source))
}

/// The engine reads its configuration when it starts, and is not restarted under running containers.
fn engine_restart(selection: &Selection) -> impl Iterator<Item = Finding> {
    let configs = selection.items.iter().filter(|item| item.kind == ItemKind::Config);
    configs.map(|item| {
        let finding = Finding::new(Severity::Warning, Message::new("engine-not-restarted"));
        finding.about(item.reference()).advise(Message::new("engine-not-restarted-advice"))
    })
}

/// Old data under a configuration that may have moved on.
fn volumes_without_project(selection: &Selection) -> impl Iterator<Item = Finding> {
    let chosen = |project: &str| {
        let items = selection.items.iter().chain(&selection.covered);
        items.into_iter().any(|item| item.kind == ItemKind::Project && item.name == project)
    };
    selection.items.iter().filter_map(move |item| {
        let project = item.project.as_deref().filter(|project| !chosen(project))?;
        let message =
            Message::new("volume-without-project").text("volume", &item.name).text("project", project);
        Some(Finding::new(Severity::Warning, message).about(item.reference()))
    })
}

fn projects_without_containers(facts: &Facts) -> impl Iterator<Item = Finding> {
    // Without the engine's answer nobody knows.
    let known = !matches!(facts.engine, Some(Err(_)));
    let projects = facts.sites.iter().filter(move |site| known && site.item.kind == ItemKind::Project);
    projects.filter_map(|site| {
        let runs =
            facts.containers.iter().any(|container| container.project() == Some(site.item.name.as_str()));
        let message = Message::new("project-not-running").text("project", &site.item.name);
        let advice = Message::new("project-not-running-advice").text("path", site.target.display());
        let finding = Finding::new(Severity::Warning, message).about(site.item.reference());
        (!runs).then(|| finding.advise(advice))
    })
}
