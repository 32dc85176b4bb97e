//! The unmodified program, halted right after it has recorded that a step begins.
//!
//! `strace` stops it (SIGSTOP) at each sync of its journal: the event is then on disk, and nothing of what it announces
//! has happened. What is recorded says which step it is, so nothing here depends on time. While it is halted the world
//! around it can be changed; then it goes on and does not know.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::bed::Step;
use super::calls;
use crate::support::{Ended, Shop, start, wait_until};

/// A program that runs with `strace` at its side.
#[derive(Debug)]
pub struct Held {
    child: Child,
    state: PathBuf,
    /// How many events were recorded when it was last halted.
    seen: usize,
    /// What it prints, in files: nobody reads pipes while it is halted.
    output: [PathBuf; 2],
    text: String,
    /// Whether it is halted at its syncs.
    halting: bool,
    /// The `strace` that came after.
    second: Option<Child>,
}

/// `command` behind a program that takes it as its arguments.
pub fn behind(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.current_dir(command.get_current_dir().expect("commands of a shop have a directory"));
    outer
}

impl Held {
    /// Starts `command`, a command of `shop`, which begins an operation.
    pub fn start(shop: &Shop, command: &Command) -> Self {
        let output = ["out", "err"].map(|name| shop.sandbox.dir.join(format!("held.{name}")));
        let [out, err] = output.each_ref().map(|path| fs::File::create(path).expect("a file"));
        let mut strace = Command::new("strace");
        // Not its parent, so that the program outlives it; and to be ended by a signal.
        strace.args(["-D", "-I", "2", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]);
        strace.args(["-e", "inject=fdatasync:signal=SIGSTOP:when=1+", "--"]);
        let mut command = behind(strace, command);
        let text = format!("{command:?}");
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("strace is installed");
        Self { child, state: shop.state.clone(), seen: 0, output, text, halting: true, second: None }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn tasks(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten();
        tasks.flatten().map(|task| task.path())
    }

    /// Whether all of it is stopped. At each system call `strace` stops a single thread, which does not count.
    fn is_halted(&self) -> bool {
        let states: Vec<char> = self
            .tasks()
            .filter_map(|task| fs::read_to_string(task.join("stat")).ok())
            .filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next())
            .collect();
        states.contains(&'T') && states.iter().all(|state| matches!(state, 'T' | 't'))
    }

    fn tracer(&self) -> i32 {
        calls::tracer(self.child.id())
    }

    /// What is recorded now of the newest operation.
    fn events(&self) -> Vec<Value> {
        let journal = newest_journal(&self.state);
        let text = journal.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Lets it run until it has recorded an event as `wanted`, and is halted. Nothing when it ended before that.
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Vec<Value>> {
        let deadline = Instant::now() + Duration::from_mins(5);
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "the program hangs: {}", self.text);
            let events = self.events();
            if self.seen > 0 && self.seen == events.len() && self.is_halted() {
                self.signal(Signal::CONT);
            } else if events.len() > self.seen && self.is_halted() {
                self.seen = events.len();
                if wanted(&events[self.seen - 1]) {
                    return Some(events);
                }
                self.signal(Signal::CONT);
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Whether `step` is about to begin, and it is halted there; else it has ended.
    pub fn until_begins(&mut self, step: &Step) -> bool {
        self.until(|event| event["event"] == "started" && event["step"] == step.index).is_some()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Halted, it loses its `strace`, and is still halted.
    fn release(&mut self) {
        if !std::mem::take(&mut self.halting) {
            return;
        }
        let tracer = Pid::from_raw(self.tracer()).expect("it is traced");
        let _ = kill_process(tracer, Signal::TERM);
        wait_until("strace has let go", || self.tracer() == 0);
    }

    /// It is not halted any more.
    pub fn free(&mut self) {
        self.release();
        self.signal(Signal::CONT);
    }

    /// Halted, it goes on, with the next `call` of each thread failing with `error`, of which `log` tells.
    pub fn free_failing(&mut self, call: &str, error: &str, log: &Path) {
        let mut strace = calls::tracing(call, log);
        strace.args(["-e", &calls::failing(call, error)]);
        self.trace(strace);
    }

    /// Halted, it goes on, and what it calls of `calls` is written to `log`.
    pub fn free_logging(&mut self, calls: &str, log: &Path) {
        self.trace(calls::tracing(calls, log));
    }

    fn trace(&mut self, mut strace: Command) {
        self.release();
        self.second = Some(start(strace.args(["-p", &self.child.id().to_string()])));
        wait_until("another strace holds every thread", || {
            let tasks: BTreeSet<bool> = self
                .tasks()
                .map(|task| fs::read_to_string(task.join("status")).unwrap_or_default())
                .map(|status| status.contains("TracerPid:\t0\n"))
                .collect();
            !tasks.contains(&true)
        });
        self.signal(Signal::CONT);
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let status = self.child.wait().expect("a child ends");
        if let Some(mut strace) = self.second.take() {
            strace.wait().expect("strace ends with the program");
        }
        let [stdout, stderr] =
            self.output.each_ref().map(|path| fs::read_to_string(path).unwrap_or_default());
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ended { command: self.text.clone(), code, stdout, stderr }
    }
}

/// Whatever becomes of a test, nothing of it stays halted behind.
impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut strace) = self.second.take() {
            let _ = strace.wait();
        }
    }
}

/// The journal of the newest operation in the state directory `state`.
pub fn newest_journal(state: &Path) -> Option<PathBuf> {
    let operations = fs::read_dir(state.join("operations")).ok()?.flatten();
    operations.map(|entry| entry.path().join("journal.jsonl")).filter(|path| path.exists()).max()
}
