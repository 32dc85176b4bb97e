//! File systems of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Bench;

/// Something that is mounted until this is dropped.
pub struct Mounted(pub PathBuf);

impl Mounted {
    /// Mounts by `mount ARGS AT`.
    pub fn at(at: &Path, args: &[&str]) -> Self {
        let mounted = Command::new("mount").args(args).arg(at).status().unwrap();
        assert!(mounted.success(), "this test mounts a file system: run it as root");
        Self(at.to_owned())
    }

    /// A file system of so many MiB that the `command` makes in a file.
    pub fn made(bench: &Bench, command: &[&str], mebibytes: u64) -> Self {
        let image = bench.path("image");
        std::fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let made = Command::new(command[0]).args(&command[1..]).arg(&image).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self::at(&bench.empty("mounted"), &["-o", "loop", image.to_str().unwrap()])
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have something open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
