//! Whom things belong to on this machine.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Group, User};

/// Finds users and groups, by number or by name, as Borg does: a name that this machine knows counts more.
#[derive(Debug)]
pub struct Owners {
    by_name: bool,
    users: Names,
    groups: Names,
}

type Names = Mutex<HashMap<Vec<u8>, Option<u32>>>;

impl Owners {
    /// By number alone if `numeric`.
    pub fn new(numeric: bool) -> Self {
        Self { by_name: !numeric, users: Names::default(), groups: Names::default() }
    }

    /// The user's number.
    pub fn user(&self, name: Option<&[u8]>, number: Option<u32>) -> u32 {
        let find = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        let named = self.named(&self.users, name, find);
        named.or(number).unwrap_or_else(|| rustix::process::getuid().as_raw())
    }

    /// The group's number.
    pub fn group(&self, name: Option<&[u8]>, number: Option<u32>) -> u32 {
        let find = |name: &str| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
        let named = self.named(&self.groups, name, find);
        named.or(number).unwrap_or_else(|| rustix::process::getgid().as_raw())
    }

    fn named(&self, known: &Names, name: Option<&[u8]>, find: impl Fn(&str) -> Option<u32>) -> Option<u32> {
        let name = name.filter(|_| self.by_name)?;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.get(name) {
            return *number;
        }
        let number = std::str::from_utf8(name).ok().and_then(find);
        known.insert(name.to_vec(), number);
        number
    }
}
