//! A plan, before it runs (DR-8).

use owo_colors::OwoColorize;
use reprise_engine::Plan;
use reprise_model::{Destination, Finding, Message, human_bytes, human_seconds};
use reprise_recipes::docker::Preview;

use crate::ui::{Ui, one_line, printable};
use crate::view::{align_right, table};

/// Shows `plan`: all that a person decides about it by.
pub fn show(plan: &Plan, previews: &[Preview], ui: &Ui) {
    ui.heading("plan-title");
    let destination = match &plan.choice.destination {
        Destination::InPlace => ui.word("plan-in-place").red().bold().to_string(),
        Destination::Directory(path) => one_line(&path.display().to_string()),
    };
    let stops = plan.stops().collect::<Vec<_>>().join(", ");
    let archive = format!("{}::{} ({})", plan.source.repository, plan.source.archive, plan.source.time);
    let downtime = plan.downtime().as_secs_f64().ceil() as u64;
    let (undo, protection) = match &plan.choice.destination {
        Destination::InPlace => (Message::new("plan-undo-window"), "plan-protection-swap"),
        Destination::Directory(_) => {
            (Message::new("plan-undo-window-elsewhere"), "plan-protection-elsewhere")
        }
    };
    let space = plan.space.iter().map(|space| {
        let key = if space.at_most > space.needed { "plan-space-up-to" } else { "plan-space-of" };
        let message =
            Message::new(key).bytes("needed", space.at_most.max(space.needed)).bytes("free", space.free);
        ("plan-space", ui.text(&message.text("path", space.path.display())))
    });
    let rows = [
        ("plan-archive", one_line(&archive)),
        ("plan-host", one_line(&plan.host)),
        ("plan-destination", destination),
        ("plan-writes", human_bytes(plan.bytes())),
        ("plan-stops", if stops.is_empty() { ui.word("word-none") } else { one_line(&stops) }),
        ("plan-duration", human_seconds((plan.duration().as_secs_f64().ceil() as u64).max(1))),
        ("plan-downtime", if downtime == 0 { ui.word("word-none") } else { human_seconds(downtime) }),
    ];
    let mut protections: Vec<String> =
        plan.protections.iter().map(|protection| one_line(&ui.text(protection))).collect();
    if protections.is_empty() {
        protections.push(ui.word(protection));
    }
    let protections = protections.into_iter().map(|protection| ("plan-protection", protection));
    let undo = ui.text(&undo.seconds("window", plan.window_seconds));
    let rows = rows.into_iter().chain(protections).chain([("plan-undo", undo)]);
    for (key, value) in rows.chain(space) {
        ui.line(format!("  {:<18} {value}", ui.word(key)));
    }
    items(plan, ui);
    findings(&plan.findings, ui);
    for preview in previews.iter().filter(|preview| !preview.diff.is_empty()) {
        ui.heading("plan-diff");
        ui.line(printable(preview.diff.trim_end()));
    }
    ui.heading("plan-steps");
    let total = plan.steps.len();
    for (number, step) in (1..).zip(&plan.steps) {
        ui.line(format!("  [{number:>2}/{total}] {}", ui.text(&step.change.describe())));
    }
}

fn items(plan: &Plan, ui: &Ui) {
    ui.heading("plan-items");
    let headings = ["word-kind", "word-name", "word-size", "word-entries", "word-path", "word-target"]
        .map(|key| ui.word(key));
    let mut rows = table(&headings);
    for item in &plan.items {
        let target = plan.target_of(item).map(|target| one_line(&target.display().to_string()));
        rows.add_row([
            item.kind.to_string(),
            one_line(&item.name),
            human_bytes(item.bytes),
            item.entries.to_string(),
            one_line(&format!("/{}", item.path)),
            target.unwrap_or_default(),
        ]);
    }
    align_right(&mut rows, &[2, 3]);
    ui.line(rows.to_string());
}

/// Shows what checks found, with what to do about it.
pub fn findings(findings: &[Finding], ui: &Ui) {
    if findings.is_empty() {
        return;
    }
    ui.heading("plan-findings");
    for finding in findings {
        ui.line(format!("  {} {}", Ui::mark(finding.severity), ui.text(&finding.message)));
        if let Some(advice) = &finding.advice {
            ui.line(format!("    {}", ui.text(advice).dimmed()));
        }
    }
}
