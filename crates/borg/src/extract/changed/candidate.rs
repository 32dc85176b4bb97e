//! A file that is there already, while it is found out how much of it is right.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};

use super::super::attributes::Handle;
use super::super::{Change, ProblemKind, size_of};
use super::Update;
use super::together::Together;
use crate::item::{Chunk, Item};

/// A file at its destination, and what is to be there.
pub(super) struct Candidate {
    pub item: Item,
    pub destination: Vec<u8>,
    pub pieces: Vec<Piece>,
    pub size: u64,
    /// Pieces in a part.
    ranges: Vec<Range<usize>>,
    old: OnceLock<Option<Old>>,
    /// Parts that nobody is done with, and pieces that are being compared.
    left: AtomicUsize,
}

/// A piece of the content.
pub(super) struct Piece {
    pub chunk: Chunk,
    pub offset: u64,
    /// Whether the old file has it where it belongs.
    pub is_there: AtomicBool,
}

/// The file that is there.
pub(super) struct Old {
    pub file: File,
    pub stat: Stat,
}

impl Candidate {
    pub fn new(item: Item, destination: Vec<u8>, chunks: &[Chunk], part: u64) -> Self {
        let mut offset = 0;
        let piece = |chunk: &Chunk| {
            let piece = Piece { chunk: *chunk, offset, is_there: AtomicBool::new(false) };
            offset += u64::from(chunk.size);
            piece
        };
        let pieces: Vec<Piece> = chunks.iter().map(piece).collect();
        let mut ranges = Vec::new();
        let mut start = 0;
        for (index, piece) in pieces.iter().enumerate() {
            if piece.offset + u64::from(piece.chunk.size) - pieces[start].offset >= part {
                ranges.push(start..index + 1);
                start = index + 1;
            }
        }
        if start < pieces.len() || ranges.is_empty() {
            ranges.push(start..pieces.len());
        }
        let left = AtomicUsize::new(ranges.len());
        Self { item, destination, pieces, size: size_of(chunks), ranges, old: OnceLock::new(), left }
    }

    /// Its parts, to be compared by as many threads.
    pub fn parts(file: &Arc<Self>) -> impl Iterator<Item = Part> + use<> {
        let file = Arc::clone(file);
        (0..file.ranges.len()).map(move |number| Part { file: Arc::clone(&file), number })
    }

    /// The old file, opened by whoever needs it first; `None` if there is none that can be read.
    pub fn old(&self, update: &Update<'_>) -> Option<&Old> {
        let open = || {
            let (found, stat) = update.look(&self.destination)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return None;
            }
            // What was looked at, whatever has its name by now; its time of access stays, if that is allowed.
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let opened =
                rustix::fs::open(Handle::by_path(found.as_fd()), flags | OFlags::NOATIME, Mode::empty())
                    .or_else(|_| rustix::fs::open(Handle::by_path(found.as_fd()), flags, Mode::empty()));
            let file = File::from(opened.ok()?);
            Some(Old { stat: fstat(&file).ok()?, file })
        };
        self.old.get_or_init(open).as_ref()
    }

    /// The same, where somebody has needed it.
    pub fn opened(&self) -> Option<&Old> {
        self.old.get()?.as_ref()
    }

    /// One of its pieces is being compared.
    pub fn one_more(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
    }

    /// A piece of it was compared, or a part is done with; the last one settles it.
    pub fn compared(self: &Arc<Self>, update: &Update<'_>) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.settle(update);
        }
    }

    /// Does what is to be done once all of it was compared.
    fn settle(self: &Arc<Self>, update: &Update<'_>) {
        let is_right = |old: &Old| {
            old.stat.st_size as u64 == self.size
                && self.pieces.iter().all(|piece| piece.is_there.load(Ordering::Acquire))
        };
        match self.old(update).filter(|old| is_right(old)) {
            Some(_) if self.item.hardlink_master || self.item.source.is_some() => {
                update.linked.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(self));
            }
            Some(old) if old.stat.st_nlink == 1 => self.settle_attributes(update, old),
            // A name elsewhere must not notice.
            _ => self.rebuild(update),
        }
    }

    /// The same for a file with several names, `count` of which are names of this file now.
    pub fn settle_linked(&self, update: &Update<'_>, count: u64) {
        match self.old(update).filter(|old| old.stat.st_nlink == count) {
            Some(old) => self.settle_attributes(update, old),
            None => self.rebuild(update),
        }
    }

    fn settle_attributes(&self, update: &Update<'_>, old: &Old) {
        update.attributes(&Handle::Open(old.file.as_fd()), &old.stat, &self.item, &self.destination);
    }

    fn rebuild(&self, update: &Update<'_>) {
        if update.dry {
            let missing = self.pieces.iter().filter(|piece| !piece.is_there.load(Ordering::Acquire));
            let bytes = missing.map(|piece| u64::from(piece.chunk.size)).sum();
            // Nor are its further names what they are to be.
            update.shared.not_made(&self.destination);
            update.would_change(&self.item.path, Change::Content, bytes);
        } else if let Err(error) = super::rebuild::rebuild(self, update) {
            update.shared.creation_failed(&self.item.path, &self.destination, error);
        }
    }

    /// Tells of a piece that the repository has not.
    pub fn lost(&self, update: &Update<'_>, piece: &Piece, cause: crate::Error) {
        let range = piece.offset..piece.offset + u64::from(piece.chunk.size);
        let kind = ProblemKind::Content { range, cause: Arc::new(cause) };
        update.shared.problem(&self.item.path, Some(&self.destination), kind);
    }
}

/// A part of a file, compared by one thread.
pub(super) struct Part {
    file: Arc<Candidate>,
    number: usize,
}

impl Part {
    /// How many bytes there are to compare.
    pub fn bytes(&self) -> u64 {
        let pieces = &self.file.pieces[self.file.ranges[self.number].clone()];
        pieces.iter().map(|piece| u64::from(piece.chunk.size)).sum()
    }

    /// Has it compared with whatever else is `together`.
    pub fn compare(&self, together: &mut Together<'_, '_>) {
        let update = together.update;
        for index in self.file.ranges[self.number].clone() {
            if update.shared.stopped() {
                return;
            }
            let piece = &self.file.pieces[index];
            let Some(old) = self.file.old(update) else { break };
            if piece.offset + u64::from(piece.chunk.size) > old.stat.st_size as u64 {
                break;
            }
            together.read(&self.file, index);
        }
        self.file.compared(update);
    }
}
