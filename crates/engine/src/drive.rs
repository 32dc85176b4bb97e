//! The one function that runs plans.

use jiff::SignedDuration;
use reprise_host::OverlayHost;

use crate::cx::{Attended, Direction};
use crate::{Cause, Change, Cx, Error, Event, Goal, Journal, Observed, Progress, Result, Unwatched, Verdict};

/// How driving a plan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where the host is now.
    pub verdict: Verdict,
    /// Why it is there.
    pub cause: Cause,
    /// For [`Verdict::RollbackIncomplete`]: the step that could not be undone, from 0, and what happened.
    pub stuck: Option<(usize, String)>,
}

/// Drives the plan of `journal` to `goal`: a first run, a resume and a rollback are all this.
///
/// A failure or a cancel on the way to [`Goal::Applied`] turns it round; what then is left is the state
/// before. Undoing is never cancelled, and stops only at a step that cannot be undone. The rollback of a
/// completed operation is rehearsed first: one that is known to fail would leave containers stopped.
///
/// # Errors
/// Only when nothing was changed: the wish to begin could not be recorded, or a completed operation cannot
/// be rolled back. All else is in the [`Outcome`].
pub fn drive(journal: &mut Journal, goal: Goal, cx: &Cx<'_>) -> Result<Outcome> {
    let completed = is_completed(journal);
    if goal == Goal::Reverted {
        expect_not_expired(journal)?;
        if completed {
            rehearse(journal, goal, cx)?;
        }
    }
    let resumed_cause = match journal.state().cause.clone() {
        // Going on with an undoing that was cut off keeps the reason it began for.
        cause if goal == Goal::Reverted && journal.state().goal == Goal::Reverted => cause,
        _ => Cause::Asked,
    };
    journal.append(Event::Aimed { goal, cause: resumed_cause.clone() }, cx.clock)?;
    let mut cause = resumed_cause;
    if goal == Goal::Applied {
        match in_time(journal, !completed, cx) {
            Ok(()) => {
                look_after(journal, cx);
                // The work is done; a full disk now must not undo it.
                let _ = journal.append(Event::Finished { verdict: Verdict::Completed }, cx.clock);
                return Ok(Outcome { verdict: Verdict::Completed, cause, stuck: None });
            }
            Err(Error::Cancelled) => cause = Cause::Cancelled,
            Err(error) => {
                cause = Cause::Failed { error: error.to_string(), hint: error.hint().map(ToOwned::to_owned) };
            }
        }
        // From here on a journal that cannot be written is no reason to stop: undoing twice does no harm,
        // leaving the host half-way does.
        let _ = journal.append(Event::Aimed { goal: Goal::Reverted, cause: cause.clone() }, cx.clock);
    }
    let stuck = backward(journal, cx);
    let verdict = if stuck.is_some() { Verdict::RollbackIncomplete } else { Verdict::RolledBack };
    let _ = journal.append(Event::Finished { verdict }, cx.clock);
    let stuck = stuck.map(|(step, error)| (step, in_full(&error)));
    Ok(Outcome { verdict, cause, stuck })
}

/// Drives the plan of `journal` to `goal` against an overlay of the host: every step looks, and believes that
/// those before it were done. Nothing is changed or recorded. Fails as the real thing would, for whatever can
/// be known beforehand.
pub fn rehearse(journal: &Journal, goal: Goal, cx: &Cx<'_>) -> Result<()> {
    let overlay = OverlayHost::new(cx.host);
    let cx = Cx { host: &overlay, watch: &Unwatched, ..*cx };
    let mut journal = journal.pretended_copy();
    match goal {
        Goal::Applied => {
            let interrupted = !is_completed(&journal);
            forward(&mut journal, interrupted, &Attended::new(&cx, Direction::Forward, None), &cx)
        }
        Goal::Reverted => match backward(&mut journal, &cx) {
            None => Ok(()),
            Some((_, error)) => Err(error),
        },
    }
}

/// Says of a finished operation what must be known of what it keeps.
fn look_after(journal: &mut Journal, cx: &Cx<'_>) {
    let trouble = |step: &crate::Step| match &step.change {
        Change::Snapshot(snapshot) => snapshot.trouble(cx).ok().flatten(),
        _ => None,
    };
    let warnings: Vec<_> = journal.plan().steps.iter().filter_map(trouble).collect();
    for warning in warnings {
        cx.watch.warn(&warning);
        let _ = journal.append(Event::Warned { warning }, cx.clock);
    }
}

/// Completed operations are at rest: what they did has been other people's to change since.
fn is_completed(journal: &Journal) -> bool {
    journal.state().verdict == Some(Verdict::Completed)
}

fn expect_not_expired(journal: &Journal) -> Result<()> {
    if !journal.state().expired {
        return Ok(());
    }
    Err(Error::WindowClosed {
        id: journal.plan().id.to_string(),
        reason: "what it had replaced was removed when its rollback window closed".to_owned(),
    })
}

