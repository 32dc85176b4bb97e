//! Decoded chunks, as many as a budget of bytes allows, each decoded once however many want it.
//!
//! What goes first is what was used longest ago; before that, what somebody who reads a file from one end to the other
//! has left behind, as the kernel keeps that anyway. The memory of what goes is used for what comes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use reprise_borg::Id;

use crate::memory::Memory;

/// A chunk's content.
pub type Content = Arc<Memory>;

/// Bytes kept of what was left behind. It is kept at all because the same chunk may come again soon, such as one of zeros.
const LEFT_BYTES: usize = 32 << 20;
/// Bytes of memory set aside for chunks to come, at most, and which part of the budget.
const SPARE_BYTES: usize = 16 << 20;
const SPARE_PART: usize = 16;
/// Less memory than this is not worth keeping.
const SPARE_LEAST: usize = 64 << 10;

/// Bytes that keeping a chunk takes beside its content, about: there may be very many small ones.
const BESIDE: usize = 256;

/// The chunks used last.
#[derive(Debug)]
pub struct ChunkCache {
    budget: usize,
    state: Mutex<State>,
    settled: Condvar,
}

/// What became of looking for a chunk.
#[derive(Debug)]
pub enum Look<'c> {
    /// It was there.
    Here(Content),
    /// It was waited for: another thread was at it.
    Came(Content),
    /// It is not there, and whoever has this makes it.
    Ours(Loading<'c>),
}

impl ChunkCache {
    /// One that takes at most `budget` bytes, or keeps the one chunk used last.
    pub fn new(budget: usize) -> Self {
        let spare_most = (budget / SPARE_PART).min(SPARE_BYTES);
        let state = Mutex::new(State { spare_most, ..State::default() });
        Self { budget: budget - spare_most, state, settled: Condvar::new() }
    }

    /// Bytes of chunks that it keeps at most.
    pub fn budget(&self) -> usize {
        self.budget
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a chunk, and waits for it if another thread is at it.
    pub fn look(&self, id: &Id) -> Look<'_> {
        let mut state = self.state();
        let mut waited = false;
        loop {
            match state.slots.get(id) {
                None => {
                    state.slots.insert(*id, Slot::Loading);
                    return Look::Ours(Loading { cache: self, id: *id });
                }
                Some(Slot::Loading) => {
                    waited = true;
                    state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Here { .. }) => {
                    // Always there, as was just seen.
                    let Some(content) = state.touch(id) else { continue };
                    return if waited { Look::Came(content) } else { Look::Here(content) };
                }
            }
        }
    }

    /// Takes it upon the caller to make a chunk, unless it is there or another thread is at it.
    pub fn claim(&self, id: &Id) -> Option<Loading<'_>> {
        let mut state = self.state();
        if state.slots.contains_key(id) {
            return None;
        }
        state.slots.insert(*id, Slot::Loading);
        Some(Loading { cache: self, id: *id })
    }

    /// Tells that somebody has read past these chunks, and will hardly come back.
    pub fn leave(&self, ids: impl IntoIterator<Item = Id>) {
        let mut state = self.state();
        ids.into_iter().for_each(|id| state.leave(id));
    }
}

/// A chunk on its way. Dropped before it is [`Loading::done`], it failed: who waits for it tries again.
#[derive(Debug)]
pub struct Loading<'c> {
    cache: &'c ChunkCache,
    id: Id,
}

impl Loading<'_> {
    /// Keeps the content, and lets go on who waits for it.
    pub fn done(self, content: &[u8]) -> Content {
        let memory = self.cache.state().spare_for(content.len());
        // Filled while nobody else waits for the lock.
        let memory = memory.unwrap_or_else(|| Memory::with_room(content.len()));
        let content = Arc::new(memory.filled(content));
        self.cache.state().keep(self.id, Arc::clone(&content), self.cache.budget);
        content
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        if matches!(state.slots.get(&self.id), Some(Slot::Loading)) {
            state.slots.remove(&self.id);
        }
        drop(state);
        self.cache.settled.notify_all();
    }
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Id, Slot>,
    /// By when they were last used. What was left behind has negative numbers, and so comes before.
    order: BTreeMap<i64, Id>,
    clock: i64,
    left_clock: i64,
    /// Bytes of all that is here, and of what was left behind among it.
    bytes: usize,
    left: usize,
    spare: Vec<Memory>,
    spare_most: usize,
}

#[derive(Debug)]
enum Slot {
    /// Somebody decodes it.
    Loading,
    Here {
        content: Content,
        used: i64,
    },
}

/// Bytes that a chunk takes.
fn weight(content: &Content) -> usize {
    content.room() + BESIDE
}

impl State {
    fn touch(&mut self, id: &Id) -> Option<Content> {
        let Some(Slot::Here { content, used }) = self.slots.get_mut(id) else { return None };
        self.clock += 1;
        self.order.remove(used);
        self.order.insert(self.clock, *id);
        if *used < 0 {
            self.left -= weight(content);
        }
        *used = self.clock;
        Some(Arc::clone(content))
    }

    fn leave(&mut self, id: Id) {
        let Some(Slot::Here { content, used }) = self.slots.get_mut(&id) else { return };
        if *used < 0 {
            return;
        }
        // Ascending from the least: the first that was left is the first to go.
        self.left_clock += 1;
        self.order.remove(used);
        *used = i64::MIN + self.left_clock;
        self.order.insert(*used, id);
        self.left += weight(content);
        while self.left > LEFT_BYTES {
            self.evict();
        }
    }

