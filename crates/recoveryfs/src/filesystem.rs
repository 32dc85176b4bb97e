//! What the kernel asks, answered.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use reprise_borg::{Catalogue, Error, Item, Kind, Node};

use crate::Options;
use crate::content::{OpenFile, Piece, Reader};
use crate::handles::Handles;
use crate::tree::{DOTS, Forest, Place, kind};

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
}

impl ArchiveFs {
    /// Shows what grows in `forest`, its content read by `reader`.
    pub fn new(forest: Forest, reader: Reader, options: &Options) -> Self {
        let allow_damaged = options.allow_damaged;
        Self { forest, reader, allow_damaged, files: Handles::new() }
    }

    fn place(&self, inode: INodeNo) -> Result<Place> {
        self.forest.place(inode).ok_or(Errno::ENOENT)
    }

    /// What cannot be read is an I/O error, whatever the reason: there is no room for more. So it is told elsewhere.
    fn unreadable(&self, inode: INodeNo, error: &Error) -> Errno {
        if matches!(error, Error::NoSuchPath { .. }) {
            return Errno::ENOENT;
        }
        self.forest.tell(inode, None, &error.to_string());
        Errno::EIO
    }

    fn catalogue(&self, archive: usize) -> Result<&Catalogue> {
        self.forest.catalogue(archive).map_err(|error| self.unreadable(self.forest.top_of(archive), &error))
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
            Place::Archive(archive) if inode != INodeNo::ROOT => self.forest.archive(archive),
            Place::Archive(_) | Place::Node(..) => {
                let (archive, catalogue, node) = self.node(inode)?;
                self.forest.attributes(archive, catalogue, node)
            }
        })
    }

    fn entry(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr> {
        if self.place(parent)? == Place::Top {
            let archive = self.forest.names().position(|known| known.as_bytes() == name.as_bytes());
            return Ok(self.forest.archive(archive.ok_or(Errno::ENOENT)?));
        }
        let (archive, catalogue, node) = self.node(parent)?;
        let child = catalogue.child(node, name.as_bytes()).ok_or(Errno::ENOENT)?;
        Ok(self.forest.attributes(archive, catalogue, child))
    }

    fn item(&self, inode: INodeNo) -> Result<Item> {
        let (_, catalogue, node) = self.node(inode)?;
        let item = catalogue.item_by(node, |id| self.reader.metadata(id));
        item.map_err(|error| self.unreadable(inode, &error))
    }

    fn open_file(&self, inode: INodeNo) -> Result<OpenFile> {
        let (_, catalogue, node) = self.node(inode)?;
        let entry = catalogue.entry(node);
        match entry.kind {
            Kind::File => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        let lost = if entry.is_link && entry.first.is_none() {
            Some("it is a hard link to a file that is not in the archive")
        } else {
            Some("its content was lost, and `borg check --repair` put zeros in its place")
                .filter(|_| entry.damaged && !self.allow_damaged)
        };
        if let Some(reason) = lost {
            self.forest.tell(inode, None, reason);
            return Err(Errno::EIO);
        }
        self.item(inode).map(OpenFile::new)
    }

    fn read_file(&self, inode: INodeNo, handle: FileHandle, offset: u64, size: u32) -> Result<Piece> {
        let file = self.files.get(handle)?;
        self.reader.read(&file, offset..offset.saturating_add(u64::from(size))).map_err(|lost| {
            self.forest.tell(inode, Some(lost.range), &lost.error.to_string());
            Errno::EIO
        })
    }

    /// What a directory holds from `offset` on, `.` and `..` first, told to `add` until that has enough.
    fn each_entry(
        &self,
        inode: INodeNo,
        offset: u64,
        mut add: impl FnMut(u64, &OsStr, &dyn Fn() -> Result<FileAttr>, INodeNo, FileType) -> bool,
    ) -> Result<()> {
        let offset = offset as usize;
        for (name, next) in DOTS.iter().zip(1..).skip(offset) {
            // The kernel knows better what is above.
            if add(next, OsStr::new(name), &|| self.attributes(inode), inode, FileType::Directory) {
                return Ok(());
            }
        }
        let before = offset.saturating_sub(DOTS.len());
        let numbers = (before + DOTS.len() + 1) as u64..;
        if self.place(inode)? == Place::Top {
            for (next, (archive, name)) in numbers.zip(self.forest.names().enumerate().skip(before)) {
                let attributes = self.forest.archive(archive);
                let top = attributes.ino;
                if add(next, OsStr::new(name), &|| Ok(attributes), top, FileType::Directory) {
                    return Ok(());
                }
            }
            return Ok(());
        }
        let (archive, catalogue, node) = self.node(inode)?;
        if catalogue.entry(node).kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        for (next, child) in numbers.zip(catalogue.children_from(node, before)) {
            let entry = catalogue.entry(child);
            let inode = self.forest.inode(archive, catalogue, child);
            let attributes = || Ok(self.forest.attributes(archive, catalogue, child));
            if add(next, OsStr::from_bytes(entry.name), &attributes, inode, kind(entry.kind)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Fails with `ENOSYS` where nothing has any, and then the kernel asks no more: `ls -l` would for each file.
    fn xattrs(&self, inode: INodeNo) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self.place(inode)? {
            _ if self.forest.lacks_xattrs() => Err(Errno::ENOSYS),
            Place::Archive(_) if inode != INodeNo::ROOT => Ok(Vec::new()),
            Place::Top => Ok(Vec::new()),
            Place::Archive(_) | Place::Node(..) => {
                let (_, catalogue, node) = self.node(inode)?;
                // Hardly any has one, even where some do.
                if catalogue.entry(node).has_xattrs { Ok(self.item(inode)?.xattrs) } else { Ok(Vec::new()) }
            }
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
        let _ = config.set_max_readahead(1 << 20).or_else(|most| config.set_max_readahead(most));
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
            // Nothing was written that closing it would have to wait for.
            Ok(file) => {
                let handle = self.files.add(file);
                reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(inode, handle, offset, size) {
            Ok(piece) => reply.data(&piece),
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
        let file = self.files.remove(handle);
        reply.ok();
        if let Some(file) = file {
            self.reader.closed(&file);
        }
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // A directory is what it is: nothing has to be remembered of who reads it. The kernel could do without this
        // question, but then it would show what it knows of a directory though nobody answers any more.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR);
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let told =
            self.each_entry(inode, offset, |next, name, _, inode, kind| reply.add(inode, next, kind, name));
        match told {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let told = self.each_entry(inode, offset, |next, name, attributes, inode, _| {
            let Ok(attributes) = attributes() else { return true };
            reply.add(inode, next, name, &FOREVER, &attributes, GENERATION)
        });
        match told {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
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
