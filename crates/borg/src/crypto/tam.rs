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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Hash, Secrets};

    fn key(encryption: Encryption) -> Key {
        let part = |fill: u8| Zeroizing::new(vec![fill; 32]);
        let secrets = Secrets { enc: part(1), mac: part(2), id: part(3), tam_required: true };
        Key { encryption, secrets, mac: Hash::Plain, id: Hash::Plain }
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        [&[0xda, 0, bytes.len() as u8][..], bytes].concat()
    }

    /// `{v: 1, tam: {type, hmac, salt}, z: salt}`, where the last field looks like a part of the code.
    fn packed(kind: &[u8], code: &[u8], salt: &[u8]) -> Vec<u8> {
        [
            b"\x83\xa1v\x01\xa3tam\x83\xa4type".to_vec(),
            raw(kind),
            b"\xa4hmac".to_vec(),
            raw(code),
            b"\xa4salt".to_vec(),
            raw(salt),
            b"\xa1z".to_vec(),
            raw(code),
        ]
        .concat()
    }

    const KIND: &[u8] = b"HKDF_HMAC_SHA512";

    fn signed(key: &Key, context: &str, salt: &[u8]) -> Vec<u8> {
        let mut packed = packed(KIND, &[0; CODE], salt);
        let mut hash = metadata_hash(key, context, salt);
        hash.update(&packed);
        let code = hash.finalize().into_bytes();
        let at = packed.windows(5).position(|window| window == b"\xa4hmac").unwrap() + 8;
        packed[at..at + CODE].copy_from_slice(&code);
        packed
    }

    #[test]
    fn a_code_holds_for_its_context_its_key_and_every_byte() {
        for encryption in [Encryption::None, Encryption::Repokey, Encryption::KeyfileBlake2] {
            let key = key(encryption);
            let sound = signed(&key, "manifest", b"salt");
            assert_eq!(authenticate(&key, "manifest", &sound), Ok(Authenticity::Verified));
            assert_eq!(authenticate(&key, "archive", &sound), Ok(Authenticity::Invalid));
            for at in 0..sound.len() {
                let mut flipped = sound.clone();
                flipped[at] ^= 1;
                let found = authenticate(&key, "manifest", &flipped);
                assert_ne!(found, Ok(Authenticity::Verified), "byte {at}");
            }
        }
        let sound = signed(&key(Encryption::Repokey), "manifest", b"salt");
        let mut other = key(Encryption::Repokey);
        other.secrets.enc[7] ^= 1;
        assert_eq!(authenticate(&other, "manifest", &sound), Ok(Authenticity::Invalid));
    }

    #[test]
    fn what_is_no_code_is_absent_or_wrong_but_never_right() {
        let key = key(Encryption::Repokey);
        let check = |packed: &[u8]| authenticate(&key, "manifest", packed);
        assert_eq!(check(b"\x81\xa1v\x01"), Ok(Authenticity::Absent), "none at all");
        assert_eq!(check(&packed(b"of a later kind", &[0; CODE], b"s")), Ok(Authenticity::Absent));
        assert_eq!(check(b"\x81\xa3tam\x80"), Ok(Authenticity::Absent), "empty");
        assert_eq!(check(&packed(KIND, &[0; CODE], b"s")), Ok(Authenticity::Invalid), "zeros");
        assert_eq!(check(&packed(KIND, &[0; CODE - 1], b"s")), Ok(Authenticity::Invalid), "too short");
        assert_eq!(check(&packed(KIND, b"", b"s")), Ok(Authenticity::Invalid));
        assert_eq!(
            check(b"\x81\xa3tam\x81\xa4type\xb0HKDF_HMAC_SHA512"),
            Ok(Authenticity::Invalid),
            "a mere kind"
        );
        for wrong in
            [&b"\x81\xa3tam\x05"[..], b"\x81\xa3tam\x81\xa4type\x07", b"\x81\xa3tam", b"\x91\x01", b""]
        {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_that_asks_for_a_code_takes_no_manifest_without_one() {
        use crate::manifest::Manifest;
        let mut key = key(Encryption::Repokey);
        let manifest = b"\x82\xa7version\x01\xa8archives\x80";
        assert!(Manifest::parse(&key, manifest).is_err());
        key.secrets.tam_required = false;
        assert!(!Manifest::parse(&key, manifest).unwrap().authenticated);
    }
}
