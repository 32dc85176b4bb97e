//! Extraction into a directory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use reprise_model::Observer;
use rustix::fs::{FileType, Mode, OFlags};

use super::attributes::{self, Handle};
use super::dispatch::{Link, Work, dispatch};
use super::file::Incoming;
use super::pool::{LateFlags, Shared};
use super::root::Root;
use super::run::drive;
use super::select::{Content, Selector};
use super::window::Window;
use super::{Extraction, ProblemKind, Report, known_problems, size_of};
use crate::archive::Archive;
use crate::item::{Item, Kind};
use crate::{Error, extract::path};

/// Extracts into the directory `root`. See [`Archive::extract`].
pub(crate) fn to_directory(
    archive: &Archive<'_>,
    extraction: &Extraction,
    root: &Path,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let options = &extraction.options;
    let opened = Root::open(root).map_err(|source| Error::Destination { path: root.to_owned(), source })?;
    let mut selector = Selector::new(extraction)?;
    let shared = Shared::new(archive.repository, opened, options, observer);
    let mut later = Later::default();
    drive(archive, &shared.run, &shared, |window, item| {
        dispatch(&shared.run, &mut selector, item, |item, destination, work| match work {
            Work::File(content) => file(&shared, window, item, destination, content, Incoming::new),
            Work::Directory => later.make_directory(&shared, item, destination),
            Work::Special => special(&shared, item, &destination),
            Work::Link(link) => later.links.push(link),
        });
    });
    later.run(&shared);
    let mut report = shared.run.into_result()?;
    report.unmatched = selector.unmatched();
    Ok(report)
}

/// Sends a file on its way, unless it is known beforehand to be damaged.
pub(super) fn file<F>(
    shared: &Shared<'_>,
    window: &mut Window<'_, F>,
    item: &Item,
    destination: Vec<u8>,
    content: &Content,
    make: impl FnOnce(Item, Vec<u8>, u64, usize) -> F,
) {
    if is_whole(shared, item, &destination, content) {
        let file = make(item.clone(), destination, size_of(&content.chunks), content.chunks.len());
        window.add(&Arc::new(file), &content.chunks);
    }
}

/// Whether nothing of the content is known to be lost, which is told, or the file is wanted all the same.
pub(super) fn is_whole(shared: &Shared<'_>, item: &Item, destination: &[u8], content: &Content) -> bool {
    let problems = known_problems(item, &content.chunks, &content.healthy);
    let is_wanted = problems.is_empty() || shared.options.keep_damaged;
    for kind in problems {
        shared.problem(&item.path, Some(destination), kind);
    }
    if !is_wanted {
        shared.not_made(destination);
    }
    is_wanted
}

/// Symbolic links, pipes, devices.
pub(super) fn special(shared: &Shared<'_>, item: &Item, destination: &[u8]) {
    let mode = Mode::RUSR | Mode::WUSR;
    let node =
        |kind, device| move |dir: &OwnedFd, name: &OsStr| rustix::fs::mknodat(dir, name, kind, mode, device);
    let created = match item.kind() {
        Kind::Symlink => {
            let target = path::to_path(item.symlink_target().unwrap_or_default());
            shared.root.create_other(destination, |dir, name| rustix::fs::symlinkat(&target, dir, name))
        }
        Kind::Fifo => shared.root.create_other(destination, node(FileType::Fifo, 0)),
        Kind::CharDevice => shared.root.create_other(destination, node(FileType::CharacterDevice, item.rdev)),
        Kind::BlockDevice => shared.root.create_other(destination, node(FileType::BlockDevice, item.rdev)),
        Kind::File | Kind::Directory | Kind::Other => return,
    };
    let (thing, dir) = match created {
        Ok(created) => created,
        Err(error) => return shared.creation_failed(&item.path, destination, error),
    };
    let handle = match item.kind() {
        Kind::Symlink => {
            Handle::Symlink(thing.as_fd(), dir.as_fd(), OsStr::from_bytes(path::split(destination).1))
        }
        _ => Handle::Path(thing.as_fd()),
    };
    shared.set_attributes(&handle, item, destination);
    shared.finished(item, destination, &thing);
}

/// What must wait until all files are there.
#[derive(Default)]
pub(super) struct Later {
    pub links: Vec<Link>,
    directories: Vec<(Item, Vec<u8>)>,
    /// Where a directory stands in the list: of two items for one directory the last one counts.
    known: HashMap<Vec<u8>, usize>,
}

impl Later {
    /// Makes a directory, whose attributes come later.
    pub fn make_directory(&mut self, shared: &Shared<'_>, item: &Item, destination: Vec<u8>) {
        match shared.root.create_dir(&destination) {
            Ok(()) => self.directory(item.clone(), destination),
            Err(error) => shared.creation_failed(&item.path, &destination, error),
        }
    }

    /// Notes a directory that is there.
    pub fn directory(&mut self, item: Item, destination: Vec<u8>) {
        if let Some(known) = self.known.get(&destination) {
            self.directories[*known].0 = item;
        } else {
            self.known.insert(destination.clone(), self.directories.len());
            self.directories.push((item, destination));
        }
    }

    fn run(mut self, shared: &Shared<'_>) {
        for link in std::mem::take(&mut self.links) {
            if shared.stopped() {
                return;
            }
            make_link(shared, &link);
        }
        for (item, destination) in self.into_directories() {
            if shared.stopped() {
                return;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            match shared.root.resolve(&destination, flags, Mode::empty()) {
                Ok(dir) => {
                    shared.set_attributes(&Handle::Open(dir.as_fd()), &item, &destination);
                    shared.finished(&item, &destination, &dir);
                }
                Err(error) => {
                    shared.problem(&item.path, Some(&destination), ProblemKind::create(error));
                }
            }
        }
        set_flags(shared);
    }

    /// The directories, the deepest first: what happens in a directory changes its time, and a read-only one admits nothing
    /// more.
    pub fn into_directories(mut self) -> Vec<(Item, Vec<u8>)> {
        self.directories.sort_by(|(_, a), (_, b)| b.cmp(a));
        self.directories
    }
}

/// Gives a file that was made another name.
pub(super) fn make_link(shared: &Shared<'_>, link: &Link) {
    let made = shared.was_made(&link.to).then(|| shared.root.link(&link.to, &link.destination));
    match made {
        Some(Ok(())) => shared.count(),
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
            shared.creation_failed(&link.path, &link.destination, error);
        }
        _ => {
            let kind = ProblemKind::HardLink { target: link.first.clone() };
            shared.problem(&link.path, Some(&link.destination), kind);
        }
    }
}

/// Sets the flags of files that had to get further names first.
pub(super) fn set_flags(shared: &Shared<'_>) {
    for LateFlags { path, destination, bsdflags } in shared.take_flags() {
        let opened = shared.root.resolve(&destination, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
        match opened {
            Ok(file) => {
                if let Err(unset) = attributes::restore_flags(&file, bsdflags) {
                    shared.attribute_failed(&file, &path, &destination, unset);
                }
            }
            Err(error) => shared.problem(&path, Some(&destination), ProblemKind::create(error)),
        }
    }
}
