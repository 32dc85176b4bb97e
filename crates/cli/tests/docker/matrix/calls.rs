//! What a restore calls of the kernel to change something, here and on a host over ssh, and which step that is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reprise_testkit::Sshd;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::bed::Step;
use crate::support::{start, wait_until};

/// What may change something. Journals are the business of `pwrite64` and `fdatasync`; of content that does not fit on a
/// disk, a disk that is full tells more.
pub const CHANGING: &str = "mkdir,mkdirat,rmdir,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,\
                            mknod,mknodat,openat2,fsync,syncfs,ftruncate,fallocate,copy_file_range,fchmod,fchmodat,\
                            fchown,fchownat,lchown,utimensat,setxattr,lsetxattr,fsetxattr";

/// `strace` at calls of `calls`, which it writes to `log` with the time of each, and which goes when it is told to.
pub fn tracing(calls: &str, log: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f", "-ttt", "-I", "2", "-e", &format!("trace={calls}"), "-o"]).arg(log);
    strace
}

/// That option of `strace` with which the next `call` of each thread fails with `error`.
pub fn failing(call: &str, error: &str) -> String {
    format!("inject={call}:error={error}:when=1")
}

/// Whether `log` tells of a call that failed because it was to.
pub fn has_failed(log: &Path) -> bool {
    fs::read_to_string(log).unwrap_or_default().contains("(INJECTED)")
}

/// `strace` at an ssh server and all that it has started, until this is dropped.
#[derive(Debug)]
pub struct Sessions {
    strace: Child,
    log: PathBuf,
}

impl Sessions {
    /// What is called of `calls` is written to `log`.
    pub fn logging(sshd: &Sshd, calls: &str, log: &Path) -> Self {
        Self::trace(sshd, &mut tracing(calls, log), log)
    }

    /// The next `call` of each process fails with `error`.
    pub fn failing(sshd: &Sshd, call: &str, error: &str, log: &Path) -> Self {
        Self::trace(sshd, tracing(call, log).args(["-e", &failing(call, error)]), log)
    }

    fn trace(sshd: &Sshd, strace: &mut Command, log: &Path) -> Self {
        let processes = sshd.processes();
        for process in &processes {
            strace.args(["-p", &process.to_string()]);
        }
        let sessions = Self { strace: start(strace), log: log.to_owned() };
        // A session that was about to end may be gone.
        let is_held =
            |process: &u32| tracer(*process) != 0 || !Path::new(&format!("/proc/{process}")).exists();
        wait_until("strace holds the sessions", || processes.iter().all(is_held));
        sessions
    }

    /// Whether a call has failed.
    pub fn have_failed(&self) -> bool {
        has_failed(&self.log)
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        // It may wait forever for a process that ends while it lets go: for its first thread, which can only be told gone
        // after the others.
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.strace.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Who traces a process, by process number; 0 for nobody.
pub fn tracer(process: u32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.and_then(|pid| pid.trim().parse().ok()).unwrap_or(0)
}

/// Tells each step when it began, as the journal's `events` say.
pub fn time(steps: &mut [Step], events: &[Value]) {
    let beginning = moment(&events[0]);
    for event in events {
        if let Some(step) = begins(event) {
            steps[step].began = moment(event).duration_since(beginning).as_secs_f64();
        }
    }
}

/// Tells each step, at the place that `of` is, which calls of `log` are of the time when it was at work.
pub fn attribute(steps: &mut [Step], events: &[Value], log: &Path, of: fn(&mut Step) -> &mut Vec<String>) {
    let log = fs::read_to_string(log).expect("a log");
    // What fails anyhow changes nothing; of a call that it saw the end of only, strace does not know what it is.
    let calls = log.lines().filter(|line| !line.contains(" = -1 E")).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (at, call) = (words.next()?, words.next()?.split_once('(')?.0);
        CHANGING.split(',').chain(["pread64"]).any(|known| known == call).then_some(())?;
        Some((at.parse::<f64>().expect("a time"), call))
    });
    let seconds = |event: &Value| moment(event).as_duration().as_secs_f64();
    let times: Vec<(f64, Option<usize>)> =
        events.iter().map(|event| (seconds(event), begins(event))).collect();
    for (at, call) in calls {
        let last = times[..times.partition_point(|(time, _)| *time <= at)].last();
        let Some(step) = last.and_then(|(_, step)| *step) else { continue };
        let calls = of(&mut steps[step]);
        if !calls.iter().any(|known| known == call) {
            calls.push(call.to_owned());
        }
    }
}

/// The step that begins with `event`.
fn begins(event: &Value) -> Option<usize> {
    let step = (event["event"] == "started").then(|| event["step"].as_u64())??;
    Some(usize::try_from(step).expect("a number"))
}

fn moment(event: &Value) -> Timestamp {
    event["at"].as_str().and_then(|at| at.parse().ok()).expect("when it was")
}
