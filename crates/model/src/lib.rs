//! The words of the domain: what every part of Reprise talks about. No I/O, no threads, no clock.

mod observe;

pub use observe::{Observer, Unobserved};
