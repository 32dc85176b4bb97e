//! All the compose files a project is made of: the one that is found, what is laid over it, what it includes and
//! extends, and what `COMPOSE_FILE` in its `.env` names instead.

use std::collections::{BTreeMap, BTreeSet};

use reprise_engine::SourceError;

use super::compose::{ComposeFile, Interpolated, Variables, read_with};
use super::layout::override_of;
use crate::backup::Backup;

/// No compose file is larger; what is, is something else.
const TEXT_LIMIT: u64 = 1 << 20;

/// Files that lead to files that lead to files: more of them are not followed.
const DEPTH: usize = 8;

/// One compose file of a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProjectFile {
    /// Its path in the project's directory.
    pub name: String,
    /// The directory that relative paths in it count from, in the project's directory; empty for that itself.
    pub base: String,
}

/// The texts of the compose files and `.env`s of some projects, by their paths in the backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    by_path: BTreeMap<String, String>,
    /// Those that are no text as a whole: what could be read of them must not be written back.
    mangled: BTreeSet<String>,
    /// By directory, the files that somebody has named to Compose: it does not look for others.
    named: BTreeMap<String, Vec<String>>,
}

impl Texts {
    /// Reads those of `projects`, each a directory and the compose file found in it, from `backup`.
    pub(super) fn read(projects: &[(&str, &str)], backup: &dyn Backup) -> Result<Self, SourceError> {
        Self::default().follow(projects, backup)
    }

    /// Reads those of the project in `directory`, of which Compose was given the files `named`, if it was.
    pub(super) fn read_named(
        directory: &str,
        main: &str,
        named: &[String],
        backup: &dyn Backup,
    ) -> Result<Self, SourceError> {
        let mut texts = Self::default();
        if !named.is_empty() {
            texts.named.insert(directory.to_owned(), named.to_vec());
        }
        texts.follow(&[(directory, main)], backup)
    }

    fn follow(mut self, projects: &[(&str, &str)], backup: &dyn Backup) -> Result<Self, SourceError> {
        let texts = &mut self;
        let mut asked: BTreeSet<String> =
            projects.iter().map(|(directory, _)| format!("{directory}/.env")).collect();
        let mut wanted = asked.clone();
        for _ in 0..DEPTH {
            let named = projects.iter().flat_map(|(directory, main)| {
                texts.files(directory, main).into_iter().map(move |file| format!("{directory}/{}", file.name))
            });
            wanted.extend(named.filter(|path| asked.insert(path.clone())).collect::<Vec<_>>());
            if wanted.is_empty() {
                break;
            }
            let found = backup.read(&std::mem::take(&mut wanted), TEXT_LIMIT)?;
            for (path, text) in found {
                let text = String::from_utf8(text).unwrap_or_else(|error| {
                    texts.mangled.insert(path.clone());
                    String::from_utf8_lossy(error.as_bytes()).into_owned()
                });
                texts.by_path.insert(path, text);
            }
        }
        Ok(self)
    }

    /// The text at `name` in `directory`.
    pub(super) fn get(&self, directory: &str, name: &str) -> Option<&str> {
        self.by_path.get(&format!("{directory}/{name}")).map(String::as_str)
    }

    /// The same, if all of it is text and may be changed as such.
    pub(super) fn editable(&self, directory: &str, name: &str) -> Option<&str> {
        self.get(directory, name).filter(|_| !self.mangled.contains(&format!("{directory}/{name}")))
    }

    /// The text at `path`, made up.
    #[cfg(test)]
    pub(super) fn insert(&mut self, path: &str, text: &str) {
        self.by_path.insert(path.to_owned(), text.to_owned());
    }

    /// The variables of the `.env` in `directory`.
    pub(super) fn variables(&self, directory: &str) -> Variables {
        self.get(directory, ".env").map(Variables::from_dot_env).unwrap_or_default()
    }

