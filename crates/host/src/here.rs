//! Carrying names and attributes on this machine.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags, fchmod, fchown,
    fgetxattr, flistxattr, fremovexattr, fsetxattr, openat, renameat_with, statat,
};
use rustix::io::Errno;

use crate::carry::is_of_users;
use crate::edit::open_beneath;
use crate::local::kind;
use crate::{Attributes, Error, FileKind, Found, Move, Result};

/// The directory that `full` lies in, reached from `root` without following any link, and its name there.
fn place<'a>(root: &Path, full: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
    let within = full.strip_prefix(root).map_err(|_| io::ErrorKind::InvalidInput)?;
    let name = within.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = within.parent().unwrap_or(Path::new(""));
    Ok((open_beneath(root, parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
}

/// Whether something is at `full` below `root`.
fn is_at(root: &Path, full: &Path) -> io::Result<bool> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let (directory, name) = match place(root, full) {
        Err(error) if missing(&error) => return Ok(false),
        found => found?,
    };
    match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// See [`crate::Host::carry`].
pub(crate) fn carry(tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
    let there =
        |root: &Path, path: &Path| is_at(root, path).map_err(|error| Error::file("look at", path, error));
    for Move { stored, placed, out, only_if } in moves {
        if let Some(gate) = only_if
            && !there(store, gate)?
        {
            continue;
        }
        let (from, to) = match (out, there(store, stored)?) {
            (true, true) | (false, false) => continue,
            (true, false) if !there(tree, placed)? => continue,
            (true, false) => ((tree, placed), (store, stored)),
            (false, true) => ((store, stored), (tree, placed)),
        };
        let attempt = || -> io::Result<()> {
            let ((from, old), (to, new)) = (place(from.0, from.1)?, place(to.0, to.1)?);
            Ok(renameat_with(from, old, to, new, RenameFlags::NOREPLACE)?)
        };
        attempt().map_err(|error| Error::file("move", from.1, error))?;
    }
    let flush = || -> io::Result<()> {
        Ok(rustix::fs::syncfs(open_beneath(store, Path::new(""), OFlags::DIRECTORY)?)?)
    };
    if moves.is_empty() { Ok(()) } else { flush().map_err(|error| Error::file("sync", store, error)) }
}

/// See [`crate::Host::walk`].
pub(crate) fn walk(root: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
    let fail = |path: &Path, error| Error::file("list", path, error);
    let device = fs::symlink_metadata(root).map_err(|error| fail(root, error))?.dev();
    let mut found = Vec::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(directory) = ahead.pop() {
        let full = if directory.as_os_str().is_empty() { root.to_owned() } else { root.join(&directory) };
        let entries = fs::read_dir(&full).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| fail(&full, error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = directory.join(entry.file_name());
            if except.contains(&path) {
                continue;
            }
            let meta = entry.metadata().map_err(|error| fail(&entry.path(), error))?;
            let kind = kind(&meta);
            let size = if kind == FileKind::File { meta.size() } else { 0 };
            if kind == FileKind::Directory && meta.dev() == device {
                ahead.push(path.clone());
            }
            found.push(Found { path, kind, size, inode: meta.ino(), names: meta.nlink() });
        }
    }
    Ok(found)
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// What the directory `path` has.
pub(crate) fn attributes(path: &Path) -> Result<Attributes> {
    let attempt = || -> io::Result<Attributes> {
        let directory = open(path)?;
        let meta = File::from(directory.try_clone()?).metadata()?;
        let mut xattrs = Vec::new();
        for name in names(&directory)? {
            let mut value = vec![0; 65_536];
            let length = fgetxattr(&directory, name.as_str(), &mut value[..])?;
            value.truncate(length);
            xattrs.push((name, value));
        }
        Ok(Attributes {
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            seconds: meta.mtime(),
            nanoseconds: meta.mtime_nsec() as u32,
            xattrs,
        })
    };
    attempt().and_then(Attributes::bounded).map_err(|error| Error::file("look at", path, error))
}

/// Names of the attributes that are somebody's, sorted.
fn names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut buffer = vec![0; 65_536];
    let length = match flistxattr(directory, &mut buffer[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    names.retain(|name| is_of_users(name));
    names.sort();
    Ok(names)
}

/// See [`crate::Host::set_attributes`].
pub(crate) fn set_attributes(tree: &Path, path: &Path, wanted: &Attributes) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let directory = open_beneath(tree, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
        fchown(
            &directory,
            Some(rustix::fs::Uid::from_raw(wanted.uid)),
            Some(rustix::fs::Gid::from_raw(wanted.gid)),
        )?;
        for name in names(&directory)? {
            if !wanted.xattrs.iter().any(|(wanted, _)| *wanted == name) {
                fremovexattr(&directory, name.as_str())?;
            }
        }
        for (name, value) in &wanted.xattrs {
            fsetxattr(&directory, name.as_str(), value, XattrFlags::empty())?;
        }
        // After the access list, of which it shows a part.
        fchmod(&directory, Mode::from_raw_mode(wanted.mode))?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: wanted.seconds, tv_nsec: wanted.nanoseconds.into() },
        };
        Ok(rustix::fs::futimens(&directory, &times)?)
    };
    attempt().map_err(|error| Error::file("set attributes of", &tree.join(path), error))
}

/// Writes a small file that is there whole or not at all.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = Path::new(&name);
        // Somebody else may be able to write here: what lies there already is theirs, and may lead anywhere.
        match fs::remove_file(part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(part, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    attempt().map_err(|error| Error::file("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_carried_is_carried_once_and_can_be_carried_back() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["old", "tree"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("tree/file"), "before").unwrap();
        fs::write(at("new"), "after").unwrap();
        let there = [
            Move { stored: at("old/1"), placed: at("tree/file"), out: true, only_if: None },
            Move { stored: at("new"), placed: at("tree/file"), out: false, only_if: None },
        ];
        for _ in 0..2 {
            carry(&at("tree"), dir.path(), &there).unwrap();
            assert_eq!(fs::read_to_string(at("tree/file")).unwrap(), "after");
        }
        let back = [
            Move { stored: at("new"), placed: at("tree/file"), out: true, only_if: Some(at("old/1")) },
            Move { stored: at("old/1"), placed: at("tree/file"), out: false, only_if: None },
        ];
        for _ in 0..2 {
            carry(&at("tree"), dir.path(), &back).unwrap();
            assert_eq!(fs::read_to_string(at("tree/file")).unwrap(), "before");
        }
    }

    /// A tree in which someone has laid `link` to a directory of others, and a store.
    fn with_a_link() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let at = move |name: &str| root.join(name);
        for name in ["tree", "store", "others", "others/below"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("others/theirs"), "theirs").unwrap();
        fs::write(at("store/new"), "ours").unwrap();
        std::os::unix::fs::symlink("../others", at("tree/link")).unwrap();
        (dir, at)
    }

    #[test]
    fn a_link_in_a_tree_leads_no_name_out_of_it_or_into_another() {
        let (_dir, at) = with_a_link();
        let step = |stored: &str, placed: &str, out| Move {
            stored: at(stored),
            placed: at(placed),
            out,
            only_if: None,
        };
        for step in [
            step("store/old", "tree/link/theirs", true),
            step("store/new", "tree/link/new", false),
            step("store/new", "others/new", false),
            step("others/theirs", "tree/theirs", false),
            step("store/new", "tree/../others/new", false),
        ] {
            assert!(carry(&at("tree"), &at("store"), std::slice::from_ref(&step)).is_err(), "{step:?}");
        }
        assert!(carry(&at("tree/link"), &at("store"), &[step("store/new", "tree/link/new", false)]).is_err());
        let names = |name: &str| fs::read_dir(at(name)).unwrap().count();
        assert_eq!((names("others"), names("store"), names("tree")), (2, 1, 1));
        // The link itself is a name like any other.
        carry(&at("tree"), &at("store"), &[step("store/old", "tree/link", true)]).unwrap();
        assert!(fs::symlink_metadata(at("store/old")).unwrap().is_symlink());
    }

    #[test]
    fn attributes_are_not_given_through_a_link() {
        let (_dir, at) = with_a_link();
        let before = attributes(&at("others/below")).unwrap();
        let wanted = Attributes { mode: 0o777, seconds: 1, ..before.clone() };
        assert!(set_attributes(&at("tree"), Path::new("link"), &wanted).is_err());
        assert!(set_attributes(&at("tree"), Path::new("link/below"), &wanted).is_err());
        assert!(set_attributes(&at("tree"), Path::new("../others/below"), &wanted).is_err());
        assert_eq!(attributes(&at("others/below")).unwrap(), before);
    }

    #[test]
    fn a_link_in_the_way_of_a_file_that_is_written_is_replaced_and_not_followed() {
        let (_dir, at) = with_a_link();
        for name in ["store/file.part", "store/file"] {
            std::os::unix::fs::symlink("../others/theirs", at(name)).unwrap();
            write(&at("store/file"), b"ours").unwrap();
            assert_eq!(fs::read_to_string(at("others/theirs")).unwrap(), "theirs", "{name}");
            assert_eq!(fs::read_to_string(at("store/file")).unwrap(), "ours", "{name}");
            fs::remove_file(at("store/file")).unwrap();
        }
    }

    #[test]
    fn a_directory_gets_back_all_it_had() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = dir.path().join("d");
        fs::create_dir(&path).unwrap();
        fsetxattr(open(&path).unwrap(), "user.kept", b"\0\xff", XattrFlags::empty()).unwrap();
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o3751)).unwrap();
        let before = attributes(&path).unwrap();
        fs::write(path.join("new"), "").unwrap();
        fremovexattr(open(&path).unwrap(), "user.kept").unwrap();
        fsetxattr(open(&path).unwrap(), "user.other", b"1", XattrFlags::empty()).unwrap();
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o700)).unwrap();
        set_attributes(&path, Path::new(""), &before).unwrap();
        assert_eq!(attributes(&path).unwrap(), before);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), before);
    }
}
