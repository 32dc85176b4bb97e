//! The Docker engine of a host: what is asked of it, in its own words.

mod cli;
pub mod commands;
mod inspect;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

pub use cli::{DockerCli, Run};

/// The engine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its version, such as `20.10.24`.
    pub version: String,
    /// Where it keeps its data, usually `/var/lib/docker`.
    pub root: PathBuf,
    /// Where it is reached, such as `unix:///var/run/docker.sock`; empty when that is not known.
    pub endpoint: String,
}

/// What Docker's own health check of a container says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The container has no health check.
    None,
    /// Not known yet.
    Starting,
    /// Fine.
    Healthy,
    /// Not fine.
    Unhealthy,
}

/// Something of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The named volume, if it is one.
    pub volume: Option<String>,
    /// Where it lies on the host.
    pub source: PathBuf,
    /// Where the container sees it.
    pub destination: PathBuf,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortBinding {
    /// The address on the host; empty for all.
    pub address: String,
    /// The port on the host.
    pub port: u16,
}

/// A container, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id, which changes when it is made anew.
    pub id: String,
    /// Its name, which does not.
    pub name: String,
    /// The image it was made from, by the name that was given.
    pub image: String,
    /// Whether its process runs, paused ones included.
    pub running: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Containers, by id or name, whose network or other namespaces it shares: without them it cannot run.
    pub joins: Vec<String>,
    /// When it was last started, in seconds since 1970; 0 when never.
    pub started: i64,
    /// How often Docker has restarted it by itself.
    pub restarts: u64,
    /// What its health check says.
    pub health: Health,
    /// What it mounts.
    pub mounts: Vec<Mount>,
    /// Ports published on the host.
    pub ports: Vec<PortBinding>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Container {
    /// The Compose project it belongs to.
    pub fn project(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.project").map(String::as_str)
    }

    /// The service of that project it runs.
    pub fn service(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.service").map(String::as_str)
    }

    /// Whether it sees something at or below `path`.
    pub fn mounts_within(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| mount.source.starts_with(path))
    }
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its driver; `local` for those on this host's disks.
    pub driver: String,
    /// Where its files lie on the host.
    pub mountpoint: PathBuf,
    /// Driver options; with any, `local` volumes are mounts.
    pub options: BTreeMap<String, String>,
}

/// A volume to be made, with the `local` driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name.
    pub name: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A kind of thing an engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Containers, running or not.
    Container,
    /// Named volumes, also those that no container uses.
    Volume,
    /// Networks.
    Network,
    /// Images that a container could be made of.
    Image,
}

impl ObjectKind {
    /// What `docker` calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Image => "image",
        }
    }
}

/// A Docker engine. Changes can be repeated: stopping a stopped container is fine.
pub trait Docker: Send + Sync {
    /// The engine's version and place.
    fn engine(&self) -> Result<Engine>;

    /// Everything of that kind, each as `docker inspect` tells it.
    fn inspected(&self, kind: ObjectKind) -> Result<Vec<Value>>;

    /// All containers, running or not.
    fn containers(&self) -> Result<Vec<Container>>;

    /// The container of that name, if there is one.
    fn container(&self, name: &str) -> Result<Option<Container>>;

    /// Stops it; it gets `grace` to end by itself.
    fn stop(&self, name: &str, grace: Duration) -> Result<()>;

    /// Starts it.
    fn start(&self, name: &str) -> Result<()>;

    /// The volume of that name, if there is one.
    fn volume(&self, name: &str) -> Result<Option<Volume>>;

    /// Makes a volume.
    fn create_volume(&self, spec: &VolumeSpec) -> Result<()>;

    /// Removes a volume that no container uses; fine when it is gone.
    fn remove_volume(&self, name: &str) -> Result<()>;
}
