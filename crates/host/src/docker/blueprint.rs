//! How a container was made, as the engine's interface takes it to make another like it.
//!
//! `docker create` cannot say all of it: an entry point of several words, a health check without a shell, a port
//! without a number. What `docker container inspect` tells can be given back to the engine as it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Endpoint, strings, text};

/// What makes a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// The configuration, and the network that the engine makes it in.
    pub body: Value,
    /// Networks that it is connected to afterwards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Endpoint>,
}

/// Networks that every engine has, in which containers have no names.
const PREDEFINED: [&str; 5] = ["", "default", "bridge", "host", "none"];

impl Blueprint {
    /// What makes a container like the one that `docker container inspect` tells of. Volumes without a name stay the
    /// ones they were.
    pub fn of(inspected: &Value) -> Self {
        let mut body = object(inspected.get("Config"));
        let mut host = object(inspected.get("HostConfig"));
        let id = text(inspected, "/Id");
        let short_id = id.get(..12).unwrap_or(id);
        let mode = host.get("NetworkMode").and_then(Value::as_str).unwrap_or_default().to_owned();
        let shares = mode.starts_with("container:");
        let is = |body: &Map<String, Value>, key: &str, value: &str| {
            body.get(key).and_then(Value::as_str).is_some_and(|found| found == value)
        };
        // The engine gives these by itself, or refuses them where it does.
        if shares || mode == "host" || is(&host, "UTSMode", "host") || is(&body, "Hostname", short_id) {
            body.remove("Hostname");
        }
        if shares {
            body.remove("ExposedPorts");
        }
        name_volumes(host.get_mut("Mounts"), inspected);
        let binds = host.get("Binds").and_then(Value::as_array).cloned().unwrap_or_default();
        let nameless = nameless_volumes(inspected, &binds, host.get("Mounts"));
        if !nameless.is_empty() {
            host.insert("Binds".to_owned(), Value::Array([binds, nameless].concat()));
        }
        body.insert("HostConfig".to_owned(), Value::Object(host));

        let mut networks: BTreeMap<String, Endpoint> = object(inspected.pointer("/NetworkSettings/Networks"))
            .iter()
            .filter(|(name, _)| !PREDEFINED.contains(&name.as_str()))
            .map(|(name, endpoint)| (name.clone(), Endpoint::of(endpoint, short_id)))
            .collect();
        // One that is not made in the engine's own bridge may be connected to it besides.
        let is_made_elsewhere = !shares && !PREDEFINED.contains(&mode.as_str());
        if let Some(bridge) =
            inspected.pointer("/NetworkSettings/Networks/bridge").filter(|_| is_made_elsewhere)
        {
            // There, it cannot have further names.
            let endpoint = Endpoint { aliases: Vec::new(), ..Endpoint::of(bridge, short_id) };
            networks.insert("bridge".to_owned(), endpoint);
        }
        if let Some(first) = networks.remove(&mode) {
            body.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": { mode: first.body() } }));
        }
        Self { body: Value::Object(body), networks }
    }

    /// The image it is made from.
    pub fn image(&self) -> &str {
        text(&self.body, "/Image")
    }

    /// The same from another image.
    #[must_use]
    pub fn from_image(mut self, image: &str) -> Self {
        self.body["Image"] = json!(image);
        self
    }

    /// Its environment, as `NAME=VALUE`; the blueprint has none any more.
    pub fn take_environment(&mut self) -> Vec<String> {
        let taken = self.body.as_object_mut().and_then(|body| body.remove("Env"));
        strings(taken.as_ref())
    }

