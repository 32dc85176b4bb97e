//! Whatever moment the power fails, driving reaches its goal the next time, either goal; and when it fails
//! again while recovering, the time after.

use std::sync::atomic::{AtomicUsize, Ordering};

use reprise_engine::{Goal, Journal, Verdict, Way};
use reprise_testkit::{Fault, Faults, Kind, Moment, OnFile, Operation, Run, Scene, World};

const GOALS: [Goal; 2] = [Goal::Applied, Goal::Reverted];

/// What happens to the machine when its power is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    /// Only the program was killed.
    Kill,
    /// Containers were cut off, too, and those that are meant to have come back.
    Reboot,
}

/// A scene's two ends, found by driving it without faults.
struct Ends {
    before: World,
    applied: World,
    operations: Vec<Operation>,
}

impl Ends {
    fn of(build: &dyn Fn() -> Scene) -> Self {
        let scene = build();
        let before = scene.world();
        let faults = Faults::none();
        scene.bench.begin(&scene.plan);
        let outcome = scene.bench.drive(Goal::Applied, &faults).outcome(scene.name);
        assert_eq!(outcome.verdict, Verdict::Completed, "{}: {outcome:?}", scene.name);
        let applied = scene.world();
        assert!(applied.difference(&before).is_some(), "{}: a plan that does nothing", scene.name);
        Self { before, applied, operations: faults.operations() }
    }

    fn of_goal(&self, goal: Goal) -> &World {
        match goal {
            Goal::Applied => &self.applied,
            Goal::Reverted => &self.before,
        }
    }
}

/// The moments at which a cut makes a difference, each with words for it.
fn cuts(operations: &[Operation], wanted: impl Fn(&Operation) -> bool) -> Vec<(usize, Moment, String)> {
    let operations = operations.iter().enumerate().filter(|(_, operation)| wanted(operation));
    operations
        .flat_map(|(at, operation)| {
            let moments = operation.moments();
            moments.iter().map(move |moment| (at, *moment, format!("{moment:?} {at} {}", operation.name)))
        })
        .collect()
}

/// Drives a new scene until the power is cut there.
fn cut_at(build: &dyn Fn() -> Scene, at: usize, moment: Moment, after: After) -> Scene {
    let scene = build();
    scene.bench.begin(&scene.plan);
    let run = scene.bench.drive(Goal::Applied, &Faults::at(at, Fault::Cut(moment)));
    assert!(matches!(run, Run::Cut), "{run:?}");
    if after == After::Reboot {
        scene.bench.docker.reboot();
    }
    scene
}

#[track_caller]
fn reaches(scene: &Scene, goal: Goal, ends: &Ends, context: &str) {
    let outcome = scene.bench.drive(goal, &Faults::none()).outcome(context);
    let verdict = if goal == Goal::Applied { Verdict::Completed } else { Verdict::RolledBack };
    assert_eq!(outcome.verdict, verdict, "{context}: {outcome:?}");
    scene.world().assert_is(ends.of_goal(goal), context);
    assert_eq!(Journal::open(&scene.bench.journal()).unwrap().state().verdict, Some(verdict), "{context}");
}

#[test]
fn a_clean_run_restores_what_the_backup_holds_and_keeps_what_was_there() {
    let scene = Scene::in_place();
    let ends = Ends::of(&Scene::in_place);
    let backup = World::of(scene.bench.source.root(), &scene.bench.docker);
    for (volume, in_backup) in [("app_data", "var/app"), ("db_data", "var/db")] {
        let target = scene.bench.docker.mountpoint(volume);
        let target = target.strip_prefix(scene.bench.root()).unwrap();
        assert_eq!(ends.applied.below(target), backup.below(in_backup.as_ref()));
        let kept = scene.beside(target, "old");
        assert_eq!(ends.applied.below(&kept), ends.before.below(target));
        assert!(ends.applied.below(&scene.beside(target, "new")).is_empty());
    }
}

/// Cuts once at each `stride`-th moment of a run, and drives to either goal, and then to the other.
fn one_cut(build: &dyn Fn() -> Scene, stride: usize, afters: &[After]) {
    let ends = Ends::of(build);
    for after in afters {
        for (at, moment, what) in cuts(&ends.operations, |_| true).into_iter().step_by(stride) {
            for goal in GOALS {
                let scene = cut_at(build, at, moment, *after);
                let context = format!("{}, {after:?}, cut {what}, then {goal:?}", scene.name);
                reaches(&scene, goal, &ends, &context);
                // And whichever it was, the other one is still to be had.
                let other = if goal == Goal::Applied { Goal::Reverted } else { Goal::Applied };
                reaches(&scene, other, &ends, &format!("{context}, then {other:?}"));
            }
        }
    }
}

