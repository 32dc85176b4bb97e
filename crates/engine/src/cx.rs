//! What effects work with: the host, the source, the clock, and whoever watches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use reprise_host::{Command, Host};
use reprise_model::{Message, Observer};

use crate::{Clock, Error, Result, Source, Step};

/// Which way a plan is being driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Steps are applied, first to last.
    Forward,
    /// Steps are undone, last to first.
    Backward,
}

/// Watches a plan being driven.
pub trait Watch: Observer {
    /// Step `index` of `total` (from 0) begins.
    fn step_begins(&self, index: usize, total: usize, step: &Step, direction: Direction);

    /// The step that began has ended well.
    fn step_ends(&self, index: usize, step: &Step, direction: Direction);

    /// Something a person should know that stops nothing. It makes the outcome one "with warnings".
    fn warn(&self, warning: &Message);
}

/// A [`Watch`] that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Observer for Unwatched {
    fn advance(&self, _bytes: u64, _items: u64) {}
    fn item(&self, _path: &[u8]) {}
    fn cancelled(&self) -> bool {
        false
    }
}

impl Watch for Unwatched {
    fn step_begins(&self, _index: usize, _total: usize, _step: &Step, _direction: Direction) {}
    fn step_ends(&self, _index: usize, _step: &Step, _direction: Direction) {}
    fn warn(&self, _warning: &Message) {}
}

/// What effects work with.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// The machine to change.
    pub host: &'a dyn Host,
    /// Where content comes from.
    pub source: &'a dyn Source,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Who watches.
    pub watch: &'a dyn Watch,
}

impl Cx<'_> {
    /// Runs a command that changes something, takes long, and may be given up half-way.
    pub(crate) fn run_long(&self, command: &Command) -> Result<()> {
        match self.host.run_unless(&|| self.watch.cancelled(), command)? {
            Some(_) => Ok(()),
            None => Err(Error::Cancelled),
        }
    }
}

/// Passes on to a [`Watch`] what happens and keeps the warnings for the journal. When the time is over it wishes to
/// stop by itself; while undoing it hides that wish: undoing is not to be cancelled.
pub(crate) struct Attended<'a> {
    watch: &'a dyn Watch,
    clock: &'a dyn Clock,
    direction: Direction,
    until: Option<Timestamp>,
    late: AtomicBool,
    warnings: Mutex<Vec<Message>>,
}

impl<'a> Attended<'a> {
    pub fn new(cx: &Cx<'a>, direction: Direction, until: Option<Timestamp>) -> Self {
        Self {
            watch: cx.watch,
            clock: cx.clock,
            direction,
            until,
            late: AtomicBool::new(false),
            warnings: Mutex::default(),
        }
    }

    /// Whether it was the time that made it wish to stop.
    pub fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    fn time_is_over(&self) -> bool {
        let over = self.until.is_some_and(|until| self.clock.now() >= until);
        if over {
            self.late.store(true, Ordering::Relaxed);
        }
        over
    }

    /// The warnings since this was last asked.
    pub fn take_warnings(&self) -> Vec<Message> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Attended<'_> {
    fn advance(&self, bytes: u64, items: u64) {
        self.watch.advance(bytes, items);
    }
    fn item(&self, path: &[u8]) {
        self.watch.item(path);
    }
    fn cancelled(&self) -> bool {
        self.direction == Direction::Forward && (self.watch.cancelled() || self.time_is_over())
    }
}

impl Watch for Attended<'_> {
    fn step_begins(&self, index: usize, total: usize, step: &Step, direction: Direction) {
        self.watch.step_begins(index, total, step, direction);
    }
    fn step_ends(&self, index: usize, step: &Step, direction: Direction) {
        self.watch.step_ends(index, step, direction);
    }
    fn warn(&self, warning: &Message) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning.clone());
        self.watch.warn(warning);
    }
}
