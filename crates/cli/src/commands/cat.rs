//! `reprise cat`.

use std::io::BufWriter;
use std::os::unix::ffi::OsStrExt;

use reprise_borg::{Archive, Error, Item};
use serde::Serialize;

use crate::args::CatArgs;
use crate::commands::ls::plain;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::repository;
use crate::signals::Cancel;
use crate::ui::Ui;
use crate::view::report;

/// Content within JSON is kept in memory.
const JSON_LIMIT: u64 = 16 << 20;

/// A file's content. Documented in `docs/json.md`.
#[derive(Debug, Serialize)]
struct Content {
    path: String,
    size: u64,
    from: u64,
    to: u64,
    /// Null where it is not UTF-8.
    text: Option<String>,
    /// In hexadecimal digits, where it is not UTF-8.
    hex: Option<String>,
}

/// Writes the content of a file to standard output.
pub fn run(args: &CatArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let (repository, name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&name)?;
    let catalogue = archive.catalogue(env.cache_dir.as_deref(), &Meter::of_items(ui, cancel))?;
    let Some(node) = catalogue.find(&plain(args.path.as_bytes())) else {
        report::lost_items(&catalogue, ui);
        return Err(Error::NoSuchPath { path: args.path.as_bytes().to_vec() }.into());
    };
    let item = catalogue.item(&repository, node)?;
    let range = args.range.0.clone();
    if ui.json {
        Ui::print_json(&content(&archive, &item, range)?);
    } else {
        // Before an error, all that was read soundly is written.
        let out = BufWriter::with_capacity(1 << 20, std::io::stdout());
        match archive.copy(&item, range, out, cancel) {
            // Nobody reads on.
            Err(Error::Stream(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            copied => copied?,
        }
    }
    Ok(Exit::Done)
}

fn content(archive: &Archive<'_>, item: &Item, range: std::ops::Range<u64>) -> Result<Content, Failure> {
    let size = item.content_size();
    let (from, to) = (range.start.min(size), range.end.min(size));
    if to - from > JSON_LIMIT {
        return Err(Failure::new(format!("{} bytes are too many for one JSON document", to - from))
            .hint("give a smaller --range, or leave out --json"));
    }
    let bytes = archive.read(item, from..to)?;
    let path = String::from_utf8_lossy(&item.path).into_owned();
    let to = from + bytes.len() as u64;
    let (text, hex) = match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(crate::view::item::hex(error.as_bytes()))),
    };
    Ok(Content { path, size, from, to, text, hex })
}
