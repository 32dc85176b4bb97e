//! The pieces of an archive's metadata, in order: chunk by chunk as they are asked for, or decoded ahead by threads.

use std::collections::VecDeque;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::processors::processors;
use crate::repository::{Chunks, Repository};
use crate::store::{Store, UNKNOWN_SIZE};
use crate::{Error, Id};

/// Bytes of metadata that are decoded ahead: enough to keep the threads at work, little beside what comes of it.
const AHEAD_BYTES: usize = 4 << 20;
/// Pieces that are decoded ahead at most.
const AHEAD: usize = 16;
/// More threads than this wait for the one that reads the items.
const THREADS: usize = 3;

type Answer = Result<Vec<u8>, Error>;
type Job = (Id, Sender<Answer>);

/// The decoded chunks of a metadata stream.
#[derive(Debug)]
pub(super) struct Pieces<'r> {
    store: &'r Store,
    stream: std::vec::IntoIter<Id>,
    total: u32,
    chunks: Chunks<'r>,
    /// Where to have pieces decoded; without, it is done here.
    ahead: Option<Ahead>,
}

#[derive(Debug)]
struct Ahead {
    jobs: Sender<Job>,
    /// The pieces under way, in order.
    answers: VecDeque<(Id, Receiver<Answer>)>,
    /// How many may be under way.
    limit: usize,
}

impl<'r> Pieces<'r> {
    /// Decodes each piece when it is asked for.
    pub fn new(repository: &'r Repository, stream: Vec<Id>) -> Self {
        Self {
            store: repository.store(),
            total: stream.len() as u32,
            stream: stream.into_iter(),
            chunks: repository.chunks(),
            ahead: None,
        }
    }

    /// How many there are in all.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The next piece.
    pub fn next(&mut self) -> Option<Answer> {
        let Some(ahead) = &mut self.ahead else {
            let id = self.stream.next()?;
            return Some(self.chunks.read(&id, None).map(<[u8]>::to_vec));
        };
        while ahead.answers.len() < ahead.limit {
            let Some(id) = self.stream.next() else { break };
            self.store.expect([(id, UNKNOWN_SIZE)]);
            let (answer, answers) = bounded(1);
            // Fails only where no thread is left: then the answer's sender is gone too.
            let _ = ahead.jobs.send((id, answer));
            ahead.answers.push_back((id, answers));
        }
        let (id, answer) = ahead.answers.pop_front()?;
        let answer = answer.recv().unwrap_or_else(|_| self.chunks.read(&id, None).map(<[u8]>::to_vec));
        if let Ok(piece) = &answer {
            // Pieces are of about the same size: the last one tells how many make the limit.
            ahead.limit = (AHEAD_BYTES / piece.len().max(1)).clamp(1, AHEAD);
        }
        Some(answer)
    }
}

impl Drop for Pieces<'_> {
    fn drop(&mut self) {
        // Whoever stopped early wants no more of them.
        let left = self.ahead.iter().flat_map(|ahead| &ahead.answers);
        self.store.forget(left.map(|(id, _)| *id));
    }
}

/// Calls `visit` with pieces that threads decode ahead, for as long as it runs.
pub(super) fn decoded_ahead<R>(
    repository: &Repository,
    stream: Vec<Id>,
    visit: impl FnOnce(Pieces<'_>) -> R,
) -> R {
    if stream.len() < 2 {
        return visit(Pieces::new(repository, stream));
    }
    let threads = processors().clamp(1, THREADS);
    thread::scope(|scope| {
        let (jobs, queue) = unbounded::<Job>();
        for _ in 0..threads {
            let queue = queue.clone();
            scope.spawn(move || {
                let mut chunks = repository.chunks();
                for (id, answer) in queue {
                    // Nobody may want it any more.
                    let _ = answer.send(chunks.read(&id, None).map(<[u8]>::to_vec));
                }
            });
        }
        let ahead = Ahead { jobs, answers: VecDeque::new(), limit: AHEAD };
        let mut pieces = Pieces::new(repository, stream);
        pieces.ahead = Some(ahead);
        visit(pieces)
    })
}
