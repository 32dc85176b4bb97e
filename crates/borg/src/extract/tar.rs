//! Extraction as a tar stream, for places reached through a pipe.
//!
//! The format is pax: an extended header carries what ustar's fields cannot, which are long or unusual names, times in nanoseconds,
//! extended attributes (`SCHILY.xattr.*`) and ACLs (`SCHILY.acl.*`). GNU tar restores all of it with
//! `tar --xattrs --xattrs-include='*' --acls -xp`.

use std::io::{self, Read, Write};
use std::sync::Arc;

use reprise_model::Observer;
use tar::{Builder, EntryType, Header};

use super::owners::Directory;
use super::select::{Action, Content, Selector, Target};
use super::stream::Written;
use super::{Extraction, Options, Owners, Problem, ProblemKind, Report, acl, known_problems, size_of};
use crate::Error;
use crate::archive::Archive;
use crate::item::{Chunk, Item, Kind};
use crate::repository::Chunks;
use crate::store::Store;

/// Content read ahead of the header of a file, so that a damaged file is left out.
const READ_AHEAD: u64 = 64 << 20;

/// Writes a tar stream. See [`Archive::export_tar`].
pub(crate) fn to_tar(
    archive: &Archive<'_>,
    extraction: &Extraction,
    writer: impl Write,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let mut selector = Selector::new(extraction)?;
    let mut export = Export {
        builder: Builder::new(writer),
        store: archive.repository.store(),
        chunks: archive.repository.chunks(),
        options: &extraction.options,
        // Numbers are the archive's: those that names have here mean nothing where it is unpacked.
        owners: Directory::new(Owners::Numeric),
        observer,
        report: Report::default(),
        ahead: Vec::new(),
        written: Written::default(),
    };
    let store = archive.repository.store();
    let done = archive.scan(|items| {
        for item in items {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            let mut item = match item {
                Err(Error::ItemsLost(lost)) => {
                    export.report.add(Problem::new(b"", None, ProblemKind::Items(lost)));
                    continue;
                }
                item => item?,
            };
            let targets = selector.targets(&item);
            if targets.is_empty() {
                continue;
            }
            observer.item(&item.path);
            let own = Content {
                chunks: item.chunks.take().unwrap_or_default(),
                healthy: std::mem::take(&mut item.chunks_healthy),
            };
            for target in targets {
                match target {
                    Ok(Target { destination, .. }) if export.leads_out(&item, &destination) => {}
                    Ok(Target { destination, action: Action::Link(to) }) => {
                        export.link(&item, &destination, &to)?;
                    }
                    Ok(Target { destination, action: Action::CreateWith(content) }) => {
                        export.file(&item, &destination, &content)?;
                    }
                    Ok(Target { destination, action: Action::Create }) if item.kind() == Kind::File => {
                        export.file(&item, &destination, &own)?;
                    }
                    Ok(Target { destination, action: Action::Create }) => {
                        export.other(&item, &destination)?;
                    }
                    Err((destination, kind)) => {
                        export.report.add(Problem::new(&item.path, destination.as_deref(), kind));
                    }
                }
            }
        }
        Ok(())
    });
    store.forget_all();
    done?;
    export.report.unmatched = selector.unmatched();
    export.builder.into_inner().and_then(|mut writer| writer.flush()).map_err(Error::Stream)?;
    Ok(export.report)
}

struct Export<'a, W: Write> {
    store: &'a Store,
    builder: Builder<W>,
    chunks: Chunks<'a>,
    options: &'a Options,
    owners: Directory,
    observer: &'a dyn Observer,
    report: Report,
    /// Content of the file in hand, as far as it was read before its header was written.
    ahead: Vec<u8>,
    written: Written,
}

