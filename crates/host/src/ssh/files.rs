//! Files of the other side, by the programs that are there.
//!
//! Every script here can be run twice: an answer may be lost on its way, and the script be sent again. Where done twice
//! is not done once, in renaming and exchanging, the script is given what tells the trees apart, and looks first.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::connection::Said;
use super::pack::Packing;
use super::probe::renameat2;
use super::unpack::Unpacking;
use super::wire::Call;
use super::{SshHost, There, output};
use crate::claim::Claimed;
use crate::docker::Run;
use crate::{
    Attributes, Claim, Command, Container, Disk, Docker, Error, FileKind, Files, Found, Host, Inode, Move,
    Output, Present, Result, Space, Stat, Tree, absolute_mounts, mounts,
};

/// For what takes as long as there are files.
pub(super) const LONG: Duration = Duration::from_hours(24);

/// An inode's number and birth, as `stat` prints them.
const IDENTITY: &str = "'%i %.9W'";

impl SshHost {
    /// Runs `script` with `paths`; its standard output when it ends well.
    pub(super) fn script(&self, action: &'static str, script: &str, paths: &[&Path]) -> Result<Vec<u8>> {
        self.call(action, paths, Call::script(script, paths))
    }

    pub(super) fn call(&self, action: &'static str, paths: &[&Path], call: Call) -> Result<Vec<u8>> {
        self.answer(action, paths, self.connection.call(&call)?)
    }

    /// The same, of one that may be given up: nothing when `cancelled` said so.
    pub(super) fn call_unless(
        &self,
        cancelled: &dyn Fn() -> bool,
        action: &'static str,
        paths: &[&Path],
        call: &Call,
    ) -> Result<Option<Vec<u8>>> {
        let said = self.connection.call_unless(cancelled, call)?;
        said.map(|said| self.answer(action, paths, said)).transpose()
    }

    fn answer(&self, action: &'static str, paths: &[&Path], said: Said) -> Result<Vec<u8>> {
        if said.status == 0 { Ok(said.stdout) } else { Err(self.refused(action, paths, &said)) }
    }

    pub(super) fn refused(&self, action: &'static str, paths: &[&Path], said: &Said) -> Error {
        let path = paths.first().copied().unwrap_or(Path::new("/"));
        let error = match said.status {
            124 | 137 => io::Error::from(io::ErrorKind::TimedOut),
            _ => error_of(&said.stderr),
        };
        Error::file(action, path, error).on(&self.connection.settings.name)
    }

    pub(super) fn malformed(&self, what: &'static str, answer: &[u8]) -> Error {
        let reason = format!("`{}`", String::from_utf8_lossy(answer).trim().escape_debug());
        Error::Answer { command: what.to_owned(), reason }.on(&self.connection.settings.name)
    }

    /// What tells the file at each of `paths` from every other, as text.
    fn identities(&self, action: &'static str, paths: &[&Path]) -> Result<Vec<String>> {
        let answer = self.script(action, &format!("stat -c {IDENTITY} -- \"$@\""), paths)?;
        let lines: Vec<String> = String::from_utf8_lossy(&answer).lines().map(ToOwned::to_owned).collect();
        if lines.len() == paths.len() { Ok(lines) } else { Err(self.malformed("stat", &answer)) }
    }

    fn canonical_all(&self, paths: &[&Path]) -> Result<Vec<PathBuf>> {
        // Each as far as it exists, and then the rest of it.
        let script = "for p do
  rest=
  until realpath -ez -- \"$p\" 2>/dev/null; do
    case $p in /|'') printf '/\\0'; break ;; esac
    rest=/${p##*/}$rest p=${p%/*}
    [ -n \"$p\" ] || p=/
  done
  printf '%s\\0' \"$rest\"
done";
        let answer = self.script("resolve", script, paths)?;
        let fields: Vec<&[u8]> = answer.split(|byte| *byte == 0).collect();
        if fields.len() != paths.len() * 2 + 1 {
            return Err(self.malformed("realpath", &answer));
        }
        let joined = fields.chunks_exact(2).map(|pair| {
            let rest = pair[1].strip_prefix(b"/").unwrap_or(pair[1]);
            let found = PathBuf::from(OsStr::from_bytes(pair[0]));
            if rest.is_empty() { found } else { found.join(OsStr::from_bytes(rest)) }
        });
        Ok(joined.collect())
    }

    /// Runs `script`, which may call `renameat2`, on the two paths and what lies there now.
    fn rename_with(
        &self,
        action: &'static str,
        script: &str,
        paths: [&Path; 2],
        known: &[String],
    ) -> Result<()> {
        let way = self.connection.facts()?.exchange;
        // One at a time: one that was sent before the connection was lost may yet come to run.
        let script = format!("{}exec 9<\"${{1%/*}}/\" && flock 9 || exit 1\n{script}", renameat2(way));
        let call = known.iter().fold(Call::script(&script, &paths), Call::arg);
        self.call(action, &paths, call).map(drop)
    }
}

/// What sends a tree to the disk of another host. There, nothing is held open from before it is written: of what could not be
/// written, only what nobody else was told of is known.
struct DiskThere<'h> {
    host: &'h SshHost,
    path: PathBuf,
}

