//! How somebody reads a file, and what follows from that: what will be wanted next, and what no more.

use std::ops::Range;

/// The kernel asks from several threads and well ahead, so requests come out of order by this many bytes.
const SLACK: u64 = 4 << 20;
/// Bytes made ready ahead of who reads on: enough for several threads, little beside what is kept.
const AHEAD: u64 = 32 << 20;
/// Who has read so many bytes in order will hardly come back to them.
const STEADY: u64 = 8 << 20;

/// The way through a file.
#[derive(Debug, Default)]
pub struct Track {
    /// Where the last read ended, or the farthest of those that go on from each other.
    next: u64,
    /// Bytes read in order.
    run: u64,
    /// Up to where what follows was asked for.
    ready: u64,
    /// Up to where what was read has been left behind.
    left: u64,
}

/// What follows from a read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What is worth having ready. Does not overlap what earlier steps told.
    pub ahead: Range<u64>,
    /// What was read and left behind, likewise.
    pub left: Range<u64>,
    /// Whether it does not go on from what was read before.
    pub is_stray: bool,
}

impl Track {
    /// Bytes that were read in order.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Takes note of a read.
    pub fn read(&mut self, range: &Range<u64>) -> Step {
        let length = range.end.saturating_sub(range.start);
        let near = |from: u64, to: u64| from <= to.saturating_add(SLACK);
        if !near(range.start, self.next) || !near(self.next, range.end) {
            *self = Self { next: range.end, run: length, ready: range.end, left: range.start };
            return Step { is_stray: true, ..Step::default() };
        }
        self.run = self.run.saturating_add(length);
        self.next = self.next.max(range.end);
        // The longer somebody reads on, the farther: a look at the beginning costs no more than that. Several chunks at a
        // time: half of what is ready is used up before more is asked for.
        let (window, from) = (self.run.min(AHEAD), self.ready.max(self.next));
        let to =
            if from - self.next <= window / 2 { self.next.saturating_add(window).max(from) } else { from };
        self.ready = to;
        let gone = if self.run < STEADY { 0 } else { range.start.saturating_sub(SLACK) };
        let left = self.left..gone.max(self.left);
        self.left = left.end;
        Step { ahead: from..to, left, is_stray: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn who_reads_on_has_ever_more_made_ready_and_leaves_behind_what_is_read() {
        let mut track = Track::default();
        assert_eq!(track.read(&(0..MIB)).ahead, MIB..2 * MIB);
        let (mut ready, mut left) = (2 * MIB, 0);
        for mib in 1..100 {
            let step = track.read(&(mib * MIB..(mib + 1) * MIB));
            assert!(!step.is_stray);
            assert_eq!((step.ahead.start, step.left.start), (ready, left), "nothing is told twice");
            (ready, left) = (step.ahead.end, step.left.end);
        }
        assert_eq!(left, 99 * MIB - SLACK);
        assert!((100 * MIB + AHEAD / 2..=100 * MIB + AHEAD).contains(&ready), "{ready}");
    }

    #[test]
    fn requests_a_little_out_of_order_go_on() {
        let mut track = Track::default();
        for mib in [1, 0, 3, 2, 5, 4, 7, 6] {
            assert!(!track.read(&(mib * MIB..(mib + 1) * MIB)).is_stray, "{mib}");
        }
        assert_eq!(track.next, 8 * MIB);
    }

    #[test]
    fn a_look_at_the_beginning_costs_nothing_beyond() {
        let step = Track::default().read(&(0..8192));
        assert_eq!(step, Step { ahead: 8192..16384, left: 0..0, is_stray: false });
    }

    #[test]
    fn who_jumps_about_strays() {
        let mut track = Track::default();
        for at in [500 * MIB, 20 * MIB, 900 * MIB, u64::MAX - 10] {
            let step = track.read(&(at..at + 10));
            assert_eq!(step, Step { is_stray: true, ..Step::default() });
        }
        let step = track.read(&(u64::MAX - 10..u64::MAX));
        assert!(!step.is_stray && step.ahead.is_empty());
    }
}
