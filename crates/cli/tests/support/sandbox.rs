//! A directory of a test's own, and the removal of all that the test made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::docker::{docker, lines};
use super::program::run;

/// The label that everything of a test carries, with its [`owner`].
pub const OWNER_LABEL: &str = "reprise.test.owner";

/// Not /tmp, which may be in memory: files here keep extended attributes.
const BASE: &str = "/var/tmp";
const PREFIX: &str = "reprise-e2e-";

/// Whose a thing is: this process.
pub fn owner() -> String {
    std::process::id().to_string()
}

/// A directory, and a name that nothing else in Docker has. Both go when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    /// The directory.
    pub dir: PathBuf,
    /// A name for a Compose project, and the beginning of the name of everything else.
    pub name: String,
}

impl Sandbox {
    /// A new one.
    pub fn new() -> Self {
        static SWEPT: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(sweep);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e{}x{number}", owner());
        let dir = Path::new(BASE).join(format!("{PREFIX}{}-{number}", owner()));
        fs::create_dir(&dir).expect("a sandbox can be made");
        Self { dir, name }
    }

    /// A file system in memory, of so many bytes as `mount` takes them, below the sandbox.
    pub fn mounted(&self, at: &str, size: &str) -> PathBuf {
        let path = self.dir.join(at);
        fs::create_dir_all(&path).expect("a directory can be made");
        let options = format!("size={size},mode=755");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "reprise-test"]).arg(&path)).expect(0);
        path
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        remove_docker(&self.name);
        remove_directory(&self.dir);
    }
}

/// Removes what tests left behind whose process is gone.
fn sweep() {
    let gone = |pid: &str| !Path::new("/proc").join(pid).exists();
    for entry in fs::read_dir(BASE).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((pid, number)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else {
            continue;
        };
        if gone(pid) {
            remove_docker(&format!("e2e{pid}x{number}"));
            remove_directory(&entry.path());
        }
    }
}

/// Removes the containers, volumes, networks and images whose names begin with `project`, and are not those of another one whose
/// name begins like that.
fn remove_docker(project: &str) {
    let is_ours = |name: &String| {
        name.strip_prefix(project).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
    };
    let named = |list: &[&str], format: &str| -> Vec<String> {
        let mut names = lines(&docker([list, &["--format", format]].concat()));
        names.retain(is_ours);
        names
    };
    let remove = |removal: &[&str], names: &[String]| {
        if !names.is_empty() {
            let _ = run(Command::new("docker").args(removal).args(names));
        }
    };
    remove(&["rm", "--force", "--volumes"], &named(&["ps", "-a"], "{{.Names}}"));
    let volumes = named(&["volume", "ls"], "{{.Name}}");
    remove(&["volume", "rm"], &volumes);
    remove(&["network", "rm"], &named(&["network", "ls"], "{{.Name}}"));
    remove(&["image", "rm"], &named(&["image", "ls"], "{{.Repository}}:{{.Tag}}"));
    // What a restore set aside beside volumes.
    for volume in &volumes {
        let _ = fs::remove_dir_all(Path::new("/var/lib/docker/volumes").join(volume));
    }
}

fn remove_directory(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    points.retain(|point| Path::new(point).starts_with(dir));
    for point in points.iter().rev() {
        let _ = run(Command::new("umount").arg("--lazy").arg(point));
    }
    let _ = fs::remove_dir_all(dir);
}
