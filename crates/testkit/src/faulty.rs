//! A host, a backup and a clock in which things go wrong.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use reprise_engine::{Clock, Differences, Extracted, Source, SourceError};
use reprise_host::{
    Attributes, Blueprint, Claim, Claimed, Command, Compose, ComposeProject, Container, Disk, Docker,
    Endpoint, Engine, Error, Files, Found, Host, Move, NetworkSpec, ObjectKind, Output, Packed, Present,
    Result, Space, Stat, Tree, Volume, VolumeSpec,
};
use reprise_model::Observer;
use serde_json::Value;

use crate::{DirSource, Fault, Faults, Kind, PowerCut};

/// A host and its Docker engine in which [`Faults`] happen.
pub struct FaultyHost<'a> {
    /// The host as it is.
    pub host: &'a dyn Host,
    /// What goes wrong.
    pub faults: &'a Faults,
}

impl FaultyHost<'_> {
    fn look<T>(&self, what: &str, path: &Path, whole: impl FnOnce() -> Result<T>) -> Result<T> {
        let name = (format!("{what} {}", path.display()), Kind::Look);
        self.faults.perform(name, whole, || {}, |source| failed("look at", path, source))
    }

    fn change<T>(&self, what: String, path: &Path, whole: impl FnOnce() -> Result<T>) -> Result<T> {
        self.faults.perform((what, Kind::Change), whole, || {}, |source| failed("change", path, source))
    }

    fn ask<T>(&self, what: &str, kind: Kind, whole: impl FnOnce() -> Result<T>) -> Result<T> {
        let fail = |error: std::io::Error| Error::Command {
            command: format!("docker {what}"),
            status: "exit status 1".to_owned(),
            message: error.to_string(),
        };
        self.faults.perform((format!("docker {what}"), kind), whole, || {}, fail)
    }
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { action, path: path.to_owned(), source }
}

/// Removes about half of what lies at `path`, as a removal that is cut off does.
fn remove_half(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries.iter().step_by(2) {
        let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let _ = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

/// Where what is written may not reach the disk.
struct FaultyDisk<'f> {
    host: &'f FaultyHost<'f>,
    disk: Box<dyn Disk + 'f>,
    path: PathBuf,
}

impl Disk for FaultyDisk<'_> {
    fn flush(&self) -> Result<()> {
        self.host.change(format!("flush {}", self.path.display()), &self.path, || self.disk.flush())
    }
}

