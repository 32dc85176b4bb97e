//! What reading or extracting from an archive came to.

use std::io::Write;

use reprise_borg::{Catalogue, Change, Changed, LostItems, Problem, ProblemKind, Report};
use reprise_model::Message;
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::ui::{Ui, name, one_line};

/// Problems shown to people one by one; programs get all that are known.
const SHOWN: usize = 100;

/// A [`Report`]. Documented in `docs/json.md`.
#[derive(Debug, Serialize)]
pub struct Told {
    items: u64,
    bytes: u64,
    unchanged: u64,
    changed: Vec<ToldChange>,
    problems: Vec<ToldProblem>,
    more_problems: u64,
    unmatched: Vec<String>,
}

/// What would be extracted.
#[derive(Debug, Serialize)]
pub struct ToldChange {
    path: String,
    what: &'static str,
}

impl ToldChange {
    fn of(changed: &Changed) -> Self {
        let what = match changed.what {
            Change::New => "new",
            Change::Kind => "kind",
            Change::Attributes => "attributes",
            _ => "content",
        };
        Self { path: String::from_utf8_lossy(&changed.path).into_owned(), what }
    }
}

/// Lists what would be extracted, a line each.
pub fn list_changes(report: &Report) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for changed in &report.changed {
        let ToldChange { path, what } = ToldChange::of(changed);
        match writeln!(out, "{what:<10} {}", one_line(&path)) {
            // Nobody reads on.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A problem of one item.
#[derive(Debug, Serialize)]
pub struct ToldProblem {
    path: String,
    problem: String,
    /// Whether content or the whole item is missing, as opposed to an attribute.
    loss: bool,
    /// The bytes of the file that are lost, where it is some of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    /// Where items are lost whose names nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
}

/// Where an archive's list of items has a gap.
#[derive(Debug, Serialize)]
pub struct Gap {
    /// Of the list's pieces, counted from 1, the first and the last that are lost, and how many there are.
    first: u32,
    last: u32,
    of: u32,
    /// The items around it.
    after: Option<String>,
    before: Option<String>,
}

impl Gap {
    fn of(lost: &LostItems) -> Self {
        let text =
            |path: &Option<Vec<u8>>| path.as_ref().map(|path| String::from_utf8_lossy(path).into_owned());
        let (first, end) = (lost.pieces.start + 1, lost.pieces.end);
        Self { first, last: end, of: lost.of, after: text(&lost.after), before: text(&lost.before) }
    }
}

impl ToldProblem {
    /// As it was found.
    pub fn of(problem: &Problem) -> Self {
        let range = match &problem.kind {
            ProblemKind::Content { range, .. } | ProblemKind::Repaired { range } => Some(range.clone()),
            _ => None,
        };
        let gap = match &problem.kind {
            ProblemKind::Items(lost) => Some(Gap::of(lost)),
            _ => None,
        };
        Self {
            gap,
            path: String::from_utf8_lossy(&problem.path).into_owned(),
            problem: problem.kind.to_string(),
            loss: problem.is_loss(),
            from: range.as_ref().map(|range| range.start),
            to: range.map(|range| range.end),
        }
    }
}

impl Told {
    /// As it was found.
    pub fn of(report: &Report) -> Self {
        Self {
            items: report.items,
            bytes: report.bytes,
            unchanged: report.unchanged,
            changed: report.changed.iter().map(ToldChange::of).collect(),
            problems: report.problems.iter().map(ToldProblem::of).collect(),
            more_problems: report.more_problems,
            unmatched: report.unmatched.clone(),
        }
    }
}

/// Warns of all that is not as it should be; returns how the program ends.
pub fn warn(report: &Report, ui: &Ui) -> Exit {
    each(report.problems.iter(), report.more_problems, ui);
    for pattern in &report.unmatched {
        nothing_matches(pattern, ui);
    }
    if report.is_clean() && report.unmatched.is_empty() { Exit::Done } else { Exit::Warnings }
}

/// Warns of items that are missing because the archive's metadata is damaged; returns how the program ends.
pub fn lost_items(catalogue: &Catalogue, ui: &Ui) -> Exit {
    each(catalogue.lost().iter(), 0, ui);
    if catalogue.lost().is_empty() { Exit::Done } else { Exit::Warnings }
}

/// Warns that a pattern was in vain.
pub fn nothing_matches(pattern: &str, ui: &Ui) {
    Ui::warn(&ui.text(&Message::new("nothing-matches").text("pattern", name(pattern.as_bytes()))));
}

/// Warns of each of them, of the last ones only by their number.
pub fn each(all: impl ExactSizeIterator<Item = impl ToString>, more: u64, ui: &Ui) {
    let more = more + all.len().saturating_sub(SHOWN) as u64;
    for one in all.take(SHOWN) {
        Ui::warn(&one_line(&one.to_string()));
    }
    if more > 0 {
        Ui::warn(&ui.text(&Message::new("more-like-these").count("count", more)));
    }
}
