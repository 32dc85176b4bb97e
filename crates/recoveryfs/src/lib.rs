//! Backup archives as read-only file systems.
//!
//! ```text
//! kernel ─ filesystem ─┬─ tree: which node an inode is, and what it looks like
//!                      └─ content ─┬─ decode: from the repository into the cache
//!                                  └─ ahead: what will be wanted, as track tells
//! ```
//!
//! [`mount`] shows one archive, or all archives of a repository as directories that are looked into when somebody first does.
//! Every byte that comes out was verified. The archive is immutable, so the kernel may keep what it has seen.

mod ahead;
mod cache;
mod content;
mod decode;
mod error;
mod filesystem;
mod handles;
mod memory;
mod mounts;
mod owners;
mod track;
mod tree;
mod trouble;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use reprise_borg::Repository;

pub use error::Error;
pub use mounts::{Found, find, unmount};
pub use trouble::{Listener, Trouble};

use cache::ChunkCache;
use content::Reader;
use filesystem::ArchiveFs;
use tree::Forest;

/// Requests are answered by so many threads: more than processors, as some of them wait for one another's chunks.
const THREADS: usize = 4;
/// Bytes that the kernel asks for ahead of who reads a file from one end to the other, in KiB.
const KERNEL_READ_AHEAD: &str = "1024";

/// Bytes that names and attributes may take beside the content that is kept; what they take beyond, they take from it.
const NAMES_BESIDE: usize = 32 << 20;

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
    /// Bytes of decoded content that are kept: half of it at least, where very many names take the rest.
    pub cache_bytes: usize,
    /// Where catalogues of archives are kept; nowhere without.
    pub catalogues: Option<PathBuf>,
    /// Let other users in, too; what they may see, the permissions in the archive say.
    pub allow_other: bool,
    /// Let files be read whose lost content `borg check --repair` replaced with zeros.
    pub allow_damaged: bool,
    /// Owners by number, not by name.
    pub numeric_ids: bool,
    /// Who is told what cannot be read: whoever reads it only gets an input/output error.
    pub listener: Option<Listener>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            catalogues: None,
            allow_other: false,
            allow_damaged: false,
            numeric_ids: false,
            listener: None,
        }
    }
}

/// A file system in use. It serves until it is unmounted, by [`Mounted::unmount`] or by anybody else.
#[derive(Debug)]
pub struct Mounted {
    dir: PathBuf,
    session: BackgroundSession,
    repository: Arc<Repository>,
}

/// Mounts `view` of `repository` on the directory `dir`.
pub fn mount(repository: Repository, view: &View, dir: &Path, options: &Options) -> Result<Mounted, Error> {
    let dir = mounts::expect_usable(dir)?;
    let repository = Arc::new(repository);
    let forest = Forest::new(&repository, view, options)?;
    let room = options.cache_bytes.saturating_sub(forest.bytes().saturating_sub(NAMES_BESIDE));
    let cache = ChunkCache::new(room.max(options.cache_bytes / 2));
    let reader = Reader::new(Arc::clone(&repository), cache);
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
    // Without, as for users who get the device from `fusermount3` alone, the threads share one descriptor.
    config.clone_fd = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
    let archives = ArchiveFs::new(forest, reader, options);
    let failed = |source| Error::Mount { dir: dir.clone(), source };
    let session = Session::new(archives, &dir, &config).and_then(Session::spawn).map_err(failed)?;
    if let Ok(stat) = rustix::fs::stat(&dir) {
        read_ahead(stat.st_dev);
    }
    Ok(Mounted { dir, session, repository })
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
        let Self { dir, session, repository: _ } = self;
        session.join().map_err(|source| Error::Mount { dir, source })
    }

    /// Gives the repository's lock back though somebody still uses the mount. Theirs ends with this process, which has to be
    /// now: only that closes the connection to the kernel without asking anybody.
    pub fn abandon(self) {
        self.repository.unlock();
        // Dropped, it would unmount, and by now that may be the mount of somebody else on the same directory.
        std::mem::forget(self.session);
    }
}

/// Lets the kernel ask for much at a time, where we may say so: each request has its price.
fn read_ahead(device: u64) {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    // Only root may; without, it is slower.
    drop(fs::write(setting, KERNEL_READ_AHEAD));
}
