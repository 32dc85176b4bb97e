//! A Docker engine that is simulated, except for its volumes, which are directories.
//!
//! It is part of the world: its state outlives whatever program drove it, and a [`SimDocker::reboot`] does
//! to containers what a power cut of the machine does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reprise_engine::Clock;
use reprise_host::{Container, Docker, Engine, Error, Health, Mount, ObjectKind, Result, Volume, VolumeSpec};

use serde_json::{Value, json};

use crate::{FakeClock, settle};

/// What Docker does with a container after a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It stays down.
    No,
    /// It comes back unless someone had stopped it.
    UnlessStopped,
    /// It comes back, even when someone had stopped it.
    Always,
}

/// How a container fares once it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wellness {
    /// It runs, and has no health check.
    Unchecked,
    /// Its health check succeeds after so many seconds.
    HealthyAfter(i64),
    /// Its health check never succeeds.
    NeverHealthy,
    /// It ends as soon as it is started.
    Crashes,
}

/// A container of a [`SimDocker`].
#[derive(Debug, Clone)]
pub struct SimContainer {
    container: Container,
    restart: Restart,
    wellness: Wellness,
    stopped_by_hand: bool,
}

impl SimContainer {
    /// A running container without mounts or health check that comes back after a reboot.
    pub fn new(name: &str) -> Self {
        Self {
            container: Container {
                id: format!("id-of-{name}"),
                name: name.to_owned(),
                image: "image:1".to_owned(),
                paused: false,
                joins: Vec::new(),
                running: true,
                started: 1_795_000_000,
                restarts: 0,
                health: Health::None,
                mounts: Vec::new(),
                ports: Vec::new(),
                labels: BTreeMap::new(),
            },
            restart: Restart::UnlessStopped,
            wellness: Wellness::Unchecked,
            stopped_by_hand: false,
        }
    }

    /// The same, stopped.
    #[must_use]
    pub fn stopped(mut self) -> Self {
        self.container.running = false;
        self.stopped_by_hand = true;
        self
    }

    /// The same with another fate after a reboot.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// The same with another health.
    #[must_use]
    pub fn wellness(self, wellness: Wellness) -> Self {
        Self { wellness, ..self }
    }

    /// The same with a mount of `source`.
    #[must_use]
    pub fn mounting(mut self, source: &Path) -> Self {
        let destination = PathBuf::from("/data");
        self.container.mounts.push(Mount {
            volume: None,
            source: source.to_owned(),
            destination,
            writable: true,
        });
        self
    }

    /// The same with a mount of the named volume that lies at `source`.
    #[must_use]
    pub fn with_volume(mut self, name: &str, source: &Path) -> Self {
        self = self.mounting(source);
        if let Some(mount) = self.container.mounts.last_mut() {
            mount.volume = Some(name.to_owned());
        }
        self
    }

    fn seen_at(&self, now: i64) -> Container {
        let mut container = self.container.clone();
        container.health = match self.wellness {
            Wellness::Unchecked | Wellness::Crashes => Health::None,
            Wellness::NeverHealthy => Health::Unhealthy,
            Wellness::HealthyAfter(seconds) if now - container.started >= seconds => Health::Healthy,
            Wellness::HealthyAfter(_) => Health::Starting,
        };
        container
    }

    fn start(&mut self, now: i64) {
        self.stopped_by_hand = false;
        self.container.started = now;
        self.container.running = self.wellness != Wellness::Crashes;
    }
}

#[derive(Default)]
struct State {
    containers: BTreeMap<String, SimContainer>,
    volumes: BTreeMap<String, VolumeSpec>,
}

/// A simulated Docker engine.
pub struct SimDocker {
    root: PathBuf,
    clock: FakeClock,
    state: Mutex<State>,
}

