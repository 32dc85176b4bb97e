//! `reprise operations`: what was done, what can go on, what can be undone.

use std::collections::BTreeMap;

use reprise_engine::{
    Cause, Change, Clock, Cx, Event, Goal, Journal, Operations, Outcome, Plan, Record, Recorded, State,
    Status, SystemClock, Unwatched, Verdict, drive, expire,
};
use reprise_host::{Claim, Host};
use reprise_model::{Destination, Message, OperationId};
use reprise_recipes::borg::BorgArchive;

use crate::args::{OperationsAction, OperationsArgs};
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::repository::Place;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::view::record::moment;
use crate::{ask, hosts, passphrase, repository, view};

/// Runs the action.
pub fn run(args: &OperationsArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let operations = Operations::new(&env.state_dir);
    let act = Act { operations: &operations, env, ui, cancel, yes: args.yes };
    match args.action.as_ref().unwrap_or(&OperationsAction::List) {
        OperationsAction::List => list(&operations, ui),
        OperationsAction::Show { id } => show(&operations, &operations.find(id)?, ui),
        OperationsAction::Log { id } => log(&operations, &operations.find(id)?, ui),
        OperationsAction::Resume { id } => act.resume(&operations.find(id)?),
        OperationsAction::Rollback { id } => act.rollback(&operations.find(id)?),
        OperationsAction::Expire => act.expire(),
    }
}

fn list(operations: &Operations, ui: &Ui) -> Result<Exit, Failure> {
    let (mut records, mut exit) = (Vec::new(), Exit::Done);
    for id in operations.ids()? {
        match operations.record(&id) {
            Ok(record) => records.push(record),
            // One damaged journal must not hide the others.
            Err(error) => {
                Ui::warn(&error.to_string());
                exit = Exit::Warnings;
            }
        }
    }
    if ui.json {
        Ui::print_json(&records);
    } else {
        view::record::list(&records, SystemClock.now(), ui);
    }
    Ok(exit)
}

fn show(operations: &Operations, id: &OperationId, ui: &Ui) -> Result<Exit, Failure> {
    let record = operations.record(id)?;
    if ui.json {
        Ui::print_json(&record);
    } else {
        view::record::show(&record, SystemClock.now(), ui);
    }
    Ok(Exit::Done)
}

