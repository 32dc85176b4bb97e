//! Plans made by hand.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reprise_engine::{Change, Estimate, Plan, SnapshotKind, SourceRef, Stage, Step};
use reprise_host::Command;
use reprise_model::{Adaptation, Choice, Destination, Manner, Protect, RestoreType};

use crate::DirSource;

/// A plan of these changes, under the id `20261121-030000-NAME`.
pub fn plan(name: &str, changes: Vec<Change>) -> Plan {
    Plan {
        id: format!("20261121-030000-{name}").parse().expect("an id"),
        created_at: Timestamp::from_second(1_795_230_000).expect("a time"),
        kind: "docker-restore".to_owned(),
        source: SourceRef {
            kind: "borg".to_owned(),
            repository: "/srv/borg".to_owned(),
            archive: "daily-2026-11-21".to_owned(),
            id: "00ff".to_owned(),
            time: "2026-11-21T02:00:00.000000".to_owned(),
        },
        host: "testhost".to_owned(),
        choice: Choice {
            restore_type: RestoreType::Full,
            items: Vec::new(),
            destination: Destination::InPlace,
            adaptation: Adaptation::None,
            restart: true,
            manner: Manner::default(),
            protect: Protect::default(),
            backup_before: false,
        },
        items: Vec::new(),
        findings: Vec::new(),
        steps: changes.into_iter().map(|change| Step { change, estimate: Estimate::default() }).collect(),
        window_seconds: 86_400,
        limit_seconds: None,
        space: Vec::new(),
        protections: Vec::new(),
        needs: Vec::new(),
    }
}

/// The step that stages `from` of `source` as `into`. In a script it is a copy by `cp`.
pub fn stage(source: &DirSource, from: &str, into: &Path) -> Stage {
    let wrote = source.measure(from);
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let mut part = text(into);
    part.push_str(".part");
    let by_hand = Command::new("env").args([
        "-C",
        &text(source.root()),
        "cp",
        "-a",
        "--parents",
        "-t",
        &part,
        "--",
        from,
    ]);
    Stage {
        from: from.to_owned(),
        into: into.to_owned(),
        entries: wrote.entries,
        bytes: wrote.bytes,
        edits: Vec::new(),
        by_hand,
    }
}

/// Where a plan changes times that no undoing can set back, and writes files of its own: see
/// [`World`](crate::World).
pub fn restless<'a>(changes: impl IntoIterator<Item = &'a Change> + Clone) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut edited = Vec::new();
    let mut moved = Vec::new();
    let (mut stores, mut settled) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::MakeDir(dir) => paths.extend([dir.path.clone(), parent(&dir.path)]),
            Change::Stage(stage) => {
                paths.push(parent(&stage.into));
                for edit in &stage.edits {
                    edited.extend([stage.into.join(&edit.path), parent(&stage.into.join(&edit.path))]);
                }
            }
            Change::Swap(swap) => {
                paths.extend([parent(&swap.staged), parent(&swap.target), parent(&swap.kept)]);
                moved.push((swap.staged.clone(), swap.target.clone()));
            }
            Change::Place(place) => {
                paths.extend([parent(&place.staged), parent(&place.target)]);
                moved.push((place.staged.clone(), place.target.clone()));
            }
            Change::OpenStore(open) => stores.push(open.store.clone()),
            Change::Mirror(mirror) => {
                paths.extend(
                    ["", "new", "old", "moves", "done"].map(|name| joined(&mirror.store, name.as_ref())),
                );
                // What leads to something in the staged tree, and is left of it.
                paths.extend(["sub", "sub/deep", "empty"].map(|name| mirror.store.join("new").join(name)));
                paths.push(parent(&mirror.store));
                settled.push(mirror.target.clone());
            }
            // A volume's directory lies in that of all volumes, which is not known here: worlds have one
            // volume at least, or forget the time of that directory themselves.
            Change::Snapshot(snapshot) => {
                paths.push(snapshot.store.join("snapshot-taken"));
                match &snapshot.kind {
                    SnapshotKind::Btrfs { subvolume, at } => {
                        paths.push(parent(at));
                        // A store in it was made after it was settled, and is in the snapshot.
                        if let Ok(inside) = snapshot.store.strip_prefix(subvolume) {
                            paths.extend([at.clone(), at.join(inside)]);
                        }
                    }
                    SnapshotKind::Copy(copy) => {
                        paths.push(parent(&copy.at));
                        paths.extend(["top", "emptying"].map(|name| snapshot.store.join(name)));
                    }
                    SnapshotKind::Lvm(_) => {}
                }
            }
            Change::CreateVolume(_)
            | Change::CreateNetwork(_)
            | Change::CreateContainer(_)
            | Change::SetAside(_)
            | Change::ComposeCreate(_)
            | Change::BackUp(_)
            | Change::StopContainer(_)
            | Change::StartContainer(_)
            | Change::AwaitHealthy(_) => {}
        }
    }
    // What is mirrored gets its time when all is done.
    paths.extend(stores.into_iter().flat_map(|store| [parent(&store), store]));
    paths.retain(|path| !settled.contains(path));
    for (staged, target) in moved {
        let there: Vec<_> = edited
            .iter()
            .filter_map(|path| Some(joined(&target, path.strip_prefix(&staged).ok()?)))
            .collect();
        paths.extend(there);
    }
    paths.extend(edited);
    paths
}

/// Without the slash that joining nothing leaves.
pub(crate) fn joined(path: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { path.to_owned() } else { path.join(rest) }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().expect("a path with a parent").to_owned()
}
