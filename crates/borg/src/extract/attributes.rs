//! Owner, mode, ACLs, extended attributes, times: set in the one order in which none undoes another.
//!
//! Changing the owner clears set-id bits and file capabilities, so it comes first; changing the mode rewrites an ACL's mask, so
//! ACLs come after it; extended attributes (`security.capability` among them) follow, times come last.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{AtFlags, Gid, IFlags, Mode, Timespec, Timestamps, Uid, XattrFlags};

use super::owners::Directory;
use super::{Attribute, ProblemKind, acl};
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
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(fd) | Self::Path(fd) | Self::Symlink(fd, ..) => *fd,
        }
    }

    /// Descriptors opened as mere paths are refused by some calls, which then need a path after all.
    fn by_path(fd: BorrowedFd<'_>) -> String {
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
                let mut path = Self::by_path(*dir).into_bytes();
                path.push(b'/');
                path.extend_from_slice(link.as_bytes());
                rustix::fs::lsetxattr(OsStr::from_bytes(&path), name, value, flags)?;
            }
        }
        Ok(())
    }
}

/// Sets all attributes but flags; what fails is told to `problem`, and the rest is set.
pub(super) fn restore(
    handle: &Handle<'_>,
    item: &Item,
    owners: &Directory,
    mut problem: impl FnMut(ProblemKind),
) {
    let mut check = |attribute: Attribute, result: io::Result<()>| {
        if let Err(cause) = result {
            problem(ProblemKind::Attribute { attribute, cause: Arc::new(cause) });
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
            check(Attribute::Acl, value.and_then(|value| handle.set_xattr(name.as_bytes(), &value)));
        }
    }
    for (name, value) in &item.xattrs {
        check(Attribute::Xattr(name.clone()), handle.set_xattr(name, value));
    }
    if let Some(times) = times(item) {
        let set = rustix::fs::utimensat(handle.fd(), "", &times, AtFlags::EMPTY_PATH);
        check(Attribute::Times, set.map_err(Into::into));
    }
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

/// Sets flags such as immutability, after which nothing else can be done. File systems without flags are no problem.
pub(super) fn restore_flags(fd: impl AsFd, bsdflags: u64) -> Result<(), ProblemKind> {
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
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY) => Ok(()),
        Err(error) => {
            Err(ProblemKind::Attribute { attribute: Attribute::Flags, cause: Arc::new(error.into()) })
        }
    }
}