    fn keep(&mut self, id: Id, content: Content, budget: usize) {
        self.bytes += weight(&content);
        while self.bytes > budget && !self.order.is_empty() {
            self.evict();
        }
        self.clock += 1;
        self.order.insert(self.clock, id);
        self.slots.insert(id, Slot::Here { content, used: self.clock });
    }

    /// Lets go of the first in order.
    fn evict(&mut self) {
        let Some((used, id)) = self.order.pop_first() else { return };
        let Some(Slot::Here { content, .. }) = self.slots.remove(&id) else { return };
        let size = content.room();
        self.bytes -= weight(&content);
        if used < 0 {
            self.left -= weight(&content);
        }
        let spare: usize = self.spare.iter().map(Memory::room).sum();
        // Who still reads it lets go of it later, and then it is gone.
        if size >= SPARE_LEAST
            && spare + size <= self.spare_most
            && let Some(memory) = Arc::into_inner(content)
        {
            self.spare.push(memory);
        }
    }

    /// Memory for so many bytes that was used before, if it is not much more than that.
    fn spare_for(&mut self, len: usize) -> Option<Memory> {
        let fits = |memory: &Memory| memory.room() >= len && memory.room() / 2 <= len;
        let index = self.spare.iter().position(fits)?;
        Some(self.spare.swap_remove(index))
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

    fn has(cache: &ChunkCache, number: u8) -> bool {
        matches!(cache.state().slots.get(&id(number)), Some(Slot::Here { .. }))
    }

    fn put(cache: &ChunkCache, number: u8, len: usize) -> Content {
        cache.claim(&id(number)).expect("it is not there yet").done(&vec![number; len])
    }

    #[test]
    fn many_who_want_one_chunk_have_it_decoded_once() {
        let cache = ChunkCache::new(1000);
        let (loads, together) = (AtomicUsize::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    let content = match cache.look(&id(1)) {
                        Look::Here(content) | Look::Came(content) => content,
                        Look::Ours(loading) => {
                            loads.fetch_add(1, Ordering::Relaxed);
                            std::thread::yield_now();
                            loading.done(&[7; 100])
                        }
                    };
                    assert_eq!(**content, [7; 100]);
                });
            }
        });
        assert_eq!(loads.into_inner(), 1);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = ChunkCache::new(2 * (100 + BESIDE) + 100);
        put(&cache, 1, 100);
        put(&cache, 2, 100);
        assert!(matches!(cache.look(&id(1)), Look::Here(_)));
        put(&cache, 3, 100);
        assert!(has(&cache, 1) && has(&cache, 3) && !has(&cache, 2));
        put(&cache, 4, 9000);
        assert!(has(&cache, 4) && !has(&cache, 1), "a chunk beyond the budget is kept alone");
        assert_eq!(cache.state().bytes, 9000 + BESIDE);
    }

    #[test]
    fn what_was_left_behind_goes_before_all_else_unless_it_is_wanted_again() {
        let cache = ChunkCache::new(3 * (100 + BESIDE) + 100);
        for number in [1, 2, 3] {
            put(&cache, number, 100);
        }
        cache.leave([id(2), id(3), id(9)]);
        assert!(matches!(cache.look(&id(2)), Look::Here(_)));
        put(&cache, 4, 100);
        assert!(has(&cache, 1) && has(&cache, 2) && !has(&cache, 3));
        let state = cache.state();
        assert_eq!((state.left, state.bytes), (0, 3 * (100 + BESIDE)));
    }

    #[test]
    fn little_is_kept_of_what_was_left_behind() {
        let cache = ChunkCache::new(usize::MAX);
        let half = LEFT_BYTES / 2 - BESIDE;
        for number in [1, 2, 3] {
            put(&cache, number, half);
            cache.leave([id(number), id(number)]);
        }
        assert!(!has(&cache, 1) && has(&cache, 2) && has(&cache, 3));
        let state = cache.state();
        assert_eq!((state.left, state.bytes), (LEFT_BYTES, LEFT_BYTES));
    }

    #[test]
    fn memory_of_what_goes_is_used_again_once_nobody_reads_it() {
        let cache = ChunkCache::new(SPARE_PART * SPARE_LEAST);
        // Always used last, so that beside it there is room for one more.
        let most = put(&cache, 9, (SPARE_PART - 3) * SPARE_LEAST);
        let again =
            || assert!(matches!(cache.look(&id(9)), Look::Here(content) if Arc::ptr_eq(&content, &most)));
        let first = put(&cache, 1, SPARE_LEAST);
        again();
        let place = put(&cache, 2, SPARE_LEAST).as_ptr();
        again();
        assert!(cache.state().spare.is_empty() && first[0] == 1, "who reads it reads on");
        put(&cache, 3, SPARE_LEAST);
        again();
        let fourth = put(&cache, 4, SPARE_LEAST - 10);
        assert_eq!((fourth.as_ptr(), fourth.len(), fourth[0]), (place, SPARE_LEAST - 10, 4));
    }

    #[test]
    fn a_failure_is_not_kept_and_who_waits_tries_again() {
        let cache = ChunkCache::new(1000);
        let loading = cache.claim(&id(1)).unwrap();
        assert!(cache.claim(&id(1)).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| match cache.look(&id(1)) {
                Look::Ours(loading) => loading.done(b"better").len(),
                other => panic!("{other:?}"),
            });
            drop(loading);
            assert_eq!(waiting.join().unwrap(), 6);
        });
        assert!(has(&cache, 1));
    }
}
