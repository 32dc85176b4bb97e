//! What a plan is asked for.

use std::path::PathBuf;

use jiff::Timestamp;
use reprise_engine::SourceRef;
use reprise_model::{Choice, Contents, Finding, Message, OperationId, Selection};

use super::health::HealthChoice;

/// What a plan is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The operation's id.
    pub id: &'a OperationId,
    /// Now.
    pub now: Timestamp,
    /// The backup.
    pub source: &'a SourceRef,
    /// What it holds.
    pub contents: &'a Contents,
    /// What was chosen.
    pub choice: &'a Choice,
    /// The items of that choice.
    pub selection: &'a Selection,
    /// How old the backup is, in seconds, where that is known.
    pub age_seconds: Option<u64>,
    /// Paths that no target may touch, each with what it is: the state directory, the repository.
    pub reserved: &'a [(PathBuf, Message)],
    /// Seconds after which a restore that is not done is undone, if it is not to take its time.
    pub limit_seconds: Option<u64>,
    /// What is asked for of the health of containers.
    pub health: HealthChoice,
    /// What is known about the backup or the state of things that the recipe cannot see.
    pub remarks: &'a [Finding],
}
