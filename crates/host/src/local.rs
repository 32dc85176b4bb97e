//! This machine.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::command::{Dialogue, begin_local};
use crate::docker::{Docker, DockerCli, Run};
use crate::edit::edit;
use crate::mounts;
use crate::mutable::make_mutable;
use crate::{
    Attributes, Claim, Claimed, Command, Disk, Error, FileKind, Files, Found, Host, Inode, Move, Output,
    Result, Space, Stat, Tree, here, run_local, run_local_unless,
};

/// What this machine is called in plans.
pub const HERE: &str = "localhost";

/// This machine, its files as the process may touch them, and the Docker engine that `docker` reaches.
#[derive(Debug, Clone)]
pub struct LocalHost {
    docker: DockerCli<Here>,
}

/// The file system that a tree is written to. What could not be written is told to each who has it open, by what they have open
/// (`errseq_t`): to one who opens it afterwards only if nobody was told.
struct FileSystem {
    directory: OwnedFd,
    path: PathBuf,
}

impl Disk for FileSystem {
    fn flush(&self) -> Result<()> {
        // One flush of the whole file system instead of one fsync per file.
        rustix::fs::syncfs(&self.directory).map_err(|error| Error::file("sync", &self.path, error))
    }
}

/// Runs commands on this machine.
#[derive(Debug, Clone, Copy)]
struct Here;

impl Run for Here {
    fn run(&self, command: &Command) -> Result<Output> {
        run_local(command)
    }

    fn begin(&self, command: &Command) -> Result<Dialogue> {
        begin_local(command)
    }
}

impl LocalHost {
    /// This machine.
    pub fn new() -> Self {
        Self { docker: DockerCli::new(Here) }
    }
}

impl Default for LocalHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for LocalHost {
    fn name(&self) -> &'static str {
        HERE
    }

    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        match fs::symlink_metadata(path) {
            Ok(meta) => Ok(Some(Stat {
                kind: kind(&meta),
                inode: Inode { number: meta.ino(), born: born(&meta) },
                device: meta.dev(),
                owner: meta.uid(),
                size: meta.size(),
                modified: meta.mtime(),
            })),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(Error::file("look at", path, error)),
        }
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        match fs::canonicalize(path) {
            Ok(found) => Ok(found),
            Err(error) if absent(&error) => match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(self.canonical(parent)?.join(name)),
                _ => Ok(path.to_owned()),
            },
            Err(error) => Err(Error::file("resolve", path, error)),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        let mut names = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(|error| Error::file("list", path, error))?;
        names.sort();
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let attempt = || {
            let mut content = Vec::new();
            fs::File::open(path)?.take(limit + 1).read_to_end(&mut content)?;
            if content.len() as u64 > limit {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
            }
            Ok(content)
        };
        attempt().map_err(|error| Error::file("read", path, error))
    }

    fn make_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let mode = fs::Permissions::from_mode(mode);
        match fs::create_dir(path).and_then(|()| fs::set_permissions(path, mode)) {
            Ok(()) => sync_parent(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_real_dir(path) => Ok(()),
            Err(error) => Err(Error::file("make directory", path, error)),
        }
    }

    fn remove_dir(&self, path: &Path) -> Result<bool> {
        match fs::remove_dir(path) {
            Ok(()) => sync_parent(path).map(|()| true),
            Err(error) if absent(&error) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(Error::file("remove directory", path, error)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        renameat2("rename", from, to, RenameFlags::NOREPLACE)
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        renameat2("exchange", a, b, RenameFlags::EXCHANGE).map_err(|error| match error.errno() {
            // Some file systems cannot, such as NFS.
            Some(Errno::INVAL | Errno::NOSYS) => Error::CannotExchange(a.to_owned()),
            _ => error,
        })
    }

    fn remove_tree(&self, path: &Path) -> Result<()> {
        let Some(stat) = self.stat(path)? else { return Ok(()) };
        let within = self.mounts_within(path)?;
        if let Some(mount) = within.first() {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "a file system is mounted there");
            return Err(Error::file("remove", mount, busy));
        }
        let remove = || {
            if stat.kind == FileKind::Directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        };
        let removed = remove().or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                make_mutable(path).map_err(io::Error::from).and_then(|()| remove())
            }
            _ => Err(error),
        });
        match removed {
            Ok(()) => sync_parent(path),
            Err(error) if absent(&error) => Ok(()),
            Err(error) => Err(Error::file("remove", path, error)),
        }
    }

    fn tree(&self, path: &Path) -> Result<Tree<'_>> {
        Ok(Tree::Here(path.to_owned()))
    }

    fn pack(&self, _paths: &[PathBuf], _except: &[PathBuf]) -> Result<Files<'_>> {
        Ok(Files::Here)
    }

    fn edit(&self, tree: &Path, file: &Path, content: &[u8], original: Option<&OsStr>) -> Result<()> {
        edit(tree, file, content, original).map_err(|error| Error::file("change", &tree.join(file), error))
    }

    fn disk_of(&self, path: &Path) -> Result<Box<dyn Disk + '_>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let parent = path.parent().unwrap_or(path);
        let opened = rustix::fs::open(parent, flags | OFlags::DIRECTORY, Mode::empty());
        let directory = opened.map_err(|error| Error::file("open", parent, error))?;
        Ok(Box::new(FileSystem { directory, path: path.to_owned() }))
    }

    fn walk(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        here::walk(path, except)
    }

    fn carry(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
        here::carry(tree, store, moves)
    }

    fn attributes(&self, path: &Path) -> Result<Attributes> {
        here::attributes(path)
    }

    fn set_attributes(&self, tree: &Path, path: &Path, attributes: &Attributes) -> Result<()> {
        here::set_attributes(tree, path, attributes)
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        here::write(path, content)
    }

    fn ask(&self, command: &Command) -> Result<Output> {
        run_local(command)
    }

    fn run(&self, command: &Command) -> Result<Output> {
        run_local(command)
    }

    fn run_unless(&self, cancelled: &dyn Fn() -> bool, command: &Command) -> Result<Option<Output>> {
        run_local_unless(cancelled, command)
    }

    fn space(&self, path: &Path) -> Result<Space> {
        let mut at = path;
        while self.stat(at)?.is_none() {
            let Some(parent) = at.parent() else { break };
            at = parent;
        }
        let attempt = || -> io::Result<Space> {
            let device = fs::metadata(at)?.dev();
            let found = rustix::fs::statvfs(at)?;
            let free_inodes = if found.f_files == 0 { u64::MAX } else { found.f_favail };
            Ok(Space { device, free_bytes: found.f_bavail.saturating_mul(found.f_frsize), free_inodes })
        };
        attempt().map_err(|error| Error::file("measure", at, error))
    }

    fn mounts_within(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let table = Path::new(mounts::TABLE);
        let text = fs::read(table).map_err(|error| Error::file("read", table, error))?;
        Ok(mounts::within(&text, path))
    }

    fn docker(&self) -> &dyn Docker {
        &self.docker
    }

    fn claim(&self, claim: &Claim) -> Result<Claimed> {
        Claimed::here(claim)
    }
}

