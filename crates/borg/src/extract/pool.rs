//! The threads that read, verify and write, and what they share.

use std::io;
use std::ops::{Deref, Range};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Receiver;
use reprise_model::Observer;
use rustix::fs::fstat;
use rustix::io::Errno;

use super::attributes::{self, Handle, Unset};
use super::owners::Directory;
use super::root::Root;
use super::run::Run;
use super::{Options, ProblemKind};
use crate::Error;
use crate::item::{Chunk, Item};
use crate::repository::Repository;

/// A file while its content arrives, from several threads and in any order.
pub(super) trait Arriving<S>: Send + Sync {
    /// Takes a piece of content that belongs at `offset`. `zeros` says that it is all zeros.
    fn write(&self, shared: &S, offset: u64, data: &[u8], zeros: bool);
    /// Notes that a piece is lost.
    fn lose(&self, shared: &S, range: Range<u64>, cause: &Arc<Error>);
    /// Takes what needs no chunk: files without content, and parts of files that are there.
    fn without_chunks(files: Vec<Arc<Self>>, shared: &S)
    where
        Self: Sized;
}

/// Files a chunk belongs to, and its offsets in them.
pub(super) type Places<F> = Vec<(Arc<F>, u64)>;

/// Something to do for a worker.
pub(super) enum Task<F> {
    /// Decode a chunk once and hand it to wherever it belongs.
    Chunk(Chunk, Places<F>),
    /// Take what needs no chunk.
    WithoutChunks(Vec<Arc<F>>),
}

/// What a worker does until there is nothing more to do.
pub(super) fn work<S, F: Arriving<S>>(run: &Run<'_>, shared: &S, tasks: &Receiver<Vec<Task<F>>>) {
    let mut batch = Vec::new().into_iter();
    let next = |idle: bool| {
        loop {
            for task in batch.by_ref() {
                match task {
                    // Once stopped, what is queued is taken and dropped, so that the sender is never stuck.
                    _ if run.stopped() => {}
                    Task::Chunk(chunk, places) => return Some(((chunk, places), chunk)),
                    Task::WithoutChunks(files) => F::without_chunks(files, shared),
                }
            }
            // Chunks in hand are not kept waiting for others.
            batch = if idle { tasks.recv().ok()? } else { tasks.try_recv().ok()? }.into_iter();
        }
    };
    run.repository.chunks().read_all(next, |(chunk, places), content| {
        if !run.stopped() {
            arrived(run, shared, &chunk, &places, content);
        }
    });
}

/// Hands the content of a chunk to wherever it belongs.
fn arrived<S, F: Arriving<S>>(
    run: &Run<'_>,
    shared: &S,
    chunk: &Chunk,
    places: &Places<F>,
    content: Result<&[u8], Error>,
) {
    match content {
        Ok(content) => {
            let zeros = run.options.sparse && content.iter().all(|byte| *byte == 0);
            for (file, offset) in places {
                file.write(shared, *offset, content, zeros);
            }
        }
        Err(error) if error.is_final() => run.abort(error),
        Err(error) => {
            let cause = Arc::new(error);
            for (file, offset) in places {
                file.lose(shared, *offset..*offset + u64::from(chunk.size), &cause);
            }
        }
    }
}

/// File flags of something that is to get a further name first.
pub(super) struct LateFlags {
    pub path: Vec<u8>,
    pub destination: Vec<u8>,
    pub bsdflags: u64,
}

/// What the threads of an extraction to a directory have in common.
pub(super) struct Shared<'a> {
    pub run: Run<'a>,
    pub root: Root,
    pub owners: Directory,
    /// File flags to set when all else is done.
    flags: Mutex<Vec<LateFlags>>,
}

/// It is a run that also writes.
impl<'a> Deref for Shared<'a> {
    type Target = Run<'a>;

    fn deref(&self) -> &Run<'a> {
        &self.run
    }
}

impl<'a> Shared<'a> {
    pub fn new(
        repository: &'a Repository,
        root: Root,
        options: &'a Options,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            run: Run::new(repository, options, observer),
            root,
            owners: Directory::new(options.owners),
            flags: Mutex::default(),
        }
    }

    /// Something could not be created: a problem of its own, or one that all others will have as well.
    pub fn creation_failed(&self, path: &[u8], destination: &[u8], error: io::Error) {
        if Errno::from_io_error(&error).is_some_and(|error| is_of_all(error) || error == Errno::NOSYS) {
            self.abort(Error::destination(destination, error));
        } else {
            self.not_made(destination);
            self.problem(path, Some(destination), ProblemKind::create(error));
        }
    }

    /// Sets all attributes but flags of what was made for `item` at `destination`.
    pub fn set_attributes(&self, handle: &Handle<'_>, item: &Item, destination: &[u8]) {
        attributes::restore(handle, item, &self.owners, |unset| {
            self.attribute_failed(handle.fd(), &item.path, destination, unset);
        });
    }

    /// An attribute of `thing`, which was made, could not be set. Where the disk is to blame, the run ends: it would go on
    /// without.
    pub fn attribute_failed(&self, thing: impl AsFd, path: &[u8], destination: &[u8], unset: Unset) {
        let Unset { attribute, cause } = unset;
        let error = Errno::from_io_error(&cause).filter(|error| match *error {
            Errno::NOSPC | Errno::DQUOT => true,
            // Something else may be mounted there, read-only or out of reach.
            error => is_of_all(error) && fstat(thing).is_ok_and(|stat| stat.st_dev == self.root.device()),
        });
        if let Some(error) = error {
            let told = io::Error::new(error.kind(), format!("{attribute} cannot be set: {error}"));
            self.abort(Error::destination(destination, told));
        } else {
            let kind = ProblemKind::Attribute { attribute, cause: Arc::new(cause) };
            self.problem(path, Some(destination), kind);
        }
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
            } else if let Err(unset) = attributes::restore_flags(&fd, item.bsdflags) {
                self.attribute_failed(&fd, &item.path, destination, unset);
            }
        }
        self.count();
    }

    /// Flags to set after everything else.
    pub fn take_flags(&self) -> Vec<LateFlags> {
        std::mem::take(&mut self.flags.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Errors that concern the destination as a whole rather than a single name.
fn is_of_all(error: Errno) -> bool {
    [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::IO,
        Errno::ROFS,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::STALE,
        Errno::NODEV,
    ]
    .contains(&error)
}
