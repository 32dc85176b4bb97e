//! What people and programs see: data on standard output, everything else on standard error.

use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use owo_colors::OwoColorize;
use reprise_model::{Lang, Message, Severity};
use serde::Serialize;

use crate::env::Env;
use crate::failure::Failure;

/// A line on standard output. Whether anyone still reads it does not matter: a closed terminal or a full disk
/// must never stop an operation half-way, as the macros of the standard library would by panicking.
pub fn out(line: fmt::Arguments<'_>) {
    match writeln!(anstream::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => LOST.store(true, Ordering::Relaxed),
        _ => {}
    }
}

static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something for standard output came to nothing, other than because its reader had enough.
pub fn is_output_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// A line on standard error, likewise.
pub fn err(line: fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Prints, in the reader's language, with colour only where a terminal shows it.
#[derive(Debug)]
pub struct Ui {
    /// The reader's language.
    pub lang: Lang,
    /// Standard output is for a program.
    pub json: bool,
}

impl Ui {
    /// For the environment `env`.
    pub fn new(env: &Env, json: bool) -> Self {
        Self { lang: env.lang, json }
    }

    /// `message` in the reader's language.
    pub fn text(&self, message: &Message) -> String {
        printable(&message.in_lang(self.lang))
    }

    /// The text of `key`, which takes no arguments.
    pub fn word(&self, key: &'static str) -> String {
        Message::new(key).in_lang(self.lang)
    }

    /// A line for people on standard output; kept from it when that is for a program.
    pub fn line(&self, text: impl AsRef<str>) {
        if self.json {
            err(format_args!("{}", text.as_ref()));
        } else {
            out(format_args!("{}", text.as_ref()));
        }
    }

    /// A heading, with a blank line before it.
    pub fn heading(&self, key: &'static str) {
        self.line(format!("\n{}", self.word(key).bold()));
    }

    /// `value` as JSON on standard output.
    pub fn print_json(value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => out(format_args!("{text}")),
            Err(error) => err(format_args!("{error}")),
        }
    }

    /// An error and what to do about it, on standard error.
    pub fn failure_for_people(message: &str, hint: Option<&str>) {
        err(format_args!("{} {}", "error:".red().bold(), within(message, 2)));
        if let Some(hint) = hint {
            err(format_args!("{} {}", "hint:".cyan(), within(hint, 2)));
        }
    }

    /// What ended the program early, for people and, with `--json`, for programs.
    pub fn failure(&self, failure: &Failure) {
        Self::failure_for_people(&failure.message, failure.hint.as_deref());
        if self.json {
            let (message, hint) = (&failure.message, &failure.hint);
            Self::print_json(&serde_json::json!({ "error": { "message": message, "hint": hint } }));
        }
    }

    /// Something to look at, on standard error.
    pub fn warn(text: &str) {
        err(format_args!("{} {}", "warning:".yellow().bold(), within(text, 2)));
    }

    /// What was done, on standard error, where it does not mix with data.
    pub fn note(text: &str) {
        err(format_args!("{text}"));
    }

    /// Whether a person can be asked.
    pub fn can_ask() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// The mark of a severity.
    pub fn mark(severity: Severity) -> String {
        match severity {
            Severity::Info => "i".cyan().to_string(),
            Severity::Warning => "!".yellow().bold().to_string(),
            Severity::Blocker => "x".red().bold().to_string(),
        }
    }
}

/// A name from a backup, which may be any bytes, as text that stays on its line.
pub fn name(bytes: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(bytes))
}

/// `text` for a terminal, on one line: a name with a line's end must not begin a line that says something else.
pub fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\u{fffd}")
}

/// `text` for a terminal, all its lines but the first `indent` columns in: none looks like a line of its own.
pub fn within(text: &str, indent: usize) -> String {
    printable(text).replace('\n', &format!("\n{:indent$}", ""))
}

/// `text` without anything that would steer a terminal: names in backups may hold any bytes.
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || ('\u{2028}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{one_line, printable, within};

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\u{202e}c\u{7}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
    }

    #[test]
    fn names_cannot_forge_lines() {
        assert_eq!(one_line("a\nhint: b\u{2028}c"), "a\u{fffd}hint: b\u{fffd}c");
        assert_eq!(within("a\nhint: b", 2), "a\n  hint: b");
    }
}
