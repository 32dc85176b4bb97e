//! The journal: one JSON object a line, synced to disk before what it announces happens.
//!
//! It is the authority on an operation. Its last line may be torn by a power cut; it is then dropped, for
//! what it announced has not begun. Anything else that cannot be read is an error, never a guess.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::{Clock, Error, Event, Plan, Recorded, Result, State};

/// Room set aside when a journal begins, so that a full disk cannot keep a rollback from being recorded.
const RESERVED: u64 = 1 << 20;

/// The record of one operation, open for writing by this process alone.
#[derive(Debug)]
pub struct Journal {
    /// Nothing for a rehearsal, which leaves no trace.
    file: Option<File>,
    path: PathBuf,
    end: u64,
    events: Vec<Recorded>,
}

impl Journal {
    /// Begins the journal of `plan` at `path`, which must not exist. It is on disk when this returns.
    pub fn create(path: &Path, plan: Plan, clock: &dyn Clock) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .read(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Error::journal("create", path, error))?;
        lock(&file, path)?;
        match reserve(&file, 0) {
            // Some file systems cannot set room aside; they must do without.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(Error::journal("set room aside for", path, error)),
        }
        let mut journal = Self { file: Some(file), path: path.to_owned(), end: 0, events: Vec::new() };
        journal.append(Event::Planned { plan: Box::new(plan) }, clock)?;
        sync_directories(path).map_err(|error| Error::journal("sync", path, error))?;
        Ok(journal)
    }

    /// A journal that is never written, for a rehearsal of `plan`.
    pub fn pretended(plan: Plan, clock: &dyn Clock) -> Self {
        let planned = Recorded { at: clock.now(), event: Event::Planned { plan: Box::new(plan) } };
        Self { file: None, path: PathBuf::new(), end: 0, events: vec![planned] }
    }

    /// The same journal as one that is never written.
    pub(crate) fn pretended_copy(&self) -> Self {
        Self { file: None, path: self.path.clone(), end: self.end, events: self.events.clone() }
    }

    /// Opens the journal at `path` to go on with it. Fails with [`Error::Busy`] while another process has it.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .read(true)
            .open(path)
            .map_err(|error| Error::journal("open", path, error))?;
        lock(&file, path)?;
        let content = read(&file, path)?;
        let (events, end) = parse(path, &content)?;
        if State::after(&events).is_none() {
            return Err(no_plan(path));
        }
        // Setting a length, even the same, gives back the room that was set aside: only where it must be.
        if end < content.len() as u64 {
            file.set_len(end).map_err(|error| Error::journal("mend", path, error))?;
        }
        // What was set aside at the beginning is still there; more of it is only better.
        let _ = reserve(&file, end);
        Ok(Self { file: Some(file), path: path.to_owned(), end, events })
    }

    /// The events recorded at `path`, without waiting for the process that may be writing it.
    pub fn read(path: &Path) -> Result<Vec<Recorded>> {
        let file = File::open(path).map_err(|error| Error::journal("open", path, error))?;
        let (events, _) = parse(path, &read(&file, path)?)?;
        if State::after(&events).is_none() { Err(no_plan(path)) } else { Ok(events) }
    }

    /// Whether some process has the journal at `path` open for writing.
    pub fn is_busy(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// Records `event`. When this returns, it is on disk.
    pub fn append(&mut self, event: Event, clock: &dyn Clock) -> Result<()> {
        let recorded = Recorded { at: clock.now(), event };
        if let Some(file) = &self.file {
            let mut line = serde_json::to_vec(&recorded)
                .map_err(|error| Error::journal("write", &self.path, io::Error::from(error)))?;
            line.push(b'\n');
            file.write_all_at(&line, self.end).map_err(|error| Error::journal("write", &self.path, error))?;
            file.sync_data().map_err(|error| Error::journal("sync", &self.path, error))?;
            self.end += line.len() as u64;
        }
        self.events.push(recorded);
        Ok(())
    }

    /// Everything recorded so far.
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    /// What it adds up to.
    pub fn state(&self) -> State<'_> {
        // Every way to make a journal has seen to it that a plan comes first.
        State::after(&self.events).unwrap_or_else(|| unreachable!("a journal begins with its plan"))
    }

    /// The plan it records.
    pub fn plan(&self) -> &Plan {
        self.state().plan
    }
}

fn no_plan(path: &Path) -> Error {
    Error::DamagedJournal {
        path: path.to_owned(),
        line: 1,
        reason: "it does not begin with a plan".to_owned(),
    }
}

/// Sets room aside from `end` on.
fn reserve(file: &File, end: u64) -> rustix::io::Result<()> {
    rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, end, RESERVED)
}

fn lock(file: &File, path: &Path) -> Result<()> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        if error == rustix::io::Errno::WOULDBLOCK {
            let operation = path.parent().and_then(Path::file_name).unwrap_or_default();
            Error::Busy(operation.to_string_lossy().into_owned())
        } else {
            Error::journal("lock", path, error)
        }
    })
}

fn read(mut file: &File, path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|error| Error::journal("read", path, error))?;
    Ok(content)
}

/// The events in `content`, and where the last whole line ends.
fn parse(path: &Path, content: &[u8]) -> Result<(Vec<Recorded>, u64)> {
    let mut events = Vec::new();
    let mut end = 0;
    let mut lines = content.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(event) if line.ends_with(b"\n") => events.push(event),
            // Torn: the cut came before it was on disk, so what it announced has not begun.
            _ if lines.peek().is_none() => break,
            Ok(_) => unreachable!("only a last line lacks its end"),
            Err(error) => {
                return Err(Error::DamagedJournal {
                    path: path.to_owned(),
                    line: events.len() + 1,
                    reason: error.to_string(),
                });
            }
        }
        end += line.len() as u64;
    }
    Ok((events, end))
}

/// The journal's own name must survive a power cut, and so must its directory's.
fn sync_directories(path: &Path) -> io::Result<()> {
    path.ancestors()
        .skip(1)
        .take(3)
        .filter(|dir| !dir.as_os_str().is_empty())
        .try_for_each(|dir| File::open(dir)?.sync_all())
}
