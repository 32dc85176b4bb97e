//! What is open, by number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{Errno, FileHandle};

/// Things that are open.
#[derive(Debug)]
pub struct Handles<T> {
    open: Mutex<HashMap<u64, Arc<T>>>,
    last: AtomicU64,
}

impl<T> Handles<T> {
    /// None yet.
    pub fn new() -> Self {
        Self { open: Mutex::default(), last: AtomicU64::new(0) }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a thing.
    pub fn add(&self, thing: T) -> FileHandle {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open().insert(number, Arc::new(thing));
        FileHandle(number)
    }

    /// What is open under this number.
    pub fn get(&self, handle: FileHandle) -> Result<Arc<T>, Errno> {
        self.open().get(&u64::from(handle)).cloned().ok_or(Errno::EBADF)
    }

    /// Closes it.
    pub fn remove(&self, handle: FileHandle) -> Option<Arc<T>> {
        self.open().remove(&u64::from(handle))
    }
}
