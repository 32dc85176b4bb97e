//! What an adaptation leaves as it is, and the user should know.

use serde::{Deserialize, Serialize};

use super::super::interpolate::Interpolated;
use super::super::name::{NameOrigin, ProjectName};
use super::super::types::ComposeFile;
use super::super::volumes::project_volumes;
use super::plan::Plan;

/// Something about the adapted project that a person should look at before starting it. Places are written as
/// dotted keys, such as `services.web.volumes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdaptNote {
    /// Compose takes the restored project for the original one: starting it would replace the original's
    /// containers. Start it with another name (`docker compose -p NAME`).
    ProjectNameKept {
        /// The name both have.
        name: String,
        /// What gives the restored project this name.
        origin: NameOrigin,
    },
    /// A fixed container name: it cannot run while the original's container exists.
    ContainerNameKept {
        /// The service.
        service: String,
        /// The container's name.
        name: String,
    },
    /// A published port: it cannot run while the original holds the port.
    PortKept {
        /// The service.
        service: String,
        /// Address of the host, if the port is bound to one.
        host_ip: Option<String>,
        /// Port or range of ports on the host.
        published: String,
        /// `tcp` or `udp`.
        protocol: String,
    },
    /// The service uses the host's network: whatever ports it opens collide with the original's.
    HostNetworkKept {
        /// The service.
        service: String,
    },
    /// A network that must exist already.
    ExternalNetwork {
        /// Its key.
        network: String,
        /// Its real name.
        name: String,
    },
    /// A network with a fixed name: shared with the original.
    NetworkNameKept {
        /// Its key.
        network: String,
        /// Its real name.
        name: String,
    },
    /// A fixed subnet: it cannot be created while the original's network exists.
    SubnetKept {
        /// Key of the network.
        network: String,
        /// The subnet.
        subnet: String,
    },
    /// An external volume that was not restored: the project uses the one that exists, possibly the
    /// original's.
    ExternalVolume {
        /// Its key.
        volume: String,
        /// Its real name.
        name: String,
    },
    /// An external volume whose data was restored: nothing uses it any more, but its definition remains, and the Python
    /// `docker-compose` wants it to exist all the same.
    ExternalVolumeUnused {
        /// Its key.
        volume: String,
        /// Its real name.
        name: String,
    },
    /// A volume that was not restored: it starts empty, or, if `shared`, is the very volume of the original.
    VolumeNotRestored {
        /// Its key.
        volume: String,
        /// Its real name in the restored project.
        name: String,
        /// Whether the original uses the same one.
        shared: bool,
    },
    /// A path of the host that was not restored: the project uses what lies there, possibly data of the
    /// original.
    HostPathKept {
        /// Where it stands.
        place: String,
        /// The path.
        path: String,
        /// Whether it is only read.
        read_only: bool,
    },
    /// A relative path that leads out of the project to something that was not restored.
    RelativePathOutsideProject {
        /// Where it stands.
        place: String,
        /// The path as written.
        path: String,
        /// What it meant at the original place.
        original: String,
    },
    /// A path or name with variables that are not known: it was not adapted.
    UnresolvedVariable {
        /// Where it stands.
        place: String,
        /// The value as written.
        text: String,
        /// The variables.
        variables: Vec<String>,
    },
    /// Another compose file belongs to the project and has to be adapted too.
    OtherComposeFile {
        /// Its original path.
        path: String,
    },
}

fn text(value: &Interpolated) -> String {
    value.text().to_owned()
}

/// What collides with the original wherever the project lies.
pub(super) fn collisions(compose: &ComposeFile, original: &str, restored: &ProjectName) -> Vec<AdaptNote> {
    let mut notes = Vec::new();
    if restored.name == original {
        notes.push(AdaptNote::ProjectNameKept { name: restored.name.clone(), origin: restored.origin });
    }
    for (name, service) in &compose.services {
        if let Some(container) = &service.container_name {
            notes.push(AdaptNote::ContainerNameKept { service: name.clone(), name: text(container) });
        }
        for port in &service.ports {
            let Some(published) = port.published.as_ref().filter(|port| port.text() != "0") else { continue };
            notes.push(AdaptNote::PortKept {
                service: name.clone(),
                host_ip: port.host_ip.as_ref().map(text),
                published: text(published),
                protocol: port.protocol.clone().unwrap_or_else(|| "tcp".into()),
            });
        }
        if service.network_mode.as_ref().and_then(Interpolated::known) == Some("host") {
            notes.push(AdaptNote::HostNetworkKept { service: name.clone() });
        }
    }
    for (key, network) in &compose.networks {
        let real = network.name.as_ref().map_or_else(|| key.clone(), text);
        if network.external {
            notes.push(AdaptNote::ExternalNetwork { network: key.clone(), name: real });
            continue;
        }
        if network.name.is_some() {
            notes.push(AdaptNote::NetworkNameKept { network: key.clone(), name: real });
        }
        for subnet in &network.subnets {
            notes.push(AdaptNote::SubnetKept { network: key.clone(), subnet: text(subnet) });
        }
    }
    notes
}

/// What becomes of the project's named volumes.
pub(super) fn volumes(
    compose: &ComposeFile,
    original: &str,
    restored: &ProjectName,
    plan: &Plan,
) -> Vec<AdaptNote> {
    let before = project_volumes(compose, original);
    let after = project_volumes(compose, &restored.name);
    let pairs = before.iter().zip(after);
    pairs
        .filter_map(|(before, after)| {
            let (volume, name) = (after.key.clone(), text(&after.real_name));
            let replaced = plan.replaced_volumes.contains(&volume);
            match (replaced, after.external) {
                (true, true) => Some(AdaptNote::ExternalVolumeUnused { volume, name }),
                (true, false) => None,
                (false, true) => Some(AdaptNote::ExternalVolume { volume, name }),
                // A volume that is a path in disguise, and moved with it.
                (false, false) if plan.moved_devices.contains(&volume) => None,
                (false, false) => Some(AdaptNote::VolumeNotRestored {
                    volume,
                    shared: before.real_name == after.real_name,
                    name,
                }),
            }
        })
        .collect()
}
