//! A forge of repositories: what borg would never write, in valid clothes. Unencrypted, uncompressed.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

/// A value to be packed. Maps keep their order.
#[derive(Clone)]
pub enum Value {
    Nil,
    Int(i64),
    Bytes(Vec<u8>),
    True,
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
    /// A map with keys that are data.
    Named(Vec<(Vec<u8>, Value)>),
}

pub fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::Bytes(bytes.as_ref().to_vec())
}

pub fn pack(value: &Value, out: &mut Vec<u8>) {
    let raw = |bytes: &[u8], out: &mut Vec<u8>| {
        out.push(0xdb);
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Nil => out.push(0xc0),
        Value::Int(number) => {
            out.push(0xd3);
            out.extend(number.to_be_bytes());
        }
        Value::Bytes(bytes) => raw(bytes, out),
        Value::True => out.push(0xc3),
        Value::List(values) => {
            out.push(0xdd);
            out.extend((values.len() as u32).to_be_bytes());
            for value in values {
                pack(value, out);
            }
        }
        Value::Map(pairs) => {
            out.push(0xdf);
            out.extend((pairs.len() as u32).to_be_bytes());
            for (key, value) in pairs {
                raw(key.as_bytes(), out);
                pack(value, out);
            }
        }
        Value::Named(pairs) => {
            out.push(0xdf);
            out.extend((pairs.len() as u32).to_be_bytes());
            for (key, value) in pairs {
                raw(key, out);
                pack(value, out);
            }
        }
    }
}

/// Collects objects for a repository.
pub struct Forge {
    segment: Vec<u8>,
}

pub type Id = [u8; 32];

/// The id of a chunk, stored or not.
pub fn id_of(content: &[u8]) -> Id {
    Sha256::digest(content).into()
}

impl Forge {
    pub fn new() -> Self {
        Self { segment: b"BORG_SEG".to_vec() }
    }

    /// Appends an entry: 0 puts an object, 1 deletes one, 2 commits.
    pub fn entry(&mut self, tag: u8, body: &[u8]) {
        let mut entry = ((9 + body.len()) as u32).to_le_bytes().to_vec();
        entry.push(tag);
        entry.extend(body);
        self.segment.extend(crc32fast::hash(&entry).to_le_bytes());
        self.segment.extend(entry);
    }

    fn put(&mut self, id: Id, content: &[u8]) {
        self.entry(0, &[&id[..], &[2, 0, 0], content].concat());
    }

    /// Stores a chunk and returns its id.
    pub fn chunk(&mut self, content: &[u8]) -> Id {
        let id = id_of(content);
        self.put(id, content);
        id
    }

    /// The list of chunks of a file with this content.
    pub fn content(&mut self, content: &[u8]) -> Value {
        let id = self.chunk(content);
        Value::List(vec![chunk(id, content.len() as i64)])
    }

    /// What was collected, as a segment file.
    pub fn segment(&self) -> &[u8] {
        &self.segment
    }

    /// Writes a repository with one archive, "a", of these items.
    pub fn finish(mut self, path: &Path, items: &[Value]) {
        let mut stream = Vec::new();
        for item in items {
            pack(item, &mut stream);
        }
        self.finish_stream(path, &stream, &[]);
    }

    /// The same with the item stream given as bytes, and more settings in the manifest.
    pub fn finish_stream(&mut self, path: &Path, stream: &[u8], config: &[(&'static str, Value)]) {
        // Small chunks, so that items cross their borders.
        let ids: Vec<Id> = stream.chunks(100).map(|piece| self.chunk(piece)).collect();
        self.finish_pieces(path, &ids, config);
    }

    /// The same with the item stream given as chunks, which need not be there.
    pub fn finish_pieces(&mut self, path: &Path, ids: &[Id], config: &[(&'static str, Value)]) {
        let ids = ids.iter().map(bytes).collect();
        let mut archive = Vec::new();
        let fields = vec![
            ("version", Value::Int(1)),
            ("name", bytes("a")),
            ("items", Value::List(ids)),
            ("cmdline", Value::List(vec![])),
            ("hostname", bytes("h")),
            ("username", bytes("u")),
            ("time", bytes("2020-01-01T00:00:00.000000")),
        ];
        pack(&Value::Map(fields), &mut archive);
        let id = self.chunk(&archive);
        let entry = Value::Map(vec![("id", bytes(id)), ("time", bytes("2020-01-01T00:00:00.000000"))]);
        let mut manifest = Vec::new();
        let fields = vec![
            ("version", Value::Int(1)),
            ("archives", Value::Map(vec![("a", entry)])),
            ("timestamp", bytes("2020-01-01T00:00:00.000000")),
            ("config", Value::Map(config.to_vec())),
        ];
        pack(&Value::Map(fields), &mut manifest);
        self.finish_with_manifest(path, &manifest);
    }

    /// The same with nothing but what was collected, and this manifest.
    pub fn finish_with_manifest(&mut self, path: &Path, manifest: &[u8]) {
        self.put([0; 32], manifest);
        self.entry(2, &[]);
        fs::create_dir_all(path.join("data/0")).unwrap();
        fs::write(path.join("data/0/0"), &self.segment).unwrap();
        let config = format!(
            "[repository]\nversion = 1\nsegments_per_dir = 1000\nmax_segment_size = 524288000\n\
             append_only = 0\nid = {}\n",
            "ab".repeat(32)
        );
        fs::write(path.join("config"), config).unwrap();
    }
}

pub fn chunk(id: Id, size: i64) -> Value {
    Value::List(vec![bytes(id), Value::Int(size), Value::Int(size + 3)])
}

/// An item of this type and permissions, with further fields.
pub fn item(path: impl AsRef<[u8]>, mode: i64, further: &[(&'static str, Value)]) -> Value {
    let mut fields = vec![
        ("path", bytes(path)),
        ("mode", Value::Int(mode)),
        ("uid", Value::Int(0)),
        ("gid", Value::Int(0)),
        ("mtime", Value::Int(1_000_000_000)),
    ];
    fields.extend_from_slice(further);
    Value::Map(fields)
}

pub const FILE: i64 = 0o100_644;
pub const DIR: i64 = 0o040_755;
pub const LINK: i64 = 0o120_777;
pub const CHAR: i64 = 0o020_666;
pub const BLOCK: i64 = 0o060_666;
