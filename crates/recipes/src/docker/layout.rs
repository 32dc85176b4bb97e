//! Where things of Docker lie in an archive.

/// Names a compose file may have, the one Compose prefers first.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// The directory of the engine's configuration.
pub(super) const ENGINE_CONFIG: &str = "etc/docker";

/// The file in which a backup records what it took along.
pub(super) const RECORD_FILE: &str = "reprise-backup.json";

/// How much Compose prefers a file of this name: less is more. Nothing for any other file.
pub(super) fn compose_rank(file_name: &str) -> Option<usize> {
    COMPOSE_FILES.iter().position(|name| *name == file_name)
}

/// The file that Compose lays over `compose_file` when it lies beside it.
pub(super) fn override_of(compose_file: &str) -> Option<String> {
    let (stem, extension) = compose_file.rsplit_once('.')?;
    compose_rank(compose_file).map(|_| format!("{stem}.override.{extension}"))
}

/// The name of the volume whose data directory `path` is: `…/volumes/NAME/_data`, wherever the engine's
/// data lay.
pub(super) fn volume_name(path: &str) -> Option<&str> {
    let rest = path.strip_suffix("/_data")?;
    let (parent, name) = rest.rsplit_once('/')?;
    let in_volumes = parent == "volumes" || parent.ends_with("/volumes");
    (in_volumes && is_volume_name(name)).then_some(name)
}

/// Docker's own rule for names of volumes. Nothing else may become an argument or a path.
pub(super) fn is_volume_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter))
}

/// Whether `path` lies inside `directory`, or is it.
pub(super) fn within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `path` can be one of an archive's: relative, every part a plain name.
pub(super) fn is_plain(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_known_by_their_data_directories() {
        assert_eq!(volume_name("var/lib/docker/volumes/shop_db/_data"), Some("shop_db"));
        assert_eq!(volume_name("srv/engine/volumes/a.b-c/_data"), Some("a.b-c"));
        assert_eq!(volume_name("var/lib/docker/volumes/shop_db/_data/x"), None);
        assert_eq!(volume_name("var/lib/docker/volumes/-rf/_data"), None);
        assert_eq!(volume_name("_data"), None);
    }

    #[test]
    fn overrides_are_named_after_their_file() {
        assert_eq!(override_of("compose.yaml").as_deref(), Some("compose.override.yaml"));
        assert_eq!(override_of("other.yaml"), None);
    }

    #[test]
    fn a_directory_holds_itself_but_not_its_neighbour() {
        assert!(within("srv/shop", "srv/shop") && within("srv/shop/a", "srv/shop"));
        assert!(!within("srv/shop2", "srv/shop"));
    }

    #[test]
    fn hostile_paths_are_not_plain() {
        for path in ["", "/etc", "a/../b", "a//b", "./a", "a/"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
