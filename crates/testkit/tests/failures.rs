//! Errors and cancels, anywhere: the plan undoes itself, and what it cannot undo it says.

use reprise_engine::{Cause, Direction, Goal, Journal, Progress, Verdict, Way};
use reprise_host::Docker;
use reprise_testkit::{
    Fault, Faults, Kind, Moment, Mounted, OnFile, Run, Scene, SimContainer, Watcher, Wellness, World,
};
use rustix::io::Errno;

fn begun(build: impl Fn() -> Scene) -> (Scene, World) {
    let scene = build();
    let before = scene.world();
    scene.bench.begin(&scene.plan);
    (scene, before)
}

fn completed(build: impl Fn() -> Scene) -> (Scene, World) {
    let (scene, before) = begun(build);
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome(scene.name);
    assert_eq!(outcome.verdict, Verdict::Completed);
    (scene, before)
}

/// Every moment at which an operation of driving `scene` there can fail.
fn failures(scene: &Scene, goal: Goal) -> Vec<(usize, Moment, String)> {
    let counted = Faults::none();
    scene.bench.drive(goal, &counted).outcome(scene.name);
    let operations = counted.operations().into_iter().enumerate();
    operations
        .filter(|(_, operation)| operation.kind != Kind::Time)
        .flat_map(|(at, operation)| {
            let moments = operation.moments();
            moments.iter().map(move |moment| (at, *moment, format!("{moment:?} {at} {}", operation.name)))
        })
        .collect()
}

fn no_space(moment: Moment) -> Fault {
    Fault::Error(moment, Errno::NOSPC.raw_os_error())
}

/// Whether a run may get by without the answer to `what`: volumes that cannot be asked for by their names, for which one
/// dead driver is enough, are asked for with all others.
fn is_asked_otherwise(what: &str) -> bool {
    what.contains("docker volume inspect")
}

/// Fails at each `stride`-th operation of a run, which has to be undone.
fn an_error(build: &dyn Fn() -> Scene, stride: usize) {
    for (at, moment, what) in failures(&begun(build).0, Goal::Applied).into_iter().step_by(stride) {
        let (scene, before) = begun(build);
        let context = format!("{}, no space {what}", scene.name);
        let run = scene.bench.drive(Goal::Applied, &Faults::at(at, no_space(moment)));
        let outcome = run.outcome(&context);
        if is_asked_otherwise(&what) && outcome.verdict == Verdict::Completed {
            scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(&context);
        } else {
            assert_eq!(outcome.verdict, Verdict::RolledBack, "{context}: {outcome:?}");
            assert!(matches!(outcome.cause, Cause::Failed { .. }), "{context}: {outcome:?}");
        }
        scene.world().assert_is(&before, &context);
    }
}

#[test]
fn an_error_at_any_operation_is_undone() {
    for build in Scene::ALL {
        an_error(&build, 1);
    }
}

#[test]
fn an_error_at_any_operation_is_undone_from_a_snapshot() {
    let disk = OnFile::new("btrfs", 1024);
    for way in [Way::Exact, Way::Exchange, Way::Fill] {
        an_error(&|| Scene::protected(&disk, way), 3);
    }
}

#[test]
fn an_undoing_that_fails_says_where_and_is_finished_once_it_can_be() {
    for build in Scene::ALL {
        for (at, moment, what) in failures(&begun(build).0, Goal::Applied) {
            let (scene, before) = begun(build);
            let context = format!("{}, everything fails from {what} on", scene.name);
            let run = scene.bench.drive(Goal::Applied, &Faults::from(at, no_space(moment)));
            let outcome = run.outcome(&context);
            let journal = Journal::open(&scene.bench.journal()).unwrap();
            if outcome.verdict == Verdict::RollbackIncomplete {
                let (step, error) = outcome.stuck.clone().expect("the step that is stuck");
                let progress = &journal.state().steps;
                assert!(matches!(progress[step], Progress::Started(_) | Progress::Done(_)), "{context}");
                assert!(error.contains("space"), "{context}: {error}");
                assert!(
                    progress[step + 1..]
                        .iter()
                        .all(|later| *later == Progress::Pending || *later == Progress::Satisfied)
                );
            }
            drop(journal);
            let again = scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(&context);
            assert_eq!(again.verdict, Verdict::RolledBack, "{context}: {again:?}");
            scene.world().assert_is(&before, &context);
        }
    }
}

