//! The primitive steps: all that ever changes a host.

mod again;
mod arrive;
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
mod to_disk;
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
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Cx, Error, Result};

/// Warnings of other programs that are passed on one by one.
const WARNINGS: usize = 20;

/// The first of `warnings`, and how many more there are.
fn first_of(mut warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(WARNINGS);
    warnings.truncate(WARNINGS);
    if more > 0 {
        warnings.push(format!("… and {more} more like these"));
    }
    warnings
}

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

/// What [`write_record`] wrote at `path`, of at most `limit` bytes; nothing where there is none.
fn read_record<T: DeserializeOwned>(path: &Path, limit: u64, cx: &Cx<'_>) -> Result<Option<T>> {
    if cx.host.stat(path)?.is_none() {
        return Ok(None);
    }
    serde_json::from_slice(&cx.host.read(path, limit)?).map(Some).map_err(|error| {
        refused(
            path,
            format!("cannot be read: {error}"),
            "it was written by another version of Reprise; use that one for this operation",
        )
    })
}

/// Writes down at `path` what must be known after a cut: it is there whole, and on disk, or not at all.
fn write_record<T: Serialize>(path: &Path, record: &T, cx: &Cx<'_>) -> Result<()> {
    let text = serde_json::to_vec(record)
        .map_err(|error| refused(path, error.to_string(), "this is a mistake of Reprise's"))?;
    Ok(cx.host.write(path, &text)?)
}

/// Fails unless `path` is a directory that can hold something new.
fn expect_directory(path: &Path, cx: &Cx<'_>) -> Result<()> {
    match cx.host.stat(path)? {
        Some(stat) if stat.kind == FileKind::Directory => Ok(()),
        Some(_) => Err(refused(path, "is not a directory", "move it out of the way and try again")),
        None => Err(refused(path, "is not there", "make the plan again: the host has changed")),
    }
}
