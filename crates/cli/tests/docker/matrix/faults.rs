//! What goes wrong, what kinds of steps it can meet, and how it is made to happen.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::thread;
use std::time::Duration;

use reprise_engine::{Operations, StepStatus};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::bed::{Bed, Step};
use super::calls::{Sessions, has_failed};
use super::held::{Held, newest_journal};
use crate::remote::clients;
use crate::support::{Ended, docker, wait_until};

/// What a kind of step works with: that decides which faults can meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Names of files on the host, by itself or with a program that does.
    Files,
    /// The backup, and files beside their targets.
    Extracts,
    /// Docker, for something that neither stops nor starts a container.
    Asks,
    /// Docker, to stop a container.
    Stops,
    /// Docker, to start a container.
    Starts,
    /// Docker, until a container is well.
    Waits,
}

/// The nature of each kind of step. A kind that is missing fails `every_kind_of_step_is_classified`.
pub fn nature(effect: &str) -> Option<Nature> {
    Some(match effect {
        "make_dir" | "open_store" | "back_up" | "snapshot" | "swap" | "place" => Nature::Files,
        "stage" | "mirror" => Nature::Extracts,
        "create_volume" | "create_network" | "create_container" | "compose_create" | "set_aside" => {
            Nature::Asks
        }
        "stop_container" => Nature::Stops,
        "start_container" => Nature::Starts,
        "await_healthy" => Nature::Waits,
        _ => return None,
    })
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Killed,
    PowerCut,
    NoSpace,
    IoError,
    ConnectionLost,
    EngineGone,
    EngineHangs,
    WillNotStop,
    WillNotStart,
    Unhealthy,
    CorruptChunk,
    Cancelled,
    TimeLimit,
}

impl Fault {
    /// Of so many kinds of steps, a sample has one.
    pub fn stride(self, over_ssh: bool) -> usize {
        match self {
            // These can meet one kind of step, or two.
            Self::WillNotStop | Self::WillNotStart | Self::Unhealthy | Self::CorruptChunk => 1,
            Self::ConnectionLost => 4,
            _ if over_ssh => 8,
            Self::Killed => 1,
            _ => 3,
        }
    }

    /// For the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Killed => "SIGKILL",
            Self::PowerCut => "power cut",
            Self::NoSpace => "no space left",
            Self::IoError => "I/O error",
            Self::ConnectionLost => "SSH lost",
            Self::EngineGone => "Docker stopped",
            Self::EngineHangs => "Docker hung",
            Self::WillNotStop => "will not stop",
            Self::WillNotStart => "will not start",
            Self::Unhealthy => "unhealthy",
            Self::CorruptChunk => "corrupt chunk",
            Self::Cancelled => "Ctrl+C",
            Self::TimeLimit => "time limit",
        }
    }

    /// Nothing when it can meet that step, else why it cannot.
    pub fn spares(self, step: &Step, over_ssh: bool) -> Option<&'static str> {
        let nature = nature(&step.effect).expect("a kind of step that is classified");
        match self {
            Self::ConnectionLost if !over_ssh => Some("there is no connection"),
            Self::WillNotStop if nature != Nature::Stops => Some("no container is stopped"),
            Self::WillNotStart if nature != Nature::Starts => Some("no container is started"),
            Self::Unhealthy if nature != Nature::Waits => Some("no container is waited for"),
            Self::CorruptChunk if nature != Nature::Extracts || was_staged(step) => {
                Some("nothing is read from the backup")
            }
            _ => None,
        }
    }

    /// The ways in which it can come. `make test` has the first, `make reliability` takes them by turns.
    pub fn ways(self, step: &Step, over_ssh: bool) -> Vec<Way> {
        let nature = nature(&step.effect).expect("a kind of step that is classified");
        let names = |ways: &[&'static str]| ways.iter().map(|name| Way::Named(name)).collect();
        match self {
            Self::Killed => names(&[
                "before, then rollback",
                "after, then resume",
                "before, then resume",
                "after, then rollback",
            ]),
            Self::PowerCut => names(&[
                "begun, then rollback",
                "done, then resume",
                "begun, then resume",
                "done, then rollback",
            ]),
            Self::NoSpace | Self::IoError => {
                let error = if self == Self::NoSpace { "ENOSPC" } else { "EIO" };
                let mut ways = Vec::new();
                if self == Self::NoSpace && nature == Nature::Extracts && is_on_small_disk(step) {
                    ways.push(Way::Named("a full disk"));
                }
                if matches!(nature, Nature::Asks | Nature::Stops | Nature::Starts) {
                    ways.push(Way::Named("the engine's"));
                }
                let there =
                    step.calls_there.iter().filter(|_| matches!(nature, Nature::Extracts | Nature::Files));
                ways.extend(there.map(|call| Way::CallThere { call: call.clone(), error }));
                // Reading the backup; over ssh it is not this program that makes the others.
                let (reads, others): (Vec<_>, Vec<_>) =
                    step.calls.iter().partition(|call| *call == "pread64");
                let reads = reads.into_iter().filter(|_| nature == Nature::Extracts && self == Self::IoError);
                let others = others
                    .into_iter()
                    .filter(|_| !over_ssh && matches!(nature, Nature::Extracts | Nature::Files));
                ways.extend(reads.chain(others).map(|call| Way::Call { call: call.clone(), error }));
                ways.push(Way::Call { call: "pwrite64".to_owned(), error });
                ways.push(Way::Call { call: "fdatasync".to_owned(), error });
                ways
            }
            Self::ConnectionLost => names(&["for a moment"]),
            Self::EngineHangs => names(&["until it is restarted"]),
            Self::WillNotStart => names(&["once", "until someone sees to it"]),
            Self::Unhealthy => names(&["it is sick", "it has ended"]),
            _ => names(&["at once"]),
        }
    }
}

