//! A world to restore into, and the engine at work on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reprise_engine::{Clock as _, Cx, Error, Goal, Journal, Outcome, Plan, Watch, drive};
use tempfile::TempDir;

use crate::{
    DirSource, FakeClock, Faults, FaultyClock, FaultyHost, FaultySource, SimDocker, TestHost, Watcher, World,
    until_power_cut,
};

/// A directory that is gone when it is dropped, in memory where that can be: the laws make thousands of
/// worlds, each of which is synced to disk dozens of times.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// How one attempt to drive a plan ended.
#[derive(Debug)]
pub enum Run {
    /// The power was cut.
    Cut,
    /// It came to an end.
    Ended(Outcome),
    /// It did not begin.
    Refused(Error),
}

impl Run {
    /// The outcome; fails the test when there is none.
    #[track_caller]
    pub fn outcome(self, context: &str) -> Outcome {
        match self {
            Self::Ended(outcome) => outcome,
            other => panic!("{context}: no outcome, but {other:?}"),
        }
    }

    /// Why it did not begin; fails the test when it did.
    #[track_caller]
    pub fn refusal(self, context: &str) -> Error {
        match self {
            Self::Refused(error) => error,
            other => panic!("{context}: it was to be refused, but {other:?}"),
        }
    }
}

/// A directory tree, a Docker engine, a clock and a backup.
pub struct Bench {
    dir: TempDir,
    /// The Docker engine; its volumes lie in the world.
    pub docker: Arc<SimDocker>,
    /// The time.
    pub clock: FakeClock,
    /// The host without faults.
    pub host: TestHost,
    /// The backup without faults. It lies outside of the world.
    pub source: DirSource,
}

impl Bench {
    /// An empty world and an empty backup.
    pub fn new() -> Self {
        Self::within(scratch())
    }

    /// The same in `dir`.
    pub fn within(dir: TempDir) -> Self {
        for name in ["world", "backup", "state"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let clock = FakeClock::new();
        let docker = Arc::new(SimDocker::new(&dir.path().join("world/docker"), clock.clone()));
        let host = TestHost::new(Arc::clone(&docker));
        let source = DirSource::new(&dir.path().join("backup"));
        Self { dir, docker, clock, host, source }
    }

    /// `relative` in the world.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root().join(relative)
    }

    /// The world's directory.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("world")
    }

    /// Where the journals of this bench lie: outside of the world.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Where [`Bench::begin`] puts the journal.
    pub fn journal(&self) -> PathBuf {
        self.state_dir().join("journal.jsonl")
    }

    /// The world as it is now.
    pub fn world(&self) -> World {
        World::of(&self.root(), &self.docker)
    }

    /// Begins the journal of `plan`.
    pub fn begin(&self, plan: &Plan) {
        Journal::create(&self.journal(), plan.clone(), &self.clock).expect("a journal");
    }

    /// Lets `work` meet the world through `faults`.
    pub fn meet<T>(&self, faults: &Faults, watch: &dyn Watch, work: impl FnOnce(&Cx<'_>) -> T) -> T {
        let host = FaultyHost { host: &self.host, faults };
        let source = FaultySource { source: &self.source, faults };
        let clock = FaultyClock { clock: &self.clock, faults };
        work(&Cx { host: &host, source: &source, clock: &clock, watch })
    }

    /// Opens the journal at [`Bench::journal`] and drives it to `goal`, as a program that was just started.
    pub fn drive(&self, goal: Goal, faults: &Faults) -> Run {
        self.drive_watched(goal, faults, &Watcher::new())
    }

    /// The same with one who watches.
    pub fn drive_watched(&self, goal: Goal, faults: &Faults, watch: &dyn Watch) -> Run {
        let mut journal = match Journal::open(&self.journal()) {
            Ok(journal) => journal,
            Err(error) => return Run::Refused(error),
        };
        self.drive_journal(&mut journal, goal, faults, watch)
    }

    /// The same with a journal that is open.
    pub fn drive_journal(
        &self,
        journal: &mut Journal,
        goal: Goal,
        faults: &Faults,
        watch: &dyn Watch,
    ) -> Run {
        // Between two attempts some time goes by.
        self.clock.sleep(std::time::Duration::from_mins(1));
        match until_power_cut(|| self.meet(faults, watch, |cx| drive(journal, goal, cx))) {
            None => Run::Cut,
            Some(Ok(outcome)) => Run::Ended(outcome),
            Some(Err(error)) => Run::Refused(error),
        }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}