    /// The compose files of the project in `directory`, whether they are there or not: first those that Compose reads by
    /// itself, `main` the first of them unless `.env` names others, then those they lead to.
    pub(super) fn files(&self, directory: &str, main: &str) -> Vec<ProjectFile> {
        let variables = self.variables(directory);
        let named: Vec<String> =
            self.given(directory, main).iter().filter_map(|path| within("", path)).collect();
        let first = if named.is_empty() { found_by_itself(main) } else { named };
        // All of the first ones count from where the first of them lies.
        let base = directory_of(&first[0]).to_owned();
        let mut files: Vec<ProjectFile> =
            first.into_iter().map(|name| ProjectFile { name, base: base.clone() }).collect();
        let mut at = 0;
        while let Some(file) = files.get(at).cloned() {
            at += 1;
            let Some(compose) = self.parsed(directory, &file.name, &variables) else { continue };
            for path in leads_to(&compose) {
                let Some(name) = within(&file.base, path) else { continue };
                let base = directory_of(&name).to_owned();
                if files.iter().all(|known| known.name != name) && files.len() < 64 {
                    files.push(ProjectFile { name, base });
                }
            }
        }
        files
    }

    /// The files that Compose reads by itself, whether they are there or not, as they were named to it: some may lie
    /// outside of the project.
    pub(super) fn given(&self, directory: &str, main: &str) -> Vec<String> {
        let variables = self.variables(directory);
        let of_environment = || {
            let list = variables.get("COMPOSE_FILE")?;
            let separator =
                variables.get("COMPOSE_PATH_SEPARATOR").filter(|it| !it.is_empty()).unwrap_or(":");
            Some(list.split(separator).filter(|it| !it.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>())
        };
        let named = self.named.get(directory).cloned().or_else(of_environment);
        named.filter(|named| !named.is_empty()).unwrap_or_else(|| found_by_itself(main))
    }

    /// Those of them that Compose can be named: what is laid over the first file only if the backup has it.
    pub(super) fn present(&self, directory: &str, main: &str) -> Vec<String> {
        let mut given = self.given(directory, main);
        if given == found_by_itself(main) {
            given.retain(|name| name == main || self.get(directory, name).is_some());
        }
        given
    }

    /// What the files say that the services of the project stand in: those that Compose reads by itself and those that
    /// they include. Nothing when one of them cannot be read, or lies where paths in it count from elsewhere than from
    /// the project's directory.
    pub(super) fn services(&self, directory: &str, main: &str) -> Option<Vec<ComposeFile>> {
        let variables = self.variables(directory);
        let by_itself = found_by_itself(main);
        let mut open: Vec<String> = self.given(directory, main);
        let is_optional = open == by_itself;
        if !directory_of(&within("", open.first()?)?).is_empty() {
            return None;
        }
        let (mut read, mut at) = (Vec::new(), 0);
        while let Some(given) = open.get(at).cloned() {
            let name = within("", &given)?;
            // What is laid over the first file is there or not.
            if !(is_optional && at == 1 && self.get(directory, &name).is_none()) {
                let compose = self.parsed(directory, &name, &variables)?;
                let base = directory_of(&name).to_owned();
                for path in compose.includes.iter().map(|path| path.known()) {
                    let included = within(&base, path?)?;
                    if !open.contains(&included) {
                        open.push(included);
                    }
                }
                read.push(compose);
            }
            at += 1;
        }
        Some(read)
    }

    /// What a compose file says, if it is there and can be read.
    pub(super) fn parsed(&self, directory: &str, name: &str, variables: &Variables) -> Option<ComposeFile> {
        read_with(self.get(directory, name)?, variables).ok()
    }
}

fn found_by_itself(main: &str) -> Vec<String> {
    [Some(main.to_owned()), override_of(main)].into_iter().flatten().collect()
}

/// The files that `compose` includes or extends services of, as it names them.
fn leads_to(compose: &ComposeFile) -> impl Iterator<Item = &str> {
    let extended = compose.services.values().filter_map(|service| service.extends.as_ref()?.file.as_ref());
    compose.includes.iter().chain(extended).filter_map(Interpolated::known)
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// `path`, which counts from `base`, without `.` and `..`; nothing when it leads out of the project.
pub(super) fn within(base: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with(['/', '~']) || path.contains("://") {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(&str, &str)]) -> Texts {
        let mut texts = Texts::default();
        for (name, text) in files {
            texts.insert(&format!("srv/{name}"), text);
        }
        texts
    }

    fn names(texts: &Texts) -> Vec<(String, String)> {
        let files = texts.files("srv", "compose.yaml").into_iter();
        files.map(|file| (file.name, file.base)).collect()
    }

    fn expect(texts: &Texts, wanted: &[(&str, &str)]) {
        let wanted: Vec<_> = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(names(texts), wanted);
    }

    #[test]
    fn a_project_has_its_file_and_what_is_laid_over_it() {
        expect(&texts(&[]), &[("compose.yaml", ""), ("compose.override.yaml", "")]);
    }

    #[test]
    fn the_environment_names_other_files() {
        let named = texts(&[(".env", "COMPOSE_FILE=compose.yaml:./ops/prod.yaml:/etc/x.yaml\n")]);
        expect(&named, &[("compose.yaml", ""), ("ops/prod.yaml", "")]);
        let separated = texts(&[(".env", "COMPOSE_PATH_SEPARATOR=;\nCOMPOSE_FILE=ops/a.yaml;ops/b.yaml\n")]);
        expect(&separated, &[("ops/a.yaml", "ops"), ("ops/b.yaml", "ops")]);
    }

    #[test]
    fn what_was_named_to_compose_is_named_to_it_again() {
        let mut found = texts(&[("compose.yaml", "services: {a: {image: x}}\n")]);
        assert_eq!(found.present("srv", "compose.yaml"), ["compose.yaml"]);
        found.insert("srv/compose.override.yaml", "services: {a: {image: y}}\n");
        assert_eq!(found.present("srv", "compose.yaml"), ["compose.yaml", "compose.override.yaml"]);
        found.named.insert("srv".to_owned(), vec!["compose.yaml".to_owned(), "/etc/x.yaml".to_owned()]);
        assert_eq!(found.present("srv", "compose.yaml"), ["compose.yaml", "/etc/x.yaml"]);
        assert!(found.services("srv", "compose.yaml").is_none(), "nobody knows what is in the second");
    }

    #[test]
    fn services_stand_in_what_is_laid_over_and_included_and_not_in_what_is_extended() {
        let main = "include: [sub/more.yaml]\nservices:\n  a:\n    extends: {file: base.yaml, service: b}\n";
        let found = texts(&[
            ("compose.yaml", main),
            ("compose.override.yaml", "services: {o: {image: x}}\n"),
            ("sub/more.yaml", "services: {m: {image: x, deploy: {replicas: 3}}}\n"),
            ("base.yaml", "services: {b: {image: x}}\n"),
        ]);
        let services = found.services("srv", "compose.yaml").unwrap();
        let names: Vec<&str> =
            services.iter().flat_map(|file| file.services.keys().map(String::as_str)).collect();
        assert_eq!(names, ["a", "o", "m"]);
        assert_eq!(services[2].services["m"].replicas.as_ref().and_then(|it| it.known()), Some("3"));
        let elsewhere = texts(&[(".env", "COMPOSE_FILE=ops/a.yaml\n"), ("ops/a.yaml", "services: {}\n")]);
        assert!(elsewhere.services("srv", "compose.yaml").is_none());
    }

    #[test]
    fn included_and_extended_files_count_from_where_they_lie() {
        let main = "include: [sub/more.yaml]\nservices:\n  a:\n    extends: {file: ./common/base.yaml, service: b}\n";
        let base = "services:\n  b:\n    extends: {file: ../../outside.yaml, service: c}\n";
        let more = "services:\n  c:\n    extends: {file: ../common/base.yaml, service: b}\n";
        let found = texts(&[("compose.yaml", main), ("common/base.yaml", base), ("sub/more.yaml", more)]);
        let wanted = [
            ("compose.yaml", ""),
            ("compose.override.yaml", ""),
            ("sub/more.yaml", "sub"),
            ("common/base.yaml", "common"),
        ];
        expect(&found, &wanted);
    }
}