    /// The same with this environment.
    #[must_use]
    pub fn with_environment(mut self, environment: Vec<String>) -> Self {
        self.body["Env"] = json!(environment);
        self
    }

    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = object(self.body.get("Labels"));
        labels.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
    }

    /// The same with these labels.
    #[must_use]
    pub fn with_labels(mut self, labels: BTreeMap<String, String>) -> Self {
        self.body["Labels"] = json!(labels);
        self
    }

    /// The networks it is in by name, but for those that every engine has.
    pub fn network_names(&self) -> impl Iterator<Item = &str> {
        let first = Some(text(&self.body, "/HostConfig/NetworkMode"));
        let first = first.filter(|mode| !PREDEFINED.contains(mode) && !mode.starts_with("container:"));
        let others = self.networks.keys().map(String::as_str).filter(|name| !PREDEFINED.contains(name));
        first.into_iter().chain(others)
    }

    /// Whether it has a fixed address in the network of that name.
    pub fn has_fixed_address(&self, network: &str) -> bool {
        let first = self.body.pointer("/NetworkingConfig/EndpointsConfig");
        let first = first.and_then(|networks| networks.get(network)?.get("IPAMConfig"));
        let other = self.networks.get(network);
        first.is_some_and(|addresses| !addresses.is_null())
            || other.is_some_and(|endpoint| !endpoint.ipv4.is_empty() || !endpoint.ipv6.is_empty())
    }

    /// The volumes that it mounts by name.
    pub fn volume_names(&self) -> Vec<String> {
        let binds = strings(self.body.pointer("/HostConfig/Binds"));
        let sources = binds.iter().filter_map(|bind| bind.split(':').next());
        let mut names: Vec<String> =
            sources.filter(|name| !name.starts_with('/')).map(str::to_owned).collect();
        for mount in self.body.pointer("/HostConfig/Mounts").and_then(Value::as_array).into_iter().flatten() {
            if text(mount, "/Type") == "volume" && !text(mount, "/Source").is_empty() {
                names.push(text(mount, "/Source").to_owned());
            }
        }
        names
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Gives those of `mounts` that are volumes without a name the names that the engine has given them, for the same reason
/// as binds.
fn name_volumes(mounts: Option<&mut Value>, inspected: &Value) {
    let actual = inspected.get("Mounts").and_then(Value::as_array);
    for mount in mounts.and_then(Value::as_array_mut).into_iter().flatten() {
        if text(mount, "/Type") != "volume" || !text(mount, "/Source").is_empty() {
            continue;
        }
        let target = Path::new(text(mount, "/Target"));
        let is_it =
            |it: &&Value| text(it, "/Type") == "volume" && Path::new(text(it, "/Destination")) == target;
        if let Some(found) = actual.into_iter().flatten().find(is_it) {
            mount["Source"] = json!(text(found, "/Name"));
        }
    }
}

/// Volumes that the engine has named itself, as binds: so that their content stays with what is made anew.
fn nameless_volumes(inspected: &Value, binds: &[Value], mounts: Option<&Value>) -> Vec<Value> {
    let bound = |destination: &str| {
        let in_binds = binds.iter().filter_map(Value::as_str).filter_map(|bind| bind.split(':').nth(1));
        let in_mounts = mounts.and_then(Value::as_array).into_iter().flatten();
        let mut all = in_binds.chain(in_mounts.map(|mount| text(mount, "/Target")));
        // As the engine compares them: `/data/` is `/data`.
        all.any(|place| Path::new(place) == Path::new(destination))
    };
    let all = inspected.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    all.filter(|mount| text(mount, "/Type") == "volume" && !bound(text(mount, "/Destination")))
        .map(|mount| json!(format!("{}:{}", text(mount, "/Name"), text(mount, "/Destination"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected() -> Value {
        json!({
            "Id": "0123456789abcdef",
            "Config": { "Hostname": "0123456789ab", "Image": "web:1", "Env": ["A=1\n2"], "Labels": { "a": "b" },
                        "Entrypoint": ["/bin/sh", "-c"], "Volumes": { "/data": {} } },
            "HostConfig": { "NetworkMode": "front", "Binds": ["files:/www:rw"], "RestartPolicy": { "Name": "always" } },
            "Mounts": [
                { "Type": "volume", "Name": "files", "Destination": "/www" },
                { "Type": "volume", "Name": "f00d", "Destination": "/data" },
            ],
            "NetworkSettings": { "Networks": {
                "front": { "Aliases": ["web", "0123456789ab"], "IPAMConfig": null },
                "back": { "Aliases": null, "IPAMConfig": { "IPv4Address": "10.0.0.7" } },
            } },
        })
    }

    #[test]
    fn what_was_told_is_what_makes_it() {
        let mut blueprint = Blueprint::of(&inspected());
        assert_eq!(blueprint.take_environment(), ["A=1\n2"]);
        assert!(blueprint.body.get("Env").is_none() && blueprint.body.get("Hostname").is_none());
        assert_eq!(blueprint.body["HostConfig"]["Binds"], json!(["files:/www:rw", "f00d:/data"]));
        let first = &blueprint.body["NetworkingConfig"]["EndpointsConfig"];
        assert_eq!(first["front"]["Aliases"], json!(["web"]));
        assert_eq!(blueprint.networks["back"].ipv4, "10.0.0.7");
        assert_eq!(blueprint.network_names().collect::<Vec<_>>(), ["front", "back"]);
        assert_eq!(blueprint.volume_names(), ["files", "f00d"]);
        assert!(blueprint.has_fixed_address("back") && !blueprint.has_fixed_address("front"));
    }

    #[test]
    fn a_mount_of_a_volume_without_a_name_is_made_once_with_the_volume_it_had() {
        let mut mounted = inspected();
        mounted["HostConfig"]["Mounts"] = json!([
            { "Type": "volume", "Target": "/data/", "VolumeOptions": { "NoCopy": true } },
            { "Type": "bind", "Source": "/srv", "Target": "/srv" },
            { "Type": "tmpfs", "Target": "/run" },
        ]);
        let blueprint = Blueprint::of(&mounted);
        assert_eq!(blueprint.body["HostConfig"]["Binds"], json!(["files:/www:rw"]));
        let mounts = &blueprint.body["HostConfig"]["Mounts"];
        assert_eq!(mounts[0]["Source"], "f00d");
        assert_eq!(mounts[0]["VolumeOptions"], json!({ "NoCopy": true }));
        assert_eq!((&mounts[1]["Source"], &mounts[2]["Source"]), (&json!("/srv"), &Value::Null));
        assert_eq!(blueprint.volume_names(), ["files", "f00d"]);
    }

    #[test]
    fn one_of_a_network_and_the_engines_own_bridge_is_in_both_again() {
        let mut bridged = inspected();
        bridged["NetworkSettings"]["Networks"]["bridge"] = json!({ "Aliases": ["0123456789ab", "web"] });
        let blueprint = Blueprint::of(&bridged);
        assert_eq!(blueprint.networks.keys().collect::<Vec<_>>(), ["back", "bridge"]);
        assert!(blueprint.networks["bridge"].aliases.is_empty());
        // Every engine has it: nobody has to make it.
        assert_eq!(blueprint.network_names().collect::<Vec<_>>(), ["front", "back"]);
        // One that is made in it is not connected to it twice.
        bridged["HostConfig"]["NetworkMode"] = json!("default");
        assert_eq!(Blueprint::of(&bridged).networks.keys().collect::<Vec<_>>(), ["back", "front"]);
    }

    #[test]
    fn one_that_shares_a_network_has_no_name_or_ports_of_its_own() {
        let mut shared = inspected();
        shared["HostConfig"]["NetworkMode"] = json!("container:db");
        shared["Config"]["ExposedPorts"] = json!({ "80/tcp": {} });
        let blueprint = Blueprint::of(&shared);
        assert!(blueprint.body.get("ExposedPorts").is_none() && blueprint.body.get("Hostname").is_none());
    }
}
