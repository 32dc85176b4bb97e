//! From the text of a compose file to [`ComposeFile`].
//!
//! Tolerant where Compose is strict: unknown keys and values of the wrong kind are passed over, because the
//! file may be older or newer than any schema known here and most of it does not matter to a restore. Text
//! that is not YAML, and sections that are not mappings, are errors.

use indexmap::IndexMap;

use super::dotenv::Variables;
use super::error::ComposeError;
use super::interpolate::{Interpolated, interpolate};
use super::mount::{ShortMount, source_kind};
use super::port;
use super::types::{
    ComposeFile, Condition, Dependency, EnvFile, Extends, FileFormat, FileResource, Mount, MountKind,
    Network, Port, Service, Volume,
};
use super::yaml::{NodeId, Tree};

/// Reads a compose file without knowing any variables: those with defaults take them, others stay unresolved.
pub fn read(text: &str) -> Result<ComposeFile, ComposeError> {
    read_with(text, &Variables::default())
}

/// Reads a compose file with the variables of its `.env`.
pub fn read_with(text: &str, variables: &Variables) -> Result<ComposeFile, ComposeError> {
    let tree = Tree::parse(text)?;
    read_tree(&tree, variables)
}

/// Reads a parsed compose file.
pub(super) fn read_tree(tree: &Tree, variables: &Variables) -> Result<ComposeFile, ComposeError> {
    let reader = Reader { tree, variables };
    if tree.is_null(tree.root) {
        return Err(ComposeError::Empty);
    }
    if !tree.is_mapping(tree.root) {
        return Err(not_a_mapping(tree, "the file", tree.root));
    }
    let format = file_format(tree);
    let mut file = ComposeFile { format, ..ComposeFile::default() };
    file.services = sections(tree, "services")?
        .into_iter()
        .map(|(name, id)| (name.to_owned(), reader.service(name, id)))
        .collect();
    if format == FileFormat::Legacy {
        return Ok(file);
    }
    let owned = |(name, id): (&str, NodeId)| (name.to_owned(), id);
    file.name = reader.text_field(tree.root, "name");
    for (name, id) in sections(tree, "volumes")?.into_iter().map(owned) {
        file.volumes.insert(name, reader.volume(id));
    }
    for (name, id) in sections(tree, "networks")?.into_iter().map(owned) {
        file.networks.insert(name, reader.network(id));
    }
    for (name, id) in sections(tree, "configs")?.into_iter().map(owned) {
        file.configs.insert(name, reader.file_resource(id));
    }
    for (name, id) in sections(tree, "secrets")?.into_iter().map(owned) {
        file.secrets.insert(name, reader.file_resource(id));
    }
    if let Some(includes) = tree.field(tree.root, "include") {
        for &include in tree.items(includes) {
            match tree.field(include, "path") {
                Some(paths) => file.includes.extend(reader.text_or_list(paths)),
                None => file.includes.extend(reader.text(include)),
            }
        }
    }
    Ok(file)
}

/// The definitions of a section by name. In the legacy format all of the file is `services`.
pub(super) fn sections<'t>(tree: &'t Tree, name: &str) -> Result<Vec<(&'t str, NodeId)>, ComposeError> {
    let section = if file_format(tree) == FileFormat::Legacy {
        if name != "services" {
            return Ok(Vec::new());
        }
        tree.root
    } else {
        match tree.field(tree.root, name) {
            Some(section) if !tree.is_null(section) => section,
            _ => return Ok(Vec::new()),
        }
    };
    if !tree.is_mapping(section) {
        return Err(not_a_mapping(tree, name, section));
    }
    Ok(tree.entries(section).into_iter().map(|entry| (entry.key, entry.value)).collect())
}

fn not_a_mapping(tree: &Tree, what: &str, id: NodeId) -> ComposeError {
    ComposeError::NotAMapping { what: what.to_owned(), line: tree.nodes[id].line }
}

/// Without any section, and with a definition that looks like a service, it is the legacy format.
fn file_format(tree: &Tree) -> FileFormat {
    const SECTIONS: [&str; 7] = ["services", "version", "include", "networks", "configs", "secrets", "name"];
    let entries = tree.entries(tree.root);
    let is_service = |id| tree.field(id, "image").is_some() || tree.field(id, "build").is_some();
    if entries.iter().all(|entry| !SECTIONS.contains(&entry.key) && tree.is_mapping(entry.value))
        && entries.iter().any(|entry| is_service(entry.value))
    {
        FileFormat::Legacy
    } else {
        FileFormat::Spec
    }
}

/// Whether a YAML scalar means yes, by the rules of YAML 1.1 that Compose still follows.
fn truth(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "y" | "on" | "1")
}

struct Reader<'a> {
    tree: &'a Tree,
    variables: &'a Variables,
}

