//! Snapshots on a real btrfs. Those of LVM need a kernel of their own: see `docker/lvm.rs` of the program's tests.

use std::fs;

use reprise_engine::{Change, Snapshot, SnapshotKind, TreeCopy};
use reprise_testkit::{Bench, plant, subvolume};

use crate::scenarios::Make;

/// A snapshot of a whole subvolume, which holds a store that is not part of it.
pub fn of_subvolume(bench: &Bench) -> Change {
    let target = bench.path("target");
    subvolume(&target);
    for name in ["planted", "planted/inner"] {
        fs::create_dir(bench.path(name)).unwrap();
    }
    plant(&bench.path("planted/inner"), "live");
    let copied =
        std::process::Command::new("cp").arg("-aT").arg(bench.path("planted/inner")).arg(&target).status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(bench.path("planted")).unwrap();
    fs::write(target.join("one name"), "linked").unwrap();
    fs::hard_link(target.join("one name"), target.join("sub/another name")).unwrap();
    fs::create_dir(bench.path("store")).unwrap();
    Change::Snapshot(Snapshot {
        kind: SnapshotKind::Btrfs { subvolume: target.clone(), at: bench.path("store/snapshot") },
        targets: vec![target],
        store: bench.path("store"),
        users: vec!["user".to_owned()],
    })
}

/// A snapshot of a subvolume of which one directory is restored.
fn of_directory(bench: &Bench) -> Change {
    let outer = bench.path("outer");
    subvolume(&outer);
    plant(&outer.join("target"), "live");
    fs::create_dir_all(outer.join("target/.reprise-op")).unwrap();
    fs::create_dir(bench.path("store")).unwrap();
    Change::Snapshot(Snapshot {
        kind: SnapshotKind::Btrfs { subvolume: outer.clone(), at: bench.path("store/snapshot") },
        targets: vec![outer.join("target")],
        store: bench.path("store"),
        users: vec![],
    })
}

/// A copy of a file system of its own, which is kept on another one.
pub fn of_file_system(bench: &Bench) -> Change {
    let Change::Snapshot(snapshot) = of_subvolume(bench) else { unreachable!() };
    let target = bench.path("target");
    // What is none of the tree stays as it is.
    fs::create_dir_all(target.join(".reprise-earlier/old")).unwrap();
    fs::create_dir(target.join("lost+found")).unwrap();
    std::os::unix::fs::chown(&target, Some(999), Some(998)).unwrap();
    let copy = TreeCopy { of: target, at: bench.path("store/copy"), entries: 1, bytes: 1 };
    Change::Snapshot(Snapshot { kind: SnapshotKind::Copy(copy), ..snapshot })
}

pub fn needed() -> Vec<(&'static str, Make)> {
    vec![
        ("a btrfs snapshot", of_subvolume),
        ("a btrfs snapshot of more", of_directory),
        ("a copy from btrfs", of_file_system),
    ]
}
