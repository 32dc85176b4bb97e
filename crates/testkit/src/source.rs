//! A backup that is a directory.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reprise_engine::{Extracted, Source, SourceError};
use reprise_model::Observer;

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
        to: &Path,
        observer: &dyn Observer,
        each: &dyn Fn(&Path) -> Result<(), SourceError>,
    ) -> Result<Extracted, SourceError> {
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

    fn find(&self, path: &str) -> Result<PathBuf, SourceError> {
        let found = self.root.join(path);
        if fs::symlink_metadata(&found).is_ok() {
            return Ok(found);
        }
        Err(SourceError::Unreadable { message: format!("the backup holds no {path}"), hint: None })
    }
}

fn unwritable(error: io::Error) -> SourceError {
    SourceError::Unwritable { message: error.to_string(), hint: None }
}

impl Source for DirSource {
    fn extract(&self, path: &str, to: &Path, observer: &dyn Observer) -> Result<Extracted, SourceError> {
        self.copy(path, to, observer, &|_| Ok(()))
    }

    fn stream(
        &self,
        path: &str,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        // A copy under the name it is to have, for tar to take as it is.
        let dir = scratch();
        let wrote = self.copy(path, &dir.path().join(name), observer, &|_| Ok(()))?;
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

    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, SourceError> {
        fs::read(self.find(path)?).map_err(unwritable)
    }

    fn check(&self, path: &str) -> Result<(), SourceError> {
        self.find(path).map(drop)
    }
}
