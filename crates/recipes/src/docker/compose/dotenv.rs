//! The `.env` file beside a compose file, read by Compose's rules.
//!
//! Names and values only; lines that make no sense are skipped rather than refused, because a restore has to
//! cope with the file as it is. Source: the dotenv parser of compose-go.

use std::collections::BTreeMap;

use super::interpolate::interpolate;

/// Variables known for interpolation, usually from a `.env` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads the text of a `.env` file: `NAME=value`, `export NAME=value`, `NAME: value`, comments, single
    /// quotes (taken literally) and double quotes (escapes and variables), values over several lines in
    /// quotes. A value may use variables defined above it; one that uses unknown variables is left out, so
    /// that it counts as unknown too.
    pub fn from_dot_env(text: &str) -> Self {
        let mut variables = Self::default();
        let mut rest = text.trim_start_matches('\u{feff}');
        while let Some((statement, after)) = next_statement(rest) {
            rest = after;
            let Some((name, value)) = statement else { continue };
            match value.evaluate(&variables) {
                Some(value) => variables.0.insert(name, value),
                None => variables.0.remove(&name),
            };
        }
        variables
    }

    /// The value of a variable, if it is known.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A value as written.
enum RawValue {
    /// In single quotes: taken as it is.
    Literal(String),
    /// Bare or in double quotes (escapes already undone): variables are replaced.
    Template(String),
}

impl RawValue {
    fn evaluate(self, known: &Variables) -> Option<String> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Template(value) => interpolate(&value, known).known().map(str::to_owned),
        }
    }
}

/// Splits off the next line or quoted value: a definition, or nothing for comments and nonsense.
fn next_statement(text: &str) -> Option<(Option<(String, RawValue)>, &str)> {
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    if line.starts_with('#') {
        return Some((None, after));
    }
    let definition = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let Some(separator) = definition.find(['=', ':']) else { return Some((None, after)) };
    let name = definition[..separator].trim();
    let plausible = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    if name.is_empty() || !name.chars().all(plausible) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some((None, after));
    }
    // Quoted values may go on after the line, so this looks at the text, which the line begins.
    let value_at = line.len() - definition.len() + separator + 1;
    let value = text[value_at..].trim_start_matches([' ', '\t', '\r', '\u{b}', '\u{c}']);
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
    if let Some(quote) = quote {
        // An unfinished quote makes the line nonsense, not the rest of the file.
        return Some(match quoted(&value[1..], quote) {
            Some((content, rest)) if quote == '\'' => {
                (Some((name.to_owned(), RawValue::Literal(content))), rest)
            }
            Some((content, rest)) => (Some((name.to_owned(), RawValue::Template(unescape(&content)))), rest),
            None => (None, after),
        });
    }
    let value = value.split('\n').next().unwrap_or_default();
    let value = if value.starts_with('#') {
        // `NAME= # comment`: the space before was trimmed with the separator.
        if definition[separator + 1..].starts_with([' ', '\t']) { "" } else { value }
    } else {
        value.split(" #").next().unwrap_or_default()
    };
    Some((Some((name.to_owned(), RawValue::Template(value.trim_end().to_owned()))), after))
}

/// The content up to the closing quote, and what follows it. An escaped quote is a quote.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some((content, &text[at + c.len_utf8()..]));
        }
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        if escaped && c != quote {
            content.push('\\');
        }
        escaped = false;
        content.push(c);
    }
    None
}

/// Undoes the escapes of double quotes. An escaped dollar becomes `$$`, which interpolation reads as one.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('"') => out.push('"'),
            Some('$') => out.push_str("$$"),
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_env_file_is_read() {
        let text = "\u{feff}# settings\r\nDATA=/srv/data\r\nexport TAG = 1.2 # newest\n\nQUOTED=\"a b\\n$DATA\"\nRAW='$DATA # x'\nMULTI=\"one\ntwo\"\nURL=http://x/#frag\nEMPTY=\nCOMMENTED= # nothing\nYAML: style\nnonsense\n1BAD=x\nDEP=${NOPE}\nCHAIN=${DATA}/sub\nHALF=\"open\nLAST=ok";
        let variables = Variables::from_dot_env(text);
        let get = |name| variables.get(name);
        assert_eq!(get("DATA"), Some("/srv/data"));
        assert_eq!(get("TAG"), Some("1.2"));
        assert_eq!(get("QUOTED"), Some("a b\n/srv/data"));
        assert_eq!(get("RAW"), Some("$DATA # x"));
        assert_eq!(get("MULTI"), Some("one\ntwo"));
        assert_eq!(get("URL"), Some("http://x/#frag"));
        assert_eq!(get("EMPTY"), Some(""));
        assert_eq!(get("COMMENTED"), Some(""));
        assert_eq!(get("YAML"), Some("style"));
        assert_eq!(get("1BAD"), None);
        assert_eq!(get("DEP"), None);
        assert_eq!(get("CHAIN"), Some("/srv/data/sub"));
        assert_eq!(get("LAST"), Some("ok"));
    }
}
