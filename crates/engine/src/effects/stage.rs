//! A tree of the backup, extracted beside the place where it is to go.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use reprise_host::{Command, Tree, quote};
use reprise_model::Message;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

use super::{expect_directory, fail, nothing_at, refused, sh};
use crate::{Cx, Effect, Observed, Result, Script};

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
        cx.host.remove_tree(&part)?;
        if let Tree::Here(dir) = cx.host.tree(&part) {
            let wrote = cx.source.extract(&self.from, &dir, cx.watch)?;
            for warning in &wrote.warnings {
                cx.watch.warn(&Message::new("warn-extract").text("warning", warning));
            }
            if (wrote.entries, wrote.bytes) != (self.entries, self.bytes) {
                let why = format!(
                    "{} entries and {} bytes were extracted, but the plan counted {} and {}",
                    wrote.entries, wrote.bytes, self.entries, self.bytes
                );
                return Err(refused(&self.into, why, "the archive is not the one that was planned with"));
            }
            for edit in &self.edits {
                let done = edit.make(&dir);
                done.map_err(|error| {
                    let what = dir.join(&edit.path);
                    refused(
                        &what,
                        error.to_string(),
                        "adapt the file by hand after a restore with --adapt none",
                    )
                })?;
            }
        }
        cx.host.tree_written(&part)?;
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

impl Edit {
    /// Replaces the file's content in the tree at `root`. Its mode and owner stay.
    fn make(&self, root: &Path) -> io::Result<()> {
        let directory =
            open_beneath(root, self.path.parent().unwrap_or(Path::new("")), OFlags::DIRECTORY, 0)?;
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let at = |name: &Path, flags, mode| -> io::Result<File> {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(mode))?.into())
        };
        let mut file = at(name.as_ref(), OFlags::RDWR, 0)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if let Some(original) = &self.original {
            let mut before = Vec::new();
            file.read_to_end(&mut before)?;
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mut copy = at(original.as_ref(), create, 0o600)?;
            copy.write_all(&before)?;
            like(&copy, &meta)?;
        }
        let mut file = at(name.as_ref(), OFlags::WRONLY | OFlags::TRUNC, 0)?;
        file.write_all(self.content.as_bytes())
    }
}

/// Gives `file` the mode, owner and times of `meta`.
fn like(file: &File, meta: &Metadata) -> io::Result<()> {
    fchown(file, Some(meta.uid()), Some(meta.gid()))?;
    file.set_permissions(meta.permissions())?;
    file.set_modified(meta.modified()?)
}

/// Opens `path` below `root` without following any link: what lies there came from a backup.
fn open_beneath(root: &Path, path: &Path, flags: OFlags, mode: u32) -> io::Result<rustix::fd::OwnedFd> {
    let root =
        rustix::fs::openat(CWD, root, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode), resolve)?)
}
