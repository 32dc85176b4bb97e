//! `REPO::ARCHIVE`, and opening what it names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use reprise_borg::{ArchiveEntry, OpenOptions, Repository, Server, Shell};
use reprise_model::Message;
use reprise_recipes::borg::BEFORE;

use crate::env::Env;
use crate::failure::Failure;
use crate::passphrase;
use crate::ui::{Ui, one_line};

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this directory; absolute once it is to be used, as scripts change directory before they call borg.
    Here(PathBuf),
    /// On a server.
    There(Server),
}

impl Place {
    /// What `text` names, as Borg reads it: what has a colon before its first slash is on a server.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Server::parse(text) {
            Some(Ok(server)) => Ok(Self::There(server)),
            Some(Err(reason)) => {
                Err(format!("`{}` names no repository: {reason}; ./A:B is a directory here", one_line(text)))
            }
            None => Ok(Self::Here(PathBuf::from(text.strip_prefix("file://").unwrap_or(text)))),
        }
    }

    /// Its directory, if it is on this machine.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Here(path) => Some(path),
            Self::There(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(path) => path.display().fmt(f),
            Self::There(server) => server.fmt(f),
        }
    }
}

/// An archive as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The repository; nothing for that of `BORG_REPO`.
    pub repository: Option<Place>,
    /// The archive; nothing when only the repository was named.
    pub archive: Option<String>,
}

/// As it can be written.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(repository) = &self.repository {
            repository.fmt(f)?;
        }
        match &self.archive {
            Some(archive) => write!(f, "::{archive}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (repository, archive) = split(text);
        if archive.is_some_and(str::is_empty) {
            return Err("an archive's name is missing after `::`".to_owned());
        }
        let repository = match repository {
            "" => None,
            repository => Some(Place::parse(repository)?),
        };
        Ok(Self { repository, archive: archive.map(str::to_owned) })
    }
}

/// A repository alone, as the command line names it.
impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match split(text) {
            (repository, Some(archive)) if !repository.is_empty() => {
                let (text, archive) = (one_line(text), one_line(archive));
                Err(format!(
                    "`{text}` names an archive, and this takes a repository: leave out `::{archive}`"
                ))
            }
            _ => Self::parse(text),
        }
    }
}

/// The repository and, behind `::`, the archive, which has no slash in its name.
fn split(text: &str) -> (&str, Option<&str>) {
    let archive = text.match_indices("::").find(|(at, _)| !text[*at..].contains('/'));
    archive.map_or((text, None), |(at, _)| (&text[..at], Some(&text[at + 2..])))
}

/// The repository `given`, or that of `BORG_REPO`.
pub fn place(given: Option<&Place>, env: &Env) -> Result<Place, Failure> {
    let given = match (given, &env.borg_repo) {
        (Some(place), _) => place.clone(),
        (None, Some(text)) => match text.to_str() {
            Some(text) => {
                text.parse().map_err(|error| Failure::new(format!("BORG_REPO is of no use: {error}")))?
            }
            None => Place::Here(text.clone()),
        },
        (None, None) => {
            return Err(Failure::new("no repository was named").hint("write REPO::ARCHIVE, or set BORG_REPO"));
        }
    };
    Ok(match given {
        Place::Here(path) => Place::Here(std::path::absolute(path)?),
        there @ Place::There(_) => there,
    })
}

/// Opens the repository at `place`, locked against writers unless that is not wanted.
pub fn open(place: &Place, env: &Env) -> Result<Repository, reprise_borg::Error> {
    let known = env.state_dir.join("repositories");
    let options = OpenOptions {
        known: Some(&known),
        passphrase: &passphrase::find,
        keys: &env.borg_keys,
        lock: env.lock,
        host_id: env.borg_host_id.as_deref(),
        interrupt: Some(Arc::clone(&env.stop)),
        ..OpenOptions::default()
    };
    let repository = match place {
        Place::Here(path) => Repository::open(path, &options)?,
        Place::There(server) => {
            let mut shell = Shell::default();
            if let Some(ssh) = &env.borg_rsh {
                shell.ssh.clone_from(ssh);
            }
            if let Some(borg) = &env.borg_remote_path {
                shell.borg.clone_from(borg);
            }
            Repository::connect(server, &shell, &options)?
        }
    };
    if let Some(then) = repository.seen_later() {
        let older = Message::new("repository-older").text("then", utc(then));
        Ui::warn(&Ui::new(env, false).text(&older.text("now", utc(repository.last_modified()))));
    }
    Ok(repository)
}

/// Borg records UTC without saying so.
pub fn utc(time: &str) -> String {
    let seconds = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    format!("{seconds}Z")
}

