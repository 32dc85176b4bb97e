//! Docker driven by its own command line, so that the same commands run here, over SSH and in scripts.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Container, Docker, Engine, ObjectKind, Volume, VolumeSpec, commands, inspect};
use crate::{Command, Error, Output, Result};

/// Runs commands on the machine whose engine is meant.
pub trait Run: Send + Sync {
    /// Runs `command` to its end; fails when it fails.
    fn run(&self, command: &Command) -> Result<Output>;
}

/// A Docker engine behind the `docker` program.
#[derive(Debug, Clone)]
pub struct DockerCli<R> {
    run: R,
}

impl<R: Run> DockerCli<R> {
    /// The engine that `docker` reaches where `run` runs commands.
    pub fn new(run: R) -> Self {
        Self { run }
    }

    fn docker(&self, command: &Command) -> Result<Output> {
        self.run.run(command).map_err(|error| match error {
            Error::Command { message, .. } if unreachable(&message) => Error::DockerUnreachable(message),
            other => other,
        })
    }

    fn parsed<T: DeserializeOwned>(&self, command: &Command) -> Result<T> {
        let output = self.docker(command)?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Answer { command: command.to_string(), reason: error.to_string() })
    }

    /// What `docker inspect` says of everything of that kind.
    fn all<T: DeserializeOwned>(&self, kind: ObjectKind) -> Result<Vec<T>> {
        let everything: &[&str] = match kind {
            ObjectKind::Container => &["-aq", "--no-trunc"],
            ObjectKind::Network | ObjectKind::Image => &["-q", "--no-trunc"],
            ObjectKind::Volume => &["-q"],
        };
        let list = Command::new("docker").args([kind.as_str(), "ls"]).args(everything.iter().copied());
        // One of them may go between the two questions: ask again.
        for _ in 0..5 {
            let listed = self.docker(&list)?;
            // An image with several tags is listed with each.
            let names: BTreeSet<String> =
                String::from_utf8_lossy(&listed.stdout).lines().map(ToOwned::to_owned).collect();
            if names.is_empty() {
                return Ok(Vec::new());
            }
            if let Some(answers) = self.inspect(kind, &Vec::from_iter(names))? {
                return Ok(answers);
            }
        }
        Err(Error::Answer {
            command: list.to_string(),
            reason: "they come and go faster than they can be listed".to_owned(),
        })
    }

    /// What `docker inspect` says of `names`, or nothing where one of them does not exist.
    fn inspect<T: DeserializeOwned>(&self, kind: ObjectKind, names: &[String]) -> Result<Option<Vec<T>>> {
        let command = Command::new("docker").args([kind.as_str(), "inspect", "--"]).args(names);
        match self.parsed(&command) {
            Ok(answers) => Ok(Some(answers)),
            Err(Error::Command { message, .. }) if absent(&message) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// The client's words for an engine that is not there, over its versions.
fn unreachable(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "cannot connect to the docker daemon",
        "error during connect",
        "dial unix",
        "failed to connect to the docker api",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The engine's words for something that is not there, over its versions.
fn absent(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("no such") || message.contains("not found")
}

impl<R: Run> Docker for DockerCli<R> {
    fn engine(&self) -> Result<Engine> {
        let command = Command::new("docker").args(["info", "--format", "{{json .}}"]);
        let info: inspect::Info = self.parsed(&command)?;
        // With no engine, newer clients still exit 0 and answer with errors and empty fields.
        if info.root.as_os_str().is_empty() {
            return Err(Error::DockerUnreachable(info.errors.join("; ")));
        }
        let context =
            Command::new("docker").args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
        // Old clients know no contexts; theirs is the local one unless DOCKER_HOST says otherwise.
        let endpoint = self.docker(&context).map(|output| output.stdout).unwrap_or_default();
        let endpoint = String::from_utf8_lossy(&endpoint).trim().to_owned();
        Ok(Engine { version: info.version, root: info.root, endpoint })
    }

    fn inspected(&self, kind: ObjectKind) -> Result<Vec<Value>> {
        self.all(kind)
    }

    fn containers(&self) -> Result<Vec<Container>> {
        Ok(self.all::<inspect::Container>(ObjectKind::Container)?.into_iter().map(Container::from).collect())
    }

    fn container(&self, name: &str) -> Result<Option<Container>> {
        let answers = self.inspect::<inspect::Container>(ObjectKind::Container, &[name.to_owned()])?;
        Ok(answers.and_then(|all| all.into_iter().next()).map(Container::from))
    }

    fn stop(&self, name: &str, grace: Duration) -> Result<()> {
        self.docker(&commands::stop(name, grace)).map(drop)
    }

    fn start(&self, name: &str) -> Result<()> {
        self.docker(&commands::start(name)).map(drop)
    }

    fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let answers = self.inspect::<inspect::Volume>(ObjectKind::Volume, &[name.to_owned()])?;
        Ok(answers.and_then(|all| all.into_iter().next()).map(Volume::from))
    }

    fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        self.docker(&commands::create_volume(spec)).map(drop)
    }

    fn remove_volume(&self, name: &str) -> Result<()> {
        match self.docker(&commands::remove_volume(name)) {
            Err(Error::Command { message, .. }) if absent(&message) => Ok(()),
            other => other.map(drop),
        }
    }
}
