//! Objects on their way from how they lie in the repository to their verified content, several at the same time.
//!
//! Each is hashed twice: sealed, for its authentication code, and in clear, for its id. The hashes go side by side, and
//! where one ends the next begins, its own or that of another object.

use std::ops::Range;

use crate::compression::{Decompressor, Unpacked};
use crate::crypto::{Envelope, Key, Lanes, Message, matches};
use crate::repository::TOGETHER_BYTES;
use crate::{Error, Id};

/// An object as it lies in the repository.
pub(crate) struct Sealed<T, D> {
    /// Whose it is, for who takes its content.
    pub tag: T,
    pub id: Id,
    /// Bytes of its content, where that is known.
    pub size: Option<u32>,
    /// It, or why it could not be read.
    pub data: Result<D, Error>,
}

/// What holds the bytes of an object.
pub(crate) trait Data: AsRef<[u8]> + AsMut<[u8]> {
    /// Memory to be used again, if there is any.
    fn into_memory(self) -> Vec<u8>;
}

/// Somebody else's bytes.
impl Data for &mut [u8] {
    fn into_memory(self) -> Vec<u8> {
        Vec::new()
    }
}

/// Bytes of memory that are kept: a chunk of the usual size.
const KEPT: usize = 2 << 20;
/// More than any chunk has that Borg makes unless it is told to make larger ones.
const LARGE: usize = 16 << 20;

/// Memory that was used before.
#[derive(Default)]
pub(super) struct Spare {
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spare {
    pub fn take(&mut self) -> Vec<u8> {
        let memory = self.free.pop().unwrap_or_default();
        self.bytes -= memory.capacity();
        memory
    }

    /// Keeps it, unless there is enough. More of it saves no time that can be measured.
    pub fn give_back(&mut self, memory: Vec<u8>) {
        if memory.capacity() > 0 && self.bytes + memory.capacity() <= KEPT {
            self.bytes += memory.capacity();
            self.free.push(memory);
        }
    }
}

/// Opens objects.
pub(super) struct Opening<'c, T, D, F> {
    key: &'c Key,
    decompressor: &'c mut Decompressor,
    spare: &'c mut Spare,
    lanes: Lanes<Piece<T, D>>,
    take: F,
}

/// An object that is being hashed.
struct Piece<T, D> {
    tag: T,
    id: Id,
    size: Option<u32>,
    state: State<D>,
}

enum State<D> {
    /// What begins at `text` has to have the hash `mac`.
    Sealed { data: D, text: usize, mac: [u8; 32] },
    /// It has to have the hash that it is called by.
    Open(Content<D>),
}

enum Content<D> {
    /// It was not compressed, and lies where the object does.
    Within(D, Range<usize>),
    /// Its first bytes.
    Unpacked(Vec<u8>, usize),
}

impl<T, D: Data> AsRef<[u8]> for Piece<T, D> {
    fn as_ref(&self) -> &[u8] {
        match &self.state {
            State::Sealed { data, text, .. } => &data.as_ref()[*text..],
            State::Open(content) => content.bytes(),
        }
    }
}

impl<T, D: Data> Message for Piece<T, D> {}

impl<D: Data> Content<D> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Within(data, range) => &data.as_ref()[range.clone()],
            Self::Unpacked(memory, len) => &memory[..*len],
        }
    }

    fn into_memory(self) -> Vec<u8> {
        match self {
            Self::Within(data, _) => data.into_memory(),
            Self::Unpacked(memory, _) => memory,
        }
    }
}

impl<'c, T, D: Data, F: FnMut(T, Result<&[u8], Error>)> Opening<'c, T, D, F> {
    /// Hands each content to `take`, with the object's tag.
    pub fn new(key: &'c Key, decompressor: &'c mut Decompressor, spare: &'c mut Spare, take: F) -> Self {
        Self { key, decompressor, spare, lanes: Lanes::of(key.id()), take }
    }

    /// Opens what `next` gives, until it gives nothing though it is told that nothing else is left to do. No more is in hand
    /// than is needed to keep a processor busy, and no more bytes than a thread may have, but for what the last has beyond.
    pub fn run(mut self, mut next: impl FnMut(bool, &mut Spare) -> Option<Sealed<T, D>>) {
        loop {
            while self.lanes.has_room()
                && self.lanes.bytes() < *TOGETHER_BYTES
                && let Some(sealed) = next(self.lanes.is_empty(), self.spare)
            {
                self.begin(sealed);
            }
            let Some((Piece { tag, id, size, state }, hash)) = self.lanes.end_one() else { return };
            match state {
                State::Sealed { mut data, text, mac } => {
                    match self.key.decrypt(&id, &mac, &hash, &mut data.as_mut()[text..]) {
                        Ok(plain) => self.unpack(tag, id, size, data, text + plain),
                        Err(error) => (self.take)(tag, Err(error)),
                    }
                }
                State::Open(content) => self.end(tag, &id, content, &hash),
            }
        }
    }

