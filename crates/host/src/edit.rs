//! Replacing a file's content in a tree that came from a backup, in which any name may be a link to anywhere.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

/// Replaces the content of `file` within `tree`; as it was, it is kept as `original` beside it.
pub(crate) fn edit(tree: &Path, file: &Path, content: &[u8], original: Option<&OsStr>) -> io::Result<()> {
    let directory = open_beneath(tree, file.parent().unwrap_or(Path::new("")), OFlags::DIRECTORY)?;
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let at = |name: &OsStr, flags, mode| -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(mode))?.into())
    };
    let mut present = at(name, OFlags::RDWR, 0)?;
    let meta = present.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if let Some(original) = original {
        let mut before = Vec::new();
        present.read_to_end(&mut before)?;
        let mut copy = at(original, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, 0o600)?;
        copy.write_all(&before)?;
        like(&copy, &meta)?;
    }
    at(name, OFlags::WRONLY | OFlags::TRUNC, 0)?.write_all(content)
}

/// Gives `file` the mode, owner and times of `meta`.
fn like(file: &File, meta: &Metadata) -> io::Result<()> {
    fchown(file, Some(meta.uid()), Some(meta.gid()))?;
    file.set_permissions(meta.permissions())?;
    file.set_modified(meta.modified()?)
}

/// Opens `path` below `root` without following any link.
pub(crate) fn open_beneath(root: &Path, path: &Path, flags: OFlags) -> io::Result<rustix::fd::OwnedFd> {
    let root =
        rustix::fs::openat(CWD, root, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}
