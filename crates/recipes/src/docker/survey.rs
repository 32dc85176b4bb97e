//! Looking at the host before a plan is made. Nothing here changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_engine::SourceError;
use reprise_host::{
    Command, Compose, Container, Engine, FileKind, HERE, Host, LocalHost, Space, Stat, Volume, both,
};
use reprise_model::{
    Adaptation, Choice, Destination, Item, ItemKind, Manner, Protect, Selection, Unobserved,
};

use super::files::Texts;
use super::order::{Dependencies, dependencies};
use super::recreate::Making;
use super::space::without_room;
use super::under::{Under, flagged, nested_subvolume, under};
use crate::backup::Backup;
use crate::borg::makes_archives;

/// Where one item goes, and what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The item.
    pub item: Item,
    /// Where it goes, no link on the way.
    pub target: PathBuf,
    /// What is there.
    pub present: Option<Stat>,
    /// For a volume in place that the engine knows: what it knows.
    pub volume: Option<Volume>,
    /// Directories above the target that are missing, topmost first.
    pub missing: Vec<PathBuf>,
    /// The nearest thing above the target that exists but is no directory.
    pub obstacle: Option<PathBuf>,
    /// A symbolic link on the way there that someone else than root, or who runs this, may lay anew.
    pub foreign_link: Option<PathBuf>,
    /// Mount points at or below the target.
    pub mounts: Vec<PathBuf>,
    /// What operations keep at its top, where it is a mount point.
    pub stores: Vec<PathBuf>,
    /// Where it is a mount point: whether others than who runs this may write at its top, containers among them.
    pub is_shared: bool,
    /// Where a tree is a file system of its own: what it takes to have nothing in it but what is restored.
    pub outside: Option<Outside>,
    /// A file with a flag (`chattr`) that would be in the way of how it is restored.
    pub flagged: Option<PathBuf>,
    /// A btrfs subvolume below it, if one would be in the way of how it is restored.
    pub nested: Option<PathBuf>,
    /// What lies under it, if that was asked for.
    pub under: Option<Under>,
    /// What is there, as backups count it, where there is no room for what comes beside it.
    pub tight: Option<Taken>,
    /// Room on the file system it goes to.
    pub space: Space,
}

impl Site {
    /// Whether a directory is there.
    pub(super) fn is_tree(&self) -> bool {
        self.present.as_ref().is_some_and(|present| present.kind == FileKind::Directory)
    }

    /// Whether that is a file system of its own.
    pub(super) fn is_mounted(&self) -> bool {
        self.mounts.contains(&self.target)
    }
}

/// What a tree takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Bytes.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// What it takes to keep a file system's tree outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Room beside where it is mounted.
    pub space: Space,
    /// What kind of file system that is on, as `stat` names it.
    pub kind: String,
    /// What kind of file system it is itself.
    pub own_kind: String,
    /// What is in it now.
    pub taken: Taken,
    /// A file with a flag (`chattr`) that a copy of it does not have.
    pub flagged: Option<PathBuf>,
    /// A running container that may write there by another path than the one where it is mounted.
    pub backdoor: Option<String>,
}

/// What is known of a host before a restore onto it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What the host is called.
    pub host: String,
    /// Its Docker engine, or why it does not answer. Not asked for an alternative location.
    pub engine: Option<Result<Engine, String>>,
    /// Compose there, where a project is restored in place.
    pub compose: Option<Compose>,
    /// Whether the `borg` of this machine can make an archive of what is there, or why not, if that was asked for.
    pub borg: Option<Result<(), String>>,
    /// Room for an archive of what is there, if that was asked for and the repository lies on this machine.
    pub archiving: Option<Archiving>,
    /// Whether extended attributes and access lists can be seen there.
    pub sees_attributes: bool,
    /// All containers there.
    pub containers: Vec<Container>,
    /// Which containers wait for which.
    pub dependencies: Dependencies,
    /// Where each chosen item goes.
    pub sites: Vec<Site>,
    /// What containers mount and the archive does not bring back.
    pub binds: Binds,
    /// What containers, networks and volumes may be made of.
    pub making: Making,
    /// Texts of the backup that adapting compose files needs.
    pub texts: Texts,
}

impl Facts {
    /// Whether the host is this machine, where content can be compared and borg reads files itself.
    pub(super) fn is_here(&self) -> bool {
        self.host == HERE
    }
}

/// Room for an archive of what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archiving {
    /// The directory of the repository, on this machine.
    pub directory: PathBuf,
    /// Room there.
    pub space: Space,
    /// What goes into it, in bytes; about.
    pub bytes: u64,
}

