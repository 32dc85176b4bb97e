//! A Compose project: whether its containers are there and made of the files that are restored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reprise_engine::{Change, ComposeCreate, Service as OfProject, SetAside};
use reprise_host::{ComposeForm, ComposeProject, Container, Host, PortBinding};
use reprise_model::{Finding, Message, Severity};

use super::super::compose::{ComposeFile, Condition, Port, Service, project_volumes};
use super::super::files::{Texts, within};
use super::super::plan::kept_beside;
use super::super::request::Request;
use super::super::survey::{Facts, Site, SurveyError};
use super::external::External;
use super::facts::{Making, familiar};
use super::keeping::{against, unknown_variables};
use super::record::{Record, compose_label, is_running, name_of};
use super::{Remade, in_backup};
use crate::backup::Backup;

/// Files of a project that are larger are not compared.
const TEXT_LIMIT: u64 = 1 << 20;

/// A file that asks for more containers of one service is read wrongly, or a mistake.
const MOST_REPLICAS: u32 = 100;

/// Nor are more ports of one project looked at.
const MOST_PORTS: usize = 100_000;

/// How the present containers of a project relate to the files that are restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There are none.
    Lost,
    /// They were made of the same.
    Same,
    /// These files differ; none where the containers are older than the files.
    Changed(Vec<String>),
    /// Compose is not installed there.
    NoCompose,
    /// The compose file cannot be read.
    Unreadable,
    /// Containers of that name are there, and were made from this other directory.
    Elsewhere(String),
}

/// A project that is restored.
#[derive(Debug, Clone)]
pub struct Project {
    /// The item's name.
    pub item: String,
    /// How its containers are.
    pub state: State,
    /// What Compose is asked to make.
    pub compose: ComposeProject,
    /// The service of each container that is to be there.
    pub services: BTreeMap<String, String>,
    /// What each of those waits for.
    pub waits: super::Dependencies,
    /// Ports that each publishes.
    pub ports: Vec<(PortBinding, String)>,
    /// Images that are missing, with whether they would be built.
    pub missing_images: Vec<(String, bool)>,
    /// Volumes whose data lies where their driver or its options say, and those are known.
    pub volumes_elsewhere: BTreeSet<String>,
    /// Variables in its files that nobody knows here.
    pub unknown_variables: BTreeSet<String>,
    /// What its files expect to be there.
    pub external: External,
    /// The image of each container, where the files name one.
    pub images: BTreeMap<String, String>,
    /// Where in each container something is mounted, as far as the files tell.
    pub mounts: BTreeMap<String, Vec<String>>,
    /// Containers that were not running when they were recorded.
    pub resting: BTreeSet<String>,
}

