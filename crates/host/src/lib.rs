//! A machine that Reprise restores onto.
//!
//! [`Host`] is the whole of what anything above may do to a machine: look at files, exchange them, run
//! commands, drive its Docker engine. [`LocalHost`] is this machine, [`SshHost`] one that is reached over SSH;
//! [`OverlayHost`] answers like another host after changes that were never made, which is what a dry run runs
//! against. A [`Claim`] makes known on the machine itself what is being worked on.

mod both;
mod carry;
mod claim;
mod command;
mod docker;
mod edit;
mod error;
mod fed;
mod here;
mod host;
mod local;
mod mounts;
mod mutable;
mod overlay;
mod present;
mod process;
mod ssh;

pub use both::both;
pub use carry::{Attributes, Found, Move, any_path};
pub use claim::{Claim, Claimed, Thing, claims_directory};
pub use command::{Command, Output, quote, run_local, run_local_unless};
pub use docker::commands as docker_commands;
pub use docker::{
    Blueprint, Compose, ComposeForm, ComposeProject, Container, Docker, DockerCli, Endpoint, Engine, Health,
    Mount, NetworkSpec, ObjectKind, PortBinding, Protocol, Run, Subnet, Volume, VolumeSpec, may_be_id,
    reachable,
};
pub use error::{Error, Result};
pub use fed::Fed;
pub(crate) use host::absolute_mounts;
pub use host::{
    BTRFS_SUBVOLUME, Disk, FileKind, Files, Host, Inode, Pack, Packed, Space, Stat, Tree, Unpack, Unpacked,
};
pub use local::{HERE, LocalHost};
pub use overlay::OverlayHost;
pub use present::{Present, Seen};
pub use ssh::{
    BadDestination, Destination, Exchange, Facts, HostKey, Settings, SshHost, Trouble, make_identity, pin,
    scan,
};
