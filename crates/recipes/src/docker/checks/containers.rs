//! What the containers of the host have to do with a restore in place.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reprise_host::Container;
use reprise_model::{Finding, Message, Severity};

use super::super::survey::Facts;

/// What is to be known about the engine and its containers, of which `stopping` will be stopped.
pub(super) fn findings(facts: &Facts, stopping: &BTreeSet<&str>) -> Vec<Finding> {
    let mut found: Vec<Finding> = engine(facts).into_iter().collect();
    found.extend(containers(facts, stopping));
    found.extend(down(facts));
    found.extend(binds(facts));
    found
}

fn engine(facts: &Facts) -> Option<Finding> {
    let reason = match &facts.engine {
        Some(Ok(engine)) if !engine.endpoint.is_empty() && !engine.endpoint.starts_with("unix://") => {
            let message = Message::new("docker-elsewhere").text("endpoint", &engine.endpoint);
            return Some(Finding::new(Severity::Blocker, message));
        }
        Some(Err(reason)) => reason,
        _ => return None,
    };
    Some(Finding::new(Severity::Blocker, Message::new("docker-unreachable").text("reason", reason)))
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
            if container.auto_removes {
                let message = Message::new("container-passing").text("container", name);
                found.push(Finding::new(Severity::Blocker, message));
            }
            if container.project().is_none() {
                let message = Message::new("container-not-compose").text("container", name);
                found.push(Finding::new(Severity::Warning, message));
            }
        } else if let Some(site) = facts.sites.iter().find(|site| container.may_write_to(&site.target)) {
            let message = Message::new("container-above").text("container", name);
            found.push(Finding::new(Severity::Warning, message.text("path", site.target.display())));
        }
    }
    found
}

/// Containers that use what is restored and do not run, and those that are paused.
fn down(facts: &Facts) -> impl Iterator<Item = Finding> {
    let uses = |container: &&Container| facts.sites.iter().any(|site| container.mounts_within(&site.target));
    facts.containers.iter().filter(uses).filter_map(|container| {
        let message = match (container.running, container.paused) {
            (false, _) => Message::new("container-down"),
            (true, true) => Message::new("container-paused"),
            (true, false) => return None,
        };
        Some(Finding::new(Severity::Warning, message.text("container", &container.name)))
    })
}

/// What containers mount and will not find, or not as the archive has it.
fn binds(facts: &Facts) -> impl Iterator<Item = Finding> {
    let finding = |message: Message, (container, path): &(String, PathBuf)| {
        Finding::new(Severity::Warning, message.text("container", container).text("path", path.display()))
    };
    let missing = facts.binds.missing.iter().map(move |bind| finding(Message::new("bind-missing"), bind));
    let left = facts.binds.left.iter().map(move |bind| finding(Message::new("bind-left"), bind));
    missing.chain(left)
}
