//! A catalogue as a file.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `RPCATLOG` |
//! | 4 | version, 1 |
//! | 19 | a nonce, random |
//! | rest | pieces of at most 1 MiB of the content, each with a tag of 16 bytes |
//!
//! Every number is little-endian. Each piece is sealed with XChaCha20-Poly1305; its nonce is the file's, the piece's number
//! (4 bytes) and a byte that is 1 for the last piece, as in the STREAM construction: pieces cannot be dropped,
//! repeated or exchanged. The key belongs to this one archive and version: HKDF-SHA-256 of the repository's secrets with
//! `reprise-catalogue`, the version, and the ids of the repository and the archive. An unencrypted repository has no secrets:
//! its catalogues are sealed against accidents only, as it is itself. What precedes the pieces is authenticated with each.
//!
//! The content is the node of the top, the number of items, and the numbers of rows, children, owners, metadata chunks and
//! bytes of the heap (8 bytes each), then all of these one after the other, as [`super::table`] has them.

use std::io::{self, Read, Write};
use std::thread;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use crossbeam_channel::{Receiver, Sender, bounded};
use zeroize::Zeroizing;

use super::table::{ID, OWNER, ROW, Table};
use crate::Id;
use crate::crypto::Key;

const MAGIC: &[u8; 8] = b"RPCATLOG";
const VERSION: u32 = 1;
const NONCE: usize = 19;
const HEAD: usize = MAGIC.len() + 4 + NONCE;
const PIECE: usize = 1 << 20;
const TAG: usize = 16;
const COUNTS: usize = 7;

/// Which archive a file is of, and the key for it.
pub(super) struct Seal(Zeroizing<[u8; 32]>);

