//! A repository, open for reading.

mod chunks;
pub(crate) mod config;
mod opening;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use reprise_model::Observer;
use secrecy::SecretString;

use crate::archive::Archive;
use crate::crypto::{Encryption, Key, KeySource, PassphraseError};
use crate::item::Chunk;
use crate::known::{Memory, Seen};
use crate::lock::{Lock, SharedLock};
use crate::manifest::{ArchiveEntry, Manifest};
use crate::remote::{Remote, Server, Shell};
use crate::store::{Local, Store};
use crate::verify::{self, Verification};
use crate::{Error, Id};

pub use chunks::Buffers;
pub(crate) use chunks::{Chunks, TOGETHER_BYTES};
use config::Config;
pub(crate) use opening::Sealed;

/// How to open a repository.
pub struct OpenOptions<'a> {
    /// Asked for the passphrase if, and only if, the key needs one. `None` stands for an empty one.
    pub passphrase: &'a dyn Fn() -> Result<Option<SecretString>, PassphraseError>,
    /// Key files, or directories of them, for repositories whose key is not in themselves. Borg's own is
    /// `~/.config/borg/keys`.
    pub keys: &'a [PathBuf],
    /// How to keep writers out.
    pub lock: Lock,
    /// What Borg on this host calls it in locks, if `BORG_HOST_ID` says so; by default what Borg finds on its own.
    pub host_id: Option<&'a str>,
    /// Read archives whose own authentication code is wrong. `borg check --repair` before 1.2.5 left such behind; Borg has
    /// the same way out (`BORG_WORKAROUNDS=ignore_invalid_archive_tam`). Everything else is verified as ever.
    pub ignore_invalid_archive_tam: bool,
    /// A directory in which it is remembered how repositories were protected; made if need be. With it, a repository that
    /// is less protected than one of the same id or at the same place was before is refused ([`Error::Downgraded`]). Not
    /// being able to remember is no error.
    pub known: Option<&'a Path>,
    /// Once it is set, a server is waited for no more: what reads ends with [`Error::Cancelled`].
    pub interrupt: Option<Arc<AtomicBool>>,
}

impl Default for OpenOptions<'_> {
    fn default() -> Self {
        Self {
            passphrase: &|| Ok(None),
            keys: &[],
            lock: Lock::default(),
            host_id: None,
            ignore_invalid_archive_tam: false,
            known: None,
            interrupt: None,
        }
    }
}

impl fmt::Debug for OpenOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("keys", &self.keys)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

/// An open repository. It stays locked (shared) until dropped, and shows the state it had when it was opened.
#[derive(Debug)]
pub struct Repository {
    location: String,
    id: Id,
    key: Key,
    manifest: Manifest,
    store: Store,
    ignore_invalid_archive_tam: bool,
    seen_later: Option<String>,
    // Declared last: fields are dropped in order, and nothing may be read once the lock is gone.
    lock: Mutex<Option<SharedLock>>,
}

