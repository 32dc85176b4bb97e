//! Patterns on the command line do what they do with borg.

#[path = "support/program.rs"]
#[allow(dead_code, reason = "shared with the tests on Docker, which use the rest")]
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{Ended, run};
use tempfile::TempDir;

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        for (name, text) in [
            ("src/etc/app/app.conf", "1"),
            ("src/etc/app/app.log", "2"),
            ("src/home/me/.cache/x", "3"),
            ("src/home/me/notes.txt", "4"),
            ("src/home/you/notes.txt", "5"),
            ("src/home/you/tmp/keep.me", "6"),
            ("src/var/log/app.log", "7"),
            (
                "kept.lst",
                "# what is kept\nP sh\nR home\n+ home/*/tmp/keep.me\n- home/*/tmp\n\nP re\n- \\.cache(/|$)\n",
            ),
            ("left-out.lst", "# what is left out\n  *.log  \nsh:home/you\n"),
        ] {
            let path = bench.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        bench.run("borg", "", &["init", "-e", "none", "repo"]).expect(0);
        bench.run("borg", "src", &["create", "../repo::a", "etc", "home", "var"]).expect(0);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, program: &str, at: &str, args: &[&str]) -> Ended {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.path(at))
            .env("BORG_BASE_DIR", self.path("base"))
            .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
            .env("REPRISE_CACHE_DIR", self.path("cache"))
            .env("REPRISE_STATE_DIR", self.path("state"))
            .env("LC_ALL", "C.UTF-8");
        run(&mut command)
    }

    fn reprise(&self, at: &str, args: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_reprise"), at, args)
    }
}

const CASES: &[&[&str]] = &[
    &["--patterns-from=../kept.lst"],
    &["--exclude-from=../left-out.lst", "--pattern=+ var", "--pattern=- **/notes.txt"],
    &["--pattern=+ home/*/.cache", "--exclude=home/*/.*", "-e", "*.conf"],
    &["-e", "*.conf", "--pattern=- sh:home/*/.*", "--pattern=+ etc/app/app.conf", "--pattern=! var"],
    &["--pattern=+pf:var/log/app.log", "--exclude=var", "--exclude-from=../left-out.lst"],
];

/// The files below a directory and what they hold; of directories, borg makes more than it lists.
fn files(root: &Path) -> BTreeSet<(PathBuf, String)> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    found
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.trim_end_matches('/').to_owned()).collect()
}

#[test]
fn what_is_listed_extracted_and_exported_is_what_borg_makes_of_the_same_arguments() {
    let bench = Bench::new();
    for (number, options) in CASES.iter().enumerate() {
        let [ours, theirs] = ["ours", "theirs"].map(|whose| format!("{whose}{number}"));
        fs::create_dir(bench.path(&ours)).unwrap();
        fs::create_dir(bench.path(&theirs)).unwrap();
        let with = |command, rest: &[&'static str]| [&[command], *options, rest].concat();
        let borg =
            |command, rest: &[&'static str]| bench.run("borg", &theirs, &with(command, rest)).expect(0);
        let reprise = |command, rest: &[&'static str]| bench.reprise(&ours, &with(command, rest)).expect(0);

        let listed = reprise("ls", &["--recursive", "--json", "../repo::a"]).json();
        let listed: BTreeSet<String> =
            listed.as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect();
        let expected = lines(&borg("list", &["--format={path}{NL}", "../repo::a"]).stdout);
        assert_eq!(listed, expected, "{options:?}");
        let found = reprise("find", &["--json", "../repo::a", "re:."]).json();
        assert_eq!(found.as_array().unwrap().len(), expected.len(), "{options:?}");

        reprise("extract", &["../repo::a"]);
        borg("extract", &["../repo::a"]);
        assert_eq!(files(&bench.path(&ours)), files(&bench.path(&theirs)), "{options:?}");

        reprise("export-tar", &["../repo::a", "out.tar"]);
        borg("export-tar", &["../repo::a", "out.tar"]);
        let [ours, theirs] =
            [&ours, &theirs].map(|at| lines(&bench.run("tar", at, &["-tf", "out.tar"]).expect(0).stdout));
        assert_eq!(ours, theirs, "{options:?}");
    }
}

#[test]
fn files_of_patterns_that_are_of_no_use_are_named() {
    let bench = Bench::new();
    let extract = |option: &str, value: &str| bench.reprise("", &["extract", "-n", "repo::a", option, value]);
    extract("--exclude-from", "nowhere.lst").expect(2).says(&["nowhere.lst", "No such file"]);
    fs::write(bench.path("bad.lst"), "- fine\nhome/me\n").unwrap();
    extract("--patterns-from", "bad.lst").expect(2).says(&["bad.lst", "line 2", "home/me"]);
    fs::write(bench.path("odd.lst"), "re:(\n").unwrap();
    extract("--exclude-from", "odd.lst").expect(2).says(&["odd.lst", "line 1", "re:("]);
    let ended = extract("--pattern", "home").expect(2);
    assert!(ended.stderr.contains("is no rule"), "{}", ended.stderr);
}
