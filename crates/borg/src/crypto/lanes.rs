//! Hashes of several messages side by side, which begin and end one by one.
//!
//! A processor makes several hashes in little more time than one: its instructions for SHA-256 wait for their own
//! results, and those for `BLAKE2b` take words of four messages at a time. Whenever a message ends, another takes its
//! place, so that few lanes are ever empty, however different the messages are in length.

use super::cipher::{Hash, HmacSha256};
use super::sha256;

/// What is hashed. It may come in parts, each but the last of whole blocks of its hash.
pub(crate) trait Message: AsRef<[u8]> {
    /// Has its bytes be the next part; false, with nothing changed, where there is none.
    fn next_part(&mut self) -> bool {
        false
    }
}

impl Message for &[u8] {}

/// Messages whose hashes are being made. All have to be of hashes of one family to go side by side.
pub(crate) struct Lanes<M> {
    width: usize,
    lanes: Vec<Lane<M>>,
}

/// A message on its way.
struct Lane<M> {
    message: M,
    /// Bytes of parts before this one.
    before: u64,
    /// Bytes of this part that were taken.
    done: usize,
    state: State,
}

enum State {
    Sha256 {
        state: sha256::State,
        /// Bytes taken before the message, and the state after the outer key, where there is a key.
        keyed: Option<(u64, sha256::State)>,
    },
    Blake2(blake2b_simd::State),
}

impl<M: Message> Lanes<M> {
    /// None yet; as many go side by side as is best for this hash.
    pub fn of(hash: &Hash) -> Self {
        let width = match hash {
            Hash::Plain | Hash::Hmac(_) => sha256::WIDTH,
            Hash::Blake2(_) => blake2b_simd::many::degree(),
        };
        Self { width, lanes: Vec::with_capacity(width) }
    }

    /// Whether one more would go along at little cost.
    pub fn has_room(&self) -> bool {
        self.lanes.len() < self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Bytes of all messages, of each the part that is here.
    pub fn bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.message.as_ref().len()).sum()
    }

    /// Begins one, for which there must be room.
    pub fn begin(&mut self, hash: &Hash, message: M) {
        debug_assert!(self.has_room(), "more than go side by side");
        let state = match hash {
            Hash::Plain => State::Sha256 { state: sha256::START, keyed: None },
            Hash::Hmac(HmacSha256 { inner, outer }) => {
                State::Sha256 { state: *inner, keyed: Some((sha256::BLOCK as u64, *outer)) }
            }
            Hash::Blake2(keyed) => State::Blake2((**keyed).clone()),
        };
        self.lanes.push(Lane { message, before: 0, done: 0, state });
    }

    /// Goes on with all until one ends: this message and its hash, or none if there is none.
    pub fn end_one(&mut self) -> Option<(M, [u8; 32])> {
        let ended = loop {
            match self.lanes.iter().position(Lane::is_at_end) {
                Some(at) if self.lanes[at].go_on() => {}
                Some(at) => break at,
                None if self.lanes.is_empty() => return None,
                None => {
                    advance_sha256(&mut self.lanes);
                    advance_blake2(&mut self.lanes);
                }
            }
        };
        let Lane { message, before, done, state } = self.lanes.swap_remove(ended);
        let rest = &message.as_ref()[done..];
        let hash = match state {
            State::Sha256 { mut state, keyed } => {
                let key = keyed.map_or(0, |(taken, _)| taken);
                let hash = sha256::finish(&mut state, key + before + done as u64, rest);
                keyed.map_or(hash, |(taken, mut outer)| sha256::finish(&mut outer, taken, &hash))
            }
            State::Blake2(mut state) => {
                let mut hash = [0; 32];
                hash.copy_from_slice(state.update(rest).finalize().as_bytes());
                hash
            }
        };
        Some((message, hash))
    }
}

impl<M: Message> Lane<M> {
    fn rest(&self) -> &[u8] {
        &self.message.as_ref()[self.done..]
    }

    /// Whether less than a block of its hash is left of this part.
    fn is_at_end(&self) -> bool {
        self.rest().len() < self.state.block()
    }

    /// Goes on to the next part once this one was taken; false where there is none.
    fn go_on(&mut self) -> bool {
        let done = self.done as u64;
        let has_more = self.rest().is_empty() && self.message.next_part();
        if has_more {
            self.before += done;
            self.done = 0;
        }
        has_more
    }
}

impl State {
    fn block(&self) -> usize {
        match self {
            Self::Sha256 { .. } => sha256::BLOCK,
            Self::Blake2(_) => blake2b_simd::BLOCKBYTES,
        }
    }
}

/// Takes as many blocks of each message as the shortest has.
fn advance_sha256<M: Message>(lanes: &mut [Lane<M>]) {
    let mut work: Vec<sha256::Lane<'_>> = Vec::with_capacity(lanes.len());
    for lane in lanes.iter_mut() {
        if let State::Sha256 { state, .. } = &mut lane.state {
            work.push(sha256::Lane { state, blocks: lane.message.as_ref()[lane.done..].as_chunks().0 });
        }
    }
    let taken = sha256::advance(&mut work) * sha256::BLOCK;
    for lane in lanes.iter_mut().filter(|lane| matches!(lane.state, State::Sha256 { .. })) {
        lane.done += taken;
    }
}

