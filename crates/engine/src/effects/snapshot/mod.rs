//! A snapshot of a file system, taken while nothing that uses it runs: what is restored over can be put back from it.

mod copy;
mod lvm;
mod put_back;

use std::path::{Path, PathBuf};

use reprise_host::{Command, FileKind};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use self::put_back::expect_alone;
use super::container::expect_undisturbed;
use super::refused;
use super::store::expect_mounted;
use crate::{Cx, Effect, Error, Observed, Result, Script};

pub use copy::TreeCopy;
pub use lvm::Lvm;
pub(super) use put_back::put_back;

/// How full a snapshot may be without a word.
const QUIET_PERCENT: f64 = 70.0;

/// What takes the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SnapshotKind {
    /// Of a btrfs subvolume.
    Btrfs {
        /// Where the subvolume is.
        subvolume: PathBuf,
        /// Where its snapshot will be, on the same file system.
        at: PathBuf,
    },
    /// Of a logical volume.
    Lvm(Lvm),
    /// None: a copy of all that is there.
    Copy(TreeCopy),
}

/// Takes a snapshot; undone, it puts the targets back as they are in it, and removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What takes it.
    #[serde(flatten)]
    pub kind: SnapshotKind,
    /// The directories that are put back from it.
    pub targets: Vec<PathBuf>,
    /// A private directory of this operation, which is there before and after this step.
    pub store: PathBuf,
    /// See [`Swap::users`](super::Swap::users).
    pub users: Vec<String>,
}

impl Snapshot {
    /// What it is called on the host.
    pub fn name(&self) -> String {
        match &self.kind {
            SnapshotKind::Btrfs { at, .. } => at.display().to_string(),
            SnapshotKind::Lvm(lvm) => lvm.full_name(),
            SnapshotKind::Copy(copy) => copy.at.display().to_string(),
        }
    }

    fn create(&self) -> Command {
        match &self.kind {
            SnapshotKind::Btrfs { subvolume, at } => Command::new("btrfs")
                .args(["subvolume", "snapshot", "-r", "--"])
                .arg(subvolume.to_string_lossy().into_owned())
                .arg(at.to_string_lossy().into_owned()),
            SnapshotKind::Lvm(lvm) => lvm.create(),
            SnapshotKind::Copy(copy) => copy.create(),
        }
    }

    fn delete(&self, cx: &Cx<'_>) -> Result<()> {
        let delete = match &self.kind {
            SnapshotKind::Btrfs { at, .. } => Command::new("btrfs")
                .args(["subvolume", "delete", "--commit-after", "--"])
                .arg(at.to_string_lossy().into_owned()),
            SnapshotKind::Lvm(lvm) => lvm.remove(),
            SnapshotKind::Copy(copy) => return copy.forget(cx),
        };
        Ok(cx.host.run(&delete).map(drop)?)
    }

    fn take(&self, cx: &Cx<'_>) -> Result<()> {
        match &self.kind {
            SnapshotKind::Copy(copy) => copy.take(&self.store, cx),
            _ => Ok(cx.host.run(&self.create()).map(drop)?),
        }
    }

    fn exists(&self, cx: &Cx<'_>) -> Result<bool> {
        match &self.kind {
            SnapshotKind::Btrfs { at, .. } | SnapshotKind::Copy(TreeCopy { at, .. }) => {
                Ok(cx.host.stat(at)?.is_some())
            }
            SnapshotKind::Lvm(lvm) => {
                let listed = cx.host.ask(&lvm.list())?.stdout;
                Ok(String::from_utf8_lossy(&listed).lines().any(|line| line.trim() == self.name()))
            }
        }
    }

    /// Where a path of the snapshot is seen, given the directory at which the snapshot's top is.
    fn within(&self, top: &Path, target: &Path) -> Result<PathBuf> {
        let of = match &self.kind {
            SnapshotKind::Btrfs { subvolume, .. } => subvolume,
            SnapshotKind::Lvm(lvm) => &lvm.mount,
            SnapshotKind::Copy(copy) => &copy.of,
        };
        match target.strip_prefix(of) {
            Ok(rest) if rest.as_os_str().is_empty() => Ok(top.to_owned()),
            Ok(rest) => Ok(top.join(rest)),
            Err(_) => Err(refused(
                target,
                "does not lie in what the snapshot is of",
                "put it back from there by hand",
            )),
        }
    }

    /// Whether `target` is a file system of its own.
    fn is_mounted(&self, target: &Path) -> bool {
        match &self.kind {
            SnapshotKind::Btrfs { .. } => self.store.starts_with(target),
            SnapshotKind::Lvm(lvm) => lvm.mount == target,
            SnapshotKind::Copy(copy) => copy.of == target,
        }
    }

    fn put_back_all(&self, top: &Path, cx: &Cx<'_>) -> Result<()> {
        for target in &self.targets {
            put_back(&self.within(top, target)?, target, self.is_mounted(target), &self.store, None, cx)?;
        }
        Ok(())
    }

