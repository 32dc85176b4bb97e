//! What the kernel asks, answered.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use reprise_borg::{Catalogue, Error, Item, Kind, Node};

use crate::Options;
use crate::content::{OpenFile, Reader};
use crate::tree::{Forest, Place, kind};

/// An archive never changes, so what the kernel knows stays true.
const FOREVER: Duration = Duration::from_hours(24 * 365);
const GENERATION: Generation = Generation(0);

type Result<T> = std::result::Result<T, Errno>;

/// The file system.
#[derive(Debug)]
pub struct ArchiveFs {
    forest: Forest,
    reader: Reader,
    allow_damaged: bool,
    files: Handles<OpenFile>,
    directories: Handles<Vec<Listed>>,
}

/// A name in an open directory.
#[derive(Debug)]
enum Listed {
    Archive(usize),
    Node(usize, Node),
}

/// What is open, by number.
#[derive(Debug)]
struct Handles<T> {
    open: Mutex<HashMap<u64, Arc<T>>>,
    last: AtomicU64,
}

impl<T> Handles<T> {
    fn new() -> Self {
        Self { open: Mutex::default(), last: AtomicU64::new(0) }
    }

    fn add(&self, thing: T) -> FileHandle {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(thing));
        FileHandle(number)
    }

    fn get(&self, handle: FileHandle) -> Result<Arc<T>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&u64::from(handle)).cloned().ok_or(Errno::EBADF)
    }

    fn remove(&self, handle: FileHandle) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&u64::from(handle));
    }
}

/// What cannot be read is an I/O error, whatever the reason: there is no room for more.
fn unreadable(error: Error) -> Errno {
    match error {
        Error::NoSuchPath { .. } => Errno::ENOENT,
        _ => Errno::EIO,
    }
}

impl ArchiveFs {
    /// Shows what grows in `forest`, its content read by `reader`.
    pub fn new(forest: Forest, reader: Reader, options: &Options) -> Self {
        let (files, directories) = (Handles::new(), Handles::new());
        Self { forest, reader, allow_damaged: options.allow_damaged, files, directories }
    }

    fn place(&self, inode: INodeNo) -> Result<Place> {
        self.forest.place(inode).ok_or(Errno::ENOENT)
    }

    fn catalogue(&self, archive: usize) -> Result<&Catalogue> {
        self.forest.catalogue(archive).map_err(unreadable)
    }

    /// The node of an inode, its archive looked into.
    fn node(&self, inode: INodeNo) -> Result<(usize, &Catalogue, Node)> {
        match self.place(inode)? {
            Place::Top => Err(Errno::EISDIR),
            Place::Archive(archive) => {
                let catalogue = self.catalogue(archive)?;
                Ok((archive, catalogue, catalogue.root()))
            }
            Place::Node(archive, node) => Ok((archive, self.catalogue(archive)?, node)),
        }
    }

    fn attributes(&self, inode: INodeNo) -> Result<FileAttr> {
        Ok(match self.place(inode)? {
            Place::Top => self.forest.plain_directory(inode),
            // Not looked into for this: `ls -l` of a repository must not go through all its archives.
            Place::Archive(_) if inode != INodeNo::ROOT => self.forest.plain_directory(inode),
            Place::Archive(_) | Place::Node(..) => {
                let (archive, catalogue, node) = self.node(inode)?;
                self.forest.attributes(archive, catalogue, node)
            }
        })
    }

