//! Undoing compression, with the size of the result bounded before anything is allocated.
//!
//! The first two bytes tell the method: 0000 none, 0100 lz4, 0200 xz, 0300 zstd, 0400 obfuscated (a length, then
//! compressed data again, then padding); anything that looks like the start of a zlib stream is one, without header.
//! Borg 1.x, `compress.pyx`.

use std::io::Read;
use std::ops::Range;

use flate2::read::ZlibDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::Stream;

use crate::{Error, Id};

/// No chunk is larger: Borg's chunkers end far below, and an uncompressed one must fit a segment entry.
const MAX_CHUNK: usize = crate::segment::MAX_ENTRY;
/// Metadata objects (manifests above all) may be this large.
const MAX_UNSIZED: usize = 128 << 20;
/// lz4 cannot say more with one byte than "255 more".
const LZ4_RATIO: usize = 255;
/// Room for more than there is, beyond the distance in which the library goes by single bytes.
const LZ4_SLACK: usize = 64;
/// Where Borg begins to guess the size of an lz4 block.
const LZ4_FIRST_GUESS: usize = 1 << 20;

/// What undoing lzma may take: the dictionary of Borg's highest preset, 64 MiB, and what is around it.
const LZMA_MEMORY: u64 = 80 << 20;

/// Where the content of compressed data lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// Within the data, which was not compressed.
    Within(Range<usize>),
    /// In the room given for it: its first bytes.
    Out(usize),
}

impl Unpacked {
    /// The content, given both.
    pub fn of<'o>(&self, data: &'o [u8], out: &'o [u8]) -> &'o [u8] {
        match self {
            Self::Within(range) => &data[range.clone()],
            Self::Out(len) => &out[..*len],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Within(range) => range.len(),
            Self::Out(len) => *len,
        }
    }
}

/// Undoes compression, keeping its working memory.
#[derive(Default)]
pub(crate) struct Decompressor {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    /// Where lz4 blocks go whose size is not known.
    guessed: Vec<u8>,
}

impl Decompressor {
    /// The content of `data`: within it where it is not compressed, else in `out`, whose own content and length mean
    /// nothing (it never becomes shorter, so that it is not filled with zeros again). If `size` is given, the result has
    /// that many bytes.
    pub fn run(
        &mut self,
        id: &Id,
        data: &[u8],
        size: Option<u32>,
        out: &mut Vec<u8>,
    ) -> Result<Unpacked, Error> {
        /// The method, and for what is obfuscated the length of what is inside.
        const OBFUSCATED: usize = 2 + 4;
        let failed = |reason: &str| Error::integrity(*id, reason);
        let limit = size.map_or(MAX_UNSIZED, |size| size as usize);
        if size.is_some() && limit > MAX_CHUNK {
            return Err(failed("it claims to be larger than a chunk can be"));
        }
        let (method, body) = data.split_first_chunk::<2>().ok_or_else(|| failed("it is cut off"))?;
        let content = match method {
            [0, 0] if body.len() > limit => return Err(failed("it is larger than recorded")),
            [0, 0] => Unpacked::Within(data.len() - body.len()..data.len()),
            [1, 0] => Unpacked::Out(self.lz4(body, size, limit, out).map_err(failed)?),
            [2, 0] => {
                let stream =
                    Stream::new_stream_decoder(LZMA_MEMORY, 0).map_err(|_| failed("xz cannot be set up"))?;
                let xz = XzDecoder::new_stream(body, stream);
                Unpacked::Out(read_limited(xz, limit, out).map_err(failed)?)
            }
            [3, 0] => Unpacked::Out(self.zstd(body, limit, out).map_err(failed)?),
            [4, 0] => {
                // The method inside may be any but this one: no nesting, so no recursion by hostile data.
                let (len, inner) = body.split_first_chunk::<4>().ok_or_else(|| failed("it is cut off"))?;
                let inner = inner
                    .get(..u32::from_be_bytes(*len) as usize)
                    .filter(|inner| !inner.starts_with(&[4, 0]))
                    .ok_or_else(|| failed("its padding is wrong"))?;
                return Ok(match self.run(id, inner, size, out)? {
                    Unpacked::Within(range) => {
                        Unpacked::Within(range.start + OBFUSCATED..range.end + OBFUSCATED)
                    }
                    out @ Unpacked::Out(_) => out,
                });
            }
            [cmf, flg] if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]) % 31 == 0 => {
                Unpacked::Out(read_limited(ZlibDecoder::new(data), limit, out).map_err(failed)?)
            }
            _ => return Err(failed("it is compressed in an unknown way")),
        };
        if size.is_some_and(|size| content.len() != size as usize) {
            return Err(failed("its size is not the one recorded"));
        }
        Ok(content)
    }

    /// A raw lz4 block does not tell its size: it is known, or guessed with growing guesses.
    fn lz4(
        &mut self,
        body: &[u8],
        size: Option<u32>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, &'static str> {
        const DAMAGED: &str = "its lz4 data is damaged";
        let most = body.len().saturating_mul(LZ4_RATIO).saturating_add(LZ4_RATIO).min(limit);
        let decode = |into: &mut Vec<u8>, size| {
            // The library reads blocks differently where their content ends near the end of its room, so it never does.
            let size = size + LZ4_SLACK;
            lz4::block::decompress_to_buffer(body, Some(size as i32), room(into, size))
        };
        if let Some(size) = size.map(|size| size as usize) {
            return if size > most { Err(DAMAGED) } else { decode(out, size).map_err(|_| DAMAGED) };
        }
        let mut guess = (body.len() * 3).max(LZ4_FIRST_GUESS).min(most);
        let written = loop {
            match decode(&mut self.guessed, guess) {
                Ok(written) => break written,
                // The library does not tell damage from a lack of room. There are few guesses up to the most there can be.
                Err(_) if guess < most => guess = (guess * 2).min(most),
                Err(_) => return Err(DAMAGED),
            }
        };
        // What was guessed would take several times the memory, where many are in hand.
        out.clear();
        out.extend_from_slice(&self.guessed[..written]);
        if self.guessed.len() > MAX_CHUNK + LZ4_SLACK {
            self.guessed = Vec::new();
        }
        Ok(written)
    }

    fn zstd(&mut self, body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<usize, &'static str> {
        let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
        let size = size.ok_or("its zstd frame does not tell its size")? as usize;
        if size > limit {
            return Err("it is larger than recorded");
        }
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(|_| "zstd cannot be set up")?),
        };
        match decoder.decompress_to_buffer(body, room(out, size)) {
            Ok(written) if written == size => Ok(size),
            _ => Err("its zstd data is damaged"),
        }
    }
}

