//! Networks as they were, and how containers are in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{strings, text};

/// A network to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its driver; the engine's default where it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether it leads nowhere outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Whether containers of no service may be in it, where it spans several engines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachable: bool,
    /// Whether it has addresses of IPv6.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ipv6: bool,
    /// Who gives addresses, where it is not `default`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address_driver: String,
    /// That driver's options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub address_options: BTreeMap<String, String>,
    /// The addresses it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
}

/// Addresses of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of them, such as `172.18.0.0/16`.
    pub subnet: String,
    /// Those that containers get.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub range: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// Addresses that something else has, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, String>,
}

fn map(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

impl NetworkSpec {
    /// What makes a network like the one that `docker network inspect` tells of.
    pub fn of(inspected: &Value) -> Self {
        let is = |key: &str| inspected.get(key).and_then(Value::as_bool).unwrap_or_default();
        let subnets = inspected.pointer("/IPAM/Config").and_then(Value::as_array).into_iter().flatten();
        let address_driver = text(inspected, "/IPAM/Driver");
        Self {
            name: text(inspected, "/Name").to_owned(),
            driver: text(inspected, "/Driver").to_owned(),
            options: map(inspected.get("Options")),
            labels: map(inspected.get("Labels")),
            internal: is("Internal"),
            attachable: is("Attachable"),
            ipv6: is("EnableIPv6"),
            address_driver: if address_driver == "default" {
                String::new()
            } else {
                address_driver.to_owned()
            },
            address_options: map(inspected.pointer("/IPAM/Options")),
            subnets: subnets
                .map(|subnet| Subnet {
                    subnet: text(subnet, "/Subnet").to_owned(),
                    range: text(subnet, "/IPRange").to_owned(),
                    gateway: text(subnet, "/Gateway").to_owned(),
                    reserved: map(subnet.get("AuxiliaryAddresses").or_else(|| subnet.get("AuxAddress"))),
                })
                .collect(),
        }
    }
}

/// How a container is in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Names it has there besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Containers it reaches there by other names, `CONTAINER:ALIAS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// A fixed address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv4: String,
    /// A fixed address of IPv6.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv6: String,
    /// The driver's options.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl Endpoint {
    /// As `docker container inspect` tells of it; `short_id` is a name that the engine gives by itself.
    pub(super) fn of(inspected: &Value, short_id: &str) -> Self {
        let mut aliases = strings(inspected.get("Aliases"));
        aliases.retain(|alias| alias != short_id);
        Self {
            aliases,
            links: strings(inspected.get("Links")),
            ipv4: text(inspected, "/IPAMConfig/IPv4Address").to_owned(),
            ipv6: text(inspected, "/IPAMConfig/IPv6Address").to_owned(),
            options: map(inspected.get("DriverOpts")),
        }
    }

    /// As the engine's interface takes it.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "Aliases": self.aliases, "Links": self.links, "DriverOpts": self.options });
        if !self.ipv4.is_empty() || !self.ipv6.is_empty() {
            body["IPAMConfig"] = json!({ "IPv4Address": self.ipv4, "IPv6Address": self.ipv6 });
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_made_as_it_was() {
        let spec = NetworkSpec::of(&json!({
            "Name": "n", "Driver": "bridge", "Internal": true, "EnableIPv6": false, "Labels": { "a": "b" },
            "Options": { "mtu": "1400" },
            "IPAM": { "Driver": "default", "Options": null,
                      "Config": [{ "Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1", "AuxiliaryAddresses": { "r": "10.9.0.9" } }] },
        }));
        let line = super::super::commands::create_network(&spec).to_string();
        assert_eq!(
            line,
            "docker network create --driver bridge --opt mtu=1400 --label a=b --internal --subnet 10.9.0.0/24 \
             --gateway 10.9.0.1 --aux-address r=10.9.0.9 -- n"
        );
    }
}
