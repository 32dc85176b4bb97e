//! Connections to the engine that are kept: through `docker system dial-stdio`, the way `docker` takes over SSH.
//!
//! To start `docker` takes longer than the engine takes to answer most of what is asked of it, and a restore asks dozens of
//! things. Whoever has no such command, or no answer from it, asks with `docker`'s other ones.

use std::io::{BufReader, Write};
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::api::{Answer, Request, dial};
use super::cli::Run;
use crate::command::Dialogue;
use crate::{Error, Result};

/// So many requests are sent before the first is answered, which are fewer bytes than a pipe holds: sending never waits.
const AT_ONCE: usize = 32;

/// Connections to an engine: as many as are asked at the same time.
#[derive(Debug)]
pub(super) struct Lines {
    idle: Mutex<Vec<Line>>,
    /// The first connection came to nothing: there is no such command, or no engine. It is not tried again.
    is_useless: AtomicBool,
    /// One was answered on.
    is_proven: AtomicBool,
    /// How long the engine may take to answer all that is asked at once: as long as any command may.
    limit: Duration,
}

#[derive(Debug)]
struct Line {
    /// Ended with the line.
    _process: Dialogue,
    stdin: ChildStdin,
    answers: Receiver<Answer>,
}

/// Why there is no answer.
enum Silence {
    /// The connection is gone, or out of step.
    Gone,
    /// Nothing came in time.
    Late,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            is_useless: false.into(),
            is_proven: false.into(),
            limit: dial().time_limit(),
        }
    }
}

