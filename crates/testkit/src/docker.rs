//! A Docker engine that is simulated, except for its volumes, which are directories.
//!
//! It is part of the world: its state outlives whatever program drove it, and a [`SimDocker::reboot`] does
//! to containers what a power cut of the machine does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reprise_engine::Clock;
use reprise_host::{
    Blueprint, Compose, ComposeForm, ComposeProject, Container, Docker, Endpoint, Engine, Error, Health,
    Mount, NetworkSpec, ObjectKind, PortBinding, Result, Volume, VolumeSpec,
};

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
    /// It ends as soon as it is started, having done what it is for.
    Ends,
    /// It runs, has no health check, and answers after so many seconds.
    AnswersAfter(i64),
}

/// A container of a [`SimDocker`].
#[derive(Debug, Clone)]
pub struct SimContainer {
    container: Container,
    restart: Restart,
    wellness: Wellness,
    stopped_by_hand: bool,
    environment: Vec<String>,
    networks: BTreeMap<String, Endpoint>,
    has_written: bool,
    /// A container that comes up while this one stops.
    brings: Option<String>,
}

impl SimContainer {
    /// A running container without mounts or health check that comes back after a reboot.
    pub fn new(name: &str) -> Self {
        Self {
            container: Container {
                id: format!("id-of-{name}"),
                name: name.to_owned(),
                image: "image:1".to_owned(),
                running: true,
                started: 1_795_000_000_000,
                ..Container::default()
            },
            restart: Restart::UnlessStopped,
            wellness: Wellness::Unchecked,
            stopped_by_hand: false,
            environment: Vec::new(),
            networks: BTreeMap::new(),
            has_written: false,
            brings: None,
        }
    }

    /// The same with a container that the engine brings up while it stops this one.
    #[must_use]
    pub fn bringing(self, name: &str) -> Self {
        Self { brings: Some(name.to_owned()), ..self }
    }

    /// The same as one of a Compose project, made of a configuration with this hash.
    #[must_use]
    pub fn of_project(mut self, project: &str, service: &str, hash: &str) -> Self {
        let label = |key: &str, value: &str| (format!("com.docker.compose.{key}"), value.to_owned());
        self.container.labels =
            [label("project", project), label("service", service), label("config-hash", hash)].into();
        self
    }

    /// The same with this environment, in these networks.
    #[must_use]
    pub fn with(mut self, environment: &[&str], networks: &[&str]) -> Self {
        self.environment = environment.iter().map(ToString::to_string).collect();
        self.networks = networks.iter().map(|name| ((*name).to_owned(), Endpoint::default())).collect();
        self
    }

    /// The same with a port of the host that leads into it.
    #[must_use]
    pub fn publishing(mut self, port: u16) -> Self {
        self.container.ports.push(PortBinding::tcp("", port));
        self
    }

    /// The same after it has written something outside of what it mounts.
    #[must_use]
    pub fn written(self) -> Self {
        Self { has_written: true, ..self }
    }

    /// What the engine makes of `blueprint`.
    fn made(name: &str, id: usize, blueprint: &Blueprint) -> Self {
        let mut it = Self::new(name).stopped();
        it.stopped_by_hand = false;
        it.restart = match blueprint.body.pointer("/HostConfig/RestartPolicy/Name").and_then(Value::as_str) {
            Some("always") => Restart::Always,
            Some("unless-stopped") => Restart::UnlessStopped,
            _ => Restart::No,
        };
        it.container.id = format!("id-{id}-of-{name}");
        blueprint.image().clone_into(&mut it.container.image);
        it.container.labels = blueprint.labels();
        it.environment = blueprint.clone().take_environment();
        let binds =
            blueprint.body.pointer("/HostConfig/Binds").and_then(Value::as_array).into_iter().flatten();
        for bind in binds.filter_map(Value::as_str) {
            let parts: Vec<&str> = bind.split(':').collect();
            it.container.mounts.push(Mount {
                volume: parts.get(3).map(ToString::to_string),
                source: parts[0].into(),
                destination: parts[1].into(),
                writable: true,
            });
        }
        let first = blueprint.network_names().map(|name| (name.to_owned(), Endpoint::default()));
        it.networks = first.collect();
        it.networks.extend(blueprint.networks.keys().map(|name| (name.clone(), Endpoint::default())));
        it
    }

