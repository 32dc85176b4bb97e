//! Which node of which archive an inode is, and what it looks like.
//!
//! An inode's number is told by archive and node, so nothing has to be remembered: archives are numbered from 1 in the upper
//! half, nodes from 0 in the lower. The top is 1, as FUSE has it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};
use reprise_borg::{Catalogue, Entry, Error, Kind, LostItems, Node, Repository};
use reprise_model::Unobserved;

use crate::owners::Owners;
use crate::{Options, View};

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
    on_gap: Option<fn(&str, &LostItems)>,
    trees: Vec<Tree>,
    /// Whether the top is the one archive there is.
    single: bool,
    owners: Owners,
    mounted: SystemTime,
}

#[derive(Debug)]
struct Tree {
    name: String,
    catalogue: OnceLock<Catalogue>,
    /// Held by whoever makes the catalogue.
    making: Mutex<()>,
}

impl Forest {
    /// The archives of `view`. That of a single one is looked into now, so that errors are told at once.
    pub fn new(repository: &Arc<Repository>, view: &View, options: &Options) -> Result<Self, Error> {
        let names: Vec<String> = match view {
            View::Archive(name) => vec![name.clone()],
            View::Repository => {
                let whole = repository.archives().iter().filter(|entry| !entry.checkpoint);
                // A name with a slash, or of one or two dots, is none that a directory can have.
                let usable = whole.filter(|entry| !entry.name.contains('/'));
                usable.map(|entry| entry.name.clone()).filter(|name| name != "." && name != "..").collect()
            }
        };
        let tree = |name| Tree { name, catalogue: OnceLock::new(), making: Mutex::default() };
        let forest = Self {
            repository: Arc::clone(repository),
            catalogues: options.catalogues.clone(),
            on_gap: options.on_gap,
            trees: names.into_iter().map(tree).collect(),
            single: matches!(view, View::Archive(_)),
            owners: Owners::new(options.numeric_ids),
            mounted: SystemTime::now(),
        };
        if forest.single {
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
        let catalogue = opened.catalogue(self.catalogues.as_deref(), &Unobserved)?;
        if let Some(on_gap) = self.on_gap {
            catalogue.lost().iter().for_each(|gap| on_gap(&tree.name, gap));
        }
        Ok(tree.catalogue.get_or_init(|| catalogue))
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

    /// What an archive's top looks like before anybody has looked into it, and the directory of all archives.
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

/// Nanoseconds since 1970; what no clock can show is 1970.
fn time(nanoseconds: i128) -> SystemTime {
    let length = nanoseconds.unsigned_abs();
    let seconds = u64::try_from(length / 1_000_000_000).unwrap_or(u64::MAX);
    let duration = Duration::new(seconds, (length % 1_000_000_000) as u32);
    let told =
        if nanoseconds < 0 { UNIX_EPOCH.checked_sub(duration) } else { UNIX_EPOCH.checked_add(duration) };
    told.unwrap_or(UNIX_EPOCH)
}
