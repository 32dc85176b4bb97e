//! Whatever goes wrong, the error says what and what to do, and everything is as before.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Before, Damage, Ended, Shop, assert_same, run, run_in};

/// A shop that was damaged, and how it then was.
fn damaged() -> (Shop, Before) {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    (shop, before)
}

/// The recorded operation failed, and everything is as `before`.
#[track_caller]
fn expect_undone(shop: &Shop, before: &Before) {
    shop.expect_as_before(before);
    let record = shop.record();
    assert_eq!(record["status"], "rolled_back", "{record:#}");
    assert!(record["error"].is_string(), "{record:#}");
    assert_eq!(record["kept"], Value::Array(Vec::new()));
}

/// Nothing was even begun.
#[track_caller]
fn expect_untouched(shop: &Shop, before: &Before) {
    shop.expect_as_before(before);
    shop.expect_nothing_begun();
}

/// The largest file below `directory`.
fn largest(directory: &Path) -> PathBuf {
    let listed = run_in(directory, "find", [".", "-type", "f", "-printf", "%s %p\\n"]);
    let sized = listed.lines().map(|line| line.split_once(' ').unwrap());
    let (_, path) = sized.max_by_key(|(size, _)| size.parse::<u64>().unwrap()).unwrap();
    directory.join(path)
}

#[test]
fn a_corrupt_chunk_fails_the_restore_and_changes_nothing() {
    let (shop, before) = damaged();
    let segment = largest(&shop.repository.join("data"));
    let file = OpenOptions::new().read(true).write(true).open(&segment).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    shop.restore(&[]).expect(3).says(&["_data/large", "borg check"]);
    expect_undone(&shop, &before);
}

#[test]
fn a_missing_chunk_fails_the_restore_and_changes_nothing() {
    let shop = Shop::of_files_unsaved();
    // The first backup takes the chunk along, in a segment of its own.
    let large = shop.data().join("large");
    shop.borg(&["create", "::first", large.to_str().unwrap()]);
    let segment = largest(&shop.repository.join("data"));
    shop.back_up("nightly");
    fs::remove_file(segment).unwrap();
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&[]).expect(3).says(&["_data/large", "borg check"]);
    expect_undone(&shop, &before);
}

#[test]
fn a_wrong_passphrase_or_none_changes_nothing() {
    let (shop, before) = damaged();
    let restore = || shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    let wrong = run(restore().env("BORG_PASSPHRASE", "not it")).expect(2).says(&["passphrase"]);
    assert!(!wrong.stderr.contains("not it"));
    run(restore().env_remove("BORG_PASSPHRASE")).expect(2).says(&["passphrase", "BORG_PASSPHRASE"]);
    let failing = run(restore().env_remove("BORG_PASSPHRASE").env("BORG_PASSCOMMAND", "false"));
    failing.expect(2).says(&["BORG_PASSCOMMAND"]);
    expect_untouched(&shop, &before);
}

#[test]
fn what_is_not_there_or_not_said_is_an_error_that_changes_nothing() {
    let (shop, before) = damaged();
    let nightly = shop.archive("nightly");
    let missing = shop.sandbox.dir.display().to_string() + "/nothing-here::x";
    let no_repository = shop.sandbox.dir.display().to_string() + "::x";
    let cases: [(&[&str], &[&str]); 8] = [
        (&[&shop.archive("weekly"), "--in-place", "--yes"], &["weekly", "reprise archives"]),
        (&[&missing, "--in-place", "--yes"], &["nothing-here"]),
        (&[&no_repository, "--in-place", "--yes"], &["repository"]),
        (&[&nightly, "--in-place", "--yes", "--item", "volume:other"], &["volume:other", "contents"]),
        (&[&nightly, "--yes"], &["where", "--in-place", "--to DIR"]),
        (&[&nightly, "--in-place"], &["--yes", "--dry-run"]),
        (&[&nightly, "--in-place", "--yes", "--type", "custom"], &["--item"]),
        (&[&nightly, "--in-place", "--yes", "--type", "full", "--item", "volume:x"], &["--type custom"]),
    ];
    for (args, words) in cases {
        shop.reprise(&[&["docker", "restore"], args].concat()).expect(2).says(words);
    }
    for action in ["show", "log", "resume", "rollback"] {
        shop.reprise(&["operations", action, "latest", "--yes"]).expect(2).says(&["operation"]);
    }
    expect_untouched(&shop, &before);
}

