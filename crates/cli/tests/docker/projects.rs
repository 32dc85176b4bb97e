//! Ten projects as people really have them: each is backed up, lost, and comes back, in place and elsewhere with each
//! adaptation, and it runs again with its data. With what was recorded of Docker in the backup, it runs by itself.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::recreated::record_in;
use crate::support::{Ended, Shop, Tree, assert_same, docker, made, page, run, run_in};

/// A project from `tests/projects`, in a directory of its own.
struct Project {
    shop: Shop,
    dir: PathBuf,
    /// Compose's name for it.
    name: String,
    port: u16,
    /// The one that its files ask for, if they ask for one.
    subnet: String,
    /// Named volumes: what Docker calls them.
    volumes: Vec<String>,
    /// What else was made for it.
    more: Vec<[String; 2]>,
    /// What is restored in place; nothing for all.
    items: Vec<String>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Project {
    fn new(kind: &str) -> Self {
        let shop = Shop::unbuilt();
        let name = format!("{}{kind}", shop.name);
        let dir = shop.sandbox.dir.join("srv").join(&name);
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects").join(kind);
        run_in(Path::new("/"), "cp", ["-a", template.to_str().unwrap(), dir.to_str().unwrap()]);
        let port = free_port();
        let subnet = format!("10.213.{}.0/24", std::process::id() % 200);
        let values = [
            ("@IMAGE@", "reprise-test/web:1".to_owned()),
            ("@REPOSITORY@", "reprise-test/web".to_owned()),
            ("@NAME@", name.clone()),
            ("@PORT@", port.to_string()),
            ("@PORT2@", free_port().to_string()),
            ("@DIR@", dir.display().to_string()),
            ("@SUBNET@", subnet.clone()),
        ];
        for file in run_in(&dir, "find", [".", "-type", "f"]).lines() {
            let path = dir.join(file);
            let text = fs::read_to_string(&path).unwrap();
            let filled = values.iter().fold(text.clone(), |text, (key, value)| text.replace(key, value));
            if filled != text {
                fs::write(&path, filled).unwrap();
            }
        }
        let name = if kind == "monitoring" { format!("{name}mon") } else { name };
        Self { shop, dir, name, port, subnet, volumes: Vec::new(), more: Vec::new(), items: Vec::new() }
    }

    fn compose_in(dir: &Path, args: &[&str]) -> Ended {
        run(Command::new("docker-compose").args(args).current_dir(dir).env("COMPOSE_HTTP_TIMEOUT", "300"))
    }

    fn compose(&self, args: &[&str]) -> String {
        Self::compose_in(&self.dir, args).expect(0).stdout
    }

    /// Makes it run, and puts something into each of its volumes.
    fn up(&mut self) {
        self.compose(&["up", "-d"]);
        let names = docker(["volume", "ls", "-q", "--filter", &format!("name={}", self.shop.name)]);
        self.volumes = names.lines().map(ToOwned::to_owned).collect();
        for volume in &self.volumes {
            fs::write(Self::data(volume).join("index.html"), format!("data of {volume}\n")).unwrap();
        }
    }

    fn data(volume: &str) -> PathBuf {
        Path::new("/var/lib/docker/volumes").join(volume).join("_data")
    }

    /// Backs it up, and `more`.
    fn back_up(&self, archive: &str, more: Option<PathBuf>) {
        let volumes = self.volumes.iter().map(|name| Self::data(name).parent().unwrap().to_owned());
        let paths: Vec<PathBuf> = std::iter::once(self.dir.clone()).chain(volumes).chain(more).collect();
        let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        self.shop.borg(&[&["create", &format!("::{archive}")], &paths[..]].concat());
    }

    /// Everything of it is gone: containers, networks, volumes, files.
    fn lose(&self) {
        self.compose(&["--profile", "full", "--profile", "debug", "down", "--volumes", "--remove-orphans"]);
        for [kind, name] in &self.more {
            docker([kind, "rm", name]);
        }
        fs::remove_dir_all(&self.dir).unwrap();
    }

    /// What Docker has of it.
    fn objects(&self) -> Vec<String> {
        made(&[], &self.shop.name, &self.subnet)
    }

    /// Lost, and restored whole from an archive that what there is of Docker was recorded in, it is there as it was and runs,
    /// without another command.
    fn expect_back_as_recorded(&self, shows: &str) {
        self.back_up("recorded", Some(record_in(&self.shop, |_| true)));
        let before = self.objects();
        self.lose();
        let archive = self.shop.archive("recorded");
        let ended = self.shop.reprise(&["docker", "restore", &archive, "--in-place", "--yes"]);
        assert!(ended.code <= 1, "{}\n{}", ended.stdout, ended.stderr);
        assert_eq!(before, self.objects(), "{}\n{}", ended.stdout, ended.stderr);
        assert!(page(self.port, "index.html").contains(shows));
        self.expect_data();
    }

    /// Each volume has what was put into it.
    fn expect_data(&self) {
        for volume in &self.volumes {
            let text = fs::read_to_string(Self::data(volume).join("index.html")).unwrap();
            assert_eq!(text, format!("data of {volume}\n"), "Compose made another volume");
        }
    }

    fn make_more(&self) {
        for [kind, name] in &self.more {
            docker([kind, "create", name]);
        }
    }

    /// Restored with each adaptation below a new directory, Compose takes it, and finds everything there.
    fn expect_elsewhere(&self) {
        let archived = self.archived();
        for adapt in ["none", "auto-modify", "generate-new"] {
            let to = self.shop.sandbox.dir.join(adapt);
            let archive = self.shop.archive("nightly");
            let args =
                ["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--adapt", adapt, "--yes"];
            let ended = self.shop.reprise(&args);
            assert!(ended.code <= 1, "{adapt}: {}\n{}", ended.stdout, ended.stderr);
            let project = to.join("compose").join(&self.name);
            let config = Self::compose_in(&project, &["--profile", "full", "--profile", "debug", "config"]);
            assert_eq!(config.code, 0, "{adapt}: {}", config.stderr);
            for (volume, tree) in &archived {
                assert_same(tree, &Tree::of(&to.join("volumes").join(volume)), volume);
            }
            if adapt == "none" {
                let same = |path: &Path| Tree::of(path).without_root_time();
                assert_same(&same(&self.extracted()), &same(&project), "the project");
            } else {
                self.expect_resolved(&config.stdout, &to, &ended.stdout);
            }
            self.shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
            assert!(!to.exists(), "{adapt}: something is left over");
        }
    }

    /// What Compose makes of the adapted files: nothing leads to where the project was, what leads to where it is now is
    /// there, and each volume that was restored is one of those.
    fn expect_resolved(&self, config: &str, to: &Path, said: &str) {
        let old = self.dir.display().to_string();
        assert!(!config.contains(&old), "{old} is still meant:\n{config}");
        let to = to.display().to_string();
        let words = config.split([' ', ':', '\'', '"', '\n', ',']);
        let mut found: Vec<&str> = words.filter(|word| word.starts_with(&to)).collect();
        found.sort_unstable();
        found.dedup();
        assert!(!found.is_empty(), "nothing leads below {to}:\n{config}");
        for path in &found {
            assert!(Path::new(path).exists(), "{path} is not there:\n{config}");
        }
        for volume in &self.volumes {
            let restored = format!("{to}/volumes/{volume}");
            assert!(found.contains(&restored.as_str()), "{restored} is not used:\n{config}\n{said}");
        }
    }

    /// The trees of the volumes in the archive, and then the project's below [`Self::extracted`].
    fn archived(&self) -> Vec<(String, Tree)> {
        let to = self.shop.sandbox.dir.join("extracted");
        if !to.exists() {
            fs::create_dir(&to).unwrap();
            self.shop.borg_in(&to, &["extract", "--numeric-ids", "::nightly"]);
        }
        let below = |path: &Path| to.join(path.strip_prefix("/").unwrap());
        self.volumes.iter().map(|name| (name.clone(), Tree::of(&below(&Self::data(name))))).collect()
    }

    fn extracted(&self) -> PathBuf {
        self.shop.sandbox.dir.join("extracted").join(self.dir.strip_prefix("/").unwrap())
    }

    /// Lost and restored in place it is what it was, and runs again.
    fn expect_back_in_place(&self, shows: &str) {
        let archived = self.archived();
        self.lose();
        let items: Vec<&str> = self.items.iter().flat_map(|item| ["--item", item]).collect();
        let ended = self.shop.restore(&items);
        assert!(ended.code <= 1, "{}\n{}", ended.stdout, ended.stderr);
        assert_same(&Tree::of(&self.extracted()), &Tree::of(&self.dir), "the project");
        let restored = |volume: &str| {
            self.items.is_empty() || self.items.iter().any(|item| *item == format!("volume:{volume}"))
        };
        for (volume, tree) in archived.iter().filter(|(volume, _)| restored(volume)) {
            assert_same(tree, &Tree::of(&Self::data(volume)), volume);
        }
        self.make_more();
        self.compose(&["up", "-d"]);
        assert!(page(self.port, "index.html").contains(shows));
        self.expect_data();
    }
}

/// The whole story of one of them.
fn survives(kind: &str, shows: &str, more: fn(&str) -> Vec<[String; 2]>) {
    survives_in_part(kind, shows, more, |_| Vec::new());
}

/// The same, and only some items come back in place.
fn survives_in_part(
    kind: &str,
    shows: &str,
    more: fn(&str) -> Vec<[String; 2]>,
    items: fn(&str) -> Vec<String>,
) {
    let mut project = Project::new(kind);
    project.more = more(&project.name);
    project.items = items(&project.name);
    project.make_more();
    project.up();
    assert!(page(project.port, "index.html").contains(shows));
    project.back_up("nightly", None);
    project.expect_elsewhere();
    project.expect_back_in_place(shows);
    project.expect_back_as_recorded(shows);
}

#[test]
fn a_blog_with_named_volumes_and_required_variables() {
    survives("wordpress", "data of", |_| Vec::new());
}

#[test]
fn a_cloud_with_anchors_env_files_and_relative_binds() {
    survives("nextcloud", "the photos", |_| Vec::new());
}

#[test]
fn a_forge_with_a_fixed_name_and_files_of_the_host() {
    survives("gitea", "gitea", |_| Vec::new());
}

#[test]
fn a_proxy_with_labels_long_binds_and_an_external_network() {
    survives("traefik", "middlewares", |name| vec![["network".to_owned(), format!("{name}-proxy")]]);
}

#[test]
fn monitoring_with_configurations_named_volumes_and_health() {
    survives("monitoring", "apiVersion", |_| Vec::new());
}

#[test]
fn photos_with_merged_anchors_and_places_from_the_environment() {
    survives("photos", "JPEG", |_| Vec::new());
}

#[test]
fn mail_with_an_env_file_and_deep_binds() {
    survives("mail", "state", |_| Vec::new());
}

#[test]
fn several_files_that_the_environment_names() {
    survives("layered", "site", |_| Vec::new());
}

#[test]
fn services_that_extend_those_of_another_file_and_profiles() {
    survives("shop", "api", |_| Vec::new());
}

#[test]
fn secrets_configs_a_build_and_volumes_with_options() {
    // The other volume is a directory of the project: with that, its data is back, and Compose makes it anew.
    survives_in_part(
        "platform",
        "built",
        |name| vec![["volume".to_owned(), format!("{name}-shared")]],
        |name| vec![format!("project:{name}"), format!("volume:{name}-shared")],
    );
}
