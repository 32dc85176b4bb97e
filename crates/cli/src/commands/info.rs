//! `reprise info`.

use reprise_borg::{DirectorySize, Repository, Tam};
use reprise_model::human_bytes;
use serde_json::json;

use crate::args::InfoArgs;
use crate::env::Env;
use crate::failure::{Exit, Failure};
use crate::repository;
use crate::repository::utc;
use crate::signals::Cancel;
use crate::ui::{Ui, name, one_line};
use crate::view;

/// Describes a repository or an archive.
pub fn run(args: &InfoArgs, env: &Env, ui: &Ui, cancel: &Cancel) -> Result<Exit, Failure> {
    let place = repository::place(args.location.repository.as_ref(), env)?;
    let repository = repository::open(&place, env)?;
    match &args.location.archive {
        Some(name) => archive(&repository, name, args, ui, cancel)?,
        None if args.directories => {
            return Err(Failure::new("a repository has no directories, its archives have")
                .hint("name one: REPO::ARCHIVE, or REPO::latest"));
        }
        None => whole(&repository, ui)?,
    }
    Ok(Exit::Done)
}

fn whole(repository: &Repository, ui: &Ui) -> Result<(), Failure> {
    let bytes = repository.segment_bytes()?;
    let modified = utc(repository.last_modified());
    let authenticated = repository.is_manifest_authenticated();
    let path = repository.location();
    let count = repository.archives().len();
    if ui.json {
        Ui::print_json(&json!({
            "path": path, "id": repository.id().to_string(), "encryption": repository.encryption().name(),
            "modified": modified, "authenticated": authenticated, "archives": count, "bytes": bytes,
        }));
        return Ok(());
    }
    let answer = if authenticated { "word-yes" } else { "word-no" };
    show(
        &[
            ("word-path", path.to_owned()),
            ("word-id", repository.id().to_string()),
            ("word-encryption", repository.encryption().name().to_owned()),
            ("word-modified", modified),
            ("word-authenticated", ui.word(answer)),
            ("word-archives", count.to_string()),
            ("word-size", bytes.map_or_else(|| ui.word("word-server-does-not-tell"), human_bytes)),
        ],
        ui,
    );
    Ok(())
}

fn archive(
    repository: &Repository,
    name: &str,
    args: &InfoArgs,
    ui: &Ui,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let entry = repository::entry(repository, name)?;
    let archive = repository.archive(&entry.name)?;
    let deduplicated = if args.deduplicated { Some(archive.deduplicated_size(cancel)?) } else { None };
    let directories = args.directories.then(|| archive.directories(args.depth, cancel)).transpose()?;
    let info = archive.info();
    let end = Some(&info.end).filter(|end| !end.is_empty()).map(|end| utc(end));
    let authenticated = match info.tam {
        Tam::Verified => "yes",
        Tam::Absent => "absent",
        Tam::Invalid => "invalid",
    };
    let stats = info.stats;
    if ui.json {
        Ui::print_json(&json!({
            "name": info.name, "id": info.id.to_string(), "checkpoint": entry.checkpoint,
            "hostname": info.hostname, "username": info.username, "comment": info.comment,
            "command_line": info.command_line, "start": utc(&info.start), "end": end,
            "files": stats.map(|stats| stats.nfiles), "original_bytes": stats.map(|stats| stats.original),
            "compressed_bytes": stats.map(|stats| stats.compressed), "deduplicated_bytes": deduplicated,
            "authenticated": authenticated,
            "directories": directories.map(|all| all.iter().map(directory).collect::<Vec<_>>()),
        }));
        return Ok(());
    }
    let command = shlex::try_join(info.command_line.iter().map(String::as_str))
        .unwrap_or_else(|_| info.command_line.join(" "));
    let mut fields = vec![
        ("word-name", info.name.clone()),
        ("word-id", info.id.to_string()),
        ("word-host", info.hostname.clone()),
        ("word-user", info.username.clone()),
        ("word-begun", utc(&info.start)),
        ("word-ended", end.unwrap_or_default()),
        ("word-command", command),
        ("word-comment", info.comment.clone()),
    ];
    if let Some(stats) = stats {
        fields.push(("word-files", stats.nfiles.to_string()));
        fields.push(("word-size", human_bytes(stats.original)));
        fields.push(("word-compressed", human_bytes(stats.compressed)));
    }
    if let Some(bytes) = deduplicated {
        fields.push(("word-deduplicated", human_bytes(bytes)));
    }
    let answer = if info.tam == Tam::Verified { "word-yes" } else { "word-no" };
    fields.push(("word-authenticated", ui.word(answer)));
    show(&fields, ui);
    if let Some(directories) = directories {
        show_directories(&directories, ui);
    }
    Ok(())
}

/// A directory as JSON. Documented in `docs/json.md`.
fn directory(size: &DirectorySize) -> serde_json::Value {
    json!({
        "path": String::from_utf8_lossy(&size.path), "files": size.files, "original_bytes": size.original,
        "compressed_bytes": size.stored, "unique_bytes": size.unique,
    })
}

fn show_directories(directories: &[DirectorySize], ui: &Ui) {
    let words = ["word-files", "word-size", "word-compressed", "word-unique", "word-path"];
    let mut table = view::table(&words.map(|word| ui.word(word)));
    view::align_right(&mut table, &[0, 1, 2, 3]);
    for size in directories {
        let path = if size.path.is_empty() { ".".to_owned() } else { name(&size.path) };
        let sizes = [size.original, size.stored, size.unique].map(human_bytes);
        table.add_row([&[size.files.to_string()], &sizes[..], &[path]].concat());
    }
    ui.line(format!("\n{table}"));
}

/// One field a line; those without a value are left out.
fn show(fields: &[(&'static str, String)], ui: &Ui) {
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        ui.line(format!("{:<15} {}", ui.word(key), one_line(value)));
    }
}
