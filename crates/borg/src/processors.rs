//! How much can be done at a time.

use std::num::NonZero;
use std::thread;

/// How many processors this process may use; one where that cannot be told.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
