//! `REPO::ARCHIVE`, and opening what it names.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reprise_borg::{ArchiveEntry, Lock, OpenOptions, Repository};

use crate::env::Env;
use crate::failure::Failure;
use crate::passphrase;
use crate::ui::one_line;

/// How long to wait for a repository that a backup is being written to, as Borg does.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// An archive as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The repository; nothing for that of `BORG_REPO`.
    pub repository: Option<PathBuf>,
    /// The archive; nothing when only the repository was named.
    pub archive: Option<String>,
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (repository, archive) = match text.split_once("::") {
            Some((_, "")) => return Err("an archive's name is missing after `::`".to_owned()),
            Some((repository, archive)) => (repository, Some(archive.to_owned())),
            None => (text, None),
        };
        let repository = local(repository).ok_or(ELSEWHERE)?;
        Ok(Self { repository: Some(repository).filter(|r| !r.is_empty()).map(PathBuf::from), archive })
    }
}

/// What is said of repositories on other hosts.
const ELSEWHERE: &str =
    "repositories on other hosts are not read yet; mount it, or run this there; ./A:B is a directory here";

/// `text` without `file://`, if it names a directory of this host: as for Borg, what has a colon before its first
/// slash does not.
fn local(text: &str) -> Option<&str> {
    let first = text.split('/').next().unwrap_or_default();
    text.strip_prefix("file://").or_else(|| Some(text).filter(|_| !first.contains(':')))
}

/// The repository at `path`, or that of `BORG_REPO`, as an absolute path. Whichever way it was named, it is
/// held to the same rules as a [`Location`].
pub fn path(path: Option<&Path>, env: &Env) -> Result<PathBuf, Failure> {
    let path = path.or(env.borg_repo.as_deref()).ok_or_else(|| {
        Failure::new("no repository was named").hint("write REPO::ARCHIVE, or set BORG_REPO")
    })?;
    let path = match path.to_str() {
        Some(text) => {
            let (repository, archive) = text.split_once("::").map_or((text, None), |(r, a)| (r, Some(a)));
            let repository = local(repository).ok_or_else(|| Failure::new(ELSEWHERE))?;
            if let Some(archive) = archive {
                let what = format!("`{}` names an archive, and this takes a repository", one_line(text));
                return Err(Failure::new(what).hint(format!("leave out `::{}`", one_line(archive))));
            }
            Path::new(repository)
        }
        None => path,
    };
    // Scripts change directory before they call borg.
    Ok(std::path::absolute(path)?)
}

/// Opens the repository at `path`, locked against writers.
pub fn open(path: &Path, env: &Env) -> Result<Repository, reprise_borg::Error> {
    let options = OpenOptions {
        passphrase: &passphrase::find,
        keys: &env.borg_keys,
        lock: Lock::Shared { wait: LOCK_WAIT },
        host_id: env.borg_host_id.as_deref(),
        ..OpenOptions::default()
    };
    Repository::open(path, &options)
}

/// Opens the repository of `location` and names the archive: the newest, unless another is given.
pub fn open_archive(location: &Location, env: &Env) -> Result<(Repository, String), Failure> {
    let repository = open(&path(location.repository.as_deref(), env)?, env)?;
    let name = entry(&repository, location.archive.as_deref().unwrap_or("latest"))?.name.clone();
    Ok((repository, name))
}

/// The entry called `name`; `latest` is the newest that is whole, unless an archive is called so.
pub fn entry<'r>(repository: &'r Repository, name: &str) -> Result<&'r ArchiveEntry, Failure> {
    let archives = repository.archives();
    let by_name = archives.iter().find(|entry| entry.name == name);
    let newest = || archives.iter().rev().find(|entry| !entry.checkpoint).filter(|_| name == "latest");
    by_name.or_else(newest).ok_or_else(|| {
        let what = if archives.is_empty() {
            "the repository holds no archive yet".to_owned()
        } else {
            format!("there is no archive `{name}`")
        };
        Failure::new(what).hint(format!("`reprise archives {}` lists them", repository.path().display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_read_as_borg_reads_them() {
        let location: Location = "/backup/borg::nightly-2026".parse().unwrap();
        assert_eq!(location.repository.as_deref(), Some(Path::new("/backup/borg")));
        assert_eq!(location.archive.as_deref(), Some("nightly-2026"));
        assert_eq!("::latest".parse::<Location>().unwrap().repository, None);
        assert!("/backup::".parse::<Location>().is_err());
        assert!("ssh://host/repo::a".parse::<Location>().is_err());
        assert!("host:repo::a".parse::<Location>().is_err());
        assert!("user@host:/repo::a".parse::<Location>().is_err());
        assert!("ssh://[::1]/repo::a".parse::<Location>().is_err());
        let location: Location = "file:///backup/a:b::c".parse().unwrap();
        assert_eq!(location.repository.as_deref(), Some(Path::new("/backup/a:b")));
    }

    #[test]
    fn a_directory_with_a_colon_is_of_this_host_behind_a_slash() {
        assert_eq!(local("./a:b"), Some("./a:b"));
        assert_eq!(local("/a:b"), Some("/a:b"));
        assert_eq!(local("file:///a"), Some("/a"));
        assert_eq!(local("host:/a"), None);
        assert_eq!(local("sftp://host/a"), None);
    }
}
