//! An archive: one backup, with its description and its items.

mod directories;
pub(crate) mod info;
mod items;
mod lost;
mod pieces;
mod read;
mod resync;
mod sizes;
mod stream;

pub use directories::DirectorySize;
pub use info::{ArchiveInfo, ArchiveStats, Tam};
pub(crate) use items::Found;
pub use items::Items;
pub use lost::LostItems;
pub(crate) use stream::Spot;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use reprise_model::Observer;

use crate::catalogue::Catalogue;
use crate::extract::{self, Described, Extraction, Report};
use crate::item::Item;
use crate::repository::Repository;
use crate::{Error, Id};

/// An archive of an open repository.
#[derive(Debug)]
pub struct Archive<'r> {
    pub(crate) repository: &'r Repository,
    info: ArchiveInfo,
    /// The chunks that make up the stream of items, in order.
    pub(crate) stream: Vec<Id>,
}

impl<'r> Archive<'r> {
    pub(crate) fn open(repository: &'r Repository, name: &str, id: Id) -> Result<Self, Error> {
        let mut reader = repository.chunks();
        let packed = reader.read(&id, None)?;
        let ignore_invalid_tam = repository.ignores_invalid_archive_tam();
        let (info, stream) = info::parse(repository.key(), ignore_invalid_tam, (name, id), packed)?;
        Ok(Self { repository, info, stream })
    }

    /// What is recorded about it as a whole.
    pub fn info(&self) -> &ArchiveInfo {
        &self.info
    }

