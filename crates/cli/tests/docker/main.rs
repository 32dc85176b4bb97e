//! The whole program on real Docker, with archives of the real `borg`. One file per promise.

#[path = "../support/mod.rs"]
mod support;

mod cancelled;
mod dry_run;
mod faults;
mod in_place;
mod killed;
mod rows;
