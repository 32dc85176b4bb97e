//! Snapshots of real logical volumes, on a guest with a kernel of its own, over SSH.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use super::conflicts::let_hours_pass;
use super::remote::reached;
use crate::support::{Ended, Guest, Shop, noise, run, start};

/// A repository here, and a project on a logical volume there, which is damaged.
struct Site {
    shop: Shop,
    guest: Guest,
    /// What was backed up.
    project: PathBuf,
    archived: String,
}

/// What makes a volume of each kind.
const CLASSIC: &str = "lvcreate -q -n shop -L 240M vg >/dev/null";
const THIN: &str = "lvcreate -q -y -T -L 400M vg/pool >/dev/null 2>&1; lvcreate -q -V 240M -T vg/pool -n shop >/dev/null 2>&1";

const PROTECTED: [&str; 4] = ["--host", "guest", "--protect", "snapshot"];

/// Everything about the files below a directory, root included, as text. How many names a directory has is how many
/// directories are in it.
const PICTURE: &str = "LC_ALL=C; export LC_ALL
find . -path ./lost+found -prune -o -path './.reprise-*' -prune -o \\( -type d -printf '%P|%y|%m|%U|%G|%T@\\n' -o -printf '%P|%y|%m|%U|%G|%T@|%n|%l\\n' \\) | sort
find . -path ./lost+found -prune -o -path './.reprise-*' -prune -o -type f -print0 | sort -z | xargs -0 sha256sum";

impl Site {
    fn new() -> Self {
        let shop = Shop::unbuilt();
        let tree = shop.sandbox.dir.join("tree");
        let project = tree.join("srv/shop");
        fs::create_dir_all(project.join("data/deep")).unwrap();
        fs::write(project.join("compose.yaml"), "services: {web: {image: \"reprise-test/web:1\"}}\n")
            .unwrap();
        for number in 0..40 {
            fs::write(project.join(format!("data/deep/{number}")), noise(40_000, number)).unwrap();
        }
        fs::hard_link(project.join("data/deep/1"), project.join("data/one more name")).unwrap();
        std::os::unix::fs::symlink("deep/2", project.join("data/link")).unwrap();
        std::os::unix::fs::chown(project.join("data/deep/3"), Some(999), Some(998)).unwrap();
        shop.borg_in(&tree, &["create", "::nightly", "srv/shop"]);
        let archived = picture_here(&project);

        let guest = Guest::start(1024);
        guest.declare(&shop.sandbox.dir.join("home"));
        guest.sh("pvcreate -q /dev/ubdb >/dev/null; vgcreate -q vg /dev/ubdb >/dev/null; mkdir -p /srv/shop");
        Self { shop, guest, project, archived }
    }

    /// The project on a volume `shop` of the group `vg`, which `make` makes, damaged.
    fn put_on(&self, make: &str) {
        self.guest.sh(&format!(
            "if mountpoint -q /srv/shop; then umount /srv/shop; lvremove -q -f -y vg >/dev/null; fi\n{make}\n\
             mkfs.ext4 -q /dev/vg/shop; mount -o noatime /dev/vg/shop /srv/shop"
        ));
        self.guest.put(&self.project, "/srv/shop");
        self.damage();
    }

    fn damage(&self) {
        self.guest.sh(
            "cd /srv/shop; echo damaged >data/deep/5; rm -f data/deep/7; echo newer >data/newer; chmod 700 data; \
             ln -f data/deep/9 data/nine",
        );
    }

    fn picture(&self) -> String {
        self.guest.sh(&format!("cd /srv/shop\n{PICTURE}"))
    }

    fn snapshots(&self) -> String {
        self.guest.sh("lvs --noheadings -o lv_name vg | grep reprise || :")
    }

    fn restore(&self) -> Ended {
        self.shop.restore(&PROTECTED)
    }

    /// A restore that gets `signal` when the step that has this `effect` begins, and what it ends with.
    fn disturbed(&self, effect: &str, signal: Signal) -> std::process::Output {
        let archive = self.shop.archive("nightly");
        let restore = [&["docker", "restore", &archive, "--in-place", "--yes"][..], &PROTECTED].concat();
        let child = start(&mut self.shop.command(&restore));
        reached(&self.shop, effect, "started");
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait_with_output().unwrap()
    }

