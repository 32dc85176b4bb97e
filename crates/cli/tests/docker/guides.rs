//! Every command in the guides is run, in their order, and what they show is what is printed.
//!
//! A guide's ```` ```console ```` blocks hold commands after `$ ` and what they print; `…` stands for anything, alone on
//! a line for any number of lines, and blanks are not counted. Every block is a fresh start only in words: one sandbox
//! per guide goes through all of it. Comments that readers do not see say what happens in between (`<!-- play: … -->`)
//! and which exit code the next block has (`<!-- exit 3 -->`). Questions are answered with `--yes`.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::killed::killed_at;
use crate::support::{Before, Damage, Ended, Shop, run};

/// What a guide has readers do, in order.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Something happens behind the scenes.
    Play(String),
    /// A command with its exit code and what is shown of its output.
    Run { command: String, code: i32, shown: Vec<String> },
}

fn parts(guide: &str) -> Vec<Part> {
    let (mut parts, mut code, mut inside) = (Vec::new(), 0, false);
    for line in guide.lines() {
        let comment = |kind: &str| line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.strip_prefix(kind);
        if let Some(play) = comment("play: ") {
            parts.push(Part::Play(play.to_owned()));
        } else if let Some(exit) = comment("exit ") {
            code = exit.parse().expect("an exit code");
        } else if line.starts_with("```") {
            assert!(inside || line == "```console", "`{line}`: commands are shown in `console` blocks");
            inside = !inside;
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            parts.push(Part::Run {
                command: command.to_owned(),
                code: std::mem::take(&mut code),
                shown: Vec::new(),
            });
        } else if inside {
            let Some(Part::Run { shown, .. }) = parts.last_mut() else { panic!("`{line}` is no command") };
            shown.push(line.to_owned());
        }
    }
    parts
}

/// A line without what tables and indentation make of it.
fn plain(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `line` is what is shown, in which `…` stands for anything.
fn is_line(shown: &str, line: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for piece in pieces {
        let piece = piece.trim();
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    rest.is_empty() || last == Some("")
}

/// Whether the lines of `said` are what is shown.
fn is_shown(shown: &[String], said: &[String]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=said.len()).any(|skipped| is_shown(rest, &said[skipped..]))
        }
        Some((first, rest)) => {
            said.first().is_some_and(|line| is_line(first, line)) && is_shown(rest, &said[1..])
        }
    }
}

/// Where a guide is played.
struct Stage {
    shop: Shop,
    before: Before,
    /// Names in the guide, and what they are here.
    names: Vec<(String, String)>,
    segment: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let shop = Shop::of_files();
        shop.damage(Damage(1));
        let before = shop.now();
        let here = |path: &Path| path.display().to_string();
        let names = vec![
            ("/backup/borg".to_owned(), here(&shop.repository)),
            ("/srv/shop".to_owned(), here(&shop.project)),
            ("srv/shop".to_owned(), here(&shop.project).trim_start_matches('/').to_owned()),
            ("/opt/".to_owned(), format!("{}/opt/", here(&shop.sandbox.dir))),
            ("shop".to_owned(), shop.name.clone()),
        ];
        fs::create_dir(shop.sandbox.dir.join("opt")).unwrap();
        let segments =
            fs::read_dir(shop.repository.join("data/0")).unwrap().map(|entry| entry.unwrap().path());
        let segment = segments.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        Self { shop, before, names, segment }
    }

    /// A command of the guide as it is here.
    fn here(&self, command: &str) -> String {
        // One after the other, never within what was put in already.
        let mut parts = vec![(command.to_owned(), false)];
        for (name, here) in &self.names {
            parts = parts
                .into_iter()
                .flat_map(|(text, done)| {
                    if done {
                        return vec![(text, true)];
                    }
                    let mut pieces = Vec::new();
                    for (number, piece) in text.split(name.as_str()).enumerate() {
                        if number > 0 {
                            pieces.push((here.clone(), true));
                        }
                        pieces.push((piece.to_owned(), false));
                    }
                    pieces
                })
                .collect();
        }
        parts.into_iter().map(|(text, _)| text).collect()
    }

    /// What was printed here as the guide has it, line by line.
    fn told(&self, text: &str) -> Vec<String> {
        let told = self.names.iter().fold(text.to_owned(), |text, (name, here)| text.replace(here, name));
        told.lines().map(plain).filter(|line| !line.is_empty()).collect()
    }

    fn run(&self, command: &str) -> Ended {
        let changes = ["docker restore", "operations rollback", "operations resume"];
        let asks = command.starts_with("reprise ")
            && changes.iter().any(|words| command.contains(words))
            && !["--dry-run", "--script"].iter().any(|flag| command.contains(flag));
        let command = self.here(command) + if asks { " --yes" } else { "" };
        let program = Path::new(env!("CARGO_BIN_EXE_reprise")).parent().unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(&self.shop.sandbox.dir);
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        run(self.shop.environment(&mut bash).env("PATH", path).env("COLUMNS", "200"))
    }

    fn play(&self, what: &str) {
        match what {
            "restored" => drop(self.shop.restore(&[]).expect(0)),
            "killed" => {
                let archive = self.shop.archive("nightly");
                let args = ["docker", "restore", &archive, "--in-place", "--yes"];
                // As it records that the first tree is in its place: the containers are down.
                let ended = killed_at(&self.shop.command(&args), "renameat2", 5);
                assert_eq!(ended.code, crate::killed::KILLED, "{}", ended.stderr);
            }
            "a damaged chunk" | "the chunk mended" => {
                let file = OpenOptions::new().read(true).write(true).open(&self.segment).unwrap();
                let middle = file.metadata().unwrap().len() / 2;
                let mut byte = [0];
                file.read_exact_at(&mut byte, middle).unwrap();
                file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
            }
            other => panic!("nobody knows how to play `{other}`"),
        }
    }
}

