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
use serde::Deserialize;

use super::layout::{is_plain, is_volume_name, volume_name};

/// The version that is understood here.
const VERSION: u64 = 1;

#[derive(Debug, Deserialize)]
struct Document {
    reprise_backup: u64,
    actual_backed_up_items: Vec<RecordedItem>,
}

/// One item, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RecordedItem {
    pub kind: ItemKind,
    pub name: String,
    pub path: String,
    #[serde(default)]
    pub compose_file: Option<String>,
    #[serde(default)]
    pub project: Option<String>,
    #[serde(default)]
    pub volume_key: Option<String>,
}

/// The items that `content` records, their paths as in the archive; or why it cannot be used.
pub(super) fn parse(content: &[u8]) -> Result<Vec<RecordedItem>, String> {
    let document: Document = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    if document.reprise_backup != VERSION {
        return Err(format!("version {} is not known here", document.reprise_backup));
    }
    let mut items = document.actual_backed_up_items;
    for item in &mut items {
        item.path = item.path.trim_matches('/').to_owned();
        let steers = [&item.path, &item.name].into_iter().any(|text| text.contains(char::is_control));
        // A volume's name says where it goes, so its path must say the same.
        let astray = item.kind == ItemKind::Volume && volume_name(&item.path) != Some(item.name.as_str());
        if !is_plain(&item.path) || steers || astray {
            return Err(format!("the path of {}:{} is not one", item.kind, item.name));
        }
        let name_is_sound = match item.kind {
            ItemKind::Volume => is_volume_name(&item.name),
            // Names become directories below an alternative location.
            ItemKind::Project | ItemKind::Config => is_plain(&item.name) && !item.name.contains('/'),
        };
        let file_is_sound =
            item.compose_file.as_deref().is_none_or(|file| is_plain(file) && !file.contains('/'));
        if !name_is_sound || !file_is_sound {
            return Err(format!("`{}` is no name for a {}", item.name, item.kind));
        }
    }
    Ok(items)
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
