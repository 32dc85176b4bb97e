//! Generated files: what comes out of an adaptation, read by another parser, is exactly what was intended, and lines
//! that hold nothing to adapt are the same to the byte.

use proptest::prelude::*;
use yaml_serde::Value;

use super::super::{Relocation, read};
use super::auto;

/// How a scalar is written.
#[derive(Debug, Clone, Copy)]
enum Style {
    Plain,
    Single,
    Double,
}

/// What a mount mounts.
#[derive(Debug, Clone, Copy)]
enum Source {
    RestoredVolume,
    OtherVolume,
    Relative,
    UnderProject,
    UnderMedia,
    Foreign,
}

#[derive(Debug, Clone)]
struct Entry {
    source: Source,
    part: String,
    options: Option<&'static str>,
    style: Style,
    long: bool,
    comment: Option<String>,
}

#[derive(Debug, Clone)]
struct Case {
    services: Vec<(Vec<Entry>, bool)>,
    volume_path: String,
    media_path: String,
    crlf: bool,
}

fn entry() -> impl Strategy<Value = Entry> {
    let source = prop_oneof![
        Just(Source::RestoredVolume),
        Just(Source::OtherVolume),
        Just(Source::Relative),
        Just(Source::UnderProject),
        Just(Source::UnderMedia),
        Just(Source::Foreign),
    ];
    let style = prop_oneof![Just(Style::Plain), Just(Style::Single), Just(Style::Double)];
    let options = prop_oneof![Just(None), Just(Some("ro")), Just(Some("rw,z"))];
    let comment = proptest::option::of("[a-zé→😀:'\"{}#& *-]{0,12}");
    ("d[a-zA-Z0-9é→😀 '\"#_,.@\\\\-]{0,8}z", source, options, style, any::<bool>(), comment).prop_map(
        |(part, source, options, style, long, comment)| Entry { source, part, options, style, long, comment },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let service = (proptest::collection::vec(entry(), 0..5), any::<bool>());
    let path = "/[a-z]{1,4}/[a-zA-Z0-9é→😀 '\"#_,.@\\\\:${}-]{0,8}z";
    (proptest::collection::vec(service, 1..4), path, path, any::<bool>()).prop_map(
        |(services, volume_path, media_path, crlf)| Case { services, volume_path, media_path, crlf },
    )
}

fn scalar(text: &str, style: Style) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:".contains(c));
    match style {
        Style::Plain if plain => text.to_owned(),
        Style::Single => format!("'{}'", text.replace('\'', "''")),
        _ => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

impl Entry {
    /// The source as written, and where it should be after the adaptation (not escaped), if it moves.
    fn sources(&self, case: &Case) -> (String, Option<String>) {
        let part = &self.part;
        match self.source {
            Source::RestoredVolume => ("data".into(), Some(case.volume_path.clone())),
            Source::OtherVolume => ("other".into(), None),
            Source::Relative => (format!("./{part}"), None),
            Source::UnderProject => (format!("/opt/shop/{part}"), Some(format!("/opt/new/{part}"))),
            Source::UnderMedia => (format!("/srv/media/{part}"), Some(format!("{}/{part}", case.media_path))),
            Source::Foreign => (format!("/etc/{part}"), None),
        }
    }

    fn write(&self, case: &Case) -> String {
        let (source, _) = self.sources(case);
        if self.long {
            let kind = if source.starts_with(['.', '/']) { "bind" } else { "volume" };
            return format!("{{target: /t, type: {kind}, source: {}}}", scalar(&source, self.style));
        }
        let options = self.options.map(|options| format!(":{options}")).unwrap_or_default();
        scalar(&format!("{source}:/t{options}"), self.style)
    }

    fn expected(&self, case: &Case) -> Value {
        let (source, moved) = self.sources(case);
        let kind = if moved.is_some() || source.starts_with(['.', '/']) { "bind" } else { "volume" };
        let new = moved.as_ref().map_or(source, |new| new.replace('$', "$$"));
        let text = |text: &str| Value::from(text.to_owned());
        let mapping = |pairs: Vec<(&str, Value)>| {
            Value::Mapping(pairs.into_iter().map(|(key, value)| (text(key), value)).collect())
        };
        if self.long {
            return mapping(vec![("target", text("/t")), ("type", text(kind)), ("source", text(&new))]);
        }
        if moved.is_some_and(|new| new.contains(':') || new.contains("${")) {
            let mut pairs = vec![("type", text("bind")), ("source", text(&new)), ("target", text("/t"))];
            match self.options {
                Some("ro") => pairs.push(("read_only", Value::from(true))),
                Some(_) => pairs.push(("bind", mapping(vec![("selinux", text("z"))]))),
                None => {}
            }
            return mapping(pairs);
        }
        let options = self.options.map(|options| format!(":{options}")).unwrap_or_default();
        text(&format!("{new}:/t{options}"))
    }
}

impl Case {
    fn relocation(&self) -> Relocation {
        Relocation {
            from_project_dir: "/opt/shop".into(),
            to_project_dir: "/opt/new".into(),
            volumes: [("shop_data".into(), self.volume_path.clone())].into(),
            paths: [("/srv/media".into(), self.media_path.clone())].into(),
            ..Relocation::default()
        }
    }

    /// The text, and for each line whether something in it should change.
    fn write(&self) -> (String, Vec<bool>) {
        let mut lines = vec![("# → é".to_owned(), false), ("services:".to_owned(), false)];
        for (index, (entries, flow)) in self.services.iter().enumerate() {
            lines.push((format!("  s{index}:   # service"), false));
            lines.push(("    image: 'x'".into(), false));
            let moves = |entry: &Entry| entry.sources(self).1.is_some();
            if *flow {
                let list: Vec<String> = entries.iter().map(|entry| entry.write(self)).collect();
                lines.push((format!("    volumes: [ {} ] # é", list.join(" , ")), entries.iter().any(moves)));
                continue;
            }
            if !entries.is_empty() {
                lines.push(("    volumes:".into(), false));
            }
            for entry in entries {
                let comment = entry.comment.as_ref().map(|text| format!("  #{text}")).unwrap_or_default();
                lines.push((format!("    - {}{comment}", entry.write(self)), moves(entry)));
                if let Some(text) = &entry.comment {
                    lines.push((format!("    # data:/t {text}"), false));
                }
            }
        }
        lines.push(("volumes: {data: {}, other: {}}".into(), false));
        let end = if self.crlf { "\r\n" } else { "\n" };
        let text = lines.iter().fold(String::new(), |text, (line, _)| text + line + end);
        (text, lines.into_iter().map(|(_, changes)| changes).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adaptation_changes_what_it_should_and_nothing_else(case in case()) {
        let (text, changes) = case.write();
        let adapted = auto(&text, &case.relocation()).unwrap();

        let value: Value = yaml_serde::from_str(adapted.text()).unwrap();
        for (index, (entries, _)) in case.services.iter().enumerate() {
            let service = &value["services"][format!("s{index}").as_str()];
            let expected: Vec<Value> = entries.iter().map(|entry| entry.expected(&case)).collect();
            let found = service["volumes"].as_sequence().cloned().unwrap_or_default();
            prop_assert_eq!(found, expected);
        }

        let before: Vec<&str> = text.split('\n').collect();
        let after: Vec<&str> = adapted.text().split('\n').collect();
        prop_assert_eq!(before.len(), after.len());
        for (number, should_change) in changes.into_iter().enumerate() {
            prop_assert_eq!(before[number] != after[number], should_change, "line {}", number + 1);
        }
        prop_assert!(read(adapted.text()).is_ok());
    }
}
