//! A host as it would be after changes that are never made.
//!
//! Dry runs drive the very steps of a plan against it: what a step looks at comes from the real host
//! until something before it pretended to change that. Only names move; no content is ever held.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::docker::{
    Blueprint, Compose, ComposeProject, Container, Docker, Endpoint, Engine, Health, NetworkSpec, ObjectKind,
    Volume, VolumeSpec,
};
use crate::{
    Attributes, Claim, Claimed, Command, Disk, Error, FileKind, Files, Found, Host, Inode, Move, Output,
    Result, Space, Stat, Tree,
};

/// A host with pretended changes on top of `base`.
pub struct OverlayHost<'a> {
    base: &'a dyn Host,
    /// Asked for once, as every step looks at all of them.
    containers: OnceLock<Vec<Container>>,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    /// Where each changed path now leads. The longest prefix of a path decides.
    paths: BTreeMap<PathBuf, Leads>,
    /// Containers whose running state was changed, by name.
    running: BTreeMap<String, bool>,
    /// Containers made or removed, by name.
    containers: BTreeMap<String, Option<Container>>,
    /// Volumes made (with their pretended mount point) or removed.
    volumes: BTreeMap<String, Option<Volume>>,
    /// Networks made or removed.
    networks: BTreeMap<String, bool>,
    /// Inodes handed out, downwards from the top: real ones start at the bottom.
    inodes: u64,
}

#[derive(Clone)]
enum Leads {
    /// To a path of the base host.
    Base(PathBuf),
    /// To something new.
    New(Inode),
    /// To nothing.
    Nowhere,
}

impl<'a> OverlayHost<'a> {
    /// `base`, yet without changes.
    pub fn new(base: &'a dyn Host) -> Self {
        Self { base, containers: OnceLock::new(), changes: Mutex::default() }
    }

    /// The containers of the base host.
    fn real_containers(&self) -> Result<&[Container]> {
        if let Some(found) = self.containers.get() {
            return Ok(found);
        }
        let found = self.base.docker().containers()?;
        Ok(self.containers.get_or_init(|| found))
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(action: &'static str, path: &Path) -> Error {
        Error::file(action, path, std::io::Error::from(std::io::ErrorKind::NotFound))
    }
}

impl Changes {
    fn resolve(&self, path: &Path) -> Leads {
        let nearest = path.ancestors().find_map(|prefix| Some((prefix, self.paths.get(prefix)?)));
        let Some((prefix, leads)) = nearest else { return Leads::Base(path.to_owned()) };
        let rest = path.strip_prefix(prefix).unwrap_or(Path::new(""));
        match leads {
            leads if rest.as_os_str().is_empty() => leads.clone(),
            Leads::Base(base) => Leads::Base(base.join(rest)),
            Leads::New(_) | Leads::Nowhere => Leads::Nowhere,
        }
    }

    /// Takes everything known at or below `path` away, as pairs of the path within it and where it led.
    fn detach(&mut self, path: &Path) -> Vec<(PathBuf, Leads)> {
        let root = self.resolve(path);
        let mut taken = vec![(PathBuf::new(), root)];
        self.paths.retain(|known, leads| match known.strip_prefix(path) {
            Ok(rest) => {
                if !rest.as_os_str().is_empty() {
                    taken.push((rest.to_owned(), leads.clone()));
                }
                false
            }
            Err(_) => true,
        });
        self.paths.insert(path.to_owned(), Leads::Nowhere);
        taken
    }

    fn attach(&mut self, path: &Path, tree: Vec<(PathBuf, Leads)>) {
        for (rest, leads) in tree {
            let place = if rest.as_os_str().is_empty() { path.to_owned() } else { path.join(rest) };
            self.paths.insert(place, leads);
        }
    }

    fn create(&mut self, path: &Path) {
        self.inodes += 1;
        self.paths.insert(path.to_owned(), Leads::New(Inode { number: u64::MAX - self.inodes, born: 0 }));
    }
}

/// A tree that is not written. It is there from when it would be on disk.
struct Pretended<'o> {
    host: &'o OverlayHost<'o>,
    path: PathBuf,
}

