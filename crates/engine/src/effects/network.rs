//! A network that the host does not have yet.

use reprise_host::{NetworkSpec, ObjectKind, docker_commands, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Cx, Effect, Observed, Result, Script};

/// Makes a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateNetwork {
    /// How it is made.
    pub spec: NetworkSpec,
    /// Whether something asks for a certain address in it. Else it may have others than those of `spec`, where these are
    /// taken by the time that it is made.
    #[serde(default)]
    pub asked_for: bool,
}

impl CreateNetwork {
    /// The same with addresses that the engine chooses, if those of `spec` are not needed.
    fn readdressed(&self) -> Option<NetworkSpec> {
        let may_be = !self.asked_for && !self.spec.subnets.is_empty();
        may_be.then(|| NetworkSpec { subnets: Vec::new(), ..self.spec.clone() })
    }

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
        let there = script.is_there(ObjectKind::Network, &self.spec.name);
        script.needed_if(format!("! {there}"));
        let create = docker_commands::create_network(&self.spec);
        if let Some(readdressed) = self.readdressed().map(|spec| docker_commands::create_network(&spec)) {
            script.line(format!("if ! {there}; then"));
            script.line(format!("    refusal=$({create} 2>&1 > /dev/null) || {{"));
            script.line("        # Only where another network has its addresses may it have others.");
            script.line("        [[ $refusal == *'overlaps with other one'* ]] ||");
            script.line("            { printf '%s\\n' \"$refusal\" >&2; exit 1; }");
            script.line(format!("        {readdressed}"));
            script.line("    }");
            script.line("fi");
        } else {
            script.line(format!("{there} || {create}"));
        }
        let users =
            format!("docker container ls -aq --filter {}", quote(&format!("network={}", self.spec.name)));
        let remove = docker_commands::remove_network(&self.spec.name);
        script.undo(format!("if {there} && [[ -z $({users}) ]]; then {remove}; fi"));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        Ok(if self.is_there(cx)? { Observed::Satisfied } else { Observed::Needed(()) })
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        // The engine would make a second one of the same name.
        if self.is_there(cx)? {
            return Ok(());
        }
        match (cx.host.docker().create_network(&self.spec), self.readdressed()) {
            (Err(error), Some(spec)) if error.is_address_conflict() => {
                cx.watch.warn(&Message::new("warn-network-readdressed").text("network", &spec.name));
                Ok(cx.host.docker().create_network(&spec)?)
            }
            (made, _) => Ok(made?),
        }
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        remove_unless_used(&self.spec.name, cx)
    }
}

/// Removes a network that was made, unless a container is in it or will be once it is started: one that came since is
/// not ours to stop, and would not start without the network.
pub(super) fn remove_unless_used(network: &str, cx: &Cx<'_>) -> Result<()> {
    let docker = cx.host.docker();
    let Some(described) = docker.described(ObjectKind::Network, network)? else { return Ok(()) };
    let containers = docker.inspected(ObjectKind::Container)?;
    if containers.iter().any(|container| refers(container, &described)) || !docker.remove_network(network)? {
        cx.watch.warn(&Message::new("warn-network-in-use").text("network", network));
    }
    Ok(())
}

/// Whether a container is in the network, running or not. One that was last started in an earlier network of that name
/// is not: it would look for that one.
fn refers(container: &Value, network: &Value) -> bool {
    let networks = container.pointer("/NetworkSettings/Networks");
    let name = network.get("Name").and_then(Value::as_str).unwrap_or_default();
    let Some(endpoint) = networks.and_then(|networks| networks.get(name)) else { return false };
    // Before its first start it only has the name.
    let id = endpoint.get("NetworkID").and_then(Value::as_str).filter(|id| !id.is_empty());
    id.is_none() || id == network.get("Id").and_then(Value::as_str)
}
