//! Where the key blob is: in the repository's config, or in a key file.

use std::fs;
use std::path::PathBuf;

use crate::{Error, Id};

/// What a passphrase provider may fail with.
pub type PassphraseError = Box<dyn std::error::Error + Send + Sync>;

/// First words of a key file, before the id of its repository.
const KEY_FILE: &str = "BORG_KEY ";
/// Larger files in a directory of keys are something else.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Where to look for the key.
pub(crate) struct KeySource<'a> {
    pub repository_id: Id,
    /// The `key` of the repository's config.
    pub in_config: Option<&'a str>,
    /// Key files, or directories of them.
    pub paths: &'a [PathBuf],
}

/// The base64 text of the repository's key.
pub(crate) fn find(keyfile: bool, source: &KeySource<'_>) -> Result<String, Error> {
    if let Some(key) = source.in_config.filter(|_| !keyfile) {
        return Ok(key.to_owned());
    }
    // Borg keeps other modes' keys in the repository alone; an exported copy of one is as good.
    let mut candidates = Vec::new();
    for path in source.paths {
        if path.is_dir() {
            let entries = fs::read_dir(path).map_err(Error::read(path))?;
            candidates.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        } else {
            candidates.push(path.clone());
        }
    }
    candidates.sort();
    let wanted = source.repository_id.to_string();
    for path in candidates {
        if !fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= MAX_KEY_FILE) {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if let Some((first, key)) = text.split_once('\n')
            && first.strip_prefix(KEY_FILE).is_some_and(|id| id.trim() == wanted)
        {
            return Ok(key.to_owned());
        }
    }
    Err(Error::Key {
        reason: if keyfile {
            format!("no key file for repository {wanted} was found")
        } else {
            "the repository's config holds no key".into()
        },
    })
}
