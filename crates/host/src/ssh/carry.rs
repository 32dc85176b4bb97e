//! Carrying names and attributes on the other side.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::SshHost;
use super::wire::Call;
use crate::carry::is_of_users;
use crate::{Attributes, Error, FileKind, Found, Host, Move, Result};

/// Names carried with one request: what has to fit into a command line, with room to spare.
const BATCH: usize = 200;

/// The tree and the store; then `+` or `-` for out and in, the place in the store, the place in the tree, what must be
/// there or nothing, and so on. Places in the tree are at its top; those in the store, in a directory of it at most.
const CARRY: &str = "there() { [ -e \"$1\" ] || [ -L \"$1\" ]; }
real() { [ -d \"$1\" ] && [ ! -L \"$1\" ] || { echo 'Not a directory' >&2; exit 1; }; }
store=$2
real \"$1\"; real \"$2\"
shift 2
while [ $# -gt 0 ]; do
  real \"${2%/*}\"
  if [ -n \"$4\" ] && ! there \"$4\"; then :
  elif [ \"$1\" = + ]; then
    if ! there \"$2\" && there \"$3\"; then mv -nT -- \"$3\" \"$2\" || exit 1; there \"$3\" && exit 1; fi
  elif there \"$2\"; then
    if there \"$3\"; then echo 'File exists' >&2; exit 1; fi
    mv -nT -- \"$2\" \"$3\" || exit 1
  fi
  shift 4
done
sync -f -- \"$store/\"";

/// Mode, owner and time, then what `getfattr` says, where there is one.
const ATTRIBUTES: &str = "stat -c '%a %u %g %.9Y' -- \"$1\" || exit 1
if command -v getfattr >/dev/null 2>&1; then getfattr -h -d -m - -e hex --absolute-names -- \"$1\" || exit 1; fi";

/// The path, mode, owner and time; then for each attribute its name and its value, an empty one for one to be removed.
const SET_ATTRIBUTES: &str = "p=$1 mode=$2 owner=$3 time=$4
shift 4
[ -d \"$p\" ] && [ ! -L \"$p\" ] || { echo 'Not a directory' >&2; exit 1; }
chown -- \"$owner\" \"$p\" || exit 1
while [ $# -gt 0 ]; do
  if [ -n \"$2\" ]; then setfattr -h -n \"$1\" -v \"$2\" -- \"$p\" || exit 1
  else setfattr -h -x \"$1\" -- \"$p\" || exit 1; fi
  shift 2
done
chmod -- \"$mode\" \"$p\" && touch -m -d \"@$time\" -- \"$p\"";

/// A line for each thing below the first argument, ended by a zero, in the order in which it is found.
const WALK: &str = "cd -- \"$1\" && find . -xdev -mindepth 1 -printf '%y %s %i %n %P\\0'";

impl SshHost {
    pub(super) fn walk_there(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        let call = Call::script(WALK, &[path]).limit(Duration::from_hours(24));
        let answer = self.call("list", &[path], call)?;
        let lines = answer.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        let all: Option<Vec<Found>> = lines.map(parse_found).collect();
        let mut all = all.ok_or_else(|| self.malformed("find", &answer[..answer.len().min(200)]))?;
        all.retain(|found| !except.iter().any(|except| found.path.starts_with(except)));
        Ok(all)
    }

    pub(super) fn carry_there(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
        // Further down, a link on the way could lead anywhere, and a shell cannot keep from following it.
        let is_shallow = |it: &&Move| {
            let within = it.stored.strip_prefix(store).is_ok_and(|rest| is_plain(rest, 2));
            within && it.placed.strip_prefix(tree).is_ok_and(|rest| is_plain(rest, 1))
        };
        if let Some(deep) = moves.iter().find(|it| !is_shallow(it)) {
            let error = io::Error::from(io::ErrorKind::Unsupported);
            return Err(Error::file("move", &deep.placed, error).on(self.name()));
        }
        for batch in moves.chunks(BATCH) {
            let mut call = Call::script(CARRY, &[tree, store]).limit(Duration::from_mins(10));
            for Move { stored, placed, out, only_if } in batch {
                call = call.arg(if *out { "+" } else { "-" });
                call = call.arg(stored.as_os_str().as_bytes()).arg(placed.as_os_str().as_bytes());
                call = call.arg(only_if.as_ref().map_or(&[][..], |gate| gate.as_os_str().as_bytes()));
            }
            self.call("move", &[&batch[0].placed], call)?;
        }
        Ok(())
    }

    pub(super) fn attributes_there(&self, path: &Path) -> Result<Attributes> {
        let answer = self.script("look at", ATTRIBUTES, &[path])?;
        parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| self.malformed("stat", &answer))
    }

    pub(super) fn set_attributes_there(&self, tree: &Path, path: &Path, wanted: &Attributes) -> Result<()> {
        if !path.as_os_str().is_empty() {
            let error = io::Error::from(io::ErrorKind::Unsupported);
            return Err(Error::file("set attributes of", &tree.join(path), error).on(self.name()));
        }
        let path = tree;
        let present = self.attributes_there(path)?;
        let time = format!("{}.{:09}", wanted.seconds, wanted.nanoseconds);
        // With fewer than five digits, chmod would leave a directory's set-id bits as they are.
        let mut call = Call::script(SET_ATTRIBUTES, &[path]).arg(format!("{:05o}", wanted.mode));
        call = call.arg(format!("{}:{}", wanted.uid, wanted.gid)).arg(time);
        for (name, _) in
            present.xattrs.iter().filter(|(name, _)| !wanted.xattrs.iter().any(|(n, _)| n == name))
        {
            call = call.arg(name).arg("");
        }
        for (name, value) in wanted.xattrs.iter().filter(|wanted| !present.xattrs.contains(wanted)) {
            call = call.arg(name).arg(hex(value));
        }
        self.call("set attributes of", &[path], call).map(drop)
    }

    pub(super) fn write_there(&self, path: &Path, content: &[u8]) -> Result<()> {
        // Made anew: what lies there already may be a link to anywhere.
        let script = "umask 077
set -C
rm -f -- \"$1.part\" && cat >\"$1.part\" && sync -- \"$1.part\" && mv -fT -- \"$1.part\" \"$1\" && sync -- \"${1%/*}/\"";
        let call = Call::script(script, &[path]);
        let said = self.connection.persist(|| self.connection.call_with(&call, content, false))?;
        if said.status == 0 { Ok(()) } else { Err(self.refused("write", &[path], &said)) }
    }
}

/// Whether it is at most so many names, none of which leads upwards.
fn is_plain(path: &Path, most: usize) -> bool {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_))).count();
    (1..=most).contains(&names) && path.components().count() == names
}

fn parse_found(line: &[u8]) -> Option<Found> {
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

fn hex(value: &[u8]) -> String {
    use std::fmt::Write as _;
    value.iter().fold("0x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse(answer: &str) -> Option<Attributes> {
    let mut lines = answer.lines();
    let [mode, uid, gid, time] = lines.next()?.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let (seconds, nanoseconds) = time.split_once('.').unwrap_or((time, "0"));
    let mut xattrs: Vec<(String, Vec<u8>)> = Vec::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.split_once('=') else { continue };
        if is_of_users(name) {
            let digits = value.strip_prefix("0x")?;
            let bytes =
                (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok());
            xattrs.push((name.to_owned(), bytes.collect::<Option<_>>()?));
        }
    }
    xattrs.sort();
    Some(Attributes {
        mode: u32::from_str_radix(mode, 8).ok()?,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        seconds: seconds.parse().ok()?,
        nanoseconds: nanoseconds.parse().ok()?,
        xattrs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stat_and_getfattr_say_is_understood() {
        let found =
            parse("2751 999 998 1700000000.000000007\n# file: /d\nsecurity.selinux=0x00\nuser.a=0x00ff\n\n")
                .unwrap();
        assert_eq!((found.mode, found.uid, found.gid), (0o2751, 999, 998));
        assert_eq!((found.seconds, found.nanoseconds), (1_700_000_000, 7));
        assert_eq!(found.xattrs, [("user.a".to_owned(), vec![0, 255])]);
        assert_eq!(hex(&[0, 255]), "0x00ff");
    }
}
