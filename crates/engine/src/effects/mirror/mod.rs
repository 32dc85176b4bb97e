//! A tree is made what the backup holds, entry by entry, where it cannot be exchanged as a whole or need not be.
//!
//! Nothing is written over. What goes is carried into a store on the same file system, what comes is carried out of it: so
//! every change is a name that moves, and all of them can be taken back to the byte. Which names, and what directories had,
//! is written into the store before the first one moves.

mod carry;
mod look;
mod sound;
mod unkept;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use reprise_host::{Attributes, Inode, any_path};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use self::sound::gone;
use super::snapshot::{emptying, put_back};
use super::store::expect_mounted;
use super::{expect_directory, fail, read_record, refused, write_record};
use crate::{Cx, Effect, Error, Observed, Result, Script};

/// Which names move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Everything in the target gives way to everything in a tree that was staged as `new` in the store. How much there is
    /// makes no difference.
    Exchange,
    /// Everything in the target, a file system of its own, goes, and a tree that was staged on another one as `new` in the store
    /// is copied there. Nothing of this step is ever in the target, where others may write.
    Fill,
    /// What differs from the backup, by content, is extracted and takes its place; what the backup does not hold goes.
    Exact,
    /// The same, but what the backup does not hold stays.
    Merge,
}

impl Way {
    /// Whether the tree was staged before.
    pub fn is_staged(self) -> bool {
        matches!(self, Self::Exchange | Self::Fill)
    }
}

/// What becomes of what gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// It is kept in the store until the window closes.
    #[default]
    InStore,
    /// A step before this one sees to it that it can be put back, and undone it does so. It is removed before anything new is
    /// written, so no room is needed for both.
    Elsewhere,
}

/// Makes the directory `target` what the backup holds, and keeps in a store what that replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The tree in the backup, without a leading slash.
    pub from: String,
    /// The directory.
    pub target: PathBuf,
    /// A private directory of this step on the same file system, but for [`Way::Fill`]; the staged tree in it is called `new`,
    /// what is replaced goes to `old`.
    pub store: PathBuf,
    /// Which names move.
    pub way: Way,
    /// What becomes of what gives way.
    #[serde(default)]
    pub keep: Keep,
    /// What the tree holds in the backup: entries, itself among them.
    pub entries: u64,
    /// Bytes of content in it.
    pub bytes: u64,
    /// See [`Swap::users`](super::Swap::users).
    pub users: Vec<String>,
}

/// One place in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Op {
    /// Relative to the target.
    #[serde(with = "any_path")]
    path: PathBuf,
    /// The number in the store under which what is there now is kept.
    old: Option<usize>,
    /// Whether something comes there.
    new: bool,
}

/// A directory that stays, and what it has before and afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Directory {
    #[serde(with = "any_path")]
    path: PathBuf,
    before: Attributes,
    after: Attributes,
    /// Whether it gets what the one in the backup has.
    differs: bool,
}

/// All that is to be done, as it is written into the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    ops: Vec<Op>,
    directories: Vec<Directory>,
    /// Whether the backup holds something that is apart, and stays there.
    #[serde(default)]
    apart: bool,
}

/// A record is never longer than this.
const RECORD_LIMIT: u64 = 4 << 30;

/// Whether a path of a file system lies in what is no part of its tree: what mkfs made, and what operations keep there.
pub(super) fn is_apart(path: &Path) -> bool {
    let top = path.components().next().map(|name| name.as_os_str().as_bytes());
    top.is_some_and(|name| name == b"lost+found" || name.starts_with(b".reprise-"))
}

fn joined(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) }
}

impl Mirror {
    fn staged(&self) -> PathBuf {
        self.store.join("new")
    }
    fn old(&self) -> PathBuf {
        self.store.join("old")
    }
    fn moves(&self) -> PathBuf {
        self.store.join("moves")
    }
    /// A directory that is there when all is done.
    fn done(&self) -> PathBuf {
        self.store.join("done")
    }

    /// The store of what an undoing takes from the backup once more.
    fn again(&self) -> PathBuf {
        self.store.join("again")
    }

    /// Whether a path is no part of the target: only where that is a file system of its own, which then holds the store.
    fn is_apart(&self, path: &Path) -> bool {
        (self.way == Way::Fill || self.store.starts_with(&self.target)) && is_apart(path)
    }

    /// What at the top of the target is not part of it.
    fn except(&self, cx: &Cx<'_>) -> Result<Vec<PathBuf>> {
        let names = cx.host.list(&self.target)?.into_iter().map(PathBuf::from);
        Ok(names.filter(|name| self.is_apart(name)).collect())
    }

