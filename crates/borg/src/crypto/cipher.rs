//! The primitives: keyed hashes with the key already taken in, and AES-256 in counter mode.

use std::cmp::Reverse;

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::lanes::{Lanes, Message};
use super::sha256;

/// Bytes of the counter stored with each object. The other half of the counter block is zero.
pub(super) const IV: usize = 8;

/// A hash of 32 bytes.
#[derive(Clone)]
pub(crate) enum Hash {
    /// SHA-256, without a key.
    Plain,
    Hmac(HmacSha256),
    Blake2(Box<blake2b_simd::State>),
}

/// HMAC-SHA-256: the states after the two padded keys (RFC 2104).
#[derive(Clone)]
pub(crate) struct HmacSha256 {
    pub(super) inner: sha256::State,
    pub(super) outer: sha256::State,
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
        let mut order: Vec<usize> = (0..messages.len()).collect();
        // The longest first, so that none is left alone for long in the end.
        order.sort_by_key(|index| Reverse(messages[*index].len()));
        let mut coming = order.into_iter();
        let mut lanes = Lanes::of(self);
        let mut hashes = vec![[0; 32]; messages.len()];
        loop {
            while lanes.has_room()
                && let Some(index) = coming.next()
            {
                lanes.begin(self, Numbered(index, messages[index]));
            }
            let Some((Numbered(index, _), hash)) = lanes.end_one() else { return hashes };
            hashes[index] = hash;
        }
    }
}

/// A message, and which it is.
struct Numbered<'m>(usize, &'m [u8]);

impl Message for Numbered<'_> {}

impl AsRef<[u8]> for Numbered<'_> {
    fn as_ref(&self) -> &[u8] {
        self.1
    }
}

/// Compares without telling by its time where the first difference is.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// Decrypts what follows the IV at the front of `sealed`, in place. The key must have 32 bytes.
pub(super) fn decrypt(key: &[u8], sealed: &mut [u8]) {
    let (iv, text) = sealed.split_at_mut(IV);
    let mut counter = [0; 16];
    counter[16 - IV..].copy_from_slice(iv);
    apply(key, &counter, text);
}

/// AES-256-CTR, which encrypts and decrypts alike.
pub(super) fn apply(key: &[u8], counter: &[u8; 16], text: &mut [u8]) {
    if let Ok(mut stream) = Ctr128BE::<Aes256>::new_from_slices(key, counter) {
        stream.apply_keystream(text);
    }
}
