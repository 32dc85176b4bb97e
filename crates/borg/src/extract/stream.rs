//! What later entries of a tar stream must know of earlier ones.
//!
//! Whoever unpacks a stream may follow symbolic links that it has just made: not every `tar` takes care. So nothing is put into a
//! stream at or below a path where it has a symbolic link. Borg makes archives like that only of what was named so on
//! its command line, and refuses to extract them.

use std::collections::HashSet;

/// What a stream holds.
#[derive(Debug, Default)]
pub(super) struct Written {
    symlinks: HashSet<Vec<u8>>,
    /// First names of files that were left out, so that there is nothing to link to.
    absent: HashSet<Vec<u8>>,
}

impl Written {
    /// A symbolic link is at `path`.
    pub fn symlink(&mut self, path: &[u8]) {
        self.symlinks.insert(path.to_vec());
    }

    /// Whether unpacking something to `path` might follow a link. Another link takes the place of one.
    pub fn leads_through_symlink(&self, path: &[u8], is_symlink: bool) -> bool {
        if self.symlinks.is_empty() {
            return false;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        slashes.chain((!is_symlink).then_some(path.len())).any(|end| self.symlinks.contains(&path[..end]))
    }

    /// The file at `path` was left out, or not.
    pub fn file(&mut self, path: &[u8], is_there: bool) {
        if !is_there {
            self.absent.insert(path.to_vec());
        } else if !self.absent.is_empty() {
            self.absent.remove(path);
        }
    }

    /// Whether a further name of the file at `path` would lead to nothing.
    pub fn is_absent(&self, path: &[u8]) -> bool {
        self.absent.contains(path)
    }
}

#[cfg(test)]
mod tests {
    use super::Written;

    #[test]
    fn nothing_goes_at_or_below_a_link_but_another_link() {
        let mut written = Written::default();
        assert!(!written.leads_through_symlink(b"a/b", false));
        written.symlink(b"a/link");
        for (path, is_symlink, through) in [
            (&b"a/link"[..], false, true),
            (b"a/link", true, false),
            (b"a/link/b", true, true),
            (b"a/link/b/c", false, true),
            (b"a/links", false, false),
            (b"a", false, false),
        ] {
            assert_eq!(written.leads_through_symlink(path, is_symlink), through, "{path:?}");
        }
    }
}
