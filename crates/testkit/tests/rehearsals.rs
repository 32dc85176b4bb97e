//! A dry run touches nothing, and fails where the run would fail.

use std::fs;

use reprise_engine::{Change, Error, Goal, Journal, MakeDir, Place, Result, Source as _, Verdict, rehearse};
use reprise_testkit::{Faults, Mounted, Scene, SimContainer, Watcher};

fn rehearsed(scene: &Scene, faults: &Faults) -> Result<()> {
    let journal = Journal::pretended(scene.plan.clone(), &scene.bench.clock);
    scene.bench.meet(faults, &Watcher::new(), |cx| rehearse(&journal, Goal::Applied, cx))
}

#[test]
fn a_rehearsal_succeeds_where_the_run_does_and_asks_for_no_change() {
    for build in Scene::ALL {
        let scene = build();
        let world = scene.bench.world();
        let counted = Faults::none();
        rehearsed(&scene, &counted).unwrap();
        scene.bench.world().assert_is(&world, scene.name);
        assert!(counted.operations().iter().all(|it| !it.changes()), "{:#?}", counted.operations());
    }
}

#[test]
fn a_rollback_can_be_rehearsed() {
    for build in Scene::ALL {
        let scene = build();
        scene.bench.begin(&scene.plan);
        scene.bench.drive(Goal::Applied, &Faults::none()).outcome(scene.name);
        let world = scene.bench.world();
        let journal = Journal::open(&scene.bench.journal()).unwrap();
        let counted = Faults::none();
        let rehearsed =
            scene.bench.meet(&counted, &Watcher::new(), |cx| rehearse(&journal, Goal::Reverted, cx));
        rehearsed.unwrap();
        assert_eq!(journal.state().verdict, Some(Verdict::Completed), "nothing is recorded");
        scene.bench.world().assert_is(&world, scene.name);
        assert!(counted.operations().iter().all(|it| !it.changes()), "{:#?}", counted.operations());
    }
}

type Build = fn() -> Scene;

/// Spoils the world of a scene. What it returns is kept until the end.
type Spoil = fn(&mut Scene) -> Option<Mounted>;

#[test]
fn a_rehearsal_fails_where_the_run_would() {
    let spoils: [(&str, Build, Spoil); 9] = [
        ("a container is gone", Scene::in_place, |scene| {
            scene.bench.docker.remove("db");
            None
        }),
        ("a stranger uses the target", Scene::in_place, |scene| {
            let target = scene.bench.docker.mountpoint("db_data");
            scene.bench.docker.add(SimContainer::new("stranger").mounting(&target));
            None
        }),
        ("the target is gone", Scene::in_place, |scene| {
            fs::remove_dir_all(scene.bench.docker.mountpoint("db_data")).unwrap();
            None
        }),
        ("the target is a mount point", Scene::in_place, |scene| {
            Some(Mounted::at(&scene.bench.docker.mountpoint("db_data"), 64))
        }),
        ("the backup holds less", Scene::in_place, |scene| {
            fs::remove_dir_all(scene.bench.source.root().join("var/db")).unwrap();
            assert!(scene.bench.source.check("var/db").is_err());
            None
        }),
        ("a file is in the way of a directory", Scene::elsewhere, |scene| {
            fs::write(scene.bench.path("srv"), "").unwrap();
            None
        }),
        ("a directory's parent is missing", Scene::elsewhere, |scene| {
            scene.plan.steps.remove(0);
            None
        }),
        ("something is in the way", Scene::elsewhere, |scene| {
            let at = scene.bench.path("srv/restored/here it is/app.yml");
            fs::create_dir_all(at).unwrap();
            None
        }),
        ("the place's parent is missing", Scene::elsewhere, |scene| {
            let last = scene.plan.steps.last_mut().unwrap();
            if let Change::Place(place) = &last.change {
                let staged = place.staged.clone();
                last.change = Change::Place(Place { staged, target: scene.bench.path("no/such/directory") });
            }
            None
        }),
    ];
    for (name, build, spoil) in spoils {
        let mut scene = build();
        let mounted = spoil(&mut scene);
        let world = scene.bench.world();
        let error = rehearsed(&scene, &Faults::none()).expect_err(name);
        scene.bench.world().assert_is(&world, name);

        scene.bench.begin(&scene.plan);
        let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome(name);
        assert_eq!(outcome.verdict, Verdict::RolledBack, "{name}: the run fails, too");
        let reprise_engine::Cause::Failed { error: of_run, .. } = outcome.cause else { panic!("{name}") };
        assert_eq!(error.to_string(), of_run, "{name}: for the same reason");
        drop(mounted);
    }
}

#[test]
fn a_rehearsal_knows_what_earlier_steps_would_have_made() {
    let mut scene = Scene::elsewhere();
    let deep = |name: &str| Change::MakeDir(MakeDir { path: scene.bench.path(name), mode: 0o755 });
    scene.plan = reprise_testkit::plan("deep", ["a", "a/b", "a/b/c"].map(deep).into());
    rehearsed(&scene, &Faults::none()).unwrap();
    scene.plan.steps.swap(1, 2);
    let error = rehearsed(&scene, &Faults::none()).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}
