//! Segment files: where objects lie, as a log of PUT, DELETE and COMMIT entries.
//!
//! A segment is `data/<number / segments_per_dir>/<number>`: eight bytes of magic, then entries of a little-endian
//! header (crc32 of all that follows it, size of the whole entry, tag), the object's id for PUT and DELETE, and
//! the data of a PUT. Borg 1.x, `repository.py`, `LoggedIO`.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{Error, Id};

pub(crate) const MAGIC: &[u8; 8] = b"BORG_SEG";
/// crc32, size and tag.
pub(crate) const HEADER: usize = 9;
/// A header and the id that PUT and DELETE carry.
pub(crate) const KEYED_HEADER: usize = HEADER + 32;
/// No entry is larger: Borg refuses to write one.
pub(crate) const MAX_ENTRY: usize = 20 * 1024 * 1024;

/// Bytes read at a time when going through a segment.
const READ: usize = 1 << 20;

/// What an entry does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Put,
    Delete,
    Commit,
}

/// The head of an entry, found plausible but without its checksum verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    crc: u32,
    /// Bytes of the whole entry.
    pub size: usize,
    pub tag: Tag,
}

impl Head {
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Self, &'static str> {
        let [c0, c1, c2, c3, s0, s1, s2, s3, tag] = *bytes;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let (tag, least) = match tag {
            0 => (Tag::Put, KEYED_HEADER),
            1 => (Tag::Delete, KEYED_HEADER),
            2 => (Tag::Commit, HEADER),
            _ => return Err("an entry of unknown type"),
        };
        if size < least || size > MAX_ENTRY || (tag != Tag::Put && size != least) {
            return Err("an entry of impossible size");
        }
        Ok(Self { crc: u32::from_le_bytes([c0, c1, c2, c3]), size, tag })
    }

    /// Whether `entry`, the whole of it, is what was written.
    pub fn verify(&self, entry: &[u8]) -> bool {
        entry.len() == self.size && crc32fast::hash(&entry[4..]) == self.crc
    }
}

/// Whether to go on with the next entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Next,
    Stop,
}

/// The segment files of a repository.
#[derive(Debug)]
pub(crate) struct Segments {
    data: PathBuf,
    per_dir: u32,
}

impl Segments {
    pub fn new(repository: &Path, per_dir: u32) -> Self {
        Self { data: repository.join("data"), per_dir }
    }

    pub fn path(&self, segment: u32) -> PathBuf {
        self.data.join((segment / self.per_dir).to_string()).join(segment.to_string())
    }

