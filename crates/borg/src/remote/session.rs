//! One conversation with `borg serve`: a child process, and the threads that write to it and listen.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use wait_timeout::ChildExt;

use super::rpc::{Answer, answer};
use crate::msgpack::{Fault, Reader};
use crate::segment::MAX_ENTRY;

/// No answer is larger: an object and what is around it, or the texts of an exception.
const MAX_ANSWER: usize = MAX_ENTRY + (64 << 10);
/// What is read at a time.
const READ: usize = 256 << 10;
/// Lines of the child's standard error that are kept.
const LINES: usize = 40;
/// Bytes of a line that are kept.
const LINE: usize = 1000;
/// How long the other side may take to end by itself, giving its lock back, and if somebody wants to stop.
const FAREWELL: Duration = Duration::from_secs(10);
const SHORT_FAREWELL: Duration = Duration::from_millis(500);

/// What the child said on its standard error, and how it ended if it has.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub lines: Vec<String>,
    pub exit_code: Option<i32>,
}

/// An open conversation; dropping it ends it.
#[derive(Debug)]
pub(super) struct Session {
    child: Mutex<Child>,
    /// Requests to be written; `None` once it ends.
    requests: Option<Sender<Vec<u8>>>,
    said: Arc<Mutex<Vec<String>>>,
    /// Closed once everything that the child says on its standard error was heard.
    all_heard: Receiver<()>,
    farewell: Duration,
}

impl Session {
    /// Starts `command`, the program and its arguments. `heard` is called with each answer, and once with `None` and what
    /// is wrong, if anything but the end is, when there will be no more.
    pub fn start(
        command: &[String],
        heard: impl FnMut(Result<Answer, Option<String>>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (program, args) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (requests, queue) = unbounded::<Vec<u8>>();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let (hearing, all_heard) = unbounded();
        if let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) {
            thread::spawn(move || write(stdin, &queue));
            thread::spawn(move || listen(stdout, heard));
            let said = Arc::clone(&said);
            thread::spawn(move || {
                overhear(stderr, &said);
                drop(hearing);
            });
        }
        Ok(Self { child: Mutex::new(child), requests: Some(requests), said, all_heard, farewell: FAREWELL })
    }

    /// Sends a request. That the other side is gone is heard, not told here.
    pub fn send(&self, request: Vec<u8>) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
    }

    /// Ends it without much patience: on the other side, it ends all the same.
    pub fn hurry(mut self) {
        self.farewell = SHORT_FAREWELL;
    }

    /// What the child said, once it has ended; it is waited for a moment.
    pub fn last_words(&self) -> Words {
        const MOMENT: Duration = Duration::from_secs(2);
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.wait_timeout(MOMENT).ok().flatten();
        // Something that it started may keep its standard error open.
        let _ = self.all_heard.recv_timeout(MOMENT);
        let exit_code = status.and_then(|status: ExitStatus| {
            status.code().or_else(|| status.signal().map(|signal| 128 + signal))
        });
        let lines = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Words { lines, exit_code }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its standard input closes with this, which is how the server knows that we are done.
        self.requests = None;
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !matches!(child.wait_timeout(self.farewell), Ok(Some(_))) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn write(mut stdin: impl Write, queue: &Receiver<Vec<u8>>) {
    for request in queue {
        // What cannot be written will not be answered, and the listener hears of that.
        if stdin.write_all(&request).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn listen(stdout: ChildStdout, mut heard: impl FnMut(Result<Answer, Option<String>>)) {
    let end = answers(stdout, |answer| heard(Ok(answer)));
    heard(Err(end.err()));
}

/// Calls `heard` with each answer until there are no more, or something else is said.
fn answers(mut from: impl Read, mut heard: impl FnMut(Answer)) -> Result<(), String> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut piece = vec![0; READ];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.to_string()),
        };
        buffer.extend_from_slice(&piece[..read]);
        let mut reader = Reader::new(&buffer);
        let mut rest = buffer.len();
        loop {
            match answer(&mut reader) {
                Ok(answer) => {
                    rest = reader.rest().len();
                    heard(answer);
                }
                Err(Fault::Incomplete) if rest <= MAX_ANSWER => break,
                Err(Fault::Incomplete) => return Err("its answer is larger than any object".to_owned()),
                Err(Fault::Malformed(_)) => {
                    let words = &buffer[buffer.len() - rest..];
                    let words = String::from_utf8_lossy(&words[..words.len().min(80)]).into_owned();
                    return Err(format!("it does not speak as `borg serve` does, but said {words:?}"));
                }
            }
        }
        buffer.drain(..buffer.len() - rest);
    }
}

/// Entrance for fuzzing, see [`crate::fuzzing`]: however answers arrive, they are the same.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz(said: &[u8]) {
    struct Parts<'a>(std::slice::Chunks<'a, u8>);
    impl Read for Parts<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let part = self.0.next().unwrap_or_default();
            to[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }
    let heard = |from: &mut dyn Read| {
        let mut heard = Vec::new();
        let end = answers(from, |answer| heard.push(answer));
        (heard, end.is_ok())
    };
    let whole = heard(&mut &said[..]);
    let parts = heard(&mut Parts(said.chunks(1 + said.len() / 64)));
    assert_eq!(whole, parts);
    drop(plain(said));
}

/// Keeps the last lines of the child's standard error.
fn overhear(stderr: impl Read, said: &Mutex<Vec<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without an end must not fill the memory.
        match (&mut stderr).take(64 << 10).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let Some(text) = plain(&line) else { continue };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LINES {
            said.remove(0);
        }
        said.push(text);
    }
}

/// A line as people read it: Borg writes records of JSON once it knows whom it talks to.
fn plain(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&line[..line.len().min(LINE)]).trim().to_owned();
    let record: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let message = record.as_ref().and_then(|record| record.get("message")?.as_str()).map(str::to_owned);
    let text = message.unwrap_or(text);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut to[..1])
        }
    }

    fn heard(said: &[u8]) -> (Vec<u32>, Result<(), String>) {
        let mut numbers = Vec::new();
        let end = answers(said, |answer| numbers.push(answer.number));
        (numbers, end)
    }

    #[test]
    fn answers_are_told_apart_wherever_they_are_cut() {
        let two = b"\x82\xa1i\x05\xa1r\xa2ab\x82\xa1i\x06\xa1r\xc0";
        assert_eq!(heard(two), (vec![5, 6], Ok(())));
        let mut numbers = Vec::new();
        answers(Slow(two), |answer| numbers.push(answer.number)).unwrap();
        assert_eq!(numbers, [5, 6]);
    }

    #[test]
    fn a_greeting_of_the_shell_is_quoted() {
        let (_, end) = heard(b"Welcome to this host!\n");
        assert!(end.unwrap_err().contains("Welcome to this host!"));
    }

    #[test]
    fn an_answer_without_end_is_refused() {
        let mut endless = b"\x82\xa1i\x05\xa1r\xdb\x7f\xff\xff\xff".to_vec();
        endless.resize(MAX_ANSWER + READ, 0);
        assert!(heard(&endless).1.is_err());
    }

    #[test]
    fn records_of_the_server_are_read_as_text() {
        let record =
            br#"{"type": "log_message", "levelname": "WARNING", "message": "Oops\u001b[2J", "name": "borg"}"#;
        assert_eq!(plain(record).as_deref(), Some("Oops[2J"));
        assert_eq!(
            plain(b"Permission denied (publickey).\r\n").as_deref(),
            Some("Permission denied (publickey).")
        );
        assert_eq!(plain(b"\n"), None);
    }
}
