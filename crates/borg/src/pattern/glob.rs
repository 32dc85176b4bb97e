//! From Borg's kinds of shell patterns to regular expressions. Borg 1.x, `shellpattern.py`, and Python's `fnmatch`.

use std::iter::Peekable;
use std::str::Chars;

/// `os.path.normpath` without slashes at either end: no empty and `.` components, `..` taken back where there is something to
/// take back. Nothing at all is `.` unless the path was that of the root.
pub(super) fn normalize(path: &[u8]) -> Vec<u8> {
    let absolute = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => drop(kept.pop()),
            b".." if absolute => {}
            name => kept.push(name),
        }
    }
    if kept.is_empty() && !absolute { b".".to_vec() } else { kept.join(&b'/') }
}

/// The pattern extended by what matches everything below; a trailing slash leaves out the directory itself.
pub(super) fn with_below(pattern: &[u8], below: &str) -> Vec<u8> {
    let mut extended = normalize(pattern);
    if !extended.is_empty() {
        extended.push(b'/');
    }
    extended.extend_from_slice(below.as_bytes());
    if pattern.ends_with(b"/") {
        extended.push(b'/');
    }
    extended
}

/// For a pattern whose `*` and `?` cross slashes.
pub(super) fn fnmatch(pattern: &str) -> String {
    translate(pattern, ".*", ".", false)
}

/// For a pattern whose `*` and `?` stay within a name, and whose `**/` stands for any directories.
pub(super) fn shell(pattern: &str) -> String {
    translate(pattern, "[^/]*", "[^/]", true)
}

/// Python's `\Z` is the `\z` of everybody else.
pub(super) fn from_python(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' {
            match chars.next() {
                Some('Z') => out.push('z'),
                other => out.extend(other),
            }
        }
    }
    out
}

fn translate(pattern: &str, star: &str, any: &str, directories: bool) -> String {
    let mut out = String::from(r"(?s)\A");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if directories && chars.clone().take(2).eq(['*', '/']) => {
                chars.nth(1);
                out.push_str("(?:[^/]*/)*");
            }
            '*' => out.push_str(star),
            '?' => out.push_str(any),
            '[' => match class(&mut chars) {
                Some(class) => out.push_str(&class),
                None => out.push_str(r"\["),
            },
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push_str(r"\z");
    out
}

/// A set of characters, after its `[`. Without an end it is none, and the bracket stands for itself.
fn class(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut ahead = chars.clone();
    let negated = ahead.next_if_eq(&'!').is_some();
    // A bracket that comes first does not close.
    let mut members: Vec<char> = ahead.next_if_eq(&']').into_iter().collect();
    loop {
        match ahead.next()? {
            ']' => break,
            member => members.push(member),
        }
    }
    *chars = ahead;
    let mut set = String::new();
    let mut rest = members.as_slice();
    loop {
        match rest {
            [from, '-', to, after @ ..] => {
                // A range that runs backwards holds nothing.
                if from <= to {
                    set.extend([member(*from).as_str(), "-", member(*to).as_str()]);
                }
                rest = after;
            }
            [one, after @ ..] => {
                set.push_str(&member(*one));
                rest = after;
            }
            [] => break,
        }
    }
    Some(match (set.is_empty(), negated) {
        (true, false) => r"[^\s\S]".to_owned(),
        (true, true) => r"[\s\S]".to_owned(),
        (false, false) => format!("[{set}]"),
        (false, true) => format!("[^{set}]"),
    })
}

/// A character inside of a set, by its number: nothing in it can mean something else.
fn member(c: char) -> String {
    format!("\\x{{{:x}}}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn paths_are_normalized_as_python_does() {
        let all =
            [("", "."), ("/", ""), ("a//b/./c/", "a/b/c"), ("a/../b", "b"), ("../a", "../a"), ("/../a", "a")];
        for (path, expected) in all {
            assert_eq!(normalize(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }
}
