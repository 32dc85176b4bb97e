//! A clock on which time passes only by sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reprise_engine::Clock;

/// Tells a time that moves on by [`Clock::sleep`] and [`FakeClock::advance`] alone. Clones share it.
#[derive(Debug, Clone)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// The clock at 2026-11-21 03:00:00 UTC.
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_795_230_000_000)))
    }

    /// Lets `duration` pass.
    pub fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).expect("a time within range")
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}
