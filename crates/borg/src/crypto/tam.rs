//! Tertiary authentication (TAM): a code inside manifest and archive metadata that says what kind of metadata it
//! is, so that neither can be passed off as the other, or as a piece of somebody's file.
//!
//! The code is HMAC-SHA-512 over the metadata as stored, with the code's own bytes zeroed; its key comes from all
//! the repository's secrets by HKDF-SHA-512. Without encryption there is no secret and the code only guards against accidents.
//! Borg 1.x, `crypto/key.py`, `unpack_and_verify_manifest`.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use super::{Encryption, Key, cipher::same};
use crate::msgpack::{Fault, Reader, each_field};

const CODE: usize = 64;

/// What the code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authenticity {
    Verified,
    /// There is no code, or one of an unknown kind.
    Absent,
    Invalid,
}

/// Checks the code in the metadata `packed`, which is to be a `context`: "manifest" or "archive".
pub(crate) fn authenticate(key: &Key, context: &str, packed: &[u8]) -> Result<Authenticity, Fault> {
    let mut found = None;
    each_field::<Fault>(&mut Reader::new(packed), |name, value| {
        if name == b"tam" {
            found = Some(value.slice()?);
        } else {
            value.skip()?;
        }
        Ok(())
    })?;
    let Some(tam) = found else { return Ok(Authenticity::Absent) };
    let (mut kind, mut code, mut salt) = (None, None, None);
    each_field::<Fault>(&mut Reader::new(tam), |name, value| {
        match name {
            b"type" => kind = Some(value.bytes()?),
            b"hmac" => code = Some(value.bytes()?),
            b"salt" => salt = Some(value.bytes()?),
            _ => value.skip()?,
        }
        Ok(())
    })?;
    if kind != Some(b"HKDF_HMAC_SHA512") {
        return Ok(Authenticity::Absent);
    }
    let (Some(code), Some(salt)) = (code, salt) else { return Ok(Authenticity::Invalid) };
    if code.len() != CODE {
        return Ok(Authenticity::Invalid);
    }
    // `code` is a part of `packed`: its place follows from the addresses, whatever else looks the same.
    let start = code.as_ptr() as usize - packed.as_ptr() as usize;
    let mut hash = metadata_hash(key, context, salt);
    hash.update(&packed[..start]);
    hash.update(&[0; CODE]);
    hash.update(&packed[start + CODE..]);
    let valid = same(&hash.finalize().into_bytes(), code);
    Ok(if valid { Authenticity::Verified } else { Authenticity::Invalid })
}

fn metadata_hash(key: &Key, context: &str, salt: &[u8]) -> Hmac<Sha512> {
    let secret = if key.encryption() == Encryption::None {
        Zeroizing::new([salt, context.as_bytes()].concat())
    } else {
        let mut derived = Zeroizing::new(vec![0; CODE]);
        let info = format!("borg-metadata-authentication-{context}");
        Hkdf::<Sha512>::new(Some(salt), &key.metadata_secret())
            .expand(info.as_bytes(), &mut derived)
            .expect("64 bytes are a length HKDF-SHA-512 can give");
        derived
    };
    Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length")
}
