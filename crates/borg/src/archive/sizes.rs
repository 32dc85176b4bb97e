//! What an archive really takes: chunks that no other archive uses.

use std::collections::HashMap;

use reprise_model::Observer;

use super::Archive;
use crate::{Error, Id};

pub(super) fn deduplicated(archive: &Archive<'_>, observer: &dyn Observer) -> Result<u64, Error> {
    let repository = archive.repository;
    let mut own = HashMap::new();
    visit(archive, observer, |id, stored| {
        own.insert(id, stored);
    })?;
    for entry in repository.archives() {
        if own.is_empty() {
            break;
        }
        if entry.id != archive.info().id {
            let other = repository.open_entry(entry)?;
            visit(&other, observer, |id, _| {
                own.remove(&id);
            })?;
        }
    }
    let mut sum = 0;
    for (id, stored) in own {
        sum += match stored {
            Some(size) => u64::from(size),
            None => repository.stored_size(&id)?,
        };
    }
    Ok(sum)
}

/// Calls `each` for all chunks of an archive, with their size in the repository where the archive tells it.
fn visit(
    archive: &Archive<'_>,
    observer: &dyn Observer,
    mut each: impl FnMut(Id, Option<u32>),
) -> Result<(), Error> {
    each(archive.info().id, None);
    for id in &archive.stream {
        each(*id, None);
    }
    archive.scan(|items| {
        for item in items {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            for chunk in item?.chunks.iter().flatten() {
                each(chunk.id, Some(chunk.stored));
            }
        }
        Ok(())
    })
}