fn is_real_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// When the file was made, in nanoseconds since 1970, or 0.
fn born(meta: &fs::Metadata) -> i64 {
    let since = meta.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as i64)
}

pub(crate) fn kind(meta: &fs::Metadata) -> FileKind {
    let kind = meta.file_type();
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    }
}

/// Nothing there, or a parent that is no directory.
fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn renameat2(action: &'static str, from: &Path, to: &Path, flags: RenameFlags) -> Result<()> {
    rustix::fs::renameat_with(CWD, from, CWD, to, flags).map_err(|error| Error::file(action, from, error))?;
    sync_parent(from)?;
    if from.parent() == to.parent() { Ok(()) } else { sync_parent(to) }
}

/// A changed name lasts once its directory is synced.
fn sync_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| Error::file("sync", parent, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanging_two_trees_keeps_both() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::write(a.join("old"), "1").unwrap();
        fs::write(&b, "2").unwrap();
        let host = LocalHost::new();
        let before = host.stat(&a).unwrap().unwrap().inode;
        host.exchange(&a, &b).unwrap();
        assert_eq!(host.stat(&b).unwrap().unwrap().inode, before);
        assert_eq!(fs::read_to_string(&a).unwrap(), "2");
    }

    #[test]
    fn a_rename_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "2").unwrap();
        assert!(LocalHost::new().rename(&a, &b).is_err());
        assert_eq!(fs::read_to_string(&b).unwrap(), "2");
    }

    #[test]
    fn paths_resolve_as_far_as_they_exist() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let found = LocalHost::new().canonical(&dir.path().join("link/not/yet")).unwrap();
        assert_eq!(found, fs::canonicalize(&real).unwrap().join("not/yet"));
    }

    #[test]
    fn removing_twice_is_removing_once() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        let host = LocalHost::new();
        host.remove_tree(&tree).unwrap();
        host.remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn what_must_not_be_changed_can_still_be_removed() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a")).unwrap();
        fs::write(tree.join("a/file"), "kept").unwrap();
        let command = Command::new("chattr").args(["+i"]).arg(tree.join("a/file").to_str().unwrap());
        run_local(&command.arg(tree.join("a").to_str().unwrap())).unwrap();
        assert!(fs::remove_dir_all(&tree).is_err());
        LocalHost::new().remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "12345").unwrap();
        assert_eq!(LocalHost::new().read(&file, 5).unwrap(), b"12345");
        assert!(LocalHost::new().read(&file, 4).is_err());
    }
}
