//! What a backup holds of a tree, written to where it is wanted: extracted here, or sent to another host; again when the
//! connection was lost on the way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reprise_host::{Disk, Tree, Unpack};
use reprise_model::{Message, Observer};

use super::{refused, to_disk};
use crate::{Cx, Error, Extracted, Result, SourceError};

/// The pauses before a tree that is sent elsewhere is sent again, when the connection was lost on the way.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Warnings of another host's tar that are passed on one by one.
const WARNINGS: usize = 20;

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
        let seen = Seen::default();
        let mut pauses = PAUSES.iter();
        let attempt = || match self.attempt(&*disk, &seen, cx)? {
            Some(wrote) => settle(&wrote).map(|()| wrote.warnings),
            None => Ok(Vec::new()),
        };
        let warnings = loop {
            match attempt() {
                // What came of it is not known, so it is begun anew.
                Err(error) if is_lost(&error) && !cx.watch.cancelled() => match pauses.next() {
                    Some(pause) => cx.clock.sleep(*pause),
                    None => return Err(error),
                },
                done => break done?,
            }
        };
        for warning in &warnings {
            cx.watch.warn(&Message::new("warn-extract").text("warning", warning));
        }
        Ok(disk.flush()?)
    }

    fn attempt(&self, disk: &dyn Disk, seen: &Seen, cx: &Cx<'_>) -> Result<Option<Extracted>> {
        cx.host.remove_tree(self.at)?;
        match cx.host.tree(self.at)? {
            Tree::Here(dir) => to_disk::while_written(disk, cx, |observer| {
                Ok(cx.source.extract(self.from, self.some, &dir, observer)?)
            })
            .map(Some),
            Tree::Elsewhere(there) => self.send(there, &seen.again(cx.watch), cx).map(Some),
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
        let more = found.warnings.len().saturating_sub(WARNINGS);
        warnings.extend(found.warnings.into_iter().take(WARNINGS));
        if more > 0 {
            warnings.push(format!("… and {more} more like these"));
        }
        Ok(Extracted { entries, bytes: found.bytes, left_out: sent.left_out, warnings })
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Host(error) if error.is_connection_lost())
}

/// How far the progress has been told, over attempts: what is sent again is not told again.
#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    items: AtomicU64,
}

impl Seen {
    fn again<'a>(&'a self, observer: &'a dyn Observer) -> Again<'a> {
        Again { seen: self, observer, bytes: AtomicU64::new(0), items: AtomicU64::new(0) }
    }
}

/// One attempt.
struct Again<'a> {
    seen: &'a Seen,
    observer: &'a dyn Observer,
    bytes: AtomicU64,
    items: AtomicU64,
}

impl Observer for Again<'_> {
    fn advance(&self, bytes: u64, items: u64) {
        let further = |now: &AtomicU64, most: &AtomicU64, by: u64| {
            let now = now.fetch_add(by, Ordering::Relaxed) + by;
            now.saturating_sub(most.fetch_max(now, Ordering::Relaxed))
        };
        let bytes = further(&self.bytes, &self.seen.bytes, bytes);
        let items = further(&self.items, &self.seen.items, items);
        self.observer.advance(bytes, items);
    }
    fn item(&self, path: &[u8]) {
        self.observer.item(path);
    }
    fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }
}
