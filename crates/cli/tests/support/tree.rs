//! An exact picture of a directory tree, for comparing.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// All there is to know of one file, but for its access and change times.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    content: Vec<u8>,
    device: u64,
    /// For a file of several names: the first of them in this tree, and how many there are in all.
    hard_link: Option<(PathBuf, u64)>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Content is told by its size and beginning: nobody reads more of it in a failed test.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = String::from_utf8_lossy(&self.content[..self.content.len().min(40)]);
        let (kind, mode, owner, modified) = (self.kind, self.mode, self.owner, self.modified);
        write!(f, "{kind} {mode:o} {owner:?} {modified:?} {} bytes {content:?}", self.content.len())?;
        write!(f, " device {:x} link {:?} {:?}", self.device, self.hard_link, self.attributes)
    }
}

/// A directory tree, its root included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

impl Tree {
    /// The tree at `root`.
    #[track_caller]
    pub fn of(root: &Path) -> Self {
        let mut found = Vec::new();
        collect(root, Path::new(""), &mut found);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut first_names: HashMap<(u64, u64), PathBuf> = HashMap::new();
        let entries = found.into_iter().map(|(path, inode, mut entry, names)| {
            if entry.kind != "directory" && names > 1 {
                let first = first_names.entry(inode).or_insert_with(|| path.clone());
                entry.hard_link = Some((first.clone(), names));
            }
            (path, entry)
        });
        Self(entries.collect())
    }

    /// The same without the entries at `paths`.
    pub fn without(mut self, paths: &[&str]) -> Self {
        self.0.retain(|path, _| !paths.iter().any(|without| path == Path::new(without)));
        self
    }

    /// The same without what an operation keeps in it, where it is a file system of its own.
    pub fn without_kept(mut self) -> Self {
        let kept = |path: &Path| path.as_os_str().as_bytes().starts_with(b".reprise-");
        self.0.retain(|path, _| !kept(path));
        self
    }

    /// The same without the time of the entry at `path`.
    pub fn without_time_of(mut self, path: &Path) -> Self {
        if let Some(entry) = self.0.get_mut(path) {
            entry.modified = (0, 0);
        }
        self
    }

    /// The same without the times of directories that a restore makes, which are those of their making.
    pub fn without_times_of_made(self) -> Self {
        ["", "volumes", "compose", "configs"]
            .iter()
            .fold(self, |tree, made| tree.without_time_of(Path::new(made)))
    }

    /// The same with no more than `borg import-tar` takes of a tar: no attributes, and times as the binary fractions they
    /// become on the way.
    pub fn once_imported(mut self) -> Self {
        for entry in self.0.values_mut() {
            entry.attributes.clear();
            let seconds: f64 = format!("{}.{:09}", entry.modified.0, entry.modified.1).parse().unwrap();
            let nanoseconds = (seconds * 1e9) as i64;
            entry.modified = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        }
        self
    }

    /// The same without the time of the root, which changes with every name beside it.
    pub fn without_root_time(self) -> Self {
        self.without_time_of(Path::new(""))
    }
}

/// With the device and the inode: a snapshot has the numbers of what it is of.
fn collect(root: &Path, path: &Path, found: &mut Vec<(PathBuf, (u64, u64), Entry, u64)>) {
    let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) };
    let meta = fs::symlink_metadata(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()));
    let file_type = meta.file_type();
    let (kind, content) = if file_type.is_dir() {
        ("directory", Vec::new())
    } else if file_type.is_symlink() {
        ("symlink", fs::read_link(&full).expect("a link can be read").as_os_str().as_bytes().to_vec())
    } else if file_type.is_file() {
        ("file", fs::read(&full).expect("a file can be read"))
    } else if file_type.is_fifo() {
        ("fifo", Vec::new())
    } else {
        ("special", Vec::new())
    };
    let entry = Entry {
        kind,
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        modified: (meta.mtime(), meta.mtime_nsec()),
        content,
        device: meta.rdev(),
        hard_link: None,
        attributes: attributes(&full),
    };
    found.push((path.to_owned(), (meta.dev(), meta.ino()), entry, meta.nlink()));
    if file_type.is_dir() {
        for child in fs::read_dir(&full).expect("a directory can be read") {
            collect(root, &path.join(child.expect("a directory can be read").file_name()), found);
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0_u8; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0_u8; 1 << 16];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap_or(0);
        value.truncate(length);
        value
    };
    names.map(|name| (name.to_vec(), value(name))).collect()
}

/// Fails the test unless the two trees are the same, to the byte.
#[track_caller]
pub fn assert_same(expected: &Tree, actual: &Tree, what: &str) {
    let mut differences = String::new();
    let paths = expected.0.keys().chain(actual.0.keys()).collect::<std::collections::BTreeSet<_>>();
    for path in paths {
        let (wanted, found) = (expected.0.get(path), actual.0.get(path));
        if wanted != found {
            let path = path.display();
            let _ = writeln!(differences, "{path}\n  expected: {wanted:?}\n  found:    {found:?}");
        }
    }
    assert!(differences.is_empty(), "{what}:\n{differences}");
}