/// Does all that the guide called `name` says.
fn follow(name: &str) -> Stage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let parts = parts(&fs::read_to_string(&path).unwrap());
    assert!(parts.len() > 3, "{name} has hardly a command");
    let stage = Stage::new();
    for part in parts {
        match part {
            Part::Play(what) => stage.play(&what),
            Part::Run { command, code, shown } => {
                let ended = stage.run(&command);
                assert_eq!(ended.code, code, "{name}\n$ {}\n{}", ended.command, ended.stdout);
                let shown: Vec<String> =
                    shown.iter().map(|line| plain(line)).filter(|line| !line.is_empty()).collect();
                let said = stage.told(&ended.stdout);
                assert!(
                    is_shown(&shown, &said),
                    "{name}\n$ {command}\nshows:\n{}\n\nbut it says:\n{}",
                    shown.join("\n"),
                    said.join("\n")
                );
            }
        }
    }
    stage
}

#[test]
fn the_express_guide_says_what_happens() {
    let stage = follow("guide-express.md");
    stage.shop.expect_as_before(&stage.before);
}

#[test]
fn the_pro_guide_says_what_happens() {
    let stage = follow("guide-pro.md");
    stage.shop.expect_as_before(&stage.before);
}

#[test]
fn the_answers_about_rollback_are_right() {
    let stage = follow("rollback-faq.md");
    stage.shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    stage.shop.expect_as_before(&stage.before);
}

#[test]
fn what_to_do_when_a_restore_failed_works() {
    let stage = follow("restore-failed.md");
    let project = stage.shop.project.parent().unwrap().join(format!("{}.wrong", stage.shop.name));
    fs::remove_dir_all(project).unwrap();
    fs::remove_dir_all(stage.shop.data().with_file_name("_data.wrong")).unwrap();
    stage.shop.expect_as_before(&stage.before);
}

#[test]
fn what_is_shown_is_compared() {
    let lines = |text: &str| -> Vec<String> { text.lines().map(plain).collect() };
    let said = lines("one\n  two   of them 7\nthree");
    for right in ["…", "one\n…", "one\ntwo of …\nthree", "…\ntwo … 7\n…", "one\ntwo…7\nthree"] {
        assert!(is_shown(&lines(right), &said), "{right}");
    }
    for wrong in ["", "one", "two\n…", "one\n… 8\nthree", "…\ntwo of\n…", "one\nthree"] {
        assert!(!is_shown(&lines(wrong), &said), "{wrong}");
    }
}
