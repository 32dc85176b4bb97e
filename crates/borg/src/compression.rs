//! Undoing compression, with the size of the result bounded before anything is allocated.
//!
//! The first two bytes tell the method: 0000 none, 0100 lz4, 0200 xz, 0300 zstd, 0400 obfuscated (a length, then
//! compressed data again, then padding); anything that looks like the start of a zlib stream is one, without header.
//! Borg 1.x, `compress.pyx`.

use std::io::Read;

use flate2::read::ZlibDecoder;
use liblzma::read::XzDecoder;

use crate::{Error, Id};

/// No chunk is larger: Borg's chunkers end far below, and an uncompressed one must fit a segment entry.
const MAX_CHUNK: usize = crate::segment::MAX_ENTRY;
/// Metadata objects (manifests above all) may be this large.
const MAX_UNSIZED: usize = 128 << 20;
/// lz4 cannot say more with one byte than "255 more".
const LZ4_RATIO: usize = 255;
/// Where Borg begins to guess the size of an lz4 block.
const LZ4_FIRST_GUESS: usize = 1 << 20;

/// Undoes compression, keeping its working memory.
#[derive(Default)]
pub(crate) struct Decompressor {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Decompressor {
    /// Decompresses `data` into `out`, replacing what is there. If `size` is given, the result has that many bytes.
    pub fn run(&mut self, id: &Id, data: &[u8], size: Option<u32>, out: &mut Vec<u8>) -> Result<(), Error> {
        let failed = |reason: &str| Error::integrity(*id, reason);
        let limit = size.map_or(MAX_UNSIZED, |size| size as usize);
        if size.is_some() && limit > MAX_CHUNK {
            return Err(failed("it claims to be larger than a chunk can be"));
        }
        let (method, body) = data.split_first_chunk::<2>().ok_or_else(|| failed("it is cut off"))?;
        match method {
            [0, 0] => {
                if body.len() > limit {
                    return Err(failed("it is larger than recorded"));
                }
                out.clear();
                out.extend_from_slice(body);
            }
            [1, 0] => lz4(body, size, limit, out).map_err(failed)?,
            [2, 0] => read_limited(XzDecoder::new(body), limit, out).map_err(failed)?,
            [3, 0] => self.zstd(body, limit, out).map_err(failed)?,
            [4, 0] => {
                // The method inside may be any but this one: no nesting, so no recursion by hostile data.
                let (len, inner) = body.split_first_chunk::<4>().ok_or_else(|| failed("it is cut off"))?;
                let inner = inner
                    .get(..u32::from_be_bytes(*len) as usize)
                    .filter(|inner| !inner.starts_with(&[4, 0]))
                    .ok_or_else(|| failed("its padding is wrong"))?;
                return self.run(id, inner, size, out);
            }
            [cmf, flg] if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]) % 31 == 0 => {
                read_limited(ZlibDecoder::new(data), limit, out).map_err(failed)?;
            }
            _ => return Err(failed("it is compressed in an unknown way")),
        }
        if size.is_some_and(|size| out.len() != size as usize) {
            return Err(failed("its size is not the one recorded"));
        }
        Ok(())
    }

    fn zstd(&mut self, body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
        let size = size.ok_or("its zstd frame does not tell its size")? as usize;
        if size > limit {
            return Err("it is larger than recorded");
        }
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(|_| "zstd cannot be set up")?),
        };
        out.resize(size, 0);
        match decoder.decompress_to_buffer(body, &mut out[..]) {
            Ok(written) if written == size => Ok(()),
            _ => Err("its zstd data is damaged"),
        }
    }
}

/// A raw lz4 block does not tell its size: it is known, or guessed with growing guesses.
fn lz4(body: &[u8], size: Option<u32>, limit: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const DAMAGED: &str = "its lz4 data is damaged";
    let most = body.len().saturating_mul(LZ4_RATIO).saturating_add(LZ4_RATIO).min(limit);
    let mut guess = match size {
        Some(size) if size as usize > most => return Err(DAMAGED),
        Some(size) => size as usize,
        None => (body.len() * 3).max(LZ4_FIRST_GUESS).min(most),
    };
    loop {
        out.resize(guess, 0);
        match lz4_flex::block::decompress_into(body, out) {
            Ok(written) => {
                out.truncate(written);
                return Ok(());
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if guess < most => {
                guess = (guess * 2).min(most);
            }
            Err(_) => return Err(DAMAGED),
        }
    }
}

/// Reads a stream to its end, at most `limit` bytes.
fn read_limited(stream: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.clear();
    stream.take(limit as u64 + 1).read_to_end(out).map_err(|_| "its compressed data is damaged")?;
    if out.len() > limit { Err("it is larger than recorded") } else { Ok(()) }
}