impl<W: Write> Export<'_, W> {
    /// Whether unpacking it might follow a link of the stream; then it is told, and left out.
    fn leads_out(&mut self, item: &Item, destination: &[u8]) -> bool {
        let is_symlink = item.kind() == Kind::Symlink;
        if self.written.leads_through_symlink(destination, is_symlink) {
            let kind = ProblemKind::Refused { reason: "its path leads through a symbolic link" };
            self.report.add(Problem::new(&item.path, Some(destination), kind));
            self.written.file(destination, false);
            return true;
        }
        if is_symlink {
            self.written.symlink(destination);
        }
        false
    }

    fn link(&mut self, item: &Item, destination: &[u8], to: &[u8]) -> Result<(), Error> {
        if to == destination {
            // Two names of a file that are one where it goes: `tar` would remove the file to link to it.
            return self.pad(0);
        }
        if self.written.is_absent(to) {
            let kind = ProblemKind::HardLink { target: item.source.clone().unwrap_or_default() };
            self.report.add(Problem::new(&item.path, Some(destination), kind));
            return Ok(());
        }
        self.entry(item, destination, EntryType::Link, Some(to), 0)?;
        self.pad(0)
    }

    fn other(&mut self, item: &Item, destination: &[u8]) -> Result<(), Error> {
        let kind = match item.kind() {
            Kind::Directory => EntryType::Directory,
            Kind::Symlink => EntryType::Symlink,
            Kind::Fifo => EntryType::Fifo,
            Kind::CharDevice | Kind::BlockDevice if !self.options.devices => {
                self.report.add(Problem::new(&item.path, Some(destination), ProblemKind::Device));
                return Ok(());
            }
            Kind::CharDevice => EntryType::Char,
            Kind::BlockDevice => EntryType::Block,
            Kind::File | Kind::Other => {
                let kind = ProblemKind::Refused { reason: "it is of an unknown type" };
                self.report.add(Problem::new(&item.path, Some(destination), kind));
                return Ok(());
            }
        };
        self.entry(item, destination, kind, item.symlink_target(), 0)?;
        self.pad(0)
    }

    fn file(&mut self, item: &Item, destination: &[u8], content: &Content) -> Result<(), Error> {
        let mut problems = known_problems(item, &content.chunks, &content.healthy);
        let mut rest = content.chunks.as_slice();
        self.store.expect(rest.iter().map(|chunk| (chunk.id, chunk.stored)));
        self.ahead.clear();
        while let [chunk, after @ ..] = rest
            && self.ahead.len() as u64 + u64::from(chunk.size) <= READ_AHEAD
        {
            problems.extend(self.read_ahead(chunk)?);
            rest = after;
        }
        let damaged = !problems.is_empty();
        for kind in problems {
            self.report.add(Problem::new(&item.path, Some(destination), kind));
        }
        self.written.file(destination, !damaged || self.options.keep_damaged);
        if damaged && !self.options.keep_damaged {
            return Ok(());
        }
        let size = size_of(&content.chunks);
        self.entry(item, destination, EntryType::Regular, None, size)?;
        self.builder.get_mut().write_all(&self.ahead).map_err(Error::Stream)?;
        self.wrote(self.ahead.len() as u64);
        let mut start = self.ahead.len() as u64;
        for chunk in rest {
            if self.observer.cancelled() {
                return Err(Error::Cancelled);
            }
            match self.chunks.read(&chunk.id, Some(chunk)) {
                Ok(data) => self.builder.get_mut().write_all(data).map_err(Error::Stream)?,
                Err(cause) if cause.is_final() => return Err(cause),
                // It is in the stream already: what is lost is zeros, and told.
                Err(cause) => {
                    self.zeros(chunk.size.into())?;
                    let range = start..start + u64::from(chunk.size);
                    let kind = ProblemKind::Content { range, cause: Arc::new(cause) };
                    self.report.add(Problem::new(&item.path, Some(destination), kind));
                }
            }
            start += u64::from(chunk.size);
            self.wrote(u64::from(chunk.size));
        }
        self.pad(size)
    }

    /// Reads a chunk, or as many zeros in its place, and then tells why.
    fn read_ahead(&mut self, chunk: &Chunk) -> Result<Option<ProblemKind>, Error> {
        match self.chunks.read(&chunk.id, Some(chunk)) {
            Ok(data) => {
                self.ahead.extend_from_slice(data);
                Ok(None)
            }
            Err(cause) if cause.is_final() => Err(cause),
            Err(cause) => {
                let start = self.ahead.len() as u64;
                let range = start..start + u64::from(chunk.size);
                self.ahead.resize(range.end as usize, 0);
                Ok(Some(ProblemKind::Content { range, cause: Arc::new(cause) }))
            }
        }
    }

    fn wrote(&mut self, bytes: u64) {
        self.report.bytes += bytes;
        self.observer.advance(bytes, 0);
    }

    /// Fills the last block of an entry of this size, which is complete then.
    fn pad(&mut self, size: u64) -> Result<(), Error> {
        self.zeros(size.next_multiple_of(512) - size)?;
        self.report.items += 1;
        self.observer.advance(0, 1);
        Ok(())
    }

    fn zeros(&mut self, count: u64) -> Result<(), Error> {
        io::copy(&mut io::repeat(0).take(count), self.builder.get_mut()).map_err(Error::Stream)?;
        Ok(())
    }

    /// Writes the headers of an entry.
    fn entry(
        &mut self,
        item: &Item,
        destination: &[u8],
        kind: EntryType,
        link: Option<&[u8]>,
        size: u64,
    ) -> Result<(), Error> {
        let mut name = destination.to_vec();
        if name.is_empty() {
            name.push(b'.');
        }
        if kind == EntryType::Directory {
            name.push(b'/');
        }
        let mut header = Header::new_ustar();
        let mut extended: Vec<(String, Vec<u8>)> = Vec::new();
        let fields = header.as_old_mut();
        if !fits(&mut fields.name, &name) {
            extended.push(("path".into(), name));
        }
        if let Some(link) = link
            && !fits(&mut fields.linkname, link)
        {
            extended.push(("linkpath".into(), link.to_vec()));
        }
        let (uid, gid) = self.owners.of(item);
        if self.options.owners == Owners::ByName {
            // Whoever unpacks it may know them under other numbers.
            let names =
                [(&item.user, Header::set_username as fn(&mut Header, &str) -> io::Result<()>, "uname")];
            let names = names.into_iter().chain([(&item.group, Header::set_groupname as _, "gname")]);
            for (name, set, key) in names {
                let Some(name) = name.as_deref().and_then(|name| std::str::from_utf8(name).ok()) else {
                    continue;
                };
                if !name.is_ascii() || set(&mut header, name).is_err() {
                    extended.push((key.into(), name.as_bytes().to_vec()));
                }
            }
        }
        header.set_uid(uid.unwrap_or(0).into());
        header.set_gid(gid.unwrap_or(0).into());
        header.set_mode(item.permissions());
        header.set_size(size);
        header.set_entry_type(kind);
        header.set_mtime(0);
        if let Some(mtime) = item.mtime {
            header.set_mtime((mtime / 1_000_000_000).clamp(0, 0o77_777_777_777) as u64);
            extended.push(("mtime".into(), decimal(mtime)));
        }
        if let Some(atime) = item.atime {
            extended.push(("atime".into(), decimal(atime)));
        }
        if matches!(kind, EntryType::Char | EntryType::Block) {
            let set = header
                .set_device_major(rustix::fs::major(item.rdev))
                .and_then(|()| header.set_device_minor(rustix::fs::minor(item.rdev)));
            set.map_err(Error::Stream)?;
        }
        if kind != EntryType::Link {
            self.attributes(item, &mut extended);
        }
        header.set_cksum();
        let extended = extended.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.builder.append_pax_extensions(extended).map_err(Error::Stream)?;
        self.builder.get_mut().write_all(header.as_bytes()).map_err(Error::Stream)
    }

    fn attributes(&mut self, item: &Item, extended: &mut Vec<(String, Vec<u8>)>) {
        let acls = [("access", &item.acl_access), ("default", &item.acl_default)];
        for (which, text) in acls {
            let text = text.as_deref().and_then(|text| acl::numeric_text(text, &self.owners));
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                extended.push((format!("SCHILY.acl.{which}"), text.into_bytes()));
            }
        }
        for (name, value) in &item.xattrs {
            // The key ends at the first "=", and the crate takes text only; no name in use is affected.
            match std::str::from_utf8(name) {
                Ok(name) if !name.contains('=') => {
                    extended.push((format!("SCHILY.xattr.{name}"), value.clone()));
                }
                _ => {
                    let attribute = super::Attribute::Xattr(name.clone());
                    let cause = io::Error::from(io::ErrorKind::InvalidInput).into();
                    self.report.add(Problem::new(
                        &item.path,
                        None,
                        ProblemKind::Attribute { attribute, cause },
                    ));
                }
            }
        }
    }
}

/// Puts a name into a field of the header. Cut off, and false, if it is too long or not plain text.
fn fits(field: &mut [u8; 100], name: &[u8]) -> bool {
    let len = name.len().min(field.len());
    field[..len].copy_from_slice(&name[..len]);
    name.len() < field.len()
}

/// Seconds with nine decimals.
fn decimal(nanoseconds: i128) -> Vec<u8> {
    const SECOND: u128 = 1_000_000_000;
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let size = nanoseconds.unsigned_abs();
    format!("{sign}{}.{:09}", size / SECOND, size % SECOND).into_bytes()
}
