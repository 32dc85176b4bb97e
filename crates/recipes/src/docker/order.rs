//! Which containers stop together, and in which order they stop and start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use indexmap::IndexMap;
use reprise_host::{Container, Host};

use super::compose::{Condition, Dependency, Variables, parse_depends_on_label, read_with, start_order};

/// Compose files larger than this are not read.
const TEXT_LIMIT: u64 = 1 << 20;

/// For each container, by name: the containers it waits for, and until when.
pub type Dependencies = BTreeMap<String, Vec<(String, Condition)>>;

/// What each of `containers` waits for: as its label says, else as the compose file says that it was made
/// from. Where neither tells, nothing.
pub(super) fn dependencies(host: &dyn Host, containers: &[Container]) -> Dependencies {
    let mut files: BTreeMap<(String, String), BTreeMap<String, Vec<Dependency>>> = BTreeMap::new();
    let mut all = Dependencies::new();
    for container in containers {
        let joined = containers.iter().filter(|other| {
            container.joins.iter().any(|joined| *joined == other.name || *joined == other.id)
        });
        let joined = joined.map(|other| (other.name.clone(), Condition::ServiceStarted));
        let all_waits = all.entry(container.name.clone()).or_default();
        all_waits.extend(joined);
        let (Some(project), Some(service)) = (container.project(), container.service()) else { continue };
        let waits = if let Some(label) = container.labels.get("com.docker.compose.depends_on") {
            parse_depends_on_label(label)
        } else {
            let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
            let dir = label("com.docker.compose.project.working_dir");
            let names = label("com.docker.compose.project.config_files");
            let services =
                files.entry((dir, names)).or_insert_with_key(|(dir, names)| from_files(host, dir, names));
            services.get(service).cloned().unwrap_or_default()
        };
        let named = |wait: &Dependency| {
            let of_service = |other: &&Container| {
                other.project() == Some(project) && other.service() == Some(wait.service.as_str())
            };
            containers
                .iter()
                .filter(of_service)
                .map(|other| (other.name.clone(), wait.condition))
                .collect::<Vec<_>>()
        };
        all_waits.extend(waits.iter().flat_map(named));
    }
    all
}

/// What the services of the compose files `names` (as Compose's label lists them) in `dir` wait for.
fn from_files(host: &dyn Host, dir: &str, names: &str) -> BTreeMap<String, Vec<Dependency>> {
    let dir = Path::new(dir);
    let read = |path: &Path| Some(String::from_utf8_lossy(&host.read(path, TEXT_LIMIT).ok()?).into_owned());
    let variables = read(&dir.join(".env")).map(|text| Variables::from_dot_env(&text)).unwrap_or_default();
    let mut services: BTreeMap<String, Vec<Dependency>> = BTreeMap::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let Some(compose) = read(&dir.join(name)).and_then(|text| read_with(&text, &variables).ok()) else {
            continue;
        };
        for service in compose.services.keys() {
            services.entry(service.clone()).or_default().extend(compose.waits_for(service));
        }
    }
    services
}

/// The running containers that must stop when the `users` do: themselves and, over and over, those that
/// wait for one that stops.
pub(super) fn with_dependents<'a>(
    users: BTreeSet<&'a str>,
    running: &'a [Container],
    dependencies: &'a Dependencies,
) -> BTreeSet<&'a str> {
    let mut stopping = users;
    loop {
        let more: Vec<&str> = running
            .iter()
            .filter(|container| container.running && !stopping.contains(container.name.as_str()))
            .filter(|container| {
                let waits = dependencies.get(&container.name).into_iter().flatten();
                waits.into_iter().any(|(other, _)| stopping.contains(other.as_str()))
            })
            .map(|container| container.name.as_str())
            .collect();
        if more.is_empty() {
            return stopping;
        }
        stopping.extend(more);
    }
}

/// `names` in the order they start: what is waited for first. Circles come in some order, too.
pub(super) fn in_start_order(names: &BTreeSet<&str>, dependencies: &Dependencies) -> Vec<String> {
    let graph: IndexMap<String, Vec<String>> = names
        .iter()
        .map(|name| {
            let waits = dependencies.get(*name).into_iter().flatten();
            let waits = waits.map(|(other, _)| other.clone()).filter(|other| names.contains(other.as_str()));
            ((*name).to_owned(), waits.collect())
        })
        .collect();
    start_order(&graph).start
}

/// Whether something among `names` waits until `name` is healthy.
pub(super) fn awaited_healthy(name: &str, names: &[String], dependencies: &Dependencies) -> bool {
    names
        .iter()
        .filter_map(|other| dependencies.get(other))
        .flatten()
        .any(|(awaited, condition)| awaited == name && *condition == Condition::ServiceHealthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str) -> Container {
        Container { id: name.to_owned(), name: name.to_owned(), running: true, ..Container::default() }
    }

    fn shop() -> (Vec<Container>, Dependencies) {
        let containers = ["web", "db", "cache", "mail"].map(container).to_vec();
        let waits = |on: &[(&str, Condition)]| on.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
        let dependencies = Dependencies::from([
            (
                "web".to_owned(),
                waits(&[("db", Condition::ServiceHealthy), ("cache", Condition::ServiceStarted)]),
            ),
            ("mail".to_owned(), waits(&[("web", Condition::ServiceStarted)])),
        ]);
        (containers, dependencies)
    }

    #[test]
    fn what_waits_for_the_database_stops_with_it() {
        let (containers, dependencies) = shop();
        let stopping = with_dependents(BTreeSet::from(["db"]), &containers, &dependencies);
        assert_eq!(stopping, BTreeSet::from(["db", "mail", "web"]));
        assert_eq!(in_start_order(&stopping, &dependencies), ["db", "web", "mail"]);
    }

    #[test]
    fn only_who_is_awaited_healthy_is_waited_for() {
        let (_, dependencies) = shop();
        let names = ["db", "cache", "web"].map(str::to_owned);
        assert!(awaited_healthy("db", &names, &dependencies));
        assert!(!awaited_healthy("cache", &names, &dependencies));
    }
}
