//! Rules that let in and leave out, in any number and order, mean what borg's own matcher says they mean.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use reprise_borg::{Rules, Selection};

/// Reads cases from standard input and answers each with one character a path: 1 if it is selected, or `error`;
/// `expression` where Python knows no such regular expression: other engines draw that line elsewhere.
///
/// A case is options, each followed by its value, and after `--` paths, as `borg list` gets them; NUL between them, on one line
/// of hexadecimal digits. The first line is the paths to select from.
const ORACLE: &str = r"
import argparse, re, sys
from borg.archiver import Archiver
from borg import patterns
take = lambda line: [part.decode() for part in bytes.fromhex(line.strip()).split(b'\0')]
paths = take(sys.stdin.readline())
actions = {
    '--pattern': patterns.ArgparsePatternAction(option_strings=[], dest=''),
    '--patterns-from': patterns.ArgparsePatternFileAction(option_strings=[], dest=''),
    '--exclude-from': patterns.ArgparseExcludeFileAction(option_strings=[], dest=''),
}
def selected(words):
    args = argparse.Namespace(paths=[], patterns=[])
    while (option := words.pop(0)) != '--':
        value = words.pop(0)
        if option == '--exclude': args.patterns.append(patterns.parse_exclude_pattern(value))
        else: actions[option](None, args, [value])
    # What is named after the archive takes the place of roots.
    matcher = Archiver.build_matcher(args.patterns, words or args.paths)
    return ''.join('1' if matcher.match(path) else '0' for path in paths)
for line in sys.stdin:
    try: print(selected(take(line)))
    except re.error: print('expression')
    except Exception: print('error')
";

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn path(&mut self, names: &[&str]) -> String {
        let depth = 1 + self.below(4);
        (0..depth).map(|_| self.one(names)).collect::<Vec<_>>().join("/")
    }

    fn pattern(&mut self) -> String {
        let style = self.one(&["", "", "", "", "fm:", "sh:", "pp:", "pf:", "re:", "xx:"]);
        let rooted = self.one(&["", "", "", "/", "./"]);
        let mut path = self.path(&NAMES_IN_PATTERNS);
        if style == "re:" {
            path = path.replace("**/", "(a|b)/").replace('*', ".*").replace("[!", "[^").replace('?', ".");
        }
        let rooted = if style == "re:" { self.one(&["", "^"]) } else { rooted };
        format!("{style}{rooted}{path}{}", self.one(&["", "", "", "/"]))
    }

    fn rule(&mut self) -> String {
        let space = self.one(&["", " ", "  ", "\t"]);
        match self.below(16) {
            0 => format!("{}{space}{}", self.one(&["R", "r"]), self.path(&NAMES)),
            1 => format!("{}{space}{}", self.one(&["P", "p"]), self.one(&["fm", "sh", "re", "pp", "pf"])),
            2..8 => format!("+{space}{}", self.pattern()),
            8..14 => format!("-{space}{}", self.pattern()),
            _ => format!("!{space}{}", self.pattern()),
        }
    }

    fn lines(&mut self, mut line: impl FnMut(&mut Self) -> String) -> String {
        let mut text = String::new();
        for _ in 0..self.below(5) {
            let (before, after) = (self.one(&["", " ", "\t"]), self.one(&["\n", " \n", "\r\n", "\r"]));
            let line = if self.below(6) == 0 { "# no rule".to_owned() } else { line(self) };
            write!(text, "{before}{line}{after}").unwrap();
        }
        text
    }
}

const NAMES: [&str; 8] = ["a", "b", "ab", "a.log", "b.log", "é", "a b", "-"];
const NAMES_IN_PATTERNS: [&str; 14] =
    ["a", "b", "ab", "*.log", "*", "**", "?", "[ab]", "[!a]", "a*", "é", "a b", "b.log", "."];

/// Options as `borg` gets them, in order; the text of files stands in place of their names.
struct Case {
    options: Vec<(&'static str, String)>,
    paths: Vec<String>,
}

impl Case {
    fn random(dice: &mut Dice) -> Self {
        let options = (0..dice.below(5)).map(|_| match dice.below(4) {
            0 => ("--exclude", dice.pattern()),
            1 => ("--pattern", dice.rule()),
            2 => ("--exclude-from", dice.lines(Dice::pattern)),
            _ => ("--patterns-from", dice.lines(Dice::rule)),
        });
        let options = options.collect();
        let paths = (0..dice.below(6).saturating_sub(3)).map(|_| dice.pattern()).collect();
        Self { options, paths }
    }

    fn ours(&self) -> Result<Selection, reprise_borg::Error> {
        let mut rules = Rules::default();
        for (option, value) in &self.options {
            match *option {
                "--exclude" => rules.exclude(value)?,
                "--pattern" => rules.pattern(value)?,
                "--exclude-from" => rules.exclude_lines(value.as_bytes())?,
                _ => rules.pattern_lines(value.as_bytes())?,
            }
        }
        Selection::parse_with(&self.paths, rules)
    }
}

#[test]
fn any_rules_in_any_order_mean_what_borg_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut paths: Vec<String> = (0..150).map(|_| dice.path(&NAMES)).collect();
    paths.sort();
    paths.dedup();
    let cases: Vec<Case> = (0..2000).map(|_| Case::random(&mut dice)).collect();
    let hex = |parts: &[String]| {
        let bytes = parts.join("\0").into_bytes();
        bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    };
    let mut asked = hex(&paths);
    let mut files = 0;
    for case in &cases {
        let mut args = Vec::new();
        for (option, value) in &case.options {
            let value = if option.ends_with("-from") {
                files += 1;
                let file = dir.path().join(files.to_string());
                std::fs::write(&file, value).unwrap();
                file.to_str().unwrap().to_owned()
            } else {
                value.clone()
            };
            args.extend([(*option).to_owned(), value]);
        }
        args.push("--".to_owned());
        args.extend(case.paths.iter().cloned());
        write!(asked, "\n{}", hex(&args)).unwrap();
    }
    let mut oracle = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", "-c", ORACLE])
        .env("BORG_BASE_DIR", dir.path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests ask the real borg: install borgbackup");
    let mut stdin = oracle.stdin.take().unwrap();
    let asking = std::thread::spawn(move || stdin.write_all(asked.as_bytes()).unwrap());
    let answered = oracle.wait_with_output().unwrap();
    asking.join().unwrap();
    assert!(answered.status.success());
    let answered = String::from_utf8(answered.stdout).unwrap();
    let answers: Vec<&str> = answered.lines().collect();
    assert_eq!(answers.len(), cases.len());
    let (mut mixed, mut refused) = (0, 0);
    for (case, theirs) in cases.iter().zip(answers).filter(|(_, theirs)| *theirs != "expression") {
        let ours = match case.ours() {
            Ok(selection) => {
                paths.iter().map(|path| if selection.includes(path.as_bytes()) { '1' } else { '0' }).collect()
            }
            Err(_) => "error".to_owned(),
        };
        let wrong = paths.iter().zip(ours.chars().zip(theirs.chars())).find(|(_, (a, b))| a != b);
        assert_eq!(ours, theirs, "{:?} {:?}, first of all {wrong:?}", case.options, case.paths);
        mixed += usize::from(theirs.contains('0') && theirs.contains('1'));
        refused += usize::from(theirs == "error");
    }
    // The cases are no test unless there are enough of each kind.
    assert!(mixed > 500 && refused > 100, "{mixed} {refused}");
}
