//! A tree of the backup, extracted beside the place where it is to go.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use reprise_host::{Command, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::arrive::Arriving;
use super::{expect_directory, fail, nothing_at, refused, sh};
use crate::{Cx, Effect, Extracted, Observed, Result, Script};

/// A file of the staged tree whose content is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The file, within the tree. It exists there and is a regular file.
    pub path: PathBuf,
    /// What it will hold.
    pub content: String,
    /// A name beside it under which the file as it was is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
}

/// Extracts a tree of the backup to a path that does not exist yet, on the file system where it is to go.
/// Services go on meanwhile. The tree appears under its name only when it is whole and on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The tree in the backup, without a leading slash.
    pub from: String,
    /// Where it is put together.
    pub into: PathBuf,
    /// What it must hold, or the step fails: entries and bytes.
    pub entries: u64,
    /// Bytes of content in it.
    pub bytes: u64,
    /// Files that are changed in the staged tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// The command that does the extraction in a script, in the present directory, with `from` as its path.
    pub by_hand: Command,
}

impl Stage {
    /// The tree before it is whole.
    fn part(&self) -> PathBuf {
        let mut name = self.into.clone().into_os_string();
        name.push(".part");
        PathBuf::from(name)
    }
}

impl Effect for Stage {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-stage")
            .text("path", format!("/{}", self.from))
            .bytes("size", self.bytes)
            .count("entries", self.entries)
    }

    fn render(&self, script: &mut Script) {
        let (part, into) = (sh(&self.part()), sh(&self.into));
        script.expect_nothing_at(&self.part());
        script.expect_nothing_at(&self.into);
        script.line(format!("mkdir -m 700 -- {part}"));
        script.line(format!("(cd -- {part} && {})", self.by_hand));
        script.line(format!("mv -T -- {} {into}", sh(&self.part().join(&self.from))));
        script.line(format!("rm -rf -- {part}"));
        for edit in &self.edits {
            let file = self.into.join(&edit.path);
            // A link in the backup must not lead out of the tree.
            script.line(format!(
                "[[ -f {file} && $(realpath -- {file}) == \"$(realpath -- {into})\"/{path} ]] || {{ {fail}; }}",
                file = sh(&file),
                path = sh(&edit.path),
                fail = fail(&file, "is not a regular file within its tree"),
            ));
            if let Some(original) = &edit.original {
                let original = file.with_file_name(original);
                let in_the_way = fail(&original, "is in the way");
                script.line(format!("{} || {{ {in_the_way}; }}", nothing_at(&original)));
                script.line(format!("cp -aT -- {} {}", sh(&file), sh(&original)));
            }
            script.line(format!("printf %s {} > {}", quote(&edit.content), sh(&file)));
        }
        script.undo(format!("rm -rf -- {part} {into}"));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        if cx.host.stat(&self.into)?.is_some() {
            return Ok(Observed::Satisfied);
        }
        if let Some(parent) = self.into.parent() {
            expect_directory(parent, cx)?;
        }
        cx.source.check(&self.from)?;
        Ok(Observed::Needed(()))
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        // The name says it all: under `into` the tree is whole, under `part` it never counts as such.
        if cx.host.stat(&self.into)?.is_some() {
            return Ok(());
        }
        let part = self.part();
        let arriving = Arriving { from: &self.from, some: None, at: &part };
        arriving.write(|wrote| self.settle(&part, wrote, cx), cx)?;
        Ok(cx.host.rename(&part, &self.into)?)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        let part = self.part();
        cx.host.remove_tree(&part)?;
        if cx.host.stat(&self.into)?.is_some() {
            // It loses its name first: cut off half-way, a removal must not leave half a tree under the name
            // that says it is whole.
            cx.host.rename(&self.into, &part)?;
            cx.host.remove_tree(&part)?;
        }
        Ok(())
    }
}

impl Stage {
    /// What is left to do once the tree is at `part`.
    fn settle(&self, part: &Path, wrote: &Extracted, cx: &Cx<'_>) -> Result<()> {
        self.expect_all(wrote.entries, wrote.bytes)?;
        for edit in &self.edits {
            let original = edit.original.as_deref().map(OsStr::new);
            match cx.host.edit(part, &edit.path, edit.content.as_bytes(), original) {
                Err(error) if !error.is_connection_lost() => {
                    let hint = "adapt the file by hand after a restore with --adapt none";
                    return Err(refused(&part.join(&edit.path), error.to_string(), hint));
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn expect_all(&self, entries: u64, bytes: u64) -> Result<()> {
        if (entries, bytes) == (self.entries, self.bytes) {
            return Ok(());
        }
        let why = format!(
            "{entries} entries and {bytes} bytes were extracted, but the plan counted {} and {}",
            self.entries, self.bytes
        );
        Err(refused(&self.into, why, "the archive is not the one that was planned with"))
    }
}
