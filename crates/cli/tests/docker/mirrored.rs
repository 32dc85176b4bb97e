//! Trees that do not change places as a whole: mount points, only what differs (also without room for two copies), merging; and
//! snapshots of what they lie on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use reprise_testkit::{OnFile, Sshd, subvolume};

use crate::conflicts::let_hours_pass;
use crate::remote::declare;
use crate::support::{Damage, Ended, OWNER_LABEL, Shop, Tree, Trees, assert_same, docker, owner, run};

/// A shop whose volume lies on a file system of that kind, backed up.
fn with_volume_on(kind: &str) -> (Shop, OnFile) {
    let shop = Shop::of_files_unsaved();
    let disk = shop.volume_on(kind);
    shop.back_up("nightly");
    (shop, disk)
}

/// A shop whose project is a file system, backed up.
fn with_project_as_ext4() -> (Shop, OnFile) {
    let shop = Shop::of_files_unsaved();
    let disk = shop.project_on("ext4");
    shop.back_up("nightly");
    (shop, disk)
}

/// What lies there but for what is kept in a mount point.
fn trees(shop: &Shop) -> Trees {
    let (volume, project) = shop.trees();
    (volume, project.without_kept())
}

/// What makes it a restore over SSH, by way of `sshd`.
fn at_other(shop: &Shop, sshd: &Sshd) -> [&'static str; 2] {
    declare(shop, sshd);
    ["--host", "other"]
}

fn roll_back(shop: &Shop) -> Ended {
    shop.reprise(&["operations", "rollback", "latest", "--yes"])
}

#[test]
fn a_project_that_is_a_file_system_is_restored_into_and_rolled_back_to_the_byte() {
    let (shop, disk) = with_project_as_ext4();
    let archived = shop.trees_of_archive("nightly");
    let sshd = Sshd::start();
    declare(&shop, &sshd);
    for (number, host) in [(1, &[][..]), (2, &["--host", "other"][..])] {
        shop.damage(Damage(number));
        let before = shop.now();
        let restored = shop.restore(host).expect(0);
        assert!(restored.stdout.contains("mount point"), "{}", restored.stdout);
        let now = trees(&shop);
        assert_same(&archived.0, &now.0, "the volume is not as in the archive");
        assert_same(&archived.1, &now.1, "the project is not as in the archive");
        before.objects.expect_now(&shop.name);
        // What is made there afterwards goes with it.
        fs::write(shop.project.join("made since"), "").unwrap();
        roll_back(&shop).expect(0);
        shop.expect_as_before(&before);
    }
    drop(disk);
}

/// A shop whose container writes at the top of a file system, backed up.
pub fn with_data_as_ext4() -> (Shop, OnFile) {
    let shop = Shop::of_files_unsaved();
    let disk = shop.data_on("ext4");
    shop.back_up("nightly");
    (shop, disk)
}

#[test]
fn in_a_mount_point_in_which_containers_write_nothing_is_kept_and_it_is_restored_and_rolled_back() {
    let (shop, disk) = with_data_as_ext4();
    let archived = shop.trees_of_archive("nightly");
    let sshd = Sshd::start();
    declare(&shop, &sshd);
    let ways = [&[][..], &["--host", "other"], &["--only-changed"]];
    for (number, more) in (1..).zip(ways) {
        shop.damage(Damage(number));
        let before = shop.now();
        let restored = shop.restore(more).expect(0);
        assert!(restored.stdout.contains("is copied to"), "{}", restored.stdout);
        let now = shop.trees();
        assert_same(&archived.0, &now.0, "the volume is not as in the archive");
        assert_same(&archived.1, &now.1, "the project is not as in the archive");
        before.objects.expect_now(&shop.name);
        assert!(shop.marked().iter().all(|path| !Path::new(path).starts_with(disk.path())));
        fs::write(shop.data().join("made since"), "").unwrap();
        roll_back(&shop).expect(0);
        shop.expect_as_before(&before);
    }
    let before = shop.now();
    shop.restore(&["--merge"]).expect(2).says(&["in which others may write", "Mount the file system at"]);
    shop.restore(&["--protect", "snapshot"]).expect(2).says(&["of which no snapshot can be taken"]);
    shop.expect_as_before(&before);

    // What was copied goes when the window closes.
    shop.restore(&[]).expect(0);
    let kept: Vec<String> = serde_json::from_value(shop.record()["kept"].clone()).unwrap();
    assert!(kept.iter().all(|path| Path::new(path).exists()) && kept.len() == 2, "{kept:?}");
    let_hours_pass(&shop, 9);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(shop.marked(), Vec::<String>::new());
    assert_same(&archived.0, &shop.trees().0, "what was restored stays");
}

