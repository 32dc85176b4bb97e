//! How it is told that a container that was started is well, where Docker has no check of its own.

use std::collections::BTreeMap;
use std::path::Path;

use reprise_engine::AwaitHealthy;
use reprise_host::{Container, Health, Host, PortBinding, Protocol};
use reprise_model::{Finding, Message, Severity};

use super::survey::{Facts, Site, SurveyError};

/// How long a started container may take to become healthy unless asked otherwise, and how long it must stay up without a
/// check.
const LIMIT_SECONDS: u64 = 120;
const STABLE_SECONDS: u64 = 3;
/// How long one is waited for that was not well before.
const UNWELL_SECONDS: u64 = 30;

/// How well a running container was, and what then answered of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wellbeing {
    /// Docker's own check of it failed.
    pub unhealthy: bool,
    /// Published ports that something answered on.
    pub ports: Vec<PortBinding>,
    /// The command that a database engine in it answered.
    pub ask: Option<Vec<String>>,
}

/// What is asked for of health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HealthChoice {
    /// Seconds that a started container may take, if not as long as usual: a database may have much to repair.
    pub limit_seconds: Option<u64>,
    /// Whether one that is not well is kept all the same.
    pub keep_unhealthy: bool,
}

/// How well the running containers are that use what is at `sites`, or belong to a project that does.
pub(super) fn look(
    host: &dyn Host,
    containers: &[Container],
    sites: &[Site],
) -> Result<BTreeMap<String, Wellbeing>, SurveyError> {
    let is_user = |it: &&Container| sites.iter().any(|site| it.mounts_within(&site.target));
    let users: Vec<&Container> = containers.iter().filter(is_user).collect();
    let is_near = |it: &&Container| {
        let project = it.project();
        users.iter().any(|user| user.name == it.name || (project.is_some() && user.project() == project))
    };
    let mut found = BTreeMap::new();
    for container in containers.iter().filter(|it| it.running && !it.paused).filter(is_near) {
        let mut wellbeing =
            Wellbeing { unhealthy: container.health == Health::Unhealthy, ..Wellbeing::default() };
        if container.health == Health::None {
            // Whether anything answers is not known of the others.
            for binding in container.ports.iter().filter(|it| it.protocol == Protocol::Tcp) {
                if host.docker().answers(&binding.address, binding.port)? == Some(true) {
                    wellbeing.ports.push(binding.clone());
                }
            }
            for command in Database::of(&container.image).into_iter().flat_map(Database::questions) {
                if host.docker().exec(&container.name, &command)? == Some(true) {
                    wellbeing.ask = Some(command);
                    break;
                }
            }
        }
        found.insert(container.name.clone(), wellbeing);
    }
    Ok(found)
}

/// A database engine: how it is asked whether it is there, and the directories that it keeps its data in.
struct Database {
    /// Words in the names of its images.
    images: &'static [&'static str],
    /// Commands for it, of which a container has one. None of them needs a password.
    asks: &'static [&'static [&'static str]],
    data: &'static [&'static str],
}

const DATABASES: [Database; 4] = [
    Database {
        images: &["postgres", "postgis", "timescale", "pgvector"],
        asks: &[&["pg_isready", "-q"]],
        data: &["/var/lib/postgresql", "/bitnami/postgresql"],
    },
    Database {
        images: &["mariadb", "mysql", "percona"],
        asks: &[&["mariadb-admin", "ping", "--silent"], &["mysqladmin", "ping", "--silent"]],
        data: &["/var/lib/mysql", "/bitnami/mariadb", "/bitnami/mysql"],
    },
    Database {
        images: &["redis", "valkey"],
        asks: &[&["redis-cli", "ping"], &["valkey-cli", "ping"]],
        data: &["/data", "/bitnami/redis", "/bitnami/valkey"],
    },
    Database {
        images: &["mongo"],
        asks: &[
            &["mongosh", "--quiet", "--eval", "db.runCommand({ping: 1})"],
            &["mongo", "--quiet", "--eval", "db.runCommand({ping: 1})"],
        ],
        data: &["/data/db", "/bitnami/mongodb"],
    },
];