impl Host for FaultyHost<'_> {
    fn name(&self) -> &str {
        self.host.name()
    }
    fn user(&self) -> u32 {
        self.host.user()
    }
    fn clock_ahead(&self) -> Result<i64> {
        self.host.clock_ahead()
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.look("stat", path, || self.host.stat(path))
    }
    // Not a place for faults: sources of mounts that cannot be followed keep their names, whatever the reason.
    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.host.canonical(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        self.look("list", path, || self.host.list(path))
    }
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        self.look("read", path, || self.host.read(path, limit))
    }
    fn make_dir(&self, path: &Path, mode: u32) -> Result<()> {
        self.change(format!("make_dir {}", path.display()), path, || self.host.make_dir(path, mode))
    }
    fn remove_dir(&self, path: &Path) -> Result<bool> {
        self.change(format!("remove_dir {}", path.display()), path, || self.host.remove_dir(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let name = format!("rename {} {}", from.display(), to.display());
        self.change(name, from, || self.host.rename(from, to))
    }
    fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        let name = format!("exchange {} {}", a.display(), b.display());
        self.change(name, a, || self.host.exchange(a, b))
    }
    fn remove_tree(&self, path: &Path) -> Result<()> {
        let name = (format!("remove_tree {}", path.display()), Kind::LongChange);
        let (whole, half) = (|| self.host.remove_tree(path), || remove_half(path));
        self.faults.perform(name, whole, half, |source| failed("remove", path, source))
    }
    fn tree(&self, path: &Path) -> Result<Tree<'_>> {
        self.host.tree(path)
    }
    fn pack(&self, paths: &[PathBuf], except: &[PathBuf]) -> Result<Files<'_>> {
        self.host.pack(paths, except)
    }
    fn edit(&self, tree: &Path, file: &Path, content: &[u8], original: Option<&OsStr>) -> Result<()> {
        let name = format!("edit {}", tree.join(file).display());
        self.change(name, tree, || self.host.edit(tree, file, content, original))
    }
    fn disk_of(&self, path: &Path) -> Result<Box<dyn Disk + '_>> {
        Ok(Box::new(FaultyDisk { host: self, disk: self.host.disk_of(path)?, path: path.to_owned() }))
    }
    fn walk(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        self.look("walk", path, || self.host.walk(path, except))
    }
    fn present(
        &self,
        path: &Path,
        except: &[PathBuf],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Present>> {
        self.look("look through", path, || self.host.present(path, except, cancelled))
    }
    fn carry(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
        let path = moves.first().map_or(Path::new(""), |first| &first.placed);
        let name = (format!("carry {} names, {}", moves.len(), path.display()), Kind::LongChange);
        // Cut in the middle, and right after a name was carried out.
        let half = || drop(self.host.carry(tree, store, &moves[..moves.len().div_ceil(2)]));
        let all = || self.host.carry(tree, store, moves);
        self.faults.perform(name, all, half, |source| failed("move", path, source))
    }
    fn attributes(&self, path: &Path) -> Result<Attributes> {
        self.look("attributes of", path, || self.host.attributes(path))
    }
    fn set_attributes(&self, tree: &Path, path: &Path, attributes: &Attributes) -> Result<()> {
        let full = tree.join(path);
        let name = format!("set_attributes {}", full.display());
        self.change(name, &full, || self.host.set_attributes(tree, path, attributes))
    }
    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.change(format!("write {}", path.display()), path, || self.host.write(path, content))
    }
    fn ask(&self, command: &Command) -> Result<Output> {
        self.look(&command.to_string(), Path::new(""), || self.host.ask(command))
    }
    fn run(&self, command: &Command) -> Result<Output> {
        self.change(command.to_string(), Path::new(""), || self.host.run(command))
    }
    fn pretends(&self) -> bool {
        self.host.pretends()
    }
    fn space(&self, path: &Path) -> Result<Space> {
        self.look("space", path, || self.host.space(path))
    }
    fn mounts_within(&self, path: &Path) -> Result<Vec<PathBuf>> {
        self.look("mounts_within", path, || self.host.mounts_within(path))
    }
    fn docker(&self) -> &dyn Docker {
        self
    }
    fn claim(&self, claim: &Claim) -> Result<Claimed> {
        self.host.claim(claim)
    }
}

