//! What an extraction would change in a directory that cannot be read from here, told from a description of what is there.
//!
//! Nobody but who has the key can tell an id from content, so content is compared by a digest that both sides can make: what the
//! archive holds is read for that, of files whose size is right.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use reprise_model::Observer;
use sha2::{Digest, Sha256};

use super::super::owners::Directory;
use super::super::select::{Action, Content, Selector, Target};
use super::super::{
    Change, Changed, Extraction, Owners, Problem, ProblemKind, Report, known_problems, size_of,
};
use super::compare;
use crate::Error;
use crate::archive::Archive;
use crate::item::{Chunk, Item, Kind};
use crate::repository::Chunks;
use crate::store::Store;

/// What is somewhere, as somebody has described it who could look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its kind; [`Kind::Other`] for sockets, devices and all else that no archive puts there.
    pub kind: Kind,
    /// Bytes of content of a regular file.
    pub size: u64,
    /// Permissions with the set-id and sticky bits.
    pub permissions: u32,
    /// The number of its owner.
    pub uid: u32,
    /// And of its group.
    pub gid: u32,
    /// When its content last changed, in nanoseconds since 1970.
    pub mtime: i128,
    /// Where a symbolic link leads.
    pub target: Vec<u8>,
    /// Extended attributes and access lists, as the kernel has them.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The SHA-256 of a regular file's content.
    pub digest: Option<[u8; 32]>,
    /// What tells one file from another among those described.
    pub inode: u64,
    /// How many names it has, wherever they are.
    pub names: u64,
}

/// Tells what of the extraction is not at its destination as it is to be; `present` is what is there, by destination. What is at
/// the destination of a placement itself need not be described.
pub(crate) fn to_described(
    archive: &Archive<'_>,
    extraction: &Extraction,
    present: &HashMap<Vec<u8>, Described>,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let mut selector = Selector::new(extraction)?;
    let store = archive.repository.store();
    let mut compare = Compare {
        present,
        store,
        chunks: archive.repository.chunks(),
        // Numbers are the archive's, as they are for whoever unpacks a tar stream.
        owners: Directory::new(Owners::Numeric),
        observer,
        report: Report::default(),
        files: HashMap::new(),
    };
    let done = archive.scan(|items| {
        for item in items {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            let item = match item {
                Err(Error::ItemsLost(lost)) => {
                    compare.report.add(Problem::new(b"", None, ProblemKind::Items(lost)));
                    continue;
                }
                item => item?,
            };
            let targets = selector.targets(&item);
            if targets.is_empty() {
                continue;
            }
            observer.item(&item.path);
            for target in targets {
                match target {
                    Ok(Target { destination, action }) => {
                        let chunks = item.chunks.as_deref().unwrap_or_default();
                        let own = (chunks, item.chunks_healthy.as_slice());
                        match action {
                            Action::Create => compare.item(&item, own, destination)?,
                            Action::CreateWith(content) => {
                                let Content { chunks, healthy } = &*content;
                                compare.item(&item, (chunks, healthy), destination)?;
                            }
                            Action::Link(to) => compare.link(&item, &to, destination),
                        }
                    }
                    Err((destination, kind)) => {
                        compare.report.add(Problem::new(&item.path, destination.as_deref(), kind));
                    }
                }
            }
        }
        Ok(())
    });
    store.forget_all();
    done?;
    compare.names();
    compare.report.unmatched = selector.unmatched();
    Ok(compare.report)
}

struct Compare<'a> {
    present: &'a HashMap<Vec<u8>, Described>,
    store: &'a Store,
    chunks: Chunks<'a>,
    owners: Directory,
    observer: &'a dyn Observer,
    report: Report,
    /// What is right but for its names: by the first destination, its path and all destinations.
    files: HashMap<Vec<u8>, (Vec<u8>, Vec<Vec<u8>>)>,
}

