//! One item of an archive, as a line and as JSON.

use std::fmt::Write;

use reprise_borg::{Catalogue, Entry, Kind, Node};
use serde::{Serialize, Serializer};

use crate::ui::one_line;
use crate::view::clock::{Clock, utc};

/// An item. Documented in `docs/json.md`.
#[derive(Debug, Serialize)]
pub struct Listed<'a> {
    path: Text<'a>,
    /// The path's bytes in hexadecimal digits, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// As `ls` shows it; null for a directory that has no item of its own.
    mode: Option<Mode>,
    uid: Option<u32>,
    gid: Option<u32>,
    user: Option<Text<'a>>,
    group: Option<Text<'a>>,
    size: u64,
    #[serde(serialize_with = "time")]
    modified: Option<i128>,
    link_target: Option<Text<'a>>,
    hard_link_to: Option<Text<'a>>,
    /// Whether a repair replaced lost content with zeros.
    damaged: bool,
}

/// Tells of one item after the other.
pub struct Lister<'c> {
    catalogue: &'c Catalogue,
    path: Vec<u8>,
    first: Vec<u8>,
}

impl<'c> Lister<'c> {
    /// Of the items of `catalogue`.
    pub fn new(catalogue: &'c Catalogue) -> Self {
        Self { catalogue, path: Vec::new(), first: Vec::new() }
    }

    /// An item as it is, or a directory that others lie in.
    pub fn item(&mut self, node: Node) -> Listed<'_> {
        let entry = self.catalogue.entry(node);
        self.catalogue.path(node, &mut self.path);
        let is_link = self.catalogue.link_target(node, &mut self.first);
        let is_text = self.path.is_ascii() || std::str::from_utf8(&self.path).is_ok();
        Listed {
            path: Text(&self.path),
            path_hex: (!is_text).then(|| hex(&self.path)),
            kind: kind(entry.kind),
            mode: Some(Mode::of(&entry)).filter(|_| !entry.implicit),
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.map(Text),
            group: entry.group.map(Text),
            size: entry.size,
            modified: entry.mtime,
            link_target: entry.symlink_target.map(Text),
            hard_link_to: is_link.then_some(Text(&self.first)),
            damaged: entry.damaged,
        }
    }
}

impl Listed<'_> {
    /// Adds a line in the way of `ls -l` and `borg list` to `out`; times are in UTC.
    pub fn line(&self, clock: &mut Clock, out: &mut String) {
        out.push_str(self.mode.as_ref().map_or("d---------", Mode::text));
        for (name, number) in [(&self.user, self.uid), (&self.group, self.gid)] {
            out.push(' ');
            column(out, 8, |out| match (name, number) {
                (Some(Text(name)), _) if !name.is_empty() => show(name, out),
                (_, Some(number)) => push_number(u64::from(number), out),
                _ => out.push('-'),
            });
        }
        out.push(' ');
        let digits = self.size.checked_ilog10().unwrap_or_default() as usize + 1;
        out.push_str(&SPACES[..11_usize.saturating_sub(digits)]);
        push_number(self.size, out);
        out.push(' ');
        column(out, 19, |out| clock.seconds(self.modified, out));
        out.push(' ');
        show(self.path.0, out);
        for (says, target) in [(" -> ", &self.link_target), (" link to ", &self.hard_link_to)] {
            if let Some(Text(target)) = target {
                out.push_str(says);
                show(target, out);
            }
        }
        out.push('\n');
    }
}

/// Bytes of a name, shown as text.
#[derive(Debug, Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(self.0))
    }
}

const SPACES: &str = "                   ";

/// Adds what `write` writes, and spaces until it has as many characters.
fn column(out: &mut String, width: usize, write: impl FnOnce(&mut String)) {
    let start = out.len();
    write(out);
    let written = &out[start..];
    let count = if written.is_ascii() { written.len() } else { written.chars().count() };
    out.push_str(&SPACES[..width.saturating_sub(count)]);
}

fn push_number(number: u64, out: &mut String) {
    if number < 10 {
        out.push(char::from(b'0' + number as u8));
    } else {
        let _ = write!(out, "{number}");
    }
}

/// Adds a name so that it stays on its line and does not steer the terminal.
fn show(name: &[u8], out: &mut String) {
    match std::str::from_utf8(name) {
        Ok(text) if name.iter().all(|byte| (b' '..=b'~').contains(byte)) => out.push_str(text),
        _ => out.push_str(&one_line(&String::from_utf8_lossy(name))),
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::CharDevice => "char_device",
        Kind::BlockDevice => "block_device",
        Kind::Other => "other",
    }
}

/// Type and permissions in the letters of `ls`.
#[derive(Debug)]
struct Mode([u8; 10]);

impl Mode {
    fn of(entry: &Entry<'_>) -> Self {
        let mut letters = [b'-'; 10];
        letters[0] = match entry.kind {
            Kind::File if entry.is_link => b'h',
            Kind::File => b'-',
            Kind::Directory => b'd',
            Kind::Symlink => b'l',
            Kind::Fifo => b'p',
            Kind::CharDevice => b'c',
            Kind::BlockDevice => b'b',
            Kind::Other => b'?',
        };
        let bits = entry.permissions();
        for (bit, letter) in letters[1..].iter_mut().enumerate() {
            if bits >> (8 - bit) & 1 != 0 {
                *letter = b"rwx"[bit % 3];
            }
        }
        for (at, special, letter) in [(3, 0o4000, b's'), (6, 0o2000, b's'), (9, 0o1000, b't')] {
            if bits & special != 0 {
                letters[at] = if letters[at] == b'x' { letter } else { letter.to_ascii_uppercase() };
            }
        }
        Self(letters)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

#[expect(clippy::ref_option, reason = "what serde calls it with")]
fn time<S: Serializer>(nanoseconds: &Option<i128>, serializer: S) -> Result<S::Ok, S::Error> {
    nanoseconds.and_then(utc).serialize(serializer)
}
