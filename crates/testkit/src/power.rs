//! Power cuts: the program is gone from one moment to the next, the world stays as it is.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// What a simulated power cut panics with.
#[derive(Debug, Clone, Copy)]
pub struct PowerCut;

impl PowerCut {
    /// Cuts the power. Nothing of the program under test may catch this.
    pub fn now() -> ! {
        panic::panic_any(Self)
    }
}

/// Runs `work`; nothing when the power was cut in it. Other panics go on as they are.
pub fn until_power_cut<T>(work: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<PowerCut>() {
                usual(info);
            }
        }));
    });
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<PowerCut>() => None,
        Err(payload) => panic::resume_unwind(payload),
    }
}
