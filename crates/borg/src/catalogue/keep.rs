//! Catalogues on disk: one file for each archive, in a directory for each repository, in a directory that is ours alone.
//!
//! An archive never changes, so neither does its catalogue. Everything here may fail without harm: what cannot be kept or
//! is not sound is made again.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::file::{self, Seal};
use super::table::Table;
use crate::Id;

/// What an unfinished file's name ends with.
const UNFINISHED: &str = ".new";
/// After so long nobody is at work on an unfinished file any more.
const ABANDONED: Duration = Duration::from_hours(1);

const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The catalogues of a repository.
pub(super) struct Shelf {
    dir: OwnedFd,
}

impl Shelf {
    /// Those below the directory `cache`, which is made if need be, but not in the home of somebody else. `None` unless it
    /// belongs to us and nobody else can write to it.
    pub fn open(cache: &Path, repository: Id) -> Option<Self> {
        let above = cache.ancestors().find_map(|above| std::fs::metadata(above).ok())?;
        let us = rustix::process::geteuid().as_raw();
        if above.uid() != us && above.uid() != 0 {
            return None;
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(cache).ok()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cache = openat(CWD, cache, flags, Mode::empty()).ok().filter(is_ours_alone)?;
        let name = repository.to_string();
        match mkdirat(&cache, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(_) => return None,
        }
        let dir = openat(&cache, &name, flags | OFlags::NOFOLLOW, Mode::empty()).ok()?;
        Some(Self { dir }).filter(|shelf| is_ours_alone(&shelf.dir))
    }

    /// The catalogue of an archive, if there is a sound one.
    pub fn read(&self, archive: Id, seal: &Seal) -> Option<Table> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.dir, archive.to_string(), flags, Mode::empty()).ok()?;
        let found = fstat(&file).ok()?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return None;
        }
        file::read(seal, File::from(file), found.st_size.try_into().ok()?)
    }

    /// Keeps the catalogue of an archive. Whoever looks for it sees the whole of it or nothing. It is not forced to disk,
    /// which may take many seconds where others write: what a power cut leaves of it is not sound, and made again.
    pub fn keep(&self, archive: Id, seal: &Seal, table: &Table) -> io::Result<()> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = archive.to_string();
        let unfinished = format!("{name}.{:016x}{UNFINISHED}", u64::from_le_bytes(random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.dir, &unfinished, flags, PRIVATE_FILE)?);
        let kept = file::write(table, seal, &file)
            .and_then(|()| Ok(renameat(&self.dir, &unfinished, &self.dir, &name)?));
        if kept.is_err() {
            let _ = unlinkat(&self.dir, &unfinished, AtFlags::empty());
        }
        kept
    }

    /// Removes the catalogues of other archives than `archives`, and what was never finished.
    pub fn tidy(&self, archives: impl Iterator<Item = Id>) -> io::Result<()> {
        let archives: std::collections::HashSet<String> = archives.map(|id| id.to_string()).collect();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        for entry in rustix::fs::Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let is_gone = Id::from_hex(name).is_some() && !archives.contains(name);
            let is_abandoned = || {
                statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|found| found.st_mtime.saturating_add(ABANDONED.as_secs() as i64) < now)
            };
            if is_gone || name.ends_with(UNFINISHED) && is_abandoned() {
                let _ = unlinkat(&self.dir, name, AtFlags::empty());
            }
        }
        Ok(())
    }
}

fn is_ours_alone(dir: &OwnedFd) -> bool {
    fstat(dir)
        .is_ok_and(|found| found.st_uid == rustix::process::geteuid().as_raw() && found.st_mode & 0o022 == 0)
}
