//! The Docker engine of a host: what is asked of it, in its own words.

mod api;
mod blueprint;
mod cli;
pub mod commands;
mod compose;
mod inspect;
mod line;
mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

pub use blueprint::Blueprint;
pub use cli::{DockerCli, Run};
pub use compose::{Compose, ComposeForm, ComposeProject};
pub use network::{Endpoint, NetworkSpec, Subnet};

/// The address at which a port is reached that is published on `address`.
pub fn reachable(address: &str) -> &str {
    match address {
        "" | "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        other => other,
    }
}

/// Whether the engine may take `name` for the beginning of an id, where nothing has that name.
pub fn may_be_id(name: &str) -> bool {
    !name.is_empty() && name.len() < FULL_ID && name.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// How many digits an id has in full.
const FULL_ID: usize = 64;

/// The text at `pointer`; empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The texts in a list; none where it is not there.
fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// The container has no health check.
    #[default]
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
    /// Where it lies on the host; empty where it is in no file system of the host, like a tmpfs.
    pub source: PathBuf,
    /// Where the container sees it.
    pub destination: PathBuf,
    /// Whether the container may write to it.
    pub writable: bool,
}

impl Mount {
    /// Whether `path` of the host is it, or lies in it.
    pub fn holds(&self, path: &Path) -> bool {
        self.source.is_absolute() && path.starts_with(&self.source)
    }
}

/// What a port is a port of: each has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The Transmission Control Protocol.
    #[default]
    Tcp,
    /// The User Datagram Protocol.
    Udp,
    /// The Stream Control Transmission Protocol.
    Sctp,
}

impl Protocol {
    /// As Docker and Compose call it.
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The one that Docker and Compose call `name`; nothing for none that Docker publishes.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|it| it.name() == name)
    }

    /// That of a container's port as Docker writes it (`53/udp`): TCP where none is named, nothing for none that Docker
    /// publishes.
    pub fn of_port(port: &str) -> Option<Self> {
        port.split_once('/').map_or(Some(Self::Tcp), |(_, name)| Self::named(name))
    }
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortBinding {
    /// The address on the host; empty for all.
    pub address: String,
    /// The port on the host.
    pub port: u16,
    /// What it is a port of.
    #[serde(default)]
    pub protocol: Protocol,
}

impl PortBinding {
    /// A port of TCP.
    pub fn tcp(address: &str, port: u16) -> Self {
        Self { address: address.to_owned(), port, protocol: Protocol::Tcp }
    }

    /// Whether only one of the two can be had: the same port of one address, or of one and of all.
    pub fn clashes(&self, other: &Self) -> bool {
        if (self.port, self.protocol) != (other.port, other.protocol) {
            return false;
        }
        let address = |it: &Self| it.address.parse::<IpAddr>().ok().map(|it| it.to_canonical());
        let is_one = |it: &IpAddr| !it.is_unspecified();
        // What is no address is a name of one, or nothing: any may be meant.
        let (one, two) = (address(self).filter(is_one), address(other).filter(is_one));
        one.is_none() || two.is_none() || one == two
    }
}

/// The port as Docker writes it: `8080`, `53/udp`.
impl fmt::Display for PortBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp => write!(f, "{}", self.port),
            other => write!(f, "{}/{}", self.port, other.name()),
        }
    }
}

/// A container, running or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Whether Docker removes it when it stops (`--rm`).
    pub auto_removes: bool,
    /// Containers, by id or name, whose network or other namespaces it shares: without them it cannot run.
    pub joins: Vec<String>,
    /// What its process last ended with; 0 while it runs.
    pub exit_code: i64,
    /// When it was last started, in milliseconds since 1970; 0 when never.
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
    /// Whether `name` is its name, or its id in full.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id == name
    }

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

    /// Whether it may write to `path`, or to a directory that it lies in, and so change what is there.
    pub fn may_write_to(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| mount.writable && mount.holds(path))
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

impl Volume {
    /// The directory of the host that it is, if it is one of Docker's own kind that is bound to one.
    pub fn bound_directory(&self) -> Option<&Path> {
        let binds = self.options.get("o")?.split(',').any(|option| matches!(option, "bind" | "rbind"));
        let directory = Path::new(self.options.get("device")?);
        (self.driver == "local" && binds && directory.is_absolute()).then_some(directory)
    }
}

