//! The threads that read, verify and write, and what they share.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Receiver;
use reprise_model::Observer;
use rustix::io::Errno;

use super::attributes;
use super::file::Incoming;
use super::owners::Directory;
use super::root::Root;
use super::{Options, Problem, ProblemKind, Report};
use crate::Error;
use crate::item::{Chunk, Item};
use crate::repository::Repository;

/// Files a chunk belongs to, and its offsets in them.
pub(super) type Places = Vec<(Arc<Incoming>, u64)>;

/// Something to do for a worker.
pub(super) enum Task {
    /// Decode a chunk once and write it wherever it belongs.
    Chunk(Chunk, Places),
    /// Make a file without content.
    Empty(Arc<Incoming>),
}

/// File flags of something that is to get a further name first.
pub(super) struct LateFlags {
    pub path: Vec<u8>,
    pub destination: Vec<u8>,
    pub bsdflags: u64,
}

/// What the threads of an extraction have in common.
pub(super) struct Shared<'a> {
    pub repository: &'a Repository,
    pub root: Root,
    pub options: &'a Options,
    pub owners: Directory,
    pub observer: &'a dyn Observer,
    stop: AtomicBool,
    fatal: Mutex<Option<Error>>,
    report: Mutex<Report>,
    items: AtomicU64,
    bytes: AtomicU64,
    /// Places where nothing of ours came to be: nothing may be linked to what else is there.
    not_made: Mutex<HashSet<Vec<u8>>>,
    /// File flags to set when all else is done.
    flags: Mutex<Vec<LateFlags>>,
}

impl<'a> Shared<'a> {
    pub fn new(
        repository: &'a Repository,
        root: Root,
        options: &'a Options,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            repository,
            root,
            options,
            owners: Directory::new(options.owners),
            observer,
            stop: AtomicBool::new(false),
            fatal: Mutex::default(),
            report: Mutex::default(),
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            not_made: Mutex::default(),
            flags: Mutex::default(),
        }
    }

    /// True once going on is pointless.
    pub fn stopped(&self) -> bool {
        if self.observer.cancelled() {
            self.abort(Error::Cancelled);
        }
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the extraction with this error, unless another was first.
    pub fn abort(&self, error: Error) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn problem(&self, path: &[u8], destination: Option<&[u8]>, kind: ProblemKind) {
        let problem = Problem::new(path, destination, kind);
        self.report.lock().unwrap_or_else(PoisonError::into_inner).add(problem);
    }

    /// Something could not be created: a problem of its own, or one that all others will have as well.
    pub fn creation_failed(&self, path: &[u8], destination: &[u8], error: io::Error) {
        if is_fatal(&error) {
            self.abort(Error::destination(destination, error));
        } else {
            self.not_made(destination);
            self.problem(path, Some(destination), ProblemKind::create(error));
        }
    }

    pub fn not_made(&self, destination: &[u8]) {
        self.not_made.lock().unwrap_or_else(PoisonError::into_inner).insert(destination.to_vec());
    }

    pub fn was_made(&self, destination: &[u8]) -> bool {
        !self.not_made.lock().unwrap_or_else(PoisonError::into_inner).contains(destination)
    }

    pub fn wrote(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.observer.advance(bytes, 0);
    }

    /// Counts something that is complete but for its flags. Those of files with several names must wait for the
    /// links: an immutable file cannot be linked.
    pub fn finished(&self, item: &Item, destination: &[u8], fd: impl AsFd) {
        if attributes::has_flags(item) {
            if item.hardlink_master || item.source.is_some() {
                let later = LateFlags {
                    path: item.path.clone(),
                    destination: destination.to_vec(),
                    bsdflags: item.bsdflags,
                };
                self.flags.lock().unwrap_or_else(PoisonError::into_inner).push(later);
            } else if let Err(kind) = attributes::restore_flags(fd, item.bsdflags) {
                self.problem(&item.path, Some(destination), kind);
            }
        }
        self.count();
    }

    /// Counts something that is complete.
    pub fn count(&self) {
        self.items.fetch_add(1, Ordering::Relaxed);
        self.observer.advance(0, 1);
    }

    /// Flags to set after everything else.
    pub fn take_flags(&self) -> Vec<LateFlags> {
        std::mem::take(&mut self.flags.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The report, or the error that ended it all.
    pub fn into_result(self) -> Result<Report, Error> {
        if let Some(error) = self.fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut report = self.report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.items = self.items.into_inner();
        report.bytes = self.bytes.into_inner();
        Ok(report)
    }

    /// What a worker does until there is nothing more to do.
    pub fn work(&self, tasks: &Receiver<Vec<Task>>) {
        let mut chunks = self.repository.chunks();
        for batch in tasks {
            for task in batch {
                // Once stopped, what is queued is taken and dropped, so that the sender is never stuck.
                if self.stopped() {
                    break;
                }
                match task {
                    Task::Empty(file) => file.finish(self),
                    Task::Chunk(chunk, places) => match chunks.read(&chunk.id, Some(&chunk)) {
                        Ok(content) => {
                            let zeros = self.options.sparse && content.iter().all(|byte| *byte == 0);
                            for (file, offset) in places {
                                file.write(self, offset, content, zeros);
                            }
                        }
                        Err(error) => {
                            let cause = Arc::new(error);
                            for (file, offset) in places {
                                file.lose(self, offset..offset + u64::from(chunk.size), &cause);
                            }
                        }
                    },
                }
            }
        }
    }
}

/// Errors that concern the destination as a whole rather than a single name.
fn is_fatal(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NOSPC
                | Errno::DQUOT
                | Errno::IO
                | Errno::ROFS
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
                | Errno::STALE
                | Errno::NODEV
                | Errno::NOSYS
        )
    )
}
