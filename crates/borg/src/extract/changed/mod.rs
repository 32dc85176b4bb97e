//! Extraction into a directory that may hold some of it already: what is right stays as it is.
//!
//! A regular file is right only if its content is: it is read, and each piece compared with the id of the chunk that belongs
//! there, which takes no reading in the repository. A file that differs is made anew beside the old one, from pieces of it
//! and of the repository, and takes its place in one step. Nothing is ever changed in place but attributes, and those
//! only where no name outside the extraction shares them.

mod candidate;
mod compare;
mod described;
mod digest;
mod leftover;
mod rebuild;
mod together;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reprise_model::Observer;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};

use super::attributes::Handle;
use super::directory::{Later, file, is_whole, make_link, set_flags, special};
use super::dispatch::{Link, Work, dispatch};
use super::file::Incoming;
use super::path;
use super::pool::{Arriving, Shared};
use super::root::Root;
use super::run::drive;
use super::select::{Content, Selector};
use super::window::Window;
use super::{Change, Changed, Extraction, ProblemKind, Report};
use crate::Error;
use crate::archive::Archive;
use crate::item::{Item, Kind};
use candidate::{Candidate, Part};
pub use described::Described;
pub(crate) use described::to_described;
use leftover::Since;
use together::Together;

/// Bytes of a file that one thread compares.
const PART: u64 = 64 << 20;

/// Extracts what is not right yet below `root`; with `dry`, only tells what that is.
pub(crate) fn to_directory(
    archive: &Archive<'_>,
    extraction: &Extraction,
    root: &Path,
    dry: bool,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let opened = Root::open(root).map_err(|source| Error::Destination { path: root.to_owned(), source })?;
    let mut selector = Selector::new(extraction)?;
    let update = Update {
        shared: Shared::new(archive.repository, opened, &extraction.options, observer),
        dry,
        unchanged: AtomicU64::new(0),
        changed: Mutex::default(),
        linked: Mutex::default(),
        linked_specials: Mutex::default(),
        buffers: Mutex::default(),
        since: Since::now(),
        swept: Mutex::default(),
    };
    let mut later = Later::default();
    let mut ahead = 0;
    drive(archive, &update.shared.run, &update, |window, item| {
        dispatch(&update.shared.run, &mut selector, item, |item, destination, work| {
            if !dry {
                // Before anything of this archive may have such a name.
                update.sweep(&destination);
            }
            match work {
                Work::File(content) => update.file(window, &mut ahead, item, destination, content),
                Work::Directory => update.directory(&mut later, item, destination),
                Work::Special => update.special(item, &destination),
                Work::Link(link) => later.links.push(link),
            }
        });
    });
    update.finish(later);
    let Update { shared, unchanged, changed, .. } = update;
    let mut report = shared.run.into_result()?;
    report.unchanged = unchanged.into_inner();
    report.changed = changed.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.unmatched = selector.unmatched();
    Ok(report)
}

/// What the threads have in common.
struct Update<'a> {
    shared: Shared<'a>,
    /// Nothing is written.
    dry: bool,
    unchanged: AtomicU64,
    /// What is to change, of a dry run.
    changed: Mutex<Vec<Changed>>,
    /// Files with several names whose content is right: whether their attributes may be set depends on the names.
    linked: Mutex<Vec<Arc<Candidate>>>,
    /// The same for pipes, devices and symbolic links, each with its place.
    linked_specials: Mutex<Vec<(Item, Vec<u8>)>>,
    /// What threads read into, kept from one piece to the next.
    buffers: Mutex<Vec<Vec<u8>>>,
    since: Since,
    /// Directories without what other runs have left behind.
    swept: Mutex<HashSet<Vec<u8>>>,
}

