//! The name of a project: it prefixes volumes, networks and containers, and decides whether two directories are
//! the same project to Compose.

use serde::{Deserialize, Serialize};

use super::dotenv::Variables;
use super::interpolate::interpolate;
use super::paths::base_name;
use super::types::ComposeFile;

/// A project's name and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectName {
    /// The name.
    pub name: String,
    /// Where it comes from.
    pub origin: NameOrigin,
    /// Variables in `name:` that are not known. The name then comes from the directory and may be wrong.
    pub unresolved: Vec<String>,
}

/// What gave a project its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameOrigin {
    /// `COMPOSE_PROJECT_NAME` in the `.env` file.
    DotEnv,
    /// `name:` in the compose file.
    NameKey,
    /// The name of the project directory.
    Directory,
    /// Nothing usable; `default`, as the Python `docker-compose` has it (Compose itself stops).
    Default,
}

/// The name of the project in `directory` (a path; its last part counts), with the text of its `.env`.
///
/// Compose's order, apart from `-p` and the environment of whoever started it, which a backup does not hold:
/// `COMPOSE_PROJECT_NAME` of `.env`, then `name:`, then the directory's name. For containers that exist, the
/// label `com.docker.compose.project` is better than any of this.
pub fn project_name(directory: &str, compose: &ComposeFile, dot_env: Option<&str>) -> String {
    project_name_origin(directory, compose, dot_env).name
}

/// As [`project_name`], with where the name comes from.
pub fn project_name_origin(directory: &str, compose: &ComposeFile, dot_env: Option<&str>) -> ProjectName {
    let variables = dot_env.map(Variables::from_dot_env).unwrap_or_default();
    let found = |name: &str, origin| {
        let name = normalise(name);
        (!name.is_empty()).then_some(ProjectName { name, origin, unresolved: Vec::new() })
    };
    if let Some(name) = variables.get("COMPOSE_PROJECT_NAME").and_then(|name| found(name, NameOrigin::DotEnv))
    {
        return name;
    }
    let mut unresolved = Vec::new();
    if let Some(name) = &compose.name {
        // The file may have been read without these variables.
        let name = if name.known().is_some() { name.clone() } else { interpolate(name.raw(), &variables) };
        match name.known().and_then(|name| found(name, NameOrigin::NameKey)) {
            Some(name) => return name,
            None => unresolved = name.unresolved().to_vec(),
        }
    }
    let name = found(&base_name(directory), NameOrigin::Directory);
    let fallback =
        || ProjectName { name: "default".into(), origin: NameOrigin::Default, unresolved: Vec::new() };
    ProjectName { unresolved, ..name.unwrap_or_else(fallback) }
}

/// Compose's own form of a project name: lower case, only `a-z`, `0-9`, `_` and `-`, beginning with a letter or
/// digit. May be empty.
pub fn normalise(name: &str) -> String {
    normalise_v1(name).trim_start_matches(['_', '-']).to_owned()
}

/// The form the Python `docker-compose` (1.21 and later) gives a name: as [`normalise`], but a leading `_` or
/// `-` stays. Before 1.21 it dropped `_` and `-` everywhere.
pub fn normalise_v1(name: &str) -> String {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    name.to_lowercase().chars().filter(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;

    fn named(directory: &str, text: &str, dot_env: Option<&str>) -> (String, NameOrigin) {
        let name = project_name_origin(directory, &read(text).unwrap(), dot_env);
        (name.name, name.origin)
    }

    #[test]
    fn precedence_is_compose_s_own() {
        let plain = "services: {}\n";
        let with_name = "name: My-App\nservices: {}\n";
        assert_eq!(named("/srv/Next.Cloud_2/", plain, None), ("nextcloud_2".into(), NameOrigin::Directory));
        assert_eq!(named("/srv/x", with_name, None), ("my-app".into(), NameOrigin::NameKey));
        assert_eq!(
            named("/srv/x", with_name, Some("COMPOSE_PROJECT_NAME=Prod\n")),
            ("prod".into(), NameOrigin::DotEnv)
        );
        assert_eq!(named("/srv/x", with_name, Some("COMPOSE_PROJECT_NAME=\n")).0, "my-app");
        assert_eq!(named("/", plain, None), ("default".into(), NameOrigin::Default));
    }

    #[test]
    fn a_name_with_variables() {
        let text = "name: ${STAGE}-app\nservices: {}\n";
        assert_eq!(named("/srv/x", text, Some("STAGE=dev")), ("dev-app".into(), NameOrigin::NameKey));
        let unknown = project_name_origin("/srv/x", &read(text).unwrap(), None);
        assert_eq!((unknown.name.as_str(), unknown.unresolved), ("x", vec!["STAGE".to_owned()]));
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(normalise("_My App!-1"), "myapp-1");
        assert_eq!(normalise_v1("_My App!-1"), "_myapp-1");
        assert_eq!(normalise("Étage"), "tage");
        assert_eq!(normalise("---"), "");
    }
}
