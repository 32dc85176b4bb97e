//! Whether something is as the archive has it, apart from its content.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Stat};

use super::super::attributes::{self, Handle, Unset};
use super::super::owners::Directory;
use super::super::{Attribute, acl};
use super::described::Described;
use crate::item::{Item, Kind};

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// Whether a symbolic link, a pipe or a device is the one in the archive.
pub(super) fn is_same_special(found: &OwnedFd, stat: &Stat, item: &Item) -> bool {
    match (item.kind(), FileType::from_raw_mode(stat.st_mode)) {
        (Kind::Symlink, FileType::Symlink) => rustix::fs::readlinkat(found, "", Vec::new())
            .is_ok_and(|target| Some(target.as_bytes()) == item.symlink_target()),
        (Kind::Fifo, FileType::Fifo) => true,
        (Kind::CharDevice, FileType::CharacterDevice) | (Kind::BlockDevice, FileType::BlockDevice) => {
            stat.st_rdev == item.rdev
        }
        _ => false,
    }
}

/// Whether owner, mode, times, extended attributes, ACLs or flags are others than the archive's. Times of access count only
/// where the archive has them.
pub(super) fn differs(handle: &Handle<'_>, stat: &Stat, item: &Item, owners: &Directory) -> bool {
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let modified = time(stat.st_mtime, stat.st_mtime_nsec as i64);
    basics_differ((stat.st_uid, stat.st_gid), stat.st_mode & 0o7777, modified, item, owners)
        || item.atime.is_some_and(|atime| atime != time(stat.st_atime, stat.st_atime_nsec as i64))
        || attributes::flags_differ(handle.fd(), item)
        || xattrs_differ(handle, item, owners)
}

/// The same of something that was described: all but flags and times of access, which are nothing that `tar` would set.
pub(super) fn differs_from(found: &Described, item: &Item, owners: &Directory) -> bool {
    basics_differ((found.uid, found.gid), found.permissions, found.mtime, item, owners)
        || are_others(found.xattrs.keys(), |name| found.xattrs.get(name).cloned(), &wanted(item, owners))
}

/// Whether owner, mode or time are others than the archive's.
fn basics_differ(
    owner: (u32, u32),
    permissions: u32,
    modified: i128,
    item: &Item,
    owners: &Directory,
) -> bool {
    let (uid, gid) = owners.of(item);
    uid.is_some_and(|uid| uid != owner.0)
        || gid.is_some_and(|gid| gid != owner.1)
        || item.kind() != Kind::Symlink && permissions != item.permissions()
        || item.mtime.is_some_and(|mtime| mtime != modified)
}

/// Whether extended attributes of these `names` are others than those that are `wanted`.
fn are_others<'n>(
    mut names: impl Iterator<Item = &'n Vec<u8>>,
    value_of: impl Fn(&[u8]) -> Option<Vec<u8>>,
    wanted: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> bool {
    names.any(|name| is_of_users(name) && !wanted.contains_key(name))
        || wanted.iter().any(|(name, value)| value_of(name).as_ref() != Some(value))
}

/// Names and values of the extended attributes that are to be there; those that only the system can set, if the archive has them.
fn wanted(item: &Item, owners: &Directory) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let acls = [(ACCESS_ACL, &item.acl_access), (DEFAULT_ACL, &item.acl_default)];
    let acls = acls.into_iter().filter_map(|(name, text)| {
        let text = text.as_deref().filter(|text| !text.trim_ascii().is_empty())?;
        let value = acl::encode(text, owners)?;
        // One that says no more than the mode, which the kernel keeps as that.
        (name != ACCESS_ACL || value.len() > acl::LEAST).then(|| (name.to_vec(), value))
    });
    item.xattrs.iter().cloned().chain(acls).collect()
}

fn xattrs_differ(handle: &Handle<'_>, item: &Item, owners: &Directory) -> bool {
    let wanted = wanted(item, owners);
    // What cannot be looked at is set, and told when that fails, too.
    let Ok(names) = handle.xattr_names() else { return true };
    are_others(names.iter(), |name| handle.xattr(name).ok(), &wanted)
}

/// Whether an attribute is there because somebody put it there, as opposed to the system.
fn is_of_users(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || [b"security.capability", ACCESS_ACL, DEFAULT_ACL].contains(&name)
}

/// Takes away what the archive does not have: flags that would hinder setting the rest, and extended attributes.
pub(super) fn clear(handle: &Handle<'_>, item: &Item, owners: &Directory, mut failed: impl FnMut(Unset)) {
    if matches!(handle, Handle::Open(_))
        && let Err(unset) = attributes::restore_flags(handle.fd().as_fd(), 0)
    {
        failed(unset);
    }
    let wanted = wanted(item, owners);
    for name in handle.xattr_names().unwrap_or_default() {
        if is_of_users(&name)
            && !wanted.contains_key(&name)
            && let Err(cause) = handle.remove_xattr(&name)
        {
            failed(Unset { attribute: Attribute::Xattr(name), cause });
        }
    }
}
