//! Which node of which archive an inode is, and what it looks like.
//!
//! An inode's number is told by archive and node, so nothing has to be remembered: archives are numbered from 1 in the upper
//! half, nodes from 0 in the lower. The top is 1, as FUSE has it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reprise_borg::{ArchiveEntry, Catalogue, Entry, Error, Kind, Node, Repository};
use reprise_model::Unobserved;

use crate::owners::Owners;
use crate::trouble::{Teller, Trouble};
use crate::{Options, View};

/// What every directory has, and nothing else can be called.
pub const DOTS: [&str; 2] = [".", ".."];

/// Bytes that a node of a catalogue takes, about.
const NODE: usize = 100;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The directory of all archives.
    Top,
    /// The top of an archive that may not have been looked into yet.
    Archive(usize),
    /// Anything else in an archive.
    Node(usize, Node),
}

/// The archives that are shown.
#[derive(Debug)]
pub struct Forest {
    repository: Arc<Repository>,
    catalogues: Option<PathBuf>,
    trees: Vec<Tree>,
    /// Whether the top is the one archive there is.
    single: bool,
    owners: Owners,
    mounted: SystemTime,
    /// Whether nothing at all has an extended attribute.
    lacks_xattrs: OnceLock<bool>,
    teller: Teller,
    /// Threads that keep new catalogues on disk.
    keepers: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Forest {
    fn drop(&mut self) {
        // Only with the last of them the repository is closed and its lock given back.
        for keeper in self.keepers.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(keeper.join());
        }
    }
}

#[derive(Debug)]
struct Tree {
    name: String,
    /// When the backup began.
    time: SystemTime,
    catalogue: OnceLock<Arc<Catalogue>>,
    /// Held by whoever makes the catalogue.
    making: Mutex<()>,
}

impl Forest {
    /// The archives of `view`. That of a single one is looked into now, so that errors are told at once.
    pub fn new(repository: &Arc<Repository>, view: &View, options: &Options) -> Result<Self, Error> {
        let mounted = SystemTime::now();
        let shown = repository.archives().iter().filter(|entry| match view {
            View::Archive(name) => entry.name == *name,
            // A name with a slash, or of one or two dots, is none that a directory can have.
            View::Repository => {
                !entry.checkpoint && !entry.name.contains('/') && !DOTS.contains(&&*entry.name)
            }
        });
        let tree = |entry: &ArchiveEntry| Tree {
            name: entry.name.clone(),
            time: began(entry).unwrap_or(mounted),
            catalogue: OnceLock::new(),
            making: Mutex::default(),
        };
        let forest = Self {
            repository: Arc::clone(repository),
            catalogues: options.catalogues.clone(),
            trees: shown.map(tree).collect(),
            single: matches!(view, View::Archive(_)),
            owners: Owners::new(options.numeric_ids),
            mounted,
            lacks_xattrs: OnceLock::new(),
            teller: Teller::new(options.listener.clone()),
            keepers: Mutex::default(),
        };
        if let View::Archive(name) = view {
            if forest.trees.is_empty() {
                return Err(Error::NoSuchArchive { name: name.clone() });
            }
            forest.catalogue(0)?;
        }
        Ok(forest)
    }

    /// The catalogue of an archive, made if this is the first look.
    pub fn catalogue(&self, archive: usize) -> Result<&Catalogue, Error> {
        let tree = self.trees.get(archive).ok_or_else(|| Error::NoSuchPath { path: Vec::new() })?;
        if let Some(catalogue) = tree.catalogue.get() {
            return Ok(catalogue);
        }
        let _one = tree.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(catalogue) = tree.catalogue.get() {
            return Ok(catalogue);
        }
        let opened = self.repository.archive(&tree.name)?;
        let catalogue = opened.catalogue_at_hand(self.catalogues.as_deref(), &Unobserved)?;
        let catalogue = tree.catalogue.get_or_init(|| Arc::new(catalogue));
        self.keep(&tree.name, catalogue);
        for lost in catalogue.lost() {
            self.tell(self.top_of(archive), None, &format!("part of what it holds is not shown: {lost}"));
        }
        Ok(catalogue)
    }

    /// Bytes that the catalogues at hand take, about.
    pub fn bytes(&self) -> usize {
        let nodes = |tree: &Tree| tree.catalogue.get().map_or(0, |catalogue| catalogue.node_count());
        self.trees.iter().map(nodes).sum::<usize>() * NODE
    }

