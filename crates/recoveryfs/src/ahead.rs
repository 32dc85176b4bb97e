//! Decoding what nobody waits for yet, by threads that keep out of the way of who does wait.
//!
//! Two kinds of wishes: what comes next in a file that is read from one end to the other, and all of a file that is read
//! here and there. Of the second, one processor is left for whoever reads.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use reprise_borg::Chunk;

use crate::content::OpenFile;
use crate::decode::{Decoder, processors, threads_ahead};

/// Threads, and what they are to do.
#[derive(Debug)]
pub struct Ahead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    decoder: Arc<Decoder>,
    processors: usize,
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    /// What comes next in files that are read on. A file that is closed wants nothing any more.
    soon: VecDeque<(Weak<OpenFile>, usize)>,
    /// Files that are wanted as a whole, each with the next of its chunks.
    whole: VecDeque<(Weak<OpenFile>, usize)>,
    /// Chunks being decoded that somebody waits for.
    demand: usize,
    /// Threads at work on whole files.
    filling: usize,
    ended: bool,
}

/// While it is there, somebody waits for a chunk being decoded.
#[derive(Debug)]
pub struct Demand<'a>(&'a Shared);

impl Drop for Demand<'_> {
    fn drop(&mut self) {
        self.0.plan().demand -= 1;
        self.0.changed.notify_all();
    }
}

impl Ahead {
    /// Has chunks decoded by `decoder`.
    pub fn new(decoder: &Arc<Decoder>) -> Self {
        let processors = processors();
        let decoder = Arc::clone(decoder);
        let shared =
            Arc::new(Shared { decoder, processors, plan: Mutex::default(), changed: Condvar::new() });
        let threads = (0..threads_ahead()).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        });
        Self { threads: threads.collect(), shared }
    }

    /// Somebody waits for a chunk, and decodes it.
    pub fn demand(&self) -> Demand<'_> {
        self.shared.plan().demand += 1;
        Demand(&self.shared)
    }

    /// These chunks of a file will be wanted soon.
    pub fn soon(&self, file: &Arc<OpenFile>, chunks: Range<usize>) {
        if chunks.is_empty() {
            return;
        }
        self.shared.plan().soon.extend(chunks.map(|index| (Arc::downgrade(file), index)));
        self.shared.changed.notify_all();
    }

    /// All chunks of a file may be wanted.
    pub fn whole(&self, file: &Arc<OpenFile>) {
        self.shared.plan().whole.push_back((Arc::downgrade(file), 0));
        self.shared.changed.notify_all();
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.plan().ended = true;
        self.shared.changed.notify_all();
        // Only with the last of them the repository is closed and its lock given back.
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut plan = self.plan();
        while !plan.ended {
            let Some(wish) = plan.wish(self.processors) else {
                plan = self.changed.wait(plan).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            plan.filling += usize::from(wish == Wish::Whole);
            drop(plan);
            self.decoder.prepare(|| self.plan().next(wish, self.processors));
            plan = self.plan();
            plan.filling -= usize::from(wish == Wish::Whole);
        }
    }
}

/// What a thread is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Soon,
    Whole,
}

impl Plan {
    /// What one more thread is to be at now, if anything. Who waits goes first.
    fn wish(&self, processors: usize) -> Option<Wish> {
        if self.demand >= processors {
            return None;
        }
        if !self.soon.is_empty() {
            return Some(Wish::Soon);
        }
        let is_room = self.demand + self.filling < processors && self.filling < (processors - 1).max(1);
        (is_room && !self.whole.is_empty()).then_some(Wish::Whole)
    }

    /// The next chunk for a thread that is at this, unless it had better stop.
    fn next(&mut self, wish: Wish, processors: usize) -> Option<Chunk> {
        let is_room = match wish {
            Wish::Soon => self.demand < processors,
            Wish::Whole => self.demand + self.filling <= processors && self.soon.is_empty(),
        };
        match wish {
            _ if self.ended || !is_room => None,
            Wish::Soon => self.next_soon(),
            Wish::Whole => self.next_whole(),
        }
    }

    fn next_soon(&mut self) -> Option<Chunk> {
        while let Some((file, index)) = self.soon.pop_front() {
            if let Some(chunk) = file.upgrade().and_then(|file| file.chunks().get(index).copied()) {
                return Some(chunk);
            }
        }
        None
    }

    fn next_whole(&mut self) -> Option<Chunk> {
        while let Some((file, next)) = self.whole.front_mut() {
            if let Some(chunk) = file.upgrade().and_then(|file| file.chunks().get(*next).copied()) {
                *next += 1;
                return Some(chunk);
            }
            self.whole.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use reprise_borg::{Id, Item};

    use super::*;

    fn file(chunks: Range<u8>) -> Arc<OpenFile> {
        let chunk = |number| Chunk { id: Id([number; 32]), size: 1000, stored: 500 };
        let mut item = Item::default();
        item.chunks = Some(chunks.map(chunk).collect());
        Arc::new(OpenFile::new(item))
    }

    fn next(plan: &mut Plan, wish: Wish) -> Option<u8> {
        plan.next(wish, 2).map(|chunk| chunk.id.0[0])
    }

    #[test]
    fn what_comes_next_goes_before_whole_files_and_who_waits_before_both() {
        let (read, strayed) = (file(0..2), file(10..13));
        let mut plan = Plan::default();
        assert_eq!(plan.wish(2), None);
        plan.whole.push_back((Arc::downgrade(&strayed), 0));
        assert_eq!(plan.wish(2), Some(Wish::Whole));
        plan.filling = 1;
        assert_eq!(plan.wish(2), None, "one processor is left for whoever reads");
        assert_eq!(next(&mut plan, Wish::Whole), Some(10));
        plan.soon.extend([0, 1].map(|index| (Arc::downgrade(&read), index)));
        assert_eq!(plan.wish(2), Some(Wish::Soon));
        assert_eq!(next(&mut plan, Wish::Whole), None, "it stands back");
        assert_eq!(next(&mut plan, Wish::Soon), Some(0));
        plan.demand = 2;
        assert_eq!((plan.wish(2), next(&mut plan, Wish::Soon)), (None, None));
        plan.demand = 0;
        assert_eq!([0; 2].map(|_| next(&mut plan, Wish::Soon)), [Some(1), None]);
        plan.demand = 2;
        assert_eq!(next(&mut plan, Wish::Whole), None, "both processors are wanted");
        plan.demand = 1;
        assert_eq!([0; 3].map(|_| next(&mut plan, Wish::Whole)), [Some(11), Some(12), None]);
        assert!(plan.whole.is_empty());
    }

    #[test]
    fn a_file_that_is_closed_wants_nothing_any_more() {
        let (closed, open) = (file(0..9), file(10..11));
        let mut plan = Plan::default();
        for file in [&closed, &open] {
            plan.soon.push_back((Arc::downgrade(file), 0));
            plan.whole.push_back((Arc::downgrade(file), 0));
        }
        drop(closed);
        assert_eq!([0; 2].map(|_| next(&mut plan, Wish::Soon)), [Some(10), None]);
        assert_eq!([0; 2].map(|_| next(&mut plan, Wish::Whole)), [Some(10), None]);
        plan.ended = true;
        plan.soon.push_back((Arc::downgrade(&open), 0));
        assert_eq!(next(&mut plan, Wish::Soon), None);
    }
}
