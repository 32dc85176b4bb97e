//! `reprise contents`.

use reprise_recipes::borg::BorgArchive;
use reprise_recipes::docker::analyse;

use crate::args::ContentsArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::{repository, view};

/// Shows what an archive holds.
pub fn run(args: &ContentsArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let place = repository::place(args.location.repository.as_ref(), env)?;
    let repository = repository::open(&place, env)?;
    let name = args.location.archive.as_deref().unwrap_or("latest");
    let name = repository::entry(&repository, name)?.name.clone();
    let contents = analyse(&name, &BorgArchive::of(repository, &name), &Meter::of_items(ui, cancel))?;
    if ui.json {
        Ui::print_json(&contents);
    } else {
        view::contents::show(&contents, ui);
    }
    Ok(if contents.findings.is_empty() { Exit::Done } else { Exit::Warnings })
}