impl Disk for Pretended<'_> {
    fn flush(&self) -> Result<()> {
        self.host.changes().create(&self.path);
        Ok(())
    }
}

impl Host for OverlayHost<'_> {
    fn name(&self) -> &str {
        self.base.name()
    }

    fn user(&self) -> u32 {
        self.base.user()
    }

    fn clock_ahead(&self) -> Result<i64> {
        self.base.clock_ahead()
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match self.changes().resolve(path) {
            Leads::Base(real) => self.base.stat(&real),
            Leads::Nowhere => Ok(None),
            Leads::New(inode) => {
                let device = self.base.space(path)?.device;
                Ok(Some(Stat { kind: FileKind::Directory, inode, device, owner: 0, size: 0, modified: 0 }))
            }
        }
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.base.canonical(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        match self.changes().resolve(path) {
            Leads::Base(real) => self.base.list(&real),
            Leads::New(_) => Ok(Vec::new()),
            Leads::Nowhere => Err(Self::missing("list", path)),
        }
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        match self.changes().resolve(path) {
            Leads::Base(real) => self.base.read(&real, limit),
            Leads::New(_) | Leads::Nowhere => Err(Self::missing("read", path)),
        }
    }

    fn make_dir(&self, path: &Path, _mode: u32) -> Result<()> {
        if self.stat(path)?.is_none() {
            self.changes().create(path);
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<bool> {
        self.changes().detach(path);
        Ok(true)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        if self.stat(from)?.is_none() {
            return Err(Self::missing("rename", from));
        }
        let mut changes = self.changes();
        let tree = changes.detach(from);
        changes.attach(to, tree);
        Ok(())
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        for path in [a, b] {
            if self.stat(path)?.is_none() {
                return Err(Self::missing("exchange", path));
            }
        }
        let mut changes = self.changes();
        let (tree_a, tree_b) = (changes.detach(a), changes.detach(b));
        changes.attach(a, tree_b);
        changes.attach(b, tree_a);
        Ok(())
    }

    fn remove_tree(&self, path: &Path) -> Result<()> {
        self.changes().detach(path);
        Ok(())
    }

    fn tree(&self, _path: &Path) -> Result<Tree<'_>> {
        Ok(Tree::Pretended)
    }

    fn pack(&self, _paths: &[PathBuf], _except: &[PathBuf]) -> Result<Files<'_>> {
        Ok(Files::Pretended)
    }

    fn edit(&self, _tree: &Path, _file: &Path, _content: &[u8], _original: Option<&OsStr>) -> Result<()> {
        Ok(())
    }

    fn disk_of(&self, path: &Path) -> Result<Box<dyn Disk + '_>> {
        Ok(Box::new(Pretended { host: self, path: path.to_owned() }))
    }

    fn walk(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        match self.changes().resolve(path) {
            Leads::Base(real) => self.base.walk(&real, except),
            Leads::New(_) => Ok(Vec::new()),
            Leads::Nowhere => Err(Self::missing("list", path)),
        }
    }

    fn carry(&self, _tree: &Path, _store: &Path, _moves: &[Move]) -> Result<()> {
        Ok(())
    }

    fn attributes(&self, path: &Path) -> Result<Attributes> {
        match self.changes().resolve(path) {
            Leads::Base(real) => self.base.attributes(&real),
            Leads::New(_) => {
                Ok(Attributes { mode: 0o755, uid: 0, gid: 0, seconds: 0, nanoseconds: 0, xattrs: Vec::new() })
            }
            Leads::Nowhere => Err(Self::missing("look at", path)),
        }
    }

    fn set_attributes(&self, _tree: &Path, _path: &Path, _attributes: &Attributes) -> Result<()> {
        Ok(())
    }

    fn write(&self, _path: &Path, _content: &[u8]) -> Result<()> {
        Ok(())
    }

    fn ask(&self, command: &Command) -> Result<Output> {
        self.base.ask(command)
    }

    fn run(&self, _command: &Command) -> Result<Output> {
        Ok(Output::default())
    }

    fn pretends(&self) -> bool {
        true
    }

    fn space(&self, path: &Path) -> Result<Space> {
        self.base.space(path)
    }

    fn mounts_within(&self, path: &Path) -> Result<Vec<PathBuf>> {
        self.base.mounts_within(path)
    }

    fn docker(&self) -> &dyn Docker {
        self
    }

    fn claim(&self, claim: &Claim) -> Result<Claimed> {
        self.base.claim(claim)
    }
}

