//! Putting new values into the text, in the manner of the old ones.

use std::ops::Range;

use saphyr_parser::ScalarStyle;
use serde::{Deserialize, Serialize};

use super::super::yaml::{Kind, Node, Tree};
use super::sites::Edits;

/// What a value becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replacement {
    /// A text.
    Text(String),
    /// The boolean.
    True,
    /// A mapping, written in one line.
    Mapping(Vec<(&'static str, Replacement)>),
}

/// One replacement, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Line in the original text, from one.
    pub line: usize,
    /// As it was written.
    pub before: String,
    /// As it is written now.
    pub after: String,
}

/// Applies edits from front to back; whatever is not edited is copied byte by byte.
pub(super) fn apply(text: &str, tree: &Tree, edits: &Edits) -> (String, Vec<Change>) {
    let mut out = String::with_capacity(text.len() + 64 * edits.len());
    let mut changes = Vec::with_capacity(edits.len());
    let mut copied = 0;
    for (&id, to) in edits {
        let node = &tree.nodes[id];
        // Edited nodes do not lie within each other; should one ever, the check afterwards refuses the result.
        let extent = extent(text, node);
        let start = extent.start.max(copied);
        let before = &text[start..extent.end.max(start)];
        let after = write(to, node, before);
        out.push_str(&text[copied..start]);
        out.push_str(&after);
        copied = start + before.len();
        changes.push(Change { line: node.line, before: before.to_owned(), after });
    }
    out.push_str(&text[copied..]);
    (out, changes)
}

/// The bytes of a scalar's value, quotes included. The parser's span may begin with an anchor and a tag, and may
/// then end behind a comment; of a block scalar it leaves out the header, unless it begins with an anchor.
fn extent(text: &str, node: &Node) -> Range<usize> {
    let end = node.span.end;
    let mut start = node.span.start;
    let skip =
        |from: usize, stop: fn(char) -> bool| text[from..end].find(stop).map_or(end, |length| from + length);
    let mut properties = usize::from(node.anchored) + usize::from(node.tag.is_some());
    let decorated = properties > 0;
    while decorated && start < end {
        match text.as_bytes()[start] {
            b' ' | b'\t' | b'\r' | b'\n' => start += 1,
            b'#' => start = skip(start, |c| c == '\n'),
            b'&' | b'!' if properties > 0 => {
                start = skip(start, is_blank);
                properties -= 1;
            }
            _ => break,
        }
    }
    let Kind::Scalar { style, .. } = node.kind else { return start..end };
    let value = &text[start..end];
    match style {
        ScalarStyle::Plain => {
            let value = value.split(" #").next().unwrap_or_default();
            let value = value.split("\t#").next().unwrap_or_default();
            start..start + value.trim_end_matches(is_blank).len()
        }
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => start..start + quoted_length(value),
        ScalarStyle::Literal | ScalarStyle::Folded => {
            if decorated {
                start = skip(start, |c| c == '\n');
                start = skip(start, |c| !is_blank(c));
            }
            start..start + text[start..end].trim_end_matches(is_blank).len()
        }
    }
}

/// What YAML takes for white space; other kinds of Unicode are content.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Length of the quoted scalar that `text` begins with, quotes included.
fn quoted_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match (bytes[0], byte) {
            (b'"', b'\\') => at += 2,
            (b'\'', b'\'') if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            (quote, byte) if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Writes a new value in the manner of the old one.
fn write(to: &Replacement, node: &Node, before: &str) -> String {
    let Replacement::Text(text) = to else { return write_flow(to) };
    let style = match node.kind {
        Kind::Scalar { style, .. } => style,
        // An alias.
        _ => ScalarStyle::Plain,
    };
    match style {
        ScalarStyle::Plain if is_plain(text, before.contains('{')) => text.clone(),
        ScalarStyle::SingleQuoted if !text.chars().any(is_special) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        // Taken literally; the line end behind it stays.
        ScalarStyle::Literal | ScalarStyle::Folded => text.trim_end_matches(is_blank).to_owned(),
        _ => double_quoted(text),
    }
}

/// Within braces: words bare, everything else in double quotes.
fn write_flow(to: &Replacement) -> String {
    match to {
        Replacement::True => "true".into(),
        Replacement::Text(text) if text.bytes().all(|byte| byte.is_ascii_lowercase()) => text.clone(),
        Replacement::Text(text) => double_quoted(text),
        Replacement::Mapping(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}: {}", write_flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Whether a text means itself without quotes. Stricter than YAML: paths that need thought get quotes. Braces (of
/// variables) only mean themselves outside of flow collections, where the old value had them too.
fn is_plain(text: &str, braces: bool) -> bool {
    let inner = |c: char| c.is_alphanumeric() || "/._-:$+@=~%".contains(c) || (braces && "{}".contains(c));
    text.starts_with(|c: char| c == '/' || c == '.' || c.is_ascii_alphabetic())
        && !text.ends_with(':')
        && text.chars().all(inner)
}

/// Characters that only double quotes can hold safely.
fn is_special(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_special(c) => {
                use std::fmt::Write;
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
