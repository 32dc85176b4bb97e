//! `reprise extract`.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use reprise_borg::{Error, Extraction, Options, Owners};
use reprise_model::Message;
use serde_json::json;

use crate::args::ExtractArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::repository;
use crate::selection::placement;
use crate::signals::Cancel;
use crate::ui::{Ui, name};
use crate::view::report::{self, Told};

/// Extracts from an archive into a directory, or with `--dry-run` to nowhere.
pub fn run(args: &ExtractArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let placement = placement(&args.selection)?;
    let owners = if args.numeric_ids { Owners::Numeric } else { Owners::ByName };
    let options = Options {
        owners,
        sparse: args.sparse,
        devices: args.devices,
        only_changed: args.only_changed,
        ..Options::default()
    };
    let (repository, archive_name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&archive_name)?;
    let total = archive.info().stats.map(|stats| stats.original).filter(|_| placement.is_everything());
    let extraction = Extraction::of([placement]).with(options);
    let to = std::path::absolute(args.to.clone().unwrap_or_else(|| PathBuf::from(".")))?;
    let report = if args.dry_run && args.only_changed {
        if !to.is_dir() {
            return Err(Failure::new(format!("there is no directory {} to compare with", to.display()))
                .hint("leave out --only-changed: everything would be extracted"));
        }
        archive.compare(&extraction, &to, &Meter::new(total, cancel))?
    } else if args.dry_run {
        archive.check(&extraction, &Meter::new(total, cancel))?
    } else {
        std::fs::create_dir_all(&to)
            .map_err(|error| Failure::new(format!("cannot extract to {}: {error}", to.display())))?;
        archive.extract(&extraction, &to, &Meter::new(total, cancel)).map_err(|error| match error {
            Error::Cancelled => Failure {
                message: "cancelled; what was extracted until then stays".to_owned(),
                ..Failure::cancelled()
            },
            other => other.into(),
        })?
    };
    let exit = report::warn(&report, ui);
    if ui.json {
        let to = (!args.dry_run).then(|| to.to_string_lossy());
        Ui::print_json(&json!({ "archive": archive_name, "to": to, "report": Told::of(&report) }));
    } else {
        if args.dry_run && args.only_changed {
            report::list_changes(&report)?;
        }
        let message = match (args.dry_run, args.only_changed) {
            (true, true) => Message::new("extract-compared"),
            (true, false) => Message::new("extract-rehearsed"),
            (false, _) => Message::new("extract-done").text("path", name(to.as_os_str().as_bytes())),
        };
        Ui::note(&ui.text(&message.count("count", report.items).bytes("size", report.bytes)));
        if args.only_changed {
            Ui::note(&ui.text(&Message::new("extract-unchanged").count("count", report.unchanged)));
        }
    }
    Ok(exit)
}
