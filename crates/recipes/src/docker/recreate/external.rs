//! Networks and volumes that a project's files expect to be there: Compose makes none of them.

use std::collections::{BTreeMap, BTreeSet};

use reprise_model::{Finding, ItemKind, Message, Severity};

use super::super::compose::{ComposeFile, project_volumes};
use super::super::survey::Facts;

/// Those of one project, by their names in Docker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// Networks.
    pub networks: BTreeSet<String>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
}

impl External {
    /// What the services `wanted` of `project` use of it. What variables name that are not known is left out.
    pub(super) fn of(files: &[ComposeFile], project: &str, wanted: &BTreeSet<String>) -> Self {
        let (mut networks, mut volumes) = (BTreeMap::new(), BTreeMap::new());
        // One file may declare what another one uses. Services that name no network are in the default one.
        let (mut of_networks, mut of_volumes) = (BTreeSet::from(["default".to_owned()]), BTreeSet::new());
        for file in files {
            for (key, network) in file.networks.iter().filter(|(_, network)| network.external) {
                let name = network.name.as_ref().map_or(Some(key.as_str()), |name| name.known());
                networks.insert(key.clone(), name.map(str::to_owned));
            }
            let used = wanted.iter().flat_map(|service| file.lineage(service));
            of_networks.extend(used.flat_map(|service| service.networks.iter().cloned()));
            for volume in project_volumes(file, project) {
                if volume.services.iter().any(|service| wanted.contains(service)) {
                    of_volumes.insert(volume.key.clone());
                }
                if volume.external {
                    volumes.insert(volume.key, volume.real_name.known().map(str::to_owned));
                }
            }
        }
        let names = |all: BTreeMap<String, Option<String>>, used: &BTreeSet<String>| {
            all.into_iter().filter(|(key, _)| used.contains(key)).filter_map(|(_, name)| name).collect()
        };
        Self { networks: names(networks, &of_networks), volumes: names(volumes, &of_volumes) }
    }

    /// What is told of those that are not there, and that the restore does not make either.
    pub(super) fn missing(&self, project: &str, path: &str, facts: &Facts) -> Vec<Finding> {
        let record = facts.making.record.as_ref();
        let is_item = |name: &str| {
            facts.sites.iter().any(|it| it.item.kind == ItemKind::Volume && it.item.name == name)
        };
        let networks = self.networks.iter().filter(|name| {
            !facts.making.networks.contains_key(*name) && record.and_then(|it| it.network(name)).is_none()
        });
        // One that is recorded is not made either: it would be empty, and its services would begin from nothing.
        let volumes =
            self.volumes.iter().filter(|name| !facts.making.volumes.contains_key(*name) && !is_item(name));
        let networks = networks.map(|name| ("network-missing", name));
        let volumes = volumes.map(|name| ("volume-missing", name));
        let all = networks.chain(volumes).map(|(key, name)| {
            let message = Message::new(key).text("name", name).text("project", project).text("path", path);
            Finding::new(Severity::Warning, message)
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::compose::read;
    use super::*;

    #[test]
    fn only_what_wanted_services_use_is_needed_whichever_file_declares_it() {
        let main = "services:\n  a: {image: x, networks: [proxy], volumes: [\"data:/d\", \"own:/o\"]}\n  \
                    b: {image: x, networks: [other]}\nvolumes: {own: {}}\n";
        let more = "services: {}\nnetworks:\n  proxy: {external: true, name: the-proxy}\n  other: {external: true}\n\
                    volumes: {data: {external: true}}\n";
        let external =
            External::of(&[read(main).unwrap(), read(more).unwrap()], "shop", &["a".to_owned()].into());
        assert_eq!(external.networks, ["the-proxy".to_owned()].into());
        assert_eq!(external.volumes, ["data".to_owned()].into());
    }

    #[test]
    fn the_default_network_is_used_by_who_names_none_and_unknown_names_are_not_guessed() {
        let file = "services: {a: {image: x}}\nnetworks:\n  default: {external: true, name: shared}\n  \
                    other: {external: true, name: \"${UNKNOWN}\"}\n";
        let external = External::of(&[read(file).unwrap()], "shop", &["a".to_owned()].into());
        assert_eq!(external.networks, ["shared".to_owned()].into());
    }
}