    /// Has a catalogue kept on disk while it is in use already.
    fn keep(&self, name: &str, catalogue: &Arc<Catalogue>) {
        let Some(cache) = self.catalogues.clone().filter(|_| !catalogue.is_kept()) else { return };
        let (repository, name) = (Arc::clone(&self.repository), name.to_owned());
        let catalogue = Arc::clone(catalogue);
        let keeper = thread::spawn(move || {
            if let Ok(archive) = repository.archive(&name) {
                archive.keep(&catalogue, &cache);
            }
        });
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).push(keeper);
    }

    /// Tells what cannot be read of an inode.
    pub fn tell(&self, inode: INodeNo, range: Option<Range<u64>>, reason: &str) {
        let start = range.as_ref().map_or(u64::MAX, |range| range.start);
        self.teller.tell(inode.into(), start, || {
            let (index, node) = match self.place(inode) {
                Some(Place::Archive(index)) => (Some(index), None),
                Some(Place::Node(index, node)) => (Some(index), Some(node)),
                Some(Place::Top) | None => (None, None),
            };
            let tree = index.and_then(|index| self.trees.get(index));
            let archive = tree.map(|tree| tree.name.clone()).unwrap_or_default();
            let mut path = Vec::new();
            if let (Some(node), Some(catalogue)) = (node, tree.and_then(|tree| tree.catalogue.get())) {
                catalogue.path(node, &mut path);
            }
            Trouble { archive, path, range, reason: reason.to_owned(), others: 0 }
        });
    }

    /// Whether nothing that is shown can have an extended attribute. Of several archives that is not known.
    pub fn lacks_xattrs(&self) -> bool {
        let none = || self.single && self.catalogue(0).is_ok_and(|catalogue| !catalogue.has_xattrs());
        *self.lacks_xattrs.get_or_init(none)
    }

    /// The names of the archives.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.trees.iter().map(|tree| tree.name.as_str())
    }

    /// What an inode is; nothing for a number that was never given.
    pub fn place(&self, inode: INodeNo) -> Option<Place> {
        let number = u64::from(inode);
        if inode == INodeNo::ROOT {
            return Some(if self.single { Place::Archive(0) } else { Place::Top });
        }
        let archive = usize::try_from((number >> 32).checked_sub(1)?).ok()?;
        let catalogue = self.trees.get(archive)?.catalogue.get();
        let Some(catalogue) = catalogue else {
            // Of what nobody has looked into, only the top is known.
            return Some(Place::Archive(archive)).filter(|_| number as u32 == u32::MAX);
        };
        if number as u32 == u32::MAX {
            return Some(Place::Archive(archive));
        }
        Some(Place::Node(archive, catalogue.node(number as u32)?))
    }

    /// The inode of an archive's top.
    pub fn top_of(&self, archive: usize) -> INodeNo {
        if self.single { INodeNo::ROOT } else { INodeNo((archive as u64 + 1) << 32 | u64::from(u32::MAX)) }
    }

    /// The inode of a node. All names of a file have one.
    pub fn inode(&self, archive: usize, catalogue: &Catalogue, node: Node) -> INodeNo {
        if node == catalogue.root() {
            return self.top_of(archive);
        }
        let node = catalogue.entry(node).first.unwrap_or(node);
        INodeNo((archive as u64 + 1) << 32 | u64::from(node.index()))
    }

    /// What an archive looks like among others: as Borg shows it, a directory of the time when the backup began.
    pub fn archive(&self, archive: usize) -> FileAttr {
        let time = self.trees.get(archive).map_or(self.mounted, |tree| tree.time);
        let plain = self.plain_directory(self.top_of(archive));
        FileAttr { atime: time, mtime: time, ctime: time, crtime: time, ..plain }
    }

    /// What a directory looks like of which nothing is recorded.
    pub fn plain_directory(&self, inode: INodeNo) -> FileAttr {
        FileAttr {
            ino: inode,
            size: 0,
            blocks: 0,
            atime: self.mounted,
            mtime: self.mounted,
            ctime: self.mounted,
            crtime: self.mounted,
            kind: FileType::Directory,
            perm: 0o755,
            nlink: 1,
            uid: self.owners.user(None, None),
            gid: self.owners.group(None, None),
            rdev: 0,
            blksize: 512,
            flags: 0,
        }
    }

    /// What a node looks like.
    pub fn attributes(&self, archive: usize, catalogue: &Catalogue, node: Node) -> FileAttr {
        let inode = self.inode(archive, catalogue, node);
        let entry = catalogue.entry(node);
        if entry.implicit {
            return self.plain_directory(inode);
        }
        // A further name has all of the first.
        let entry = entry.first.map_or(entry, |first| catalogue.entry(first));
        let size = size(&entry);
        let mtime = entry.mtime.map_or(self.mounted, time);
        FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: entry.atime.map_or(mtime, time),
            mtime,
            ctime: entry.ctime.map_or(mtime, time),
            crtime: entry.birthtime.map_or(mtime, time),
            kind: kind(entry.kind),
            perm: entry.permissions() as u16,
            nlink: entry.nlink,
            uid: self.owners.user(entry.user, entry.uid),
            gid: self.owners.group(entry.group, entry.gid),
            rdev: entry.rdev as u32,
            blksize: 512,
            flags: 0,
        }
    }
}

fn size(entry: &Entry<'_>) -> u64 {
    match entry.kind {
        Kind::File => entry.size,
        Kind::Symlink => entry.symlink_target.map_or(0, |target| target.len() as u64),
        _ => 0,
    }
}

/// What the kernel calls it. Borg backs up nothing of another type, and a regular file does no harm.
pub fn kind(kind: Kind) -> FileType {
    match kind {
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        Kind::File | Kind::Other => FileType::RegularFile,
    }
}

/// When a backup began.
fn began(entry: &ArchiveEntry) -> Option<SystemTime> {
    let time: DateTime = entry.time.parse().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp().into())
}

/// Nanoseconds since 1970; what no clock can show is 1970.
fn time(nanoseconds: i128) -> SystemTime {
    let length = nanoseconds.unsigned_abs();
    let seconds = u64::try_from(length / 1_000_000_000).unwrap_or(u64::MAX);
    let duration = Duration::new(seconds, (length % 1_000_000_000) as u32);
    let told =
        if nanoseconds < 0 { UNIX_EPOCH.checked_sub(duration) } else { UNIX_EPOCH.checked_add(duration) };
    told.unwrap_or(UNIX_EPOCH)
}
