//! Going back after the end, reboots in between, and who else is there.

use reprise_engine::{
    Change, Error, Event, Goal, Journal, Operations, Stage, StopContainer, Swap, Verdict, expire,
};
use reprise_testkit::{
    FakeClock, Fault, Faults, Moment, Mounted, Restart, Run, Scene, SimContainer, Watcher, World, plan,
    stage, until_power_cut,
};

fn completed(scene: &Scene) {
    scene.bench.begin(&scene.plan);
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome(scene.name);
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
}

fn expired(scene: &Scene, faults: &Faults) -> Option<reprise_engine::Result<()>> {
    let mut journal = Journal::open(&scene.bench.journal()).unwrap();
    until_power_cut(|| scene.bench.meet(faults, &Watcher::new(), |cx| expire(&mut journal, cx)))
}

#[test]
fn a_completed_operation_can_be_rolled_back_and_applied_again() {
    for build in Scene::ALL {
        let scene = build();
        let before = scene.world();
        completed(&scene);
        let applied = scene.world();
        for _ in 0..2 {
            let outcome = scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(scene.name);
            assert_eq!(outcome.verdict, Verdict::RolledBack, "{outcome:?}");
            scene.world().assert_is(&before, scene.name);
            let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome(scene.name);
            assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
            scene.world().assert_is(&applied, scene.name);
        }
    }
}

#[test]
fn driving_to_where_it_is_changes_nothing() {
    let scene = Scene::in_place();
    completed(&scene);
    // Someone stopped it since: that is theirs to decide.
    reprise_host::Docker::stop(&*scene.bench.docker, "web", std::time::Duration::ZERO).unwrap();
    let applied = scene.bench.world();
    scene.bench.drive(Goal::Applied, &Faults::none()).outcome("again");
    scene.bench.world().assert_is(&applied, "applied again");
}

#[test]
fn what_has_expired_is_gone_and_its_rollback_refuses() {
    let scene = Scene::in_place();
    completed(&scene);
    expired(&scene, &Faults::none()).unwrap().unwrap();
    let kept = scene.beside(&scene.bench.docker.mountpoint("app_data"), "old");
    assert!(!kept.exists());
    let world = scene.bench.world();
    let error = scene.bench.drive(Goal::Reverted, &Faults::none()).refusal("expired");
    assert!(matches!(error, Error::WindowClosed { .. }), "{error}");
    assert!(error.hint().is_some());
    scene.bench.world().assert_is(&world, "a rollback that was refused");
}

#[test]
fn an_expiry_that_was_cut_off_leaves_nothing_to_go_back_to_and_can_be_finished() {
    let counted = Faults::none();
    let scene = Scene::in_place();
    completed(&scene);
    expired(&scene, &counted).unwrap().unwrap();
    let clean = scene.world();
    for (at, operation) in counted.operations().iter().enumerate() {
        for moment in operation.moments() {
            let scene = Scene::in_place();
            completed(&scene);
            assert!(expired(&scene, &Faults::at(at, Fault::Cut(*moment))).is_none());
            let began = Journal::open(&scene.bench.journal()).unwrap().state().expired;
            let context = format!("expiry cut {moment:?} {}", operation.name);
            if began {
                let world = scene.bench.world();
                scene.bench.drive(Goal::Reverted, &Faults::none()).refusal(&context);
                scene.bench.world().assert_is(&world, &context);
            }
            expired(&scene, &Faults::none()).unwrap().unwrap();
            scene.world().assert_is(&clean, &context);
        }
    }
}

#[test]
fn what_is_not_completed_does_not_expire() {
    let length = {
        let counted = Faults::none();
        let scene = Scene::in_place();
        scene.bench.begin(&scene.plan);
        scene.bench.drive(Goal::Applied, &counted).outcome("clean");
        counted.operations().len()
    };
    let scene = Scene::in_place();
    scene.bench.begin(&scene.plan);
    scene.bench.drive(Goal::Applied, &Faults::at(length - 2, Fault::Cut(Moment::Before)));
    let world = scene.bench.world();
    let error = expired(&scene, &Faults::none()).unwrap().unwrap_err();
    assert!(error.to_string().contains("not completed"), "{error}");
    scene.bench.world().assert_is(&world, "no expiry");
    assert!(!Journal::open(&scene.bench.journal()).unwrap().state().expired);
}