impl Disk for DiskThere<'_> {
    fn flush(&self) -> Result<()> {
        let call = Call::script("sync -f -- \"${1%/*}/\"", &[&self.path]).limit(LONG);
        self.host.call("sync", &[&self.path], call).map(drop)
    }
}

impl Host for SshHost {
    fn name(&self) -> &str {
        &self.connection.settings.name
    }

    fn user(&self) -> u32 {
        0
    }

    fn clock_ahead(&self) -> Result<i64> {
        // Whole seconds, which every `date` knows; what is cut off makes it seem a little behind, never ahead.
        let answer = self.script("ask the time of", "date +%s", &[])?;
        let told = std::str::from_utf8(&answer).ok().and_then(|told| told.trim().parse::<i64>().ok());
        let ahead = |there: i64| there.checked_mul(1000)?.checked_sub(Timestamp::now().as_millisecond());
        told.and_then(ahead).ok_or_else(|| self.malformed("date", &answer))
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        let script = "stat -c '%f %i %.9W %d %u %s %Y' -- \"$1\"";
        let said = self.connection.call(&Call::script(script, &[path]))?;
        if said.status != 0 {
            let error = error_of(&said.stderr);
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(self.refused("look at", &[path], &said)),
            };
        }
        parse_stat(&said.stdout).map(Some).ok_or_else(|| self.malformed("stat", &said.stdout))
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        Ok(self.canonical_all(&[path])?.remove(0))
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        let script = "cd -- \"$1\" && [ -r . ] || exit 1
for name in * .[!.]* ..?*; do
  if [ -e \"$name\" ] || [ -L \"$name\" ]; then printf '%s\\0' \"$name\"; fi
done
:";
        let answer = self.script("list", script, &[path])?;
        let names = answer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let mut names: Vec<OsString> = names.map(|name| OsString::from_vec(name.to_vec())).collect();
        names.sort();
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>> {
        let script = format!("head -c {} -- \"$1\"", limit.saturating_add(1));
        // What may be large may also take long.
        let content = self.call("read", &[path], Call::script(&script, &[path]).limit(LONG))?;
        if content.len() as u64 > limit {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes"));
            return Err(Error::file("read", path, error).on(self.name()));
        }
        Ok(content)
    }

    fn make_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let script = format!(
            "[ -d \"$1\" ] && [ ! -L \"$1\" ] || {{ mkdir -m {mode:o} -- \"$1\" && sync -- \"${{1%/*}}/\"; }}"
        );
        self.script("make directory", &script, &[path]).map(drop)
    }

