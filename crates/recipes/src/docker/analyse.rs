//! What an archive holds, in Docker's words (DR-3, DR-9).

use std::collections::{BTreeMap, BTreeSet};

use reprise_engine::SourceError;
use reprise_model::{Contents, Finding, Item, ItemKind, Message, Observer, Origin, Severity};

use super::compose::{ComposeFile, project_name, project_volumes, read_with};
use super::files::Texts;
use super::layout::{ENGINE_CONFIG, RECORD_FILE, compose_rank, is_plain, volume_name, within};
use super::recorded::{self, RecordedItem};
use crate::backup::{Backup, Entry, EntryKind};

/// Nor is a record, with the descriptions of hundreds of containers.
const RECORD_LIMIT: u64 = 32 << 20;

/// Looks through `backup`, the archive called `archive`, and tells what it holds: what the backup recorded
/// of itself, else what its paths tell.
pub fn analyse(archive: &str, backup: &dyn Backup, observer: &dyn Observer) -> Result<Contents, SourceError> {
    let mut tree = Census::default();
    backup.each_entry(&mut |entry| tree.count(&entry), observer)?;
    let mut findings = Vec::new();
    let recorded = tree.recorded(backup, &mut findings)?;
    let origin = if recorded.is_some() { Origin::Recorded } else { Origin::Paths };
    let (found, record) = match recorded {
        Some((items, path)) => (items, Some(path)),
        None => (tree.found(backup, &mut findings)?, None),
    };
    let mut items: Vec<Item> = found.into_iter().filter_map(|item| tree.item(item, &mut findings)).collect();
    items.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(Contents {
        archive: archive.to_owned(),
        origin,
        record,
        items,
        bytes: tree.total.bytes,
        entries: tree.total.entries,
        findings,
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    bytes: u64,
    entries: u64,
    /// The archive holds the directory itself, not only what is in it.
    itself: bool,
}

/// One pass over the archive: sizes by directory, and the places that mean something.
#[derive(Default)]
struct Census {
    total: Tally,
    /// What lies directly in each directory, itself included. Paths are bytes: only some are text.
    directories: BTreeMap<Vec<u8>, Tally>,
    volumes: BTreeSet<String>,
    /// Directories with the compose file that Compose would take there.
    projects: BTreeMap<String, String>,
    records: BTreeSet<String>,
    /// Further names of files.
    links: Vec<Link>,
}

/// A further name of a file.
struct Link {
    path: Vec<u8>,
    first: Vec<u8>,
    bytes: u64,
}

impl Census {
    fn count(&mut self, entry: &Entry<'_>) {
        let parent = match entry.path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => &entry.path[..slash],
            None => b"",
        };
        let home = if entry.kind == EntryKind::Directory { entry.path } else { parent };
        if !self.directories.contains_key(home) {
            self.directories.insert(home.to_vec(), Tally::default());
        }
        if entry.kind == EntryKind::Directory
            && let Some(tally) = self.directories.get_mut(home)
        {
            tally.itself = true;
        }
        if let Some(first) = entry.first {
            let (path, first) = (entry.path.to_vec(), first.to_vec());
            self.links.push(Link { path, first, bytes: entry.bytes });
        }
        for tally in self.directories.get_mut(home).into_iter().chain([&mut self.total]) {
            tally.bytes += if entry.first.is_some() { 0 } else { entry.bytes };
            tally.entries += 1;
        }
        // What is no plain path can be no item: nothing is ever planned for it.
        let Some(path) = std::str::from_utf8(entry.path).ok().filter(|path| is_plain(path)) else { return };
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match entry.kind {
            EntryKind::Directory if volume_name(path).is_some() => {
                self.volumes.insert(path.to_owned());
            }
            EntryKind::File if name == RECORD_FILE => {
                self.records.insert(path.to_owned());
            }
            // A project at the top of the archive has no directory that could be told.
            EntryKind::File if !parent.is_empty() => {
                if let Some(rank) = compose_rank(name) {
                    let better = |known: &String| compose_rank(known).is_none_or(|known| rank < known);
                    if self.projects.get(parent).is_none_or(better) {
                        self.projects.insert(parent.to_owned(), name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }

    /// The tally of everything at or below `path`.
    fn sum(&self, path: &str) -> Tally {
        let mut inside = path.as_bytes().to_vec();
        inside.push(b'/');
        let below = self.directories.range(inside.clone()..).take_while(|(dir, _)| dir.starts_with(&inside));
        let itself = self.directories.get(path.as_bytes());
        below.map(|(_, tally)| tally).chain(itself).fold(Tally::default(), |sum, tally| Tally {
            bytes: sum.bytes + tally.bytes,
            entries: sum.entries + tally.entries,
            itself: itself.is_some_and(|tally| tally.itself),
        })
    }

    /// Bytes of files that have names at or below `path`, but not their first: restored by itself, it holds them, too.
    fn linked_from_outside(&self, path: &str) -> u64 {
        let inside = |name: &[u8]| {
            name.strip_prefix(path.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let links = self.links.iter().filter(|link| inside(&link.path) && !inside(&link.first));
        let files: BTreeMap<&[u8], u64> = links.map(|link| (link.first.as_slice(), link.bytes)).collect();
        files.values().sum()
    }

    /// What the backup recorded, if it did and that can be used.
    fn recorded(
        &self,
        backup: &dyn Backup,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<(Vec<RecordedItem>, String)>, SourceError> {
        // What lies in a volume or a project, containers may have written: a record there speaks for nobody.
        let trusted = |path: &&String| {
            !self.in_volume(path, |_| true) && !self.projects.keys().any(|project| within(path, project))
        };
        let Some(path) = self.records.iter().filter(trusted).min_by_key(|path| path.matches('/').count())
        else {
            return Ok(None);
        };
        let content = backup.read(&BTreeSet::from([path.clone()]), RECORD_LIMIT)?;
        let parsed =
            content.get(path).map_or(Err("it is too large".to_owned()), |text| recorded::parse(text));
        Ok(match parsed {
            Ok(items) => Some((items, path.clone())),
            Err(reason) => {
                let message = Message::new("record-unusable").text("path", path).text("reason", reason);
                findings.push(Finding::new(Severity::Warning, message));
                None
            }
        })
    }

    /// What the paths tell.
    fn found(
        &self,
        backup: &dyn Backup,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<RecordedItem>, SourceError> {
        let mut outermost: Vec<&String> =
            self.volumes.iter().filter(|path| !self.in_volume(path, |outer| outer != *path)).collect();
        // An old copy of the engine's directory must not pass for the engine's own.
        outermost
            .sort_by_key(|path| (!path.starts_with("var/lib/docker/volumes/"), path.matches('/').count()));
        let projects: Vec<(&String, &String)> =
            self.projects.iter().filter(|(dir, _)| !self.in_volume(dir, |_| true)).collect();
        let found: Vec<(&str, &str)> =
            projects.iter().map(|(dir, file)| (dir.as_str(), file.as_str())).collect();
        let texts = Texts::read(&found, backup)?;

        let mut items = Vec::new();
        let mut owners: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (dir, file) in projects {
            let dot_env = texts.get(dir, ".env");
            let variables = texts.variables(dir);
            let compose = match texts.get(dir, file).map(|text| read_with(text, &variables)) {
                Some(Ok(compose)) => compose,
                Some(Err(error)) => {
                    let message = Message::new("compose-unreadable").text("path", format!("/{dir}/{file}"));
                    findings.push(Finding::new(Severity::Warning, message.text("reason", error)));
                    ComposeFile::default()
                }
                None => ComposeFile::default(),
            };
            let name = unique(project_name(&format!("/{dir}"), &compose, dot_env), dir, &items);
            let further = texts.files(dir, file).into_iter().filter(|further| further.name != *file);
            let further = further.filter_map(|further| texts.parsed(dir, &further.name, &variables));
            for compose in std::iter::once(compose).chain(further) {
                for volume in project_volumes(&compose, &name) {
                    if let Some(real) = volume.real_name.known() {
                        owners.entry(real.to_owned()).or_insert((name.clone(), volume.key.clone()));
                    }
                }
            }
            items.push(RecordedItem {
                compose_file: Some(file.clone()),
                ..RecordedItem::new(ItemKind::Project, &name, dir)
            });
        }
        let mut seen = BTreeSet::new();
        for path in outermost {
            let name = volume_name(path).unwrap_or_default().to_owned();
            if !seen.insert(name.clone()) {
                let message =
                    Message::new("volume-twice").text("volume", &name).text("path", format!("/{path}"));
                findings.push(Finding::new(Severity::Warning, message));
                continue;
            }
            let owner = owners.remove(&name);
            let (project, volume_key) =
                owner.map_or((None, None), |(project, key)| (Some(project), Some(key)));
            items.push(RecordedItem {
                project,
                volume_key,
                ..RecordedItem::new(ItemKind::Volume, &name, path)
            });
        }
        if self.directories.contains_key(ENGINE_CONFIG.as_bytes()) {
            items.push(RecordedItem::new(ItemKind::Config, "docker", ENGINE_CONFIG));
        }
        Ok(items)
    }

    /// Whether `path` is data of a volume: what a container keeps there is its own affair.
    fn in_volume(&self, path: &str, counts: impl Fn(&String) -> bool) -> bool {
        self.volumes.iter().any(|volume| counts(volume) && within(path, volume))
    }

    fn item(&self, recorded: RecordedItem, findings: &mut Vec<Finding>) -> Option<Item> {
        let Tally { bytes, entries, itself } = self.sum(&recorded.path);
        let bytes = bytes + self.linked_from_outside(&recorded.path);
        let RecordedItem { kind, name, path, compose_file, project, volume_key } = recorded;
        if entries > 0 && !itself {
            let message = Message::new("directory-not-archived").text("path", format!("/{path}"));
            findings.push(Finding::new(Severity::Warning, message));
            return None;
        }
        if entries == 0 {
            let message = Message::new("recorded-item-missing").text("item", format!("{kind}:{name}"));
            findings.push(Finding::new(Severity::Warning, message.text("path", format!("/{path}"))));
            return None;
        }
        Some(Item { kind, name, path, bytes, entries, compose_file, project, volume_key })
    }
}

/// `name`, or one that no project of `items` has yet.
fn unique(name: String, dir: &str, items: &[RecordedItem]) -> String {
    let taken = |name: &str| items.iter().any(|item| item.name == name);
    if !name.is_empty() && !taken(&name) {
        return name;
    }
    let by_path = dir.replace('/', "-");
    if taken(&by_path) { format!("{by_path}-{}", items.len()) } else { by_path }
}
