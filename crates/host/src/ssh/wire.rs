//! What is sent to the other side, and how its answer is read.
//!
//! The command that ssh is asked to run is always the same few words, whatever the login shell: it reads so many bytes
//! of a script from standard input and runs them. So nothing is quoted for an unknown shell, nothing is too long, and
//! nothing shows in a list of processes before it runs. That script serves one request after the other, each a script
//! of its own: a session and a login shell for each would take many times as long as what is asked for. Standard input
//! is what keeps it alive: when it ends because we are gone, the command there is ended.
//!
//! An answer counts only with the mark that the script prints last. Without it the connection was lost. What comes before
//! the mark that it prints first is not its own: a login shell reads its files before it runs the command, and `sudo` has
//! its say as well.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::Command;
use crate::command::quote_bytes;

/// What a script has done before its time limit is up, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It ended with this status.
    Ended(u8),
    /// The mark is missing.
    Lost,
}

/// A program to run there, and its arguments: any bytes but NUL.
#[derive(Debug, Clone)]
pub(super) struct Call {
    words: Vec<Vec<u8>>,
    limit: Duration,
}

impl Call {
    /// `script` in POSIX shell, which finds `paths` as `$1` and so on.
    pub(super) fn script(script: &str, paths: &[&Path]) -> Self {
        let mut words: Vec<Vec<u8>> =
            ["sh", "-c", script, "sh"].iter().map(|word| word.as_bytes().to_vec()).collect();
        words.extend(paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()));
        Self { words, limit: Duration::from_mins(2) }
    }

    /// The same with one more argument.
    pub(super) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.words.push(arg.as_ref().to_vec());
        self
    }

    /// The same with another time limit.
    pub(super) fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn time_limit(&self) -> Duration {
        self.limit
    }

    fn line(&self) -> Vec<u8> {
        self.words.iter().map(|word| quote_bytes(word)).collect::<Vec<_>>().join(&b' ')
    }
}

impl From<&Command> for Call {
    fn from(command: &Command) -> Self {
        Self {
            words: command.words().map(|word| word.as_bytes().to_vec()).collect(),
            limit: command.time_limit(),
        }
    }
}

/// What every script begins with: messages that can be read, and programs where root has them.
const PREAMBLE: &str = "LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
                        export LC_ALL PATH\n";

/// What serves requests until standard input ends: each is a line with a length, and a script of so many bytes.
pub(super) fn serve(mark: &str) -> Vec<u8> {
    let serve = "exec 3<&0 </dev/null\nwhile IFS= read -r n <&3; do eval \"$(head -c \"$n\" <&3)\"; done\n";
    [begin(mark).as_bytes(), serve.as_bytes()].concat()
}

/// A request to run `call` until it ends, its time is up, or standard input ends. Both streams of its output end with
/// the mark.
pub(super) fn request(call: &Call, mark: &str) -> Vec<u8> {
    // timeout puts the command into a process group of its own, and passes on to all of it the signal it gets itself.
    // Where it is ended right after its fork it forgets to (coreutils before 9.6), so the group is told as well.
    // Nothing is sent before the answer is there, so the second reader of the pipe sees nothing but its end.
    let begin = format!("timeout -k 5 {} ", call.limit.as_secs().max(1));
    let end = format!(
        " 3<&- & p=$!\n\
         {{ IFS= read -r x <&3 || kill -s TERM -- -$p || kill -s TERM $p; }} >/dev/null 2>&1 & w=$!\n\
         wait $p; r=$?\n\
         {{ kill $w; wait $w; }} 2>/dev/null\n\
         printf '\\n%s %s\\n' {mark} $r; printf '\\n%s %s\\n' {mark} $r >&2\n"
    );
    let script = [begin.as_bytes(), &call.line(), end.as_bytes()].concat();
    [format!("{}\n", script.len()).as_bytes(), &script].concat()
}

/// A script that runs `call` with the rest of standard input as its own.
pub(super) fn fed(call: &Call, mark: &str) -> Vec<u8> {
    let end = format!("; r=$?\nprintf '\\n%s %s\\n' {mark} $r >&2\n");
    [begin(mark).as_bytes(), &call.line(), end.as_bytes()].concat()
}

/// The script `script`, run as it is.
pub(super) fn plain(script: &str) -> Vec<u8> {
    [PREAMBLE, script].concat().into_bytes()
}

fn begin(mark: &str) -> String {
    format!("{PREAMBLE}printf '\\n%s begins\\n' {mark} >&2\n")
}

