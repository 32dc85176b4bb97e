//! What a backup holds of a tree, written to where it is wanted: extracted here, or sent to another host; again when the
//! connection was lost on the way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reprise_host::{Disk, Tree, Unpack};
use reprise_model::{Message, Observer};

use super::{again, first_of, refused, to_disk};
use crate::{Cx, Extracted, Result, SourceError};

/// A tree on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arriving<'a> {
    /// The tree in the backup.
    pub from: &'a str,
    /// What of it is wanted, by paths below it; all of it without.
    pub some: Option<&'a BTreeSet<PathBuf>>,
    /// Where it goes. Whatever is there is removed.
    pub at: &'a Path,
}

impl Arriving<'_> {
    /// Writes it, has `settle` done with it, and sends all of it to the disk. Of a pretended one there is nothing to settle. Warnings are
    /// told to whoever watches.
    pub fn write(&self, settle: impl Fn(&Extracted) -> Result<()>, cx: &Cx<'_>) -> Result<()> {
        let disk = cx.host.disk_of(self.at)?;
        // What came of it is not known when the connection is lost, so it is begun anew.
        let warnings = again::while_lost(cx, |observer| match self.attempt(&*disk, observer, cx)? {
            Some(wrote) => settle(&wrote).map(|()| wrote.warnings),
            None => Ok(Vec::new()),
        })?;
        for warning in &warnings {
            cx.watch.warn(&Message::new("warn-extract").text("warning", warning));
        }
        Ok(disk.flush()?)
    }

    fn attempt(&self, disk: &dyn Disk, observer: &dyn Observer, cx: &Cx<'_>) -> Result<Option<Extracted>> {
        cx.host.remove_tree(self.at)?;
        match cx.host.tree(self.at)? {
            Tree::Here(dir) => to_disk::while_written(disk, cx, |observer| {
                Ok(cx.source.extract(self.from, self.some, &dir, observer)?)
            })
            .map(Some),
            Tree::Elsewhere(there) => self.send(there, observer, cx).map(Some),
            Tree::Pretended => Ok(None),
        }
    }

    /// Sends it to where it is unpacked, and tells what arrived.
    fn send(
        &self,
        mut there: Box<dyn Unpack + '_>,
        observer: &dyn Observer,
        cx: &Cx<'_>,
    ) -> Result<Extracted> {
        let name = self.at.file_name().unwrap_or_default();
        let sent = match cx.source.stream(self.from, self.some, name, &mut there, observer) {
            Ok(sent) => sent,
            // The other end was closed; it knows why.
            Err(error @ SourceError::Unwritable { .. }) => {
                there.finish()?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let found = there.finish()?;
        let entries = found.entries + sent.left_out;
        // Directories that lead to what is wanted may come without having been sent.
        if found.bytes != sent.bytes || entries < sent.entries {
            let why = format!(
                "{} entries and {} bytes were sent, but {entries} and {} arrived",
                sent.entries, sent.bytes, found.bytes
            );
            return Err(refused(self.at, why, "does something else write there?"));
        }
        let mut warnings = sent.warnings;
        warnings.extend(first_of(found.warnings));
        Ok(Extracted { entries, bytes: found.bytes, left_out: sent.left_out, warnings })
    }
}
