//! A backup that is a directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reprise_engine::{Differences, Extracted, Source, SourceError};
use reprise_host::{FileKind, Host, LocalHost, Packed, Present, Seen};
use reprise_model::Observer;
use sha2::{Digest, Sha256};

use crate::plans::joined;
use crate::{attributes, scratch};

/// Gives copies of what lies below a directory.
#[derive(Debug, Clone)]
pub struct DirSource {
    root: PathBuf,
    fails_after: Option<u64>,
}

impl DirSource {
    /// The backup that holds what lies below `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), fails_after: None }
    }

    /// The same, unreadable after so many entries.
    #[must_use]
    pub fn failing_after(&self, entries: u64) -> Self {
        Self { fails_after: Some(entries), ..self.clone() }
    }

    /// Where the backup lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What an extraction of `path` will have written.
    pub fn measure(&self, path: &str) -> Extracted {
        fn add(path: &Path, sum: &mut Extracted) {
            let meta = fs::symlink_metadata(path).expect("a readable source");
            sum.entries += 1;
            if meta.is_file() {
                sum.bytes += meta.len();
            }
            if meta.is_dir() {
                for entry in fs::read_dir(path).expect("a readable directory") {
                    add(&entry.expect("an entry").path(), sum);
                }
            }
        }
        let mut sum = Extracted::default();
        add(&self.root.join(path), &mut sum);
        sum
    }

    /// [`Source::extract`], with `each` called before every entry.
    pub fn copy(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        to: &Path,
        observer: &dyn Observer,
        each: &dyn Fn(&Path) -> Result<(), SourceError>,
    ) -> Result<Extracted, SourceError> {
        if let Some(wanted) = some {
            return self.copy_some(path, wanted, to, observer, each);
        }
        let from = self.find(path)?;
        let mut wrote = Extracted::default();
        self.copy_entry(&from, to, observer, each, &mut wrote)?;
        Ok(wrote)
    }

    fn copy_entry(
        &self,
        from: &Path,
        to: &Path,
        observer: &dyn Observer,
        each: &dyn Fn(&Path) -> Result<(), SourceError>,
        wrote: &mut Extracted,
    ) -> Result<(), SourceError> {
        if observer.cancelled() {
            return Err(SourceError::Cancelled);
        }
        if self.fails_after.is_some_and(|limit| wrote.entries >= limit) {
            let message = "a chunk of the backup is damaged".to_owned();
            return Err(SourceError::Unreadable { message, hint: Some("check the repository".to_owned()) });
        }
        each(to)?;
        let meta = fs::symlink_metadata(from).map_err(unwritable)?;
        if meta.is_dir() {
            fs::create_dir(to).map_err(unwritable)?;
            let entries = fs::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut entries = entries.map_err(unwritable)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            wrote.entries += 1;
            for entry in entries {
                self.copy_entry(&entry.path(), &to.join(entry.file_name()), observer, each, wrote)?;
            }
        } else {
            if meta.is_symlink() {
                fs::read_link(from)
                    .and_then(|target| std::os::unix::fs::symlink(target, to))
                    .map_err(unwritable)?;
            } else {
                wrote.bytes += fs::copy(from, to).map_err(unwritable)?;
            }
            wrote.entries += 1;
        }
        attributes::copy(from, &meta, to).map_err(unwritable)?;
        observer.advance(if meta.is_file() { meta.len() } else { 0 }, 1);
        Ok(())
    }

    fn copy_some(
        &self,
        path: &str,
        wanted: &BTreeSet<PathBuf>,
        to: &Path,
        observer: &dyn Observer,
        each: &dyn Fn(&Path) -> Result<(), SourceError>,
    ) -> Result<Extracted, SourceError> {
        let from = self.find(path)?;
        let mut wrote = Extracted::default();
        // As GNU cp does it with --parents: what leads there comes along, what is not wanted goes again.
        for inner in wanted {
            let (one, other) = (joined(&from, inner), joined(to, inner));
            each(&other)?;
            fs::create_dir_all(other.parent().expect("a parent")).map_err(unwritable)?;
            let meta = fs::symlink_metadata(&one).map_err(unwritable)?;
            if meta.is_dir() {
                fs::create_dir_all(&other).map_err(unwritable)?;
            } else {
                let first = wanted.iter().find(|first| {
                    fs::symlink_metadata(joined(&from, first)).is_ok_and(|found| found.ino() == meta.ino())
                });
                match first.filter(|first| *first != inner) {
                    Some(first) => fs::hard_link(joined(to, first), &other).map_err(unwritable)?,
                    None => drop(self.copy_entry(&one, &other, observer, &|_| Ok(()), &mut wrote)?),
                }
            }
        }
        for inner in wanted.iter().rev() {
            let one = joined(&from, inner);
            let meta = fs::symlink_metadata(&one).map_err(unwritable)?;
            if meta.is_dir() {
                attributes::copy(&one, &meta, &joined(to, inner)).map_err(unwritable)?;
            }
        }
        Ok(wrote)
    }

    /// Where archives that are made lie, each a directory with whole paths in it.
    pub fn archives(&self) -> PathBuf {
        self.root.with_file_name("archives")
    }

    /// An empty directory for an archive that is to be called `name`.
    fn begun_archive(&self, name: &str) -> io::Result<PathBuf> {
        let part = self.archives().join(format!("{name}.part"));
        if part.exists() {
            fs::remove_dir_all(&part)?;
        }
        fs::create_dir_all(&part)?;
        Ok(part)
    }

    fn find(&self, path: &str) -> Result<PathBuf, SourceError> {
        let found = self.root.join(path);
        if fs::symlink_metadata(&found).is_ok() {
            return Ok(found);
        }
        Err(SourceError::Unreadable { message: format!("the backup holds no {path}"), hint: None })
    }
}