impl SimDocker {
    /// An engine without containers that keeps its volumes below `root`.
    pub fn new(root: &Path, clock: FakeClock) -> Self {
        Self { root: root.to_owned(), clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Puts a container there, in place of any of its name.
    pub fn add(&self, container: SimContainer) {
        self.state().containers.insert(container.container.name.clone(), container);
    }

    /// Takes a container away.
    pub fn remove(&self, name: &str) {
        self.state().containers.remove(name);
    }

    /// Whether a container runs.
    pub fn runs(&self, name: &str) -> bool {
        self.state().containers.get(name).is_some_and(|found| found.container.running)
    }

    /// Where a volume's files lie, whether it exists or not.
    pub fn mountpoint(&self, volume: &str) -> PathBuf {
        self.root.join("volumes").join(volume).join("_data")
    }

    /// What a power cut of the machine does: everything ends, and what is meant to comes back.
    pub fn reboot(&self) {
        let now = self.now();
        for container in self.state().containers.values_mut() {
            let comes_back = match container.restart {
                Restart::No => false,
                Restart::UnlessStopped => container.container.running && !container.stopped_by_hand,
                Restart::Always => true,
            };
            container.container.running = false;
            if comes_back {
                container.start(now);
            }
        }
    }

    /// The engine's state in words, one entry per container and volume. When a container was last started
    /// and how well it is at the moment are left out: a stop that is undone by a start changes both.
    pub fn in_words(&self, root: &Path) -> BTreeMap<String, String> {
        let state = self.state();
        let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        let containers = state.containers.values().map(|sim| {
            let mounts: Vec<_> = sim.container.mounts.iter().map(|mount| relative(&mount.source)).collect();
            let running = if sim.container.running { "running" } else { "stopped" };
            (format!("container {}", sim.container.name), format!("{running}, mounts {mounts:?}"))
        });
        let volumes = state
            .volumes
            .values()
            .map(|spec| (format!("volume {}", spec.name), format!("labels {:?}", spec.labels)));
        containers.chain(volumes).collect()
    }

    fn no_such(what: &str, name: &str) -> Error {
        Error::Command {
            command: format!("docker … {name}"),
            status: "exit status 1".to_owned(),
            message: format!("No such {what}: {name}"),
        }
    }
}

impl Docker for SimDocker {
    fn engine(&self) -> Result<Engine> {
        Ok(Engine { version: "20.10.24".to_owned(), root: self.root.clone(), endpoint: String::new() })
    }

    fn inspected(&self, kind: ObjectKind) -> Result<Vec<Value>> {
        let state = self.state();
        Ok(match kind {
            ObjectKind::Container => state.containers.keys().map(|name| json!({ "Name": name })).collect(),
            ObjectKind::Volume => state.volumes.keys().map(|name| json!({ "Name": name })).collect(),
            ObjectKind::Network | ObjectKind::Image => Vec::new(),
        })
    }

    fn containers(&self) -> Result<Vec<Container>> {
        let now = self.now();
        Ok(self.state().containers.values().map(|container| container.seen_at(now)).collect())
    }

    fn container(&self, name: &str) -> Result<Option<Container>> {
        let now = self.now();
        Ok(self.state().containers.get(name).map(|container| container.seen_at(now)))
    }

    fn stop(&self, name: &str, _grace: Duration) -> Result<()> {
        let mut state = self.state();
        let found = state.containers.get_mut(name).ok_or_else(|| Self::no_such("container", name))?;
        found.container.running = false;
        found.stopped_by_hand = true;
        Ok(())
    }

    fn start(&self, name: &str) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        let found = state.containers.get_mut(name).ok_or_else(|| Self::no_such("container", name))?;
        if !found.container.running {
            found.start(now);
        }
        Ok(())
    }

    fn volume(&self, name: &str) -> Result<Option<Volume>> {
        Ok(self.state().volumes.get(name).map(|spec| Volume {
            name: spec.name.clone(),
            driver: "local".to_owned(),
            mountpoint: self.mountpoint(name),
            options: BTreeMap::new(),
        }))
    }

    fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        let mut state = self.state();
        if !state.volumes.contains_key(&spec.name) {
            let mountpoint = self.mountpoint(&spec.name);
            fs::create_dir_all(&mountpoint).expect("a volume's directory");
            settle(mountpoint.parent().expect("its home"));
            state.volumes.insert(spec.name.clone(), spec.clone());
        }
        Ok(())
    }

    fn remove_volume(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        let uses = |mount: &Mount| mount.volume.as_deref() == Some(name);
        if let Some(user) = state.containers.values().find(|sim| sim.container.mounts.iter().any(uses)) {
            return Err(Error::Command {
                command: format!("docker volume rm -- {name}"),
                status: "exit status 1".to_owned(),
                message: format!("volume is in use - [{}]", user.container.id),
            });
        }
        if state.volumes.remove(name).is_some() {
            let home = self.root.join("volumes").join(name);
            fs::remove_dir_all(home).expect("a volume's directory goes");
        }
        Ok(())
    }
}