#[test]
fn without_room_for_a_copy_beside_a_mount_point_or_with_memory_there_it_is_refused_before_anything_stops() {
    let (shop, disk) = with_data_as_ext4();
    let above = shop.data().parent().unwrap().to_owned();
    // What lies beside has little room, and the data lie on top of it once more.
    let aside = shop.sandbox.dir.join("aside");
    fs::create_dir(&aside).unwrap();
    let bind = |from: &Path, to: &Path| run(Command::new("mount").arg("--bind").arg(from).arg(to)).expect(0);
    let unmount = |path: &Path| run(Command::new("umount").arg(path)).expect(0);
    shop.compose(&["stop"]);
    bind(disk.path(), &aside);
    unmount(disk.path());
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=701", "none"]).arg(&above)).expect(0);
    fs::create_dir(shop.data()).unwrap();
    bind(&aside, &shop.data());
    unmount(&aside);
    shop.compose(&["start"]);
    let before = shop.now();
    let item = format!("volume:{}", shop.volume);
    let seen = shop.restore(&["--item", &item, "--dry-run"]);
    let refused = shop.restore(&["--item", &item]);
    shop.expect_as_before(&before);
    shop.compose(&["stop"]);
    unmount(&shop.data());
    unmount(&above);
    assert!(seen.stdout.contains("is in memory"), "{}", seen.stdout);
    refused.expect(2).says(&["are needed on its file system", "mount the file system one directory higher"]);
}

#[test]
fn a_container_that_gets_at_a_mount_point_by_another_path_is_known_whether_it_runs_or_not() {
    let (shop, disk) = with_project_as_ext4();
    let elsewhere = shop.sandbox.dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    run(Command::new("mount").arg("--bind").arg(disk.path()).arg(&elsewhere)).expect(0);
    let (foreign, mount) = (format!("{}-foreign", shop.name), format!("{}:/elsewhere", elsewhere.display()));
    let label = format!("{OWNER_LABEL}={}", owner());
    docker(["create", "--label", &label, "--name", &foreign, "-v", &mount, "reprise-test/web:1"]);
    let seen = shop.restore(&["--dry-run"]);
    docker(["start", &foreign]);
    let refused = shop.restore(&[]);
    docker(["rm", "-f", &foreign]);
    run(Command::new("umount").arg(&elsewhere)).expect(0);
    let seen = seen.expect(0);
    assert!(seen.stdout.contains("is copied to"), "it may be started any time: {}", seen.stdout);
    refused.expect(2).says(&["by another path", "Stop"]);
}

#[test]
fn a_failure_in_a_mount_point_is_undone_from_the_copy() {
    let (shop, disk) = with_data_as_ext4();
    expect_undone(&shop, &[]);
    drop(disk);
}

#[test]
fn what_cannot_be_moved_is_told_before_anything_stops() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let page = shop.data().join("page.html");
    run(Command::new("chattr").arg("+i").arg(&page)).expect(0);
    let refused = shop.restore(&["--only-changed"]);
    run(Command::new("chattr").arg("-i").arg(&page)).expect(0);
    refused.expect(2).says(&["page.html has a file flag", "chattr"]);
    shop.expect_nothing_begun();
}

