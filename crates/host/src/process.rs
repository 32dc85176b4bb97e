//! A program of this machine that runs: how it is started, listened to, waited for and ended.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};
use wait_timeout::ChildExt;

use crate::{Command, Error, Output, Result};

/// How often somebody who waits looks whether it is cancelled.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// How long a program may take to end when it is told to.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// Starts `process`, which is to do what `command` says, and dies with the thread that calls this; what it starts itself may not.
pub(crate) fn spawn(mut process: std::process::Command, command: &Command) -> Result<Child> {
    // What was asked for by a process that is gone must not go on behind the back of its recovery.
    let with_us = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: the closure makes one system call and touches no memory of the parent.
    #[expect(unsafe_code, reason = "only between fork and exec can a child tie its life to its parent's")]
    unsafe {
        process.pre_exec(with_us);
    }
    process.spawn().map_err(|source| command.not_run(source))
}

/// How a program's end was waited for.
pub(crate) enum Ending {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was cancelled, and told to end.
    Cancelled,
    /// Its time was up, and it was killed.
    Late,
}

/// Waits for the end of `child`, which is told to end when `cancelled` says so, and killed where it does not, or goes on for longer
/// than `until`.
pub(crate) fn wait(
    child: &mut Child,
    until: Instant,
    cancelled: &dyn Fn() -> bool,
) -> std::io::Result<Ending> {
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        if let Some(status) = child.wait_timeout(rest.min(TICK))? {
            return Ok(Ending::Ended(status));
        }
        if rest.is_zero() {
            kill(child);
            return Ok(Ending::Late);
        }
        if cancelled() {
            // One that ended well all the same was not kept from anything.
            return Ok(match stop(child)? {
                Some(status) if status.success() => Ending::Ended(status),
                _ => Ending::Cancelled,
            });
        }
    }
}

/// Tells `child` to end, and kills it where it does not in time.
pub(crate) fn stop(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    signal_group(child, Signal::TERM);
    let ended = child.wait_timeout(GRACE)?;
    if ended.is_none() {
        kill(child);
    }
    Ok(ended)
}

fn kill(child: &mut Child) {
    signal_group(child, Signal::KILL);
    let _ = child.wait();
}

/// What comes of `command`, which ended like that and said `output`: nothing where it was cancelled.
pub(crate) fn outcome(command: &Command, ending: &Ending, output: Output) -> Result<Option<Output>> {
    match ending {
        Ending::Ended(status) if status.success() => Ok(Some(output)),
        Ending::Ended(status) => Err(Error::Command {
            command: command.to_string(),
            status: in_words(*status),
            message: output.stderr.trim().to_owned(),
        }),
        Ending::Cancelled => Ok(None),
        Ending::Late => {
            Err(Error::TimedOut { command: command.to_string(), seconds: command.time_limit().as_secs() })
        }
    }
}

/// Signals `child` and what it has started, all of its process group: a shell's children would keep the pipes open.
pub(crate) fn signal_group(child: &Child, signal: Signal) {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        let _ = kill_process_group(group, signal);
    }
}

pub(crate) fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        all
    })
}

/// All that [`drain`] read.
pub(crate) fn collect(thread: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
