//! The moment of the restore: two trees exchange their places, the replaced one is kept.

use std::path::{Path, PathBuf};

use reprise_host::{Error as HostError, Inode};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::container::expect_unused;
use super::{refused, sh, something_at};
use crate::{Cx, Effect, Error, Observed, Result, Script};

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

    /// Where two names cannot be exchanged in one step: the present tree is kept first, then the restored one takes its
    /// place. A cut between the two leaves nothing at the target, which both applying and undoing know what to do about.
    fn in_two_steps(&self, before: &Trees, cx: &Cx<'_>) -> Result<()> {
        cx.host.rename(&self.target, &self.kept)?;
        if Self::inode(&self.kept, cx)? != Some(before.target) {
            cx.host.rename(&self.kept, &self.target)?;
            return Err(replaced_meanwhile(&self.target));
        }
        Ok(cx.host.rename(&self.staged, &self.target)?)
    }

    /// Names cannot change places between file systems, nor can that of a mount point.
    fn expect_one_file_system(&self, cx: &Cx<'_>) -> Result<()> {
        let device = |path| Ok::<_, Error>(cx.host.stat(path)?.map(|stat| stat.device));
        if device(&self.target)? == device(&self.staged)? {
            return Ok(());
        }
        Err(refused(
            &self.target,
            "is a file system of its own, or the restored tree is on another one",
            "restore to another place and copy from there",
        ))
    }
}

fn replaced_meanwhile(target: &Path) -> Error {
    let hint = "look at what lies there, then make the plan again";
    refused(target, "was replaced by something else in this very moment", hint)
}

impl Effect for Swap {
    type Before = Trees;

    fn describe(&self) -> Message {
        Message::new("step-swap").text("path", self.target.display())
    }

    fn render(&self, script: &mut Script) {
        let (staged, target, kept) = (sh(&self.staged), sh(&self.target), sh(&self.kept));
        script.expect_nothing_at(&self.kept);
        script.line(format!("mv -T -- {target} {kept}"));
        script.line(format!("mv -T -- {staged} {target}"));
        script.undo(format!("if {}; then", something_at(&self.kept)));
        script.undo(format!("    if {}; then mv -T -- {target} {staged}; fi", something_at(&self.target)));
        script.undo(format!("    mv -T -- {kept} {target}"));
        script.undo("fi");
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Trees>> {
        let kept = Self::inode(&self.kept, cx)?;
        match (Self::inode(&self.target, cx)?, Self::inode(&self.staged, cx)?) {
            (Some(_), None) if kept.is_some() => Ok(Observed::Satisfied),
            (Some(target), Some(staged)) if kept.is_none() => {
                self.expect_one_file_system(cx)?;
                Ok(Observed::Needed(Trees { target, staged }))
            }
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
                expect_unused(&self.target, &self.users, cx)?;
                match cx.host.exchange(&self.target, new) {
                    Err(HostError::CannotExchange(_)) if new == self.staged => {
                        return self.in_two_steps(before, cx);
                    }
                    other => other?,
                }
                // Between the look and the exchange someone else may have put their tree there.
                if Self::inode(new, cx)? != Some(before.target) {
                    cx.host.exchange(&self.target, new)?;
                    return Err(replaced_meanwhile(&self.target));
                }
            }
            Some(inode) if inode == before.staged => {}
            // Two steps, of which the second is missing.
            None if Self::inode(&self.kept, cx)? == Some(before.target)
                && Self::inode(&self.staged, cx)? == Some(before.staged) =>
            {
                cx.host.rename(&self.staged, &self.target)?;
            }
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
            return if Self::inode(&self.kept, cx)? == Some(before.staged) {
                Ok(cx.host.rename(&self.kept, &self.staged)?)
            } else {
                Ok(())
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
        expect_unused(&self.target, &self.users, cx)?;
        match cx.host.exchange(&self.target, old) {
            Err(HostError::CannotExchange(_)) if old == self.kept => {
                cx.host.rename(&self.target, &self.staged)?;
                return Ok(cx.host.rename(&self.kept, &self.target)?);
            }
            other => other?,
        }
        if old == self.kept { Ok(cx.host.rename(&self.kept, &self.staged)?) } else { Ok(()) }
    }
}
