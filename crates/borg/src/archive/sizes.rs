//! What an archive really takes: chunks that no other archive uses.

use std::collections::HashMap;

use reprise_model::Observer;

use super::Archive;
use crate::{Error, Id};

pub(super) fn deduplicated(archive: &Archive<'_>, observer: &dyn Observer) -> Result<u64, Error> {
    let repository = archive.repository;
    let mut own = HashMap::new();
    visit(archive, observer, |id, stored| {
        own.insert(*id, stored);
        true
    })?;
    each_chunk_of_others(archive, observer, |id| {
        own.remove(id);
        !own.is_empty()
    })?;
    let mut sum = 0;
    for (id, stored) in own {
        sum += match stored {
            Some(size) => u64::from(size),
            None => repository.stored_size(&id)?,
        };
    }
    Ok(sum)
}

/// Calls `each` for all chunks of the repository's other archives, until it answers that it needs no more.
pub(super) fn each_chunk_of_others(
    archive: &Archive<'_>,
    observer: &dyn Observer,
    mut each: impl FnMut(&Id) -> bool,
) -> Result<(), Error> {
    let repository = archive.repository;
    let mut goes_on = true;
    for entry in repository.archives().iter().filter(|entry| entry.id != archive.info().id) {
        if !goes_on {
            break;
        }
        let other = repository.open_entry(entry)?;
        visit(&other, observer, |id, _| {
            goes_on = each(id);
            goes_on
        })?;
    }
    Ok(())
}

/// Calls `each` for all chunks of an archive, with their size in the repository where the archive tells it, until it
/// answers that it needs no more.
fn visit(
    archive: &Archive<'_>,
    observer: &dyn Observer,
    mut each: impl FnMut(&Id, Option<u32>) -> bool,
) -> Result<(), Error> {
    let mut goes_on = each(&archive.info().id, None) && archive.stream.iter().all(|id| each(id, None));
    archive.each_view(|found| {
        let item = found.item()?;
        if observer.cancelled() {
            return Err(Error::Cancelled);
        }
        let mut chunks = item.chunks.unwrap_or_default().iter();
        goes_on = goes_on && chunks.all(|chunk| each(&chunk.id, Some(chunk.stored)));
        Ok(())
    })
}
