//! A program of this machine that reads a long stream, and a secret that is not part of it.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use wait_timeout::ChildExt;

use crate::process::{Ending, collect, drain, outcome, spawn, stop, wait};
use crate::{Command, Output, Result};

/// Only three descriptors can be handed to a program without there being a moment in which others would inherit them as well. It
/// needs none of its standard output, so that is where the secret comes in. Then both go to where nothing else reads: a question that
/// the program asks must not be answered by what happens to be in the stream, nor what it prints go where a file was opened since.
const SCRIPT: &str = "exec 3<&1 4<&0 </dev/null >/dev/null && exec \"$@\"";

/// A program that reads a stream which comes as it is made. It is in no hurry to believe that the stream has ended: dropped before
/// that is said, it is ended first, and sees no end of it.
#[derive(Debug)]
pub struct Fed {
    command: Command,
    child: Child,
    stderr: Option<JoinHandle<Vec<u8>>>,
    until: Instant,
}

impl Fed {
    /// The descriptor from which it reads what the command is given as its input.
    pub const SECRET: &str = "3";
    /// Where it finds the stream.
    pub const STREAM: &str = "/dev/fd/4";

    /// Starts `command`, which dies with the thread that calls this. The stream is written to what is returned beside it, and ends
    /// when that is dropped.
    pub fn start(command: &Command) -> Result<(Self, ChildStdin)> {
        let until = Instant::now() + command.time_limit();
        let not_run = |source| command.not_run(source);
        let (secret, mut hand_over) = std::io::pipe().map_err(not_run)?;
        let mut process = command.within(SCRIPT).process();
        process.stdin(Stdio::piped()).stdout(secret).stderr(Stdio::piped());
        let mut child = spawn(process, command)?;
        let stderr = child.stderr.take().map(drain);
        let stdin = child.stdin.take();
        let fed = Self { command: command.clone(), child, stderr, until };
        let secret = command.given().to_vec();
        // One that ends before it has read it tells why by itself.
        std::thread::spawn(move || drop(hand_over.write_all(&secret)));
        let stdin = stdin.ok_or_else(|| command.not_run(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok((fed, stdin))
    }

    /// Whether it still runs, and may.
    pub fn goes_on(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && Instant::now() < self.until
    }

    /// Waits for its end. Nothing when `cancelled` said so, and it was told to end before it had.
    pub fn finish(mut self, cancelled: &dyn Fn() -> bool) -> Result<Option<Output>> {
        let ending =
            wait(&mut self.child, self.until, cancelled).map_err(|source| self.command.not_run(source))?;
        self.outcome(&ending)
    }

    fn outcome(&mut self, ending: &Ending) -> Result<Option<Output>> {
        let stderr = String::from_utf8_lossy(&collect(self.stderr.take())).into_owned();
        outcome(&self.command, ending, Output { stdout: Vec::new(), stderr })
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        if !matches!(self.child.wait_timeout(std::time::Duration::ZERO), Ok(Some(_))) {
            let _ = stop(&mut self.child);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh").arg("-c").arg(script).limit(Duration::from_mins(1))
    }

    #[test]
    fn the_stream_and_the_secret_come_apart_and_neither_is_shown() {
        let script = "secret=$(cat <&3); printf '%s|%s|%s' \"$secret\" \"$(cat /dev/fd/4)\" \"$(cat)\" >&2";
        let command = sh(script).input(b"a secret".to_vec());
        let (fed, mut stream) = Fed::start(&command).unwrap();
        stream.write_all(b"a stream").unwrap();
        drop(stream);
        assert!(!format!("{fed:?}").contains("a secret"));
        let said = fed.finish(&|| false).unwrap().unwrap();
        assert_eq!(said.stderr, "a secret|a stream|");
    }

    #[test]
    fn dropped_before_the_stream_has_ended_it_sees_no_end_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let script = format!("echo >'{0}.begun'; cat /dev/fd/4 >/dev/null; echo >'{0}'", seen.display());
        let (mut fed, stream) = Fed::start(&sh(&script)).unwrap();
        while !seen.with_extension("begun").exists() {
            assert!(fed.goes_on());
            std::thread::yield_now();
        }
        drop(fed);
        drop(stream);
        assert!(!seen.exists());
    }

    #[test]
    fn how_it_ended_is_told() {
        let (fed, _stream) = Fed::start(&sh("echo no such thing >&2; exit 3")).unwrap();
        let error = fed.finish(&|| false).unwrap_err().to_string();
        assert!(error.contains("exit status 3") && error.contains("no such thing"), "{error}");
        let (fed, _stream) = Fed::start(&sh("sleep 600")).unwrap();
        assert_eq!(fed.finish(&|| true).unwrap(), None);
        let (fed, _stream) = Fed::start(&sh("sleep 600").limit(Duration::from_millis(100))).unwrap();
        assert!(matches!(fed.finish(&|| false), Err(crate::Error::TimedOut { .. })));
    }
}
