//! Docker driven by its own command line, so that the same commands run here, over SSH and in scripts.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Container, Docker, Engine, Volume, VolumeSpec, commands, inspect};
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

    /// What `docker inspect` says of `names`, or nothing where one of them does not exist.
    fn inspect<T: DeserializeOwned>(&self, kind: &str, names: &[String]) -> Result<Option<Vec<T>>> {
        let command = Command::new("docker").args([kind, "inspect", "--"]).args(names);
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

    fn containers(&self) -> Result<Vec<Container>> {
        // A container may go between the two questions: ask again.
        for _ in 0..5 {
            let listed = self.docker(&Command::new("docker").args(["ps", "-aq", "--no-trunc"]))?;
            let ids: Vec<String> =
                String::from_utf8_lossy(&listed.stdout).lines().map(ToOwned::to_owned).collect();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            if let Some(answers) = self.inspect::<inspect::Container>("container", &ids)? {
                return Ok(answers.into_iter().map(Container::from).collect());
            }
        }
        Err(Error::Answer {
            command: "docker container inspect".to_owned(),
            reason: "containers come and go faster than they can be listed".to_owned(),
        })
    }

    fn container(&self, name: &str) -> Result<Option<Container>> {
        let answers = self.inspect::<inspect::Container>("container", &[name.to_owned()])?;
        Ok(answers.and_then(|all| all.into_iter().next()).map(Container::from))
    }

    fn stop(&self, name: &str, grace: Duration) -> Result<()> {
        self.docker(&commands::stop(name, grace)).map(drop)
    }

    fn start(&self, name: &str) -> Result<()> {
        self.docker(&commands::start(name)).map(drop)
    }

    fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let answers = self.inspect::<inspect::Volume>("volume", &[name.to_owned()])?;
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
