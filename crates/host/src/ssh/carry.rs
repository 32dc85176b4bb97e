//! Carrying names and attributes on the other side.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::SshHost;
use super::files::LONG;
use super::told::{parse_found, parse_xattr, time_of};
use super::wire::Call;
use crate::carry::is_of_users;
use crate::{Attributes, Error, Found, Host, Move, Result};

/// What is carried with one request at most: it has to fit into a command line, with room to spare.
const BATCH: usize = 256 << 10;

/// `there PATH`: whether something is there. `home PATH`: where a directory really is, which must not be a link itself.
/// `go PATH`: into a directory below such a one; fails where nothing is, and ends it all where a link leads there or none is
/// one. What it has gone to, the kernel tells (a shell's own `pwd` may tell what it remembers): so it does not matter who changes what
/// on the way.
const GO: &str = "there() { [ -e \"$1\" ] || [ -L \"$1\" ]; }
fail() { echo \"$1\" >&2; exit 3; }
home() {
  [ -d \"$1\" ] && [ ! -L \"$1\" ] || fail 'Not a directory'
  cd -P -- \"$1\" && env pwd -P && printf x
}
go() {
  if cd -P -- \"$1\" 2>/dev/null; then
    [ \"$(env pwd -P; printf x)\" = \"$1
x\" ] || fail 'Too many levels of symbolic links'
  elif there \"$1\"; then fail 'Not a directory'
  else return 1
  fi
}
";

/// The tree and the store, and 1 for the last of several requests; then `+` or `-` for out and in, the directory of the store and the
/// name there, the directory of the tree and the name there, the place in the store at which something must be or nothing, and so on.
/// Directories begin with a slash, or are empty for the top.
const CARRY: &str = "t=$(home \"$1\") && t=${t%?x} || exit 1
s=$(home \"$2\") && s=${s%?x} || exit 1
last=$3 mv='mv -nT'
case $(mv --help 2>/dev/null) in *--no-copy*) mv='mv -nT --no-copy' ;; esac
exec 9<\"$s/\" && flock 9 || exit 1
shift 3
while [ $# -gt 0 ]; do
  stored=$s$2/$3
  (go \"$s$2\"); [ $? -lt 3 ] || exit 1
  if [ -n \"$6\" ] && ! there \"$s/$6\"; then :
  elif [ \"$1\" = + ]; then
    if ! there \"$stored\" && go \"$t$4\" && there \"./$5\"; then
      $mv -- \"./$5\" \"$stored\" || exit 1
      if there \"./$5\"; then fail 'File exists'; fi
    fi
  elif there \"$stored\"; then
    go \"$t$4\" || fail 'No such file or directory'
    if there \"./$5\"; then fail 'File exists'; fi
    $mv -- \"$stored\" \"./$5\" || exit 1
  fi
  shift 6
done
[ -z \"$last\" ] || sync -f -- \"$s/\"";

/// Mode, owner and time, then what `getfattr` says, where there is one.
const ATTRIBUTES: &str = "stat -c '%a %u %g %.9Y' -- \"$1\" || exit 1
if command -v getfattr >/dev/null 2>&1; then getfattr -h -d -m - -e hex --absolute-names -- \"$1\" || exit 1; fi";

/// The tree, the directory in it, mode, owner and time; then for each attribute its name and its value, an empty one for one to
/// be removed.
const SET_ATTRIBUTES: &str = "t=$(home \"$1\") && t=${t%?x} || exit 1
exec 9<\"$t/\" && flock 9 || exit 1
go \"$t$2\" || fail 'No such file or directory'
mode=$3 owner=$4 time=$5
shift 5
chown -- \"$owner\" . || exit 1
while [ $# -gt 0 ]; do
  if [ -n \"$2\" ]; then setfattr -n \"$1\" -v \"$2\" -- . || exit 1
  elif ! setfattr -x \"$1\" -- . && getfattr -n \"$1\" -- . >/dev/null 2>&1; then exit 1; fi
  shift 2
done
chmod -- \"$mode\" . && touch -m -d \"@$time\" -- .";

/// The path and how many bytes come: a connection that is lost looks like the end of them. Made anew, as what lies there already may
/// be a link to anywhere.
const WRITE: &str = "umask 077
set -C
exec 9<\"${1%/*}/\" && flock 9 && rm -f -- \"$1.part\" && cat >\"$1.part\" || exit 1
[ \"$(stat -c %s -- \"$1.part\")\" = \"$2\" ] || { echo 'not all of it came' >&2; exit 1; }
sync -- \"$1.part\" && mv -fT -- \"$1.part\" \"$1\" && sync -- \"${1%/*}/\"";

/// A line for each thing below the first argument, ended by a zero, in the order in which it is found.
const WALK: &str = "cd -- \"$1\" && find . -xdev -mindepth 1 -printf '%y %s %i %n %P\\0'";

impl SshHost {
    pub(super) fn walk_there(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        let call = Call::script(WALK, &[path]).limit(LONG);
        let answer = self.call("list", &[path], call)?;
        let lines = answer.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        let all: Option<Vec<Found>> = lines.map(parse_found).collect();
        let mut all = all.ok_or_else(|| self.malformed("find", &answer[..answer.len().min(200)]))?;
        all.retain(|found| !except.iter().any(|except| found.path.starts_with(except)));
        Ok(all)
    }

    pub(super) fn carry_there(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
        // `mv` would copy what it cannot rename, and what is copied half is neither here nor there.
        if let Some(mount) = self.mounts_within(tree)?.iter().find(|mount| *mount != tree) {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "a file system is mounted there");
            return Err(Error::file("move what is in", mount, busy).on(self.name()));
        }
        let script = [GO, CARRY].concat();
        let (mut batches, mut size) = (Vec::<Vec<Vec<u8>>>::new(), 0);
        for it in moves {
            let words = self.words_of(tree, store, it)?;
            let more = words.iter().map(|word| word.len() + 1).sum::<usize>();
            size += more;
            match batches.last_mut() {
                Some(batch) if size <= BATCH => batch.extend(words),
                _ => {
                    batches.push(words.into());
                    size = more;
                }
            }
        }
        let count = batches.len();
        for (number, batch) in (1..).zip(batches) {
            let call = Call::script(&script, &[tree, store]).limit(LONG);
            let call = call.arg(if number == count { "1" } else { "" });
            self.call("move", &[tree], batch.into_iter().fold(call, Call::arg))?;
        }
        Ok(())
    }

    /// What [`CARRY`] is told of a move.
    fn words_of(&self, tree: &Path, store: &Path, it: &Move) -> Result<[Vec<u8>; 6]> {
        let within = |root: &Path, path: &Path| {
            let names = path.strip_prefix(root).ok().filter(|within| is_plain(within));
            let names = names.and_then(|within| Some((directory(within.parent()?), within.file_name()?)));
            let invalid = io::Error::from(io::ErrorKind::InvalidInput);
            let refused = || Error::file("move", path, invalid).on(self.name());
            names.map(|(above, name)| (above, name.as_bytes().to_vec())).ok_or_else(refused)
        };
        let (from, stored) = within(store, &it.stored)?;
        let (to, placed) = within(tree, &it.placed)?;
        let gate = match &it.only_if {
            Some(gate) => {
                let (above, name) = within(store, gate)?;
                [above, name].join(&b'/')
            }
            None => Vec::new(),
        };
        Ok([if it.out { b"+".to_vec() } else { b"-".to_vec() }, from, stored, to, placed, gate])
    }

    pub(super) fn attributes_there(&self, path: &Path) -> Result<Attributes> {
        let answer = self.script("look at", ATTRIBUTES, &[path])?;
        let found =
            parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| self.malformed("stat", &answer))?;
        found.bounded().map_err(|error| Error::file("look at", path, error).on(self.name()))
    }

    pub(super) fn set_attributes_there(&self, tree: &Path, path: &Path, wanted: &Attributes) -> Result<()> {
        let full = if path.as_os_str().is_empty() { tree.to_owned() } else { tree.join(path) };
        if !is_plain(path) {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(Error::file("set attributes of", &full, error).on(self.name()));
        }
        let present = self.attributes_there(&full)?;
        let time = format!("{}.{:09}", wanted.seconds, wanted.nanoseconds);
        let mut call = Call::script(&[GO, SET_ATTRIBUTES].concat(), &[tree]).arg(directory(path));
        // With fewer than five digits, chmod would leave a directory's set-id bits as they are.
        call = call.arg(format!("{:05o}", wanted.mode));
        call = call.arg(format!("{}:{}", wanted.uid, wanted.gid)).arg(time);
        for (name, _) in
            present.xattrs.iter().filter(|(name, _)| !wanted.xattrs.iter().any(|(n, _)| n == name))
        {
            call = call.arg(name).arg("");
        }
        for (name, value) in wanted.xattrs.iter().filter(|wanted| !present.xattrs.contains(wanted)) {
            call = call.arg(name).arg(hex(value));
        }
        self.call("set attributes of", &[&full], call).map(drop)
    }

    pub(super) fn write_there(&self, path: &Path, content: &[u8]) -> Result<()> {
        let call = Call::script(WRITE, &[path]).arg(content.len().to_string());
        let said = self.connection.persist(|| self.connection.call_with(&call, content, false))?;
        if said.status == 0 { Ok(()) } else { Err(self.refused("write", &[path], &said)) }
    }
}

/// Whether it has nothing but names.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// A directory within another as scripts here take it.
fn directory(within: &Path) -> Vec<u8> {
    within.iter().flat_map(|name| [b"/", name.as_bytes()].concat()).collect()
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
    let (seconds, nanoseconds) = time_of(time)?;
    let xattrs = lines.filter(|line| !line.starts_with('#') && line.contains('=')).map(parse_xattr);
    let mut xattrs = xattrs.collect::<Option<Vec<_>>>()?;
    xattrs.retain(|(name, _)| is_of_users(name));
    xattrs.sort();
    Some(Attributes {
        mode: u32::from_str_radix(mode, 8).ok()?,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        seconds,
        nanoseconds,
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
