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
        fill(&self.0);
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

/// Takes all the room in `directory`, down to the last block, with the file `filler`.
pub fn fill(directory: &Path) {
    let mut filler = std::fs::OpenOptions::new();
    let mut filler = filler.append(true).create(true).open(directory.join("filler")).expect("a file");
    for size in [1 << 16, 1 << 10] {
        while filler.write_all(&vec![0; size]).and_then(|()| filler.sync_data()).is_ok() {}
    }
}