fn is_on_small_disk(step: &Step) -> bool {
    step.change["into"].as_str().is_some_and(|into| into.contains("/srv/"))
}

/// Whether what it puts in place was read from the backup by a step before it.
fn was_staged(step: &Step) -> bool {
    step.change["way"].as_str().is_some_and(|way| matches!(way, "exchange" | "fill"))
}

/// One way in which a fault comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Named(&'static str),
    /// The next call of that name, of each thread, fails so.
    Call {
        call: String,
        error: &'static str,
    },
    /// The same of each process on the host over ssh, until one has failed.
    CallThere {
        call: String,
        error: &'static str,
    },
}

impl Way {
    fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Named(name) if *name == wanted)
    }

    /// What brings what was cut off to an end.
    fn recovery(&self) -> &'static str {
        if matches!(self, Self::Named(name) if name.ends_with("resume")) { "resume" } else { "rollback" }
    }
}

/// Lets `fault` come to `step` in this way, and returns how that ended; everything is as before then.
pub fn strike(bed: &mut Bed, step: &Step, fault: Fault, way: &Way) -> &'static str {
    match fault {
        Fault::Killed => killed(bed, step, way),
        Fault::PowerCut => power_cut(bed, step, way),
        Fault::NoSpace | Fault::IoError => failing(bed, step, fault, way),
        Fault::ConnectionLost => {
            let held = bed.hold(step, &[]);
            for client in clients(bed.sshd.as_ref().expect("a connection")) {
                let _ = kill_process(client, Signal::KILL);
            }
            let ended = run_on(held);
            bed.conclude(&ended, "rollback", || ())
        }
        Fault::EngineGone => {
            let held = bed.hold(step, &[]);
            bed.engine.go();
            let ended = run_on(held);
            bed.engine_is_back_after(&ended)
        }
        Fault::EngineHangs => {
            let mut held = bed.hold(step, &[]);
            bed.engine.hang();
            held.free();
            wait_until("the engine hangs, or it did not matter", || {
                bed.engine.hanging() > 0 || held.has_ended()
            });
            // Whoever restarts it cuts off who waits for it.
            bed.engine.go();
            wait_until("nobody waits", || bed.engine.hanging() == 0);
            bed.engine.come_back();
            let ended = held.wait();
            bed.conclude(&ended, "rollback", || ())
        }
        Fault::WillNotStop => {
            let message = format!(
                "cannot stop container: {}: tried to kill container, but did not receive an exit event",
                container(step)
            );
            refused(bed, step, "stop", &message, usize::MAX, &[3])
        }
        Fault::WillNotStart => {
            let message = format!(
                "driver failed programming external connectivity on endpoint {}: port is already allocated",
                container(step)
            );
            // One that was not there before need not be started to undo it all.
            let (times, codes) = if way.is("once") { (1, &[3][..]) } else { (usize::MAX, &[3, 4][..]) };
            refused(bed, step, "start", &message, times, codes)
        }
        Fault::Unhealthy => {
            let held = bed.hold(step, &["--health-timeout", "2"]);
            if way.is("it has ended") {
                docker(["kill", container(step)]);
            } else {
                docker(["exec", container(step), "touch", "/run/sick"]);
            }
            let ended = run_on(held);
            assert_eq!(ended.code, 3, "{}", ended.stderr);
            bed.conclude(&ended, "rollback", || ())
        }
        Fault::CorruptChunk => {
            let held = bed.hold(step, &[]);
            let from = step.change["from"].as_str().expect("a place in the backup");
            bed.flip(from);
            let ended = run_on(held);
            bed.flip(from);
            assert_eq!(ended.code, 3, "{}", ended.stderr);
            bed.conclude(&ended, "rollback", || ())
        }
        Fault::Cancelled => {
            let held = bed.hold(step, &[]);
            held.signal(Signal::INT);
            let ended = run_on(held);
            bed.conclude(&ended, "rollback", || ())
        }
        Fault::TimeLimit => {
            let (limit, held) = in_time(bed, step);
            thread::sleep(limit);
            let ended = run_on(held);
            if ended.code == 3 {
                assert!(ended.stderr.contains("time limit"), "{}", ended.stderr);
            }
            bed.conclude(&ended, "rollback", || ())
        }
    }
}

