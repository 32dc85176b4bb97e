//! What a compose file says, as far as a restore needs it.
//!
//! Values that Compose interpolates are [`Interpolated`]: they know whether all their variables are known.
//! Names of services, volumes and networks are keys, which Compose takes literally.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::interpolate::Interpolated;
use super::yaml::limits;

/// A compose file. Everything is in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeFile {
    /// How the file is laid out.
    pub format: FileFormat,
    /// The top-level `name:`.
    pub name: Option<Interpolated>,
    /// The services by name.
    pub services: IndexMap<String, Service>,
    /// The top-level volumes by key.
    pub volumes: IndexMap<String, Volume>,
    /// The top-level networks by key.
    pub networks: IndexMap<String, Network>,
    /// The top-level configs by key.
    pub configs: IndexMap<String, FileResource>,
    /// The top-level secrets by key.
    pub secrets: IndexMap<String, FileResource>,
    /// Other compose files that this one takes in with `include:`.
    pub includes: Vec<Interpolated>,
}

impl ComposeFile {
    /// A service and, following `extends` within this file, the services it is built on, nearest first.
    /// Ends where a service extends one of another file, at a circle, and after [`limits::DEPTH`] services.
    pub fn lineage(&self, service: &str) -> Vec<&Service> {
        let mut lineage: Vec<&Service> = Vec::new();
        let mut next = self.services.get(service);
        while let Some(service) = next {
            if lineage.len() >= limits::DEPTH || lineage.iter().any(|known| known.name == service.name) {
                break;
            }
            lineage.push(service);
            next = match &service.extends {
                Some(Extends { service: base, file: None }) => {
                    base.known().and_then(|base| self.services.get(base))
                }
                _ => None,
            };
        }
        lineage
    }
}

/// The layout of a compose file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// With a `services:` section: versions 2 and 3 and the Compose Specification.
    #[default]
    Spec,
    /// Services at the top level, without sections: version 1. Only the Python `docker-compose` starts it.
    /// Its named volumes are not prefixed with the project's name.
    Legacy,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: Option<Interpolated>,
    /// The directory (or address) its image is built from.
    pub build_context: Option<Interpolated>,
    /// A fixed container name.
    pub container_name: Option<Interpolated>,
    /// `depends_on`, in its short and long form.
    pub depends_on: Vec<Dependency>,
    /// Services it is linked to (`links`).
    pub links: Vec<String>,
    /// Services whose volumes it takes over (`volumes_from`); containers named there are left out.
    pub volumes_from: Vec<String>,
    /// Services whose network or other namespaces it joins (`network_mode: service:x`, `ipc`, `pid`, …).
    pub joins: Vec<String>,
    /// `network_mode`.
    pub network_mode: Option<Interpolated>,
    /// What is mounted.
    pub volumes: Vec<Mount>,
    /// Files its environment is read from.
    pub env_files: Vec<EnvFile>,
    /// Ports.
    pub ports: Vec<Port>,
    /// Whether the file gives it a health check (the image may have one of its own).
    pub has_healthcheck: bool,
    /// The profiles it belongs to; without any it always starts.
    pub profiles: Vec<String>,
    /// How many containers it has, if given (`scale`, or `replicas` of `deploy`).
    pub replicas: Option<Interpolated>,
    /// The keys of the networks it is on.
    pub networks: Vec<String>,
    /// The service it is built on.
    pub extends: Option<Extends>,
}

/// A service that must start before another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Name of the service that starts first.
    pub service: String,
    /// What is waited for.
    pub condition: Condition,
    /// Whether its absence is an error.
    pub required: bool,
}

/// What is waited for before a dependent service starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The container was started.
    #[default]
    ServiceStarted,
    /// Its health check passes.
    ServiceHealthy,
    /// It ended with exit code 0.
    ServiceCompletedSuccessfully,
}

impl Condition {
    /// Reads Compose's word; an unknown one counts as `service_started`.
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "service_healthy" => Self::ServiceHealthy,
            "service_completed_successfully" => Self::ServiceCompletedSuccessfully,
            _ => Self::ServiceStarted,
        }
    }
}

/// The service another one is built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extends {
    /// Name of the service.
    pub service: Interpolated,
    /// The compose file it stands in, if it is another one.
    pub file: Option<Interpolated>,
}

/// A file with environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Its path, relative to the project directory.
    pub path: Interpolated,
    /// Whether its absence is an error.
    pub required: bool,
}

/// One mount of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Key of a named volume, or a path on the host; nothing for anonymous volumes and tmpfs.
    pub source: Option<Interpolated>,
    /// Path in the container.
    pub target: Interpolated,
    /// Whether the container may not write.
    pub read_only: bool,
    /// Directory within the volume that is mounted instead of all of it (long form).
    pub subpath: Option<Interpolated>,
    /// Line of the entry.
    pub line: usize,
}

/// What a mount mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A named volume, or an anonymous one when there is no source.
    Volume,
    /// Memory.
    Tmpfs,
    /// A named pipe, a cluster volume, an image.
    Other,
    /// A path or a volume: the source begins with a variable that is not known.
    Unresolved,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Address of the host it is bound to, if given.
    pub host_ip: Option<Interpolated>,
    /// Port or range of ports on the host; nothing when Docker picks one.
    pub published: Option<Interpolated>,
    /// Port or range of ports in the container.
    pub target: Interpolated,
    /// `tcp` (when not given) or `udp`.
    pub protocol: Option<String>,
}

/// A top-level volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The driver, if given.
    pub driver: Option<Interpolated>,
    /// Options for the driver.
    pub driver_opts: IndexMap<String, Interpolated>,
    /// Labels.
    pub labels: IndexMap<String, Interpolated>,
    /// Whether Compose expects it to exist already.
    pub external: bool,
    /// The real name, if given (also from the old `external: {name: …}`).
    pub name: Option<Interpolated>,
}

/// A top-level network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The driver, if given.
    pub driver: Option<Interpolated>,
    /// Options for the driver.
    pub driver_opts: IndexMap<String, Interpolated>,
    /// Labels.
    pub labels: IndexMap<String, Interpolated>,
    /// Whether Compose expects it to exist already.
    pub external: bool,
    /// The real name, if given (also from the old `external: {name: …}`).
    pub name: Option<Interpolated>,
    /// Fixed subnets.
    pub subnets: Vec<Interpolated>,
}

/// A top-level config or secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileResource {
    /// The file it is taken from.
    pub file: Option<Interpolated>,
    /// The environment variable it is taken from.
    pub environment: Option<String>,
    /// Whether Compose expects it to exist already.
    pub external: bool,
    /// The real name, if given.
    pub name: Option<Interpolated>,
}
