//! What somebody wanted and could not have. The kernel has only a number for that, so it is told to whoever mounted as well.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Told in such a time at most this often: what is told must not become a burden of its own.
const PERIOD: Duration = Duration::from_mins(1);
const PER_PERIOD: usize = 20;
/// Remembered as told. Beyond, the same may be told again.
const REMEMBERED: usize = 10_000;

/// Something that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// The archive's name.
    pub archive: String,
    /// The path in it, as it is recorded; empty for the archive as a whole.
    pub path: Vec<u8>,
    /// Bytes of the file's content; `None` for all of it.
    pub range: Option<Range<u64>>,
    /// Why.
    pub reason: String,
    /// How many others there were since the last that was told, too many to tell each.
    pub others: usize,
}

/// Who is told. Called from threads of the file system, which wait for it.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(&Trouble) + Send + Sync>);

impl Listener {
    /// Tells `listen`.
    pub fn new(listen: impl Fn(&Trouble) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// Tells each trouble once, and not too many.
#[derive(Debug)]
pub struct Teller {
    listener: Option<Listener>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    /// By inode and where in the file.
    known: HashSet<(u64, u64)>,
    begin: Instant,
    count: usize,
    others: usize,
}

impl Teller {
    /// Tells `listener`, if there is one.
    pub fn new(listener: Option<Listener>) -> Self {
        let told = Told { known: HashSet::new(), begin: Instant::now(), count: 0, others: 0 };
        Self { listener, told: Mutex::new(told) }
    }

    /// Tells what is wrong with an inode, from the byte `start` on if that is about its content.
    pub fn tell(&self, inode: u64, start: u64, trouble: impl FnOnce() -> Trouble) {
        let Some(Listener(listen)) = &self.listener else { return };
        let Some(others) = self.told().note((inode, start), Instant::now()) else { return };
        listen(&Trouble { others, ..trouble() });
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// How many were left out before this one; `None` if it is not to be told.
    fn note(&mut self, key: (u64, u64), now: Instant) -> Option<usize> {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        if !self.known.insert(key) {
            return None;
        }
        if now.saturating_duration_since(self.begin) > PERIOD {
            (self.begin, self.count) = (now, 0);
        }
        self.count += 1;
        if self.count > PER_PERIOD {
            self.others += 1;
            return None;
        }
        Some(std::mem::take(&mut self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_a_flood_is_counted() {
        let mut told = Teller::new(None).told.into_inner().unwrap();
        let begin = told.begin;
        assert_eq!(told.note((7, 0), begin), Some(0));
        assert_eq!(told.note((7, 0), begin), None, "the same again");
        for start in 1..PER_PERIOD as u64 {
            assert_eq!(told.note((7, start), begin), Some(0));
        }
        for start in 100..150 {
            assert_eq!(told.note((7, start), begin), None);
        }
        assert_eq!(told.note((8, 0), begin + 2 * PERIOD), Some(50));
        assert_eq!(told.note((8, 1), begin + 2 * PERIOD), Some(0));
    }
}
