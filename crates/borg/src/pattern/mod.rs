//! Patterns and selections, with the meaning Borg gives them.
//!
//! Borg 1.x, `patterns.py`: a pattern is a text, optionally after two letters and a colon that tell its style. Paths are
//! matched as they are stored, without leading slashes. Bytes that are no UTF-8 count as one character each.

mod glob;
mod rules;
mod selection;

use std::borrow::Cow;
use std::fmt;

use regex::Regex;

use crate::Error;
pub use rules::Rules;
pub use selection::Selection;
pub(crate) use selection::Verdict;

/// How a pattern is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// `fm:` as a shell pattern whose `*` also crosses slashes; matches what is below as well.
    Fnmatch,
    /// `sh:` as a shell pattern whose `*` stays within a name and whose `**/` stands for any directories; matches what
    /// is below as well.
    Shell,
    /// `re:` as a regular expression, found anywhere in the path. Of Python's syntax, look-around and backward references
    /// are missing; in return no pattern takes more than linear time.
    Regex,
    /// `pp:` as the beginning of the path, ending where a name ends.
    Prefix,
    /// `pf:` as the whole path.
    Full,
}

impl Style {
    /// By the two letters that name it.
    fn from_letters(letters: &[u8]) -> Option<Self> {
        Some(match letters {
            b"fm" => Self::Fnmatch,
            b"sh" => Self::Shell,
            b"re" => Self::Regex,
            b"pp" => Self::Prefix,
            b"pf" => Self::Full,
            _ => return None,
        })
    }
}

/// Something that paths match or do not match.
#[derive(Clone)]
pub struct Pattern {
    /// As it was given.
    text: Vec<u8>,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Full(Vec<u8>),
    /// The path with a slash after it begins with this.
    Prefix(Vec<u8>),
    /// The path matches.
    Search(Regex),
    /// The path with a slash after it matches.
    Below(Regex),
}

impl Pattern {
    /// What matches everything.
    fn anything() -> Self {
        Self { text: Vec::new(), matcher: Matcher::Prefix(Vec::new()) }
    }

    /// The pattern `text`, of the style it names (`sh:*.log`) or else of `style`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown style and for expressions that cannot be used.
    pub fn parse(text: impl AsRef<[u8]>, style: Style) -> Result<Self, Error> {
        let text = text.as_ref();
        let (style, rest) = match text {
            [a, b, b':', rest @ ..] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => {
                (Style::from_letters(&[*a, *b]).ok_or_else(|| unusable(text, "its style is unknown"))?, rest)
            }
            _ => (style, text),
        };
        let compile = |expression: &str| {
            // The last line of what the parser says is what is wrong; those before show where.
            Regex::new(expression).map_err(|error| {
                let told = error.to_string();
                unusable(text, told.lines().last().unwrap_or_default().trim_start_matches("error: "))
            })
        };
        let matcher = match style {
            Style::Full => Matcher::Full(glob::normalize(rest)),
            Style::Prefix => {
                let mut prefix = glob::normalize(rest);
                if !prefix.is_empty() {
                    prefix.push(b'/');
                }
                Matcher::Prefix(prefix)
            }
            Style::Regex => Matcher::Search(compile(&glob::from_python(&as_text(rest)))?),
            Style::Fnmatch => {
                Matcher::Below(compile(&glob::fnmatch(&as_text(&glob::with_below(rest, "*"))))?)
            }
            Style::Shell => Matcher::Below(compile(&glob::shell(&as_text(&glob::with_below(rest, "**/*"))))?),
        };
        Ok(Self { text: text.to_vec(), matcher })
    }

    /// A shell pattern (see [`Style::Shell`]) for single items, not for what is below them. Without a slash in it, it
    /// is matched against the last name of a path, otherwise against all of it. For finding; Borg has no such style.
    pub fn of_names(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        let text = text.as_ref();
        let anywhere = if text.contains(&b'/') { "" } else { "**/" };
        let name = text.strip_prefix(b"/").unwrap_or(text);
        let expression = glob::shell(&format!("{anywhere}{}", as_text(name)));
        let regex = Regex::new(&expression).map_err(|error| unusable(text, &error.to_string()))?;
        Ok(Self { text: text.to_vec(), matcher: Matcher::Search(regex) })
    }

