//! Borg archives behind the engine's and the analysis' ports.

mod differing;
mod import;
mod keep;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use reprise_borg::{
    Archive, Catalogue, Error, Extraction, Kind, Placement, Problem, ProblemKind, Report, Repository,
    Selection,
};
use reprise_engine::{Differences, Extracted, Source, SourceError, SourceRef};
use reprise_host::{Packed, Present};
use reprise_model::{Observer, Unobserved};

use crate::backup::{Backup, Entry, EntryKind};

pub use keep::{BEFORE, Passphrase, create, makes_archives};

/// Warnings passed on one by one; further ones are only counted.
const WARNINGS: usize = 20;

/// Opens the repository; only asked for when something is to be read from it: a rollback needs no passphrase.
type Open<'a> = Box<dyn Fn() -> Result<Repository, Error> + Send + Sync + 'a>;

/// One archive of a Borg repository.
pub struct BorgArchive<'a> {
    archive: String,
    /// The id it must have, if it is known from before.
    id: Option<String>,
    /// The repository, as `borg` takes it.
    location: String,
    open: Open<'a>,
    passphrase: Passphrase<'a>,
    repository: Mutex<Option<Arc<Repository>>>,
    /// Its items, once somebody asked for them: an analysis goes through them several times.
    catalogue: OnceLock<Catalogue>,
}

impl<'a> BorgArchive<'a> {
    /// The archive that a plan takes its content from. `open` opens its repository, again once something was written to it;
    /// `passphrase` is asked for when that is to be done.
    pub fn new(
        source: &SourceRef,
        passphrase: Passphrase<'a>,
        open: impl Fn() -> Result<Repository, Error> + Send + Sync + 'a,
    ) -> Self {
        Self {
            archive: source.archive.clone(),
            id: Some(source.id.clone()),
            location: source.repository.clone(),
            open: Box::new(open),
            passphrase,
            repository: Mutex::default(),
            catalogue: OnceLock::new(),
        }
    }

    /// The archive called `archive` of an open repository, to be read and no more.
    pub fn of(repository: Repository, archive: &str) -> Self {
        Self {
            archive: archive.to_owned(),
            id: None,
            location: repository.location().to_owned(),
            open: Box::new(|| Err(Error::Invalid { reason: "it was opened to be read".to_owned() })),
            passphrase: &|| Ok(None),
            repository: Mutex::new(Some(Arc::new(repository))),
            catalogue: OnceLock::new(),
        }
    }

    /// The same with the repository opened already.
    #[must_use]
    pub fn opened(self, repository: Repository) -> Self {
        Self { repository: Mutex::new(Some(Arc::new(repository))), ..self }
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Repository>>> {
        self.repository.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repository(&self) -> Result<Arc<Repository>, SourceError> {
        // One thread opens, the others wait for it here.
        let mut held = self.held();
        if let Some(repository) = &*held {
            return Ok(Arc::clone(repository));
        }
        let repository = Arc::new((self.open)().map_err(|error| source_error(&error))?);
        *held = Some(Arc::clone(&repository));
        Ok(repository)
    }

    /// Lets go of the repository, and so of its lock.
    fn close(&self) {
        self.held().take();
    }

    /// Lets `work` have the archive itself and its repository.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&Archive<'_>, &Repository) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let repository = self.repository()?;
        let archive = repository.archive(&self.archive).map_err(|error| source_error(&error))?;
        match &self.id {
            Some(id) if archive.info().id.to_string() != *id => Err(SourceError::Unreadable {
                message: format!("the archive {} is not the one that the plan was made from", self.archive),
                hint: Some(
                    "an archive of the same name was made since; roll back and restore again".to_owned(),
                ),
            }),
            _ => work(&archive, &repository),
        }
    }

    /// All of its items. Where some may be missing, that is an error: what is not seen would not be restored.
    fn catalogue(&self, observer: &dyn Observer) -> Result<&Catalogue, SourceError> {
        if let Some(catalogue) = self.catalogue.get() {
            return Ok(catalogue);
        }
        let catalogue =
            self.with(|archive, _| archive.catalogue(None, observer).map_err(|error| source_error(&error)))?;
        match catalogue.lost().first() {
            Some(lost) => Err(source_error(&lost.clone().into())),
            None => Ok(self.catalogue.get_or_init(|| catalogue)),
        }
    }
}

/// `error` as the engine tells it on.
pub fn source_error(error: &Error) -> SourceError {
    let (message, hint) = (error.to_string(), error.hint().map(ToOwned::to_owned));
    match error {
        Error::Cancelled => SourceError::Cancelled,
        Error::Destination { .. } | Error::DestinationFull { .. } | Error::Stream(_) => {
            SourceError::Unwritable { message, hint }
        }
        _ => SourceError::Unreadable { message, hint },
    }
}

/// The directory of `path` and its name there.
fn parts(path: &Path) -> Result<(&Path, &OsStr), SourceError> {
    let unusable = || SourceError::Unwritable {
        message: format!("{} cannot be extracted to", path.display()),
        hint: None,
    };
    Ok((path.parent().ok_or_else(unusable)?, path.file_name().ok_or_else(unusable)?))
}

/// `inner` below `outer`, either of which may be empty.
fn joined(outer: &[u8], inner: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if outer.is_empty() || inner.is_empty() { b"" } else { b"/" };
    [outer, slash, inner].concat()
}

/// What is at `path` as `name`, or `some` of it by paths below it.
fn those(path: &str, some: Option<&BTreeSet<PathBuf>>, name: &OsStr) -> Extraction {
    let whole = |inner: &PathBuf| joined(path.as_bytes(), inner.as_os_str().as_bytes());
    let selection = some.map(|some| Selection::of_paths(some.iter().map(whole)));
    let placement = Placement::new(path, name.as_encoded_bytes());
    Extraction::of([Placement { selection: selection.unwrap_or_default(), ..placement }])
}

impl Source for BorgArchive<'_> {
    fn extract(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        to: &Path,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        let (root, name) = parts(to)?;
        self.with(|archive, _| {
            let report = archive.extract(&those(path, some, name), root, observer);
            complete(&report.map_err(|error| source_error(&error))?)
        })
    }

