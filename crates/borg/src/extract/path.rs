//! Paths from archives and placements: bytes with slashes, believed only after a look at every component.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A path without empty and `.` components, or why it is not one to follow.
pub(crate) fn normalize(path: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    if path.starts_with(b"/") {
        return Err("its path is absolute");
    }
    if path.contains(&0) {
        return Err("its path contains a zero byte");
    }
    let components = || path.split(|byte| *byte == b'/');
    if components().any(|component| component == b"..") {
        return Err("its path contains \"..\"");
    }
    let says_nothing = |component: &[u8]| matches!(component, b"" | b".");
    if !components().any(says_nothing) {
        return Ok(Cow::Borrowed(path));
    }
    let mut clean = Vec::with_capacity(path.len());
    for component in components().filter(|component| !says_nothing(component)) {
        push(&mut clean, component);
    }
    Ok(Cow::Owned(clean))
}

/// What follows `subtree` in `path`; empty for the subtree itself, `None` outside it. Both are normalized.
pub(super) fn below<'p>(path: &'p [u8], subtree: &[u8]) -> Option<&'p [u8]> {
    if subtree.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(subtree)? {
        [] => Some(b""),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// `base/rest`, where either may be empty.
pub(super) fn join(base: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(base.len() + 1 + rest.len());
    joined.extend_from_slice(base);
    if !rest.is_empty() {
        push(&mut joined, rest);
    }
    joined
}

fn push(path: &mut Vec<u8>, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

/// Directory and name; the directory is empty at the top.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

pub(super) fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::{below, join, normalize, split};

    #[test]
    fn only_plain_relative_paths_pass() {
        assert_eq!(normalize(b"a/./b//c/"), Ok(b"a/b/c"[..].into()));
        assert_eq!(normalize(b"."), Ok(b""[..].into()));
        assert_eq!(normalize(b"..a/b.."), Ok(b"..a/b.."[..].into()));
        for hostile in [&b"/etc"[..], b"../x", b"a/../b", b"a/..", b"..", b"a\0b"] {
            assert!(normalize(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn subtrees_end_at_slashes() {
        assert_eq!(below(b"a/b/c", b"a/b"), Some(&b"c"[..]));
        assert_eq!(below(b"a/b", b"a/b"), Some(&b""[..]));
        assert_eq!(below(b"a/bc", b"a/b"), None);
        assert_eq!(below(b"a", b""), Some(&b"a"[..]));
    }

    #[test]
    fn joining_and_splitting_tolerate_the_top() {
        assert_eq!(join(b"", b"a"), b"a");
        assert_eq!(join(b"a", b""), b"a");
        assert_eq!(join(b"a", b"b/c"), b"a/b/c");
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
    }
}
