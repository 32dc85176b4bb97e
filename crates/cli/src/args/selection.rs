//! Which items of an archive are meant, in Borg's words.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint, value_parser};

/// Paths and rules.
#[derive(Debug, Args)]
pub struct SelectionArgs {
    /// Only these: beginnings of paths, or patterns with a style (fm: sh: re: pp: pf:)
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// What to leave out
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Take off so many names at the beginning of paths; what has no more of them is left out
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub strip_components: usize,
}

/// Rules in the order in which the command line has them, which matters: the first that matches decides.
#[derive(Debug, Clone, Default)]
pub struct RuleArgs(pub Vec<RuleArg>);

/// An option that says what is in and what is not.
#[derive(Debug, Clone)]
pub enum RuleArg {
    /// `--exclude PATTERN`
    Exclude(OsString),
    /// `--exclude-from FILE`
    ExcludeFrom(PathBuf),
    /// `--pattern RULE`
    Pattern(OsString),
    /// `--patterns-from FILE`
    PatternsFrom(PathBuf),
}

const EXCLUDE: &str = "exclude";
const EXCLUDE_FROM: &str = "exclude-from";
const PATTERN: &str = "pattern-rule";
const PATTERNS_FROM: &str = "patterns-from";

impl Args for RuleArgs {
    fn augment_args(command: Command) -> Command {
        let text = |id: &'static str, name: &'static str, help: &'static str| {
            Arg::new(id).long(id).value_name(name).help(help).action(ArgAction::Append)
        };
        let rule = |id, name, help| {
            text(id, name, help).value_parser(value_parser!(OsString)).allow_hyphen_values(true)
        };
        let file = |id, help| {
            text(id, "FILE", help).value_parser(value_parser!(PathBuf)).value_hint(ValueHint::FilePath)
        };
        command
            .arg(
                rule(
                    EXCLUDE,
                    "PATTERN",
                    "Leave out what matches (may be repeated): fm: unless it names another style",
                )
                .short('e'),
            )
            .arg(file(EXCLUDE_FROM, "The same for every line of a file"))
            .arg(
                rule(
                    PATTERN,
                    "RULE",
                    "`+ PATTERN` lets in, `- PATTERN` leaves out, the first that matches decides: sh: unless it names another style",
                )
                .long("pattern"),
            )
            .arg(file(PATTERNS_FROM, "The same for every line of a file, as `borg help patterns` describes it"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RuleArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all: Vec<(usize, RuleArg)> = Vec::new();
        let mut texts = |id, rule: fn(OsString) -> RuleArg| all.extend(given(matches, id, rule));
        texts(EXCLUDE, RuleArg::Exclude);
        texts(PATTERN, RuleArg::Pattern);
        let mut files = |id, rule: fn(PathBuf) -> RuleArg| all.extend(given(matches, id, rule));
        files(EXCLUDE_FROM, RuleArg::ExcludeFrom);
        files(PATTERNS_FROM, RuleArg::PatternsFrom);
        all.sort_by_key(|(index, _)| *index);
        Ok(Self(all.into_iter().map(|(_, rule)| rule).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The values of an option, each with its place on the command line.
fn given<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    id: &str,
    rule: fn(T) -> RuleArg,
) -> Vec<(usize, RuleArg)> {
    let places = matches.indices_of(id).into_iter().flatten();
    let values = matches.get_many::<T>(id).into_iter().flatten();
    places.zip(values).map(|(place, value)| (place, rule(value.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{RuleArg, SelectionArgs};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        selection: SelectionArgs,
    }

    #[test]
    fn rules_keep_their_order_among_all_options() {
        let line = Line::parse_from([
            "x",
            "--pattern",
            "+ a",
            "-e",
            "b",
            "path",
            "--patterns-from",
            "c",
            "--pattern=- d",
            "--exclude-from=e",
            "--exclude",
            "-f",
            "path2",
        ]);
        let told: Vec<String> = line
            .selection
            .rules
            .0
            .iter()
            .map(|rule| match rule {
                RuleArg::Exclude(text) => format!("e{}", text.display()),
                RuleArg::ExcludeFrom(file) => format!("E{}", file.display()),
                RuleArg::Pattern(text) => format!("p{}", text.display()),
                RuleArg::PatternsFrom(file) => format!("P{}", file.display()),
            })
            .collect();
        assert_eq!(told, ["p+ a", "eb", "Pc", "p- d", "Ee", "e-f"]);
        assert_eq!(line.selection.paths, ["path", "path2"]);
    }
}