/// Paths of the host that running containers mount, each with the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binds {
    /// Below a target, but not in the archive: they will be missing after the restore.
    pub missing: Vec<(String, PathBuf)>,
    /// In the archive, but in no item: they stay as they are.
    pub left: Vec<(String, PathBuf)>,
}

/// A survey that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The host could not be looked at.
    #[error(transparent)]
    Host(#[from] reprise_host::Error),
    /// The backup could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Looks at `host` for a restore of `selection` as `choice` asks. `backup` gives the compose files that are
/// to be adapted.
pub fn survey(
    host: &dyn Host,
    selection: &Selection,
    choice: &Choice,
    backup: &dyn Backup,
) -> Result<Facts, SurveyError> {
    let in_place = choice.destination == Destination::InPlace;
    let has_project = in_place && selection.items.iter().any(|item| item.compose_file.is_some());
    // Compose takes long to say which it is.
    let (compose, engine) = both(
        || if has_project { host.docker().compose() } else { Ok(None) },
        || in_place.then(|| host.docker().engine()),
    );
    let engine = engine.map(|engine| {
        engine.map_err(|error| match error {
            // Whoever shows it says what this is about.
            reprise_host::Error::DockerUnreachable(reason) => reason,
            error => error.to_string(),
        })
    });
    // Where there is no engine, it is of no use.
    let compose = if matches!(engine, Some(Ok(_))) { compose? } else { None };
    let mut containers = match &engine {
        Some(Ok(_)) => host.containers()?,
        _ => Vec::new(),
    };
    // Those that an operation keeps for its rollback are nobody's.
    containers.retain(|it| !it.labels.contains_key(reprise_engine::KEPT_LABEL));
    let root = match &engine {
        Some(Ok(engine)) => engine.root.clone(),
        _ => PathBuf::from("/var/lib/docker"),
    };
    let mut sites = Vec::new();
    for item in &selection.items {
        let volume = match (item.kind, &engine) {
            (ItemKind::Volume, Some(Ok(_))) => host.docker().volume(&item.name)?,
            _ => None,
        };
        let target = match (&choice.destination, &volume) {
            (Destination::Directory(base), _) => below(base, item),
            // Docker mounts it at the volume's place only while a container uses it.
            (Destination::InPlace, Some(volume)) => match volume.bound_directory() {
                Some(directory) => host.canonical(directory)?,
                None => volume.mountpoint.clone(),
            },
            (Destination::InPlace, None) if item.kind == ItemKind::Volume => {
                root.join("volumes").join(&item.name).join("_data")
            }
            (Destination::InPlace, None) => Path::new("/").join(&item.path),
        };
        let mut site = look_at(host, item, &target, volume)?;
        if in_place && choice.protect == Protect::Snapshot && site.present.is_some() {
            site.under = Some(under(host, &site.target)?);
        }
        if in_place && site.is_tree() && site.is_mounted() {
            let names = host.list(&site.target)?.into_iter();
            let names = names.filter(|name| name.as_bytes().starts_with(b".reprise-"));
            site.stores = names.map(|name| site.target.join(name)).collect();
            site.is_shared = is_shared(host, &site, &containers)?;
            site.outside = Some(outside(host, &site, &containers)?);
        }
        sites.push(site);
    }
    let nothing_asked = choice.manner == Manner::Replace && choice.protect == Protect::Auto;
    if in_place && nothing_asked {
        for site in without_room(&mut sites) {
            // As backups count: holes are bytes.
            site.tight = Some(taken(host, &site.target, Some("--apparent-size"))?);
        }
    }
    for site in sites.iter_mut().filter(|site| in_place && site.is_tree()) {
        if !nothing_asked || site.is_mounted() || site.tight.is_some() {
            site.nested = nested_subvolume(host, &site.target)?;
            site.flagged = flagged(host, &site.target, choice.protect == Protect::Snapshot)?;
        }
    }
    let dependencies = dependencies(host, &containers);
    let texts = texts(selection, choice, backup)?;
    let binds = bind_sources(&containers, &sites, backup)?;
    let borg = choice.backup_before.then(|| makes_archives(host.name() != HERE));
    let directory = if in_place && choice.backup_before { backup.directory() } else { None };
    let archiving = directory.map(|directory| {
        let (space, bytes) = (LocalHost::new().space(&directory)?, bytes_there(&sites));
        Ok::<_, SurveyError>(Archiving { directory, space, bytes })
    });
    let archiving = archiving.transpose()?;
    let sees_attributes = host.sees_attributes()?;
    let (host, making) = (host.name().to_owned(), Making::default());
    Ok(Facts {
        host,
        engine,
        compose,
        borg,
        archiving,
        sees_attributes,
        containers,
        dependencies,
        sites,
        binds,
        making,
        texts,
    })
}

/// Bytes of what is there of `sites`: nobody counted it, and it will be about as much as comes.
pub(super) fn bytes_there(sites: &[Site]) -> u64 {
    sites.iter().filter(|site| site.present.is_some()).map(|site| site.item.bytes).sum()
}

/// Where `item` goes below an alternative location (DR-5).
fn below(base: &Path, item: &Item) -> PathBuf {
    match item.kind {
        ItemKind::Volume => base.join("volumes").join(&item.name),
        ItemKind::Project => base.join("compose").join(&item.name),
        ItemKind::Config => base.join("configs").join(&item.path),
    }
}

fn look_at(host: &dyn Host, item: &Item, target: &Path, volume: Option<Volume>) -> Result<Site, SurveyError> {
    let named = target;
    let target = host.canonical(named)?;
    let mut missing = Vec::new();
    let mut obstacle = None;
    for parent in target.ancestors().skip(1) {
        match host.stat(parent)? {
            None => missing.insert(0, parent.to_owned()),
            Some(stat) if stat.kind == FileKind::Directory => break,
            Some(_) => {
                obstacle = Some(parent.to_owned());
                break;
            }
        }
    }
    let mut mounts = host.mounts_within(&target)?;
    let device = |path: &Path| Ok::<_, reprise_host::Error>(host.stat(path)?.map(|stat| stat.device));
    // A btrfs subvolume is a file system of its own, whether it is mounted by itself or not.
    if let (Some(own), Some(parent)) = (device(&target)?, target.parent())
        && device(parent)? != Some(own)
        && !mounts.contains(&target)
    {
        mounts.push(target.clone());
    }
    // Beside the target, not in it, where that is not a file system of its own: there the restored tree is put together.
    let inside = mounts.contains(&target);
    let space = host.space(target.parent().filter(|_| !inside).unwrap_or(&target))?;
    Ok(Site {
        item: item.clone(),
        present: host.stat(&target)?,
        foreign_link: foreign_link(host, named)?,
        mounts,
        stores: Vec::new(),
        is_shared: false,
        outside: None,
        flagged: None,
        nested: None,
        under: None,
        tight: None,
        space,
        target,
        volume,
        missing,
        obstacle,
    })
}

/// Whether others may write at the top of what is restored: what was kept there would be theirs to change.
fn is_shared(host: &dyn Host, site: &Site, containers: &[Container]) -> Result<bool, SurveyError> {
    let had = host.attributes(&site.target)?;
    // A volume is for containers, whichever comes.
    if site.item.kind == ItemKind::Volume || had.uid != host.user() || had.mode & 0o022 != 0 {
        return Ok(true);
    }
    let mut mounts = containers.iter().flat_map(|container| &container.mounts).filter(|mount| mount.writable);
    Ok(mounts.any(|mount| mount.holds(&site.target)) || backdoor(host, site, containers.iter())?.is_some())
}

/// The one of `containers` that may write to all of the file system that is mounted at `site` by another path. One that sees no
/// more than a part of it is at a path below.
fn backdoor<'c>(
    host: &dyn Host,
    site: &Site,
    containers: impl Iterator<Item = &'c Container>,
) -> Result<Option<String>, SurveyError> {
    let own = site.present.as_ref().map(|present| present.device);
    for container in containers {
        for mount in container.mounts.iter().filter(|mount| mount.writable) {
            let by_path = mount.source.starts_with(&site.target) || mount.holds(&site.target);
            if !by_path && host.stat(&mount.source)?.map(|stat| stat.device) == own {
                return Ok(Some(container.name.clone()));
            }
        }
    }
    Ok(None)
}

