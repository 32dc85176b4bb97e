//! How trees take their places where they cannot, or need not, be exchanged as a whole; and what protects them.

use reprise_engine::{Change, Keep, Mirror, Snapshot, SnapshotKind, Way};
use reprise_model::{Manner, Protect, Severity};

use super::super::{Outside, Taken, Under};
use super::*;

fn mirrors(plan: &Plan) -> Vec<&Mirror> {
    let mirrors = plan.steps.iter().filter_map(|step| match &step.change {
        Change::Mirror(mirror) => Some(mirror),
        _ => None,
    });
    mirrors.collect()
}

fn snapshots(plan: &Plan) -> Vec<&Snapshot> {
    let snapshots = plan.steps.iter().filter_map(|step| match &step.change {
        Change::Snapshot(snapshot) => Some(snapshot),
        _ => None,
    });
    snapshots.collect()
}

fn on_lvm(thin: bool, free: u64) -> Under {
    Under::Lvm {
        group: "vg".into(),
        volume: "docker".into(),
        thin,
        size: 10 * GIB,
        free,
        used: GIB,
        mount: "/var/lib/docker".into(),
        file_system: "ext4".into(),
        options: "rw,noatime".into(),
    }
}

#[test]
fn into_a_mount_point_names_are_exchanged_and_downtime_stays_short() {
    let mut shop = Shop::new();
    let target = shop.facts.sites[0].target.clone();
    shop.facts.sites[0].mounts = vec![target.clone()];
    shop.choice.restore_type = RestoreType::VolumesOnly;
    shop.facts.sites.truncate(1);
    insta::assert_snapshot!(shop.steps().join("\n"), @r"
    Open /var/lib/docker/volumes/shop_db/_data/.reprise-20261121-030000-test for what comes and for what is kept
    Extract /var/lib/docker/volumes/shop_db/_data beside its target (64.0 MiB, 1000 entries)
    Stop container shop_web_1
    Stop container shop_db_1
    Put what was restored into /var/lib/docker/volumes/shop_db/_data, keep all that is there
    Start container shop_db_1
    Wait until container shop_db_1 is healthy
    Start container shop_web_1
    Wait until container shop_web_1 is healthy
    ");
    assert!(shop.codes().contains(&"mount-store".to_owned()));
    let plan = shop.plan();
    assert_eq!(plan.blockers().count(), 0);
    assert_eq!(plan.target_of(&plan.items[0]), Some(target.as_path()));
    assert_eq!(plan.protections[0].key(), "protection-exchange");
}

#[test]
fn of_what_only_what_differs_is_written_of_nobody_knows_the_room_but_what_it_is_at_most() {
    let mut shop = Shop::new();
    for site in &mut shop.facts.sites {
        site.space.free_bytes = 80 << 20;
    }
    shop.choice.manner = Manner::OnlyChanged;
    let plan = shop.plan();
    assert_eq!(plan.blockers().count(), 0);
    // How much differs is known when it was compared.
    let unsure = plan.findings.iter().find(|finding| finding.code() == "space-unsure").expect("a warning");
    assert_eq!(unsure.severity, Severity::Warning);
    assert!(plan.space.iter().all(|space| space.needed == 0 && space.at_most > space.free));
    for site in &mut shop.facts.sites {
        site.space.free_bytes = GIB;
    }
    assert!(!shop.codes().contains(&"space-unsure".to_owned()));
    for site in &mut shop.facts.sites {
        site.space.free_bytes = 80 << 20;
    }
    assert!(mirrors(&plan).iter().all(|mirror| mirror.keep == Keep::InStore));
}

#[test]
fn without_room_for_two_copies_only_what_differs_is_written_where_that_can_be() {
    let mut shop = Shop::new();
    for site in &mut shop.facts.sites {
        site.space.free_bytes = 80 << 20;
        site.tight = Some(Taken { bytes: 60 << 20, entries: 900 });
    }
    let plan = shop.plan();
    assert_eq!(plan.blockers().count(), 0);
    assert!(mirrors(&plan).iter().all(|mirror| mirror.way == Way::Exact && mirror.keep == Keep::InStore));
    assert_eq!(mirrors(&plan).len(), 2);
    for code in ["no-space-for-two", "space-unsure"] {
        let finding = plan.findings.iter().find(|finding| finding.code() == code).expect(code);
        assert_eq!(finding.severity, Severity::Warning);
    }
    // What there is more of than now has to fit, whatever differs.
    let [space] = &plan.space[..] else { panic!("one file system: {:?}", plan.space) };
    assert!(space.needed > 0 && space.needed < 20 << 20 && space.at_most > 128 << 20, "{space:?}");
    for site in &mut shop.facts.sites {
        site.space.free_bytes = 5 << 20;
    }
    assert_eq!(shop.codes()[0], "no-space");

    for site in &mut shop.facts.sites {
        site.space.free_bytes = 80 << 20;
    }
    // Where something speaks against it that nobody asked for, room is what is missing.
    shop.facts.sites[0].flagged = Some("/var/lib/docker/volumes/shop_db/_data/fixed".into());
    assert_eq!(mirrors(&shop.plan()).len(), 1);
    shop.facts.sites[1].flagged = Some("/srv/shop/fixed".into());
    let plan = shop.plan();
    assert_eq!(plan.blockers().map(reprise_model::Finding::code).collect::<Vec<_>>(), ["no-space"]);
    shop.facts.host = "other".into();
    assert_eq!(shop.codes()[0], "no-space", "over SSH nothing can be compared");
}

#[test]
fn only_what_differs_and_merging_are_the_same_over_ssh() {
    let mut shop = Shop::new();
    let ways = |shop: &Shop| mirrors(&shop.plan()).iter().map(|mirror| mirror.way).collect::<Vec<_>>();
    for host in [reprise_host::HERE, "other"] {
        shop.facts.host = host.into();
        shop.choice.manner = Manner::OnlyChanged;
        assert_eq!(ways(&shop), [Way::Exact, Way::Exact]);
        shop.choice.manner = Manner::Merge;
        assert_eq!(ways(&shop), [Way::Merge, Way::Merge]);
        assert!(shop.codes().contains(&"merge-leaves".to_owned()));
        assert!(!shop.codes().contains(&"attributes-unseen".to_owned()));
    }
    shop.facts.sees_attributes = false;
    assert!(shop.codes().contains(&"attributes-unseen".to_owned()));
    shop.choice.manner = Manner::Replace;
    assert!(!shop.codes().contains(&"attributes-unseen".to_owned()), "whole trees take all of theirs along");
}

#[test]
fn one_snapshot_protects_all_that_lies_on_one_file_system_and_is_taken_when_nothing_runs() {
    let mut shop = Shop::new();
    shop.choice.protect = Protect::Snapshot;
    for site in &mut shop.facts.sites {
        site.under = Some(on_lvm(false, 20 * GIB));
    }
    let plan = shop.plan();
    let [snapshot] = snapshots(&plan)[..] else { panic!("one snapshot") };
    let SnapshotKind::Lvm(lvm) = &snapshot.kind else { panic!("of a logical volume") };
    assert_eq!((lvm.group.as_str(), lvm.volume.as_str()), ("vg", "docker"));
    assert_eq!(lvm.bytes, Some(2 * GIB), "a fifth of the volume at least");
    assert_eq!(snapshot.targets.len(), 2);
    assert!(mirrors(&plan).iter().all(|mirror| mirror.keep == Keep::Elsewhere && mirror.way == Way::Exact));
    let at = |wanted: fn(&Change) -> bool| plan.steps.iter().position(|step| wanted(&step.change)).unwrap();
    let taken = at(|change| matches!(change, Change::Snapshot(_)));
    let stopped = plan.steps.iter().rposition(|step| matches!(step.change, Change::StopContainer(_)));
    assert!(stopped.unwrap() < taken && taken < at(|change| matches!(change, Change::Mirror(_))));
    assert_eq!(plan.protections[0].key(), "protection-lvm");

    for site in &mut shop.facts.sites {
        site.under = Some(on_lvm(false, GIB));
    }
    assert_eq!(shop.codes()[0], "no-snapshot-room");
    for site in &mut shop.facts.sites {
        site.under = Some(on_lvm(true, GIB));
    }
    assert_eq!(shop.codes()[0], "no-snapshot-room", "a pool has to have room, too");
    for site in &mut shop.facts.sites {
        site.under = Some(on_lvm(true, 2 * GIB));
    }
    let plan = shop.plan();
    assert_eq!(plan.blockers().count(), 0, "a thin one takes its room of the pool");
    assert_eq!(plan.protections[0].key(), "protection-thin");
    for site in &mut shop.facts.sites {
        site.under = Some(Under::Other("ext4 on /dev/vda1".into()));
    }
    assert_eq!(shop.codes()[0], "no-snapshot");
}

#[test]
fn a_snapshot_has_room_for_all_that_is_written_over_when_it_is_undone_and_never_more_than_the_volume() {
    let mut shop = Shop::new();
    shop.choice.protect = Protect::Snapshot;
    let sizes = |shop: &Shop| match &snapshots(&shop.plan())[0].kind {
        SnapshotKind::Lvm(lvm) => lvm.bytes.unwrap(),
        _ => panic!("of a logical volume"),
    };
    for (number, used) in [(0, 5 * GIB), (1, 10 * GIB)] {
        for site in &mut shop.facts.sites {
            let Under::Lvm { group, volume, thin, size, free, mount, file_system, options, .. } =
                on_lvm(false, 100 * GIB)
            else {
                unreachable!()
            };
            site.under =
                Some(Under::Lvm { group, volume, thin, size, free, used, mount, file_system, options });
        }
        let size = sizes(&shop);
        assert!(size > used, "{number}: much is there, and little comes: {size}");
        assert!(size <= 10 * GIB + GIB / 4, "{number}: {size}");
    }
}

#[test]
fn on_btrfs_a_snapshot_needs_room_for_what_it_keeps_from_being_freed() {
    let mut shop = Shop::new();
    shop.choice.protect = Protect::Snapshot;
    for site in &mut shop.facts.sites {
        site.under = Some(Under::Btrfs { subvolume: "/".into() });
    }
    assert_eq!(shop.plan().blockers().count(), 0);
    for site in &mut shop.facts.sites {
        site.space.free_bytes = 100 << 20;
    }
    assert_eq!(shop.codes()[0], "no-snapshot-space");
}

#[test]
fn a_mount_point_in_which_another_operation_keeps_something_is_not_restored_into() {
    let mut shop = Shop::new();
    let target = shop.facts.sites[0].target.clone();
    shop.facts.sites[0].mounts = vec![target.clone()];
    assert_eq!(shop.plan().blockers().count(), 0);
    shop.facts.sites[0].stores = vec![target.join(".reprise-20261120-030000-else")];
    assert_eq!(shop.codes()[0], "store-in-use");
    assert_eq!(shop.plan().blockers().count(), 1);
}

#[test]
fn a_container_that_may_write_where_something_is_kept_forbids_that() {
    let mut shop = Shop::new();
    let above = shop.facts.sites[1].target.parent().unwrap().to_owned();
    shop.facts.containers[0].mounts[0].source = above;
    shop.facts.containers[0].mounts[0].writable = true;
    assert_eq!(
        shop.plan().blockers().count(),
        0,
        "whole trees that change places hold nothing that is believed"
    );
    for manner in [Manner::OnlyChanged, Manner::Merge] {
        shop.choice.manner = manner;
        assert_eq!(shop.codes()[0], "container-sees-kept");
    }
    shop.facts.containers[0].mounts[0].writable = false;
    assert_eq!(shop.plan().blockers().count(), 0, "who only reads changes nothing");
}

#[test]
fn a_file_with_flags_forbids_what_could_not_move_it_or_put_it_back() {
    let mut shop = Shop::new();
    shop.facts.sites[1].flagged = Some("/srv/shop/fixed".into());
    assert_eq!(shop.plan().blockers().count(), 0, "whole, it moves with all else");
    shop.choice.manner = Manner::OnlyChanged;
    assert_eq!(shop.codes()[0], "file-flags");
}

#[test]
fn a_subvolume_below_a_target_forbids_what_moves_its_names_one_by_one() {
    let mut shop = Shop::new();
    shop.facts.sites[1].nested = Some("/srv/shop/data".into());
    assert_eq!(shop.plan().blockers().count(), 0, "whole, it moves with all else");
    shop.choice.manner = Manner::OnlyChanged;
    assert_eq!(shop.codes()[0], "nested-subvolume");
}

#[test]
fn a_volume_that_is_bound_to_a_directory_is_that_directory() {
    let options = |pairs: &[(&str, &str)]| Volume {
        name: "bound".into(),
        driver: "local".into(),
        mountpoint: "/var/lib/docker/volumes/bound/_data".into(),
        options: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    let bound = options(&[("type", "none"), ("o", "bind"), ("device", "/srv/data")]);
    assert_eq!(bound.bound_directory(), Some(Path::new("/srv/data")));
    assert_eq!(options(&[("type", "nfs"), ("o", "addr=1.2.3.4"), ("device", ":/x")]).bound_directory(), None);
    assert_eq!(options(&[]).bound_directory(), None);
    let mut shop = Shop::new();
    shop.facts.sites[0].volume = Some(bound);
    assert_eq!(shop.plan().blockers().count(), 0);
}

/// A shop whose volume is a file system of its own, in which its containers write.
fn shared() -> Shop {
    let mut shop = Shop::new();
    let site = &mut shop.facts.sites[0];
    site.mounts = vec![site.target.clone()];
    site.space.device = 2;
    site.is_shared = true;
    site.outside = Some(Outside {
        space: Space { device: 1, free_bytes: 100 * GIB, free_inodes: u64::MAX },
        kind: "ext2/ext3".into(),
        own_kind: "xfs".into(),
        taken: Taken { bytes: 8 << 20, entries: 500 },
        flagged: None,
        backdoor: None,
    });
    shop.facts.sites.truncate(1);
    shop.choice.restore_type = RestoreType::VolumesOnly;
    shop
}

#[test]
fn nothing_is_kept_in_a_mount_point_in_which_others_may_write() {
    let shop = shared();
    insta::assert_snapshot!(shop.steps().join("\n"), @r"
    Open /var/lib/docker/volumes/shop_db/_data.reprise-20261121-030000-test.kept for what comes and for what is kept
    Extract /var/lib/docker/volumes/shop_db/_data beside its target (64.0 MiB, 1000 entries)
    Stop container shop_web_1
    Stop container shop_db_1
    Copy what is in /var/lib/docker/volumes/shop_db/_data (8.00 MiB) to /var/lib/docker/volumes/shop_db/_data.reprise-20261121-030000-test.kept/copy
    Empty /var/lib/docker/volumes/shop_db/_data and copy what was restored there
    Start container shop_db_1
    Wait until container shop_db_1 is healthy
    Start container shop_web_1
    Wait until container shop_web_1 is healthy
    ");
    let plan = shop.plan();
    assert_eq!(plan.blockers().count(), 0);
    assert_eq!(plan.protections[0].key(), "protection-copy");
    let target = &shop.facts.sites[0].target;
    for step in &plan.steps {
        let lies_in = |path: &Path| path.starts_with(target) && path != target;
        match &step.change {
            Change::OpenStore(open) => assert!(!lies_in(&open.store)),
            Change::Stage(stage) => assert!(!lies_in(&stage.into)),
            Change::Snapshot(snapshot) => assert!(!lies_in(Path::new(&snapshot.name()))),
            Change::Mirror(mirror) => assert!(!lies_in(&mirror.store)),
            _ => {}
        }
    }
}

#[test]
fn so_it_is_where_containers_are_made_anew_on_another_host_and_for_what_differs() {
    for change in [
        |shop: &mut Shop| shop.facts.host = "other".into(),
        |shop: &mut Shop| shop.choice.manner = Manner::OnlyChanged,
        |shop: &mut Shop| {
            shop.facts.sites[0].under = Some(on_lvm(false, 20 * GIB));
            shop.choice.protect = Protect::Snapshot;
        },
    ] {
        let mut shop = shared();
        change(&mut shop);
        let plan = shop.plan();
        assert_eq!(plan.blockers().count(), 0);
        assert_eq!(snapshots(&plan).len(), 1);
        assert!(
            mirrors(&plan).iter().all(|mirror| mirror.way == Way::Fill && mirror.keep == Keep::Elsewhere)
        );
    }
    let mut shop = shared();
    shop.choice.manner = Manner::OnlyChanged;
    assert!(shop.codes().contains(&"only-changed-shared".to_owned()));
}

#[test]
fn a_copy_needs_room_beside_the_mount_point_and_the_tree_in_it() {
    let mut shop = shared();
    let plan = shop.plan();
    let [beside, within] = &plan.space[..] else { panic!("two file systems: {:?}", plan.space) };
    assert!(beside.needed > 72 << 20 && beside.needed < 80 << 20, "{beside:?}");
    assert!(within.needed > 56 << 20 && within.needed < 60 << 20, "what is there goes first: {within:?}");
    shop.facts.sites[0].outside.as_mut().unwrap().own_kind = "btrfs".into();
    let needed = shop.plan().space[1].needed;
    assert!(needed > 64 << 20, "something may have a snapshot of what is there: {needed}");
    shop.facts.sites[0].outside.as_mut().unwrap().space.free_bytes = 70 << 20;
    assert_eq!(shop.codes()[0], "no-space");
    let mut shop = shared();
    shop.facts.sites[0].space.free_bytes = 50 << 20;
    assert_eq!(shop.codes()[0], "no-space");
}

#[test]
fn what_no_copy_brings_back_or_keeps_still_is_refused() {
    let mut shop = shared();
    shop.choice.manner = Manner::Merge;
    assert_eq!(shop.codes()[0], "mount-shared");
    let mut shop = shared();
    shop.facts.sites[0].outside.as_mut().unwrap().backdoor = Some("other".into());
    assert_eq!(shop.codes()[0], "mount-backdoor");
    let mut shop = shared();
    shop.facts.sites[0].outside.as_mut().unwrap().kind = "tmpfs".into();
    assert_eq!(shop.codes()[0], "mount-beside-memory");
    let mut shop = shared();
    shop.facts.sites[0].outside.as_mut().unwrap().flagged = Some("/data/fixed".into());
    assert_eq!(shop.codes()[0], "file-flags");
    let mut shop = shared();
    shop.choice.protect = Protect::Snapshot;
    shop.facts.sites[0].under = Some(Under::Btrfs { subvolume: shop.facts.sites[0].target.clone() });
    assert_eq!(shop.codes()[0], "no-snapshot-shared");
}
