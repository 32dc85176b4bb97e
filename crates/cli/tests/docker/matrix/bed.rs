//! What restores are broken on, over and over: a small project that runs, made of other files than the backup has; a volume,
//! a project and a container of no project with its network that are lost; and the backup of all of them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use reprise_testkit::{OnFile, Sshd};
use serde_json::Value;

use super::calls::{self, CHANGING, Sessions};
use super::engine::Engine;
use super::held::Held;
use super::remade;
use crate::recreated::reconfigured;
use crate::support::{Before, Damage, Ended, Shop, Tree, Trees, assert_same, docker, noise, run};

/// One step of the plan that is broken.
#[derive(Debug, Clone)]
pub struct Step {
    /// Where it is in the plan, from 0.
    pub index: usize,
    /// What kind of step.
    pub effect: String,
    /// All that the plan says of it.
    pub change: Value,
    /// What it calls of the kernel to change something, in an undisturbed run.
    pub calls: Vec<String>,
    /// What is called for it on a host over ssh.
    pub calls_there: Vec<String>,
    /// When it began there, in seconds after the beginning.
    pub began: f64,
}

impl Step {
    /// Its kind for the table: snapshots are of several kinds, and trees are mirrored in several ways, which keep what gives way
    /// or have it kept by another step.
    pub fn kind(&self) -> String {
        let [way, kind, keep] = ["way", "kind", "keep"].map(|key| self.change[key].as_str());
        let keep = keep.filter(|keep| *keep != "in_store").map(|_| "kept elsewhere");
        let words = [Some(self.effect.as_str()), way, kind, keep];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Which restore is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// All there is, of which a volume and a project are lost.
    Everything,
    /// A volume on a btrfs of its own, with a snapshot as the way back, and an archive besides.
    Protected,
    /// A volume that is a file system, in which its container writes: it is copied, emptied and filled.
    Filled,
    /// A volume of which only what differs is written (`--only-changed`).
    Changed,
}

impl Restore {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Everything, Self::Protected, Self::Filled, Self::Changed];

    /// The kinds of steps that it is there for, where all others are those of the ones before.
    pub fn only_for(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Everything | Self::Protected => None,
            Self::Filled => Some(&["snapshot", "mirror"]),
            Self::Changed => Some(&["mirror"]),
        }
    }
}

/// See above.
pub struct Bed {
    restore: Restore,
    /// The file system of its own. Goes before the volume that is its mount point.
    _disk: Option<OnFile>,
    /// The project, its archive `nightly`, and the state directory of the case in hand.
    pub shop: Shop,
    /// The way to Docker.
    pub engine: Engine,
    /// The way to the host, which is this one: nothing for none.
    pub sshd: Option<Sshd>,
    /// How everything is before each case.
    before: Before,
    archived: Trees,
    lost: BTreeMap<PathBuf, Tree>,
    /// The segment that holds most of what lies at a path.
    segments: BTreeMap<String, PathBuf>,
    cases: usize,
}