#[test]
fn of_two_operations_on_one_target_the_later_one_goes_back_first() {
    for build in [Scene::in_place as fn() -> Scene, Scene::elsewhere] {
        let scene = build();
        let before = scene.world();
        completed(&scene);
        // Another restore puts something else in each place that the first one filled.
        let mut replaced = Vec::new();
        for step in &scene.plan.steps {
            let target = match &step.change {
                Change::Swap(swap) => &swap.target,
                Change::Place(place) => &place.target,
                _ => continue,
            };
            let aside = target.with_file_name(format!("aside {}", replaced.len()));
            std::fs::rename(target, &aside).unwrap();
            reprise_testkit::plant(target, "a later restore");
            replaced.push((target.clone(), aside));
        }
        let world = scene.bench.world();
        let error = scene.bench.drive(Goal::Reverted, &Faults::none()).refusal(scene.name);
        assert!(error.to_string().contains("was replaced again"), "{error}");
        assert!(error.hint().unwrap().contains("later operation"), "{error}");
        scene.bench.world().assert_is(&world, scene.name);

        // That one rolled back, the first one can be.
        for (target, aside) in replaced {
            std::fs::remove_dir_all(&target).unwrap();
            std::fs::rename(aside, target).unwrap();
        }
        let outcome = scene.bench.drive(Goal::Reverted, &Faults::none()).outcome(scene.name);
        assert_eq!(outcome.verdict, Verdict::RolledBack);
        scene.world().assert_is(&before, scene.name);
    }
}

#[test]
fn two_operations_in_a_row_go_back_in_turn() {
    let scene = Scene::in_place();
    let before = scene.world();
    completed(&scene);
    let between = scene.world();
    let target = scene.bench.docker.mountpoint("app_data");
    let second = |tail: &str| target.with_file_name(format!("_data.second.{tail}"));
    let later = plan(
        "next",
        vec![
            Change::Stage(Stage { ..stage(&scene.bench.source, "var/db", &second("new")) }),
            Change::StopContainer(StopContainer { container: "web".to_owned() }),
            Change::Swap(Swap {
                staged: second("new"),
                target: target.clone(),
                kept: second("old"),
                users: vec!["web".to_owned()],
            }),
            Change::StartContainer(reprise_engine::StartContainer { container: "web".to_owned() }),
        ],
    );
    let path = scene.bench.state_dir().join("second.jsonl");
    let mut journal = Journal::create(&path, later, &scene.bench.clock).unwrap();
    let drive = |journal: &mut Journal, goal| {
        scene.bench.drive_journal(journal, goal, &Faults::none(), &Watcher::new())
    };
    assert_eq!(drive(&mut journal, Goal::Applied).outcome("second").verdict, Verdict::Completed);

    let world = scene.bench.world();
    scene.bench.drive(Goal::Reverted, &Faults::none()).refusal("the first one, out of turn");
    scene.bench.world().assert_is(&world, "the first one, out of turn");

    assert_eq!(drive(&mut journal, Goal::Reverted).outcome("second").verdict, Verdict::RolledBack);
    scene.world().assert_is(&between, "second rolled back");
    scene.bench.drive(Goal::Reverted, &Faults::none()).outcome("first");
    scene.world().assert_is(&before, "first rolled back");
}

/// The number of the first operation with such a name when the plan is driven without faults.
fn operation(build: fn() -> Scene, name: &str) -> usize {
    let scene = build();
    let counted = Faults::none();
    scene.bench.begin(&scene.plan);
    scene.bench.drive(Goal::Applied, &counted).outcome("clean");
    counted.operations().iter().position(|it| it.name.starts_with(name)).expect("such an operation")
}

