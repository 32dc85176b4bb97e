//! Compose's variables in values: `$VAR`, `${VAR}`, `${VAR:-default}` and their kin.
//!
//! Compose replaces an unknown variable by nothing. A restore must not: the variable may have been set in the
//! environment of whoever started the project, and guessing "empty" would turn `${DATA}/db` into `/db`. What
//! cannot be known stays as written, and [`Interpolated`] says so.
//!
//! Source: the template package of compose-go.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::dotenv::Variables;

/// Deepest nesting of defaults in defaults.
const DEPTH: usize = 16;

/// A value with its variables replaced as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpolated {
    raw: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unresolved: Vec<String>,
}

impl Interpolated {
    /// A value that is meant literally.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { raw: escape(&text), text, unresolved: Vec::new() }
    }

    /// The value, if every variable in it is known.
    pub fn known(&self) -> Option<&str> {
        self.unresolved.is_empty().then_some(self.text.as_str())
    }

    /// The value for showing: unknown variables stand in it as they were written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As written in the file.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The names of the variables that are not known.
    pub fn unresolved(&self) -> &[String] {
        &self.unresolved
    }
}

impl fmt::Display for Interpolated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Writes a literal text so that interpolation gives it back: `$` becomes `$$`.
pub(super) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

/// Replaces the variables of `text` by their values.
///
/// Knows `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?message}`, `${VAR?message}`,
/// `${VAR:+other}`, `${VAR+other}`, defaults within defaults, and `$$` for a dollar sign. A variable that is
/// not known and has no default stays as written and is listed in [`Interpolated::unresolved`], and so is
/// a `${…}` that Compose would refuse.
pub fn interpolate(text: &str, variables: &Variables) -> Interpolated {
    let mut unresolved = Vec::new();
    let replaced = substitute(text, variables, &mut unresolved, 0);
    Interpolated { raw: text.to_owned(), text: replaced, unresolved }
}

fn substitute(text: &str, variables: &Variables, unresolved: &mut Vec<String>, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if after.starts_with('{') {
            let Some(length) = braced_length(after) else {
                // Unclosed: the rest is nothing Compose would accept.
                note(unresolved, after);
                out.push('$');
                out.push_str(after);
                return out;
            };
            match evaluate(&after[1..length - 1], variables, unresolved, depth) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&rest[at..=at + length]),
            }
            rest = &after[length..];
        } else {
            let length = name_length(after);
            if let Some(value) = variables.get(&after[..length]) {
                out.push_str(value);
            } else {
                if length > 0 {
                    note(unresolved, &after[..length]);
                }
                out.push_str(&rest[at..=at + length]);
            }
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    out
}

/// The value of what stands between the braces; nothing when it stays unresolved.
fn evaluate(body: &str, variables: &Variables, unresolved: &mut Vec<String>, depth: usize) -> Option<String> {
    let (name, rest) = body.split_at(name_length(body));
    if name.is_empty() || depth >= DEPTH {
        note(unresolved, body);
        return None;
    }
    let (needs_content, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let value = variables.get(name);
    let usable = value.filter(|value| !needs_content || !value.is_empty());
    let mut operators = rest.chars();
    let operator = operators.next();
    let argument = operators.as_str();
    match operator {
        None if !needs_content => value.map(str::to_owned).or_else(|| {
            note(unresolved, name);
            None
        }),
        Some('-') => match usable {
            Some(value) => Some(value.to_owned()),
            None => nested(argument, variables, unresolved, depth),
        },
        Some('+') => match usable {
            Some(_) => nested(argument, variables, unresolved, depth),
            None => Some(String::new()),
        },
        Some('?') => usable.map(str::to_owned).or_else(|| {
            note(unresolved, name);
            None
        }),
        _ => {
            note(unresolved, body);
            None
        }
    }
}

/// A default is a template itself. When it stays unresolved, so does the whole expression, as written.
fn nested(
    argument: &str,
    variables: &Variables,
    unresolved: &mut Vec<String>,
    depth: usize,
) -> Option<String> {
    let mut missing = Vec::new();
    let value = substitute(argument, variables, &mut missing, depth + 1);
    for name in &missing {
        note(unresolved, name);
    }
    missing.is_empty().then_some(value)
}

fn note(unresolved: &mut Vec<String>, name: &str) {
    if !unresolved.iter().any(|known| known == name) {
        unresolved.push(name.to_owned());
    }
}

/// Length of the variable name at the beginning of `text`: a letter or underscore, then also digits.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

/// Length of the `{…}` at the beginning of `text`, inner braces counted.
pub(super) fn braced_length(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> (String, Vec<String>) {
        let variables: Variables = [("A", "alpha"), ("EMPTY", ""), ("P", "/srv")].into_iter().collect();
        let result = interpolate(text, &variables);
        (result.text, result.unresolved)
    }

    #[test]
    fn known_variables_are_replaced() {
        for (text, expected) in [
            ("$A-$P", "alpha-/srv"),
            ("${A}b", "alphab"),
            ("${X:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${X-${A}}", "alpha"),
            ("${X:-${Y:-z}}/k", "z/k"),
            ("${X:-a:b}", "a:b"),
            ("${A:+yes}${X:+no}${EMPTY:+no}${EMPTY+yes}", "yesyes"),
            ("${A:?must}", "alpha"),
            ("$$A costs 5$", "$A costs 5$"),
            ("$1 $ {A}", "$1 $ {A}"),
            ("é$A→", "éalpha→"),
        ] {
            assert_eq!(run(text), (expected.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn unknown_variables_stay_as_written() {
        for (text, names) in [
            ("${X}/db", vec!["X"]),
            ("$X/db", vec!["X"]),
            ("${X:?set it}", vec!["X"]),
            ("${X:-${Y}}", vec!["Y"]),
            ("${X}${X}$Y", vec!["X", "Y"]),
            ("${not closed", vec!["{not closed"]),
            ("${}", vec![""]),
            ("${A!}", vec!["A!"]),
        ] {
            let (shown, unresolved) = run(text);
            assert_eq!((shown.as_str(), unresolved), (text, names.iter().map(ToString::to_string).collect()));
        }
        assert_eq!(run("$A/${X}"), ("alpha/${X}".into(), vec!["X".into()]));
    }

    #[test]
    fn deep_nesting_ends() {
        let text = format!("{}x{}", "${X:-".repeat(5000), "}".repeat(5000));
        assert!(!run(&text).1.is_empty());
    }
}