/// Cuts the rollback of a finished operation at each `stride`-th moment, and drives to either goal.
fn one_cut_rolling_back(build: &dyn Fn() -> Scene, stride: usize) {
    let ends = Ends::of(build);
    let completed = || {
        let scene = build();
        scene.bench.begin(&scene.plan);
        scene.bench.drive(Goal::Applied, &Faults::none()).outcome(scene.name);
        scene
    };
    let counted = Faults::none();
    completed().bench.drive(Goal::Reverted, &counted).outcome("clean rollback");
    for (at, moment, what) in cuts(&counted.operations(), |_| true).into_iter().step_by(stride) {
        for goal in GOALS {
            let scene = completed();
            let run = scene.bench.drive(Goal::Reverted, &Faults::at(at, Fault::Cut(moment)));
            assert!(matches!(run, Run::Cut), "{run:?}");
            let context = format!("{}, rolling back cut {what}, then {goal:?}", scene.name);
            reaches(&scene, goal, &ends, &context);
        }
    }
}

#[test]
fn one_cut_anywhere_and_either_goal_is_reached() {
    for build in Scene::ALL {
        one_cut(&build, 1, &[After::Kill, After::Reboot]);
    }
}

#[test]
fn a_cut_while_rolling_back_a_finished_operation_and_either_goal_is_reached() {
    for build in Scene::ALL {
        one_cut_rolling_back(&build, 1);
    }
}

// On a real btrfs, where each run takes its time: some of the moments will do, which are not the same each way.

#[test]
fn one_cut_anywhere_where_a_snapshot_protects_and_either_goal_is_reached() {
    let disk = OnFile::new("btrfs", 1024);
    for way in [Way::Exact, Way::Exchange, Way::Fill] {
        one_cut(&|| Scene::protected(&disk, way), 3, &[After::Reboot]);
    }
}

#[test]
fn a_cut_while_rolling_back_by_a_snapshot_and_either_goal_is_reached() {
    let disk = OnFile::new("btrfs", 1024);
    for way in [Way::Exact, Way::Exchange, Way::Fill] {
        one_cut_rolling_back(&|| Scene::protected(&disk, way), 3);
    }
}

/// The square of changes, every other field: cut at each, recover to each goal, cut at each change of that, recover again.
fn a_second_cut(build: fn() -> Scene, after: After) {
    let ends = Ends::of(&build);
    let runs = AtomicUsize::new(0);
    // Entries of a tree differ little from each other, as do looks at the clock: some of each will do. With
    // reboots, which differ only in what runs, some of all.
    let every = |stride: usize, wanted: fn(&Operation) -> bool| {
        cuts(&ends.operations, wanted).into_iter().step_by(stride)
    };
    let stride = if after == After::Reboot { 3 } else { 1 };
    let first: Vec<_> = every(stride, Operation::changes)
        .chain(every(3 * stride, |it| it.kind == Kind::Time))
        .chain(every(7 * stride, |it| it.kind == Kind::Entry))
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some((at, moment, what)) = first.get(number) else { break };
                    for goal in GOALS {
                        let counted = Faults::none();
                        cut_at(&build, *at, *moment, after).bench.drive(goal, &counted);
                        let second = cuts(&counted.operations(), Operation::changes);
                        // Every other one, in turn: each meets half of the first cuts.
                        for (at2, moment2, what2) in second.into_iter().skip(number % 2).step_by(2) {
                            for last in GOALS {
                                let scene = cut_at(&build, *at, *moment, after);
                                let run = scene.bench.drive(goal, &Faults::at(at2, Fault::Cut(moment2)));
                                assert!(matches!(run, Run::Cut), "{run:?}");
                                if after == After::Reboot {
                                    scene.bench.docker.reboot();
                                }
                                let name = scene.name;
                                let context =
                                    format!("{name}: cut {what}, then {goal:?} cut {what2}, then {last:?}");
                                reaches(&scene, last, &ends, &context);
                                runs.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                }
            });
        }
    });
    assert!(runs.into_inner() > 80, "the matrix is not empty");
}

#[test]
fn a_second_cut_in_place() {
    a_second_cut(Scene::in_place, After::Kill);
}

#[test]
fn a_second_cut_in_place_with_reboots() {
    a_second_cut(Scene::in_place, After::Reboot);
}

#[test]
fn a_second_cut_elsewhere() {
    a_second_cut(Scene::elsewhere, After::Kill);
}

#[test]
fn a_second_cut_with_a_new_volume() {
    a_second_cut(Scene::new_volume, After::Kill);
}
