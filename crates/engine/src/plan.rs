//! A plan: everything a restore will do, as a value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use reprise_host::{Command, Thing};
use reprise_model::{Choice, Finding, Item, Message, OperationId, Severity};
use serde::{Deserialize, Serialize};

use crate::Change;

/// The backup a plan takes its content from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// The kind of backup: `borg`.
    pub kind: String,
    /// The repository, as it was named.
    pub repository: String,
    /// The archive's name.
    pub archive: String,
    /// The archive's id, so that another one that took its name is not taken for it.
    pub id: String,
    /// When the archive was made, as it is recorded there.
    pub time: String,
}

/// What a step is expected to cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Time, in milliseconds.
    pub millis: u64,
    /// Bytes to write.
    pub bytes: u64,
    /// Entries to write.
    pub entries: u64,
}

/// Room that a plan needs on one file system while it runs, and until its window closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceNeed {
    /// A path on that file system.
    pub path: PathBuf,
    /// Bytes needed, what is replaced being kept.
    pub needed: u64,
    /// Bytes needed if all differs of the trees of which only that is written; else as many as are needed. Plans that were
    /// made before this was told have 0.
    #[serde(default)]
    pub at_most: u64,
    /// Bytes free when the plan was made.
    pub free: u64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub change: Change,
    /// What that is expected to cost.
    pub estimate: Estimate,
}

/// The steps of one operation, and all that a person decides about it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The operation's id; every path that the plan makes carries it.
    pub id: OperationId,
    /// When the plan was made.
    pub created_at: Timestamp,
    /// What kind of operation it is: `docker-restore`.
    pub kind: String,
    /// The backup.
    pub source: SourceRef,
    /// The machine, as it is called.
    pub host: String,
    /// What was asked for.
    pub choice: Choice,
    /// The items that are restored.
    pub items: Vec<Item>,
    /// What the checks found.
    pub findings: Vec<Finding>,
    /// What will be done, in order.
    pub steps: Vec<Step>,
    /// How long the finished operation can be rolled back, in seconds.
    pub window_seconds: u64,
    /// How long a run of it may take before it is undone, in seconds; nothing when it may take its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
    /// What it needs of each file system it writes to.
    #[serde(default)]
    pub space: Vec<SpaceNeed>,
    /// How what is replaced is protected, where that is not only by exchanging whole trees: what it is, and what it costs.
    #[serde(default)]
    pub protections: Vec<Message>,
    /// Commands that a script must check for before it begins.
    #[serde(default)]
    pub needs: Vec<Command>,
}

impl Plan {
    /// The findings that forbid running it.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Blocker)
    }

    /// How long the whole is expected to take.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.steps.iter().map(|step| step.estimate.millis).sum())
    }

    /// How long containers are expected to be stopped: from the first stop to the last start.
    pub fn downtime(&self) -> Duration {
        let is_stop = |step: &Step| matches!(step.change, Change::StopContainer(_));
        let is_start = |step: &Step| matches!(step.change, Change::StartContainer(_));
        let Some(first) = self.steps.iter().position(is_stop) else { return Duration::ZERO };
        let last = self.steps.iter().rposition(is_start).unwrap_or(self.steps.len() - 1);
        Duration::from_millis(self.steps[first..=last].iter().map(|step| step.estimate.millis).sum())
    }

    /// Bytes that will be written.
    pub fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.estimate.bytes).sum()
    }

    /// What it works on, and no other operation may meanwhile.
    pub fn things(&self) -> Vec<Thing> {
        self.things_of(|_| true)
    }

    /// What of that it changes: not the containers that it only stops and starts again.
    pub fn changed_things(&self) -> Vec<Thing> {
        self.things_of(|change| !matches!(change, Change::StopContainer(_) | Change::StartContainer(_)))
    }

    fn things_of(&self, counts: impl Fn(&Change) -> bool) -> Vec<Thing> {
        let thing = |step: &Step| match &step.change {
            change if !counts(change) => None,
            Change::Swap(swap) => Some(Thing::Path(swap.target.clone())),
            Change::Place(place) => Some(Thing::Path(place.target.clone())),
            Change::Mirror(mirror) => Some(Thing::Path(mirror.target.clone())),
            Change::CreateVolume(create) => Some(Thing::Volume(create.spec.name.clone())),
            Change::StopContainer(stop) => Some(Thing::Container(stop.container.clone())),
            Change::StartContainer(start) => Some(Thing::Container(start.container.clone())),
            Change::CreateContainer(create) => Some(Thing::Container(create.container.clone())),
            Change::SetAside(aside) => Some(Thing::Container(aside.container.clone())),
            Change::ComposeCreate(compose) => Some(Thing::Path(compose.project.directory.clone())),
            // Several operations may need one network, and each leaves it to the others.
            Change::CreateNetwork(_)
            | Change::Stage(_)
            | Change::MakeDir(_)
            | Change::OpenStore(_)
            | Change::BackUp(_)
            | Change::Snapshot(_)
            | Change::AwaitHealthy(_) => None,
        };
        let mut things: Vec<Thing> = self.steps.iter().filter_map(thing).collect();
        for step in &self.steps {
            if let Change::ComposeCreate(compose) = &step.change {
                things.extend(compose.project.containers.iter().cloned().map(Thing::Container));
            }
        }
        things.sort();
        things.dedup();
        things
    }

    /// What it restores that no script can; nothing where one can do all of it.
    pub fn beyond_a_script(&self) -> Option<&Path> {
        self.steps.iter().find_map(|step| match &step.change {
            Change::Mirror(mirror) => Some(mirror.target.as_path()),
            _ => None,
        })
    }

    /// Where `item` goes.
    pub fn target_of(&self, item: &Item) -> Option<&Path> {
        let mirrored = self.steps.iter().find_map(|step| match &step.change {
            Change::Mirror(mirror) if mirror.from == item.path => Some(mirror.target.as_path()),
            _ => None,
        });
        if mirrored.is_some() {
            return mirrored;
        }
        let staged = self.steps.iter().find_map(|step| match &step.change {
            Change::Stage(stage) if stage.from == item.path => Some(stage.into.as_path()),
            _ => None,
        })?;
        self.steps.iter().find_map(|step| match &step.change {
            Change::Swap(swap) if swap.staged == staged => Some(swap.target.as_path()),
            Change::Place(place) if place.staged == staged => Some(place.target.as_path()),
            _ => None,
        })
    }

    /// Names of the containers that will be stopped, in that order.
    pub fn stops(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.change {
            Change::StopContainer(stop) => Some(stop.container.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_do_not_tell_what_is_needed_at_most_are_read() {
        let older = serde_json::json!({ "path": "/srv", "needed": 3, "free": 5 });
        let read: SpaceNeed = serde_json::from_value(older).unwrap();
        assert_eq!((read.needed, read.at_most, read.free), (3, 0, 5));
    }
}
