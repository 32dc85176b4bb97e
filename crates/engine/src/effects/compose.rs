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

/// What there was of the project before, and once it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What is not the step's work.
    #[serde(flatten)]
    before: Objects,
    /// What there was when it had ended: what is not among it came later, and is not the step's work either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Objects>,
}

impl Known {
    /// Whether the step has made what `of` finds among objects. Where it was cut off, whatever is new counts.
    fn is_made(&self, of: impl Fn(&Objects) -> bool) -> bool {
        !of(&self.before) && self.after.as_ref().is_none_or(of)
    }
}

/// What there is of a project.
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

    /// Those that have the names it is to have, and those of its services, whatever Compose has called them.
    fn containers(&self, cx: &Cx<'_>) -> Result<Vec<Container>> {
        let mut all = cx.host.docker().containers()?;
        all.retain(|found| {
            let of_service = found
                .service()
                .is_some_and(|service| self.project.serves.values().any(|served| served == service));
            self.is_named(found) || self.is_of_project(found) && of_service
        });
        Ok(all)
    }

    fn is_named(&self, found: &Container) -> bool {
        self.project.containers.contains(&found.name)
    }

    fn is_of_project(&self, found: &Container) -> bool {
        found.project() == Some(self.project.name.as_str())
    }

    fn objects(&self, cx: &Cx<'_>) -> Result<Objects> {
        Ok(Objects {
            containers: self.containers(cx)?.into_iter().map(|container| container.id).collect(),
            networks: self.names(ObjectKind::Network, cx)?,
            volumes: self.names(ObjectKind::Volume, cx)?,
        })
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
    type Before = Known;

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
        let there: Vec<String> = there.map(|name| script.is_there(ObjectKind::Container, name)).collect();
        script.needed_if(format!("! {{ {}; }}", there.join(" && ")));
        for (at, name) in self.project.containers.iter().enumerate() {
            let list = format!("docker container ls -aq --filter {}", quote(&format!("name=^/?{name}$")));
            let had = script.remember(&format!("had_{at}"), &list);
            let of_project = format!("{list} --filter {}", quote(&label));
            let removal = removal(name, script);
            script.undo(format!("if [[ -z ${{{had}-}} && -n $({of_project}) ]]; then {removal}; fi"));
        }
        for (kind, list) in &kinds {
            let had = script.remember(&format!("had_{kind}"), list);
            script.undo("while IFS= read -r name; do");
            // What something refers to, if only something that was stopped, is in use.
            script.undo(format!(
                "    [[ -z $name || $'\\n'${{{had}-}}$'\\n' == *$'\\n'\"$name\"$'\\n'* \
                 || -n $(docker container ls -aq --filter {kind}=\"$name\") ]] || docker {kind} rm -- \"$name\""
            ));
            script.undo(format!("done <<< \"$({list})\""));
        }
        script.needs(self.project.form.version());
        script.run(&self.project.create());
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Known>> {
        if self.missing(cx)?.is_empty() {
            return Ok(Observed::Satisfied);
        }
        Ok(Observed::Needed(Known { before: self.objects(cx)?, after: None }))
    }

    fn apply(&self, _: &Known, cx: &Cx<'_>) -> Result<()> {
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

    fn made(&self, known: Known, cx: &Cx<'_>) -> Result<Known> {
        let now = self.objects(cx)?;
        let after = match known.after {
            None => now,
            // Made sure of after an interruption: containers that had gone were made again, and no more than they.
            Some(first) => Objects { containers: now.containers, ..first },
        };
        Ok(Known { after: Some(after), ..known })
    }

    fn undo(&self, known: &Known, cx: &Cx<'_>) -> Result<()> {
        for found in self.containers(cx)? {
            if known.before.containers.contains(&found.id) {
                continue;
            }
            let is_made = known.is_made(|objects| objects.containers.contains(&found.id));
            // Compose itself may have made one anew since in the place of the step's.
            if self.is_of_project(&found) && (is_made || self.is_named(&found)) {
                stop(&found.name, cx)?;
                cx.host.docker().remove_container(&found.id, true)?;
            } else if self.is_named(&found) {
                cx.watch.warn(&Message::new("warn-container-replaced").text("container", &found.name));
            }
        }
        for network in self.names(ObjectKind::Network, cx)? {
            if known.is_made(|objects| objects.networks.contains(&network)) {
                super::network::remove_unless_used(&network, cx)?;
            }
        }
        for volume in self.names(ObjectKind::Volume, cx)? {
            if known.is_made(|objects| objects.volumes.contains(&volume)) {
                super::volume::remove_unless_used(&volume, cx)?;
            }
        }
        Ok(())
    }
}
