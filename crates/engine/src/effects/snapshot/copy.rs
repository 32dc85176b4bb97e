//! A copy on another file system, for what lies on one that takes no snapshots and in which containers may write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_host::Command;
use serde::{Deserialize, Serialize};

use super::put_back::expect_same;
use super::refused;
use crate::{Cx, Result};

/// A copy of a file system's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeCopy {
    /// Where the file system is mounted.
    pub of: PathBuf,
    /// Where its copy will be, on another one.
    pub at: PathBuf,
    /// Entries that were there when the plan was made.
    pub entries: u64,
    /// Bytes of content in them.
    pub bytes: u64,
}

impl TreeCopy {
    /// A copy that is not whole yet.
    fn partial(&self) -> PathBuf {
        let mut name = self.at.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        self.at.with_file_name(name)
    }

    /// One program, no shell around it: it ends when who asked for it ends.
    pub(super) fn create(&self) -> Command {
        let copy = Command::new("cp").args(["-a", "--one-file-system", "--reflink=auto", "-T", "--"]);
        let path = |path: &Path| path.to_string_lossy().into_owned();
        copy.args([path(&self.of), path(&self.partial())]).limit(Duration::from_hours(24))
    }

    /// Makes the copy. It gets its name when it is whole, and on disk.
    pub(super) fn take(&self, cx: &Cx<'_>) -> Result<()> {
        self.expect_mounted(cx)?;
        if cx.host.pretends() {
            return Ok(());
        }
        let partial = self.partial();
        cx.host.remove_tree(&partial)?;
        cx.host.run(&self.create())?;
        expect_same(&self.of, &partial, true, cx)?;
        cx.host.tree_written(&partial)?;
        Ok(cx.host.rename(&partial, &self.at)?)
    }

    /// Removes the copy. Half removed, it must not be taken for one.
    pub(super) fn forget(&self, cx: &Cx<'_>) -> Result<()> {
        self.forget_partial(cx)?;
        cx.host.rename(&self.at, &self.partial())?;
        self.forget_partial(cx)
    }

    /// Removes what is no whole copy.
    pub(super) fn forget_partial(&self, cx: &Cx<'_>) -> Result<()> {
        Ok(cx.host.remove_tree(&self.partial())?)
    }

    /// Fails unless what was copied is mounted: while it is not, another directory is there.
    pub(super) fn expect_mounted(&self, cx: &Cx<'_>) -> Result<()> {
        let device = |path: &Path| Ok::<_, crate::Error>(cx.host.stat(path)?.map(|stat| stat.device));
        let above = self.of.parent().unwrap_or(&self.of);
        match device(&self.of)? {
            Some(own) if device(above)? != Some(own) => Ok(()),
            _ => Err(refused(&self.of, "is not mounted", "mount what belongs there and try again")),
        }
    }
}
