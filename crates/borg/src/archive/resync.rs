//! Finding items again after a gap in the stream of metadata, by their looks.
//!
//! Borg 1.x, `archive.py`, looks for the next map of known keys that has a path and a time. Here, what follows it must be
//! such maps too, up to where the bytes at hand end: single bytes that look like an item are found in the attributes of others.

use std::collections::HashSet;

use crate::item::View;
use crate::msgpack::{Fault, Reader};

/// All keys of items in Borg 1.x, `constants.py`, and of Attic.
const KEYS: [&[u8]; 24] = [
    b"acl",
    b"acl_access",
    b"acl_default",
    b"acl_extended",
    b"acl_nfs4",
    b"atime",
    b"birthtime",
    b"bsdflags",
    b"chunks",
    b"chunks_healthy",
    b"ctime",
    b"gid",
    b"group",
    b"hardlink_master",
    b"mode",
    b"mtime",
    b"part",
    b"path",
    b"rdev",
    b"size",
    b"source",
    b"uid",
    b"user",
    b"xattrs",
];

/// Longest beginning of an item that tells nothing yet: the head of its map, and its first key.
const BEGINNING: usize = 5 + 5 + 16;
/// So many bytes are decoded in vain for each that is looked at, then the rest is given up: no data of anybody's making
/// takes long.
const EFFORT: usize = 64;

/// What follows the bytes in which an item is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Something: the last item may be cut.
    More,
    /// Nothing: the last item ends where they do.
    End,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// An item begins here.
    Item(usize),
    /// None, and none begins before this either: with more bytes, look on from here.
    NotBefore(usize),
}

/// Looks for the first item in `bytes` which is followed by nothing but items.
pub(super) fn find(bytes: &[u8], then: Then) -> Found {
    // Places where an item followed by nothing but items does not begin.
    let mut dead = HashSet::new();
    let mut effort = bytes.len().saturating_mul(EFFORT);
    let mut undecided = None;
    for start in 0..bytes.len() {
        if effort == 0 {
            return Found::NotBefore(bytes.len());
        }
        if !looks_like_a_map(&bytes[start..]) {
            continue;
        }
        match chain(bytes, start, then, &mut dead, &mut effort) {
            Chain::Whole => return Found::Item(start),
            Chain::Undecided => {
                undecided.get_or_insert(start);
            }
            Chain::Broken => {}
        }
    }
    Found::NotBefore(undecided.unwrap_or(bytes.len()))
}

enum Chain {
    /// At least one whole item, and nothing but items.
    Whole,
    /// The first item is cut.
    Undecided,
    Broken,
}

fn chain(bytes: &[u8], start: usize, then: Then, dead: &mut HashSet<usize>, effort: &mut usize) -> Chain {
    let mut visited = Vec::new();
    let mut at = start;
    loop {
        if at == bytes.len() {
            return Chain::Whole;
        }
        if dead.contains(&at) {
            break;
        }
        visited.push(at);
        match item(&bytes[at..]) {
            Ok(length) => {
                *effort = effort.saturating_sub(length);
                at += length;
            }
            Err(Fault::Incomplete) if then == Then::More => {
                *effort = effort.saturating_sub(bytes.len() - at);
                return if at == start { Chain::Undecided } else { Chain::Whole };
            }
            Err(_) => break,
        }
        if *effort == 0 {
            break;
        }
    }
    dead.extend(visited);
    Chain::Broken
}

/// Cheaply, what all items begin with: a map that has something in it, and a string.
fn looks_like_a_map(bytes: &[u8]) -> bool {
    let key = match bytes {
        [0x81..=0x8f, key @ ..] | [0xde, _, _, key @ ..] | [0xdf, _, _, _, _, key @ ..] => key,
        [0xde | 0xdf, ..] => return true,
        _ => return false,
    };
    matches!(key, [0xa3..=0xaf | 0xc4..=0xc6 | 0xd9..=0xdb, ..] | [])
}

