//! The name of an object in a repository: 32 bytes, normally a keyed hash of what it holds.

use std::fmt;

/// A chunk, archive or repository id. Shown as 64 hexadecimal digits, as Borg does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// Where every repository keeps its manifest. The only id that is not a hash of its content.
    pub const MANIFEST: Self = Self([0; 32]);

    /// An id from raw bytes; `None` unless there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// An id from 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn hex_is_read_back_as_shown() {
        let id = Id(std::array::from_fn(|i| (i * 7) as u8));
        assert_eq!(Id::from_hex(&id.to_string()), Some(id));
        assert_eq!(Id::from_hex("00"), None);
        assert_eq!(Id::from_hex(&"g".repeat(64)), None);
        assert_eq!(Id::from_hex(&"é".repeat(32)), None);
    }
}