impl OverlayHost<'_> {
    fn pretend(&self, mut container: Container) -> Container {
        if let Some(&running) = self.changes().running.get(&container.name) {
            container.running = running;
            if running && container.health != Health::None {
                container.health = Health::Healthy;
            }
        }
        container
    }

    /// The container of that name or id, without a pretended state.
    fn find(&self, name: &str) -> Result<Option<Container>> {
        if let Some(changed) = self.changes().containers.get(name) {
            return Ok(changed.clone());
        }
        let found = self.real_containers()?.iter().find(|found| found.is_called(name));
        // By its id, one that was removed is still found there.
        Ok(found.filter(|container| !self.changes().containers.contains_key(&container.name)).cloned())
    }

    fn set_running(&self, name: &str, running: bool) -> Result<()> {
        let Some(container) = self.find(name)? else {
            return Err(Error::Command {
                command: format!("docker inspect {name}"),
                status: "exit status 1".to_owned(),
                message: format!("No such container: {name}"),
            });
        };
        self.changes().running.insert(container.name, running);
        Ok(())
    }

    fn pretend_made(&self, name: &str, image: &str, labels: BTreeMap<String, String>) {
        let mut changes = self.changes();
        changes.inodes += 1;
        let made = Container {
            id: format!("pretended-{}", changes.inodes),
            name: name.to_owned(),
            image: image.to_owned(),
            labels,
            ..Container::default()
        };
        changes.running.remove(name);
        changes.containers.insert(name.to_owned(), Some(made));
    }
}

