//! `reprise archives`.

use reprise_borg::Repository;
use reprise_model::{Message, Observer, human_bytes};
use serde::Serialize;

use crate::args::ArchivesArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::repository::{self, utc};
use crate::signals::Cancel;
use crate::ui::{Ui, one_line};
use crate::view::{align_right, table};

/// An archive in the list. Documented in `docs/json.md`.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Unique in the repository.
    pub name: String,
    id: String,
    /// When the backup began, in UTC.
    time: String,
    hostname: Option<String>,
    files: Option<u64>,
    original_bytes: Option<u64>,
    compressed_bytes: Option<u64>,
    deduplicated_bytes: Option<u64>,
    /// `ok`, `checkpoint` or `damaged`.
    status: &'static str,
    error: Option<String>,
}

/// Lists the archives of a repository.
pub fn run(args: &ArchivesArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let place = repository::place(args.repository.as_ref(), env)?;
    let repository = repository::open(&place, env)?;
    let archives = list(&repository, args.deduplicated.then_some(cancel as &dyn Observer));
    if cancel.is_asked() {
        return Err(Failure::cancelled());
    }
    if ui.json {
        Ui::print_json(&archives);
    } else if archives.is_empty() {
        ui.line(ui.word("archives-none"));
    } else {
        show(&archives, args.deduplicated, ui);
    }
    let damaged = archives.iter().any(|archive| archive.error.is_some());
    Ok(if damaged { Exit::Warnings } else { Exit::Done })
}

/// The archives of `repository`, oldest first; where somebody looks on, with what deleting each would free.
pub fn list(repository: &Repository, deduplicated: Option<&dyn Observer>) -> Vec<Listed> {
    let listed = repository.archives().iter().map(|entry| {
        let status = if entry.checkpoint { "checkpoint" } else { "ok" };
        let mut listed = Listed {
            name: entry.name.clone(),
            id: entry.id.to_string(),
            time: utc(&entry.time),
            hostname: None,
            files: None,
            original_bytes: None,
            compressed_bytes: None,
            deduplicated_bytes: None,
            status,
            error: None,
        };
        match repository.archive(&entry.name) {
            Ok(archive) => {
                let info = archive.info();
                listed.hostname = Some(info.hostname.clone());
                listed.files = info.stats.map(|stats| stats.nfiles);
                listed.original_bytes = info.stats.map(|stats| stats.original);
                listed.compressed_bytes = info.stats.map(|stats| stats.compressed);
                if let Some(observer) = deduplicated {
                    listed.deduplicated_bytes = archive.deduplicated_size(observer).ok();
                }
            }
            // One damaged archive must not hide the others.
            Err(error) => {
                listed.status = "damaged";
                listed.error = Some(error.to_string());
            }
        }
        listed
    });
    listed.collect()
}

/// An archive as an option to choose.
pub fn in_one_line(archive: &Listed, ui: &Ui) -> String {
    let mut text = format!("{}  {}", archive.name, archive.time);
    if let (Some(files), Some(bytes)) = (archive.files, archive.original_bytes) {
        let size = Message::new("archive-size").count("files", files).bytes("size", bytes);
        text = format!("{text}  {}", ui.text(&size));
    }
    if archive.status != "ok" {
        text = format!("{text}  [{}]", archive.status);
    }
    one_line(&text)
}

fn show(archives: &[Listed], deduplicated: bool, ui: &Ui) {
    let mut keys = vec!["word-name", "word-time", "word-files", "word-size", "word-compressed"];
    if deduplicated {
        keys.push("word-deduplicated");
    }
    keys.push("word-status");
    let mut rows = table(&keys.iter().map(|key| ui.word(key)).collect::<Vec<_>>());
    let bytes = |bytes: Option<u64>| bytes.map_or_else(String::new, human_bytes);
    for archive in archives {
        let mut row = vec![
            one_line(&archive.name),
            one_line(&archive.time),
            archive.files.map_or_else(String::new, |files| files.to_string()),
            bytes(archive.original_bytes),
            bytes(archive.compressed_bytes),
        ];
        if deduplicated {
            row.push(bytes(archive.deduplicated_bytes));
        }
        row.push(archive.error.as_deref().map_or(archive.status.to_owned(), one_line));
        rows.add_row(row);
    }
    align_right(&mut rows, &[2, 3, 4]);
    ui.line(rows.to_string());
}