    /// As `docker container inspect` would tell; a mount of a volume with where that lies.
    fn described(&self) -> Value {
        let container = &self.container;
        let binds = container.mounts.iter().map(|mount| {
            let volume = mount.volume.as_ref().map(|volume| format!(":rw:{volume}")).unwrap_or_default();
            format!("{}:{}{volume}", mount.source.display(), mount.destination.display())
        });
        let networks = self.networks.keys().map(|name| (name.clone(), json!({})));
        let policy = match self.restart {
            Restart::No => "no",
            Restart::UnlessStopped => "unless-stopped",
            Restart::Always => "always",
        };
        json!({
            "Id": container.id, "Name": format!("/{}", container.name),
            "Config": { "Image": container.image, "Labels": container.labels, "Env": self.environment },
            "HostConfig": {
                "NetworkMode": self.networks.keys().next().map_or("default", String::as_str),
                "Binds": binds.collect::<Vec<_>>(), "RestartPolicy": { "Name": policy },
            },
            "NetworkSettings": { "Networks": networks.collect::<serde_json::Map<_, _>>() },
        })
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
            Wellness::Unchecked | Wellness::Crashes | Wellness::Ends | Wellness::AnswersAfter(_) => {
                Health::None
            }
            Wellness::NeverHealthy => Health::Unhealthy,
            Wellness::HealthyAfter(seconds) if now - container.started / 1000 >= seconds => Health::Healthy,
            Wellness::HealthyAfter(_) => Health::Starting,
        };
        container
    }

    fn answers(&self, now: i64) -> bool {
        let since = now - self.container.started / 1000;
        self.container.running && !matches!(self.wellness, Wellness::AnswersAfter(seconds) if since < seconds)
    }

    fn start(&mut self, now: i64) {
        self.stopped_by_hand = false;
        self.container.started = now * 1000;
        self.container.running = !matches!(self.wellness, Wellness::Crashes | Wellness::Ends);
        self.container.exit_code = i64::from(self.wellness == Wellness::Crashes);
    }
}

#[derive(Default)]
struct State {
    containers: BTreeMap<String, SimContainer>,
    volumes: BTreeMap<String, VolumeSpec>,
    networks: BTreeMap<String, NetworkSpec>,
    images: BTreeSet<String>,
    made: usize,
}

impl State {
    fn named(&self, name: &str) -> Option<&SimContainer> {
        self.containers.values().find(|sim| sim.container.is_called(name))
    }

    fn make(&mut self, name: &str, blueprint: &Blueprint) {
        self.made += 1;
        let made = SimContainer::made(name, self.made, blueprint);
        self.containers.insert(name.to_owned(), made);
    }
}

/// A simulated Docker engine.
pub struct SimDocker {
    root: PathBuf,
    clock: FakeClock,
    /// Of the machine's clock that it runs on, before `clock`.
    ahead: AtomicI64,
    state: Mutex<State>,
}

