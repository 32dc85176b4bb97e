//! The same steps in bash: to read before a restore, or to run where Reprise cannot.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use reprise_host::{Command, ObjectKind, may_be_id, quote};
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
    functions: BTreeSet<Functions>,
    needs: Vec<Command>,
}

/// Functions of bash that lines call, in the order in which a script has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Functions {
    /// How containers are waited for.
    Health,
    /// How something is found by its name.
    Names,
    /// How containers are made with the engine's own words, as `docker create` knows not all of them.
    EngineRequests,
}

impl Functions {
    fn text(self) -> &'static str {
        match self {
            Self::Health => include_str!("script/health.sh"),
            Self::Names => include_str!("script/names.sh"),
            Self::EngineRequests => include_str!("script/engine.sh"),
        }
    }
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
        self.functions.insert(Functions::Health);
    }

    /// What holds where there is a container or network of that name.
    pub fn is_there(&mut self, kind: ObjectKind, name: &str) -> String {
        self.functions.insert(Functions::Names);
        format!("is_there {} {}", kind.as_str(), quote(name))
    }

    /// `command`, which acts on the container `name`: on no other one whose id begins like that.
    pub fn on_container(&mut self, name: &str, command: &Command) -> String {
        if may_be_id(name) {
            let there = self.is_there(ObjectKind::Container, name);
            let gone = quote(&format!("there is no container {name}"));
            format!("if {there}; then {command}; else echo {gone} >&2; false; fi")
        } else {
            command.to_string()
        }
    }

    /// Has the script see to it before it begins that `command` succeeds: that its program is there.
    pub fn needs(&mut self, command: Command) {
        self.needs.push(command);
    }

    /// Says that a line calls `create_container NAME`, `set_aside NAME KEPT` or `put_back NAME KEPT`.
    pub fn needs_engine_requests(&mut self) {
        self.functions.extend([Functions::Names, Functions::EngineRequests]);
        self.needs(Command::new("jq").arg("--version"));
    }
}

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
    let functions: BTreeSet<Functions> =
        steps.iter().flat_map(|(_, script)| script.functions.iter().copied()).collect();
    for functions in functions {
        text.push_str(functions.text());
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
    let needs = steps.iter().flat_map(|(_, script)| &script.needs);
    let needs: Vec<String> = plan.needs.iter().chain(needs).map(ToString::to_string).collect();
    for (at, command) in needs.iter().enumerate() {
        if !needs[..at].contains(command) {
            let _ = writeln!(text, "{command} > /dev/null");
        }
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
