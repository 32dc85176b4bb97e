//! The unit of change and of its undoing.

use reprise_model::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Cx, Result, Script};

/// What an effect finds before it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<B> {
    /// It has to act; this is what it must know to undo it.
    Needed(B),
    /// The host is already as it should be: nothing is done, and nothing will be undone.
    Satisfied,
}

/// One undoable change on a host.
///
/// Laws, tested for every effect: *observe changes nothing; apply twice, then observe: satisfied; undo
/// twice: the state before; whatever moment the power fails, driving reaches its goal the next time.*
pub trait Effect: Serialize + DeserializeOwned {
    /// What must be known to undo it. Journaled and synced *before* the change.
    type Before: Serialize + DeserializeOwned;

    /// The effect in words.
    fn describe(&self) -> Message;

    /// The same in bash.
    fn render(&self, script: &mut Script);

    /// Looks, and changes nothing. Fails when the host is in a state that the effect was not planned for.
    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Self::Before>>;

    /// Makes the change, or finishes one that was cut off.
    fn apply(&self, before: &Self::Before, cx: &Cx<'_>) -> Result<()>;

    /// `before` with what can only be told once the change is made: what of the host is its work. Journaled and synced
    /// like the first, in its place; where the change was cut off, undoing has to do without.
    fn made(&self, before: Self::Before, _: &Cx<'_>) -> Result<Self::Before> {
        Ok(before)
    }

    /// Takes the change back, wherever it was cut off.
    fn undo(&self, before: &Self::Before, cx: &Cx<'_>) -> Result<()>;
}
