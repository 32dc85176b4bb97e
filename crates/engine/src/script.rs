//! The same steps in bash: to read before a restore, or to run where Reprise cannot.

use std::fmt::Write as _;
use std::path::Path;

use reprise_host::{Command, quote};
use reprise_model::{Lang, Message};

use crate::Plan;

/// How much a script says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The commands, each step under a comment. Stops at the first error and leaves the rest to its reader.
    Explained,
    /// With everything that undoes: a failure or Ctrl+C puts back what was there.
    Complete,
}

/// One step's lines, collected from its effect.
#[derive(Debug, Default)]
pub struct Script {
    number: usize,
    remembers: Vec<String>,
    does: Vec<String>,
    undoes: Vec<String>,
    needed_if: Option<String>,
    only_if: bool,
    absent: Vec<String>,
    health_check: bool,
    engine_requests: bool,
}

impl Script {
    /// Adds a command.
    pub fn run(&mut self, command: &Command) {
        self.does.push(command.to_string());
    }

    /// Adds a line of bash; whatever it names is already quoted.
    pub fn line(&mut self, line: impl Into<String>) {
        self.does.push(line.into());
    }

    /// Has the variable `name` hold what `command` prints before the step; returns its full name, which no other step
    /// has. Only what undoes the step may ask for it.
    pub fn remember(&mut self, name: &str, command: &str) -> String {
        let name = format!("{name}_{}", self.number);
        self.remembers.push(format!("{name}=$({command})"));
        name
    }

    /// Adds a line to what undoes the step, however far it came.
    pub fn undo(&mut self, line: impl Into<String>) {
        self.undoes.push(line.into());
    }

    /// Sets the condition under which there is something to do. Where it does not hold, the step is skipped
    /// and nothing of it is undone. The explained script has no such conditions: there the step's lines do
    /// no harm where there is nothing to do.
    pub fn needed_if(&mut self, condition: impl Into<String>) {
        self.needed_if = Some(condition.into());
    }

    /// The same for a step that would do harm where there is nothing to do: the explained script has it too.
    pub fn only_if(&mut self, condition: impl Into<String>) {
        self.needed_if(condition);
        self.only_if = true;
    }

    /// Nothing may lie at `path` when the script begins: what does was left by an earlier run of it.
    pub fn expect_nothing_at(&mut self, path: &Path) {
        self.absent.push(quote(&path.to_string_lossy()));
    }

    /// Says that a line calls `await_healthy NAME LIMIT STABLE MAY_END`, `await_port` or `await_answer`.
    pub fn needs_health_check(&mut self) {
        self.health_check = true;
    }

    /// Says that a line calls `create_container NAME`, `set_aside NAME KEPT` or `put_back NAME KEPT`.
    pub fn needs_engine_requests(&mut self) {
        self.engine_requests = true;
    }
}

/// How containers are made with the engine's own words, as `docker create` knows not all of them.
const ENGINE_REQUESTS: &str = include_str!("script/engine.sh");

/// How containers are waited for.
const AWAIT_HEALTHY: &str = include_str!("script/health.sh");

const EXPECT_NOTHING: &str = r#"expect_nothing_at() {
    [[ ! -e $1 && ! -L $1 ]] || {
        echo "$1 is in the way: was this script run before?" >&2
        exit 1
    }
}
"#;

const ROLL_BACK: &str = r#"# What undoes the steps that were begun, newest last.
undo=()
roll_back() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    set +e
    ((status)) || return 0
    echo "Failed (status $status): putting everything back." >&2
    for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
        "${undo[i]}" || { echo "${undo[i]} failed: the steps before it are still in place." >&2; exit 4; }
    done
    echo "Everything is as it was." >&2
    ((status == 130)) && exit 130
    exit 3
}
trap roll_back EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"#;

/// The script that does what `plan` does.
pub fn script(plan: &Plan, detail: Detail, lang: Lang) -> String {
    let steps: Vec<(String, Script)> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(at, step)| {
            let mut script = Script { number: at + 1, ..Script::default() };
            step.change.render(&mut script);
            (step.change.describe().in_lang(lang), script)
        })
        .collect();
    let mut text = heading(plan, lang);
    if steps.iter().any(|(_, script)| script.health_check) {
        text.push_str(AWAIT_HEALTHY);
        text.push('\n');
    }
    if steps.iter().any(|(_, script)| script.engine_requests) {
        text.push_str(ENGINE_REQUESTS);
        text.push('\n');
    }
    match detail {
        Detail::Explained => {
            preconditions(&mut text, &steps, lang);
            explained(&mut text, &steps);
        }
        Detail::Complete => complete(&mut text, plan, &steps, lang),
    }
    let meant = meant_as_they_are(&steps);
    if !meant.is_empty() {
        // Said right after the first line, it holds for the whole file.
        let end_of_first_line = text.find('\n').map_or(0, |at| at + 1);
        text.insert_str(end_of_first_line, &format!("# shellcheck disable={}\n", meant.join(",")));
    }
    text
}

