//! One directory more.

use std::path::PathBuf;

use reprise_host::FileKind;
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::{expect_directory, refused, sh};
use crate::{Cx, Effect, Observed, Result, Script};

/// Makes one directory. A plan has one such step for each level that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeDir {
    /// The directory.
    pub path: PathBuf,
    /// Its permissions.
    #[serde(default = "open_to_read")]
    pub mode: u32,
}

fn open_to_read() -> u32 {
    0o755
}

impl Effect for MakeDir {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-make-dir").text("path", self.path.display())
    }

    fn render(&self, script: &mut Script) {
        let path = sh(&self.path);
        script.needed_if(format!("[[ ! -d {path} ]]"));
        script.line(format!("[[ -d {path} ]] || mkdir -m {:o} -- {path}", self.mode));
        script.undo(format!("[[ ! -d {path} ]] || rmdir --ignore-fail-on-non-empty -- {path}"));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        match cx.host.stat(&self.path)? {
            None => {
                if let Some(parent) = self.path.parent() {
                    expect_directory(parent, cx)?;
                }
                Ok(Observed::Needed(()))
            }
            Some(stat) if stat.kind == FileKind::Directory => Ok(Observed::Satisfied),
            Some(_) => Err(refused(&self.path, "is not a directory", "move it out of the way and try again")),
        }
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        Ok(cx.host.make_dir(&self.path, self.mode)?)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        // What someone else has put there since is theirs: then the directory stays.
        if !cx.host.remove_dir(&self.path)? {
            cx.watch.warn(&Message::new("warn-dir-not-empty").text("path", self.path.display()));
        }
        Ok(())
    }
}
