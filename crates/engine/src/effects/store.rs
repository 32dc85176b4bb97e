//! A private directory on the target's file system, for what comes into a tree that cannot be exchanged as a whole, and
//! for what that replaces.

use std::path::{Path, PathBuf};

use reprise_host::{Attributes, Inode};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::{expect_directory, refused, sh};
use crate::{Cx, Effect, Observed, Result, Script};

/// Makes the directory. It may lie in the target itself: where that is a mount point, nothing else is on its file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStore {
    /// The tree it is for.
    pub target: PathBuf,
    /// The directory.
    pub store: PathBuf,
}

/// What the target was: a new name in a directory changes its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The target itself, to tell it from what is there while it is not mounted.
    inode: Inode,
    /// When it last changed: seconds since 1970.
    seconds: i64,
    /// And nanoseconds.
    nanoseconds: u32,
}

/// Whether what is at `path` lies on another device than the directory around it.
pub(super) fn is_other_device(path: &Path, cx: &Cx<'_>) -> Result<bool> {
    let device = |path: Option<&Path>| -> Result<Option<u64>> {
        let stat = path.map(|path| cx.host.stat(path)).transpose()?.flatten();
        Ok(stat.map(|stat| stat.device))
    };
    Ok(device(Some(path))? != device(path.parent())?)
}

/// Where `store` lies in `target`, a file system of its own, and is not there: fails unless that is mounted, as it may well
/// hold it.
pub(super) fn expect_mounted(target: &Path, store: &Path, cx: &Cx<'_>) -> Result<()> {
    if !store.starts_with(target) || is_other_device(target, cx)? {
        return Ok(());
    }
    Err(refused(target, "is not mounted, so what is kept in it cannot be removed", "mount it and try again"))
}

impl Effect for OpenStore {
    type Before = Opened;

    fn describe(&self) -> Message {
        Message::new("step-open-store").text("path", self.store.display())
    }

    fn render(&self, script: &mut Script) {
        let (store, target) = (sh(&self.store), sh(&self.target));
        let time = sh(&self.store.join("time"));
        script.expect_nothing_at(&self.store);
        script.line(format!("changed=$(stat -c %y -- {target})"));
        script.line(format!("mkdir -m 700 -- {store}"));
        script.line(format!("printf %s \"$changed\" > {time}"));
        script.undo(format!("if [[ -e {time} ]]; then"));
        script.undo(format!("    changed=$(cat -- {time})"));
        script.undo(format!("    rm -rf --one-file-system -- {store}"));
        script.undo(format!("    touch -m -d \"$changed\" -- {target}"));
        script.undo("fi");
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Opened>> {
        expect_directory(&self.target, cx)?;
        if cx.host.stat(&self.store)?.is_some() {
            return Err(refused(
                &self.store,
                "is there already",
                "it is named after this operation, which did not make it: find out who did",
            ));
        }
        if let Some(parent) = self.store.parent() {
            expect_directory(parent, cx)?;
        }
        let had = cx.host.attributes(&self.target)?;
        match cx.host.stat(&self.target)? {
            Some(stat) => Ok(Observed::Needed(Opened {
                inode: stat.inode,
                seconds: had.seconds,
                nanoseconds: had.nanoseconds,
            })),
            None => Err(refused(&self.target, "is gone", "make the plan again: the host has changed")),
        }
    }

    fn apply(&self, _: &Opened, cx: &Cx<'_>) -> Result<()> {
        Ok(cx.host.make_dir(&self.store, 0o700)?)
    }

    fn undo(&self, before: &Opened, cx: &Cx<'_>) -> Result<()> {
        match cx.host.stat(&self.target)? {
            Some(stat) if stat.inode == before.inode => {}
            found => {
                let why = if found.is_some() { "is not what it was" } else { "is gone" };
                return Err(refused(&self.target, why, "mount what belongs there and try again"));
            }
        }
        cx.host.remove_tree(&self.store)?;
        if !self.store.starts_with(&self.target) {
            return Ok(());
        }
        // Its time and nothing else: somebody may have given it another owner or mode meanwhile.
        let now = cx.host.attributes(&self.target)?;
        let Opened { seconds, nanoseconds, .. } = *before;
        let wanted = Attributes { seconds, nanoseconds, ..now };
        Ok(cx.host.set_attributes(&self.target, Path::new(""), &wanted)?)
    }
}
