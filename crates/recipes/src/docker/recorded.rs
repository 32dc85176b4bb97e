//! What a backup recorded of itself: `reprise-backup.json`, wherever in the archive (DR-9).
//!
//! ```json
//! {"reprise_backup": 1,
//!  "actual_backed_up_items": [
//!    {"kind": "volume", "name": "shop_db", "path": "/var/lib/docker/volumes/shop_db/_data", "project": "shop"},
//!    {"kind": "project", "name": "shop", "path": "/srv/shop", "compose_file": "docker-compose.yml"},
//!    {"kind": "config", "name": "docker", "path": "/etc/docker"}]}
//! ```

use reprise_model::ItemKind;
use serde::{Deserialize, Serialize};

use super::layout::{is_plain, is_volume_name, volume_name};

/// The version that is understood here.
pub(super) const VERSION: u64 = 1;

#[derive(Debug, Deserialize)]
struct Document {
    reprise_backup: u64,
    actual_backed_up_items: Vec<RecordedItem>,
}

/// One item, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedItem {
    /// Its kind.
    pub kind: ItemKind,
    /// Its name, unique within its kind.
    pub name: String,
    /// Where it lies.
    pub path: String,
    /// For a project: its compose file's name within `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose_file: Option<String>,
    /// For a volume: the Compose project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// For a volume of a project: what the compose file calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_key: Option<String>,
}

impl RecordedItem {
    /// An item of which no more is known.
    pub(super) fn new(kind: ItemKind, name: &str, path: &str) -> Self {
        let (name, path) = (name.to_owned(), path.to_owned());
        Self { kind, name, path, compose_file: None, project: None, volume_key: None }
    }
}

/// The items that `content` records, their paths as in the archive; or why it cannot be used.
pub(super) fn parse(content: &[u8]) -> Result<Vec<RecordedItem>, String> {
    let document: Document = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    if document.reprise_backup != VERSION {
        return Err(format!("version {} is not known here", document.reprise_backup));
    }
    let mut items = document.actual_backed_up_items;
    for item in &mut items {
        sound(item)?;
        item.path = item.path.trim_matches('/').to_owned();
    }
    Ok(items)
}

/// Whether an item is what it says and leads nowhere else; or why not.
pub(super) fn sound(item: &RecordedItem) -> Result<(), String> {
    let path = item.path.trim_matches('/');
    let steers = [path, &item.name].into_iter().any(|text| text.contains(char::is_control));
    // A volume's name says where it goes, so its path must say the same.
    let astray = item.kind == ItemKind::Volume && volume_name(path) != Some(item.name.as_str());
    if !is_plain(path) || steers || astray {
        return Err(format!("the path of {}:{} is not one", item.kind, item.name));
    }
    let name_is_sound = match item.kind {
        ItemKind::Volume => is_volume_name(&item.name),
        // Names become directories below an alternative location.
        ItemKind::Project | ItemKind::Config => is_plain(&item.name) && !item.name.contains('/'),
    };
    let file_is_sound = item.compose_file.as_deref().is_none_or(|file| is_plain(file) && !file.contains('/'));
    if !name_is_sound || !file_is_sound {
        return Err(format!("`{}` is no name for a {}", item.name, item.kind));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_read() {
        let text = br#"{"reprise_backup": 1, "more": true, "actual_backed_up_items": [
            {"kind": "volume", "name": "v", "path": "/var/lib/docker/volumes/v/_data", "project": "p"}]}"#;
        let items = parse(text).unwrap();
        assert_eq!(items[0].path, "var/lib/docker/volumes/v/_data");
        assert_eq!(items[0].project.as_deref(), Some("p"));
    }

    #[test]
    fn a_record_that_leads_astray_is_refused() {
        let item = |kind: &str, name: &str, path: &str| {
            format!(
                r#"{{"reprise_backup":1,"actual_backed_up_items":[{{"kind":"{kind}","name":"{name}","path":"{path}"}}]}}"#
            )
        };
        assert!(parse(item("volume", "v", "/data/other/_data").as_bytes()).is_err());
        assert!(parse(item("project", "p\\u001b]0;", "/a").as_bytes()).is_err());
        assert!(parse(item("volume", "v", "/a/../etc").as_bytes()).is_err());
        assert!(parse(item("volume", "../v", "/a").as_bytes()).is_err());
        assert!(parse(item("project", "a/b", "/a").as_bytes()).is_err());
        assert!(parse(br#"{"reprise_backup": 2, "actual_backed_up_items": []}"#).is_err());
    }
}
