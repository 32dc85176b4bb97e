//! Recipes: what restoring one kind of thing means.
//!
//! A recipe is planning and nothing else: facts about the backup, facts about the host and what a person
//! chose go in, a plan comes out. Looking at the host is a step of its own before it ([`docker::survey`]).

pub mod backup;
pub mod borg;
pub mod docker;