pub(super) fn look(
    host: &dyn Host,
    site: &Site,
    facts: &Facts,
    making: &Making,
    backup: &dyn Backup,
) -> Result<Option<Project>, SurveyError> {
    let Some(main) = &site.item.compose_file else { return Ok(None) };
    let directory = site.target.as_path();
    let mut present: Vec<&Container> = Vec::new();
    let mut foreign = None;
    for container in &facts.containers {
        let named = container.project() == Some(site.item.name.as_str());
        match container.labels.get("com.docker.compose.project.working_dir") {
            Some(dir) if host.canonical(Path::new(dir))? == directory => present.push(container),
            Some(dir) if named => foreign = Some(dir.clone()),
            None if named => present.push(container),
            _ => {}
        }
    }
    let recorded = making.record.as_ref();
    let name = present
        .iter()
        .find_map(|container| container.project())
        .or_else(|| recorded_name(recorded, site))
        .unwrap_or(&site.item.name)
        .to_owned();
    let label = |key: &str| {
        let here = present.iter().find_map(|it| it.labels.get(&format!("com.docker.compose.{key}")));
        let there =
            recorded.and_then(|record| record.containers_of(&name).find_map(|it| compose_label(it, key)));
        here.map(String::as_str).or(there).map(str::to_owned)
    };
    let named = named_files(&label("project.config_files").unwrap_or_default(), site);
    let path = site.item.path.as_str();
    let texts = Texts::read_named(path, main, &named, backup)?;
    let differing = differing(host, site, main, &texts, backup)?;
    let (form, version) = facts
        .compose
        .as_ref()
        .map_or((ComposeForm::Plugin, ""), |compose| (compose.form, compose.version.as_str()));
    let mut project = Project::of(
        &site.item.name,
        ComposeProject {
            form,
            name: name.clone(),
            directory: directory.to_owned(),
            // Always by name: where none is named, `docker-compose` looks for one in the directory that it was called
            // in, which may be a kept one by now.
            files: texts.present(path, main).iter().map(|file| directory.join(file)).collect(),
            pull: making.recreating.pull,
            ..ComposeProject::default()
        },
    );
    if let Some(dir) = foreign {
        project.state = State::Elsewhere(dir);
        return Ok(Some(project));
    }
    let Some(parsed) = texts.services(path, main) else {
        let stays = !present.is_empty() && differing.is_empty();
        project.state = if stays { State::Same } else { State::Unreadable };
        return Ok(Some(project));
    };
    let variables = texts.variables(path);
    let files = texts.files(path, main);
    let read = files.iter().filter_map(|file| texts.get(path, &file.name));
    project.unknown_variables = unknown_variables(read, &variables);
    let profiles = variables.get("COMPOSE_PROFILES").unwrap_or_default();
    let profiles: BTreeSet<&str> = profiles.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let volumes = parsed.iter().flat_map(|file| project_volumes(file, &name));
    let elsewhere =
        volumes.filter(|volume| !volume.external && (volume.driver.is_some() || volume.has_options));
    project.volumes_elsewhere =
        elsewhere.filter_map(|volume| volume.real_name.known().map(str::to_owned)).collect();
    project.want(&parsed, &profiles, &present, recorded, making);
    project.state = if !present.is_empty() && !differing.is_empty() {
        State::Changed(differing)
    } else if facts.compose.is_none() {
        State::NoCompose
    } else if present.is_empty() {
        State::Lost
    } else if project.unknown_variables.is_empty()
        && label("version").is_some_and(|label| label == version)
        && older(host, &project, &present)
    {
        State::Changed(Vec::new())
    } else {
        State::Same
    };
    Ok(Some(project))
}

fn recorded_name<'r>(record: Option<&'r Record>, site: &Site) -> Option<&'r str> {
    let of_site = |container: &&serde_json::Value| {
        compose_label(container, "project.working_dir").and_then(in_backup).as_deref()
            == Some(site.item.path.as_str())
    };
    record?.containers.iter().find(of_site).and_then(|container| compose_label(container, "project"))
}

/// The files that Compose was given when it made the containers, as far as their label tells; those in the project
/// count from there.
fn named_files(label: &str, site: &Site) -> Vec<String> {
    let beside = |file: &str| {
        let path = Path::new(file);
        let of_backup = Path::new("/").join(&site.item.path);
        let within =
            path.strip_prefix(&site.target).or_else(|_| path.strip_prefix(of_backup)).unwrap_or(path);
        within.display().to_string()
    };
    label.split(',').filter(|file| !file.is_empty()).map(beside).collect()
}

/// Which of the files that containers are made of are others here than in the backup.
fn differing(
    host: &dyn Host,
    site: &Site,
    main: &str,
    texts: &Texts,
    backup: &dyn Backup,
) -> Result<Vec<String>, SurveyError> {
    let path = site.item.path.as_str();
    let of_backup = |name: &String| format!("{path}/{name}");
    let files = texts.files(path, main);
    let variables = texts.variables(path);
    let mut wanted: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    wanted.insert(".env".to_owned());
    // Environments that those name.
    for file in &files {
        let Some(parsed) = texts.parsed(path, &file.name, &variables) else { continue };
        let named = parsed.services.values().flat_map(|service| &service.env_files);
        wanted.extend(named.filter_map(|named| within(&file.base, named.path.known()?)));
    }
    let archived = backup.read(&wanted.iter().map(of_backup).collect(), TEXT_LIMIT)?;
    let mut differing = Vec::new();
    for file in wanted {
        let here = match host.stat(&site.target.join(&file))? {
            Some(_) => host.read(&site.target.join(&file), TEXT_LIMIT).ok(),
            None => None,
        };
        if here.as_ref() != archived.get(&of_backup(&file)) {
            differing.push(file);
        }
    }
    Ok(differing)
}

