//! Operations, as they are recorded.

use jiff::{Timestamp, tz::TimeZone};
use owo_colors::OwoColorize;
use reprise_engine::{Cause, Event, Goal, Plan, Record, Status, StepStatus, Verdict};
use reprise_model::{Destination, Lang, Message, human_seconds};

use crate::ui::{self, Ui, one_line};
use crate::view::table;

/// A moment in the reader's time zone.
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn status(record: &Record, ui: &Ui) -> String {
    match record.status {
        Status::Running => ui.word("status-running"),
        Status::Interrupted => ui.word("status-interrupted"),
        Status::Completed => ui.word("status-completed"),
        Status::RolledBack => ui.word("status-rolled-back"),
        Status::RollbackIncomplete => ui.word("status-rollback-incomplete"),
    }
}

fn coloured_status(record: &Record, ui: &Ui) -> String {
    let word = status(record, ui);
    match record.status {
        Status::Running | Status::RolledBack => word.yellow().to_string(),
        Status::Completed => word.green().to_string(),
        Status::Interrupted | Status::RollbackIncomplete => word.red().bold().to_string(),
    }
}

fn destination(record: &Record, ui: &Ui) -> String {
    match &record.choice.destination {
        Destination::InPlace => ui.word("plan-in-place"),
        Destination::Directory(path) => one_line(&path.display().to_string()),
    }
}

/// How long `record` can still be rolled back.
fn reversible(record: &Record, now: Timestamp, ui: &Ui) -> String {
    match record.rollback_until {
        Some(until) if until > now => human_seconds(until.duration_since(now).as_secs() as u64),
        _ => ui.word("word-none"),
    }
}

/// Shows `records` as a list.
pub fn list(records: &[Record], now: Timestamp, ui: &Ui) {
    if records.is_empty() {
        ui.line(ui.word("operations-none"));
        return;
    }
    let keys =
        ["word-id", "word-status", "word-created", "word-archive", "plan-destination", "word-reversible"];
    let mut rows = table(&keys.map(|key| ui.word(key)));
    for record in records {
        rows.add_row([
            record.id.to_string(),
            status(record, ui),
            moment(record.created_at),
            one_line(&record.source.archive),
            destination(record, ui),
            reversible(record, now, ui),
        ]);
    }
    ui.line(rows.to_string());
}

/// Shows one operation with its steps.
pub fn show(record: &Record, now: Timestamp, ui: &Ui) {
    let archive = format!("{}::{}", record.source.repository, record.source.archive);
    let stopped = record.stopped_containers.join(", ");
    let items = record.items.iter().map(|item| item.reference().to_string()).collect::<Vec<_>>().join(", ");
    let rows = [
        ("word-id", record.id.to_string()),
        ("word-status", coloured_status(record, ui)),
        ("word-created", moment(record.created_at)),
        ("word-finished", record.finished_at.map_or_else(|| ui.word("word-none"), moment)),
        ("plan-archive", one_line(&archive)),
        ("plan-destination", destination(record, ui)),
        ("plan-items", one_line(&items)),
        ("plan-stops", if stopped.is_empty() { ui.word("word-none") } else { one_line(&stopped) }),
        ("word-reversible", reversible(record, now, ui)),
    ];
    for (key, value) in rows {
        ui.line(format!("  {:<22} {value}", ui.word(key)));
    }
    if let Some(downtime) = record.downtime_seconds {
        ui.line(format!("  {:<22} {downtime:.1} s", ui.word("plan-downtime")));
    }
    for path in &record.kept {
        ui.line(format!("  {:<22} {}", ui.word("word-kept"), one_line(path)));
    }
    if let Some(error) = &record.error {
        ui.line(format!("  {:<22} {}", ui.word("word-error"), ui::within(error, 25).red()));
    }
    if let Some(hint) = &record.hint {
        ui.line(format!("  {:<22} {}", "", ui::within(hint, 25).dimmed()));
    }
    for warning in &record.warnings {
        ui.line(format!("  {:<22} {}", ui.word("word-warning"), ui.text(warning).yellow()));
    }
    ui.heading("plan-steps");
    let total = record.steps.len();
    for (number, step) in (1..).zip(&record.steps) {
        let word = match step.status {
            StepStatus::Pending => "step-pending",
            StepStatus::Satisfied => "step-satisfied",
            StepStatus::Started => "step-started",
            StepStatus::Done => "step-done",
        };
        ui.line(format!(
            "  [{number:>2}/{total}] {}  {}",
            ui.text(&step.description),
            ui.word(word).dimmed()
        ));
    }
    match record.status {
        Status::Interrupted => {
            let advice = Message::new("advice-interrupted").text("id", &record.id);
            ui.line(format!("\n{}", ui.text(&advice)));
        }
        Status::RollbackIncomplete => {
            let advice = Message::new("advice-incomplete").text("id", &record.id);
            ui.line(format!("\n{}", ui.text(&advice)));
        }
        _ => {}
    }
}

/// What happened, in words; `plan` tells what its steps are.
pub fn event(event: &Event, plan: Option<&Plan>, lang: Lang) -> Message {
    let of_step = |key: &'static str, index: usize| {
        let step = plan.and_then(|plan| plan.steps.get(index));
        let described = step.map(|step| step.change.describe().in_lang(lang)).unwrap_or_default();
        Message::new(key).count("number", index as u64 + 1).text("step", described)
    };
    match event {
        Event::Planned { plan } => Message::new("event-planned").count("count", plan.steps.len() as u64),
        Event::Aimed { goal: Goal::Applied, .. } => Message::new("event-begins"),
        Event::Aimed { goal: Goal::Reverted, cause } => match cause {
            Cause::Asked => Message::new("event-rolls-back"),
            Cause::Cancelled => Message::new("event-cancelled"),
            Cause::Failed { error, .. } => Message::new("event-turns-round").text("error", error),
        },
        Event::Satisfied { step } => of_step("event-satisfied", *step),
        Event::Started { step, .. } => of_step("event-started", *step),
        Event::Done { step } => of_step("event-done", *step),
        Event::Undone { step } => of_step("event-undone", *step),
        Event::Failed { step, error } => of_step("event-failed", *step).text("error", error),
        Event::UndoFailed { step, error } => of_step("event-undo-failed", *step).text("error", error),
        Event::Warned { warning } => Message::new("event-warned").text("warning", warning.in_lang(lang)),
        Event::Finished { verdict: Verdict::Completed } => Message::new("status-completed"),
        Event::Finished { verdict: Verdict::RolledBack } => Message::new("status-rolled-back"),
        Event::Finished { verdict: Verdict::RollbackIncomplete } => {
            Message::new("status-rollback-incomplete")
        }
        Event::Expired => Message::new("event-expired"),
        Event::Cleared => Message::new("event-cleared"),
    }
}
