//! Which names are to move.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use reprise_host::{FileKind, Move};

use super::{Directory, Mirror, Op, Record, Way, joined};
use crate::effects::arrive::Arriving;
use crate::effects::refused;
use crate::{Cx, Error, Result};

/// Where something goes, comes, or both: whether something is there, and whether something comes.
type Places = BTreeMap<PathBuf, (bool, bool)>;
/// Directories that stay, and whether they are to have what those in the backup have.
type Directories = BTreeSet<(PathBuf, bool)>;

/// How a tree differs from the backup.
struct Different {
    /// Where something goes or comes.
    places: Places,
    /// Directories that stay and differ.
    directories: Directories,
    /// All that is to be made anew.
    wanted: BTreeSet<PathBuf>,
    /// Whether the backup holds something that is apart.
    apart: bool,
}

/// Whether something above `path` moves as a whole.
fn covered(path: &Path, places: &Places) -> bool {
    path.ancestors().skip(1).any(|above| places.contains_key(above))
}

impl Mirror {
    /// Looks what is to move.
    pub(super) fn find_out(&self, cx: &Cx<'_>) -> Result<Record> {
        let mut record = Record::default();
        let (places, mut directories) = match self.way {
            Way::Exchange | Way::Fill => self.all_names(cx)?,
            Way::Exact | Way::Merge => {
                let (places, directories, apart) = self.differing_names(cx)?;
                record.apart = apart;
                (places, directories)
            }
        };
        // A name that comes or goes changes the time of its directory.
        directories
            .extend(places.keys().filter_map(|path| path.parent()).map(|path| (path.to_owned(), false)));
        directories.insert((PathBuf::new(), true));
        for (path, (old, new)) in places {
            let old = old.then_some(record.ops.len());
            record.ops.push(Op { path, old, new });
        }
        let mut all: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for (path, differs) in directories {
            *all.entry(path).or_default() |= differs;
        }
        for (path, differs) in all {
            let before = cx.host.attributes(&joined(&self.target, &path))?;
            let after =
                if differs { cx.host.attributes(&joined(&self.staged(), &path))? } else { before.clone() };
            record.directories.push(Directory { path, before, after, differs });
        }
        Ok(record)
    }

    /// Names at the top: all that are there go, all staged ones come.
    fn all_names(&self, cx: &Cx<'_>) -> Result<(Places, Directories)> {
        let names = |root: &Path| -> Result<BTreeSet<PathBuf>> {
            let names = cx.host.list(root)?.into_iter().map(PathBuf::from);
            Ok(names.filter(|name| !self.is_apart(name)).collect())
        };
        let (present, staged) = (names(&self.target)?, names(&self.staged())?);
        let all = present.union(&staged);
        let places =
            all.map(|name| (name.clone(), (present.contains(name), staged.contains(name)))).collect();
        Ok((places, Directories::new()))
    }

    /// What differs; it is extracted as `new`.
    fn differing_names(&self, cx: &Cx<'_>) -> Result<(Places, Directories, bool)> {
        let Different { places, directories, mut wanted, apart } = self.differing(cx)?;
        wanted.extend(directories.iter().map(|(path, _)| path.clone()));
        wanted.insert(PathBuf::new());
        let arriving = Arriving { from: &self.from, some: Some(&wanted), at: &self.staged() };
        arriving.write(|_| Ok(()), cx)?;
        Ok((places, directories, apart))
    }

    /// Fails where a merge would have to remove something: a directory for something else, or something else for one.
    pub(super) fn expect_nothing_removed(&self, record: &Record, cx: &Cx<'_>) -> Result<()> {
        if self.way != Way::Merge {
            return Ok(());
        }
        // All at once: over SSH each question takes its time.
        let directories = |root: &Path, except: &[PathBuf]| -> Result<BTreeSet<PathBuf>> {
            let found = cx.host.walk(root, except)?.into_iter();
            Ok(found.filter(|it| it.kind == FileKind::Directory).map(|it| it.path).collect())
        };
        let are_there = directories(&self.target, &self.except(cx)?)?;
        let come = directories(&self.staged(), &[])?;
        for op in record.ops.iter().filter(|op| op.new && op.old.is_some()) {
            let placed = self.target.join(&op.path);
            let (there, comes) = (are_there.contains(&op.path), come.contains(&op.path));
            if there != comes {
                let why = if there {
                    "is a directory, and is none in the archive"
                } else {
                    "is no directory, and is one in the archive"
                };
                return Err(refused(
                    &placed,
                    format!("{why}: --merge removes nothing"),
                    "move it away and try again, or restore without --merge",
                ));
            }
        }
        Ok(())
    }

    /// Removes what differs and is there, before anything is written.
    pub(super) fn make_room(&self, cx: &Cx<'_>) -> Result<()> {
        let gone = self
            .differing(cx)?
            .places
            .into_iter()
            .filter(|(_, (is_there, _))| *is_there)
            .map(|(path, _)| path);
        let moves: Vec<Move> = gone
            .enumerate()
            .map(|(number, path)| Move {
                stored: self.kept(number),
                placed: self.target.join(path),
                out: true,
                only_if: None,
            })
            .collect();
        cx.host.remove_tree(&self.old())?;
        cx.host.make_dir(&self.old(), 0o700)?;
        cx.host.carry(&self.target, &self.store, &moves)?;
        cx.host.remove_tree(&self.old())?;
        Ok(cx.host.make_dir(&self.old(), 0o700)?)
    }

    fn differing(&self, cx: &Cx<'_>) -> Result<Different> {
        let present = cx.host.present(&self.target, &self.except(cx)?, &|| cx.watch.cancelled())?;
        let present = present.ok_or(Error::Cancelled)?;
        let mut differing = cx.source.differences(&self.from, &self.target, &present, cx.watch)?;
        let apart = differing.anew.iter().any(|path| self.is_apart(path));
        // What is apart and in the backup all the same comes from one that was made while an operation kept something.
        for paths in [&mut differing.anew, &mut differing.extra, &mut differing.directories] {
            paths.retain(|path| !self.is_apart(path));
        }
        let wanted: BTreeSet<PathBuf> = differing.anew.iter().cloned().collect();
        let present: BTreeSet<&Path> =
            present.found().into_iter().map(|found| found.path.as_path()).collect();
        let mut places = Places::new();
        for path in differing.anew {
            if !covered(&path, &places) {
                let is_there = present.contains(path.as_path());
                places.insert(path, (is_there, true));
            }
        }
        if self.way == Way::Exact {
            for path in differing.extra {
                if !covered(&path, &places) {
                    places.insert(path, (true, false));
                }
            }
        }
        let directories = differing.directories.into_iter().map(|path| (path, true)).collect();
        Ok(Different { places, directories, wanted, apart })
    }
}
