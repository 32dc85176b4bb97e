//! `reprise find`.

use std::os::unix::ffi::OsStrExt;

use reprise_borg::{Pattern, Style};

use crate::args::FindArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::repository;
use crate::selection::selection;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::view::item::Lister;
use crate::view::{listing::Listing, report};

/// Lists the items of an archive that match a pattern.
pub fn run(args: &FindArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let text = args.pattern.as_bytes();
    let has_style = matches!(text, [_, _, b':', ..]);
    let pattern = if has_style { Pattern::parse(text, Style::Shell)? } else { Pattern::of_names(text)? };
    let selection = selection(&[], &args.rules)?;
    let (repository, name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&name)?;
    let catalogue = archive.catalogue(env.cache_dir.as_deref(), &Meter::of_items(ui, cancel))?;
    let mut listing = Listing::new(ui);
    let mut lister = Lister::new(&catalogue);
    let mut path = Vec::new();
    for node in catalogue.in_order() {
        if cancel.is_asked() {
            return Err(Failure::cancelled());
        }
        catalogue.path(node, &mut path);
        if pattern.matches(&path) && selection.includes(&path) && !listing.add(&lister.item(node))? {
            return Ok(Exit::Done);
        }
    }
    let count = listing.end()?;
    let exit = report::lost_items(&catalogue, ui);
    if count == 0 {
        report::nothing_matches(&pattern.to_string(), ui);
        return Ok(Exit::Warnings);
    }
    Ok(exit)
}