    /// All items in the order they were backed up, parts of files that checkpoints split off left out.
    /// [`Error::ItemsLost`] stands for items whose metadata is lost, and those after it follow; any other error is the last.
    pub fn items(&self) -> Items<'r> {
        Items::new(self.repository, self.info.name.clone(), self.stream.clone())
    }

    /// Calls `visit` with the same items, whose metadata several threads decode ahead of it: for going through many of them.
    pub fn scan<R>(&self, visit: impl FnOnce(&mut Items<'_>) -> R) -> R {
        Items::ahead(self.repository, self.info.name.clone(), self.stream.clone(), visit)
    }

    /// Calls `each` with the same items, and where they are, without allocating for any of them.
    pub(crate) fn each_view(&self, each: impl FnMut(Found<'_>) -> Result<(), Error>) -> Result<(), Error> {
        items::each_view(self.repository, self.info.name.clone(), self.stream.clone(), each)
    }

    /// The items as a table: from below the directory `cache` if a sound one was kept there, else made from the items, and
    /// kept there.
    ///
    /// Not being able to keep it is no error. A cache directory that belongs to somebody else, or that others can write to,
    /// is not used. Where metadata is damaged, the catalogue has what is left and tells of the rest
    /// ([`Catalogue::lost`]). The observer hears of items.
    pub fn catalogue(&self, cache: Option<&Path>, observer: &dyn Observer) -> Result<Catalogue, Error> {
        let catalogue = Catalogue::of(self, cache, observer)?;
        if let Some(cache) = cache {
            self.keep(&catalogue, cache);
        }
        Ok(catalogue)
    }

    /// The same, but what is made is not kept yet: [`Archive::keep`] does that, which takes a while, while the catalogue is
    /// in use already.
    pub fn catalogue_at_hand(
        &self,
        cache: Option<&Path>,
        observer: &dyn Observer,
    ) -> Result<Catalogue, Error> {
        Catalogue::of(self, cache, observer)
    }

    /// Keeps its catalogue below the directory `cache`, unless it came from there.
    pub fn keep(&self, catalogue: &Catalogue, cache: &Path) {
        catalogue.keep(self, cache);
    }

    /// The item at `path`. A further name of a hard-linked file comes with the content of the first, so that it can be
    /// read. Goes through the archive from its start.
    pub fn find(&self, path: &[u8]) -> Result<Item, Error> {
        read::find(self, path)
    }

    /// Bytes `range` of a file's content, less if it ends before. Only the chunks in it are read.
    pub fn read(&self, item: &Item, range: std::ops::Range<u64>) -> Result<Vec<u8>, Error> {
        read::range(self, item, range)
    }

    /// Writes bytes `range` of a file's content, as [`Archive::read`] returns them, to `writer` chunk by chunk: what was
    /// written is sound even if an error ends it early.
    ///
    /// # Errors
    /// Those of reading; [`Error::Stream`] if the writer fails; [`Error::Cancelled`].
    pub fn copy(
        &self,
        item: &Item,
        range: std::ops::Range<u64>,
        mut writer: impl Write,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        read::each(self, item, range, &mut |piece| {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            writer.write_all(piece).map_err(Error::Stream)?;
            observer.advance(piece.len() as u64, 0);
            Ok(())
        })?;
        writer.flush().map_err(Error::Stream)
    }

    /// The whole content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is larger; nothing is read then.
    pub fn read_all(&self, item: &Item, limit: u64) -> Result<Vec<u8>, Error> {
        let size = item.content_size();
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        let content = read::range(self, item, 0..u64::MAX)?;
        let size = content.len() as u64;
        if size > limit { Err(Error::TooLarge { size, limit }) } else { Ok(content) }
    }

    /// Extracts into the directory `root`, which must exist, and never anywhere else.
    ///
    /// What can not be restored as it was (a damaged chunk, a name that leads out of the root, an attribute the file
    /// system refuses) is told in the report, and the rest is extracted. What makes going on pointless is an error:
    /// no space left, cancelled, the repository not readable. What was extracted until then stays.
    pub fn extract(
        &self,
        extraction: &Extraction,
        root: &Path,
        observer: &dyn Observer,
    ) -> Result<Report, Error> {
        if extraction.options.only_changed {
            extract::update_directory(self, extraction, root, false, observer)
        } else {
            extract::to_directory(self, extraction, root, observer)
        }
    }

    /// Tells what extracting only what has changed ([`Options::only_changed`]) into `root` would change, and changes nothing.
    /// Content is compared, but nothing is read in the repository beside the items; the report's bytes are those that would be.
    ///
    /// [`Options::only_changed`]: crate::Options::only_changed
    pub fn compare(
        &self,
        extraction: &Extraction,
        root: &Path,
        observer: &dyn Observer,
    ) -> Result<Report, Error> {
        extract::update_directory(self, extraction, root, true, observer)
    }

    /// The same for a directory that cannot be read from here: `present` describes what is in it, by where it would be
    /// extracted to. Content is compared by digest, for which that of files is read whose size and attributes are right; what is lost
    /// of those is told as a problem. Flags and times of access are not compared.
    pub fn compare_with(
        &self,
        extraction: &Extraction,
        present: &HashMap<Vec<u8>, Described>,
        observer: &dyn Observer,
    ) -> Result<Report, Error> {
        extract::to_described(self, extraction, present, observer)
    }

    /// Reads all that an extraction would take, verifies it and puts it nowhere. The report tells what extracting would
    /// find lost, every damaged piece of every file included.
    pub fn check(&self, extraction: &Extraction, observer: &dyn Observer) -> Result<Report, Error> {
        extract::to_nowhere(self, extraction, observer)
    }

    /// Writes the same placements as a tar stream (pax), for extraction elsewhere.
    ///
    /// A file found damaged is left out and reported, as long as nothing of it has been written yet. Where damage is found
    /// farther than 64 MiB into a file, what is lost of it is zeros in the stream, which cannot be taken back; that is reported
    /// as well, with its range.
    pub fn export_tar(
        &self,
        extraction: &Extraction,
        writer: impl Write,
        observer: &dyn Observer,
    ) -> Result<Report, Error> {
        extract::to_tar(self, extraction, writer, observer)
    }

    /// What its directories hold down to `depth` names, sorted by path; the first one is the whole archive. Reads the metadata
    /// of every archive of the repository once.
    pub fn directories(&self, depth: usize, observer: &dyn Observer) -> Result<Vec<DirectorySize>, Error> {
        directories::sizes(self, depth, observer)
    }

    /// Bytes this archive takes in the repository that no other archive uses: what deleting it would free. Reads
    /// the metadata of every archive of the repository, which takes a while in large ones.
    pub fn deduplicated_size(&self, observer: &dyn Observer) -> Result<u64, Error> {
        sizes::deduplicated(self, observer)
    }
}
