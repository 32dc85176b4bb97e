//! Faults: everything that is asked of the world is counted, and one of those things goes wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::PowerCut;

/// When, of an operation, something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it happened.
    Before,
    /// Part of it happened; only for what is not done in one step, else as [`Moment::Before`].
    Midway,
    /// All of it happened, but nobody was told.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program is gone. Seen as a [`PowerCut`] panic.
    Cut(Moment),
    /// The operation fails with this error number.
    Error(Moment, i32),
}

/// What kind of thing was asked of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A look that changes nothing.
    Look,
    /// A look at the clock. Each record in the journal begins with one, so a cut here is one before a record
    /// is written.
    Time,
    /// A change in one step.
    Change,
    /// A change in many steps.
    LongChange,
    /// One entry of a tree that is extracted.
    Entry,
}

/// One thing that was asked of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What it was, for people.
    pub name: String,
    /// What kind of thing.
    pub kind: Kind,
}

impl Operation {
    /// The moments at which a fault makes a difference.
    pub fn moments(&self) -> &'static [Moment] {
        match self.kind {
            Kind::Look | Kind::Time | Kind::Entry => &[Moment::Before],
            Kind::Change => &[Moment::Before, Moment::After],
            Kind::LongChange => &[Moment::Before, Moment::Midway, Moment::After],
        }
    }

    /// Whether it changes something by itself.
    pub fn changes(&self) -> bool {
        matches!(self.kind, Kind::Change | Kind::LongChange)
    }
}

/// Counts operations; chosen ones go wrong.
#[derive(Debug, Default)]
pub struct Faults {
    strikes: Vec<Strike>,
    seen: Mutex<Vec<Operation>>,
}

#[derive(Debug)]
struct Strike {
    at: usize,
    lasting: bool,
    fault: Fault,
}

impl Faults {
    /// Nothing goes wrong; operations are counted.
    pub fn none() -> Self {
        Self::default()
    }

    /// `fault` happens at the operation of that number, from 0.
    pub fn at(operation: usize, fault: Fault) -> Self {
        Self::none().and_at(operation, fault)
    }

    /// The same, and then `fault` at the operation of that number.
    #[must_use]
    pub fn and_at(mut self, operation: usize, fault: Fault) -> Self {
        self.strikes.push(Strike { at: operation, lasting: false, fault });
        self
    }

    /// `fault` happens at the operation of that number and at each one after it.
    pub fn from(operation: usize, fault: Fault) -> Self {
        let strikes = vec![Strike { at: operation, lasting: true, fault }];
        Self { strikes, ..Self::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked of the world so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.seen().clone()
    }

    /// Counts an operation; says what goes wrong with it.
    pub(crate) fn strike(&self, name: String, kind: Kind) -> Option<Fault> {
        let mut seen = self.seen();
        let number = seen.len();
        seen.push(Operation { name, kind });
        let strikes = |it: &&Strike| number == it.at || (it.lasting && number > it.at);
        self.strikes.iter().find(strikes).map(|it| it.fault)
    }

    /// Counts an operation and performs it as far as the fault in it lets it come. `half` performs about
    /// half of it; `fail` makes its error.
    pub(crate) fn perform<T, E>(
        &self,
        (name, kind): (String, Kind),
        whole: impl FnOnce() -> Result<T, E>,
        half: impl FnOnce(),
        fail: impl FnOnce(std::io::Error) -> E,
    ) -> Result<T, E> {
        let Some(fault) = self.strike(name, kind) else { return whole() };
        let (Fault::Cut(moment) | Fault::Error(moment, _)) = fault;
        match moment {
            Moment::Before => {}
            Moment::Midway => half(),
            // Whether it went well, nobody is told.
            Moment::After => drop(whole()),
        }
        match fault {
            Fault::Cut(_) => PowerCut::now(),
            Fault::Error(_, number) => Err(fail(std::io::Error::from_raw_os_error(number))),
        }
    }
}
