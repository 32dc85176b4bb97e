//! What a journal records. Old journals must always parse: add, never change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Plan;

/// Where a plan is being driven to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Every step applied.
    Applied,
    /// Every step undone.
    Reverted,
}

/// Why a plan is being driven there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Someone asked for it.
    Asked,
    /// A step failed.
    Failed {
        /// What happened.
        error: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// Someone cancelled.
    Cancelled,
}

/// How driving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every step is applied.
    Completed,
    /// Every step is undone.
    RolledBack,
    /// A step could not be undone.
    RollbackIncomplete,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan, first of all.
    Planned {
        /// All that is to be done.
        plan: Box<Plan>,
    },
    /// From here on the plan is driven to `goal`.
    Aimed {
        /// Where to.
        goal: Goal,
        /// Why.
        cause: Cause,
    },
    /// A step had nothing to do.
    Satisfied {
        /// Which.
        step: usize,
    },
    /// A step is about to change the host, or has and knows better now how to undo it.
    Started {
        /// Which.
        step: usize,
        /// What must be known to undo it.
        before: serde_json::Value,
    },
    /// A step has changed the host.
    Done {
        /// Which.
        step: usize,
    },
    /// A step failed; what it did so far is still to be undone.
    Failed {
        /// Which.
        step: usize,
        /// What happened.
        error: String,
    },
    /// A step was undone.
    Undone {
        /// Which.
        step: usize,
    },
    /// A step could not be undone.
    UndoFailed {
        /// Which.
        step: usize,
        /// What happened.
        error: String,
    },
    /// Something people should know that stopped nothing.
    Warned {
        /// What.
        warning: reprise_model::Message,
    },
    /// Driving ended.
    Finished {
        /// How.
        verdict: Verdict,
    },
    /// What was kept for a rollback is gone: there is no way back.
    Expired,
    /// All of that is removed.
    Cleared,
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}
