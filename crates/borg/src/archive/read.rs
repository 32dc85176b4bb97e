//! Single files of an archive, into memory.

use std::ops::Range;

use super::Archive;
use crate::Error;
use crate::item::{Chunk, Item, Kind};

pub(super) fn find(archive: &Archive<'_>, path: &[u8]) -> Result<Item, Error> {
    let mut item = lookup(archive, path)?;
    if item.chunks.is_none()
        && let Some(first) = item.hard_link_target()
    {
        let first = lookup(archive, first)?;
        item.chunks = first.chunks;
        item.chunks_healthy = first.chunks_healthy;
    }
    Ok(item)
}

/// Should a path occur twice, the last one is what extraction leaves there.
fn lookup(archive: &Archive<'_>, path: &[u8]) -> Result<Item, Error> {
    let (mut found, mut lost) = (None, None);
    archive.scan(|items| {
        for item in items {
            match item {
                Ok(item) if item.path == path => found = Some(item),
                Ok(_) => {}
                // It may be among these, or not.
                Err(error @ Error::ItemsLost(_)) => lost = lost.take().or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })?;
    found.ok_or_else(|| lost.unwrap_or_else(|| Error::NoSuchPath { path: path.to_vec() }))
}

pub(super) fn range(archive: &Archive<'_>, item: &Item, range: Range<u64>) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    each(archive, item, range, &mut |piece| {
        content.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(content)
}

/// Hands a range of a file's content to `take`, chunk by chunk.
pub(super) fn each(
    archive: &Archive<'_>,
    item: &Item,
    range: Range<u64>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let invalid =
        |reason: &str| Error::Invalid { reason: format!("{} {reason}", String::from_utf8_lossy(&item.path)) };
    if item.kind() != Kind::File {
        return Err(invalid("is not a regular file"));
    }
    if item.chunks.is_none() && item.hard_link_target().is_some() {
        // Without this it would read as empty.
        return each_of_link(archive, item, range, take);
    }
    if range.is_empty() {
        return Ok(());
    }
    // Said first: zeros must not be handed out as content.
    if let Some(chunk) = first_lost(item, &range) {
        return Err(Error::Integrity {
            id: chunk,
            reason: "its content was lost and replaced with zeros by a repair".into(),
        });
    }
    let store = archive.repository.store();
    let mut reader = archive.repository.chunks();
    store.expect(overlapping(item, &range).map(|chunk| (chunk.id, chunk.stored)));
    let mut start = 0_u64;
    for chunk in item.chunks.iter().flatten() {
        let end = start + u64::from(chunk.size);
        if start >= range.end {
            break;
        }
        if end > range.start {
            let taken = reader.read(&chunk.id, Some(chunk)).and_then(|data| {
                let from = range.start.saturating_sub(start) as usize;
                let to = (range.end.min(end) - start) as usize;
                take(&data[from.min(to)..to])
            });
            if taken.is_err() {
                store.forget_all();
                return taken;
            }
        }
        start = end;
    }
    let whole = range.start == 0 && start <= range.end;
    if whole && item.size.is_some_and(|size| size != start) {
        return Err(invalid("has chunks that do not add up to its size"));
    }
    Ok(())
}

fn each_of_link(
    archive: &Archive<'_>,
    item: &Item,
    wanted: Range<u64>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let first = item.hard_link_target().unwrap_or_default();
    let first = lookup(archive, first)?;
    if first.chunks.is_none() {
        return Err(Error::NoSuchPath { path: first.path });
    }
    each(archive, &first, wanted, take)
}

/// The chunks that hold a range.
fn overlapping<'i>(item: &'i Item, range: &Range<u64>) -> impl Iterator<Item = &'i Chunk> {
    let range = range.clone();
    let mut start = 0_u64;
    item.chunks.iter().flatten().filter(move |chunk| {
        let begin = start;
        start += u64::from(chunk.size);
        begin < range.end && start > range.start
    })
}

/// The id of a chunk in the range that a repair replaced with zeros.
fn first_lost(item: &Item, range: &Range<u64>) -> Option<crate::Id> {
    let chunks = item.chunks.as_deref()?;
    let mut start = 0;
    for (now, before) in chunks.iter().zip(&item.chunks_healthy) {
        let end = start + u64::from(now.size);
        if now.id != before.id && start < range.end && end > range.start {
            return Some(before.id);
        }
        start = end;
    }
    None
}
