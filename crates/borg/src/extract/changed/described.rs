//! What an extraction would change in a directory that cannot be read from here, told from a description of what is there.
//!
//! Nobody but who has the key can tell an id from content, so content is compared by a digest that both sides can make: what the
//! archive holds is read for that, of files whose size and attributes are right.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use reprise_model::Observer;

use super::super::dispatch::{Link, Work, dispatch};
use super::super::owners::Directory;
use super::super::pool::Arriving;
use super::super::run::{Run, drive};
use super::super::select::{Content, Selector};
use super::super::window::Window;
use super::super::{Change, Changed, Extraction, Owners, ProblemKind, Report, known_problems, size_of};
use super::compare;
use super::digest::Digesting;
use crate::Error;
use crate::archive::Archive;
use crate::item::{Item, Kind};

/// What is somewhere, as somebody has described it who could look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its kind; [`Kind::Other`] for sockets, devices and all else that no archive puts there.
    pub kind: Kind,
    /// Bytes of content of a regular file.
    pub size: u64,
    /// Permissions with the set-id and sticky bits.
    pub permissions: u32,
    /// The number of its owner.
    pub uid: u32,
    /// And of its group.
    pub gid: u32,
    /// When its content last changed, in nanoseconds since 1970.
    pub mtime: i128,
    /// Where a symbolic link leads.
    pub target: Vec<u8>,
    /// Extended attributes and access lists, as the kernel has them.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The SHA-256 of a regular file's content.
    pub digest: Option<[u8; 32]>,
    /// What tells one file from another among those described.
    pub inode: u64,
    /// How many names it has, wherever they are.
    pub names: u64,
}

/// Tells what of the extraction is not at its destination as it is to be; `present` is what is there, by destination.
pub(crate) fn to_described(
    archive: &Archive<'_>,
    extraction: &Extraction,
    present: &HashMap<Vec<u8>, Described>,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let mut selector = Selector::new(extraction)?;
    let compare = Compare {
        run: Run::new(archive.repository, &extraction.options, observer),
        present,
        // Numbers are the archive's, as they are for whoever unpacks a tar stream.
        owners: Directory::new(Owners::Numeric),
        right: Mutex::default(),
        changed: Mutex::default(),
    };
    let mut links = Vec::new();
    drive(archive, &compare.run, &compare, |window, item| {
        dispatch(&compare.run, &mut selector, item, |item, destination, work| match work {
            Work::File(content) => compare.file(window, item, destination, content),
            Work::Directory | Work::Special => compare.other(item, destination),
            Work::Link(link) => links.push(link),
        });
    });
    compare.names(&links);
    let Compare { run, right, changed, .. } = compare;
    let mut report = run.into_result()?;
    report.unchanged = right.into_inner().unwrap_or_else(PoisonError::into_inner).len() as u64;
    report.changed = changed.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.unmatched = selector.unmatched();
    Ok(report)
}

/// What the threads have in common.
struct Compare<'a> {
    run: Run<'a>,
    present: &'a HashMap<Vec<u8>, Described>,
    owners: Directory,
    /// Destinations of what is right, but perhaps for how many names it has, with their paths in the archive.
    right: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    changed: Mutex<Vec<Changed>>,
}

impl Compare<'_> {
    fn changed(&self, path: &[u8], what: Change) {
        self.run.count();
        let changed = Changed { path: path.to_vec(), what };
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(changed);
    }

    fn right(&self, path: &[u8], destination: Vec<u8>) {
        self.run.count();
        self.right.lock().unwrap_or_else(PoisonError::into_inner).insert(destination, path.to_vec());
    }

    /// What is at a place, unless it is seen at once that it is not right.
    fn look(&self, item: &Item, destination: &[u8]) -> Result<&Described, Change> {
        let found = self.present.get(destination).ok_or(Change::New)?;
        if found.kind != item.kind() {
            return Err(Change::Kind);
        }
        if item.kind() == Kind::Symlink && Some(found.target.as_slice()) != item.symlink_target() {
            return Err(Change::Content);
        }
        // What is made anew for these need not be read.
        if compare::differs_from(found, item, &self.owners) { Err(Change::Attributes) } else { Ok(found) }
    }

    fn other(&self, item: &Item, destination: Vec<u8>) {
        match self.look(item, &destination) {
            Ok(_) => self.right(&item.path, destination),
            Err(what) => self.changed(&item.path, what),
        }
    }

    fn file(&self, window: &mut Window<'_, Compared>, item: &Item, destination: Vec<u8>, content: &Content) {
        for kind in known_problems(item, &content.chunks, &content.healthy) {
            self.run.problem(&item.path, Some(&destination), kind);
        }
        let size = size_of(&content.chunks);
        match self.look(item, &destination) {
            Ok(found) if found.size != size => self.changed(&item.path, Change::Content),
            Ok(found) => {
                let file = Compared {
                    path: item.path.clone(),
                    destination,
                    expected: found.digest,
                    size,
                    digesting: Mutex::default(),
                };
                window.add(&Arc::new(file), &content.chunks);
            }
            Err(what) => self.changed(&item.path, what),
        }
    }

    /// What is right has just the names that it has in the archive. Where that is not so, all of them are made anew.
    fn names(&self, links: &[Link]) {
        let mut names: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for link in links {
            names.entry(&link.to).or_default().push(&link.destination);
        }
        let inode = |name: &[u8]| self.present.get(name).map(|found| found.inode);
        let mut wrong = Vec::new();
        self.right.lock().unwrap_or_else(PoisonError::into_inner).retain(|destination, path| {
            let Some(found) = self.present.get(destination) else { return false };
            let others = names.get(destination.as_slice()).map_or(&[][..], Vec::as_slice);
            // A directory has one name, whatever is counted.
            let count = if found.kind == Kind::Directory { 1 } else { found.names };
            let is_right = count == 1 + others.len() as u64
                && others.iter().all(|name| inode(name) == Some(found.inode));
            if !is_right {
                wrong.push(path.clone());
            }
            is_right
        });
        for path in wrong {
            self.changed(&path, Change::Content);
        }
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.iter().filter(|link| !right.contains_key(&link.to)) {
            self.changed(&link.path, Change::Content);
        }
    }
}

/// A file whose content is compared as it comes.
struct Compared {
    path: Vec<u8>,
    destination: Vec<u8>,
    expected: Option<[u8; 32]>,
    size: u64,
    digesting: Mutex<Digesting>,
}

impl Compared {
    fn finish(&self, compare: &Compare<'_>, digest: [u8; 32]) {
        if self.expected == Some(digest) {
            compare.right(&self.path, self.destination.clone());
        } else {
            compare.changed(&self.path, Change::Content);
        }
    }
}

impl Arriving<Compare<'_>> for Compared {
    fn write(&self, compare: &Compare<'_>, offset: u64, data: &[u8], _zeros: bool) {
        compare.run.took(data.len() as u64);
        let mut digesting = self.digesting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = digesting.take(offset, data, self.size) {
            self.finish(compare, digest);
        }
    }

    fn lose(&self, compare: &Compare<'_>, range: Range<u64>, cause: &Arc<Error>) {
        // Nobody can say whether what is there is right: it is told, and no end of it comes.
        let kind = ProblemKind::Content { range, cause: Arc::clone(cause) };
        compare.run.problem(&self.path, Some(&self.destination), kind);
    }

    fn without_chunks(files: Vec<Arc<Self>>, compare: &Compare<'_>) {
        for file in files {
            file.finish(compare, Digesting::of_nothing());
        }
    }
}