/// What the tree at `path` takes; what is mounted below it is none of it.
/// `how`: an option of `du` that says what is counted, if not what is on the disk.
fn taken(host: &dyn Host, path: &Path, how: Option<&str>) -> Result<Taken, SurveyError> {
    // What goes while it is counted is no reason to stop.
    let script = r#"du -sxB1 ${2:+"$2"} -- "$1" 2>/dev/null | head -n 1 | cut -f 1; du -sx --inodes -- "$1" 2>/dev/null | head -n 1 | cut -f 1"#;
    let ask = Command::new("sh").args(["-c", script, "sh"]).limit(Duration::from_hours(1));
    let ask = ask.arg(path.to_string_lossy().into_owned()).args(how);
    let answer = String::from_utf8_lossy(&host.ask(&ask)?.stdout).into_owned();
    let numbers: Vec<u64> = answer.lines().filter_map(|line| line.parse().ok()).collect();
    let [bytes, entries] = numbers[..] else {
        let reason = "it does not tell how much is there".to_owned();
        return Err(reprise_host::Error::Answer { command: ask.to_string(), reason }.into());
    };
    Ok(Taken { bytes, entries })
}

fn outside(host: &dyn Host, site: &Site, containers: &[Container]) -> Result<Outside, SurveyError> {
    let beside = site.target.parent().unwrap_or(&site.target);
    let ask = Command::new("stat").args(["-f", "-c", "%T", "--"]);
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let ask = ask.args([path(beside), path(&site.target)]);
    let answer = String::from_utf8_lossy(&host.ask(&ask)?.stdout).into_owned();
    let Some((kind, own_kind)) = answer.trim_end().split_once('\n') else {
        let reason = "it does not tell what kind of file system is there".to_owned();
        return Err(reprise_host::Error::Answer { command: ask.to_string(), reason }.into());
    };
    Ok(Outside {
        space: host.space(beside)?,
        kind: kind.to_owned(),
        own_kind: own_kind.to_owned(),
        taken: taken(host, &site.target, None)?,
        flagged: flagged(host, &site.target, true)?,
        // While the tree is copied and filled; one that is down does nothing meanwhile.
        backdoor: backdoor(host, site, containers.iter().filter(|container| container.running))?,
    })
}

