//! How far a plan has come: the journal's events folded together.

use serde_json::Value;

use crate::{Cause, Change, Event, Goal, Plan, Recorded, Verdict};

/// How far one step has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Nothing of it is on the host: not begun, or undone.
    Pending,
    /// There was nothing to do, so there is nothing to undo.
    Satisfied,
    /// Begun, perhaps applied, perhaps not; this undoes it.
    Started(Value),
    /// Applied; this undoes it.
    Done(Value),
}

/// What the events of a journal add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct State<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// How far each of its steps has come.
    pub steps: Vec<Progress>,
    /// Whether each of them was ever begun, undone or not.
    pub was_begun: Vec<bool>,
    /// Where it was last driven to.
    pub goal: Goal,
    /// Why.
    pub cause: Cause,
    /// How driving ended, unless it was cut off.
    pub verdict: Option<Verdict>,
    /// Whether what was kept is gone, or going.
    pub expired: bool,
    /// Whether that is known: the removal may have been cut off, or have failed for a part.
    pub cleared: bool,
}

impl<'a> State<'a> {
    /// The state that `events` lead to, or nothing when they do not begin with a plan.
    pub fn after(events: &'a [Recorded]) -> Option<Self> {
        let Event::Planned { plan } = &events.first()?.event else { return None };
        let mut state = Self {
            plan,
            steps: vec![Progress::Pending; plan.steps.len()],
            was_begun: vec![false; plan.steps.len()],
            goal: Goal::Applied,
            cause: Cause::Asked,
            verdict: None,
            expired: false,
            cleared: false,
        };
        for recorded in &events[1..] {
            state.apply(&recorded.event);
        }
        Some(state)
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Aimed { goal, cause } => {
                if (self.goal, *goal) == (Goal::Reverted, Goal::Applied) {
                    self.turn_forward();
                }
                self.goal = *goal;
                self.cause = cause.clone();
                self.verdict = None;
            }
            Event::Finished { verdict } => self.verdict = Some(*verdict),
            Event::Expired => self.expired = true,
            Event::Cleared => self.cleared = true,
            Event::Satisfied { step } => self.set(*step, Progress::Satisfied),
            Event::Started { step, before } => {
                self.set(*step, Progress::Started(before.clone()));
                if let Some(was_begun) = self.was_begun.get_mut(*step) {
                    *was_begun = true;
                }
            }
            Event::Undone { step } => self.set(*step, Progress::Pending),
            Event::Done { step } => {
                if let Some(Progress::Started(before)) = self.steps.get(*step) {
                    self.set(*step, Progress::Done(before.clone()));
                }
            }
            Event::Planned { .. }
            | Event::Failed { .. }
            | Event::UndoFailed { .. }
            | Event::Warned { .. } => {}
        }
    }

    /// Undoing is given up, wherever it was, for applying.
    fn turn_forward(&mut self) {
        if self.verdict == Some(Verdict::RolledBack) {
            // What needed nothing then may need something now.
            for progress in &mut self.steps {
                *progress = Progress::Pending;
            }
        }
        // Steps are undone last to first, so this is the one that was being undone: perhaps half of it is
        // undone, perhaps all. It is to be applied again.
        let begun = |progress: &&mut Progress| matches!(progress, Progress::Started(_) | Progress::Done(_));
        if let Some(progress) = self.steps.iter_mut().rev().find(begun)
            && let Progress::Done(before) = progress
        {
            *progress = Progress::Started(before.take());
        }
    }

    /// The changes that may keep something.
    pub(crate) fn keeping(&self) -> impl Iterator<Item = &'a Change> {
        let begun = |progress: &Progress| matches!(progress, Progress::Started(_) | Progress::Done(_));
        let steps = self.plan.steps.iter().zip(&self.steps).zip(&self.was_begun);
        let keeping = steps.filter(move |((step, progress), was_begun)| {
            begun(progress) || **was_begun && step.change.outlives_undoing()
        });
        keeping.map(|((step, _), _)| &step.change)
    }

    fn set(&mut self, step: usize, progress: Progress) {
        if let Some(place) = self.steps.get_mut(step) {
            *place = progress;
        }
    }
}