/// Halts it at `step` with a time limit that comes after the step begins, but not long after.
fn in_time(bed: &mut Bed, step: &Step) -> (Duration, Held) {
    for margin in [1.0, 2.0, 4.0] {
        let limit = Duration::from_secs_f64(step.began.mul_add(margin, 1.0).ceil());
        let mut held = bed.start(&["--time-limit", &limit.as_secs().to_string()]);
        if held.until_begins(step) {
            return (limit, held);
        }
        // The machine was busy.
        bed.conclude(&held.wait(), "rollback", || ());
    }
    panic!("step {} is not begun in time: {}", step.index, step.change)
}

/// Lets it go on to its end.
fn run_on(mut held: Held) -> Ended {
    held.free();
    held.wait()
}

fn container(step: &Step) -> &str {
    step.change["container"].as_str().expect("a step with a container")
}

fn killed(bed: &mut Bed, step: &Step, way: &Way) -> &'static str {
    let mut held = bed.hold(step, &[]);
    if matches!(way, Way::Named(name) if name.starts_with("after")) {
        assert!(held.until(|_| true).is_some(), "the step ends");
    }
    held.signal(Signal::KILL);
    let ended = held.wait();
    bed.conclude(&ended, way.recovery(), || ())
}

/// A kill, and of the last record only some bytes: all that a power cut leaves of what was being written.
fn power_cut(bed: &mut Bed, step: &Step, way: &Way) -> &'static str {
    let mut held = bed.hold(step, &[]);
    if matches!(way, Way::Named(name) if name.starts_with("done")) {
        assert!(held.until(|_| true).is_some(), "the step ends");
    }
    held.signal(Signal::KILL);
    let ended = held.wait();
    let journal = newest_journal(&bed.shop.state).expect("a journal");
    let whole = fs::read(&journal).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("a line before") + 1;
    let operations = Operations::new(&bed.shop.state);
    let id = operations.find("latest").unwrap();
    let statuses = || -> Vec<StepStatus> {
        operations.record(&id).unwrap().steps.iter().map(|step| step.status).collect()
    };
    let cut_at = |length: usize| {
        let file = OpenOptions::new().write(true).open(&journal).unwrap();
        file.set_len(length as u64).unwrap();
    };
    cut_at(last);
    let without = statuses();
    for length in last + 1..whole.len() {
        fs::write(&journal, &whole[..length]).unwrap();
        assert_eq!(statuses(), without, "cut after {length} bytes");
    }
    // The recovery goes by one of them, each time another.
    fs::write(&journal, &whole[..last + (step.index * 31 + 1) % (whole.len() - last)]).unwrap();
    bed.conclude(&ended, way.recovery(), || ())
}

