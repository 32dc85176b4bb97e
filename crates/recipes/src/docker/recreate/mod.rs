//! What is not on the host any more, or not as the restored files say, is made anew: containers, networks, volumes.
//!
//! [`look`] finds out what there is; [`remake`] decides, from that and a person's choice, what is made. Containers of a
//! Compose project are Compose's to make, from the restored files; others are made as the backup recorded them.

mod external;
mod facts;
mod keeping;
mod network;
mod project;
mod record;
mod standalone;

pub use external::External;
pub use facts::{Making, Recreating, look};
pub use project::{Project, State};
pub use record::Record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reprise_engine::{Change, CreateVolume};
use reprise_host::{PortBinding, VolumeSpec};
use reprise_model::{Destination, Finding, ItemKind, Message, Severity};

use super::order::Dependencies;
use super::request::Request;
use super::survey::{Facts, Site};

/// What is made anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Remade {
    /// Networks and volumes, before anything stops.
    pub first: Vec<Change>,
    /// Running containers that must stop to make room.
    pub stopping: BTreeSet<String>,
    /// Containers that make room.
    pub aside: Vec<Change>,
    /// Containers that are made.
    pub made: Vec<Change>,
    /// Names of containers that are to be started when they are made.
    pub starting: BTreeSet<String>,
    /// What those wait for.
    pub waits: Dependencies,
    /// Published ports of those, with the container.
    pub ports: Vec<(PortBinding, String)>,
    /// What is to be known about it.
    pub findings: Vec<Finding>,
}

/// What `request` has made anew on the host of `facts`.
pub(super) fn remake(request: &Request<'_>, facts: &Facts) -> Remade {
    let mut remade = Remade::default();
    if request.choice.destination != Destination::InPlace || !matches!(facts.engine, Some(Ok(_))) {
        return remade;
    }
    let (mut networks, mut volumes) = (BTreeSet::new(), BTreeSet::new());
    for project in &facts.making.projects {
        project::remake(project, request, facts, &mut remade);
        if let Some(record) = &facts.making.record {
            networks.extend(record.networks_of(&project.compose.name));
            volumes.extend(record.volumes_of(&project.compose.name));
        }
        networks.extend(project.external.networks.iter().cloned());
    }
    standalone::remake(request, facts, &mut remade, &mut networks, &mut volumes);
    let made_by_others: BTreeSet<&str> = facts.sites.iter().map(|site| site.item.name.as_str()).collect();
    remade.findings.extend(facts.sites.iter().filter_map(|site| mounted_elsewhere(site, &facts.making)));
    let Some(record) = &facts.making.record else { return remade };
    if !facts.making.recreating.allowed {
        return remade;
    }
    for name in networks.iter().filter(|name| !facts.making.networks.contains_key(*name)) {
        network::remake(name, record, facts, &mut remade);
    }
    for name in volumes.iter().filter(|name| !facts.making.volumes.contains_key(*name)) {
        match record.volume(name).filter(|_| !made_by_others.contains(name.as_str())) {
            // Secrets have no place in a plan.
            Some(spec) if has_secret(&spec) => {
                let message = Message::new("volume-secret").text("volume", name);
                remade.findings.push(Finding::new(Severity::Warning, message));
            }
            Some(spec) => remade.first.push(Change::CreateVolume(CreateVolume { spec })),
            None => {}
        }
    }
    remade
}

/// Whether its options tell how to get in where its data lies.
fn has_secret(spec: &VolumeSpec) -> bool {
    spec.options.iter().any(|(key, value)| {
        let text = format!("{key}={value}").to_lowercase();
        ["pass", "secret", "token", "credential"].iter().any(|word| text.contains(word))
    })
}

/// A volume that is to be made and whose data, as it was, lay somewhere else than in its directory.
fn mounted_elsewhere(site: &Site, making: &Making) -> Option<Finding> {
    let name = &site.item.name;
    if site.item.kind != ItemKind::Volume || site.volume.is_some() {
        return None;
    }
    let recorded = making.record.as_ref().and_then(|record| record.volume(name));
    let is_elsewhere = recorded.map_or_else(
        || making.projects.iter().any(|project| project.volumes_elsewhere.contains(name)),
        |spec| !spec.driver.is_empty() || !spec.options.is_empty(),
    );
    if !is_elsewhere {
        return None;
    }
    let message = Message::new("volume-driver").text("volume", &site.item.name);
    let finding = Finding::new(Severity::Blocker, message).about(site.item.reference());
    Some(finding.advise(Message::new("no-swap-advice")))
}

/// How the volume `name` is made: as it was recorded, else with the labels that Compose looks for: without them it
/// would not take the volume for its own.
pub(super) fn volume_spec(name: &str, project: Option<&str>, key: Option<&str>, facts: &Facts) -> VolumeSpec {
    if let Some(spec) = facts.making.record.as_ref().and_then(|record| record.volume(name)) {
        return spec;
    }
    let labels = match (project, key) {
        (Some(project), Some(key)) => BTreeMap::from([
            ("com.docker.compose.project".to_owned(), project.to_owned()),
            ("com.docker.compose.volume".to_owned(), key.to_owned()),
        ]),
        _ => BTreeMap::new(),
    };
    VolumeSpec { name: name.to_owned(), labels, ..VolumeSpec::default() }
}

/// Where the backup keeps what lies at `path` of its host.
fn in_backup(path: &str) -> Option<String> {
    Path::new(path).strip_prefix("/").ok().map(|path| path.display().to_string())
}
