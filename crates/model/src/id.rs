//! The id of an operation, which also names every path an operation makes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one operation: its start in UTC and four characters, three of them random, as in `20261121-030000-k7p2`.
/// Sorts by time, is safe in file names and short enough to type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperationId(String);

/// A text that is no [`OperationId`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an operation's id; ids look like 20261121-030000-k7p2")]
pub struct ParseOperationIdError(String);

impl OperationId {
    /// An id for an operation that starts at `at`; `random` keeps two of the same second apart.
    pub fn new(at: Timestamp, random: u32) -> Self {
        // No vowels and nothing that reads like a digit: no words by accident, no misread ids.
        // In the order of their codes, for ids must sort by time.
        const LETTERS: &[u8; 24] = b"23456bcdfghjkmnpqrstvwxz";
        let time = at.strftime("%Y%m%d-%H%M%S");
        // The first letter goes on where the second ends: operations hardly ever begin closer than that.
        let part = at.subsec_nanosecond().unsigned_abs() as usize * LETTERS.len() / 1_000_000_000;
        let digits = [random, random / 24, random / (24 * 24)].map(|rest| (rest % 24) as usize);
        let tail: String =
            std::iter::once(part).chain(digits).map(|digit| char::from(LETTERS[digit])).collect();
        Self(format!("{time}-{tail}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperationId {
    type Err = ParseOperationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-');
        if sound { Ok(Self(text.to_owned())) } else { Err(ParseOperationIdError(text.to_owned())) }
    }
}

impl TryFrom<String> for OperationId {
    type Error = ParseOperationIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OperationId> for String {
    fn from(id: OperationId) -> Self {
        id.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::OperationId;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let early = OperationId::new(jiff::Timestamp::UNIX_EPOCH, 7);
        let late = OperationId::new(jiff::Timestamp::from_second(1_795_230_000).unwrap(), 0);
        assert_eq!(early.as_str(), "19700101-000000-2d22");
        assert!(early < late);
        let soon = jiff::Timestamp::from_millisecond(1_795_230_000_100).unwrap();
        assert!(late < OperationId::new(soon, 0));
        assert_eq!(late.as_str().parse::<OperationId>().unwrap(), late);
    }

    #[test]
    fn nothing_that_could_be_a_path_is_an_id() {
        for text in ["", "..", "a/b", "A", "-rf", "x y"] {
            assert!(text.parse::<OperationId>().is_err(), "{text:?}");
        }
    }
}
