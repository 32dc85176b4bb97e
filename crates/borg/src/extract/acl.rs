//! POSIX ACLs, from Borg's text to what the kernel takes.
//!
//! The text is that of `acl_to_text(3)`, `user:name:rwx` and so on, with the number of user or group as a fourth
//! field. The kernel takes the value of `system.posix_acl_access` or `…_default`: a version (2), then eight bytes per
//! entry of tag, permissions and number, all little-endian. Linux, `include/uapi/linux/posix_acl_xattr.h`.

use super::owners::Directory;

const VERSION: u32 = 2;
/// The number of entries that concern no particular user or group.
const NOBODY: u32 = u32::MAX;
/// Bytes of a value that says no more than a mode: of owner, group and others.
pub(super) const LEAST: usize = 4 + 3 * 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    tag: u16,
    number: u32,
    permissions: u16,
}

/// The value to set; `None` if the text is not an ACL.
pub(super) fn encode(text: &[u8], names: &Directory) -> Option<Vec<u8>> {
    let mut entries = parse(text, names)?;
    // The kernel wants them in the order of their tags.
    entries.sort_unstable();
    let mut value = VERSION.to_le_bytes().to_vec();
    for entry in entries {
        value.extend_from_slice(&entry.tag.to_le_bytes());
        value.extend_from_slice(&entry.permissions.to_le_bytes());
        value.extend_from_slice(&entry.number.to_le_bytes());
    }
    Some(value)
}

/// The text with numbers in place of names, entries separated by commas: what tar streams carry.
pub(super) fn numeric_text(text: &[u8], names: &Directory) -> Option<String> {
    let entries = parse(text, names)?;
    let shown = entries.iter().map(|entry| {
        let permission = |bit, letter| if entry.permissions & bit == 0 { '-' } else { letter };
        let who = if entry.number == NOBODY { String::new() } else { entry.number.to_string() };
        let kind = match entry.tag {
            0x01 | 0x02 => "user",
            0x04 | 0x08 => "group",
            0x10 => "mask",
            _ => "other",
        };
        format!("{kind}:{who}:{}{}{}", permission(4, 'r'), permission(2, 'w'), permission(1, 'x'))
    });
    Some(shown.collect::<Vec<_>>().join(","))
}

/// Entrance for fuzzing, see [`crate::fuzzing`].
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz(text: &[u8]) {
    let names = Directory::new(super::Owners::Numeric);
    let Some(value) = encode(text, &names) else { return };
    let numeric = numeric_text(text, &names).expect("what can be encoded can be shown");
    assert_eq!(encode(numeric.replace(',', "\n").as_bytes(), &names), Some(value), "it means the same");
}

fn parse(text: &[u8], names: &Directory) -> Option<Vec<Entry>> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .map(|line| parse_entry(line, names))
        .collect()
}

fn parse_entry(line: &[u8], names: &Directory) -> Option<Entry> {
    let mut fields = line.split(|byte| *byte == b':');
    let kind = fields.next()?;
    let name = fields.next()?;
    // A comment such as "#effective:r--" may follow.
    let permissions = fields.next()?.split(u8::is_ascii_whitespace).next()?;
    let permissions = permissions.iter().try_fold(0, |bits, letter| match letter {
        b'r' => Some(bits | 4),
        b'w' => Some(bits | 2),
        b'x' => Some(bits | 1),
        b'-' => Some(bits),
        _ => None,
    })?;
    let recorded = fields.next().filter(|field| !field.is_empty()).unwrap_or(name);
    let recorded = || std::str::from_utf8(recorded).ok()?.parse().ok().filter(|number| *number != NOBODY);
    let (tag, number) = match (kind, name) {
        (b"user" | b"u", b"") => (0x01, NOBODY),
        (b"user" | b"u", name) => (0x02, names.user(name).or_else(recorded)?),
        (b"group" | b"g", b"") => (0x04, NOBODY),
        (b"group" | b"g", name) => (0x08, names.group(name).or_else(recorded)?),
        (b"mask" | b"m", _) => (0x10, NOBODY),
        (b"other" | b"o", _) => (0x20, NOBODY),
        _ => return None,
    };
    Some(Entry { tag, number, permissions })
}

#[cfg(test)]
mod tests {
    use super::{encode, numeric_text};
    use crate::extract::Owners;
    use crate::extract::owners::Directory;

    const TEXT: &[u8] =
        b"user::rw-\nuser:nobody-here:r-x:9999\ngroup::r--\ngroup:7:-w-:7\nmask::rwx\nother::---\n";

    #[test]
    fn text_becomes_entries_in_the_kernels_order() {
        let value = encode(TEXT, &Directory::new(Owners::Numeric)).unwrap();
        let tags: Vec<u8> = value[4..].chunks(8).map(|entry| entry[0]).collect();
        assert_eq!(value[..4], [2, 0, 0, 0]);
        assert_eq!(tags, [1, 2, 4, 8, 0x10, 0x20]);
        assert_eq!(value[12..20], [2, 0, 5, 0, 0x0f, 0x27, 0, 0]);
    }

    #[test]
    fn nonsense_is_no_acl() {
        for text in [&b"user"[..], b"user::rwz", b"user:who:r--", b"thing::r--"] {
            assert_eq!(encode(text, &Directory::new(Owners::Numeric)), None);
        }
    }

    #[test]
    fn tar_streams_get_numbers() {
        let text = numeric_text(TEXT, &Directory::new(Owners::Numeric)).unwrap();
        assert_eq!(text, "user::rw-,user:9999:r-x,group::r--,group:7:-w-,mask::rwx,other::---");
    }
}
