//! The primitives: keyed hashes with the key already taken in, and AES-256 in counter mode.

use std::cmp::Reverse;

use aes::Aes256;
use blake2b_simd::many::update_many;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::sha256;

/// Bytes of the counter stored with each object. The other half of the counter block is zero.
pub(super) const IV: usize = 8;

/// A hash of 32 bytes.
#[derive(Clone)]
pub(super) enum Hash {
    /// SHA-256, without a key.
    Plain,
    Hmac(HmacSha256),
    Blake2(Box<blake2b_simd::State>),
}

/// HMAC-SHA-256: the states after the two padded keys (RFC 2104).
#[derive(Clone)]
pub(super) struct HmacSha256 {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Hash {
    pub fn hmac(key: &[u8]) -> Self {
        let mut padded = Zeroizing::new([0; sha256::BLOCK]);
        if key.len() > sha256::BLOCK {
            padded[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            padded[..key.len()].copy_from_slice(key);
        }
        let after = |pad: u8| {
            let mut state = sha256::START;
            let block = Zeroizing::new(padded.map(|byte| byte ^ pad));
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        Self::Hmac(HmacSha256 { inner: after(0x36), outer: after(0x5c) })
    }

    pub fn blake2(key: &[u8]) -> Self {
        let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
        state.update(key);
        Self::Blake2(Box::new(state))
    }

    pub fn of(&self, message: &[u8]) -> [u8; 32] {
        self.of_each(&[message])[0]
    }

    /// The hash of each of the messages, which takes much less time for several than for one after the other.
    pub fn of_each(&self, messages: &[&[u8]]) -> Vec<[u8; 32]> {
        match self {
            Self::Plain => sha256::of_each(&sha256::START, 0, messages),
            Self::Hmac(HmacSha256 { inner, outer }) => {
                let taken = sha256::BLOCK as u64;
                let hashes = sha256::of_each(inner, taken, messages);
                let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
                sha256::of_each(outer, taken, &hashes)
            }
            Self::Blake2(keyed) => {
                let mut states = vec![(**keyed).clone(); messages.len()];
                let mut jobs: Vec<_> = states.iter_mut().zip(messages).collect();
                jobs.sort_by_key(|(_, message)| Reverse(message.len()));
                update_many(jobs);
                let hash = |state: &blake2b_simd::State| {
                    let mut digest = [0; 32];
                    digest.copy_from_slice(state.finalize().as_bytes());
                    digest
                };
                states.iter().map(hash).collect()
            }
        }
    }
}

/// Compares without telling by its time where the first difference is.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// Decrypts what follows the IV at the front of `sealed`, in place. The key must have 32 bytes.
pub(super) fn decrypt<'b>(key: &[u8], sealed: &'b mut [u8]) -> &'b mut [u8] {
    let (iv, text) = sealed.split_at_mut(IV);
    let mut counter = [0; 16];
    counter[16 - IV..].copy_from_slice(iv);
    apply(key, &counter, text);
    text
}

/// AES-256-CTR, which encrypts and decrypts alike.
pub(super) fn apply(key: &[u8], counter: &[u8; 16], text: &mut [u8]) {
    if let Ok(mut stream) = Ctr128BE::<Aes256>::new_from_slices(key, counter) {
        stream.apply_keystream(text);
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    use super::Hash;

    #[test]
    fn keyed_hashes_are_those_of_the_libraries() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        let messages: Vec<&[u8]> =
            [0, 1, 63, 64, 65, 127, 128, 129, 5000, 4000].map(|n| &bytes[..n]).to_vec();
        for key in [&bytes[..0], &bytes[..32], &bytes[..64], &bytes[..65], &bytes[..128]] {
            let hmac = |message: &&[u8]| -> [u8; 32] {
                let mut hash = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
                hash.update(message);
                hash.finalize().into_bytes().into()
            };
            let expected: Vec<[u8; 32]> = messages.iter().map(hmac).collect();
            assert_eq!(Hash::hmac(key).of_each(&messages), expected);
            let blake2 = |message: &&[u8]| {
                let hash = blake2b_simd::Params::new().hash_length(32).hash(&[key, message].concat());
                <[u8; 32]>::try_from(hash.as_bytes()).unwrap()
            };
            let expected: Vec<[u8; 32]> = messages.iter().map(blake2).collect();
            assert_eq!(Hash::blake2(key).of_each(&messages), expected);
        }
    }
}
