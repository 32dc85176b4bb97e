//! Rewriting a compose file so that the project works from another place (DR-6).
//!
//! What was restored beside the original is found again: named volumes whose data was restored become bind
//! mounts of the restored directories, paths of the host are replaced by the restored ones. What cannot be
//! decided here (fixed container names, published ports, things that were not restored) is left as it is and
//! reported as [`AdaptNote`]s.
//!
//! The text is edited, not written anew: only the values that change are replaced, so comments, order, quoting,
//! anchors and line ends stay. The result is parsed again and refused if anything else changed.

mod notes;
mod plan;
mod sites;
mod splice;
mod verify;

use std::collections::BTreeMap;

use indexmap::IndexSet;
use reprise_model::Adaptation;
use serde::{Deserialize, Serialize};

pub use notes::AdaptNote;
pub use splice::Change;

use super::dotenv::Variables;
use super::error::ComposeError;
use super::name::{project_name, project_name_origin};
use super::paths::clean;
use super::read::read_tree;
use super::yaml::Tree;

/// Where a project was, and where it and its data are now. All paths are absolute paths on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relocation {
    /// The project directory at the time of the backup.
    pub from_project_dir: String,
    /// The directory it was restored to.
    pub to_project_dir: String,
    /// Volumes whose data was restored, by real name (or, failing that, by key), and where it lies now.
    pub volumes: BTreeMap<String, String>,
    /// Other paths of the host that were restored, and where they lie now. What lies below moves along; of
    /// several that fit, the longest counts.
    pub paths: BTreeMap<String, String>,
    /// The text of the project's `.env` file.
    pub dot_env: Option<String>,
    /// The original project's name, if it is known (from the labels of its containers or volumes). Otherwise
    /// it is worked out from `.env`, the file and the directory.
    pub project: Option<String>,
}

/// A file to be written into the project directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The result of an adaptation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapted {
    /// The files to write: the compose file itself first, then the original if it is kept.
    pub files: Vec<OutputFile>,
    /// What was replaced, in the order of the text.
    pub changes: Vec<Change>,
    /// What the user should know.
    pub notes: Vec<AdaptNote>,
}

impl Adapted {
    /// The text of the compose file itself.
    pub fn text(&self) -> &str {
        self.files.first().map(|file| file.text.as_str()).unwrap_or_default()
    }
}

/// The name under which [`Adaptation::GenerateNew`] keeps the original.
pub fn original_file_name(file_name: &str) -> String {
    format!("{file_name}.original")
}

/// Adapts one compose file, called `file_name` in its directory, to the place its project was restored to.
///
/// A project of several files (overrides, `include`, `extends` from another file) needs one call per file; set
/// [`Relocation::project`] then, because only the main file may carry the name. For an included or extended file
/// in another directory the project directories are those its relative paths count from.
///
/// With [`Adaptation::None`] the text comes back as it is, even if it is not valid; the notes then tell what
/// collides with the original, as far as the file can be read.
pub fn adapt(
    file_name: &str,
    text: &str,
    adaptation: Adaptation,
    relocation: &Relocation,
) -> Result<Adapted, ComposeError> {
    let relocation = checked(relocation)?;
    let rewritten = match (rewrite(text, &relocation, adaptation == Adaptation::None), adaptation) {
        (Err(_), Adaptation::None) => Rewritten::default(),
        (result, _) => result?,
    };
    let mut files = vec![OutputFile { name: file_name.to_owned(), text: text.to_owned() }];
    if adaptation == Adaptation::GenerateNew {
        files.push(OutputFile { name: original_file_name(file_name), text: text.to_owned() });
    }
    if let Some(text) = rewritten.text {
        files[0].text = text;
    }
    Ok(Adapted { files, changes: rewritten.changes, notes: rewritten.notes })
}

#[derive(Default)]
struct Rewritten {
    text: Option<String>,
    changes: Vec<Change>,
    notes: Vec<AdaptNote>,
}

fn rewrite(text: &str, relocation: &Relocation, notes_only: bool) -> Result<Rewritten, ComposeError> {
    let tree = Tree::parse(text)?;
    let variables = relocation.dot_env.as_deref().map(Variables::from_dot_env).unwrap_or_default();
    let compose = read_tree(&tree, &variables)?;
    let dot_env = relocation.dot_env.as_deref();
    let original = relocation
        .project
        .clone()
        .unwrap_or_else(|| project_name(&relocation.from_project_dir, &compose, dot_env));
    let restored = project_name_origin(&relocation.to_project_dir, &compose, dot_env);

    let plan = plan::plan(&tree, &compose, &variables, relocation, &original)?;
    let mut notes = notes::collisions(&compose, &original, &restored);
    if notes_only {
        return Ok(Rewritten { text: None, changes: Vec::new(), notes });
    }
    notes.extend(notes::volumes(&compose, &original, &restored, &plan));
    // What is shared by several services would be told several times.
    notes.extend(plan.notes.into_iter().collect::<IndexSet<_>>());
    let edits = sites::edits(&tree, plan.wishes)?;
    let (text, changes) = splice::apply(text, &tree, &edits);
    verify::only_these(&tree, &text, &edits)?;
    Ok(Rewritten { text: Some(text), changes, notes })
}

/// The relocation with clean paths, all of them absolute.
fn checked(relocation: &Relocation) -> Result<Relocation, ComposeError> {
    let path = |path: &String| {
        if path.starts_with('/') && !path.contains('\0') {
            Ok(clean(path))
        } else {
            Err(ComposeError::RelativeLocation { path: path.clone() })
        }
    };
    let mut volumes = BTreeMap::new();
    for (name, to) in &relocation.volumes {
        volumes.insert(name.clone(), path(to)?);
    }
    let mut paths = BTreeMap::new();
    for (from, to) in &relocation.paths {
        paths.insert(path(from)?, path(to)?);
    }
    Ok(Relocation {
        from_project_dir: path(&relocation.from_project_dir)?,
        to_project_dir: path(&relocation.to_project_dir)?,
        volumes,
        paths,
        dot_env: relocation.dot_env.clone(),
        project: relocation.project.clone(),
    })
}
