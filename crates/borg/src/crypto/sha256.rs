//! SHA-256 of several messages side by side.
//!
//! The processor's instructions for SHA-256 have to wait for their own results: a round takes longer than it keeps the
//! unit busy. Two messages whose rounds alternate take little longer than one. Chunks come by the thousand, so there
//! is always another. FIPS 180-4 for the function itself; without these instructions the messages go one by one.

use sha2::block_api::compress256;

/// What the function begins with.
pub(super) const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Bytes taken at a time.
pub(super) const BLOCK: usize = 64;
type Block = [u8; BLOCK];
/// What stands between two blocks.
pub(super) type State = [u32; 8];

/// A message on its way.
pub(super) struct Lane<'m> {
    pub state: &'m mut State,
    /// Whole blocks to come.
    pub blocks: &'m [Block],
}

/// The hash, given the state after `taken` bytes, whole blocks, and the rest, which is less than a block.
pub(super) fn finish(state: &mut State, taken: u64, rest: &[u8]) -> [u8; 32] {
    let mut padded = [0; 2 * BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    padded[rest.len()] = 0x80;
    let end = if rest.len() < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
    let bits = (taken + rest.len() as u64) * 8;
    padded[end - 8..end].copy_from_slice(&bits.to_be_bytes());
    compress256(state, padded[..end].as_chunks().0);
    let mut hash = [0; 32];
    for (place, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *place = word.to_be_bytes();
    }
    hash
}

/// How many go side by side.
#[cfg(target_arch = "x86_64")]
pub(super) const WIDTH: usize = 4;
#[cfg(not(target_arch = "x86_64"))]
pub(super) const WIDTH: usize = 1;

/// Takes blocks of every lane, until one of them has no more. Returns how many of each.
pub(super) fn advance(lanes: &mut [Lane<'_>]) -> usize {
    let count = lanes.iter().map(|lane| lane.blocks.len()).min().unwrap_or_default();
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        match lanes {
            [a, b] => return x86::compress([a, b], count),
            [a, b, c] => return x86::compress([a, b, c], count),
            [a, b, c, d] => return x86::compress([a, b, c, d], count),
            _ => {}
        }
    }
    for lane in lanes {
        compress256(lane.state, &lane.blocks[..count]);
    }
    count
}

/// With the instructions of x86.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
        _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
        _mm_shuffle_epi8, _mm_shuffle_epi32,
    };

    use super::{Block, Lane};

    /// FIPS 180-4, 4.2.2.
    const K: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// Whether this processor has them.
    pub fn available() -> bool {
        is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1")
    }

    /// Takes `count` blocks of each lane, which must have them, and returns that. Only where they are [`available`].
    pub fn compress<const N: usize>(lanes: [&mut Lane<'_>; N], count: usize) -> usize {
        // SAFETY: the caller has seen that the processor has the instructions; nothing else about it is unsafe.
        #[expect(unsafe_code, reason = "calling what needs certain instructions has no safe form")]
        unsafe {
            rounds(lanes, count);
        }
        count
    }

    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn words(block: &Block, four: usize) -> __m128i {
        let eight = |at: usize| {
            let bytes = block[16 * four + at..].first_chunk().copied().unwrap_or_default();
            i64::from_le_bytes(bytes)
        };
        let little = _mm_set_epi64x(eight(8), eight(0));
        _mm_shuffle_epi8(little, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
    }

    #[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
    #[expect(clippy::needless_range_loop, reason = "it goes through several slices at the same time")]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn rounds<const N: usize>(lanes: [&mut Lane<'_>; N], count: usize) {
        let mut abef = [_mm_setzero_si128(); N];
        let mut cdgh = abef;
        for (n, lane) in lanes.iter().enumerate() {
            let [a, b, c, d, e, f, g, h] = lane.state.map(|word| word as i32);
            abef[n] = _mm_set_epi32(a, b, e, f);
            cdgh[n] = _mm_set_epi32(c, d, g, h);
        }
        let blocks: [&[Block]; N] = std::array::from_fn(|n| &lanes[n].blocks[..count]);
        for at in 0..count {
            let (abef_before, cdgh_before) = (abef, cdgh);
            let mut w = [[_mm_setzero_si128(); 4]; N];
            for n in 0..N {
                for (four, words_of_four) in w[n].iter_mut().enumerate() {
                    *words_of_four = words(&blocks[n][at], four);
                }
            }
            for (four, k) in K.iter().enumerate() {
                let k = _mm_set_epi32(k[3] as i32, k[2] as i32, k[1] as i32, k[0] as i32);
                for n in 0..N {
                    let [now, next, after, last] = [0, 1, 2, 3].map(|ahead| (four + ahead) % 4);
                    if four >= 4 {
                        let moved = _mm_alignr_epi8(w[n][last], w[n][after], 4);
                        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[n][now], w[n][next]), moved);
                        w[n][now] = _mm_sha256msg2_epu32(sum, w[n][last]);
                    }
                    let input = _mm_add_epi32(w[n][now], k);
                    cdgh[n] = _mm_sha256rnds2_epu32(cdgh[n], abef[n], input);
                    abef[n] = _mm_sha256rnds2_epu32(abef[n], cdgh[n], _mm_shuffle_epi32(input, 0x0e));
                }
            }
            for n in 0..N {
                abef[n] = _mm_add_epi32(abef[n], abef_before[n]);
                cdgh[n] = _mm_add_epi32(cdgh[n], cdgh_before[n]);
            }
        }
        for (n, lane) in lanes.into_iter().enumerate() {
            let [ab, cd] = [abef[n], cdgh[n]];
            *lane.state = [
                _mm_extract_epi32(ab, 3),
                _mm_extract_epi32(ab, 2),
                _mm_extract_epi32(cd, 3),
                _mm_extract_epi32(cd, 2),
                _mm_extract_epi32(ab, 1),
                _mm_extract_epi32(ab, 0),
                _mm_extract_epi32(cd, 1),
                _mm_extract_epi32(cd, 0),
            ]
            .map(|word| word as u32);
        }
    }
}
