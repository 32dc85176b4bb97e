//! A pull decoder for the msgpack of old: no distinction of text and bytes, borrowed from its input.
//!
//! Everything in a repository's metadata passes here, so it trusts nothing: lengths never lead to allocations,
//! nesting is limited, and input that ends early is told apart from input that is wrong (items are read
//! from a stream that arrives in pieces).
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>; Borg 1.x writes its pre-2013 subset ("raw"
//! for every string), the newer types are understood as well.

/// Why decoding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The input ends inside a value; more of it may help.
    #[error("it ends too early")]
    Incomplete,
    /// The input is not what it should be.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A decoded value: scalars as they are, containers as the number of elements that follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    /// Covers every 64-bit integer, signed or not.
    Int(i128),
    /// Only passed over: nothing Borg stores and we use is a float.
    Float,
    Bytes(&'a [u8]),
    Array(u32),
    /// The number of key and value pairs.
    Map(u32),
    /// An extension; passed over.
    Ext,
}

/// Deeper nesting than anything Borg writes is refused.
const MAX_DEPTH: u32 = 32;

/// Reads values from the front of a slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Bytes not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Fault::Incomplete)?;
        self.rest = rest;
        Ok(head)
    }

    fn be(&mut self, len: usize) -> Result<u64, Fault> {
        Ok(self.take(len)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn raw(&mut self, len: u64) -> Result<Token<'a>, Fault> {
        Ok(Token::Bytes(self.take(len as usize)?))
    }

    fn ext(&mut self, len: u64) -> Result<Token<'a>, Fault> {
        self.take(len as usize + 1)?;
        Ok(Token::Ext)
    }

    /// The next value, or the head of the next container.
    pub fn token(&mut self) -> Result<Token<'a>, Fault> {
        let tag = self.take(1)?[0];
        Ok(match tag {
            0x00..=0x7f => Token::Int(i128::from(tag)),
            0x80..=0x8f => Token::Map(u32::from(tag & 0x0f)),
            0x90..=0x9f => Token::Array(u32::from(tag & 0x0f)),
            0xa0..=0xbf => self.raw(u64::from(tag & 0x1f))?,
            0xc0 => Token::Nil,
            0xc1 => return Err(Fault::Malformed("an unused type byte")),
            0xc2 | 0xc3 => Token::Bool(tag == 0xc3),
            0xc4..=0xc6 => {
                let len = self.be(1 << (tag - 0xc4))?;
                self.raw(len)?
            }
            0xc7..=0xc9 => {
                let len = self.be(1 << (tag - 0xc7))?;
                self.ext(len)?
            }
            0xca | 0xcb => {
                self.take(if tag == 0xca { 4 } else { 8 })?;
                Token::Float
            }
            0xcc..=0xcf => Token::Int(i128::from(self.be(1 << (tag - 0xcc))?)),
            0xd0..=0xd3 => {
                let len = 1 << (tag - 0xd0);
                let unused = 64 - 8 * len as u32;
                // Shifting up and down again extends the sign.
                Token::Int(i128::from((self.be(len)? << unused) as i64 >> unused))
            }
            0xd4..=0xd8 => self.ext(1 << (tag - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.be(1 << (tag - 0xd9))?;
                self.raw(len)?
            }
            0xdc | 0xdd => Token::Array(self.be(if tag == 0xdc { 2 } else { 4 })? as u32),
            0xde | 0xdf => Token::Map(self.be(if tag == 0xde { 2 } else { 4 })? as u32),
            0xe0..=0xff => Token::Int(i128::from(tag as i8)),
        })
    }

    /// The next value, which must be a string.
    pub fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        match self.token()? {
            Token::Bytes(bytes) => Ok(bytes),
            _ => Err(Fault::Malformed("not a string")),
        }
    }

    /// The next value, which must be a string or nil.
    pub fn optional_bytes(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        match self.token()? {
            Token::Bytes(bytes) => Ok(Some(bytes)),
            Token::Nil => Ok(None),
            _ => Err(Fault::Malformed("not a string")),
        }
    }

    /// The next value, which must be a string of text. Bytes that are no UTF-8 are replaced: for showing only.
    pub fn text(&mut self) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// The next value, which must be an integer.
    pub fn int(&mut self) -> Result<i128, Fault> {
        match self.token()? {
            Token::Int(value) => Ok(value),
            _ => Err(Fault::Malformed("not an integer")),
        }
    }

    /// The next value, which must be an integer that is not negative.
    pub fn unsigned(&mut self) -> Result<u64, Fault> {
        self.int()?.try_into().map_err(|_| Fault::Malformed("a number out of range"))
    }

    /// An integer that Borg 1.0 may have stored as a string of little-endian signed bytes.
    pub fn bigint(&mut self) -> Result<i128, Fault> {
        match self.token()? {
            Token::Int(value) => Ok(value),
            Token::Bytes(bytes) if bytes.len() <= 16 => {
                let fill = if bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xff } else { 0 };
                let mut all = [fill; 16];
                all[..bytes.len()].copy_from_slice(bytes);
                Ok(i128::from_le_bytes(all))
            }
            _ => Err(Fault::Malformed("not an integer")),
        }
    }

    /// The next value, which must be true or false.
    pub fn bool(&mut self) -> Result<bool, Fault> {
        match self.token()? {
            Token::Bool(value) => Ok(value),
            _ => Err(Fault::Malformed("neither true nor false")),
        }
    }

    /// The head of an array: how many elements follow. Not to be trusted for allocating.
    pub fn array(&mut self) -> Result<u32, Fault> {
        match self.token()? {
            Token::Array(len) => Ok(len),
            _ => Err(Fault::Malformed("not a list")),
        }
    }

    /// The head of a map: how many pairs follow. Not to be trusted for allocating.
    pub fn map(&mut self) -> Result<u32, Fault> {
        match self.token()? {
            Token::Map(len) => Ok(len),
            _ => Err(Fault::Malformed("not a map")),
        }
    }

    /// Passes over one value, whatever it is.
    pub fn skip(&mut self) -> Result<(), Fault> {
        self.skip_nested(0)
    }

    fn skip_nested(&mut self, depth: u32) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Malformed("nested too deeply"));
        }
        let values = match self.token()? {
            Token::Array(len) => u64::from(len),
            Token::Map(len) => 2 * u64::from(len),
            _ => 0,
        };
        (0..values).try_for_each(|_| self.skip_nested(depth + 1))
    }

    /// The bytes of the next value as they stand, passing over it.
    pub fn slice(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.rest;
        self.skip()?;
        Ok(&start[..start.len() - self.rest.len()])
    }
}

