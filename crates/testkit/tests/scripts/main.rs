//! A plan and its scripts do the same: run on equal worlds, they leave equal worlds.

mod docker;
mod run;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use reprise_engine::{Change, Detail, Edit, Goal, MakeDir, Place, Swap, Verdict};
use reprise_host::Command;
use reprise_testkit::{Bench, Faults, Scene, World, plan, plant, restless, settle, stage};
use run::{assert_clean, run};

/// Names that a careless script breaks on.
const NAMES: [&str; 10] = [
    "plain",
    "two words",
    "it's",
    "\"quoted\"",
    "$HOME `id` $(id)",
    "-n",
    "new\nline",
    "*?[a]\\",
    "# ~é;&|<>!",
    "l’un “ou” l'autre",
];

/// A world with a live tree and a backup of it, both called `name`, and a plan that restores the backup: in
/// place, beside, and with a file adapted.
fn scene(name: &str) -> Scene {
    let bench = Bench::new();
    let backup = bench.source.root().join("srv").join(name);
    fs::create_dir(bench.source.root().join("srv")).unwrap();
    plant(&backup, "the backup");
    fs::write(bench.source.root().join(format!("{name}.yml")), "restored").unwrap();
    settle(bench.source.root());
    plant(&bench.path(name), "live");
    fs::create_dir(bench.path("private")).unwrap();
    fs::set_permissions(bench.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
    settle(&bench.root());

    let at = |tail: &str| bench.path(format!("{name}.{tail}"));
    let made = at("made").join(name);
    let mut adapted = stage(&bench.source, &format!("srv/{name}"), &made.join("new"));
    adapted.edits = vec![
        Edit { path: "settings.conf".into(), content: format!("{name}\n%s \\n\n"), original: None },
        Edit {
            path: "sub/deep/data.bin".into(),
            content: String::new(),
            original: Some(format!("{name}.original")),
        },
    ];
    let changes = vec![
        Change::MakeDir(MakeDir { path: bench.path("private"), mode: 0o755 }),
        Change::MakeDir(MakeDir { path: at("made"), mode: 0o755 }),
        Change::MakeDir(MakeDir { path: made.clone(), mode: 0o755 }),
        Change::Stage(stage(&bench.source, &format!("srv/{name}"), &at("new"))),
        Change::Stage(adapted),
        Change::Stage(stage(&bench.source, &format!("{name}.yml"), &made.join("file.new"))),
        Change::Swap(Swap { staged: at("new"), target: bench.path(name), kept: at("old"), users: vec![] }),
        Change::Place(Place { staged: made.join("new"), target: made.join(name) }),
        Change::Place(Place { staged: made.join("file.new"), target: made.join("file.yml") }),
    ];
    let plan = plan("bash", changes);
    Scene { name: "plain files", bench, plan }
}

/// The world but for the times that restoring changes.
fn world(scene: &Scene) -> World {
    let root = scene.bench.root();
    let paths = restless(scene.plan.steps.iter().map(|step| &step.change));
    let paths: Vec<_> = paths.iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect();
    scene.bench.world().without_times_of(&paths)
}

#[test]
fn both_scripts_do_what_the_engine_does() {
    for name in NAMES {
        let by_engine = scene(name);
        by_engine.bench.begin(&by_engine.plan);
        let outcome = by_engine.bench.drive(Goal::Applied, &Faults::none()).outcome(name);
        assert_eq!(outcome.verdict, Verdict::Completed, "{name:?}: {outcome:?}");
        for detail in [Detail::Explained, Detail::Complete] {
            let by_hand = scene(name);
            let ran = run(&by_hand.plan, detail);
            assert_eq!(ran.status, Some(0), "{name:?}, {detail:?}: {}", ran.stderr);
            world(&by_hand).assert_is(&world(&by_engine), &format!("{name:?}, {detail:?}"));
        }
    }
}

type LastStep = fn(&Bench) -> Change;

/// Every way a last step can fail, after all the others were done.
fn failing() -> Vec<(&'static str, LastStep)> {
    vec![
        ("extraction", |bench| {
            let mut stage = stage(&bench.source, "srv", &bench.path("last"));
            stage.by_hand = Command::new("false");
            stage.entries += 1;
            Change::Stage(stage)
        }),
        ("a parent that is missing", |bench| {
            Change::MakeDir(MakeDir { path: bench.path("no/such"), mode: 0o755 })
        }),
        ("a place that is taken", |bench| {
            plant(&bench.path("taken"), "theirs");
            plant(&bench.path("last"), "ours");
            Change::Place(Place { staged: bench.path("last"), target: bench.path("taken") })
        }),
        ("a swap without a staged tree", |bench| {
            plant(&bench.path("taken"), "theirs");
            Change::Swap(Swap {
                staged: bench.path("none"),
                target: bench.path("taken"),
                kept: bench.path("kept"),
                users: vec![],
            })
        }),
        ("an edit of a link that leads out", |bench| {
            symlink("/etc/hostname", bench.source.root().join("srv/out")).unwrap();
            edit(bench, "out")
        }),
        ("an edit through a directory that leads out", |bench| {
            symlink(bench.path("private"), bench.source.root().join("srv/out")).unwrap();
            fs::write(bench.path("private/file"), "theirs").unwrap();
            edit(bench, "out/file")
        }),
        ("an edit of a directory", |bench| {
            fs::create_dir(bench.source.root().join("srv/out")).unwrap();
            edit(bench, "out")
        }),
        ("an original whose name is taken", |bench| {
            fs::write(bench.source.root().join("srv/file"), "").unwrap();
            symlink(bench.path("private/planted"), bench.source.root().join("srv/original")).unwrap();
            edit(bench, "file")
        }),
    ]
}

fn edit(bench: &Bench, path: &str) -> Change {
    let mut stage = stage(&bench.source, "srv", &bench.path("last"));
    let original = Some("original".to_owned());
    stage.edits = vec![Edit { path: path.into(), content: "adapted".to_owned(), original }];
    Change::Stage(stage)
}

#[test]
fn a_complete_script_whose_last_step_fails_puts_everything_back() {
    for name in ["plain", "$HOME 'x'\n-"] {
        for (what, change) in failing() {
            let build = || {
                let mut scene = scene(name);
                let last = change(&scene.bench);
                settle(&scene.bench.root());
                scene.plan.steps.extend(plan("last", vec![last]).steps);
                scene
            };
            let scene = build();
            let before = world(&scene);
            let ran = run(&scene.plan, Detail::Complete);
            assert_eq!(ran.status, Some(3), "{what}: {}", ran.stderr);
            world(&scene).assert_is(&before, what);

            // And so does the engine.
            let scene = build();
            scene.bench.begin(&scene.plan);
            let outcome = scene.bench.drive(Goal::Applied, &Faults::none()).outcome(what);
            assert_eq!(outcome.verdict, Verdict::RolledBack, "{what}");
            world(&scene).assert_is(&before, what);
        }
    }
}

#[test]
fn an_explained_script_stops_at_the_first_failure() {
    for (what, change) in failing() {
        let scene = scene("plain");
        let last = change(&scene.bench);
        let mut steps = plan("last", vec![last]).steps;
        steps.extend(
            plan("never", vec![Change::MakeDir(MakeDir { path: scene.bench.path("never"), mode: 0o755 })])
                .steps,
        );
        let plan = reprise_engine::Plan { steps, ..scene.plan };
        let ran = run(&plan, Detail::Explained);
        assert!(ran.status.is_some_and(|status| status != 0), "{what}");
        assert!(!scene.bench.path("never").exists(), "{what}");
    }
}

#[test]
fn a_missing_command_begins_nothing() {
    let mut scene = scene("plain");
    let before = scene.bench.world();
    scene.plan.needs = vec![Command::new("reprise-no-such-command").arg("--version")];
    let ran = run(&scene.plan, Detail::Complete);
    assert_eq!(ran.status, Some(3), "{}", ran.stderr);
    scene.bench.world().assert_is(&before, "a missing command");
}

#[test]
fn a_script_that_is_terminated_puts_everything_back() {
    let mut scene = scene("plain");
    let before = world(&scene);
    let mut slow = stage(&scene.bench.source, "srv", &scene.bench.path("last"));
    slow.by_hand = Command::new("sh").args(["-c", "touch ../begun; exec sleep 2"]);
    scene.plan.steps.extend(plan("last", vec![Change::Stage(slow)]).steps);
    let begun = scene.bench.path("begun");
    let ran = run::terminated_once(&scene.plan, &begun);
    assert_eq!(ran.status, Some(3), "{}", ran.stderr);
    fs::remove_file(begun).unwrap();
    world(&scene).assert_is(&before, "terminated");
}

#[test]
fn scripts_of_every_effect_pass_shellcheck() {
    for scene in Scene::ALL {
        let scene = scene();
        for detail in [Detail::Explained, Detail::Complete] {
            assert_clean(&scene.plan, detail);
        }
    }
    assert!(Path::new("/bin/bash").exists());
}
