//! Backup archives as read-only file systems.
//!
//! ```text
//! kernel ─ fs ─┬─ tree: which node an inode is, and what it looks like
//!              └─ content ─ cache ─ Repository::read_chunk
//! ```
//!
//! [`mount`] shows one archive, or all archives of a repository as directories that are looked into when somebody first does.
//! Every byte that comes out was verified. The archive is immutable, so the kernel may keep what it has seen.

mod cache;
mod content;
mod error;
mod fs;
mod mounts;
mod owners;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use reprise_borg::{LostItems, Repository};

pub use error::Error;
pub use mounts::{Found, find, unmount};

use cache::ChunkCache;
use content::Reader;
use fs::ArchiveFs;
use tree::Forest;

/// Requests are answered by so many threads: more than processors, as some of them wait for one another's chunks.
const THREADS: usize = 4;
/// Bytes that the kernel asks for ahead of who reads a file from one end to the other, in KiB.
const KERNEL_READ_AHEAD: &str = "1024";

/// What is shown.
#[derive(Debug)]
pub enum View {
    /// This archive.
    Archive(String),
    /// All archives, each in a directory of its name, but those that interrupted backups left.
    Repository,
}

/// How it is shown.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of decoded content that are kept.
    pub cache_bytes: usize,
    /// Where catalogues of archives are kept; nowhere without.
    pub catalogues: Option<PathBuf>,
    /// Let other users in, too; what they may see, the permissions in the archive say.
    pub allow_other: bool,
    /// Let files be read whose lost content `borg check --repair` replaced with zeros.
    pub allow_damaged: bool,
    /// Owners by number, not by name.
    pub numeric_ids: bool,
    /// Told, when an archive is first looked into, where its list of items has gaps: its name, and each gap. What lies around
    /// them is shown.
    pub on_gap: Option<fn(&str, &LostItems)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 192 << 20,
            catalogues: None,
            allow_other: false,
            allow_damaged: false,
            numeric_ids: false,
            on_gap: None,
        }
    }
}

/// A file system in use. It serves until it is unmounted, by [`Mounted::unmount`] or by anybody else.
#[derive(Debug)]
pub struct Mounted {
    dir: PathBuf,
    session: BackgroundSession,
}

/// Mounts `view` of `repository` on the directory `dir`.
pub fn mount(repository: Repository, view: &View, dir: &Path, options: &Options) -> Result<Mounted, Error> {
    let dir = mounts::expect_usable(dir)?;
    let repository = Arc::new(repository);
    let forest = Forest::new(&repository, view, options)?;
    let reader = Reader::new(Arc::clone(&repository), ChunkCache::new(options.cache_bytes));
    let mut config = Config::default();
    config.mount_options = vec![
        // Tells who serves it: see `mounts::find`.
        MountOption::FSName(mounts::source()),
        MountOption::Subtype("reprise".to_owned()),
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::DefaultPermissions,
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    let fs = ArchiveFs::new(forest, reader, options);
    let failed = |source| Error::Mount { dir: dir.clone(), source };
    let session = Session::new(fs, &dir, &config).and_then(Session::spawn).map_err(failed)?;
    read_ahead(&dir);
    Ok(Mounted { dir, session })
}

impl Mounted {
    /// Where it is mounted.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether nobody can reach it any more.
    pub fn has_ended(&self) -> bool {
        self.session.guard.is_finished()
    }

    /// Takes it away. True if somebody still uses it: then it ends with the last of them.
    pub fn unmount(&self) -> Result<bool, Error> {
        match unmount(&self.dir, false) {
            Err(Error::Busy { .. }) => unmount(&self.dir, true).map(|()| true),
            other => other.map(|()| false),
        }
    }

    /// Waits until it has ended, and closes the repository.
    pub fn join(self) -> Result<(), Error> {
        let dir = self.dir;
        self.session.join().map_err(|source| Error::Mount { dir, source })
    }
}

/// Lets the kernel ask for much at a time, where we may say so: each request has its price.
fn read_ahead(dir: &Path) {
    if let Ok(stat) = rustix::fs::stat(dir) {
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
        // Only root may; without, it is slower.
        drop(std::fs::write(setting, KERNEL_READ_AHEAD));
    }
}
