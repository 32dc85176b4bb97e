//! Two things at a time.

use std::panic::resume_unwind;
use std::thread;

/// What `one` and `other` answer, asked at the same time; one after the other where there are too many threads for one more.
pub fn both<A: Send, B>(one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let asked = thread::Builder::new().spawn_scoped(scope, &one);
        let other = other();
        let one = match asked {
            Ok(asked) => asked.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => one(),
        };
        (one, other)
    })
}