fn log(operations: &Operations, id: &OperationId, ui: &Ui) -> Result<Exit, Failure> {
    let (events, damage) = match operations.events(id) {
        Ok(events) => (events, None),
        // What is left of it is all that tells what to set right by hand.
        Err(error @ reprise_engine::Error::DamagedJournal { .. }) => (readable(&error)?, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let exit = if damage.is_some() { Exit::Warnings } else { Exit::Done };
    if let Some(error) = damage {
        Ui::warn(&error.to_string());
        if !events.is_empty() {
            Ui::warn(&ui.word("log-readable"));
        }
    }
    if ui.json {
        Ui::print_json(&events);
        return Ok(exit);
    }
    let plan = events.iter().find_map(|recorded| match &recorded.event {
        Event::Planned { plan } => Some(plan.as_ref()),
        _ => None,
    });
    for recorded in &events {
        let text = ui.text(&view::record::event(&recorded.event, plan, ui.lang));
        ui.line(format!("{}  {text}", moment(recorded.at)));
    }
    Ok(exit)
}

/// The lines of a damaged journal that still say something.
fn readable(damage: &reprise_engine::Error) -> Result<Vec<Recorded>, Failure> {
    let reprise_engine::Error::DamagedJournal { path, .. } = damage else { return Ok(Vec::new()) };
    let content = std::fs::read(path)?;
    Ok(content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// What became of what one operation kept.
enum Expired {
    /// It is gone.
    Removed(Box<Record>),
    /// There was nothing to remove yet.
    Nothing,
    /// The same, and something was warned of.
    Warned,
}

/// What the actions that change something work with.
struct Act<'a> {
    operations: &'a Operations,
    env: &'a Env,
    ui: &'a Ui,
    cancel: &'a Cancel,
    yes: bool,
}

impl Act<'_> {
    fn resume(&self, id: &OperationId) -> Result<Exit, Failure> {
        let record = self.operations.record(id)?;
        match record.status {
            Status::Interrupted | Status::RollbackIncomplete => {}
            Status::Running => return Err(reprise_engine::Error::Busy(id.to_string()).into()),
            Status::Completed | Status::RolledBack => {
                return Err(Failure::new(format!("operation {id} has ended; there is nothing to resume")));
            }
        }
        let _lock = self.operations.lock(id)?;
        let journal = self.operations.open(id)?;
        let goal = journal.state().goal;
        let question = match goal {
            Goal::Applied => "resume-forward",
            Goal::Reverted => "resume-backward",
        };
        self.ui.line(self.ui.text(&Message::new(question).text("id", id)));
        self.agree(&record)?;
        self.drive(journal, goal)
    }

    fn rollback(&self, id: &OperationId) -> Result<Exit, Failure> {
        let record = self.operations.record(id)?;
        if record.status == Status::RolledBack {
            self.ui.line(self.ui.text(&Message::new("rollback-already").text("id", id)));
            if self.ui.json {
                Ui::print_json(&record);
            }
            return Ok(Exit::Done);
        }
        record.expect_reversible(SystemClock.now())?;
        let _lock = self.operations.lock(id)?;
        self.operations.expect_last(id)?;
        let journal = self.operations.open(id)?;
        if record.status == Status::Completed {
            self.ui.line(self.ui.text(&rollback_effect(&record)));
        }
        self.agree(&record)?;
        self.drive(journal, Goal::Reverted)
    }

    fn expire(&self) -> Result<Exit, Failure> {
        let (mut removed, mut failed, mut exit) = (Vec::new(), false, Exit::Done);
        let mut reached: BTreeMap<String, Box<dyn Host>> = BTreeMap::new();
        for id in self.operations.ids()? {
            // One of which something cannot be removed must not keep the others: it is tried again the next time.
            match self.expire_one(&id, &mut reached) {
                Ok(Expired::Removed(record)) => removed.push(*record),
                Ok(Expired::Nothing) => {}
                Ok(Expired::Warned) => exit = Exit::Warnings,
                Err(failure) => {
                    let hint = failure.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                    Ui::warn(&format!("{id}: {}{hint}", failure.message));
                    (failed, exit) = (true, Exit::Warnings);
                }
            }
        }
        if self.ui.json {
            Ui::print_json(&removed);
        } else if !(failed && removed.is_empty()) {
            let count = Message::new("expired-count").count("count", removed.len() as u64);
            self.ui.line(self.ui.text(&count));
        }
        Ok(exit)
    }

    fn expire_one(
        &self,
        id: &OperationId,
        reached: &mut BTreeMap<String, Box<dyn Host>>,
    ) -> Result<Expired, Failure> {
        let record = self.operations.record(id)?;
        let closed = record.kept_until.is_some_and(|until| until < SystemClock.now());
        let is_to_go = (closed || record.expired) && !record.cleared;
        let plan = State::after(&self.operations.events(id)?).map(|state| state.plan.clone());
        let watched = plan.iter().flat_map(|plan| &plan.steps).filter_map(|step| match &step.change {
            Change::Snapshot(snapshot) if !is_to_go => Some(snapshot),
            _ => None,
        });
        let watched: Vec<_> = watched.collect();
        let is_watched = record.status == Status::Completed && !watched.is_empty() && !record.cleared;
        if !matches!(record.status, Status::Completed | Status::RolledBack) || !is_to_go && !is_watched {
            return Ok(Expired::Nothing);
        }
        let _lock = self.operations.lock(id)?;
        if !reached.contains_key(&record.host) {
            reached.insert(record.host.clone(), hosts::of_plan(&record.host, self.env)?);
        }
        let host = reached[&record.host].as_ref();
        let mut journal = self.operations.open(id)?;
        let source = self.source(&journal.plan().clone());
        let cx = Cx { host, source: &source, clock: &SystemClock, watch: &Unwatched };
        if !is_to_go {
            // Until then a snapshot may fill up, and somebody should hear of that while there is something to be done.
            let warnings: Vec<_> =
                watched.iter().filter_map(|snapshot| snapshot.trouble(&cx).ok().flatten()).collect();
            for warning in &warnings {
                Ui::warn(&self.ui.text(warning));
            }
            return Ok(if warnings.is_empty() { Expired::Nothing } else { Expired::Warned });
        }
        let _claim = host.claim(&claim(journal.plan()))?;
        expire(&mut journal, &cx)?;
        Ok(Expired::Removed(Box::new(record)))
    }

    fn agree(&self, record: &Record) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        ask::agreement(record.choice.destination == Destination::InPlace, self.ui)
    }

    /// The archive of `plan`, opened only if something is to be read from it.
    fn source(&self, plan: &Plan) -> BorgArchive<'_> {
        let (recorded, env) = (plan.source.repository.clone(), self.env);
        BorgArchive::new(&plan.source, &passphrase::find, move || {
            let place = Place::parse(&recorded).map_err(|reason| reprise_borg::Error::Invalid { reason })?;
            repository::open(&place, env)
        })
    }

    fn drive(&self, mut journal: Journal, goal: Goal) -> Result<Exit, Failure> {
        let plan = journal.plan().clone();
        let source = self.source(&plan);
        if goal == Goal::Applied {
            // Before anything happens: a wrong passphrase is no reason to roll back.
            let staged = plan.steps.iter().zip(&journal.state().steps).any(|(step, progress)| {
                step.change.reads_backup()
                    && matches!(
                        progress,
                        reprise_engine::Progress::Pending | reprise_engine::Progress::Started(_)
                    )
            });
            if staged {
                source.with(|_, _| Ok(()))?;
            }
        }
        let host = hosts::of_plan(&plan.host, self.env)?;
        let _claim = host.claim(&claim(&plan))?;
        self.cancel.host_changes();
        let progress = Progress::new(&plan, self.ui, self.cancel);
        let cx = Cx { host: host.as_ref(), source: &source, clock: &SystemClock, watch: &progress };
        let outcome = drive(&mut journal, goal, &cx)?;
        progress.end();
        conclude(&journal, &outcome, self.ui)
    }
}