#[test]
fn a_docker_daemon_that_does_not_answer_changes_nothing() {
    let (shop, before) = damaged();
    let mut restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    let ended = run(restore.env("DOCKER_HOST", "unix:///nonexistent/docker.sock")).expect(2);
    ended.says(&["Docker does not answer", "Start the Docker daemon"]);
    expect_untouched(&shop, &before);
}

#[test]
fn a_docker_whose_commands_its_engine_does_not_take_changes_nothing() {
    let (shop, before) = damaged();
    let mut restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    // Looking needs none of them.
    let ended = run(restore.env("DOCKER_API_VERSION", "1.99")).expect(2);
    ended.says(&["1.99 is too new"]);
    expect_untouched(&shop, &before);
}

#[test]
fn without_a_connection_to_the_engine_that_is_kept_it_is_asked_by_commands() {
    let (shop, before) = damaged();
    let path = docker_that(&shop, "[ \"$1\" != system ] || exit 9\nexec $real \"$@\"\n");
    let mut restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    run(restore.env("PATH", path)).expect(0);
    before.objects.expect_now(&shop.name);
}

/// Puts a `docker` before the real one that behaves as `script` says.
fn docker_that(shop: &Shop, script: &str) -> String {
    let directory = shop.sandbox.dir.join("bin");
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join("docker");
    fs::write(
        &program,
        format!("#!/bin/bash\nreal=/usr/bin/docker down={}/down\n{script}", directory.display()),
    )
    .unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

const GONE: &str = "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1";

#[test]
fn a_docker_daemon_that_stumbles_once_half_way_is_undone() {
    let (shop, before) = damaged();
    let path = docker_that(
        &shop,
        &format!("if [[ $1 == start && ! -e $down ]]; then touch $down; {GONE}; fi\nexec $real \"$@\"\n"),
    );
    let mut restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    run(restore.env("PATH", path)).expect(3).says(&["Docker", "docker info"]);
    expect_undone(&shop, &before);
}

#[test]
fn a_docker_daemon_that_stops_half_way_leaves_a_record_and_a_rollback_puts_all_back() {
    let (shop, before) = damaged();
    let path = docker_that(
        &shop,
        &format!(
            "[[ $1 != stop ]] || touch $down\nif [[ -e $down && $1 != stop ]]; then {GONE}; fi\nexec $real \"$@\"\n"
        ),
    );
    let mut restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    let ended = run(restore.env("PATH", path)).expect(4);
    assert!(ended.stderr.contains("Docker"), "{}", ended.stderr);
    assert!(ended.stdout.contains("reprise operations rollback"), "{}", ended.stdout);
    let record = shop.record();
    assert_eq!(record["status"], "rollback_incomplete");
    // Until that is settled, nothing else is begun.
    shop.restore(&[]).expect(2).says(&["operations rollback"]);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(3);
    expect_undone(&shop, &before);
}

/// Restores the archive `broken`, of the shop as `break_it` has made it, over one that works.
fn restored_broken(break_it: impl Fn(&Shop), more: &[&str]) -> (Shop, Before, Ended) {
    let shop = Shop::of_files_unsaved();
    let good = fs::read(shop.project.join("front.conf")).unwrap();
    break_it(&shop);
    shop.back_up("broken");
    let _ = fs::remove_dir(shop.project.join("front.conf"));
    fs::write(shop.project.join("front.conf"), good).unwrap();
    fs::write(shop.project.join("site/health.txt"), "fine\n").unwrap();
    // A file that is bound stays bound: only a new container sees its successor.
    shop.compose(&["up", "-d", "--force-recreate"]);
    let before = shop.now();
    let archive = shop.archive("broken");
    let args = ["docker", "restore", &archive, "--in-place", "--yes"];
    let ended = shop.reprise(&[&args[..], more].concat());
    (shop, before, ended)
}

#[test]
fn a_container_that_is_not_healthy_on_what_was_restored_is_undone() {
    let unhealthy = |shop: &Shop| fs::remove_file(shop.project.join("site/health.txt")).unwrap();
    let (shop, before, ended) = restored_broken(unhealthy, &["--health-timeout", "4"]);
    ended.expect(3).says(&["front_1 is not healthy", "docker logs"]);
    expect_undone(&shop, &before);
    assert!(shop.page("health.txt").contains("fine"));
}

#[test]
fn a_container_that_is_not_healthy_stays_as_restored_when_that_is_asked_for() {
    let unhealthy = |shop: &Shop| fs::remove_file(shop.project.join("site/health.txt")).unwrap();
    let (shop, before, ended) = restored_broken(unhealthy, &["--health-timeout", "4", "--keep-on-unhealthy"]);
    let ended = ended.expect(1);
    assert!(ended.stderr.contains("front_1 is not well, and was kept"), "{}", ended.stderr);
    assert_eq!(shop.record()["status"], "completed");
    let (archived, now) = (shop.trees_of_archive("broken"), shop.trees());
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);
    assert!(shop.page("health.txt").contains("fine"));
}

