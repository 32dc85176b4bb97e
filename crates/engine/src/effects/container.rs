//! Containers stop before their data changes place, and start after.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_host::{Error as HostError, ObjectKind, docker_commands, may_be_id, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use super::health::{Patience, wait_until_ready};
use super::refused;
use crate::{Cx, Effect, Error, Observed, Result, Script};

/// How long a container gets to end by itself. Docker's own default of 10 s cuts databases short.
pub(super) const STOP_GRACE: Duration = Duration::from_mins(1);

/// Stops a running container. Containers go by their names, which stay when Compose makes them anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopContainer {
    /// Its name.
    pub container: String,
}

/// Starts a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartContainer {
    /// Its name.
    pub container: String,
}

pub(super) fn gone(container: &str) -> Error {
    Error::Refused {
        what: format!("container {container}"),
        why: "is not there".to_owned(),
        hint: "make the plan again: the host has changed",
    }
}

/// What in a script holds unless the container runs, or does not, as `wanted` says. One that is gone never is as it
/// should be: then the step's command fails, as it should.
fn unless_running(wanted: bool, container: &str, script: &mut Script) -> String {
    let name = quote(container);
    let otherwise =
        format!("[[ $(docker container inspect --format '{{{{.State.Running}}}}' -- {name}) != {wanted} ]]");
    if may_be_id(container) {
        format!("! {} || {otherwise}", script.is_there(ObjectKind::Container, container))
    } else {
        otherwise
    }
}

fn is_running(container: &str, cx: &Cx<'_>) -> Result<bool> {
    Ok(cx.host.docker().container(container)?.is_some_and(|found| found.running))
}

pub(super) fn stop(container: &str, cx: &Cx<'_>) -> Result<()> {
    if is_running(container, cx)? { Ok(cx.host.docker().stop(container, STOP_GRACE)?) } else { Ok(()) }
}

/// No running container may see one of `trees` change under its feet, or write where `store` is: what lies there decides what
/// is put back, and removed. Those of `known` are stopped where they run again; any other is a reason to refuse.
pub(super) fn expect_undisturbed(
    trees: &[PathBuf],
    store: Option<&Path>,
    known: &[String],
    cx: &Cx<'_>,
) -> Result<()> {
    // A stop takes its time, in which an engine that was just started may bring back the next.
    const LOOKS: usize = 5;
    let mut again = None;
    for _ in 0..LOOKS {
        again = stop_known(trees, store, known, cx)?;
        if again.is_none() {
            return Ok(());
        }
    }
    let name = again.unwrap_or_default();
    Err(Error::Refused {
        what: format!("container {name}"),
        why: "is started again as often as it is stopped".to_owned(),
        hint: "find out what starts it, and try again",
    })
}

/// Stops those of `known` that run, and names the last of them.
fn stop_known(
    trees: &[PathBuf],
    store: Option<&Path>,
    known: &[String],
    cx: &Cx<'_>,
) -> Result<Option<String>> {
    let mut stopped = None;
    for container in cx.host.containers()?.into_iter().filter(|container| container.running) {
        let tree = trees.iter().find(|tree| container.mounts_within(tree));
        let store = store.filter(|store| container.may_write_to(store));
        let is_known = known.contains(&container.name);
        // What was stopped for a tree is to be down, however it gets at it: a volume that is bound to a directory need not
        // show in what its containers mount.
        if is_known && (store.is_some() || !trees.is_empty()) {
            cx.host.docker().stop(&container.name, STOP_GRACE)?;
            stopped = Some(container.name);
            continue;
        }
        let (path, does) = match (tree, store) {
            (Some(tree), _) => (tree.as_path(), "uses it"),
            (None, Some(store)) => (store, "may write there,"),
            (None, None) => continue,
        };
        let why = format!("container {} {does} and was started since the plan was made", container.name);
        return Err(refused(path, why, "stop that container and try again"));
    }
    Ok(stopped)
}

/// The same for one tree, where no store is looked at.
pub(super) fn expect_unused(tree: &Path, known: &[String], cx: &Cx<'_>) -> Result<()> {
    expect_undisturbed(&[tree.to_owned()], None, known, cx)
}

impl Effect for StopContainer {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-stop").text("container", &self.container)
    }

    fn render(&self, script: &mut Script) {
        let needed = unless_running(false, &self.container, script);
        script.needed_if(needed);
        let stop = script.on_container(&self.container, &docker_commands::stop(&self.container, STOP_GRACE));
        script.line(stop);
        let start = script.on_container(&self.container, &docker_commands::start(&self.container));
        script.undo(start);
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        match cx.host.docker().container(&self.container)? {
            Some(found) if found.running => Ok(Observed::Needed(())),
            Some(_) => Ok(Observed::Satisfied),
            None => Err(gone(&self.container)),
        }
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        stop(&self.container, cx)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        let Some(found) = cx.host.docker().container(&self.container)? else {
            // Removed by someone since: there is nothing to start, and the data is as it was.
            cx.watch.warn(&Message::new("warn-container-gone").text("container", &self.container));
            return Ok(());
        };
        if found.running {
            // Perhaps only still: the engine goes on with a stop whose asker was killed. Asking again waits
            // for the end of it, so that what is started here stays up.
            match cx.host.docker().stop(&self.container, STOP_GRACE) {
                // What cannot be stopped runs on, as it did before: there is nothing to undo.
                Err(HostError::Command { .. }) if is_running(&self.container, cx)? => {
                    cx.watch.warn(&Message::new("warn-does-not-stop").text("container", &self.container));
                    return Ok(());
                }
                other => other?,
            }
        }
        cx.host.docker().start(&self.container)?;
        match wait_until_ready(&self.container, Patience::default(), cx) {
            // It was perhaps unhealthy before, too; it runs, as it did.
            Err(Error::Unhealthy { state, .. }) => {
                let warning = Message::new("warn-unhealthy-after-undo");
                cx.watch.warn(&warning.text("container", &self.container).text("state", state));
                Ok(())
            }
            other => other,
        }
    }
}

impl Effect for StartContainer {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-start").text("container", &self.container)
    }

    fn render(&self, script: &mut Script) {
        let needed = unless_running(true, &self.container, script);
        script.needed_if(needed);
        let start = script.on_container(&self.container, &docker_commands::start(&self.container));
        script.line(start);
        let stop = script.on_container(&self.container, &docker_commands::stop(&self.container, STOP_GRACE));
        script.undo(stop);
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        match cx.host.docker().container(&self.container)? {
            Some(found) if found.running => Ok(Observed::Satisfied),
            Some(_) => Ok(Observed::Needed(())),
            None => Err(gone(&self.container)),
        }
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        Ok(cx.host.docker().start(&self.container)?)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        stop(&self.container, cx)
    }
}
