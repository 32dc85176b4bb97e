//! What is there and is not as it was: newer data, other options, taken ports, other versions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reprise_host::{Container, PortBinding};
use reprise_model::{Finding, Message, Severity};

use super::super::recreate::Remade;
use super::super::request::Request;
use super::super::survey::Facts;
use super::super::versions;

/// What is to be known of what has changed since the backup.
pub(super) fn findings(
    request: &Request<'_>,
    facts: &Facts,
    stopping: &BTreeSet<&str>,
    remade: &Remade,
) -> Vec<Finding> {
    let mut found = newer_data(request, facts);
    found.extend(facts.making.versions.iter().flat_map(versions::findings));
    found.extend(options(facts));
    found.extend(ports(facts, stopping, remade));
    found
}

/// Data that were written after the backup; where nobody looked, how old that is.
fn newer_data(request: &Request<'_>, facts: &Facts) -> Vec<Finding> {
    let made = request.source.time.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let newer: Vec<(&std::path::PathBuf, u64)> = match made {
        Some(made) => {
            let newest = facts.making.newest.iter();
            newest.filter(|(_, at)| **at > made).map(|(path, at)| (path, (at - made) as u64)).collect()
        }
        None => Vec::new(),
    };
    if newer.is_empty() {
        let age = request.age_seconds.map(|age| Message::new("newer-data").seconds("age", age));
        return age.map(|message| Finding::new(Severity::Info, message)).into_iter().collect();
    }
    let say = |(path, after): (&std::path::PathBuf, u64)| {
        let message = Message::new("data-newer").text("path", path.display()).seconds("after", after);
        Finding::new(Severity::Warning, message)
    };
    newer.into_iter().map(say).collect()
}

/// Networks and volumes that are there with other options than were recorded.
fn options(facts: &Facts) -> Vec<Finding> {
    let Some(record) = &facts.making.record else { return Vec::new() };
    let mut found = Vec::new();
    for project in &facts.making.projects {
        for name in record.networks_of(&project.compose.name) {
            let (Some(now), Some(then)) = (facts.making.networks.get(&name), record.network(&name)) else {
                continue;
            };
            // Addresses that nobody asked for are others each time.
            let chosen = |it: &reprise_host::NetworkSpec| {
                (it.driver.clone(), it.options.clone(), it.internal, it.ipv6, it.address_driver.clone())
            };
            if chosen(now) != chosen(&then) {
                let message = Message::new("network-changed").text("network", &name);
                found.push(Finding::new(Severity::Warning, message));
            }
        }
    }
    let volumes = facts.sites.iter().filter_map(|site| facts.making.volumes.get(&site.item.name));
    for now in volumes {
        let Some(then) = record.volume(&now.name) else { continue };
        if (&now.driver, &now.options) != (&then.driver, &then.options) {
            found.push(Finding::new(
                Severity::Warning,
                Message::new("volume-changed").text("volume", &now.name),
            ));
        }
    }
    found
}

/// Ports that containers need which are to be started, and which something else has.
fn ports(facts: &Facts, stopping: &BTreeSet<&str>, remade: &Remade) -> Vec<Finding> {
    // By who needs them, and which container has them.
    let mut clashes: BTreeMap<(&str, Option<&str>), Vec<&PortBinding>> = BTreeMap::new();
    for (wanted, wanted_by) in &remade.ports {
        let publishes = |it: &&Container| it.ports.iter().any(|binding| binding.clashes(wanted));
        let holder = facts.containers.iter().filter(|it| it.running).find(publishes);
        let holder = match holder {
            Some(holder) if stopping.contains(holder.name.as_str()) || holder.name == *wanted_by => continue,
            Some(holder) => Some(holder.name.as_str()),
            None if facts.making.listening.iter().any(|it| it.clashes(wanted)) => None,
            None => continue,
        };
        clashes.entry((wanted_by, holder)).or_default().push(wanted);
    }
    let finding = |((wanted_by, holder), ports): ((&str, Option<&str>), Vec<&PortBinding>)| {
        let message = match holder {
            Some(holder) => Message::new("port-taken").text("holder", holder),
            None => Message::new("port-listening"),
        };
        let is_passing = holder.is_none() && ports.iter().all(|port| facts.making.may_be_passing(port));
        let severity = if is_passing { Severity::Warning } else { Severity::Blocker };
        let message = message.text("port", listed(&ports)).text("container", wanted_by);
        Finding::new(severity, message).advise(Message::new("port-taken-advice"))
    };
    clashes.into_iter().map(finding).collect()
}

/// The first few, and how many there are.
fn listed(ports: &[&PortBinding]) -> String {
    const SHOWN: usize = 3;
    let shown = ports.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if ports.len() > SHOWN { format!("{shown}, … ({})", ports.len()) } else { shown }
}
