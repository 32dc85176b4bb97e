//! The directory extracted to, and nothing outside it.
//!
//! Every path is resolved by the kernel beneath the root's descriptor, in one call, with symbolic links refused
//! altogether: what the archive contains, what stood there before, and what somebody puts there meanwhile cannot lead away.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::path::split;

/// For directories while their content is still arriving.
const PRIVATE_DIR: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
/// For directories that lead to a destination and that no item describes.
const LEADING_DIR: Mode = Mode::from_raw_mode(0o755);
/// What the names of unfinished things begin with.
const BESIDE: &str = ".reprise-";
/// How often the kernel may ask to try again because of renames elsewhere in the tree.
const ATTEMPTS: usize = 32;

/// The root of an extraction.
#[derive(Debug)]
pub(super) struct Root {
    dir: OwnedFd,
    device: u64,
}

impl Root {
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        let device = rustix::fs::fstat(&dir)?.st_dev;
        Ok(Self { dir, device })
    }

    /// The file system that it is in.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Opens what is at `path`, itself never a symbolic link to follow.
    pub fn resolve(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        for _ in 1..ATTEMPTS {
            match openat2(&self.dir, OsStr::from_bytes(path), flags, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
        Ok(openat2(&self.dir, OsStr::from_bytes(path), flags, mode, resolve)?)
    }

    /// The directory that holds `path`, and its name there. The directory is made if need be.
    pub fn parent<'p>(&self, path: &'p [u8]) -> io::Result<(OwnedFd, &'p OsStr)> {
        let (dir, name) = split(path);
        if name.is_empty() {
            return Err(Errno::EXIST.into());
        }
        Ok((self.directory(dir)?, OsStr::from_bytes(name)))
    }

    fn directory(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let open = || self.resolve(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_empty() => {
                let (dir, name) = self.parent(path)?;
                match rustix::fs::mkdirat(&dir, name, LEADING_DIR) {
                    // Another thread needed it as well.
                    Ok(()) | Err(Errno::EXIST) => open(),
                    Err(error) => Err(error.into()),
                }
            }
            done => done,
        }
    }

    /// Creates a file that only its owner can read, replacing what is there.
    pub fn create_file(&self, path: &[u8]) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let create = || self.resolve(path, flags, PRIVATE_FILE);
        let created = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.parent(path)?;
                create()
            }
            other => other,
        };
        let created = match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.clear(path)?;
                create()
            }
            other => other,
        };
        Ok(File::from(created?))
    }

    /// Makes a directory that only its owner can enter; one that exists stays as it is.
    pub fn create_dir(&self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        let (dir, name) = self.parent(path)?;
        match rustix::fs::mkdirat(&dir, name, PRIVATE_DIR) {
            Err(Errno::EXIST) => {
                let found = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
                    rustix::fs::unlinkat(&dir, name, AtFlags::empty())?;
                    rustix::fs::mkdirat(&dir, name, PRIVATE_DIR)?;
                }
                Ok(())
            }
            done => Ok(done?),
        }
    }

    /// Creates something else at `path` with `create`, replacing what is there; returns a descriptor of it that
    /// is good for attributes only, and that of its directory.
    pub fn create_other(
        &self,
        path: &[u8],
        create: impl Fn(&OwnedFd, &OsStr) -> rustix::io::Result<()>,
    ) -> io::Result<(OwnedFd, OwnedFd)> {
        let (dir, name) = self.parent(path)?;
        match create(&dir, name) {
            Err(Errno::EXIST) => {
                self.clear(path)?;
                create(&dir, name)?;
            }
            done => done?,
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&dir, name, flags, Mode::empty())?;
        Ok((made, dir))
    }

    /// Makes `path` another name for what is at `existing`.
    pub fn link(&self, existing: &[u8], path: &[u8]) -> io::Result<()> {
        let (from_dir, from) = split(existing);
        let from_dir = self.resolve(from_dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        let (to_dir, to) = self.parent(path)?;
        // Without AT_SYMLINK_FOLLOW: should `existing` have become a symbolic link, it is linked itself.
        let link = || rustix::fs::linkat(&from_dir, OsStr::from_bytes(from), &to_dir, to, AtFlags::empty());
        match link() {
            Err(Errno::EXIST) => {}
            done => return Ok(done?),
        }
        // What is there goes in the same step.
        let beside = name_beside()?;
        rustix::fs::linkat(&from_dir, OsStr::from_bytes(from), &to_dir, &beside, AtFlags::empty())?;
        let renamed = rustix::fs::renameat(&to_dir, &beside, &to_dir, to);
        // It is still there if that failed, or if both were the same file.
        let _ = rustix::fs::unlinkat(&to_dir, &beside, AtFlags::empty());
        match renamed {
            Err(Errno::ISDIR) => {
                self.clear(path)?;
                Ok(link()?)
            }
            done => Ok(done?),
        }
    }

    /// Removes what is at `path`; of directories only empty ones.
    fn clear(&self, path: &[u8]) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => Ok(rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR)?),
            done => Ok(done?),
        }
    }

    /// Removes the file at `path`, provided it still is the one opened as `file`.
    pub fn remove_file(&self, path: &[u8], file: &File) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        let there = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let ours = rustix::fs::fstat(file.as_fd())?;
        if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) {
            rustix::fs::unlinkat(&dir, name, AtFlags::empty())?;
        }
        Ok(())
    }
}

/// Creates a file that only its owner can read in the directory `dir`, under a name of its own, which is returned with it.
pub(super) fn create_beside(dir: &OwnedFd) -> io::Result<(String, File)> {
    let name = name_beside()?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, &name, flags, PRIVATE_FILE)?;
    // As long as this is held, nobody takes it for something that was left behind. Where there are no locks, nobody ever does.
    let _ = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    Ok((name, File::from(file)))
}

/// Whether a name is one that [`create_beside`] gives.
pub(super) fn is_name_beside(name: &[u8]) -> bool {
    name.strip_prefix(BESIDE.as_bytes())
        .is_some_and(|hex| hex.len() == 16 && hex.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')))
}

/// A name for what is to take the place of something else once it is complete.
fn name_beside() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{BESIDE}{:016x}", u64::from_le_bytes(random)))
}
