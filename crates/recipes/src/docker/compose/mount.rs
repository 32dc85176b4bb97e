//! The short form of a mount: `SOURCE:TARGET:OPTIONS` in one string.
//!
//! Compose replaces variables first and splits then, so a colon inside `${…}` separates nothing, while one
//! inside a variable's value does. Source: the format package of compose-go.

use super::dotenv::Variables;
use super::interpolate::{Interpolated, braced_length, interpolate};
use super::types::MountKind;

/// The parts of a short mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShortMount {
    /// Nothing for an anonymous volume.
    pub source: Option<Interpolated>,
    pub target: Interpolated,
    /// Comma-separated, as written; nothing when there is no third part.
    pub options: Option<Interpolated>,
}

impl ShortMount {
    /// Splits a short mount; nothing when Compose would refuse it.
    pub fn parse(raw: &str, variables: &Variables) -> Option<Self> {
        let mut parts: Vec<Interpolated> =
            split(raw)?.into_iter().map(|part| interpolate(part, variables)).collect();
        if parts.iter().any(|part| part.known().is_some_and(|text| split(text).is_none_or(|p| p.len() != 1)))
        {
            // A value brought colons of its own: split again what came out, if all of it is known.
            let whole = interpolate(raw, variables);
            parts = split(whole.known()?)?.into_iter().map(Interpolated::literal).collect();
        }
        let mut parts = parts.into_iter();
        let (first, second, third, more) = (parts.next()?, parts.next(), parts.next(), parts.next());
        match (second, more) {
            (_, Some(_)) => None,
            (None, None) => Some(Self { source: None, target: first, options: None }),
            (Some(target), None) => Some(Self { source: Some(first), target, options: third }),
        }
    }

    /// What the source names.
    pub fn kind(&self) -> MountKind {
        self.source.as_ref().map_or(MountKind::Volume, source_kind)
    }

    /// Whether `ro` is among the options.
    pub fn read_only(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.text().split(',').any(|option| option == "ro"))
    }
}

/// A source that looks like a path is a bind mount, anything else the key of a volume.
pub(super) fn source_kind(source: &Interpolated) -> MountKind {
    let text = source.text();
    if source.known().is_none() && text.starts_with('$') {
        MountKind::Unresolved
    } else if text.starts_with(['.', '/', '~']) || text.starts_with("\\\\") || is_drive(text) {
        MountKind::Bind
    } else {
        MountKind::Volume
    }
}

/// Whether a path begins with a Windows drive, `C:\`. With a slash it is a volume of one letter here: hosts run
/// Linux, where the Python `docker-compose` takes it so and Compose refuses it.
fn is_drive(text: &str) -> bool {
    text.starts_with(char::is_alphabetic) && text.chars().skip(1).take(2).eq([':', '\\'])
}

/// Splits at colons outside `${…}`; the colon of a Windows drive does not count. Nothing for an empty part.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("${") {
            at += 1 + braced_length(&rest[1..]).unwrap_or(rest.len() - 1);
        } else if rest.starts_with(':') && !(is_drive(&text[start..]) && text[start..at].chars().count() == 1)
        {
            parts.push(&text[start..at]);
            at += 1;
            start = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    parts.push(&text[start..]);
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Option<(Option<String>, String, Option<String>, MountKind)> {
        let variables: Variables =
            [("DIR", "/srv"), ("SPEC", "/a:/b:ro"), ("VOL", "data")].into_iter().collect();
        ShortMount::parse(raw, &variables).map(|mount| {
            let kind = mount.kind();
            (
                mount.source.map(|s| s.to_string()),
                mount.target.to_string(),
                mount.options.map(|o| o.to_string()),
                kind,
            )
        })
    }

    #[test]
    fn short_mounts_are_split() {
        let some = |s: &str| Some(s.to_owned());
        for (raw, source, target, options, kind) in [
            ("/anon", None, "/anon", None, MountKind::Volume),
            ("data:/x", some("data"), "/x", None, MountKind::Volume),
            ("./a b:/x:ro,z", some("./a b"), "/x", some("ro,z"), MountKind::Bind),
            ("~/a:/x", some("~/a"), "/x", None, MountKind::Bind),
            ("${DIR}/é:/x", some("/srv/é"), "/x", None, MountKind::Bind),
            ("${NO:-/d:/e}:ro", some("/d"), "/e", some("ro"), MountKind::Bind),
            ("${NO:-/d}/e:/x", some("/d/e"), "/x", None, MountKind::Bind),
            ("${NO}:/x", some("${NO}"), "/x", None, MountKind::Unresolved),
            ("${VOL}:/x", some("data"), "/x", None, MountKind::Volume),
            ("$SPEC", some("/a"), "/b", some("ro"), MountKind::Bind),
            ("d:/x", some("d"), "/x", None, MountKind::Volume),
            ("C:\\x:/x", some("C:\\x"), "/x", None, MountKind::Bind),
        ] {
            assert_eq!(parse(raw), Some((source, target.to_owned(), options, kind)), "{raw}");
        }
        for raw in ["", "a::b", ":/x", "a:b:c:d", "x:"] {
            assert_eq!(parse(raw), None, "{raw}");
        }
    }
}