impl Docker for OverlayHost<'_> {
    fn engine(&self) -> Result<Engine> {
        self.base.docker().engine()
    }

    fn inspected(&self, kind: ObjectKind) -> Result<Vec<Value>> {
        self.base.docker().inspected(kind)
    }

    fn containers(&self) -> Result<Vec<Container>> {
        let mut containers = self.real_containers()?.to_vec();
        let changed = self.changes().containers.clone();
        containers.retain(|container| !changed.contains_key(&container.name));
        containers.extend(changed.into_values().flatten());
        Ok(containers.into_iter().map(|c| self.pretend(c)).collect())
    }

    fn container(&self, name: &str) -> Result<Option<Container>> {
        Ok(self.find(name)?.map(|c| self.pretend(c)))
    }

    fn stop(&self, name: &str, _grace: Duration) -> Result<()> {
        self.set_running(name, false)
    }

    fn start(&self, name: &str) -> Result<()> {
        self.set_running(name, true)
    }

    fn volumes(&self, names: &[String]) -> Result<Vec<Volume>> {
        let changed = self.changes().volumes.clone();
        let (pretended, real): (Vec<_>, Vec<_>) =
            names.iter().cloned().partition(|name| changed.contains_key(name));
        let pretended = pretended.iter().filter_map(|name| changed[name].clone());
        let real = if real.is_empty() { Vec::new() } else { self.base.docker().volumes(&real)? };
        Ok(pretended.chain(real).collect())
    }

    fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        let home = self.engine()?.root.join("volumes").join(&spec.name);
        let mountpoint = home.join("_data");
        let mut changes = self.changes();
        changes.create(&home);
        changes.create(&mountpoint);
        let volume = Volume {
            name: spec.name.clone(),
            driver: if spec.driver.is_empty() { "local".to_owned() } else { spec.driver.clone() },
            mountpoint,
            options: spec.options.clone(),
        };
        changes.volumes.insert(spec.name.clone(), Some(volume));
        Ok(())
    }

    fn remove_volume(&self, name: &str) -> Result<()> {
        let gone = self.volume(name)?;
        let mut changes = self.changes();
        if let Some(home) = gone.as_ref().and_then(|volume| volume.mountpoint.parent()) {
            changes.detach(home);
        }
        changes.volumes.insert(name.to_owned(), None);
        Ok(())
    }

    fn described(&self, kind: ObjectKind, name: &str) -> Result<Option<Value>> {
        let pretended = match kind {
            ObjectKind::Container => self.changes().containers.get(name).map(|found| {
                found.as_ref().map(|it| {
                    json!({ "Id": it.id, "Name": it.name, "Config": { "Image": it.image, "Labels": it.labels } })
                })
            }),
            ObjectKind::Network => {
                self.changes().networks.get(name).map(|there| there.then(|| json!({ "Name": name })))
            }
            ObjectKind::Volume | ObjectKind::Image => None,
        };
        pretended.map_or_else(|| self.base.docker().described(kind, name), Ok)
    }

    fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.changes().networks.insert(spec.name.clone(), true);
        Ok(())
    }

    fn remove_network(&self, name: &str) -> Result<bool> {
        self.changes().networks.insert(name.to_owned(), false);
        Ok(true)
    }

    fn create_container(&self, name: &str, blueprint: &Blueprint) -> Result<()> {
        self.pretend_made(name, blueprint.image(), blueprint.labels());
        Ok(())
    }

    fn connect(&self, _network: &str, _container: &str, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    fn remove_container(&self, name: &str, _volumes: bool) -> Result<()> {
        let name = self.find(name)?.map_or_else(|| name.to_owned(), |container| container.name);
        self.changes().containers.insert(name, None);
        Ok(())
    }

    fn has_written(&self, container: &str) -> Result<bool> {
        if self.changes().containers.contains_key(container) {
            return Ok(false);
        }
        self.base.docker().has_written(container)
    }

    fn commit(&self, _container: &str, _image: &str) -> Result<()> {
        Ok(())
    }

    fn remove_image(&self, _image: &str) -> Result<()> {
        Ok(())
    }

    fn answers(&self, _address: &str, _port: u16) -> Result<Option<bool>> {
        Ok(Some(true))
    }

    fn exec(&self, _container: &str, _command: &[String]) -> Result<Option<bool>> {
        Ok(Some(true))
    }

    fn compose(&self) -> Result<Option<Compose>> {
        self.base.docker().compose()
    }

    fn compose_hashes(&self, _project: &ComposeProject) -> Result<Option<BTreeMap<String, String>>> {
        Ok(None)
    }

    fn compose_create(&self, project: &ComposeProject) -> Result<()> {
        for name in &project.containers {
            if self.find(name)?.is_none() {
                self.pretend_made(name, "", BTreeMap::new());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalHost;

    #[test]
    fn pretended_changes_follow_each_other_and_touch_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("live")).unwrap();
        std::fs::write(path("live/file"), "precious").unwrap();
        let base = LocalHost::new();
        let host = OverlayHost::new(&base);
        let live = host.stat(&path("live")).unwrap().unwrap().inode;

        host.disk_of(&path("new")).unwrap().flush().unwrap();
        let new = host.stat(&path("new")).unwrap().unwrap().inode;
        host.exchange(&path("live"), &path("new")).unwrap();
        host.rename(&path("new"), &path("old")).unwrap();

        assert_eq!(host.stat(&path("live")).unwrap().unwrap().inode, new);
        assert_eq!(host.stat(&path("old")).unwrap().unwrap().inode, live);
        assert!(host.stat(&path("new")).unwrap().is_none());
        assert!(host.stat(&path("live/file")).unwrap().is_none());
        assert_eq!(host.read(&path("old/file"), 100).unwrap(), b"precious");
        assert_eq!(base.list(dir.path()).unwrap(), ["live"]);
    }

    #[test]
    fn a_removed_tree_can_be_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let base = LocalHost::new();
        let host = OverlayHost::new(&base);
        host.remove_tree(&tree).unwrap();
        assert!(host.stat(&tree).unwrap().is_none());
        host.make_dir(&tree, 0o755).unwrap();
        assert!(host.stat(&tree).unwrap().is_some());
        assert!(tree.exists());
    }
}
