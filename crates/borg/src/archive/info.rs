//! What an archive records about itself.

use crate::crypto::{Authenticity, Key, authenticate};
use crate::msgpack::{Fault, Reader, each_field};
use crate::{Error, Id};

/// Whether the archive's metadata carries an authentication code of its own.
///
/// Even without, its integrity is as good as its id and the manifest that names it; what the code adds is the proof
/// that it was written as an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tam {
    /// It does, and it is right.
    Verified,
    /// It does not: an archive written before Borg 1.2.5 or 1.1.18 and not touched since.
    Absent,
    /// It does, and it is wrong, which is an error unless [`OpenOptions::ignore_invalid_archive_tam`] is set.
    ///
    /// [`OpenOptions::ignore_invalid_archive_tam`]: crate::OpenOptions::ignore_invalid_archive_tam
    Invalid,
}

/// Sums recorded when the archive was made, since Borg 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveStats {
    /// Number of regular files.
    pub nfiles: u64,
    /// Bytes of content.
    pub original: u64,
    /// Bytes after compression, before deduplication.
    pub compressed: u64,
}

/// An archive's description.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveInfo {
    /// As the manifest has it.
    pub name: String,
    /// Of its metadata.
    pub id: Id,
    /// The machine backed up.
    pub hostname: String,
    /// Who ran the backup.
    pub username: String,
    /// As given, often empty.
    pub comment: String,
    /// The command that made it.
    pub command_line: Vec<String>,
    /// When it began, in UTC, as recorded: ISO 8601 without a zone.
    pub start: String,
    /// When it ended, likewise; empty if not recorded.
    pub end: String,
    /// Sums, where recorded.
    pub stats: Option<ArchiveStats>,
    /// Whether its metadata is authenticated on its own.
    pub tam: Tam,
}

/// The description and the ids of the item stream's chunks.
pub(crate) fn parse(
    key: &Key,
    ignore_invalid_tam: bool,
    (name, id): (&str, Id),
    packed: &[u8],
) -> Result<(ArchiveInfo, Vec<Id>), Error> {
    let failed = |reason: String| Error::Archive { name: name.to_owned(), reason };
    let malformed = |fault: Fault| failed(format!("its metadata is malformed: {fault}"));
    let tam = match authenticate(key, "archive", packed).map_err(malformed)? {
        Authenticity::Verified => Tam::Verified,
        Authenticity::Absent => Tam::Absent,
        Authenticity::Invalid if ignore_invalid_tam => Tam::Invalid,
        Authenticity::Invalid => return Err(failed("its authentication code is wrong".into())),
    };
    let mut info = ArchiveInfo {
        name: name.to_owned(),
        id,
        hostname: String::new(),
        username: String::new(),
        comment: String::new(),
        command_line: Vec::new(),
        start: String::new(),
        end: String::new(),
        stats: None,
        tam,
    };
    let mut items = None;
    let (mut version, mut nfiles, mut size, mut csize) = (0, None, None, None);
    each_field::<Fault>(&mut Reader::new(packed), |key, value| {
        match key {
            b"version" => version = value.int()?,
            b"items" => items = Some(ids(value)?),
            b"hostname" => info.hostname = value.text()?,
            b"username" => info.username = value.text()?,
            b"comment" => info.comment = value.text()?,
            b"time" => info.start = value.text()?,
            b"time_end" => info.end = value.text()?,
            b"cmdline" => {
                for _ in 0..value.array()? {
                    info.command_line.push(value.text()?);
                }
            }
            b"nfiles" => nfiles = Some(value.unsigned()?),
            b"size" => size = Some(value.unsigned()?),
            b"csize" => csize = Some(value.unsigned()?),
            _ => value.skip()?,
        }
        Ok(())
    })
    .map_err(malformed)?;
    if version != 1 {
        return Err(failed(format!("its metadata has the unknown version {version}")));
    }
    if let (Some(nfiles), Some(original), Some(compressed)) = (nfiles, size, csize) {
        info.stats = Some(ArchiveStats { nfiles, original, compressed });
    }
    let items = items.ok_or_else(|| failed("it has no list of items".into()))?;
    Ok((info, items))
}

fn ids(value: &mut Reader<'_>) -> Result<Vec<Id>, Fault> {
    let mut ids = Vec::new();
    for _ in 0..value.array()? {
        ids.push(Id::from_slice(value.bytes()?).ok_or(Fault::Malformed("not a chunk id"))?);
    }
    Ok(ids)
}
