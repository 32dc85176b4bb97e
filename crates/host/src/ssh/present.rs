//! Looking through a tree on the other side so closely that it can be compared with a backup without being sent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::SshHost;
use super::carry::{parse_found, parse_xattr, time_of};
use super::files::LONG;
use super::wire::Call;
use crate::{Attributes, FileKind, Result, Seen};

/// For each thing below the first argument: kind, size, inode, names, mode, owner, group, time and path, ended by a zero; then
/// where it leads, ended by another.
const LOOK: &str = "cd -- \"$1\" && find . -xdev -mindepth 1 -printf '%m %U %G %T@ %y %s %i %n %P\\0%l\\0'";

/// The digest of each regular file and its path, ended by a zero.
const DIGESTS: &str = "cd -- \"$1\" && find . -xdev -type f -exec sha256sum -z -- {} +";

/// What is somebody's of extended attributes, for what has any; nothing where there is no program to tell.
const XATTRS: &str = "command -v getfattr >/dev/null 2>&1 || exit 0
cd -- \"$1\" && find . -xdev -mindepth 1 -print0 | xargs -0 -r \\
  getfattr --absolute-names -h -d -m '^(user\\.|trusted\\.|security\\.capability|system\\.posix_acl)' -e hex --";

impl SshHost {
    /// See [`crate::Host::present`].
    pub(super) fn present_there(
        &self,
        path: &Path,
        except: &[PathBuf],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Seen>>> {
        let ask = |script| {
            let call = Call::script(script, &[path]).limit(LONG);
            self.call_unless(cancelled, "look through", &[path], &call)
        };
        let Some(looked) = ask(LOOK)? else { return Ok(None) };
        let Some(digests) = ask(DIGESTS)? else { return Ok(None) };
        let Some(xattrs) = ask(XATTRS)? else { return Ok(None) };
        let all = seen(&looked).ok_or_else(|| self.malformed("find", &looked[..looked.len().min(200)]));
        let mut all = all?;
        all.retain(|seen| !except.iter().any(|except| seen.found.path.starts_with(except)));
        let mut digests = digests_of(&digests)
            .ok_or_else(|| self.malformed("sha256sum", &digests[..digests.len().min(200)]))?;
        let mut xattrs =
            xattrs_of(&xattrs).ok_or_else(|| self.malformed("getfattr", &xattrs[..xattrs.len().min(200)]))?;
        for seen in &mut all {
            seen.digest = digests.remove(&seen.found.path);
            seen.attributes.xattrs = xattrs.remove(&seen.found.path).unwrap_or_default();
        }
        Ok(Some(all))
    }
}

/// What [`LOOK`] prints.
fn seen(answer: &[u8]) -> Option<Vec<Seen>> {
    let fields: Vec<&[u8]> = answer.split(|byte| *byte == 0).collect();
    let (last, fields) = fields.split_last()?;
    if !last.is_empty() || !fields.len().is_multiple_of(2) {
        return None;
    }
    fields.chunks_exact(2).map(|pair| one(pair[0], pair[1])).collect()
}

fn one(line: &[u8], target: &[u8]) -> Option<Seen> {
    let mut words = line.splitn(5, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(words.next()?).ok();
    let mode = u32::from_str_radix(text()?, 8).ok()?;
    let (uid, gid) = (text()?.parse().ok()?, text()?.parse().ok()?);
    let (seconds, nanoseconds) = time_of(text()?)?;
    let rest = words.next()?;
    let found = parse_found(rest)?;
    let target = if found.kind == FileKind::Symlink { target.to_vec() } else { Vec::new() };
    Some(Seen {
        attributes: Attributes { mode, uid, gid, seconds, nanoseconds, xattrs: Vec::new() },
        is_pipe: rest.starts_with(b"p "),
        target: OsString::from_vec(target),
        digest: None,
        found,
    })
}

/// A path that begins with `./`, which all do here.
fn inner(path: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(OsString::from_vec(path.strip_prefix(b"./")?.to_vec())))
}

/// What [`DIGESTS`] prints.
fn digests_of(answer: &[u8]) -> Option<HashMap<PathBuf, [u8; 32]>> {
    let lines = answer.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    let one = |line: &[u8]| {
        let (digits, rest) = line.split_at_checked(64)?;
        let digest = unhex(std::str::from_utf8(digits).ok()?)?.try_into().ok()?;
        // Two spaces, or one and a star.
        Some((inner(rest.get(2..)?)?, digest))
    };
    lines.map(one).collect()
}

/// Names and values of extended attributes.
type Xattrs = Vec<(String, Vec<u8>)>;

/// What [`XATTRS`] prints.
fn xattrs_of(answer: &[u8]) -> Option<HashMap<PathBuf, Xattrs>> {
    let mut all: HashMap<PathBuf, Xattrs> = HashMap::new();
    let mut path = None;
    for line in answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix(b"# file: ") {
            path = Some(inner(&unquote(name)?)?);
        } else {
            let found = parse_xattr(std::str::from_utf8(line).ok()?)?;
            all.entry(path.clone()?).or_default().push(found);
        }
    }
    for xattrs in all.values_mut() {
        xattrs.sort();
    }
    Some(all)
}

/// A name as `getfattr` writes it: what would break a line, and backslashes, as three octal digits.
fn unquote(name: &[u8]) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn what_find_prints_is_understood_whatever_the_names() {
        let all = seen(b"644 1 2 1700000000.1234567890 f 3 9 2 a\nb\0\x00777 0 0 1.5 l 4 8 1 li nk\0to\n\0")
            .unwrap();
        assert_eq!((all[0].found.path.as_path(), all[0].found.size), (Path::new("a\nb"), 3));
        assert_eq!((all[0].attributes.mode, all[0].attributes.gid), (0o644, 2));
        assert_eq!((all[0].attributes.seconds, all[0].attributes.nanoseconds), (1_700_000_000, 123_456_789));
        assert_eq!((all[1].target.as_bytes(), all[1].attributes.nanoseconds), (&b"to\n"[..], 500_000_000));
        assert_eq!(seen(b"").unwrap(), []);
        for bad in [&b"644 1 2 3.4 f 3 9 2 a\0"[..], b"a\0b\0", b"644 1 2 3.4 f 3 9 2 a\0\0rest"] {
            assert!(seen(bad).is_none());
        }
    }

    #[test]
    fn what_sha256sum_and_getfattr_print_is_understood() {
        let line = format!("{}  ./a\nb\0{} *./c\0", "00".repeat(32), "ff".repeat(32));
        let digests = digests_of(line.as_bytes()).unwrap();
        assert_eq!((digests[Path::new("a\nb")], digests[Path::new("c")]), ([0; 32], [255; 32]));
        assert!(digests_of(b"00  ./a\0").is_none());

        let said = b"# file: ./a\\012b\\134c\nuser.empty=\nuser.a=0x00ff\n\n# file: ./d\nuser.b=0x01\n\n";
        let xattrs = xattrs_of(said).unwrap();
        assert_eq!(
            xattrs[Path::new("a\nb\\c")],
            [("user.a".to_owned(), vec![0, 255]), ("user.empty".to_owned(), Vec::new())]
        );
        assert!(xattrs_of(b"user.a=0x00\n").is_none() && xattrs_of(b"# file: /a\n").is_none());
    }
}