impl Repository {
    /// Opens the repository in the directory `path`.
    ///
    /// A key in the repository is as trustworthy as the repository: an attacker who can write to it can swap it for
    /// an unencrypted one. [`OpenOptions::known`] notices that from the second time on; who knows what to expect compares
    /// [`Repository::id`] and [`Repository::encryption`].
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions<'_>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        // Before taking the lock, so that nothing is ever created in a directory that is no repository.
        Config::read(&path)?;
        let lock = match options.lock {
            Lock::Shared { wait } => Some(SharedLock::acquire(&path, wait, options.host_id)?),
            Lock::Bypass => None,
        };
        let config = Config::read(&path)?;
        let store = Store::Local(Local::open(&path, config.segments_per_dir)?);
        Self::of(path.display().to_string(), config.id, config.key.as_deref(), store, lock, options)
    }

    /// Opens a repository on another machine, through the `borg serve` there.
    ///
    /// What comes from the server is verified as if it were local. Where the repository is local to the server, what Borg there
    /// does while reading it does: a missing or stale index is repaired on its disk.
    ///
    /// # Errors
    /// Those of opening a local one, and [`Error::Server`].
    pub fn connect(server: &Server, shell: &Shell, options: &OpenOptions<'_>) -> Result<Self, Error> {
        let remote = Remote::open(server, shell, options.lock, options.interrupt.clone())?;
        let (id, key) = (remote.id(), remote.key().map(str::to_owned));
        Self::of(server.to_string(), id, key.as_deref(), Store::Remote(remote), None, options)
    }

    fn of(
        location: String,
        id: Id,
        sealed_key: Option<&str>,
        store: Store,
        lock: Option<SharedLock>,
        options: &OpenOptions<'_>,
    ) -> Result<Self, Error> {
        let mut buffer = Vec::new();
        let sealed = match store.get(&Id::MANIFEST, None, &mut buffer) {
            Ok(range) => &mut buffer[range],
            Err(Error::ChunkMissing { .. }) => {
                return Err(Error::Manifest { reason: "it is missing".into() });
            }
            Err(error @ Error::Integrity { .. }) => {
                return Err(Error::Manifest { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        };
        let source = KeySource { repository_id: id, in_config: sealed_key, paths: options.keys };
        let key = Key::load(sealed, &source, options.passphrase)?;
        let memory = options.known.map(Memory);
        let now = Seen { id, location: &location, encryption: key.encryption() };
        // Before anything is believed.
        memory.map_or(Ok(()), |memory| memory.check(now))?;
        let manifest = chunks::open_manifest(&key, sealed)?;
        let seen_later = memory.and_then(|memory| memory.remember(now, &manifest.timestamp));
        Ok(Self {
            location,
            id,
            key,
            manifest,
            store,
            ignore_invalid_archive_tam: options.ignore_invalid_archive_tam,
            seen_later,
            lock: Mutex::new(lock),
        })
    }

    /// Where it is: its directory, or the server and the path there as they were written.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Its directory, if that is on this machine.
    pub fn directory(&self) -> Option<&Path> {
        self.store.local().map(|_| Path::new(&self.location))
    }

    /// What it is known by, wherever it is moved to.
    pub fn id(&self) -> Id {
        self.id
    }

    /// How its content is protected.
    pub fn encryption(&self) -> Encryption {
        self.key.encryption()
    }

    /// When it was last written to, in UTC, as recorded. Never goes back, unless an attacker put an old state in place.
    pub fn last_modified(&self) -> &str {
        &self.manifest.timestamp
    }

    /// When it was last written to as far as is remembered ([`OpenOptions::known`]), if that is later than
    /// [`Repository::last_modified`]: it is in an older state, and newer archives are missing.
    pub fn seen_later(&self) -> Option<&str> {
        self.seen_later.as_deref()
    }

    /// Whether the list of archives carries a valid authentication code. Only very old repositories have none.
    pub fn is_manifest_authenticated(&self) -> bool {
        self.manifest.authenticated
    }

    /// All archives, oldest first, those left by interrupted backups included.
    pub fn archives(&self) -> &[ArchiveEntry] {
        &self.manifest.archives
    }

    /// Opens the archive called `name`.
    pub fn archive(&self, name: &str) -> Result<Archive<'_>, Error> {
        let entry = self.manifest.archives.iter().find(|entry| entry.name == name);
        self.open_entry(entry.ok_or_else(|| Error::NoSuchArchive { name: name.to_owned() })?)
    }

    /// Reads all of it and verifies every byte: the checksums of the segments, every object in use, and the content of
    /// every file of every archive. What is damaged is told by its place and by the files that it costs. Of a repository on
    /// a server, every object that an archive uses is read and verified; its segment files are the server's business.
    ///
    /// The observer hears of bytes of segments ([`Repository::segment_bytes`] in all) or of objects, then of items.
    ///
    /// # Errors
    /// [`Error::Cancelled`], and what makes reading on pointless. Damage is no error.
    pub fn verify(&self, observer: &dyn Observer) -> Result<Verification, Error> {
        verify::repository(self, observer)
    }

    /// The content of a chunk, verified, from any thread.
    pub fn read_chunk(&self, chunk: &Chunk) -> Result<Vec<u8>, Error> {
        let mut chunks = self.chunks();
        chunks.read(&chunk.id, Some(chunk)).map(<[u8]>::to_vec)
    }

    /// The contents of the chunks that `next` gives, verified, from any thread: each is handed to `take` with what came with
    /// the chunk, in any order. Sooner than one after the other. `next` is told whether there is nothing else to do
    /// meanwhile; when it gives none though there is not, that is the end.
    pub fn read_chunks<T>(
        &self,
        next: impl FnMut(bool) -> Option<(T, Chunk)>,
        buffers: &mut Buffers,
        take: impl FnMut(T, Result<&[u8], Error>),
    ) {
        let mut reader = Chunks::with(self, std::mem::take(buffers));
        reader.read_all(next, take);
        *buffers = reader.into_buffers();
    }

    /// A chunk of an archive's metadata, verified, from any thread: see [`crate::Catalogue::item_by`].
    pub fn read_metadata(&self, id: &Id) -> Result<Vec<u8>, Error> {
        let mut chunks = self.chunks();
        chunks.read(id, None).map(<[u8]>::to_vec)
    }

    /// Gives the lock back before the repository is closed: for a process that ends while threads of its own still hold it.
    /// What somebody reads from it afterwards may be missing, as writers go on; it is verified as ever. The lock on a
    /// server is its own affair, and goes with the connection.
    pub fn unlock(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether its segment files are at hand, not on a server.
    pub fn is_local(&self) -> bool {
        self.store.local().is_some()
    }

    /// Bytes of all segment files: what the repository takes, but for its index. A server does not tell.
    pub fn segment_bytes(&self) -> Result<Option<u64>, Error> {
        let Some(local) = self.store.local() else { return Ok(None) };
        let segments = local.segments();
        segments
            .list()?
            .into_iter()
            .map(|segment| segments.size(segment))
            .sum::<Result<u64, Error>>()
            .map(Some)
    }

    pub(crate) fn open_entry(&self, entry: &ArchiveEntry) -> Result<Archive<'_>, Error> {
        Archive::open(self, &entry.name, entry.id)
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn ignores_invalid_archive_tam(&self) -> bool {
        self.ignore_invalid_archive_tam
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A reader of chunks, to be kept for as many as possible.
    pub(crate) fn chunks(&self) -> Chunks<'_> {
        Chunks::new(self)
    }

    /// Bytes an object takes, as Borg counts them: without the header of its segment entry.
    pub(crate) fn stored_size(&self, id: &Id) -> Result<u64, Error> {
        let mut buffer = Vec::new();
        Ok(self.store.get(id, None, &mut buffer)?.len() as u64)
    }
}