/// All containers; what they mount of a volume that is bound to a directory is that directory.
pub(crate) fn containers(docker: &dyn Docker) -> Result<Vec<Container>> {
    let mut containers = docker.containers()?;
    let mounts = containers.iter().flat_map(|container| &container.mounts);
    let mounted: BTreeSet<&String> = mounts.filter_map(|mount| mount.volume.as_ref()).collect();
    if mounted.is_empty() {
        return Ok(containers);
    }
    let volumes = docker.volumes(&mounted.into_iter().cloned().collect::<Vec<_>>());
    // One whose driver is dead makes that fail, whatever the words. Asked for all, the engine leaves it out.
    let volumes = volumes.or_else(|_| {
        let all = docker.inspected(ObjectKind::Volume)?.into_iter();
        let all = all.filter_map(|volume| serde_json::from_value::<inspect::Volume>(volume).ok());
        Ok::<_, crate::Error>(all.map(Volume::from).collect())
    })?;
    let bound: BTreeMap<String, PathBuf> = volumes
        .into_iter()
        .filter_map(|volume| Some((volume.name.clone(), volume.bound_directory()?.to_owned())))
        .collect();
    for mount in containers.iter_mut().flat_map(|container| &mut container.mounts) {
        if let Some(directory) = mount.volume.as_ref().and_then(|name| bound.get(name)) {
            mount.source.clone_from(directory);
        }
    }
    Ok(containers)
}

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name.
    pub name: String,
    /// Its driver; `local` where it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
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

    /// The container of that name, or of that id in full, if there is one.
    fn container(&self, name: &str) -> Result<Option<Container>>;

    /// Stops it; it gets `grace` to end by itself.
    fn stop(&self, name: &str, grace: Duration) -> Result<()>;

    /// Starts it.
    fn start(&self, name: &str) -> Result<()>;

    /// Those volumes of these names that there are.
    fn volumes(&self, names: &[String]) -> Result<Vec<Volume>>;

    /// The volume of that name, if there is one.
    fn volume(&self, name: &str) -> Result<Option<Volume>> {
        Ok(self.volumes(&[name.to_owned()])?.pop())
    }

    /// Makes a volume.
    fn create_volume(&self, spec: &VolumeSpec) -> Result<()>;

    /// Removes a volume that no container uses; fine when it is gone.
    fn remove_volume(&self, name: &str) -> Result<()>;

    /// What `docker inspect` tells of the thing of that kind and name, or of that id in full, if there is one.
    fn described(&self, kind: ObjectKind, name: &str) -> Result<Option<Value>>;

    /// Makes a network. The engine may make a second one of the same name: look first.
    fn create_network(&self, spec: &NetworkSpec) -> Result<()>;

    /// Removes a network; fine when it is gone. False when containers are in it and it stays.
    fn remove_network(&self, name: &str) -> Result<bool>;

    /// Makes a container, connected to the network that its body names. It does not run.
    fn create_container(&self, name: &str, blueprint: &Blueprint) -> Result<()>;

    /// Connects a container to a network.
    fn connect(&self, network: &str, container: &str, endpoint: &Endpoint) -> Result<()>;

    /// Removes a container that does not run, and with `volumes` those of its volumes that have no name; fine when it
    /// is gone.
    fn remove_container(&self, name: &str, volumes: bool) -> Result<()>;

    /// Whether a container has written anything outside of what it mounts.
    fn has_written(&self, container: &str) -> Result<bool>;

    /// Makes an image of a container with what it has written.
    fn commit(&self, container: &str, image: &str) -> Result<()>;

    /// Removes an image by name; fine when it is gone or in use.
    fn remove_image(&self, image: &str) -> Result<()>;

    /// Whether something answers on a published port; nothing where that cannot be found out there.
    fn answers(&self, address: &str, port: u16) -> Result<Option<bool>>;

    /// Whether a command succeeds in a container that runs; nothing where the container has no such program.
    fn exec(&self, container: &str, command: &[String]) -> Result<Option<bool>>;

    /// Compose as it is installed there, version 2 before version 1.
    fn compose(&self) -> Result<Option<Compose>>;

    /// The hash of each service's configuration, as Compose labels containers with it. Nothing where that cannot be
    /// told before the project is really there, as in a rehearsal.
    fn compose_hashes(&self, project: &ComposeProject) -> Result<Option<BTreeMap<String, String>>>;

    /// Makes what is missing of a project, and starts nothing.
    fn compose_create(&self, project: &ComposeProject) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_is_nowhere_on_the_host() {
        let told = serde_json::json!({"Id": "f00d", "Name": "/app", "State": {}, "Config": {}, "HostConfig": {}, "Mounts": [
            {"Type": "tmpfs", "Source": "", "Destination": "/tmp", "RW": true},
            {"Type": "bind", "Source": "/srv/app", "Destination": "/data", "RW": true}]});
        let container: Container = serde_json::from_value::<inspect::Container>(told).unwrap().into();
        let writes = |path: &str| container.may_write_to(Path::new(path));
        assert!(writes("/srv/app/kept") && writes("/srv/app"));
        assert!(!writes("/srv") && !writes("/srv/other") && !writes("/var/lib/docker/volumes/db/_data"));
    }
}
