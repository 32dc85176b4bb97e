//! The journal itself: torn, damaged, old, locked, and on a full disk.

use std::fs;
use std::path::Path;

use reprise_engine::{Error, Event, Goal, Journal, Progress, Record, State, Status, Verdict};
use reprise_testkit::{Fault, Faults, Kind, Moment, Mounted, Run, Scene};

/// Drives a new scene until the record of that number (from 0, the plan's own left out) is to be written.
fn cut_before_record(record: usize) -> Option<Scene> {
    // Not every look at the clock is for a record: find the one that is.
    for (at, operation) in operations().into_iter().enumerate() {
        if operation != Kind::Time {
            continue;
        }
        let scene = Scene::in_place();
        scene.bench.begin(&scene.plan);
        let run = scene.bench.drive(Goal::Applied, &Faults::at(at, Fault::Cut(Moment::Before)));
        assert!(matches!(run, Run::Cut), "{run:?}");
        if lines(&scene.bench.journal()).len() == record + 1 {
            return Some(scene);
        }
    }
    None
}

fn operations() -> Vec<Kind> {
    let scene = Scene::in_place();
    let counted = Faults::none();
    scene.bench.begin(&scene.plan);
    scene.bench.drive(Goal::Applied, &counted).outcome("clean");
    counted.operations().into_iter().map(|operation| operation.kind).collect()
}

fn lines(journal: &Path) -> Vec<Vec<u8>> {
    fs::read(journal).unwrap().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn a_last_line_torn_at_any_byte_is_dropped_and_driving_goes_on() {
    let clean = Scene::in_place();
    let before = clean.world();
    clean.bench.begin(&clean.plan);
    clean.bench.drive(Goal::Applied, &Faults::none()).outcome("clean");
    let applied = clean.world();
    let all = lines(&clean.bench.journal());
    let last = all.len() - 1;
    // The last two, and some of each kind before.
    let mut records: Vec<usize> = (1..all.len()).step_by(5).collect();
    records.extend([last - 1, last]);
    for record in records {
        let line = &all[record];
        for length in 0..line.len() {
            // Any byte: it parses as if the line had never been begun.
            let torn = clean.bench.state_dir().join("torn.jsonl");
            let mut content = all[..record].concat();
            content.extend(&line[..length]);
            fs::write(&torn, &content).unwrap();
            assert_eq!(Journal::read(&torn).unwrap().len(), record, "{length} bytes of line {record}");
            assert_eq!(Journal::open(&torn).unwrap().events().len(), record);
            assert_eq!(fs::read(&torn).unwrap(), all[..record].concat(), "mended");
        }
        for length in [0, 1, line.len() / 2, line.len() - 2, line.len() - 1] {
            for goal in [Goal::Applied, Goal::Reverted] {
                let scene = cut_before_record(record - 1).expect("such a record");
                let mut torn = fs::read(scene.bench.journal()).unwrap();
                torn.extend(&line[..length]);
                fs::write(scene.bench.journal(), torn).unwrap();
                let context = format!("{length} bytes of record {record}, then {goal:?}");
                scene.bench.drive(goal, &Faults::none()).outcome(&context);
                let wanted = if goal == Goal::Applied { &applied } else { &before };
                scene.world().assert_is(wanted, &context);
                // And the journal is whole again.
                let events = Journal::read(&scene.bench.journal()).unwrap();
                assert!(State::after(&events).unwrap().verdict.is_some(), "{context}");
            }
        }
    }
}

#[test]
fn damage_before_the_last_line_is_an_error_that_names_the_line() {
    let scene = Scene::elsewhere();
    scene.bench.begin(&scene.plan);
    scene.bench.drive(Goal::Applied, &Faults::none()).outcome("clean");
    let mut all = lines(&scene.bench.journal());
    all[2] = b"{\"at\":\"2026-11-21T03:00:00Z\",\"event\":\"nonsense\"}\n".to_vec();
    fs::write(scene.bench.journal(), all.concat()).unwrap();
    let error = Journal::open(&scene.bench.journal()).unwrap_err();
    assert!(matches!(error, Error::DamagedJournal { line: 3, .. }), "{error}");
    assert_eq!(fs::read(scene.bench.journal()).unwrap(), all.concat(), "the file is kept");
}

#[test]
fn a_file_that_is_no_journal_is_kept_as_it_is() {
    let scene = Scene::elsewhere();
    for content in ["", "a torn plan", "{\"at\":\"2026-11-21T03:00:00Z\",\"event\":\"expired\"}\n"] {
        fs::write(scene.bench.journal(), content).unwrap();
        let error = Journal::open(&scene.bench.journal()).unwrap_err();
        assert!(matches!(error, Error::DamagedJournal { line: 1, .. }), "{error}");
        assert_eq!(fs::read_to_string(scene.bench.journal()).unwrap(), content);
    }
}

#[test]
fn a_journal_is_open_for_writing_once() {
    let scene = Scene::elsewhere();
    let path = scene.bench.journal();
    let journal = Journal::create(&path, scene.plan.clone(), &scene.bench.clock).unwrap();
    assert!(matches!(Journal::open(&path), Err(Error::Busy(_))));
    assert!(Journal::is_busy(&path));
    assert_eq!(Journal::read(&path).unwrap().len(), 1, "looking on is for everyone");
    drop(journal);
    assert!(!Journal::is_busy(&path));
    let journal = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(Error::Busy(_))));
    drop(journal);
}

