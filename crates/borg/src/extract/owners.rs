//! Users and groups of this machine, by name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Group, User};

use super::Owners;
use crate::item::Item;

/// Finds numbers for names, asking for each name once.
#[derive(Debug)]
pub(super) struct Directory {
    by: Owners,
    users: Mutex<HashMap<Vec<u8>, Option<u32>>>,
    groups: Mutex<HashMap<Vec<u8>, Option<u32>>>,
}

impl Directory {
    pub fn new(by: Owners) -> Self {
        Self { by, users: Mutex::default(), groups: Mutex::default() }
    }

    /// User and group that the item is to belong to, where known.
    pub fn of(&self, item: &Item) -> (Option<u32>, Option<u32>) {
        (
            item.user.as_deref().and_then(|name| self.user(name)).or(item.uid),
            item.group.as_deref().and_then(|name| self.group(name)).or(item.gid),
        )
    }

    /// The number of a user, if users are to be found by name and there is one of this name.
    pub fn user(&self, name: &[u8]) -> Option<u32> {
        self.find(&self.users, name, |name| Some(User::from_name(name).ok()??.uid.as_raw()))
    }

    /// The number of a group, likewise.
    pub fn group(&self, name: &[u8]) -> Option<u32> {
        self.find(&self.groups, name, |name| Some(Group::from_name(name).ok()??.gid.as_raw()))
    }

    fn find(
        &self,
        known: &Mutex<HashMap<Vec<u8>, Option<u32>>>,
        name: &[u8],
        ask: impl Fn(&str) -> Option<u32>,
    ) -> Option<u32> {
        if self.by == Owners::Numeric || name.is_empty() {
            return None;
        }
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.get(name) {
            return *number;
        }
        let number = std::str::from_utf8(name).ok().and_then(ask);
        known.insert(name.to_vec(), number);
        number
    }
}
