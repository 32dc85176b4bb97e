//! The fault matrix: at every step of an in-place restore, everything that can go wrong.
//!
//! The steps are those of the plans that `--dry-run --json` prints, so a new kind of step is met without a word here; it
//! must be classified in [`faults`], or a test fails. However it ends, a restore has either done all or left everything
//! as before, and says so. `make test` takes a sample, in which each kind of step and each fault comes; `make reliability`
//! breaks every step with every fault, and writes `docs/reliability.md`.

mod bed;
mod calls;
mod engine;
mod faults;
mod held;
mod remade;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use reprise_engine::Change;

use bed::{Bed, Restore, Step};
use faults::{Fault, Way, nature, strike};

/// Where results are written to, a line of JSON each.
fn results() -> Option<PathBuf> {
    std::env::var_os("REPRISE_RELIABILITY").map(PathBuf::from)
}

/// How much of the matrix is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Of each fault, some kinds of steps, each fault others.
    Sample,
    /// The first step of each kind in the first way of each fault.
    Kinds,
    /// Every step with every fault, in its ways by turns.
    Steps,
    /// Every step in every way, however long that takes.
    All,
}

impl Extent {
    fn wanted() -> Self {
        let Ok(wanted) = std::env::var("REPRISE_MATRIX") else { return Self::Sample };
        let all = [Self::Sample, Self::Kinds, Self::Steps, Self::All];
        let known = all.into_iter().find(|extent| extent.name() == wanted);
        known.unwrap_or_else(|| {
            panic!("REPRISE_MATRIX is `{wanted}`, but may be one of {}", all.map(Self::name).join(", "))
        })
    }

    /// As `scripts/reliability` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Kinds => "kinds",
            Self::Steps => "steps",
            Self::All => "all",
        }
    }

    /// Whether it has steps of the kind `effect` for `fault`.
    fn has(self, effect: &str, fault: Fault, over_ssh: bool) -> bool {
        let kind = Change::KINDS.iter().position(|kind| tag(kind) == effect).expect("a kind of step");
        self != Self::Sample || (kind + fault as usize).is_multiple_of(fault.stride(over_ssh))
    }

    /// Those of the ways in which a fault can come to the step that it has, of whose kind `met` were met before.
    fn of(self, ways: &[Way], met: usize) -> Range<usize> {
        match self {
            Self::Sample | Self::Kinds => 0..1,
            Self::Steps => {
                let turn = met % ways.len();
                turn..turn + 1
            }
            Self::All => 0..ways.len(),
        }
    }
}

/// What somebody wants to look at by itself: `FAULT/KIND` in `REPRISE_MATRIX_ONLY`, as the page calls them; all faults, or all
/// kinds, where there is nothing on that side.
fn only() -> Option<(String, String)> {
    let only = std::env::var("REPRISE_MATRIX_ONLY").ok()?;
    let (fault, kind) = only.rsplit_once('/').expect("REPRISE_MATRIX_ONLY is FAULT/KIND");
    Some((fault.to_owned(), kind.to_owned()))
}