/// Whether the present containers are of another configuration than the files that lie there say.
fn older(host: &dyn Host, project: &Project, present: &[&Container]) -> bool {
    // A file that Compose does not take tells nothing of the containers.
    let Ok(Some(hashes)) = host.docker().compose_hashes(&project.compose) else { return false };
    present.iter().any(|container| {
        let made_of = container.labels.get("com.docker.compose.config-hash");
        let says = container.service().and_then(|service| hashes.get(service));
        made_of.is_some() && says.is_some() && says != made_of
    })
}

impl Project {
    /// One of which nothing is known yet.
    fn of(item: &str, compose: ComposeProject) -> Self {
        Self {
            item: item.to_owned(),
            state: State::Lost,
            compose,
            services: BTreeMap::new(),
            waits: BTreeMap::new(),
            ports: Vec::new(),
            missing_images: Vec::new(),
            volumes_elsewhere: BTreeSet::new(),
            unknown_variables: BTreeSet::new(),
            external: External::default(),
            images: BTreeMap::new(),
            mounts: BTreeMap::new(),
            resting: BTreeSet::new(),
        }
    }

    /// Which containers are to be there: those that are, those that were recorded, and one of each service that Compose
    /// takes by itself.
    fn want(
        &mut self,
        files: &[ComposeFile],
        profiles: &BTreeSet<&str>,
        present: &[&Container],
        record: Option<&Record>,
        making: &Making,
    ) {
        let mut all: BTreeMap<&str, Vec<&Service>> = BTreeMap::new();
        for file in files {
            for (name, service) in &file.services {
                all.entry(name).or_default().push(service);
            }
        }
        for container in present {
            let once =
                container.labels.get("com.docker.compose.oneoff").is_some_and(|oneoff| oneoff == "True");
            if let Some(service) = container.service().filter(|service| all.contains_key(service) && !once) {
                self.services.insert(container.name.clone(), service.to_owned());
            }
        }
        for container in record.into_iter().flat_map(|record| record.containers_of(&self.compose.name)) {
            let service = compose_label(container, "service").filter(|service| all.contains_key(service));
            let known = service.is_some_and(|service| self.services.values().any(|known| known == service));
            if let Some(service) = service.filter(|_| !known || present.is_empty()) {
                self.services.insert(name_of(container).to_owned(), service.to_owned());
                if !record.is_some_and(Record::is_at_rest) && !is_running(container) {
                    self.resting.insert(name_of(container).to_owned());
                }
            }
        }
        let joined_by = |separator: char| {
            let begin = format!("{}{separator}", self.compose.name);
            self.services.keys().any(|name| name.starts_with(&begin))
        };
        self.compose.underscores = joined_by('_') && !joined_by('-');
        let underscores = self.compose.underscores || self.compose.form == ComposeForm::Standalone;
        let separator = if underscores { '_' } else { '-' };
        let asleep = |parts: &[&Service]| {
            let mut of_it = parts.iter().flat_map(|service| &service.profiles).peekable();
            of_it.peek().is_some() && !of_it.any(|profile| profiles.contains(profile.as_str()))
        };
        let replicas = |parts: &[&Service]| {
            let known = parts.iter().rev().find_map(|service| service.replicas.as_ref());
            known.map(|number| number.known().and_then(|it| it.parse::<u32>().ok()).unwrap_or(1))
        };
        for (name, parts) in &all {
            if asleep(parts) || self.services.values().any(|known| known == name) {
                continue;
            }
            let fixed = parts.iter().rev().find_map(|service| service.container_name.as_ref()?.known());
            if let Some(fixed) = fixed {
                self.services.insert(fixed.to_owned(), (*name).to_owned());
                continue;
            }
            for number in 1..=replicas(parts).unwrap_or(1).min(MOST_REPLICAS) {
                let made = format!("{}{separator}{name}{separator}{number}", self.compose.name);
                self.services.insert(made, (*name).to_owned());
            }
        }
        let wanted: BTreeSet<String> = self.services.values().cloned().collect();
        self.external = External::of(files, &self.compose.name, &wanted);
        if wanted.iter().any(|name| asleep(&all[name.as_str()])) {
            self.compose.services = wanted.iter().cloned().collect();
        }
        for name in &wanted {
            let count = self.services.values().filter(|service| *service == name).count();
            // Also where the file says otherwise: what is made is what is known of, and goes again.
            if count > 1 || replicas(&all[name.as_str()]).is_some() {
                self.compose.scale.push(format!("{name}={count}"));
            }
            self.look_at_image(name, &all[name.as_str()], making);
        }
        self.compose.containers = self.services.keys().cloned().collect();
        self.compose.serves = self.services.clone();
        self.waits = self
            .services
            .iter()
            .map(|(name, service)| (name.clone(), self.waits_of(service, files)))
            .collect();
        for (name, service) in &self.services {
            let ports = all[service.as_str()].iter().flat_map(|service| &service.ports);
            let room = MOST_PORTS.saturating_sub(self.ports.len());
            self.ports.extend(ports.flat_map(Port::bindings).take(room).map(|port| (port, name.clone())));
            let image =
                all[service.as_str()].iter().rev().find_map(|service| service.image.as_ref()?.known());
            self.images.extend(image.map(|image| (name.clone(), image.to_owned())));
            let mounts = all[service.as_str()].iter().flat_map(|service| &service.volumes);
            let mounts = mounts.filter_map(|mount| mount.target.known().map(str::to_owned));
            self.mounts.insert(name.clone(), mounts.collect());
        }
    }

