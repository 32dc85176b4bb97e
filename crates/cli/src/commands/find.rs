//! `reprise find`.

use std::os::unix::ffi::OsStrExt;

use reprise_borg::{Pattern, Style};

use crate::args::FindArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::repository;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::view::item::Listed;
use crate::view::{listing::Listing, report};

/// Lists the items of an archive that match a pattern.
pub fn run(args: &FindArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let text = args.pattern.as_bytes();
    let has_style = matches!(text, [_, _, b':', ..]);
    let pattern = if has_style { Pattern::parse(text, Style::Shell)? } else { Pattern::of_names(text)? };
    let (repository, name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&name)?;
    let mut listing = Listing::new(ui);
    for item in archive.items() {
        if cancel.is_asked() {
            return Err(Failure::cancelled());
        }
        let item = item?;
        if pattern.matches(&item.path) && !listing.add(&Listed::of(&item))? {
            return Ok(Exit::Done);
        }
    }
    if listing.end()? == 0 {
        report::nothing_matches(&pattern.to_string(), ui);
        return Ok(Exit::Warnings);
    }
    Ok(Exit::Done)
}
