//! Containers of no project, made as the backup recorded them.

use std::collections::BTreeSet;

use reprise_engine::{Change, CreateContainer, OPERATION_LABEL, RecordedTexts};
use reprise_host::{Blueprint, Command};
use reprise_model::{Finding, Message, RestoreType, Severity};
use serde_json::Value;

use super::super::request::Request;
use super::super::survey::Facts;
use super::record::{Record, compose_label, name_of, text};
use super::{Remade, in_backup};

/// What is made anew of containers that belong to no project.
pub(super) fn remake(
    request: &Request<'_>,
    facts: &Facts,
    remade: &mut Remade,
    networks: &mut BTreeSet<String>,
    volumes: &mut BTreeSet<String>,
) {
    let Some(record) = &facts.making.record else { return };
    for (at, container) in record.containers.iter().enumerate() {
        let name = name_of(container);
        let there = facts.containers.iter().any(|present| present.name == name);
        if there || !is_standalone(container) || !is_wanted(container, request, facts) {
            continue;
        }
        match blueprint(container, request, facts, record) {
            Ok((blueprint, note)) if facts.making.recreating.allowed => {
                remade.findings.extend(note);
                let message = Message::new("container-lost").text("container", name);
                remade.findings.push(Finding::new(Severity::Info, message));
                networks.extend(blueprint.network_names().map(str::to_owned));
                volumes.extend(blueprint.volume_names());
                remade.made.push(Change::CreateContainer(CreateContainer {
                    container: name.to_owned(),
                    blueprint,
                    environment: Some(environment(at, request, record)),
                }));
                if container.pointer("/State/Running").and_then(Value::as_bool) == Some(true) {
                    remade.starting.insert(name.to_owned());
                    remade.waits.entry(name.to_owned()).or_default();
                    remade.ports.extend(ports(container).map(|port| (port, name.to_owned())));
                }
            }
            Ok(_) => {
                let message = Message::new("container-not-made").text("container", name);
                remade.findings.push(Finding::new(Severity::Warning, message));
            }
            Err(finding) => remade.findings.push(*finding),
        }
    }
}

/// Whether nothing else than a person has made it, to stay.
fn is_standalone(container: &Value) -> bool {
    let labels = container.pointer("/Config/Labels");
    let has = |label: &str| labels.is_some_and(|labels| labels.get(label).is_some());
    let passing = container.pointer("/HostConfig/AutoRemove").and_then(Value::as_bool) == Some(true);
    compose_label(container, "project").is_none()
        && !has("com.docker.swarm.service.id")
        && !has("io.kubernetes.pod.name")
        && !has(reprise_engine::KEPT_LABEL)
        && !passing
}

/// Whether it belongs to what is restored: all does to everything, else what uses some of it.
fn is_wanted(container: &Value, request: &Request<'_>, facts: &Facts) -> bool {
    let uses = |mount: &Value| {
        let source = in_backup(text(mount, "/Source")).unwrap_or_default();
        facts.sites.iter().any(|site| {
            text(mount, "/Name") == site.item.name
                || std::path::Path::new(&source).starts_with(&site.item.path)
        })
    };
    request.choice.restore_type == RestoreType::Full
        || container.get("Mounts").and_then(Value::as_array).is_some_and(|mounts| mounts.iter().any(uses))
}

/// What makes it, and what is to be known about that; or why it cannot be made.
fn blueprint(
    container: &Value,
    request: &Request<'_>,
    facts: &Facts,
    record: &Record,
) -> Result<(Blueprint, Option<Finding>), Box<Finding>> {
    let name = name_of(container);
    let mut blueprint = Blueprint::of(container);
    // Secrets have no place in a plan.
    blueprint.take_environment();
    let warning = |key: &'static str| Message::new(key).text("container", name);
    if let Some(other) = blueprint.shares_network_of() {
        let message = warning("container-shares").text("other", other);
        return Err(Finding::new(Severity::Warning, message)
            .advise(Message::new("container-by-hand-advice"))
            .into());
    }
    let making = &facts.making;
    let known = |network: &&str| making.networks.contains_key(*network) || record.network(network).is_some();
    if let Some(network) = blueprint.network_names().find(|network| !known(network)) {
        let message = warning("container-network").text("network", network);
        return Err(Finding::new(Severity::Warning, message)
            .advise(Message::new("container-by-hand-advice"))
            .into());
    }
    let (image, id) = (blueprint.image().to_owned(), text(container, "/Image"));
    let digest = record.digests(id).iter().find(|digest| making.images.contains_key(*digest));
    let (found, note) = match making.images.get(&image) {
        Some(present) if present == id => (image, None),
        _ if making.images.contains_key(id) => (id.to_owned(), None),
        _ if digest.is_some() => (digest.cloned().unwrap_or_default(), None),
        Some(_) => {
            let message = warning("image-changed").text("image", &image);
            (image, Some(Finding::new(Severity::Warning, message)))
        }
        None => {
            let message = Message::new("image-missing").text("image", &image).text("user", name);
            let wanted = record.digests(id).first().unwrap_or(&image);
            let advice = Message::new("image-pull-advice").text("image", wanted);
            return Err(Finding::new(Severity::Warning, message).advise(advice).into());
        }
    };
    let mut labels = blueprint.labels();
    labels.insert(OPERATION_LABEL.to_owned(), request.id.to_string());
    Ok((blueprint.from_image(&found).with_labels(labels), note))
}

fn environment(at: usize, request: &Request<'_>, record: &Record) -> RecordedTexts {
    let archive = format!("{}::{}", request.source.repository, request.source.archive);
    RecordedTexts {
        file: record.path.clone(),
        pointer: format!("/containers/{at}/Config/Env"),
        by_hand: Command::new("borg")
            .args(["extract", "--stdout"])
            .arg(archive)
            .arg(format!("pp:{}", record.path)),
    }
}

fn ports(container: &Value) -> impl Iterator<Item = u16> + '_ {
    let bindings = container.pointer("/HostConfig/PortBindings").and_then(Value::as_object);
    let bindings =
        bindings.into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_array).flatten();
    bindings.filter_map(|binding| text(binding, "/HostPort").parse().ok())
}
