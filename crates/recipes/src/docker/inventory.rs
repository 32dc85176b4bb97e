//! What a host has of Docker, as a document that a backup takes along (DR-9, BS-10).
//!
//! The document is the `reprise-backup.json` of [`super::recorded`]: the items that the backup is meant to hold, and beside
//! them every container, volume, network and image as the engine describes it, so that what is lost can be made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use reprise_engine::KEPT_LABEL;
use reprise_host::{Error, Host, ObjectKind};
use reprise_model::ItemKind;
use serde::Serialize;
use serde_json::Value;

use super::layout::{ENGINE_CONFIG, compose_rank};
use super::recorded::{RecordedItem, VERSION, sound};

/// Everything of Docker on a host. Containers tell their environment, so it may hold passwords.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// The document's version.
    pub reprise_backup: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// The host, as it calls itself.
    pub host: String,
    /// The engine's version.
    pub engine_version: String,
    /// Where the engine keeps its data.
    pub engine_root: String,
    /// What a backup should take along, paths as on the host.
    pub actual_backed_up_items: Vec<RecordedItem>,
    /// What is there but cannot be backed up from its files.
    pub left_out: Vec<LeftOut>,
    /// As `docker container inspect` tells.
    pub containers: Vec<Value>,
    /// As `docker volume inspect` tells.
    pub volumes: Vec<Value>,
    /// As `docker network inspect` tells.
    pub networks: Vec<Value>,
    /// Id, tags and digests of the images that containers are made of.
    pub images: Vec<Image>,
}

/// Something that a backup of files does not bring back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What kind of thing it is.
    pub kind: ItemKind,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A driver or options of its own say where the volume's data is.
    Driver,
    /// The directory that containers were made from is not there any more.
    DirectoryMissing,
    /// Its name or path is none that could be restored.
    Name,
}

/// An image that a container is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its names, such as `postgres:15`.
    pub tags: Vec<String>,
    /// What registries know it by, such as `postgres@sha256:…`; none for an image built here.
    pub digests: Vec<String>,
}

/// Looks at what `host` has of Docker; changes nothing.
pub fn inventory(host: &dyn Host, name: &str, now: Timestamp) -> Result<Inventory, Error> {
    let docker = host.docker();
    let engine = docker.engine()?;
    let mut containers = docker.inspected(ObjectKind::Container)?;
    // Those that an operation keeps for its rollback are nobody's.
    containers
        .retain(|it| it.pointer("/Config/Labels").is_none_or(|labels| labels.get(KEPT_LABEL).is_none()));
    let mut volumes = docker.inspected(ObjectKind::Volume)?;
    let networks = docker.inspected(ObjectKind::Network)?;
    let images = images(&docker.inspected(ObjectKind::Image)?, &containers);
    let is_there = |path: &str| Ok::<_, Error>(host.stat(Path::new(path))?.is_some());
    let (mut items, mut left_out) = (Vec::new(), Vec::new());
    for item in projects(&containers).into_iter().chain(volumes.iter().map(volume)) {
        let reason = if sound(&item).is_err() {
            Some(Reason::Name)
        } else if item.kind == ItemKind::Volume && volumes.iter().any(|v| is(v, &item.name) && !is_plain(v)) {
            Some(Reason::Driver)
        } else if is_there(&item.path)? {
            None
        } else {
            Some(Reason::DirectoryMissing)
        };
        match reason {
            Some(reason) => left_out.push(LeftOut { kind: item.kind, name: item.name, reason }),
            None => items.push(item),
        }
    }
    // What went since it was listed is not missing: it is not there.
    if left_out.iter().any(|it| it.reason == Reason::DirectoryMissing) {
        let mut now = projects(&docker.inspected(ObjectKind::Container)?);
        now.extend(docker.inspected(ObjectKind::Volume)?.iter().map(volume));
        for gone in take_gone(&mut left_out, &now) {
            volumes.retain(|volume| gone.kind != ItemKind::Volume || !is(volume, &gone.name));
        }
    }
    let config = format!("/{ENGINE_CONFIG}");
    if is_there(&config)? {
        items.push(RecordedItem::new(ItemKind::Config, "docker", &config));
    }
    Ok(Inventory {
        reprise_backup: VERSION,
        made_at: now,
        host: name.to_owned(),
        engine_version: engine.version,
        engine_root: engine.root.display().to_string(),
        actual_backed_up_items: items,
        left_out,
        containers,
        volumes,
        networks,
        images,
    })
}