/// The first `size` bytes of `out`, which is made longer if need be.
fn room(out: &mut Vec<u8>, size: usize) -> &mut [u8] {
    if out.len() < size {
        out.resize(size, 0);
    }
    &mut out[..size]
}

/// Reads a stream to its end, at most `limit` bytes. Returns how many there are.
fn read_limited(stream: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<usize, &'static str> {
    out.clear();
    stream.take(limit as u64 + 1).read_to_end(out).map_err(|_| "its compressed data is damaged")?;
    if out.len() > limit { Err("it is larger than recorded") } else { Ok(out.len()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn run(data: &[u8], size: Option<u32>) -> Result<Vec<u8>, Error> {
        let mut out = b"what was there before".to_vec();
        let unpacked = Decompressor::default().run(&Id::MANIFEST, data, size, &mut out)?;
        Ok(unpacked.of(data, &out).to_vec())
    }

    fn lz4_block(content: &[u8]) -> Vec<u8> {
        lz4::block::compress(content, None, false).unwrap()
    }

    fn zlib(content: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn zlib_streams_of_every_level_are_known_by_their_first_bytes() {
        let content = b"some text, some text, some more text".repeat(20);
        for level in 0..=9 {
            let data = zlib(&content, level);
            assert_eq!(run(&data, None).unwrap(), content, "level {level}");
            assert_eq!(run(&data, Some(content.len() as u32)).unwrap(), content, "level {level}");
        }
    }

    #[test]
    fn what_is_no_compression_is_refused() {
        for data in [&b"\xff\xffall nonsense"[..], b"\x08\x00no zlib either", b"\x05\x00", b"\x01", b""] {
            assert!(run(data, None).is_err(), "{data:?}");
        }
    }

    #[test]
    fn lz4_blocks_that_grow_a_lot_are_given_room_for_it() {
        for size in [0, 1, LZ4_FIRST_GUESS - 1, LZ4_FIRST_GUESS, LZ4_FIRST_GUESS + 1, 60 << 20] {
            let content = vec![b'x'; size];
            let data = [&[1, 0][..], &lz4_block(&content)].concat();
            assert!(run(&data, None).unwrap() == content, "{size}");
            if size <= MAX_CHUNK {
                assert!(run(&data, Some(size as u32)).unwrap() == content, "{size}");
            }
        }
    }

    #[test]
    fn what_grows_beyond_all_bounds_is_stopped() {
        let zeros = vec![0; 10 << 20];
        let bombs = [
            [&[1, 0][..], &lz4_block(&zeros)].concat(),
            [&[3, 0][..], &zstd::bulk::compress(&zeros, 1).unwrap()].concat(),
            zlib(&zeros, 9),
        ];
        for bomb in bombs {
            assert!(run(&bomb, Some(1000)).is_err());
            assert!(run(&bomb, None).unwrap() == zeros, "without a size, it may be metadata");
        }
        // A frame that claims more than anything may have, and a window that would take gigabytes.
        let mut frame = vec![3, 0, 0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        frame.extend(u64::MAX.to_le_bytes());
        frame.extend([1, 0, 0]);
        assert!(run(&frame, None).is_err());
    }

    #[test]
    fn a_large_dictionary_is_refused_before_it_is_allocated() {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        encoder.write_all(b"content").unwrap();
        let mut stream = encoder.finish().unwrap();
        // The header of its first block: length, flags, the filter's number, and the size of the dictionary as a power of two.
        assert_eq!(stream[14..16], [0x21, 1]);
        let end = 12 + (usize::from(stream[12]) + 1) * 4 - 4;
        // Borg's highest preset has one of 64 MiB; the format allows 4 GiB.
        for (dictionary, fine) in [(28, true), (36, false), (40, false)] {
            stream[16] = dictionary;
            let crc = crc32fast::hash(&stream[12..end]);
            stream[end..end + 4].copy_from_slice(&crc.to_le_bytes());
            let data = [&[2, 0][..], &stream].concat();
            assert_eq!(run(&data, Some(7)).is_ok(), fine, "{dictionary}");
        }
    }
}
