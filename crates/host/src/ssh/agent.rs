//! A shell on the other side that serves one request after the other.

use std::io::{Read, Write};
use std::process::ChildStdin;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::connection::{Said, Session};
use super::wire::{self, Answer, Call};
use crate::process::{GRACE, TICK};

/// One such shell, and what it says.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) session: Session,
    stdin: Option<ChildStdin>,
    stdout: Receiver<Told>,
    stderr: Receiver<Told>,
}

/// What came on one stream until the mark, or until its end.
#[derive(Debug)]
struct Told {
    said: Vec<u8>,
    answer: Answer,
}

impl Agent {
    /// The one that `session` runs.
    pub(super) fn of(mut session: Session) -> Self {
        let stdin = session.child.stdin.take();
        let stdout = listen(session.child.stdout.take(), &session.mark);
        let stderr = listen(session.child.stderr.take(), &session.mark);
        Self { session, stdin, stdout, stderr }
    }

    /// Has `call` run, and waits so long for its end; nothing when `cancelled` said so before, and it was ended. What there is to
    /// say of a lost connection is the error.
    pub(super) fn ask(
        &mut self,
        call: &Call,
        limit: Duration,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Said>, String> {
        let request = wire::request(call, &self.session.mark);
        if let Some(stdin) = &mut self.stdin {
            // What could not be sent is not answered.
            let _ = stdin.write_all(&request);
        }
        let silent = |_| "it does not answer any more".to_owned();
        let deadline = Instant::now() + limit;
        let stderr = loop {
            match self.stderr.recv_timeout(TICK.min(deadline.saturating_duration_since(Instant::now()))) {
                Err(RecvTimeoutError::Timeout) if cancelled() => return self.give_up().map(|()| None),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                told => break told.map_err(silent)?,
            }
        };
        let said = wire::own_words(&String::from_utf8_lossy(&stderr.said), &self.session.mark).to_owned();
        let Answer::Ended(status) = stderr.answer else {
            return Err(if said.is_empty() { "the connection was closed".to_owned() } else { said });
        };
        let stdout = self.stdout.recv_timeout(limit).map_err(silent)?;
        Ok(Some(Said { status, stdout: stdout.said, stderr: said }))
    }

    /// The shell there sees its input end, ends what it runs, and is gone when its streams are.
    fn give_up(&mut self) -> Result<(), String> {
        drop(self.stdin.take());
        loop {
            match self.stderr.recv_timeout(GRACE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err("what was given up there does not end".to_owned());
                }
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // With the pipe's end the shell there ends what it runs, and itself; nobody waits for that here.
        drop(self.stdin.take());
        let _ = self.session.child.kill();
        let _ = self.session.child.wait();
    }
}

/// Reads `stream` to its end on a thread of its own, and tells what comes up to each mark.
fn listen(stream: Option<impl Read + Send + 'static>, mark: &str) -> Receiver<Told> {
    let (send, receive) = mpsc::channel();
    let mark = mark.to_owned();
    std::thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let (mut said, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let count = stream.read(&mut buffer).unwrap_or(0);
            said.extend_from_slice(&buffer[..count]);
            let answer = wire::answer(&mut said, &mark);
            if answer == Answer::Lost && count > 0 {
                continue;
            }
            let told = Told { said: std::mem::take(&mut said), answer };
            if send.send(told).is_err() || count == 0 {
                return;
            }
        }
    });
    receive
}