/// Takes from `left_out` whose directory is missing because it is none of what there is `now`.
fn take_gone(left_out: &mut Vec<LeftOut>, now: &[RecordedItem]) -> Vec<LeftOut> {
    let is_gone = |it: &mut LeftOut| {
        it.reason == Reason::DirectoryMissing
            && !now.iter().any(|item| (item.kind, &item.name) == (it.kind, &it.name))
    };
    left_out.extract_if(.., is_gone).collect()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A label that Compose gives to what it makes.
fn label<'v>(labels: &'v Value, name: &str) -> Option<&'v str> {
    labels.get(format!("com.docker.compose.{name}"))?.as_str().filter(|value| !value.is_empty())
}

/// The Compose projects that containers belong to, by name.
fn projects(containers: &[Value]) -> Vec<RecordedItem> {
    let mut projects = BTreeMap::new();
    for container in containers {
        let Some(labels) = container.pointer("/Config/Labels") else { continue };
        let (Some(name), Some(dir)) = (label(labels, "project"), label(labels, "project.working_dir")) else {
            continue;
        };
        let mut item = RecordedItem::new(ItemKind::Project, name, dir);
        // Several files are Compose's own base and override, or were named by hand: the first is the base.
        item.compose_file = label(labels, "project.config_files")
            .and_then(|files| files.split(',').next())
            .map(|file| file.strip_prefix(dir).unwrap_or(file).trim_start_matches('/'))
            .filter(|file| compose_rank(file).is_some())
            .map(str::to_owned);
        projects.entry(name.to_owned()).or_insert(item);
    }
    projects.into_values().collect()
}

fn volume(volume: &Value) -> RecordedItem {
    let mut item = RecordedItem::new(ItemKind::Volume, text(volume, "/Name"), text(volume, "/Mountpoint"));
    if let Some(labels) = volume.get("Labels") {
        item.project = label(labels, "project").map(str::to_owned);
        item.volume_key = label(labels, "volume").map(str::to_owned);
    }
    item
}

fn is(volume: &Value, name: &str) -> bool {
    text(volume, "/Name") == name
}

/// Whether a volume's data are plain files below its mount point.
fn is_plain(volume: &Value) -> bool {
    let has_options = volume.get("Options").and_then(Value::as_object).is_some_and(|o| !o.is_empty());
    text(volume, "/Driver") == "local" && !has_options
}

/// The images that containers are made of.
fn images(all: &[Value], containers: &[Value]) -> Vec<Image> {
    let used: BTreeSet<&str> = containers.iter().map(|container| text(container, "/Image")).collect();
    let used = all.iter().filter(|image| used.contains(text(image, "/Id")));
    used.map(|image| Image {
        id: text(image, "/Id").to_owned(),
        tags: texts(image, "RepoTags"),
        digests: texts(image, "RepoDigests"),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_project_is_known_by_the_labels_of_its_containers() {
        let labels = json!({
            "com.docker.compose.project": "shop",
            "com.docker.compose.project.working_dir": "/srv/shop",
            "com.docker.compose.project.config_files": "/srv/shop/compose.yaml,/srv/shop/extra.yaml",
        });
        let container = json!({ "Config": { "Labels": labels } });
        let found = projects(&[container.clone(), container, json!({ "Config": { "Labels": null } })]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].path.as_str()), ("shop", "/srv/shop"));
        assert_eq!(found[0].compose_file.as_deref(), Some("compose.yaml"));
    }

    #[test]
    fn a_volume_with_options_is_not_plain_files() {
        assert!(is_plain(&json!({ "Driver": "local", "Options": null })));
        assert!(!is_plain(&json!({ "Driver": "local", "Options": { "type": "nfs" } })));
        assert!(!is_plain(&json!({ "Driver": "rclone" })));
    }

    #[test]
    fn what_went_meanwhile_is_not_left_out() {
        let missing =
            |kind, name: &str| LeftOut { kind, name: name.to_owned(), reason: Reason::DirectoryMissing };
        let driver = LeftOut { reason: Reason::Driver, ..missing(ItemKind::Volume, "nfs") };
        let (kept, gone) = (missing(ItemKind::Project, "a"), missing(ItemKind::Volume, "a"));
        let mut left_out = vec![driver.clone(), gone.clone(), kept.clone()];
        let now = [RecordedItem::new(ItemKind::Project, "a", "/srv/a")];
        assert_eq!(take_gone(&mut left_out, &now), [gone]);
        assert_eq!(left_out, [driver, kept]);
    }

    #[test]
    fn only_images_in_use_are_told() {
        let all = [json!({ "Id": "a", "RepoTags": ["web:1"], "RepoDigests": null }), json!({ "Id": "b" })];
        let found = images(&all, &[json!({ "Image": "a" })]);
        assert_eq!(found, [Image { id: "a".into(), tags: vec!["web:1".into()], digests: Vec::new() }]);
    }
}
