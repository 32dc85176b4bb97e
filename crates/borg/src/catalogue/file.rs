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

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::table::Table;
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
pub(super) fn read(seal: &Seal, mut reader: impl Read, length: u64) -> Option<Table> {
    let mut head = [0; HEAD];
    reader.read_exact(&mut head).ok()?;
    let sealed = length.checked_sub(HEAD as u64)?;
    let pieces = sealed.div_ceil((PIECE + TAG) as u64);
    let content = sealed.checked_sub(pieces * TAG as u64)?;
    if head[..MAGIC.len()] != *MAGIC || head[MAGIC.len()..HEAD - NONCE] != VERSION.to_le_bytes() {
        return None;
    }
    let mut opening =
        Opening { cipher: seal.cipher(), reader, head, piece: 0, sealed, buffer: Vec::new(), position: 0 };
    let mut counts = [0_u64; COUNTS];
    for count in &mut counts {
        let mut bytes = [0; 8];
        opening.read_exact(&mut bytes).ok()?;
        *count = u64::from_le_bytes(bytes);
    }
    let [root, items, rows, children, owners, chunks, bytes_beside] = counts;
    // Nothing is allocated that the file does not hold.
    let mut table = Table { root: root.try_into().ok()?, items: items.try_into().ok()?, ..Table::default() };
    let bytes = |count: u64, each: usize| count.checked_mul(each as u64);
    let sizes = [bytes(rows, super::table::ROW)?, bytes(children, 4)?, bytes(owners, super::table::OWNER)?];
    let sizes = sizes.into_iter().chain([bytes(chunks, super::table::PIECE)?, bytes_beside]);
    let expected = sizes.into_iter().try_fold(8 * COUNTS as u64, u64::checked_add)?;
    if expected != content {
        return None;
    }
    table.rows.resize(rows as usize, [0; super::table::ROW]);
    opening.read_exact(table.rows.as_flattened_mut()).ok()?;
    table.children.resize(children as usize, [0; 4]);
    opening.read_exact(table.children.as_flattened_mut()).ok()?;
    table.owners.resize(owners as usize, [0; super::table::OWNER]);
    opening.read_exact(table.owners.as_flattened_mut()).ok()?;
    table.pieces.resize(chunks as usize, [0; super::table::PIECE]);
    opening.read_exact(table.pieces.as_flattened_mut()).ok()?;
    table.heap.resize(bytes_beside as usize, 0);
    opening.read_exact(&mut table.heap).ok()?;
    // The last piece says that it is; and nothing may follow it.
    Some(table).filter(|table| opening.sealed == 0 && opening.is_used_up() && table.is_sound())
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

struct Opening<R> {
    cipher: XChaCha20Poly1305,
    reader: R,
    head: [u8; HEAD],
    piece: u32,
    /// Bytes still to be read.
    sealed: u64,
    buffer: Vec<u8>,
    position: usize,
}

impl<R> Opening<R> {
    fn is_used_up(&self) -> bool {
        self.position == self.buffer.len()
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, wanted: &mut [u8]) -> io::Result<usize> {
        if self.is_used_up() && self.sealed > 0 {
            let length = self.sealed.min((PIECE + TAG) as u64);
            self.sealed -= length;
            self.buffer.resize(length as usize, 0);
            self.reader.read_exact(&mut self.buffer)?;
            let nonce = nonce(&self.head, self.piece, self.sealed == 0);
            let opened = self.cipher.decrypt_in_place(&nonce, &self.head, &mut self.buffer);
            opened.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            self.piece += 1;
            self.position = 0;
        }
        let rest = &self.buffer[self.position..];
        let given = rest.len().min(wanted.len());
        wanted[..given].copy_from_slice(&rest[..given]);
        self.position += given;
        Ok(given)
    }
}