#[test]
fn a_rollback_that_fails_is_finished_once_it_can_be() {
    for build in Scene::ALL {
        for (at, moment, what) in failures(&completed(build).0, Goal::Reverted) {
            let (scene, before) = completed(build);
            let applied = scene.world();
            let context = format!("{}, rolling back fails {what}", scene.name);
            match scene.bench.drive(Goal::Reverted, &Faults::at(at, no_space(moment))) {
                // Found out before anything was changed.
                Run::Refused(_) => scene.world().assert_is(&applied, &context),
                Run::Ended(outcome)
                    if is_asked_otherwise(&what) && outcome.verdict == Verdict::RolledBack =>
                {
                    scene.world().assert_is(&before, &context);
                }
                Run::Ended(outcome) => {
                    assert_eq!(outcome.verdict, Verdict::RollbackIncomplete, "{context}: {outcome:?}");
                    assert!(outcome.stuck.is_some(), "{context}");
                }
                Run::Cut => panic!("{context}: there was no cut"),
            }
            let again = scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(&context);
            assert_eq!(again.verdict, Verdict::RolledBack, "{context}: {again:?}");
            scene.world().assert_is(&before, &context);
        }
    }
}

#[test]
fn an_error_and_a_power_cut_while_undoing_it() {
    let build = Scene::in_place;
    let mut cuts = 0;
    for (at, moment, what) in failures(&begun(build).0, Goal::Applied).into_iter().step_by(2) {
        for later in (1..40).step_by(4) {
            let (scene, before) = begun(build);
            let context = format!("no space {what}, and a power cut {later} operations later");
            let faults = Faults::at(at, no_space(moment)).and_at(at + later, Fault::Cut(Moment::After));
            match scene.bench.drive(Goal::Applied, &faults) {
                // It was undone before the power failed.
                Run::Ended(outcome) => assert_eq!(outcome.verdict, Verdict::RolledBack, "{context}"),
                Run::Cut => cuts += 1,
                Run::Refused(error) => panic!("{context}: {error}"),
            }
            let goal = if later % 8 == 1 { Goal::Applied } else { Goal::Reverted };
            scene.bench.drive(goal, &Faults::none()).outcome(&context);
            let outcome = scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(&context);
            assert_eq!(outcome.verdict, Verdict::RolledBack, "{context}");
            scene.world().assert_is(&before, &context);
        }
    }
    assert!(cuts > 100, "most of them: {cuts}");
}

#[test]
fn a_cancel_at_any_time_is_an_undoing() {
    for build in Scene::ALL {
        let mut question = 0;
        loop {
            let (scene, before) = begun(build);
            let watch = Watcher::cancelling_at(question);
            let outcome = scene.bench.drive_watched(Goal::Applied, &Faults::none(), &watch);
            let outcome = outcome.outcome(scene.name);
            if outcome.verdict == Verdict::Completed {
                assert!(watch.asked() <= question, "it asked, and went on");
                break;
            }
            let context = format!("{}, cancelled at question {question}", scene.name);
            assert_eq!(
                (outcome.verdict, outcome.cause),
                (Verdict::RolledBack, Cause::Cancelled),
                "{context}"
            );
            scene.world().assert_is(&before, &context);
            question += 1;
        }
        assert!(question > 10, "extraction asks at each entry, and each step once: {question}");
    }
}

