//! Has what is written go to the disk while more of it comes.
//!
//! By itself Linux begins once a tenth of the memory waits to be written. Until then an extraction keeps the processors busy and
//! the disk idle, and the sync after it does the opposite.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use reprise_host::Disk;
use reprise_model::Observer;

use crate::{Cx, Result};

/// So much is written before it is sent to the disk. Measured with 2 GiB in 10,000 files: 64 MiB is as slow as nothing of the
/// kind, as files are created more slowly while others are written to disk.
const STRETCH: u64 = 256 << 20;

/// Does `work`, which extracts a tree, and has what it wrote go to its `disk` beside it. Whoever calls it still has to flush the
/// rest.
///
/// Returns what `work` does. Fails where something could not be written to the disk, which ends `work`.
pub fn while_written<T>(
    disk: &dyn Disk,
    cx: &Cx<'_>,
    work: impl FnOnce(&dyn Observer) -> Result<T>,
) -> Result<T> {
    flushing_each(STRETCH, cx.watch, || Ok(disk.flush()?), work)
}

/// Calls `flush` beside `work` each time `stretch` more bytes were written, one after the other. What it fails with counts, as whoever
/// is told of what could not be written is told only once. Once `work` is over, no other is begun.
fn flushing_each<T>(
    stretch: u64,
    observer: &dyn Observer,
    mut flush: impl FnMut() -> Result<()> + Send,
    work: impl FnOnce(&dyn Observer) -> Result<T>,
) -> Result<T> {
    let failed = &AtomicBool::new(false);
    let over = &AtomicBool::new(false);
    let (due, told) = sync_channel(1);
    thread::scope(|scope| {
        let flush_all = move || {
            // What is due when the work is over is left to whoever flushes the rest, or wants nothing of it any more.
            let mut due = told.into_iter().take_while(|()| !over.load(Ordering::Relaxed));
            let ended = due.try_for_each(|()| flush());
            failed.store(ended.is_err(), Ordering::Relaxed);
            ended
        };
        // Where there are too many threads for one more, all of it is flushed in the end.
        let beside = thread::Builder::new().spawn_scoped(scope, flush_all);
        let bytes = AtomicU64::new(0);
        let done = work(&Written { observer, stretch, bytes, due, failed });
        over.store(true, Ordering::Relaxed);
        beside.map_or(Ok(()), |thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        done
    })
}

/// Sees what is written, and tells when it is to go to the disk.
struct Written<'a> {
    observer: &'a dyn Observer,
    stretch: u64,
    bytes: AtomicU64,
    due: SyncSender<()>,
    failed: &'a AtomicBool,
}

impl Observer for Written<'_> {
    fn advance(&self, bytes: u64, items: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / self.stretch != (before + bytes) / self.stretch {
            // Nobody takes it where one is due already, or after a failure.
            let _ = self.due.try_send(());
        }
        self.observer.advance(bytes, items);
    }
    fn item(&self, path: &[u8]) {
        self.observer.item(path);
    }
    fn cancelled(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.observer.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use reprise_model::Unobserved;

    use super::super::refused;
    use super::*;
    use crate::Error;

    #[test]
    fn what_was_written_goes_to_the_disk_before_the_work_ends() {
        let (flushed, seen) = channel();
        let flush = || {
            flushed.send(()).unwrap();
            Ok(())
        };
        let work = |observer: &dyn Observer| {
            observer.advance(9, 1);
            assert!(seen.try_recv().is_err(), "too early");
            let began = Instant::now();
            // One that goes on takes nothing, so it is told until it does.
            for _ in 0..3 {
                while seen.try_recv().is_err() {
                    observer.advance(10, 1);
                    assert!(began.elapsed() < Duration::from_mins(1), "nothing is flushed");
                    thread::yield_now();
                }
            }
            Ok("done")
        };
        assert_eq!(flushing_each(10, &Unobserved, flush, work).unwrap(), "done");
    }

    #[test]
    fn what_could_not_go_to_the_disk_ends_the_work_and_is_what_is_told() {
        let flush = || Err(refused(Path::new("/dev/sdz"), "it is broken", "buy another"));
        let work = |observer: &dyn Observer| -> Result<()> {
            let began = Instant::now();
            while !observer.cancelled() {
                observer.advance(10, 1);
                assert!(began.elapsed() < Duration::from_mins(1), "the work goes on");
                thread::yield_now();
            }
            Err(Error::Cancelled)
        };
        let error = flushing_each(10, &Unobserved, flush, work).unwrap_err();
        assert!(error.to_string().contains("it is broken"), "{error}");
    }
}