    /// Whether the path of an item matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        let path = without_slashes(path);
        match &self.matcher {
            Matcher::Full(full) => path == full,
            Matcher::Prefix(prefix) => {
                path.starts_with(prefix) || prefix.strip_suffix(b"/").is_some_and(|bare| bare == path)
            }
            Matcher::Search(regex) => regex.is_match(&as_text(path)),
            Matcher::Below(regex) => {
                let mut text = as_text(path).into_owned();
                text.push('/');
                regex.is_match(&text)
            }
        }
    }

    /// The path it stands for, of a pattern that is one.
    fn as_full(&self) -> Option<&[u8]> {
        match &self.matcher {
            Matcher::Full(path) => Some(path),
            _ => None,
        }
    }
}

/// The pattern as it was given.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = match &self.matcher {
            Matcher::Full(_) => "full",
            Matcher::Prefix(_) => "prefix",
            Matcher::Search(regex) | Matcher::Below(regex) => regex.as_str(),
        };
        write!(f, "Pattern({self}, {style})")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.matcher, &other.matcher) {
            (Matcher::Full(a), Matcher::Full(b)) | (Matcher::Prefix(a), Matcher::Prefix(b)) => a == b,
            (Matcher::Search(a), Matcher::Search(b)) | (Matcher::Below(a), Matcher::Below(b)) => {
                a.as_str() == b.as_str()
            }
            _ => false,
        };
        same && self.text == other.text
    }
}

impl Eq for Pattern {}

/// The path without those it begins with.
fn without_slashes(path: &[u8]) -> &[u8] {
    &path[path.iter().take_while(|byte| **byte == b'/').count()..]
}

fn unusable(pattern: &[u8], reason: &str) -> Error {
    Error::Invalid {
        reason: format!("the pattern {:?} cannot be used: {reason}", String::from_utf8_lossy(pattern)),
    }
}

/// A path as text in which every byte that is no UTF-8 stands as one character of its own, taken from the end of
/// the last private plane; Python does the same with surrogates.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(0x10_FF00 + u32::from(*byte))));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Style};

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern, Style::Fnmatch).unwrap().matches(path.as_bytes())
    }

    #[test]
    fn styles_differ_as_they_do_in_borg() {
        assert!(matches("*.log", "var/log/x.log") && matches("*.log", "x.log/below"));
        assert!(!matches("sh:*.log", "var/log/x.log") && matches("sh:**/*.log", "var/log/x.log"));
        assert!(
            matches("sh:var/*", "var/a/b/c") && matches("sh:v?r/", "var/a") && !matches("sh:v?r/", "var")
        );
        assert!(matches("re:^var/.*log$", "var/log") && !matches("re:^log", "var/log"));
        assert!(matches("pp:/var/log/", "var/log") && !matches("pp:var/log", "var/logs"));
        assert!(matches("pf:./var//log", "var/log") && !matches("pf:var", "var/log"));
        assert!(matches("[!a]x", "bx") && !matches("[!a]x", "ax") && matches("[]a]x", "]x"));
    }

    #[test]
    fn a_character_is_a_character_whatever_its_bytes() {
        assert!(matches("sh:?", "é") && !matches("sh:??", "é"));
        let two = Pattern::parse("sh:a??", Style::Prefix).unwrap();
        assert!(two.matches(b"a\xff\xfe") && !two.matches(b"a\xff"));
        let odd = Pattern::parse(b"fm:\xff*", Style::Prefix).unwrap();
        assert!(odd.matches(b"\xffx") && !odd.matches(b"\xfex"));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for bad in ["re:(", "xx:a", "re:a(?=b)"] {
            let error = Pattern::parse(bad, Style::Shell).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn names_are_found_anywhere_but_nothing_below_them() {
        let name = Pattern::of_names("*.conf").unwrap();
        assert!(name.matches(b"etc/x.conf") && name.matches(b"x.conf") && !name.matches(b"x.conf/y"));
        let path = Pattern::of_names("/etc/*/y").unwrap();
        assert!(path.matches(b"etc/x/y") && !path.matches(b"a/etc/x/y"));
    }
}