#[test]
fn a_journal_never_replaces_another() {
    let scene = Scene::elsewhere();
    scene.bench.begin(&scene.plan);
    let again = Journal::create(&scene.bench.journal(), scene.plan.clone(), &scene.bench.clock);
    assert!(matches!(again, Err(Error::Journal { .. })));
}

#[test]
fn a_disk_without_room_for_a_journal_begins_nothing() {
    let scene = Scene::elsewhere();
    let state = Mounted::at(&scene.bench.state_dir(), 512);
    let error = Journal::create(&scene.bench.journal(), scene.plan.clone(), &scene.bench.clock).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    drop(state);
}

#[test]
fn a_disk_that_is_full_since_lets_an_operation_end_and_be_rolled_back() {
    let scene = Scene::in_place();
    let before = scene.world();
    let state = Mounted::at(&scene.bench.state_dir(), 2048);
    scene.bench.begin(&scene.plan);
    state.fill();
    for goal in [Goal::Applied, Goal::Reverted, Goal::Applied, Goal::Reverted] {
        // Each opens the journal anew, which must not give away the room that was set aside.
        let outcome = scene.bench.drive(goal, &Faults::none()).outcome("full");
        let wanted = if goal == Goal::Applied { Verdict::Completed } else { Verdict::RolledBack };
        assert_eq!(outcome.verdict, wanted, "{outcome:?}");
        let events = Journal::read(&scene.bench.journal()).unwrap();
        assert_eq!(State::after(&events).unwrap().verdict, Some(wanted), "it is recorded");
    }
    scene.world().assert_is(&before, "full");
    drop(state);
}

#[test]
fn the_room_that_was_set_aside_is_still_there_when_a_journal_is_opened_again() {
    let scene = Scene::elsewhere();
    let state = Mounted::at(&scene.bench.state_dir(), 2048);
    scene.bench.begin(&scene.plan);
    state.fill();
    let mut journal = Journal::open(&scene.bench.journal()).unwrap();
    // Had opening it given the room back, others would have it now.
    state.fill();
    for step in 0..1000 {
        journal.append(Event::Undone { step }, &scene.bench.clock).unwrap();
    }
    drop(state);
}

