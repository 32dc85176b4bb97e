//! An archive that leads astray writes nothing outside of where it is restored to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::{Shop, Tree, assert_same};

const PROJECT: &str = "services:\n  web:\n    image: reprise-test/web:1\n    volumes:\n      - files:/www\nvolumes:\n  files:\n";

/// A shop with a tree to back up from, and a victim beside it.
struct Trap {
    shop: Shop,
    /// What is backed up as if it were the root of a host.
    root: PathBuf,
    victim: PathBuf,
    victim_before: Tree,
}

impl Trap {
    fn new() -> Self {
        let shop = Shop::unbuilt();
        let (root, victim) = (shop.sandbox.dir.join("root"), shop.sandbox.dir.join("victim"));
        fs::create_dir_all(root.join("srv/evil")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "services: {web: {image: x, volumes: [\"./a:/a\"]}}\n").unwrap();
        let victim_before = Tree::of(&victim);
        Self { shop, root, victim, victim_before }
    }

    fn volume(&self, name: &str) -> PathBuf {
        let volume = self.root.join("var/lib/docker/volumes").join(name);
        fs::create_dir_all(&volume).unwrap();
        volume.join("_data")
    }

    fn record(&self, items: &serde_json::Value) {
        let record = serde_json::json!({ "reprise_backup": 1, "actual_backed_up_items": items });
        fs::write(self.root.join("reprise-backup.json"), record.to_string()).unwrap();
    }

    /// Backs it up and restores it elsewhere with each adaptation; returns what was said the last time.
    fn spring(&self) -> (i32, String) {
        self.shop.borg_in(&self.root, &["create", "::evil", "."]);
        let mut last = (0, String::new());
        for adapt in ["none", "auto-modify", "generate-new"] {
            let to = self.shop.sandbox.dir.join("to").join(adapt);
            let archive = self.shop.archive("evil");
            let args =
                ["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--adapt", adapt, "--yes"];
            let ended = self.shop.reprise(&args);
            assert_same(&self.victim_before, &Tree::of(&self.victim), "the victim");
            last = (ended.code, ended.stdout + &ended.stderr);
        }
        last
    }
}

#[test]
fn a_compose_file_that_is_a_link_is_not_written_through() {
    let trap = Trap::new();
    let project = trap.root.join("srv/evil");
    // The file itself, named by the record; the one laid over it; and the name under which the original is kept.
    symlink(trap.victim.join("file"), project.join("compose.yaml")).unwrap();
    trap.record(&serde_json::json!([
        { "kind": "project", "name": "evil", "path": "/srv/evil", "compose_file": "compose.yaml" }
    ]));
    let (code, said) = trap.spring();
    assert!([0, 1, 2].contains(&code), "{said}");

    let trap = Trap::new();
    let project = trap.root.join("srv/evil");
    fs::write(project.join("docker-compose.yml"), PROJECT).unwrap();
    symlink(trap.victim.join("file"), project.join("docker-compose.override.yml")).unwrap();
    symlink(trap.victim.join("new"), project.join("docker-compose.yml.original")).unwrap();
    symlink(trap.victim.join("file"), project.join(".env")).unwrap();
    trap.spring();
}

#[test]
fn a_volume_or_a_project_that_is_a_link_is_no_place_to_restore_to() {
    let trap = Trap::new();
    let data = trap.volume("evil_files");
    symlink(&trap.victim, &data).unwrap();
    symlink(&trap.victim, trap.root.join("srv/linked")).unwrap();
    trap.record(&serde_json::json!([
        { "kind": "volume", "name": "evil_files", "path": "/var/lib/docker/volumes/evil_files/_data" },
        { "kind": "project", "name": "linked", "path": "/srv/linked", "compose_file": "file" }
    ]));
    let (code, said) = trap.spring();
    assert_eq!(code, 2, "{said}");
    assert!(!trap.shop.sandbox.dir.join("to").exists(), "a link came to lie where a volume should");
}

#[test]
fn links_in_a_volume_lead_nowhere_while_it_is_restored() {
    let trap = Trap::new();
    let data = trap.volume("evil_files");
    fs::create_dir(&data).unwrap();
    symlink("/", data.join("root")).unwrap();
    symlink(&trap.victim, data.join("directory")).unwrap();
    symlink("../../../../../../../../etc/passwd", data.join("passwd")).unwrap();
    fs::hard_link(trap.victim.join("file"), data.join("hard")).unwrap();
    // Device nodes are left out, and said to be.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        data.join("null"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    let victim = fs::read(trap.victim.join("file")).unwrap();
    trap.shop.borg_in(&trap.root, &["create", "::evil", "."]);
    let to = trap.shop.sandbox.dir.join("to");
    let archive = trap.shop.archive("evil");
    let ended =
        trap.shop.reprise(&["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--yes"]).expect(1);
    assert!(ended.stderr.contains("null"), "{}", ended.stderr);
    let restored = to.join("volumes/evil_files");
    assert!(!restored.join("null").exists());
    fs::write(restored.join("hard"), "changed after the restore").unwrap();
    assert_eq!(fs::read(trap.victim.join("file")).unwrap(), victim);
    trap.shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert!(!to.exists());
    assert_eq!(
        fs::read(trap.victim.join("file")).unwrap(),
        victim,
        "a rollback removes links, not what they lead to"
    );
}

#[test]
fn names_that_lead_astray_in_the_record_of_a_backup_are_not_believed() {
    for (name, path) in [("../../evil", "/srv/evil"), ("evil", "/srv/../../evil"), ("a/b", "/srv/evil")] {
        let trap = Trap::new();
        fs::write(trap.root.join("srv/evil/docker-compose.yml"), PROJECT).unwrap();
        trap.record(&serde_json::json!([{ "kind": "project", "name": name, "path": path }]));
        let (code, said) = trap.spring();
        // What the paths tell is taken instead, with a warning.
        assert!([0, 1].contains(&code), "{said}");
        assert!(said.contains("reprise-backup.json"), "{said}");
        let restored = fs::read_dir(trap.shop.sandbox.dir.join("to/none")).unwrap();
        assert_eq!(restored.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>(), ["compose"]);
    }
}
