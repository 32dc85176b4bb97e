//! `reprise docker restore`.

use std::path::PathBuf;

use jiff::Timestamp;
use reprise_engine::{
    Clock, Cx, Detail, Goal, Journal, Operations, Plan, SourceRef, Status, SystemClock, Unwatched, drive,
    rehearse, script,
};
use reprise_host::Host;
use reprise_model::{Destination, Finding, Message, OperationId, Selection, Severity};
use reprise_recipes::borg::BorgArchive;
use reprise_recipes::docker::{
    HealthChoice, Preview, Recreating, Request, analyse, look_at_making, plan, preview, survey,
};
use serde::Serialize;

use super::express;
use super::operations::{claim, conclude};
use crate::args::{RestoreArgs, ScriptArg};
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::repository::Place;
use crate::repository::utc;
use crate::signals::Cancel;
use crate::ui::{Ui, out};
use crate::{ask, hosts, passphrase, repository, view};

/// What `--dry-run --json` prints. Documented in `docs/json.md`.
#[derive(Serialize)]
struct DryRun<'a> {
    plan: &'a Plan,
    previews: &'a [Preview],
    estimated_seconds: f64,
    estimated_downtime_seconds: f64,
    /// Whether a run would begin.
    ready: bool,
    /// What a rehearsal of the steps stumbled over.
    error: Option<String>,
}

/// Plans a restore and, unless it is only to be shown, runs it.
pub fn run(args: &RestoreArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let operations = Operations::new(&env.state_dir);
    let place = repository::place(args.location.repository.as_ref(), env)?;
    let opened = repository::open(&place, env)?;
    let mut remarks: Vec<Finding> = Vec::new();
    let named = args.location.archive.as_ref().filter(|name| !args.express || *name != "latest");
    let name = match named {
        Some(name) => name.clone(),
        None if args.express => {
            let (name, passed) = express::newest_sound(&opened, cancel, ui)?;
            remarks.extend(passed);
            name
        }
        None if !args.yes && Ui::can_ask() => ask::archive(&opened, ui)?,
        None => "latest".to_owned(),
    };
    let entry = repository::entry(&opened, &name)?;
    let host = hosts::open(args.host.as_ref(), env)?;
    let host = host.as_ref();
    let source = SourceRef {
        kind: "borg".to_owned(),
        repository: place.to_string(),
        archive: entry.name.clone(),
        id: entry.id.to_string(),
        time: utc(&entry.time),
    };
    if entry.checkpoint {
        remarks.push(Finding::new(Severity::Warning, Message::new("archive-checkpoint")));
    }
    let open = || repository::open(&place, env);
    let archive = BorgArchive::new(&source, &passphrase::find, open).opened(opened);
    if archive.with(|archive, _| Ok(archive.info().tam))? == reprise_borg::Tam::Absent {
        remarks.push(Finding::new(Severity::Info, Message::new("archive-unauthenticated")));
    }
    let contents = analyse(&source.archive, &archive, cancel)?;
    let choice = ask::choice(args, &contents, ui)?;
    let selection = Selection::new(&contents, &choice)?;
    if choice.destination == Destination::InPlace {
        remarks.extend(unfinished(&operations)?);
    }
    let now = SystemClock.now();
    let id = OperationId::new(now, rand());
    if !args.dry_run && args.script.is_none() {
        // Looked at while another operation is at work, the host would be seen in the middle of something.
        operations.expect_idle()?;
    }
    let mut facts = survey(host, &selection, &choice, &archive)?;
    let recreating = Recreating { allowed: !args.no_recreate, pull: args.pull };
    facts.making = look_at_making(host, &contents, &choice, recreating, &facts, &archive)?;
    let age_seconds =
        source.time.parse::<Timestamp>().ok().map(|at| now.duration_since(at).as_secs().max(0) as u64);
    // On another host neither lies there.
    let reserved = if args.host.is_none() { reserved(host, &place, env)? } else { Vec::new() };
    let request = Request {
        id: &id,
        now,
        source: &source,
        contents: &contents,
        choice: &choice,
        selection: &selection,
        age_seconds,
        reserved: &reserved,
        limit_seconds: args.time_limit,
        health: HealthChoice { limit_seconds: args.health_timeout, keep_unhealthy: args.keep_on_unhealthy },
        remarks: &remarks,
    };
    let plan = plan(&request, &facts);
    let previews = preview(&facts, choice.adaptation);
    let cx = Cx { host, source: &archive, clock: &SystemClock, watch: &Unwatched };

    if let Some(detail) = args.script {
        return print_script(&plan, detail, ui);
    }
    let rehearsed = if plan.blockers().next().is_some() {
        Ok(())
    } else {
        rehearse(&Journal::pretended(plan.clone(), &SystemClock), Goal::Applied, &cx)
    };
    if args.dry_run {
        return dry_run(&plan, &previews, rehearsed, ui);
    }
    view::plan::show(&plan, &previews, ui);
    expect_no_blockers(&plan, ui)?;
    rehearsed?;
    if !args.yes {
        ask::agreement(choice.destination == Destination::InPlace, ui)?;
    }
    if cancel.is_asked() {
        return Err(Failure::cancelled());
    }
    execute(plan, &operations, cx, ui, cancel)
}

