//! A container of no project that the host does not have any more.

use reprise_host::{Blueprint, Container, ObjectKind, docker_commands, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::aside::removal;
use super::container::stop;
use crate::{Cx, Effect, Error, Observed, Result, Script};

/// The label that tells which operation has made a container.
pub const OPERATION_LABEL: &str = "reprise.operation";

/// A document with descriptions of hundreds of containers is smaller.
const DOCUMENT_LIMIT: u64 = 32 << 20;

/// Texts that a document of the backup holds: a plan names them, for they may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The document, as JSON, without a leading slash.
    pub file: String,
    /// Where in it a list of texts is, such as `/containers/3/Config/Env`.
    pub pointer: String,
    /// What prints the document in a script.
    pub by_hand: reprise_host::Command,
}

impl Recorded {
    fn read(&self, cx: &Cx<'_>) -> Result<Vec<String>> {
        let refused = |why: String| Error::Refused {
            what: format!("{} of the backup", self.file),
            why,
            hint: "the archive is not the one that was planned with",
        };
        let document = cx.source.read(&self.file, DOCUMENT_LIMIT)?;
        let document: Value =
            serde_json::from_slice(&document).map_err(|error| refused(error.to_string()))?;
        match document.pointer(&self.pointer) {
            Some(Value::Array(list)) => {
                Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(refused(format!("there is no {} in it", self.pointer))),
        }
    }

    /// The place in the words of `jq`.
    fn path(&self) -> String {
        let steps = self.pointer.split('/').skip(1).map(|step| match step.parse::<u64>() {
            Ok(number) => number.to_string(),
            Err(_) => Value::from(step).to_string(),
        });
        format!("getpath([{}])", steps.collect::<Vec<_>>().join(","))
    }
}

/// Makes a container as it was recorded. It does not run yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateContainer {
    /// Its name.
    pub container: String,
    /// How it is made, but for its environment. One of its labels tells of the operation.
    pub blueprint: Blueprint,
    /// Where the backup tells of its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Recorded>,
}

impl CreateContainer {
    fn is_ours(&self, found: &Container) -> bool {
        found.labels.get(OPERATION_LABEL) == self.blueprint.labels().get(OPERATION_LABEL)
    }
}

/// Makes the container `name`, in all of its networks.
pub(super) fn create(name: &str, blueprint: &Blueprint, cx: &Cx<'_>) -> Result<()> {
    cx.host.docker().create_container(name, blueprint)?;
    connect(name, blueprint, cx)
}

/// Connects the container `name` to the networks that it is not in yet.
pub(super) fn connect(name: &str, blueprint: &Blueprint, cx: &Cx<'_>) -> Result<()> {
    if blueprint.networks.is_empty() {
        return Ok(());
    }
    let described = cx.host.docker().described(ObjectKind::Container, name)?.unwrap_or_default();
    let present = described.pointer("/NetworkSettings/Networks");
    for (network, endpoint) in &blueprint.networks {
        if present.and_then(|present| present.get(network)).is_none() {
            cx.host.docker().connect(network, name, endpoint)?;
        }
    }
    Ok(())
}

impl Effect for CreateContainer {
    type Before = ();

    fn describe(&self) -> Message {
        Message::new("step-create-container")
            .text("container", &self.container)
            .text("image", self.blueprint.image())
    }

    fn render(&self, script: &mut Script) {
        let (name, body) = (quote(&self.container), quote(&self.blueprint.body.to_string()));
        let there = script.is_there(ObjectKind::Container, &self.container);
        script.needs_engine_requests();
        script.needed_if(format!("! {there}"));
        script.line(match &self.environment {
            Some(recorded) => format!(
                "{} | jq -c --argjson body {body} {} | create_container {name}",
                recorded.by_hand,
                quote(&format!("$body + {{Env: {}}}", recorded.path())),
            ),
            None => format!("printf %s {body} | create_container {name}"),
        });
        for (network, endpoint) in &self.blueprint.networks {
            script.run(&docker_commands::connect(network, &self.container, endpoint));
        }
        let remove = removal(&self.container, script);
        script.undo(remove);
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<()>> {
        match cx.host.docker().container(&self.container)? {
            None => Ok(Observed::Needed(())),
            Some(found) if self.is_ours(&found) => Ok(Observed::Satisfied),
            Some(_) => Err(Error::Refused {
                what: format!("container {}", self.container),
                why: "appeared since the plan was made".to_owned(),
                hint: "make the plan again: the host has changed",
            }),
        }
    }

    fn apply(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        if cx.host.docker().container(&self.container)?.is_some_and(|found| self.is_ours(&found)) {
            return connect(&self.container, &self.blueprint, cx);
        }
        let blueprint = match &self.environment {
            Some(recorded) => self.blueprint.clone().with_environment(recorded.read(cx)?),
            None => self.blueprint.clone(),
        };
        create(&self.container, &blueprint, cx)
    }

    fn undo(&self, (): &(), cx: &Cx<'_>) -> Result<()> {
        match cx.host.docker().container(&self.container)? {
            None => Ok(()),
            Some(found) if self.is_ours(&found) => {
                stop(&self.container, cx)?;
                Ok(cx.host.docker().remove_container(&self.container, true)?)
            }
            Some(_) => {
                cx.watch.warn(&Message::new("warn-container-replaced").text("container", &self.container));
                Ok(())
            }
        }
    }
}