#[test]
fn what_is_not_done_in_its_time_is_undone_and_the_undoing_takes_its_own() {
    let mut undone = 0;
    for seconds in 0..40 {
        let mut scene = Scene::in_place();
        scene.plan.limit_seconds = Some(seconds);
        let db = scene.bench.docker.mountpoint("db_data");
        let slow = SimContainer::new("db").wellness(Wellness::HealthyAfter(30)).with_volume("db_data", &db);
        scene.bench.docker.add(slow);
        let before = scene.world();
        scene.bench.begin(&scene.plan);
        let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("limited");
        if outcome.verdict == Verdict::Completed {
            continue;
        }
        undone += 1;
        let Cause::Failed { error, hint } = outcome.cause else { panic!("{:?}", outcome.cause) };
        assert!(error.contains(&format!("time limit of {seconds} s")) && hint.is_some(), "{error}");
        assert_eq!(outcome.verdict, Verdict::RolledBack, "{seconds} s");
        scene.world().assert_is(&before, "limited");
    }
    assert!((25..35).contains(&undone), "30 s of waiting: {undone}");
}

#[test]
fn undoing_is_not_to_be_cancelled() {
    let (scene, before) = completed(Scene::in_place);
    let watch = Watcher::cancelling_at(0);
    let outcome = scene.bench.drive_watched(Goal::Reverted, &Faults::none(), &watch).outcome("rollback");
    assert_eq!((outcome.verdict, outcome.cause), (Verdict::RolledBack, Cause::Asked));
    scene.world().assert_is(&before, "rolled back");
}

#[test]
fn a_backup_that_breaks_off_changes_nothing() {
    for entries in 0..9 {
        let (mut scene, before) = begun(Scene::in_place);
        scene.bench.source = scene.bench.source.failing_after(entries);
        let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("a damaged backup");
        assert_eq!(outcome.verdict, Verdict::RolledBack);
        let Cause::Failed { error, hint } = outcome.cause else { panic!("{:?}", outcome.cause) };
        assert!(error.contains("damaged") && hint.is_some(), "{error}");
        scene.world().assert_is(&before, "a damaged backup");
    }
}

#[test]
fn a_backup_that_holds_something_else_than_planned_changes_nothing() {
    let (scene, before) = begun(Scene::in_place);
    std::fs::write(scene.bench.source.root().join("var/app/one more"), "").unwrap();
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("another backup");
    assert_eq!(outcome.verdict, Verdict::RolledBack);
    scene.world().assert_is(&before, "another backup");
}

#[test]
fn a_service_that_does_not_become_well_is_put_back() {
    for wellness in [Wellness::NeverHealthy, Wellness::Crashes, Wellness::HealthyAfter(1000)] {
        let (scene, before) = begun(Scene::in_place);
        let db = scene.bench.docker.mountpoint("db_data");
        scene.bench.docker.add(SimContainer::new("db").wellness(wellness).with_volume("db_data", &db));
        let watch = Watcher::new();
        let outcome = scene.bench.drive_watched(Goal::Applied, &Faults::none(), &watch).outcome("unwell");
        let Cause::Failed { error, .. } = outcome.cause else { panic!("{:?}", outcome.cause) };
        assert!(error.contains("container db is not healthy"), "{error}");
        // It was as unwell before: that does not stop the undoing, but is said.
        assert_eq!(outcome.verdict, Verdict::RolledBack);
        assert_eq!(watch.warnings(), ["warn-unhealthy-after-undo"]);
        if wellness != Wellness::Crashes {
            scene.world().assert_is(&before, "a service that does not become well");
        }
    }
}

