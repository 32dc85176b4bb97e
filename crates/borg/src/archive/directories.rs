//! What the directories of an archive hold, and what of it no other archive has.

use std::collections::{BTreeMap, HashMap};

use reprise_model::Observer;

use super::Archive;
use super::sizes::each_chunk_of_others;
use crate::Error;
use crate::extract::{normalize, split};
use crate::item::Kind;

/// What a directory holds, with all below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DirectorySize {
    /// Its path; empty for the whole archive.
    pub path: Vec<u8>,
    /// Regular files.
    pub files: u64,
    /// Bytes of content, that of hard-linked files once.
    pub original: u64,
    /// The same after compression, before deduplication.
    pub stored: u64,
    /// Bytes in the repository that no other archive uses. What several directories share is counted in the one that comes
    /// first.
    pub unique: u64,
}

impl DirectorySize {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.original += other.original;
        self.stored += other.stored;
        self.unique += other.unique;
    }
}

pub(super) fn sizes(
    archive: &Archive<'_>,
    depth: usize,
    observer: &dyn Observer,
) -> Result<Vec<DirectorySize>, Error> {
    let mut directories: Vec<DirectorySize> = Vec::new();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut own = HashMap::new();
    archive.each_view(|found| {
        let item = found.item()?;
        if observer.cancelled() {
            return Err(Error::Cancelled);
        }
        // What has no place is part of the whole.
        let path = normalize(item.path).unwrap_or_default();
        let kind = Kind::of_mode(item.mode);
        let directory = if kind == Kind::Directory { &path[..] } else { split(&path).0 };
        let directory = beginning(directory, depth);
        let index = known.get(directory).copied().unwrap_or_else(|| {
            known.insert(directory.to_vec(), directories.len());
            directories.push(DirectorySize { path: directory.to_vec(), ..DirectorySize::default() });
            directories.len() - 1
        });
        let size = &mut directories[index];
        size.files += u64::from(kind == Kind::File);
        if let Some(chunks) = item.chunks {
            size.original += chunks.size;
            for chunk in chunks.iter() {
                size.stored += u64::from(chunk.stored);
                own.entry(chunk.id).or_insert((index, chunk.stored));
            }
        }
        Ok(())
    })?;
    each_chunk_of_others(archive, observer, |id| {
        own.remove(id);
        !own.is_empty()
    })?;
    for (index, stored) in own.into_values() {
        directories[index].unique += u64::from(stored);
    }
    let mut sums: BTreeMap<Vec<u8>, DirectorySize> = BTreeMap::new();
    for directory in &directories {
        let mut path = directory.path.as_slice();
        loop {
            let sum = sums.entry(path.to_vec()).or_default();
            sum.add(directory);
            if path.is_empty() {
                break;
            }
            path = split(path).0;
        }
    }
    // An empty archive holds nothing, and that is told too.
    sums.entry(Vec::new()).or_default();
    Ok(sums.into_iter().map(|(path, sum)| DirectorySize { path, ..sum }).collect())
}

/// The first `depth` names of a path.
fn beginning(path: &[u8], depth: usize) -> &[u8] {
    if depth == 0 {
        return b"";
    }
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.nth(depth - 1).map_or(path, |(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn paths_are_cut_at_names() {
        assert_eq!(beginning(b"a/b/c", 0), b"");
        assert_eq!(beginning(b"a/b/c", 1), b"a");
        assert_eq!(beginning(b"a/b/c", 2), b"a/b");
        assert_eq!(beginning(b"a/b/c", 9), b"a/b/c");
    }
}
