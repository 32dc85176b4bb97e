//! Writing whole files to disk while others are extracted, for whoever syncs in the end.
//!
//! By itself Linux begins once a tenth of the memory waits to be written. Until then an extraction keeps the processors busy and the
//! disk idle, and the sync after it does the opposite.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::Error;

/// Smaller files are left to the sync in the end: it writes many of them in less time than they take one by one.
const LEAST: u64 = 1 << 20;
/// Files that wait, which are open meanwhile.
const QUEUE: usize = 64;

/// A file and where it is.
type Whole = (Arc<File>, Vec<u8>);

/// A thread that writes files to disk.
pub(super) struct Behind {
    files: Sender<Whole>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Behind {
    /// `None` where there can be no such thread: nothing depends on it.
    pub fn new() -> Option<Self> {
        let (files, queue) = bounded(QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().spawn(move || write(&queue, &stopped)).ok()?;
        Some(Self { files, stop, thread })
    }

    /// Takes a file that is whole and has so many bytes. Never waits: a file that finds no room is left to the sync in the end.
    pub fn take(&self, file: &Arc<File>, size: u64, destination: &[u8]) {
        if size >= LEAST {
            drop(self.files.try_send((Arc::clone(file), destination.to_vec())));
        }
    }

    /// Leaves the rest to the sync. What could not be written is an error here, as the kernel may not tell it again.
    pub fn end(self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.files);
        self.thread.join().unwrap_or(Ok(()))
    }

    /// The same where nothing that was written is wanted any more: a file of which much is not on disk yet is not waited for.
    pub fn abandon(self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn write(queue: &Receiver<Whole>, stopped: &AtomicBool) -> Result<(), Error> {
    for (file, destination) in queue {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        // Measured: a call that only begins to write (sync_file_range, fadvise) makes threads that write more files wait for the disk.
        file.sync_data().map_err(|error| Error::destination(&destination, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::{Arc, Behind, File, LEAST};

    #[test]
    fn what_cannot_be_written_is_told_and_small_files_are_left_alone() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = Arc::new(File::from(OwnedFd::from(writer)));
        let behind = Behind::new().unwrap();
        behind.take(&pipe, LEAST - 1, b"small");
        behind.take(&pipe, LEAST, b"some/where");
        // Told to end, it leaves what it has not begun with.
        while !behind.thread.is_finished() {
            std::thread::yield_now();
        }
        let error = behind.end().unwrap_err();
        assert!(error.to_string().contains("some/where"), "{error}");
    }
}