/// The warnings of shellcheck about quoted texts that look as if something else had been meant: typographic
/// quotes, and names or contents that the shell would expand if they were not quoted.
fn meant_as_they_are(steps: &[(String, Script)]) -> Vec<&'static str> {
    let mut lines =
        steps.iter().flat_map(|(title, script)| script.does.iter().chain(&script.undoes).chain([title]));
    let mut meant = Vec::new();
    if lines.clone().any(|line| line.contains(['‘', '’', '“', '”'])) {
        meant.extend(["SC1110", "SC1111", "SC1112"]);
    }
    if lines.any(|line| line.contains(['$', '`'])) {
        meant.push("SC2016");
    }
    meant
}

/// A comment: never more than its one line, whatever a name in it holds.
fn comment(text: &mut String, indent: &str, words: &str) {
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(text, "{indent}# {words}");
}

fn heading(plan: &Plan, lang: Lang) -> String {
    let mut text = "#!/usr/bin/env bash\n".to_owned();
    let archive = format!("{}::{}", plan.source.repository, plan.source.archive);
    comment(&mut text, "", &Message::new("script-title").text("archive", archive).in_lang(lang));
    comment(&mut text, "", &Message::new("script-secret").in_lang(lang));
    comment(&mut text, "", &Message::new("script-root").in_lang(lang));
    text.push_str("set -euo pipefail\n\n");
    text
}

/// Refuses to begin where an earlier run has left something: undoing would take that for its own.
fn preconditions(text: &mut String, steps: &[(String, Script)], lang: Lang) {
    let paths: Vec<&str> = steps.iter().flat_map(|(_, script)| &script.absent).map(String::as_str).collect();
    if paths.is_empty() {
        return;
    }
    comment(text, "", &Message::new("script-once").in_lang(lang));
    text.push_str(EXPECT_NOTHING);
    for path in paths {
        let _ = writeln!(text, "expect_nothing_at {path}");
    }
    text.push('\n');
}

fn explained(text: &mut String, steps: &[(String, Script)]) {
    for (title, script) in steps {
        match &script.needed_if {
            Some(condition) if script.only_if => {
                let _ = writeln!(text, "if {condition}; then");
                body(text, &script.does);
                text.push_str("fi\n");
            }
            _ => {
                for line in &script.does {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        comment(text, "", &format!("^ {title}"));
        text.push('\n');
    }
}

fn complete(text: &mut String, plan: &Plan, steps: &[(String, Script)], lang: Lang) {
    text.push_str(ROLL_BACK);
    text.push('\n');
    for (number, (title, script)) in (1..).zip(steps) {
        comment(text, "", title);
        let _ = writeln!(text, "step_{number}() {{");
        body(text, &[&script.remembers[..], &script.does].concat());
        let _ = writeln!(text, "}}");
        if !script.undoes.is_empty() {
            let _ = writeln!(text, "# shellcheck disable=SC2317,SC2329 # called by name\nundo_{number}() {{");
            body(text, &script.undoes);
            let _ = writeln!(text, "}}");
        }
        text.push('\n');
    }
    comment(text, "", &Message::new("script-needs").in_lang(lang));
    for command in &plan.needs {
        let _ = writeln!(text, "{command} > /dev/null");
    }
    text.push('\n');
    preconditions(text, steps, lang);
    for (number, (title, script)) in (1..).zip(steps) {
        let title = quote(&format!("[{number}/{}] {title}", steps.len()));
        let _ = writeln!(text, "echo {title} >&2");
        let indent = if script.needed_if.is_some() { "    " } else { "" };
        if let Some(condition) = &script.needed_if {
            let _ = writeln!(text, "if {condition}; then");
        }
        if !script.undoes.is_empty() {
            let _ = writeln!(text, "{indent}undo+=(undo_{number})");
        }
        let _ = writeln!(text, "{indent}step_{number}");
        if script.needed_if.is_some() {
            text.push_str("fi\n");
        }
    }
}

fn body(text: &mut String, lines: &[String]) {
    if lines.is_empty() {
        text.push_str("    :\n");
    }
    for line in lines {
        // A quoted text may hold line ends; only its first line may be indented.
        let _ = writeln!(text, "    {line}");
    }
}