#[test]
fn what_is_kept_in_a_file_system_goes_when_the_window_closes_and_then_there_is_no_rollback() {
    let (shop, disk) = with_project_as_ext4();
    shop.damage(Damage(1));
    shop.restore(&[]).expect(0);
    let restored = trees(&shop);
    let kept: Vec<String> = serde_json::from_value(shop.record()["kept"].clone()).unwrap();
    assert!(kept.iter().all(|path| Path::new(path).exists()) && kept.len() == 2, "{kept:?}");
    shop.reprise(&["operations", "expire"]).expect(0);
    assert!(kept.iter().all(|path| Path::new(path).exists()), "the window is open");
    let_hours_pass(&shop, 9);
    roll_back(&shop).expect(2).says(&["can no longer be rolled back"]);
    // Not while it is not mounted: it would stay for ever, and be in the way of every restore.
    let elsewhere = shop.sandbox.dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    shop.compose(&["stop"]);
    run(Command::new("mount").arg("--bind").arg(disk.path()).arg(&elsewhere)).expect(0);
    run(Command::new("umount").arg(disk.path())).expect(0);
    let tried = shop.reprise(&["operations", "expire"]).expect(1);
    assert!(tried.stderr.contains("is not mounted") && tried.stdout.is_empty(), "{tried:?}");
    run(Command::new("mount").arg("--bind").arg(&elsewhere).arg(disk.path())).expect(0);
    run(Command::new("umount").arg(&elsewhere)).expect(0);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(kept.iter().find(|path| Path::new(path).exists()), None);
    assert_same(&restored.1, &shop.trees().1, "not even the project's time has changed");
    roll_back(&shop).expect(2).says(&["can no longer be rolled back"]);
    drop(disk);
}

#[test]
fn only_what_differs_is_written_and_the_end_is_the_same() {
    let shop = Shop::of_files_unsaved();
    // In a directory, these are names like any other.
    let names = ["lost+found", ".reprise-notes"].map(|name| shop.project.join(name));
    fs::create_dir(&names[0]).unwrap();
    fs::write(names[0].join("file"), "found").unwrap();
    fs::write(&names[1], "notes").unwrap();
    shop.back_up("nightly");
    fs::remove_dir_all(&names[0]).unwrap();
    fs::remove_file(&names[1]).unwrap();
    let archived = shop.trees_of_archive("nightly");
    let inode = |name: &str| fs::metadata(shop.project.join(name)).unwrap().ino();
    let sshd = Sshd::start();
    for (number, host) in [(1, &[][..]), (2, &at_other(&shop, &sshd))] {
        shop.damage(Damage(number));
        let before = shop.now();
        let (same, other) = (inode("docker-compose.yml"), inode("site/index.html"));

        shop.restore(&[&["--only-changed"], host].concat()).expect(0);
        let now = shop.trees();
        assert_same(&archived.0, &now.0, "the volume is not as in the archive");
        assert_same(&archived.1, &now.1, "the project is not as in the archive");
        before.objects.expect_now(&shop.name);
        assert_eq!(inode("docker-compose.yml"), same, "what is right stays as it is");
        assert_ne!(inode("site/index.html"), other);

        // A file that was right, and stayed, is written to afterwards: its content of before is the archive's.
        fs::write(shop.project.join("site/health.txt"), "changed since").unwrap();
        fs::remove_dir_all(shop.data().join("a")).unwrap();
        fs::write(shop.data().join("made since"), "").unwrap();
        roll_back(&shop).expect(0);
        shop.expect_as_before(&before);
    }
}

#[test]
fn a_file_that_only_looks_unchanged_is_put_right() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    let page = shop.data().join("page.html");
    let meta = fs::metadata(&page).unwrap();
    let wrong = vec![b'x'; meta.len() as usize];
    let sshd = Sshd::start();
    for host in [&[][..], &at_other(&shop, &sshd)] {
        fs::write(&page, &wrong).unwrap();
        fs::File::options().write(true).open(&page).unwrap().set_modified(meta.modified().unwrap()).unwrap();
        shop.restore(&[&["--only-changed"], host].concat()).expect(0);
        assert_same(&archived.0, &shop.trees().0, "size and time were believed");
    }
}

