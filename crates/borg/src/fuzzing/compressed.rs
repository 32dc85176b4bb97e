//! Compressed data. An input's first byte says whether the size is known, and then four more what it is.

use crate::Id;
use crate::compression::Decompressor;

/// Larger sizes make slow inputs and find nothing more.
const LARGEST: u32 = 4 << 20;

fn decompress(method: &[u8], input: &[u8]) {
    let (size, body) = match input {
        [1, a, b, c, d, body @ ..] => (Some(u32::from_le_bytes([*a, *b, *c, *d]) % LARGEST), body),
        [_, body @ ..] => (None, body),
        [] => return,
    };
    let data = [method, body].concat();
    let id = Id::MANIFEST;
    let mut used = Decompressor::default();
    let mut out = Vec::new();
    let Ok(unpacked) = used.run(&id, &data, size, &mut out) else { return };
    let out = unpacked.of(&data, &out);
    assert!(size.is_none_or(|size| out.len() == size as usize), "the size is the one asked for");
    // The same with its size known (chunks cannot be larger than an entry), and by a decompressor that was not used before.
    let Ok(exact) = u32::try_from(out.len()) else { return };
    let mut again = Vec::new();
    if exact < LARGEST {
        let same = Decompressor::default().run(&id, &data, Some(exact), &mut again).expect("its own size");
        assert!(same.of(&data, &again) == out, "the same content");
        assert!(used.run(&id, &data, Some(exact + 1), &mut again).is_err(), "one byte more than there is");
        assert!(
            exact == 0 || used.run(&id, &data, Some(exact - 1), &mut again).is_err(),
            "one byte less than there is"
        );
    }
}

pub fn none(input: &[u8]) {
    decompress(&[0, 0], input);
}

pub fn lz4(input: &[u8]) {
    decompress(&[1, 0], input);
}

pub fn lzma(input: &[u8]) {
    decompress(&[2, 0], input);
}

pub fn zstd(input: &[u8]) {
    decompress(&[3, 0], input);
}

pub fn obfuscate(input: &[u8]) {
    decompress(&[4, 0], input);
}

/// Without a header of its own: whatever looks like the start of a stream. Other inputs are none of a known kind.
pub fn zlib(input: &[u8]) {
    decompress(&[], input);
}
