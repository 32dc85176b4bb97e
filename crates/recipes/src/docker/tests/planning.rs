//! Which steps, in which order, and what they look like as scripts.

use reprise_engine::{Change, Detail, script};
use reprise_model::{Adaptation, Lang, RestoreType};

use super::*;

#[test]
fn in_place_downtime_is_only_the_swap() {
    insta::assert_snapshot!(Shop::new().steps().join("\n"), @r"
    Extract /var/lib/docker/volumes/shop_db/_data beside its target (64.0 MiB, 1000 entries)
    Extract /srv/shop beside its target (64.0 MiB, 1000 entries)
    Stop container shop_web_1
    Stop container shop_db_1
    Put the restored /var/lib/docker/volumes/shop_db/_data in place, keep the present one
    Put the restored /srv/shop in place, keep the present one
    Start container shop_db_1
    Wait until container shop_db_1 is healthy
    Start container shop_web_1
    Wait until container shop_web_1 is healthy
    ");
}

#[test]
fn a_database_alone_takes_what_waits_for_it_along() {
    let mut shop = Shop::new();
    shop.choice.restore_type = RestoreType::VolumesOnly;
    shop.facts.sites.truncate(1);
    let plan = shop.plan();
    assert_eq!(plan.stops().collect::<Vec<_>>(), ["shop_web_1", "shop_db_1"]);
}

#[test]
fn a_lost_volume_is_made_again_with_the_labels_compose_looks_for() {
    let mut shop = Shop::new();
    shop.facts.sites[0].present = None;
    shop.facts.sites[0].volume = None;
    shop.facts.containers.clear();
    let plan = shop.plan();
    let made = plan.steps.iter().find_map(|step| match &step.change {
        Change::CreateVolume(create) => Some(&create.spec),
        _ => None,
    });
    let labels = &made.unwrap().labels;
    assert_eq!(labels["com.docker.compose.project"], "shop");
    assert_eq!(labels["com.docker.compose.volume"], "db");
    // What the engine makes for it is exchanged like any other.
    assert!(
        plan.steps
            .iter()
            .any(|step| matches!(&step.change, Change::Swap(swap) if swap.target.ends_with("_data")))
    );
}

#[test]
fn elsewhere_nothing_stops_and_missing_directories_are_made_once() {
    insta::assert_snapshot!(Shop::elsewhere(Adaptation::None).steps().join("\n"), @r"
    Make directory /opt/restored
    Make directory /opt/restored/compose
    Make directory /opt/restored/volumes
    Extract /var/lib/docker/volumes/shop_db/_data beside its target (64.0 MiB, 1000 entries)
    Extract /srv/shop beside its target (64.0 MiB, 1000 entries)
    Put the restored /opt/restored/volumes/shop_db in place
    Put the restored /opt/restored/compose/shop in place
    ");
}

#[test]
fn an_adapted_compose_file_leads_to_the_restored_data() {
    let mut shop = Shop::elsewhere(Adaptation::GenerateNew);
    let text = "services:\n  db: # the database\n    volumes: [db:/data]\nvolumes: {db: }\n";
    shop.facts.texts.insert("srv/shop/compose.yaml", text);
    let plan = shop.plan();
    let edits: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.change {
            Change::Stage(stage) => stage.edits.first(),
            _ => None,
        })
        .collect();
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0].original.as_deref(), Some("compose.yaml.original"));
    assert!(edits[0].content.contains("# the database\n    volumes: [/opt/restored/volumes/shop_db:/data]"));
}

#[test]
fn what_was_stopped_stays_so_when_asked() {
    let mut shop = Shop::new();
    shop.choice.restart = false;
    assert!(shop.steps().iter().all(|step| !step.starts_with("Start")));
}

#[test]
fn the_explained_script_is_short() {
    insta::assert_snapshot!(script(&Shop::new().plan(), Detail::Explained, Lang::En));
}

#[test]
fn the_complete_script_undoes_its_failures() {
    insta::assert_snapshot!(script(&Shop::new().plan(), Detail::Complete, Lang::En));
}

#[test]
fn the_same_facts_give_the_same_plan() {
    assert_eq!(Shop::new().plan(), Shop::new().plan());
}

#[test]
fn what_is_there_is_backed_up_on_any_host_by_the_borg_of_this_machine() {
    let mut shop = Shop::new();
    shop.choice.backup_before = true;
    for host in ["localhost", "other"] {
        shop.facts.host = host.into();
        shop.facts.borg = Some(Ok(()));
        let is_backed_up = shop
            .plan()
            .steps
            .iter()
            .any(|step| matches!(&step.change, Change::BackUp(it) if it.paths.len() == 2));
        assert!(is_backed_up, "{host}");
        let told = shop.codes().contains(&"backup-before-no-attributes".to_owned());
        assert_eq!(told, host == "other", "{host}: what a tar stream does not hold");
        shop.facts.borg = Some(Err("it is not there".into()));
        assert_eq!(shop.codes()[0], "backup-before-no-borg", "{host}");
    }
    // Where nothing is, nothing is lost.
    shop.facts.borg = Some(Ok(()));
    for site in &mut shop.facts.sites {
        site.present = None;
    }
    assert!(!shop.codes().iter().any(|code| code.starts_with("backup-before")));
}
