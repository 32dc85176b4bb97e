//! The digest of content whose pieces come in any order.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Digests each piece when those before it have come; those that come earlier are kept until then. How many that are, the
/// window bounds in which they are read.
#[derive(Debug, Default)]
pub(super) struct Digesting {
    digest: Sha256,
    digested: u64,
    early: BTreeMap<u64, Vec<u8>>,
}

impl Digesting {
    /// Takes the piece at `offset`; the SHA-256 of all once that makes `size` bytes.
    pub fn take(&mut self, offset: u64, data: &[u8], size: u64) -> Option<[u8; 32]> {
        if offset != self.digested {
            self.early.insert(offset, data.to_vec());
            return None;
        }
        self.next(data);
        while let Some(data) = self.early.remove(&self.digested) {
            self.next(&data);
        }
        (self.digested == size).then(|| self.digest.finalize_reset().into())
    }

    fn next(&mut self, data: &[u8]) {
        self.digest.update(data);
        self.digested += data.len() as u64;
    }

    /// That of no content.
    pub fn of_nothing() -> [u8; 32] {
        Sha256::digest([]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_pieces_come_makes_no_difference() {
        let whole: [u8; 32] = Sha256::digest(b"one two three").into();
        let pieces = [(0, &b"one "[..]), (4, b"two "), (8, b"three")];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut digesting = Digesting::default();
            let mut ends = order.map(|at| digesting.take(pieces[at].0, pieces[at].1, 13)).into_iter();
            assert_eq!((ends.next(), ends.next(), ends.next()), (Some(None), Some(None), Some(Some(whole))));
        }
    }
}
