//! Texts for people, kept as a key and arguments until someone reads them, in their language.
//!
//! The texts are Fluent files in `locales/`, compiled in. A plan or a journal carries messages, not
//! sentences: the same operation reads in French for one administrator and in English for the next.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, static_loader};
use serde::{Deserialize, Serialize};

use crate::{human_bytes, human_seconds};

static_loader! {
    static LOCALES = {
        locales: "./locales",
        fallback_language: "en",
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// A language Reprise speaks.
#[expect(clippy::unsafe_derive_deserialize, reason = "only the language tags' macro uses unsafe")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

impl Lang {
    /// The language a POSIX locale name such as `fr_FR.UTF-8` asks for; English for any other.
    pub fn from_locale(locale: &str) -> Self {
        if locale.split(['_', '.', '@', '-']).next() == Some("fr") { Self::Fr } else { Self::En }
    }

    fn identifier(self) -> LanguageIdentifier {
        match self {
            Self::En => fluent_templates::langid!("en"),
            Self::Fr => fluent_templates::langid!("fr"),
        }
    }
}

/// One argument of a [`Message`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arg {
    /// Shown as it is.
    Text(String),
    /// A count; texts choose their plural by it.
    Count(u64),
    /// A size in bytes, shown with a unit.
    Bytes(u64),
    /// A duration in seconds, shown in words.
    Seconds(u64),
}

/// A text for people: a key of the translation files, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    key: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    args: BTreeMap<Cow<'static, str>, Arg>,
}

impl Message {
    /// The message `key`, yet without arguments.
    pub const fn new(key: &'static str) -> Self {
        Self { key: Cow::Borrowed(key), args: BTreeMap::new() }
    }

    /// Its key, stable over releases.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What to do about what this tells: the message called like it, with `-advice` behind, and with its arguments.
    pub(crate) fn advice(&self) -> Self {
        Self { key: Cow::Owned(format!("{}-advice", self.key)), args: self.args.clone() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, name: &'static str, value: Arg) -> Self {
        self.args.insert(Cow::Borrowed(name), value);
        self
    }

    /// The same with a text argument.
    #[must_use]
    pub fn text(self, name: &'static str, value: impl ToString) -> Self {
        self.arg(name, Arg::Text(value.to_string()))
    }

    /// The same with a count.
    #[must_use]
    pub fn count(self, name: &'static str, value: u64) -> Self {
        self.arg(name, Arg::Count(value))
    }

    /// The same with a size in bytes.
    #[must_use]
    pub fn bytes(self, name: &'static str, value: u64) -> Self {
        self.arg(name, Arg::Bytes(value))
    }

    /// The same with a duration in seconds.
    #[must_use]
    pub fn seconds(self, name: &'static str, value: u64) -> Self {
        self.arg(name, Arg::Seconds(value))
    }

    /// The text in `lang`. A key that no file knows is shown as it is, with its arguments.
    pub fn in_lang(&self, lang: Lang) -> String {
        let args: HashMap<Cow<'static, str>, FluentValue<'_>> = self
            .args
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Arg::Text(text) => FluentValue::from(plain(text)),
                    Arg::Count(n) => FluentValue::from(*n),
                    Arg::Bytes(n) => FluentValue::from(human_bytes(*n)),
                    Arg::Seconds(n) => FluentValue::from(human_seconds(*n)),
                };
                (name.clone(), value)
            })
            .collect();
        LOCALES
            .try_lookup_with_args(&lang.identifier(), &self.key, &args)
            .unwrap_or_else(|| format!("{} {:?}", self.key, self.args))
    }
}

/// `text` without control characters: names come from backups and hosts, and must forge no lines.
fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars()
            .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
            .collect::<String>()
            .into()
    } else {
        text.into()
    }
}

/// The keys of `lang`'s translation file, for tests that hold the languages together.
pub fn known_keys(lang: Lang) -> Vec<&'static str> {
    let text = match lang {
        Lang::En => include_str!("../locales/en/reprise.ftl"),
        Lang::Fr => include_str!("../locales/fr/reprise.ftl"),
    };
    text.lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(" ="))
        .map(|(key, _)| key)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Lang, Message, known_keys};

    #[test]
    fn every_language_has_every_key() {
        let mut english = known_keys(Lang::En);
        let mut french = known_keys(Lang::Fr);
        english.sort_unstable();
        french.sort_unstable();
        assert!(english.len() > 20);
        assert_eq!(english, french);
    }

    #[test]
    fn both_languages_use_the_same_arguments() {
        let arguments = |text: &'static str| {
            let mut found: Vec<_> =
                text.split("{ $").skip(1).filter_map(|t| t.split([' ', '}']).next()).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        assert_eq!(
            arguments(include_str!("../locales/en/reprise.ftl")),
            arguments(include_str!("../locales/fr/reprise.ftl"))
        );
    }

    #[test]
    fn a_message_reads_in_the_readers_language() {
        let message = Message::new("step-stop").text("container", "web");
        assert_eq!(message.in_lang(Lang::En), "Stop container web");
        assert_eq!(message.in_lang(Lang::Fr), "Arrêter le conteneur web");
    }

    #[test]
    fn a_message_survives_its_journal() {
        let message = Message::new("step-stage").bytes("size", 2048).text("path", "/x");
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let message = Message::new("step-stop").text("container", "web\n  i  All is well\u{1b}[2J");
        assert!(!message.in_lang(Lang::En).contains(char::is_control));
    }

    #[test]
    fn locales_choose_the_language() {
        assert_eq!(Lang::from_locale("fr_FR.UTF-8"), Lang::Fr);
        assert_eq!(Lang::from_locale("C.UTF-8"), Lang::En);
        assert_eq!(Lang::from_locale("frisian"), Lang::En);
    }
}
