//! What repositories were when they were last seen, so that one that was swapped for a weaker one is noticed.
//!
//! An unencrypted repository proves nothing: who can write to it can forge it, and who can write where an encrypted one
//! lies can put one in its place. Borg remembers each repository in its security directory for that; this is the same, a small
//! file for each, of our own.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::crypto::Encryption;
use crate::{Error, Id};

/// What is larger is no record of ours.
const LARGEST: u64 = 64 << 10;
const ENDING: &str = "json";

/// A repository as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub id: Id,
    pub location: &'a str,
    pub encryption: Encryption,
}

/// A repository as it was.
#[derive(Debug, Clone)]
struct Record {
    file: PathBuf,
    id: Id,
    location: String,
    encryption: Encryption,
    modified: String,
}

/// Where repositories are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory<'a>(pub &'a Path);

impl Memory<'_> {
    /// Whether `now` is at least what was known of it, by its id and by its place.
    ///
    /// # Errors
    /// [`Error::Downgraded`] if it is not.
    pub fn check(self, now: Seen<'_>) -> Result<(), Error> {
        let same = |record: &Record| record.id == now.id || record.location == now.location;
        let weaker = |record: &Record| strength(now.encryption) < strength(record.encryption);
        match self.records().find(|record| same(record) && weaker(record)) {
            Some(record) => Err(Error::Downgraded {
                location: now.location.to_owned(),
                was: record.encryption,
                now: now.encryption,
                record: record.file,
            }),
            None => Ok(()),
        }
    }

    /// Remembers `now`, last written to at `modified`. Returns when it was last written to as far as is known, if that
    /// is later. Not being able to remember is no error.
    pub fn remember(self, now: Seen<'_>, modified: &str) -> Option<String> {
        let file = self.0.join(format!("{}.{ENDING}", now.id));
        let before = Record::read(&file);
        let later = before.as_ref().map(|record| &record.modified).filter(|known| known.as_str() > modified);
        let latest = later.map_or(modified, String::as_str);
        let is_known = before.as_ref().is_some_and(|record| {
            record.location == now.location
                && record.encryption == now.encryption
                && record.modified == latest
        });
        if !is_known {
            let record = json!({
                "location": now.location, "encryption": now.encryption.name(), "modified": latest,
            });
            let _ = self.write(&file, &record);
        }
        later.cloned()
    }

    fn records(self) -> impl Iterator<Item = Record> {
        let entries = fs::read_dir(self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| Record::read(&entry.path()))
    }

    fn write(self, file: &Path, record: &Value) -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.0)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        // Whoever reads sees the whole of it or what was there before.
        let unfinished = file.with_extension(format!("{:016x}", u64::from_le_bytes(random)));
        let written = File::create_new(&unfinished)
            .and_then(|mut opened| opened.write_all(format!("{record:#}\n").as_bytes()))
            .and_then(|()| fs::rename(&unfinished, file));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }
}

impl Record {
    fn read(file: &Path) -> Option<Self> {
        if file.extension()? != ENDING {
            return None;
        }
        let id = Id::from_hex(file.file_stem()?.to_str()?)?;
        let mut text = String::new();
        File::open(file).ok()?.take(LARGEST).read_to_string(&mut text).ok()?;
        let record: Value = serde_json::from_str(&text).ok()?;
        let field = |name: &str| record.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            file: file.to_owned(),
            id,
            location: field("location")?,
            encryption: Encryption::from_name(&field("encryption")?)?,
            modified: field("modified")?,
        })
    }
}

/// Who can read it and who can forge it. Where a key lies, and which hash is used, may change for good reasons.
fn strength(encryption: Encryption) -> u8 {
    match encryption {
        Encryption::None => 0,
        Encryption::Authenticated | Encryption::AuthenticatedBlake2 => 1,
        _ => 2,
    }
}
