//! A container makes room for one that is made anew, and is kept for a rollback.
//!
//! Compose takes every container that carries its labels for its own, and nobody can change the labels of a container:
//! one that was only renamed would be removed by Compose. So what it was made by is written down in a container that
//! is never started, in Docker itself, where its environment was and nowhere else; what it has written becomes an image.

use std::collections::BTreeMap;

use reprise_host::{Blueprint, ComposeProject, Container, NetworkSpec, ObjectKind, docker_commands, quote};
use reprise_model::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::container::{STOP_GRACE, gone, stop};
use super::make::{connect, create};
use super::network::CreateNetwork;
use crate::{Cx, Effect, Error, Observed, Result, Script};

/// The label of a kept container: how the one was made that it stands for, but for its environment.
pub const KEPT_LABEL: &str = "reprise.kept";

/// Takes a container away that does not run, and keeps all that makes it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its name.
    pub container: String,
    /// What it is kept as.
    pub kept: String,
    /// It stays when it was made as its project's files say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_as_in: Option<Service>,
}

/// A service of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The project.
    pub project: ComposeProject,
    /// The service's name.
    pub name: String,
}

/// Which container it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    id: String,
    /// The networks that it is in: somebody may remove them once they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    networks: Vec<NetworkSpec>,
}

impl SetAside {
    /// The name of the image that holds what the container has written, if it has.
    pub(crate) fn image(&self) -> String {
        let tag: String = self.kept.chars().take(128).collect();
        format!("reprise-kept:{tag}")
    }

    /// Removes what is kept; fine when that is gone.
    pub(crate) fn forget(&self, cx: &Cx<'_>) -> Result<()> {
        cx.host.docker().remove_container(&self.kept, false)?;
        Ok(cx.host.docker().remove_image(&self.image())?)
    }

    fn is_as_in_its_files(&self, found: &Container, cx: &Cx<'_>) -> Result<bool> {
        let Some(Service { project, name }) = &self.unless_as_in else { return Ok(false) };
        let Some(hashes) = cx.host.docker().compose_hashes(project)? else { return Ok(false) };
        let made_by = found.labels.get("com.docker.compose.config-hash");
        Ok(made_by.is_some() && hashes.get(name) == made_by)
    }

    /// What the container that it is kept as is made by.
    fn keeper(&self, cx: &Cx<'_>) -> Result<Blueprint> {
        let described = Self::described(&self.container, cx)?;
        let mut original = Blueprint::of(&described.ok_or_else(|| gone(&self.container))?);
        let environment = original.take_environment();
        let mut labels = BTreeMap::new();
        if cx.host.docker().has_written(&self.container)? {
            cx.host.docker().commit(&self.container, &self.image())?;
            original = original.from_image(&self.image());
        }
        if original.image() == self.image() {
            // The image has them too, and what comes from it would pass for Compose's.
            labels.extend(original.labels().into_keys().map(|name| (name, String::new())));
        }
        labels.insert(KEPT_LABEL.to_owned(), serde_json::to_string(&original).unwrap_or_default());
        // It mounts what the other did, so that nobody takes those volumes for unused.
        let of_host = |key: &str| original.body.pointer(&format!("/HostConfig/{key}")).cloned();
        let body = json!({
            "Image": original.image(),
            "Labels": labels,
            "HostConfig": { "NetworkMode": "none", "Binds": of_host("Binds"), "Mounts": of_host("Mounts") },
        });
        Ok(Blueprint { body, networks: [].into() }.with_environment(environment))
    }

    /// What the kept container says that the other was made by.
    fn original(&self, kept: &Value) -> Result<Blueprint> {
        let label = kept.pointer("/Config/Labels").and_then(|labels| labels.get(KEPT_LABEL)?.as_str());
        let original: Option<Blueprint> = label.and_then(|label| serde_json::from_str(label).ok());
        let Some(original) = original else {
            return Err(Error::Refused {
                what: format!("container {}", self.kept),
                why: "does not tell what it was kept for".to_owned(),
                hint: "remove it, and make the container anew with Compose",
            });
        };
        Ok(original.with_environment(Blueprint::of(kept).take_environment()))
    }

    /// How the networks are made that the container is in.
    fn networks(&self, cx: &Cx<'_>) -> Result<Vec<NetworkSpec>> {
        let Some(described) = Self::described(&self.container, cx)? else { return Ok(Vec::new()) };
        let mut specs = Vec::new();
        for name in Blueprint::of(&described).network_names() {
            let network = cx.host.docker().described(ObjectKind::Network, name)?;
            specs.extend(network.as_ref().map(NetworkSpec::of));
        }
        Ok(specs)
    }

    fn described(name: &str, cx: &Cx<'_>) -> Result<Option<Value>> {
        Ok(cx.host.docker().described(ObjectKind::Container, name)?)
    }

