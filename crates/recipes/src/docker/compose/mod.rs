//! Docker Compose files: reading them, and rewriting them for another place.
//!
//! A restore needs to know what a project consists of (services, volumes, files), in which order it starts,
//! and, when it is restored beside the original, what in the file must change so that `docker compose up`
//! works from there. Everything here is data in, data out: no files are opened, no commands run, no
//! environment is read. The rules are those of Compose itself (the compose-go loader), with the older
//! Python `docker-compose` where it differs.
//!
//! Files from a backup are untrusted: sizes, depth and alias expansion are limited ([`limits`]), and a rewrite
//! is parsed again and refused if anything but the intended values changed.

mod adapt;
mod diff;
mod dotenv;
mod error;
mod interpolate;
mod mount;
mod name;
mod order;
mod paths;
mod port;
mod read;
mod types;
mod volumes;
mod yaml;

#[cfg(test)]
use reprise_model::Adaptation;
#[cfg(test)]
mod tests;

pub use adapt::{AdaptNote, Adapted, Change, OutputFile, Relocation, adapt, original_file_name};
pub use diff::unified_diff;
pub use dotenv::Variables;
pub use error::ComposeError;
pub use interpolate::{Interpolated, interpolate};
pub use name::{NameOrigin, ProjectName, normalise, normalise_v1, project_name, project_name_origin};
pub use order::{Order, parse_depends_on_label, start_order};
pub use read::{read, read_with};
pub use types::{
    ComposeFile, Condition, Dependency, EnvFile, Extends, FileFormat, FileResource, Mount, MountKind,
    Network, Port, Service, Volume,
};
pub use volumes::{ProjectVolume, project_volumes};
pub use yaml::limits;
