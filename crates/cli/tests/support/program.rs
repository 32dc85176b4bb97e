//! Running programs, and what came of it.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The command line, for messages.
    pub command: String,
    /// Its exit code, or 128 and the signal that ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ended {
    /// Fails the test unless the program ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "exit code {} instead of {code}\n$ {}\n{}\n{}",
            self.code,
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the test unless standard error says every one of `words`, and what to do.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words.iter().chain(&["error:", "hint:"]) {
            assert!(
                self.stderr.contains(word),
                "`{word}` is not said\n$ {}\n{}\n{}",
                self.command,
                self.stdout,
                self.stderr
            );
        }
        self
    }

    /// Its standard output as JSON, which must be all there is on it.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n$ {}\n{}", self.command, self.stdout))
    }
}

/// Starts `command`, its output kept.
pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// Runs `command` to its end, whatever that is.
pub fn run(command: &mut Command) -> Ended {
    let text = command.get_args().fold(command.get_program().to_string_lossy().into_owned(), |text, arg| {
        format!("{text} {}", arg.to_string_lossy())
    });
    let output = start(command).wait_with_output().expect("a program that was started ends");
    let status = output.status;
    Ended {
        command: text,
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `program` with `args` in `directory`; it must succeed.
#[track_caller]
pub fn run_in<A: AsRef<OsStr> + Debug>(
    directory: &Path,
    program: &str,
    args: impl IntoIterator<Item = A>,
) -> String {
    run(Command::new(program).args(args).current_dir(directory)).expect(0).stdout
}

/// Waits until `condition` holds; fails the test after `limit`.
#[track_caller]
pub fn wait_at_most(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "after {limit:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
