//! Making a repository that can be opened many thousands of times: its key is sealed anew with a single iteration of PBKDF2, and its
//! index is laid out anew in a table of few buckets.
//!
//! Borg chose 100,000 iterations so that guessing is slow, and writes their number into the blob; and it never makes a table of less
//! than a thousand buckets. Everything else is as `borg` made it, and `borg` itself goes on reading it.

use std::fs;
use std::path::{Path, PathBuf};

use aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use xxhash_rust::xxh64::Xxh64;

use super::{Bench, PASSPHRASE};

/// The file that the key lies in, if the repository has one: its config, or a key file.
pub fn file_of_key(bench: &Bench) -> Option<PathBuf> {
    let config = bench.repo().join("config");
    if fs::read_to_string(&config).unwrap().contains("\nkey = ") {
        return Some(config);
    }
    let keys = fs::read_dir(bench.path("home/.config/borg/keys")).ok()?;
    keys.map(|entry| entry.unwrap().path()).next()
}

/// Seals the repository's key with one iteration. Does nothing where there is no key.
pub fn weaken(bench: &Bench) {
    let Some(path) = file_of_key(bench) else { return };
    let text = fs::read_to_string(&path).unwrap();
    // Base64 to the end, wrapped: by Borg's key files as it is, by its config with a tab before each line but the first.
    let start = if path.ends_with("config") {
        text.find("\nkey = ").unwrap() + "\nkey = ".len()
    } else {
        text.find('\n').unwrap() + 1
    };
    let wrapped = &text[start..];
    let packed: String = wrapped.split_whitespace().collect();
    let resealed = STANDARD.encode(reseal(&STANDARD.decode(&packed).unwrap()));
    assert_eq!(resealed.len(), packed.len());
    let mut fresh = resealed.chars();
    let replaced = |c: char| if c.is_whitespace() { c } else { fresh.next().unwrap() };
    let replaced: String = wrapped.chars().map(replaced).collect();
    fs::write(&path, text[..start].to_owned() + &replaced).unwrap();
}

/// The newest file of this kind (`index`, `hints`, `integrity`) and its transaction.
pub fn newest(repo: &Path, kind: &str) -> (PathBuf, u32) {
    let entries = fs::read_dir(repo).unwrap().map(|entry| entry.unwrap().path());
    let numbered = entries.filter_map(|path| {
        let number = path.file_name()?.to_str()?.strip_prefix(kind)?.strip_prefix('.')?.parse().ok()?;
        Some((path, number))
    });
    numbered.max_by_key(|(_, number)| *number).unwrap()
}

/// Lays the index out in a table of few buckets, and writes down its new digests.
pub fn shrink_index(bench: &Bench) {
    const HEADER: usize = 18;
    const EMPTY: [u8; 40] = {
        let mut bucket = [0; 40];
        let mut at = 32;
        while at < 36 {
            bucket[at] = 0xff;
            at += 1;
        }
        bucket
    };
    let (path, number) = newest(&bench.repo(), "index");
    let old = fs::read(&path).unwrap();
    // Neither empty (0xffffffff) nor deleted (0xfffffffe).
    let used: Vec<&[u8]> = old[HEADER..].chunks(40).filter(|bucket| bucket[33..36] != [0xff; 3]).collect();
    let buckets = used.len() * 3 / 2 + 3;
    let mut table = vec![EMPTY; buckets];
    for bucket in &used {
        let mut at = u32::from_le_bytes(bucket[..4].try_into().unwrap()) as usize % buckets;
        while table[at] != EMPTY {
            at = (at + 1) % buckets;
        }
        table[at].copy_from_slice(bucket);
    }
    let mut new = old[..8].to_vec();
    new.extend((used.len() as u32).to_le_bytes());
    new.extend((buckets as u32).to_le_bytes());
    new.extend(&old[16..HEADER]);
    new.extend(table.as_flattened());
    fs::write(&path, &new).unwrap();

    let name = path.file_name().unwrap().to_str().unwrap();
    let [before, after] = [&old, &new].map(|index| digests(name, index));
    let integrity = bench.repo().join(format!("integrity.{number}"));
    let mut recorded = fs::read(&integrity).unwrap();
    for (before, after) in before.iter().zip(&after) {
        let at =
            recorded.windows(16).position(|window| window == before.as_bytes()).expect("borg's own digest");
        recorded[at..at + 16].copy_from_slice(after.as_bytes());
    }
    fs::write(integrity, recorded).unwrap();
}

/// After the header, and of the whole, as borg computes them.
fn digests(name: &str, index: &[u8]) -> [String; 2] {
    let mut hash = Xxh64::new(0);
    let mut marked = |marker: &str, further: &str, bytes: &[u8]| {
        hash.update(format!("{:10}{marker}{further}", marker.len()).as_bytes());
        let digest = format!("{:016x}", hash.digest());
        hash.update(bytes);
        digest
    };
    marked(name, "", &index[..18]);
    let header = marked("HashHeader", "18", &index[18..]);
    [header, marked("final", &index.len().to_string(), b"")]
}

/// The same msgpack map with all sizes kept: other iterations, data and hash.
fn reseal(blob: &[u8]) -> Vec<u8> {
    let mut blob = blob.to_vec();
    let salt = blob[value(&blob, b"salt")].to_vec();
    let (data, hash) = (value(&blob, b"data"), value(&blob, b"hash"));
    // Four bytes after the mark of a 32-bit number.
    let at = position(&blob, b"\xaaiterations\xce");
    let iterations = u32::from_be_bytes(blob[at..at + 4].try_into().unwrap());
    let old = derive(&salt, iterations);
    cipher(&old, &mut blob[data.clone()]);
    assert_eq!(code(&old, &blob[data.clone()]), blob[hash.clone()], "the passphrase is right");
    let new = derive(&salt, 1);
    let seal = code(&new, &blob[data.clone()]);
    blob[hash].copy_from_slice(&seal);
    cipher(&new, &mut blob[data]);
    blob[at..at + 4].copy_from_slice(&1_u32.to_be_bytes());
    blob
}

/// Where the value of a field of the map lies: a string with a length of 16 bits.
fn value(blob: &[u8], name: &[u8]) -> std::ops::Range<usize> {
    let mut key = vec![0xa0 | name.len() as u8];
    key.extend_from_slice(name);
    key.push(0xda);
    let at = position(blob, &key);
    let len = usize::from(u16::from_be_bytes([blob[at], blob[at + 1]]));
    at + 2..at + 2 + len
}

/// Where what follows `wanted` begins.
fn position(blob: &[u8], wanted: &[u8]) -> usize {
    blob.windows(wanted.len()).position(|window| window == wanted).unwrap() + wanted.len()
}

fn derive(salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(PASSPHRASE.as_bytes(), salt, iterations, &mut key);
    key
}

fn cipher(key: &[u8; 32], text: &mut [u8]) {
    Ctr128BE::<Aes256>::new(key.into(), &[0; 16].into()).apply_keystream(text);
}

fn code(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut code = Hmac::<Sha256>::new_from_slice(key).unwrap();
    code.update(text);
    code.finalize().into_bytes().to_vec()
}