impl Update<'_> {
    /// What is at a place, without following anything.
    fn look(&self, destination: &[u8]) -> Option<(OwnedFd, Stat)> {
        let found = self.shared.root.resolve(destination, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty());
        let found = found.ok()?;
        let stat = fstat(&found).ok()?;
        Some((found, stat))
    }

    /// Removes what runs that were killed have left in the directory of `destination`.
    fn sweep(&self, destination: &[u8]) {
        let (dir, _) = path::split(destination);
        let is_new = self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_vec());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        if is_new && let Ok(opened) = self.shared.root.resolve(dir, flags, Mode::empty()) {
            leftover::remove(&opened, self.since);
        }
    }

    /// Counts what is right already.
    fn unchanged(&self) {
        self.unchanged.fetch_add(1, Ordering::Relaxed);
        self.shared.count();
    }

    /// Counts what a real run would change; `bytes` would come from the repository.
    fn would_change(&self, item_path: &[u8], what: Change, bytes: u64) {
        let changed = Changed { path: item_path.to_vec(), what };
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(changed);
        self.shared.run.took(bytes);
        self.shared.count();
    }

    fn file(
        &self,
        window: &mut Window<'_, Pending>,
        ahead: &mut u64,
        item: &Item,
        destination: Vec<u8>,
        content: &Content,
    ) {
        let found = self.look(&destination).map(|(_, stat)| FileType::from_raw_mode(stat.st_mode));
        if found != Some(FileType::RegularFile) {
            if !self.dry {
                return file(
                    &self.shared,
                    window,
                    item,
                    destination,
                    content,
                    |item, place, size, pieces| {
                        Pending::New(Box::new(Incoming::new(item, place, size, pieces)))
                    },
                );
            }
            if is_whole(&self.shared, item, &destination, content) {
                let what = if found.is_some() { Change::Kind } else { Change::New };
                self.would_change(&item.path, what, super::size_of(&content.chunks));
            }
            return;
        }
        if !is_whole(&self.shared, item, &destination, content) {
            return;
        }
        let candidate = Candidate::new(item.clone(), destination, &content.chunks, PART);
        for part in Candidate::parts(&Arc::new(candidate)) {
            *ahead += part.bytes();
            window.add(&Arc::new(Pending::Part(part)), &[]);
            // What is small is handed out together, so that what is large is not.
            if *ahead >= PART {
                *ahead = 0;
                window.flush();
            }
        }
    }

    fn directory(&self, later: &mut Later, item: &Item, destination: Vec<u8>) {
        let found = self.look(&destination).map(|(_, stat)| FileType::from_raw_mode(stat.st_mode));
        if !self.dry {
            later.make_directory(&self.shared, item, destination);
        } else if found == Some(FileType::Directory) {
            later.directory(item.clone(), destination);
        } else {
            self.would_change(&item.path, if found.is_some() { Change::Kind } else { Change::New }, 0);
        }
    }

    fn special(&self, item: &Item, destination: &[u8]) {
        if self.look(destination).is_some_and(|(_, stat)| stat.st_nlink > 1) {
            let settled = (item.clone(), destination.to_vec());
            return self.linked_specials.lock().unwrap_or_else(PoisonError::into_inner).push(settled);
        }
        self.special_of(1, item, destination);
    }

    /// The same of one with so many names in the extraction.
    fn special_of(&self, names: u64, item: &Item, destination: &[u8]) {
        let found = self.look(destination);
        let is_there = found.is_some();
        if let Some((thing, stat)) = found
            && compare::is_same_special(&thing, &stat, item)
            && stat.st_nlink == names
        {
            let (dir, name) = path::split(destination);
            let dir = self.shared.root.resolve(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
            if let (Kind::Symlink, Ok(dir)) = (item.kind(), &dir) {
                let name = std::os::unix::ffi::OsStrExt::from_bytes(name);
                return self.attributes(
                    &Handle::Symlink(thing.as_fd(), dir.as_fd(), name),
                    &stat,
                    item,
                    destination,
                );
            }
            if item.kind() != Kind::Symlink {
                return self.attributes(&Handle::Path(thing.as_fd()), &stat, item, destination);
            }
        }
        match (self.dry, is_there) {
            (false, _) => special(&self.shared, item, destination),
            (true, true) => self.would_change(&item.path, Change::Content, 0),
            (true, false) => self.would_change(&item.path, Change::New, 0),
        }
    }

    /// Sets attributes that are not right, of something whose content is.
    fn attributes(&self, handle: &Handle<'_>, stat: &Stat, item: &Item, destination: &[u8]) {
        if !compare::differs(handle, stat, item, &self.shared.owners) {
            return self.unchanged();
        }
        if self.dry {
            return self.would_change(&item.path, Change::Attributes, 0);
        }
        compare::clear(handle, item, &self.shared.owners, |unset| {
            self.shared.attribute_failed(handle.fd(), &item.path, destination, unset);
        });
        self.shared.set_attributes(handle, item, destination);
        self.shared.finished(item, destination, handle.fd());
    }

    /// What had to wait until all files were there.
    fn finish(&self, mut later: Later) {
        let links = std::mem::take(&mut later.links);
        let mut names: HashMap<&[u8], Vec<&Link>> = HashMap::new();
        for link in &links {
            names.entry(&link.to).or_default().push(link);
        }
        let inode = |destination: &[u8]| self.look(destination).map(|(_, stat)| (stat.st_dev, stat.st_ino));
        // How many names of what is at a place the extraction knows.
        let count = |destination: &[u8]| {
            let own = inode(destination);
            let others = names.get(destination).into_iter().flatten();
            1 + others.filter(|link| inode(&link.destination) == own).count() as u64
        };
        for candidate in std::mem::take(&mut *self.linked.lock().unwrap_or_else(PoisonError::into_inner)) {
            if self.shared.stopped() {
                return;
            }
            candidate.settle_linked(self, count(&candidate.destination));
        }
        let specials =
            std::mem::take(&mut *self.linked_specials.lock().unwrap_or_else(PoisonError::into_inner));
        for (item, destination) in specials {
            if self.shared.stopped() {
                return;
            }
            self.special_of(count(&destination), &item, &destination);
        }
        for link in &links {
            if self.shared.stopped() {
                return;
            }
            let (to, own) = (inode(&link.to), inode(&link.destination));
            if to.is_some() && to == own && self.shared.was_made(&link.to) {
                self.unchanged();
            } else if self.dry {
                let what = if own.is_some() { Change::Content } else { Change::New };
                self.would_change(&link.path, what, 0);
            } else {
                make_link(&self.shared, link);
            }
        }
        for (item, destination) in later.into_directories() {
            if self.shared.stopped() {
                return;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let opened = self.shared.root.resolve(&destination, flags, Mode::empty());
            match opened.and_then(|dir| Ok((fstat(&dir)?, dir))) {
                Ok((stat, dir)) => self.attributes(&Handle::Open(dir.as_fd()), &stat, &item, &destination),
                Err(error) => {
                    self.shared.problem(&item.path, Some(&destination), ProblemKind::create(error));
                }
            }
        }
        if !self.dry {
            set_flags(&self.shared);
        }
    }
}

/// A file on its way.
enum Pending {
    /// There was none.
    New(Box<Incoming>),
    /// There is one, to be compared.
    Part(Part),
}

impl Arriving<Update<'_>> for Pending {
    fn write(&self, update: &Update<'_>, offset: u64, data: &[u8], zeros: bool) {
        if let Self::New(incoming) = self {
            incoming.write(&update.shared, offset, data, zeros);
        }
    }

    fn lose(&self, update: &Update<'_>, range: Range<u64>, cause: &Arc<Error>) {
        if let Self::New(incoming) = self {
            incoming.lose(&update.shared, range, cause);
        }
    }

    fn without_chunks(all: Vec<Arc<Self>>, update: &Update<'_>) {
        let mut together = Together::new(update);
        for pending in all {
            match &*pending {
                Self::New(incoming) => incoming.finish(&update.shared),
                Self::Part(part) => part.compare(&mut together),
            }
        }
        together.finish();
    }
}
