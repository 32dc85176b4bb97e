//! What the checks before a restore found.

use serde::{Deserialize, Serialize};

use crate::{ItemRef, Message};

/// How much a [`Finding`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Think before going on.
    Warning,
    /// The restore will not start.
    Blocker,
}

/// Something the checks found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was found. Its key is the finding's stable code.
    pub message: Message,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Message>,
    /// The item it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemRef>,
}

impl Finding {
    /// A finding about no single item. What is more than an [`Severity::Info`] has the advice that is called like its code,
    /// with `-advice` behind it, about the same things.
    pub fn new(severity: Severity, message: Message) -> Self {
        let advice = (severity != Severity::Info).then(|| message.advice());
        Self { severity, message, advice, item: None }
    }

    /// The same with this to do about it.
    #[must_use]
    pub fn advise(self, advice: Message) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// The same, about `item`.
    #[must_use]
    pub fn about(self, item: ItemRef) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The stable code that scripts may match.
    pub fn code(&self) -> &str {
        self.message.key()
    }
}