#[test]
fn a_container_that_a_reboot_brings_back_is_stopped_again_before_the_swap() {
    let exchange = operation(Scene::in_place, "exchange");
    let scene = Scene::in_place();
    scene.bench.begin(&scene.plan);
    scene.bench.drive(Goal::Applied, &Faults::at(exchange, Fault::Cut(Moment::Before)));
    assert!(!scene.bench.docker.runs("web"));
    scene.bench.docker.reboot();
    assert!(scene.bench.docker.runs("web"), "its policy is to come back always");

    let counted = Faults::none();
    let outcome = scene.bench.drive(Goal::Applied, &counted).outcome("resumed");
    assert_eq!(outcome.verdict, Verdict::Completed);
    let names: Vec<String> = counted.operations().into_iter().map(|it| it.name).collect();
    let stop = names.iter().position(|it| it == "docker stop web").expect("it is stopped again");
    let exchange = names.iter().position(|it| it.starts_with("exchange")).expect("the trees change places");
    assert!(stop < exchange, "{names:#?}");
    assert!(scene.bench.docker.runs("web"));
}

#[test]
fn a_container_that_a_reboot_ended_is_started_again() {
    let wait = operation(Scene::in_place, "docker start web");
    let scene = Scene::in_place();
    let db = scene.bench.docker.mountpoint("db_data");
    scene.bench.docker.add(SimContainer::new("db").restart(Restart::No).with_volume("db_data", &db));
    scene.bench.begin(&scene.plan);
    scene.bench.drive(Goal::Applied, &Faults::at(wait, Fault::Cut(Moment::Before)));
    assert!(scene.bench.docker.runs("db"));
    scene.bench.docker.reboot();
    assert!(!scene.bench.docker.runs("db"), "nothing brings it back");
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("resumed");
    assert_eq!(outcome.verdict, Verdict::Completed, "{outcome:?}");
    assert!(scene.bench.docker.runs("db") && scene.bench.docker.runs("web"));
}

#[test]
fn an_unknown_user_of_the_target_makes_the_plan_undo_itself() {
    let scene = Scene::in_place();
    let target = scene.bench.docker.mountpoint("db_data");
    scene.bench.docker.add(SimContainer::new("stranger").mounting(&target));
    let before = scene.world();
    scene.bench.begin(&scene.plan);
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("a stranger");
    assert_eq!(outcome.verdict, Verdict::RolledBack);
    let reprise_engine::Cause::Failed { error, .. } = outcome.cause else { panic!("{:?}", outcome.cause) };
    assert!(error.contains("container stranger uses it"), "{error}");
    scene.world().assert_is(&before, "a stranger");
    assert!(scene.bench.docker.runs("stranger"), "it is not ours to stop");
}

#[test]
fn a_user_that_calls_the_target_by_another_name_is_found() {
    let scene = Scene::in_place();
    let link = scene.bench.path("link");
    std::os::unix::fs::symlink(scene.bench.docker.mountpoint("app_data"), &link).unwrap();
    scene.bench.docker.add(SimContainer::new("stranger").mounting(&link.join("sub")));
    let before = scene.world();
    scene.bench.begin(&scene.plan);
    let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome("a stranger behind a link");
    let reprise_engine::Cause::Failed { error, .. } = outcome.cause else { panic!("{:?}", outcome.cause) };
    assert!(error.contains("container stranger uses it"), "{error}");
    scene.world().assert_is(&before, "a stranger behind a link");
}

#[test]
fn an_unknown_user_of_the_target_makes_the_rollback_refuse() {
    let scene = Scene::in_place();
    completed(&scene);
    let target = scene.bench.docker.mountpoint("app_data");
    scene.bench.docker.add(SimContainer::new("stranger").mounting(&target.join("sub")));
    let world = scene.bench.world();
    let error = scene.bench.drive(Goal::Reverted, &Faults::none()).refusal("a stranger");
    assert!(error.to_string().contains("container stranger uses it"), "{error}");
    scene.bench.world().assert_is(&world, "a stranger");
}

#[test]
fn a_container_removed_since_does_not_stop_a_rollback() {
    let scene = Scene::in_place();
    let before = World::of(&scene.bench.docker.mountpoint("app_data"), &scene.bench.docker);
    completed(&scene);
    scene.bench.docker.remove("web");
    let watch = Watcher::new();
    let run = scene.bench.drive_watched(Goal::Reverted, &Faults::none(), &watch);
    assert_eq!(run.outcome("rolled back").verdict, Verdict::RolledBack);
    assert_eq!(watch.warnings(), ["warn-container-gone"]);
    let after = World::of(&scene.bench.docker.mountpoint("app_data"), &scene.bench.docker);
    assert_eq!(after.below("".as_ref()), before.below("".as_ref()));
}

