//! A network that the host does not have yet.

use reprise_host::{NetworkSpec, ObjectKind, docker_commands, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};

use crate::{Cx, Effect, Observed, Result, Script};

/// Makes a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateNetwork {
    /// How it is made.
    pub spec: NetworkSpec,
}

impl CreateNetwork {
    fn is_there(&self, cx: &Cx<'_>) -> Result<bool> {
        Ok(cx.host.docker().described(ObjectKind::Network, &self.spec.name)?.is_some())
    }
}

impl Effect for CreateNetwork {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-create-network").text("network", &self.spec.name)
    }

    fn render(&self, script: &mut Script) {
        let there = format!("docker network inspect -- {} > /dev/null 2>&1", quote(&self.spec.name));
        script.needed_if(format!("! {there}"));
        script.line(format!("{there} || {}", docker_commands::create_network(&self.spec)));
        script.undo(format!("if {there}; then {}; fi", docker_commands::remove_network(&self.spec.name)));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        Ok(if self.is_there(cx)? { Observed::Satisfied } else { Observed::Needed(()) })
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        // The engine would make a second one of the same name.
        if self.is_there(cx)? { Ok(()) } else { Ok(cx.host.docker().create_network(&self.spec)?) }
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        if !cx.host.docker().remove_network(&self.spec.name)? {
            // What was started in it since is not ours to stop.
            cx.watch.warn(&Message::new("warn-network-in-use").text("network", &self.spec.name));
        }
        Ok(())
    }
}
