//! Code and translations agree: every message that is shown has a text, and no text is left over.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reprise_model::{Lang, known_keys};

/// All Rust sources of the workspace's crates, tests left out.
fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut found, mut open) = (Vec::new(), vec![crates.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The words in quotes that follow one of `openings`.
fn quoted_after(text: &str, openings: &[&str]) -> BTreeSet<String> {
    let ends =
        openings.iter().flat_map(|opening| text.match_indices(opening).map(|(at, found)| at + found.len()));
    ends.filter_map(|start| text[start..].split('"').next()).map(str::to_owned).collect()
}

#[test]
fn every_message_that_is_shown_has_a_text() {
    let known: BTreeSet<String> = known_keys(Lang::En).into_iter().map(str::to_owned).collect();
    let mut missing = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for key in quoted_after(&text, &["Message::new(\"", ".word(\"", ".heading(\""]) {
            if !known.contains(&key) {
                missing.push(format!("{key} in {}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "no text for: {missing:#?}");
}

#[test]
fn every_text_is_shown_somewhere() {
    let all: String = sources().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let is_shown = |key: &str| all.contains(&format!("\"{key}\""));
    // A finding has the advice that is called like it.
    let unused: Vec<_> = known_keys(Lang::En)
        .into_iter()
        .filter(|key| !is_shown(key) && !key.strip_suffix("-advice").is_some_and(is_shown))
        .collect();
    assert!(unused.is_empty(), "texts that nothing shows: {unused:?}");
}

/// What stops a restore, or is to be thought about, and is given the advice of another, or one of several.
const ADVISED_OTHERWISE: [&str; 16] = [
    "no-inodes",
    "mount-point",
    "volume-driver",
    "reserved-state",
    "reserved-repository",
    "reserved-engine",
    "no-snapshot-room",
    "no-snapshot-space",
    "no-snapshot-shared",
    "port-listening",
    "project-stays",
    "project-unreadable",
    "container-shares",
    "container-network",
    "image-missing",
    "engine-older",
];

#[test]
fn what_matters_says_what_to_do() {
    let known: BTreeSet<&str> = known_keys(Lang::En).into_iter().collect();
    let table =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md")).unwrap();
    let matters = table.lines().filter(|line| line.contains("| blocker |") || line.contains("| warning |"));
    let codes = matters.flat_map(|line| line.split('|').nth(1).unwrap().split(", "));
    let codes = codes.map(|code| code.trim().trim_matches('`'));
    let (advised, silent): (Vec<_>, Vec<_>) =
        codes.partition(|code| known.contains(format!("{code}-advice").as_str()));
    assert!(advised.len() > 50, "{advised:?}");
    assert_eq!(silent, ADVISED_OTHERWISE);
}

/// Texts of these parts that are no findings.
const NO_FINDINGS: [&str; 4] = ["blocked", "dry-run-done", "plan-protection-swap", "script-elsewhere"];

#[test]
fn every_finding_is_in_the_table_of_findings() {
    let known: BTreeSet<String> = known_keys(Lang::En).into_iter().map(str::to_owned).collect();
    let of_findings = |path: &&PathBuf| {
        let path = path.to_string_lossy();
        let of_cli = path.ends_with("commands/docker_restore.rs") || path.ends_with("commands/express.rs");
        path.contains("recipes/src/docker/") || of_cli
    };
    let mut used = BTreeSet::new();
    for path in sources().iter().filter(of_findings) {
        let text = fs::read_to_string(path).unwrap();
        // Every second piece between quotes is a text.
        used.extend(text.split('"').map(str::to_owned).filter(|word| known.contains(word)));
    }
    used.retain(|key| !key.ends_with("-advice") && !NO_FINDINGS.contains(&key.as_str()));
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    let table = fs::read_to_string(table).unwrap();
    let rows =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next().map(str::to_owned));
    let documented: BTreeSet<String> = rows
        .flat_map(|codes| codes.split(", ").map(|code| code.trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(used, documented, "docs/findings.md and the code disagree");
}