impl Reader<'_> {
    fn service(&self, name: &str, id: NodeId) -> Service {
        let tree = self.tree;
        let mut service = Service { name: name.to_owned(), ..Service::default() };
        for entry in tree.entries(id) {
            let value = entry.value;
            match entry.key {
                "image" => service.image = self.text(value),
                "build" => {
                    service.build_context = self.text(value).or_else(|| self.text_field(value, "context"));
                }
                "scale" => service.replicas = self.text(value),
                "deploy" => {
                    service.replicas = service.replicas.or_else(|| self.text_field(value, "replicas"));
                }
                "container_name" => service.container_name = self.text(value),
                "depends_on" => service.depends_on = self.dependencies(value),
                "links" => service.links = self.heads(value),
                "volumes_from" => service.volumes_from = self.volumes_from(value),
                "network_mode" | "net" => {
                    service.network_mode = self.text(value);
                    service.joins.extend(self.joined(value));
                }
                "ipc" | "pid" | "uts" | "cgroup" => service.joins.extend(self.joined(value)),
                "volumes" => {
                    service.volumes = tree.items(value).iter().filter_map(|&item| self.mount(item)).collect();
                }
                "env_file" => service.env_files = self.env_files(value),
                "ports" => {
                    service.ports = tree.items(value).iter().filter_map(|&item| self.port(item)).collect();
                }
                "healthcheck" => service.has_healthcheck = self.has_healthcheck(value),
                "profiles" => service.profiles = self.texts(value).iter().map(ToString::to_string).collect(),
                "networks" => service.networks = self.names(value),
                "extends" => service.extends = self.extends(value),
                _ => {}
            }
        }
        service
    }

    fn text(&self, id: NodeId) -> Option<Interpolated> {
        self.tree.scalar(id).map(|text| interpolate(text, self.variables))
    }

    fn text_field(&self, id: NodeId, key: &str) -> Option<Interpolated> {
        self.tree.field(id, key).and_then(|value| self.text(value))
    }

    fn flag_field(&self, id: NodeId, key: &str) -> Option<bool> {
        self.text_field(id, key).map(|text| truth(text.text()))
    }

    fn texts(&self, id: NodeId) -> Vec<Interpolated> {
        self.tree.items(id).iter().filter_map(|&item| self.text(item)).collect()
    }

    fn text_or_list(&self, id: NodeId) -> Vec<Interpolated> {
        self.text(id).map_or_else(|| self.texts(id), |text| vec![text])
    }

    /// The items of a list, or the keys of a mapping.
    fn names(&self, id: NodeId) -> Vec<String> {
        if self.tree.is_mapping(id) {
            self.tree.entries(id).into_iter().map(|entry| entry.key.to_owned()).collect()
        } else {
            self.texts(id).iter().map(ToString::to_string).collect()
        }
    }

    /// What stands before the first colon of each item.
    fn heads(&self, id: NodeId) -> Vec<String> {
        let head = |text: &Interpolated| text.text().split(':').next().unwrap_or_default().to_owned();
        self.texts(id).iter().map(head).filter(|head| !head.is_empty()).collect()
    }

    fn volumes_from(&self, id: NodeId) -> Vec<String> {
        self.texts(id)
            .iter()
            .filter(|text| !text.text().starts_with("container:"))
            .filter_map(|text| text.text().split(':').next().filter(|name| !name.is_empty()))
            .map(str::to_owned)
            .collect()
    }

    fn joined(&self, id: NodeId) -> Option<String> {
        self.text(id)?.text().strip_prefix("service:").map(str::to_owned)
    }

    fn dependencies(&self, id: NodeId) -> Vec<Dependency> {
        if !self.tree.is_mapping(id) {
            let plain = |service| Dependency { service, condition: Condition::default(), required: true };
            return self.names(id).into_iter().map(plain).collect();
        }
        let entries = self.tree.entries(id);
        entries
            .into_iter()
            .map(|entry| Dependency {
                service: entry.key.to_owned(),
                condition: self
                    .text_field(entry.value, "condition")
                    .map_or_else(Condition::default, |word| Condition::parse(word.text())),
                required: self.flag_field(entry.value, "required").unwrap_or(true),
            })
            .collect()
    }

    fn has_healthcheck(&self, id: NodeId) -> bool {
        let Some(test) = self.tree.field(id, "test") else { return false };
        if self.flag_field(id, "disable") == Some(true) {
            return false;
        }
        let words = self.text_or_list(test);
        words.first().is_some_and(|word| word.text() != "NONE")
    }

    fn extends(&self, id: NodeId) -> Option<Extends> {
        if let Some(service) = self.text(id) {
            return Some(Extends { service, file: None });
        }
        Some(Extends { service: self.text_field(id, "service")?, file: self.text_field(id, "file") })
    }

    fn env_files(&self, id: NodeId) -> Vec<EnvFile> {
        let always = |path| EnvFile { path, required: true };
        if let Some(path) = self.text(id) {
            return vec![always(path)];
        }
        let one = |&item: &NodeId| {
            self.text(item).map(always).or_else(|| {
                let required = self.flag_field(item, "required").unwrap_or(true);
                self.text_field(item, "path").map(|path| EnvFile { path, required })
            })
        };
        self.tree.items(id).iter().filter_map(one).collect()
    }

    fn mount(&self, id: NodeId) -> Option<Mount> {
        let line = self.tree.nodes[id].line;
        if let Some(raw) = self.tree.scalar(id) {
            let short = ShortMount::parse(raw, self.variables)?;
            let (kind, read_only) = (short.kind(), short.read_only());
            return Some(Mount {
                kind,
                source: short.source,
                target: short.target,
                read_only,
                subpath: None,
                line,
            });
        }
        let source = self.text_field(id, "source").or_else(|| self.text_field(id, "src"));
        let kind = self.text_field(id, "type");
        Some(Mount {
            kind: match kind.as_ref().map(Interpolated::text) {
                Some("bind") => MountKind::Bind,
                Some("volume") => MountKind::Volume,
                Some("tmpfs") => MountKind::Tmpfs,
                Some(_) => MountKind::Other,
                None => source.as_ref().map_or(MountKind::Volume, source_kind),
            },
            source,
            target: self.text_field(id, "target")?,
            read_only: self.flag_field(id, "read_only").unwrap_or(false),
            subpath: self.tree.field(id, "volume").and_then(|options| self.text_field(options, "subpath")),
            line,
        })
    }

    fn port(&self, id: NodeId) -> Option<Port> {
        if let Some(raw) = self.tree.scalar(id) {
            return port::parse_short(raw, self.variables);
        }
        Some(Port {
            host_ip: self.text_field(id, "host_ip"),
            published: self.text_field(id, "published"),
            target: self.text_field(id, "target")?,
            protocol: self.text_field(id, "protocol").map(|protocol| protocol.to_string()),
        })
    }

    /// `labels` and the like: a mapping, or a list of `key=value`.
    fn map_field(&self, id: NodeId, key: &str) -> IndexMap<String, Interpolated> {
        let Some(map) = self.tree.field(id, key) else { return IndexMap::new() };
        let blank = || Interpolated::literal("");
        if self.tree.is_mapping(map) {
            let entries = self.tree.entries(map);
            return entries
                .into_iter()
                .map(|entry| (entry.key.to_owned(), self.text(entry.value).unwrap_or_else(blank)))
                .collect();
        }
        let items = self.tree.items(map).iter().filter_map(|&item| self.tree.scalar(item));
        items
            .map(|item| {
                let (key, value) = item.split_once('=').unwrap_or((item, ""));
                (key.to_owned(), interpolate(value, self.variables))
            })
            .collect()
    }

    /// `external: true`, or the old `external: {name: …}`.
    fn external(&self, id: NodeId) -> (bool, Option<Interpolated>) {
        match self.tree.field(id, "external") {
            Some(value) if self.tree.is_mapping(value) => (true, self.text_field(value, "name")),
            Some(value) => (self.text(value).is_some_and(|text| truth(text.text())), None),
            None => (false, None),
        }
    }

    fn volume(&self, id: NodeId) -> Volume {
        let (external, external_name) = self.external(id);
        Volume {
            driver: self.text_field(id, "driver"),
            driver_opts: self.map_field(id, "driver_opts"),
            labels: self.map_field(id, "labels"),
            external,
            name: self.text_field(id, "name").or(external_name),
        }
    }

    fn network(&self, id: NodeId) -> Network {
        let (external, external_name) = self.external(id);
        let pools = self.tree.field(id, "ipam").and_then(|ipam| self.tree.field(ipam, "config"));
        let pools = pools.map(|config| self.tree.items(config)).unwrap_or_default();
        Network {
            driver: self.text_field(id, "driver"),
            driver_opts: self.map_field(id, "driver_opts"),
            labels: self.map_field(id, "labels"),
            external,
            name: self.text_field(id, "name").or(external_name),
            subnets: pools.iter().filter_map(|&pool| self.text_field(pool, "subnet")).collect(),
        }
    }

    fn file_resource(&self, id: NodeId) -> FileResource {
        let (external, external_name) = self.external(id);
        FileResource {
            file: self.text_field(id, "file"),
            environment: self.text_field(id, "environment").map(|name| name.to_string()),
            external,
            name: self.text_field(id, "name").or(external_name),
        }
    }
}
