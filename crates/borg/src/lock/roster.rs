//! `lock.roster`: who reads the repository, as JSON. To be touched only while holding the exclusive lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::owner::Owner;

/// The roster's content, without entries of processes of this host that are gone.
pub(super) struct Roster {
    entries: Map<String, Value>,
}

fn path(repository: &Path) -> PathBuf {
    repository.join("lock.roster")
}

impl Roster {
    pub fn load(repository: &Path, this_host: &str) -> io::Result<Self> {
        let text = match fs::read(path(repository)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        // One that is empty or no JSON counts as absent, for Borg too: a crash may have cut it off.
        let mut entries: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
        for list in entries.values_mut().filter_map(Value::as_array_mut) {
            list.retain(|entry| owner(entry).is_none_or(|owner| owner.may_be_alive(this_host)));
        }
        Ok(Self { entries })
    }

    pub fn add(&mut self, owner: &Owner) {
        self.remove(owner);
        let list = self.entries.entry("shared").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!([owner.host, owner.process, owner.thread]));
        }
    }

    pub fn remove(&mut self, left: &Owner) {
        if let Some(list) = self.entries.get_mut("shared").and_then(Value::as_array_mut) {
            list.retain(|entry| owner(entry).as_ref() != Some(left));
        }
    }

    /// Writes the roster, or removes the file if nobody is left.
    pub fn save(&self, repository: &Path) -> io::Result<()> {
        let empty = self.entries.values().all(|list| list.as_array().is_some_and(Vec::is_empty));
        if !empty {
            return fs::write(path(repository), Value::Object(self.entries.clone()).to_string());
        }
        match fs::remove_file(path(repository)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn owner(entry: &Value) -> Option<Owner> {
    Some(Owner {
        host: entry.get(0)?.as_str()?.to_owned(),
        process: u32::try_from(entry.get(1)?.as_u64()?).ok()?,
        thread: entry.get(2)?.as_u64()?,
    })
}
