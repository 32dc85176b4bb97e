//! What an archive's paths and records tell.

use std::collections::BTreeSet;

use reprise_engine::SourceError;
use reprise_model::{Observer, Unobserved};

use super::super::analyse;
use super::*;
use crate::backup::{Backup, Entry, EntryKind};

/// An archive in memory: paths that end in a slash are directories.
struct Archive(Vec<(&'static str, &'static str)>);

impl Backup for Archive {
    fn each_entry(&self, visit: &mut dyn FnMut(Entry<'_>), _: &dyn Observer) -> Result<(), SourceError> {
        for (path, content) in &self.0 {
            let kind = if path.ends_with('/') { EntryKind::Directory } else { EntryKind::File };
            let path = path.trim_end_matches('/').as_bytes();
            // Content may lead to the first name of the same file.
            let first = content.strip_prefix("= ").map(str::as_bytes);
            let of_first = self.0.iter().find(|(path, _)| Some(path.as_bytes()) == first);
            let bytes = of_first.map_or(content, |(_, content)| content).len() as u64;
            visit(Entry { path, kind, bytes, first });
        }
        Ok(())
    }

    fn directory(&self) -> Option<PathBuf> {
        None
    }

    fn read(&self, paths: &BTreeSet<String>, limit: u64) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        let wanted =
            self.0.iter().filter(|(path, content)| paths.contains(*path) && content.len() as u64 <= limit);
        Ok(wanted.map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec())).collect())
    }
}

const COMPOSE: &str = "services: {db: {image: postgres, volumes: [db:/data]}}\nvolumes: {db: {}}\n";

fn names(contents: &Contents) -> Vec<String> {
    contents.items.iter().map(|item| item.reference().to_string()).collect()
}

fn analysed(entries: Vec<(&'static str, &'static str)>) -> Contents {
    analyse("nightly", &Archive(entries), &Unobserved).unwrap()
}

#[test]
fn volumes_projects_and_configs_are_found_by_their_paths() {
    let contents = analysed(vec![
        ("etc/docker/", ""),
        ("etc/docker/daemon.json", "{}"),
        ("srv/shop/", ""),
        ("srv/shop/compose.yaml", COMPOSE),
        ("srv/shop/site/", ""),
        ("srv/shop/site/index.html", "hello"),
        ("var/lib/docker/volumes/shop_db/_data/", ""),
        ("var/lib/docker/volumes/shop_db/_data/base/", ""),
        ("var/lib/docker/volumes/shop_db/_data/base/1", "1234567"),
        ("home/someone/notes", "not Docker's"),
    ]);
    assert_eq!(names(&contents), ["volume:shop_db", "project:shop", "config:docker"]);
    assert_eq!(contents.origin, Origin::Paths);
    let volume = &contents.items[0];
    assert_eq!((volume.bytes, volume.entries), (7, 3));
    assert_eq!((volume.project.as_deref(), volume.volume_key.as_deref()), (Some("shop"), Some("db")));
    assert_eq!(contents.items[1].compose_file.as_deref(), Some("compose.yaml"));
    assert_eq!(contents.items[1].entries, 4);
}

#[test]
fn what_containers_keep_inside_their_volumes_is_not_looked_into() {
    let contents = analysed(vec![
        ("var/lib/docker/volumes/ci/_data/", ""),
        ("var/lib/docker/volumes/ci/_data/repo/compose.yaml", COMPOSE),
        ("var/lib/docker/volumes/ci/_data/docker/volumes/inner/_data/", ""),
    ]);
    assert_eq!(names(&contents), ["volume:ci"]);
}

#[test]
fn of_several_compose_files_the_one_compose_takes_counts() {
    let contents = analysed(vec![
        ("srv/a/", ""),
        ("srv/a/docker-compose.yml", "name: old"),
        ("srv/a/compose.yaml", "name: new"),
    ]);
    assert_eq!(names(&contents), ["project:new"]);
}

#[test]
fn two_projects_of_one_name_are_kept_apart() {
    let contents = analysed(vec![
        ("srv/a/shop/", ""),
        ("srv/a/shop/compose.yaml", COMPOSE),
        ("srv/b/shop/", ""),
        ("srv/b/shop/compose.yaml", COMPOSE),
    ]);
    assert_eq!(names(&contents), ["project:shop", "project:srv-b-shop"]);
}

