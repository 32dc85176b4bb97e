//! One file per command.

pub mod archives;
pub mod cat;
pub mod completions;
pub mod contents;
pub mod docker_inventory;
pub mod docker_restore;
pub mod export_tar;
pub mod express;
pub mod extract;
pub mod find;
pub mod host;
pub mod info;
pub mod ls;
pub mod mount;
pub mod operations;
pub mod verify;
