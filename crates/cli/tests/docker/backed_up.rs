//! `--backup-before`: what is there becomes an archive, which stays until the window closes whatever becomes of the restore.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reprise_testkit::Sshd;

use crate::conflicts::let_hours_pass;
use crate::remote::declare;
use crate::support::{Damage, Shop, assert_same, run};

/// The archives that were put aside.
fn aside(shop: &Shop) -> Vec<String> {
    let listed = shop.borg(&["list", "--short", "--consider-checkpoints"]);
    listed.lines().filter(|name| name.starts_with("reprise-before-")).map(ToOwned::to_owned).collect()
}

#[test]
fn what_is_there_is_backed_up_and_stays_so_after_a_rollback_until_the_window_closes() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(1));
    let before = shop.now();
    let restored = shop.restore(&["--backup-before"]).expect(0);
    let record = shop.record();
    let name = format!("reprise-before-{}", record["id"].as_str().unwrap());
    assert!(restored.stdout.contains(&format!("archive {name} of what is there now")), "{}", restored.stdout);
    assert_eq!(aside(&shop), [name.as_str()]);
    assert!(record["kept"].as_array().unwrap().contains(&name.clone().into()), "{record:#}");
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    let kept = shop.trees_of_archive(&name);
    assert_same(&before.trees.0, &kept.0, "the volume is not as it was in what was put aside");
    assert_same(&before.trees.1, &kept.1, "the project is not as it was in what was put aside");
    let newest = shop.reprise(&["contents", &shop.archive("latest"), "--json"]).expect(0).json();
    assert_eq!(newest["archive"], "nightly", "what was put aside is no backup");
    let express =
        ["docker", "restore", shop.repository.to_str().unwrap(), "--express", "--dry-run", "--json"];
    let express = shop.reprise(&express).expect(0).json();
    assert!(express["plan"]["source"].to_string().contains("nightly"), "{express:#}");

    // Nothing of the repository is needed for that.
    let mut back = shop.command(&["operations", "rollback", "latest", "--yes"]);
    run(back.env("BORG_PASSPHRASE", "wrong")).expect(0);
    shop.expect_as_before(&before);
    assert_eq!(shop.record()["kept"], serde_json::json!([name]));
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(aside(&shop), [name.as_str()], "the window is open");
    let_hours_pass(&shop, 9);
    let mut wrong = shop.command(&["operations", "expire"]);
    run(wrong.env("BORG_PASSPHRASE", "wrong")).expect(1);
    assert_eq!(aside(&shop), [name.as_str()]);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(aside(&shop), [""; 0]);
    assert_eq!(shop.record()["cleared"], true);
    // Nothing is left to do, so nothing is needed for it.
    let mut again = shop.command(&["operations", "expire"]);
    run(again.env("BORG_PASSPHRASE", "wrong")).expect(0);
}

#[test]
fn what_cannot_be_backed_up_is_not_restored_over() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    let sshd = Sshd::start();
    declare(&shop, &sshd);
    shop.restore(&["--backup-before", "--host", "other"])
        .expect(2)
        .says(&["--backup-before is for this machine"]);
    shop.expect_as_before(&before);

    let bin = shop.sandbox.dir.join("bin");
    fs::create_dir(&bin).unwrap();
    let real = run(std::process::Command::new("sh").args(["-c", "command -v borg"])).expect(0).stdout;
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != create ] || {{ echo 'No space left on device' >&2; exit 2; }}\nexec {real}"
    );
    fs::write(bin.join("borg"), script).unwrap();
    fs::set_permissions(bin.join("borg"), Permissions::from_mode(0o755)).unwrap();
    let mut restore = shop.command(&[
        "docker",
        "restore",
        &shop.archive("nightly"),
        "--in-place",
        "--yes",
        "--backup-before",
    ]);
    let path = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
    restore.env("PATH", std::env::join_paths(paths).unwrap());
    run(&mut restore).expect(3).says(&["No space left on device"]);
    shop.expect_as_before(&before);
    assert_eq!(aside(&shop), [""; 0]);

    fs::remove_file(bin.join("borg")).unwrap();
    restore.env("PATH", only(&bin, &["docker", "docker-compose"]));
    run(&mut restore).expect(2).says(&["--backup-before needs `borg`"]);
    shop.expect_as_before(&before);
}

/// A directory with nothing but these programs in it, and the shell.
fn only(directory: &Path, programs: &[&str]) -> std::path::PathBuf {
    for program in programs.iter().chain(&["sh"]) {
        let which = run(std::process::Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]));
        std::os::unix::fs::symlink(which.expect(0).stdout.trim(), directory.join(program)).unwrap();
    }
    directory.to_owned()
}