/// Everything about what lies at `path`, in words that begin with its kind; of directories not what is in them.
fn described(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    let (kind, content) = if meta.is_dir() {
        ("directory", Vec::new())
    } else if meta.is_symlink() {
        ("link", fs::read_link(path).ok()?.into_os_string().into_encoded_bytes())
    } else {
        ("file", Sha256::digest(fs::read(path).ok()?).to_vec())
    };
    let xattrs = attributes::xattrs(path).ok()?;
    let mut xattrs: Vec<_> =
        xattrs.into_iter().map(|(name, value)| (name.into_string().expect("a name"), value)).collect();
    xattrs.sort();
    let owner = (meta.uid(), meta.gid());
    let time = (meta.mtime(), meta.mtime_nsec() as u32);
    let names = if meta.is_dir() { 1 } else { meta.nlink() };
    Some(format!("{kind} {:o} {owner:?} {names} {time:?} {xattrs:?} {content:?}", meta.mode() & 0o7777))
}

/// The same of what another host has seen.
fn described_there(seen: &Seen) -> String {
    let had = &seen.attributes;
    let (kind, content) = match seen.found.kind {
        FileKind::Directory => ("directory", Vec::new()),
        FileKind::Symlink => ("link", seen.target.as_encoded_bytes().to_vec()),
        FileKind::File | FileKind::Other => ("file", seen.digest.expect("a digest").to_vec()),
    };
    let owner = (had.uid, had.gid);
    let time = (had.seconds, had.nanoseconds);
    let names = if kind == "directory" { 1 } else { seen.found.names };
    format!("{kind} {:o} {owner:?} {names} {time:?} {:?} {content:?}", had.mode, had.xattrs)
}

fn unwritable(error: io::Error) -> SourceError {
    SourceError::Unwritable { message: error.to_string(), hint: None }
}

impl Source for DirSource {
    fn extract(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        to: &Path,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        self.copy(path, some, to, observer, &|_| Ok(()))
    }

    fn stream(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        // A copy under the name it is to have, for tar to take as it is.
        let dir = scratch();
        let wrote = self.copy(path, some, &dir.path().join(name), observer, &|_| Ok(()))?;
        let mut tar = Command::new("tar")
            .args([
                "-c",
                "--format=posix",
                "--xattrs",
                "--xattrs-include=*",
                "--acls",
                "--numeric-owner",
                "-f",
                "-",
            ])
            .arg("-C")
            .arg(dir.path())
            .arg("--")
            .arg(name)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(unwritable)?;
        let copied = io::copy(tar.stdout.as_mut().expect("a pipe"), to);
        drop(tar.stdout.take());
        tar.wait().map_err(unwritable)?;
        copied.map_err(unwritable)?;
        Ok(wrote)
    }

