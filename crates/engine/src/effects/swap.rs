//! The moment of the restore: two trees exchange their places, the replaced one is kept.

use std::path::{Path, PathBuf};

use reprise_host::Inode;
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::{nothing_at, refused, sh};
use crate::effects::container::STOP_GRACE;
use crate::{Cx, Effect, Observed, Result, Script};

/// Puts the staged tree in the place of the target and keeps the target's tree, all on one file system.
/// How large the trees are makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The restored tree.
    pub staged: PathBuf,
    /// Where it goes. Exists when the step begins.
    pub target: PathBuf,
    /// Where the tree that is there now is kept for a rollback.
    pub kept: PathBuf,
    /// The containers that a plan has stopped for this. Should a reboot or a restart of the engine have
    /// brought one back, it is stopped again; any other that uses the target makes the step refuse.
    pub users: Vec<String>,
}

/// Which tree was where. Inodes stay with their trees, so what a cut left behind can always be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trees {
    target: Inode,
    staged: Inode,
}

impl Swap {
    fn inode(path: &Path, cx: &Cx<'_>) -> Result<Option<Inode>> {
        Ok(cx.host.stat(path)?.map(|stat| stat.inode))
    }

    /// Which of the two names beside the target the tree `inode` has: an undoing that was cut off leaves the
    /// restored tree under the one of the kept tree, an application that was cut off the other way round.
    fn find(&self, inode: Inode, cx: &Cx<'_>) -> Result<Option<&Path>> {
        for path in [&self.kept, &self.staged] {
            if Self::inode(path, cx)? == Some(inode) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// No process may see the tree change under its feet.
    fn expect_unused(&self, cx: &Cx<'_>) -> Result<()> {
        let docker = cx.host.docker();
        for container in docker.containers()? {
            if !container.running || !container.mounts_within(&self.target) {
                continue;
            }
            if !self.users.contains(&container.name) {
                let why =
                    format!("container {} uses it and was started since the plan was made", container.name);
                return Err(refused(&self.target, why, "stop that container and try again"));
            }
            docker.stop(&container.name, STOP_GRACE)?;
        }
        Ok(())
    }
}

impl Effect for Swap {
    type Before = Trees;

    fn describe(&self) -> Message {
        Message::new("step-swap").text("path", self.target.display())
    }

    fn render(&self, script: &mut Script) {
        let (staged, target, kept) = (sh(&self.staged), sh(&self.target), sh(&self.kept));
        script.line(format!("mv -T -- {target} {kept}"));
        script.line(format!("mv -T -- {staged} {target}"));
        let (no_target, no_kept) = (nothing_at(&self.target), nothing_at(&self.kept));
        script.undo(format!("if ! {no_kept}; then"));
        script.undo(format!("    if ! {no_target}; then mv -T -- {target} {staged}; fi"));
        script.undo(format!("    mv -T -- {kept} {target}"));
        script.undo("fi");
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Trees>> {
        let kept = Self::inode(&self.kept, cx)?;
        match (Self::inode(&self.target, cx)?, Self::inode(&self.staged, cx)?) {
            (Some(_), None) if kept.is_some() => Ok(Observed::Satisfied),
            (Some(target), Some(staged)) if kept.is_none() => Ok(Observed::Needed(Trees { target, staged })),
            (None, _) => Err(refused(
                &self.target,
                "was there when the plan was made and is gone",
                "make the plan again: the host has changed",
            )),
            (_, None) => Err(refused(&self.staged, "the restored tree is gone", "restore again")),
            (_, Some(_)) => Err(refused(&self.kept, "is in the way", "move it elsewhere and try again")),
        }
    }

    fn apply(&self, before: &Trees, cx: &Cx<'_>) -> Result<()> {
        match Self::inode(&self.target, cx)? {
            Some(inode) if inode == before.target => {
                let Some(new) = self.find(before.staged, cx)? else {
                    return Err(refused(&self.staged, "the restored tree is gone", "restore again"));
                };
                self.expect_unused(cx)?;
                cx.host.exchange(&self.target, new)?;
            }
            Some(inode) if inode == before.staged => {}
            _ => {
                return Err(refused(
                    &self.target,
                    "was replaced by something else",
                    "look at what lies there",
                ));
            }
        }
        if Self::inode(&self.staged, cx)? == Some(before.target) {
            cx.host.rename(&self.staged, &self.kept)?;
        }
        Ok(())
    }

    fn undo(&self, before: &Trees, cx: &Cx<'_>) -> Result<()> {
        let now = Self::inode(&self.target, cx)?;
        if now == Some(before.target) {
            // An undoing that was cut off between its two steps has the restored tree under this name.
            return match Self::inode(&self.kept, cx)? == Some(before.staged) {
                true => Ok(cx.host.rename(&self.kept, &self.staged)?),
                false => Ok(()),
            };
        }
        if now.is_some() && now != Some(before.staged) {
            return Err(refused(
                &self.target,
                "was replaced again since this restore",
                "roll that later operation back first, or move what lies there now elsewhere",
            ));
        }
        let Some(old) = self.find(before.target, cx)? else {
            return Err(refused(
                &self.kept,
                "the tree kept for the rollback is gone",
                "restore from an archive",
            ));
        };
        if now.is_none() {
            return Ok(cx.host.rename(old, &self.target)?);
        }
        self.expect_unused(cx)?;
        cx.host.exchange(&self.target, old)?;
        if old == self.kept { Ok(cx.host.rename(&self.kept, &self.staged)?) } else { Ok(()) }
    }
}
