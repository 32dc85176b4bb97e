//! A store in a mount point lies in the sight of containers: what was changed there is noticed, and leads nowhere else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reprise_engine::{Change, Way};
use reprise_host::{Docker, SshHost};
use reprise_testkit::{Faults, SimContainer, Sshd, TestHost};
use serde_json::{Value, json};

use crate::scenarios::{self, Scenario};

fn scenario(name: &str) -> Scenario {
    let (_, build) = scenarios::needed().find(|(known, _)| *known == name).expect("a scenario");
    build()
}

impl Scenario {
    fn store(&self) -> PathBuf {
        match &self.change {
            Change::Mirror(mirror) => mirror.store.clone(),
            Change::Snapshot(snapshot) => snapshot.store.clone(),
            _ => panic!("{} has no store", self.name),
        }
    }

    /// That undoing it is refused in these words and changes nothing.
    #[track_caller]
    fn refuses_to_undo(&self, before: &Value, words: &str) {
        let world = self.bench.world();
        let undone = self.undo(before, &Faults::none()).expect("no power cut");
        let error = undone.expect_err(self.name).to_string();
        assert!(error.contains(words), "{}: {error}", self.name);
        self.bench.world().assert_is(&world, self.name);
    }
}

/// Changes the record of what moved.
fn tamper(store: &Path, change: impl FnOnce(&mut Value)) {
    let file = store.join("moves");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut record);
    fs::write(&file, serde_json::to_vec(&record).unwrap()).unwrap();
}

/// A scenario on this machine, or on one that is reached over SSH.
fn both(name: &str) -> Vec<(Scenario, Option<(Sshd, tempfile::TempDir)>)> {
    let here = scenario(name);
    let mut there = scenario(name);
    let (sshd, scratch) = (Sshd::start(), tempfile::tempdir().unwrap());
    let host = SshHost::connect(sshd.settings(scratch.path())).unwrap();
    there.bench.host = TestHost::with_files_of(Arc::new(host), Arc::clone(&there.bench.docker));
    vec![(here, None), (there, Some((sshd, scratch)))]
}

#[test]
fn a_record_that_was_changed_moves_nothing() {
    let victim = |it: &Scenario| it.bench.path("victim");
    for path in ["../victim", "sub/../../victim", "/etc/reprise-victim", ""] {
        for (it, _server) in both("an exchange of all names") {
            fs::write(victim(&it), "theirs").unwrap();
            let before = it.needed();
            it.applied(&before, "first");
            tamper(&it.store(), |record| record["ops"][0]["path"] = json!(path));
            it.refuses_to_undo(&before, "not what Reprise wrote");
        }
    }
    let it = scenario("only what differs");
    let before = it.needed();
    it.applied(&before, "first");
    tamper(&it.store(), |record| record["directories"][0]["path"] = json!("../.."));
    it.refuses_to_undo(&before, "not what Reprise wrote");
}

#[test]
fn who_may_write_where_something_is_kept_is_stopped_if_known_and_refused_if_not() {
    let root = |it: &Scenario| it.bench.path("target").parent().unwrap().to_owned();
    let add = |it: &Scenario, name: &str| it.bench.docker.add(SimContainer::new(name).mounting(&root(it)));
    let runs = |it: &Scenario, name: &str| it.bench.docker.container(name).unwrap().unwrap().running;
    for name in ["an exchange of all names", "only what differs", "a merge"] {
        let it = scenario(name);
        let before = it.needed();
        add(&it, "stranger");
        let world = it.bench.world();
        let error = it.apply(&before, &Faults::none()).expect("no power cut").expect_err(name).to_string();
        assert!(error.contains("container stranger may write there"), "{name}: {error}");
        it.bench.world().assert_is(&world, name);

        it.bench.docker.stop("stranger", Duration::ZERO).unwrap();
        let world = it.world();
        // Back after a reboot, and the next one comes while the first is stopped.
        it.bench.docker.add(SimContainer::new("user").mounting(&root(&it)).bringing("second"));
        it.bench.docker.add(SimContainer::new("second").mounting(&root(&it)).stopped());
        let error = it.apply(&before, &Faults::none()).expect("no power cut").expect_err(name).to_string();
        assert!(error.contains("container second may write there") && !runs(&it, "user"), "{name}: {error}");

        for gone in ["user", "second"] {
            it.bench.docker.stop(gone, Duration::ZERO).unwrap();
            it.bench.docker.remove_container(gone, false).unwrap();
        }
        add(&it, "user");
        it.applied(&before, "with a known one that runs");
        assert!(!runs(&it, "user"), "{name}");
        it.bench.docker.start("user").unwrap();
        it.undone(&before, "with a known one that runs");
        assert!(!runs(&it, "user"), "{name}");
        it.bench.docker.remove_container("user", false).unwrap();
        it.assert_world(&world, "undone");
    }
}