    fn remove_dir(&self, path: &Path) -> Result<bool> {
        let script = "rmdir -- \"$1\" && sync -- \"${1%/*}/\"";
        let said = self.connection.call(&Call::script(script, &[path]))?;
        if said.status == 0 {
            return Ok(true);
        }
        match error_of(&said.stderr).kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(true),
            io::ErrorKind::DirectoryNotEmpty => Ok(false),
            _ => Err(self.refused("remove directory", &[path], &said)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let known = self.identities("rename", &[from])?;
        let script = format!(
            "f=1
if s=$(stat -c {IDENTITY} -- \"$1\" 2>/dev/null); then
  [ \"$s\" = \"$3\" ] || {{ echo 'it was replaced by something else' >&2; exit 1; }}
  renameat2 \"$1\" \"$2\" || exit 1
else
  [ \"$(stat -c {IDENTITY} -- \"$2\")\" = \"$3\" ] || exit 1
fi
sync -- \"${{1%/*}}/\" \"${{2%/*}}/\""
        );
        self.rename_with("rename", &script, [from, to], &known)
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        if self.connection.facts()?.exchange.is_none() {
            return Err(Error::CannotExchange(a.to_owned()));
        }
        let known = self.identities("exchange", &[a, b])?;
        let script = format!(
            "f=2
a=$(stat -c {IDENTITY} -- \"$1\") && b=$(stat -c {IDENTITY} -- \"$2\") || exit 1
if [ \"$a\" = \"$3\" ] && [ \"$b\" = \"$4\" ]; then
  renameat2 \"$1\" \"$2\" || exit 1
else
  [ \"$a\" = \"$4\" ] && [ \"$b\" = \"$3\" ] || {{ echo 'it was replaced by something else' >&2; exit 1; }}
fi
sync -- \"${{1%/*}}/\" \"${{2%/*}}/\""
        );
        self.rename_with("exchange", &script, [a, b], &known).map_err(|error| match error.errno() {
            Some(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Error::CannotExchange(a.to_owned()),
            _ => error,
        })
    }

    fn remove_tree(&self, path: &Path) -> Result<()> {
        if let Some(mount) = self.mounts_within(path)?.first() {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "a file system is mounted there");
            return Err(Error::file("remove", mount, busy).on(self.name()));
        }
        // What must not be changed (chattr +i, +a) is made changeable, where the program for it is there.
        let script = "[ -e \"$1\" ] || [ -L \"$1\" ] || exit 0
rm -rf --one-file-system -- \"$1\" 2>/dev/null || {
  chattr -R -f -ia -- \"$1\" >/dev/null 2>&1
  rm -rf --one-file-system -- \"$1\" || exit 1
}
sync -- \"${1%/*}/\"";
        self.call("remove", &[path], Call::script(script, &[path]).limit(LONG)).map(drop)
    }

    fn tree(&self, path: &Path) -> Result<Tree<'_>> {
        Ok(Tree::Elsewhere(Box::new(Unpacking::start(&self.connection, path)?)))
    }

    fn pack(&self, paths: &[PathBuf], except: &[PathBuf]) -> Result<Files<'_>> {
        Ok(Files::Elsewhere(Packing::start(&self.connection, paths, except)?))
    }

    fn edit(&self, tree: &Path, file: &Path, content: &[u8], original: Option<&OsStr>) -> Result<()> {
        // Not followed, and not through one either: what lies there came from a backup.
        let script = "root=$(realpath -e -- \"$1\") && f=$1/$2 || exit 1
[ -f \"$f\" ] && [ ! -L \"$f\" ] && [ \"$(realpath -e -- \"$f\")\" = \"$root/$2\" ] || {
  echo 'it is not a regular file within its tree' >&2; exit 1; }
if [ -n \"$3\" ]; then
  o=${f%/*}/$3
  if [ -e \"$o\" ] || [ -L \"$o\" ]; then echo 'File exists' >&2; exit 1; fi
  cp -aT -- \"$f\" \"$o\" || exit 1
fi
cat >\"$f\"";
        let call = Call::script(script, &[tree, file]).arg(original.unwrap_or_default().as_bytes());
        let said = self.connection.call_with(&call, content, false)?;
        if said.status == 0 { Ok(()) } else { Err(self.refused("change", &[&tree.join(file)], &said)) }
    }

    fn disk_of(&self, path: &Path) -> Result<Box<dyn Disk + '_>> {
        Ok(Box::new(DiskThere { host: self, path: path.to_owned() }))
    }

    fn walk(&self, path: &Path, except: &[PathBuf]) -> Result<Vec<Found>> {
        self.walk_there(path, except)
    }

    fn present(
        &self,
        path: &Path,
        except: &[PathBuf],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Present>> {
        Ok(self.present_there(path, except, cancelled)?.map(Present::There))
    }

    fn sees_attributes(&self) -> Result<bool> {
        Ok(self.connection.facts()?.attributes)
    }

    fn carry(&self, tree: &Path, store: &Path, moves: &[Move]) -> Result<()> {
        self.carry_there(tree, store, moves)
    }

    fn attributes(&self, path: &Path) -> Result<Attributes> {
        self.attributes_there(path)
    }

    fn set_attributes(&self, tree: &Path, path: &Path, attributes: &Attributes) -> Result<()> {
        self.set_attributes_there(tree, path, attributes)
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.write_there(path, content)
    }

    fn ask(&self, command: &Command) -> Result<Output> {
        There(Arc::clone(&self.connection)).run(command)
    }

    fn run(&self, command: &Command) -> Result<Output> {
        There(Arc::clone(&self.connection)).run(command)
    }

    fn run_unless(&self, cancelled: &dyn Fn() -> bool, command: &Command) -> Result<Option<Output>> {
        if !command.given().is_empty() {
            return self.run(command).map(Some);
        }
        let said = self.connection.call_unless(cancelled, &Call::from(command))?;
        said.map(|said| output(command, said)).transpose()
    }

    fn space(&self, path: &Path) -> Result<Space> {
        let script = "p=$1
until [ -e \"$p\" ] || [ -L \"$p\" ]; do p=${p%/*}; [ -n \"$p\" ] || p=/; done
stat -L -c %d -- \"$p\" && stat -f -c '%a %S %c %d' -- \"$p\"";
        let answer = self.script("measure", script, &[path])?;
        let numbers: Option<Vec<u64>> =
            String::from_utf8_lossy(&answer).split_whitespace().map(|word| word.parse().ok()).collect();
        let Some(&[device, blocks, size, inodes, free]) = numbers.as_deref() else {
            return Err(self.malformed("stat", &answer));
        };
        let free_inodes = if inodes == 0 { u64::MAX } else { free };
        Ok(Space { device, free_bytes: blocks.saturating_mul(size), free_inodes })
    }

    fn newest_change(&self, path: &Path) -> Result<Option<i64>> {
        // One question for all of it; of what takes too long to look through, what came so far counts.
        let script = "timeout 20 find \"$1\" -xdev -printf '%T@\\n' 2>/dev/null | sort -rn | head -n 1";
        let answer = self.script("look at", script, &[path])?;
        let text = String::from_utf8_lossy(&answer);
        Ok(text.split('.').next().and_then(|seconds| seconds.trim().parse().ok()))
    }

    fn mounts_within(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let table = self.script("read", "cat -- \"$1\"", &[Path::new(mounts::TABLE)])?;
        Ok(mounts::within(&table, path))
    }

    fn docker(&self) -> &dyn Docker {
        &self.docker
    }

    fn containers(&self) -> Result<Vec<Container>> {
        let mut containers = crate::docker::containers(&self.docker)?;
        let sources: Vec<PathBuf> = absolute_mounts(&containers);
        if !sources.is_empty() {
            // In one go: each question is a journey.
            let found = self.canonical_all(&sources.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
            for mount in containers.iter_mut().flat_map(|container| &mut container.mounts) {
                if let Ok(at) = sources.binary_search(&mount.source) {
                    mount.source.clone_from(&found[at]);
                }
            }
        }
        Ok(containers)
    }

    fn claim(&self, claim: &Claim) -> Result<Claimed> {
        Claimed::there(&self.connection, claim)
    }
}

fn parse_stat(answer: &[u8]) -> Option<Stat> {
    let text = std::str::from_utf8(answer).ok()?;
    let [mode, number, born, device, owner, size, modified] =
        text.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let mode = u32::from_str_radix(mode, 16).ok()?;
    Some(Stat {
        kind: match mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Other,
        },
        inode: Inode { number: number.parse().ok()?, born: nanoseconds(born) },
        device: device.parse().ok()?,
        owner: owner.parse().ok()?,
        size: size.parse().ok()?,
        modified: modified.parse().ok()?,
    })
}

/// Seconds with nine decimals; 0 for what is not known.
fn nanoseconds(text: &str) -> i64 {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = seconds.parse().unwrap_or(0);
    if seconds <= 0 { 0 } else { seconds.saturating_mul(1_000_000_000) + fraction.parse().unwrap_or(0) }
}

/// The error that a program's last words stand for, as far as they are the system's.
pub(super) fn error_of(stderr: &str) -> io::Error {
    use rustix::io::Errno;
    let last =
        stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it failed without a word");
    let known = [
        ("No such file or directory", Errno::NOENT),
        ("Not a directory", Errno::NOTDIR),
        ("No space left on device", Errno::NOSPC),
        ("Disk quota exceeded", Errno::DQUOT),
        ("Permission denied", Errno::ACCESS),
        ("Operation not permitted", Errno::PERM),
        ("Read-only file system", Errno::ROFS),
        ("Input/output error", Errno::IO),
        ("File exists", Errno::EXIST),
        ("Directory not empty", Errno::NOTEMPTY),
        ("Device or resource busy", Errno::BUSY),
        ("Invalid cross-device link", Errno::XDEV),
        ("Invalid argument", Errno::INVAL),
        ("Function not implemented", Errno::NOSYS),
        ("Too many levels of symbolic links", Errno::LOOP),
    ];
    let errno = known.into_iter().find(|(words, _)| last.ends_with(words)).map(|(_, errno)| errno);
    // A shell's own words for a directory it cannot go to.
    let errno = errno.or_else(|| last.contains("can't cd to").then_some(Errno::NOENT));
    // tar's for a file that does not fit.
    let errno = errno.or_else(|| last.contains(": Wrote only ").then_some(Errno::NOSPC));
    errno.map_or_else(|| io::Error::other(last.to_owned()), io::Error::from)
}

/// The same of all that tar said: its last line only tells that there were others, and the system's own words tell most.
pub(super) fn error_of_tar(stderr: &str) -> io::Error {
    let errors = || stderr.lines().filter(|line| !line.is_empty()).map(error_of);
    let told = errors().find(|error| error.raw_os_error().is_some());
    told.or_else(|| errors().next()).unwrap_or_else(|| error_of(""))
}