#[test]
fn a_volume_that_a_container_refers_to_by_now_stays_and_is_empty_again() {
    let scene = Scene::new_volume();
    completed(&scene);
    let target = scene.bench.docker.mountpoint("fresh");
    scene.bench.docker.add(SimContainer::new("late").stopped().with_volume("fresh", &target));
    let watch = Watcher::new();
    let run = scene.bench.drive_watched(Goal::Reverted, &Faults::none(), &watch);
    assert_eq!(run.outcome("in use").verdict, Verdict::RolledBack);
    assert_eq!(watch.warnings(), ["warn-volume-in-use"]);
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn a_tree_that_a_container_runs_on_by_now_is_not_taken_away() {
    let scene = Scene::elsewhere();
    completed(&scene);
    let target = placed(&scene);
    scene.bench.docker.add(SimContainer::new("tenant").mounting(&target));
    let world = scene.bench.world();
    let error = scene.bench.drive(Goal::Reverted, &Faults::none()).refusal("a tenant");
    assert!(error.to_string().contains("container tenant uses it"), "{error}");
    scene.bench.world().assert_is(&world, "a tenant");
}

/// The first target that the scene's plan puts a tree to.
fn placed(scene: &Scene) -> std::path::PathBuf {
    let target = scene.plan.steps.iter().find_map(|step| match &step.change {
        Change::Place(place) => Some(place.target.clone()),
        _ => None,
    });
    target.expect("the scene places a tree")
}

#[test]
fn a_mount_point_never_changes_places() {
    let scene = Scene::in_place();
    let target = scene.bench.docker.mountpoint("db_data");
    let mounted = Mounted::at(&target, 64);
    let before = scene.world();
    scene.bench.begin(&scene.plan);
    let run = scene.bench.drive(Goal::Applied, &Faults::none());
    assert!(matches!(&run, Run::Ended(outcome) if outcome.verdict == Verdict::RolledBack), "{run:?}");
    scene.world().assert_is(&before, "a mount point");
    drop(mounted);
}

#[test]
fn an_operation_is_not_rolled_back_while_a_later_one_lies_on_the_same_things() {
    let state = tempfile::tempdir().unwrap();
    let (operations, clock) = (Operations::new(state.path()), FakeClock::new());
    let swap = |target: &str| {
        let beside = |role: &str| format!("{target}.{role}").into();
        Change::Swap(Swap {
            staged: beside("new"),
            target: target.into(),
            kept: beside("old"),
            users: Vec::new(),
        })
    };
    let stop = |name: &str| Change::StopContainer(StopContainer { container: name.to_owned() });
    let mut seconds = 0;
    let mut completed = |name: &str, changes: Vec<Change>| {
        let mut plan = plan(name, changes);
        seconds += 60;
        plan.created_at += jiff::SignedDuration::from_secs(seconds);
        let id = plan.id.clone();
        let mut journal = operations.create(plan, &clock).unwrap();
        journal.append(Event::Finished { verdict: Verdict::Completed }, &clock).unwrap();
        id
    };
    let first = completed("zzzz", vec![stop("web"), swap("/srv/app")]);
    let beside = completed("bbbb", vec![stop("web"), swap("/srv/application")]);
    operations.expect_last(&first).expect("only a container that both stop is the same");
    let inside = completed("aaaa", vec![swap("/srv/app/data")]);
    let refused = operations.expect_last(&first).unwrap_err().to_string();
    assert!(refused.contains(inside.as_str()) && refused.contains("roll that back first"), "{refused}");
    operations.expect_last(&inside).expect("it is the last on its things");
    operations.expect_last(&beside).expect("so is this");

    let mut journal = operations.open(&inside).unwrap();
    journal.append(Event::Finished { verdict: Verdict::RolledBack }, &clock).unwrap();
    operations.expect_last(&first).expect("what was rolled back lies on nothing");
    let above = completed("cccc", vec![swap("/srv")]);
    operations.expect_last(&first).unwrap_err();
    operations.open(&above).unwrap().append(Event::Expired, &clock).unwrap();
    operations.expect_last(&first).expect("what has expired cannot be rolled back itself");
}