    fn entry(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr> {
        if self.place(parent)? == Place::Top {
            let archive = self.forest.names().position(|known| known.as_bytes() == name.as_bytes());
            return Ok(self.forest.plain_directory(self.forest.top_of(archive.ok_or(Errno::ENOENT)?)));
        }
        let (archive, catalogue, node) = self.node(parent)?;
        let child = catalogue.child(node, name.as_bytes()).ok_or(Errno::ENOENT)?;
        Ok(self.forest.attributes(archive, catalogue, child))
    }

    fn item(&self, inode: INodeNo) -> Result<Item> {
        let (_, catalogue, node) = self.node(inode)?;
        catalogue.item(self.reader.repository(), node).map_err(unreadable)
    }

    fn open_file(&self, inode: INodeNo) -> Result<OpenFile> {
        let (_, catalogue, node) = self.node(inode)?;
        let entry = catalogue.entry(node);
        match entry.kind {
            Kind::File => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        // A link whose first name is not in the archive has lost its content.
        let is_lost = entry.is_link && entry.first.is_none();
        if is_lost || entry.damaged && !self.allow_damaged {
            return Err(Errno::EIO);
        }
        self.item(inode).map(OpenFile::new)
    }

    fn list(&self, inode: INodeNo) -> Result<Vec<Listed>> {
        if self.place(inode)? == Place::Top {
            return Ok((0..self.forest.names().len()).map(Listed::Archive).collect());
        }
        let (archive, catalogue, node) = self.node(inode)?;
        if catalogue.entry(node).kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(catalogue.children(node).map(|child| Listed::Node(archive, child)).collect())
    }

    /// What a directory holds from `offset` on, `.` and `..` first, told to `add` until that has enough.
    fn each_entry(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut add: impl FnMut(u64, &OsStr, &dyn Fn() -> Result<FileAttr>, INodeNo, FileType) -> bool,
    ) -> Result<()> {
        let listed = self.directories.get(handle)?;
        let mut next = offset;
        for name in [".", ".."].iter().skip(offset as usize) {
            next += 1;
            // The kernel knows better what is above.
            if add(next, OsStr::new(name), &|| self.attributes(inode), inode, FileType::Directory) {
                return Ok(());
            }
        }
        for listed in listed.iter().skip(next as usize - 2) {
            next += 1;
            let is_enough = match listed {
                Listed::Archive(archive) => {
                    let top = self.forest.top_of(*archive);
                    let name = self.forest.names().nth(*archive).unwrap_or_default();
                    let attributes = || Ok(self.forest.plain_directory(top));
                    add(next, OsStr::new(name), &attributes, top, FileType::Directory)
                }
                Listed::Node(archive, node) => {
                    let catalogue = self.catalogue(*archive)?;
                    let entry = catalogue.entry(*node);
                    let inode = self.forest.inode(*archive, catalogue, *node);
                    let attributes = || Ok(self.forest.attributes(*archive, catalogue, *node));
                    add(next, OsStr::from_bytes(entry.name), &attributes, inode, kind(entry.kind))
                }
            };
            if is_enough {
                return Ok(());
            }
        }
        Ok(())
    }

    fn xattrs(&self, inode: INodeNo) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        // `ls -l` asks for each file, and hardly any has one.
        if let Some(Place::Node(archive, node)) = self.forest.place(inode)
            && !self.catalogue(archive)?.entry(node).has_xattrs
        {
            return Ok(Vec::new());
        }
        match self.place(inode)? {
            Place::Archive(_) if inode != INodeNo::ROOT => Ok(Vec::new()),
            Place::Top => Ok(Vec::new()),
            Place::Archive(_) | Place::Node(..) => Ok(self.item(inode)?.xattrs),
        }
    }
}

/// Answers a question about an extended attribute: with its size if that is what was asked for.
fn answer(reply: ReplyXattr, value: Result<Vec<u8>>, size: u32) {
    match value {
        Err(error) => reply.error(error),
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
    }
}

impl Filesystem for ArchiveFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Each helps where the kernel knows it, and none is needed. Attributes always come with the names: they cost little,
        // and what asks for them one by one (`find -ls`) costs a request each.
        for wish in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_ASYNC_READ,
        ] {
            let _ = config.add_capabilities(wish);
        }
        let _ = config.set_max_readahead(1 << 20);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.entry(parent, name) {
            Ok(attributes) => reply.entry(&FOREVER, &attributes, GENERATION),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Ok(attributes) => reply.attr(&FOREVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        let target = self
            .node(inode)
            .and_then(|(_, catalogue, node)| catalogue.entry(node).symlink_target.ok_or(Errno::EINVAL));
        match target {
            Ok(target) => reply.data(target),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_file(inode) {
            Ok(file) => reply.opened(self.files.add(file), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self
            .files
            .get(handle)
            .and_then(|file| self.reader.read(&file, offset, size as usize).map_err(unreadable));
        match read {
            Ok(content) => reply.data(&content),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.remove(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.list(inode) {
            Ok(listed) => reply.opened(
                self.directories.add(listed),
                FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR,
            ),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let told = self.each_entry(inode, handle, offset, |next, name, _, inode, kind| {
            reply.add(inode, next, kind, name)
        });
        match told {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let told = self.each_entry(inode, handle, offset, |next, name, attributes, inode, _| {
            let Ok(attributes) = attributes() else { return true };
            reply.add(inode, next, name, &FOREVER, &attributes, GENERATION)
        });
        match told {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.directories.remove(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 512, 255, 512);
    }

    fn getxattr(&self, _: &Request, inode: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.xattrs(inode).and_then(|all| {
            let found = all.into_iter().find(|(known, _)| known == name.as_bytes());
            found.map(|(_, value)| value).ok_or(Errno::ENODATA)
        });
        answer(reply, value, size);
    }

    fn listxattr(&self, _: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self
            .xattrs(inode)
            .map(|all| all.iter().flat_map(|(name, _)| name.iter().copied().chain([0])).collect::<Vec<u8>>());
        answer(reply, names, size);
    }
}
