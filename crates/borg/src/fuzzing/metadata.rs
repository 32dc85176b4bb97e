//! What is packed as msgpack: manifest, archives, items.

use std::borrow::Cow;

use crate::Id;
use crate::archive::info;
use crate::catalogue::fuzzing::same_when_kept;
use crate::crypto::{Encryption, Key, KeySource};
use crate::extract::normalize;
use crate::item::View;
use crate::manifest::Manifest;
use crate::msgpack::{Fault, Reader};

/// Longer inputs are not cut everywhere.
const SHORT: usize = 512;

/// The key of a repository without encryption.
fn no_key() -> Key {
    let source = KeySource { repository_id: Id::MANIFEST, in_config: None, paths: &[] };
    let key = Key::load(&[2], &source, &|| Ok(None)).expect("nothing is needed for it");
    assert_eq!(key.encryption(), Encryption::None);
    key
}

/// Asserts that reading is the same however much follows, and that too little is told from what is wrong: a stream that arrives in
/// pieces depends on it.
fn whatever_arrives_first<T>(
    input: &[u8],
    read: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
) -> Option<usize> {
    let mut reader = Reader::new(input);
    let whole = read(&mut reader);
    let used = input.len() - reader.rest().len();
    let is_malformed = matches!(whole, Err(Fault::Malformed(_)));
    let end = if whole.is_ok() { used } else { input.len() };
    for cut in 0..end.min(SHORT) {
        match read(&mut Reader::new(&input[..cut])) {
            Err(Fault::Incomplete) => {}
            Err(Fault::Malformed(_)) if is_malformed => {}
            part => panic!("cut at {cut}: {:?}, whole: {:?}", part.err(), whole.err()),
        }
    }
    whole.is_ok().then_some(used)
}

pub fn msgpack(input: &[u8]) {
    // Functions, as methods would have to be of one reader.
    fn skip(reader: &mut Reader<'_>) -> Result<(), Fault> {
        reader.skip()
    }
    fn int(reader: &mut Reader<'_>) -> Result<i128, Fault> {
        reader.int()
    }
    fn bigint(reader: &mut Reader<'_>) -> Result<i128, Fault> {
        reader.bigint()
    }
    fn text(reader: &mut Reader<'_>) -> Result<String, Fault> {
        reader.text()
    }
    let skipped = whatever_arrives_first(input, skip);
    let sliced = Reader::new(input).slice().ok().map(<[u8]>::len);
    assert_eq!(skipped, sliced);
    whatever_arrives_first(input, int);
    whatever_arrives_first(input, bigint);
    whatever_arrives_first(input, text);
    // Token by token, it comes to an end.
    let mut reader = Reader::new(input);
    while reader.token().is_ok() {}
}

pub fn manifest(input: &[u8]) {
    if let Ok(manifest) = Manifest::parse(&no_key(), input) {
        assert!(manifest.archives.is_sorted_by_key(|archive| &archive.time));
    }
}

pub fn archive(input: &[u8]) {
    let key = no_key();
    let parsed = info::parse(&key, false, ("fuzzed", Id::MANIFEST), input);
    if let Ok((info, stream)) = &parsed {
        assert!(stream.len() * 32 <= input.len(), "every id is there");
        let (again, _) = info::parse(&key, true, ("fuzzed", Id::MANIFEST), input)
            .expect("what is right without exceptions");
        assert_eq!(again, *info);
    }
}

pub fn item(input: &[u8]) {
    if whatever_arrives_first(input, |reader| View::decode(reader).map(|_| ())).is_none() {
        return;
    }
    let view = View::decode(&mut Reader::new(input)).expect("decoded before");
    let item = view.to_item();
    let parts = item.chunks.as_deref().unwrap_or_default().len() + item.xattrs.len() + item.path.len();
    assert!(parts <= input.len(), "nothing is made of nothing");
    assert_eq!(item.chunks.is_some(), view.chunks.is_some());
    assert_eq!(view.xattr_count as usize, item.xattrs.len());
    if let Some(chunks) = view.chunks {
        assert_eq!(item.content_size(), chunks.size);
    }
    if let Ok(path) = normalize(&item.path) {
        let mut names = path.split(|byte| *byte == b'/');
        assert!(path.is_empty() || names.all(|name| !matches!(name, b"" | b"." | b"..")), "a path to follow");
        assert_eq!(normalize(&path), Ok(Cow::Borrowed(&*path)), "normal is normal");
    }
    crate::extract::fuzz_acl(item.acl_access.as_deref().unwrap_or(input));
}

/// A stream of items becomes a catalogue, which is the same after it was written and read.
pub fn items(input: &[u8]) {
    let mut reader = Reader::new(input);
    let mut views = Vec::new();
    while let Ok(view) = View::decode(&mut reader) {
        views.push(view);
    }
    same_when_kept(&no_key(), &views);
}
