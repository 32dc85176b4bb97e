//! The whole program on real Docker, with archives of the real `borg`. One file per promise.

#[path = "../support/mod.rs"]
mod support;

mod backed_up;
mod cancelled;
mod conflicts;
mod dry_run;
mod elsewhere;
mod express;
mod faults;
mod guides;
mod hostile;
mod in_place;
mod json;
mod killed;
mod lvm;
mod matrix;
mod mirrored;
mod projects;
mod recreated;
mod remote;
mod rows;
mod scripts;
mod secrets;
