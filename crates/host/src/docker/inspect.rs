//! The parts of `docker … inspect` that are read, as Docker writes them (Engine 20.10 to 29).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::{Health, Mount, PortBinding, Protocol};

/// Docker writes `null` for an empty list or map.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
pub(super) struct Info {
    #[serde(rename = "ServerVersion", default)]
    pub version: String,
    #[serde(rename = "DockerRootDir", default)]
    pub root: PathBuf,
    #[serde(rename = "ServerErrors", default, deserialize_with = "nullable")]
    pub errors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    id: String,
    name: String,
    #[serde(default)]
    restart_count: u64,
    state: State,
    config: Config,
    #[serde(default, deserialize_with = "nullable")]
    mounts: Vec<InspectedMount>,
    #[serde(default)]
    host_config: HostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    health: Option<InspectedHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHealth {
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default, deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct InspectedMount {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Source", default)]
    source: PathBuf,
    #[serde(rename = "Destination", default)]
    destination: PathBuf,
    #[serde(rename = "RW", default)]
    writable: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: String,
    #[serde(default)]
    ipc_mode: String,
    #[serde(default)]
    pid_mode: String,
    #[serde(default)]
    auto_remove: bool,
    #[serde(default, deserialize_with = "nullable")]
    port_bindings: BTreeMap<String, Option<Vec<Binding>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Volume {
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    mountpoint: PathBuf,
    #[serde(default, deserialize_with = "nullable")]
    options: BTreeMap<String, String>,
}

impl From<Container> for super::Container {
    fn from(from: Container) -> Self {
        let modes = [&from.host_config.network_mode, &from.host_config.ipc_mode, &from.host_config.pid_mode];
        let joins =
            modes.into_iter().filter_map(|mode| mode.strip_prefix("container:")).map(str::to_owned).collect();
        let ports = from.host_config.port_bindings.into_iter().flat_map(|(inside, bindings)| {
            let protocol = Protocol::of_port(&inside);
            let bindings = bindings.into_iter().flatten();
            bindings.filter_map(move |binding| Some((binding, protocol?)))
        });
        Self {
            id: from.id,
            name: from.name.trim_start_matches('/').to_owned(),
            image: from.config.image,
            running: from.state.running,
            paused: from.state.paused,
            exit_code: from.state.exit_code,
            auto_removes: from.host_config.auto_remove,
            joins,
            started: from
                .state
                .started_at
                .parse::<jiff::Timestamp>()
                .map_or(0, |t| t.as_millisecond().max(0)),
            restarts: from.restart_count,
            health: match from.state.health.as_ref().map(|h| h.status.as_str()) {
                Some("healthy") => Health::Healthy,
                Some("unhealthy") => Health::Unhealthy,
                Some("starting") => Health::Starting,
                _ => Health::None,
            },
            mounts: from
                .mounts
                .into_iter()
                .map(|m| Mount {
                    volume: (m.kind == "volume").then_some(m.name),
                    source: m.source,
                    destination: m.destination,
                    writable: m.writable,
                })
                .collect(),
            ports: ports
                .filter_map(|(at, protocol)| {
                    // Of a range the engine takes one that is free.
                    Some(PortBinding { address: at.host_ip, port: at.host_port.parse().ok()?, protocol })
                })
                .collect(),
            labels: from.config.labels,
        }
    }
}

impl From<Volume> for super::Volume {
    fn from(from: Volume) -> Self {
        Self { name: from.name, driver: from.driver, mountpoint: from.mountpoint, options: from.options }
    }
}