impl Compare<'_> {
    fn item(
        &mut self,
        item: &Item,
        content: (&[Chunk], &[Chunk]),
        destination: Vec<u8>,
    ) -> Result<(), Error> {
        self.observer.advance(0, 1);
        match self.change(item, content, &destination)? {
            Some(what) => self.changed(&item.path, what),
            // A directory has one name, whatever the kernel counts.
            None if item.kind() == Kind::Directory => self.report.unchanged += 1,
            None => drop(self.files.insert(destination.clone(), (item.path.clone(), vec![destination]))),
        }
        Ok(())
    }

    fn changed(&mut self, path: &[u8], what: Change) {
        self.report.changed.push(Changed { path: path.to_vec(), what });
    }

    /// Another name of what goes to `to`.
    fn link(&mut self, item: &Item, to: &[u8], destination: Vec<u8>) {
        self.observer.advance(0, 1);
        match self.files.get_mut(to) {
            Some((_, names)) => names.push(destination),
            None => self.changed(&item.path, Change::Content),
        }
    }

    /// What is right has just the names that it has in the archive. Where that is not so, all of them are made anew.
    fn names(&mut self) {
        for (path, names) in std::mem::take(&mut self.files).into_values() {
            let inodes = names.iter().map(|name| self.present.get(name).map(|it| (it.inode, it.names)));
            let mut inodes: Vec<_> = inodes.collect();
            inodes.dedup();
            match inodes.as_slice() {
                [Some((_, count))] if *count == names.len() as u64 => self.report.unchanged += *count,
                _ => self.changed(&path, Change::Content),
            }
        }
    }

    fn change(
        &mut self,
        item: &Item,
        (chunks, healthy): (&[Chunk], &[Chunk]),
        destination: &[u8],
    ) -> Result<Option<Change>, Error> {
        let present = self.present;
        let found = present.get(destination);
        let is_left_out = matches!(item.kind(), Kind::CharDevice | Kind::BlockDevice | Kind::Other);
        let Some(found) = found else {
            return Ok((!is_left_out).then_some(Change::New));
        };
        if found.kind != if is_left_out { Kind::Other } else { item.kind() } {
            return Ok(Some(Change::Kind));
        }
        if is_left_out {
            return Ok(None);
        }
        if item.kind() == Kind::Symlink && Some(found.target.as_slice()) != item.symlink_target() {
            return Ok(Some(Change::Content));
        }
        if item.kind() == Kind::File {
            for kind in known_problems(item, chunks, healthy) {
                self.report.add(Problem::new(&item.path, Some(destination), kind));
            }
            if found.size != size_of(chunks) {
                return Ok(Some(Change::Content));
            }
        }
        // What is made anew for these need not be read.
        if compare::differs_from(found, item, &self.owners) {
            return Ok(Some(Change::Attributes));
        }
        if item.kind() == Kind::File && found.digest != self.digest(item, chunks, destination)? {
            return Ok(Some(Change::Content));
        }
        Ok(None)
    }

    /// The digest of what the archive holds; nothing, and told, where some of it is lost.
    fn digest(
        &mut self,
        item: &Item,
        chunks: &[Chunk],
        destination: &[u8],
    ) -> Result<Option<[u8; 32]>, Error> {
        self.store.expect(chunks.iter().map(|chunk| (chunk.id, chunk.stored)));
        let (mut digest, mut start) = (Sha256::new(), 0);
        let mut is_whole = true;
        for chunk in chunks {
            if self.observer.cancelled() {
                return Err(Error::Cancelled);
            }
            let end = start + u64::from(chunk.size);
            match self.chunks.read(&chunk.id, Some(chunk)) {
                Ok(data) => digest.update(data),
                Err(cause) if cause.is_final() => return Err(cause),
                Err(cause) => {
                    let kind = ProblemKind::Content { range: start..end, cause: Arc::new(cause) };
                    self.report.add(Problem::new(&item.path, Some(destination), kind));
                    is_whole = false;
                }
            }
            start = end;
        }
        Ok(is_whole.then(|| digest.finalize().into()))
    }
}
