//! Looking at what there is of containers, networks, volumes and images, here and in the backup.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reprise_host::{Host, NetworkSpec, ObjectKind, PortBinding, Protocol, VolumeSpec};
use reprise_model::{Choice, Contents, Destination};
use serde_json::Value;

use super::super::health::{self, Wellbeing};
use super::super::survey::{Facts, SurveyError};
use super::super::versions::{self, DataVersion};
use super::keeping::is_anonymous;
use super::project::{self, Project};
use super::record::{Record, name_of, spec_of_volume, text};
use crate::backup::Backup;

/// No record is larger, with the descriptions of hundreds of containers.
const RECORD_LIMIT: u64 = 32 << 20;

/// What may be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recreating {
    /// Whether containers, networks and volumes may be made at all.
    pub allowed: bool,
    /// Whether Compose may pull images that are missing.
    pub pull: bool,
}

impl Default for Recreating {
    fn default() -> Self {
        Self { allowed: true, pull: false }
    }
}

/// What is to be known to make things anew.
#[derive(Debug, Clone, Default)]
pub struct Making {
    /// What may be made.
    pub recreating: Recreating,
    /// The projects that are restored.
    pub projects: Vec<Project>,
    /// What the backup wrote down.
    pub record: Option<Record>,
    /// The networks there.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// The volumes there.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// Ids, names and digests of the images there, each with the image's id.
    pub images: BTreeMap<String, String>,
    /// How well containers are that will be started again.
    pub wellbeing: BTreeMap<String, Wellbeing>,
    /// Data of databases in the backup.
    pub versions: Vec<DataVersion>,
    /// When something was last changed at each target, in seconds since 1970; for as much of it as was looked at.
    pub newest: BTreeMap<PathBuf, i64>,
    /// Where something listens.
    pub listening: Vec<PortBinding>,
    /// The first and the last port of those that the kernel gives to who asks for any.
    pub given: Option<(u16, u16)>,
}

impl Making {
    /// Whether what listens on `port` may as well be somebody who asked something and waits for the answer: in UDP they look
    /// the same, and such a one is gone in a moment.
    pub(in super::super) fn may_be_passing(&self, port: &PortBinding) -> bool {
        let is_given = self.given.is_some_and(|(first, last)| (first..=last).contains(&port.port));
        port.protocol == Protocol::Udp && is_given
    }

    /// The image that the container `name` was made from, or will be.
    pub(in super::super) fn image_of(&self, name: &str) -> Option<&str> {
        let of_project = self.projects.iter().find_map(|project| project.images.get(name));
        let recorded = || {
            let mut containers = self.record.as_ref()?.containers.iter();
            containers.find(|it| name_of(it) == name).map(|it| text(it, "/Config/Image"))
        };
        of_project.map(String::as_str).or_else(recorded)
    }

    /// Where in the container `name`, which is to be made, something is mounted.
    pub(in super::super) fn mounts_of(&self, name: &str) -> Vec<&str> {
        let of_project = self.projects.iter().filter_map(|project| project.mounts.get(name)).flatten();
        let recorded = self.record.iter().flat_map(|record| &record.containers);
        let recorded =
            recorded.filter(|it| name_of(it) == name).filter_map(|it| it.get("Mounts")?.as_array());
        // Every container of an image that asks for a volume has one, which the engine has named.
        let is_named = |mount: &&Value| !is_anonymous(text(mount, "/Name"));
        let recorded = recorded.flatten().filter(is_named).map(|mount| text(mount, "/Destination"));
        of_project.map(String::as_str).chain(recorded).collect()
    }
}

