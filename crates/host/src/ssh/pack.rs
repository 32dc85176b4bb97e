//! Trees of the other side, read here as the stream that its `tar` makes of them.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use super::connection::{Connection, Session};
use super::files::error_of_tar;
use super::wire::Call;
use crate::process::GRACE;
use crate::{Error, Pack, Packed, Result};

/// tar with names as they are, whatever they look like: nothing in them is a pattern, an option or quoted. Sockets are no part of
/// a backup, and not worth a word. It ends when standard input does, as everything there: it may be in the middle of a directory
/// that is slow to read, and write nothing for a long time. Holes are written as zeros.
const SCRIPT: &str = "unset TAR_OPTIONS
exec 3<&0
tar -c -f - -b 20 -C / --format=pax --pax-option=delete=atime,delete=ctime --numeric-owner \
 --warning=no-file-ignored --no-unquote --anchored --no-wildcards \"$@\" </dev/null 3<&- & p=$!
{ IFS= read -r x <&3 || kill -s TERM $p; } >/dev/null 2>&1 & w=$!
wait $p; r=$?
{ kill $w; wait $w; } 2>/dev/null
exit $r";

/// A running `tar -c`.
#[derive(Debug)]
pub(super) struct Packing<'c> {
    connection: &'c Connection,
    path: PathBuf,
    session: Option<Session>,
    // While it is open, tar goes on.
    stdin: Option<ChildStdin>,
}

impl<'c> Packing<'c> {
    pub(super) fn start(
        connection: &'c Connection,
        paths: &[PathBuf],
        except: &[PathBuf],
    ) -> Result<Packed<'c>> {
        let call = call(paths, except);
        let mut session = connection.begin(&call)?;
        let stdin = session.child.stdin.take();
        let path = paths.first().cloned().unwrap_or_default();
        let Some(stdout) = session.child.stdout.take() else {
            return Err(lost("read", &path).on(&connection.settings.name));
        };
        let packing = Self { connection, path, session: Some(session), stdin };
        Ok(Packed { stream: Box::new(stdout), packing: Box::new(packing) })
    }
}

fn call(paths: &[PathBuf], except: &[PathBuf]) -> Call {
    let excluded = |path: &PathBuf| [b"--exclude=", relative(path)].concat();
    let words = except.iter().map(excluded).chain([b"--".to_vec()]);
    let words = words.chain(paths.iter().map(|path| relative(path).to_vec()));
    words.fold(Call::script(SCRIPT, &[]), Call::arg)
}

/// `path` as archives have it.
fn relative(path: &Path) -> &[u8] {
    let name = path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes();
    if name.is_empty() { b"." } else { name }
}

fn lost(action: &'static str, path: &Path) -> Error {
    Error::file(action, path, std::io::ErrorKind::BrokenPipe)
}

impl Pack for Packing<'_> {
    fn finish(mut self: Box<Self>) -> Result<Vec<String>> {
        let host = &self.connection.settings.name;
        let Some(session) = self.session.take() else { return Err(lost("read", &self.path).on(host)) };
        let said = self.connection.end(session, Some(GRACE))?;
        match said.status {
            // Something changed while it was read.
            0 | 1 => {
                let words = said.stderr.lines().filter(|line| !line.is_empty());
                Ok(words.map(ToOwned::to_owned).collect())
            }
            _ => Err(Error::file("read all of", &self.path, error_of_tar(&said.stderr)).on(host)),
        }
    }
}

impl Drop for Packing<'_> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        drop(self.stdin.take());
        session.give_up();
    }
}
