//! Everything that a repository shows, in pieces that can be compared one by one: with damage, each piece must either be what it
//! was, or be an error, or be absent because what it belongs to is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reprise_borg::{Archive, Error, Lock, OpenOptions, Repository};
use secrecy::SecretString;

use super::PASSPHRASE;

/// By what it is about: the repository (an empty name), `archive`, `archive/` (its list of items), `archive/path`, and
/// `archive/path//` (a file's content). What belongs to something begins with its name.
pub type Look = BTreeMap<Vec<u8>, Result<Vec<u8>, Error>>;

/// The repository's id, which nothing protects in one without a key.
pub const ID: &[u8] = b"\0id";

/// Opens the repository without a lock.
pub fn open(repo: &Path, keys: &[PathBuf]) -> Result<Repository, Error> {
    let passphrase = || Ok(Some(SecretString::from(PASSPHRASE)));
    Repository::open(
        repo,
        &OpenOptions { passphrase: &passphrase, keys, lock: Lock::Bypass, ..OpenOptions::default() },
    )
}

/// Opens the repository, lists all archives and their items, and reads all content.
pub fn look(repo: &Path, keys: &[PathBuf]) -> Look {
    match open(repo, keys) {
        Ok(repository) => look_at(&repository),
        Err(error) => Look::from([(Vec::new(), Err(error))]),
    }
}

pub fn look_at(repository: &Repository) -> Look {
    let mut look = Look::new();
    let names: Vec<_> = repository.archives().iter().map(|entry| entry.name.clone()).collect();
    look.insert(ID.to_vec(), Ok(repository.id().to_string().into_bytes()));
    let shown = (repository.encryption(), repository.last_modified(), repository.archives());
    look.insert(Vec::new(), Ok(format!("{shown:?}").into_bytes()));
    for name in names {
        match repository.archive(&name) {
            Ok(archive) => look_into(&archive, &name, &mut look),
            Err(error) => drop(look.insert(name.into_bytes(), Err(error))),
        }
    }
    look
}

fn look_into(archive: &Archive<'_>, name: &str, look: &mut Look) {
    look.insert(name.as_bytes().to_vec(), Ok(format!("{:?}", archive.info()).into_bytes()));
    let mut fault = None;
    for item in archive.items() {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                fault = Some(error);
                continue;
            }
        };
        let mut key = [name.as_bytes(), b"/", &item.path].concat();
        look.insert(key.clone(), Ok(format!("{item:?}").into_bytes()));
        if item.chunks.is_some() {
            key.extend_from_slice(b"//");
            look.insert(key, archive.read_all(&item, 1 << 24));
        }
    }
    look.insert([name.as_bytes(), b"/"].concat(), fault.map_or(Ok(Vec::new()), Err));
}

/// What is wrong with the first thing shown that is neither what it was nor accounted for.
pub fn wrong(found: &Look, truth: &Look) -> Option<String> {
    let shown = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    for (key, value) in found {
        let Ok(value) = value else { continue };
        match truth.get(key) {
            Some(Ok(right)) if right == value => {}
            Some(_) => return Some(format!("{:?} has changed: {}", shown(key), shown(value))),
            None => return Some(format!("{:?} was never there", shown(key))),
        }
    }
    for key in truth.keys().filter(|key| !found.contains_key(*key)) {
        let told = found.iter().any(|(of, value)| value.is_err() && key.starts_with(of));
        if !told {
            return Some(format!("{:?} is gone without a word", shown(key)));
        }
    }
    None
}

/// Whether anything in it is an error.
pub fn tells(found: &Look) -> bool {
    found.values().any(Result::is_err)
}
