//! Runs scripts as a person would, after looking at them with shellcheck.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use reprise_engine::{Detail, Plan, script};
use reprise_model::Lang;
use reprise_testkit::scratch;

/// How a script ended.
pub struct Ran {
    pub status: Option<i32>,
    pub stderr: String,
}

/// Fails the test unless shellcheck finds nothing in the plan's script, in any language.
pub fn assert_clean(plan: &Plan, detail: Detail) {
    for lang in [Lang::En, Lang::Fr] {
        let dir = scratch();
        let file = written(plan, detail, lang, dir.path());
        let checked = Command::new("shellcheck")
            .arg("--severity=style")
            .arg(&file)
            .output()
            .unwrap_or_else(|error| panic!("install shellcheck: {error}"));
        let found = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{found}");
    }
}

fn written(plan: &Plan, detail: Detail, lang: Lang, dir: &Path) -> PathBuf {
    let file = dir.join("script.sh");
    fs::write(&file, script(plan, detail, lang)).unwrap();
    file
}

/// Runs the plan's script.
pub fn run(plan: &Plan, detail: Detail) -> Ran {
    run_with(plan, detail, "/usr/bin:/bin")
}

/// Runs the plan's script, which finds programs in `path`.
pub fn run_with(plan: &Plan, detail: Detail, path: &str) -> Ran {
    assert_clean(plan, detail);
    let dir = scratch();
    let output = command(plan, detail, path, dir.path()).output().unwrap();
    Ran { status: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

fn command(plan: &Plan, detail: Detail, path: &str, dir: &Path) -> Command {
    let mut command = Command::new("bash");
    command.arg(written(plan, detail, Lang::En, dir)).env_clear().env("PATH", path).current_dir(dir);
    command.stdin(Stdio::null());
    command
}

/// Runs the complete script and asks it to end once `begun` exists.
pub fn terminated_once(plan: &Plan, begun: &Path) -> Ran {
    let dir = scratch();
    let mut command = command(plan, Detail::Complete, "/usr/bin:/bin", dir.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !begun.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let process = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran { status: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}
