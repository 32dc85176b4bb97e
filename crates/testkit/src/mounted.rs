//! A small file system of its own, to run out of space in or to be in the way.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

/// A tmpfs that is mounted until this is dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one with room for `kibibytes` at `path`, which is made when it is missing. Needs root.
    pub fn at(path: &Path, kibibytes: u64) -> Self {
        std::fs::create_dir_all(path).expect("a mount point");
        let options = std::ffi::CString::new(format!("size={kibibytes}k")).expect("options");
        rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), options.as_c_str())
            .expect("a mounted tmpfs; the tests run as root");
        Self(path.to_owned())
    }

    /// Fills up what room there is.
    pub fn fill(&self) {
        let mut filler = std::fs::OpenOptions::new();
        let mut filler = filler.append(true).create(true).open(self.0.join("filler")).expect("a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("a filler");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}
