//! Whole plans as recipes make them, and the worlds they are for.

use std::fs;
use std::path::{Path, PathBuf};

use reprise_engine::{
    AwaitHealthy, Change, ComposeCreate, CreateContainer, CreateNetwork, CreateVolume, Edit, Keep, MakeDir,
    Mirror, OPERATION_LABEL, OpenStore, Place, Plan, RecordedTexts, Service, SetAside, Snapshot,
    SnapshotKind, StartContainer, StopContainer, Swap, TreeCopy, Way,
};
use reprise_host::{Blueprint, Command, ComposeProject, Docker, NetworkSpec, VolumeSpec};

use crate::{
    Bench, OnFile, Restart, SimContainer, Wellness, World, plan, plant, restless, settle, stage, subvolume,
};

/// A world, and a plan for it.
pub struct Scene {
    /// What it is called.
    pub name: &'static str,
    /// The world.
    pub bench: Bench,
    /// The plan.
    pub plan: Plan,
}

impl Scene {
    /// Every scene there is, each built anew at each call.
    pub const ALL: [fn() -> Self; 5] =
        [Self::in_place, Self::in_two_steps, Self::elsewhere, Self::new_volume, Self::made_anew];

    /// Two services and their volumes are put back in place: nearly every effect, and the order matters.
    pub fn in_place() -> Self {
        let bench = with_backup();
        let (app, db) = two_services(&bench, directory);
        let mut changes = Vec::new();
        for (from, target) in [("var/app", &app), ("var/db", &db)] {
            changes.push(Change::Stage(stage(&bench.source, from, &beside(target, "new"))));
        }
        for container in ["web", "db"] {
            changes.push(Change::StopContainer(StopContainer { container: container.to_owned() }));
        }
        for target in [&app, &db] {
            changes.push(swap(target, &["web", "db"]));
        }
        changes.extend(starts());
        Self { name: "in place", bench, plan: plan("swap", changes) }
    }

    /// The same where two names cannot be exchanged in one step.
    pub fn in_two_steps() -> Self {
        let scene = Self { name: "in two steps", ..Self::in_place() };
        scene.bench.host.cannot_exchange();
        scene
    }

    /// A volume that is a subvolume of the btrfs `disk` is mirrored in one of the ways, with nothing but a snapshot for the
    /// way back; or filled, with a copy for it.
    pub fn protected(disk: &OnFile, way: Way) -> Self {
        let bench = with_backup_in(Bench::within(tempfile::tempdir_in(disk.path()).expect("a directory")));
        let (target, _) = two_services(&bench, subvolume);
        let (store, kind) = if way == Way::Fill {
            let store = beside(&target, "kept");
            let copy = TreeCopy { of: target.clone(), at: store.join("copy"), entries: 1, bytes: 1 };
            (store, SnapshotKind::Copy(copy))
        } else {
            // A name cannot move from one subvolume into another.
            let store = target.join(".reprise-op");
            let kind = SnapshotKind::Btrfs { subvolume: target.clone(), at: store.join("snapshot") };
            (store, kind)
        };
        let mut changes = vec![Change::OpenStore(OpenStore { target: target.clone(), store: store.clone() })];
        if way.is_staged() {
            changes.push(Change::Stage(stage(&bench.source, "var/app", &store.join("new"))));
        }
        for container in ["web", "db"] {
            changes.push(Change::StopContainer(StopContainer { container: container.to_owned() }));
        }
        let users = ["web", "db"].map(ToOwned::to_owned).to_vec();
        let targets = vec![target.clone()];
        changes.push(Change::Snapshot(Snapshot {
            kind,
            targets,
            store: store.clone(),
            users: users.clone(),
        }));
        let held = bench.source.measure("var/app");
        changes.push(Change::Mirror(Mirror {
            from: "var/app".to_owned(),
            target,
            store,
            way,
            keep: Keep::Elsewhere,
            entries: held.entries,
            bytes: held.bytes,
            users,
        }));
        changes.extend(starts());
        Self { name: "protected by a snapshot", bench, plan: plan("snap", changes) }
    }