    fn roll_back(&self) -> Ended {
        self.shop.reprise(&["operations", "rollback", "latest", "--yes"])
    }

    #[track_caller]
    fn restored_and_back(&self, what: &str) {
        let before = self.picture();
        let restored = self.restore();
        assert!([0, 1].contains(&restored.code), "{what}: {}\n{}", restored.stdout, restored.stderr);
        assert_eq!(self.picture(), self.archived, "{what}: it is not as in the archive");
        assert_eq!(self.snapshots().lines().count(), 1, "{what}");
        self.guest.sh("echo since >/srv/shop/data/since; echo since >/srv/shop/data/deep/10");
        let back = self.roll_back();
        assert_eq!(back.code, 0, "{what}: {}\n{}", back.stdout, back.stderr);
        assert_eq!(self.picture(), before, "{what}: it is not as before");
        assert_eq!(self.snapshots(), "", "{what}");
        assert_eq!(
            self.guest.sh("ls -A /srv/shop /run | grep reprise-20 || :"),
            "",
            "{what}: something is left over"
        );
        let mounted = self.guest.sh("findmnt -n -o OPTIONS /srv/shop");
        assert!(mounted.contains("noatime"), "{what}: {mounted}");
    }

    /// The same while somebody there uses the volume.
    #[track_caller]
    fn restored_and_back_in_use(&self, what: &str) {
        let holder = "nohup sh -c 'cd /srv/shop/data && exec sleep 600' >/dev/null 2>&1 & echo $!";
        let holder = self.guest.sh(holder);
        self.restored_and_back(what);
        self.guest.sh(&format!("kill {}", holder.trim()));
    }
}

fn picture_here(project: &std::path::Path) -> String {
    let project: PathBuf = project.to_owned();
    run(std::process::Command::new("sh").args(["-c", PICTURE]).current_dir(project)).expect(0).stdout
}

/// One machine for all: it takes longest to start.
#[test]
fn an_lvm_snapshot_is_merged_back_or_copied_back_where_the_volume_is_in_use() {
    let site = Site::new();
    site.put_on(THIN);
    site.restored_and_back("thin");

    site.put_on(CLASSIC);
    site.restored_and_back("merged");
    site.restored_and_back_in_use("in use");
    // A snapshot that has become full is no way back, and nothing is touched for trying.
    site.restore();
    site.guest.sh("dd if=/dev/urandom of=/srv/shop/data/large bs=1M count=130 status=none; sync");
    let now = site.picture();
    site.roll_back().expect(2).says(&["is full", "no way back"]);
    assert_eq!(site.picture(), now);
}

#[test]
fn killed_cancelled_or_expired_an_lvm_snapshot_goes_with_its_operation() {
    let site = Site::new();
    site.put_on(CLASSIC);
    let before = site.picture();
    let as_before = |what: &str| {
        assert_eq!(site.picture(), before, "{what}: it is not as before");
        assert_eq!(site.snapshots(), "", "{what}");
        fs::remove_dir_all(site.shop.state.join("operations")).unwrap();
    };
    let cancelled = site.disturbed("snapshot", Signal::INT);
    assert_eq!(cancelled.status.code(), Some(130), "{}", String::from_utf8_lossy(&cancelled.stderr));
    as_before("cancelled");
    site.disturbed("mirror", Signal::KILL);
    assert_eq!(site.snapshots().lines().count(), 1);
    site.roll_back().expect(0);
    as_before("killed and rolled back");

    site.disturbed("mirror", Signal::KILL);
    site.shop.reprise(&["operations", "resume", "latest", "--yes"]).expect(0);
    assert_eq!(site.picture(), site.archived, "killed and resumed");
    assert_eq!(site.snapshots().lines().count(), 1, "the way back is kept");
    site.shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(site.snapshots().lines().count(), 1, "the way back is kept until the window closes");
    let_hours_pass(&site.shop, 9);
    site.shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(site.snapshots(), "");
    site.roll_back().expect(2).says(&["can no longer be rolled back"]);
    assert_eq!(site.picture(), site.archived);

    // The same volume's data in a pool, used by somebody when it is put back.
    site.put_on(THIN);
    site.restored_and_back_in_use("thin, in use");
}
