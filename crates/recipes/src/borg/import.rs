//! Archives of what lies on another machine: the real `borg`, on this one, is fed with what a `tar` there makes.
//!
//! To `borg import-tar`, a stream that ends between two of its members has come to its end, and so has one in which the blocks come
//! that end a tar. So the last of it is held back until it is known that it came whole. Where it did not, borg is ended before it sees any
//! end. And should it see one all the same (a borg that was started by a wrapper lives on when we are killed), what it makes of that
//! has another name: it gets its own when it is known to be whole.

use std::io::{Read, Write};
use std::process::ChildStdin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use reprise_engine::{Result, SourceError};
use reprise_host::{Command, Fed, Packed};
use reprise_model::{Observer, Unobserved};

use super::BorgArchive;
use super::keep::{EXIT_CODES, LIMIT, LOCK_WAIT, UNFINISHED, remarks};

/// How much of the stream is held back. A tar ends with two blocks of zeros and is filled up with more of them to 10 KiB.
const HELD_BACK: usize = 64 << 10;

/// How often somebody who waits looks whether there is still something to wait for.
const TICK: Duration = Duration::from_millis(200);

/// The command that makes the archive `name`. Names are UTF-8 to it, or bytes that are none, wherever it runs.
fn command(location: &str, name: &str, secret: Vec<u8>) -> Command {
    let passphrase = format!("BORG_PASSPHRASE_FD={}", Fed::SECRET);
    let borg = Command::new("env").args([&passphrase, EXIT_CODES, "LC_ALL=C.UTF-8", "borg", "import-tar"]);
    let archive = format!("{location}::{name}");
    borg.args(["--lock-wait", LOCK_WAIT, "--", &archive, Fed::STREAM]).limit(LIMIT).input(secret)
}

impl BorgArchive<'_> {
    /// Makes the archive `name` of what is `packed`.
    pub(super) fn import(
        &self,
        name: &str,
        packed: Packed<'_>,
        observer: &dyn Observer,
    ) -> Result<Vec<String>> {
        // What attempts that were cut off have left.
        self.remove(&self.archives_called(name)?, observer)?;
        let secret = self.secret()?;
        // It waits until nobody reads; opened anew, it is seen as it is then.
        self.close();
        let part = format!("{name}{UNFINISHED}.part");
        let made = feed(&command(&self.location, &part, secret), packed, observer).and_then(|told| {
            self.rename(&part, name, observer)?;
            Ok(told)
        });
        if made.is_err() {
            // What cannot be removed now goes with all else that is kept.
            let _ = self.archives_called(name).and_then(|left| self.remove(&left, &Unobserved));
        }
        made
    }
}