/// The length of the item at the front of `bytes`.
fn item(bytes: &[u8]) -> Result<usize, Fault> {
    let mut reader = Reader::new(bytes);
    let mut has_time = false;
    for _ in 0..reader.map()? {
        let key = match reader.bytes() {
            // The key itself may be cut.
            Err(Fault::Incomplete) if reader.rest().len() > BEGINNING => {
                return Err(Fault::Malformed("an unknown key"));
            }
            key => key?,
        };
        if KEYS.binary_search(&key).is_err() {
            return Err(Fault::Malformed("an unknown key"));
        }
        has_time |= key == b"mtime";
        reader.skip()?;
    }
    let view = View::decode(&mut Reader::new(bytes))?;
    let is_item = has_time && !view.path.is_empty() && !view.path.contains(&0);
    if is_item { Ok(bytes.len() - reader.rest().len()) } else { Err(Fault::Malformed("not an item")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &[u8], out: &mut Vec<u8>) {
        match text.len() {
            length @ 0..32 => out.push(0xa0 | length as u8),
            length => out.extend([&[0xda][..], &(length as u16).to_be_bytes()].concat()),
        }
        out.extend_from_slice(text);
    }

    /// An item as Borg writes it; `xattr` is the value of an extended attribute.
    fn packed(path: &str, xattr: Option<&[u8]>) -> Vec<u8> {
        let mut out = vec![if xattr.is_some() { 0x84 } else { 0x83 }];
        text(b"mode", &mut out);
        out.extend([0xcd, 0x81, 0xa4]);
        text(b"mtime", &mut out);
        out.extend([0xcf, 0x16, 1, 2, 3, 4, 5, 6, 7]);
        text(b"path", &mut out);
        text(path.as_bytes(), &mut out);
        if let Some(value) = xattr {
            text(b"xattrs", &mut out);
            out.push(0x81);
            text(b"user.x", &mut out);
            text(value, &mut out);
        }
        out
    }

    fn stream(count: usize) -> (Vec<u8>, Vec<usize>) {
        let (mut all, mut starts) = (Vec::new(), Vec::new());
        for number in 0..count {
            starts.push(all.len());
            all.extend(packed(&format!("dir/file-{number}"), (number % 3 == 0).then_some(&b"value"[..])));
        }
        (all, starts)
    }

    #[test]
    fn wherever_a_stream_is_cut_the_next_item_is_found() {
        let (all, starts) = stream(12);
        for cut in 0..*starts.last().unwrap() {
            let next = starts.iter().find(|start| **start >= cut).unwrap() - cut;
            for end in [all.len(), all.len() - 1, all.len() - 20] {
                let then = if end == all.len() { Then::End } else { Then::More };
                if starts.iter().filter(|start| **start >= cut && **start < end).count() > 1 {
                    assert_eq!(find(&all[cut..end], then), Found::Item(next), "{cut} to {end}");
                }
            }
        }
    }

    #[test]
    fn an_item_of_which_the_end_is_missing_is_not_made_up() {
        let one = packed("dir/file", None);
        for end in 1..one.len() {
            assert_eq!(find(&one[..end], Then::More), Found::NotBefore(0), "{end}");
            assert_eq!(find(&one[..end], Then::End), Found::NotBefore(end), "{end}");
            assert_eq!(find(&one[end..], Then::End), Found::NotBefore(one.len() - end), "{end}");
        }
    }

    #[test]
    fn what_looks_like_an_item_amid_other_bytes_is_none() {
        // The value holds an item and ends with bytes that are none.
        let value = [&packed("etc/shadow", None)[..], b"no item"].concat();
        let mut all = packed("home/me/file", Some(&value));
        let real = all.len();
        all.extend(packed("home/you/file", None));
        assert_eq!(find(&all[1..], Then::End), Found::Item(real - 1));
    }

    #[test]
    fn maps_of_other_keys_and_without_a_time_are_no_items() {
        let mut map = vec![0x81];
        text(b"path", &mut map);
        text(b"a", &mut map);
        assert_eq!(find(&map, Then::End), Found::NotBefore(map.len()));
        let mut other = packed("a", None);
        let at = other.windows(4).position(|window| window == b"mode").unwrap();
        other[at] = b'n';
        assert_eq!(find(&other, Then::End), Found::NotBefore(other.len()));
    }

    #[test]
    fn bytes_made_to_keep_us_busy_do_not() {
        // Every byte begins a map whose first value takes all the rest.
        let mut busy: Vec<u8> = Vec::new();
        while busy.len() < 1 << 20 {
            busy.push(0x81);
            text(b"chunks", &mut busy);
            busy.extend([0xdd, 0, 1, 0, 0]);
        }
        let begun = std::time::Instant::now();
        assert!(matches!(find(&busy, Then::End), Found::NotBefore(_)));
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