impl Bed {
    /// A new one, restored to over ssh or not.
    pub fn new(restore: Restore, over_ssh: bool) -> Self {
        let shop = Shop::for_faults();
        let disk = match restore {
            Restore::Everything | Restore::Changed => None,
            Restore::Protected => Some(shop.volume_on("btrfs")),
            Restore::Filled => Some(shop.data_on("ext4")),
        };
        let engine = Engine::at(&shop.sandbox.dir.join("docker.sock"));
        let sshd = over_ssh.then(|| {
            let socket = engine.path().display();
            // The host is this one, but for its way to Docker.
            let sshd = Sshd::behind(&format!("mount --bind {socket} /run/docker.sock && "));
            crate::remote::declare(&shop, &sshd);
            sshd
        });
        let mut roots = vec![shop.data(), shop.project.clone()];
        let mut record = None;
        if restore == Restore::Everything {
            roots.extend(more_to_lose(&shop));
            record = Some(remade::recorded(&shop));
        }
        let mut segments = BTreeMap::new();
        for (number, root) in roots.iter().enumerate() {
            fs::write(root.join("noise"), noise(300_000, 100 + number as u64)).unwrap();
            // Alone in its segments, so that each tree can be broken by itself.
            let (archive, known) = (format!("::seed-{number}"), Self::segments(&shop));
            shop.borg(&["create", &archive, root.to_str().unwrap()]);
            let new = Self::segments(&shop).into_iter().filter(|path| !known.contains(path));
            let largest = new.max_by_key(|path| path.metadata().unwrap().len()).expect("a segment");
            segments.insert(root.strip_prefix("/").unwrap().to_str().unwrap().to_owned(), largest);
        }
        let parents = |root: &PathBuf| {
            if root.ends_with("_data") { root.parent().unwrap().to_owned() } else { root.clone() }
        };
        let mut paths: Vec<String> = roots.iter().map(|root| parents(root).display().to_string()).collect();
        paths.extend(record);
        shop.borg(
            &[&["create", "::nightly"], &paths.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat(),
        );
        let archived = shop.trees();
        let lost = roots[2..].iter().map(|root| (root.clone(), Tree::of(root))).collect();
        if restore == Restore::Everything {
            lose_more(&shop, &roots[3]);
        }
        shop.damage(Damage(1));
        // Whatever of it is compared, it is read from the backup: these are nearly all that there is.
        fs::write(shop.data().join("noise"), noise(300_000, 1)).unwrap();
        fs::write(shop.data().join("large"), noise(3 << 20, 1)).unwrap();
        let before = shop.now();
        Self { restore, _disk: disk, shop, engine, sshd, before, archived, lost, segments, cases: 0 }
    }

    fn segments(shop: &Shop) -> Vec<PathBuf> {
        fs::read_dir(shop.repository.join("data/0")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// The program, which reaches Docker by the socket that can be broken.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.shop.command(args);
        if self.sshd.is_none() {
            command.env("DOCKER_HOST", self.engine.address());
        }
        command
    }

    /// The restore that is broken.
    pub fn restore(&self, more: &[&str]) -> Command {
        let archive = self.shop.archive("nightly");
        let host: &[&str] = if self.sshd.is_some() { &["--host", "other"] } else { &[] };
        let volume = format!("volume:{}", self.shop.volume);
        let which: &[&str] = match self.restore {
            Restore::Everything => &[],
            Restore::Filled => &["--item", &volume],
            Restore::Changed => &["--item", &volume, "--only-changed"],
            Restore::Protected => &["--item", &volume, "--protect", "snapshot", "--backup-before"],
        };
        self.command(&[&["docker", "restore", &archive, "--in-place", "--yes"], host, which, more].concat())
    }

    /// The steps of its plan, each with what it does in a run that nothing disturbs.
    pub fn steps(&mut self) -> Vec<Step> {
        let planned = run(&mut self.restore(&["--dry-run", "--json"])).expect(0).json();
        let changes = planned["plan"]["steps"].as_array().unwrap().iter().map(|step| step["change"].clone());
        let mut steps: Vec<Step> = changes
            .enumerate()
            .map(|(index, change)| Step {
                index,
                effect: change["effect"].as_str().unwrap().to_owned(),
                change,
                calls: Vec::new(),
                calls_there: Vec::new(),
                began: 0.0,
            })
            .collect();
        let logs = [self.scratch("calls.log"), self.scratch("calls-there.log")];
        let sessions = self.sshd.as_ref().map(|sshd| Sessions::logging(sshd, CHANGING, &logs[1]));
        let mut held = self.start(&[]);
        held.until(|_| true).expect("a run begins");
        held.free_logging(&format!("pread64,{CHANGING}"), &logs[0]);
        let ended = held.wait();
        drop(sessions);
        assert_eq!(self.conclude(&ended, "rollback", || ()), "completed", "{}{}", ended.stdout, ended.stderr);
        let events = self.shop.reprise(&["operations", "log", "latest", "--json"]).expect(0).json();
        let events = events.as_array().unwrap();
        calls::attribute(&mut steps, events, &logs[0], |step| &mut step.calls);
        if self.sshd.is_some() {
            calls::attribute(&mut steps, events, &logs[1], |step| &mut step.calls_there);
        }
        calls::time(&mut steps, events);
        // Whether a container makes room is only known when its turn comes, and one that has long been well is not waited for.
        let may_be_none = |step: &Step| ["set_aside", "await_healthy"].contains(&step.effect.as_str());
        steps.retain(|step| !may_be_none(step) || step.began > 0.0);
        steps
    }

    /// A file of that name for this test alone.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.shop.sandbox.dir.join(name)
    }

    /// A state directory of its own for the next case.
    fn begin_case(&mut self) {
        self.cases += 1;
        self.shop.state = self.shop.sandbox.dir.join(format!("state-{}", self.cases));
    }

    /// Starts a restore, with a state directory of its own.
    pub fn start(&mut self, more: &[&str]) -> Held {
        self.begin_case();
        Held::start(&self.shop, &self.restore(more))
    }

    /// Runs a restore until `step` is about to begin.
    pub fn hold(&mut self, step: &Step, more: &[&str]) -> Held {
        for _ in 0..3 {
            let mut held = self.start(more);
            if held.until_begins(step) {
                return held;
            }
            // A container that was healthy sooner than anybody looked leaves nothing to wait for.
            let ended = held.wait();
            assert_eq!(self.conclude(&ended, "rollback", || ()), "completed", "{}", ended.stderr);
        }
        panic!("step {} is never begun: {}", step.index, step.change)
    }

    /// Looks at what a restore left, which must be one of the ends that are promised, truly recorded. Then everything is
    /// as before, and the name of that end is returned. `recovery` is what an operation that was cut off is given to;
    /// `lift` ends what may keep an undoing from its end.
    #[track_caller]
    pub fn conclude(&self, ended: &Ended, recovery: &str, lift: impl FnOnce()) -> &'static str {
        let said = format!("exit code {}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
        let record = self.shop.record();
        let status = record["status"].as_str().unwrap();
        match ended.code {
            0 | 1 => {
                assert_eq!(status, "completed", "{said}");
                assert_eq!(record["error"], Value::Null, "{said}");
                self.expect_restored(&record);
                self.recover("rollback", &[0]);
                "completed"
            }
            3 | 130 => {
                assert_eq!(status, "rolled_back", "{said}");
                assert_eq!(record["error"] == "cancelled", ended.code == 130, "{record:#}");
                assert!(record["error"].is_string(), "{record:#}");
                self.expect_as_before();
                "undone"
            }
            4 => {
                assert_eq!(status, "rollback_incomplete", "{said}");
                assert!(record["error"].is_string(), "{record:#}");
                lift();
                self.recover("rollback", &[0, 1, 3, 130]);
                "undone once it could be"
            }
            137 => {
                assert_eq!(status, "interrupted", "{said}");
                lift();
                self.recover(recovery, &[0, 1]);
                if recovery == "resume" {
                    self.expect_restored(&self.shop.record());
                    self.recover("rollback", &[0]);
                    "resumed"
                } else {
                    "rolled back"
                }
            }
            _ => panic!("this is not an end that is promised: {said}"),
        }
    }

    /// Brings the newest operation to an end, with one of these exit codes.
    #[track_caller]
    fn recover(&self, action: &str, codes: &[i32]) {
        let ended = run(&mut self.command(&["operations", action, "latest", "--yes"]));
        assert!(codes.contains(&ended.code), "{action}: {}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
        let wanted = if action == "resume" { "completed" } else { "rolled_back" };
        assert_eq!(self.shop.record()["status"], wanted);
        if action == "rollback" {
            self.expect_as_before();
        }
    }

    /// Containers that may have been made anew.
    fn copies(&self) -> Vec<String> {
        if self.restore == Restore::Everything { vec![remade::set_aside(&self.shop)] } else { Vec::new() }
    }

    #[track_caller]
    fn expect_as_before(&self) {
        self.shop.expect_as_before_but_for_copies(&self.before, &self.copies());
        assert!(!self.shop.sandbox.dir.join("srv/gone").exists(), "a directory is left over");
    }

    #[track_caller]
    fn expect_restored(&self, record: &Value) {
        let now = self.shop.trees();
        assert_same(&self.archived.0, &now.0, "the volume is not as in the archive");
        let project =
            if self.restore == Restore::Everything { &self.archived.1 } else { &self.before.trees.1 };
        assert_same(project, &now.1, "the project is not as it was to be");
        for (root, tree) in &self.lost {
            assert_same(tree, &Tree::of(root), "what was lost is not as in the archive");
        }
        let mut more = Vec::new();
        if self.restore == Restore::Everything {
            more = remade::made(&self.shop, record["id"].as_str().unwrap());
            more.push(lost_volume(&self.shop));
        }
        self.before.objects.expect_now_with(&self.shop.name, &more, &self.copies());
        let kept = record["kept"].as_array().unwrap().iter().map(|path| path.as_str().unwrap());
        let mut kept: Vec<&str> = kept.filter(|path| Path::new(path).exists()).collect();
        kept.sort_unstable();
        let mut marked = self.shop.marked();
        // A snapshot lies in a directory of the operation's.
        marked.retain(|path| !kept.iter().any(|kept| Path::new(kept).starts_with(path)));
        assert_eq!(marked, Vec::<String>::new(), "what is kept is not what the record names");
    }

    /// Changes one bit in the middle of what the backup holds at `from`; a second time changes it back.
    pub fn flip(&self, from: &str) {
        let segment = self.segments.get(from).unwrap_or_else(|| panic!("{from} has no segment of its own"));
        let file = OpenOptions::new().read(true).write(true).open(segment).unwrap();
        let middle = file.metadata().unwrap().len() / 2;
        let mut byte = [0];
        file.read_exact_at(&mut byte, middle).unwrap();
        file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    }
}

fn lost_volume(shop: &Shop) -> String {
    format!("{}_lost", shop.name)
}

/// Makes a volume and a project, and returns where they are.
fn more_to_lose(shop: &Shop) -> [PathBuf; 2] {
    let volume = lost_volume(shop);
    let data = shop.data().parent().unwrap().with_file_name(&volume).join("_data");
    docker(["volume", "create", &volume]);
    let project = remade::project(shop);
    remade::single(shop);
    [data, project]
}

/// Loses that, and makes the shop's own containers of other files.
fn lose_more(shop: &Shop, project: &Path) {
    docker(["volume", "rm", &lost_volume(shop)]);
    remade::lose(shop, project);
    fs::remove_dir_all(shop.sandbox.dir.join("srv/gone")).unwrap();
    reconfigured(shop);
    shop.compose(&["up", "-d"]);
}