/// Runs `borg` with what is `packed`. Returns what either side remarked on.
fn feed(borg: &Command, packed: Packed<'_>, observer: &dyn Observer) -> Result<Vec<String>> {
    let cancelled = || observer.cancelled();
    thread::scope(|scope| {
        // In this order, whatever ends it: borg is ended, then its stream, then what the stream is made of.
        let Packed { stream, packing } = packed;
        let (is_whole, whole) = channel();
        let (mut borg, stdin) = Fed::start(borg).map_err(super::keep::unwritable)?;
        let (has_ended, ended) = channel();
        let relay = Relay { from: stream, to: stdin, has_ended, whole };
        scope.spawn(move || relay.run(observer));
        let told = loop {
            match ended.recv_timeout(TICK) {
                Err(RecvTimeoutError::Timeout) if cancelled() || !borg.goes_on() => break None,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) => break Some(packing.finish()?),
                // It takes no more.
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        if told.is_some() {
            // Nobody takes it any more where borg has ended, which it tells itself.
            let _ = is_whole.send(());
        }
        let said = remarks(borg.finish(&cancelled))?;
        let Some(mut told) = told else {
            let message = "borg ended before it had read all of what was to be backed up".to_owned();
            return Err(SourceError::Unwritable { message, hint: None }.into());
        };
        told.extend(said);
        Ok(told)
    })
}

/// Passes a stream on, but for its last bytes.
struct Relay {
    from: Box<dyn Read + Send>,
    to: ChildStdin,
    /// Told when the stream has ended.
    has_ended: Sender<()>,
    /// Tells that it is whole; until then, and where that is never told, it is not ended for the one who reads it.
    whole: Receiver<()>,
}

impl Relay {
    fn run(mut self, observer: &dyn Observer) {
        let (mut held, mut piece) = (Vec::new(), vec![0; 256 << 10]);
        loop {
            let read = match self.from.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                // Why there is no more, the other side tells.
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            held.extend_from_slice(&piece[..read]);
            let ready = held.len().saturating_sub(HELD_BACK);
            if self.to.write_all(&held[..ready]).is_err() {
                return;
            }
            held.drain(..ready);
            observer.advance(read as u64, 0);
        }
        if self.has_ended.send(()).is_ok() && self.whole.recv().is_ok() {
            let _ = self.to.write_all(&held);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{PipeWriter, pipe};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Instant;

    use reprise_engine::Error;
    use reprise_host::Pack;
    use tempfile::TempDir;

    use super::*;

    /// A stand-in for borg, which keeps what it reads, and says when it was the end.
    struct Reader {
        dir: TempDir,
    }

    impl Reader {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn file(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn command(&self) -> Command {
            let script = "cat /dev/fd/4 >\"$1/read\" && touch \"$1/ended\" && echo remarked >&2";
            let command = Command::new("sh").args(["-c", script, "sh"]);
            command.arg(self.dir.path().to_str().unwrap()).limit(Duration::from_mins(1))
        }

        fn has_ended(&self) -> bool {
            self.file("ended").exists()
        }
    }

    /// What is at the other end, if it is there: its stream ends with it.
    struct Tar {
        ends: Result<Vec<String>, reprise_host::Error>,
        _stream: Option<PipeWriter>,
    }

    impl Pack for Tar {
        fn finish(self: Box<Self>) -> reprise_host::Result<Vec<String>> {
            self.ends
        }
    }

    fn packed(content: &[u8], ends: Result<Vec<String>, reprise_host::Error>) -> Packed<'static> {
        let stream = std::io::Cursor::new(content.to_vec());
        Packed { stream: Box::new(stream), packing: Box::new(Tar { ends, _stream: None }) }
    }

    /// Cancelled once it is told to be; counts bytes.
    #[derive(Default)]
    struct Seen {
        bytes: AtomicU64,
        cancelled: Arc<AtomicBool>,
    }

    impl Observer for Seen {
        fn advance(&self, bytes: u64, _: u64) {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fn item(&self, _: &[u8]) {}
        fn cancelled(&self) -> bool {
            self.cancelled.load(Ordering::Relaxed)
        }
    }

    fn cut_off() -> reprise_host::Error {
        reprise_host::Error::File {
            action: "read all of",
            path: PathBuf::from("/srv"),
            source: std::io::ErrorKind::Other.into(),
        }
    }

    #[test]
    fn what_came_whole_is_read_whole() {
        for size in [0, 1, HELD_BACK - 1, HELD_BACK, HELD_BACK + 1, 3 << 20] {
            let (reader, seen) = (Reader::new(), Seen::default());
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let told = feed(&reader.command(), packed(&content, Ok(vec!["changed".to_owned()])), &seen);
            assert_eq!(told.unwrap(), ["changed"], "a borg that ends well has nothing to say");
            assert!(fs::read(reader.file("read")).unwrap() == content && reader.has_ended(), "{size}");
            assert_eq!(seen.bytes.into_inner(), size as u64);
        }
    }

    #[test]
    fn the_end_of_what_was_cut_off_is_never_seen() {
        for size in [0, HELD_BACK, 3 << 20] {
            let reader = Reader::new();
            let content = vec![7; size];
            let error = feed(&reader.command(), packed(&content, Err(cut_off())), &Unobserved).unwrap_err();
            assert!(matches!(error, Error::Host(_)), "{error}");
            let read = fs::read(reader.file("read")).unwrap_or_default();
            assert!(read.len() <= size.saturating_sub(HELD_BACK), "{} of {size}", read.len());
            assert!(!reader.has_ended(), "{size}");
        }
    }

    #[test]
    fn cancelled_it_ends_although_nothing_comes_and_nothing_ends() {
        let (reader, seen) = (Reader::new(), Seen::default());
        let (stream, mut writer) = pipe().unwrap();
        writer.write_all(&vec![7; HELD_BACK]).unwrap();
        let packing = Tar { ends: Ok(Vec::new()), _stream: Some(writer) };
        let packed = Packed { stream: Box::new(stream), packing: Box::new(packing) };
        let cancelled = Arc::clone(&seen.cancelled);
        let began = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                wait_for(&reader.file("read"));
                cancelled.store(true, Ordering::Relaxed);
            });
            let ended = feed(&reader.command(), packed, &seen);
            assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
        });
        assert!(began.elapsed() < Duration::from_secs(15) && !reader.has_ended());
    }

    #[test]
    fn a_borg_that_takes_no_more_says_why() {
        let fails = Command::new("sh").args(["-c", "echo no room >&2; exit 2"]);
        // Of the one, more comes than anybody takes; of the other, nothing.
        let (stream, writer) = pipe().unwrap();
        let silent = Tar { ends: Ok(Vec::new()), _stream: Some(writer) };
        let silent = Packed { stream: Box::new(stream), packing: Box::new(silent) };
        for packed in [packed(&vec![7; 3 << 20], Ok(Vec::new())), silent] {
            let error = feed(&fails, packed, &Unobserved).unwrap_err();
            assert!(error.to_string().contains("no room"), "{error}");
        }
        let content = vec![7; 3 << 20];
        let early = feed(&Command::new("true"), packed(&content, Ok(Vec::new())), &Unobserved);
        assert!(early.unwrap_err().to_string().contains("before it had read all"));
    }

    #[test]
    fn what_borg_warns_of_is_told_after_what_tar_did() {
        let warns = Command::new("sh").args(["-c", "cat /dev/fd/4 >/dev/null; echo odd >&2; exit 1"]);
        let told = feed(&warns, packed(b"tar", Ok(vec!["changed".to_owned()])), &Unobserved);
        assert_eq!(told.unwrap(), ["changed", "odd"]);
    }

    #[test]
    fn the_passphrase_is_in_no_argument() {
        let command = command("/srv/borg", "reprise-before-1", b"xyzzy".to_vec());
        let shown = format!("{command} {command:?}");
        assert!(shown.contains("import-tar") && !shown.contains("xyzzy"), "{shown}");
    }

    fn wait_for(path: &Path) {
        let until = Instant::now() + Duration::from_secs(30);
        while !path.exists() {
            assert!(Instant::now() < until, "{} is not there", path.display());
            thread::sleep(Duration::from_millis(10));
        }
    }
}
