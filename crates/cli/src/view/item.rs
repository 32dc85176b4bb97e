//! One item of an archive, as a line and as JSON.

use std::fmt::Write;

use reprise_borg::{Item, Kind};
use serde::Serialize;

use crate::ui::one_line;

/// An item. Documented in `docs/json.md`.
#[derive(Debug, Serialize)]
pub struct Listed {
    path: String,
    /// The path's bytes in hexadecimal digits, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// As `ls` shows it; null for a directory that has no item of its own.
    mode: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    size: u64,
    modified: Option<String>,
    link_target: Option<String>,
    hard_link_to: Option<String>,
    /// Whether a repair replaced lost content with zeros.
    damaged: bool,
}

impl Listed {
    /// An item as it is.
    pub fn of(item: &Item) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            kind: kind(item.kind()),
            mode: Some(mode(item)),
            uid: item.uid,
            gid: item.gid,
            user: item.user.as_deref().map(text),
            group: item.group.as_deref().map(text),
            size: if item.kind() == Kind::File { item.content_size() } else { 0 },
            modified: item.mtime.and_then(utc).map(|time| time.to_string()),
            link_target: item.symlink_target().map(text),
            hard_link_to: item.hard_link_target().map(text),
            damaged: item.is_damaged(),
            ..Self::directory(&item.path)
        }
    }

    /// A directory that other items lie in, but that was not backed up itself.
    pub fn directory(path: &[u8]) -> Self {
        Self {
            path: String::from_utf8_lossy(path).into_owned(),
            path_hex: std::str::from_utf8(path).is_err().then(|| hex(path)),
            kind: kind(Kind::Directory),
            mode: None,
            uid: None,
            gid: None,
            user: None,
            group: None,
            size: 0,
            modified: None,
            link_target: None,
            hard_link_to: None,
            damaged: false,
        }
    }

    /// A line in the way of `ls -l` and `borg list`; times are in UTC.
    pub fn line(&self) -> String {
        let owner = |name: &Option<String>, number: Option<u32>| match (name, number) {
            (Some(name), _) if !name.is_empty() => one_line(name),
            (_, Some(number)) => number.to_string(),
            _ => "-".to_owned(),
        };
        let mut line = format!(
            "{} {:<8} {:<8} {:>11} {:<19} {}",
            self.mode.as_deref().unwrap_or("d---------"),
            owner(&self.user, self.uid),
            owner(&self.group, self.gid),
            self.size,
            self.modified
                .as_deref()
                .map_or_else(String::new, |time| time.chars().take(19).collect::<String>()),
            one_line(&self.path),
        );
        if let Some(target) = &self.link_target {
            let _ = write!(line, " -> {}", one_line(target));
        }
        if let Some(first) = &self.hard_link_to {
            let _ = write!(line, " link to {}", one_line(first));
        }
        line
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
fn mode(item: &Item) -> String {
    let kind = match item.kind() {
        Kind::File if item.hard_link_target().is_some() => 'h',
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Other => '?',
    };
    let bits = item.permissions();
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        text.push(if bits >> shift & 4 != 0 { 'r' } else { '-' });
        text.push(if bits >> shift & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & special != 0, bits >> shift & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// Nanoseconds since 1970 as a time; none for what no calendar of ours holds.
fn utc(nanoseconds: i128) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(nanoseconds).ok()
}
