//! What every way of taking files out in parallel has in common: when to stop, what went wrong, how much is done.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use reprise_model::Observer;

use super::pool::{Arriving, Task, work};
use super::window::Window;
use super::{Options, Problem, ProblemKind, Report};
use crate::Error;
use crate::archive::Archive;
use crate::item::Item;
use crate::processors::processors;
use crate::repository::Repository;

/// Batches that wait for a worker.
const QUEUE: usize = 16;

/// One run through an archive.
pub(super) struct Run<'a> {
    pub repository: &'a Repository,
    pub options: &'a Options,
    pub observer: &'a dyn Observer,
    stop: AtomicBool,
    fatal: Mutex<Option<Error>>,
    report: Mutex<Report>,
    items: AtomicU64,
    bytes: AtomicU64,
    /// Places where nothing of ours came to be: nothing may be linked to what else is there.
    not_made: Mutex<HashSet<Vec<u8>>>,
}

impl<'a> Run<'a> {
    pub fn new(repository: &'a Repository, options: &'a Options, observer: &'a dyn Observer) -> Self {
        Self {
            repository,
            options,
            observer,
            stop: AtomicBool::new(false),
            fatal: Mutex::default(),
            report: Mutex::default(),
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            not_made: Mutex::default(),
        }
    }

    /// True once going on is pointless.
    pub fn stopped(&self) -> bool {
        if self.observer.cancelled() {
            self.abort(Error::Cancelled);
        }
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the run with this error, unless another was first.
    pub fn abort(&self, error: Error) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn problem(&self, path: &[u8], destination: Option<&[u8]>, kind: ProblemKind) {
        let problem = Problem::new(path, destination, kind);
        self.report.lock().unwrap_or_else(PoisonError::into_inner).add(problem);
    }

    pub fn not_made(&self, destination: &[u8]) {
        self.not_made.lock().unwrap_or_else(PoisonError::into_inner).insert(destination.to_vec());
    }

    pub fn was_made(&self, destination: &[u8]) -> bool {
        !self.not_made.lock().unwrap_or_else(PoisonError::into_inner).contains(destination)
    }

    /// Counts content that is where it belongs.
    pub fn took(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.observer.advance(bytes, 0);
    }

    /// Counts something that is complete.
    pub fn count(&self) {
        self.items.fetch_add(1, Ordering::Relaxed);
        self.observer.advance(0, 1);
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
}

/// Goes through `archive`: `each` puts files into the window, from which threads read their content and hand it
/// to them, with what they `shared`.
pub(super) fn drive<S: Sync, F: Arriving<S>>(
    archive: &Archive<'_>,
    run: &Run<'_>,
    shared: &S,
    mut each: impl FnMut(&mut Window<'_, F>, Item),
) {
    let threads = match run.options.threads {
        0 => processors(),
        threads => threads,
    };
    std::thread::scope(|scope| {
        let (tasks, queue) = crossbeam_channel::bounded::<Vec<Task<F>>>(QUEUE.max(threads * 2));
        for _ in 0..threads {
            let queue = queue.clone();
            scope.spawn(move || work(run, shared, &queue));
        }
        let mut window = Window::new(archive.repository.store(), &tasks);
        archive.scan(|items| {
            for item in items {
                match item {
                    Ok(item) => each(&mut window, item),
                    Err(Error::ItemsLost(lost)) => run.problem(b"", None, ProblemKind::Items(lost)),
                    Err(error) => run.abort(error),
                }
                if run.stopped() {
                    break;
                }
            }
        });
        window.flush();
    });
    archive.repository.store().forget_all();
}