/// Runs `plan`, which was agreed to, to one of its ends.
fn execute(
    plan: Plan,
    operations: &Operations,
    cx: Cx<'_>,
    ui: &Ui,
    cancel: &Cancel,
) -> Result<Exit, Failure> {
    let _lock = operations.lock(&plan.id)?;
    // Another operation may have been cut off while the question stood there.
    let is_in_place = plan.choice.destination == Destination::InPlace;
    if let Some(finding) = unfinished(operations)?.first().filter(|_| is_in_place) {
        let hint = finding.advice.as_ref().map(|advice| ui.text(advice));
        return Err(Failure { hint, ..Failure::new(ui.text(&finding.message)) });
    }
    let _claim = cx.host.claim(&claim(&plan))?;
    cancel.host_changes();
    ui.line("");
    let progress = Progress::new(&plan, ui, cancel);
    let mut journal = operations.create(plan, &SystemClock)?;
    let outcome = drive(&mut journal, Goal::Applied, &Cx { watch: &progress, ..cx })?;
    progress.end();
    conclude(&journal, &outcome, ui)
}

/// Where nothing may be restored to: what the restore itself needs.
fn reserved(host: &dyn Host, place: &Place, env: &Env) -> Result<Vec<(PathBuf, Message)>, Failure> {
    let state = host.canonical(&std::path::absolute(&env.state_dir)?)?;
    let mut reserved = vec![(state, Message::new("reserved-state"))];
    if let Some(directory) = place.directory() {
        reserved.push((host.canonical(directory)?, Message::new("reserved-repository")));
    }
    Ok(reserved)
}

/// An operation that was cut off may have left containers stopped: what the host looks like now is not
/// what it should look like.
fn unfinished(operations: &Operations) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for id in operations.ids()? {
        let record = match operations.record(&id) {
            Ok(record) => record,
            // Nobody knows what it left on the host.
            Err(error) => {
                let finding = Finding::new(
                    Severity::Blocker,
                    Message::new("operation-unreadable").text("error", error),
                );
                findings.push(finding.advise(Message::new("operation-unreadable-advice").text("id", &id)));
                continue;
            }
        };
        if matches!(record.status, Status::Interrupted | Status::RollbackIncomplete) {
            let message = Message::new("operation-unfinished").text("id", &id);
            findings.push(Finding::new(Severity::Blocker, message));
        }
    }
    Ok(findings)
}

fn rand() -> u32 {
    // Distinctness within one second is all that is asked; the hasher's keys come from the system.
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}

fn print_script(plan: &Plan, detail: ScriptArg, ui: &Ui) -> Result<Exit, Failure> {
    expect_no_blockers(plan, ui)?;
    if let Some(path) = plan.beyond_a_script() {
        let why = "its names move one by one, and no script puts them back through any failure";
        return Err(Failure::new(format!("{} cannot be restored by a script: {why}", path.display()))
            .hint("leave out --script; or leave out --merge, --only-changed and --protect where what is restored is no mount point"));
    }
    if plan.host != reprise_host::HERE {
        let note = Message::new("script-elsewhere").text("host", &plan.host);
        Ui::note(&ui.text(&note.text("repository", &plan.source.repository)));
    }
    let detail = match detail {
        ScriptArg::Explained => Detail::Explained,
        ScriptArg::Complete => Detail::Complete,
    };
    let text = script(plan, detail, ui.lang);
    if ui.json {
        Ui::print_json(&serde_json::json!({ "script": text, "plan": plan }));
    } else {
        out(format_args!("{}", text.trim_end()));
    }
    Ok(Exit::Done)
}

fn dry_run(
    plan: &Plan,
    previews: &[Preview],
    rehearsed: reprise_engine::Result<()>,
    ui: &Ui,
) -> Result<Exit, Failure> {
    let ready = plan.blockers().next().is_none() && rehearsed.is_ok();
    if ui.json {
        Ui::print_json(&DryRun {
            plan,
            previews,
            estimated_seconds: plan.duration().as_secs_f64(),
            estimated_downtime_seconds: plan.downtime().as_secs_f64(),
            ready,
            error: rehearsed.as_ref().err().map(ToString::to_string),
        });
        return Ok(if ready { Exit::Done } else { Exit::Error });
    }
    view::plan::show(plan, previews, ui);
    expect_no_blockers(plan, ui)?;
    rehearsed?;
    ui.line(format!("\n{}", ui.word("dry-run-done")));
    Ok(Exit::Done)
}

fn expect_no_blockers(plan: &Plan, ui: &Ui) -> Result<(), Failure> {
    let Some(first) = plan.blockers().next() else { return Ok(()) };
    let message = Message::new("blocked").count("count", plan.blockers().count() as u64);
    let message = message.text("first", ui.text(&first.message));
    let hint = first.advice.as_ref().map(|advice| ui.text(advice));
    Err(Failure { hint, ..Failure::new(ui.text(&message)) })
}
