//! The laws of effects on a host that is reached over SSH: wherever one is cut off, it can be finished and undone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reprise_engine::{Change, Observed};
use reprise_host::SshHost;
use reprise_testkit::{Fault, Faults, Kind, Sshd, TestHost, Watcher, World, until_power_cut};
use serde_json::Value;
use tempfile::TempDir;

use crate::scenarios::{self, Scenario};

/// Scenarios in worlds whose files are looked at and changed over SSH.
struct Law {
    // Held for its server.
    _sshd: (Sshd, TempDir),
    host: Arc<SshHost>,
    name: &'static str,
}

impl Law {
    fn of(name: &'static str) -> Self {
        let (sshd, scratch) = (Sshd::start(), tempfile::tempdir().unwrap());
        let host = SshHost::connect(sshd.settings(scratch.path())).unwrap();
        Self { _sshd: (sshd, scratch), host: Arc::new(host), name }
    }

    fn build(&self) -> Scenario {
        let (_, build) = scenarios::needed().find(|(name, _)| *name == self.name).expect("a scenario");
        let mut it = build();
        let docker = Arc::clone(&it.bench.docker);
        let files: Arc<dyn reprise_host::Host> = Arc::<SshHost>::clone(&self.host);
        it.bench.host = TestHost::with_files_of(files, docker);
        it
    }

    /// Finishes and undoes it after a cut at every moment of its application.
    fn holds(&self) {
        let clean = self.build();
        let (world, before) = (world_of(&clean), needed(&clean));
        let counted = Faults::none();
        apply(&clean, &before, &counted).expect("no power cut");
        let applied = world_of(&clean);
        assert!(applied.difference(&world).is_some(), "{}: nothing was done", self.name);
        apply(&clean, &before, &Faults::none()).expect("no power cut");
        world_of(&clean).assert_is(&applied, "applied twice");
        undo(&clean, &before);
        undo(&clean, &before);
        world_of(&clean).assert_is(&world, "undone twice");

        // A cut before a look is one after the change before it.
        let operations = counted.operations();
        let changes = operations.iter().enumerate().filter(|(_, it)| it.changes() || it.kind == Kind::Entry);
        for (at, operation) in changes {
            for moment in operation.moments() {
                let what = format!("{}: cut {moment:?} {}", self.name, operation.name);
                let it = self.build();
                let before = needed(&it);
                assert!(apply(&it, &before, &Faults::at(at, Fault::Cut(*moment))).is_none(), "{what}");
                apply(&it, &before, &Faults::none()).expect("no power cut");
                world_of(&it).assert_is(&applied, &format!("{what}, then applied"));
                undo(&it, &before);
                world_of(&it).assert_is(&world, &format!("{what}, then undone"));
            }
        }
    }
}

fn world_of(it: &Scenario) -> World {
    it.bench.world().without_times_of(&it.restless())
}

fn needed(it: &Scenario) -> Value {
    let observed = it.bench.meet(&Faults::none(), &Watcher::new(), |cx| Change::observe(&it.change, cx));
    match observed {
        Ok(Observed::Needed(before)) => before,
        other => panic!("{}: it should be needed, but is {other:?}", it.name),
    }
}

/// Nothing when the power was cut.
fn apply(it: &Scenario, before: &Value, faults: &Faults) -> Option<()> {
    let done = until_power_cut(|| it.bench.meet(faults, &Watcher::new(), |cx| it.change.apply(before, cx)));
    done.map(|done| done.unwrap_or_else(|error| panic!("{}: {error}", it.name)))
}

fn undo(it: &Scenario, before: &Value) {
    let done = it.bench.meet(&Faults::none(), &Watcher::new(), |cx| it.change.undo(before, cx));
    done.unwrap_or_else(|error| panic!("{}: {error}", it.name));
}

/// What was archived of each path, but for the top's time; nothing where there is no archive.
fn archived(it: &Scenario) -> Option<Vec<World>> {
    let Change::BackUp(back_up) = &it.change else { panic!("{}: it backs up", it.name) };
    let archive = it.bench.source.archives().join(&back_up.archive);
    let within = |path: &PathBuf| archive.join(path.strip_prefix("/").unwrap());
    archive.exists().then(|| back_up.paths.iter().map(|path| tree(it, &within(path))).collect())
}

fn tree(it: &Scenario, at: &Path) -> World {
    World::of(at, &it.bench.docker).without_times_of(&[PathBuf::new()])
}

/// What is there, but for what is not to be archived and what a tar stream does not tell.
fn to_be_archived(it: &Scenario) -> Vec<World> {
    let Change::BackUp(back_up) = &it.change else { panic!("{}: it backs up", it.name) };
    for path in &back_up.except {
        fs::remove_dir_all(path).unwrap();
    }
    for path in &back_up.paths {
        rustix::fs::removexattr(path.join("settings.conf"), "user.flavour").unwrap();
    }
    back_up.paths.iter().map(|path| tree(it, path)).collect()
}

#[test]
fn an_archive_of_what_is_there_is_whole_or_not_there_wherever_its_making_is_cut_off() {
    let law = Law::of("an archive of what is there");
    let expected = to_be_archived(&law.build());
    let assert_whole = |it: &Scenario, context: &str| {
        let archived = archived(it).unwrap_or_else(|| panic!("{context}: there is no archive"));
        for (archived, expected) in archived.iter().zip(&expected) {
            archived.assert_is(expected, context);
        }
    };
    let clean = law.build();
    let (before, counted) = (needed(&clean), Faults::none());
    apply(&clean, &before, &counted).expect("no power cut");
    assert_whole(&clean, "clean");

    let operations = counted.operations();
    assert!(operations.iter().any(|it| it.kind == Kind::LongChange), "{operations:?}");
    for (at, operation) in operations.iter().enumerate().filter(|(_, it)| it.changes()) {
        for moment in operation.moments() {
            let what = format!("cut {moment:?} {}", operation.name);
            let it = law.build();
            let before = needed(&it);
            assert!(apply(&it, &before, &Faults::at(at, Fault::Cut(*moment))).is_none(), "{what}");
            if archived(&it).is_some() {
                assert_whole(&it, &what);
            }
            apply(&it, &before, &Faults::none()).expect("no power cut");
            undo(&it, &before);
            assert_whole(&it, &format!("{what}, then applied and undone"));
        }
    }
}

#[test]
fn a_tree_that_is_sent_over_and_adapted_there() {
    Law::of("a tree with edits and originals").holds();
}

#[test]
fn a_file_and_a_name_that_a_shell_would_stumble_over() {
    Law::of("an odd name").holds();
    Law::of("a file").holds();
}

#[test]
fn two_trees_that_change_places() {
    Law::of("two trees").holds();
}

#[test]
fn a_tree_whose_names_are_exchanged_there() {
    Law::of("an exchange of odd names").holds();
    Law::of("a store in a tree").holds();
}

#[test]
fn a_tree_that_goes_where_nothing_is() {
    Law::of("a tree to its place").holds();
}

#[test]
fn only_what_differs_is_sent_there_and_moves() {
    Law::of("only what differs of hard links").holds();
}

#[test]
fn only_what_differs_of_odd_names_and_kinds() {
    Law::of("only what differs, odd").holds();
}

#[test]
fn what_is_merged_there() {
    Law::of("a merge of odd names").holds();
}