/// [`forward`], which has to be done within the time limit of the plan, counted from now.
fn in_time(journal: &mut Journal, interrupted: bool, cx: &Cx<'_>) -> Result<()> {
    let limit = journal.plan().limit_seconds;
    let until = limit.and_then(|limit| {
        cx.clock.now().checked_add(SignedDuration::from_secs(i64::try_from(limit).ok()?)).ok()
    });
    let attended = Attended::new(cx, Direction::Forward, until);
    match (forward(journal, interrupted, &attended, cx), limit) {
        (Err(Error::Cancelled), Some(seconds)) if attended.is_late() => Err(Error::TimeLimit { seconds }),
        (other, _) => other,
    }
}

/// Applies every step that is not applied, first to last. After an interruption, steps that are applied are
/// made sure of where that can be: a reboot may have ended a container that had been started, and a journal
/// that could not be written does not know of all that was undone.
fn forward(journal: &mut Journal, interrupted: bool, attended: &Attended<'_>, cx: &Cx<'_>) -> Result<()> {
    let cx = &Cx { watch: attended, ..*cx };
    let total = journal.plan().steps.len();
    for index in 0..total {
        if cx.watch.cancelled() {
            return Err(Error::Cancelled);
        }
        let step = journal.plan().steps[index].clone();
        let before = match &journal.state().steps[index] {
            Progress::Done(before) if interrupted && step.change.can_be_confirmed() => Some(before.clone()),
            Progress::Done(_) | Progress::Satisfied => continue,
            Progress::Started(before) => Some(before.clone()),
            Progress::Pending => None,
        };
        cx.watch.step_begins(index, total, &step, Direction::Forward);
        let before = match before {
            Some(before) => before,
            None => match step.change.observe(cx)? {
                Observed::Satisfied => {
                    journal.append(Event::Satisfied { step: index }, cx.clock)?;
                    cx.watch.step_ends(index, &step, Direction::Forward);
                    continue;
                }
                Observed::Needed(before) => {
                    journal.append(Event::Started { step: index, before: before.clone() }, cx.clock)?;
                    before
                }
            },
        };
        match step.change.apply(&before, cx).and_then(|()| step.change.made(&before, cx)) {
            Ok(made) if made == before => {}
            Ok(before) => journal.append(Event::Started { step: index, before }, cx.clock)?,
            Err(error) => {
                let _ = journal.append(Event::Failed { step: index, error: error.to_string() }, cx.clock);
                return Err(error);
            }
        }
        for warning in attended.take_warnings() {
            journal.append(Event::Warned { warning }, cx.clock)?;
        }
        journal.append(Event::Done { step: index }, cx.clock)?;
        cx.watch.step_ends(index, &step, Direction::Forward);
    }
    Ok(())
}

/// Undoes every step that was begun, last to first. Returns the step that could not be undone.
fn backward(journal: &mut Journal, cx: &Cx<'_>) -> Option<(usize, Error)> {
    let attended = Attended::new(cx, Direction::Backward, None);
    let cx = &Cx { watch: &attended, ..*cx };
    let total = journal.plan().steps.len();
    // The journal may be past writing, so its state is not asked again on the way.
    let progress = journal.state().steps;
    for (index, progress) in progress.into_iter().enumerate().rev() {
        let (Progress::Started(before) | Progress::Done(before)) = progress else { continue };
        let step = journal.plan().steps[index].clone();
        cx.watch.step_begins(index, total, &step, Direction::Backward);
        if let Err(error) = step.change.undo(&before, cx) {
            let _ = journal.append(Event::UndoFailed { step: index, error: in_full(&error) }, cx.clock);
            return Some((index, error));
        }
        for warning in attended.take_warnings() {
            let _ = journal.append(Event::Warned { warning }, cx.clock);
        }
        let _ = journal.append(Event::Undone { step: index }, cx.clock);
        cx.watch.step_ends(index, &step, Direction::Backward);
    }
    None
}

/// `error` and what to do about it.
fn in_full(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

/// Removes what an operation that has ended still keeps: of a completed one, all that its rollback would need.
pub fn expire(journal: &mut Journal, cx: &Cx<'_>) -> Result<()> {
    let state = journal.state();
    if !matches!(state.verdict, Some(Verdict::Completed | Verdict::RolledBack)) {
        return Err(Error::Refused {
            what: format!("operation {}", state.plan.id),
            why: "is not completed, so what it keeps may be all there is".to_owned(),
            hint: "resume it or roll it back first",
        });
    }
    let changes: Vec<Change> = state.keeping().cloned().collect();
    // Recorded first: half removed, it is nothing to go back to.
    if !state.expired {
        journal.append(Event::Expired, cx.clock)?;
    }
    // One that cannot be removed now must not keep the others.
    changes.iter().map(|change| change.forget(cx)).fold(Ok(()), Result::and)?;
    journal.append(Event::Cleared, cx.clock)
}