    /// A tree and a file are restored to a directory of their own, below directories that are missing, with
    /// a settings file adapted. Nothing is stopped.
    pub fn elsewhere() -> Self {
        let bench = with_backup();
        two_services(&bench, directory);
        let (outer, inner) = (bench.path("srv/restored"), bench.path("srv/restored/here it is"));
        let mut staged = stage(&bench.source, "var/app", &beside(&inner.join("app"), "new"));
        staged.edits = vec![
            Edit { path: "settings.conf".into(), content: "adapted\n".to_owned(), original: None },
            Edit {
                path: "sub/deep/data.bin".into(),
                content: String::new(),
                original: Some("data.bin.original".to_owned()),
            },
        ];
        let file = stage(&bench.source, "etc/app.yml", &beside(&inner.join("app.yml"), "new"));
        let place = |name: &str| {
            Change::Place(Place { staged: beside(&inner.join(name), "new"), target: inner.join(name) })
        };
        let changes = vec![
            Change::MakeDir(MakeDir { path: bench.path("srv"), mode: 0o755 }),
            Change::MakeDir(MakeDir { path: outer, mode: 0o755 }),
            Change::MakeDir(MakeDir { path: inner.clone(), mode: 0o755 }),
            Change::Stage(staged),
            Change::Stage(file),
            place("app"),
            place("app.yml"),
        ];
        Self { name: "elsewhere", bench, plan: plan("alt", changes) }
    }

    /// A volume that the host does not have is made and filled.
    pub fn new_volume() -> Self {
        let bench = with_backup();
        two_services(&bench, directory);
        let target = bench.docker.mountpoint("fresh");
        let labels = [("com.docker.compose.volume".to_owned(), "fresh".to_owned())].into();
        let spec = VolumeSpec { name: "fresh".to_owned(), labels, ..VolumeSpec::default() };
        let changes = vec![
            Change::CreateVolume(CreateVolume { spec }),
            Change::Stage(stage(&bench.source, "var/app", &beside(&target, "new"))),
            swap(&target, &[]),
        ];
        Self { name: "new volume", bench, plan: plan("vol", changes) }
    }