    /// Puts the container back that `kept` stands for, in its networks, which are made again where they have gone.
    fn put_back(
        &self,
        kept: &Value,
        found: Option<&Container>,
        networks: &[NetworkSpec],
        cx: &Cx<'_>,
    ) -> Result<()> {
        let original = self.original(kept)?;
        if original.image() == self.image() {
            cx.watch.warn(&Message::new("warn-container-written").text("container", &self.container));
        }
        if found.is_some_and(|found| !is_made_by(&original, found)) {
            return Err(Error::Refused {
                what: format!("container {}", self.container),
                why: "was made anew again since this restore".to_owned(),
                hint: "remove it or rename it, and roll back again",
            });
        }
        for spec in networks {
            let asked_for = original.has_fixed_address(&spec.name);
            CreateNetwork { spec: spec.clone(), asked_for }.apply(&(), cx)?;
        }
        match found {
            None => create(&self.container, &original, cx),
            Some(_) => connect(&self.container, &original, cx),
        }
    }
}

/// Whether a container carries all labels of `original`, the hash of its configuration among them.
fn is_made_by(original: &Blueprint, found: &Container) -> bool {
    original.labels().iter().all(|(key, value)| found.labels.get(key) == Some(value))
}

impl Effect for SetAside {
    type Before = Kept;

    fn describe(&self) -> Message {
        Message::new("step-set-aside").text("container", &self.container).text("kept", &self.kept)
    }

    fn render(&self, script: &mut Script) {
        let (name, kept) = (quote(&self.container), quote(&self.kept));
        script.needs_engine_requests();
        if let Some(Service { project, name: service }) = &self.unless_as_in {
            let hash = quote("{{index .Config.Labels \"com.docker.compose.config-hash\"}}");
            script.needs(project.form.version());
            // As the name's text, whatever it is: it comes from the backup.
            let of_service = quote("($1 \"\") == (ENVIRON[\"service\"] \"\") { print $2 }");
            script.only_if(format!(
                "[[ $({} | service={} awk {of_service}) != \"$(docker container inspect --format {hash} -- {name})\" ]]",
                project.hashes(),
                quote(service),
            ));
        }
        script.line(format!("set_aside {name} {kept}"));
        script.undo(format!("put_back {name} {kept}"));
    }

    fn observe(&self, cx: &Cx<'_>) -> Result<Observed<Kept>> {
        let docker = cx.host.docker();
        match (docker.container(&self.container)?, docker.container(&self.kept)?) {
            (None, Some(_)) => Ok(Observed::Satisfied),
            (None, None) => Err(gone(&self.container)),
            (Some(found), _) if self.is_as_in_its_files(&found, cx)? => Ok(Observed::Satisfied),
            (Some(found), None) => Ok(Observed::Needed(Kept { id: found.id, networks: self.networks(cx)? })),
            (Some(_), Some(_)) => Err(Error::Refused {
                what: format!("container {}", self.kept),
                why: "is in the way".to_owned(),
                hint: "remove it and try again",
            }),
        }
    }

    fn apply(&self, before: &Kept, cx: &Cx<'_>) -> Result<()> {
        let docker = cx.host.docker();
        let Some(found) = docker.container(&self.container)? else {
            return if docker.container(&self.kept)?.is_some() { Ok(()) } else { Err(gone(&self.container)) };
        };
        let kept = Self::described(&self.kept, cx)?;
        if let Some(kept) = kept.as_ref().filter(|_| found.id != before.id)
            && !is_made_by(&self.original(kept)?, &found)
        {
            return Ok(());
        }
        // A reboot may have brought it back. One of another id is a copy: an undoing that was cut off has put it back.
        stop(&found.name, cx)?;
        if kept.is_none() {
            create(&self.kept, &self.keeper(cx)?, cx)?;
        }
        Ok(docker.remove_container(&found.id, false)?)
    }

    fn undo(&self, before: &Kept, cx: &Cx<'_>) -> Result<()> {
        let docker = cx.host.docker();
        let found = docker.container(&self.container)?;
        let kept = Self::described(&self.kept, cx)?;
        match (&found, kept) {
            // It was never taken away, or is back already.
            (Some(found), _) if found.id == before.id => {}
            (Some(_), None) => {}
            (_, Some(kept)) => self.put_back(&kept, found.as_ref(), &before.networks, cx)?,
            (None, None) => return Err(gone(&self.kept)),
        }
        docker.remove_container(&self.kept, false)?;
        // Where the container was put back with what it had written, it goes on using the image.
        Ok(docker.remove_image(&self.image())?)
    }
}

/// What ends a script's containers that are to go.
pub(super) fn removal(container: &str, script: &mut Script) -> String {
    format!(
        "if {}; then {} && {}; fi",
        script.is_there(ObjectKind::Container, container),
        docker_commands::stop(container, STOP_GRACE),
        docker_commands::remove_container(container, true),
    )
}
