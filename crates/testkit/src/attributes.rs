//! What a file has besides its content: mode, owner, time, extended attributes.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};

/// The extended attributes of `path` itself, in the kernel's order; none where there can be none.
pub fn xattrs(path: &Path) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let mut names = vec![0; 4096];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let name = OsString::from_vec(name.to_vec());
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, &name, &mut value[..])?;
            value.truncate(length);
            Ok((name, value))
        })
        .collect()
}

/// Sets an extended attribute of `path` itself.
pub fn set_xattr(path: &Path, name: &OsString, value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?)
}

/// Sets when `path` itself was last changed: seconds and nanoseconds since 1970.
pub fn set_modified(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives `to` all that `from`, whose metadata is `meta`, has besides its content.
pub fn copy(from: &Path, meta: &Metadata, to: &Path) -> io::Result<()> {
    lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    if !meta.is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    for (name, value) in xattrs(from)? {
        set_xattr(to, &name, &value)?;
    }
    set_modified(to, meta.mtime(), meta.mtime_nsec())
}
