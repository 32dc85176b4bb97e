//! What a repository's key does: opening the envelope around each object, and computing ids.
//!
//! | type byte | mode | envelope | id |
//! |---|---|---|---|
//! | 02 | none | type, data | SHA-256 |
//! | 07 / 06 | authenticated / -blake2 | type, data | keyed |
//! | 03 / 05 | repokey / -blake2 | type, MAC (32), IV (8), AES-256-CTR of data | keyed |
//! | 00 / 04 | keyfile / -blake2 | the same | keyed |
//!
//! The keyed id and the MAC are HMAC-SHA-256, or for the blake2 modes BLAKE2b-256 over key and data one after the
//! other (*not* that hash's own keyed mode). The MAC covers IV and ciphertext but says nothing about which object they
//! belong to: only the id check, made after decompression, keeps objects from being swapped. Borg 1.x, `crypto/key.py`.

pub(crate) mod blob;
mod cipher;
mod lanes;
mod locate;
mod sha256;
mod tam;

use std::fmt;

use hkdf::Hkdf;
use secrecy::SecretString;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Error, Id};

use cipher::Hash;
pub(crate) use lanes::{Lanes, Message};
pub use locate::PassphraseError;
pub(crate) use locate::{KeySource, find};
pub(crate) use tam::{Authenticity, authenticate};

/// How a repository protects its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// Neither encrypted nor authenticated: who can write to the repository can forge what it holds.
    None,
    /// Authenticated, not encrypted.
    Authenticated,
    /// Authenticated with `BLAKE2b`, not encrypted.
    AuthenticatedBlake2,
    /// Encrypted, key in the repository.
    Repokey,
    /// Encrypted, key in the repository, `BLAKE2b`.
    RepokeyBlake2,
    /// Encrypted, key in a file elsewhere.
    Keyfile,
    /// Encrypted, key in a file elsewhere, `BLAKE2b`.
    KeyfileBlake2,
}

/// An older way to the same key as repokey; Borg treats its chunks alike.
const LEGACY_PASSPHRASE: u8 = 0x01;

impl Encryption {
    /// By the first byte of any object.
    fn from_type(byte: u8) -> Option<Self> {
        Some(match byte {
            0x00 => Self::Keyfile,
            LEGACY_PASSPHRASE | 0x03 => Self::Repokey,
            0x02 => Self::None,
            0x04 => Self::KeyfileBlake2,
            0x05 => Self::RepokeyBlake2,
            0x06 => Self::AuthenticatedBlake2,
            0x07 => Self::Authenticated,
            _ => return None,
        })
    }

