//! Trees that are mirrored, each way, with all that can be in the way.

use std::fs;
use std::os::unix::fs::symlink;

use reprise_engine::{Change, Keep, Mirror, OpenStore, Way};
use reprise_testkit::{Bench, SimContainer, plant};

use crate::scenarios::Make;

pub fn store_inside(bench: &Bench) -> Change {
    plant(&bench.path("target"), "live");
    Change::OpenStore(OpenStore { target: bench.path("target"), store: bench.path("target/.reprise-op") })
}

/// A live tree and a backup that have some things in common, some not; `odd` makes them odder. The store lies in the
/// target, or beside it.
pub fn mirror(bench: &Bench, way: Way, inside: bool, odd: fn(&Bench)) -> Change {
    let backup = bench.source.root().join("app");
    plant(&bench.path("target"), "the backup");
    fs::write(bench.path("target/sub/deep/data.bin"), "written since").unwrap();
    fs::remove_file(bench.path("target/dangling")).unwrap();
    fs::write(bench.path("target/newer"), "than the backup").unwrap();
    fs::create_dir_all(bench.path("target/new dir/below")).unwrap();
    fs::write(bench.path("target/new dir/below/file"), "").unwrap();
    for tree in [&backup, &bench.path("target")] {
        fs::write(tree.join("one name"), "linked").unwrap();
        fs::hard_link(tree.join("one name"), tree.join("sub/another name")).unwrap();
    }
    let store = if inside { bench.path("target/.reprise-op") } else { bench.path("store") };
    fs::create_dir(&store).unwrap();
    odd(bench);
    if way.is_staged() {
        let staged = std::process::Command::new("cp").arg("-a").arg(&backup).arg(store.join("new")).status();
        assert!(staged.unwrap().success());
    }
    let wrote = bench.source.measure("app");
    Change::Mirror(Mirror {
        from: "app".to_owned(),
        target: bench.path("target"),
        store,
        way,
        keep: Keep::InStore,
        entries: wrote.entries,
        bytes: wrote.bytes - "linked".len() as u64,
        users: vec!["user".to_owned()],
    })
}

/// Directories where the other has none, and odd names.
fn kinds(bench: &Bench) {
    let backup = bench.source.root().join("app");
    for (one, other) in [(&backup, &bench.path("target")), (&bench.path("target"), &backup)] {
        let name = if *one == backup { "kind a" } else { "kind b" };
        fs::create_dir(one.join(name)).unwrap();
        fs::write(one.join(name).join("inner"), "x").unwrap();
        symlink("elsewhere", other.join(name)).unwrap();
    }
    names(bench);
}

/// A name that is no text, another mode of the whole and of a part of it.
fn names(bench: &Bench) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let backup = bench.source.root().join("app");
    fs::write(backup.join(OsStr::from_bytes(b"no \xff text")), "1").unwrap();
    fs::write(bench.path("target").join(OsStr::from_bytes(b"no \xfe text\n")), "2").unwrap();
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o2770)).unwrap();
    fs::set_permissions(backup.join("empty"), fs::Permissions::from_mode(0o700)).unwrap();
    bench.docker.add(SimContainer::new("user").stopped().mounting(&bench.path("target")));
}

/// One name of a file has become a file of its own.
fn parted(bench: &Bench) {
    let name = bench.path("target/sub/another name");
    fs::remove_file(&name).unwrap();
    fs::write(&name, "linked").unwrap();
}

/// What a file system of its own has at its top.
fn mounted(bench: &Bench) {
    fs::create_dir(bench.path("target/lost+found")).unwrap();
    fs::create_dir(bench.source.root().join("app/lost+found")).unwrap();
}

/// What an earlier operation keeps in the target, and one that was at work when the backup was made.
fn kept_by_others(bench: &Bench) {
    for tree in
        [bench.path("target/.reprise-earlier"), bench.source.root().join("app/.reprise-in-the-backup")]
    {
        fs::create_dir_all(tree.join("old")).unwrap();
        fs::write(tree.join("old/0"), "kept").unwrap();
    }
}

pub fn needed() -> Vec<(&'static str, Make)> {
    vec![
        ("a store in a tree", store_inside),
        ("a store beside a tree", |bench| {
            plant(&bench.path("target"), "live");
            Change::OpenStore(OpenStore { target: bench.path("target"), store: bench.path("store") })
        }),
        ("an exchange of all names", |bench| mirror(bench, Way::Exchange, true, |_| {})),
        ("an exchange of odd names", |bench| mirror(bench, Way::Exchange, true, kinds)),
        ("only what differs", |bench| mirror(bench, Way::Exact, false, |_| {})),
        ("only what differs, odd", |bench| mirror(bench, Way::Exact, true, kinds)),
        ("only what differs of hard links", |bench| mirror(bench, Way::Exact, false, parted)),
        ("only what differs where one is mounted", |bench| mirror(bench, Way::Exact, true, mounted)),
        ("a merge", |bench| mirror(bench, Way::Merge, false, |_| {})),
        ("a merge of odd names", |bench| mirror(bench, Way::Merge, true, names)),
        ("an exchange where others keep something", |bench| {
            mirror(bench, Way::Exchange, true, kept_by_others)
        }),
        ("only what differs where others keep something", |bench| {
            mirror(bench, Way::Exact, true, kept_by_others)
        }),
    ]
}
