//! Containers of no project, made as the backup recorded them.

use std::collections::BTreeSet;

use reprise_engine::{Change, CreateContainer, OPERATION_LABEL, RecordedTexts};
use reprise_host::{Blueprint, Command, PortBinding, Protocol};
use reprise_model::{Finding, Message, RestoreType, Severity};
use serde_json::Value;

use super::super::request::Request;
use super::super::survey::Facts;
use super::facts::familiar;
use super::record::{Record, compose_label, is_name, is_running, name_of, text};
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
        if there || !is_name(name) || !is_standalone(container) || !is_wanted(container, request, facts) {
            continue;
        }
        match blueprint(container, request, facts, record) {
            Ok((blueprint, note)) if facts.making.recreating.allowed => {
                remade.findings.extend(note);
                remade.findings.extend(powers(container));
                let message = Message::new("container-lost").text("container", name);
                remade.findings.push(Finding::new(Severity::Info, message));
                networks.extend(blueprint.network_names().map(str::to_owned));
                volumes.extend(blueprint.volume_names());
                remade.made.push(Change::CreateContainer(CreateContainer {
                    container: name.to_owned(),
                    blueprint,
                    environment: Some(environment(at, request, record)),
                }));
                if record.is_at_rest() || is_running(container) {
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
    if let Some(other) = shares(container) {
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
    let (image, id) = (familiar(blueprint.image()).into_owned(), text(container, "/Image"));
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

/// Another container that it cannot be made without, in the words of the one who made it.
fn shares(container: &Value) -> Option<String> {
    let of_other = |key: &str| text(container, &format!("/HostConfig/{key}")).strip_prefix("container:");
    let mode = ["NetworkMode", "PidMode", "IpcMode"].into_iter().find_map(of_other);
    let listed = ["VolumesFrom", "Links"].into_iter().find_map(|key| {
        let list = container.pointer(&format!("/HostConfig/{key}")).and_then(Value::as_array);
        list?.first()?.as_str()
    });
    mode.or(listed).map(|other| other.trim_start_matches('/').split(':').next().unwrap_or(other).to_owned())
}

/// What it may do to its host, which whoever restores should see: it comes from the backup.
fn powers(container: &Value) -> Option<Finding> {
    let is_host = |key: &str| text(container, &format!("/HostConfig/{key}")) == "host";
    let privileged = container.pointer("/HostConfig/Privileged").and_then(Value::as_bool) == Some(true);
    let capabilities = container.pointer("/HostConfig/CapAdd").and_then(Value::as_array);
    let mut powers: Vec<String> = privileged.then(|| "--privileged".to_owned()).into_iter().collect();
    let modes = [
        ("PidMode", "--pid"),
        ("IpcMode", "--ipc"),
        ("NetworkMode", "--network"),
        ("UsernsMode", "--userns"),
    ];
    powers.extend(modes.iter().filter(|(key, _)| is_host(key)).map(|(_, option)| format!("{option} host")));
    let added = capabilities.into_iter().flatten().filter_map(Value::as_str);
    powers.extend(added.map(|capability| format!("--cap-add {capability}")));
    let binds = container.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let binds = binds.filter(|mount| text(mount, "/Type") == "bind" && is_of_system(mount));
    powers.extend(binds.map(|mount| format!("-v {}", text(mount, "/Source"))));
    let message = Message::new("container-powers").text("container", name_of(container));
    (!powers.is_empty()).then(|| Finding::new(Severity::Warning, message.text("powers", powers.join(", "))))
}

/// Whether a mount lets it write to the host's own files, or ask Docker for anything.
fn is_of_system(mount: &Value) -> bool {
    const SYSTEM: [&str; 9] = ["/etc", "/root", "/boot", "/dev", "/proc", "/sys", "/run", "/usr", "/var/run"];
    let source = std::path::Path::new(text(mount, "/Source"));
    let is_system = source.parent().is_none() || SYSTEM.iter().any(|directory| source.starts_with(directory));
    is_system && mount.get("RW").and_then(Value::as_bool) != Some(false)
        || source.file_name().is_some_and(|name| name == "docker.sock")
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

fn ports(container: &Value) -> impl Iterator<Item = PortBinding> + '_ {
    let bindings = container.pointer("/HostConfig/PortBindings").and_then(Value::as_object);
    let bindings = bindings
        .into_iter()
        .flatten()
        .filter_map(|(inside, bindings)| Some((bindings.as_array()?, Protocol::of_port(inside)?)));
    bindings.flat_map(|(bindings, protocol)| {
        bindings.iter().filter_map(move |binding| {
            let port = text(binding, "/HostPort").parse().ok()?;
            Some(PortBinding { address: text(binding, "/HostIp").to_owned(), port, protocol })
        })
    })
}
