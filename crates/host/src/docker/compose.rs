//! Compose, in both of its forms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Command;

/// The program that Compose is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComposeForm {
    /// `docker compose`, version 2 and later.
    #[default]
    Plugin,
    /// `docker-compose`, version 1.
    Standalone,
}

/// Compose as a host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// Which program.
    pub form: ComposeForm,
    /// Its version, as it labels containers with it.
    pub version: String,
}

/// A Compose project, and what of it is to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeProject {
    /// The program to use.
    pub form: ComposeForm,
    /// Whether `docker compose` is to join names with `_`, as `docker-compose` did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub underscores: bool,
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Its files; those that Compose finds by itself where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// Services that are wanted; those that Compose takes by itself where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Services with another number of containers than their file says, `SERVICE=NUMBER`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale: Vec<String>,
    /// Whether images that are missing are pulled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pull: bool,
    /// Names of the containers that are to be there.
    pub containers: Vec<String>,
    /// The service of each of them, where that is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub serves: BTreeMap<String, String>,
}

/// Version 1 is written in Python, and takes a second to come to tell its version; its package tells it at once. Nothing in the current
/// directory is taken for that package.
const STANDALONE_VERSION: &str = r#"program=$(command -v docker-compose) || exit 127
python=$(head -n 1 -- "$program" | tr -d '\0' | sed -nE 's,^#! *(/[^ ]*/python[0-9.]*|/usr/bin/env python[0-9.]*)$,\1,p')
grep -qE 'compose\.cli|docker-compose==' -- "$program" || python=
tell='import sys; sys.path[:] = [at for at in sys.path if at]; import compose; print(compose.__version__)'
version=$([ -z "$python" ] || $python -c "$tell" 2>/dev/null)
case $version in
  [0-9]*) printf '%s\n' "$version" ;;
  *) exec docker-compose version --short ;;
esac"#;

impl ComposeForm {
    fn program(self) -> Command {
        match self {
            Self::Plugin => Command::new("docker").arg("compose"),
            Self::Standalone => Command::new("docker-compose"),
        }
    }

    /// What prints its version: it fails where there is none.
    pub fn version(self) -> Command {
        match self {
            Self::Plugin => self.program().args(["version", "--short"]),
            Self::Standalone => Command::new("sh").args(["-c", STANDALONE_VERSION]),
        }
    }
}

impl ComposeProject {
    fn command(&self) -> Command {
        let program = self.form.program();
        let program = if self.underscores && self.form == ComposeForm::Plugin {
            program.arg("--compatibility")
        } else {
            program
        };
        let files = self.files.iter().flat_map(|file| ["-f".to_owned(), file.display().to_string()]);
        program
            .args(["--project-name", &self.name])
            .arg("--project-directory")
            .arg(self.directory.display().to_string())
            .args(files)
    }

    /// The same of the services of `containers` alone. `docker-compose` looks at the health of a service that is there,
    /// stopped, before it makes one that waits for it; so it is not told of it.
    #[must_use]
    pub fn only(&self, containers: &[String]) -> Self {
        let services: BTreeSet<&String> =
            containers.iter().filter_map(|name| self.serves.get(name)).collect();
        if services.is_empty() {
            return self.clone();
        }
        let is_in = |scale: &&String| {
            services.iter().any(|service| scale.split('=').next() == Some(service.as_str()))
        };
        Self {
            scale: self.scale.iter().filter(is_in).cloned().collect(),
            services: services.into_iter().cloned().collect(),
            ..self.clone()
        }
    }

    /// What prints a line for each service: its name and the hash of its configuration.
    pub fn hashes(&self) -> Command {
        self.command().args(["config", "--hash", "*"])
    }

    /// What makes its missing containers, networks and volumes, and leaves what is there as it is.
    pub fn create(&self) -> Command {
        let mut command = self.command().args(["up", "--no-start", "--no-recreate", "--no-build"]);
        if self.form == ComposeForm::Plugin {
            command = command.args(["--pull", if self.pull { "missing" } else { "never" }]);
        }
        if !self.services.is_empty() {
            command = command.arg("--no-deps");
        }
        let scale = self.scale.iter().flat_map(|scale| ["--scale", scale]);
        let command = command.args(scale).args(&self.services);
        command.limit(if self.pull { Duration::from_hours(1) } else { Duration::from_mins(5) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_program_that_is_no_python_is_asked_of_itself() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = format!("PATH={}:/usr/bin:/bin", dir.path().display());
        let asked = || {
            let words = Command::new("env").arg(path.clone());
            let command = ComposeForm::Standalone.version();
            crate::run_local(&words.args(command.words().map(ToOwned::to_owned)))
        };
        let program = dir.path().join("docker-compose");
        for first in ["#!/bin/sh", "#!/bin/sh\n# python", "#! /usr/bin/env -S sh -e"] {
            std::fs::write(&program, format!("{first}\necho 1.2.3 \"$@\"\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(asked().unwrap().stdout, b"1.2.3 version --short\n", "{first}");
        }
        // A Python that has no such package, or none that tells a version.
        let python = dir.path().join("python3");
        std::fs::write(&python, "#!/bin/sh\necho nothing known\n").unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let shebang = format!("#!{}", python.display());
        std::fs::write(&program, format!("{shebang}\n# compose.cli\n")).unwrap();
        assert_eq!(asked().unwrap().stdout, b"nothing known\n");
    }

    #[test]
    fn both_forms_are_told_the_same() {
        let mut project = ComposeProject {
            form: ComposeForm::Standalone,
            underscores: true,
            name: "shop".to_owned(),
            directory: "/srv/the shop".into(),
            files: vec!["/srv/the shop/compose.yaml".into()],
            services: vec!["web".to_owned()],
            scale: vec!["web=2".to_owned()],
            pull: false,
            containers: Vec::new(),
            serves: [("shop_web_1".to_owned(), "web".to_owned())].into(),
        };
        assert_eq!(
            project.create().to_string(),
            "docker-compose --project-name shop --project-directory '/srv/the shop' -f '/srv/the shop/compose.yaml' \
             up --no-start --no-recreate --no-build --no-deps --scale web=2 web"
        );
        project.form = ComposeForm::Plugin;
        assert!(
            project.create().to_string().starts_with("docker compose --compatibility --project-name shop ")
        );
        assert!(
            project.create().to_string().ends_with("--no-build --pull never --no-deps --scale web=2 web")
        );
    }
}
