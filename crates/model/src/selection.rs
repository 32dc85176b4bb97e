//! What a person chose to restore, to where, and how.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Contents, Item, ItemKind, ItemRef};

/// Which items of an archive a restore takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreType {
    /// Everything found.
    Full,
    /// Volumes alone.
    VolumesOnly,
    /// Compose projects alone.
    ComposeOnly,
    /// The items named.
    Custom,
}

/// How compose files are changed for an alternative location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adaptation {
    /// As they were.
    #[default]
    None,
    /// Paths rewritten to the restored ones.
    AutoModify,
    /// As `AutoModify`, the file as it was kept beside it as `….original`.
    GenerateNew,
}

/// How much of what is there gives way to what is restored in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// All of it: the whole tree is restored beside it, and takes its place.
    #[default]
    Replace,
    /// What differs from the archive, by content: the same in the end, with the least writing.
    OnlyChanged,
    /// What is missing or differs. What the archive does not hold stays.
    Merge,
}

/// What makes a restore in place undoable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protect {
    /// What is replaced is kept on its file system, exchanged as a whole where that can be.
    #[default]
    Auto,
    /// A snapshot of the file system; what is replaced is written over.
    Snapshot,
}

/// Where restored items go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Where they came from.
    InPlace,
    /// Below this directory.
    Directory(PathBuf),
}

/// Type, items and destination of a restore, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Which items.
    pub restore_type: RestoreType,
    /// The items named, for [`RestoreType::Custom`].
    pub items: Vec<ItemRef>,
    /// Where they go.
    pub destination: Destination,
    /// What happens to compose files there.
    pub adaptation: Adaptation,
    /// Whether containers stopped for the restore are started again.
    pub restart: bool,
    /// How much gives way.
    #[serde(default)]
    pub manner: Manner,
    /// What makes it undoable.
    #[serde(default)]
    pub protect: Protect,
    /// Whether what is there goes into an archive of the repository before.
    #[serde(default)]
    pub backup_before: bool,
}

/// The chosen items of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The items, none of them inside another.
    pub items: Vec<Item>,
    /// Items that were chosen too but lie inside a chosen one and come back with it.
    pub covered: Vec<Item>,
}

/// A choice that an archive cannot serve.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectionError {
    /// A named item is not there.
    #[error("the archive `{archive}` holds no {item}")]
    NoSuchItem {
        /// The archive looked in.
        archive: String,
        /// What was asked for.
        item: ItemRef,
    },
    /// Nothing of the wanted type is there.
    #[error("the archive `{0}` holds nothing of what was asked for")]
    Empty(String),
    /// `Custom` without items, or items without `Custom`.
    #[error("a custom restore needs at least one --item KIND:NAME")]
    NothingNamed,
}

impl Selection {
    /// The items of `contents` that `choice` asks for.
    pub fn new(contents: &Contents, choice: &Choice) -> Result<Self, SelectionError> {
        let kinds: &[ItemKind] = match choice.restore_type {
            RestoreType::Full => &[ItemKind::Volume, ItemKind::Project, ItemKind::Config],
            RestoreType::VolumesOnly => &[ItemKind::Volume],
            RestoreType::ComposeOnly => &[ItemKind::Project],
            RestoreType::Custom => return Self::named(contents, &choice.items),
        };
        let items: Vec<Item> = contents.items.iter().filter(|i| kinds.contains(&i.kind)).cloned().collect();
        if items.is_empty() {
            return Err(SelectionError::Empty(contents.archive.clone()));
        }
        Ok(Self::without_nested(items))
    }

    fn named(contents: &Contents, names: &[ItemRef]) -> Result<Self, SelectionError> {
        if names.is_empty() {
            return Err(SelectionError::NothingNamed);
        }
        let mut items: Vec<Item> = Vec::new();
        for name in names {
            let item = contents.item(name).ok_or_else(|| SelectionError::NoSuchItem {
                archive: contents.archive.clone(),
                item: name.clone(),
            })?;
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        Ok(Self::without_nested(items))
    }

    /// A project inside another chosen project's directory comes back with it: restoring both would
    /// exchange the inner tree twice.
    fn without_nested(items: Vec<Item>) -> Self {
        let inside = |item: &Item| {
            items.iter().any(|outer| {
                item.path.strip_prefix(outer.path.as_str()).is_some_and(|rest| rest.starts_with('/'))
                    || (outer.path.is_empty() && !item.path.is_empty())
            })
        };
        let (covered, items) = items.iter().cloned().partition(inside);
        Self { items, covered }
    }

    /// Bytes of content in all chosen items.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum()
    }

    /// Entries in all chosen items.
    pub fn entries(&self) -> u64 {
        self.items.iter().map(|item| item.entries).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    fn item(kind: ItemKind, name: &str, path: &str) -> Item {
        Item {
            kind,
            name: name.into(),
            path: path.into(),
            bytes: 1,
            entries: 1,
            compose_file: None,
            project: None,
            volume_key: None,
        }
    }

    fn contents() -> Contents {
        Contents {
            archive: "nightly".into(),
            origin: Origin::Paths,
            record: None,
            items: vec![
                item(ItemKind::Volume, "db", "var/lib/docker/volumes/db/_data"),
                item(ItemKind::Project, "shop", "srv/shop"),
                item(ItemKind::Project, "shop2", "srv/shop2"),
                item(ItemKind::Project, "inner", "srv/shop/inner"),
            ],
            bytes: 4,
            entries: 4,
            findings: vec![],
        }
    }

    fn choice(restore_type: RestoreType, items: &[&str]) -> Choice {
        Choice {
            restore_type,
            items: items.iter().map(|i| i.parse().unwrap()).collect(),
            destination: Destination::InPlace,
            adaptation: Adaptation::None,
            restart: true,
            manner: Manner::default(),
            protect: Protect::default(),
            backup_before: false,
        }
    }

    #[test]
    fn an_item_inside_a_chosen_one_is_covered_by_it() {
        let selection = Selection::new(&contents(), &choice(RestoreType::ComposeOnly, &[])).unwrap();
        let names: Vec<_> = selection.items.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["shop", "shop2"]);
        assert_eq!(selection.covered[0].name, "inner");
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error_that_says_so() {
        let error = Selection::new(&contents(), &choice(RestoreType::Custom, &["volume:nope"])).unwrap_err();
        assert_eq!(error.to_string(), "the archive `nightly` holds no volume:nope");
    }

    #[test]
    fn naming_an_item_twice_takes_it_once() {
        let twice = choice(RestoreType::Custom, &["volume:db", "volume:db"]);
        assert_eq!(Selection::new(&contents(), &twice).unwrap().items.len(), 1);
    }
}