#[test]
fn merging_puts_in_what_differs_and_removes_nothing() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    let sshd = Sshd::start();
    for (number, host) in [(1, &[][..]), (2, &at_other(&shop, &sshd))] {
        shop.damage(Damage(number));
        let before = shop.now();
        shop.restore(&[&["--merge"], host].concat()).expect(0);
        let more = ["site/newer", "site/newer/and", "site/newer/and/deeper", "site/newer/and/deeper/file"];
        let (volume, project) = shop.trees();
        let newer = format!("newer-{number}");
        assert!(shop.data().join(&newer).exists() && shop.project.join(more[3]).exists());
        assert_same(&archived.0, &volume.without(&["newer-1", &newer]), "what the archive holds is there");
        assert_same(&archived.1, &project.without(&more), "what the archive holds is there");
        roll_back(&shop).expect(0);
        shop.expect_as_before(&before);
    }
}

#[test]
fn a_failure_over_ssh_is_undone_where_only_what_differs_was_written() {
    let shop = Shop::of_files();
    let sshd = Sshd::start();
    expect_undone(&shop, &[&["--only-changed"], &at_other(&shop, &sshd)[..]].concat());
}

#[test]
fn merging_is_refused_where_it_could_not_be_undone_to_the_byte() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&["--merge", "--protect", "snapshot"]).expect(2).says(&["--merge removes nothing"]);
    shop.restore(&["--merge", "--script", "complete"]).expect(2).says(&["cannot be restored by a script"]);
    shop.expect_as_before(&before);
}

#[test]
fn a_mount_point_is_not_restored_into_twice_until_the_first_is_undone_or_expired() {
    let (shop, disk) = with_project_as_ext4();
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&[]).expect(0);
    shop.restore(&[]).expect(2).says(&["still holds what an earlier restore keeps", "operations expire"]);
    roll_back(&shop).expect(0);
    shop.expect_as_before(&before);
    shop.restore(&[]).expect(0);
    let_hours_pass(&shop, 9);
    shop.reprise(&["operations", "expire"]).expect(0);
    shop.restore(&[]).expect(0);
    drop(disk);
}

#[test]
fn without_room_for_two_copies_only_what_differs_is_written() {
    let fill = |project: &Path| {
        fs::create_dir_all(project).unwrap();
        fs::write(project.join("large"), vec![7; 3 << 20]).unwrap();
    };
    let shop = Shop::of_files_on("5m", fill);
    let archived = shop.trees_of_archive("nightly");
    fs::write(shop.project.join("site/index.html"), "damaged").unwrap();
    fs::write(shop.project.join("newer"), "").unwrap();
    let before = shop.now();
    let item = format!("project:{}", shop.name);
    let sshd = Sshd::start();
    for how in [&[][..], &["--only-changed"], &at_other(&shop, &sshd)] {
        let restored = shop.restore(&[&["--item", item.as_str()], how].concat()).expect(0);
        let told = restored.stdout.contains("no room for what comes beside what is there");
        assert_eq!(told, !how.contains(&"--only-changed"), "{}", restored.stdout);
        assert!(restored.stdout.contains("if all of it differs"), "{}", restored.stdout);
        assert_same(&archived.1, &shop.trees().1, "the project is not as in the archive");
        roll_back(&shop).expect(0);
        shop.expect_as_before(&before);
    }

    // Where not even that fits, everything is put back.
    fs::write(shop.project.join("large"), vec![8; 3 << 20]).unwrap();
    let before = shop.now();
    shop.restore(&["--item", &item]).expect(3).says(&["no space left"]);
    shop.expect_as_before(&before);
    // Where it is known that it cannot, nothing stops.
    fs::remove_file(shop.project.join("large")).unwrap();
    fs::write(shop.project.parent().unwrap().join("other"), vec![9; 3 << 20]).unwrap();
    let before = shop.now();
    shop.restore(&["--item", &item]).expect(2).says(&["are needed on its file system"]);
    shop.expect_as_before(&before);
}

