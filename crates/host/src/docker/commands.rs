//! The command lines that change something, shared by the engine's steps and the scripts that show them.

use std::time::Duration;

use super::VolumeSpec;
use crate::Command;

/// Stops the container `name`, which gets `grace` to end by itself.
pub fn stop(name: &str, grace: Duration) -> Command {
    let seconds = grace.as_secs().to_string();
    Command::new("docker").args(["stop", "-t", &seconds, "--", name]).limit(grace + Duration::from_mins(1))
}

/// Starts the container `name`.
pub fn start(name: &str) -> Command {
    Command::new("docker").args(["start", "--", name])
}

/// Makes the volume of `spec`.
pub fn create_volume(spec: &VolumeSpec) -> Command {
    let labels = spec.labels.iter().flat_map(|(key, value)| ["--label".to_owned(), format!("{key}={value}")]);
    Command::new("docker").args(["volume", "create"]).args(labels).arg("--").arg(&spec.name)
}

/// Removes the volume `name`.
pub fn remove_volume(name: &str) -> Command {
    Command::new("docker").args(["volume", "rm", "--", name])
}
