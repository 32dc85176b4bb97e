//! What programs read: JSON, and nothing else on standard output.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::{Damage, Shop, assert_same, run};

fn keys(value: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(value.get(key).is_some(), "no `{key}` in {value:#}");
    }
}

#[test]
fn every_json_output_is_json_and_nothing_else() {
    let shop = Shop::of_files();
    shop.back_up("weekly");
    let (repository, archive) = (shop.repository.display().to_string(), shop.archive("nightly"));

    let archives = shop.reprise(&["archives", &repository, "--json"]).expect(0).json();
    let names: Vec<&str> =
        archives.as_array().unwrap().iter().map(|archive| archive["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["nightly", "weekly"]);
    keys(&archives[0], &["id", "time", "files", "original_bytes", "compressed_bytes", "status"]);
    // BORG_REPO is set in these tests.
    assert_eq!(shop.reprise(&["archives", "--json"]).expect(0).json(), archives);

    let contents = shop.reprise(&["contents", &archive, "--json"]).expect(0).json();
    keys(&contents, &["archive", "origin", "items", "bytes", "entries"]);
    let kinds: Vec<&str> =
        contents["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["volume", "project"]);
    assert_eq!(contents["items"][0]["project"], shop.name.as_str());
    let latest = shop.reprise(&["contents", &shop.archive("latest"), "--json"]).expect(0).json();
    assert_eq!(latest["archive"], "weekly");
    assert_eq!(shop.reprise(&["contents", "::weekly", "--json"]).expect(0).json(), latest);

    assert_eq!(shop.reprise(&["operations", "list", "--json"]).expect(0).json(), Value::Array(Vec::new()));
    shop.damage(Damage(1));
    let restored = shop.restore(&["--json"]).expect(0).json();
    keys(
        &restored,
        &["id", "status", "created_at", "finished_at", "kept", "rollback_until", "downtime_seconds"],
    );
    let to = shop.sandbox.dir.join("to");
    let second = ["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--yes", "--json"];
    let second = shop.reprise(&second).expect(0).json();

    let list = shop.reprise(&["operations", "--json"]).expect(0).json();
    let ids: Vec<&Value> = list.as_array().unwrap().iter().map(|operation| &operation["id"]).collect();
    assert_eq!(ids, [&second["id"], &restored["id"]], "newest first");
    list.as_array().unwrap().iter().for_each(|operation| keys(operation, &["id", "status", "created_at"]));
    let id = restored["id"].as_str().unwrap();
    assert_eq!(shop.reprise(&["operations", "show", id, "--json"]).expect(0).json(), list[1]);
    let log = shop.reprise(&["operations", "log", id, "--json"]).expect(0).json();
    assert_eq!(log[0]["event"], "planned");
    assert_eq!(log.as_array().unwrap().last().unwrap()["event"], "finished");
    let undone = shop.reprise(&["operations", "rollback", id, "--yes", "--json"]).expect(0).json();
    assert_eq!(undone["status"], "rolled_back");
    assert_eq!(shop.reprise(&["operations", "expire", "--json"]).expect(0).json(), Value::Array(Vec::new()));
    let dry_run =
        shop.reprise(&["docker", "restore", &archive, "--in-place", "--dry-run", "--json"]).expect(0).json();
    keys(&dry_run, &["plan", "ready", "estimated_seconds"]);
    let script = ["docker", "restore", &archive, "--in-place", "--script", "complete", "--json"];
    keys(&shop.reprise(&script).expect(0).json(), &["script", "plan"]);
    // An error is JSON, too.
    let error = shop.reprise(&["contents", &shop.archive("none"), "--json"]).expect(2).json();
    keys(&error["error"], &["message", "hint"]);
    let error = shop.restore(&["--json", "--item", "volume:none"]).expect(2).json();
    keys(&error["error"], &["message", "hint"]);
}

#[test]
fn what_the_backup_recorded_of_itself_is_believed() {
    let shop = Shop::of_files_unsaved();
    let record = serde_json::json!({ "reprise_backup": 1, "actual_backed_up_items": [
        { "kind": "volume", "name": shop.volume, "path": shop.data(), "project": shop.name, "volume_key": "files" },
        { "kind": "config", "name": "site", "path": shop.project.join("site") },
    ]});
    std::fs::write(shop.sandbox.dir.join("reprise-backup.json"), record.to_string()).unwrap();
    let (data, project) = (shop.data(), shop.project.clone());
    let paths = ["reprise-backup.json", data.to_str().unwrap(), project.to_str().unwrap()];
    shop.borg(&[&["create", "::nightly"], &paths[..]].concat());
    let contents = shop.reprise(&["contents", &shop.archive("nightly"), "--json"]).expect(0).json();
    assert_eq!(contents["origin"], "recorded");
    let items: Vec<String> = contents["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| format!("{}:{}", item["kind"].as_str().unwrap(), item["name"].as_str().unwrap()))
        .collect();
    // The project was backed up along, but not meant.
    assert_eq!(items, [format!("volume:{}", shop.volume), "config:site".to_owned()]);
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&[]).expect(0);
    assert!(shop.page("index.html").contains("<h1>The shop</h1>"));
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    // The project's own directory had names come and go beside `site`.
    let now = shop.trees();
    assert_same(&before.trees.0, &now.0, "the volume is not as before");
    assert_same(
        &before.trees.1.without_root_time(),
        &now.1.without_root_time(),
        "the project is not as before",
    );
    before.objects.expect_now(&shop.name);
    assert_eq!(shop.marked(), Vec::<String>::new());
}

#[test]
fn an_inventory_taken_along_tells_what_was_meant() {
    let shop = Shop::of_files_unsaved();
    let file = shop.sandbox.dir.join("reprise-backup.json");
    let ended = shop.reprise(&["docker", "inventory", "--output", file.to_str().unwrap()]);
    // Other tests' volumes and projects come and go meanwhile, and may be left out with a warning.
    assert!(matches!(ended.code, 0 | 1), "{ended:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let inventory: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let ours = |list: &str, pointer: &str| {
        let all = inventory[list].as_array().unwrap().iter();
        all.filter(|one| one.pointer(pointer).and_then(Value::as_str).is_some_and(|n| n.contains(&shop.name)))
            .cloned()
            .collect::<Vec<_>>()
    };
    let containers = ours("containers", "/Name");
    assert_eq!(containers.len(), 2);
    let image = containers[0]["Image"].as_str().unwrap();
    assert!(inventory["images"].as_array().unwrap().iter().any(|known| known["id"] == image));
    assert_eq!((ours("volumes", "/Name").len(), ours("networks", "/Name").len()), (1, 1));
    let items = ours("actual_backed_up_items", "/name");
    assert_eq!(items[0]["compose_file"], "docker-compose.yml");
    assert_eq!(items[1]["volume_key"], "files");

    let paths = ["reprise-backup.json", shop.data().to_str().unwrap(), shop.project.to_str().unwrap()]
        .map(str::to_owned);
    let paths = paths.each_ref().map(String::as_str);
    shop.borg(&[&["create", "::nightly"], &paths[..]].concat());
    let contents = shop.reprise(&["contents", &shop.archive("nightly"), "--json"]);
    let contents: Value = serde_json::from_str(&contents.stdout).unwrap();
    assert_eq!(contents["origin"], "recorded");
    let found: Vec<&str> =
        contents["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(found, [shop.volume.as_str(), shop.name.as_str()]);

    let nowhere = shop.sandbox.dir.join("none/reprise-backup.json");
    shop.reprise(&["docker", "inventory", "-o", nowhere.to_str().unwrap()]).expect(2);
}

#[test]
fn completions_are_scripts_that_their_shell_takes() {
    let shop = Shop::unbuilt();
    let script = shop.reprise(&["completions", "bash"]).expect(0).stdout;
    let path = shop.sandbox.dir.join("completions");
    std::fs::write(&path, script).unwrap();
    run(Command::new("bash").arg("-n").arg(&path)).expect(0);
    for shell in ["zsh", "fish"] {
        assert!(shop.reprise(&["completions", shell]).expect(0).stdout.contains("reprise"));
    }
}
