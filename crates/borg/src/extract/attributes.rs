//! Owner, mode, ACLs, extended attributes, times: set in the one order in which none undoes another.
//!
//! Changing the owner clears set-id bits and file capabilities, so it comes first; changing the mode rewrites an ACL's mask, so
//! ACLs come after it; extended attributes (`security.capability` among them) follow, times come last.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, IFlags, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::owners::Directory;
use super::{Attribute, acl};
use crate::item::{Item, Kind};

/// Something just created.
pub(super) enum Handle<'a> {
    /// A file or directory, open in earnest.
    Open(BorrowedFd<'a>),
    /// Anything but a symbolic link, opened as a mere path.
    Path(BorrowedFd<'a>),
    /// A symbolic link opened as a mere path, its directory, and its name there.
    Symlink(BorrowedFd<'a>, BorrowedFd<'a>, &'a OsStr),
}

impl Handle<'_> {
    /// For calls that take any descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(fd) | Self::Path(fd) | Self::Symlink(fd, ..) => *fd,
        }
    }

    /// Descriptors opened as mere paths are refused by some calls, which then need a path after all.
    pub fn by_path(fd: BorrowedFd<'_>) -> String {
        format!("/proc/self/fd/{}", fd.as_raw_fd())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode)?,
            Self::Path(fd) => rustix::fs::chmod(Self::by_path(*fd), mode)?,
            // Links have no mode of their own.
            Self::Symlink(..) => {}
        }
        Ok(())
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        let name = OsStr::from_bytes(name);
        let flags = XattrFlags::empty();
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, flags)?,
            Self::Path(fd) => rustix::fs::setxattr(Self::by_path(*fd), name, value, flags)?,
            Self::Symlink(_, dir, link) => {
                rustix::fs::lsetxattr(Self::in_dir(*dir, link), name, value, flags)?;
            }
        }
        Ok(())
    }

    /// The names of the extended attributes; none where the file system has no such thing.
    pub fn xattr_names(&self) -> io::Result<Vec<Vec<u8>>> {
        let listed = with_room(|names| match self {
            Self::Open(fd) => rustix::fs::flistxattr(fd, names),
            Self::Path(fd) => rustix::fs::listxattr(Self::by_path(*fd), names),
            Self::Symlink(_, dir, link) => rustix::fs::llistxattr(Self::in_dir(*dir, link), names),
        });
        let names = match listed {
            Err(Errno::OPNOTSUPP) => Vec::new(),
            listed => listed?,
        };
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(<[u8]>::to_vec).collect())
    }

    /// The value of an extended attribute.
    pub fn xattr(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let name = OsStr::from_bytes(name);
        Ok(with_room(|value| match self {
            Self::Open(fd) => rustix::fs::fgetxattr(fd, name, value),
            Self::Path(fd) => rustix::fs::getxattr(Self::by_path(*fd), name, value),
            Self::Symlink(_, dir, link) => rustix::fs::lgetxattr(Self::in_dir(*dir, link), name, value),
        })?)
    }

    /// Takes an extended attribute away.
    pub fn remove_xattr(&self, name: &[u8]) -> io::Result<()> {
        let name = OsStr::from_bytes(name);
        match self {
            Self::Open(fd) => rustix::fs::fremovexattr(fd, name)?,
            Self::Path(fd) => rustix::fs::removexattr(Self::by_path(*fd), name)?,
            Self::Symlink(_, dir, link) => rustix::fs::lremovexattr(Self::in_dir(*dir, link), name)?,
        }
        Ok(())
    }

    /// A path to a name in an open directory, for calls that take nothing else.
    fn in_dir(dir: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
        Path::new(&Self::by_path(dir)).join(name)
    }
}

/// What `call` writes, which is most often short, and 64 KiB at most.
fn with_room(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let attempt = |room| {
        let mut buffer = vec![0; room];
        let length = call(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    };
    match attempt(512) {
        Err(Errno::RANGE) => attempt(1 << 16),
        done => done,
    }
}

/// An attribute that could not be set, and why.
pub(super) struct Unset {
    pub attribute: Attribute,
    pub cause: io::Error,
}

/// Sets all attributes but flags; what fails is told to `failed`, and the rest is set.
pub(super) fn restore(handle: &Handle<'_>, item: &Item, owners: &Directory, mut failed: impl FnMut(Unset)) {
    let extended = |result: io::Result<()>| {
        result.map_err(|cause| {
            let is_too_large = is_too_large(&cause, handle, item);
            if is_too_large { io::Error::other("it is too large for this file system") } else { cause }
        })
    };
    let mut check = |attribute: Attribute, result: io::Result<()>| {
        if let Err(cause) = result {
            failed(Unset { attribute, cause });
        }
    };
    let (uid, gid) = owners.of(item);
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    let owned = rustix::fs::chownat(handle.fd(), "", uid, gid, AtFlags::EMPTY_PATH);
    check(Attribute::Owner, owned.map_err(Into::into));
    check(Attribute::Mode, handle.set_mode(item.permissions()));
    let acls =
        [("system.posix_acl_access", &item.acl_access), ("system.posix_acl_default", &item.acl_default)];
    for (name, text) in acls {
        // A default ACL without entries is how Borg records that there is none.
        if let Some(text) = text.as_deref().filter(|text| !text.trim_ascii().is_empty()) {
            let value = acl::encode(text, owners).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData));
            let set = value.and_then(|value| handle.set_xattr(name.as_bytes(), &value));
            check(Attribute::Acl, extended(set));
        }
    }
    for (name, value) in &item.xattrs {
        check(Attribute::Xattr(name.clone()), extended(handle.set_xattr(name, value)));
    }
    if let Some(times) = times(item) {
        let set = rustix::fs::utimensat(handle.fd(), "", &times, AtFlags::EMPTY_PATH);
        check(Attribute::Times, set.map_err(Into::into));
    }
}

