//! A file while its content arrives, from several threads and in any order.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ProblemKind;
use super::attributes::Handle;
use super::pool::{Arriving, Shared};
use crate::Error;
use crate::item::Item;

/// A file on its way. Created with its first content, finished with its last.
pub(super) struct Incoming {
    /// Without its chunks, which may be many.
    item: Item,
    destination: Vec<u8>,
    size: u64,
    /// Pieces still to come.
    missing: AtomicUsize,
    state: Mutex<State>,
    /// Bytes up to which something was written; beyond, all was left out as a hole or lost.
    reached: AtomicU64,
}

enum State {
    New,
    Open {
        file: Arc<File>,
        damage: Vec<ProblemKind>,
    },
    /// Not created, which was told.
    Failed,
}

impl Incoming {
    /// A file of `size` bytes, in so many pieces.
    pub fn new(item: Item, destination: Vec<u8>, size: u64, pieces: usize) -> Self {
        Self {
            item,
            destination,
            size,
            missing: AtomicUsize::new(pieces),
            state: Mutex::new(State::New),
            reached: AtomicU64::new(0),
        }
    }

    /// The open file, created first if need be; `None` if that failed.
    fn file(&self, shared: &Shared<'_>) -> Option<Arc<File>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::New) {
            *state = match shared.root.create_file(&self.destination) {
                Ok(file) => State::Open { file: Arc::new(file), damage: Vec::new() },
                Err(error) => {
                    shared.creation_failed(&self.item.path, &self.destination, error);
                    State::Failed
                }
            };
        }
        match &*state {
            State::Open { file, .. } => Some(Arc::clone(file)),
            State::New | State::Failed => None,
        }
    }

    fn arrived(&self, shared: &Shared<'_>) {
        // Release what this thread did to whoever finishes, and acquire it there.
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(shared);
        }
    }

    /// Ends a file all of whose content is there; one without content begins here.
    pub(super) fn finish(&self, shared: &Shared<'_>) {
        if self.file(shared).is_none() || shared.stopped() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Open { file, damage } = std::mem::replace(&mut *state, State::Failed) else { return };
        let lost = !damage.is_empty() && !shared.options.keep_damaged;
        for kind in damage {
            shared.problem(&self.item.path, Some(&self.destination), kind);
        }
        if lost {
            shared.not_made(&self.destination);
            if let Err(error) = shared.root.remove_file(&self.destination, &file) {
                shared.abort(Error::destination(&self.destination, error));
            }
            return;
        }
        if self.reached.load(Ordering::Relaxed) < self.size
            && let Err(error) = file.set_len(self.size)
        {
            return shared.abort(Error::destination(&self.destination, error));
        }
        shared.set_attributes(&Handle::Open(file.as_fd()), &self.item, &self.destination);
        shared.finished(&self.item, &self.destination, &*file);
    }
}

impl Arriving<Shared<'_>> for Incoming {
    fn write(&self, shared: &Shared<'_>, offset: u64, data: &[u8], zeros: bool) {
        if let Some(file) = self.file(shared) {
            let result =
                if zeros && shared.options.sparse { Ok(()) } else { file.write_all_at(data, offset) };
            match result {
                Ok(()) => {
                    let end = if zeros && shared.options.sparse { 0 } else { offset + data.len() as u64 };
                    self.reached.fetch_max(end, Ordering::Relaxed);
                    shared.took(data.len() as u64);
                }
                Err(error) => shared.abort(Error::destination(&self.destination, error)),
            }
        }
        self.arrived(shared);
    }

    fn lose(&self, shared: &Shared<'_>, range: Range<u64>, cause: &Arc<Error>) {
        if self.file(shared).is_some()
            && let State::Open { damage, .. } =
                &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner)
        {
            damage.push(ProblemKind::Content { range, cause: Arc::clone(cause) });
        }
        self.arrived(shared);
    }

    fn without_chunks(files: Vec<Arc<Self>>, shared: &Shared<'_>) {
        for file in files {
            file.finish(shared);
        }
    }
}
