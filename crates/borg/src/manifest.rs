//! The manifest: which archives there are. It stands at an id of its own, so its authenticity rests on its
//! authentication code alone.

use crate::crypto::{Authenticity, Key, authenticate};
use crate::msgpack::{Fault, Reader, each_field};
use crate::{Error, Id};

/// An archive, as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveEntry {
    /// Unique in the repository. Bytes that are no UTF-8 are shown as U+FFFD.
    pub name: String,
    /// Of its metadata. Never changes, and never means anything else.
    pub id: Id,
    /// When the backup began, in UTC, as recorded: ISO 8601 without a zone, for example `2024-03-01T12:00:00.123456`.
    pub time: String,
    /// True for what an interrupted `borg create` left behind: an archive that ends somewhere in between.
    pub checkpoint: bool,
}

/// The manifest's content.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub archives: Vec<ArchiveEntry>,
    pub timestamp: String,
    pub authenticated: bool,
}

impl Manifest {
    /// Reads and authenticates the manifest's plain text.
    pub fn parse(key: &Key, packed: &[u8]) -> Result<Self, Error> {
        let failed = |reason: &str| Error::Manifest { reason: reason.into() };
        // Borg 2 and later begin theirs with a byte that msgpack never uses.
        if packed.starts_with(&[0xc1; 4]) {
            return Err(Error::Unsupported { what: "its manifest was written by a newer Borg".into() });
        }
        let authenticated = match authenticate(key, "manifest", packed) {
            Ok(Authenticity::Verified) => true,
            Ok(Authenticity::Absent) if !key.tam_required() => false,
            Ok(Authenticity::Absent) => return Err(failed("it carries no authentication code, but must")),
            Ok(Authenticity::Invalid) => return Err(failed("its authentication code is wrong")),
            Err(fault) => return Err(failed(&format!("it is malformed: {fault}"))),
        };
        let mut parsed = Parsed::default();
        parsed.read(packed).map_err(|fault| failed(&format!("it is malformed: {fault}")))?;
        if !matches!(parsed.version, 1 | 2) {
            return Err(Error::Unsupported { what: format!("its manifest has version {}", parsed.version) });
        }
        if !parsed.features.is_empty() {
            let what = format!("reading it needs features unknown here: {}", parsed.features.join(", "));
            return Err(Error::Unsupported { what });
        }
        let mut archives = parsed.archives;
        archives.sort_by(|a, b| (&a.time, &a.name).cmp(&(&b.time, &b.name)));
        Ok(Self { archives, timestamp: parsed.timestamp, authenticated })
    }
}

#[derive(Default)]
struct Parsed {
    version: i128,
    timestamp: String,
    archives: Vec<ArchiveEntry>,
    /// Features a reader must know. We know none, like every Borg 1.x so far.
    features: Vec<String>,
}

impl Parsed {
    fn read(&mut self, packed: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::new(packed);
        each_field::<Fault>(&mut reader, |key, value| {
            match key {
                b"version" => self.version = value.int()?,
                b"timestamp" => self.timestamp = value.text()?,
                b"archives" => each_field(value, |name, entry| self.archive(name, entry))?,
                b"config" => each_field(value, |name, setting| match name {
                    b"feature_flags" => self.feature_flags(setting),
                    _ => setting.skip(),
                })?,
                _ => value.skip()?,
            }
            Ok(())
        })?;
        if reader.rest().is_empty() { Ok(()) } else { Err(Fault::Malformed("something follows it")) }
    }

    fn archive(&mut self, name: &[u8], entry: &mut Reader<'_>) -> Result<(), Fault> {
        let (mut id, mut time) = (None, String::new());
        each_field::<Fault>(entry, |key, value| {
            match key {
                b"id" => id = Id::from_slice(value.bytes()?),
                b"time" => time = value.text()?,
                _ => value.skip()?,
            }
            Ok(())
        })?;
        let id = id.ok_or(Fault::Malformed("an archive has no id"))?;
        let name = String::from_utf8_lossy(name).into_owned();
        let checkpoint = is_checkpoint(&name);
        self.archives.push(ArchiveEntry { name, id, time, checkpoint });
        Ok(())
    }

    fn feature_flags(&mut self, flags: &mut Reader<'_>) -> Result<(), Fault> {
        each_field(flags, |operation, requirements| {
            if operation != b"read" {
                return requirements.skip();
            }
            each_field::<Fault>(requirements, |strength, names| {
                if strength != b"mandatory" {
                    return names.skip();
                }
                for _ in 0..names.array()? {
                    self.features.push(names.text()?);
                }
                Ok(())
            })
        })
    }
}

/// Borg names them `<name>.checkpoint`, and `<name>.checkpoint.<n>` if that is taken.
fn is_checkpoint(name: &str) -> bool {
    name.rsplit_once(".checkpoint").is_some_and(|(_, rest)| {
        rest.is_empty() || rest.strip_prefix('.').is_some_and(|n| n.parse::<u32>().is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::is_checkpoint;

    #[test]
    fn checkpoints_are_told_by_their_name() {
        assert!(is_checkpoint("web.checkpoint"));
        assert!(is_checkpoint("web.checkpoint.1"));
        assert!(!is_checkpoint("checkpoint"));
        assert!(!is_checkpoint("web.checkpoint-notes"));
    }
}