    /// Puts the targets back as they are in the snapshot, which stays.
    fn put_back_by_name(&self, cx: &Cx<'_>) -> Result<()> {
        match &self.kind {
            SnapshotKind::Btrfs { at, .. } | SnapshotKind::Copy(TreeCopy { at, .. }) => {
                self.put_back_all(at, cx)
            }
            SnapshotKind::Lvm(lvm) => lvm.mounted(cx, |top| self.put_back_all(top, cx)),
        }
    }

    /// Goes back by taking the whole volume back, where it holds nothing but the one target. False where that cannot be.
    fn merged(&self, cx: &Cx<'_>) -> Result<bool> {
        let SnapshotKind::Lvm(lvm) = &self.kind else { return Ok(false) };
        if self.targets != [lvm.mount.clone()] {
            return Ok(false);
        }
        // A merge takes the snapshot with it, and may be cut off after that.
        cx.host.remove_dir(&self.taken())?;
        let is_merged = lvm.merge(cx)?;
        if !is_merged && cx.host.stat(&self.store)?.is_some() {
            cx.host.make_dir(&self.taken(), 0o700)?;
        }
        Ok(is_merged)
    }

    /// A directory that is there from when the targets begin to be put back until the snapshot is gone: an undoing that was
    /// cut off and is turned round has to put them back as well, or what is restored next would build on half of it.
    fn putting_back(&self) -> PathBuf {
        self.store.join("putting-back")
    }

    /// A directory that is there while the snapshot is to be: it tells one that was removed from one that was never taken.
    fn taken(&self) -> PathBuf {
        self.store.join("snapshot-taken")
    }

    /// Whether what is there is known to be what was there, but for what others wrote: of a copy alone this is known.
    fn is_untouched(&self, cx: &Cx<'_>) -> Result<bool> {
        Ok(matches!(self.kind, SnapshotKind::Copy(_)) && cx.host.stat(&emptying(&self.store))?.is_none())
    }

    /// Fails when the snapshot was taken, and is gone although nobody put anything back from it.
    fn expect_not_lost(&self, cx: &Cx<'_>) -> Result<()> {
        if cx.host.stat(&self.taken())?.is_none() {
            return Ok(());
        }
        Err(Error::Refused {
            what: format!("the snapshot {}", self.name()),
            why: "is gone: what was kept is gone, so what was there before cannot be put back".to_owned(),
            hint: "what was restored stays; for what was there before, restore from an archive",
        })
    }

    /// What must be said of it while it lasts: that there is no way back by it, or soon will be none.
    pub fn trouble(&self, cx: &Cx<'_>) -> Result<Option<Message>> {
        let SnapshotKind::Lvm(lvm) = &self.kind else { return Ok(None) };
        if lvm.bytes.is_none() || !self.exists(cx)? {
            return Ok(None);
        }
        let say = |key| Message::new(key).text("name", self.name());
        if lvm.expect_valid(cx).is_err() {
            return Ok(Some(say("warn-snapshot-full")));
        }
        let percent = lvm.fullness(cx)?.filter(|percent| *percent > QUIET_PERCENT);
        Ok(percent.map(|percent| say("warn-snapshot-filling").text("percent", format!("{percent:.0}"))))
    }

    /// Fails unless what is there is a snapshot that this operation may have taken: what lies in a file system, others may
    /// have put there.
    fn expect_ours(&self, cx: &Cx<'_>) -> Result<()> {
        let (at, is_snapshot) = match &self.kind {
            SnapshotKind::Btrfs { at, .. } => (at, is_read_only(at, cx)?),
            SnapshotKind::Copy(TreeCopy { at, .. }) => {
                (at, cx.host.stat(at)?.is_some_and(|stat| stat.kind == FileKind::Directory))
            }
            SnapshotKind::Lvm(_) => return Ok(()),
        };
        let is_private = cx
            .host
            .stat(&self.store)?
            .is_some_and(|stat| stat.kind == FileKind::Directory && stat.owner == cx.host.user());
        if is_private && is_snapshot {
            return Ok(());
        }
        Err(refused(
            at,
            "is not the snapshot that Reprise took",
            "something changed it: look at what lies there, then put back by hand or restore from an archive",
        ))
    }

    /// Fails unless there is a way back by the snapshot, which exists.
    fn expect_usable(&self, cx: &Cx<'_>) -> Result<()> {
        self.targets.iter().try_for_each(|target| expect_alone(target, self.is_mounted(target), cx))?;
        match &self.kind {
            SnapshotKind::Lvm(lvm) => lvm.expect_valid(cx),
            SnapshotKind::Btrfs { .. } => self.expect_ours(cx),
            SnapshotKind::Copy(copy) => {
                copy.expect_mounted(cx)?;
                self.expect_ours(cx)
            }
        }
    }

    /// Removes the snapshot; fine when it is gone.
    pub(crate) fn forget(&self, cx: &Cx<'_>) -> Result<()> {
        if self.exists(cx)? {
            self.expect_ours(cx)?;
            self.delete(cx)?;
        } else if let SnapshotKind::Btrfs { at, .. } = &self.kind {
            self.targets.iter().try_for_each(|target| expect_mounted(target, at, cx))?;
        }
        Ok(())
    }
}

