//! What is there becomes an archive of the backup's repository before it is restored over. It outlives everything that
//! is kept on the host, and it does not undo anything by itself.

use std::path::PathBuf;

use reprise_host::{Command, Files};
use reprise_model::{Message, Observer};
use serde::{Deserialize, Serialize};

use super::{again, first_of};
use crate::{Cx, Effect, Observed, Result, Script};

/// Makes an archive of what is there. Undoing leaves it: a rollback needs neither the repository nor its passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackUp {
    /// What it is called.
    pub archive: String,
    /// What goes into it, with everything below.
    pub paths: Vec<PathBuf>,
    /// What does not, with everything below.
    pub except: Vec<PathBuf>,
    /// What the paths are expected to hold, in bytes.
    pub bytes: u64,
    /// The command that makes it in a script.
    pub by_hand: Command,
}

impl Effect for BackUp {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-back-up").text("archive", &self.archive)
    }

    fn render(&self, script: &mut Script) {
        script.run(&self.by_hand);
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        Ok(if cx.source.has_archive(&self.archive)? { Observed::Satisfied } else { Observed::Needed(()) })
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        if cx.source.has_archive(&self.archive)? {
            return Ok(());
        }
        for warning in again::while_lost(cx, |observer| self.make(observer, cx))? {
            cx.watch.warn(&Message::new("warn-back-up").text("warning", warning));
        }
        Ok(())
    }

    fn undo(&self, (): &(), _: &Cx<'_>) -> Result<()> {
        Ok(())
    }
}

impl BackUp {
    /// Makes the archive. Returns what could not be read, for people.
    fn make(&self, observer: &dyn Observer, cx: &Cx<'_>) -> Result<Vec<String>> {
        Ok(first_of(match cx.host.pack(&self.paths, &self.except)? {
            Files::Here => cx.source.back_up(&self.archive, &self.paths, &self.except, observer)?,
            Files::Elsewhere(packed) => cx.source.back_up_packed(&self.archive, packed, observer)?,
            Files::Pretended => Vec::new(),
        }))
    }
}
