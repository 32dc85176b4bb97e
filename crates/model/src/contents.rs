//! What an archive holds, in the words of the thing it backs up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Finding;

/// What kind of thing an [`Item`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// A named Docker volume.
    Volume,
    /// A Compose project: the directory that holds its compose file.
    Project,
    /// Configuration of the Docker engine itself.
    Config,
}

impl ItemKind {
    /// The word used on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Project => "project",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Names one item of an archive: `volume:shop_db`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemRef {
    /// The item's kind.
    pub kind: ItemKind,
    /// The item's name, unique within its kind.
    pub name: String,
}

impl fmt::Display for ItemRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// A text that names no item.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` does not name an item; write KIND:NAME with the kind volume, project or config, as in volume:shop_db"
)]
pub struct ParseItemRefError(String);

impl FromStr for ItemRef {
    type Err = ParseItemRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseItemRefError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(refuse)?;
        let kind = match kind {
            "volume" => ItemKind::Volume,
            "project" | "compose" => ItemKind::Project,
            "config" => ItemKind::Config,
            _ => return Err(refuse()),
        };
        if name.is_empty() { Err(refuse()) } else { Ok(Self { kind, name: name.to_owned() }) }
    }
}

/// One thing in an archive that can be chosen and restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its kind.
    pub kind: ItemKind,
    /// Its name, unique within its kind.
    pub name: String,
    /// Where it lies in the archive, without a leading slash.
    pub path: String,
    /// Bytes of content, each hard-linked file once.
    pub bytes: u64,
    /// Files, directories, links and all else below `path`, itself included.
    pub entries: u64,
    /// For a project: its compose file's name within `path`. For a volume: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose_file: Option<String>,
    /// For a volume: the Compose project it belongs to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// For a volume of a project: what the compose file calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_key: Option<String>,
}

impl Item {
    /// The item's kind and name.
    pub fn reference(&self) -> ItemRef {
        ItemRef { kind: self.kind, name: self.name.clone() }
    }
}

/// How it is known what an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The backup recorded what it took along.
    Recorded,
    /// Nothing was recorded: found by looking at the paths.
    Paths,
}

/// What analysing an archive found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The archive's name.
    pub archive: String,
    /// How the items are known.
    pub origin: Origin,
    /// Where the archive has what the backup recorded, without a leading slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Volumes, projects and configs, in that order, each by name.
    pub items: Vec<Item>,
    /// Bytes of content of the whole archive, each hard-linked file once.
    pub bytes: u64,
    /// Entries of the whole archive.
    pub entries: u64,
    /// What the analysis could not make sense of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Contents {
    /// The item `reference` names, if the archive holds it.
    pub fn item(&self, reference: &ItemRef) -> Option<&Item> {
        self.items.iter().find(|item| item.kind == reference.kind && item.name == reference.name)
    }
}
