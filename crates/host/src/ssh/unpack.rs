//! A tree of the other side, unpacked by its `tar` from what is written here, and counted there afterwards.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::thread::JoinHandle;

use rustix::io::Errno;

use super::connection::{Connection, Session};
use super::files::{error_of, error_of_tar};
use super::wire::Call;
use crate::{Error, Result, Unpack, Unpacked};

/// tar as it takes what a backup gives: owners by number, attributes and access lists, and no name that leads out of its
/// directory, which GNU tar sees to by itself. Then what is there, a line for each entry.
const SCRIPT: &str = "umask 077
cd -- \"${1%/*}/\" || exit 1
tar -x -p -f - --numeric-owner --same-owner --xattrs --xattrs-include='*' --acls --warning=no-timestamp || exit 1
find \"./${1##*/}\" -xdev -printf '%y %s %n %i\\n'";

/// Free blocks with which a disk is not full.
const NOT_FULL: u64 = 256;

/// A running `tar -x`.
#[derive(Debug)]
pub(super) struct Unpacking<'c> {
    connection: &'c Connection,
    path: PathBuf,
    session: Option<Session>,
    stdin: Option<BufWriter<ChildStdin>>,
    counted: Option<JoinHandle<Unpacked>>,
}

impl<'c> Unpacking<'c> {
    pub(super) fn start(connection: &'c Connection, path: &Path) -> Result<Self> {
        let call = Call::script(SCRIPT, &[path]);
        let mut session = connection.begin(&call)?;
        let stdin = session.child.stdin.take().map(|stdin| BufWriter::with_capacity(256 << 10, stdin));
        let counted = session.child.stdout.take().map(|stdout| std::thread::spawn(move || count(stdout)));
        Ok(Self { connection, path: path.to_owned(), session: Some(session), stdin, counted })
    }
}

impl Write for Unpacking<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.flush()
    }
}

impl Unpack for Unpacking<'_> {
    fn finish(mut self: Box<Self>) -> Result<Unpacked> {
        let host = &self.connection.settings.name;
        let fail = |error: io::Error| Error::file("unpack", &self.path, error).on(host);
        if let Some(mut stdin) = self.stdin.take() {
            // Why it does not take more, it says itself.
            let _ = stdin.flush();
        }
        let Some(session) = self.session.take() else { return Err(fail(io::ErrorKind::BrokenPipe.into())) };
        let said = self.connection.end(session, None)?;
        let counted = self.counted.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if said.status != 0 {
            return Err(fail(error_of_tar(&said.stderr)));
        }
        // tar takes an attribute that cannot be set for nothing much, whoever is to blame.
        let told = |wanted: &[Errno]| {
            let is_wanted =
                |error: &io::Error| Errno::from_io_error(error).is_some_and(|it| wanted.contains(&it));
            said.stderr.lines().map(error_of).find(is_wanted)
        };
        if let Some(error) = told(&[Errno::DQUOT, Errno::IO, Errno::ROFS]) {
            return Err(fail(error));
        }
        // That is also said of attributes that are too large for the file system.
        if let Some(error) = told(&[Errno::NOSPC]) {
            let call = Call::script("stat -f -c '%f %T' -- \"$1\"", &[&self.path]);
            if is_full(&String::from_utf8_lossy(&self.connection.call(&call)?.stdout)) {
                return Err(fail(error));
            }
        }
        let warnings = said.stderr.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
        Ok(Unpacked { warnings, ..counted })
    }
}

impl Drop for Unpacking<'_> {
    /// Given up: tar sees its stream end, and must be gone before what it wrote is removed.
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if let Some(stdin) = self.stdin.take() {
            // What is still in the buffer is not worth sending.
            drop(stdin.into_parts().0);
        }
        session.give_up();
    }
}

/// What the lines of `find` add up to. The content of a file with several names counts once.
fn count(lines: impl Read) -> Unpacked {
    let (mut sum, mut seen) = (Unpacked::default(), HashSet::new());
    for line in BufReader::new(lines).split(b'\n').map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split(' ');
        let (kind, mut number) = (words.next(), || words.next().and_then(|word| word.parse::<u64>().ok()));
        let (Some(size), Some(names), Some(inode)) = (number(), number(), number()) else { continue };
        sum.entries += 1;
        if kind == Some("f") && (names == 1 || seen.insert(inode)) {
            sum.bytes += size;
        }
    }
    sum
}

/// Whether there is no room left, by what `stat` says of a file system, if it says that.
fn is_full(answer: &str) -> bool {
    match answer.trim().split_once(' ') {
        // A tmpfs has no limit of its own for attributes.
        Some((blocks, kind)) => {
            kind == "tmpfs" || blocks.parse().map_or(true, |blocks: u64| blocks <= NOT_FULL)
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_several_names_count_once() {
        let sum = count(&b"d 4096 2 1\nf 10 1 2\nf 7 2 3\nf 7 2 3\nl 5 1 4\n"[..]);
        assert_eq!((sum.entries, sum.bytes), (5, 17));
    }

    #[test]
    fn a_disk_is_full_unless_it_is_known_not_to_be() {
        assert!(is_full("") && is_full("3 ext2/ext3\n") && is_full("70000 tmpfs\n"));
        assert!(!is_full("70000 ext2/ext3\n"));
    }
}
