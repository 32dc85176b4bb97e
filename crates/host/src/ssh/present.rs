//! Looking through a tree on the other side so closely that it can be compared with a backup without being sent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::SshHost;
use super::files::LONG;
use super::told::{parse_found, parse_xattr, time_of, unhex, unquote};
use super::wire::Call;
use crate::{Attributes, FileKind, Result, Seen};

/// Goes to the first argument, and makes of the others what `find` is told to pass over.
const BEGIN: &str = "cd -- \"$1\" || exit 1
shift
for e do set -- \"$@\" -o -path \"$e\"; shift; done
";

/// For each thing below: mode, owner, group, time, kind, size, inode, names and path, ended by a zero; then where it leads, ended by
/// another.
const LOOK: &str = "find . -xdev -mindepth 1 \\( -false \"$@\" \\) -prune -o \\
  -printf '%m %U %G %T@ %y %s %i %n %P\\0%l\\0'";

/// The digest of each regular file and its path, ended by a zero. One that cannot be read has none: it is not what the archive has.
const DIGESTS: &str = "find . -xdev -mindepth 1 \\( -false \"$@\" \\) -prune -o -type f -exec \\
  sh -c 'sha256sum -z -- \"$@\"; :' sh {} +";

/// Extended attributes, for what has any; nothing where there is no program to tell.
const XATTRS: &str = "command -v getfattr >/dev/null 2>&1 || exit 0
find . -xdev -mindepth 1 \\( -false \"$@\" \\) -prune -o -print0 | xargs -0 -r \\
  getfattr --absolute-names -h -d -m - -e hex --";

impl SshHost {
    /// See [`crate::Host::present`].
    pub(super) fn present_there(
        &self,
        path: &Path,
        except: &[PathBuf],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Seen>>> {
        let ask = |script: &str| {
            let call = Call::script(&[BEGIN, script].concat(), &[path]).limit(LONG);
            let call = except.iter().map(|except| pattern(except)).fold(call, Call::arg);
            self.call_unless(cancelled, "look through", &[path], &call)
        };
        let Some(looked) = ask(LOOK)? else { return Ok(None) };
        let Some(digests) = ask(DIGESTS)? else { return Ok(None) };
        let Some(xattrs) = ask(XATTRS)? else { return Ok(None) };
        let all = seen(&looked).ok_or_else(|| self.malformed("find", &looked[..looked.len().min(200)]));
        let mut all = all?;
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

/// `path` for `find -path`, where some bytes would stand for others.
fn pattern(path: &Path) -> Vec<u8> {
    let special = |byte: &u8| b"*?[]\\".contains(byte).then_some(b'\\');
    let escaped =
        path.as_os_str().as_bytes().iter().flat_map(|byte| special(byte).into_iter().chain([*byte]));
    b"./".iter().copied().chain(escaped).collect()
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
            let equals = line.iter().position(|byte| *byte == b'=')?;
            let (name, value) = line.split_at(equals);
            // A name that is no text is nobody's that an archive could have.
            let name = String::from_utf8_lossy(&unquote(name)?).into_owned();
            let (_, value) = parse_xattr(std::str::from_utf8(value).ok()?)?;
            all.entry(path.clone()?).or_default().push((name, value));
        }
    }
    for xattrs in all.values_mut() {
        xattrs.sort();
    }
    Some(all)
}

#[cfg(test)]
mod tests {
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

        let said = b"# file: ./a\\012b\\134c\nuser.empty=\nuser.a=0x00ff\n\n# file: ./d\nuser.\xff=0x\nuser.b\\075=0x01\n\n";
        let xattrs = xattrs_of(said).unwrap();
        assert_eq!(
            xattrs[Path::new("a\nb\\c")],
            [("user.a".to_owned(), vec![0, 255]), ("user.empty".to_owned(), Vec::new())]
        );
        assert_eq!(
            xattrs[Path::new("d")],
            [("user.b=".to_owned(), vec![1]), ("user.\u{fffd}".to_owned(), Vec::new())]
        );
        assert_eq!(pattern(Path::new(".reprise-[a]*")), b"./.reprise-\\[a\\]\\*");
        assert!(xattrs_of(b"user.a=0x00\n").is_none() && xattrs_of(b"# file: /a\n").is_none());
    }
}
