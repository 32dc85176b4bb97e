//! What a backup has written down of Docker: the document of `reprise docker inventory`.

use std::collections::BTreeSet;

use reprise_host::{NetworkSpec, VolumeSpec};
use serde::Deserialize;
use serde_json::Value;

/// How a host's containers, networks, volumes and images were, as Docker told.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Record {
    /// Where the document lies in the backup.
    #[serde(skip)]
    pub path: String,
    /// As `docker container inspect` tells.
    #[serde(default)]
    pub containers: Vec<Value>,
    /// As `docker volume inspect` tells.
    #[serde(default)]
    volumes: Vec<Value>,
    /// As `docker network inspect` tells.
    #[serde(default)]
    networks: Vec<Value>,
    /// Id, tags and digests of images.
    #[serde(default)]
    images: Vec<RecordedImage>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct RecordedImage {
    id: String,
    #[serde(default)]
    digests: Vec<String>,
}

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A label that Compose has given, such as `project`.
pub(super) fn compose_label<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    let labels = value.get("Labels").or_else(|| value.pointer("/Config/Labels"))?;
    labels.get(format!("com.docker.compose.{name}"))?.as_str()
}

/// A recorded container's name.
pub(super) fn name_of(container: &Value) -> &str {
    text(container, "/Name").trim_start_matches('/')
}

/// Whether it ran when it was recorded.
pub(super) fn is_running(container: &Value) -> bool {
    container.pointer("/State/Running").and_then(Value::as_bool) == Some(true)
}

/// Whether Docker would take `name` for a container.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl Record {
    /// Whether nothing ran when it was made: it was stopped for the backup, and does not tell what should run.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.containers.iter().any(is_running)
    }

    /// The containers of `project`, those of `docker compose run` left out.
    pub(super) fn containers_of<'r>(&'r self, project: &'r str) -> impl Iterator<Item = &'r Value> {
        self.containers.iter().filter(move |container| {
            compose_label(container, "project") == Some(project)
                && compose_label(container, "oneoff").is_none_or(|oneoff| oneoff != "True")
                && is_name(name_of(container))
        })
    }

    fn of_project<'r>(all: &'r [Value], project: &'r str) -> impl Iterator<Item = String> + 'r {
        let ours = all.iter().filter(move |it| compose_label(it, "project") == Some(project));
        ours.map(|it| text(it, "/Name").to_owned())
    }

    /// Names of the networks of `project`, and of those that its containers were in.
    pub(in super::super) fn networks_of(&self, project: &str) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = Self::of_project(&self.networks, project).collect();
        for container in self.containers_of(project) {
            let networks = container.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
            names.extend(networks.into_iter().flatten().map(|(name, _)| name.clone()));
        }
        names
    }

    /// Names of the volumes of `project`.
    pub(super) fn volumes_of(&self, project: &str) -> BTreeSet<String> {
        Self::of_project(&self.volumes, project).collect()
    }

    /// The network `name`, unless it is one that every engine has or that spans several.
    pub fn network(&self, name: &str) -> Option<NetworkSpec> {
        let found = self.networks.iter().find(|network| text(network, "/Name") == name)?;
        let own = !matches!(name, "bridge" | "host" | "none") && text(found, "/Scope") != "swarm";
        own.then(|| NetworkSpec::of(found))
    }

    /// The volume `name`.
    pub fn volume(&self, name: &str) -> Option<VolumeSpec> {
        let found = self.volumes.iter().find(|volume| text(volume, "/Name") == name)?;
        Some(spec_of_volume(found))
    }

    /// What registries know the image with this id by.
    pub(super) fn digests(&self, id: &str) -> &[String] {
        self.images.iter().find(|image| image.id == id).map_or(&[], |image| &image.digests)
    }
}

/// What makes a volume like the one that `docker volume inspect` tells of.
pub(super) fn spec_of_volume(inspected: &Value) -> VolumeSpec {
    let driver = text(inspected, "/Driver");
    let map = |key: &str| {
        let entries = inspected.get(key).and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    VolumeSpec {
        name: text(inspected, "/Name").to_owned(),
        driver: if driver == "local" { String::new() } else { driver.to_owned() },
        options: map("Options"),
        labels: map("Labels"),
    }
}
