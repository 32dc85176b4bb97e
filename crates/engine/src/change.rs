//! The effects there are, as one serialisable type.

use reprise_model::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effects::{
    AwaitHealthy, BackUp, ComposeCreate, CreateContainer, CreateNetwork, CreateVolume, Keep, MakeDir, Mirror,
    OpenStore, Place, SetAside, Snapshot, Stage, StartContainer, StopContainer, Swap,
};
use crate::{Cx, Effect, Error, Observed, Result, Script};

macro_rules! changes {
    ($($name:ident),+) => {
        /// One of the effects a plan is made of.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "effect", rename_all = "snake_case")]
        pub enum Change {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)+
        }

        impl Change {
            /// The kinds of changes there are, by the names of their types.
            pub const KINDS: &[&str] = &[$(stringify!($name)),+];

            /// The change in words.
            pub fn describe(&self) -> Message {
                match self { $(Self::$name(effect) => effect.describe(),)+ }
            }

            /// The change in bash.
            pub fn render(&self, script: &mut Script) {
                match self { $(Self::$name(effect) => effect.render(script),)+ }
            }

            /// See [`Effect::observe`].
            pub fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Value>> {
                match self { $(Self::$name(effect) => observe(effect, cx),)+ }
            }

            /// See [`Effect::apply`].
            pub fn apply(&self, before: &Value, cx: &Cx<'_>) -> Result<()> {
                match self { $(Self::$name(effect) => effect.apply(&typed(before)?, cx),)+ }
            }

            /// See [`Effect::made`].
            pub fn made(&self, before: &Value, cx: &Cx<'_>) -> Result<Value> {
                match self { $(Self::$name(effect) => made(effect, before, cx),)+ }
            }

            /// See [`Effect::undo`].
            pub fn undo(&self, before: &Value, cx: &Cx<'_>) -> Result<()> {
                match self { $(Self::$name(effect) => effect.undo(&typed(before)?, cx),)+ }
            }
        }
    };
}

changes!(
    MakeDir,
    CreateVolume,
    CreateNetwork,
    OpenStore,
    Stage,
    StopContainer,
    BackUp,
    Snapshot,
    Swap,
    Mirror,
    Place,
    SetAside,
    ComposeCreate,
    CreateContainer,
    StartContainer,
    AwaitHealthy
);

impl Change {
    /// Whether applying it reads the backup.
    pub fn reads_backup(&self) -> bool {
        match self {
            Self::Stage(_) | Self::BackUp(_) => true,
            Self::Mirror(mirror) => !mirror.way.is_staged(),
            _ => false,
        }
    }

    /// What it keeps for a rollback, in words for people: a path, or a name.
    pub fn keeps(&self) -> Option<String> {
        match self {
            Self::Swap(swap) => Some(swap.kept.display().to_string()),
            Self::Mirror(mirror) if mirror.keep == Keep::InStore => Some(mirror.store.display().to_string()),
            Self::Snapshot(snapshot) => Some(snapshot.name()),
            Self::SetAside(aside) => Some(format!("container {}", aside.kept)),
            Self::BackUp(back_up) => Some(back_up.archive.clone()),
            _ => None,
        }
    }

    /// Whether what it keeps is still there when it was undone.
    pub(crate) fn outlives_undoing(&self) -> bool {
        matches!(self, Self::BackUp(_))
    }

    /// Removes what it keeps for a rollback; fine when that is gone. There is no undoing it afterwards.
    pub(crate) fn forget(&self, cx: &Cx<'_>) -> Result<()> {
        match self {
            Self::Swap(swap) => Ok(cx.host.remove_tree(&swap.kept)?),
            Self::Mirror(mirror) => mirror.forget(cx),
            Self::Snapshot(snapshot) => snapshot.forget(cx),
            Self::SetAside(aside) => aside.forget(cx),
            Self::BackUp(back_up) => Ok(cx.source.remove_archive(&back_up.archive)?),
            _ => Ok(()),
        }
    }

    /// Whether it can be applied again on top of the steps after it, to make sure that it still holds. A
    /// tree that was staged and has gone to its place would be staged anew; a container that was stopped
    /// may run again by a later step, and one that made room has a successor.
    pub(crate) fn can_be_confirmed(&self) -> bool {
        !matches!(self, Self::Stage(_) | Self::StopContainer(_) | Self::SetAside(_))
    }
}

fn observe<E: Effect>(effect: &E, cx: &Cx<'_>) -> Result<Observed<Value>> {
    Ok(match effect.observe(cx)? {
        Observed::Needed(before) => Observed::Needed(serde_json::to_value(before).map_err(unreadable)?),
        Observed::Satisfied => Observed::Satisfied,
    })
}

fn made<E: Effect>(effect: &E, before: &Value, cx: &Cx<'_>) -> Result<Value> {
    serde_json::to_value(effect.made(typed(before)?, cx)?).map_err(unreadable)
}

fn typed<B: serde::de::DeserializeOwned>(before: &Value) -> Result<B> {
    serde_json::from_value(before.clone()).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::Refused {
        what: "the journal".to_owned(),
        why: format!("what it recorded to undo a step cannot be read: {error}"),
        hint: "it was written by another version of Reprise; use that version for this operation",
    }
}
