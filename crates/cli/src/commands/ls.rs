//! `reprise ls`.

use std::os::unix::ffi::OsStrExt;

use reprise_borg::{Error, Kind, Node};

use crate::args::LsArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::repository;
use crate::selection::selection;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::view::item::Lister;
use crate::view::{listing::Listing, report};

/// Lists what is in a directory of an archive, or all that is below it.
pub fn run(args: &LsArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let selection = selection(&[], &args.rules)?;
    let (repository, name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&name)?;
    let given = args.path.as_deref().map(OsStrExt::as_bytes).unwrap_or_default();
    let catalogue = archive.catalogue(env.cache_dir.as_deref(), &Meter::of_items(ui, cancel))?;
    let Some(top) = catalogue.find(&plain(given)) else {
        report::lost_items(&catalogue, ui);
        return Err(Error::NoSuchPath { path: given.to_vec() }.into());
    };
    let nodes: Box<dyn Iterator<Item = Node>> = if args.recursive && top == catalogue.root() {
        // Also what has no place in the tree.
        Box::new(catalogue.in_order())
    } else if args.recursive {
        Box::new(catalogue.below(top))
    } else {
        let itself = Some(top).filter(|top| catalogue.entry(*top).kind != Kind::Directory);
        Box::new(itself.into_iter().chain(catalogue.children(top)))
    };
    let mut listing = Listing::new(ui);
    let mut lister = Lister::new(&catalogue);
    let (mut path, everything) = (Vec::new(), selection.is_everything());
    for node in nodes {
        if cancel.is_asked() {
            return Err(Failure::cancelled());
        }
        if !everything {
            catalogue.path(node, &mut path);
            if !selection.includes(&path) {
                continue;
            }
        }
        if !listing.add(&lister.item(node))? {
            return Ok(Exit::Done);
        }
    }
    listing.end()?;
    Ok(report::lost_items(&catalogue, ui))
}

/// A path without empty and `.` components.
pub fn plain(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    names.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn paths_may_be_written_in_several_ways() {
        assert_eq!(plain(b"./a//b/"), b"a/b");
        assert_eq!(plain(b"/a"), b"a");
    }
}
