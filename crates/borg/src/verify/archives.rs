//! The second pass: the items of every archive, for the names of what is damaged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reprise_model::Observer;

use super::{Damage, LISTED, Objects, Verification, VerifiedArchive};
use crate::Error;
use crate::extract::{Problem, ProblemKind};
use crate::item::{Item, Kind};
use crate::manifest::ArchiveEntry;
use crate::processors::processors;
use crate::repository::{Chunks, Repository};

/// Walks the items of all archives, several archives at a time.
pub(super) fn walk(
    repository: &Repository,
    objects: &Objects<'_>,
    observer: &dyn Observer,
    verification: &mut Verification,
) -> Result<(), Error> {
    let entries = repository.archives();
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Walked)>> = Mutex::default();
    let fatal: Mutex<Option<Error>> = Mutex::default();
    let threads = processors().min(entries.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, entry)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    entries.get(index).map(|entry| (index, entry))
                } {
                    match archive(repository, entry, objects, observer) {
                        Ok(walked) => {
                            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, walked));
                        }
                        Err(error) => {
                            fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    for (_, walked) in results {
        walked.damage.into_iter().for_each(|damage| verification.add(damage));
        verification.more_damage += walked.more_damage;
        verification.archives.push(walked.archive);
    }
    Ok(())
}

/// What walking one archive found.
struct Walked {
    archive: VerifiedArchive,
    damage: Vec<Damage>,
    more_damage: u64,
}

impl Walked {
    fn add(&mut self, damage: Damage) {
        if self.damage.len() < LISTED {
            self.damage.push(damage);
        } else {
            self.more_damage += 1;
        }
    }

    fn unreadable(&mut self, error: Error) -> Result<(), Error> {
        match error {
            error if error.is_final() || matches!(error, Error::Read { .. }) => Err(error),
            error => {
                self.archive.is_readable = false;
                let archive = self.archive.name.clone();
                self.add(Damage::Archive { archive, cause: Arc::new(error) });
                Ok(())
            }
        }
    }
}

fn archive(
    repository: &Repository,
    entry: &ArchiveEntry,
    objects: &Objects<'_>,
    observer: &dyn Observer,
) -> Result<Walked, Error> {
    let archive =
        VerifiedArchive { name: entry.name.clone(), is_readable: true, ..VerifiedArchive::default() };
    let mut walked = Walked { archive, damage: Vec::new(), more_damage: 0 };
    let opened = match repository.open_entry(entry) {
        Ok(opened) => opened,
        Err(error) => {
            walked.unreadable(error)?;
            return Ok(walked);
        }
    };
    let mut chunks = repository.chunks();
    for item in opened.items() {
        if observer.cancelled() {
            return Err(Error::Cancelled);
        }
        match item {
            Ok(item) => {
                observer.item(&item.path);
                check(&item, objects, &mut chunks, &mut walked);
                observer.advance(0, 1);
            }
            // Beyond lost items there are others; beyond anything else, there is nothing.
            Err(error) => walked.unreadable(error)?,
        }
    }
    Ok(walked)
}

/// The content of an item. Further names of a file have none of their own.
fn check(item: &Item, objects: &Objects<'_>, chunks: &mut Chunks<'_>, walked: &mut Walked) {
    if item.kind() != Kind::File || item.hard_link_target().is_some() && item.chunks.is_none() {
        return;
    }
    let mut problems = crate::extract::known_problems(
        item,
        item.chunks.as_deref().unwrap_or_default(),
        &item.chunks_healthy,
    );
    let repaired = problems.iter().filter_map(|kind| match kind {
        ProblemKind::Repaired { range } => Some(range.end - range.start),
        _ => None,
    });
    let mut lost: u64 = repaired.sum();
    let mut start = 0;
    for chunk in item.chunks.iter().flatten() {
        let range = start..start + u64::from(chunk.size);
        start = range.end;
        let cause = match objects.state(&chunk.id, chunks) {
            Ok(size) if size == chunk.size => continue,
            Ok(_) => Arc::new(Error::integrity(chunk.id, "its size is not the one recorded")),
            Err(cause) => cause,
        };
        lost += u64::from(chunk.size);
        problems.push(ProblemKind::Content { range, cause });
    }
    walked.archive.files += 1;
    walked.archive.bytes += start;
    walked.archive.lost_bytes += lost.min(start);
    if problems.is_empty() {
        walked.archive.whole_files += 1;
    }
    for kind in problems {
        let archive = walked.archive.name.clone();
        walked.add(Damage::File { archive, problem: Problem::new(&item.path, None, kind) });
    }
}
