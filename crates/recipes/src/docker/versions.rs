//! The version of a database's data in the backup, against the engine that will have to read it.

use std::collections::BTreeSet;

use reprise_host::{Host, ObjectKind};
use reprise_model::{Finding, ItemKind, Message, Severity};
use serde_json::Value;

use super::recreate::Making;
use super::survey::{Facts, Site, SurveyError};
use crate::backup::Backup;

/// A database engine whose data tell their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Reads data of its own major version only.
    Postgres,
    /// Reads older data, and makes them its own.
    MariaDb,
}

/// Data in the backup, and who will read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataVersion {
    /// The engine.
    pub engine: Engine,
    /// The volume or project that the data are in.
    pub item: String,
    /// The version that wrote them, such as `15` or `10.11.6`.
    pub data: String,
    /// Each container that mounts them, and the version of its engine.
    pub readers: Vec<(String, String)>,
}

/// Where data directories lie in a volume.
const HOMES: [&str; 5] = ["", "data/", "pgdata/", "mysql/", "var/lib/postgresql/data/"];

/// Looks for data of databases in what is restored, and for the containers here that will read them.
pub(super) fn look(
    host: &dyn Host,
    facts: &Facts,
    making: &Making,
    backup: &dyn Backup,
) -> Result<Vec<DataVersion>, SurveyError> {
    let files = [
        ("PG_VERSION", Engine::Postgres),
        ("mariadb_upgrade_info", Engine::MariaDb),
        ("mysql_upgrade_info", Engine::MariaDb),
    ];
    let mut found: Vec<DataVersion> = Vec::new();
    let volumes = facts.sites.iter().filter(|site| site.item.kind == ItemKind::Volume);
    for site in volumes {
        let path = |home: &str, name: &str| format!("{}/{home}{name}", site.item.path);
        let wanted: BTreeSet<String> =
            HOMES.iter().flat_map(|home| files.iter().map(move |(name, _)| path(home, name))).collect();
        let contents = backup.read(&wanted, 256)?;
        let told = files.iter().find_map(|(name, engine)| {
            let content = HOMES.iter().find_map(|home| contents.get(&path(home, name)))?;
            // MariaDB writes `10.11.6-MariaDB`; what MySQL writes there says nothing of the kind.
            let text = String::from_utf8_lossy(content);
            let version = match engine {
                Engine::Postgres => text.trim(),
                Engine::MariaDb => text.trim().split_once("-MariaDB")?.0,
            };
            version.starts_with(|c: char| c.is_ascii_digit()).then(|| (*engine, version.to_owned()))
        });
        if let Some((engine, data)) = told {
            let readers = readers(host, site, engine, facts, making)?;
            found.push(DataVersion { engine, item: site.item.name.clone(), data, readers });
        }
    }
    Ok(found)
}

fn readers(
    host: &dyn Host,
    site: &Site,
    engine: Engine,
    facts: &Facts,
    making: &Making,
) -> Result<Vec<(String, String)>, SurveyError> {
    let variable = match engine {
        Engine::Postgres => "PG_MAJOR=",
        Engine::MariaDb => "MARIADB_VERSION=",
    };
    let mut readers = Vec::new();
    for container in facts.containers.iter().filter(|it| it.mounts_within(&site.target)) {
        let described = host.docker().described(ObjectKind::Container, &container.name)?.unwrap_or_default();
        let environment = described.pointer("/Config/Env").and_then(Value::as_array).into_iter().flatten();
        let told = environment.filter_map(Value::as_str).find_map(|it| it.strip_prefix(variable));
        if let Some(version) = told.map(str::to_owned).or_else(|| of_tag(&container.image, engine)) {
            readers.push((container.name.clone(), version));
        }
    }
    for project in
        making.projects.iter().filter(|project| site.item.project.as_deref() == Some(project.item.as_str()))
    {
        for (name, image) in &project.images {
            let is_new = !facts.containers.iter().any(|container| container.name == *name);
            if let Some(version) = of_tag(image, engine).filter(|_| is_new) {
                readers.push((name.clone(), version));
            }
        }
    }
    Ok(readers)
}