#[test]
fn a_link_where_something_is_kept_is_not_followed() {
    for name in ["", "old", "new", "moves", "done"] {
        for (it, _server) in both("an exchange of all names") {
            let before = it.needed();
            it.applied(&before, "first");
            let (own, elsewhere) = (it.store().join(name), it.bench.path("elsewhere"));
            let own = if name.is_empty() { it.store() } else { own };
            fs::rename(&own, &elsewhere).unwrap();
            symlink(&elsewhere, &own).unwrap();
            it.refuses_to_undo(&before, "is not what Reprise made there");
        }
    }
}

#[test]
fn a_link_where_something_is_to_be_kept_is_not_followed() {
    for name in ["", "old", "new", "moves.part"] {
        for (it, _server) in both("an exchange of all names") {
            let before = it.needed();
            let victim = it.bench.path("victim");
            fs::create_dir(&victim).unwrap();
            fs::write(victim.join("theirs"), "theirs").unwrap();
            let own = if name.is_empty() { it.store() } else { it.store().join(name) };
            if own.exists() {
                fs::rename(&own, it.bench.path("aside")).unwrap();
            }
            symlink(if name == "moves.part" { victim.join("theirs") } else { victim.clone() }, &own).unwrap();
            let applied = it.apply(&before, &Faults::none()).expect("no power cut");
            // A half-written record is written anew; all else is refused.
            assert_eq!(applied.is_ok(), name == "moves.part", "{name}: {applied:?}");
            assert_eq!(fs::read_to_string(victim.join("theirs")).unwrap(), "theirs", "{name}");
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "{name}");
        }
    }
}

#[test]
fn what_was_kept_and_is_gone_is_never_called_as_it_was() {
    for name in ["an exchange of all names", "only what differs", "a merge"] {
        let it = scenario(name);
        let before = it.needed();
        it.applied(&before, "first");
        let Some(kept) = fs::read_dir(it.store().join("old")).unwrap().next() else {
            panic!("{name} keeps nothing")
        };
        let (kept, aside) = (kept.unwrap().path(), it.bench.path("aside"));
        fs::rename(&kept, &aside).unwrap();
        it.refuses_to_undo(&before, "what was kept is gone");
        fs::rename(&aside, &kept).unwrap();
        fs::remove_dir_all(it.store()).unwrap();
        it.refuses_to_undo(&before, "what was kept is gone");
    }
    let it = scenario("a btrfs snapshot");
    let before = it.needed();
    it.applied(&before, "first");
    let Change::Snapshot(snapshot) = &it.change else { unreachable!() };
    let gone =
        std::process::Command::new("btrfs").args(["subvolume", "delete"]).arg(snapshot.name()).output();
    assert!(gone.unwrap().status.success());
    it.refuses_to_undo(&before, "what was kept is gone");
    // Nor is one taken of what was half restored.
    let again = it.apply(&before, &Faults::none()).expect("no power cut");
    assert!(again.unwrap_err().to_string().contains("what was kept is gone"));
}

#[test]
fn what_another_operation_keeps_stays_where_it_is() {
    for name in ["an exchange where others keep something", "only what differs where others keep something"] {
        let it = scenario(name);
        let before = it.needed();
        it.applied(&before, "first");
        assert_eq!(fs::read_to_string(it.bench.path("target/.reprise-earlier/old/0")).unwrap(), "kept");
        assert!(!it.bench.path("target/.reprise-in-the-backup").exists(), "{name}");
        assert!(!fs::read_to_string(it.bench.path("target/sub/deep/data.bin")).unwrap().is_empty());
    }
}

