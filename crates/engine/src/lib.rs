//! The engine: a plan is a value, and everything that can be done with it follows from that.
//!
//! An [`Effect`] is one undoable change on a host. A [`Plan`] is a list of [`Step`]s, each one effect. A
//! [`Journal`] records, synced to disk before every change, how far a plan has come. [`drive`] is the only
//! function that runs anything: first run, resume and rollback are one. [`Script`]s are the same steps in
//! bash. The engine knows neither Docker archives nor Borg: where content comes from is the [`Source`] port.

mod change;
mod clock;
mod cx;
mod drive;
mod effect;
mod effects;
mod error;
mod event;
mod journal;
mod operations;
mod plan;
mod record;
mod script;
mod source;
mod state;

pub use change::Change;
pub use clock::{Clock, SystemClock};
pub use cx::{Cx, Direction, Unwatched, Watch};
pub use drive::{Outcome, drive, expire, rehearse};
pub use effect::{Effect, Observed};
pub use effects::{
    AwaitHealthy, BackUp, ComposeCreate, CreateContainer, CreateNetwork, CreateVolume, Edit, KEPT_LABEL,
    Keep, Lvm, MakeDir, Mirror, OPERATION_LABEL, OpenStore, Place, Recorded as RecordedTexts, Service,
    SetAside, Snapshot, SnapshotKind, Stage, StartContainer, StopContainer, Swap, TreeCopy, Way,
};
pub use error::{Error, Result};
pub use event::{Cause, Event, Goal, Recorded, Verdict};
pub use journal::Journal;
pub use operations::{Exclusive, Operations};
pub use plan::{Estimate, Plan, SourceRef, SpaceNeed, Step};
pub use record::{Record, Status, StepRecord, StepStatus};
pub use script::{Detail, Script, script};
pub use source::{Differences, Extracted, Source, SourceError};
pub use state::{Progress, State};
