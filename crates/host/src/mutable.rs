//! Files that must not be changed (`chattr +i`, `+a`) keep even root from removing a tree.

use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, openat, statat,
};
use rustix::io::Result;

/// Takes the flags that forbid changes from everything at or below `path`. Follows no link, whoever may put
/// one there meanwhile.
pub(crate) fn make_mutable(path: &Path) -> Result<()> {
    let kind = FileType::from_raw_mode(statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    visit(&openat(CWD, path, flags(kind), Mode::empty())?, kind)
}

fn flags(kind: FileType) -> OFlags {
    let kind = if kind == FileType::Directory { OFlags::DIRECTORY } else { OFlags::NONBLOCK };
    OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind
}

fn visit(file: &OwnedFd, kind: FileType) -> Result<()> {
    let forbidding = IFlags::IMMUTABLE | IFlags::APPEND;
    // File systems without such flags answer with an error, and have nothing to take away.
    if let Ok(present) = ioctl_getflags(file)
        && present.intersects(forbidding)
    {
        ioctl_setflags(file, present - forbidding)?;
    }
    if kind != FileType::Directory {
        return Ok(());
    }
    for entry in Dir::read_from(file)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = FileType::from_raw_mode(statat(file, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        // Nothing else can carry these flags, and opening a pipe or a device may do more than open it.
        if matches!(kind, FileType::Directory | FileType::RegularFile) {
            visit(&openat(file.as_fd(), name, flags(kind), Mode::empty())?, kind)?;
        }
    }
    Ok(())
}
