//! One effect each, in a world of its own: the usual ones and the odd ones.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::rc::Rc;

use reprise_engine::{
    AwaitHealthy, BackUp, Change, CreateVolume, Edit, MakeDir, Place, StartContainer, StopContainer, Swap,
    Way,
};
use reprise_host::{Command, Docker, PortBinding, VolumeSpec};
use reprise_testkit::{Bench, OnFile, Restart, SimContainer, Wellness, plant, restless, settle, stage};

use crate::{making, mirrors, snapshots};

/// An effect and the world it is for.
pub struct Scenario {
    pub name: &'static str,
    pub bench: Bench,
    pub change: Change,
    // The file system under it; goes last.
    _disk: Option<Rc<OnFile>>,
}

/// Btrfs, where scenarios ask for it: one for all that are built together.
#[derive(Clone, Default)]
struct Btrfs(Rc<OnceCell<Rc<OnFile>>>);

impl Btrfs {
    fn disk(&self) -> Rc<OnFile> {
        Rc::clone(self.0.get_or_init(|| Rc::new(OnFile::new("btrfs", 1024))))
    }
}

impl Scenario {
    /// Paths whose times the effect changes, relative to the world's root.
    pub fn restless(&self) -> Vec<PathBuf> {
        let root = self.bench.root();
        let mut paths = restless([&self.change]);
        paths.push(self.bench.path("docker/volumes"));
        paths.iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect()
    }
}

pub type Make = fn(&Bench) -> Change;

/// Every scenario, in a world built anew.
pub fn needed() -> impl Iterator<Item = (&'static str, impl Fn() -> Scenario)> {
    let all: Vec<(&'static str, Make)> = [
        directories(),
        volumes(),
        stages(),
        swaps(),
        places(),
        containers(),
        vec![("an archive of what is there", back_up)],
        mirrors::needed(),
        snapshots::needed(),
        making::needed(),
    ]
    .concat();
    let btrfs = Btrfs::default();
    all.into_iter().map(move |(name, make)| {
        let btrfs = btrfs.clone();
        (name, move || build(name, make, &btrfs))
    })
}

/// Those in which there is nothing to do.
pub fn satisfied() -> impl Iterator<Item = Scenario> {
    let all: Vec<(&'static str, Make)> = vec![
        ("a directory that is there", |bench| {
            fs::create_dir(bench.path("there")).unwrap();
            Change::MakeDir(MakeDir { path: bench.path("there"), mode: 0o755 })
        }),
        ("a volume that is there", |_| volume("app_data")),
        ("a tree that was staged", |bench| {
            plant(&bench.path("new"), "staged");
            Change::Stage(stage(&bench.source, "app", &bench.path("new")))
        }),
        ("a swap that was done", |bench| {
            let swap = swap(bench, |_| {});
            fs::create_dir(bench.path("old")).unwrap();
            fs::remove_dir_all(bench.path("new")).unwrap();
            swap
        }),
        ("a tree that was placed", |bench| {
            fs::create_dir(bench.path("target")).unwrap();
            place(bench)
        }),
        ("an archive that is there", |bench| {
            fs::create_dir_all(bench.source.archives().join("before")).unwrap();
            back_up(bench)
        }),
        ("a container that is stopped", |bench| {
            bench.docker.add(SimContainer::new("web").stopped());
            Change::StopContainer(StopContainer { container: "web".to_owned() })
        }),
        ("a container that runs", |_| Change::StartContainer(StartContainer { container: "web".to_owned() })),
        ("a container that is well", |_| healthy("web")),
        ("a job that has done its work", |bench| {
            bench.docker.add(SimContainer::new("job").wellness(Wellness::Ends).stopped());
            bench.docker.start("job").unwrap();
            let Change::AwaitHealthy(job) = healthy("job") else { unreachable!() };
            Change::AwaitHealthy(AwaitHealthy { may_end: true, ..job })
        }),
    ];
    let btrfs = Btrfs::default();
    all.into_iter().chain(making::satisfied()).map(move |(name, make)| build(name, make, &btrfs))
}