    fn is_at(path: &Path, cx: &Cx<'_>) -> Result<bool> {
        Ok(cx.host.stat(path)?.is_some())
    }

    fn expect_target(&self, before: Inode, cx: &Cx<'_>) -> Result<()> {
        match cx.host.stat(&self.target)? {
            Some(stat) if stat.inode == before => Ok(()),
            Some(_) => Err(refused(
                &self.target,
                "was replaced by something else, or is not mounted any more",
                "mount what belongs there and try again; what was replaced lies in its `.reprise-…` directory",
            )),
            None => Err(refused(&self.target, "is gone", "mount what belongs there and try again")),
        }
    }

    /// What moved, or was to. Whoever can write into the target may have written that: it is not believed.
    fn record(&self, cx: &Cx<'_>) -> Result<Option<Record>> {
        let path = self.moves();
        let Some(record) = read_record::<Record>(&path, RECORD_LIMIT, cx)? else { return Ok(None) };
        record.expect_sound(self).map_err(|why| {
            refused(
                &path,
                format!("{why}: this is not what Reprise wrote"),
                "something changed it; what was replaced lies beside it, in `old`: put it back by hand, or restore from an archive",
            )
        })?;
        Ok(Some(record))
    }

    fn kept(&self, number: usize) -> PathBuf {
        self.old().join(number.to_string())
    }

    fn write(&self, record: &Record, cx: &Cx<'_>) -> Result<()> {
        write_record(&self.moves(), record, cx)
    }

    /// What services wrote since the end of this step into files that it left as they were was never kept: those are as
    /// the backup has them, so they are taken from there again.
    fn refresh(&self, cx: &Cx<'_>) -> Result<()> {
        let again = Self { store: self.again(), ..self.clone() };
        cx.host.remove_tree(&again.store)?;
        cx.host.make_dir(&again.store, 0o700)?;
        cx.host.make_dir(&again.old(), 0o700)?;
        let record = again.find_out(cx)?;
        again.carry_out(&record, cx)?;
        Ok(cx.host.remove_tree(&again.store)?)
    }

    /// Removes what this step made in the store.
    fn clean_up(&self, cx: &Cx<'_>) -> Result<()> {
        for leftover in ["done", "moves", "old", "since", "again"] {
            cx.host.remove_tree(&self.store.join(leftover))?;
        }
        if !self.way.is_staged() {
            cx.host.remove_tree(&self.staged())?;
        }
        Ok(())
    }

    /// Removes what was kept. The target keeps its time where that lay in it.
    pub(crate) fn forget(&self, cx: &Cx<'_>) -> Result<()> {
        if !Self::is_at(&self.store, cx)? {
            return expect_mounted(&self.target, &self.store, cx);
        }
        let inside = self.store.starts_with(&self.target);
        let attributes = if inside { Some(cx.host.attributes(&self.target)?) } else { None };
        cx.host.remove_tree(&self.store)?;
        attributes.map_or(Ok(()), |had| Ok(cx.host.set_attributes(&self.target, Path::new(""), &had)?))
    }

    /// The whole tree must be there now.
    fn expect_all(&self, record: &Record, cx: &Cx<'_>) -> Result<()> {
        if self.way != Way::Exact {
            return Ok(());
        }
        let (mut entries, mut bytes, mut seen) = (1, 0, BTreeSet::new());
        for found in cx.host.walk(&self.target, &self.except(cx)?)? {
            entries += 1;
            if found.names == 1 || seen.insert(found.inode) {
                bytes += found.size;
            }
        }
        // Device nodes are left out knowingly, and so is what is apart.
        let is_whole = if record.apart { bytes <= self.bytes } else { bytes == self.bytes };
        if is_whole && entries <= self.entries {
            return Ok(());
        }
        let why = format!(
            "{entries} entries and {bytes} bytes are there, but the plan counted {} and {}",
            self.entries, self.bytes
        );
        Err(refused(&self.target, why, "does something write there that is no container?"))
    }
}

impl Effect for Mirror {
    /// The target itself, which stays.
    type Before = Inode;

    fn describe(&self) -> Message {
        let key = match (self.way, self.keep == Keep::InStore) {
            (Way::Fill, _) => "step-mirror-fill",
            (Way::Exchange, true) => "step-mirror-exchange",
            (Way::Exchange, false) => "step-mirror-exchange-over",
            (Way::Merge, _) => "step-mirror-merge",
            (Way::Exact, true) => "step-mirror-exact",
            (Way::Exact, false) => "step-mirror-exact-over",
        };
        Message::new(key).text("path", self.target.display())
    }