    fn waits_of(&self, service: &str, files: &[ComposeFile]) -> Vec<(String, Condition)> {
        let waits = files.iter().flat_map(|file| file.waits_for(service));
        let named = waits.flat_map(|wait| {
            let of_it = self.services.iter().filter(move |(_, service)| **service == wait.service);
            of_it.map(move |(name, _)| (name.clone(), wait.condition))
        });
        named.collect()
    }

    fn look_at_image(&mut self, service: &str, parts: &[&Service], making: &Making) {
        let named = parts.iter().rev().find_map(|service| service.image.as_ref());
        let built = parts.iter().any(|service| service.build_context.is_some());
        let candidates = match named.map(|image| image.known()) {
            Some(Some(image)) => vec![image.to_owned()],
            None if built => {
                ['-', '_'].map(|separator| format!("{}{separator}{service}", self.compose.name)).to_vec()
            }
            // Nothing to look for, or Compose knows what the variables in it say.
            Some(None) | None => return,
        };
        if !candidates.iter().any(|image| making.images.contains_key(familiar(image).as_ref())) {
            self.missing_images.push((candidates[0].clone(), built));
        }
    }
}

/// What is made anew of `project`.
pub(super) fn remake(project: &Project, request: &Request<'_>, facts: &Facts, remade: &mut Remade) {
    let path = project.compose.directory.display();
    let about = |severity, key: &'static str| {
        Finding::new(
            severity,
            Message::new(key).text("project", &project.item).text("path", path.to_string()),
        )
    };
    let by_hand = || Message::new("project-not-running-advice").text("path", path.to_string());
    let present: BTreeMap<&str, &Container> =
        facts.containers.iter().map(|container| (container.name.as_str(), container)).collect();
    let lacking: Vec<&String> =
        project.compose.containers.iter().filter(|name| !present.contains_key(name.as_str())).collect();
    let changed = match &project.state {
        State::Changed(files) => Some(files),
        State::NoCompose if lacking.is_empty() => return,
        State::NoCompose => {
            remade.findings.push(about(Severity::Warning, "compose-missing").advise(by_hand()));
            return;
        }
        State::Unreadable => {
            remade.findings.push(about(Severity::Warning, "project-unreadable").advise(by_hand()));
            return;
        }
        State::Elsewhere(dir) => {
            remade.findings.push(Finding::new(
                Severity::Warning,
                Message::new("project-elsewhere").text("project", &project.item).text("path", dir),
            ));
            return;
        }
        State::Lost | State::Same => None,
    };
    if (changed.is_none() && lacking.is_empty()) || project.compose.containers.is_empty() {
        return;
    }
    let pull = facts.making.recreating.pull;
    let cannot = project.missing_images.iter().filter(|(_, built)| *built || !pull);
    let mut cannot: Vec<Finding> =
        cannot.map(|(image, built)| image_missing(project, image, *built)).collect();
    cannot.extend(against(project, facts));
    cannot.extend(project.external.missing(&project.item, &path.to_string(), facts));
    if facts.compose.is_none() {
        cannot.push(about(Severity::Warning, "compose-missing"));
    }
    if !facts.making.recreating.allowed || !cannot.is_empty() {
        remade.findings.extend(cannot);
        let key = if changed.is_some() { "project-stays" } else { "project-not-running" };
        remade.findings.push(about(Severity::Warning, key).advise(by_hand()));
        return;
    }
    if let Some(files) = changed {
        let message = if files.is_empty() {
            about(Severity::Warning, "project-older")
        } else {
            Finding::new(
                Severity::Warning,
                Message::new("project-changed")
                    .text("project", &project.item)
                    .text("files", files.join(", ")),
            )
        };
        remade.findings.push(message);
        for (name, service) in project.services.iter().filter(|(name, _)| present.contains_key(name.as_str()))
        {
            let container = present[name.as_str()];
            if container.running {
                remade.stopping.insert(name.clone());
            }
            let of_project = OfProject { project: project.compose.clone(), name: service.clone() };
            remade.aside.push(Change::SetAside(SetAside {
                container: name.clone(),
                kept: kept_beside(name, request.id),
                unless_as_in: Some(of_project),
            }));
        }
    }
    if !lacking.is_empty() {
        let key = if project.state == State::Lost { "project-lost" } else { "project-lacks" };
        let names: Vec<&str> = lacking.iter().map(|name| name.as_str()).collect();
        let message = Message::new(key).text("project", &project.item).text("containers", names.join(", "));
        remade.findings.push(Finding::new(Severity::Info, message));
    }
    remade.made.push(Change::ComposeCreate(ComposeCreate { project: project.compose.clone() }));
    let starting = lacking.into_iter().filter(|name| !project.resting.contains(*name));
    remade.starting.extend(starting.cloned());
    remade.waits.extend(project.waits.clone());
    // One that runs has the ports it was made with, and may get others with other files.
    let takes = |(_, name): &&(PortBinding, String)| {
        present.get(name.as_str()).is_none_or(|present| changed.is_some() && present.running)
    };
    remade.ports.extend(project.ports.iter().filter(takes).cloned());
}

fn image_missing(project: &Project, image: &str, built: bool) -> Finding {
    let message = Message::new("image-missing").text("image", image).text("user", &project.item);
    let advice = if built {
        Message::new("image-build-advice").text("path", project.compose.directory.display())
    } else {
        Message::new("image-pull-advice").text("image", image)
    };
    Finding::new(Severity::Warning, message).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::super::super::compose::read;
    use super::*;

    #[test]
    fn as_many_containers_are_wanted_as_the_files_say_and_those_of_profiles_that_are_on() {
        let file = "services:\n  a: {image: x, deploy: {replicas: 2}}\n  b: {image: x, container_name: only}\n  \
                    c: {image: x, profiles: [full]}\n  d: {image: x, profiles: [debug]}\n";
        let mut project = Project::of(
            "shop",
            ComposeProject {
                name: "shop".to_owned(),
                directory: "/srv/shop".into(),
                ..ComposeProject::default()
            },
        );
        project.want(&[read(file).unwrap()], &["full"].into(), &[], None, &Making::default());
        assert_eq!(project.compose.containers, ["only", "shop-a-1", "shop-a-2", "shop-c-1"]);
        assert_eq!(project.compose.scale, ["a=2"]);
    }
}
