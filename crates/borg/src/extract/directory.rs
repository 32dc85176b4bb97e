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
use super::file::Incoming;
use super::pool::{LateFlags, Shared};
use super::root::Root;
use super::run::drive;
use super::select::{Action, Content, Selector, Target};
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
        place(&shared, &mut selector, window, &mut later, item);
    });
    later.run(&shared);
    let mut report = shared.run.into_result()?;
    report.unmatched = selector.unmatched();
    Ok(report)
}

/// Does with an item what its targets ask for.
fn place(
    shared: &Shared<'_>,
    selector: &mut Selector,
    window: &mut Window<'_, Incoming>,
    later: &mut Later,
    mut item: Item,
) {
    let targets = selector.targets(&item);
    if targets.is_empty() {
        return;
    }
    shared.observer.item(&item.path);
    let own = Content {
        chunks: item.chunks.take().unwrap_or_default(),
        healthy: std::mem::take(&mut item.chunks_healthy),
    };
    for target in targets {
        let Target { destination, action } = match target {
            Ok(target) => target,
            Err((destination, kind)) => {
                shared.problem(&item.path, destination.as_deref(), kind);
                continue;
            }
        };
        match (action, item.kind()) {
            (Action::Link(to), _) => later.links.push(Link {
                path: item.path.clone(),
                first: item.source.clone().unwrap_or_default(),
                to,
                destination,
            }),
            (Action::CreateWith(content), _) => file(shared, window, &item, destination, &content),
            (Action::Create, Kind::File) => file(shared, window, &item, destination, &own),
            (Action::Create, Kind::Directory) => match shared.root.create_dir(&destination) {
                Ok(()) => later.directory(item.clone(), destination),
                Err(error) => shared.creation_failed(&item.path, &destination, error),
            },
            (Action::Create, _) => special(shared, &item, &destination),
        }
    }
}

/// Sends a file on its way, unless it is known beforehand to be damaged.
fn file(
    shared: &Shared<'_>,
    window: &mut Window<'_, Incoming>,
    item: &Item,
    destination: Vec<u8>,
    content: &Content,
) {
    let problems = known_problems(item, &content.chunks, &content.healthy);
    let damaged = !problems.is_empty();
    for kind in problems {
        shared.problem(&item.path, Some(&destination), kind);
    }
    if damaged && !shared.options.keep_damaged {
        return shared.not_made(&destination);
    }
    let size = size_of(&content.chunks);
    let file = Arc::new(Incoming::new(item.clone(), destination, size, content.chunks.len()));
    window.add(&file, &content.chunks);
}

/// Symbolic links, pipes, devices.
fn special(shared: &Shared<'_>, item: &Item, destination: &[u8]) {
    let mode = Mode::RUSR | Mode::WUSR;
    let node =
        |kind, device| move |dir: &OwnedFd, name: &OsStr| rustix::fs::mknodat(dir, name, kind, mode, device);
    let created = match item.kind() {
        Kind::Symlink => {
            let target = path::to_path(item.symlink_target().unwrap_or_default());
            shared.root.create_other(destination, |dir, name| rustix::fs::symlinkat(&target, dir, name))
        }
        Kind::Fifo => shared.root.create_other(destination, node(FileType::Fifo, 0)),
        Kind::CharDevice | Kind::BlockDevice if !shared.options.devices => {
            shared.not_made(destination);
            return shared.problem(&item.path, Some(destination), ProblemKind::Device);
        }
        Kind::CharDevice => shared.root.create_other(destination, node(FileType::CharacterDevice, item.rdev)),
        Kind::BlockDevice => shared.root.create_other(destination, node(FileType::BlockDevice, item.rdev)),
        Kind::File | Kind::Directory | Kind::Other => {
            let kind = ProblemKind::Refused { reason: "it is of an unknown type" };
            return shared.problem(&item.path, Some(destination), kind);
        }
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
    attributes::restore(&handle, item, &shared.owners, |kind| {
        shared.problem(&item.path, Some(destination), kind);
    });
    shared.finished(item, destination, &thing);
}

struct Link {
    path: Vec<u8>,
    first: Vec<u8>,
    to: Vec<u8>,
    destination: Vec<u8>,
}

/// What must wait until all files are there.
#[derive(Default)]
struct Later {
    links: Vec<Link>,
    directories: Vec<(Item, Vec<u8>)>,
    /// Where a directory stands in the list: of two items for one directory the last one counts.
    known: HashMap<Vec<u8>, usize>,
}

impl Later {
    fn directory(&mut self, item: Item, destination: Vec<u8>) {
        if let Some(known) = self.known.get(&destination) {
            self.directories[*known].0 = item;
        } else {
            self.known.insert(destination.clone(), self.directories.len());
            self.directories.push((item, destination));
        }
    }

    fn run(mut self, shared: &Shared<'_>) {
        for link in self.links {
            if shared.stopped() {
                return;
            }
            let made = shared.was_made(&link.to).then(|| shared.root.link(&link.to, &link.destination));
            match made {
                Some(Ok(())) => shared.count(),
                Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                    shared.creation_failed(&link.path, &link.destination, error);
                }
                _ => {
                    let kind = ProblemKind::HardLink { target: link.first };
                    shared.problem(&link.path, Some(&link.destination), kind);
                }
            }
        }
        // The deepest first: what happens in a directory changes its time, and a read-only one admits nothing more.
        self.directories.sort_by(|(_, a), (_, b)| b.cmp(a));
        for (item, destination) in self.directories {
            if shared.stopped() {
                return;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let problem = |kind| shared.problem(&item.path, Some(&destination), kind);
            match shared.root.resolve(&destination, flags, Mode::empty()) {
                Ok(dir) => {
                    attributes::restore(&Handle::Open(dir.as_fd()), &item, &shared.owners, problem);
                    shared.finished(&item, &destination, &dir);
                }
                Err(error) => problem(ProblemKind::create(error)),
            }
        }
        for LateFlags { path, destination, bsdflags } in shared.take_flags() {
            let opened = shared.root.resolve(&destination, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
            let result = match opened {
                Ok(file) => attributes::restore_flags(&file, bsdflags),
                Err(error) => Err(ProblemKind::create(error)),
            };
            if let Err(kind) = result {
                shared.problem(&path, Some(&destination), kind);
            }
        }
    }
}
