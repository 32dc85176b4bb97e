//! Commands on a host: built from typed parts, quoted in one place, run with a time limit.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::process::{collect, drain, outcome, signal_group, spawn, wait};
use crate::{Error, Result};

/// A program and its arguments. Secrets have no place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    program: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default = "default_limit")]
    limit: Duration,
    /// Never written down: this is where secrets go in.
    #[serde(skip)]
    input: Input,
}

/// What a command reads. Shown as its length only.
#[derive(Clone, Default, PartialEq, Eq)]
struct Input {
    bytes: Vec<u8>,
    /// Whether it seems to go on until the command ends.
    stays_open: bool,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

fn default_limit() -> Duration {
    Duration::from_mins(2)
}

impl Command {
    /// A command without arguments, with a time limit of two minutes.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), args: Vec::new(), limit: default_limit(), input: Input::default() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The same with more arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The same with another time limit.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same reading `input` from its standard input. Secrets may be in it.
    #[must_use]
    pub fn input(self, input: Vec<u8>) -> Self {
        Self { input: Input { bytes: input, stays_open: false }, ..self }
    }

    /// The same, and after that it waits in vain for more: for what takes the end of its input for the end of who asked.
    #[must_use]
    pub fn open_input(self, input: Vec<u8>) -> Self {
        Self { input: Input { bytes: input, stays_open: true }, ..self }
    }

    /// What it reads from its standard input.
    pub(crate) fn given(&self) -> &[u8] {
        &self.input.bytes
    }

    /// Whether its standard input stays open until it ends.
    pub(crate) fn input_stays_open(&self) -> bool {
        self.input.stays_open
    }

    /// The program's name.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The program and its arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.program).chain(&self.args).map(String::as_str)
    }

    /// The same as an argument of `script`, in POSIX shell, which runs it as `"$@"`.
    pub(crate) fn within(&self, script: &str) -> Self {
        let shell = Self::new("sh").args(["-c", script, "sh"]).args(self.words());
        Self { limit: self.limit, input: self.input.clone(), ..shell }
    }

    /// The process that it is on this machine: in a group of its own, and without secrets in its environment.
    pub(crate) fn process(&self) -> std::process::Command {
        let mut process = std::process::Command::new(&self.program);
        for name in SECRETS {
            process.env_remove(name);
        }
        process.args(&self.args).process_group(0);
        process
    }

    /// That it could not be run.
    pub(crate) fn not_run(&self, source: std::io::Error) -> Error {
        Error::Start { program: self.program.clone(), source }
    }

    /// How long it may take.
    pub(crate) fn time_limit(&self) -> Duration {
        self.limit
    }
}

/// The command as one line of POSIX shell.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quote(arg))?;
        }
        Ok(())
    }
}

/// `word` quoted for a POSIX shell; the only place where quoting is done. NUL cannot be part of an
/// argument and is dropped.
pub fn quote(word: &str) -> String {
    let word: Cow<'_, str> = if word.contains('\0') { word.replace('\0', "").into() } else { word.into() };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    shlex::try_quote(&word).map_or_else(|_| "''".to_owned(), Cow::into_owned)
}

/// `word`, which may be any bytes but NUL, quoted for a POSIX shell.
pub(crate) fn quote_bytes(word: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(word) {
        Ok(text) => quote(text).into_bytes(),
        Err(_) => shlex::bytes::try_quote(word).map_or_else(|_| b"''".to_vec(), Cow::into_owned),
    }
}

/// What a command that ended well said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

/// What the environment may hold for reading backups, and no program that is run here needs.
pub(crate) const SECRETS: [&str; 4] =
    ["BORG_PASSPHRASE", "BORG_PASSCOMMAND", "BORG_PASSPHRASE_FD", "BORG_NEW_PASSPHRASE"];

