//! The first pass where the segments are out of reach: every object that an archive uses, read once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};
use reprise_model::Observer;

use super::segments::Found;
use super::{Objects, Verification, short};
use crate::Error;
use crate::item::Chunk;
use crate::processors::processors;
use crate::repository::Repository;

/// What a worker takes at a time.
const BATCH_BYTES: u64 = 4 << 20;
const BATCH_CHUNKS: usize = 256;

/// Reads the content of all archives. What is wrong with their metadata is for the second pass to find.
pub(super) fn read<'r>(
    repository: &'r Repository,
    observer: &dyn Observer,
    verification: &mut Verification,
) -> Result<Objects<'r>, Error> {
    let found = Mutex::new(Found::default());
    let fatal: Mutex<Option<Error>> = Mutex::default();
    // Most of the time goes by waiting for the server.
    let threads = processors() * 2;
    let walked = std::thread::scope(|scope| {
        let (batches, queue) = crossbeam_channel::bounded::<Vec<Chunk>>(threads);
        for _ in 0..threads {
            let (queue, found, fatal) = (queue.clone(), &found, &fatal);
            scope.spawn(move || check(repository, &queue, found, fatal, observer));
        }
        let batches = batches;
        gather(repository, observer, &batches, &fatal)
    });
    repository.store().forget_all();
    if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    verification.bytes = walked?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(found.into_objects(repository, verification))
}

/// Hands each object out once, and returns their bytes.
fn gather(
    repository: &Repository,
    observer: &dyn Observer,
    batches: &Sender<Vec<Chunk>>,
    fatal: &Mutex<Option<Error>>,
) -> Result<u64, Error> {
    let mut seen = HashSet::new();
    let (mut batch, mut size, mut total) = (Vec::new(), 0, 0);
    let send = |batch: &mut Vec<Chunk>| {
        repository.store().expect(batch.iter().map(|chunk| (chunk.id, chunk.stored)));
        drop(batches.send(std::mem::take(batch)));
    };
    for entry in repository.archives() {
        let opened = match repository.open_entry(entry) {
            Ok(opened) => opened,
            Err(error) if error.is_final() => return Err(error),
            Err(_) => continue,
        };
        opened.scan(|items| {
            for item in items {
                let item = match item {
                    Ok(item) => item,
                    Err(error) if error.is_final() => return Err(error),
                    Err(_) => continue,
                };
                if observer.cancelled() {
                    return Err(Error::Cancelled);
                }
                if fatal.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    break;
                }
                for chunk in item.chunks.iter().flatten().filter(|chunk| seen.insert(short(&chunk.id))) {
                    batch.push(*chunk);
                    size += u64::from(chunk.stored);
                    total += u64::from(chunk.stored);
                    if size >= BATCH_BYTES || batch.len() >= BATCH_CHUNKS {
                        send(&mut batch);
                        size = 0;
                    }
                }
            }
            Ok(())
        })?;
    }
    send(&mut batch);
    Ok(total)
}

/// What a worker does: all chunks it can get.
fn check(
    repository: &Repository,
    queue: &Receiver<Vec<Chunk>>,
    found: &Mutex<Found>,
    fatal: &Mutex<Option<Error>>,
    observer: &dyn Observer,
) {
    let mut own = Found::default();
    let mut chunks = repository.chunks();
    for batch in queue {
        for Chunk { id, stored, .. } in batch {
            // What is queued is taken all the same, so that the sender is never stuck.
            if fatal.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                break;
            }
            match chunks.read(&id, None) {
                Ok(content) => own.sound(&id, content.len()),
                Err(error) if error.is_final() => {
                    fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                Err(error) => own.broken(id, error),
            }
            observer.advance(u64::from(stored), 0);
        }
    }
    found.lock().unwrap_or_else(PoisonError::into_inner).merge(own);
}
