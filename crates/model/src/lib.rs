//! The words of the domain: what every part of Reprise talks about. No I/O, no threads, no clock.

mod contents;
mod finding;
mod human;
mod id;
mod message;
mod observe;
mod selection;

pub use contents::{Contents, Item, ItemKind, ItemRef, Origin, ParseItemRefError};
pub use finding::{Finding, Severity};
pub use human::{human_bytes, human_seconds};
pub use id::{OperationId, ParseOperationIdError};
pub use message::{Arg, Lang, Message, known_keys};
pub use observe::{Observer, Unobserved};
pub use selection::{
    Adaptation, Choice, Destination, Manner, Protect, RestoreType, Selection, SelectionError,
};
