//! A machine that Reprise restores onto.
//!
//! [`Host`] is the whole of what anything above may do to a machine: look at files, exchange them, run
//! commands, drive its Docker engine. [`LocalHost`] is this machine; [`OverlayHost`] answers like another
//! host after changes that were never made, which is what a dry run runs against.

mod command;
mod docker;
mod error;
mod host;
mod local;
mod mutable;
mod overlay;

pub use command::{Command, Output, quote, run_local};
pub use docker::commands as docker_commands;
pub use docker::{
    Container, Docker, DockerCli, Engine, Health, Mount, ObjectKind, PortBinding, Run, Volume, VolumeSpec,
};
pub use error::{Error, Result};
pub use host::{FileKind, Host, Inode, Space, Stat, Tree};
pub use local::LocalHost;
pub use overlay::OverlayHost;
