//! The command lines that change something, shared by the engine's steps and the scripts that show them.

use std::time::Duration;

use super::{Endpoint, NetworkSpec, VolumeSpec};
use crate::Command;
use std::collections::BTreeMap;

/// Stops the container `name`, which gets `grace` to end by itself.
pub fn stop(name: &str, grace: Duration) -> Command {
    let seconds = grace.as_secs().to_string();
    Command::new("docker").args(["stop", "-t", &seconds, "--", name]).limit(grace + Duration::from_mins(1))
}

/// Starts the container `name`.
pub fn start(name: &str) -> Command {
    Command::new("docker").args(["start", "--", name])
}

/// Makes the volume of `spec`.
pub fn create_volume(spec: &VolumeSpec) -> Command {
    Command::new("docker")
        .args(["volume", "create"])
        .args(valued("--driver", &spec.driver))
        .args(pairs("--opt", &spec.options))
        .args(pairs("--label", &spec.labels))
        .arg("--")
        .arg(&spec.name)
}

/// `option KEY=VALUE` for each of `map`.
fn pairs<'a>(option: &'a str, map: &'a BTreeMap<String, String>) -> impl Iterator<Item = String> + 'a {
    map.iter().flat_map(move |(key, value)| [option.to_owned(), format!("{key}={value}")])
}

/// `option VALUE`, if there is one.
fn valued(option: &str, value: &str) -> Vec<String> {
    if value.is_empty() { Vec::new() } else { vec![option.to_owned(), value.to_owned()] }
}

/// Makes the network of `spec`.
pub fn create_network(spec: &NetworkSpec) -> Command {
    let flags = [("--internal", spec.internal), ("--attachable", spec.attachable), ("--ipv6", spec.ipv6)];
    let subnets = spec.subnets.iter().flat_map(|it| {
        let addresses = [("--subnet", &it.subnet), ("--ip-range", &it.range), ("--gateway", &it.gateway)];
        let addresses = addresses.into_iter().flat_map(|(option, value)| valued(option, value));
        addresses.chain(pairs("--aux-address", &it.reserved)).collect::<Vec<_>>()
    });
    Command::new("docker")
        .args(["network", "create"])
        .args(valued("--driver", &spec.driver))
        .args(pairs("--opt", &spec.options))
        .args(pairs("--label", &spec.labels))
        .args(flags.into_iter().filter(|(_, is)| *is).map(|(flag, _)| flag))
        .args(valued("--ipam-driver", &spec.address_driver))
        .args(pairs("--ipam-opt", &spec.address_options))
        .args(subnets)
        .arg("--")
        .arg(&spec.name)
}

/// Removes the network `name`.
pub fn remove_network(name: &str) -> Command {
    Command::new("docker").args(["network", "rm", "--", name])
}

/// Connects `container` to `network`.
pub fn connect(network: &str, container: &str, endpoint: &Endpoint) -> Command {
    let aliases = endpoint.aliases.iter().flat_map(|alias| ["--alias".to_owned(), alias.clone()]);
    let links = endpoint.links.iter().flat_map(|link| ["--link".to_owned(), link.clone()]);
    Command::new("docker")
        .args(["network", "connect"])
        .args(aliases)
        .args(links)
        .args(valued("--ip", &endpoint.ipv4))
        .args(valued("--ip6", &endpoint.ipv6))
        .args(pairs("--driver-opt", &endpoint.options))
        .args(["--", network, container])
}

/// Removes the container `name`, and with `volumes` those of its volumes that have no name.
pub fn remove_container(name: &str, volumes: bool) -> Command {
    let volumes = volumes.then_some("--volumes");
    Command::new("docker").arg("rm").args(volumes).args(["--", name])
}

/// Removes the volume `name`.
pub fn remove_volume(name: &str) -> Command {
    Command::new("docker").args(["volume", "rm", "--", name])
}