/// Those that the effect was not planned for, and words of the refusal.
pub fn refused() -> impl Iterator<Item = (Scenario, &'static str)> {
    let all: Vec<(&'static str, &'static str, Make)> = vec![
        ("a store that is there", "is there already", |bench| {
            let open = mirrors::store_inside(bench);
            fs::create_dir(bench.path("target/.reprise-op")).unwrap();
            open
        }),
        ("a btrfs snapshot that is there", "is there already", |bench| {
            let change = snapshots::of_subvolume(bench);
            fs::create_dir(bench.path("store/snapshot")).unwrap();
            change
        }),
        ("a mirrored tree although nothing was begun", "nothing was begun", |bench| {
            let mirror = mirrors::mirror(bench, Way::Exchange, true, |_| {});
            fs::create_dir(bench.path("target/.reprise-op/done")).unwrap();
            mirror
        }),
        ("a file where a directory goes", "is not a directory", |bench| {
            fs::write(bench.path("file"), "").unwrap();
            Change::MakeDir(MakeDir { path: bench.path("file"), mode: 0o755 })
        }),
        ("a directory without its parent", "is not there", |bench| {
            Change::MakeDir(MakeDir { path: bench.path("no/such"), mode: 0o755 })
        }),
        ("staging without a parent", "is not there", |bench| {
            Change::Stage(stage(&bench.source, "app", &bench.path("no/new")))
        }),
        ("staging beside a file", "is not a directory", |bench| {
            fs::write(bench.path("file"), "").unwrap();
            Change::Stage(stage(&bench.source, "app", &bench.path("file/new")))
        }),
        ("staging what the backup does not hold", "holds no", |bench| {
            let mut stage = stage(&bench.source, "app", &bench.path("new"));
            "nothing".clone_into(&mut stage.from);
            Change::Stage(stage)
        }),
        ("swapping a target that is gone", "is gone", |bench| {
            let change = swap(bench, |_| {});
            fs::remove_dir_all(bench.path("target")).unwrap();
            change
        }),
        ("swapping a staged tree that is gone", "the restored tree is gone", |bench| {
            let change = swap(bench, |_| {});
            fs::remove_dir_all(bench.path("new")).unwrap();
            change
        }),
        ("keeping where something is", "is in the way", |bench| {
            let change = swap(bench, |_| {});
            fs::create_dir(bench.path("old")).unwrap();
            change
        }),
        ("placing where something is", "appeared since", |bench| {
            fs::create_dir(bench.path("new")).unwrap();
            fs::create_dir(bench.path("target")).unwrap();
            place(bench)
        }),
        ("placing nothing", "the restored tree is gone", |bench| place(bench)),
        ("mirroring without a store", "is not there", |bench| {
            let change = mirrors::mirror(bench, Way::Exact, false, |_| {});
            fs::remove_dir_all(bench.path("store")).unwrap();
            change
        }),
        ("mirroring a staged tree that is gone", "the restored tree is gone", |bench| {
            let change = mirrors::mirror(bench, Way::Exchange, true, |_| {});
            fs::remove_dir_all(bench.path("target/.reprise-op/new")).unwrap();
            change
        }),
        ("mirroring what the backup does not hold", "holds no", |bench| {
            let change = mirrors::mirror(bench, Way::Merge, false, |_| {});
            let Change::Mirror(mut mirror) = change else { unreachable!() };
            "nothing".clone_into(&mut mirror.from);
            Change::Mirror(mirror)
        }),
        ("stopping no container", "is not there", |_| {
            Change::StopContainer(StopContainer { container: "none".to_owned() })
        }),
        ("starting no container", "is not there", |_| {
            Change::StartContainer(StartContainer { container: "none".to_owned() })
        }),
    ];
    let btrfs = Btrfs::default();
    all.into_iter()
        .chain(making::refused())
        .map(move |(name, words, make)| (build(name, make, &btrfs), words))
}

