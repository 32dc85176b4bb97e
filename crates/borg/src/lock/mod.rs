//! The repository's lock, taken and released as Borg does, so that both respect each other.
//!
//! `lock.exclusive` is a directory that appears by rename: who made it appear holds it, and the file in it says
//! who that is. Readers hold it only for the moment it takes to enter themselves into `lock.roster`, a JSON list
//! of `[host, process, thread]`; a writer keeps it, once the roster is empty of readers. Entries of processes of
//! this host that are gone are removed in passing. Borg 1.x, `locking.py`.

mod owner;
mod roster;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Error;

use owner::Owner;
use roster::Roster;

/// How a repository is locked while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// A shared lock: other readers go on, writers wait for us. Waits this long for a writer to finish.
    Shared {
        /// How long to wait for a writer before giving up with [`Error::Locked`].
        wait: Duration,
    },
    /// None at all. Only sound if nothing writes meanwhile, for example on a read-only copy or snapshot.
    Bypass,
}

impl Default for Lock {
    /// Shared, waiting for a second as Borg does.
    fn default() -> Self {
        Self::Shared { wait: Duration::from_secs(1) }
    }
}

/// How long dropping a lock waits for other lockers to let us at the roster.
const RELEASE_WAIT: Duration = Duration::from_secs(5);

/// Readers of one repository in this process, which have one roster entry between them: an entry names a process,
/// so a second one would be the same.
type Readers = Arc<Mutex<usize>>;

/// A repository that this process reads.
#[derive(Debug, Clone)]
struct Held {
    readers: Readers,
    repository: PathBuf,
    /// As whom it is in the roster.
    owner: Owner,
}

/// By device and inode of the repository.
static HELD: LazyLock<Mutex<HashMap<(u64, u64), Held>>> = LazyLock::new(Mutex::default);

/// Gives back every lock that this process holds: for one that ends while its threads still read. What they read afterwards may
/// be missing, as writers go on; it is verified as ever.
pub fn release_locks() {
    let held: Vec<_> = HELD.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    for Held { readers, repository, owner } in held {
        // Whoever is at it now takes the lock, which may be long in coming, or gives it back.
        if let Ok(mut count) = readers.try_lock()
            && std::mem::take(&mut *count) > 0
        {
            // Nobody to tell.
            drop(leave(&repository, &owner));
        }
    }
}

/// Takes the entry of `owner` out of the roster.
fn leave(repository: &Path, owner: &Owner) -> Result<(), Error> {
    let exclusive = Exclusive::acquire(repository, owner, RELEASE_WAIT)?;
    let left = Roster::load(repository, &owner.host).and_then(|mut roster| {
        roster.remove(owner);
        roster.save(repository)
    });
    exclusive.release();
    left.map_err(|source| Error::LockFailed { path: repository.to_owned(), source })
}

/// A shared lock that is held; dropping it releases it.
#[derive(Debug)]
pub(crate) struct SharedLock {
    repository: PathBuf,
    owner: Owner,
    readers: Readers,
}

impl SharedLock {
    /// Takes the lock, for the host called `host_id` or, without, by the name Borg gives this host.
    pub fn acquire(repository: &Path, wait: Duration, host_id: Option<&str>) -> Result<Self, Error> {
        let failed = |source| Error::LockFailed { path: repository.to_owned(), source };
        let data = fs::metadata(repository).map_err(failed)?;
        let owner = Owner::this_process(host_id);
        let readers = {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            let place = held.entry((data.dev(), data.ino()));
            let new = || Held {
                readers: Readers::default(),
                repository: repository.to_owned(),
                owner: owner.clone(),
            };
            Arc::clone(&place.or_insert_with(new).readers)
        };
        {
            let mut count = readers.lock().unwrap_or_else(PoisonError::into_inner);
            if *count == 0 {
                let exclusive = Exclusive::acquire(repository, &owner, wait)?;
                let entered = Roster::load(repository, &owner.host).and_then(|mut roster| {
                    roster.add(&owner);
                    roster.save(repository)
                });
                exclusive.release();
                entered.map_err(failed)?;
            }
            *count += 1;
        }
        Ok(Self { repository: repository.to_owned(), owner, readers })
    }

    fn release(&self) -> Result<(), Error> {
        let mut count = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *count;
        *count = before.saturating_sub(1);
        // The last one; or all were given back before.
        if before == 1 { leave(&self.repository, &self.owner) } else { Ok(()) }
    }
}

impl Drop for SharedLock {
    fn drop(&mut self) {
        // Nobody to tell. What stays behind is an entry of a process that soon is no more, which the next
        // locker on this host removes.
        drop(self.release());
    }
}

/// The exclusive lock, held for a moment.
struct Exclusive {
    dir: PathBuf,
    file: PathBuf,
}

impl Exclusive {
    fn acquire(repository: &Path, owner: &Owner, wait: Duration) -> Result<Self, Error> {
        let failed = |source| Error::LockFailed { path: repository.to_owned(), source };
        let dir = repository.join("lock.exclusive");
        let name = owner.file_name();
        let lock = Self { file: dir.join(&name), dir };
        let prepared = Prepared::new(repository, &name).map_err(failed)?;
        let deadline = Instant::now() + wait;
        let pause = (wait / 10).clamp(Duration::from_millis(5), Duration::from_secs(1));
        loop {
            // Renaming onto a directory succeeds only while that is empty or absent.
            match fs::rename(&prepared.dir, &lock.dir) {
                Ok(()) => {
                    prepared.keep();
                    return Ok(lock);
                }
                Err(error) if !occupied(&error) => return Err(failed(error)),
                Err(_) => {}
            }
            if !owner::remove_stale(&lock.dir, &owner.host) {
                if Instant::now() >= deadline {
                    let by = owner::holders(&lock.dir).unwrap_or_else(|| "a process that just ended".into());
                    return Err(Error::Locked { path: repository.to_owned(), by });
                }
                sleep(pause);
            }
        }
    }

    fn release(self) {
        // Should either fail, the lock is stale as soon as this process ends, and its successor removes it.
        drop(fs::remove_file(&self.file));
        drop(fs::remove_dir(&self.dir));
    }
}

fn occupied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
    )
}

/// The directory that is to become the exclusive lock, removed again unless it does.
struct Prepared {
    dir: PathBuf,
    file: PathBuf,
}

impl Prepared {
    fn new(repository: &Path, name: &str) -> io::Result<Self> {
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let unique = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = repository.join(format!("lock.exclusive.{}-{unique}.tmp", std::process::id()));
        fs::create_dir(&dir)?;
        let prepared = Self { file: dir.join(name), dir };
        fs::write(&prepared.file, b"")?;
        Ok(prepared)
    }

    /// It has been renamed: nothing is left to remove.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.file));
        drop(fs::remove_dir(&self.dir));
    }
}
