//! What a run that was killed has left behind: files that were to take the place of others.
//!
//! Whoever makes such a file holds a lock on it for as long as it is not complete, which goes with the process. So one that nobody
//! holds is nobody's.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, unlinkat};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::super::root::is_name_beside;

/// When a run began: what is younger is not a leftover of another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since(Timespec);

impl Since {
    pub fn now() -> Self {
        Self(clock_gettime(ClockId::RealtimeCoarse))
    }
}

/// Removes what runs that ended before have left in a directory. What cannot be removed does no harm.
pub(super) fn remove(dir: &OwnedFd, since: Since) {
    let Ok(entries) = Dir::read_from(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_name_beside(name.to_bytes()) && is_abandoned(dir, name, since) {
            let _ = unlinkat(dir, name, AtFlags::empty());
        }
    }
}

fn is_abandoned(dir: &OwnedFd, name: &std::ffi::CStr, since: Since) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(dir, name, flags, Mode::empty()) else { return false };
    let is_older = |stat: &rustix::fs::Stat| {
        (stat.st_ctime, stat.st_ctime_nsec as i64) < (since.0.tv_sec, since.0.tv_nsec)
    };
    let is_older_file = fstat(&file)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && is_older(&stat));
    is_older_file && flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok()
}