/// Looks at what `facts` does not tell yet: for a restore in place, by an engine that answers.
pub fn look(
    host: &dyn Host,
    contents: &Contents,
    choice: &Choice,
    recreating: Recreating,
    facts: &Facts,
    backup: &dyn Backup,
) -> Result<Making, SurveyError> {
    if choice.destination != Destination::InPlace || !matches!(facts.engine, Some(Ok(_))) {
        return Ok(Making::default());
    }
    let mut making = Making { recreating, ..there(host, contents, facts, backup)? };
    for site in facts.sites.iter().filter(|site| site.item.compose_file.is_some()) {
        if let Some(project) = project::look(host, site, facts, &making, backup)? {
            making.projects.push(project);
        }
    }
    making.versions = versions::look(host, facts, &making, backup)?;
    Ok(making)
}

/// What is there, and what the backup wrote down.
fn there(
    host: &dyn Host,
    contents: &Contents,
    facts: &Facts,
    backup: &dyn Backup,
) -> Result<Making, SurveyError> {
    let docker = host.docker();
    let networks = docker.inspected(ObjectKind::Network)?;
    let volumes = docker.inspected(ObjectKind::Volume)?;
    let mut making = Making {
        record: record(contents, backup)?,
        networks: networks.iter().map(NetworkSpec::of).map(|spec| (spec.name.clone(), spec)).collect(),
        volumes: volumes.iter().map(spec_of_volume).map(|spec| (spec.name.clone(), spec)).collect(),
        images: images(&docker.inspected(ObjectKind::Image)?),
        wellbeing: health::look(host, &facts.containers, &facts.sites)?,
        listening: listening(host),
        given: given(host),
        ..Making::default()
    };
    for site in facts.sites.iter().filter(|site| site.present.is_some()) {
        if let Some(newest) = host.newest_change(&site.target)? {
            making.newest.insert(site.target.clone(), newest);
        }
    }
    Ok(making)
}

/// Where something listens; nothing where the kernel does not tell.
fn listening(host: &dyn Host) -> Vec<PortBinding> {
    let tables = [
        ("/proc/net/tcp", Protocol::Tcp),
        ("/proc/net/tcp6", Protocol::Tcp),
        ("/proc/net/udp", Protocol::Udp),
        ("/proc/net/udp6", Protocol::Udp),
    ];
    let read = |(table, protocol)| Some((host.read(Path::new(table), 16 << 20).ok()?, protocol));
    let tables = tables.into_iter().filter_map(read);
    tables.flat_map(|(table, protocol)| listeners(&String::from_utf8_lossy(&table), protocol)).collect()
}

/// See [`Making::given`] (`ip(7)`).
fn given(host: &dyn Host) -> Option<(u16, u16)> {
    let text = host.read(Path::new("/proc/sys/net/ipv4/ip_local_port_range"), 100).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some((first.parse().ok()?, last.trim().parse().ok()?))
}

/// Those of one of the kernel's tables (`proc_pid_net(5)`).
fn listeners(table: &str, protocol: Protocol) -> Vec<PortBinding> {
    // A socket that is bound to an address and connected to none is in the state of one that is closed, as there is no
    // listening in UDP (`TCP_LISTEN` and `TCP_CLOSE` in the kernel's net/tcp_states.h).
    let listens = if protocol == Protocol::Tcp { "0A" } else { "07" };
    let listener = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (address, port) = local.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok().filter(|_| state == listens)?;
        Some(PortBinding { address: address_of(address)?.to_string(), port, protocol })
    };
    table.lines().filter_map(listener).collect()
}

/// An address as the kernel writes it: words of 32 bits, the bytes in each in the order of the processor.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = hex
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect();
    let bytes = words?.concat();
    let v4 = <[u8; 4]>::try_from(bytes.as_slice()).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes.as_slice()).ok().map(IpAddr::from))
}

/// What the backup wrote down, if it did and that can be read; what cannot, the analysis has told.
fn record(contents: &Contents, backup: &dyn Backup) -> Result<Option<Record>, SurveyError> {
    let Some(path) = &contents.record else { return Ok(None) };
    let content = backup.read(&BTreeSet::from([path.clone()]), RECORD_LIMIT)?;
    let parsed = content.get(path).and_then(|content| serde_json::from_slice::<Record>(content).ok());
    Ok(parsed.map(|mut record| {
        path.clone_into(&mut record.path);
        record
    }))
}

