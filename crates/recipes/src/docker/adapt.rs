//! Compose files made to fit an alternative location (DR-6), as edits of the staged trees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reprise_engine::Edit;
use reprise_model::{Adaptation, Finding, ItemKind, Message, Severity};
use serde::Serialize;

use super::compose::{AdaptNote, Relocation, adapt, original_file_name, unified_diff};
use super::files::ProjectFile;
use super::survey::{Facts, Site};

/// What an adaptation changes in one compose file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The file, where it will lie.
    pub path: PathBuf,
    /// The change as a unified diff; empty when nothing changes.
    pub diff: String,
}

/// One compose file and what becomes of it.
struct AdaptedFile {
    edit: Edit,
    before: String,
}

/// The diffs of all compose files that `adaptation` changes, for showing before anything happens.
pub fn preview(facts: &Facts, adaptation: Adaptation) -> Vec<Preview> {
    let projects = facts.sites.iter().filter(|site| site.item.kind == ItemKind::Project);
    let files = projects.flat_map(|site| {
        let (files, _) = adapted(site, facts, adaptation);
        files.into_iter().map(|file| (site.target.join(&file.edit.path), file))
    });
    files
        .map(|(path, file)| {
            let diff = unified_diff(
                path.to_string_lossy().trim_start_matches('/'),
                &file.before,
                &file.edit.content,
            );
            Preview { path, diff }
        })
        .collect()
}

/// The edits for the project at `site`, and what its user should know.
pub(super) fn edits(site: &Site, facts: &Facts, adaptation: Adaptation) -> (Vec<Edit>, Vec<Finding>) {
    let (files, findings) = adapted(site, facts, adaptation);
    (files.into_iter().map(|file| file.edit).collect(), findings)
}

fn adapted(site: &Site, facts: &Facts, adaptation: Adaptation) -> (Vec<AdaptedFile>, Vec<Finding>) {
    let Some(main) = site.item.compose_file.clone().filter(|_| adaptation != Adaptation::None) else {
        return (Vec::new(), Vec::new());
    };
    let directory = site.item.path.as_str();
    let all = facts.texts.files(directory, &main);
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    let about = |message: Message| Finding::new(Severity::Warning, message).about(site.item.reference());
    for file in &all {
        let name = &file.name;
        let Some(before) = facts.texts.editable(directory, name) else {
            if *name == main || facts.texts.get(directory, name).is_some() {
                findings.push(about(Message::new("adapt-not-text").text("file", name)));
            }
            continue;
        };
        let file_name = name.rsplit('/').next().unwrap_or(name);
        match adapt(file_name, before, adaptation, &relocation(site, facts, file, *name != main)) {
            Ok(adapted) => {
                let handled = |note: &AdaptNote| match note {
                    AdaptNote::OtherComposeFile { path } => {
                        all.iter().any(|file| *path == format!("/{directory}/{}", file.name))
                    }
                    // Said of the main file.
                    AdaptNote::ProjectNameKept { .. } => *name != main,
                    _ => false,
                };
                let notes = adapted.notes.iter().filter(|note| !handled(note));
                findings.extend(notes.map(|note| about(in_words(note, name))));
                let original = (adaptation == Adaptation::GenerateNew).then(|| original_file_name(file_name));
                if adapted.text() != before || original.is_some() {
                    let content = adapted.text().to_owned();
                    let edit = Edit { path: PathBuf::from(name), content, original };
                    files.push(AdaptedFile { edit, before: before.to_owned() });
                }
            }
            Err(error) => {
                let message = Message::new("adapt-failed").text("file", name).text("reason", error);
                findings.push(Finding { severity: Severity::Blocker, ..about(message) });
            }
        }
    }
    (files, findings)
}

/// Where everything that is restored along with the project at `site` comes to lie, as its compose file `file` means
/// it. `further` says that it is not the one that may name the project.
fn relocation(site: &Site, facts: &Facts, file: &ProjectFile, further: bool) -> Relocation {
    let below = |directory: &std::path::Path| match file.base.as_str() {
        "" => directory.to_owned(),
        base => directory.join(base),
    };
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let mut volumes = BTreeMap::new();
    let mut paths = BTreeMap::new();
    for other in &facts.sites {
        match other.item.kind {
            ItemKind::Volume => {
                volumes.insert(other.item.name.clone(), text(&other.target));
            }
            ItemKind::Project | ItemKind::Config => {}
        }
        paths.insert(format!("/{}", other.item.path), text(&other.target));
    }
    Relocation {
        from_project_dir: text(&below(&std::path::Path::new("/").join(&site.item.path))),
        to_project_dir: text(&below(&site.target)),
        volumes,
        paths,
        dot_env: facts.texts.get(&site.item.path, ".env").map(ToOwned::to_owned),
        project: further.then(|| site.item.name.clone()),
    }
}

/// A note of the adaptation as a message.
fn in_words(note: &AdaptNote, file: &str) -> Message {
    let message = match note {
        AdaptNote::ProjectNameKept { name, .. } => Message::new("adapt-project-name").text("name", name),
        AdaptNote::ContainerNameKept { service, name } => {
            Message::new("adapt-container-name").text("service", service).text("name", name)
        }
        AdaptNote::PortKept { service, published, .. } => {
            Message::new("adapt-port").text("service", service).text("port", published)
        }
        other => {
            let words = serde_json::to_value(other).unwrap_or_default();
            let kind = words.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default().replace('_', " ");
            let details: Vec<String> = words
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(key, value)| *key != "kind" && !value.is_null())
                .map(|(key, value)| {
                    format!("{key} {}", value.as_str().map_or(value.to_string(), str::to_owned))
                })
                .collect();
            Message::new("adapt-note").text("note", format!("{kind}: {}", details.join(", ")))
        }
    };
    message.text("file", file)
}