impl Docker for FaultyHost<'_> {
    fn engine(&self) -> Result<Engine> {
        self.ask("info", Kind::Look, || self.host.docker().engine())
    }
    fn inspected(&self, kind: ObjectKind) -> Result<Vec<Value>> {
        self.ask(&format!("{} ls", kind.as_str()), Kind::Look, || self.host.docker().inspected(kind))
    }
    fn containers(&self) -> Result<Vec<Container>> {
        self.ask("ps", Kind::Look, || self.host.docker().containers())
    }
    fn container(&self, name: &str) -> Result<Option<Container>> {
        self.ask(&format!("inspect {name}"), Kind::Look, || self.host.docker().container(name))
    }
    fn stop(&self, name: &str, grace: Duration) -> Result<()> {
        self.ask(&format!("stop {name}"), Kind::Change, || self.host.docker().stop(name, grace))
    }
    fn start(&self, name: &str) -> Result<()> {
        self.ask(&format!("start {name}"), Kind::Change, || self.host.docker().start(name))
    }
    fn volumes(&self, names: &[String]) -> Result<Vec<Volume>> {
        let what = format!("volume inspect {}", names.join(" "));
        self.ask(&what, Kind::Look, || self.host.docker().volumes(names))
    }
    fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        let what = format!("volume create {}", spec.name);
        self.ask(&what, Kind::Change, || self.host.docker().create_volume(spec))
    }
    fn remove_volume(&self, name: &str) -> Result<()> {
        self.ask(&format!("volume rm {name}"), Kind::Change, || self.host.docker().remove_volume(name))
    }
    fn described(&self, kind: ObjectKind, name: &str) -> Result<Option<Value>> {
        let what = format!("{} inspect {name}", kind.as_str());
        self.ask(&what, Kind::Look, || self.host.docker().described(kind, name))
    }
    fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let what = format!("network create {}", spec.name);
        self.ask(&what, Kind::Change, || self.host.docker().create_network(spec))
    }
    fn remove_network(&self, name: &str) -> Result<bool> {
        self.ask(&format!("network rm {name}"), Kind::Change, || self.host.docker().remove_network(name))
    }
    fn create_container(&self, name: &str, blueprint: &Blueprint) -> Result<()> {
        let whole = || self.host.docker().create_container(name, blueprint);
        self.ask(&format!("create {name}"), Kind::Change, whole)
    }
    fn connect(&self, network: &str, container: &str, endpoint: &Endpoint) -> Result<()> {
        let whole = || self.host.docker().connect(network, container, endpoint);
        self.ask(&format!("network connect {network} {container}"), Kind::Change, whole)
    }
    fn remove_container(&self, name: &str, volumes: bool) -> Result<()> {
        self.ask(&format!("rm {name}"), Kind::Change, || self.host.docker().remove_container(name, volumes))
    }
    fn has_written(&self, container: &str) -> Result<bool> {
        self.ask(&format!("diff {container}"), Kind::Look, || self.host.docker().has_written(container))
    }
    fn commit(&self, container: &str, image: &str) -> Result<()> {
        let whole = || self.host.docker().commit(container, image);
        self.ask(&format!("commit {container}"), Kind::Change, whole)
    }
    fn remove_image(&self, image: &str) -> Result<()> {
        self.ask(&format!("image rm {image}"), Kind::Change, || self.host.docker().remove_image(image))
    }
    fn answers(&self, address: &str, port: u16) -> Result<Option<bool>> {
        self.ask(&format!("port {port}"), Kind::Look, || self.host.docker().answers(address, port))
    }
    fn exec(&self, container: &str, command: &[String]) -> Result<Option<bool>> {
        self.ask(&format!("exec {container}"), Kind::Look, || self.host.docker().exec(container, command))
    }
    fn compose(&self) -> Result<Option<Compose>> {
        self.ask("compose version", Kind::Look, || self.host.docker().compose())
    }
    fn compose_hashes(&self, project: &ComposeProject) -> Result<Option<BTreeMap<String, String>>> {
        self.ask("compose config", Kind::Look, || self.host.docker().compose_hashes(project))
    }
    fn compose_create(&self, project: &ComposeProject) -> Result<()> {
        // Compose makes one thing after the other.
        let half = || {
            let containers = project.containers.iter().take(1).cloned().collect();
            let _ = self.host.docker().compose_create(&ComposeProject { containers, ..project.clone() });
        };
        let fail = |source| failed("make the project in", &project.directory, source);
        let name = (format!("docker compose up --no-start in {}", project.name), Kind::LongChange);
        self.faults.perform(name, || self.host.docker().compose_create(project), half, fail)
    }
}

/// A backup in which [`Faults`] happen: when it is asked for, and at each entry of a tree.
pub struct FaultySource<'a> {
    /// The backup as it is.
    pub source: &'a DirSource,
    /// What goes wrong.
    pub faults: &'a Faults,
}