    fn differences(
        &self,
        path: &str,
        root: &Path,
        present: &Present,
        observer: &dyn Observer,
    ) -> Result<Differences, SourceError> {
        if observer.cancelled() {
            return Err(SourceError::Cancelled);
        }
        let top = self.find(path)?;
        let mut differing = Differences::default();
        let mut held = BTreeSet::new();
        let mut all = vec![PathBuf::new()];
        let below = LocalHost::new().walk(&top, &[]).map_err(|error| unwritable(io::Error::other(error)))?;
        all.extend(below.into_iter().map(|found| found.path));
        let seen = |inner: &Path| match present {
            Present::Here(_) => described(&joined(root, inner)),
            Present::There(seen) => seen.iter().find(|seen| seen.found.path == inner).map(described_there),
        };
        for inner in all {
            let (wanted, there) = (described(&joined(&top, &inner)), seen(&inner));
            if inner.as_os_str().is_empty() && matches!(present, Present::There(_)) {
                held.insert(inner);
                continue;
            }
            let is_dir =
                |what: &Option<String>| what.as_deref().is_some_and(|what| what.starts_with("directory"));
            if wanted != there {
                let stays = is_dir(&wanted) && is_dir(&there);
                let list = if stays { &mut differing.directories } else { &mut differing.anew };
                list.push(inner.clone());
            }
            held.insert(inner);
        }
        let extra = present.found().into_iter().filter(|found| !held.contains(&found.path));
        differing.extra = extra.map(|found| found.path.clone()).collect();
        // Files with several names are made anew with all of them, or left alone.
        let names = |path: &PathBuf| -> Vec<PathBuf> {
            let inode =
                |inner: &PathBuf| fs::symlink_metadata(joined(&top, inner)).map(|meta| meta.ino()).ok();
            held.iter().filter(|other| inode(other) == inode(path)).cloned().collect()
        };
        let anew: BTreeSet<PathBuf> = differing.anew.iter().flat_map(names).collect();
        differing.anew = anew.into_iter().collect();
        Ok(differing)
    }

    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, SourceError> {
        fs::read(self.find(path)?).map_err(unwritable)
    }

    fn check(&self, path: &str) -> Result<(), SourceError> {
        self.find(path).map(drop)
    }

    fn has_archive(&self, name: &str) -> Result<bool, SourceError> {
        Ok(self.archives().join(name).exists())
    }

    fn back_up(
        &self,
        name: &str,
        paths: &[PathBuf],
        except: &[PathBuf],
        _: &dyn Observer,
    ) -> Result<Vec<String>, SourceError> {
        let part = self.begun_archive(name).map_err(unwritable)?;
        // From the root: with absolute paths, some versions of cp look for parents below the working directory.
        let paths: Vec<&Path> =
            paths.iter().map(|path| path.strip_prefix("/").expect("an absolute path")).collect();
        let mut copy = Command::new("cp");
        copy.current_dir("/").args(["-a", "--parents", "-t"]).arg(&part).arg("--").args(&paths);
        let copied = copy.status();
        assert!(copied.map_err(unwritable)?.success(), "{paths:?} are there");
        for path in except {
            fs::remove_dir_all(part.join(path.strip_prefix("/").expect("an absolute path")))
                .map_err(unwritable)?;
        }
        fs::rename(&part, self.archives().join(name)).map_err(unwritable)?;
        Ok(Vec::new())
    }

    fn back_up_packed(
        &self,
        name: &str,
        mut packed: Packed<'_>,
        _: &dyn Observer,
    ) -> reprise_engine::Result<Vec<String>> {
        let part = self.begun_archive(name).map_err(unwritable)?;
        let mut tar = Command::new("tar");
        tar.args(["-x", "-p", "--numeric-owner", "-f", "-", "-C"]).arg(&part).stdin(Stdio::piped());
        let mut tar = tar.spawn().map_err(unwritable)?;
        io::copy(&mut packed.stream, tar.stdin.as_mut().expect("a pipe")).map_err(unwritable)?;
        drop(tar.stdin.take());
        let is_unpacked = tar.wait().map_err(unwritable)?.success();
        let warnings = packed.packing.finish()?;
        assert!(is_unpacked, "what came whole is a tar");
        fs::rename(&part, self.archives().join(name)).map_err(unwritable)?;
        Ok(warnings)
    }

    fn remove_archive(&self, name: &str) -> Result<(), SourceError> {
        match fs::remove_dir_all(self.archives().join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(error)),
            _ => Ok(()),
        }
    }
}