/// An image's name as Docker tells it: of its own registry it says nothing, and a digest makes the tag needless.
pub(super) fn familiar(image: &str) -> Cow<'_, str> {
    let bare = image.strip_prefix("index.").unwrap_or(image);
    let bare = bare.strip_prefix("docker.io/").unwrap_or(bare);
    let bare = bare.strip_prefix("library/").unwrap_or(bare);
    match bare.split_once('@') {
        Some((name, digest)) => {
            // A colon after the last slash is a tag's; before it, a port's.
            let tag = name.rfind(':').filter(|colon| name.rfind('/').is_none_or(|slash| slash < *colon));
            format!("{}@{digest}", &name[..tag.unwrap_or(name.len())]).into()
        }
        None => bare.into(),
    }
}

fn images(all: &[Value]) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for image in all {
        let id = text(image, "/Id");
        let lists = ["RepoTags", "RepoDigests"].map(|key| image.get(key).and_then(Value::as_array));
        let names = lists.into_iter().flatten().flatten().filter_map(Value::as_str);
        for name in names.chain([id]) {
            known.insert(name.to_owned(), id.to_owned());
            if let Some(bare) = name.strip_suffix(":latest") {
                known.insert(bare.to_owned(), id.to_owned());
            }
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_read_from_the_kernels_tables() {
        let line =
            |local: &str, state: &str| format!("   0: {local} 00000000:0000 {state} 00000000:00000000\n");
        // As a processor has them that keeps the lowest byte first; on another, the words are the other way round.
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let mapped = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 255, 255], [192, 0, 2, 1]].map(word).concat();
        let table = [
            "  sl  local_address rem_address   st tx_queue rx_queue\n".to_owned(),
            line(&format!("{}:0035", word([127, 0, 0, 53])), "0A"),
            line(&format!("{}:1F90", word([127, 0, 0, 1])), "01"),
            line(&format!("{mapped}:01BB"), "0A"),
            line("00000000000000000000000000000000:1F91", "0A"),
        ];
        let at = PortBinding::tcp;
        let found = listeners(&table.concat(), Protocol::Tcp);
        assert_eq!(found, [at("127.0.0.53", 53), at("::ffff:192.0.2.1", 443), at("::", 8081)]);
        assert!(found[1].clashes(&at("192.0.2.1", 443)) && !found[1].clashes(&at("192.0.2.2", 443)));
        assert!(found[0].clashes(&at("", 53)) && found[2].clashes(&at("192.0.2.2", 8081)));
        assert!(!found[0].clashes(&at("192.0.2.1", 53)), "a resolver of its own is in nobody's way");
        let table = [
            line(&format!("{}:0035", word([127, 0, 0, 53])), "07"),
            line(&format!("{}:A000", word([192, 0, 2, 1])), "01"),
        ];
        let found = listeners(&table.concat(), Protocol::Udp);
        assert_eq!(found, [PortBinding { protocol: Protocol::Udp, ..at("127.0.0.53", 53) }]);
        assert!(!found[0].clashes(&at("", 53)), "TCP has its own ports");
    }

    #[test]
    fn images_are_known_by_the_name_that_docker_gives_them() {
        for (written, known) in [
            ("docker.io/library/redis:7", "redis:7"),
            ("index.docker.io/rv/img:1", "rv/img:1"),
            ("redis:7@sha256:1f", "redis@sha256:1f"),
            ("registry.example:5000/a/b@sha256:1f", "registry.example:5000/a/b@sha256:1f"),
            ("registry.example:5000/a/b:2", "registry.example:5000/a/b:2"),
        ] {
            assert_eq!(familiar(written), known);
        }
    }
}