impl Database {
    /// The one that an image of that name has.
    fn of(image: &str) -> Option<&'static Self> {
        // The name without registry, tag and digest: of `registry:5000/team/postgres:15@sha256:…`, `team/postgres`.
        let image = image.split('@').next().unwrap_or_default();
        let path =
            image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |(path, _)| path);
        let name = path.rsplit('/').next().unwrap_or_default();
        DATABASES.iter().find(|it| it.images.iter().any(|word| name.contains(word)))
    }

    /// Commands that ask it.
    fn questions(&self) -> Vec<Vec<String>> {
        let owned = |command: &&[&str]| command.iter().map(|word| (*word).to_owned()).collect();
        self.asks.iter().map(owned).collect()
    }

    /// Whether a container that mounts these has its data: one that does not may well be a client from the same image, a job
    /// that dumps it, say.
    fn keeps_data(&self, mounts: &[&str]) -> bool {
        let is_data = |mount: &Path| {
            self.data.iter().any(|data| mount.starts_with(data) || Path::new(data).starts_with(mount))
        };
        mounts.iter().any(|mount| is_data(Path::new(mount)))
    }
}

/// What is waited for of the container `name`.
pub(super) fn awaited(name: &str, facts: &Facts, choice: HealthChoice) -> AwaitHealthy {
    let known = facts.making.wellbeing.get(name).cloned();
    let is_new = !facts.containers.iter().any(|container| container.name == name);
    let wellbeing = known.unwrap_or_default();
    let limit = choice.limit_seconds.unwrap_or(LIMIT_SECONDS);
    let image = facts.containers.iter().find(|container| container.name == name).map(|it| it.image.as_str());
    let image = image.or_else(|| facts.making.image_of(name)).unwrap_or_default();
    AwaitHealthy {
        container: name.to_owned(),
        limit_seconds: if wellbeing.unhealthy { limit.min(UNWELL_SECONDS) } else { limit },
        stable_seconds: STABLE_SECONDS,
        ports: wellbeing.ports,
        // Of one that is made anew nobody knows what it will answer.
        ask: if is_new { asked_anew(image, name, facts) } else { wellbeing.ask.into_iter().collect() },
        may_end: is_new,
        only_warn: wellbeing.unhealthy || choice.keep_unhealthy,
    }
}

/// What a container that is made anew is asked, if it is a database engine.
fn asked_anew(image: &str, name: &str, facts: &Facts) -> Vec<Vec<String>> {
    let database = Database::of(image).filter(|database| database.keeps_data(&facts.making.mounts_of(name)));
    database.map(Database::questions).unwrap_or_default()
}

/// Containers that are not well already, of those that will be started again.
pub(super) fn findings<'f>(
    facts: &'f Facts,
    stopping: &'f std::collections::BTreeSet<&str>,
) -> impl Iterator<Item = Finding> + 'f {
    let unwell = facts.making.wellbeing.iter().filter(|(_, it)| it.unhealthy);
    unwell.filter(|(name, _)| stopping.contains(name.as_str())).map(|(name, _)| {
        let message = Message::new("container-unhealthy").text("container", name);
        Finding::new(Severity::Warning, message)
    })
}

#[cfg(test)]
mod tests {
    use super::Database;

    #[test]
    fn a_database_is_known_by_its_image() {
        for (image, program) in [
            ("postgres:15", "pg_isready"),
            ("registry:5000/team/postgres@sha256:00", "pg_isready"),
            ("ghcr.io/immich-app/postgres:14-vectorchord0.4", "pg_isready"),
            ("mariadb", "mariadb-admin"),
            ("docker.io/library/redis:7-alpine", "redis-cli"),
            ("mongo:7", "mongosh"),
        ] {
            assert_eq!(Database::of(image).unwrap().questions()[0][0], program, "{image}");
        }
        for image in ["nginx", "postgres-tools/web:1", ""] {
            assert!(Database::of(image).is_none(), "{image}");
        }
    }

    #[test]
    fn who_only_asks_a_database_has_none_of_its_data() {
        let keeps = |image: &str, mounts: &[&str]| Database::of(image).unwrap().keeps_data(mounts);
        assert!(keeps("postgres:16", &["/etc/init", "/var/lib/postgresql/data"]));
        assert!(keeps("postgres:18", &["/var/lib/postgresql"]) && keeps("mongo:7", &["/data"]));
        assert!(!keeps("postgres:16", &["/backups"]) && !keeps("mysql:8", &[]));
    }
}
