//! An item as it lies in the metadata stream: decoded without allocating, its strings and lists borrowed.

use super::{Chunk, Item, Xattr};
use crate::Id;
use crate::msgpack::{Fault, Reader, Token, each_field};

/// An item whose parts are borrowed from the stream. The fields are those of [`Item`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View<'a> {
    pub path: &'a [u8],
    pub mode: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub user: Option<&'a [u8]>,
    pub group: Option<&'a [u8]>,
    pub mtime: Option<i128>,
    pub atime: Option<i128>,
    pub ctime: Option<i128>,
    pub birthtime: Option<i128>,
    pub size: Option<u64>,
    pub chunks: Option<ChunkList<'a>>,
    pub chunks_healthy: ChunkList<'a>,
    pub source: Option<&'a [u8]>,
    pub hardlink_master: bool,
    pub rdev: u64,
    pub bsdflags: u64,
    /// The map of names and values, known to be sound; empty if there is none.
    xattrs: &'a [u8],
    pub xattr_count: u32,
    pub acl_access: Option<&'a [u8]>,
    pub acl_default: Option<&'a [u8]>,
    pub part: Option<u64>,
}

impl<'a> View<'a> {
    /// The item at the front of `reader`. On [`Fault::Incomplete`] more of the stream is needed.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut item = Self::default();
        let mut has_path = false;
        each_field::<Fault>(reader, |key, value| {
            match key {
                b"path" => {
                    item.path = value.bytes()?;
                    has_path = true;
                }
                b"mode" => item.mode = value.int()?.try_into().unwrap_or(0),
                b"uid" => item.uid = owner(value)?,
                b"gid" => item.gid = owner(value)?,
                b"user" => item.user = value.optional_bytes()?,
                b"group" => item.group = value.optional_bytes()?,
                b"mtime" => item.mtime = Some(value.bigint()?),
                b"atime" => item.atime = Some(value.bigint()?),
                b"ctime" => item.ctime = Some(value.bigint()?),
                b"birthtime" => item.birthtime = Some(value.bigint()?),
                b"size" => item.size = optional(value)?.map(|size| size.try_into().unwrap_or(u64::MAX)),
                b"chunks" => item.chunks = ChunkList::decode(value)?,
                b"chunks_healthy" => item.chunks_healthy = ChunkList::decode(value)?.unwrap_or_default(),
                b"source" => item.source = value.optional_bytes()?,
                b"hardlink_master" => item.hardlink_master = value.bool()?,
                b"rdev" => item.rdev = value.bigint()?.try_into().unwrap_or(0),
                b"bsdflags" => item.bsdflags = value.bigint()?.try_into().unwrap_or(0),
                b"xattrs" => (item.xattrs, item.xattr_count) = sound_xattrs(value)?,
                b"acl_access" => item.acl_access = value.optional_bytes()?,
                b"acl_default" => item.acl_default = value.optional_bytes()?,
                b"part" => item.part = optional(value)?.map(|part| part.try_into().unwrap_or(0)),
                _ => value.skip()?,
            }
            Ok(())
        })?;
        if has_path { Ok(item) } else { Err(Fault::Malformed("an item has no path")) }
    }

    /// The same, on its own.
    pub fn to_item(self) -> Item {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Item {
            path: self.path.to_vec(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            user: owned(self.user),
            group: owned(self.group),
            mtime: self.mtime,
            atime: self.atime,
            ctime: self.ctime,
            birthtime: self.birthtime,
            size: self.size,
            chunks: self.chunks.map(|chunks| chunks.iter().collect()),
            chunks_healthy: self.chunks_healthy.iter().collect(),
            source: owned(self.source),
            hardlink_master: self.hardlink_master,
            rdev: self.rdev,
            bsdflags: self.bsdflags,
            xattrs: self.xattrs(),
            acl_access: owned(self.acl_access),
            acl_default: owned(self.acl_default),
            part: self.part,
        }
    }

    fn xattrs(&self) -> Vec<Xattr> {
        let mut xattrs = Vec::new();
        if self.xattr_count > 0 {
            let read = each_field::<Fault>(&mut Reader::new(self.xattrs), |name, value| {
                xattrs.push((name.to_vec(), value.optional_bytes()?.unwrap_or_default().to_vec()));
                Ok(())
            });
            debug_assert!(read.is_ok(), "checked while decoding");
        }
        xattrs
    }
}

/// A list of chunks, known to be sound.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ChunkList<'a> {
    packed: &'a [u8],
    pub count: u32,
    /// Bytes of content in all of them.
    pub size: u64,
}

impl<'a> ChunkList<'a> {
    fn decode(value: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        let count = match value.token()? {
            Token::Array(count) => count,
            Token::Nil => return Ok(None),
            _ => return Err(Fault::Malformed("not a list of chunks")),
        };
        let packed = value.rest();
        let mut size = 0;
        for _ in 0..count {
            size += u64::from(chunk(value)?.size);
        }
        let packed = &packed[..packed.len() - value.rest().len()];
        Ok(Some(Self { packed, count, size }))
    }

    /// The chunks, in the order of the content.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Chunk> + use<'a> {
        let mut reader = Reader::new(self.packed);
        let none = Chunk { id: Id::MANIFEST, size: 0, stored: 0 };
        // Checked while decoding: there is no fault here.
        (0..self.count as usize).map(move |_| chunk(&mut reader).unwrap_or(none))
    }
}

fn chunk(value: &mut Reader<'_>) -> Result<Chunk, Fault> {
    if value.array()? != 3 {
        return Err(Fault::Malformed("not a chunk"));
    }
    let id = Id::from_slice(value.bytes()?).ok_or(Fault::Malformed("not a chunk id"))?;
    let mut number =
        || value.unsigned()?.try_into().map_err(|_| Fault::Malformed("a chunk size out of range"));
    Ok(Chunk { id, size: number()?, stored: number()? })
}

/// The number of a user or group. One that Linux could not set is as good as none; -1 means "leave it" to chown.
fn owner(value: &mut Reader<'_>) -> Result<Option<u32>, Fault> {
    Ok(optional(value)?.and_then(|number| u32::try_from(number).ok()).filter(|number| *number != u32::MAX))
}

fn optional(value: &mut Reader<'_>) -> Result<Option<i128>, Fault> {
    match value.token()? {
        Token::Int(number) => Ok(Some(number)),
        Token::Nil => Ok(None),
        _ => Err(Fault::Malformed("not an integer")),
    }
}

/// The map of names and values, and how many there are; a value that is nil stands for an empty one.
fn sound_xattrs<'a>(value: &mut Reader<'a>) -> Result<(&'a [u8], u32), Fault> {
    let packed = value.rest();
    let mut count = 0;
    each_field::<Fault>(value, |_, value| {
        value.optional_bytes()?;
        count += 1;
        Ok(())
    })?;
    Ok((&packed[..packed.len() - value.rest().len()], count))
}
