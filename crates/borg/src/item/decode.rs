//! Decoding an item from the metadata stream.

use super::{Chunk, Item, Xattr};
use crate::Id;
use crate::msgpack::{Fault, Reader, Token, each_field};

/// The item at the front of `reader`. On [`Fault::Incomplete`] more of the stream is needed.
pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Item, Fault> {
    let mut item = Item::default();
    let mut has_path = false;
    each_field::<Fault>(reader, |key, value| {
        match key {
            b"path" => {
                item.path = value.bytes()?.to_vec();
                has_path = true;
            }
            b"mode" => item.mode = value.int()?.try_into().unwrap_or(0),
            b"uid" => item.uid = owner(value)?,
            b"gid" => item.gid = owner(value)?,
            b"user" => item.user = owned(value)?,
            b"group" => item.group = owned(value)?,
            b"mtime" => item.mtime = Some(value.bigint()?),
            b"atime" => item.atime = Some(value.bigint()?),
            b"ctime" => item.ctime = Some(value.bigint()?),
            b"birthtime" => item.birthtime = Some(value.bigint()?),
            b"size" => item.size = optional(value)?.map(|size| size.try_into().unwrap_or(u64::MAX)),
            b"chunks" => item.chunks = chunks(value)?,
            b"chunks_healthy" => item.chunks_healthy = chunks(value)?.unwrap_or_default(),
            b"source" => item.source = owned(value)?,
            b"hardlink_master" => item.hardlink_master = value.bool()?,
            b"rdev" => item.rdev = value.bigint()?.try_into().unwrap_or(0),
            b"bsdflags" => item.bsdflags = value.bigint()?.try_into().unwrap_or(0),
            b"xattrs" => item.xattrs = xattrs(value)?,
            b"acl_access" => item.acl_access = owned(value)?,
            b"acl_default" => item.acl_default = owned(value)?,
            b"part" => item.part = optional(value)?.map(|part| part.try_into().unwrap_or(0)),
            _ => value.skip()?,
        }
        Ok(())
    })?;
    if has_path { Ok(item) } else { Err(Fault::Malformed("an item has no path")) }
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

fn owned(value: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Fault> {
    Ok(value.optional_bytes()?.map(<[u8]>::to_vec))
}

fn chunks(value: &mut Reader<'_>) -> Result<Option<Vec<Chunk>>, Fault> {
    let count = match value.token()? {
        Token::Array(count) => count,
        Token::Nil => return Ok(None),
        _ => return Err(Fault::Malformed("not a list of chunks")),
    };
    // A chunk takes 37 bytes or more, so what is left bounds how many there can be.
    let mut chunks = Vec::with_capacity((count as usize).min(value.rest().len() / 37 + 1));
    for _ in 0..count {
        if value.array()? != 3 {
            return Err(Fault::Malformed("not a chunk"));
        }
        let id = Id::from_slice(value.bytes()?).ok_or(Fault::Malformed("not a chunk id"))?;
        let mut number =
            || value.unsigned()?.try_into().map_err(|_| Fault::Malformed("a chunk size out of range"));
        chunks.push(Chunk { id, size: number()?, stored: number()? });
    }
    Ok(Some(chunks))
}

/// Names and values; a value that is nil stands for an empty one.
fn xattrs(value: &mut Reader<'_>) -> Result<Vec<Xattr>, Fault> {
    let mut xattrs = Vec::new();
    each_field::<Fault>(value, |name, value| {
        xattrs.push((name.to_vec(), owned(value)?.unwrap_or_default()));
        Ok(())
    })?;
    Ok(xattrs)
}
