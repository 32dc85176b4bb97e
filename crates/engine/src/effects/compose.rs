//! The containers of a Compose project, made by Compose itself from its restored files.

use std::collections::BTreeSet;

use reprise_host::{ComposeProject, Container, ObjectKind, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::aside::removal;
use super::container::stop;
use crate::{Cx, Effect, Error, Observed, Result, Script};

/// Has Compose make the containers of a project that are missing, with the networks and volumes they need. What is
/// there stays as it is, and nothing is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeCreate {
    /// The project, and the containers that are to be there.
    pub project: ComposeProject,
}

/// What there was of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// Ids of the containers of its services.
    containers: BTreeSet<String>,
    /// Names of its networks.
    networks: BTreeSet<String>,
    /// Names of its volumes.
    volumes: BTreeSet<String>,
}

const PROJECT_LABEL: &str = "com.docker.compose.project";

impl ComposeCreate {
    /// Names of the project's networks or volumes.
    fn names(&self, kind: ObjectKind, cx: &Cx<'_>) -> Result<BTreeSet<String>> {
        let is_its = |value: &&Value| {
            let label = value.get("Labels").and_then(|labels| labels.get(PROJECT_LABEL));
            label.and_then(Value::as_str) == Some(self.project.name.as_str())
        };
        let all = cx.host.docker().inspected(kind)?;
        let names = all.iter().filter(is_its).filter_map(|value| value.get("Name")?.as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// The containers of its services, whatever Compose has called them.
    fn containers(&self, cx: &Cx<'_>) -> Result<Vec<Container>> {
        let mut all = cx.host.docker().containers()?;
        all.retain(|found| {
            let of_service = found
                .service()
                .is_some_and(|service| self.project.serves.values().any(|served| served == service));
            self.project.containers.contains(&found.name)
                || found.project() == Some(self.project.name.as_str()) && of_service
        });
        Ok(all)
    }

    fn missing(&self, cx: &Cx<'_>) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for name in &self.project.containers {
            if cx.host.docker().container(name)?.is_none() {
                missing.push(name.clone());
            }
        }
        Ok(missing)
    }
}

impl Effect for ComposeCreate {
    type Before = Objects;

    fn describe(&self) -> Message {
        Message::new("step-compose-create")
            .text("project", &self.project.name)
            .text("path", self.project.directory.display())
    }

    fn render(&self, script: &mut Script) {
        let label = format!("label={PROJECT_LABEL}={}", self.project.name);
        let list = |kind: &str, format: &str| {
            format!("docker {kind} ls --filter {} --format {}", quote(&label), quote(format))
        };
        let kinds = [("network", list("network", "{{.Name}}")), ("volume", list("volume", "{{.Name}}"))];
        let there = self.project.containers.iter();
        let there: Vec<String> =
            there.map(|name| format!("docker container inspect -- {}", quote(name))).collect();
        script.needed_if(format!("! {{ {}; }} > /dev/null 2>&1", there.join(" && ")));
        let containers: Vec<String> = self
            .project
            .containers
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let list = format!("docker container ls -aq --filter {}", quote(&format!("name=^/?{name}$")));
                let had = script.remember(&format!("had_{at}"), &list);
                format!("if [[ -z ${{{had}-}} ]]; then {}; fi", removal(name))
            })
            .collect();
        for line in containers {
            script.undo(line);
        }
        for (kind, list) in &kinds {
            let had = script.remember(&format!("had_{kind}"), list);
            script.undo("while IFS= read -r name; do");
            script.undo(format!(
                "    [[ -z $name || $'\\n'${{{had}-}}$'\\n' == *$'\\n'\"$name\"$'\\n'* ]] || docker {kind} rm -- \"$name\""
            ));
            script.undo(format!("done <<< \"$({list})\""));
        }
        script.run(&self.project.create());
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Objects>> {
        if self.missing(cx)?.is_empty() {
            return Ok(Observed::Satisfied);
        }
        let containers = self.containers(cx)?.into_iter().map(|container| container.id);
        Ok(Observed::Needed(Objects {
            containers: containers.collect(),
            networks: self.names(ObjectKind::Network, cx)?,
            volumes: self.names(ObjectKind::Volume, cx)?,
        }))
    }

    fn apply(&self, _: &Objects, cx: &Cx<'_>) -> Result<()> {
        let missing = self.missing(cx)?;
        if missing.is_empty() {
            return Ok(());
        }
        cx.host.docker().compose_create(&self.project.only(&missing))?;
        match self.missing(cx)?.first() {
            None => Ok(()),
            Some(name) => Err(Error::Refused {
                what: format!("Compose project {}", self.project.name),
                why: format!("Compose made no container {name}"),
                hint: "restore with --no-recreate, and start the project by hand",
            }),
        }
    }

    fn undo(&self, before: &Objects, cx: &Cx<'_>) -> Result<()> {
        let docker = cx.host.docker();
        for made in self.containers(cx)?.iter().filter(|found| !before.containers.contains(&found.id)) {
            stop(&made.name, cx)?;
            docker.remove_container(&made.id, true)?;
        }
        for network in self.names(ObjectKind::Network, cx)?.difference(&before.networks) {
            if !docker.remove_network(network)? {
                cx.watch.warn(&Message::new("warn-network-in-use").text("network", network));
            }
        }
        for volume in self.names(ObjectKind::Volume, cx)?.difference(&before.volumes) {
            super::volume::remove_unless_used(volume, cx)?;
        }
        Ok(())
    }
}