/// The same.
fn advance_blake2<M: Message>(lanes: &mut [Lane<M>]) {
    const BLOCK: usize = blake2b_simd::BLOCKBYTES;
    let blake2 = |lane: &&mut Lane<M>| matches!(lane.state, State::Blake2(_));
    let shortest = lanes.iter_mut().filter(blake2).map(|lane| lane.rest().len()).min().unwrap_or_default();
    let taken = shortest - shortest % BLOCK;
    let mut work = Vec::with_capacity(lanes.len());
    for lane in lanes {
        if let State::Blake2(state) = &mut lane.state {
            work.push((state, &lane.message.as_ref()[lane.done..lane.done + taken]));
            lane.done += taken;
        }
    }
    blake2b_simd::many::update_many(work);
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};

    use super::super::cipher::Hash;
    use super::{Lanes, Message};

    /// A message that comes in parts.
    struct InParts<'m> {
        part: &'m [u8],
        rest: &'m [u8],
        size: usize,
    }

    impl AsRef<[u8]> for InParts<'_> {
        fn as_ref(&self) -> &[u8] {
            self.part
        }
    }

    impl Message for InParts<'_> {
        fn next_part(&mut self) -> bool {
            let (part, rest) = self.rest.split_at(self.size.min(self.rest.len()));
            let has_more = !part.is_empty();
            if has_more {
                (self.part, self.rest) = (part, rest);
            }
            has_more
        }
    }

    /// The hash, how a library makes it of one message.
    fn alone(hash: &str, key: &[u8], message: &[u8]) -> [u8; 32] {
        match hash {
            "plain" => Sha256::digest(message).into(),
            "hmac" => {
                let mut hmac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
                hmac.update(message);
                hmac.finalize().into_bytes().into()
            }
            _ => {
                let hash = blake2b_simd::Params::new().hash_length(32).hash(&[key, message].concat());
                hash.as_bytes().try_into().unwrap()
            }
        }
    }

    fn content() -> Vec<u8> {
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn hashes_that_begin_and_end_one_by_one_are_those_made_alone() {
        let bytes = content();
        // Around every border of blocks and padding, and of quite different lengths beside each other.
        let lengths = (0..300).chain([383, 384, 385, 99_999, 3, 64_000, 0, 70_001, 128, 100_000, 1]);
        let messages: Vec<&[u8]> = lengths.map(|length| &bytes[..length]).collect();
        for key in [&bytes[..0], &bytes[..32], &bytes[..64], &bytes[..65], &bytes[..128]] {
            for (name, hash) in
                [("plain", Hash::Plain), ("hmac", Hash::hmac(key)), ("blake2", Hash::blake2(key))]
            {
                let mut coming = messages.iter();
                let mut lanes = Lanes::of(&hash);
                let mut ended = 0;
                loop {
                    while lanes.has_room()
                        && let Some(message) = coming.next()
                    {
                        lanes.begin(&hash, *message);
                    }
                    let Some((message, made)) = lanes.end_one() else { break };
                    assert_eq!(made, alone(name, key, message), "{name} of {} bytes", message.len());
                    ended += 1;
                }
                assert_eq!(ended, messages.len());
            }
        }
    }

    #[test]
    fn messages_that_come_in_parts_have_the_hash_of_the_whole() {
        let bytes = content();
        let lengths = [0, 1, 127, 128, 129, 255, 256, 257, 5000, 8192, 99_999];
        for size in [128, 256, 4096] {
            for (name, hash) in
                [("plain", Hash::Plain), ("hmac", Hash::hmac(b"key")), ("blake2", Hash::blake2(b"key"))]
            {
                let mut coming = lengths.into_iter().enumerate();
                let mut lanes = Lanes::of(&hash);
                let mut ended = Vec::new();
                loop {
                    while lanes.has_room()
                        && let Some((at, length)) = coming.next()
                    {
                        // Some have their first part at once, others have it come like all others.
                        let (part, rest) =
                            bytes[..length].split_at(if at % 2 == 0 { 0 } else { size.min(length) });
                        lanes.begin(&hash, InParts { part, rest, size });
                    }
                    let Some((message, made)) = lanes.end_one() else { break };
                    assert!(message.rest.is_empty());
                    ended.push(made);
                }
                let mut expected = lengths.map(|length| alone(name, b"key", &bytes[..length]));
                expected.sort_unstable();
                ended.sort_unstable();
                assert_eq!(ended, expected, "{name} in parts of {size}");
            }
        }
    }

    #[test]
    fn each_of_several_messages_gets_its_own_hash() {
        let bytes = content();
        let messages: Vec<&[u8]> =
            [0, 1, 63, 64, 65, 127, 128, 129, 5000, 4000].map(|n| &bytes[..n]).to_vec();
        for (name, hash) in
            [("plain", Hash::Plain), ("hmac", Hash::hmac(b"key")), ("blake2", Hash::blake2(b"key"))]
        {
            for count in 0..=messages.len() {
                for messages in [&messages[..count], &messages[messages.len() - count..]] {
                    let expected: Vec<[u8; 32]> =
                        messages.iter().map(|message| alone(name, b"key", message)).collect();
                    assert_eq!(hash.of_each(messages), expected, "{name}");
                }
            }
        }
    }
}