#[test]
fn a_merge_that_would_have_to_remove_a_directory_is_refused_before_anything_moves() {
    let mut it = scenario("a merge");
    fs::create_dir_all(it.bench.path("target/kind")).unwrap();
    fs::write(it.bench.path("target/kind/inner"), "live").unwrap();
    fs::write(it.bench.source.root().join("app/kind"), "from the backup").unwrap();
    for turned in [false, true] {
        if turned {
            let (one, other) = (it.bench.path("target/kind"), it.bench.source.root().join("app/kind"));
            fs::remove_dir_all(&one).unwrap();
            fs::write(&one, "live").unwrap();
            fs::remove_file(&other).unwrap();
            fs::create_dir(&other).unwrap();
        }
        let world = it.world();
        let before = it.needed();
        let applied = it.apply(&before, &Faults::none()).expect("no power cut");
        let error = applied.unwrap_err().to_string();
        assert!(error.contains("target/kind") && error.contains("--merge removes nothing"), "{error}");
        it.undone(&before, "refused");
        it.assert_world(&world, "refused, then undone");
    }
    // Exactly what the backup holds is another wish.
    let Change::Mirror(mirror) = &mut it.change else { unreachable!() };
    mirror.way = Way::Exact;
    let wrote = it.bench.source.measure("app");
    (mirror.entries, mirror.bytes) = (wrote.entries, wrote.bytes - "linked".len() as u64);
    let before = it.needed();
    it.applied(&before, "exact");
    assert!(it.bench.path("target/kind").is_dir());
}

#[test]
fn a_target_that_is_not_mounted_any_more_keeps_its_store_to_itself() {
    let it = scenario("a store in a tree");
    let before = it.needed();
    it.applied(&before, "first");
    fs::rename(it.bench.path("target"), it.bench.path("elsewhere")).unwrap();
    fs::create_dir_all(it.bench.path("target/.reprise-op")).unwrap();
    it.refuses_to_undo(&before, "is not what it was");
}

#[test]
fn an_owner_and_mode_that_were_given_since_outlive_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let it = scenario("a store in a tree");
    let before = it.needed();
    it.applied(&before, "first");
    fs::set_permissions(it.bench.path("target"), fs::Permissions::from_mode(0o710)).unwrap();
    it.undone(&before, "once");
    let mode = fs::metadata(it.bench.path("target")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o710);
}

/// A tree that was copied, and what undoes that.
fn copied() -> (Scenario, Value) {
    let it = scenario("a copy from btrfs");
    let before = it.needed();
    it.applied(&before, "once");
    (it, before)
}

/// The next step has begun to empty what the copy is of.
fn emptied(it: &Scenario) {
    fs::create_dir(it.store().join("emptying")).unwrap();
    fs::remove_dir_all(it.bench.path("target/sub")).unwrap();
    fs::write(it.bench.path("target/half"), "filled").unwrap();
}

#[test]
fn what_is_written_before_a_tree_is_emptied_stays() {
    for goes_on in [true, false] {
        let (it, before) = copied();
        // After a power cut, a container came back.
        fs::write(it.bench.path("target/since"), "worth keeping").unwrap();
        if goes_on {
            it.applied(&before, "again");
            emptied(&it);
            fs::remove_file(it.bench.path("target/since")).unwrap();
        }
        it.undone(&before, "then");
        assert_eq!(fs::read_to_string(it.bench.path("target/since")).unwrap(), "worth keeping");
        assert!(it.bench.path("target/sub").is_dir() && !it.bench.path("target/half").exists());
    }
}