/// What the script itself said of all that came on standard error; all of it where it did not come to run.
pub(super) fn own_words<'s>(stderr: &'s str, mark: &str) -> &'s str {
    stderr.split_once(&format!("\n{mark} begins\n")).map_or(stderr, |(_, own)| own).trim()
}

/// The command that makes the other side read a script of `length` bytes.
pub(super) fn reader(length: usize, sudo: bool) -> String {
    let sudo = if sudo { "sudo -n -- " } else { "" };
    format!("exec {sudo}sh -c 'eval \"$(head -c {length})\"'")
}

/// Takes the mark and what it tells off the end of `stderr`.
pub(super) fn answer(stderr: &mut Vec<u8>, mark: &str) -> Answer {
    let end = stderr.len().saturating_sub(mark.len() + 6);
    let found = stderr[end..].windows(mark.len() + 2).position(|at| at == format!("\n{mark} ").as_bytes());
    let Some(at) = found.map(|at| end + at).filter(|_| stderr.ends_with(b"\n")) else { return Answer::Lost };
    let status = String::from_utf8_lossy(&stderr[at + mark.len() + 2..]).trim().parse();
    match status {
        Ok(status) => {
            stderr.truncate(at);
            Answer::Ended(status)
        }
        Err(_) => Answer::Lost,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::{Read, Write};
    use std::process::{Child, Stdio};

    use super::*;

    fn start(call: &Call) -> Child {
        let serve = serve("mark");
        let mut child = std::process::Command::new("sh")
            .arg("-c")
            .arg(reader(serve.len(), false))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        stdin.write_all(&[serve, request(call, "mark")].concat()).unwrap();
        child
    }

    fn until_mark(mut from: impl Read) -> (Vec<u8>, Answer) {
        let (mut all, mut byte) = (Vec::new(), [0]);
        loop {
            from.read_exact(&mut byte).unwrap();
            all.push(byte[0]);
            if let Answer::Ended(status) = answer(&mut all, "mark") {
                return (all, Answer::Ended(status));
            }
        }
    }

    fn run(call: &Call) -> (Vec<u8>, String, Answer) {
        let mut child = start(call);
        let (stdout, _) = until_mark(child.stdout.take().unwrap());
        let (stderr, answer) = until_mark(child.stderr.take().unwrap());
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        (stdout, own_words(&String::from_utf8(stderr).unwrap(), "mark").to_owned(), answer)
    }

    #[test]
    fn any_bytes_arrive_as_they_are() {
        let odd = Path::new(OsStr::from_bytes(b"-a 'b' \"$c\" `d`\n\xff\\ \n"));
        let (stdout, _, answer) = run(&Call::script("printf %s \"$1\"", &[odd]));
        assert_eq!((stdout.as_slice(), answer), (odd.as_os_str().as_bytes(), Answer::Ended(0)));
    }

    #[test]
    fn how_a_command_ended_and_what_it_said_is_told() {
        let (_, stderr, answer) = run(&Call::script("echo no such thing >&2; exit 3", &[]));
        assert_eq!((stderr.as_str(), answer), ("no such thing", Answer::Ended(3)));
        let (_, _, answer) = run(&Call::script("sleep 600", &[]).limit(Duration::from_secs(1)));
        assert_eq!(answer, Answer::Ended(124));
    }

    #[test]
    fn a_command_ends_when_we_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'rmdir \"$1\"; exit' TERM; echo begun; while :; do sleep 0.05; done";
        let mut child = start(&Call::script(script, &[dir.path()]));
        let mut begun = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
        drop(child.stdin.take());
        child.wait_with_output().unwrap();
        assert!(!dir.path().exists());
    }

    #[test]
    fn what_was_said_before_the_script_ran_is_not_its_own() {
        assert_eq!(own_words("sudo: unable to resolve host\n\nmark begins\ntar: no\n", "mark"), "tar: no");
        assert_eq!(own_words("welcome\nmark begins\n", "mark"), "");
        assert_eq!(own_words("sudo: a password is required\n", "mark"), "sudo: a password is required");
    }

    #[test]
    fn an_answer_without_its_mark_is_none() {
        for text in ["", "sudo: a password is required\n", "\nmark ", "\nmark x\n", "mark 0\n", "\nmark 0"] {
            assert_eq!(answer(&mut text.as_bytes().to_vec(), "mark"), Answer::Lost, "{text}");
        }
    }
}