    /// By its [`Encryption::name`].
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::None,
            Self::Authenticated,
            Self::AuthenticatedBlake2,
            Self::Repokey,
            Self::RepokeyBlake2,
            Self::Keyfile,
            Self::KeyfileBlake2,
        ];
        all.into_iter().find(|encryption| encryption.name() == name)
    }

    /// What `borg init --encryption` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Authenticated => "authenticated",
            Self::AuthenticatedBlake2 => "authenticated-blake2",
            Self::Repokey => "repokey",
            Self::RepokeyBlake2 => "repokey-blake2",
            Self::Keyfile => "keyfile",
            Self::KeyfileBlake2 => "keyfile-blake2",
        }
    }

    /// True if the content is unreadable without the key.
    pub fn is_encrypted(self) -> bool {
        !matches!(self, Self::None | Self::Authenticated | Self::AuthenticatedBlake2)
    }

    fn is_blake2(self) -> bool {
        matches!(self, Self::AuthenticatedBlake2 | Self::RepokeyBlake2 | Self::KeyfileBlake2)
    }

    fn is_keyfile(self) -> bool {
        matches!(self, Self::Keyfile | Self::KeyfileBlake2)
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A repository's key, ready for use.
pub(crate) struct Key {
    encryption: Encryption,
    secrets: Secrets,
    mac: Hash,
    id: Hash,
}

/// The unlocked content of a key blob. All empty for an unprotected repository.
#[derive(Default)]
pub(crate) struct Secrets {
    pub enc: Zeroizing<Vec<u8>>,
    pub mac: Zeroizing<Vec<u8>>,
    pub id: Zeroizing<Vec<u8>>,
    /// Whether a manifest without an authentication code is refused.
    pub tam_required: bool,
}

impl Key {
    /// The key that belongs to the repository, whose kind is recognised by its (sealed) manifest.
    pub fn load(
        manifest: &[u8],
        source: &KeySource<'_>,
        passphrase: &dyn Fn() -> Result<Option<SecretString>, PassphraseError>,
    ) -> Result<Self, Error> {
        let encryption =
            manifest.first().copied().and_then(Encryption::from_type).ok_or_else(|| Error::Unsupported {
                what: "its objects are sealed in an unknown way".into(),
            })?;
        if encryption == Encryption::None {
            return Ok(Self::without_encryption());
        }
        let blob = find(encryption.is_keyfile(), source)?;
        let secrets = blob::unlock(&blob, source.repository_id, passphrase)?;
        let (mac, id) = if encryption.is_blake2() {
            (Hash::blake2(&secrets.mac), Hash::blake2(&secrets.id))
        } else {
            (Hash::hmac(&secrets.mac), Hash::hmac(&secrets.id))
        };
        Ok(Self { encryption, secrets, mac, id })
    }

    /// That of a repository whose content is not protected.
    pub fn without_encryption() -> Self {
        let (encryption, secrets) = (Encryption::None, Secrets::default());
        Self { encryption, secrets, mac: Hash::Plain, id: Hash::Plain }
    }

    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    pub fn tam_required(&self) -> bool {
        self.secrets.tam_required
    }

    /// What objects are called by.
    pub fn id(&self) -> &Hash {
        &self.id
    }

    /// What authenticates them.
    pub fn mac(&self) -> &Hash {
        &self.mac
    }

    /// Whether `data` is the object called `id`.
    pub fn check_id(&self, id: &Id, data: &[u8]) -> Result<(), Error> {
        matches(id, &self.id.of(data))
    }

    /// Verifies the envelope and decrypts in place; what remains is compressed, and still to be checked against `id`.
    pub fn open<'b>(&self, id: &Id, sealed: &'b mut [u8]) -> Result<&'b mut [u8], Error> {
        let Envelope { mac, text } = self.envelope(id, sealed)?;
        let text = &mut sealed[text..];
        let Some(mac) = mac else { return Ok(text) };
        let hash = self.mac.of(text);
        let plain = self.decrypt(id, &mac, &hash, text)?;
        Ok(&mut text[plain..])
    }

    /// What an object is wrapped in.
    pub fn envelope(&self, id: &Id, sealed: &[u8]) -> Result<Envelope, Error> {
        let (kind, rest) = sealed.split_first().ok_or_else(|| Error::integrity(*id, "it is empty"))?;
        let expected = Encryption::from_type(*kind);
        let legacy_matters = *kind != LEGACY_PASSPHRASE || self.encryption == Encryption::Repokey;
        if expected != Some(self.encryption) || !legacy_matters {
            return Err(Error::integrity(*id, "it is sealed in another way than the repository"));
        }
        if !self.encryption.is_encrypted() {
            return Ok(Envelope { mac: None, text: 1 });
        }
        let (mac, text) = rest
            .split_first_chunk::<32>()
            .filter(|(_, text)| text.len() >= cipher::IV)
            .ok_or_else(|| Error::integrity(*id, "its envelope is cut off"))?;
        Ok(Envelope { mac: Some(*mac), text: sealed.len() - text.len() })
    }

    /// Decrypts the text of an envelope in place, if its hash is the authentication code. Returns where the plain data
    /// begins.
    pub fn decrypt(&self, id: &Id, mac: &[u8; 32], hash: &[u8; 32], text: &mut [u8]) -> Result<usize, Error> {
        if !cipher::same(hash, mac) {
            return Err(Error::integrity(*id, "its authentication code is wrong"));
        }
        cipher::decrypt(&self.secrets.enc, text);
        Ok(cipher::IV)
    }

    /// A key for sealing what is kept outside the repository, of its own for each `purpose`. Without encryption there is
    /// no secret to derive it from: it then guards against accidents only.
    pub fn derive(&self, purpose: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &self.metadata_secret())
            .expand_multi_info(purpose, derived.as_mut_slice())
            .expect("32 bytes are a length HKDF-SHA-256 can give");
        derived
    }

    /// The key material that authenticates metadata, in the order Borg joins it.
    fn metadata_secret(&self) -> Zeroizing<Vec<u8>> {
        let Secrets { enc, mac, id, .. } = &self.secrets;
        Zeroizing::new([id.as_slice(), enc, mac].concat())
    }
}

/// What an object is wrapped in.
pub(crate) struct Envelope {
    /// Its authentication code, where the repository is encrypted.
    pub mac: Option<[u8; 32]>,
    /// Where that begins of which the code is, IV and ciphertext; else the plain data.
    pub text: usize,
}

/// Ids are no secret: they stand in the segments in clear, and may be compared in any time.
pub(crate) fn matches(id: &Id, hash: &[u8; 32]) -> Result<(), Error> {
    if *hash == id.0 { Ok(()) } else { Err(Error::integrity(*id, "its id does not match")) }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("encryption", &self.encryption).finish_non_exhaustive()
    }
}