fn build(name: &'static str, make: Make, btrfs: &Btrfs) -> Scenario {
    let disk = name.contains("btrfs").then(|| btrfs.disk());
    let bench = match &disk {
        Some(disk) => Bench::within(tempfile::tempdir_in(disk.path()).unwrap()),
        None => Bench::new(),
    };
    plant(&bench.source.root().join("app"), "the backup");
    fs::write(bench.source.root().join("file.yml"), "a: 1\n").unwrap();
    fs::create_dir(bench.source.root().join("empty")).unwrap();
    symlink("nowhere", bench.source.root().join("link")).unwrap();
    plant(&bench.source.root().join("-odd 'name'\n$HOME"), "an odd name");
    fs::write(bench.source.root().join("record.json"), making::RECORD).unwrap();
    settle(bench.source.root());
    let spec = VolumeSpec { name: "app_data".to_owned(), ..VolumeSpec::default() };
    bench.docker.create_volume(&spec).unwrap();
    plant(&bench.docker.mountpoint("app_data"), "live");
    bench.docker.add(SimContainer::new("web").restart(Restart::Always));
    let change = make(&bench);
    settle(bench.source.root());
    settle(&bench.root());
    Scenario { name, bench, change, _disk: disk }
}

fn directories() -> Vec<(&'static str, Make)> {
    vec![
        ("a missing directory", |bench| Change::MakeDir(MakeDir { path: bench.path("made"), mode: 0o755 })),
        ("a directory with an odd name", |bench| {
            Change::MakeDir(MakeDir { path: bench.path("-made 'of' $HOME\nhere"), mode: 0o755 })
        }),
    ]
}

fn volume(name: &str) -> Change {
    let labels = [("a label".to_owned(), "its value".to_owned())].into();
    Change::CreateVolume(CreateVolume {
        spec: VolumeSpec { name: name.to_owned(), labels, ..VolumeSpec::default() },
    })
}

fn volumes() -> Vec<(&'static str, Make)> {
    vec![("a new volume", |_| volume("fresh"))]
}

fn edited(bench: &Bench, original: Option<&str>) -> Change {
    let mut stage = stage(&bench.source, "app", &bench.path("new"));
    let edit = |path: &str, content: &str| Edit {
        path: path.into(),
        content: content.to_owned(),
        original: original.map(ToOwned::to_owned),
    };
    stage.edits = vec![edit("settings.conf", "adapted\n"), edit("sub/deep/data.bin", "")];
    Change::Stage(stage)
}

fn stages() -> Vec<(&'static str, Make)> {
    vec![
        ("a tree", |bench| Change::Stage(stage(&bench.source, "app", &bench.path("new")))),
        ("a tree below", |bench| Change::Stage(stage(&bench.source, "app/sub", &bench.path("new")))),
        ("a file", |bench| Change::Stage(stage(&bench.source, "file.yml", &bench.path("new")))),
        ("a link to nowhere", |bench| Change::Stage(stage(&bench.source, "link", &bench.path("new")))),
        ("an empty directory", |bench| Change::Stage(stage(&bench.source, "empty", &bench.path("new")))),
        ("an odd name", |bench| {
            let from = "-odd 'name'\n$HOME";
            Change::Stage(stage(&bench.source, from, &bench.path("-new 'one'\n$HOME")))
        }),
        ("a tree with edits", |bench| edited(bench, None)),
        ("a tree with edits and originals", |bench| edited(bench, Some("as it was"))),
    ]
}

fn swap(bench: &Bench, odd: fn(&Bench)) -> Change {
    plant(&bench.path("target"), "live");
    plant(&bench.path("new"), "restored");
    odd(bench);
    Change::Swap(Swap {
        staged: bench.path("new"),
        target: bench.path("target"),
        kept: bench.path("old"),
        users: vec!["user".to_owned()],
    })
}

fn swaps() -> Vec<(&'static str, Make)> {
    vec![
        ("two trees", |bench| swap(bench, |_| {})),
        ("two trees that cannot be exchanged in one step", |bench| {
            bench.host.cannot_exchange();
            swap(bench, |_| {})
        }),
        ("two files", |bench| {
            swap(bench, |bench| {
                for name in ["target", "new"] {
                    fs::remove_dir_all(bench.path(name)).unwrap();
                    fs::write(bench.path(name), name).unwrap();
                }
            })
        }),
        ("a file for a tree", |bench| {
            swap(bench, |bench| {
                fs::remove_dir_all(bench.path("new")).unwrap();
                fs::write(bench.path("new"), "restored").unwrap();
            })
        }),
        ("a tree for a file", |bench| {
            swap(bench, |bench| {
                fs::remove_dir_all(bench.path("target")).unwrap();
                fs::write(bench.path("target"), "live").unwrap();
            })
        }),
        ("a tree for a link to nowhere", |bench| {
            swap(bench, |bench| {
                fs::remove_dir_all(bench.path("target")).unwrap();
                symlink("nowhere", bench.path("target")).unwrap();
            })
        }),
        ("a tree that stopped containers use", |bench| {
            swap(bench, |bench| {
                let user = |name: &str| SimContainer::new(name).stopped().mounting(&bench.path("target"));
                bench.docker.add(user("user"));
                bench.docker.add(user("stranger"));
            })
        }),
        ("a tree beside one that is in use", |bench| {
            swap(bench, |bench| {
                bench.docker.add(SimContainer::new("neighbour").mounting(&bench.path("target2")));
            })
        }),
    ]
}

