//! The primitives: keyed hashes with the key already taken in, and AES-256 in counter mode.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Bytes of the counter stored with each object. The other half of the counter block is zero.
pub(super) const IV: usize = 8;

/// A hash of 32 bytes.
#[derive(Clone)]
pub(super) enum Hash {
    /// SHA-256, without a key.
    Plain,
    Hmac(Hmac<Sha256>),
    Blake2(Box<blake2b_simd::State>),
}

impl Hash {
    pub fn hmac(key: &[u8]) -> Self {
        // HMAC takes keys of any length: there is no error to handle.
        Hmac::new_from_slice(key).map_or(Self::Plain, Self::Hmac)
    }

    pub fn blake2(key: &[u8]) -> Self {
        let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
        state.update(key);
        Self::Blake2(Box::new(state))
    }

    /// The hash of the parts, one after the other.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        match self {
            Self::Plain => {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update(part);
                }
                hash.finalize().into()
            }
            Self::Hmac(keyed) => {
                let mut hash = keyed.clone();
                for part in parts {
                    hash.update(part);
                }
                hash.finalize().into_bytes().into()
            }
            Self::Blake2(keyed) => {
                let mut hash = keyed.clone();
                for part in parts {
                    hash.update(part);
                }
                let mut digest = [0; 32];
                digest.copy_from_slice(hash.finalize().as_bytes());
                digest
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
