//! Compose files made to fit an alternative location (DR-6), as edits of the staged trees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reprise_engine::Edit;
use reprise_model::{Adaptation, Finding, ItemKind, Message, Severity};
use serde::Serialize;

use super::compose::{AdaptNote, Relocation, adapt, original_file_name, unified_diff};
use super::layout::override_of;
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
    let text = |name: &str| facts.texts.get(&format!("{}/{name}", site.item.path));
    let relocation = relocation(site, facts, text(".env").cloned());
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    let about = |message: Message| Finding::new(Severity::Warning, message).about(site.item.reference());
    for name in [Some(main.clone()), override_of(&main)].into_iter().flatten() {
        let Some(before) = text(&name) else {
            if name == main {
                findings.push(about(Message::new("adapt-not-text").text("file", &name)));
            }
            continue;
        };
        match adapt(&name, before, adaptation, &relocation) {
            Ok(adapted) => {
                findings.extend(adapted.notes.iter().map(|note| about(in_words(note, &name))));
                let original = (adaptation == Adaptation::GenerateNew).then(|| original_file_name(&name));
                if adapted.text() != before || original.is_some() {
                    let content = adapted.text().to_owned();
                    let edit = Edit { path: PathBuf::from(&name), content, original };
                    files.push(AdaptedFile { edit, before: before.clone() });
                }
            }
            Err(error) => {
                let message = Message::new("adapt-failed").text("file", &name).text("reason", error);
                let advice = Message::new("adapt-failed-advice");
                findings.push(Finding { severity: Severity::Blocker, ..about(message) }.advise(advice));
            }
        }
    }
    (files, findings)
}

/// Where everything that is restored along with the project at `site` comes to lie.
fn relocation(site: &Site, facts: &Facts, dot_env: Option<String>) -> Relocation {
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
        from_project_dir: format!("/{}", site.item.path),
        to_project_dir: text(&site.target),
        volumes,
        paths,
        dot_env,
        project: None,
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
