//! What is found before a restore, and what forbids it.

use reprise_model::Severity;

use super::*;
use crate::docker::Archiving;

#[test]
fn a_sound_restore_has_only_news() {
    let findings = Shop::new().plan().findings;
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:?}");
}

#[test]
fn a_full_disk_is_found_before_anything_is_touched() {
    let mut shop = Shop::new();
    for site in &mut shop.facts.sites {
        // Enough for each alone, not for both.
        site.space.free_bytes = 80 << 20;
    }
    assert_eq!(shop.codes()[0], "no-space");
    assert!(shop.plan().blockers().next().is_some());
}

#[test]
fn two_file_systems_are_counted_apart() {
    let mut shop = Shop::new();
    for (device, site) in (1..).zip(&mut shop.facts.sites) {
        site.space = Space { device, free_bytes: 80 << 20, free_inodes: u64::MAX };
    }
    assert_eq!(shop.plan().blockers().count(), 0);
}

#[test]
fn running_out_of_inodes_counts_as_full() {
    let mut shop = Shop::new();
    for site in &mut shop.facts.sites {
        site.space.free_inodes = 1500;
    }
    assert_eq!(shop.codes()[0], "no-inodes");
}

#[test]
fn without_docker_nothing_is_restored_in_place() {
    let mut shop = Shop::new();
    shop.facts.engine = Some(Err("connection refused".into()));
    shop.facts.containers.clear();
    assert!(shop.plan().blockers().any(|finding| finding.code() == "docker-unreachable"));
}

#[test]
fn a_mount_point_cannot_be_exchanged() {
    let mut shop = Shop::new();
    shop.facts.sites[1].mounts = vec!["/srv/shop/media".into()];
    assert_eq!(shop.codes()[0], "mount-point");
}

#[test]
fn a_volume_with_options_of_its_own_cannot_be_exchanged() {
    let mut shop = Shop::new();
    let volume = shop.facts.sites[0].volume.as_mut().unwrap();
    volume.options.insert("device".into(), "/mnt/nfs".into());
    assert_eq!(shop.codes()[0], "volume-driver");
}

#[test]
fn what_lies_at_the_destination_is_never_replaced() {
    let mut shop = Shop::elsewhere(Adaptation::None);
    shop.facts.sites[1].present = Some(directory());
    assert_eq!(shop.codes()[0], "destination-occupied");
}

#[test]
fn a_container_that_sees_the_target_from_above_is_pointed_out() {
    let mut shop = Shop::new();
    shop.facts.containers.push(container("agent", "agent", "/srv"));
    assert_eq!(shop.codes()[0], "container-above");
    assert!(!shop.plan().stops().any(|name| name == "agent"));
}

#[test]
fn a_volume_without_its_project_is_pointed_out() {
    let mut shop = Shop::new();
    shop.choice.restore_type = RestoreType::VolumesOnly;
    shop.facts.sites.truncate(1);
    assert_eq!(shop.codes()[0], "volume-without-project");
}

#[test]
fn two_items_for_one_place_are_refused() {
    let mut shop = Shop::new();
    shop.facts.sites[1].target = shop.facts.sites[0].target.join("inner");
    assert_eq!(shop.codes()[0], "targets-overlap");
}

#[test]
fn a_restore_moves_neither_its_state_nor_its_repository_nor_the_engine() {
    let mut shop = Shop::new();
    shop.reserved = vec![("/srv/shop/state".into(), Message::new("reserved-state"))];
    assert_eq!(shop.codes()[0], "reserved-state");
    shop.reserved = vec![("/srv".into(), Message::new("reserved-repository"))];
    assert_eq!(shop.codes()[0], "reserved-repository");
    let mut shop = Shop::new();
    shop.facts.sites[1].target = "/var/lib".into();
    assert!(shop.codes().contains(&"reserved-engine".to_owned()));
}

#[test]
fn a_link_of_someone_else_does_not_decide_where_a_restore_goes() {
    let mut shop = Shop::new();
    shop.facts.sites[1].foreign_link = Some("/home/someone/link".into());
    assert_eq!(shop.codes()[0], "foreign-link");
}

#[test]
fn a_container_that_is_down_or_paused_is_pointed_out() {
    let mut shop = Shop::new();
    shop.facts.containers[0].running = false;
    shop.facts.containers[1].paused = true;
    let codes = shop.codes();
    assert!(codes.contains(&"container-down".to_owned()) && codes.contains(&"container-paused".to_owned()));
}

#[test]
fn an_engine_on_another_machine_is_refused() {
    let mut shop = Shop::new();
    let engine = Engine {
        version: "29".into(),
        root: "/var/lib/docker".into(),
        endpoint: "tcp://10.0.0.1:2375".into(),
    };
    shop.facts.engine = Some(Ok(engine));
    assert_eq!(shop.codes()[0], "docker-elsewhere");
}

#[test]
fn what_containers_mount_and_the_archive_lacks_is_pointed_out() {
    let mut shop = Shop::new();
    shop.facts.binds.missing.push(("shop_db_1".into(), "/srv/shop/data".into()));
    shop.facts.binds.left.push(("shop_web_1".into(), "/srv/media".into()));
    let codes = shop.codes();
    assert!(codes.contains(&"bind-missing".to_owned()) && codes.contains(&"bind-left".to_owned()));
}

#[test]
fn the_archive_of_what_is_there_counts_on_the_disk_of_its_repository() {
    let mut shop = Shop::new();
    shop.choice.backup_before = true;
    shop.facts.borg = Some(Ok(()));
    let space = Space { device: 1, free_bytes: 100 * GIB, free_inodes: u64::MAX };
    let archiving = Archiving { directory: "/backup/borg".into(), space, bytes: 100 * GIB };
    shop.facts.archiving = Some(archiving.clone());
    let [both] = &shop.plan().space[..] else { panic!("one file system") };
    assert!(both.needed < GIB && both.at_most > 100 * GIB, "{both:?}");
    assert!(shop.codes().contains(&"archive-space-unsure".to_owned()));

    // The disks of another machine are others, whatever their numbers.
    shop.facts.host = "other".into();
    let [there, here] = &shop.plan().space[..] else { panic!("two file systems") };
    assert_eq!((there.needed, there.at_most), (both.needed, both.needed));
    assert_eq!((here.needed, here.at_most), (0, 100 * GIB));
    shop.facts.archiving = Some(Archiving { bytes: GIB, ..archiving });
    assert!(!shop.codes().contains(&"archive-space-unsure".to_owned()));
}