fn unwritable(error: std::io::Error) -> SourceError {
    SourceError::Unwritable { message: error.to_string(), hint: None }
}

impl Source for FaultySource<'_> {
    fn extract(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        to: &Path,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        let each = |entry: &Path| {
            let name = format!("extract entry {}", entry.display());
            self.faults.perform((name, Kind::Entry), || Ok(()), || {}, unwritable)
        };
        let whole = || self.source.copy(path, some, to, observer, &each);
        self.faults.perform((format!("extract {path}"), Kind::Change), whole, || {}, unwritable)
    }

    fn stream(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        // Cut midway, a stream ends where it is; what is at its other end sees no more of it.
        let mut whole = Vec::new();
        let wrote = self.source.stream(path, some, name, &mut whole, observer)?;
        let (first, rest) = whole.split_at(whole.len() / 2);
        let to = RefCell::new(to);
        let send = |part: &[u8]| to.borrow_mut().write_all(part).map_err(unwritable);
        let all = || send(first).and_then(|()| send(rest)).map(|()| wrote);
        self.faults.perform(
            (format!("stream {path}"), Kind::LongChange),
            all,
            || drop(send(first)),
            unwritable,
        )
    }

    fn differences(
        &self,
        path: &str,
        root: &Path,
        present: &Present,
        observer: &dyn Observer,
    ) -> Result<Differences, SourceError> {
        let whole = || self.source.differences(path, root, present, observer);
        self.faults.perform((format!("compare {path}"), Kind::Look), whole, || {}, unwritable)
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let whole = || self.source.read(path, limit);
        self.faults.perform((format!("read {path} of the backup"), Kind::Look), whole, || {}, unwritable)
    }

    fn check(&self, path: &str) -> Result<(), SourceError> {
        let whole = || self.source.check(path);
        self.faults.perform((format!("check {path}"), Kind::Look), whole, || {}, unwritable)
    }

    fn has_archive(&self, name: &str) -> Result<bool, SourceError> {
        let whole = || self.source.has_archive(name);
        self.faults.perform((format!("look for {name}"), Kind::Look), whole, || {}, unwritable)
    }

    fn back_up(
        &self,
        name: &str,
        paths: &[PathBuf],
        except: &[PathBuf],
        observer: &dyn Observer,
    ) -> Result<Vec<String>, SourceError> {
        let whole = || self.source.back_up(name, paths, except, observer);
        self.faults.perform((format!("back up as {name}"), Kind::Change), whole, || {}, unwritable)
    }

    fn back_up_packed(
        &self,
        name: &str,
        packed: Packed<'_>,
        observer: &dyn Observer,
    ) -> reprise_engine::Result<Vec<String>> {
        let packed = RefCell::new(Some(packed));
        let take = || packed.borrow_mut().take().expect("it is packed once");
        let whole = || self.source.back_up_packed(name, take(), observer);
        // Who reads it is gone midway.
        let half = || drop(take().stream.read(&mut [0; 700]));
        let fail = |error| unwritable(error).into();
        self.faults.perform((format!("back up as {name}"), Kind::LongChange), whole, half, fail)
    }

    fn remove_archive(&self, name: &str) -> Result<(), SourceError> {
        let whole = || self.source.remove_archive(name);
        self.faults.perform((format!("remove {name}"), Kind::Change), whole, || {}, unwritable)
    }
}

/// A clock on which the power can be cut; it cannot fail otherwise.
pub struct FaultyClock<'a> {
    /// The clock as it is.
    pub clock: &'a dyn Clock,
    /// What goes wrong.
    pub faults: &'a Faults,
}

impl Clock for FaultyClock<'_> {
    fn now(&self) -> Timestamp {
        if let Some(Fault::Cut(_)) = self.faults.strike("now".to_owned(), Kind::Time) {
            PowerCut::now();
        }
        self.clock.now()
    }
    fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration);
    }
}
