//! The laws of every effect: *observe changes nothing; apply twice, then observe: satisfied, or refused by what nobody else may make; undo twice: the
//! state before, to the byte; wherever it was cut off, either way, it can be finished and undone.*

mod distrust;
mod making;
mod mirrors;
mod over_ssh;
mod scenarios;
mod snapshots;

use reprise_engine::{Change, Observed, Result};
use reprise_model::{Lang, known_keys};
use reprise_testkit::{Fault, Faults, Moment, Watcher, World, until_power_cut};
use scenarios::Scenario;
use serde_json::Value;

/// Names the effects in a table that cannot miss one: a new variant does not compile until it has a name
/// here, and then fails [`every_effect_has_scenarios`] until it has a scenario.
fn name(change: &Change) -> &'static str {
    match change {
        Change::MakeDir(_) => EFFECTS[0],
        Change::CreateVolume(_) => EFFECTS[1],
        Change::Stage(_) => EFFECTS[2],
        Change::StopContainer(_) => EFFECTS[3],
        Change::Swap(_) => EFFECTS[4],
        Change::Place(_) => EFFECTS[5],
        Change::StartContainer(_) => EFFECTS[6],
        Change::AwaitHealthy(_) => EFFECTS[7],
        Change::OpenStore(_) => EFFECTS[8],
        Change::Mirror(_) => EFFECTS[9],
        Change::Snapshot(_) => EFFECTS[10],
        Change::CreateNetwork(_) => EFFECTS[11],
        Change::CreateContainer(_) => EFFECTS[12],
        Change::SetAside(_) => EFFECTS[13],
        Change::ComposeCreate(_) => EFFECTS[14],
        Change::BackUp(_) => EFFECTS[15],
    }
}

const EFFECTS: [&str; 16] = [
    "MakeDir",
    "CreateVolume",
    "Stage",
    "StopContainer",
    "Swap",
    "Place",
    "StartContainer",
    "AwaitHealthy",
    "OpenStore",
    "Mirror",
    "Snapshot",
    "CreateNetwork",
    "CreateContainer",
    "SetAside",
    "ComposeCreate",
    "BackUp",
];

/// Effects that make what bears the operation's name and lies where others may write: where it is there before they began,
/// somebody else made it, and they refuse.
const NEVER_DONE_BY_OTHERS: [&str; 3] = ["OpenStore", "Mirror", "Snapshot"];

impl Scenario {
    fn world(&self) -> World {
        self.bench.world().without_times_of(&self.restless())
    }

    fn observe(&self, faults: &Faults) -> Result<Observed<Value>> {
        self.bench.meet(faults, &Watcher::new(), |cx| self.change.observe(cx))
    }

    fn needed(&self) -> Value {
        match self.observe(&Faults::none()) {
            Ok(Observed::Needed(before)) => before,
            other => panic!("{}: it should be needed, but is {other:?}", self.name),
        }
    }

    /// Nothing when the power was cut.
    fn apply(&self, before: &Value, faults: &Faults) -> Option<Result<()>> {
        until_power_cut(|| self.bench.meet(faults, &Watcher::new(), |cx| self.change.apply(before, cx)))
    }

    /// Nothing when the power was cut.
    fn undo(&self, before: &Value, faults: &Faults) -> Option<Result<()>> {
        until_power_cut(|| self.bench.meet(faults, &Watcher::new(), |cx| self.change.undo(before, cx)))
    }

