//! Ctrl+C, or a SIGTERM, undoes a restore.

use std::fs;
use std::process::Child;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Before, Damage, Shop, docker, start, wait_until};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the program still runs");
}

/// The journal of the only operation so far, while it is being written.
fn journal(shop: &Shop) -> Vec<Value> {
    let operations = fs::read_dir(shop.state.join("operations")).into_iter().flatten().flatten();
    let journals = operations.filter_map(|entry| fs::read_to_string(entry.path().join("journal.jsonl")).ok());
    journals.collect::<String>().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Where the first step of this kind is in the plan.
fn step(events: &[Value], effect: &str) -> Option<u64> {
    let steps = events.first()?["plan"]["steps"].as_array()?;
    steps.iter().position(|step| step["change"]["effect"] == effect).map(|index| index as u64)
}

fn has(events: &[Value], event: &str, step: u64) -> bool {
    events.iter().any(|recorded| recorded["event"] == event && recorded["step"] == step)
}

/// Sends `signals` once the first step of kind `effect` has had `event`, and expects that all is as `before`.
fn cancelled_at(shop: &Shop, before: &Before, effect: &str, event: &str, signals: &[Signal]) {
    let archive = shop.archive("nightly");
    let mut command = shop.command(&["docker", "restore", &archive, "--in-place", "--yes"]);
    let child = start(&mut command);
    wait_until(&format!("{effect} is {event}"), || {
        let events = journal(shop);
        step(&events, effect).is_some_and(|step| has(&events, event, step))
    });
    for one in signals {
        signal(&child, *one);
        thread::yield_now();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let record = shop.record();
    assert_eq!((&record["status"], &record["error"]), (&"rolled_back".into(), &"cancelled".into()));
    shop.expect_as_before(before);
    fs::remove_dir_all(&shop.state).unwrap();
}

#[test]
fn ctrl_c_while_a_large_volume_is_staged_undoes_everything() {
    let shop = Shop::of_files_unsaved();
    fs::write(shop.data().join("huge"), vec![1; 1]).unwrap();
    for number in 0..60 {
        fs::write(shop.data().join(format!("huge-{number}")), crate::support::noise(2 << 20, number))
            .unwrap();
    }
    shop.back_up("nightly");
    shop.damage(Damage(1));
    let before = shop.now();
    let archive = shop.archive("nightly");
    let child = start(&mut shop.command(&["docker", "restore", &archive, "--in-place", "--yes"]));
    wait_until("the volume is being staged", || {
        shop.marked().iter().any(|path| path.contains("_data.reprise-") && path.contains(".part"))
    });
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let events = journal(&shop);
    let of_volume = events[0]["plan"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .position(|step| step["change"]["from"].as_str().is_some_and(|from| from.ends_with("_data")));
    let of_volume = of_volume.unwrap() as u64;
    assert!(has(&events, "started", of_volume) && !has(&events, "done", of_volume), "it came too late");
    assert_eq!(shop.record()["error"], "cancelled");
    shop.expect_as_before(&before);
}

#[test]
fn ctrl_c_or_a_term_signal_between_stop_and_start_undoes_everything() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    cancelled_at(&shop, &before, "stop_container", "started", &[Signal::INT]);
    cancelled_at(&shop, &before, "stop_container", "done", &[Signal::TERM]);
    // While containers start; and an impatient second and third time.
    cancelled_at(&shop, &before, "await_healthy", "started", &[Signal::INT, Signal::INT, Signal::TERM]);
    let containers = docker(["ps", "-q", "--filter", &format!("name={}", shop.name)]);
    assert_eq!(containers.lines().count(), 2);
}

#[test]
fn ctrl_c_at_a_rollback_does_not_stop_it_half_way() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&[]).expect(0);
    let child = start(&mut shop.command(&["operations", "rollback", "latest", "--yes"]));
    wait_until("the rollback has begun", || journal(&shop).iter().any(|event| event["event"] == "undone"));
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    shop.expect_as_before(&before);
}
