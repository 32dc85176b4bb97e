//! Real file systems, on files.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::scratch;

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/setup installs it"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file system of that kind on a file, in memory where that can be, mounted until this is dropped.
#[derive(Debug)]
pub struct OnFile {
    _dir: TempDir,
    at: PathBuf,
}

impl OnFile {
    /// Makes one with `mkfs.KIND`, of so many MiB, and mounts it on a new directory.
    pub fn new(kind: &str, mebibytes: u64) -> Self {
        Self::with(kind, &[], mebibytes)
    }

    /// The same with more `options` for `mkfs`.
    pub fn with(kind: &str, options: &[&str], mebibytes: u64) -> Self {
        let dir = scratch();
        let at = dir.path().join("mounted");
        std::fs::create_dir(&at).expect("a mount point");
        Self::mounted(dir, &at, kind, options, mebibytes)
    }

    /// The same, mounted on the directory `at`.
    pub fn at(at: &Path, kind: &str, mebibytes: u64) -> Self {
        Self::mounted(scratch(), at, kind, &[], mebibytes)
    }

    fn mounted(dir: TempDir, at: &Path, kind: &str, options: &[&str], mebibytes: u64) -> Self {
        let image = dir.path().join("image");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(mebibytes << 20).expect("room");
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        run(&format!("mkfs.{kind}"), &[options, &["-q", &text(&image)]].concat());
        run("mount", &["-o", "loop", &text(&image), &text(at)]);
        Self { _dir: dir, at: at.to_owned() }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for OnFile {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have something open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// Makes `path` a subvolume.
pub fn subvolume(path: &Path) {
    run("btrfs", &["-q", "subvolume", "create", path.to_str().expect("a path in UTF-8")]);
}