    /// A project's files are put back, and its containers made of them: one of two is there, of other files. A container
    /// of no project is made as the backup recorded it, in a network that is lost as well.
    pub fn made_anew() -> Self {
        let bench = with_backup();
        two_services(&bench, directory);
        let backup = bench.source.root().to_owned();
        let directory = bench.path("shop");
        for (at, lines) in [(backup.join("shop"), "web 2\ndb 1\n"), (directory.clone(), "web 1\n")] {
            fs::create_dir(&at).expect("a directory");
            fs::write(at.join("compose.yaml"), lines).expect("a file");
        }
        fs::write(backup.join("record.json"), r#"{"env": ["SECRET=a\nb"]}"#).expect("a file");
        settle(&backup);
        let web =
            SimContainer::new("shop_web_1").of_project("shop", "web", "1").with(&["A=1"], &["shop_default"]);
        bench.docker.add(web.restart(Restart::Always).mounting(&directory));
        settle(&bench.root());

        let containers = ["shop_db_1", "shop_web_1"].map(str::to_owned);
        let project = ComposeProject {
            underscores: true,
            name: "shop".to_owned(),
            directory: directory.clone(),
            containers: containers.to_vec(),
            ..ComposeProject::default()
        };
        let body = serde_json::json!({ "Image": "image:1", "Labels": { OPERATION_LABEL: "this" },
            "HostConfig": { "NetworkMode": "fresh" } });
        let web = "shop_web_1".to_owned();
        let as_in = Service { project: project.clone(), name: "web".to_owned() };
        let spec = NetworkSpec { name: "fresh".to_owned(), ..NetworkSpec::default() };
        let mut changes = vec![
            Change::CreateNetwork(CreateNetwork { spec, asked_for: false }),
            Change::Stage(stage(&bench.source, "shop", &beside(&directory, "new"))),
            Change::StopContainer(StopContainer { container: web.clone() }),
            swap(&directory, &[&web]),
            Change::SetAside(SetAside {
                container: web.clone(),
                kept: format!("{web}.reprise-op.old"),
                unless_as_in: Some(as_in),
            }),
            Change::ComposeCreate(ComposeCreate { project }),
            Change::CreateContainer(CreateContainer {
                container: "job".to_owned(),
                blueprint: Blueprint { body, networks: [].into() },
                environment: Some(RecordedTexts {
                    file: "record.json".to_owned(),
                    pointer: "/env".to_owned(),
                    by_hand: Command::new("head").args(["-c", "1M", "record.json"]),
                }),
            }),
        ];
        for container in containers.into_iter().chain(["job".to_owned()]) {
            changes.push(Change::StartContainer(StartContainer { container }));
        }
        Self { name: "made anew", bench, plan: plan("made", changes) }
    }

    /// The paths whose times the plan changes whatever its end, relative to the world's root.
    pub fn restless(&self) -> Vec<PathBuf> {
        let root = self.bench.root();
        let mut paths = restless(self.plan.steps.iter().map(|step| &step.change));
        paths.push(self.bench.path("docker/volumes"));
        paths.iter().map(|path| path.strip_prefix(&root).expect("a path in the world").to_owned()).collect()
    }

    /// The world as it is, but for the times that the plan changes whatever its end, also where they are written down.
    pub fn world(&self) -> World {
        let root = self.bench.root();
        let moves = self.plan.steps.iter().filter_map(|step| match &step.change {
            Change::Mirror(mirror) => mirror.store.strip_prefix(&root).ok().map(|store| store.join("moves")),
            _ => None,
        });
        let world = self.bench.world().without_times_of(&self.restless());
        world.without_contents_of(&moves.collect::<Vec<_>>())
    }

    /// Where the plan keeps or stages something beside `target`.
    pub fn beside(&self, target: &Path, tail: &str) -> PathBuf {
        beside(target, tail)
    }
}

fn beside(target: &Path, tail: &str) -> PathBuf {
    let name = target.file_name().expect("a name").to_str().expect("a name in UTF-8");
    target.with_file_name(format!("{name}.reprise-op.{tail}"))
}

fn swap(target: &Path, users: &[&str]) -> Change {
    Change::Swap(Swap {
        staged: beside(target, "new"),
        target: target.to_owned(),
        kept: beside(target, "old"),
        users: users.iter().map(ToString::to_string).collect(),
    })
}

fn directory(path: &Path) {
    fs::create_dir(path).expect("a directory");
}

/// `db` and `web` are started in order, and each is waited for.
fn starts() -> Vec<Change> {
    let start = |container: &str| {
        let container = container.to_owned();
        [
            Change::StartContainer(StartContainer { container: container.clone() }),
            Change::AwaitHealthy(AwaitHealthy {
                container,
                limit_seconds: 60,
                stable_seconds: 3,
                ..AwaitHealthy::default()
            }),
        ]
    };
    ["db", "web"].into_iter().flat_map(start).collect()
}

fn with_backup() -> Bench {
    with_backup_in(Bench::new())
}

fn with_backup_in(bench: Bench) -> Bench {
    let backup = bench.source.root().to_owned();
    fs::create_dir_all(backup.join("etc")).expect("a directory");
    for name in ["app", "db"] {
        plant(&backup.join("var").join(name), &format!("the backup's {name}"));
    }
    fs::write(backup.join("etc/app.yml"), "services: {}\n").expect("a file");
    settle(&backup);
    bench
}

/// `web` and `db` with a volume each, and a third container that has nothing to do with them. The volumes' directories are
/// made by `make`.
fn two_services(bench: &Bench, make: fn(&Path)) -> (PathBuf, PathBuf) {
    let volume = |name: &str| {
        let spec = VolumeSpec { name: name.to_owned(), ..VolumeSpec::default() };
        bench.docker.create_volume(&spec).expect("a volume");
        let at = bench.docker.mountpoint(name);
        fs::remove_dir(&at).expect("an empty directory");
        make(&at);
        plant(&at, &format!("the live {name}"));
        fs::write(at.join("newer than the backup"), name).expect("a file");
        at
    };
    let (app, db) = (volume("app_data"), volume("db_data"));
    let web = SimContainer::new("web").restart(Restart::Always).with_volume("app_data", &app);
    bench.docker.add(web);
    let wellness = Wellness::HealthyAfter(5);
    bench.docker.add(SimContainer::new("db").wellness(wellness).with_volume("db_data", &db));
    bench.docker.add(SimContainer::new("bystander").restart(Restart::Always).mounting(&bench.path("other")));
    settle(&bench.root());
    (app, db)
}
