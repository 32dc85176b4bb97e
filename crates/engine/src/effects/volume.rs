//! A named volume that the host does not have yet.

use reprise_host::{Container, VolumeSpec, docker_commands, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use crate::{Cx, Effect, Observed, Result, Script};

/// Makes an empty named volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateVolume {
    /// How it is made.
    pub spec: VolumeSpec,
}

impl Effect for CreateVolume {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-create-volume").text("volume", &self.spec.name)
    }

    fn render(&self, script: &mut Script) {
        let there = format!("docker volume inspect -- {} > /dev/null 2>&1", quote(&self.spec.name));
        script.needed_if(format!("! {there}"));
        script.run(&docker_commands::create_volume(&self.spec));
        script.undo(format!("if {there}; then {}; fi", docker_commands::remove_volume(&self.spec.name)));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        Ok(match cx.host.docker().volume(&self.spec.name)? {
            Some(_) => Observed::Satisfied,
            None => Observed::Needed(()),
        })
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        Ok(cx.host.docker().create_volume(&self.spec)?)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        remove_unless_used(&self.spec.name, cx)
    }
}

/// Removes a volume that was made, and all that came to be in it.
pub(super) fn remove_unless_used(volume: &str, cx: &Cx<'_>) -> Result<()> {
    let refers =
        |container: &Container| container.mounts.iter().any(|mount| mount.volume.as_deref() == Some(volume));
    if let Some(user) = cx.host.docker().containers()?.into_iter().find(refers) {
        // A container made since refers to it, and Docker would not remove it: it stays.
        let warning = Message::new("warn-volume-in-use").text("volume", volume);
        cx.watch.warn(&warning.text("container", user.name));
        return Ok(());
    }
    Ok(cx.host.docker().remove_volume(volume)?)
}