/// What the extended attributes of a file may come to for any file system to take them: ext4 has the least room, a block of
/// 1 KiB.
const ALWAYS_FITS: usize = 900;

/// With how much of that room each attribute is managed, at most.
const EACH: usize = 24;

/// Free blocks with which a disk is not full.
const NOT_FULL: u64 = 256;

/// `f_type` of a tmpfs, which has no limit of its own for attributes (`linux/magic.h`).
const TMPFS: i64 = 0x0102_1994;

/// "No space left" is what some file systems also say of extended attributes that are too large for them, and then there is
/// plenty.
fn is_too_large(error: &io::Error, handle: &Handle<'_>, item: &Item) -> bool {
    let acls = [&item.acl_access, &item.acl_default].into_iter().flatten();
    let sizes = item.xattrs.iter().map(|(name, value)| name.len() + value.len());
    let total: usize = sizes.chain(acls.map(Vec::len)).map(|size| size + EACH).sum();
    Errno::from_io_error(error) == Some(Errno::NOSPC)
        && total > ALWAYS_FITS
        && rustix::fs::fstatfs(handle.fd()).is_ok_and(|disk| disk.f_type != TMPFS && free(&disk) > NOT_FULL)
}

/// Blocks that may still be written: what is reserved is root's.
fn free(disk: &rustix::fs::StatFs) -> u64 {
    if rustix::process::geteuid().is_root() { disk.f_bfree } else { disk.f_bavail }
}

/// The times to set; without a recorded access time, that of the last change, as Borg does.
fn times(item: &Item) -> Option<Timestamps> {
    let mtime = item.mtime?;
    Some(Timestamps {
        last_access: timespec(item.atime.unwrap_or(mtime)),
        last_modification: timespec(mtime),
    })
}

fn timespec(nanoseconds: i128) -> Timespec {
    const SECOND: i128 = 1_000_000_000;
    Timespec {
        tv_sec: nanoseconds.div_euclid(SECOND).clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        tv_nsec: nanoseconds.rem_euclid(SECOND) as i64,
    }
}

/// BSD's numbers, in which archives keep flags, and Linux' flags.
const FLAGS: [(u64, IFlags); 4] =
    [(0x01, IFlags::NODUMP), (0x02, IFlags::IMMUTABLE), (0x04, IFlags::APPEND), (0x20, IFlags::COMPRESSED)];

/// True if the item has flags to set. Only files and directories can.
pub(super) fn has_flags(item: &Item) -> bool {
    matches!(item.kind(), Kind::File | Kind::Directory)
        && FLAGS.iter().any(|(bit, _)| item.bsdflags & bit != 0)
}

/// Whether something has other flags than the archive says.
pub(super) fn flags_differ(fd: BorrowedFd<'_>, item: &Item) -> bool {
    matches!(item.kind(), Kind::File | Kind::Directory)
        && rustix::fs::ioctl_getflags(fd).is_ok_and(|found| {
            FLAGS.iter().any(|(bit, flag)| (item.bsdflags & bit != 0) != found.contains(*flag))
        })
}

/// Sets flags such as immutability, after which nothing else can be done. File systems without flags are no problem.
pub(super) fn restore_flags(fd: impl AsFd, bsdflags: u64) -> Result<(), Unset> {
    let set = || {
        let before = rustix::fs::ioctl_getflags(&fd)?;
        let wanted =
            FLAGS.iter().fold(
                before,
                |flags, (bit, flag)| {
                    if bsdflags & bit == 0 { flags - *flag } else { flags | *flag }
                },
            );
        if wanted == before { Ok(()) } else { rustix::fs::ioctl_setflags(&fd, wanted) }
    };
    match set() {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOTTY) => Ok(()),
        Err(error) => Err(Unset { attribute: Attribute::Flags, cause: error.into() }),
    }
}
