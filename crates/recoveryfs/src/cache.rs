//! Decoded chunks, as many as a budget of bytes allows, each decoded once however many want it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use reprise_borg::{Error, Id};

/// A chunk's content.
pub type Content = Arc<Vec<u8>>;

/// The chunks used last.
#[derive(Debug)]
pub struct ChunkCache {
    budget: usize,
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Id, Slot>,
    /// By when they were last used.
    order: BTreeMap<u64, Id>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
enum Slot {
    /// Somebody decodes it.
    Loading,
    Here {
        content: Content,
        used: u64,
    },
}

impl ChunkCache {
    /// One that keeps at most `budget` bytes, or the one chunk used last.
    pub fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default(), settled: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content of a chunk: kept, or waited for if another thread is at it, or made by `load`. A failure is not
    /// kept: who comes next tries again.
    pub fn get(&self, id: &Id, load: impl FnOnce() -> Result<Vec<u8>, Error>) -> Result<Content, Error> {
        let mut state = self.state();
        loop {
            match state.touch(id) {
                Look::Here(content) => return Ok(content),
                Look::Loading => {
                    state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Look::Absent => break,
            }
        }
        state.slots.insert(*id, Slot::Loading);
        drop(state);
        let mut loading = Loading { cache: self, id, content: None };
        let content = Arc::new(load()?);
        loading.content = Some(Arc::clone(&content));
        Ok(content)
    }

    /// Whether a chunk is here or on its way.
    pub fn has(&self, id: &Id) -> bool {
        self.state().slots.contains_key(id)
    }
}

/// Settles what became of a load, whatever way it ends.
struct Loading<'c> {
    cache: &'c ChunkCache,
    id: &'c Id,
    content: Option<Content>,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        match self.content.take() {
            Some(content) => state.keep(*self.id, content, self.cache.budget),
            None => drop(state.slots.remove(self.id)),
        }
        drop(state);
        self.cache.settled.notify_all();
    }
}

enum Look {
    Here(Content),
    Loading,
    Absent,
}

impl State {
    fn touch(&mut self, id: &Id) -> Look {
        match self.slots.get_mut(id) {
            None => Look::Absent,
            Some(Slot::Loading) => Look::Loading,
            Some(Slot::Here { content, used }) => {
                self.clock += 1;
                self.order.remove(used);
                self.order.insert(self.clock, *id);
                *used = self.clock;
                Look::Here(Arc::clone(content))
            }
        }
    }

    fn keep(&mut self, id: Id, content: Content, budget: usize) {
        self.bytes += content.len();
        while self.bytes > budget {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(Slot::Here { content, .. }) = self.slots.remove(&oldest) {
                self.bytes -= content.len();
            }
        }
        self.clock += 1;
        self.order.insert(self.clock, id);
        self.slots.insert(id, Slot::Here { content, used: self.clock });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn id(number: u8) -> Id {
        Id([number; 32])
    }

    fn broken() -> Result<Vec<u8>, Error> {
        Err(Error::ChunkMissing { id: id(0) })
    }

    #[test]
    fn many_who_want_one_chunk_have_it_decoded_once() {
        let cache = ChunkCache::new(1000);
        let (loads, together) = (AtomicUsize::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    let load = || {
                        loads.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        Ok(vec![7; 100])
                    };
                    assert_eq!(*cache.get(&id(1), load).unwrap(), vec![7; 100]);
                });
            }
        });
        assert_eq!(loads.into_inner(), 1);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = ChunkCache::new(250);
        for number in [1, 2] {
            cache.get(&id(number), || Ok(vec![0; 100])).unwrap();
        }
        cache.get(&id(1), broken).expect("it is kept");
        cache.get(&id(3), || Ok(vec![0; 100])).unwrap();
        assert!(cache.has(&id(1)) && cache.has(&id(3)) && !cache.has(&id(2)));
        cache.get(&id(4), || Ok(vec![0; 9000])).unwrap();
        assert!(cache.has(&id(4)) && !cache.has(&id(1)), "a chunk beyond the budget is kept alone");
        assert_eq!(cache.state().bytes, 9000);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let cache = ChunkCache::new(1000);
        assert!(cache.get(&id(1), broken).is_err());
        assert!(cache.get(&id(1), || Ok(vec![1])).is_ok());
    }
}