/// Opens the repository of `location` and names the archive: the newest, unless another is given.
pub fn open_archive(location: &Location, env: &Env) -> Result<(Repository, String), Failure> {
    let repository = open(&place(location.repository.as_ref(), env)?, env)?;
    let name = entry(&repository, location.archive.as_deref().unwrap_or("latest"))?.name.clone();
    Ok((repository, name))
}

/// Whether it is what a restore put aside (`--backup-before`): no backup, as it holds what was to be got rid of.
pub fn is_put_aside(entry: &ArchiveEntry) -> bool {
    entry.name.starts_with(BEFORE)
}

fn is_backup(entry: &ArchiveEntry) -> bool {
    !entry.checkpoint && !is_put_aside(entry)
}

/// The entry called `name`; `latest` is the newest backup that is whole, unless an archive is called so.
pub fn entry<'r>(repository: &'r Repository, name: &str) -> Result<&'r ArchiveEntry, Failure> {
    let archives = repository.archives();
    let by_name = archives.iter().find(|entry| entry.name == name);
    let newest = || archives.iter().rev().find(|entry| is_backup(entry)).filter(|_| name == "latest");
    by_name.or_else(newest).ok_or_else(|| {
        let what = if archives.is_empty() {
            "the repository holds no archive yet".to_owned()
        } else {
            format!("there is no archive `{}`", one_line(name))
        };
        let list = format!("`reprise archives {}` lists them", one_line(repository.location()));
        let near = like(name, archives.iter().map(|entry| entry.name.as_str()));
        Failure::new(what).hint(if near.is_empty() {
            list
        } else {
            let near: Vec<String> = near.iter().map(|name| format!("`{}`", one_line(name))).collect();
            format!("did you mean {}? {list}", near.join(" or "))
        })
    })
}

/// The names most like `name`, the best first; of equals the newest.
fn like<'n>(name: &str, names: impl DoubleEndedIterator<Item = &'n str>) -> Vec<&'n str> {
    const NEAR: f64 = 0.7;
    const SHOWN: usize = 3;
    let wanted = name.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let by_letters = strsim::normalized_damerau_levenshtein(&wanted, &name);
        // A beginning is what people remember.
        if !wanted.is_empty() && name.contains(&wanted) { by_letters.max(NEAR) } else { by_letters }
    };
    let mut near: Vec<(f64, &str)> = names.rev().map(|name| (likeness(name), name)).collect();
    near.retain(|(likeness, _)| *likeness >= NEAR);
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    near.into_iter().map(|(_, name)| name).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(path: &str) -> Place {
        Place::Here(PathBuf::from(path))
    }

    #[test]
    fn locations_read_as_borg_reads_them() {
        let location = |text: &str| text.parse::<Location>().unwrap();
        assert_eq!(location("/backup/borg::nightly-2026").repository, Some(here("/backup/borg")));
        assert_eq!(location("/backup/borg::nightly-2026").archive.as_deref(), Some("nightly-2026"));
        assert_eq!(location("::latest").repository, None);
        assert_eq!(location("/backup/borg").archive, None);
        assert_eq!(location("file:///backup/a:b::c").repository, Some(here("/backup/a:b")));
        assert_eq!(location("./a:b").repository, Some(here("./a:b")));
        for (text, archive) in [
            ("ssh://host/repo::a", Some("a")),
            ("host:repo::a", Some("a")),
            ("user@host:/repo", None),
            ("ssh://[::1]/repo", None),
            ("ssh://[::1]:22/repo::a::b", Some("a::b")),
        ] {
            let location = location(text);
            assert!(matches!(location.repository, Some(Place::There(_))), "{text}");
            assert_eq!(location.archive.as_deref(), archive, "{text}");
        }
    }

    #[test]
    fn what_names_no_repository_is_refused() {
        for text in ["/backup::", "sftp://host/a::b", "ssh://host::a", "ssh://-oProxyCommand=x/a"] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        assert!("/backup/borg::a".parse::<Place>().is_err());
        assert!("/backup/borg".parse::<Place>().is_ok());
    }

    #[test]
    fn names_that_are_mistyped_are_told_from_others() {
        let all = ["web-2026-01-01", "web-2026-01-02", "db-2026-01-02", "Nightly"];
        let like = |name| like(name, all.into_iter());
        assert_eq!(like("web-2026-01-03")[..2], ["web-2026-01-02", "web-2026-01-01"]);
        assert_eq!(like("nightyl"), ["Nightly"]);
        assert_eq!(like("db"), ["db-2026-01-02"]);
        assert!(like("something else").is_empty());
    }
}
