//! The whole program on real Docker, with archives of the real `borg`. One file per promise.

#[path = "../support/mod.rs"]
mod support;

mod in_place;
