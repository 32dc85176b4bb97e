//! One who watches, remembers, and may ask to stop.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use reprise_engine::{Direction, Step, Watch};
use reprise_model::{Message, Observer};

/// Remembers what it was told. Asks to stop from a chosen question on.
#[derive(Debug, Default)]
pub struct Watcher {
    cancel_at: Option<usize>,
    asked: AtomicUsize,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    begun: Vec<(usize, Direction)>,
    warnings: Vec<Message>,
}

impl Watcher {
    /// Never asks to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop from the `question`-th time on (from 0) that it is asked whether to.
    pub fn cancelling_at(question: usize) -> Self {
        Self { cancel_at: Some(question), ..Self::default() }
    }

    /// How often it was asked whether to stop.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The steps that began, in that order.
    pub fn begun(&self) -> Vec<(usize, Direction)> {
        self.told.lock().expect("no panic in here").begun.clone()
    }

    /// The keys of the warnings.
    pub fn warnings(&self) -> Vec<String> {
        let told = self.told.lock().expect("no panic in here");
        told.warnings.iter().map(|warning| warning.key().to_owned()).collect()
    }
}

impl Observer for Watcher {
    fn advance(&self, _bytes: u64, _items: u64) {}
    fn item(&self, _path: &[u8]) {}
    fn cancelled(&self) -> bool {
        let question = self.asked.fetch_add(1, Ordering::SeqCst);
        self.cancel_at.is_some_and(|at| question >= at)
    }
}

impl Watch for Watcher {
    fn step_begins(&self, index: usize, _total: usize, _step: &Step, direction: Direction) {
        self.told.lock().expect("no panic in here").begun.push((index, direction));
    }
    fn step_ends(&self, _index: usize, _step: &Step, _direction: Direction) {}
    fn warn(&self, warning: &Message) {
        self.told.lock().expect("no panic in here").warnings.push(warning.clone());
    }
}
