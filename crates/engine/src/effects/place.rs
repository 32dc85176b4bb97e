//! A restored tree goes where nothing is.

use std::path::PathBuf;

use reprise_host::{Error as HostError, Inode};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::container::expect_unused;
use super::{expect_directory, fail, nothing_at, refused, sh};
use crate::{Cx, Effect, Error, Observed, Result, Script};

/// Renames the staged tree to a target that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The restored tree.
    pub staged: PathBuf,
    /// Where it goes.
    pub target: PathBuf,
}

impl Effect for Place {
    /// The restored tree, wherever it is.
    type Before = Inode;

    fn describe(&self) -> Message {
        Message::new("step-swap-new").text("path", self.target.display())
    }

    fn render(&self, script: &mut Script) {
        let (staged, target) = (sh(&self.staged), sh(&self.target));
        script.line(format!("mv -nT -- {staged} {target}"));
        // Where something is in the way, that moves nothing and says nothing.
        let in_the_way = fail(&self.target, "is in the way");
        script.line(format!("{} || {{ {in_the_way}; }}", nothing_at(&self.staged)));
        script.undo(format!("if {}; then mv -T -- {target} {staged}; fi", nothing_at(&self.staged)));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Inode>> {
        match (cx.host.stat(&self.target)?, cx.host.stat(&self.staged)?) {
            (None, Some(staged)) => {
                if let Some(parent) = self.target.parent() {
                    expect_directory(parent, cx)?;
                }
                Ok(Observed::Needed(staged.inode))
            }
            (Some(_), None) => Ok(Observed::Satisfied),
            (None, None) => Err(refused(&self.staged, "the restored tree is gone", "restore again")),
            (Some(_), Some(_)) => Err(refused(
                &self.target,
                "appeared since the plan was made",
                "look at what lies there, then make the plan again",
            )),
        }
    }

    fn apply(&self, before: &Inode, cx: &Cx<'_>) -> Result<()> {
        match cx.host.stat(&self.target)? {
            Some(stat) if stat.inode == *before => Ok(()),
            _ => Ok(cx.host.rename(&self.staged, &self.target)?),
        }
    }

    fn undo(&self, before: &Inode, cx: &Cx<'_>) -> Result<()> {
        match cx.host.stat(&self.target)? {
            Some(stat) if stat.inode == *before => {
                match expect_unused(&self.target, &[], cx) {
                    // A host without Docker has no container that could use it.
                    Err(Error::Host(HostError::DockerUnreachable(_) | HostError::Start { .. })) | Ok(()) => {
                        Ok(cx.host.rename(&self.target, &self.staged)?)
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            Some(_) if cx.host.stat(&self.staged)?.is_none() => Err(refused(
                &self.target,
                "was replaced again since this restore",
                "roll that later operation back first, or move what lies there now elsewhere",
            )),
            _ => Ok(()),
        }
    }
}
