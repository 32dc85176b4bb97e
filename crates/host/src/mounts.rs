//! The kernel's table of mounts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where it is read.
pub(crate) const TABLE: &str = "/proc/self/mountinfo";

/// The mount points of `table` at or below `path`.
pub(crate) fn within(table: &[u8], path: &Path) -> Vec<PathBuf> {
    let points = table.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b' ').nth(4));
    points.map(unescape).filter(|point| point.starts_with(path)).collect()
}

/// A path from the table, where blanks, tabs, newlines and backslashes are `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        if let Some(byte) = octal {
            path.push(byte);
            rest = &tail[3..];
        } else {
            path.push(first);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescape(b"/mnt/a\\040b\\134c"), PathBuf::from("/mnt/a b\\c"));
        let all = within(&std::fs::read(TABLE).unwrap(), Path::new("/"));
        assert!(all.contains(&PathBuf::from("/proc")));
    }
}