    fn stream(
        &self,
        path: &str,
        some: Option<&BTreeSet<PathBuf>>,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        self.with(|archive, _| {
            let report = archive.export_tar(&those(path, some, name), to, observer);
            complete(&report.map_err(|error| source_error(&error))?)
        })
    }

    fn differences(
        &self,
        path: &str,
        root: &Path,
        present: &Present,
        observer: &dyn Observer,
    ) -> Result<Differences, SourceError> {
        differing::differences(self, path, root, present, observer)
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let mut found = Backup::read(self, &BTreeSet::from([path.to_owned()]), limit)?;
        found.remove(path).ok_or_else(|| SourceError::Unreadable {
            message: format!("the archive holds no file {path} of at most {limit} bytes"),
            hint: None,
        })
    }

    fn check(&self, path: &str) -> Result<(), SourceError> {
        self.with(|archive, _| archive.find(path.as_bytes()).map(drop).map_err(|error| source_error(&error)))
    }

    fn has_archive(&self, name: &str) -> Result<bool, SourceError> {
        Ok(self.archives_called(name)?.iter().any(|found| found == name))
    }

    fn back_up(
        &self,
        name: &str,
        paths: &[PathBuf],
        except: &[PathBuf],
        observer: &dyn Observer,
    ) -> Result<Vec<String>, SourceError> {
        self.make(name, paths, except, observer)
    }

    fn back_up_packed(
        &self,
        name: &str,
        packed: Packed<'_>,
        observer: &dyn Observer,
    ) -> reprise_engine::Result<Vec<String>> {
        self.import(name, packed, observer)
    }

    fn remove_archive(&self, name: &str) -> Result<(), SourceError> {
        self.remove(&self.archives_called(name)?, &Unobserved)
    }
}

/// What `report` tells, if nothing was lost. Device nodes are left out knowingly: a backup must not hand
/// out access to disks.
fn complete(report: &Report) -> Result<Extracted, SourceError> {
    let is_device = |problem: &&Problem| matches!(problem.kind, ProblemKind::Device);
    let mut lost = report.losses().filter(|problem| !is_device(problem));
    if let Some(first) = lost.next() {
        let more = lost.count() as u64 + report.more_problems;
        let others = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        return Err(SourceError::Unreadable {
            message: format!("the archive cannot be restored whole: {first}{others}"),
            hint: Some(
                "`borg check --verify-data` tells how far the damage goes; try an older archive".to_owned(),
            ),
        });
    }
    let devices = report.problems.iter().filter(is_device).count() as u64;
    let mut warnings: Vec<String> = report.problems.iter().take(WARNINGS).map(ToString::to_string).collect();
    let more = report.problems.len().saturating_sub(WARNINGS) as u64 + report.more_problems;
    if more > 0 {
        warnings.push(format!("… and {more} more like these"));
    }
    Ok(Extracted { entries: report.items + devices, bytes: report.bytes, left_out: devices, warnings })
}

impl Backup for BorgArchive<'_> {
    fn each_entry(
        &self,
        visit: &mut dyn FnMut(Entry<'_>),
        observer: &dyn Observer,
    ) -> Result<(), SourceError> {
        let catalogue = self.catalogue(observer)?;
        let (mut path, mut first_path) = (Vec::new(), Vec::new());
        for node in catalogue.in_order() {
            if observer.cancelled() {
                return Err(SourceError::Cancelled);
            }
            let entry = catalogue.entry(node);
            let kind = match entry.kind {
                Kind::File => EntryKind::File,
                Kind::Directory => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            catalogue.path(node, &mut path);
            let bytes = match entry.first {
                Some(first) => catalogue.entry(first).size,
                // Nothing of it is in the archive.
                None if entry.is_link => 0,
                None => entry.size,
            };
            let first = entry.first.map(|node| {
                catalogue.path(node, &mut first_path);
                first_path.as_slice()
            });
            visit(Entry { path: &path, kind, bytes, first });
        }
        Ok(())
    }

    fn directory(&self) -> Option<PathBuf> {
        Some(self.repository().ok()?.directory()?.to_owned())
    }

    fn read(&self, paths: &BTreeSet<String>, limit: u64) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        let catalogue = self.catalogue(&Unobserved)?;
        self.with(|archive, repository| {
            let mut contents = BTreeMap::new();
            for path in paths {
                let node = catalogue.find(path.as_bytes());
                let Some(node) = node.filter(|node| catalogue.entry(*node).kind == Kind::File) else {
                    continue;
                };
                let item = catalogue.item(repository, node).map_err(|error| source_error(&error))?;
                if item.content_size() <= limit {
                    let content = archive.read_all(&item, limit).map_err(|error| source_error(&error))?;
                    contents.insert(path.clone(), content);
                }
            }
            Ok(contents)
        })
    }
}