    fn begin(&mut self, Sealed { tag, id, size, data }: Sealed<T, D>) {
        let envelope = data.and_then(|data| {
            let envelope = self.key.envelope(&id, data.as_ref())?;
            Ok((data, envelope))
        });
        match envelope {
            Ok((data, Envelope { mac: Some(mac), text })) => {
                let state = State::Sealed { data, text, mac };
                self.lanes.begin(self.key.mac(), Piece { tag, id, size, state });
            }
            Ok((data, Envelope { mac: None, text })) => self.unpack(tag, id, size, data, text),
            Err(error) => (self.take)(tag, Err(error)),
        }
    }

    /// Undoes the compression of what begins at `packed`.
    fn unpack(&mut self, tag: T, id: Id, size: Option<u32>, data: D, packed: usize) {
        let mut memory = self.spare.take();
        let content = match self.decompressor.run(&id, &data.as_ref()[packed..], size, &mut memory) {
            Ok(Unpacked::Within(range)) => {
                self.spare.give_back(memory);
                Content::Within(data, packed + range.start..packed + range.end)
            }
            Ok(Unpacked::Out(len)) => {
                self.spare.give_back(data.into_memory());
                Content::Unpacked(memory, len)
            }
            Err(error) => return (self.take)(tag, Err(error)),
        };
        if content.bytes().len() > LARGE {
            // How large a content is may not be known beforehand: such must not add up.
            let hash = self.key.id().of(content.bytes());
            self.end(tag, &id, content, &hash);
        } else {
            self.lanes.begin(self.key.id(), Piece { tag, id, size, state: State::Open(content) });
        }
    }

    fn end(&mut self, tag: T, id: &Id, content: Content<D>, hash: &[u8; 32]) {
        (self.take)(tag, matches(id, hash).map(|()| content.bytes()));
        self.spare.give_back(content.into_memory());
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Content, as it is stored in a repository without encryption by a method of compression.
    fn sealed(method: &[u8], body: &[u8]) -> Vec<u8> {
        [&[2], method, body].concat()
    }

    fn id(content: &[u8]) -> Id {
        Id(Sha256::digest(content).into())
    }

    #[test]
    fn each_object_comes_to_its_own_content_or_error() {
        let text: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let large = vec![7; LARGE + 1];
        let lz4 = |content: &[u8]| lz4::block::compress(content, None, false).unwrap();
        let hidden = [&100_002_u32.to_be_bytes()[..], &[0, 0], &text[..100_000], b"padding"].concat();
        // What is stored, the id that it is called by, and the content that must come of it, if any.
        let mut objects = vec![
            (sealed(&[0, 0], &text), id(&text), Some(&text[..])),
            (sealed(&[0, 0], &text[1..]), id(&text), None),
            (sealed(&[1, 0], &lz4(&large)), id(&large), Some(&large[..])),
            (Vec::new(), id(b""), None),
            (sealed(&[1, 0], &lz4(&text)), id(&text), Some(&text[..])),
            (sealed(&[1, 0], &lz4(&large)), id(&text), None),
            (sealed(&[4, 0], &hidden), id(&text[..100_000]), Some(&text[..100_000])),
            (vec![3], id(b""), None),
            (sealed(&[9, 9], b"nonsense"), id(b"nonsense"), None),
            (sealed(&[0, 0], b""), id(b""), Some(b"")),
        ];
        for length in 0..200 {
            objects.push((sealed(&[0, 0], &text[..length]), id(&text[..length]), Some(&text[..length])));
        }
        let expected: Vec<Option<&[u8]>> = objects.iter().map(|(_, _, content)| *content).collect();
        let (mut decompressor, mut spare) = (Decompressor::default(), Spare::default());
        let key = Key::without_encryption();
        let mut came = vec![0; expected.len()];
        let take = |tag: usize, content: Result<&[u8], Error>| {
            assert!(content.ok() == expected[tag], "object {tag}");
            came[tag] += 1;
        };
        let mut coming = objects.iter_mut().enumerate();
        // One that could not be read stands among them.
        Opening::new(&key, &mut decompressor, &mut spare, take).run(|_, _| {
            let (tag, (data, id, _)) = coming.next()?;
            let data = if tag == 3 { Err(Error::ChunkMissing { id: *id }) } else { Ok(data.as_mut_slice()) };
            Some(Sealed { tag, id: *id, size: None, data })
        });
        assert!(came.iter().all(|times| *times == 1), "each once");
    }

    #[test]
    fn no_more_bytes_are_in_hand_than_a_thread_may_have() {
        let content = vec![1; *TOGETHER_BYTES];
        let mut objects: Vec<Vec<u8>> = (0..4).map(|_| sealed(&[0, 0], &content)).collect();
        let (mut decompressor, mut spare) = (Decompressor::default(), Spare::default());
        let key = Key::without_encryption();
        let in_hand = std::cell::Cell::new(0);
        let mut coming = objects.iter_mut();
        Opening::new(&key, &mut decompressor, &mut spare, |(), content| {
            assert!(content.is_ok());
            in_hand.set(in_hand.get() - 1);
        })
        .run(|_, _| {
            let data = coming.next()?;
            in_hand.set(in_hand.get() + 1);
            assert_eq!(in_hand.get(), 1);
            Some(Sealed { tag: (), id: id(&content), size: None, data: Ok(data.as_mut_slice()) })
        });
        assert_eq!(in_hand.get(), 0);
    }
}
