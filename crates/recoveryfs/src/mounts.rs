//! What is mounted where, and taking it away.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::Error;

/// How the source of a mount of ours begins, before the number of the process that serves it.
const SOURCE: &str = "reprise:";

/// A mount of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The process that serves it, or did.
    pub process: Option<u32>,
    /// Whether it answers no more: its process is gone.
    pub is_stale: bool,
}

/// The source of a mount served by this process.
pub fn source() -> String {
    format!("{SOURCE}{}", std::process::id())
}

/// Whether a file system of this type and source is ours. The subtype is not told where root mounts.
fn is_ours(kind: &str, source: &str) -> bool {
    matches!(kind, "fuse" | "fuse.reprise") && source.starts_with(SOURCE)
}

/// The type and source of what was mounted last on a path.
fn mounted_on(dir: &Path) -> Option<(String, String)> {
    let table = fs::read("/proc/self/mountinfo").ok()?;
    let lines = table.split(|byte| *byte == b'\n').rev();
    lines.filter_map(parse).find(|(path, ..)| path == dir).map(|(_, kind, source)| (kind, source))
}

/// Mount point, type and source of a line of `mountinfo` (`proc(5)`).
fn parse(line: &[u8]) -> Option<(PathBuf, String, String)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let path = unescape(fields.nth(4)?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(rest.next()?).into_owned();
    let source = String::from_utf8_lossy(&unescape(rest.next()?)).into_owned();
    Some((PathBuf::from(OsString::from_vec(path)), kind, source))
}

/// Undoes the octal escapes of blanks and the like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..3)
            .filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        if let Some(digits) = digits {
            plain.push(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8) + (digit - b'0')));
            rest = &after[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

/// The mount of ours on `dir`, if there is one.
pub fn find(dir: &Path) -> Option<Found> {
    let dir = absolute(dir);
    let (_, source) = mounted_on(&dir).filter(|(kind, source)| is_ours(kind, source))?;
    let process = source.strip_prefix(SOURCE).and_then(|process| process.parse().ok());
    // Names and attributes the kernel may know by heart; this it never does.
    let is_stale = matches!(rustix::fs::statvfs(&dir), Err(Errno::NOTCONN | Errno::CONNABORTED));
    Some(Found { process, is_stale })
}

/// `dir` without links and dots. What a dead server left cannot be looked into, but its directory can.
fn absolute(dir: &Path) -> PathBuf {
    let whole = || {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::canonicalize(parent).ok().zip(dir.file_name()).map(|(parent, name)| parent.join(name))
    };
    fs::canonicalize(dir).ok().or_else(whole).unwrap_or_else(|| dir.to_owned())
}

/// The directory to mount on, with what a dead process of ours left there taken away.
pub fn expect_usable(dir: &Path) -> Result<PathBuf, Error> {
    let dir = absolute(dir);
    let unusable = |reason: &str| Error::Unusable { dir: dir.clone(), reason: reason.to_owned() };
    if let Some(found) = find(&dir) {
        if !found.is_stale {
            return Err(unusable("an archive is mounted there already"));
        }
        unmount(&dir, true)?;
    }
    match fs::metadata(&dir) {
        Ok(data) if !data.is_dir() => return Err(unusable("it is no directory")),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(unusable("it is not there"));
        }
        Err(error) => return Err(unusable(&error.to_string())),
    }
    // What lies in it would be out of sight, and a restore would miss it.
    let is_empty = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
    if is_empty { Ok(dir) } else { Err(unusable("it is not empty")) }
}

/// Unmounts `dir`, which must be a mount of ours. With `lazily`, it is out of sight at once and ends when nobody uses
/// it any more.
///
/// # Errors
/// [`Error::Busy`] if it is in use, unless `lazily`; [`Error::NotOurs`].
pub fn unmount(dir: &Path, lazily: bool) -> Result<(), Error> {
    let dir = absolute(dir);
    match mounted_on(&dir) {
        Some((kind, source)) if is_ours(&kind, &source) => {}
        Some((kind, _)) => {
            return Err(Error::NotOurs {
                dir,
                reason: format!("a file system of type {kind} is mounted there"),
            });
        }
        None => return Err(Error::NotOurs { dir, reason: "nothing is mounted there".to_owned() }),
    }
    let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(&dir, flags) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(Error::Busy { dir }),
        Err(Errno::PERM) => by_helper(dir, lazily),
        Err(error) => Err(Error::Unmount { dir, reason: error.to_string() }),
    }
}

/// Users other than root unmount with the help of a program that may.
fn by_helper(dir: PathBuf, lazily: bool) -> Result<(), Error> {
    let mut command = Command::new("fusermount3");
    command.arg("-u").args(lazily.then_some("-z")).arg("--").arg(&dir);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.contains("busy") {
                Err(Error::Busy { dir })
            } else {
                Err(Error::Unmount { dir, reason: said })
            }
        }
        Err(error) => Err(Error::Unmount { dir, reason: format!("fusermount3: {error}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_table_are_read_with_their_escapes() {
        let line =
            b"36 35 98:0 / /mnt/two\\040words rw,noatime master:1 - fuse.reprise reprise:77 ro,user_id=0";
        let (path, kind, source) = parse(line).unwrap();
        assert_eq!(path, Path::new("/mnt/two words"));
        assert_eq!((kind.as_str(), source.as_str()), ("fuse.reprise", "reprise:77"));
        assert_eq!(parse(b""), None);
        assert_eq!(unescape(b"a\\134b\\9"), b"a\\b\\9");
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        assert!(matches!(unmount(Path::new("/proc"), true), Err(Error::NotOurs { .. })));
        assert!(matches!(unmount(Path::new("/no/such/place"), false), Err(Error::NotOurs { .. })));
        assert_eq!(find(Path::new("/proc")), None);
    }
}