impl Seal {
    pub fn new(key: &Key, repository: Id, archive: Id) -> Self {
        Self(key.derive(&[b"reprise-catalogue", &VERSION.to_le_bytes(), &repository.0, &archive.0]))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

fn nonce(head: &[u8; HEAD], piece: u32, last: bool) -> XNonce {
    let mut nonce = XNonce::default();
    nonce[..NONCE].copy_from_slice(&head[HEAD - NONCE..]);
    nonce[NONCE..NONCE + 4].copy_from_slice(&piece.to_le_bytes());
    nonce[NONCE + 4] = u8::from(last);
    nonce
}

/// Writes `table` to `writer`, sealed.
pub(super) fn write(table: &Table, seal: &Seal, writer: impl Write) -> io::Result<()> {
    let mut head = [0; HEAD];
    head[..MAGIC.len()].copy_from_slice(MAGIC);
    head[MAGIC.len()..HEAD - NONCE].copy_from_slice(&VERSION.to_le_bytes());
    getrandom::fill(&mut head[HEAD - NONCE..]).map_err(io::Error::other)?;
    let mut sealing =
        Sealing { cipher: seal.cipher(), writer, head, piece: 0, buffer: Vec::with_capacity(PIECE + TAG) };
    sealing.writer.write_all(&head)?;
    let counts = [
        u64::from(table.root),
        u64::from(table.items),
        table.rows.len() as u64,
        table.children.len() as u64,
        table.owners.len() as u64,
        table.pieces.len() as u64,
        table.heap.len() as u64,
    ];
    for count in counts {
        sealing.write_all(&count.to_le_bytes())?;
    }
    sealing.write_all(table.rows.as_flattened())?;
    sealing.write_all(table.children.as_flattened())?;
    sealing.write_all(table.owners.as_flattened())?;
    sealing.write_all(table.pieces.as_flattened())?;
    sealing.write_all(&table.heap)?;
    sealing.seal(true)?;
    sealing.writer.flush()
}

/// Reads what [`write`] wrote, from a file of `length` bytes. `None` if it is anything else, or not whole.
pub(super) fn read(seal: &Seal, mut reader: impl Read + Send, length: u64) -> Option<Table> {
    let mut head = [0; HEAD];
    reader.read_exact(&mut head).ok()?;
    let sealed = length.checked_sub(HEAD as u64)?;
    let pieces = sealed.div_ceil((PIECE + TAG) as u64);
    let content = sealed.checked_sub(pieces * TAG as u64)?;
    if head[..MAGIC.len()] != *MAGIC || head[MAGIC.len()..HEAD - NONCE] != VERSION.to_le_bytes() {
        return None;
    }
    let cipher = seal.cipher();
    thread::scope(|scope| {
        let (sender, pieces) = bounded(AHEAD);
        scope.spawn(move || open_pieces(&cipher, &head, reader, sealed, &sender));
        let table = read_table(Opening { pieces, piece: Vec::new(), position: 0 }, content);
        table.filter(Table::is_sound)
    })
}

/// The table in `content` bytes. What is not there, or not right, shows as an early end.
pub(super) fn read_table(mut opening: Opening, content: u64) -> Option<Table> {
    let mut counts = [0_u64; COUNTS];
    for count in &mut counts {
        let mut bytes = [0; 8];
        opening.read_exact(&mut bytes).ok()?;
        *count = u64::from_le_bytes(bytes);
    }
    let [root, items, rows, children, owners, chunks, heap] = counts;
    // Nothing is allocated that the file does not hold.
    let bytes = |count: u64, each: usize| count.checked_mul(each as u64);
    let sizes = [bytes(rows, ROW)?, bytes(children, 4)?, bytes(owners, OWNER)?, bytes(chunks, ID)?, heap];
    let expected = sizes.into_iter().try_fold(8 * COUNTS as u64, u64::checked_add)?;
    if expected != content {
        return None;
    }
    let table = Table {
        root: root.try_into().ok()?,
        items: items.try_into().ok()?,
        rows: read_all(&mut opening, rows)?,
        children: read_all(&mut opening, children)?,
        owners: read_all(&mut opening, owners)?,
        pieces: read_all(&mut opening, chunks)?,
        heap: read_all::<1>(&mut opening, heap)?.into_flattened(),
    };
    Some(table).filter(|_| opening.is_at_end())
}

fn read_all<const N: usize>(opening: &mut Opening, count: u64) -> Option<Vec<[u8; N]>> {
    let mut all = vec![[0; N]; count as usize];
    opening.read_exact(all.as_flattened_mut()).ok()?;
    Some(all)
}

struct Sealing<W> {
    cipher: XChaCha20Poly1305,
    writer: W,
    head: [u8; HEAD],
    piece: u32,
    buffer: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(&self.head, self.piece, last);
        let sealed = self.cipher.encrypt_in_place(&nonce, &self.head, &mut self.buffer);
        sealed.map_err(|_| io::Error::other("a piece cannot be sealed"))?;
        self.piece += 1;
        self.writer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // A full piece is sealed only when more comes: the last one must say that it is.
        if self.buffer.len() == PIECE && !data.is_empty() {
            self.seal(false)?;
        }
        let taken = data.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&data[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pieces that are opened ahead.
const AHEAD: usize = 2;

/// What pieces hold, as a thread opens them.
pub(super) struct Opening {
    pieces: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    position: usize,
}

impl Opening {
    /// What one piece holds.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn of(piece: Vec<u8>) -> Self {
        Self { pieces: bounded(0).1, piece, position: 0 }
    }

    /// Whether there is nothing more.
    fn is_at_end(&mut self) -> bool {
        self.read(&mut [0]).is_ok_and(|read| read == 0)
    }
}

impl Read for Opening {
    fn read(&mut self, wanted: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            // No more pieces come when there are none, or when one is not right.
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            (self.piece, self.position) = (piece, 0);
        }
        let rest = &self.piece[self.position..];
        let given = rest.len().min(wanted.len());
        wanted[..given].copy_from_slice(&rest[..given]);
        self.position += given;
        Ok(given)
    }
}

/// Opens the pieces of a file, of whose bytes `sealed` are left, until one is not right.
fn open_pieces(
    cipher: &XChaCha20Poly1305,
    head: &[u8; HEAD],
    mut reader: impl Read,
    mut sealed: u64,
    pieces: &Sender<Vec<u8>>,
) {
    let mut number = 0;
    while sealed > 0 {
        let length = sealed.min((PIECE + TAG) as u64);
        sealed -= length;
        let mut piece = vec![0; length as usize];
        let opened = reader.read_exact(&mut piece).is_ok()
            && cipher.decrypt_in_place(&nonce(head, number, sealed == 0), head, &mut piece).is_ok();
        // Nobody wants more of what is not as it should be.
        if !opened || pieces.send(piece).is_err() {
            return;
        }
        number += 1;
    }
}
