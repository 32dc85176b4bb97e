//! Helpers of all tests: the real `borg`, trees of files, and comparing them.
#![allow(dead_code, reason = "every test file uses a part of these")]

pub mod forge;
pub mod look;
pub mod mounted;
pub mod quick;

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reprise_borg::{Id, OpenOptions, Repository};
use secrecy::SecretString;
use tempfile::TempDir;

pub const PASSPHRASE: &str = "correct horse";

/// A directory with a home for borg, a place for a repository and a source tree.
pub struct Bench {
    pub dir: TempDir,
    /// The program.
    borg: String,
}

/// Where `scripts/setup test` puts Borg 1.4; Debian's own is older.
pub fn borg_1_4() -> String {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/borg-1.4/bin/borg");
    assert!(Path::new(program).exists(), "Borg 1.4 is not there: run scripts/setup test");
    program.to_owned()
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("borg-test").tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        Self { dir, borg: "borg".into() }
    }

    /// With a repository of this encryption.
    pub fn with(encryption: &str) -> Self {
        Self::of("borg", encryption)
    }

    /// With a repository that this program makes and works on.
    pub fn of(borg: &str, encryption: &str) -> Self {
        let bench = Self { borg: borg.into(), ..Self::new() };
        bench.borg(&["init", "-e", encryption, bench.repo().to_str().unwrap()]);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    pub fn src(&self) -> PathBuf {
        self.path("src")
    }

    pub fn command(&self, cwd: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.borg);
        command
            .args(args)
            .current_dir(cwd)
            .env("BORG_BASE_DIR", self.path("home"))
            .env("BORG_PASSPHRASE", PASSPHRASE)
            .env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
            .env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes")
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs borg in `cwd`, whatever comes of it.
    pub fn try_borg_in(&self, cwd: &Path, args: &[&str]) -> Output {
        self.command(cwd, args).output().expect("these tests compare with the real borg: install borgbackup")
    }

    pub fn borg_in(&self, cwd: &Path, args: &[&str]) -> Output {
        let output = self.try_borg_in(cwd, args);
        assert!(
            output.status.code() == Some(0),
            "borg {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    pub fn borg(&self, args: &[&str]) -> Output {
        self.borg_in(self.dir.path(), args)
    }

    /// Backs up the source tree.
    pub fn create(&self, name: &str, options: &[&str]) {
        let target = format!("{}::{name}", self.repo().display());
        let args = [&["create"], options, &[&target, "."]].concat();
        self.borg_in(&self.src(), &args);
    }

    pub fn open(&self) -> Repository {
        open(&self.repo(), &self.path("home/.config/borg/keys")).unwrap()
    }

    pub fn empty(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// Extracts with borg into a new directory.
    pub fn borg_extract(&self, archive: &str, name: &str) -> PathBuf {
        let path = self.empty(name);
        let target = format!("{}::{archive}", self.repo().display());
        self.borg_in(&path, &["extract", "--numeric-ids", &target]);
        path
    }
}

pub fn open(path: &Path, keys: &Path) -> Result<Repository, reprise_borg::Error> {
    let keys: Vec<PathBuf> = keys.is_dir().then(|| keys.to_owned()).into_iter().collect();
    let options = OpenOptions {
        passphrase: &|| Ok(Some(SecretString::from(PASSPHRASE))),
        keys: &keys,
        ..OpenOptions::default()
    };
    Repository::open(path, &options)
}

/// Everything observable about what is below a directory, by path.
pub fn snapshot(root: &Path) -> Snapshot {
    let mut found = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    visit(root, root, &mut found, &mut inodes);
    found
}

fn visit(
    root: &Path,
    path: &Path,
    found: &mut BTreeMap<Vec<u8>, String>,
    inodes: &mut BTreeMap<u64, Vec<u8>>,
) {
    let data = fs::symlink_metadata(path).unwrap();
    let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
    let first = inodes.entry(data.ino()).or_insert_with(|| name.clone()).clone();
    let content = if data.is_file() {
        format!("{:08x}", hash(&fs::read(path).unwrap()))
    } else if data.is_symlink() {
        fs::read_link(path).unwrap().display().to_string()
    } else {
        String::new()
    };
    let links = if data.is_dir() { 0 } else { data.nlink() };
    let facts = format!(
        "mode {:o} owner {}:{} size {} mtime {}.{:09} links {links} same as {:?} rdev {} content {content} xattrs {:?} flags {}",
        data.mode(),
        data.uid(),
        data.gid(),
        if data.is_dir() { 0 } else { data.size() },
        data.mtime(),
        data.mtime_nsec(),
        String::from_utf8_lossy(&first),
        if data.rdev() == 0 { 0 } else { data.rdev() },
        xattrs(path),
        flags(path, &data),
    );
    found.insert(name, facts);
    if data.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            visit(root, &entry.unwrap().path(), found, inodes);
        }
    }
}

fn flags(path: &Path, data: &fs::Metadata) -> u32 {
    if !data.is_file() && !data.is_dir() {
        return 0;
    }
    let file = fs::File::open(path).unwrap();
    // Only what users set: "extents" and the like are the file system's business.
    rustix::fs::ioctl_getflags(&file).map_or(0, |flags| flags.bits() & 0x74)
}

pub fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut names = vec![0_u8; 65536];
    let len = rustix::fs::llistxattr(&path, &mut names).unwrap_or(0);
    let mut all: Vec<_> = names[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0_u8; 65536];
            let len = rustix::fs::lgetxattr(&path, OsStr::from_bytes(name), &mut value).unwrap();
            (String::from_utf8_lossy(name).into_owned(), value[..len].to_vec())
        })
        .collect();
    all.sort();
    all
}

/// FNV-1a: enough to tell contents apart.
fn hash(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Asserts that two trees are alike, and tells the first difference.
pub fn assert_same(ours: &Path, theirs: &Path) {
    assert_alike(&snapshot(ours), &snapshot(theirs));
}

/// The same, without the directories themselves: borg does not restore the one it extracts to.
pub fn assert_same_below(ours: &Path, theirs: &Path) {
    let [ours, theirs] = [ours, theirs].map(|root| {
        let mut found = snapshot(root);
        found.remove(&b""[..]);
        found
    });
    assert_alike(&ours, &theirs);
}

type Snapshot = BTreeMap<Vec<u8>, String>;

pub fn assert_alike(ours: &Snapshot, theirs: &Snapshot) {
    for (path, facts) in theirs {
        let shown = String::from_utf8_lossy(path);
        assert_eq!(ours.get(path), Some(facts), "at {shown:?} (ours, then theirs)");
    }
    let extra: Vec<_> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    assert!(extra.is_empty(), "only ours: {extra:?}");
}

/// Where the chunk lies: its segment file and the offset of its data.
pub fn locate(bench: &Bench, id: Id) -> (PathBuf, usize) {
    for entry in fs::read_dir(bench.repo().join("data/0")).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        if let Some(at) = content.windows(32).position(|window| window == id.0) {
            return (path, at + 32);
        }
    }
    panic!("the chunk is nowhere");
}