/// Journals of released versions. They must always parse, and mean the same: never change one, add others.
mod old {
    use super::{Event, Goal, Journal, Path, Progress, Record, State, Status, Verdict};

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    #[test]
    fn version_0_1() {
        let events = Journal::read(&fixture("journal-0.1.jsonl")).unwrap();
        let state = State::after(&events).unwrap();
        assert_eq!(state.plan.id.as_str(), "20261121-030000-old1");
        assert_eq!(state.plan.steps.len(), 8);
        assert_eq!(
            (state.goal, state.verdict, state.expired),
            (Goal::Applied, Some(Verdict::Completed), true)
        );
        assert!(matches!(state.steps[0], Progress::Satisfied));
        assert!(state.steps[1..].iter().all(|progress| matches!(progress, Progress::Done(_))));
        let kinds: std::collections::BTreeSet<_> = events
            .iter()
            .map(|recorded| std::mem::discriminant(&recorded.event))
            .map(|it| format!("{it:?}"))
            .collect();
        assert_eq!(kinds.len(), 11, "every kind of event is in it");
        let undo_failed = |event: &Event| matches!(event, Event::UndoFailed { step: 6, .. });
        assert!(events.iter().any(|recorded| undo_failed(&recorded.event)));
        let record = Record::of(&events, false).unwrap();
        assert_eq!(record.status, Status::Completed);
        assert_eq!(record.stopped_containers, ["web"]);
        assert!(record.expired && record.kept.is_empty());

        // What was recorded to undo each step can still be read: undoing fails on this host or not, but not
        // for that.
        let scene = reprise_testkit::Scene::elsewhere();
        for (step, progress) in state.plan.steps.iter().zip(&state.steps) {
            let Progress::Done(before) = progress else { continue };
            let faults = reprise_testkit::Faults::none();
            let undone = scene
                .bench
                .meet(&faults, &reprise_testkit::Watcher::new(), |cx| step.change.undo(before, cx));
            if let Err(error) = undone {
                assert!(!error.to_string().contains("the journal"), "{error}");
            }
        }
    }

    /// Writes the fixture of the present version. Run it by hand at a release, under that version's name.
    #[test]
    #[ignore = "writes a fixture"]
    fn write() {
        super::present::write(&fixture("journal-0.1.jsonl"));
    }
}

/// A journal with every event, every change and every optional field in it.
mod present {
    use std::path::Path;

    use reprise_engine::{
        AwaitHealthy, BackUp, Cause, Change, CreateVolume, Edit, Event, Goal, Journal, Keep, MakeDir, Mirror,
        OpenStore, Place, Snapshot, SnapshotKind, Stage, StartContainer, StopContainer, Swap, Verdict, Way,
    };
    use reprise_host::{Command, VolumeSpec};
    use reprise_model::{Finding, Message, Severity};
    use reprise_testkit::{FakeClock, plan};
    use serde_json::json;

