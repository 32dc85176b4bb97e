//! The digests Borg keeps beside an index, in `integrity.N`.
//!
//! A msgpack map of version (2) and, per file, a JSON text with two XXH64 digests: after the header, and at the
//! end. The hash runs over the file's name first, and each digest also covers a marker. Borg 1.x,
//! `crypto/file_integrity.py`.

use std::fs;
use std::path::Path;

use xxhash_rust::xxh64::Xxh64;

use super::file::HEADER;
use crate::Error;
use crate::msgpack::{Fault, Reader, each_field};

/// The only version known. Others are ignored, as Borg does: the file is then unchecked.
const VERSION: i128 = 2;
/// More than any integrity file needs.
const MAX_SIZE: u64 = 1 << 20;

/// Whether `content`, the index called `name`, is what its digests say. True if there are none.
pub(super) fn matches(repository: &Path, number: u32, name: &str, content: &[u8]) -> Result<bool, Error> {
    let path = repository.join(format!("integrity.{number}"));
    let recorded = match fs::metadata(&path) {
        Ok(data) if data.len() > MAX_SIZE => return Ok(false),
        Ok(_) => fs::read(&path).map_err(Error::read(&path))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(source) => return Err(Error::Read { path, source }),
    };
    // A damaged integrity file says nothing good about its neighbour: rebuild rather than trust.
    Ok(match parse(&recorded) {
        Ok(Some(digests)) => digests == Digests::of(name, content),
        Ok(None) => true,
        Err(_) => false,
    })
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    header: String,
    whole: String,
}

impl Digests {
    fn of(name: &str, content: &[u8]) -> Self {
        let mut hash = Xxh64::new(0);
        section(&mut hash, name);
        hash.update(&content[..HEADER]);
        section(&mut hash, "HashHeader");
        hash.update(HEADER.to_string().as_bytes());
        let header = format!("{:016x}", hash.digest());
        hash.update(&content[HEADER..]);
        section(&mut hash, "final");
        hash.update(content.len().to_string().as_bytes());
        Self { header, whole: format!("{:016x}", hash.digest()) }
    }
}

/// A marker: its length, right-aligned in ten columns, and itself.
fn section(hash: &mut Xxh64, name: &str) {
    hash.update(format!("{:10}", name.len()).as_bytes());
    hash.update(name.as_bytes());
}

/// The digests of the index; `None` for a version that is not known or a file that leaves the index out.
pub(crate) fn parse(recorded: &[u8]) -> Result<Option<Digests>, Fault> {
    let (mut version, mut json) = (None, None);
    each_field::<Fault>(&mut Reader::new(recorded), |key, value| {
        match key {
            b"version" => version = Some(value.int()?),
            b"index" => json = Some(value.bytes()?),
            _ => value.skip()?,
        }
        Ok(())
    })?;
    if version != Some(VERSION) {
        return Ok(None);
    }
    let Some(json) = json else { return Ok(None) };
    let json: serde_json::Value = serde_json::from_slice(json).map_err(|_| Fault::Malformed("no JSON"))?;
    if json["algorithm"] != "XXH64" {
        return Ok(None);
    }
    let digest =
        |part: &str| json["digests"][part].as_str().map(str::to_owned).ok_or(Fault::Malformed("no digest"));
    Ok(Some(Digests { header: digest("HashHeader")?, whole: digest("final")? }))
}
