//! Below another directory, what was restored stands by itself beside what runs.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::support::{Damage, Shop, Tree, assert_same, docker, page, run};

/// A shop whose archive holds a volume, a project and the engine's configuration.
fn with_config() -> Shop {
    let shop = Shop::of_files_unsaved();
    let root = shop.sandbox.dir.join("host");
    fs::create_dir_all(root.join("etc/docker")).unwrap();
    fs::write(root.join("etc/docker/daemon.json"), "{}\n").unwrap();
    let (volume, project) = (shop.data(), shop.project.clone());
    let paths = ["etc/docker", project.to_str().unwrap(), volume.to_str().unwrap()];
    shop.borg_in(&root, &[&["create", "::nightly"], &paths[..]].concat());
    shop
}

/// Checks the layout below `to`, but for the compose file.
fn expect_laid_out(shop: &Shop, to: &Path) {
    let (volume, project) = shop.trees_of_archive("nightly");
    assert_same(&volume, &Tree::of(&to.join("volumes").join(&shop.volume)), "the volume");
    let files = ["docker-compose.yml", "docker-compose.yml.original"];
    let restored = Tree::of(&to.join("compose").join(&shop.name));
    let same = |tree: Tree| tree.without(&files).without_root_time();
    assert_same(&same(project), &same(restored), "the project");
    assert_eq!(fs::read_to_string(to.join("configs/etc/docker/daemon.json")).unwrap(), "{}\n");
    let compose = Command::new("docker-compose")
        .args(["config", "--quiet"])
        .current_dir(to.join("compose").join(&shop.name))
        .output();
    assert!(compose.unwrap().status.success(), "Compose does not take the file");
}

#[test]
fn each_adaptation_is_laid_out_and_rolled_back_without_a_trace() {
    let shop = with_config();
    shop.damage(Damage(1));
    let before = shop.now();
    let original = fs::read_to_string(shop.project.join("docker-compose.yml")).unwrap();
    let to = shop.sandbox.dir.join("new/restored");
    for adapt in ["none", "auto-modify", "generate-new"] {
        let archive = shop.archive("nightly");
        let args = ["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--adapt", adapt, "--yes"];
        shop.reprise(&args).expect(0);
        expect_laid_out(&shop, &to);
        let project = to.join("compose").join(&shop.name);
        let compose = fs::read_to_string(project.join("docker-compose.yml")).unwrap();
        assert_eq!(compose == original, adapt == "none");
        // Comments, the order of keys and blank lines stay.
        assert!(compose.starts_with(original.lines().next().unwrap()));
        let kept = fs::read_to_string(project.join("docker-compose.yml.original")).ok();
        assert_eq!(kept.as_ref(), (adapt == "generate-new").then_some(&original));
        shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
        assert!(!shop.sandbox.dir.join("new").exists(), "something of {adapt} is left");
    }
    shop.expect_as_before(&before);
}

#[test]
fn an_adapted_project_runs_beside_the_one_it_came_from() {
    let shop = with_config();
    shop.damage(Damage(1));
    let before = shop.now();
    let to = shop.sandbox.dir.join("restored");
    let archive = shop.archive("nightly");
    let args =
        ["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--adapt", "auto-modify", "--yes"];
    shop.reprise(&args).expect(0);
    let other = format!("{}-other", shop.name);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let compose = |args: &[&str]| {
        let mut command = Command::new("docker-compose");
        command.args(["-p", &other]).args(args).env("WEB_PORT", port.to_string());
        run(command.current_dir(to.join("compose").join(&shop.name))).expect(0)
    };
    compose(&["up", "-d"]);
    assert!(page(port, "index.html").contains("<h1>The shop</h1>"));
    let back = format!("{other}_back_1");
    let served = docker(["exec", &back, "wget", "-q", "-O", "-", "http://127.0.0.1/page.html"]);
    assert!(served.contains("as it was backed up"));
    assert!(shop.page("index.html").contains("Damaged 1"), "the first one goes on as it was");
    compose(&["down", "--volumes"]);
    // What containers wrote there meanwhile is no reason to keep it: it is what this operation made.
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert!(!to.exists());
    shop.expect_as_before(&before);
}

#[test]
fn what_is_there_already_is_never_overwritten() {
    let shop = with_config();
    let to = shop.sandbox.dir.join("restored");
    let mine = to.join("volumes").join(&shop.volume).join("mine");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    let tree = Tree::of(&to);
    let archive = shop.archive("nightly");
    let args = ["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--yes"];
    shop.reprise(&args).expect(2).says(&["volumes"]);
    assert_same(&tree, &Tree::of(&to), "what was there");
    // Beside it there is room, and a rollback leaves what it did not make.
    shop.reprise(&[&args[..], &["--item", &format!("project:{}", shop.name)]].concat()).expect(0);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert_same(&tree.without_root_time(), &Tree::of(&to).without_root_time(), "what was there");
}