#[test]
fn an_undoing_that_is_turned_round_copies_anew_what_it_has_put_back() {
    let (it, before) = copied();
    emptied(&it);
    fs::create_dir(it.store().join("putting-back")).unwrap();
    it.applied(&before, "turned round");
    assert!(it.bench.path("target/sub").is_dir(), "it was put back first");
    // Before the next step begins, the power fails, and a container comes back.
    fs::write(it.bench.path("target/since"), "worth keeping").unwrap();
    it.applied(&before, "turned round again");
    assert!(it.store().join("copy/since").exists());
    it.undone(&before, "then");
    assert!(it.bench.path("target/since").exists() && !it.bench.path("target/half").exists());
}

#[test]
fn what_was_mounted_or_made_in_a_tree_since_is_not_emptied_with_it() {
    let it = scenario("a copy from btrfs");
    let before = it.needed();
    let (at, inner) = (it.bench.path("target/empty"), it.bench.path("target/sub/inner"));
    let run = |program: &str, args: &[&str]| {
        let ended = std::process::Command::new(program).args(args).arg(&at).status();
        assert!(ended.unwrap().success(), "{program}");
    };
    let mount = || {
        run("mount", &["-t", "tmpfs", "none"]);
        fs::write(at.join("worth keeping"), "").unwrap();
    };
    mount();
    let refused = it.apply(&before, &Faults::none()).unwrap();
    run("umount", &[]);
    let words = "that was mounted or made there since";
    assert!(refused.unwrap_err().to_string().contains(words));
    it.applied(&before, "once");
    fs::create_dir(it.store().join("emptying")).unwrap();
    mount();
    let undone = it.undo(&before, &Faults::none()).unwrap();
    let is_kept = at.join("worth keeping").exists();
    run("umount", &[]);
    assert!(undone.unwrap_err().to_string().contains(words) && is_kept);
    reprise_testkit::subvolume(&inner);
    fs::write(inner.join("worth keeping"), "").unwrap();
    it.refuses_to_undo(&before, words);
    assert!(inner.join("worth keeping").exists());
}

#[test]
fn a_copy_that_somebody_changed_into_something_else_is_not_put_back() {
    let (it, before) = copied();
    emptied(&it);
    let (copy, aside) = (it.store().join("copy"), it.bench.path("aside"));
    fs::rename(&copy, &aside).unwrap();
    symlink("/etc", &copy).unwrap();
    it.refuses_to_undo(&before, "is not the snapshot that Reprise took");
    fs::remove_file(&copy).unwrap();
    it.refuses_to_undo(&before, "is gone");
    fs::rename(&aside, &copy).unwrap();
    it.undone(&before, "with the copy back");
}

#[test]
fn a_copy_is_neither_taken_of_nor_put_back_into_what_is_not_mounted() {
    let it = scenario("a copy from btrfs");
    let before = it.needed();
    let (target, aside) = (it.bench.path("target"), it.bench.path("aside"));
    let unmounted = || {
        fs::rename(&target, &aside).unwrap();
        fs::create_dir(&target).unwrap();
    };
    let mounted = || {
        fs::remove_dir(&target).unwrap();
        fs::rename(&aside, &target).unwrap();
    };
    unmounted();
    let error = it.apply(&before, &Faults::none()).unwrap().unwrap_err().to_string();
    assert!(error.contains("is not mounted"), "{error}");
    mounted();
    it.applied(&before, "mounted again");
    emptied(&it);
    unmounted();
    it.refuses_to_undo(&before, "is not mounted");
    mounted();
    it.undone(&before, "mounted again");
}

/// A program outlives the shell that it was started by, which ends with Reprise.
#[test]
fn what_an_attempt_that_was_cut_off_left_running_ends_before_a_tree_is_put_back() {
    let it = scenario("a copy from btrfs");
    let before = it.needed();
    let world = it.world();
    it.applied(&before, "once");
    emptied(&it);
    let target = it.bench.path("target");
    let script = "exec 9<../store; flock 9; touch begun
until test -e going; do sleep 0.01; done; sleep 0.3; touch late";
    let mut left =
        std::process::Command::new("sh").args(["-c", script]).current_dir(&target).spawn().unwrap();
    while !target.join("begun").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::write(target.join("going"), "").unwrap();
    it.undone(&before, "while something is left");
    left.wait().unwrap();
    it.assert_world(&world, "what was left wrote nothing afterwards");
}
