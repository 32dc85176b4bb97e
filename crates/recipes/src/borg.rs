//! Borg archives behind the engine's and the analysis' ports.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use reprise_borg::{
    Archive, Catalogue, Error, Extraction, Kind, Placement, Problem, ProblemKind, Report, Repository,
};
use reprise_engine::{Extracted, Source, SourceError, SourceRef};
use reprise_model::{Observer, Unobserved};

use crate::backup::{Backup, Entry, EntryKind};

/// Warnings passed on one by one; further ones are only counted.
const WARNINGS: usize = 20;

/// Opens the repository: asked for at most once, and only when something is to be read from it. A rollback
/// needs no passphrase.
type Open<'a> = Box<dyn FnOnce() -> Result<Repository, Error> + Send + 'a>;

/// One archive of a Borg repository.
pub struct BorgArchive<'a> {
    archive: String,
    /// The id it must have, if it is known from before.
    id: Option<String>,
    open: Mutex<Option<Open<'a>>>,
    repository: OnceLock<Repository>,
    /// Its items, once somebody asked for them: an analysis goes through them several times.
    catalogue: OnceLock<Catalogue>,
}

impl<'a> BorgArchive<'a> {
    /// The archive called `archive` of an open repository.
    pub fn of(repository: Repository, archive: &str) -> Self {
        Self {
            archive: archive.to_owned(),
            id: None,
            open: Mutex::new(None),
            repository: OnceLock::from(repository),
            catalogue: OnceLock::new(),
        }
    }

    /// The archive that an earlier plan took its content from; `open` opens its repository.
    pub fn of_plan(source: &SourceRef, open: impl FnOnce() -> Result<Repository, Error> + Send + 'a) -> Self {
        Self {
            archive: source.archive.clone(),
            id: Some(source.id.clone()),
            open: Mutex::new(Some(Box::new(open))),
            repository: OnceLock::new(),
            catalogue: OnceLock::new(),
        }
    }

    /// The archive itself, for looking at its description.
    pub fn archive(&self) -> Result<Archive<'_>, SourceError> {
        // One thread opens, the others wait for it here.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.take() {
            let repository = open().map_err(|error| source_error(&error))?;
            let _ = self.repository.set(repository);
        }
        drop(open);
        let repository = self.repository.get().ok_or_else(|| SourceError::Unreadable {
            message: "the repository could not be opened".to_owned(),
            hint: None,
        })?;
        let archive = repository.archive(&self.archive).map_err(|error| source_error(&error))?;
        match &self.id {
            Some(id) if archive.info().id.to_string() != *id => Err(SourceError::Unreadable {
                message: format!("the archive {} is not the one that the plan was made from", self.archive),
                hint: Some(
                    "an archive of the same name was made since; roll back and restore again".to_owned(),
                ),
            }),
            _ => Ok(archive),
        }
    }

    /// All of its items. Where some may be missing, that is an error: what is not seen would not be restored.
    fn catalogue(&self, observer: &dyn Observer) -> Result<&Catalogue, SourceError> {
        if let Some(catalogue) = self.catalogue.get() {
            return Ok(catalogue);
        }
        let catalogue = self.archive()?.catalogue(None, observer).map_err(|error| source_error(&error))?;
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

impl Source for BorgArchive<'_> {
    fn extract(&self, path: &str, to: &Path, observer: &dyn Observer) -> Result<Extracted, SourceError> {
        let unusable = || SourceError::Unwritable {
            message: format!("{} cannot be extracted to", to.display()),
            hint: None,
        };
        let root = to.parent().ok_or_else(unusable)?;
        let name = to.file_name().ok_or_else(unusable)?;
        let placement = Placement::new(path, name.as_encoded_bytes());
        let report = self
            .archive()?
            .extract(&Extraction::of([placement]), root, observer)
            .map_err(|error| source_error(&error))?;
        complete(&report)
    }

    fn stream(
        &self,
        path: &str,
        name: &OsStr,
        to: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<Extracted, SourceError> {
        let placement = Placement::new(path, name.as_encoded_bytes());
        let report = self
            .archive()?
            .export_tar(&Extraction::of([placement]), to, observer)
            .map_err(|error| source_error(&error))?;
        complete(&report)
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let mut found = Backup::read(self, &BTreeSet::from([path.to_owned()]), limit)?;
        found.remove(path).ok_or_else(|| SourceError::Unreadable {
            message: format!("the archive holds no file {path} of at most {limit} bytes"),
            hint: None,
        })
    }

    fn check(&self, path: &str) -> Result<(), SourceError> {
        self.archive()?.find(path.as_bytes()).map(drop).map_err(|error| source_error(&error))
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

    fn read(&self, paths: &BTreeSet<String>, limit: u64) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        let archive = self.archive()?;
        let catalogue = self.catalogue(&Unobserved)?;
        let repository = self.repository.get();
        let mut contents = BTreeMap::new();
        for path in paths {
            let node = catalogue.find(path.as_bytes());
            let node = node.filter(|node| catalogue.entry(*node).kind == Kind::File);
            let (Some(node), Some(repository)) = (node, repository) else { continue };
            let item = catalogue.item(repository, node).map_err(|error| source_error(&error))?;
            if item.content_size() <= limit {
                let content = archive.read_all(&item, limit).map_err(|error| source_error(&error))?;
                contents.insert(path.clone(), content);
            }
        }
        Ok(contents)
    }
}
