//! `reprise verify`.

use reprise_borg::{Damage, Extraction, Options, Repository, Verification};
use reprise_model::{Message, human_bytes};
use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::repository;
use crate::signals::Cancel;
use crate::ui::{Ui, name, printable};
use crate::view::report::{self, Told, ToldProblem};
use crate::view::{align_right, table};

/// Verifies a repository or an archive.
pub fn run(args: &VerifyArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let place = repository::place(args.location.repository.as_ref(), env)?;
    let repository = repository::open(&place, env)?;
    match &args.location.archive {
        Some(archive) => one(&repository, archive, ui, cancel),
        None => all(&repository, ui, cancel),
    }
}

/// What one archive needs, file by file.
fn one(repository: &Repository, archive: &str, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let name = &repository::entry(repository, archive)?.name;
    let archive = repository.archive(name)?;
    let total = archive.info().stats.map(|stats| stats.original);
    // Nothing is made, so devices do no harm.
    let options = Options { devices: true, ..Options::default() };
    let extraction = Extraction::everything().with(options);
    let report = archive.check(&extraction, &Meter::new(total, cancel))?;
    let exit = report::warn(&report, ui);
    if ui.json {
        let sound = report.is_clean();
        Ui::print_json(&json!({ "archive": name, "sound": sound, "report": Told::of(&report) }));
    } else {
        let verdict = if report.is_clean() {
            Message::new("verify-archive-sound")
        } else {
            Message::new("verify-archive-damaged")
        };
        let verdict = verdict.text("archive", crate::ui::one_line(name));
        ui.line(ui.text(&verdict.count("count", report.items).bytes("size", report.bytes)));
    }
    Ok(exit)
}

/// The whole repository.
fn all(repository: &Repository, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let found = repository.verify(&Meter::new(repository.segment_bytes()?, cancel))?;
    report::each(found.damage.iter(), found.more_damage, ui);
    if found.unfinished_segments > 0 {
        Ui::warn(&ui.text(&Message::new("verify-unfinished").count("count", found.unfinished_segments)));
    }
    if found.is_remote {
        Ui::note(&ui.word("verify-remote"));
    }
    if ui.json {
        Ui::print_json(&told(&found));
    } else {
        show(&found, ui);
    }
    Ok(if found.is_sound() { Exit::Done } else { Exit::Warnings })
}

fn show(found: &Verification, ui: &Ui) {
    if !found.archives.iter().all(reprise_borg::VerifiedArchive::is_whole) {
        let keys = ["word-archive", "word-files", "word-whole", "word-size", "word-lost"];
        let mut rows = table(&keys.map(|key| ui.word(key)));
        for archive in &found.archives {
            let more = if archive.is_readable { "" } else { "+?" };
            rows.add_row([
                name(archive.name.as_bytes()),
                format!("{}{more}", archive.files),
                archive.whole_files.to_string(),
                human_bytes(archive.bytes),
                format!("{}{more}", human_bytes(archive.lost_bytes)),
            ]);
        }
        align_right(&mut rows, &[1, 2, 3, 4]);
        ui.line(printable(&rows.to_string()));
    }
    let whole = found.archives.iter().filter(|archive| archive.is_whole()).count() as u64;
    let verdict =
        if found.is_sound() { Message::new("verify-sound") } else { Message::new("verify-damaged") };
    let verdict = verdict.count("whole", whole).count("archives", found.archives.len() as u64);
    ui.line(ui.text(&verdict.count("objects", found.objects).bytes("size", found.bytes)));
}

/// Documented in `docs/json.md`.
fn told(found: &Verification) -> Value {
    let archives = found.archives.iter().map(|archive| {
        json!({
            "name": archive.name, "readable": archive.is_readable,
            "files": archive.files, "whole_files": archive.whole_files,
            "bytes": archive.bytes, "lost_bytes": archive.lost_bytes,
        })
    });
    let damage = found.damage.iter().filter_map(|damage| {
        Some(match damage {
            Damage::Segment { segment, offset, id, reason } => json!({
                "kind": "segment", "segment": segment, "offset": offset,
                "object": id.map(|id| id.to_string()), "problem": reason,
            }),
            Damage::File { archive, problem } => {
                let mut told = serde_json::to_value(ToldProblem::of(problem)).ok()?;
                told["kind"] = "file".into();
                told["archive"] = archive.as_str().into();
                told
            }
            Damage::Archive { archive, cause } => {
                json!({ "kind": "archive", "archive": archive, "problem": cause.to_string() })
            }
            other => json!({ "kind": "other", "problem": other.to_string() }),
        })
    });
    json!({
        "sound": found.is_sound(), "remote": found.is_remote, "segments": found.segments, "bytes": found.bytes,
        "entries": found.entries, "objects": found.objects, "unfinished_segments": found.unfinished_segments,
        "archives": archives.collect::<Vec<_>>(), "damage": damage.collect::<Vec<_>>(),
        "more_damage": found.more_damage,
    })
}