fn place(bench: &Bench) -> Change {
    Change::Place(Place { staged: bench.path("new"), target: bench.path("target") })
}

fn places() -> Vec<(&'static str, Make)> {
    vec![
        ("a tree to its place", |bench| {
            plant(&bench.path("new"), "restored");
            place(bench)
        }),
        ("a file to its place", |bench| {
            fs::write(bench.path("new"), "restored").unwrap();
            place(bench)
        }),
        ("a link to its place", |bench| {
            symlink("nowhere", bench.path("new")).unwrap();
            place(bench)
        }),
    ]
}

fn back_up(bench: &Bench) -> Change {
    plant(&bench.path("target"), "live");
    Change::BackUp(BackUp {
        archive: "before".to_owned(),
        paths: vec![bench.path("target"), bench.docker.mountpoint("app_data")],
        except: vec![bench.path("target/sub")],
        bytes: 1,
        by_hand: Command::new("true"),
    })
}

fn healthy(container: &str) -> Change {
    Change::AwaitHealthy(AwaitHealthy {
        container: container.to_owned(),
        limit_seconds: 60,
        stable_seconds: 3,
        ..AwaitHealthy::default()
    })
}

/// `web` as it is right after a start.
fn just_started(bench: &Bench, wellness: Wellness) {
    bench.docker.add(SimContainer::new("web").wellness(wellness).stopped());
    bench.docker.start("web").unwrap();
}

fn containers() -> Vec<(&'static str, Make)> {
    vec![
        ("stopping one without a health check", |_| {
            Change::StopContainer(StopContainer { container: "web".to_owned() })
        }),
        ("stopping one with a health check", |bench| {
            bench.docker.add(SimContainer::new("web").wellness(Wellness::HealthyAfter(20)));
            Change::StopContainer(StopContainer { container: "web".to_owned() })
        }),
        ("stopping one that was never well", |bench| {
            bench.docker.add(SimContainer::new("web").wellness(Wellness::NeverHealthy));
            Change::StopContainer(StopContainer { container: "web".to_owned() })
        }),
        ("starting", |bench| {
            bench.docker.add(SimContainer::new("web").stopped());
            Change::StartContainer(StartContainer { container: "web".to_owned() })
        }),
        ("waiting for a health check", |bench| {
            just_started(bench, Wellness::HealthyAfter(20));
            healthy("web")
        }),
        ("waiting for a port and an answer", |bench| {
            let web = SimContainer::new("web").wellness(Wellness::AnswersAfter(20)).publishing(8080);
            bench.docker.add(web.stopped());
            bench.docker.start("web").unwrap();
            Change::AwaitHealthy(AwaitHealthy {
                container: "web".to_owned(),
                limit_seconds: 60,
                stable_seconds: 3,
                ports: vec![PortBinding::tcp("", 8080)],
                ask: vec![vec!["it has none".to_owned()], vec!["ask".to_owned()]],
                ..AwaitHealthy::default()
            })
        }),
        ("waiting without a health check", |bench| {
            just_started(bench, Wellness::Unchecked);
            healthy("web")
        }),
        ("waiting on a host whose clock is ahead", |bench| {
            bench.docker.set_seconds_ahead(300);
            just_started(bench, Wellness::Unchecked);
            healthy("web")
        }),
        ("waiting on a host whose clock is behind", |bench| {
            bench.docker.set_seconds_ahead(-300);
            just_started(bench, Wellness::Unchecked);
            healthy("web")
        }),
    ]
}