/// Something that the step does fails: a system call, or what it asks of the engine.
fn failing(bed: &mut Bed, step: &Step, fault: Fault, way: &Way) -> &'static str {
    let mut held = bed.hold(step, &[]);
    let log = bed.scratch("failing.log");
    let _ = fs::remove_file(&log);
    let ended = match way {
        Way::Call { call, error } => {
            held.free_failing(call, error, &log);
            held.wait()
        }
        Way::CallThere { call, error } => {
            let sessions = Sessions::failing(bed.sshd.as_ref().expect("a host"), call, error, &log);
            held.free();
            wait_until("a call fails on the host", || sessions.have_failed() || held.has_ended());
            drop(sessions);
            held.wait()
        }
        Way::Named("the engine's") => {
            let what = if fault == Fault::NoSpace { "no space left on device" } else { "input/output error" };
            bed.engine.refuse("/", &format!("mkdir /var/lib/docker/x: {what}"), 1);
            held.free();
            let ended = held.wait();
            bed.engine.come_back();
            assert_eq!(ended.code, 3, "{}", ended.stderr);
            ended
        }
        Way::Named(_) => {
            let full = Full::at(&bed.shop.sandbox.dir.join("srv"));
            held.free();
            let ended = held.wait();
            drop(full);
            assert_eq!(ended.code, 3, "{}", ended.stderr);
            ended
        }
    };
    let end = bed.conclude(&ended, "rollback", || ());
    let has_come = matches!(way, Way::Named(_)) || has_failed(&log);
    if has_come { end } else { "– it was not called this time" }
}

fn refused(
    bed: &mut Bed,
    step: &Step,
    verb: &str,
    message: &str,
    times: usize,
    codes: &[i32],
) -> &'static str {
    let held = bed.hold(step, &[]);
    bed.engine.refuse(&format!("/containers/{}/{verb}", container(step)), message, times);
    let ended = run_on(held);
    assert!(codes.contains(&ended.code), "{}: {}", ended.code, ended.stderr);
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
    bed.engine_is_back_after(&ended)
}

impl Bed {
    /// The engine is as it is again, before what could not be undone without it is looked at.
    fn engine_is_back_after(&self, ended: &Ended) -> &'static str {
        if ended.code != 4 {
            self.engine.come_back();
        }
        self.conclude(ended, "rollback", || self.engine.come_back())
    }
}

/// A file that takes all the room there is on its file system, until it is dropped.
struct Full(std::path::PathBuf);

impl Full {
    fn at(directory: &Path) -> Self {
        let path = directory.join(".full");
        let file = fs::File::create(&path).expect("a file");
        let chunk = vec![1; 1 << 16];
        let mut length = 0;
        // First in large pieces, then in pages.
        for size in [chunk.len(), 4096, 1] {
            while std::os::unix::fs::FileExt::write_all_at(&file, &chunk[..size], length).is_ok() {
                length += size as u64;
            }
        }
        Self(path)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A step's kind and what tells it from others of its kind, for messages.
pub fn name(step: &Step) -> String {
    let what = ["container", "target", "into", "path"].iter().find_map(|key| step.change[*key].as_str());
    let what = what.or_else(|| step.change["spec"]["name"].as_str());
    let what = what.or_else(|| step.change["project"]["name"].as_str()).unwrap_or_default();
    let _: &Value = &step.change;
    format!("step {} ({} {what})", step.index, step.effect)
}
