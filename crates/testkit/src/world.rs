//! The world written down, to tell whether two of its states are the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{SimDocker, attributes};

/// Everything below a directory, to the byte (kind, content or target, mode, owner, time of last change in
/// nanoseconds, extended attributes), and the state of a Docker engine.
///
/// Times of last change can be forgotten for chosen paths. That is needed for directories in which names
/// changed, even when they were changed back: the kernel gives them a new time, and no undoing can be
/// expected to set it back. Likewise for what a step writes itself. Nothing else is ever left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    files: BTreeMap<PathBuf, Entry>,
    docker: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    what: String,
    content: Vec<u8>,
    modified: Option<(i64, i64)>,
}

impl World {
    /// What lies below `root`, and what `docker` runs. Paths are relative to `root`.
    pub fn of(root: &Path, docker: &SimDocker) -> Self {
        let mut world = Self { files: BTreeMap::new(), docker: docker.in_words(root) };
        world.add(root, Path::new(""));
        world
    }

    fn add(&mut self, root: &Path, relative: &Path) {
        let path = if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(relative) };
        let meta = fs::symlink_metadata(&path).expect("something to write down");
        let (kind, content) = if meta.is_dir() {
            ("directory", Vec::new())
        } else if meta.is_symlink() {
            ("link", fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes())
        } else if meta.is_file() {
            ("file", fs::read(&path).expect("a file"))
        } else {
            ("special file", Vec::new())
        };
        let mut what = format!("{kind} {:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
        for (name, value) in attributes::xattrs(&path).expect("attributes") {
            let _ = write!(what, " {}={}", name.display(), value.escape_ascii());
        }
        let modified = Some((meta.mtime(), meta.mtime_nsec()));
        self.files.insert(relative.to_owned(), Entry { what, content, modified });
        if meta.is_dir() {
            for entry in fs::read_dir(&path).expect("a directory") {
                self.add(root, &relative.join(entry.expect("an entry").file_name()));
            }
        }
    }

    /// The same without the times of last change of these paths, relative to the root.
    #[must_use]
    pub fn without_times_of(mut self, paths: &[PathBuf]) -> Self {
        for path in paths {
            if let Some(entry) = self.files.get_mut(path) {
                entry.modified = None;
            }
        }
        self
    }

    /// The same without the contents of these files.
    #[must_use]
    pub fn without_contents_of(mut self, paths: &[PathBuf]) -> Self {
        for path in paths {
            if let Some(entry) = self.files.get_mut(path) {
                entry.content.clear();
            }
        }
        self
    }

    /// What lies at or below `path`, with paths relative to it.
    pub fn below(&self, path: &Path) -> BTreeMap<PathBuf, String> {
        let files = self.files.iter().filter_map(|(at, entry)| {
            let content = entry.content.escape_ascii();
            Some((
                at.strip_prefix(path).ok()?.to_owned(),
                format!("{} {:?} {content}", entry.what, entry.modified),
            ))
        });
        files.collect()
    }

    /// What differs between the two, in words; nothing when they are the same.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        let mut text = String::new();
        let paths: std::collections::BTreeSet<_> = self.files.keys().chain(expected.files.keys()).collect();
        for path in paths {
            match (self.files.get(path), expected.files.get(path)) {
                (Some(found), Some(wanted)) if found == wanted => {}
                (found, wanted) => {
                    let _ = writeln!(text, "{}", path.display());
                    let _ = writeln!(text, "    wanted {}", described(wanted));
                    let _ = writeln!(text, "    found  {}", described(found));
                }
            }
        }
        let names: std::collections::BTreeSet<_> = self.docker.keys().chain(expected.docker.keys()).collect();
        for name in names {
            let (found, wanted) = (self.docker.get(name), expected.docker.get(name));
            if found != wanted {
                let _ = writeln!(text, "{name}\n    wanted {wanted:?}\n    found  {found:?}");
            }
        }
        (!text.is_empty()).then_some(text)
    }

    /// Fails the test with what differs, unless nothing does.
    #[track_caller]
    pub fn assert_is(&self, expected: &Self, context: &str) {
        if let Some(difference) = self.difference(expected) {
            panic!("{context}: the world is not as it should be\n{difference}");
        }
    }
}

fn described(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return "nothing".to_owned() };
    format!("{} {:?} {}", entry.what, entry.modified, entry.content.escape_ascii())
}