/// A program that runs, and whose standard input and output are there for whoever began it. Dropped, it is ended.
#[derive(Debug)]
pub struct Dialogue {
    pub(crate) child: Child,
    /// What must stay as long as it does.
    _keep: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

impl Dialogue {
    pub(crate) fn of(child: Child, keep: Option<Arc<dyn fmt::Debug + Send + Sync>>) -> Self {
        Self { child, _keep: keep }
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        signal_group(&self.child, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Begins `command` on this machine. It has no time limit, and nobody hears what it says on its standard error. Its life is not tied to
/// this process's, as that would be to the thread that begins it; so it has to be one that only looks, and ends with its input.
pub(crate) fn begin_local(command: &Command) -> Result<Dialogue> {
    let mut process = command.process();
    let process = process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(Dialogue::of(process.spawn().map_err(|source| command.not_run(source))?, None))
}

/// Runs `command` on this machine, in a process group of its own: a Ctrl+C meant for Reprise must not
/// cut a `docker stop` in half. Fails when it ends badly or not in time.
pub fn run_local(command: &Command) -> Result<Output> {
    // Nobody cancels it, so it says something.
    run_local_unless(&|| false, command).map(Option::unwrap_or_default)
}

/// The same. Nothing when `cancelled` said so, and it was told to end before it had.
pub fn run_local_unless(cancelled: &dyn Fn() -> bool, command: &Command) -> Result<Option<Output>> {
    let mut process = command.process();
    process.stdin(if command.given().is_empty() { Stdio::null() } else { Stdio::piped() });
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(process, command)?;
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    // Held until the end, it keeps what it returns.
    let _open = child.stdin.take().map(|mut stdin| {
        let Input { bytes, stays_open } = command.input.clone();
        std::thread::spawn(move || {
            // One that ends before it has read all tells why by itself.
            let _ = stdin.write_all(&bytes);
            stays_open.then_some(stdin)
        })
    });
    let until = Instant::now() + command.limit;
    let ending = wait(&mut child, until, cancelled).map_err(|source| command.not_run(source))?;
    let output =
        Output { stdout: collect(stdout), stderr: String::from_utf8_lossy(&collect(stderr)).into_owned() };
    outcome(command, &ending, output)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh").arg("-c").arg(script)
    }

    #[test]
    fn quoting_survives_the_shell() {
        for word in
            ["plain", "", "a b", "it's", "$HOME", "new\nline", "*", "~root", "-n", "é", "a;b", "\"`\\"]
        {
            let echoed = run_local(&sh(&format!("printf %s {}", quote(word)))).unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), word);
        }
        for word in [&b"not UTF-8 \xff $x '"[..], b"\xfe"] {
            let line = [b"printf %s ".as_slice(), &quote_bytes(word)].concat();
            let output = std::process::Command::new("sh").arg("-c").arg(OsStr::from_bytes(&line)).output();
            assert_eq!(output.unwrap().stdout, word);
        }
    }

    #[test]
    fn a_failing_command_says_what_it_said() {
        let error = run_local(&sh("echo no such thing >&2; exit 3")).unwrap_err();
        assert!(error.to_string().contains("exit status 3"), "{error}");
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn what_a_command_reads_is_never_shown() {
        let command = Command::new("cat").input(b"a secret".to_vec());
        assert_eq!(run_local(&command).unwrap().stdout, b"a secret");
        assert!(!format!("{command:?} {command}").contains("secret"));
    }

    #[test]
    fn an_input_that_stays_open_ends_with_the_command() {
        let command = sh("read -r line; echo \"$line\"").limit(Duration::from_secs(20));
        assert_eq!(run_local(&command.open_input(b"asked\n".to_vec())).unwrap().stdout, b"asked\n");
        let until_end = Command::new("cat").limit(Duration::from_millis(300));
        assert!(matches!(run_local(&until_end.open_input(b"asked".to_vec())), Err(Error::TimedOut { .. })));
    }

    #[test]
    fn a_hanging_command_is_stopped_with_its_children() {
        let command = sh("sleep 600 & sleep 600").limit(Duration::from_millis(100));
        assert!(matches!(run_local(&command), Err(Error::TimedOut { .. })));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run_local(&Command::new("reprise-no-such-program")).unwrap_err();
        assert!(error.to_string().contains("reprise-no-such-program"), "{error}");
        assert!(error.hint().is_some());
    }
}