#[test]
fn a_compose_file_that_cannot_be_read_is_still_a_project_and_is_pointed_out() {
    let contents = analysed(vec![("srv/shop/", ""), ("srv/shop/compose.yaml", "services: [")]);
    assert_eq!(names(&contents), ["project:shop"]);
    assert_eq!(contents.findings[0].code(), "compose-unreadable");
}

#[test]
fn what_the_backup_recorded_goes_before_what_paths_tell() {
    let record = r#"{"reprise_backup": 1, "actual_backed_up_items": [
        {"kind": "volume", "name": "v", "path": "/data/volumes/v/_data"},
        {"kind": "volume", "name": "lost", "path": "/data/volumes/lost/_data"}]}"#;
    let contents = analysed(vec![
        ("reprise-backup.json", record),
        ("data/volumes/v/_data/", ""),
        ("data/volumes/v/_data/file", "x"),
        ("srv/shop/compose.yaml", COMPOSE),
    ]);
    assert_eq!(names(&contents), ["volume:v"]);
    assert_eq!(contents.origin, Origin::Recorded);
    assert_eq!(contents.findings[0].code(), "recorded-item-missing");
}

#[test]
fn a_record_that_cannot_be_used_is_pointed_out_and_passed_over() {
    let contents =
        analysed(vec![("reprise-backup.json", "{"), ("srv/shop/", ""), ("srv/shop/compose.yaml", COMPOSE)]);
    assert_eq!(names(&contents), ["project:shop"]);
    assert_eq!(contents.findings[0].code(), "record-unusable");
}

#[test]
fn hostile_paths_are_no_items() {
    let contents = analysed(vec![
        ("../volumes/x/_data/", ""),
        ("srv/../etc/compose.yaml", COMPOSE),
        ("/volumes/y/_data/", ""),
    ]);
    assert!(contents.items.is_empty(), "{:?}", names(&contents));
}

#[test]
fn an_archive_without_docker_holds_nothing() {
    assert!(analysed(vec![("home/someone/notes", "x")]).items.is_empty());
}

#[test]
fn a_record_that_a_container_may_have_written_is_not_believed() {
    let record = r#"{"reprise_backup": 1, "actual_backed_up_items": []}"#;
    let contents = analysed(vec![
        ("var/lib/docker/volumes/v/_data/", ""),
        ("var/lib/docker/volumes/v/_data/reprise-backup.json", record),
        ("srv/shop/", ""),
        ("srv/shop/compose.yaml", COMPOSE),
        ("srv/shop/site/reprise-backup.json", record),
    ]);
    assert_eq!(contents.origin, Origin::Paths);
    assert_eq!(names(&contents), ["volume:v", "project:shop"]);
}

#[test]
fn an_old_copy_of_a_volume_does_not_pass_for_it() {
    let contents = analysed(vec![
        ("srv/old/volumes/v/_data/", ""),
        ("var/lib/docker/volumes/v/_data/", ""),
        ("var/lib/docker/volumes/v/_data/file", "x"),
    ]);
    assert_eq!(names(&contents), ["volume:v"]);
    assert_eq!(contents.items[0].path, "var/lib/docker/volumes/v/_data");
    assert_eq!(contents.findings[0].code(), "volume-twice");
}

#[test]
fn a_directory_that_is_not_in_the_archive_itself_is_no_item() {
    let contents = analysed(vec![("srv/shop/compose.yaml", COMPOSE)]);
    assert!(contents.items.is_empty());
    assert_eq!(contents.findings[0].code(), "directory-not-archived");
}

#[test]
fn a_file_counts_once_in_every_item_that_has_a_name_of_it() {
    let contents = analysed(vec![
        ("srv/a/", ""),
        ("srv/a/compose.yaml", COMPOSE),
        ("srv/a/file", "12345"),
        ("srv/a/same", "= srv/a/file"),
        ("srv/b/", ""),
        ("srv/b/compose.yaml", COMPOSE),
        ("srv/b/one", "= srv/a/file"),
        ("srv/b/two", "= srv/a/file"),
    ]);
    let more: Vec<u64> = contents.items.iter().map(|item| item.bytes - COMPOSE.len() as u64).collect();
    assert_eq!(more, [5, 5]);
    assert_eq!(contents.bytes, 5 + 2 * COMPOSE.len() as u64, "the whole archive holds it once");
}