impl SimDocker {
    /// An engine without containers that keeps its volumes below `root`.
    pub fn new(root: &Path, clock: FakeClock) -> Self {
        Self { root: root.to_owned(), clock, ahead: AtomicI64::new(0), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().as_second() + self.seconds_ahead()
    }

    /// How far the clock of its machine is ahead.
    pub fn seconds_ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// From here on the clock of its machine is so far ahead, or behind.
    pub fn set_seconds_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
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
            let Container { name, labels, .. } = &sim.container;
            let made =
                format!("{labels:?} {:?} {:?} {:?}", sim.environment, sim.networks.keys(), sim.restart);
            let made = made.replace(&root.display().to_string(), "…");
            (format!("container {name}"), format!("{running}, mounts {mounts:?}, made by {made}"))
        });
        let volumes = state
            .volumes
            .values()
            .map(|spec| (format!("volume {}", spec.name), format!("labels {:?}", spec.labels)));
        let networks =
            state.networks.iter().map(|(name, spec)| (format!("network {name}"), format!("{spec:?}")));
        containers.chain(volumes).chain(networks).collect()
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
            ObjectKind::Container => state.containers.values().map(SimContainer::described).collect(),
            ObjectKind::Volume => {
                state.volumes.values().map(|it| json!({ "Name": it.name, "Labels": it.labels })).collect()
            }
            ObjectKind::Network => {
                state.networks.values().map(|it| json!({ "Name": it.name, "Labels": it.labels })).collect()
            }
            ObjectKind::Image => Vec::new(),
        })
    }

    fn containers(&self) -> Result<Vec<Container>> {
        let now = self.now();
        Ok(self.state().containers.values().map(|container| container.seen_at(now)).collect())
    }

    fn container(&self, name: &str) -> Result<Option<Container>> {
        let now = self.now();
        Ok(self.state().named(name).map(|container| container.seen_at(now)))
    }

    fn stop(&self, name: &str, _grace: Duration) -> Result<()> {
        let mut state = self.state();
        let found = state.containers.get_mut(name).ok_or_else(|| Self::no_such("container", name))?;
        found.container.running = false;
        found.stopped_by_hand = true;
        let brings = found.brings.take();
        let now = self.now();
        if let Some(next) = brings.and_then(|name| state.containers.get_mut(&name)) {
            next.start(now);
        }
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

    fn volumes(&self, names: &[String]) -> Result<Vec<Volume>> {
        let state = self.state();
        let found = names.iter().filter_map(|name| state.volumes.get(name));
        Ok(found
            .map(|spec| Volume {
                name: spec.name.clone(),
                driver: "local".to_owned(),
                mountpoint: self.mountpoint(&spec.name),
                options: BTreeMap::new(),
            })
            .collect())
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

    fn described(&self, kind: ObjectKind, name: &str) -> Result<Option<Value>> {
        if kind == ObjectKind::Container {
            return Ok(self.state().named(name).map(SimContainer::described));
        }
        let found = self.inspected(kind)?.into_iter().find(|it| it["Name"] == name);
        Ok(found)
    }

    fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let mut state = self.state();
        let taken = state.networks.values().flat_map(|it| &it.subnets).any(|it| spec.subnets.contains(it));
        if taken {
            return Err(Error::Command {
                command: format!("docker network create {}", spec.name),
                status: "exit status 1".to_owned(),
                message: "Pool overlaps with other one on this address space".to_owned(),
            });
        }
        state.networks.insert(spec.name.clone(), spec.clone());
        Ok(())
    }

    fn remove_network(&self, name: &str) -> Result<bool> {
        let mut state = self.state();
        if state.containers.values().any(|it| it.container.running && it.networks.contains_key(name)) {
            return Ok(false);
        }
        state.networks.remove(name);
        Ok(true)
    }

    fn create_container(&self, name: &str, blueprint: &Blueprint) -> Result<()> {
        let mut state = self.state();
        if state.containers.contains_key(name) {
            return Err(Self::no_such("other container, the name is taken", name));
        }
        state.make(name, blueprint);
        Ok(())
    }

    fn connect(&self, network: &str, container: &str, endpoint: &Endpoint) -> Result<()> {
        let mut state = self.state();
        let found =
            state.containers.get_mut(container).ok_or_else(|| Self::no_such("container", container))?;
        found.networks.insert(network.to_owned(), endpoint.clone());
        Ok(())
    }

    fn remove_container(&self, name: &str, _volumes: bool) -> Result<()> {
        let mut state = self.state();
        let Some(found) = state.named(name) else { return Ok(()) };
        if found.container.running {
            return Err(Self::no_such("removal of a running container", name));
        }
        let name = found.container.name.clone();
        state.containers.remove(&name);
        Ok(())
    }

    fn has_written(&self, container: &str) -> Result<bool> {
        Ok(self.state().named(container).is_some_and(|found| found.has_written))
    }

    fn commit(&self, _container: &str, image: &str) -> Result<()> {
        self.state().images.insert(image.to_owned());
        Ok(())
    }

    fn remove_image(&self, image: &str) -> Result<()> {
        let mut state = self.state();
        if !state.containers.values().any(|it| it.container.image == image) {
            state.images.remove(image);
        }
        Ok(())
    }

    /// The port leads to the container that publishes it.
    fn answers(&self, _address: &str, port: u16) -> Result<Option<bool>> {
        let now = self.now();
        let publishes =
            |it: &&SimContainer| it.container.ports.iter().any(|published| published.port == port);
        Ok(Some(self.state().containers.values().find(publishes).is_some_and(|it| it.answers(now))))
    }

    /// Every container has the program `ask`.
    fn exec(&self, container: &str, command: &[String]) -> Result<Option<bool>> {
        let now = self.now();
        let answers = self.state().named(container).is_some_and(|it| it.answers(now));
        Ok((command.first().map(String::as_str) == Some("ask")).then_some(answers))
    }

    fn compose(&self) -> Result<Option<Compose>> {
        Ok(Some(Compose { form: ComposeForm::Standalone, version: "1.29.2".to_owned() }))
    }

    /// As its file says, a service and its hash in each line.
    fn compose_hashes(&self, project: &ComposeProject) -> Result<Option<BTreeMap<String, String>>> {
        let file = project.directory.join("compose.yaml");
        let text =
            fs::read_to_string(&file).map_err(|source| Error::File { action: "read", path: file, source })?;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Ok(Some(lines.map(|(service, hash)| (service.to_owned(), hash.to_owned())).collect()))
    }

    fn compose_create(&self, project: &ComposeProject) -> Result<()> {
        let hashes = self.compose_hashes(project)?.unwrap_or_default();
        let label = |key: &str, value: &str| (format!("com.docker.compose.{key}"), value.to_owned());
        let ours: BTreeMap<String, String> = [label("project", &project.name)].into();
        let (network, volume) = (format!("{}_default", project.name), format!("{}_cache", project.name));
        if self.described(ObjectKind::Network, &network)?.is_none() {
            let labels = ours.clone();
            self.create_network(&NetworkSpec { name: network.clone(), labels, ..NetworkSpec::default() })?;
        }
        self.create_volume(&VolumeSpec { name: volume, labels: ours, ..VolumeSpec::default() })?;
        for name in &project.containers {
            if self.container(name)?.is_some() {
                continue;
            }
            let service = name.split('_').nth(1).unwrap_or_default();
            let Some(hash) = hashes.get(service) else { return Err(Self::no_such("service", service)) };
            let labels: BTreeMap<String, String> =
                [label("project", &project.name), label("service", service), label("config-hash", hash)]
                    .into();
            let body =
                json!({ "Image": "image:1", "Labels": labels, "HostConfig": { "NetworkMode": network } });
            self.create_container(name, &Blueprint { body, networks: BTreeMap::new() })?;
        }
        Ok(())
    }
}
