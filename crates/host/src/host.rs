//! The port through which everything above touches a machine.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Attributes, Claim, Claimed, Command, Container, Docker, Found, Move, Output, Present, Result};

/// What names a file within its file system, whatever it is called. It stays over renames and reboots, and
/// no later file is taken for it: numbers are used again, births are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inode {
    /// Its number.
    pub number: u64,
    /// When it was made, in nanoseconds since 1970; 0 where the file system does not tell.
    pub born: i64,
}

/// What kind of file something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Other,
}

/// What is known of a file without following it if it is a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub kind: FileKind,
    /// Its inode.
    pub inode: Inode,
    /// The file system it lies on; may change over a reboot, so it is never recorded.
    pub device: u64,
    /// Its owner's number.
    pub owner: u32,
    /// Its size in bytes.
    pub size: u64,
    /// When its content last changed, in whole seconds since 1970.
    pub modified: i64,
}

/// The number of the inode at the top of every btrfs subvolume.
pub const BTRFS_SUBVOLUME: u64 = 256;

impl Stat {
    /// Whether it is the top of a subvolume, if it lies on btrfs.
    pub fn is_subvolume(&self) -> bool {
        self.kind == FileKind::Directory && self.inode.number == BTRFS_SUBVOLUME
    }
}

/// Room on the file system under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The file system, to tell whether two paths share one.
    pub device: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Files that may still be made; `u64::MAX` where the file system sets no number.
    pub free_inodes: u64,
}

/// How a new tree gets onto a host.
pub enum Tree<'h> {
    /// The host's files are this machine's: write them here.
    Here(PathBuf),
    /// They are another machine's: a tar stream is unpacked there, in the directory where the tree is to be.
    Elsewhere(Box<dyn Unpack + 'h>),
    /// Nothing is to be written: the tree is only pretended, as in a dry run.
    Pretended,
}

/// Sends a tree to the disk.
pub trait Disk: Send + Sync {
    /// Returns once all that was written of the tree lasts through a power cut. Fails where something could not be written; on this
    /// machine even if somebody else was told of it before.
    fn flush(&self) -> Result<()>;
}

/// Takes a tar stream, and makes a tree of it. Dropped before its end, it leaves what came so far.
pub trait Unpack: Write {
    /// Waits until all that was written is unpacked, and says what is there now.
    fn finish(self: Box<Self>) -> Result<Unpacked>;
}

/// What a tar stream became, counted on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, directories, links and all else.
    pub entries: u64,
    /// Bytes of content, that of files with several names once.
    pub bytes: u64,
    /// What was remarked on and stopped nothing.
    pub warnings: Vec<String>,
}

/// How what lies on a host is read as a whole.
pub enum Files<'h> {
    /// The host's files are this machine's: read them here.
    Here,
    /// They are another machine's: they come as a tar stream.
    Elsewhere(Packed<'h>),
    /// Nothing is to be read, as in a dry run.
    Pretended,
}

/// Trees of another machine as a tar stream, made there while it is read here.
pub struct Packed<'h> {
    /// The stream, in which names are whole paths without the slash they begin with. That it ends says nothing: it also does
    /// where it was cut off, and what came until then may look whole.
    pub stream: Box<dyn Read + Send>,
    /// What knows whether all of it came. Must be dropped, or have finished, before an end of the stream is waited for in vain.
    pub packing: Box<dyn Pack + 'h>,
}

/// Makes a tar stream. Dropped before its end, it makes no more of it, and the stream ends.
pub trait Pack {
    /// Once the stream has been read to its end: returns if it is whole, with what was remarked on, for people. Fails if not, also
    /// where something could not be read.
    fn finish(self: Box<Self>) -> Result<Vec<String>>;
}

/// A machine. Every method that changes something can be repeated: done twice, it is done once.
pub trait Host: Send + Sync {
    /// What to call it in messages.
    fn name(&self) -> &str;

    /// The number of the user that everything is done as.
    fn user(&self) -> u32;

    /// How far its clock is ahead of this machine's, in milliseconds; below zero where it is behind.
    fn clock_ahead(&self) -> Result<i64> {
        Ok(0)
    }

    /// What lies at `path`, or nothing.
    fn stat(&self, path: &Path) -> Result<Option<Stat>>;

    /// `path` with every symbolic link on the way followed, as far as it exists.
    fn canonical(&self, path: &Path) -> Result<PathBuf>;

    /// The names in the directory `path`, sorted.
    fn list(&self, path: &Path) -> Result<Vec<OsString>>;

    /// The content of the regular file `path`; fails when it has more than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>>;

    /// Makes one directory with these permissions; fine, and left as it is, when it is there. A link to one is not one.
    fn make_dir(&self, path: &Path, mode: u32) -> Result<()>;

    /// Removes an empty directory; fine when it is gone. False when it holds something and stays.
    fn remove_dir(&self, path: &Path) -> Result<bool>;

    /// Renames `from` to `to`, which must not exist, and makes that last through a power cut.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Exchanges two paths of one file system in one step, and makes that last through a power cut.
    fn exchange(&self, a: &Path, b: &Path) -> Result<()>;

    /// Removes `path` and all below it, without leaving its file system; fine when it is gone.
    fn remove_tree(&self, path: &Path) -> Result<()>;

    /// How to write a new tree at `path`.
    fn tree(&self, path: &Path) -> Result<Tree<'_>>;

