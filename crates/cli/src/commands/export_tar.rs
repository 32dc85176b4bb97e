//! `reprise export-tar`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::path::Path;

use reprise_borg::{Extraction, Options, Owners};
use reprise_model::Message;
use serde_json::json;

use crate::args::ExportTarArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::meter::Meter;
use crate::repository;
use crate::selection::placement;
use crate::signals::Cancel;
use crate::ui::{Ui, one_line};
use crate::view::report::{self, Told};

/// Endings that promise compression.
const COMPRESSED: [&str; 9] = ["gz", "tgz", "bz2", "tbz", "xz", "txz", "zst", "zstd", "lz4"];
/// Written at a time.
const BUFFER: usize = 1 << 20;

/// Writes a tar stream to a file or to standard output.
pub fn run(args: &ExportTarArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let placement = placement(&args.selection)?;
    let to_stdout = args.file == Path::new("-");
    check(args, to_stdout)?;
    let (repository, archive_name) = repository::open_archive(&args.location, env)?;
    let archive = repository.archive(&archive_name)?;
    // Devices in a stream give nobody access to anything, and owners stand there by both: who unpacks it decides.
    let options = Options { devices: true, owners: Owners::ByName, ..Options::default() };
    let total = archive.info().stats.map(|stats| stats.original).filter(|_| placement.is_everything());
    let extraction = Extraction::of([placement]).with(options);
    let meter = Meter::new(total, cancel);
    let report = if to_stdout {
        archive.export_tar(&extraction, BufWriter::with_capacity(BUFFER, std::io::stdout()), &meter)?
    } else {
        let file = File::create_new(&args.file).map_err(|error| {
            let failure =
                Failure::new(format!("cannot make {}: {error}", one_line(&args.file.to_string_lossy())));
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => failure.hint("name another file, or remove that one"),
                _ => failure,
            }
        })?;
        let written = archive.export_tar(&extraction, BufWriter::with_capacity(BUFFER, &file), &meter);
        written.inspect_err(|_| {
            // Half an archive looks like a whole one.
            drop(std::fs::remove_file(&args.file));
        })?
    };
    drop(meter);
    let exit = report::warn(&report, ui);
    if ui.json {
        Ui::print_json(
            &json!({ "archive": archive_name, "file": args.file.to_string_lossy(), "report": Told::of(&report) }),
        );
    } else {
        let done = Message::new("export-done").count("count", report.items).bytes("size", report.bytes);
        Ui::note(&ui.text(&done));
    }
    Ok(exit)
}

/// Refuses what would surprise, before the passphrase is asked for.
fn check(args: &ExportTarArgs, to_stdout: bool) -> Result<(), Failure> {
    if to_stdout && args.json {
        return Err(Failure::new("--json goes to standard output, and so would the stream")
            .hint("name a file for the stream"));
    }
    if to_stdout && std::io::stdout().is_terminal() {
        return Err(Failure::new("a tar stream is nothing for a terminal")
            .hint("name a file, or pipe it into another program"));
    }
    let ending = args.file.extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| COMPRESSED.contains(&ending)) {
        return Err(Failure::new("the stream is not compressed, as this name says it is")
            .hint("write to - and pipe it: reprise export-tar REPO::ARCHIVE - | zstd > FILE"));
    }
    Ok(())
}