#[test]
fn a_btrfs_snapshot_protects_what_is_written_over() {
    let (shop, disk) = with_volume_on("btrfs");
    let archived = shop.trees_of_archive("nightly");
    let snapshots =
        || run(Command::new("btrfs").args(["subvolume", "list", "-s"]).arg(disk.path())).expect(0).stdout;
    shop.damage(Damage(1));
    let before = shop.now();
    let item = format!("volume:{}", shop.volume);
    let protected = ["--item", item.as_str(), "--protect", "snapshot"];

    let restored = shop.restore(&protected).expect(0);
    assert!(restored.stdout.contains("Take the read-only btrfs snapshot"), "{}", restored.stdout);
    assert_same(&archived.0, &shop.trees().0, "the volume is not as in the archive");
    assert_eq!(snapshots().lines().count(), 1);
    fs::write(shop.data().join("made since"), "").unwrap();
    roll_back(&shop).expect(0);
    shop.expect_as_before(&before);
    assert_eq!(snapshots(), "");

    shop.restore(&protected).expect(0);
    let_hours_pass(&shop, 9);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(snapshots(), "");
    assert_same(&archived.0, &shop.trees().0, "what was restored stays");
    roll_back(&shop).expect(2).says(&["can no longer be rolled back"]);
}

/// A restore after which the container is not well puts everything back.
#[track_caller]
fn expect_undone(shop: &Shop, more: &[&str]) {
    fs::remove_file(shop.data().join("health.txt")).unwrap();
    // With that gone, the container is not well after the restore.
    shop.compose(&["stop"]);
    shop.back_up("broken");
    fs::write(shop.data().join("health.txt"), "fine\n").unwrap();
    shop.compose(&["start"]);
    let before = shop.now();
    let (archive, item) = (shop.archive("broken"), format!("volume:{}", shop.volume));
    let restore = ["docker", "restore", &archive, "--in-place", "--yes", "--item", &item];
    let restore = [&restore[..], more, &["--health-timeout", "3"]].concat();
    shop.reprise(&restore).expect(3).says(&["not healthy"]);
    shop.expect_as_before(&before);
}

#[test]
fn a_failure_is_undone_from_the_snapshot() {
    let (shop, disk) = with_volume_on("btrfs");
    expect_undone(&shop, &["--protect", "snapshot"]);
    drop(disk);
}

#[test]
fn a_subvolume_is_told_from_the_directories_around_it() {
    let disk = OnFile::new("btrfs", 128);
    let mut shop = Shop::unbuilt();
    let project = disk.path().join(&shop.name);
    shop.project.clone_from(&project);
    subvolume(&project);
    let labels = format!("labels: {{{OWNER_LABEL}: \"{}\"}}", owner());
    let compose = format!(
        "services: {{web: {{image: \"reprise-test/web:1\", {labels}}}}}\nnetworks: {{default: {{{labels}}}}}\n"
    );
    fs::write(project.join("docker-compose.yml"), format!("version: '2.4'\n{compose}")).unwrap();
    shop.compose(&["up", "-d"]);
    fs::write(project.join("file"), "as backed up").unwrap();
    shop.borg(&["create", "::nightly", project.to_str().unwrap()]);
    fs::write(project.join("file"), "damaged").unwrap();
    fs::write(project.join("newer"), "").unwrap();
    let inner = project.join("data/inner");
    fs::create_dir(project.join("data")).unwrap();
    subvolume(&inner);
    shop.restore(&["--protect", "snapshot"]).expect(2).says(&["A btrfs subvolume of its own", "data/inner"]);
    run(Command::new("btrfs").args(["subvolume", "delete"]).arg(&inner)).expect(0);
    fs::remove_dir(project.join("data")).unwrap();
    let before = Tree::of(&project);
    for protect in ["auto", "snapshot"] {
        shop.restore(&["--protect", protect]).expect(0);
        assert_eq!(fs::read_to_string(project.join("file")).unwrap(), "as backed up");
        assert!(!project.join("newer").exists());
        roll_back(&shop).expect(0);
        assert_same(&before, &Tree::of(&project), protect);
    }
}