/// The version that an image of that engine has in its tag.
fn of_tag(image: &str, engine: Engine) -> Option<String> {
    let is_its = match engine {
        Engine::Postgres => image.contains("postgres") || image.contains("postgis"),
        Engine::MariaDb => image.contains("mariadb"),
    };
    let (_, tag) =
        image.split('@').next()?.rsplit_once(':').filter(|(_, tag)| is_its && !tag.contains('/'))?;
    let version: String = tag.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let version = match engine {
        Engine::Postgres => version.split('.').next().unwrap_or_default().to_owned(),
        Engine::MariaDb => version.trim_matches('.').to_owned(),
    };
    (!version.is_empty()).then_some(version)
}

/// The numbers of a version, without the epoch that packages put before it: as many as both have are compared.
fn numbers(version: &str) -> Vec<u32> {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    let digits = version.split(|c: char| !c.is_ascii_digit());
    digits.map_while(|part| part.parse().ok()).collect()
}

/// What the checks say of `version`.
pub(super) fn findings(version: &DataVersion) -> Vec<Finding> {
    let say = |key: &'static str, (container, engine): &(String, String), advice: &'static str| {
        let message = Message::new(key).text("item", &version.item).text("data", &version.data);
        let message = message.text("container", container).text("engine", engine);
        Finding::new(Severity::Warning, message).advise(Message::new(advice))
    };
    let compare = |reader: &(String, String)| {
        let (data, engine) = (numbers(&version.data), numbers(&reader.1));
        let both = data.len().min(engine.len()).min(2);
        match (version.engine, data[..both].cmp(&engine[..both])) {
            (Engine::Postgres, _) if data.first() == engine.first() => None,
            (Engine::Postgres, _) => Some(say("engine-other", reader, "engine-other-advice")),
            (Engine::MariaDb, std::cmp::Ordering::Greater) => {
                Some(say("engine-older", reader, "engine-other-advice"))
            }
            (Engine::MariaDb, std::cmp::Ordering::Less) => {
                Some(say("engine-newer", reader, "engine-newer-advice"))
            }
            (Engine::MariaDb, std::cmp::Ordering::Equal) => None,
        }
    };
    version.readers.iter().filter_map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(engine: Engine, data: &str, reader: &str) -> Vec<String> {
        let readers = vec![("db".to_owned(), reader.to_owned())];
        let version = DataVersion { engine, item: "v".to_owned(), data: data.to_owned(), readers };
        findings(&version).iter().map(|finding| finding.code().to_owned()).collect()
    }

    #[test]
    fn postgres_reads_its_own_major_version_and_mariadb_older_ones() {
        assert_eq!(codes(Engine::Postgres, "15", "15"), Vec::<String>::new());
        assert_eq!(codes(Engine::Postgres, "15", "16"), ["engine-other"]);
        assert_eq!(codes(Engine::Postgres, "16", "15"), ["engine-other"]);
        assert_eq!(codes(Engine::MariaDb, "10.11.6", "10.11.2"), Vec::<String>::new());
        assert_eq!(codes(Engine::MariaDb, "10.11.6", "10.6.1"), ["engine-older"]);
        assert_eq!(codes(Engine::MariaDb, "10.6.1", "1:11.4.2+maria~ubu"), ["engine-newer"]);
        assert_eq!(codes(Engine::MariaDb, "10.6.1", "11.4"), ["engine-newer"]);
    }

    #[test]
    fn a_tag_tells_a_version_where_it_is_one() {
        assert_eq!(of_tag("postgres:15.4-alpine", Engine::Postgres).as_deref(), Some("15"));
        assert_eq!(of_tag("mariadb:10.11", Engine::MariaDb).as_deref(), Some("10.11"));
        for image in ["postgres:latest", "postgres", "registry:5000/postgres", "web:1"] {
            assert_eq!(of_tag(image, Engine::Postgres), None, "{image}");
        }
    }
}