    /// Every segment there is, in ascending order.
    pub fn list(&self) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        for dir in numbered(&self.data)? {
            let here = numbered(&self.data.join(dir.to_string()))?;
            found.extend(here.into_iter().filter(|segment| segment / self.per_dir == dir));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Calls `each` with tag, id and offset of every entry, all checksums verified.
    /// A file without a single byte counts as one that is not there.
    pub fn scan(&self, segment: u32, mut each: impl FnMut(Tag, Id, u32)) -> Result<(), Error> {
        self.walk(segment, &mut Vec::new(), |offset, head, entry| {
            let damaged = |reason: &str| Error::Segment { segment, offset, reason: reason.into() };
            if !head.verify(entry) {
                return Err(damaged("a checksum is wrong"));
            }
            let id = entry.get(HEADER..KEYED_HEADER).and_then(Id::from_slice).unwrap_or(Id::MANIFEST);
            let at = u32::try_from(offset).map_err(|_| damaged("it is too large"))?;
            each(head.tag, id, at);
            entry.clear();
            Ok(Cut::Next)
        })
    }

    /// Appends every entry to `entries`, whole, with nothing of it verified but that its head makes sense, and hands its
    /// offset and them to `each`, which may take all away.
    pub fn cut(
        &self,
        segment: u32,
        entries: &mut Vec<u8>,
        mut each: impl FnMut(u64, Head, &mut Vec<u8>) -> Cut,
    ) -> Result<(), Error> {
        self.walk(segment, entries, |offset, head, entries| Ok(each(offset, *head, entries)))
    }

    fn walk(
        &self,
        segment: u32,
        entries: &mut Vec<u8>,
        each: impl FnMut(u64, &Head, &mut Vec<u8>) -> Result<Cut, Error>,
    ) -> Result<(), Error> {
        let path = self.path(segment);
        let file = File::open(&path).map_err(Error::read(&path))?;
        let len = file.metadata().map_err(Error::read(&path))?.len();
        if len == 0 {
            return Ok(());
        }
        let file = BufReader::with_capacity(READ.min(len as usize), file);
        walk(file, len, (segment, &path), entries, each)
    }

    /// Bytes of a segment file.
    pub fn size(&self, segment: u32) -> Result<u64, Error> {
        let path = self.path(segment);
        Ok(fs::metadata(&path).map_err(Error::read(&path))?.len())
    }

    /// Whether a transaction ends with this segment: it is whole, and nothing but COMMITs follows its first COMMIT.
    /// The last bytes alone prove nothing, they may be part of somebody's data.
    pub fn is_committed(&self, segment: u32) -> Result<bool, Error> {
        let (mut committed, mut after) = (false, false);
        let scanned = self.scan(segment, |tag, _, _| match tag {
            Tag::Commit => committed = true,
            Tag::Put | Tag::Delete => after |= committed,
        });
        match scanned {
            Ok(()) => Ok(committed && !after),
            Err(Error::Segment { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The newest committed transaction: the number of the segment that ends it. Later segments are remains of
    /// one that was never finished.
    pub fn last_transaction(&self) -> Result<Option<u32>, Error> {
        for segment in self.list()?.into_iter().rev() {
            if self.is_committed(segment)? {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }
}

/// Calls `each` with the entries in `file`, a segment of `len` bytes with this number and path. Each is appended to
/// `entries`, which is for `each` to clear.
pub(crate) fn walk(
    mut file: impl Read,
    len: u64,
    (segment, path): (u32, &Path),
    entries: &mut Vec<u8>,
    mut each: impl FnMut(u64, &Head, &mut Vec<u8>) -> Result<Cut, Error>,
) -> Result<(), Error> {
    let damaged = |offset, reason: &str| Error::Segment { segment, offset, reason: reason.into() };
    let mut magic = [0; MAGIC.len()];
    fill(&mut file, &mut magic, path)?.ok_or_else(|| damaged(0, "it is cut off"))?;
    match &magic {
        MAGIC => {}
        b"ATTICSEG" => return Err(Error::Unsupported { what: "it was written by Attic".into() }),
        _ => return Err(damaged(0, "it is no segment file")),
    }
    let mut offset = MAGIC.len() as u64;
    while offset < len {
        let mut head = [0; HEADER];
        fill(&mut file, &mut head, path)?.ok_or_else(|| damaged(offset, "it is cut off"))?;
        let parsed = Head::parse(&head).map_err(|reason| damaged(offset, reason))?;
        if parsed.size as u64 > len - offset {
            return Err(damaged(offset, "it is cut off"));
        }
        entries.reserve(parsed.size);
        entries.extend_from_slice(&head);
        let rest = parsed.size - HEADER;
        let read = file.by_ref().take(rest as u64).read_to_end(entries).map_err(Error::read(path))?;
        if read < rest {
            return Err(damaged(offset, "it is cut off"));
        }
        if each(offset, &parsed, entries)? == Cut::Stop {
            break;
        }
        offset += parsed.size as u64;
    }
    Ok(())
}

/// Fills `buffer`, or says `None` if the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8], path: &Path) -> Result<Option<()>, Error> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// The names in a directory that are plain decimal numbers.
fn numbered(dir: &Path) -> Result<Vec<u32>, Error> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::read(dir))? {
        let name = entry.map_err(Error::read(dir))?.file_name();
        // Leading zeros or signs would lead to a path other than the one the number stands for.
        if let Some(number) = name.to_str().and_then(|name| name.parse::<u32>().ok())
            && name.to_str() == Some(&number.to_string())
        {
            numbers.push(number);
        }
    }
    Ok(numbers)
}
