//! The key blob: secrets sealed under a passphrase.
//!
//! Base64 of a msgpack map: version 1, algorithm "sha256", iterations, salt, hash, data. PBKDF2-HMAC-SHA-256 makes a key of
//! the passphrase; `data` is AES-256-CTR with a zero counter, and `hash` its HMAC-SHA-256 under the same key, which
//! is how a wrong passphrase is recognised. Borg 1.x, `crypto/key.py`, `KeyfileKeyBase`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cipher::{Hash, apply, same};
use super::{PassphraseError, Secrets};
use crate::msgpack::{Fault, Reader, each_field};
use crate::{Error, Id};

/// Borg writes 100,000; a forged blob must not keep us busy for hours.
const MAX_ITERATIONS: u64 = 10_000_000;

/// Opens the blob. A key without passphrase is sealed under an empty one, so where none is
/// provided that is tried.
pub(super) fn unlock(
    blob: &str,
    repository: Id,
    passphrase: &dyn Fn() -> Result<Option<SecretString>, PassphraseError>,
) -> Result<Secrets, Error> {
    let text: String = blob.chars().filter(|c| !c.is_whitespace()).collect();
    let raw = STANDARD.decode(text).map_err(|_| malformed("it is no base64"))?;
    let sealed = Sealed::parse(&raw).map_err(|fault| malformed(&fault.to_string()))?;
    let provided = passphrase().map_err(Error::Passphrase)?;
    let plain = match &provided {
        Some(secret) => sealed.open(secret.expose_secret()).ok_or(Error::WrongPassphrase)?,
        None => sealed.open("").ok_or(Error::PassphraseNeeded)?,
    };
    let (secrets, owner) = parse_secrets(&plain).map_err(|fault| malformed(&fault.to_string()))?;
    if owner != Some(repository) {
        return Err(malformed("it belongs to another repository"));
    }
    Ok(secrets)
}

fn malformed(reason: &str) -> Error {
    Error::Key { reason: format!("the key cannot be used: {reason}") }
}

pub(crate) struct Sealed<'a> {
    pub iterations: u32,
    salt: &'a [u8],
    hash: &'a [u8],
    data: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub fn parse(raw: &'a [u8]) -> Result<Self, Fault> {
        let (mut version, mut algorithm, mut iterations) = (0, &b""[..], 0);
        let mut sealed = Self { iterations: 0, salt: b"", hash: b"", data: b"" };
        each_field::<Fault>(&mut Reader::new(raw), |key, value| {
            match key {
                b"version" => version = value.int()?,
                b"algorithm" => algorithm = value.bytes()?,
                b"iterations" => iterations = value.unsigned()?,
                b"salt" => sealed.salt = value.bytes()?,
                b"hash" => sealed.hash = value.bytes()?,
                b"data" => sealed.data = value.bytes()?,
                _ => value.skip()?,
            }
            Ok(())
        })?;
        if version != 1 || algorithm != b"sha256" {
            return Err(Fault::Malformed("it is of an unknown version"));
        }
        if iterations == 0 || iterations > MAX_ITERATIONS {
            return Err(Fault::Malformed("its number of iterations is out of range"));
        }
        sealed.iterations = iterations as u32;
        Ok(sealed)
    }

    pub fn open(&self, passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), self.salt, self.iterations, key.as_mut());
        let mut plain = Zeroizing::new(self.data.to_vec());
        apply(key.as_ref(), &[0; 16], &mut plain);
        same(&Hash::hmac(key.as_ref()).of(&plain), self.hash).then_some(plain)
    }
}

pub(crate) fn parse_secrets(plain: &[u8]) -> Result<(Secrets, Option<Id>), Fault> {
    let mut secrets = Secrets::default();
    let (mut version, mut owner) = (0, None);
    each_field::<Fault>(&mut Reader::new(plain), |key, value| {
        match key {
            b"version" => version = value.int()?,
            b"repository_id" => owner = Id::from_slice(value.bytes()?),
            b"enc_key" => secrets.enc = Zeroizing::new(value.bytes()?.to_vec()),
            b"enc_hmac_key" => secrets.mac = Zeroizing::new(value.bytes()?.to_vec()),
            b"id_key" => secrets.id = Zeroizing::new(value.bytes()?.to_vec()),
            b"tam_required" => secrets.tam_required = value.bool()?,
            _ => value.skip()?,
        }
        Ok(())
    })?;
    if version != 1 {
        return Err(Fault::Malformed("its content is of an unknown version"));
    }
    if secrets.enc.len() != 32 || secrets.mac.is_empty() || secrets.id.is_empty() {
        return Err(Fault::Malformed("it lacks a part"));
    }
    Ok((secrets, owner))
}