#[test]
fn steps_with_nothing_to_do_are_never_undone() {
    let (scene, _) = begun(Scene::elsewhere);
    std::fs::create_dir(scene.bench.path("srv")).unwrap();
    let before = scene.world();
    scene.bench.drive(Goal::Applied, &Faults::none()).outcome("applied");
    let watch = Watcher::new();
    scene.bench.drive_watched(Goal::Reverted, &Faults::none(), &watch).outcome("rolled back");
    scene.world().assert_is(&before, "rolled back");
    assert!(scene.bench.path("srv").is_dir(), "it was there before");
    assert!(!watch.begun().contains(&(0, Direction::Backward)));

    let (scene, _) = begun(Scene::in_place);
    scene.bench.docker.stop("web", std::time::Duration::ZERO).unwrap();
    let before = scene.world();
    scene.bench.drive(Goal::Applied, &Faults::none()).outcome("applied");
    assert!(scene.bench.docker.runs("web"));
    scene.bench.drive(Goal::Reverted, &Faults::none()).outcome("rolled back");
    assert!(!scene.bench.docker.runs("web"), "it did not run before");
    scene.world().assert_is(&before, "rolled back");
}

#[test]
fn what_needed_nothing_the_first_time_is_looked_at_again_the_second() {
    let (scene, _) = begun(Scene::elsewhere);
    std::fs::create_dir(scene.bench.path("srv")).unwrap();
    scene.bench.drive(Goal::Applied, &Faults::none()).outcome("applied");
    scene.bench.drive(Goal::Reverted, &Faults::none()).outcome("rolled back");
    std::fs::remove_dir(scene.bench.path("srv")).unwrap();
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("applied again");
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
}

/// The journal is on a file system that is full but for the last page of the journal itself, so that each of
/// its records in turn is the one that does not fit, or half fits.
#[test]
fn a_journal_that_cannot_be_written_any_more_is_an_undoing() {
    let mut rolled_back = 0;
    for room in (0..4096).step_by(97) {
        let mut scene = Scene::in_place();
        let before = scene.world();
        let state = Mounted::at(&scene.bench.state_dir(), 4096);
        // Beyond the room that is set aside for it, so that the disk can be full for it at all.
        let length = |scene: &Scene| {
            scene.bench.begin(&scene.plan);
            let length = std::fs::metadata(scene.bench.journal()).unwrap().len();
            std::fs::remove_file(scene.bench.journal()).unwrap();
            length
        };
        scene.plan.host = "h".repeat((2 << 20) - room);
        let surplus = length(&scene) + room as u64 - (2 << 20);
        scene.plan.host = "h".repeat((2 << 20) - room - surplus as usize);
        scene.bench.begin(&scene.plan);
        state.fill();

        // One process: opened anew it would set more room aside, which here there is none of either.
        let run = scene.bench.drive(Goal::Applied, &Faults::none());
        let context = format!("room for {room} bytes of journal");
        match run {
            // Not even the wish to begin could be recorded.
            Run::Refused(_) => scene.world().assert_is(&before, &context),
            Run::Ended(outcome) if outcome.verdict == Verdict::RolledBack => {
                rolled_back += 1;
                let Cause::Failed { error, .. } = outcome.cause else { panic!("{context}") };
                assert!(error.contains("journal"), "{context}: {error}");
                scene.world().assert_is(&before, &context);
            }
            Run::Ended(outcome) => assert_eq!(outcome.verdict, Verdict::Completed, "{context}"),
            Run::Cut => panic!("{context}: there was no cut"),
        }

        // With room again, and whatever was recorded of all that: it can be resumed, and undone.
        state.free();
        let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome(&context);
        let world = scene.world();
        if outcome.verdict == Verdict::Completed {
            assert!(world.difference(&before).is_some(), "{context}: completed, yet nothing is done");
            let target = scene.bench.docker.mountpoint("db_data");
            assert!(scene.beside(&target, "old").exists(), "{context}: half of it is done");
        } else {
            world.assert_is(&before, &context);
        }
        scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(&context);
        scene.world().assert_is(&before, &context);
    }
    assert!(rolled_back > 10, "the records that did not fit: {rolled_back}");
}
