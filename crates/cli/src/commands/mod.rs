//! One file per command.

pub mod archives;
pub mod completions;
pub mod contents;
pub mod docker_restore;
pub mod operations;