    /// How to read all that lies at `paths`, but for `except` and what is below those. Nothing of it is followed.
    fn pack(&self, paths: &[PathBuf], except: &[PathBuf]) -> Result<Files<'_>>;

    /// Replaces the content of the regular file `file` within `tree`, which came from a backup: no link is followed.
    /// Mode and owner stay. As it was, it is kept beside under the name `original`. Not to be repeated.
    fn edit(&self, tree: &Path, file: &Path, content: &[u8], original: Option<&OsStr>) -> Result<()>;

    /// What sends the tree at `path` to the disk, to be asked for before it is written: the operating system tells whoever asks of
    /// what could not be written since then only. `path` need not be there, but the directory above it.
    fn disk_of(&self, path: &Path) -> Result<Box<dyn Disk + '_>>;

    /// Everything below the directory `path` on its file system, directories before what is in them, but for `except`
    /// (paths relative to it) and what is below those.
    fn walk(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>>;

    /// The same for whoever compares it with a backup; nothing when `cancelled` said so before it was looked through.
    fn present(
        &self,
        path: &Path,
        except: &[PathBuf],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Present>> {
        let _ = cancelled;
        Ok(Some(Present::Here(self.walk(path, except)?)))
    }

    /// Whether extended attributes and access lists can be seen there.
    fn sees_attributes(&self) -> Result<bool> {
        Ok(true)
    }

    /// Carries names out of `tree` into `store` and back, one after the other, and makes that last through a power cut. All
    /// within one file system; nothing is replaced, and no symbolic link is followed at or below `tree` and `store`: whoever
    /// can write there must not decide what is moved.
    fn carry(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()>;

    /// What the directory `path` has besides what is in it. Attributes that this host cannot tell are none.
    fn attributes(&self, path: &Path) -> Result<Attributes>;

    /// Gives the directory `path` of `tree`, or `tree` itself where that is empty, these attributes. No symbolic link is
    /// followed at or below `tree`.
    fn set_attributes(&self, tree: &Path, path: &Path, attributes: &Attributes) -> Result<()>;

    /// Writes the small file `path`, which only its owner can read: all of it, on disk, or nothing. What lies there, or
    /// beside it as `….part`, is replaced and never followed.
    fn write(&self, path: &Path, content: &[u8]) -> Result<()>;

    /// Runs a command that only looks.
    fn ask(&self, command: &Command) -> Result<Output>;

    /// Runs a command that changes something.
    fn run(&self, command: &Command) -> Result<Output>;

    /// The same, of one that takes long and may be given up half-way: nothing when `cancelled` said so, and it was told to end before
    /// it had. One that is given input over SSH is not given up.
    fn run_unless(&self, cancelled: &dyn Fn() -> bool, command: &Command) -> Result<Option<Output>> {
        let _ = cancelled;
        self.run(command).map(Some)
    }

    /// Whether changes are only pretended, and content never held.
    fn pretends(&self) -> bool {
        false
    }

    /// Room on the file system of `path`, or of its nearest ancestor that exists.
    fn space(&self, path: &Path) -> Result<Space>;

    /// Mount points at or below `path`.
    fn mounts_within(&self, path: &Path) -> Result<Vec<PathBuf>>;

    /// When something at or below `path` was last changed, in seconds since 1970; of much, only some is looked at.
    fn newest_change(&self, path: &Path) -> Result<Option<i64>> {
        const LOOKS: usize = 20_000;
        let (mut newest, mut open, mut looks) = (None, VecDeque::from([path.to_owned()]), 0);
        // In breadth: what is far down in one directory must not keep all others from being looked at.
        while let Some(path) = open.pop_front().filter(|_| looks < LOOKS) {
            let Some(stat) = self.stat(&path)? else { continue };
            looks += 1;
            newest = newest.max(Some(stat.modified));
            if stat.kind == FileKind::Directory {
                open.extend(self.list(&path)?.into_iter().map(|name| path.join(name)));
            }
        }
        Ok(newest)
    }

    /// The Docker engine there.
    fn docker(&self) -> &dyn Docker;

    /// Makes known there what is being worked on, until the answer is dropped. Fails with [`crate::Error::Claimed`]
    /// while another operation works on some of it.
    fn claim(&self, claim: &Claim) -> Result<Claimed>;

    /// All containers there, the sources of their mounts with every symbolic link followed, and of volumes that are bound to a
    /// directory, that directory: Docker tells them as they were given, and what runs on a tree must be found whatever it is called.
    fn containers(&self) -> Result<Vec<Container>> {
        let mut containers = crate::docker::containers(self.docker())?;
        for mount in containers.iter_mut().flat_map(|container| &mut container.mounts) {
            // What cannot be followed keeps its name: better that than no answer at all.
            mount.source = self.canonical(&mount.source).unwrap_or_else(|_| mount.source.clone());
        }
        Ok(containers)
    }
}

/// The sources of all mounts of `containers`, sorted, each once.
pub(crate) fn absolute_mounts(containers: &[Container]) -> Vec<PathBuf> {
    let sources = containers.iter().flat_map(|container| &container.mounts).map(|mount| mount.source.clone());
    let mut sources: Vec<PathBuf> = sources.filter(|source| source.is_absolute()).collect();
    sources.sort();
    sources.dedup();
    sources
}