impl Outside {
    /// Whether what lies beside is gone after a reboot.
    pub(super) fn is_in_memory(&self) -> bool {
        ["tmpfs", "ramfs"].contains(&self.kind.as_str())
    }

    /// Whether removing a file gives its room back: not where something else may have a snapshot of it.
    pub(super) fn frees(&self) -> bool {
        ["ext2/ext3", "xfs"].contains(&self.own_kind.as_str())
    }
}

/// The first symbolic link on the way to `path` that belongs to neither root nor the owner of this process:
/// who owns it decides where it leads, and would decide where a restore by root goes.
fn foreign_link(host: &dyn Host, path: &Path) -> Result<Option<PathBuf>, SurveyError> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    for step in way {
        let Some(stat) = host.stat(step)? else { break };
        if stat.kind == FileKind::Symlink && stat.owner != 0 && stat.owner != host.user() {
            return Ok(Some(step.to_owned()));
        }
    }
    Ok(None)
}

/// Which of the paths that running containers mount below a target the archive holds, and which of those
/// they mount elsewhere: what is not in the archive will be missing, what is no item stays as it is.
fn bind_sources(containers: &[Container], sites: &[Site], backup: &dyn Backup) -> Result<Binds, SourceError> {
    let mut wanted: BTreeMap<Vec<u8>, (String, PathBuf, bool)> = BTreeMap::new();
    let uses_a_site = |container: &&Container| sites.iter().any(|site| container.mounts_within(&site.target));
    for container in containers.iter().filter(|container| container.running).filter(uses_a_site) {
        for mount in container.mounts.iter().filter(|mount| mount.volume.is_none()) {
            let below = sites.iter().find_map(|site| {
                let rest = mount.source.strip_prefix(&site.target).ok()?;
                (!rest.as_os_str().is_empty()).then(|| Path::new(&site.item.path).join(rest))
            });
            let at_site = sites.iter().any(|site| mount.source == site.target);
            let inside = below.is_some();
            if at_site {
                continue;
            }
            let path =
                below.or_else(|| mount.source.strip_prefix("/").ok().map(Path::to_owned)).unwrap_or_default();
            wanted.insert(
                path.into_os_string().into_vec(),
                (container.name.clone(), mount.source.clone(), inside),
            );
        }
    }
    let mut held = BTreeSet::new();
    if !wanted.is_empty() {
        backup.each_entry(
            &mut |entry| {
                if wanted.contains_key(entry.path) {
                    held.insert(entry.path.to_vec());
                }
            },
            &Unobserved,
        )?;
    }
    let mut binds = Binds::default();
    for (path, (container, source, inside)) in wanted {
        match (inside, held.contains(&path)) {
            (true, false) => binds.missing.push((container, source)),
            (false, true) => binds.left.push((container, source)),
            _ => {}
        }
    }
    Ok(binds)
}

fn texts(selection: &Selection, choice: &Choice, backup: &dyn Backup) -> Result<Texts, SourceError> {
    let elsewhere = matches!(choice.destination, Destination::Directory(_));
    if !elsewhere || choice.adaptation == Adaptation::None {
        return Ok(Texts::default());
    }
    let files = selection.items.iter();
    let projects: Vec<(&str, &str)> =
        files.filter_map(|item| Some((item.path.as_str(), item.compose_file.as_deref()?))).collect();
    Texts::read(&projects, backup)
}
