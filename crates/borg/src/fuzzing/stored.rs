//! The files of a repository, what a server says, what is kept in the cache, and patterns.

use std::path::Path;

use crate::catalogue::fuzzing::any_table;
use crate::crypto::blob::{Sealed, parse_secrets};
use crate::index::file::{BUCKET, HEADER, check_header, lookup};
use crate::index::integrity;
use crate::pattern::{Pattern, Style};
use crate::remote::fuzz_answers;
use crate::repository::config::Config;
use crate::segment::{self, Cut, MAGIC};
use crate::{Error, Id};

pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(config) = Config::parse(Path::new("fuzzed"), text) else { return };
    assert!(config.segments_per_dir > 0);
    let key =
        config.key.as_ref().map(|key| format!("key = {}\n", key.replace('\n', "\n\t"))).unwrap_or_default();
    let (id, per_dir) = (config.id, config.segments_per_dir);
    let text = format!("[repository]\nversion = 1\nid = {id}\nsegments_per_dir = {per_dir}\n{key}");
    let again = Config::parse(Path::new("again"), &text).expect("as borg writes it");
    assert_eq!((again.id, again.segments_per_dir, again.key), (id, per_dir, config.key));
}

pub fn index(input: &[u8]) {
    let Some(buckets) = check_header(input) else { return };
    let entries = input[HEADER..].chunks_exact(BUCKET).take(64);
    let ids = entries.clone().filter_map(|bucket| Id::from_slice(&bucket[..32]));
    for id in ids.chain([Id::MANIFEST, Id([0xff; 32])]) {
        if let Some(place) = lookup(input, buckets, &id) {
            let bucket = [&id.0[..], &place.segment.to_le_bytes(), &place.offset.to_le_bytes()].concat();
            assert!(input[HEADER..].chunks_exact(BUCKET).any(|there| there == bucket), "it stands there");
        }
    }
}

pub fn integrity(input: &[u8]) {
    drop(integrity::parse(input));
}

pub fn segment(input: &[u8]) {
    let (mut end, mut largest) = (MAGIC.len(), 0);
    let mut entry = Vec::new();
    let walked = segment::walk(
        input,
        input.len() as u64,
        (7, Path::new("fuzzed")),
        &mut entry,
        |offset, head, bytes| {
            assert_eq!((offset, bytes.len()), (end as u64, head.size), "one follows the other");
            assert_eq!(bytes.as_slice(), &input[end..end + head.size]);
            end += head.size;
            largest = largest.max(head.size);
            // What says that it is sound is what the checksum says.
            assert_eq!(head.verify(bytes), crc32fast::hash(&bytes[4..]).to_le_bytes() == bytes[..4]);
            bytes.clear();
            Ok(Cut::Next)
        },
    );
    match walked {
        Ok(()) => assert_eq!(end, input.len(), "all of it is entries"),
        Err(Error::Segment { offset, .. }) => assert!(offset <= input.len() as u64),
        Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error}"),
    }
    assert!(entry.capacity() <= 2 * largest.max(input.len()), "no room for what is not there");
}

pub fn key(input: &[u8]) {
    if let Ok(sealed) = Sealed::parse(input)
        && sealed.iterations <= 10
    {
        drop(sealed.open(""));
    }
    if let Ok((secrets, _)) = parse_secrets(input) {
        assert_eq!(secrets.enc.len(), 32);
    }
}

pub fn rpc(input: &[u8]) {
    fuzz_answers(input);
}

pub fn catalogue(input: &[u8]) {
    any_table(input);
}

/// A style, a pattern, a zero byte, a path.
pub fn patterns(input: &[u8]) {
    let Some((style, rest)) = input.split_first() else { return };
    let style =
        [Style::Fnmatch, Style::Shell, Style::Regex, Style::Prefix, Style::Full][usize::from(style % 5)];
    let (text, path) = match rest.iter().position(|byte| *byte == 0) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &b"a/b"[..]),
    };
    if let Ok(pattern) = Pattern::parse(text, style) {
        let matches = pattern.matches(path);
        assert_eq!(matches, pattern.matches(&[b"/", path].concat()), "leading slashes say nothing");
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if text.iter().all(plain) && !text.is_empty() && style != Style::Regex {
            assert!(pattern.matches(text), "a plain name matches itself");
            assert_eq!(pattern.matches(&[text, b"/x"].concat()), style != Style::Full);
        }
    }
    if let Ok(pattern) = Pattern::of_names(text) {
        pattern.matches(path);
    }
}