/// Lets each of `faults` come to the steps of a restore, over ssh or not.
fn at_the_steps(faults: &[Fault], over_ssh: bool) {
    let (results, extent, only) = (results(), Extent::wanted(), only());
    let faults: Vec<Fault> = faults
        .iter()
        .copied()
        .filter(|fault| only.as_ref().is_none_or(|(wanted, _)| wanted.is_empty() || wanted == fault.title()))
        .collect();
    if faults.is_empty() {
        return;
    }
    let mut failures = Vec::new();
    let mut all_met = BTreeMap::new();
    for restore in Restore::ALL {
        let is_met = |kind: &&str| faults.iter().any(|fault| extent.has(kind, *fault, over_ssh));
        if restore.only_for().is_some_and(|kinds| !kinds.iter().any(is_met)) {
            continue;
        }
        let mut bed = Bed::new(restore, over_ssh);
        let mut steps = bed.steps();
        let all = 0..steps.len();
        for (fault, at) in faults.iter().flat_map(|fault| all.clone().map(move |at| (*fault, at))) {
            let mut step = steps[at].clone();
            let effect = step.effect.as_str();
            assert!(
                nature(effect).is_some(),
                "`{effect}` is not classified: see `nature` in matrix/faults.rs"
            );
            if only.as_ref().is_some_and(|(_, wanted)| !wanted.is_empty() && *wanted != step.kind()) {
                continue;
            }
            if let Some(why) = fault.spares(&step, over_ssh) {
                note(results.as_ref(), &step, fault, over_ssh, &format!("– {why}"));
                continue;
            }
            let met = all_met.entry((fault.title(), step.kind())).or_insert(0);
            let is_passed_over = match extent {
                Extent::Sample | Extent::Kinds => !extent.has(effect, fault, over_ssh) || *met > 0,
                // Its other steps are those of the restores before.
                Extent::Steps => restore.only_for().is_some_and(|kinds| !kinds.contains(&effect)),
                Extent::All => false,
            };
            if is_passed_over {
                continue;
            }
            let ways = fault.ways(&step, over_ssh);
            let wanted = extent.of(&ways, *met);
            *met += 1;
            for way in &ways[wanted] {
                let what = format!("{fault:?}, {way:?}, at {}", faults::name(&step));
                let began = Instant::now();
                let ended = catch_unwind(AssertUnwindSafe(|| strike(&mut bed, &step, fault, way)));
                let how = ended.as_ref().unwrap_or(&"FAILED");
                let seconds = began.elapsed().as_secs_f64();
                let _ = writeln!(std::io::stderr(), "{what}: {how} ({seconds:.1} s)");
                note(results.as_ref(), &step, fault, over_ssh, how);
                if let Err(panic) = ended {
                    let why = panic.downcast_ref::<String>().map_or("", String::as_str);
                    let _ = writeln!(std::io::stderr(), "{why}");
                    failures.push(format!("{what}:\n{why}"));
                    // Nobody knows how it was left; in another everything has another name.
                    bed = Bed::new(restore, over_ssh);
                    steps = bed.steps();
                    step = steps[at].clone();
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n\n"));
}

fn note(results: Option<&PathBuf>, step: &Step, fault: Fault, over_ssh: bool, ended: &str) {
    let Some(results) = results else { return };
    let line = serde_json::json!({
        "kind": step.kind(), "fault": fault.title(), "ssh": over_ssh, "extent": Extent::wanted().name(), "ended": ended,
    });
    let mut file = OpenOptions::new().create(true).append(true).open(results).expect("a file for results");
    writeln!(file, "{line}").expect("results are written");
}

/// Kinds of steps that no plan here has, and where they are broken instead.
const ELSEWHERE: [(&str, &str); 0] = [];

#[test]
fn every_kind_of_step_is_classified_and_met() {
    let steps = Restore::ALL.iter().flat_map(|restore| Bed::new(*restore, false).steps());
    let met: BTreeSet<String> = steps.map(|step| step.effect).collect();
    for kind in Change::KINDS {
        let kind = &tag(kind);
        assert!(nature(kind).is_some(), "`{kind}` is not classified: see `nature` in matrix/faults.rs");
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| known == kind);
        assert!(met.contains(kind) != elsewhere, "`{kind}`: no restore of the matrix has it, or one has");
    }
}

/// The name of a type as plans write it.
fn tag(name: &str) -> String {
    let words = name.char_indices().map(|(at, letter)| match letter {
        'A'..='Z' if at > 0 => format!("_{}", letter.to_ascii_lowercase()),
        other => other.to_ascii_lowercase().to_string(),
    });
    words.collect()
}

#[test]
fn killed_at_any_step() {
    at_the_steps(&[Fault::Killed], false);
}

#[test]
fn with_the_journal_cut_at_any_byte_and_disks_that_fail() {
    at_the_steps(&[Fault::PowerCut, Fault::NoSpace, Fault::IoError], false);
}

#[test]
fn with_docker_gone_or_hanging_from_any_step_on() {
    at_the_steps(&[Fault::EngineGone, Fault::EngineHangs], false);
}

#[test]
fn with_containers_and_chunks_that_misbehave() {
    at_the_steps(&[Fault::WillNotStop, Fault::WillNotStart, Fault::Unhealthy, Fault::CorruptChunk], false);
}

#[test]
fn cancelled_or_at_the_time_limit_at_any_step() {
    at_the_steps(&[Fault::Cancelled, Fault::TimeLimit], false);
}

#[test]
fn over_ssh_with_the_connection_lost_at_any_step() {
    at_the_steps(&[Fault::ConnectionLost], true);
}

#[test]
fn over_ssh_killed_with_the_journal_cut_and_disks_that_fail() {
    at_the_steps(&[Fault::Killed, Fault::PowerCut, Fault::NoSpace, Fault::IoError], true);
}

#[test]
fn over_ssh_whatever_else_goes_wrong() {
    const FAULTS: [Fault; 8] = [
        Fault::EngineGone,
        Fault::EngineHangs,
        Fault::WillNotStop,
        Fault::WillNotStart,
        Fault::Unhealthy,
        Fault::CorruptChunk,
        Fault::Cancelled,
        Fault::TimeLimit,
    ];
    at_the_steps(&FAULTS, true);
}
