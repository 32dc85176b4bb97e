//! A copy on another file system, for what lies on one that takes no snapshots and in which containers may write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_host::{Attributes, Command};
use serde::{Deserialize, Serialize};

use super::put_back::{expect_alone, expect_same, synced};
use crate::effects::store::is_other_device;
use crate::effects::{read_record, refused, write_record};
use crate::{Cx, Result};

/// Where what the tree's top had is written down.
const TOP: &str = "top";

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
        let copy = Command::new("cp").args([
            "-a",
            "--preserve=xattr",
            "--one-file-system",
            "--reflink=auto",
            "-T",
            "--",
        ]);
        let path = |path: &Path| path.to_string_lossy().into_owned();
        copy.args([path(&self.of), path(&self.partial())]).limit(Duration::from_hours(24))
    }

    /// Makes the copy, of a tree that nobody else gets into from here on: what is written behind its back is in no copy. It gets
    /// its name when it is whole, and on disk.
    pub(super) fn take(&self, store: &Path, cx: &Cx<'_>) -> Result<()> {
        self.expect_mounted(cx)?;
        expect_alone(&self.of, true, cx)?;
        if cx.host.pretends() {
            return Ok(());
        }
        let partial = self.partial();
        cx.host.remove_tree(&partial)?;
        let disk = cx.host.disk_of(&partial)?;
        let had = self.close(store, cx)?;
        cx.run_long(&self.create())?;
        expect_same(&self.of, &partial, true, cx)?;
        cx.host.set_attributes(&partial, Path::new(""), &had)?;
        disk.flush()?;
        Ok(cx.host.rename(&partial, &self.at)?)
    }

    /// Makes the tree's top private, and returns what it had, which is written into `store` before.
    fn close(&self, store: &Path, cx: &Cx<'_>) -> Result<Attributes> {
        let had = if let Some(had) = Self::top(store, cx)? {
            had
        } else {
            let had = cx.host.attributes(&self.of)?;
            write_record(&store.join(TOP), &had, cx)?;
            had
        };
        let mut private = Attributes { mode: 0o700, uid: cx.host.user(), ..had.clone() };
        private.xattrs.retain(|(name, _)| name != "system.posix_acl_access");
        cx.host.set_attributes(&self.of, Path::new(""), &private)?;
        Ok(had)
    }

    /// Gives the tree's top what it had.
    pub(super) fn reopen(&self, store: &Path, cx: &Cx<'_>) -> Result<()> {
        let Some(had) = Self::top(store, cx)? else { return Ok(()) };
        self.expect_mounted(cx)?;
        // Where nobody may change them, they are what they were.
        if cx.host.attributes(&self.of)? != had {
            cx.host.set_attributes(&self.of, Path::new(""), &had)?;
            synced(&self.of, cx)?;
        }
        Ok(cx.host.remove_tree(&store.join(TOP))?)
    }

    fn top(store: &Path, cx: &Cx<'_>) -> Result<Option<Attributes>> {
        read_record(&store.join(TOP), 8 << 20, cx)
    }

    /// Removes the copy, whole or not; fine when it is gone. Half removed, it must not be taken for one.
    pub(super) fn forget(&self, cx: &Cx<'_>) -> Result<()> {
        let partial = self.partial();
        if cx.host.stat(&self.at)?.is_some() {
            cx.host.remove_tree(&partial)?;
            cx.host.rename(&self.at, &partial)?;
        }
        Ok(cx.host.remove_tree(&partial)?)
    }

    /// Fails unless what was copied is mounted: while it is not, another directory is there.
    pub(super) fn expect_mounted(&self, cx: &Cx<'_>) -> Result<()> {
        // A part of the same file system may be mounted there, too.
        let is_mounted = || -> Result<bool> {
            Ok(is_other_device(&self.of, cx)? || cx.host.mounts_within(&self.of)?.contains(&self.of))
        };
        if cx.host.stat(&self.of)?.is_some() && is_mounted()? {
            return Ok(());
        }
        Err(refused(&self.of, "is not mounted", "mount what belongs there and try again"))
    }
}
