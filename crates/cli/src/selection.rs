//! From paths and rules on the command line to what they mean.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use reprise_borg::{Placement, Rules, Selection};

use crate::args::{RuleArg, RuleArgs, SelectionArgs};
use crate::failure::Failure;
use crate::ui::one_line;

/// Files of rules are written by hand: one that is larger is something else.
const LARGEST: u64 = 64 << 20;

/// What the command line selects, to where its paths say.
pub fn placement(args: &SelectionArgs) -> Result<Placement, Failure> {
    Ok(Placement::of(selection(&args.paths, &args.rules)?).strip_components(args.strip_components))
}

/// What paths and rules select.
pub fn selection(paths: &[OsString], rules: &RuleArgs) -> Result<Selection, Failure> {
    let paths: Vec<&[u8]> = paths.iter().map(|path| path.as_bytes()).collect();
    Ok(Selection::parse_with(&paths, read(rules)?)?)
}

fn read(args: &RuleArgs) -> Result<Rules, Failure> {
    let mut rules = Rules::default();
    for arg in &args.0 {
        match arg {
            RuleArg::Exclude(pattern) => rules.exclude(pattern.as_bytes())?,
            RuleArg::Pattern(rule) => rules.pattern(rule.as_bytes())?,
            RuleArg::ExcludeFrom(file) => in_file(file, |text| rules.exclude_lines(text))?,
            RuleArg::PatternsFrom(file) => in_file(file, |text| rules.pattern_lines(text))?,
        }
    }
    Ok(rules)
}

fn in_file(file: &Path, take: impl FnOnce(&[u8]) -> Result<(), reprise_borg::Error>) -> Result<(), Failure> {
    let named = one_line(&file.to_string_lossy());
    let unreadable =
        |reason: &dyn std::fmt::Display| Failure::new(format!("cannot read patterns from {named}: {reason}"));
    let mut text = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| {
            std::io::Read::read_to_end(&mut std::io::Read::take(opened, LARGEST + 1), &mut text)
        })
        .map_err(|error| {
            let failure = unreadable(&error);
            match error.kind() {
                std::io::ErrorKind::NotFound => failure.hint("name a file that has one pattern a line"),
                _ => failure,
            }
        })?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable(&"it is larger than any list of patterns"));
    }
    take(&text).map_err(|error| {
        Failure::new(format!("{named}, {error}")).hint("`borg help patterns` describes what may be there")
    })
}
