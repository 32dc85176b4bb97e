//! Networks that are made as they were recorded, unless somebody else has their addresses by now.

use std::net::IpAddr;

use reprise_engine::{Change, CreateNetwork};
use reprise_host::{Blueprint, NetworkSpec};
use reprise_model::{Finding, Message, Severity};

use super::super::survey::Facts;
use super::Remade;
use super::record::Record;

/// Has the network `name` made, if the backup knows it.
pub(super) fn remake(name: &str, record: &Record, facts: &Facts, remade: &mut Remade) {
    let Some(mut spec) = record.network(name) else { return };
    let asked_for = has_fixed_addresses(name, record);
    if let Some(holder) = facts.making.networks.values().find(|there| overlap(there, &spec)) {
        let message = |key| Message::new(key).text("network", name).text("holder", &holder.name);
        // Addresses that nobody asked for were the engine's choice, and may be others.
        if asked_for {
            remade.findings.push(Finding::new(Severity::Blocker, message("network-overlaps")));
        } else {
            remade.findings.push(Finding::new(Severity::Info, message("network-readdressed")));
            spec.subnets.clear();
        }
    }
    remade.first.push(Change::CreateNetwork(CreateNetwork { spec, asked_for }));
}

/// Whether a recorded container asks for a certain address in that network.
fn has_fixed_addresses(network: &str, record: &Record) -> bool {
    record.containers.iter().any(|container| Blueprint::of(container).has_fixed_address(network))
}

fn overlap(one: &NetworkSpec, other: &NetworkSpec) -> bool {
    let subnets = |spec: &NetworkSpec| -> Vec<(IpAddr, u32)> {
        spec.subnets.iter().filter_map(|it| parsed(&it.subnet)).collect()
    };
    let others = subnets(other);
    subnets(one).iter().any(|one| others.iter().any(|other| share(*one, *other)))
}

/// A subnet's address and the length of its prefix.
fn parsed(subnet: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = subnet.split_once('/')?;
    Some((address.parse().ok()?, prefix.parse().ok()?))
}

/// Whether two subnets have an address in common: one of them begins as the other does.
fn share((one, long): (IpAddr, u32), (other, wide): (IpAddr, u32)) -> bool {
    let bits = |address| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let ((one, size), (other, other_size)) = (bits(one), bits(other));
    let prefix = long.min(wide);
    size == other_size && (prefix == 0 || (one ^ other).checked_shr(128 - prefix).unwrap_or_default() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_overlap_where_one_begins_as_the_other() {
        let both = |one: &str, other: &str| share(parsed(one).unwrap(), parsed(other).unwrap());
        assert!(both("172.20.0.0/16", "172.20.7.0/24") && both("172.20.7.0/24", "172.20.0.0/16"));
        assert!(both("0.0.0.0/0", "10.0.0.0/8") && both("fd00::/8", "fd12::/64"));
        assert!(!both("172.20.0.0/16", "172.21.0.0/16") && !both("0.0.0.0/0", "fd00::/8"));
    }
}
