//! Dependencies among the workspace's crates go one way.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate may depend on when it is built for use. The test kit may depend on all, and nothing on it.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("reprise-model", &[]),
    ("reprise-borg", &["reprise-model"]),
    ("reprise-recoveryfs", &["reprise-borg", "reprise-model"]),
    ("reprise-host", &["reprise-model"]),
    ("reprise-engine", &["reprise-host", "reprise-model"]),
    ("reprise-recipes", &["reprise-engine", "reprise-host", "reprise-model", "reprise-borg"]),
    (
        "reprise-cli",
        &[
            "reprise-recipes",
            "reprise-engine",
            "reprise-host",
            "reprise-model",
            "reprise-borg",
            "reprise-recoveryfs",
        ],
    ),
];

/// The workspace's crates, each with those among them that it needs other than for its tests.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let needs = |package: &serde_json::Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let built = dependencies.filter(|dependency| dependency["kind"].as_str() != Some("dev"));
        built.map(name).filter(|dependency| members.contains(dependency)).collect()
    };
    packages.iter().map(|package| (name(package), needs(package))).collect()
}

#[test]
fn dependencies_go_one_way() {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    for (package, dependencies) in arrows() {
        if package == "reprise-testkit" {
            continue;
        }
        let Some(allowed) = allowed.get(package.as_str()) else {
            panic!("{package} is new: say here and in the design what it may depend on");
        };
        for dependency in dependencies {
            assert!(allowed.contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
    }
}
