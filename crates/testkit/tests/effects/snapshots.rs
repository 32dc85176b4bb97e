//! Snapshots on a real btrfs. Those of LVM need a kernel of their own: see `docker/lvm.rs` of the program's tests.

use std::fs;

use reprise_engine::{Change, Snapshot, SnapshotKind};
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

pub fn needed() -> Vec<(&'static str, Make)> {
    vec![("a btrfs snapshot", of_subvolume), ("a btrfs snapshot of more", of_directory)]
}
