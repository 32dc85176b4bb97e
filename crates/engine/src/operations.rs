//! The operations of one state directory: `operations/ID/journal.jsonl`, and a lock.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use reprise_model::OperationId;
use rustix::fs::FlockOperation;

use crate::{Clock, Error, Journal, Plan, Record, Recorded, Result, State, Status};

/// All operations recorded in a state directory.
#[derive(Debug, Clone)]
pub struct Operations {
    root: PathBuf,
}

/// Held while an operation changes the host; no other of the same state directory can then.
#[derive(Debug)]
pub struct Exclusive(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

impl Operations {
    /// The operations in `state_dir`. Nothing is made there before something is to be recorded.
    pub fn new(state_dir: &Path) -> Self {
        Self { root: state_dir.join("operations") }
    }

    fn make_root(&self) -> Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.root);
        made.map_err(|error| Error::journal("make the directory of", &self.root, error))?;
        self.expect_private()
    }

    /// Whoever can write a journal decides what a rollback does: nobody else may.
    fn expect_private(&self) -> Result<()> {
        for directory in self.root.ancestors().take(2).filter(|path| !path.as_os_str().is_empty()) {
            let meta =
                fs::metadata(directory).map_err(|error| Error::journal("look at", directory, error))?;
            if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
                return Err(Error::Refused {
                    what: directory.display().to_string(),
                    why: "belongs to, or may be written by, someone else".to_owned(),
                    hint: "a state directory must be yours alone: chown and chmod it, or name another with --state-dir",
                });
            }
        }
        Ok(())
    }

    fn journal(&self, id: &OperationId) -> PathBuf {
        self.root.join(id.as_str()).join("journal.jsonl")
    }

    /// Keeps other processes from changing the host for another operation of this state directory. Fails
    /// with [`Error::Busy`], naming the one that is under way.
    pub fn lock(&self, id: &OperationId) -> Result<Exclusive> {
        self.make_root()?;
        let path = self.root.join("lock");
        let fail = |error| Error::journal("lock", &path, error);
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&path);
        let mut file = options.map_err(fail)?;
        take(&mut file, &path)?;
        // Only a courtesy for the message above: a full disk must not stop a rollback here.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{id}"));
        Ok(Exclusive(file))
    }

    /// Fails with [`Error::Busy`] while an operation of this state directory changes the host. Makes nothing.
    pub fn expect_idle(&self) -> Result<()> {
        let path = self.root.join("lock");
        match File::open(&path) {
            Ok(mut file) => take(&mut file, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::journal("look at", &path, error)),
        }
    }

    /// Begins the record of `plan`.
    pub fn create(&self, plan: Plan, clock: &dyn Clock) -> Result<Journal> {
        self.make_root()?;
        let path = self.journal(&plan.id);
        let dir = path.parent().unwrap_or(&self.root);
        let made = DirBuilder::new().mode(0o700).create(dir);
        made.map_err(|error| Error::journal("make the directory of", dir, error))?;
        Journal::create(&path, plan, clock)
    }

    /// Opens the record of operation `id` to go on with it.
    pub fn open(&self, id: &OperationId) -> Result<Journal> {
        let path = self.journal(id);
        if !path.exists() {
            return Err(Error::NoSuchOperation(id.to_string()));
        }
        self.expect_private()?;
        Journal::open(&path)
    }

    /// Everything recorded of operation `id`.
    pub fn events(&self, id: &OperationId) -> Result<Vec<Recorded>> {
        let path = self.journal(id);
        if path.exists() { Journal::read(&path) } else { Err(Error::NoSuchOperation(id.to_string())) }
    }

    /// What is known of operation `id`.
    pub fn record(&self, id: &OperationId) -> Result<Record> {
        // Asked first: an operation that ends in between then reads as ended.
        let busy = Journal::is_busy(&self.journal(id));
        Record::of(&self.events(id)?, busy).ok_or_else(|| Error::NoSuchOperation(id.to_string()))
    }

    /// The ids there are, newest first. One whose plan never reached the disk changed nothing and is
    /// not counted.
    pub fn ids(&self) -> Result<Vec<OperationId>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::journal("list", &self.root, error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let begun = |id: &OperationId| {
            match fs::read(self.journal(id)) {
                Ok(content) => content.contains(&b'\n'),
                // What cannot be read is there all the same, and may have changed much.
                Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
            }
        };
        let mut ids: Vec<OperationId> = names.filter_map(|name| name.parse().ok()).filter(begun).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// Fails while a later operation lies on what `id` changed: what that keeps is what `id` restored, so taking back the
    /// earlier one first would leave neither.
    pub fn expect_last(&self, id: &OperationId) -> Result<()> {
        let plan_of = |id: &OperationId| -> Result<Option<Plan>> {
            Ok(State::after(&self.events(id)?).map(|state| state.plan.clone()))
        };
        let Some(plan) = plan_of(id)? else { return Ok(()) };
        let things = plan.changed_things();
        for other in self.ids()?.into_iter().filter(|other| other != id) {
            // One that cannot be read cannot be judged; a restore on top of it is refused, so it is none of the later ones.
            let (Ok(record), Ok(Some(later))) = (self.record(&other), plan_of(&other)) else { continue };
            let is_over = record.status == Status::RolledBack || record.expired;
            let is_later = (later.created_at, &later.id) > (plan.created_at, &plan.id);
            if is_over || !is_later || later.host != plan.host {
                continue;
            }
            let theirs = later.changed_things();
            if let Some(thing) = things.iter().find(|thing| theirs.iter().any(|their| their.meets(thing))) {
                return Err(Error::Refused {
                    what: format!("operation {id}"),
                    why: format!(
                        "operation {other} has changed {} since: roll that back first",
                        thing.in_words()
                    ),
                    hint: "`reprise operations rollback` with that id; where its window has closed, `reprise operations expire`",
                });
            }
        }
        Ok(())
    }

    /// The one operation whose id begins with `prefix`; `latest` names the newest.
    pub fn find(&self, prefix: &str) -> Result<OperationId> {
        let ids = self.ids()?;
        let matching: Vec<&OperationId> =
            ids.iter().filter(|id| prefix == "latest" || id.as_str().starts_with(prefix)).collect();
        match matching[..] {
            // What names none must not happen to name the only one.
            _ if prefix.is_empty() => Err(Error::NoSuchOperation("``".to_owned())),
            [] => Err(Error::NoSuchOperation(prefix.to_owned())),
            [first, ..] if prefix == "latest" || first.as_str() == prefix => Ok(first.clone()),
            [only] => Ok(only.clone()),
            _ => Err(Error::AmbiguousOperation {
                prefix: prefix.to_owned(),
                candidates: matching.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// Takes the lock that `file` at `path` is; it is given back when the file is closed.
fn take(file: &mut File, path: &Path) -> Result<()> {
    match rustix::fs::flock(&*file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(Error::Busy(holder.trim().to_owned()))
        }
        Err(error) => Err(Error::journal("lock", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_no_operation() {
        let state = tempfile::tempdir().unwrap();
        let operations = Operations::new(state.path());
        let id = OperationId::new(jiff::Timestamp::UNIX_EPOCH, 0);
        let lock = operations.lock(&id).unwrap();
        assert!(operations.ids().unwrap().is_empty());
        let busy = operations.expect_idle().unwrap_err();
        assert!(busy.to_string().contains(id.as_str()), "{busy}");
        drop(lock);
        operations.expect_idle().unwrap();
    }

    #[test]
    fn a_beginning_that_several_ids_share_names_them_all() {
        let state = tempfile::tempdir().unwrap();
        let operations = Operations::new(state.path());
        for id in ["20261121-030000-k7p2", "20261121-030000-q2aa", "20261122-030000-k7p2"] {
            fs::create_dir_all(state.path().join("operations").join(id).join("journal.jsonl")).unwrap();
        }
        let ambiguous = operations.find("20261121").unwrap_err().to_string();
        assert!(ambiguous.contains("20261121-030000-q2aa, 20261121-030000-k7p2"), "{ambiguous}");
        assert!(!ambiguous.contains("20261122"), "{ambiguous}");
        assert_eq!(operations.find("20261122").unwrap().as_str(), "20261122-030000-k7p2");
        assert_eq!(operations.find("latest").unwrap().as_str(), "20261122-030000-k7p2");
        for nothing in ["", "2027"] {
            assert!(matches!(operations.find(nothing), Err(Error::NoSuchOperation(_))));
        }
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_still_an_operation() {
        let state = tempfile::tempdir().unwrap();
        let operations = Operations::new(state.path());
        fs::create_dir_all(state.path().join("operations/20261121-030000-k7p2/journal.jsonl")).unwrap();
        assert_eq!(operations.ids().unwrap().len(), 1);
    }
}