    fn render(&self, script: &mut Script) {
        // What keeps directories' owners, times and access lists over any failure is more than a script should try.
        script.line(fail(&self.target, "cannot be restored by a script: have Reprise do it"));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Inode>> {
        expect_directory(&self.target, cx)?;
        expect_directory(&self.store, cx)?;
        for path in [self.done(), self.old(), self.moves()] {
            if Self::is_at(&path, cx)? {
                return Err(refused(
                    &path,
                    "is there although nothing was begun",
                    "somebody else writes there: find out who before anything is restored",
                ));
            }
        }
        if self.way.is_staged() && !Self::is_at(&self.staged(), cx)? {
            return Err(refused(&self.staged(), "the restored tree is gone", "restore again"));
        }
        cx.source.check(&self.from)?;
        match (cx.host.stat(&self.target)?, cx.host.stat(&self.store)?) {
            (Some(target), Some(store)) if self.way == Way::Fill || target.device == store.device => {
                Ok(Observed::Needed(target.inode))
            }
            _ => Err(refused(
                &self.store,
                "is not on the file system of what is restored",
                "make the plan again: the host has changed",
            )),
        }
    }

    fn apply(&self, before: &Inode, cx: &Cx<'_>) -> Result<()> {
        self.expect_target(*before, cx)?;
        // Before any mark in there is believed.
        self.expect_own(cx)?;
        if Self::is_at(&self.done(), cx)? {
            if cx.host.pretends() {
                return Ok(());
            }
            if self.keep != Keep::InStore {
                return Ok(cx.host.remove_tree(&self.old())?);
            }
            // An undoing that was cut off may have names of the target in there.
            if Self::is_at(&self.again(), cx)? {
                self.expect_at_rest(cx)?;
                self.refresh(cx)?;
            }
            return Ok(());
        }
        // From here on nobody can change it any more.
        self.expect_at_rest(cx)?;
        if cx.host.pretends() {
            return Ok(());
        }
        if self.way == Way::Fill {
            let mark = emptying(&self.store);
            put_back(&self.staged(), &self.target, true, &self.store, Some(&mark), cx)?;
            return Ok(cx.host.make_dir(&self.done(), 0o700)?);
        }
        if self.keep != Keep::InStore {
            let record = self.overwrite(cx)?;
            self.expect_all(&record, cx)?;
            cx.host.make_dir(&self.done(), 0o700)?;
            // Not before: while it is there, it tells what has moved.
            return Ok(cx.host.remove_tree(&self.old())?);
        }
        if let Some(record) = self.record(cx)? {
            // A reboot may have let a container write there since: it is looked at anew.
            self.carry_back(&record, false, cx)?;
            cx.host.remove_tree(&self.moves())?;
        }
        cx.host.make_dir(&self.old(), 0o700)?;
        let record = self.find_out(cx)?;
        self.expect_nothing_removed(&record, cx)?;
        if cx.watch.cancelled() {
            return Err(Error::Cancelled);
        }
        self.write(&record, cx)?;
        self.carry_out(&record, cx)?;
        self.expect_all(&record, cx)?;
        Ok(cx.host.make_dir(&self.done(), 0o700)?)
    }

    fn undo(&self, before: &Inode, cx: &Cx<'_>) -> Result<()> {
        self.expect_target(*before, cx)?;
        // The step that opened the store is undone after this one.
        if !Self::is_at(&self.store, cx)? {
            return Err(gone(&self.store));
        }
        if self.keep != Keep::InStore {
            return self.give_up(cx);
        }
        self.expect_own(cx)?;
        let (is_done, is_begun) = (Self::is_at(&self.done(), cx)?, Self::is_at(&self.moves(), cx)?);
        if is_begun {
            self.expect_at_rest(cx)?;
        }
        let record = self.record(cx)?;
        match &record {
            Some(record) if is_done => self.expect_all_kept(record, cx)?,
            None if is_done => {
                return Err(refused(
                    &self.moves(),
                    "what tells how to put back what was replaced is gone",
                    "what was replaced lies beside it, in `old`; else restore from an archive",
                ));
            }
            // Until the names moved, the staged tree is there.
            None if self.way.is_staged() && !Self::is_at(&self.staged(), cx)? => {
                return Err(gone(&self.staged()));
            }
            _ => {}
        }
        if is_done && !self.way.is_staged() {
            cx.source.check(&self.from)?;
        }
        if cx.host.pretends() {
            return Ok(());
        }
        if is_done && !self.way.is_staged() {
            self.refresh(cx)?;
        }
        cx.host.remove_dir(&self.done())?;
        if let Some(record) = record {
            self.carry_back(&record, true, cx)?;
            cx.host.remove_tree(&self.moves())?;
        }
        self.clean_up(cx)
    }
}
