//! Archives that are made and removed again: by the real `borg`, as nothing here writes to repositories.

use std::path::PathBuf;
use std::time::Duration;

use reprise_borg::{Error, PassphraseError};
use reprise_engine::SourceError;
use reprise_host::{Command, Error as HostError, Output, run_local, run_local_unless};
use reprise_model::Observer;
use secrecy::{ExposeSecret, SecretString};

use super::{BorgArchive, source_error};

/// What archives of what was there before a restore are called, up to the operation's id.
pub const BEFORE: &str = "reprise-before-";

/// The passphrase, from wherever it comes.
pub type Passphrase<'a> = &'a (dyn Fn() -> Result<Option<SecretString>, PassphraseError> + Send + Sync);

/// How long it waits for others that use the repository, in seconds.
pub(super) const LOCK_WAIT: &str = "300";

/// How long it may take.
pub(super) const LIMIT: Duration = Duration::from_hours(24);

/// What the names of archives that borg has not finished go on with.
pub(super) const UNFINISHED: &str = ".checkpoint";

/// By which it is told how a borg ended, whatever somebody has chosen for other runs of it.
pub(super) const EXIT_CODES: &str = "BORG_EXIT_CODES=legacy";

/// The command that makes the archive `name` of `paths`. Files that it knows by name and time are read all the same: who
/// restores has a reason to doubt them.
pub fn create(repository: &str, name: &str, paths: &[PathBuf], except: &[PathBuf]) -> Command {
    Command::new("borg").args(create_args(repository, name, paths, except))
}

/// Fails with the reason where the `borg` of this machine cannot make archives of what lies here, or `elsewhere`.
pub fn makes_archives(elsewhere: bool) -> Result<(), String> {
    let said = run_local(&Command::new("borg").arg("--version")).map_err(|error| error.to_string())?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    match numbers(&version) {
        Some((1, minor)) if elsewhere && minor < 2 => {
            Err(format!("{version} has no import-tar, which came with 1.2"))
        }
        // What cannot be read is trusted.
        Some((1, _)) | None => Ok(()),
        Some(_) => Err(format!("{version} does not write to repositories of Borg 1")),
    }
}

/// The first two numbers of what a borg calls itself, as in `borg 1.2.4`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("borg ")?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn create_args(repository: &str, name: &str, paths: &[PathBuf], except: &[PathBuf]) -> Vec<String> {
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut args = ["create", "--lock-wait", LOCK_WAIT, "--numeric-ids", "--files-cache", "disabled"]
        .map(str::to_owned)
        .to_vec();
    args.extend(except.iter().flat_map(|path| ["--exclude".to_owned(), format!("pp:{}", text(path))]));
    args.extend(["--".to_owned(), format!("{repository}::{name}")]);
    args.extend(paths.iter().map(text));
    args
}

impl BorgArchive<'_> {
    pub(super) fn archives_called(&self, name: &str) -> Result<Vec<String>, SourceError> {
        let repository = self.repository()?;
        let unfinished = format!("{name}{UNFINISHED}");
        let names = repository.archives().iter().map(|entry| entry.name.clone());
        Ok(names.filter(|found| found == name || found.starts_with(&unfinished)).collect())
    }

    pub(super) fn make(
        &self,
        name: &str,
        paths: &[PathBuf],
        except: &[PathBuf],
        observer: &dyn Observer,
    ) -> Result<Vec<String>, SourceError> {
        self.run(create_args(&self.location, name, paths, except), observer)
    }

    pub(super) fn remove(&self, names: &[String], observer: &dyn Observer) -> Result<(), SourceError> {
        let Some((first, others)) = names.split_first() else { return Ok(()) };
        let mut delete = ["delete", "--lock-wait", LOCK_WAIT, "--"].map(str::to_owned).to_vec();
        delete.push(format!("{}::{first}", self.location));
        delete.extend_from_slice(others);
        self.run(delete, observer).map(drop)
    }

    pub(super) fn rename(&self, from: &str, to: &str, observer: &dyn Observer) -> Result<(), SourceError> {
        let archive = format!("{}::{from}", self.location);
        let rename = ["rename", "--lock-wait", LOCK_WAIT, "--", &archive, to].map(str::to_owned);
        self.run(rename.to_vec(), observer).map(drop)
    }

    /// Runs a borg that writes to the repository, which is not read meanwhile. Returns what it warned of.
    fn run(&self, args: Vec<String>, observer: &dyn Observer) -> Result<Vec<String>, SourceError> {
        let secret = self.secret()?;
        // It waits until nobody reads; opened anew, it is seen as it is then.
        self.close();
        // Where it finds none to read there, it says that it needs one instead of asking.
        let command = Command::new("env").args(["BORG_PASSPHRASE_FD=0", EXIT_CODES, "borg"]).args(args);
        remarks(run_local_unless(&|| observer.cancelled(), &command.limit(LIMIT).input(secret)))
    }

    /// What borg is to read as its passphrase.
    pub(super) fn secret(&self) -> Result<Vec<u8>, SourceError> {
        let passphrase = (self.passphrase)().map_err(|error| source_error(&Error::Passphrase(error)))?;
        Ok(passphrase.map_or_else(Vec::new, |it| it.expose_secret().as_bytes().to_vec()))
    }
}

/// What a borg that ended like that warned of.
pub(super) fn remarks(ended: Result<Option<Output>, HostError>) -> Result<Vec<String>, SourceError> {
    match ended {
        Ok(Some(_)) => Ok(Vec::new()),
        Ok(None) => Err(SourceError::Cancelled),
        // Done, but for something.
        Err(HostError::Command { status, message, .. }) if status == "exit status 1" => {
            Ok(message.lines().map(ToOwned::to_owned).collect())
        }
        Err(error) => Err(unwritable(error)),
    }
}

pub(super) fn unwritable(error: HostError) -> SourceError {
    SourceError::Unwritable {
        message: error.to_string(),
        hint: Some("does `borg` itself get on with that repository, as this user?".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_borg_it_is_is_told_by_what_it_calls_itself() {
        assert_eq!(numbers("borg 1.1.18"), Some((1, 1)));
        assert_eq!(numbers("borg 1.10.0"), Some((1, 10)));
        assert_eq!(numbers("borg 2.0.0b20"), Some((2, 0)));
        assert_eq!(numbers("something else"), None);
    }
}