/// Calls `field` with every key of the map at the front of `reader`; it must read exactly the value.
pub(crate) fn each_field<'a, E: From<Fault>>(
    reader: &mut Reader<'a>,
    mut field: impl FnMut(&'a [u8], &mut Reader<'a>) -> Result<(), E>,
) -> Result<(), E> {
    for _ in 0..reader.map()? {
        let key = reader.bytes()?;
        field(key, reader)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Fault, Reader, Token};

    #[test]
    fn integers_of_every_width_and_sign() {
        let cases: [(&[u8], i128); 9] = [
            (&[0x7f], 127),
            (&[0xe0], -32),
            (&[0xcc, 0xff], 255),
            (&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i128::from(u64::MAX)),
            (&[0xd0, 0x80], -128),
            (&[0xd1, 0xff, 0xfe], -2),
            (&[0xd2, 0x80, 0, 0, 0], i128::from(i32::MIN)),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], i128::from(i64::MIN)),
            (&[0xd3, 0, 0, 0, 0, 0, 0, 0, 5], 5),
        ];
        for (input, value) in cases {
            assert_eq!(Reader::new(input).int(), Ok(value), "{input:x?}");
        }
    }

    #[test]
    fn borg_1_0_bigints_are_little_endian_and_signed() {
        assert_eq!(Reader::new(&[0xa2, 0xfe, 0xff]).bigint(), Ok(-2));
        assert_eq!(Reader::new(&[0xa9, 0, 0, 0, 0, 0, 0, 0, 0, 1]).bigint(), Ok(1 << 64));
        assert_eq!(Reader::new(&[0xa0]).bigint(), Ok(0));
    }

    #[test]
    fn lengths_larger_than_the_input_ask_for_more_and_allocate_nothing() {
        for input in [&[0xdb, 0xff, 0xff, 0xff, 0xff][..], &[0xc6, 0xff, 0xff, 0xff, 0xff, 1], &[0xdd, 0xff]]
        {
            assert_eq!(Reader::new(input).skip(), Err(Fault::Incomplete));
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(matches!(Reader::new(&[0x91; 100]).skip(), Err(Fault::Malformed(_))));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused() {
        // Every type byte, followed by varied content: nothing panics, nothing loops.
        for tag in 0..=255_u8 {
            for fill in [0_u8, 1, 0x7f, 0x80, 0xc1, 0xff] {
                let mut input = vec![fill; 24];
                input[0] = tag;
                let mut reader = Reader::new(&input);
                while let Ok(token) = reader.token() {
                    assert_ne!(token, Token::Array(u32::MAX - 1));
                }
            }
        }
    }
}
