//! A plan as a script, run by hand with bash, leaves what the program itself leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Damage, Ended, Shop, Tree, assert_same, run};

const DETAILS: [&str; 2] = ["explained", "complete"];

/// The script for `restore`, which `shellcheck` has nothing to say against.
fn script(shop: &Shop, restore: &[&str], detail: &str) -> PathBuf {
    let text = shop.reprise(&[restore, &["--script", detail]].concat()).expect(0).stdout;
    let path = shop.sandbox.dir.join(format!("{detail}.sh"));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    run(Command::new("shellcheck").arg(&path)).expect(0);
    path
}

/// Runs it as a person would.
fn by_hand(shop: &Shop, script: &Path) -> Ended {
    let mut bash = Command::new("bash");
    run(shop.environment(&mut bash).arg(script).current_dir("/"))
}

/// What lies beside the restored trees, without the operation's id, which no two have alike.
fn marked(shop: &Shop) -> Vec<String> {
    let without_id = |path: String| {
        let (before, after) = path.split_once(".reprise-").unwrap();
        format!("{before} {}", after.rsplit_once('.').unwrap().1)
    };
    shop.marked().into_iter().map(without_id).collect()
}

#[test]
fn in_place_a_script_leaves_what_the_program_leaves() {
    let shop = Shop::of_files();
    let archive = shop.archive("nightly");
    let restore = ["docker", "restore", &archive, "--in-place"];
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&[]).expect(0);
    let (restored, kept) = (shop.trees(), marked(&shop));
    assert_eq!(kept.len(), 2);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);

    for detail in DETAILS {
        let path = script(&shop, &restore, detail);
        shop.expect_as_before(&before);
        by_hand(&shop, &path).expect(0);
        let now = shop.trees();
        assert_same(&restored.0, &now.0, detail);
        assert_same(&restored.1, &now.1, detail);
        assert_eq!(marked(&shop), kept);
        before.objects.expect_now(&shop.name);
        // By hand, as the script's reader would: the kept trees go back.
        shop.compose(&["stop"]);
        for path in shop.marked() {
            let target = PathBuf::from(path.split_once(".reprise-").unwrap().0);
            fs::remove_dir_all(&target).unwrap();
            fs::rename(path, target).unwrap();
        }
        shop.compose(&["start"]);
        before.objects.expect_now(&shop.name);
        shop.expect_as_before(&before);
    }
}

#[test]
fn elsewhere_a_script_leaves_what_the_program_leaves() {
    let shop = Shop::of_files();
    let archive = shop.archive("nightly");
    let base = shop.sandbox.dir.join("deep/er/restored");
    for adapt in ["none", "auto-modify", "generate-new"] {
        let restore = ["docker", "restore", &archive, "--to", base.to_str().unwrap(), "--adapt", adapt];
        shop.reprise(&[&restore[..], &["--yes"]].concat()).expect(0);
        // What is edited has the time of the editing, and so has its directory.
        let project = Path::new("compose").join(&shop.name);
        let picture = || {
            let tree = Tree::of(&base).without_times_of_made();
            if adapt == "none" {
                return tree;
            }
            tree.without_time_of(&project).without_time_of(&project.join("docker-compose.yml"))
        };
        let by_program = picture();
        shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
        assert!(!shop.sandbox.dir.join("deep").exists(), "a rollback leaves nothing");

        for detail in DETAILS {
            let path = script(&shop, &restore, detail);
            by_hand(&shop, &path).expect(0);
            assert_same(&by_program, &picture(), &format!("{adapt}, {detail}"));
            fs::remove_dir_all(shop.sandbox.dir.join("deep")).unwrap();
        }
    }
}

#[test]
fn a_complete_script_that_fails_puts_everything_back() {
    let shop = Shop::of_files_unsaved();
    let conf = shop.project.join("front.conf");
    let good = fs::read(&conf).unwrap();
    fs::remove_file(&conf).unwrap();
    fs::create_dir(&conf).unwrap();
    shop.back_up("broken");
    fs::remove_dir(&conf).unwrap();
    fs::write(&conf, good).unwrap();
    shop.compose(&["up", "-d", "--force-recreate"]);
    shop.damage(Damage(1));
    let before = shop.now();
    let archive = shop.archive("broken");
    let path = script(&shop, &["docker", "restore", &archive, "--in-place"], "complete");
    let ended = by_hand(&shop, &path).expect(3);
    assert!(ended.stderr.contains("Everything is as it was"), "{}", ended.stderr);
    shop.expect_as_before(&before);

    let mut without = Command::new("bash");
    shop.environment(&mut without).env("BORG_PASSPHRASE", "wrong").arg(&path);
    assert_ne!(run(&mut without).code, 0);
    shop.expect_as_before(&before);
}