impl Lines {
    /// The engine's answers to `requests`, in their order; `None` where it cannot be asked like this. Fails where the engine lets
    /// itself be asked and is silent, and where its host cannot be reached.
    pub fn look(&self, run: &impl Run, requests: &[Request]) -> Result<Option<Vec<Answer>>> {
        if self.is_useless.load(Ordering::Relaxed) {
            return Ok(None);
        }
        loop {
            let kept = self.idle().pop();
            let was_kept = kept.is_some();
            let opened = kept.map_or_else(|| Line::open(run), |line| Ok(Some(line)));
            let mut line = match opened {
                Ok(Some(line)) => line,
                Err(error) if error.is_connection_lost() => return Err(error),
                Ok(None) | Err(_) => break,
            };
            match line.ask(requests, self.limit) {
                Ok(answers) if answers.iter().any(Answer::is_barred) => break,
                Ok(answers) => {
                    self.is_proven.store(true, Ordering::Relaxed);
                    if !answers.iter().any(|answer| answer.is_last) {
                        self.idle().push(line);
                    }
                    return Ok(Some(answers));
                }
                // The engine was started anew, or the connection to its host was lost.
                Err(Silence::Gone) if was_kept => {}
                Err(Silence::Gone) => break,
                Err(Silence::Late) => {
                    let command = requests.first().map(Request::to_string).unwrap_or_default();
                    return Err(Error::TimedOut { command, seconds: self.limit.as_secs() });
                }
            }
        }
        if !self.is_proven.load(Ordering::Relaxed) {
            self.is_useless.store(true, Ordering::Relaxed);
        }
        Ok(None)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn open(run: &impl Run) -> Result<Option<Self>> {
        let mut process = run.begin(&dial())?;
        let (Some(stdin), Some(stdout)) = (process.child.stdin.take(), process.child.stdout.take()) else {
            return Ok(None);
        };
        let mut stdout = BufReader::new(stdout);
        // What nobody asked for fills no memory.
        let (send, answers) = mpsc::sync_channel(1);
        let listen = move || while Answer::read(&mut stdout).is_ok_and(|answer| send.send(answer).is_ok()) {};
        // Ends with its standard output.
        let is_heard = thread::Builder::new().spawn(listen).is_ok();
        Ok(is_heard.then_some(Self { _process: process, stdin, answers }))
    }

    /// Sends `requests`, and waits for the answers, so long in all.
    fn ask(&mut self, requests: &[Request], limit: Duration) -> Result<Vec<Answer>, Silence> {
        let until = Instant::now() + limit;
        let mut answers = Vec::new();
        // An answer to nothing: who knows what the next one would be to.
        if self.answers.try_recv() != Err(TryRecvError::Empty) {
            return Err(Silence::Gone);
        }
        for some in requests.chunks(AT_ONCE) {
            let bytes: Vec<u8> = some.iter().flat_map(Request::bytes).collect();
            self.stdin.write_all(&bytes).map_err(|_| Silence::Gone)?;
            for _ in some {
                let rest = until.saturating_duration_since(Instant::now());
                answers.push(self.answers.recv_timeout(rest).map_err(|error| match error {
                    RecvTimeoutError::Timeout => Silence::Late,
                    RecvTimeoutError::Disconnected => Silence::Gone,
                })?);
            }
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::command::begin_local;
    use crate::{Command, Output};

    /// An engine behind a shell, and how often it was connected to.
    struct Shell {
        script: String,
        begun: AtomicUsize,
    }

    impl Shell {
        /// One whose connection takes so many requests.
        fn of(count: usize) -> Self {
            Self::doing(count, "")
        }

        /// The same, which does something else before each answer.
        fn doing(count: usize, before: &str) -> Self {
            let script = format!(
                "n={count}; say() {{ printf 'HTTP/1.1 200 OK\\r\\nContent-Length: %s\\r\\n\\r\\n%s' ${{#1}} $1; }}
                 while [ $n -gt 0 ] && IFS= read -r line; do case $line in
                 GET*) n=$((n-1)); {before}
                   say $n ;;
                 esac; done"
            );
            Self { script, begun: AtomicUsize::new(0) }
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::Relaxed)
        }
    }

    impl Run for Shell {
        fn run(&self, _: &Command) -> Result<Output> {
            panic!("it is only begun")
        }

        fn begin(&self, command: &Command) -> Result<Dialogue> {
            assert_eq!(command.to_string(), "docker system dial-stdio");
            self.begun.fetch_add(1, Ordering::Relaxed);
            begin_local(&Command::new("sh").args(["-c", &self.script]))
        }
    }

    fn ask(lines: &Lines, shell: &Shell, count: usize) -> Option<Vec<String>> {
        let answers = lines.look(shell, &vec![Request::get("/x"); count]).unwrap()?;
        Some(answers.into_iter().map(|answer| String::from_utf8(answer.body).unwrap()).collect())
    }

    #[test]
    fn a_connection_is_kept_for_all_that_is_asked() {
        let (lines, shell) = (Lines::default(), Shell::of(2000));
        assert_eq!(ask(&lines, &shell, 1).unwrap(), ["1999"]);
        let many = ask(&lines, &shell, 1000).unwrap();
        assert_eq!((many.len(), many[999].as_str(), shell.begun()), (1000, "999", 1));
    }

    #[test]
    fn a_connection_that_is_gone_is_made_anew_and_one_that_never_was_is_not_tried_again() {
        let (lines, shell) = (Lines::default(), Shell::of(2));
        for _ in 0..3 {
            assert_eq!(ask(&lines, &shell, 2).unwrap(), ["1", "0"]);
        }
        assert_eq!(shell.begun(), 3);
        let (lines, shell) = (Lines::default(), Shell::of(0));
        assert_eq!((ask(&lines, &shell, 1), ask(&lines, &shell, 1), shell.begun()), (None, None, 1));
    }

    #[test]
    fn one_that_is_gone_between_two_answers_is_asked_all_of_it_again() {
        let (lines, shell) = (Lines::default(), Shell::of(3));
        assert_eq!(ask(&lines, &shell, 2).unwrap(), ["2", "1"]);
        assert_eq!(ask(&lines, &shell, 2).unwrap(), ["2", "1"]);
        assert_eq!(shell.begun(), 2);
        // It was there before, so it is only this once that commands have to do.
        assert_eq!(ask(&lines, &shell, 4), None);
        assert_eq!(ask(&lines, &shell, 1).unwrap(), ["2"]);
    }

    #[test]
    fn an_answer_that_comes_too_late_or_to_nothing_is_no_answer_to_the_next_question() {
        let (lines, shell) = (
            Lines { limit: Duration::from_millis(300), ..Lines::default() },
            Shell::doing(9, "[ $n -gt 7 ] || exec sleep 60"),
        );
        assert_eq!(ask(&lines, &shell, 1).unwrap(), ["8"]);
        let late = lines.look(&shell, &[Request::get("/x")]).unwrap_err();
        assert!(late.to_string().contains("docker system dial-stdio"), "{late}");
        assert_eq!((ask(&lines, &shell, 1).unwrap(), shell.begun()), (vec!["8".to_owned()], 2));
        let (lines, shell) = (Lines::default(), Shell::doing(9, "say more"));
        assert_eq!(ask(&lines, &shell, 1).unwrap(), ["more"]);
        // As soon as the second answer is there, it is seen that nobody asked for it.
        while shell.begun() == 1 {
            ask(&lines, &shell, 1).unwrap();
        }
    }

    #[test]
    fn where_requests_are_barred_commands_are_asked() {
        let barred = "printf 'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\n\\r\\n'; continue";
        let (lines, shell) = (Lines::default(), Shell::doing(9, barred));
        assert_eq!((ask(&lines, &shell, 1), ask(&lines, &shell, 1), shell.begun()), (None, None, 1));
    }
}
