//! `--backup-before`: what is there becomes an archive, which stays until the window closes whatever becomes of the restore.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use reprise_testkit::Sshd;
use rustix::process::{Pid, Signal, kill_process};

use crate::conflicts::let_hours_pass;
use crate::remote::{clients, declare};
use crate::support::{Before, Damage, PASSPHRASE, Shop, assert_same, run, start, wait_until};

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
    let full = "case \"$1\" in create | import-tar) echo 'No space left on device' >&2; exit 2 ;; esac";
    let (bin, path) = borg_behind(&shop, full);
    let (mut here, mut there) = (restoring(&shop, &[]), restoring(&shop, &THERE));
    for restore in [&mut here, &mut there] {
        run(restore.env("PATH", &path)).expect(3).says(&["No space left on device"]);
        shop.expect_as_before(&before);
        assert_eq!(aside(&shop), [""; 0]);
    }
    // What cannot import is of use here alone.
    borg_behind(&shop, "[ \"$1\" != --version ] || { echo borg 1.1.18; exit; }");
    run(there.arg("--dry-run")).expect(2).says(&["borg 1.1.18 has no import-tar"]);
    run(here.arg("--dry-run")).expect(0);
    borg_behind(&shop, "[ \"$1\" != --version ] || { echo borg 2.0.0b20; exit; }");
    for restore in [&mut here, &mut there] {
        run(restore).expect(2).says(&["borg 2.0.0b20 does not write to repositories of Borg 1"]);
    }

    fs::remove_file(bin.join("borg")).unwrap();
    let path = only(&bin, &["docker", "docker-compose", "ssh", "ssh-keygen"]);
    for restore in [&mut here, &mut there] {
        run(restore.env("PATH", &path)).expect(2).says(&["--backup-before needs `borg` on this machine"]);
    }
    shop.expect_as_before(&before);
}

#[test]
fn on_another_host_it_is_what_the_borg_of_this_machine_makes_of_a_stream_and_no_more_of_the_passphrase_is_seen()
 {
    let (shop, sshd) = (Shop::of_files(), Sshd::start());
    declare(&shop, &sshd);
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(1));
    let before = shop.now();
    let log = shop.sandbox.dir.join("seen");
    let spies = format!("cat /proc/$$/cmdline /proc/$$/environ | tr '\\0' '\\n' >>'{}'", log.display());
    let (_, path) = borg_behind(&shop, &spies);
    let restored = run(restoring(&shop, &THERE).env("PATH", path)).expect(0);
    assert!(restored.stdout.contains("holds no extended attributes"), "{}", restored.stdout);
    let seen = fs::read_to_string(log).unwrap();
    assert!(seen.contains("\nimport-tar\n") && seen.contains("\nBORG_PASSPHRASE_FD="), "{seen}");
    // Until it is known to be whole, nothing has its name: not even what a borg makes that lives on when we are killed.
    let part = format!("::reprise-before-{}.checkpoint.part\n", shop.record()["id"].as_str().unwrap());
    assert!(seen.contains(&part) && seen.contains("\nrename\n"), "{seen}");
    for seen in [seen, sshd.log(), restored.stdout, restored.stderr] {
        assert!(!seen.contains(PASSPHRASE), "{seen}");
    }
    let name = format!("reprise-before-{}", shop.record()["id"].as_str().unwrap());
    assert_eq!(aside(&shop), [name.as_str()]);
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    expect_aside(&shop, &name, &before);

    let mut back = shop.command(&["operations", "rollback", "latest", "--yes"]);
    run(back.env("BORG_PASSPHRASE", "wrong")).expect(0);
    shop.expect_as_before(&before);
    let_hours_pass(&shop, 9);
    let mut wrong = shop.command(&["operations", "expire"]);
    run(wrong.env("BORG_PASSPHRASE", "wrong")).expect(1);
    assert_eq!(aside(&shop), [name.as_str()]);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(aside(&shop), [""; 0]);
    assert_eq!(shop.record()["cleared"], true);
    assert!(clients(&sshd).is_empty());
}

#[test]
fn what_a_killed_connection_or_ctrl_c_cuts_off_is_no_archive() {
    let (shop, sshd) = (Shop::of_files(), Sshd::start());
    declare(&shop, &sshd);
    shop.damage(Damage(1));
    // More than is on its way while nobody reads it.
    fs::File::create(shop.data().join("long")).unwrap().set_len(32 << 20).unwrap();
    let before = shop.now();
    let at = |name: &str| shop.sandbox.dir.join(name);
    // The first time, it begins to read when it is told to.
    let slow = format!(
        "if [ \"$1\" = import-tar ] && mkdir '{}' 2>/dev/null; then until [ -e '{}' ]; do sleep 0.05; done; fi",
        at("begun").display(),
        at("go").display()
    );
    let (_, path) = borg_behind(&shop, &slow);
    let begin = || {
        let child = start(restoring(&shop, &THERE).env("PATH", &path));
        wait_until("borg has begun", || at("begun").exists());
        child
    };

    let child = begin();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    shop.expect_as_before(&before);
    assert_eq!(aside(&shop), [""; 0]);
    fs::remove_dir_all(shop.state.join("operations")).unwrap();
    fs::remove_dir(at("begun")).unwrap();

    let child = begin();
    for client in clients(&sshd) {
        let _ = kill_process(client, Signal::KILL);
    }
    fs::write(at("go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let name = format!("reprise-before-{}", shop.record()["id"].as_str().unwrap());
    assert_eq!(aside(&shop), [name.as_str()]);
    expect_aside(&shop, &name, &before);
    wait_until("nothing of it is left", || clients(&sshd).is_empty());
}

const THERE: [&str; 2] = ["--host", "other"];

/// A restore with `--backup-before`, ready to run.
fn restoring(shop: &Shop, more: &[&str]) -> Command {
    let archive = shop.archive("nightly");
    shop.command(
        &[&["docker", "restore", &archive, "--in-place", "--yes", "--backup-before"][..], more].concat(),
    )
}

/// What was put aside as `name` is what was there `before`, as far as a tar stream tells.
#[track_caller]
fn expect_aside(shop: &Shop, name: &str, before: &Before) {
    let (kept, trees) = (shop.trees_of_archive(name), &before.trees);
    for (kept, there, what) in [(kept.0, &trees.0, "volume"), (kept.1, &trees.1, "project")] {
        let what = format!("the {what} is not as it was in what was put aside");
        assert_same(&there.clone().once_imported(), &kept.once_imported(), &what);
    }
}

/// A directory with a `borg` in it that does what these lines of shell say, and goes on as the real one; and the `PATH` by which it is
/// found.
fn borg_behind(shop: &Shop, lines: &str) -> (PathBuf, OsString) {
    let bin = shop.sandbox.dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let real = run(Command::new("sh").args(["-c", "command -v borg"])).expect(0).stdout;
    fs::write(bin.join("borg"), format!("#!/bin/sh\n{lines}\nexec {} \"$@\"\n", real.trim())).unwrap();
    fs::set_permissions(bin.join("borg"), Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
    (bin, std::env::join_paths(paths).unwrap())
}

/// A directory with nothing but these programs in it, and the shell.
fn only(directory: &Path, programs: &[&str]) -> PathBuf {
    for program in programs.iter().chain(&["sh"]) {
        let which = run(Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]));
        std::os::unix::fs::symlink(which.expect(0).stdout.trim(), directory.join(program)).unwrap();
    }
    directory.to_owned()
}