#[test]
fn a_container_that_ends_at_once_on_what_was_restored_is_undone_without_waiting() {
    let crashing = |shop: &Shop| fs::write(shop.project.join("front.conf"), "crash\n").unwrap();
    let (shop, before, ended) = restored_broken(crashing, &[]);
    ended.expect(3).says(&["front_1 is not healthy", "it has ended", "docker logs"]);
    expect_undone(&shop, &before);
    let [began, ended] = ["created_at", "finished_at"].map(|moment| shop.record()[moment].clone());
    let moment = |value: Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(moment(ended).duration_since(moment(began)).as_secs() < 60, "the health limit was waited for");
}

#[test]
fn a_container_that_cannot_start_on_what_was_restored_is_undone() {
    let unstartable = |shop: &Shop| {
        fs::remove_file(shop.project.join("front.conf")).unwrap();
        fs::create_dir(shop.project.join("front.conf")).unwrap();
    };
    let (shop, before, ended) = restored_broken(unstartable, &[]);
    ended.expect(3).says(&["docker start", "front_1", "docker inspect"]);
    expect_undone(&shop, &before);
    assert!(shop.page("health.txt").contains("fine"));
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_happens() {
    let (shop, before) = damaged();
    let small = shop.sandbox.mounted("small", "2m");
    let to = small.join("restored");
    let archive = shop.archive("nightly");
    let ended = shop.reprise(&["docker", "restore", &archive, "--to", to.to_str().unwrap(), "--yes"]);
    ended.expect(2).says(&["space", "needed"]);
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    expect_untouched(&shop, &before);
}

#[test]
fn a_disk_that_runs_full_half_way_is_undone() {
    // A thousand files of one byte take more room than anybody would think: a page each.
    let shop = Shop::of_files_on("7m", |project| {
        fs::create_dir_all(project.join("many")).unwrap();
        for number in 0..1000 {
            fs::write(project.join(format!("many/{number}")), "1").unwrap();
        }
    });
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&[]).expect(3).says(&["space"]);
    expect_undone(&shop, &before);
    // Beside it, too.
    let small = shop.sandbox.mounted("small", "7m");
    let to = small.join("restored/here");
    let archive = shop.archive("nightly");
    let args = ["docker", "restore", &archive, "--yes", "--type", "compose", "--to", to.to_str().unwrap()];
    fs::write(small.join("other"), vec![1; 7 << 19]).unwrap();
    shop.reprise(&args).expect(3).says(&["space"]);
    assert_eq!(fs::read_dir(&small).unwrap().count(), 1);
    expect_undone(&shop, &before);
}
