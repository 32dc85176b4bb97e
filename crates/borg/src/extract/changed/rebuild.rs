//! A file made anew, from what is right of the old one and from the repository.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, Stat, copy_file_range, fstat, ioctl_ficlone, renameat, unlinkat};
use rustix::io::Errno;

use super::super::attributes::Handle;
use super::super::root::create_beside;
use super::Update;
use super::candidate::{Candidate, Old, Piece};

/// Copied at a time where the file system cannot do it by itself.
const BUFFER: usize = 1 << 20;

/// Makes the file beside its destination and puts it there. Until then, and if it cannot be made, the old one stays.
pub(super) fn rebuild(candidate: &Candidate, update: &Update<'_>) -> io::Result<()> {
    let root = &update.shared.root;
    let (dir, name) = root.parent(&candidate.destination)?;
    let (beside, file) = create_beside(&dir)?;
    let made = fill(candidate, update, &file).and_then(|is_whole| {
        if is_whole {
            let handle = Handle::Open(file.as_fd());
            update.shared.set_attributes(&handle, &candidate.item, &candidate.destination);
            if update.shared.stopped() {
                return Ok(false);
            }
            // The name must not get there before the content: a power cut in between would cost both files.
            file.sync_data()?;
            renameat(&dir, &beside, &dir, name)?;
        }
        Ok(is_whole)
    });
    if !matches!(made, Ok(true)) {
        let _ = unlinkat(&dir, &beside, AtFlags::empty());
    }
    if made? {
        update.shared.finished(&candidate.item, &candidate.destination, &file);
    } else {
        update.shared.not_made(&candidate.destination);
    }
    Ok(())
}

/// Writes the content; false if some of it is lost, which was told, and such files are not wanted.
fn fill(candidate: &Candidate, update: &Update<'_>, file: &File) -> io::Result<bool> {
    let is_there = |piece: &&Piece| piece.is_there.load(Ordering::Acquire);
    let mut is_right = candidate.pieces.iter().any(|piece| is_there(&piece));
    if let Some(old) = candidate.old(update).filter(|_| is_right) {
        // Shares all of it at no cost where the file system can; what differs is then written over.
        if ioctl_ficlone(file, &old.file).is_err() {
            copy_ranges(candidate, old, file)?;
        }
        // What was compared may not be what was copied.
        is_right = is_as_it_was(&old.stat, &fstat(&old.file)?);
    }
    let mut is_whole = true;
    for piece in candidate.pieces.iter().filter(|piece| !(is_right && is_there(piece))) {
        if update.shared.stopped() {
            return Ok(false);
        }
        match update.shared.run.repository.read_chunk(&piece.chunk) {
            Ok(content) => {
                let zeros = update.shared.options.sparse && content.iter().all(|byte| *byte == 0);
                if zeros {
                    clear(file, piece.offset, content.len() as u64)?;
                } else {
                    file.write_all_at(&content, piece.offset)?;
                }
                update.shared.run.took(content.len() as u64);
            }
            Err(error) if error.is_final() => {
                update.shared.abort(error);
                return Ok(false);
            }
            Err(error) => {
                candidate.lost(update, piece, error);
                clear(file, piece.offset, u64::from(piece.chunk.size))?;
                is_whole = false;
            }
        }
    }
    file.set_len(candidate.size)?;
    Ok(is_whole || update.shared.options.keep_damaged)
}

/// Whether nobody wrote to a file since.
fn is_as_it_was(before: &Stat, now: &Stat) -> bool {
    let what =
        |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec);
    what(before) == what(now)
}

/// Copies what is right of the old file, as few ranges as possible.
fn copy_ranges(candidate: &Candidate, old: &Old, file: &File) -> io::Result<()> {
    let mut pieces = candidate.pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        if !piece.is_there.load(Ordering::Acquire) {
            continue;
        }
        let mut end = piece.offset + u64::from(piece.chunk.size);
        while let Some(next) = pieces.next_if(|next| next.is_there.load(Ordering::Acquire)) {
            end = next.offset + u64::from(next.chunk.size);
        }
        copy_range(&old.file, file, piece.offset, end)?;
    }
    Ok(())
}

fn copy_range(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let (mut source, mut target) = (at, at);
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        match copy_file_range(from, Some(&mut source), to, Some(&mut target), left) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => at += copied as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                let mut buffer = vec![0; BUFFER.min(left)];
                from.read_exact_at(&mut buffer, at)?;
                to.write_all_at(&buffer, at)?;
                at += buffer.len() as u64;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes a range read as zeros, whatever was copied there.
fn clear(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    if length == 0 || fstat(file)?.st_size as u64 <= offset {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, length) {
        Err(Errno::OPNOTSUPP) => file.write_all_at(&vec![0; length as usize], offset),
        done => Ok(done?),
    }
}
