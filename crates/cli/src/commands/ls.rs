//! `reprise ls`.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use reprise_borg::{Error, Kind};

use crate::args::LsArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::repository;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::view::item::Listed;
use crate::view::listing::Listing;

/// Lists what is in a directory of an archive, or all that is below it.
pub fn run(args: &LsArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let (repository, name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&name)?;
    let given = args.path.as_deref().map(OsStrExt::as_bytes).unwrap_or_default();
    let wanted = plain(given);
    let mut listing = Listing::new(ui);
    // Without --recursive: by name, so that directories without an item of their own find their place.
    let mut children: BTreeMap<Vec<u8>, Listed> = BTreeMap::new();
    let mut found = wanted.is_empty();
    for item in archive.items() {
        if cancel.is_asked() {
            return Err(Failure::cancelled());
        }
        let item = item?;
        let path = plain(&item.path);
        let Some(rest) = below(&path, &wanted) else { continue };
        found = true;
        if args.recursive || rest.is_empty() {
            let is_listed = args.recursive || item.kind() != Kind::Directory;
            if is_listed && !listing.add(&Listed::of(&item))? {
                return Ok(Exit::Done);
            }
            continue;
        }
        match rest.iter().position(|byte| *byte == b'/') {
            None => drop(children.insert(rest.to_vec(), Listed::of(&item))),
            Some(slash) => {
                let directory = &path[..path.len() - rest.len() + slash];
                children.entry(rest[..slash].to_vec()).or_insert_with(|| Listed::directory(directory));
            }
        }
    }
    if !found {
        return Err(Error::NoSuchPath { path: given.to_vec() }.into());
    }
    for child in children.values() {
        if !listing.add(child)? {
            return Ok(Exit::Done);
        }
    }
    listing.end()?;
    Ok(Exit::Done)
}

/// A path without empty and `.` components.
pub fn plain(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    names.join(&b'/')
}

/// What follows `directory` in `path`.
fn below<'p>(path: &'p [u8], directory: &[u8]) -> Option<&'p [u8]> {
    if directory.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(directory)? {
        [] => Some(b""),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{below, plain};

    #[test]
    fn directories_end_where_names_end() {
        assert_eq!(plain(b"./a//b/"), b"a/b");
        assert_eq!(below(b"a/b", b"a"), Some(&b"b"[..]));
        assert_eq!(below(b"ab", b"a"), None);
        assert_eq!(below(b"a", b""), Some(&b"a"[..]));
    }
}
