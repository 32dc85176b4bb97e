//! Taking things out of an archive: to a directory, or as a tar stream.
//!
//! An [`Extraction`] names what to take and where it goes, as one or more [`Placement`]s. Items flow from the
//! archive through the [`select`] module, which maps paths and settles hard links, to one of two ends.
//!
//! Restoring to a directory goes in this order, so that nothing is exposed before its time and later steps do not undo earlier ones:
//! directories (private at first), files and their attributes in parallel, then hard links, directory attributes
//! from the deepest up, and file flags such as immutability last of all.

mod acl;
mod attributes;
mod changed;
mod check;
mod directory;
mod dispatch;
mod file;
mod owners;
mod path;
mod pool;
mod report;
mod root;
mod run;
mod select;
mod stream;
mod tar;
mod window;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use acl::fuzz as fuzz_acl;
pub use changed::Described;
pub(crate) use changed::{to_described, to_directory as update_directory};
pub(crate) use check::to_nowhere;
pub(crate) use directory::to_directory;
pub(crate) use path::{normalize, split};
pub use report::{Attribute, Change, Changed, Problem, ProblemKind, Report};
pub(crate) use select::known_problems;
pub(crate) use tar::to_tar;

use crate::pattern::Selection;
use select::size_of;

/// What to extract, where to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// What goes where. An item that several of them select is extracted several times.
    pub placements: Vec<Placement>,
    /// How.
    pub options: Options,
}

impl Extraction {
    /// Everything, with its paths as they are.
    pub fn everything() -> Self {
        Self::of([Placement::default()])
    }

    /// These placements, with default options.
    pub fn of(placements: impl IntoIterator<Item = Placement>) -> Self {
        Self { placements: placements.into_iter().collect(), options: Options::default() }
    }

    /// The same with other options.
    #[must_use]
    pub fn with(mut self, options: Options) -> Self {
        self.options = options;
        self
    }
}

/// A subtree of an archive and where it goes.
///
/// The item at the top of the subtree becomes the destination itself, with its own mode, owner, times and attributes:
/// `var/lib/docker/volumes/x/_data` placed at `stage/x.new` makes a directory `stage/x.new` that is what `_data` was.
/// It may as well be a single file. Hard links are kept within a placement; what is linked across placements
/// becomes a copy in each, as they may be on different file systems.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Path in the archive, without slashes at either end; empty for all of it.
    pub subtree: Vec<u8>,
    /// Path relative to the root of the extraction, likewise. Missing directories on the way are made; none of those
    /// that exist may be a symbolic link.
    pub destination: Vec<u8>,
    /// Which items of the subtree are meant, by their whole paths in the archive.
    pub selection: Selection,
    /// So many names are taken off the beginning of paths, counted from the subtree; what has no more of them than that
    /// is left out.
    pub strip_components: usize,
}

impl Placement {
    /// `subtree` goes to `destination`.
    pub fn new(subtree: impl Into<Vec<u8>>, destination: impl Into<Vec<u8>>) -> Self {
        Self { subtree: subtree.into(), destination: destination.into(), ..Self::default() }
    }

    /// What `selection` means goes to where its paths say, below the root.
    pub fn of(selection: Selection) -> Self {
        Self { selection, ..Self::default() }
    }

    /// Whether nothing of an archive is left out.
    pub fn is_everything(&self) -> bool {
        self.subtree.is_empty() && self.selection.is_everything() && self.strip_components == 0
    }

    /// The same without so many names at the beginning of paths.
    #[must_use]
    pub fn strip_components(mut self, count: usize) -> Self {
        self.strip_components = count;
        self
    }
}

/// How to extract.
#[expect(clippy::struct_excessive_bools, reason = "choices that do not depend on each other")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Threads that read, verify and write; 0 for one per processor.
    pub threads: usize,
    /// Whom restored files belong to.
    pub owners: Owners,
    /// Make holes where content is zeros. Saves space, whether or not there were holes before: archives do not tell.
    pub sparse: bool,
    /// Create device nodes, which needs root. Otherwise each is a problem: a backup of somebody else's making must not
    /// hand out access to disks.
    pub devices: bool,
    /// Leave alone what is right already. Nothing is believed by its name or time: files are read and their content compared.
    /// One that differs is made anew beside the old one and takes its place in one step. Nothing is removed that the archive
    /// does not have.
    pub only_changed: bool,
    /// Keep files with lost content, with zeros in its place. They are reported either way.
    pub keep_damaged: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 0,
            owners: Owners::Numeric,
            sparse: false,
            devices: false,
            only_changed: false,
            keep_damaged: false,
        }
    }
}

/// How users and groups are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owners {
    /// By number. Right for containers and whole systems: the users of a container are not those of its host,
    /// and the same name has other numbers there.
    #[default]
    Numeric,
    /// By name where this machine knows the name, otherwise by number, as Borg does unless told otherwise.
    ByName,
}
