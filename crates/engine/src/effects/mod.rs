//! The primitive steps: all that ever changes a host.

mod aside;
mod back_up;
mod compose;
mod container;
mod dirs;
mod health;
mod make;
mod mirror;
mod network;
mod place;
mod snapshot;
mod stage;
mod store;
mod swap;
mod volume;

pub use aside::{KEPT_LABEL, Service, SetAside};
pub use back_up::BackUp;
pub use compose::ComposeCreate;
pub use container::{StartContainer, StopContainer};
pub use dirs::MakeDir;
pub use health::AwaitHealthy;
pub use make::{CreateContainer, OPERATION_LABEL, Recorded};
pub use mirror::{Keep, Mirror, Way};
pub use network::CreateNetwork;
pub use place::Place;
pub use snapshot::{Lvm, Snapshot, SnapshotKind, TreeCopy};
pub use stage::{Edit, Stage};
pub use store::OpenStore;
pub use swap::Swap;
pub use volume::CreateVolume;

use std::path::Path;

use reprise_host::{FileKind, quote};

use crate::{Cx, Error, Result};

/// `path` quoted for a script.
fn sh(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A test for a script: something lies at `path`, if only a link to nowhere.
fn something_at(path: &Path) -> String {
    format!("[[ -e {path} || -L {path} ]]", path = sh(path))
}

/// A test for a script: nothing lies at `path`, not even a link to nowhere.
fn nothing_at(path: &Path) -> String {
    format!("[[ ! -e {path} && ! -L {path} ]]", path = sh(path))
}

/// What ends a script with the words that `path` is not as it should be.
fn fail(path: &Path, why: &str) -> String {
    format!("echo {} >&2; exit 1", quote(&format!("{} {why}", path.display())))
}

fn refused(what: &Path, why: impl Into<String>, hint: &'static str) -> Error {
    Error::Refused { what: what.display().to_string(), why: why.into(), hint }
}

/// Fails unless `path` is a directory that can hold something new.
fn expect_directory(path: &Path, cx: &Cx<'_>) -> Result<()> {
    match cx.host.stat(path)? {
        Some(stat) if stat.kind == FileKind::Directory => Ok(()),
        Some(_) => Err(refused(path, "is not a directory", "move it out of the way and try again")),
        None => Err(refused(path, "is not there", "make the plan again: the host has changed")),
    }
}
