//! What programs of the other side print of files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::{FileKind, Found};

/// What `find` says of something as kind, size, inode, names and path.
pub(super) fn parse_found(line: &[u8]) -> Option<Found> {
    let mut words = line.splitn(5, |byte| *byte == b' ');
    let kind = match words.next()? {
        b"f" => FileKind::File,
        b"d" => FileKind::Directory,
        b"l" => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<u64>().ok();
    let (size, inode, names) = (number()?, number()?, number()?);
    let path = PathBuf::from(OsString::from_vec(words.next()?.to_vec()));
    Some(Found { path, kind, size: if kind == FileKind::File { size } else { 0 }, inode, names })
}

/// Seconds and nanoseconds, of seconds with any number of decimals.
pub(super) fn time_of(text: &str) -> Option<(i64, u32)> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds = format!("{decimals:0<9}").get(..9)?.parse().ok()?;
    Some((seconds.parse().ok()?, nanoseconds))
}

/// Name and value of an attribute, of a line of `getfattr -e hex`.
pub(super) fn parse_xattr(line: &str) -> Option<(String, Vec<u8>)> {
    let (name, value) = line.split_once('=')?;
    let value = if value.is_empty() { Vec::new() } else { unhex(value.strip_prefix("0x")?)? };
    Some((name.to_owned(), value))
}

/// A name as `getfattr` writes it: what would break a line, and backslashes, as three octal digits; of attributes also `=`.
pub(super) fn unquote(name: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut rest) = (Vec::with_capacity(name.len()), name);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'\\' {
            let (digits, after) = rest.split_at_checked(3)?;
            plain.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?);
            rest = after;
        } else {
            plain.push(*byte);
        }
    }
    Some(plain)
}

/// Bytes written as pairs of digits.
pub(super) fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}