impl Effect for Snapshot {
    type Before = ();

    fn describe(&self) -> Message {
        let key = match &self.kind {
            SnapshotKind::Btrfs { .. } => "step-snapshot-btrfs",
            SnapshotKind::Lvm(Lvm { bytes: Some(bytes), .. }) => {
                let message = Message::new("step-snapshot-lvm").text("name", self.name());
                return message.bytes("size", *bytes);
            }
            SnapshotKind::Lvm(_) => "step-snapshot-thin",
            SnapshotKind::Copy(copy) => {
                let message = Message::new("step-snapshot-copy").text("path", copy.of.display());
                return message.text("name", self.name()).bytes("size", copy.bytes);
            }
        };
        Message::new(key).text("name", self.name())
    }

    fn render(&self, script: &mut Script) {
        script.run(&self.create());
        // By hand a snapshot is put back by hand: it is there, and its name is said.
        script.undo(format!(
            "echo {} >&2",
            reprise_host::quote(&format!("what was there is in the snapshot {}", self.name()))
        ));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        if self.exists(cx)? {
            return Err(Error::Refused {
                what: format!("the snapshot {}", self.name()),
                why: "is there already".to_owned(),
                hint: "it is named after this operation, which did not take it: find out who did",
            });
        }
        Ok(Observed::Needed(()))
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        expect_undisturbed(&self.targets, Some(&self.store), &self.users, cx)?;
        if let SnapshotKind::Lvm(lvm) = &self.kind {
            lvm.finish_merge(cx)?;
        }
        let mut exists = self.exists(cx)?;
        if exists && !cx.host.pretends() {
            if cx.host.stat(&self.putting_back())?.is_some() && !self.is_untouched(cx)? {
                self.expect_usable(cx)?;
                self.put_back_by_name(cx)?;
                cx.host.remove_dir(&emptying(&self.store))?;
            }
            if self.is_untouched(cx)? {
                // After a reboot, containers may have written to what it is of.
                cx.host.remove_dir(&self.taken())?;
                self.delete(cx)?;
                exists = false;
            }
        }
        cx.host.remove_dir(&self.putting_back())?;
        if !exists {
            self.expect_not_lost(cx)?;
            // What was put back whole is not being emptied any more.
            cx.host.remove_dir(&emptying(&self.store))?;
            self.take(cx)?;
        }
        Ok(cx.host.make_dir(&self.taken(), 0o700)?)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        if let SnapshotKind::Lvm(lvm) = &self.kind {
            lvm.finish_merge(cx)?;
        }
        if let SnapshotKind::Copy(copy) = &self.kind
            && self.is_untouched(cx)?
        {
            // Nothing was touched yet, and what was written there since stays.
            if cx.host.pretends() {
                return Ok(());
            }
            copy.reopen(&self.store, cx)?;
            cx.host.remove_dir(&self.taken())?;
            cx.host.remove_dir(&self.putting_back())?;
            return copy.forget(cx);
        }
        if self.exists(cx)? {
            expect_undisturbed(&self.targets, Some(&self.store), &self.users, cx)?;
            self.expect_usable(cx)?;
            if cx.host.pretends() {
                return Ok(());
            }
            if cx.host.stat(&self.store)?.is_some() {
                cx.host.make_dir(&self.putting_back(), 0o700)?;
            }
            if !self.merged(cx)? {
                self.put_back_by_name(cx)?;
                cx.host.remove_dir(&self.taken())?;
                self.forget(cx)?;
            }
        } else {
            self.expect_not_lost(cx)?;
        }
        if let SnapshotKind::Copy(copy) = &self.kind {
            // Last: while it is there, what is copied may be all there is.
            cx.host.remove_dir(&emptying(&self.store))?;
            copy.forget(cx)?;
            copy.reopen(&self.store, cx)?;
        }
        Ok(cx.host.remove_dir(&self.putting_back()).map(drop)?)
    }
}

/// A directory that is there from when the tree that a copy was taken of begins to be emptied, until it was put back.
pub(super) fn emptying(store: &Path) -> PathBuf {
    store.join("emptying")
}

/// Whether a read-only subvolume is at `at`.
fn is_read_only(at: &Path, cx: &Cx<'_>) -> Result<bool> {
    if !cx.host.stat(at)?.is_some_and(|stat| stat.is_subvolume()) {
        return Ok(false);
    }
    let ask = Command::new("btrfs").args(["property", "get", "-ts"]);
    let ask = ask.arg(at.to_string_lossy().into_owned()).arg("ro");
    Ok(cx.host.ask(&ask)?.stdout.trim_ascii() == b"ro=true")
}

/// A script with its arguments as a command.
fn shell(script: &str, args: &[&Path]) -> Command {
    let command = Command::new("sh").args(["-c", script, "sh"]).limit(std::time::Duration::from_hours(24));
    command.args(args.iter().map(|path| path.to_string_lossy().into_owned()))
}