    /// What undoes it once it is made.
    fn made(&self, before: &Value) -> Value {
        let known = self.bench.meet(&Faults::none(), &Watcher::new(), |cx| self.change.made(before, cx));
        known.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    #[track_caller]
    fn applied(&self, before: &Value, context: &str) {
        let done = self.apply(before, &Faults::none()).expect("no power cut");
        done.unwrap_or_else(|error| panic!("{}, {context}: apply failed: {error}", self.name));
    }

    #[track_caller]
    fn undone(&self, before: &Value, context: &str) {
        let done = self.undo(before, &Faults::none()).expect("no power cut");
        done.unwrap_or_else(|error| panic!("{}, {context}: undo failed: {error}", self.name));
    }

    #[track_caller]
    fn assert_world(&self, expected: &World, context: &str) {
        self.world().assert_is(expected, &format!("{}, {context}", self.name));
    }
}

#[test]
fn every_effect_has_scenarios() {
    for effect in EFFECTS {
        assert!(scenarios::needed().any(|(_, build)| name(&build().change) == effect), "{effect} to be done");
        let is_done = if NEVER_DONE_BY_OTHERS.contains(&effect) {
            scenarios::refused().any(|(it, _)| name(&it.change) == effect)
        } else {
            scenarios::satisfied().any(|it| name(&it.change) == effect)
        };
        assert!(is_done, "{effect} done already");
    }
}

#[test]
fn every_effect_has_words_in_every_language() {
    for (_, build) in scenarios::needed() {
        let message = build().change.describe();
        for lang in [Lang::En, Lang::Fr] {
            assert!(known_keys(lang).contains(&message.key()), "{} has no text in {lang:?}", message.key());
        }
    }
}

#[test]
fn observing_changes_nothing() {
    for (_, build) in scenarios::needed() {
        let it = build();
        let before = it.bench.world();
        it.needed();
        it.bench.world().assert_is(&before, it.name);
    }
}

#[test]
fn what_is_satisfied_says_so_and_stays() {
    for it in scenarios::satisfied() {
        let before = it.bench.world();
        assert_eq!(it.observe(&Faults::none()).unwrap(), Observed::Satisfied, "{}", it.name);
        it.bench.world().assert_is(&before, it.name);
    }
}

#[test]
fn what_was_not_planned_for_is_refused_and_stays() {
    for (it, words) in scenarios::refused() {
        let before = it.bench.world();
        let error = it.observe(&Faults::none()).expect_err(it.name);
        assert!(error.to_string().contains(words), "{}: {error}", it.name);
        it.bench.world().assert_is(&before, it.name);
    }
}

#[test]
fn applying_twice_is_applying_once_and_then_it_is_satisfied() {
    for (_, build) in scenarios::needed() {
        let it = build();
        let before = it.needed();
        it.applied(&before, "first");
        let once = it.world();
        it.applied(&before, "second");
        it.assert_world(&once, "applied twice");
        match it.observe(&Faults::none()) {
            Ok(observed) => assert_eq!(observed, Observed::Satisfied, "{}", it.name),
            Err(error) => assert!(NEVER_DONE_BY_OTHERS.contains(&name(&it.change)), "{}: {error}", it.name),
        }
    }
}

#[test]
fn undoing_twice_is_undoing_once_and_leaves_what_was_before() {
    for (_, build) in scenarios::needed() {
        let it = build();
        let world = it.world();
        let before = it.needed();
        it.undone(&before, "before it was applied");
        it.assert_world(&world, "undone before it was applied");
        it.applied(&before, "first");
        it.undone(&before, "once");
        it.assert_world(&world, "undone");
        it.undone(&before, "twice");
        it.assert_world(&world, "undone twice");
    }
}

#[test]
fn what_is_known_once_it_is_made_undoes_it_too() {
    for (_, build) in scenarios::needed() {
        let it = build();
        let world = it.world();
        let before = it.needed();
        it.applied(&before, "first");
        let applied = it.world();
        let made = it.made(&before);
        it.assert_world(&applied, "only looked at");
        it.applied(&made, "again");
        assert_eq!(it.made(&made), made, "{}: made sure of", it.name);
        it.undone(&made, "once");
        it.assert_world(&world, "undone");
        it.undone(&made, "twice");
        it.assert_world(&world, "undone twice");
    }
}

/// Every moment in `operations` at which the power can be cut.
fn cuts(faults: &Faults) -> Vec<(usize, Moment, String)> {
    let operations = faults.operations().into_iter().enumerate();
    operations
        .flat_map(|(at, operation)| {
            let moments = operation.moments();
            moments.iter().map(move |moment| (at, *moment, format!("{moment:?} {}", operation.name)))
        })
        .collect()
}

#[test]
fn an_application_that_was_cut_off_can_be_finished_and_undone() {
    for (_, build) in scenarios::needed() {
        let clean = build();
        let world = clean.world();
        let counted = Faults::none();
        clean.apply(&clean.needed(), &counted).expect("no power cut").unwrap();
        let applied = clean.world();
        for (at, moment, what) in cuts(&counted) {
            let faults = || Faults::at(at, Fault::Cut(moment));

            let it = build();
            let before = it.needed();
            assert!(it.apply(&before, &faults()).is_none(), "{}: {what}", it.name);
            it.undone(&before, &what);
            it.undone(&before, &what);
            it.assert_world(&world, &format!("cut {what}, then undone"));

            let it = build();
            let before = it.needed();
            assert!(it.apply(&before, &faults()).is_none(), "{}: {what}", it.name);
            it.applied(&before, &what);
            it.assert_world(&applied, &format!("cut {what}, then applied"));
        }
    }
}

#[test]
fn an_undoing_that_was_cut_off_can_be_finished_and_turned_round() {
    for (_, build) in scenarios::needed() {
        let clean = build();
        let world = clean.world();
        let before = clean.needed();
        clean.applied(&before, "clean");
        let applied = clean.world();
        let counted = Faults::none();
        clean.undo(&before, &counted).expect("no power cut").unwrap();
        for (at, moment, what) in cuts(&counted) {
            let cut = || {
                let it = build();
                let before = it.needed();
                it.applied(&before, &what);
                let undoing = it.undo(&before, &Faults::at(at, Fault::Cut(moment)));
                assert!(undoing.is_none(), "{}: {what}", it.name);
                (it, before)
            };
            let (it, before) = cut();
            it.undone(&before, &what);
            it.assert_world(&world, &format!("undoing cut {what}, then undone"));

            let (it, before) = cut();
            it.applied(&before, &what);
            it.assert_world(&applied, &format!("undoing cut {what}, then applied"));
        }
    }
}

#[test]
fn an_error_anywhere_can_be_undone() {
    for (_, build) in scenarios::needed() {
        let clean = build();
        let world = clean.world();
        let counted = Faults::none();
        clean.apply(&clean.needed(), &counted).expect("no power cut").unwrap();
        for (at, moment, what) in cuts(&counted) {
            let it = build();
            let before = it.needed();
            let no_space = Fault::Error(moment, rustix::io::Errno::NOSPC.raw_os_error());
            // Looks at the clock cannot fail; then it is applied in spite of the fault.
            let _ = it.apply(&before, &Faults::at(at, no_space)).expect("no power cut");
            it.undone(&before, &what);
            it.assert_world(&world, &format!("error {what}, then undone"));
        }
    }
}