    fn changes() -> Vec<Change> {
        let nowhere = |name: &str| Path::new("/nonexistent/reprise").join(name);
        let container = || "web".to_owned();
        vec![
            Change::MakeDir(MakeDir { path: nowhere("made"), mode: 0o755 }),
            Change::CreateVolume(CreateVolume {
                spec: VolumeSpec {
                    name: "fresh".to_owned(),
                    labels: [("a".to_owned(), "b".to_owned())].into(),
                    ..VolumeSpec::default()
                },
            }),
            Change::Stage(Stage {
                from: "var/lib/docker/volumes/app/_data".to_owned(),
                into: nowhere("new"),
                entries: 3,
                bytes: 1 << 40,
                edits: vec![Edit {
                    path: "compose.yml".into(),
                    content: "services: {}\n".to_owned(),
                    original: Some("compose.yml.original".to_owned()),
                }],
                by_hand: Command::new("borg").args(["extract", "/srv/borg::daily", "var"]),
            }),
            Change::StopContainer(StopContainer { container: container() }),
            Change::Swap(Swap {
                staged: nowhere("new"),
                target: nowhere("target"),
                kept: nowhere("old"),
                users: vec![container()],
            }),
            Change::Place(Place { staged: nowhere("other.new"), target: nowhere("other") }),
            Change::StartContainer(StartContainer { container: container() }),
            Change::AwaitHealthy(AwaitHealthy {
                container: container(),
                limit_seconds: 120,
                stable_seconds: 3,
                ..AwaitHealthy::default()
            }),
            Change::Snapshot(Snapshot {
                kind: SnapshotKind::Btrfs { subvolume: nowhere("sub"), at: nowhere("sub/snapshot") },
                targets: vec![nowhere("sub")],
                store: nowhere("sub"),
                users: vec![container()],
            }),
            Change::OpenStore(OpenStore { target: nowhere("mounted"), store: nowhere("mounted/store") }),
            Change::Mirror(Mirror {
                from: "srv/app".to_owned(),
                target: nowhere("mounted"),
                store: nowhere("mounted/store"),
                way: Way::Exact,
                keep: Keep::Elsewhere,
                entries: 3,
                bytes: 1 << 40,
                users: vec![container()],
            }),
            Change::BackUp(BackUp {
                archive: "reprise-before-old1".to_owned(),
                paths: vec![nowhere("target")],
                except: vec![nowhere("target/store")],
                bytes: 1 << 40,
                by_hand: Command::new("borg").arg("create"),
            }),
        ]
    }

    pub fn write(path: &Path) {
        let mut plan = plan("old1", changes());
        plan.needs = vec![Command::new("borg").arg("--version")];
        plan.findings = vec![
            Finding::new(Severity::Warning, Message::new("container-uses").text("container", "web"))
                .advise(Message::new("no-space-advice").bytes("size", 7).count("n", 2).seconds("s", 9)),
        ];
        let clock = FakeClock::new();
        let mut journal = Journal::create(path, plan, &clock).unwrap();
        let befores = [
            json!(null),
            json!(null),
            json!(null),
            json!(null),
            json!({"target": {"number": 11, "born": 1}, "staged": {"number": u64::MAX, "born": i64::MIN}}),
            json!({"number": u64::MAX, "born": 0}),
            json!(null),
            json!(null),
            json!(null),
            json!({"inode": {"number": 7, "born": 0}, "seconds": -4, "nanoseconds": 5}),
            json!({"number": 7, "born": 0}),
            json!(null),
        ];
        let aimed = |goal, cause| Event::Aimed { goal, cause };
        let started = |step: usize| Event::Started { step, before: befores[step].clone() };
        let mut events = vec![aimed(Goal::Applied, Cause::Asked), Event::Satisfied { step: 0 }];
        events.extend((1..7).flat_map(|step| [started(step), Event::Done { step }]));
        events.extend([
            started(7),
            Event::Failed { step: 7, error: "container web is not healthy after 120 s".to_owned() },
            aimed(
                Goal::Reverted,
                Cause::Failed { error: "unhealthy".to_owned(), hint: Some("look".to_owned()) },
            ),
            Event::Undone { step: 7 },
            Event::UndoFailed { step: 6, error: "Docker is gone".to_owned() },
            Event::Finished { verdict: Verdict::RollbackIncomplete },
            aimed(Goal::Reverted, Cause::Cancelled),
            Event::Warned { warning: Message::new("warn-container-gone").text("container", "web") },
        ]);
        events.extend((1..7).rev().map(|step| Event::Undone { step }));
        events.push(Event::Finished { verdict: Verdict::RolledBack });
        events.extend([aimed(Goal::Applied, Cause::Asked), Event::Satisfied { step: 0 }]);
        events.extend((1..12).flat_map(|step| [started(step), Event::Done { step }]));
        events.extend([Event::Finished { verdict: Verdict::Completed }, Event::Expired, Event::Cleared]);
        for event in events {
            journal.append(event, &clock).unwrap();
        }
    }
}
