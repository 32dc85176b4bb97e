//! How a directory differs from what an archive holds: what the reader finds, with all names of a file for one of them, and
//! what the archive does not hold.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use reprise_borg::{Catalogue, Change, Described, Extraction, Kind, Placement};
use reprise_engine::{Differences, SourceError};
use reprise_host::{FileKind, Found, Present, Seen};
use reprise_model::Observer;

use super::{BorgArchive, complete, joined, parts, source_error};

pub(super) fn differences(
    archive: &BorgArchive<'_>,
    path: &str,
    root: &Path,
    present: &Present,
    observer: &dyn Observer,
) -> Result<Differences, SourceError> {
    let (directory, name) = parts(root)?;
    let placement = Placement::new(path, name.as_encoded_bytes());
    let extraction = Extraction::of([placement]);
    let report = archive.with(|archive, _| {
        let report = match present {
            Present::Here(_) => archive.compare(&extraction, directory, observer),
            Present::There(seen) => {
                let described = |seen: &Seen| (joined(name.as_bytes(), path_of(seen)), described(seen));
                archive.compare_with(&extraction, &seen.iter().map(described).collect(), observer)
            }
        };
        report.map_err(|error| source_error(&error))
    })?;
    complete(&report)?;
    let held = Held::below(archive.catalogue(observer)?, path.as_bytes());
    let (mut anew, mut directories) = (BTreeSet::new(), BTreeSet::new());
    for changed in &report.changed {
        let Some(inner) = below(&changed.path, path.as_bytes()) else { continue };
        let kind = held.kinds.get(&inner);
        if inner.as_os_str().is_empty() && changed.what == Change::New && kind == Some(&Kind::Directory) {
            // The directory itself is there, and was not described.
            continue;
        }
        if let (Some(Kind::Directory), Change::Attributes) = (kind, changed.what) {
            directories.insert(inner);
        } else {
            // All names of a file are made anew with one of them: they are to be one file again.
            anew.extend(held.names_of(&inner).cloned());
            anew.insert(inner);
        }
    }
    let is_extra = |found: &&&Found| !held.kinds.contains_key(&found.path);
    let extra = present.found().iter().filter(is_extra).map(|found| found.path.clone()).collect();
    Ok(Differences {
        anew: anew.into_iter().collect(),
        directories: directories.into_iter().collect(),
        extra,
    })
}

fn path_of(seen: &Seen) -> &[u8] {
    seen.found.path.as_os_str().as_bytes()
}

/// What another host has seen, as the reader of archives takes it.
fn described(seen: &Seen) -> Described {
    let had = &seen.attributes;
    Described {
        kind: match seen.found.kind {
            FileKind::File => Kind::File,
            FileKind::Directory => Kind::Directory,
            FileKind::Symlink => Kind::Symlink,
            FileKind::Other if seen.is_pipe => Kind::Fifo,
            FileKind::Other => Kind::Other,
        },
        size: seen.found.size,
        permissions: had.mode,
        uid: had.uid,
        gid: had.gid,
        mtime: i128::from(had.seconds) * 1_000_000_000 + i128::from(had.nanoseconds),
        target: seen.target.as_bytes().to_vec(),
        xattrs: had.xattrs.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect(),
        digest: seen.digest,
        inode: seen.found.inode,
        names: seen.found.names,
    }
}

/// `path` relative to `top`; nothing when it is not below it.
fn below(path: &[u8], top: &[u8]) -> Option<PathBuf> {
    let rest = if top.is_empty() { path } else { path.strip_prefix(top)? };
    let rest = match rest {
        [] => rest,
        [b'/', rest @ ..] => rest,
        _ if top.is_empty() => rest,
        _ => return None,
    };
    Some(PathBuf::from(OsString::from_vec(rest.to_vec())))
}

/// What an archive holds below a path.
struct Held {
    kinds: HashMap<PathBuf, Kind>,
    /// Files with several names: all of them, by the first.
    names: HashMap<PathBuf, Vec<PathBuf>>,
    first: HashMap<PathBuf, PathBuf>,
}

impl Held {
    fn below(catalogue: &Catalogue, top: &[u8]) -> Self {
        let mut held = Self { kinds: HashMap::new(), names: HashMap::new(), first: HashMap::new() };
        let (mut path, mut first) = (Vec::new(), Vec::new());
        for node in catalogue.in_order() {
            let entry = catalogue.entry(node);
            catalogue.path(node, &mut path);
            let Some(inner) = below(&path, top) else { continue };
            if entry.is_link && catalogue.link_target(node, &mut first) {
                let first =
                    below(&first, top).unwrap_or_else(|| PathBuf::from(OsString::from_vec(first.clone())));
                held.names.entry(first.clone()).or_default().push(inner.clone());
                held.first.insert(inner.clone(), first);
            }
            held.kinds.insert(inner, entry.kind);
        }
        let kinds = &held.kinds;
        let is_held: HashSet<PathBuf> =
            held.names.keys().filter(|first| kinds.contains_key(*first)).cloned().collect();
        for (first, names) in &mut held.names {
            if is_held.contains(first) {
                names.push(first.clone());
            }
        }
        held
    }

    /// The names of the file at `path`, if it has several.
    fn names_of<'a>(&'a self, path: &'a PathBuf) -> impl Iterator<Item = &'a PathBuf> {
        let first = self.first.get(path).unwrap_or(path);
        self.names.get(first).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_their_top() {
        assert_eq!(below(b"a/b", b"a"), Some(PathBuf::from("b")));
        assert_eq!(below(b"a", b"a"), Some(PathBuf::new()));
        assert_eq!(below(b"ab", b"a"), None);
        assert_eq!(below(b"ab", b""), Some(PathBuf::from("ab")));
    }
}
