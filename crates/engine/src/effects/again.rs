//! What goes between this machine and another is begun anew when the connection was lost on the way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reprise_model::Observer;

use crate::{Cx, Error, Result};

/// The pauses before it is.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Does `work`, from its beginning again while the connection is lost; unless somebody cancels it, a few times. What it tells its
/// observer a second time is not told on.
pub fn while_lost<T>(cx: &Cx<'_>, work: impl Fn(&dyn Observer) -> Result<T>) -> Result<T> {
    let seen = Seen::default();
    let mut pauses = PAUSES.iter();
    loop {
        match work(&seen.again(cx.watch)) {
            Err(error) if is_lost(&error) && !cx.watch.cancelled() => match pauses.next() {
                Some(pause) => cx.clock.sleep(*pause),
                None => return Err(error),
            },
            ended => return ended,
        }
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Host(error) if error.is_connection_lost())
}

/// How far the progress has been told, over attempts: what is sent again is not told again.
#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    items: AtomicU64,
}

impl Seen {
    fn again<'a>(&'a self, observer: &'a dyn Observer) -> Again<'a> {
        Again { seen: self, observer, bytes: AtomicU64::new(0), items: AtomicU64::new(0) }
    }
}

/// One attempt.
struct Again<'a> {
    seen: &'a Seen,
    observer: &'a dyn Observer,
    bytes: AtomicU64,
    items: AtomicU64,
}

impl Observer for Again<'_> {
    fn advance(&self, bytes: u64, items: u64) {
        let further = |now: &AtomicU64, most: &AtomicU64, by: u64| {
            let now = now.fetch_add(by, Ordering::Relaxed) + by;
            now.saturating_sub(most.fetch_max(now, Ordering::Relaxed))
        };
        let bytes = further(&self.bytes, &self.seen.bytes, bytes);
        let items = further(&self.items, &self.seen.items, items);
        self.observer.advance(bytes, items);
    }
    fn item(&self, path: &[u8]) {
        self.observer.item(path);
    }
    fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }
}
