//! An operation as people and programs look at it: read from its journal, never stored besides.

use jiff::{SignedDuration, Timestamp};
use reprise_model::{Choice, Item, Message, OperationId};
use serde::Serialize;

use crate::{Cause, Change, Error, Event, Goal, Progress, Recorded, SourceRef, State, Verdict};

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A process works on it.
    Running,
    /// It was cut off: resume it, or roll it back.
    Interrupted,
    /// Done.
    Completed,
    /// Everything is as it was before.
    RolledBack,
    /// A step could not be undone.
    RollbackIncomplete,
}

/// Where a step of an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Nothing of it is on the host.
    Pending,
    /// There was nothing to do.
    Satisfied,
    /// Begun, and not known to have ended.
    Started,
    /// Done.
    Done,
}

/// One step of a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRecord {
    /// What it does.
    pub description: Message,
    /// Where it stands.
    pub status: StepStatus,
}

/// What is known of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Its id.
    pub id: OperationId,
    /// Its kind: `docker-restore`.
    pub kind: String,
    /// Where it stands.
    pub status: Status,
    /// When its plan was made.
    pub created_at: Timestamp,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// The machine.
    pub host: String,
    /// The backup.
    pub source: SourceRef,
    /// What was asked for.
    pub choice: Choice,
    /// The items.
    pub items: Vec<Item>,
    /// Its steps.
    pub steps: Vec<StepRecord>,
    /// Containers it stops, in that order.
    pub stopped_containers: Vec<String>,
    /// What it keeps of what it replaced, while it does: trees, containers, snapshots, archives.
    pub kept: Vec<String>,
    /// Until when that is kept; nothing where it keeps nothing, or has not ended.
    pub kept_until: Option<Timestamp>,
    /// Until when it can be rolled back; nothing when it cannot.
    pub rollback_until: Option<Timestamp>,
    /// Whether what it kept has been removed.
    pub expired: bool,
    /// Whether all of that is known to be gone.
    pub cleared: bool,
    /// What made it fail.
    pub error: Option<String>,
    /// What to do about that.
    pub hint: Option<String>,
    /// What people should know besides.
    pub warnings: Vec<Message>,
    /// From the first container's stop to the last one's start, in seconds; nothing when none was stopped.
    pub downtime_seconds: Option<f64>,
}

impl Record {
    /// The record that `events` tell. `busy` says whether a process works on the operation now.
    pub fn of(events: &[Recorded], busy: bool) -> Option<Self> {
        let state = State::after(events)?;
        let plan = state.plan;
        let status = match state.verdict {
            None if busy => Status::Running,
            None => Status::Interrupted,
            Some(Verdict::Completed) => Status::Completed,
            Some(Verdict::RolledBack) => Status::RolledBack,
            Some(Verdict::RollbackIncomplete) => Status::RollbackIncomplete,
        };
        let finished_at = state.verdict.and_then(|_| last(events, |e| matches!(e, Event::Finished { .. })));
        let window = SignedDuration::from_secs(plan.window_seconds as i64);
        let closes = finished_at.and_then(|at| at.checked_add(window).ok()).filter(|_| !state.expired);
        let rollback_until = closes.filter(|_| status == Status::Completed);
        let kept = if state.expired { Vec::new() } else { kept(&state) };
        let kept_until = closes.filter(|_| match status {
            // Even one that cannot be rolled back has made something that is to go.
            Status::Completed => true,
            Status::RolledBack => !kept.is_empty(),
            _ => false,
        });
        let (error, hint) = failure(&state, events);
        Some(Self {
            id: plan.id.clone(),
            kind: plan.kind.clone(),
            status,
            created_at: plan.created_at,
            finished_at,
            host: plan.host.clone(),
            source: plan.source.clone(),
            choice: plan.choice.clone(),
            items: plan.items.clone(),
            steps: steps(&state),
            stopped_containers: plan.stops().map(ToOwned::to_owned).collect(),
            kept,
            kept_until,
            rollback_until,
            expired: state.expired,
            cleared: state.cleared,
            error,
            hint,
            warnings: warnings(events),
            downtime_seconds: downtime(&state, events),
        })
    }
}

impl Record {
    /// Fails when the operation cannot be rolled back, or not any more, at `now`.
    pub fn expect_reversible(&self, now: Timestamp) -> Result<(), Error> {
        let closed = |reason: String| Error::WindowClosed { id: self.id.to_string(), reason };
        match (self.status, self.rollback_until) {
            _ if self.expired => Err(closed("what it kept has been removed".to_owned())),
            (Status::Completed, Some(until)) if now > until => {
                Err(closed(format!("its window closed at {until}")))
            }
            (Status::RolledBack, _) => Err(closed("it is rolled back already".to_owned())),
            (Status::Running, _) => Err(Error::Busy(self.id.to_string())),
            _ => Ok(()),
        }
    }
}

fn last(events: &[Recorded], wanted: impl Fn(&Event) -> bool) -> Option<Timestamp> {
    events.iter().rev().find(|recorded| wanted(&recorded.event)).map(|recorded| recorded.at)
}

fn steps(state: &State<'_>) -> Vec<StepRecord> {
    let status = |progress: &Progress| match progress {
        Progress::Pending => StepStatus::Pending,
        Progress::Satisfied => StepStatus::Satisfied,
        Progress::Started(_) => StepStatus::Started,
        Progress::Done(_) => StepStatus::Done,
    };
    let described = state.plan.steps.iter().map(|step| step.change.describe());
    described
        .zip(&state.steps)
        .map(|(description, progress)| StepRecord { description, status: status(progress) })
        .collect()
}

fn kept(state: &State<'_>) -> Vec<String> {
    state.keeping().filter_map(Change::keeps).collect()
}

fn failure(state: &State<'_>, events: &[Recorded]) -> (Option<String>, Option<String>) {
    let stuck = events.iter().rev().find_map(|recorded| match &recorded.event {
        Event::UndoFailed { error, .. } => Some(error.clone()),
        _ => None,
    });
    match (state.verdict, &state.cause) {
        (Some(Verdict::RollbackIncomplete), _) if stuck.is_some() => (stuck, None),
        (_, Cause::Failed { error, hint }) => (Some(error.clone()), hint.clone()),
        (_, Cause::Cancelled) => (Some("cancelled".to_owned()), None),
        (_, Cause::Asked) => (None, None),
    }
}

/// The warnings since the operation was first aimed at its present goal: what a restore warned of says
/// nothing about its rollback.
fn warnings(events: &[Recorded]) -> Vec<Message> {
    let (mut warnings, mut present) = (Vec::new(), Goal::Applied);
    for recorded in events {
        match &recorded.event {
            Event::Aimed { goal, .. } if *goal != present => {
                present = *goal;
                warnings.clear();
            }
            Event::Warned { warning } => warnings.push(warning.clone()),
            _ => {}
        }
    }
    warnings
}

fn downtime(state: &State<'_>, events: &[Recorded]) -> Option<f64> {
    if state.goal == Goal::Reverted {
        return None;
    }
    let change = |step: &usize| state.plan.steps.get(*step).map(|step| &step.change);
    let stopped = events.iter().find(|recorded| match &recorded.event {
        Event::Started { step, .. } => matches!(change(step), Some(Change::StopContainer(_))),
        _ => false,
    })?;
    let started = last(events, |event| match event {
        Event::Done { step } | Event::Satisfied { step } => {
            matches!(change(step), Some(Change::StartContainer(_)))
        }
        _ => false,
    })?;
    Some(started.duration_since(stopped.at).as_secs_f64())
}
