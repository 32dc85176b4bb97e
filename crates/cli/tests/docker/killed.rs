//! A restore that is killed, at whatever moment, can be brought to either end.
//!
//! The unmodified program runs under `strace`, which kills it with SIGKILL as its main thread enters the N-th
//! `pwrite64`, or the N-th `fdatasync`. The main thread uses these for the journal alone (`the_journal_is_…` below
//! holds that), so the first kill comes just before an event is written and the second just after: before and after
//! every change. `renameat2` kills between the parts of a swap. How many events there are is taken from a run that is
//! left alone: a new kind of step is covered by itself.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use reprise_testkit::OnFile;

use crate::mirrored::with_data_as_ext4;
use crate::support::{Before, Damage, Ended, Shop, Trees, assert_same, run, wait_until};

/// Killed by signal 9, as [`Ended`] tells it.
pub const KILLED: i32 = 128 + 9;

/// Runs `command`, killed as its main thread enters the `number`-th `call`, from 1.
pub fn killed_at(command: &Command, call: &str, number: usize) -> Ended {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={number}"), "--"]);
    strace.arg(command.get_program()).args(command.get_args());
    strace.current_dir(command.get_current_dir().expect("commands of a shop have a directory"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    run(&mut strace)
}

/// The restore that is killed.
fn restore(shop: &Shop, more: &[&str]) -> Command {
    shop.command(&[&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"], more].concat())
}

/// What brings an operation to an end.
fn recovery(shop: &Shop, action: &str) -> Command {
    shop.command(&["operations", action, "latest", "--yes"])
}

/// Whether a run of `command` goes on in the background: a `docker stop` outlives who started it.
fn wait_for_docker_commands(shop: &Shop) {
    let mark = format!("REPRISE_STATE_DIR={}", shop.state.display());
    wait_until("what the killed program had started has ended", || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        !processes.filter(|entry| entry.path().join("exe").read_link().is_ok()).any(|entry| {
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
    });
}

/// What makes a shop that is backed up, and the file system that a part of it lies on.
type Make = fn() -> (Shop, Option<OnFile>);

/// One shop on which restores are killed, over and over.
struct Range<'a> {
    /// Goes before the shop, which removes what it lies on.
    _disk: Option<OnFile>,
    shop: Shop,
    archived: &'a Trees,
    /// Arguments of the restore.
    more: &'a [&'a str],
    rounds: u32,
}

impl Range<'_> {
    /// Kills a restore at `number`, kills what recovers from that at `again`, and sees what is there in the end.
    fn round(&mut self, call: &str, number: usize, recoveries: [&str; 2], again: usize) {
        let what = format!("killed at {call} {number}, {recoveries:?}, the first killed at {call} {again}");
        let shop = &mut self.shop;
        self.rounds += 1;
        shop.state = shop.sandbox.dir.join(format!("state-{}", self.rounds));
        shop.damage(Damage(self.rounds));
        let before = Before { trees: shop.trees(), ..shop.now() };

        let ended = killed_at(&restore(shop, self.more), call, number);
        assert_eq!(ended.code, KILLED, "{what}: {}", ended.stderr);
        wait_for_docker_commands(shop);
        if shop.reprise(&["operations", "list", "--json"]).expect(0).json().as_array().unwrap().is_empty() {
            // Nothing reached the disk, so nothing may have happened.
            shop.expect_as_before(&before);
            return;
        }
        let completed = |shop: &Shop| shop.record()["status"] == "completed";
        // What was killed in its very last moment has nothing to resume.
        if !(completed(shop) && recoveries[0] == "resume") {
            let first = killed_at(&recovery(shop, recoveries[0]), call, again);
            assert!([0, KILLED].contains(&first.code), "{what}: {} {}", first.code, first.stderr);
            wait_for_docker_commands(shop);
        }
        let ended = ["completed", "rolled_back"].map(|end| shop.record()["status"] == end).contains(&true);
        if recoveries[1] == "rollback" || !ended {
            let second = run(&mut recovery(shop, recoveries[1]));
            assert_eq!(second.code, 0, "{what}: {}\n{}", second.stdout, second.stderr);
        }

        let record = shop.record();
        if recoveries.contains(&"rollback") {
            assert_eq!(record["status"], "rolled_back", "{what}");
            shop.expect_as_before(&before);
        } else {
            assert_eq!(record["status"], "completed", "{what}");
            let now = shop.trees();
            assert_same(&self.archived.0, &now.0, &what);
            assert_same(&self.archived.1, &now.1, &what);
            before.objects.expect_now(&shop.name);
            let mut kept: Vec<&Path> = record["kept"]
                .as_array()
                .unwrap()
                .iter()
                .map(|path| Path::new(path.as_str().unwrap()))
                .collect();
            for path in shop.marked() {
                // In a directory of the operation, or one itself.
                let named = kept.iter().position(|kept| kept.starts_with(&path));
                let named = named.unwrap_or_else(|| panic!("{what}: {path} is not what the record names"));
                assert!(kept.remove(named).exists(), "{what}: {path}");
                fs::remove_dir_all(path).unwrap();
            }
            assert!(kept.is_empty(), "{what}: {kept:?} is gone");
        }
    }
}

/// What recovers, in two attempts, from a kill at the `number`-th `call`: forward and back by turns, so that each
/// event is followed by the one when the kill came before it, and by the other when it came after.
fn recoveries(call: &str, number: usize) -> [&'static str; 2] {
    let back = [["rollback", "rollback"], ["resume", "rollback"], ["rollback", "resume"]];
    let turn = number + usize::from(call == "fdatasync");
    if turn.is_multiple_of(2) { ["resume", "resume"] } else { back[number / 2 % back.len()] }
}

/// Kills at every `call` of a restore, on `shops` shops at once.
fn at_every(call: &str, shops: usize) {
    at_each(of_files, call, shops, 1, &[]);
}

fn of_files() -> (Shop, Option<OnFile>) {
    (Shop::of_files(), None)
}

/// Kills at each `stride`-th `call` of a restore with `more` arguments, on `shops` shops at once.
fn at_each(make: Make, call: &str, shops: usize, stride: usize, more: &[&str]) {
    let (first, disk) = make();
    // What differs is what counts for some, and there is more of it in each round, never less.
    first.damage(Damage(0));
    let calls = calls_of_a_restore(&first, call, more);
    assert!(calls >= 4, "{call} is called {calls} times");
    let next = AtomicUsize::new(1);
    let work = |(shop, disk): (Shop, Option<OnFile>)| {
        let archived = shop.trees_of_archive("nightly");
        let mut range = Range { _disk: disk, shop, archived: &archived, more, rounds: 0 };
        loop {
            let number = next.fetch_add(stride, Ordering::Relaxed);
            if number > calls {
                return;
            }
            // From 2: once the first event of a recovery is on disk, its direction is settled.
            range.round(call, number, recoveries(call, number), 2 + number % 7);
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..shops).map(|_| scope.spawn(|| work(make()))).collect();
        work((first, disk));
        for other in others {
            other.join().expect("the rounds of another thread");
        }
    });
}

/// How often the main thread of a restore enters `call`; the shop is as before afterwards.
fn calls_of_a_restore(shop: &Shop, call: &str, more: &[&str]) -> usize {
    let log = shop.sandbox.dir.join("strace.log");
    let command = restore(shop, more);
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-y", "-e", &format!("trace={call}"), "-o"]).arg(&log).arg("--");
    strace.arg(command.get_program()).args(command.get_args());
    run(shop.environment(&mut strace)).expect(0);
    run(&mut recovery(shop, "rollback")).expect(0);
    let log = fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = log.lines().filter(|line| line.starts_with(call)).collect();
    if call != "renameat2" {
        let elsewhere = calls.iter().find(|line| !line.contains("/journal.jsonl>"));
        assert_eq!(elsewhere, None, "{call} is for the journal alone");
    }
    calls.len()
}

#[test]
fn killed_before_any_event_is_recorded_a_restore_reaches_either_end() {
    at_every("pwrite64", 2);
}

#[test]
fn killed_after_any_event_is_recorded_a_restore_reaches_either_end() {
    at_every("fdatasync", 2);
}

#[test]
pub fn killed_at_any_rename_a_restore_reaches_either_end() {
    at_every("renameat2", 1);
}

#[test]
fn killed_while_names_move_a_restore_of_what_differs_reaches_either_end() {
    at_each(of_files, "renameat2", 1, 4, &["--only-changed"]);
}

#[test]
fn killed_while_a_mount_point_in_which_containers_write_is_emptied_and_filled_it_reaches_either_end() {
    let make = || {
        let (shop, disk) = with_data_as_ext4();
        (shop, Some(disk))
    };
    at_each(make, "pwrite64", 1, 7, &[]);
}

#[test]
fn the_journal_records_each_event_before_what_it_announces() {
    let shop = Shop::of_files();
    let calls = calls_of_a_restore(&shop, "pwrite64", &[]);
    let events = shop.reprise(&["operations", "log", "latest", "--json"]).expect(0).json();
    // The rollback's events are in the journal too: at its beginning one that aims at it.
    let of_the_restore = events.as_array().unwrap().iter().take_while(|event| event["goal"] != "reverted");
    assert_eq!(calls, of_the_restore.count());
    assert!(Path::new(&shop.state).join("operations").exists());
}