/// What an operation of `plan` makes known on its host.
pub fn claim(plan: &Plan) -> Claim {
    let (user, uname) = (rustix::process::geteuid(), rustix::system::uname());
    let user = if user.is_root() { "root".to_owned() } else { format!("user {}", user.as_raw()) };
    Claim {
        operation: plan.id.to_string(),
        by: format!("{user}@{}, process {}", uname.nodename().to_string_lossy(), std::process::id()),
        since: SystemClock.now(),
        things: plan.things(),
    }
}

fn rollback_effect(record: &Record) -> Message {
    let when = record.finished_at.map_or_else(String::new, moment);
    Message::new("rollback-effect").text("id", &record.id).text("when", when)
}

/// Says how it ended, and gives the exit code for it.
pub fn conclude(journal: &Journal, outcome: &Outcome, ui: &Ui) -> Result<Exit, Failure> {
    let record = Record::of(journal.events(), true)
        .ok_or_else(|| Failure::new("the journal does not begin with a plan"))?;
    let exit = match (outcome.verdict, &outcome.cause) {
        (Verdict::Completed, _) | (Verdict::RolledBack, Cause::Asked) if record.warnings.is_empty() => {
            Exit::Done
        }
        (Verdict::Completed, _) | (Verdict::RolledBack, Cause::Asked) => Exit::Warnings,
        (Verdict::RolledBack, Cause::Cancelled) => Exit::Cancelled,
        (Verdict::RolledBack, Cause::Failed { .. }) => Exit::RolledBack,
        (Verdict::RollbackIncomplete, _) => Exit::RollbackIncomplete,
    };
    if ui.json {
        Ui::print_json(&record);
    }
    summary(&record, outcome, undone_with_warnings(journal), ui);
    Ok(exit)
}

/// Whether something was remarked on while it was undone: then not all is as it was.
fn undone_with_warnings(journal: &Journal) -> bool {
    let undoing = |event: &Event| matches!(event, Event::Aimed { goal: Goal::Reverted, .. });
    let since = journal.events().iter().skip_while(|recorded| !undoing(&recorded.event));
    since.into_iter().any(|recorded| matches!(recorded.event, Event::Warned { .. }))
}

fn summary(record: &Record, outcome: &Outcome, undone_with_warnings: bool, ui: &Ui) {
    let id = &record.id;
    ui.line("");
    match (outcome.verdict, &outcome.cause) {
        (Verdict::Completed, _) => {
            ui.line(ui.text(&match &record.choice.destination {
                Destination::InPlace => Message::new("ended-completed").text("id", id),
                Destination::Directory(path) => {
                    Message::new("ended-completed-elsewhere").text("id", id).text("path", path.display())
                }
            }));
            if let Some(downtime) = record.downtime_seconds {
                ui.line(ui.text(&Message::new("ended-downtime").text("seconds", format!("{downtime:.1}"))));
            }
            if let Some(until) = record.rollback_until.map(moment) {
                ui.line(ui.text(&Message::new("ended-undo").text("id", id).text("until", &until)));
                if record.choice.destination == Destination::InPlace && !record.kept.is_empty() {
                    ui.line(ui.text(&Message::new("ended-kept").text("until", until)));
                }
            }
        }
        (Verdict::RolledBack, cause) => {
            if let Cause::Failed { error, hint } = cause {
                Ui::failure_for_people(error, hint.as_deref());
            }
            let key = match (cause, undone_with_warnings) {
                (Cause::Asked, false) => "ended-rolled-back",
                (Cause::Asked, true) => "ended-rolled-back-but",
                (Cause::Cancelled, false) => "ended-cancelled",
                (Cause::Cancelled, true) => "ended-cancelled-but",
                (Cause::Failed { .. }, false) => "ended-failed",
                (Cause::Failed { .. }, true) => "ended-failed-but",
            };
            ui.line(ui.text(&Message::new(key).text("id", id)));
        }
        (Verdict::RollbackIncomplete, _) => {
            if let Some((step, error)) = &outcome.stuck {
                Ui::failure_for_people(error, None);
                let stuck = Message::new("ended-stuck").count("step", *step as u64 + 1).text("id", id);
                ui.line(ui.text(&stuck));
            }
        }
    }
}
