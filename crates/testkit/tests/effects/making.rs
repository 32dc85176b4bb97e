//! Containers and networks that are made anew.

use std::collections::BTreeMap;
use std::fs;

use reprise_engine::{
    Change, ComposeCreate, CreateContainer, CreateNetwork, OPERATION_LABEL, Observed, RecordedTexts, Service,
    SetAside,
};
use reprise_host::{
    Blueprint, Command, ComposeForm, ComposeProject, Docker, NetworkSpec, ObjectKind, Subnet, VolumeSpec,
};
use reprise_testkit::{Bench, Faults, Restart, SimContainer, Watcher};
use serde_json::{Value, json};

use crate::scenarios::Make;

/// What the backup tells of a container.
pub const RECORD: &str = r#"{"containers": [{"Config": {"Env": ["PASSWORD=a\nsecret", "B=2"]}}]}"#;

fn network(name: &str) -> Change {
    let labels = [("a label".to_owned(), "its value".to_owned())].into();
    Change::CreateNetwork(CreateNetwork {
        spec: NetworkSpec { name: name.to_owned(), labels, internal: true, ..NetworkSpec::default() },
        asked_for: false,
    })
}

/// A network that is to have certain addresses.
fn addressed(name: &str) -> NetworkSpec {
    let subnet = Subnet { subnet: "172.30.0.0/16".to_owned(), ..Subnet::default() };
    NetworkSpec { name: name.to_owned(), subnets: vec![subnet], ..NetworkSpec::default() }
}

fn job(environment: bool) -> Change {
    let body = json!({ "Image": "image:1", "Labels": { OPERATION_LABEL: "this", "a": "b" },
        "HostConfig": { "NetworkMode": "front", "RestartPolicy": { "Name": "always" } } });
    let networks = [("back".to_owned(), reprise_host::Endpoint::default())].into();
    let recorded = RecordedTexts {
        file: "record.json".to_owned(),
        pointer: "/containers/0/Config/Env".to_owned(),
        by_hand: Command::new("head").args(["-c", "1M", "record.json"]),
    };
    Change::CreateContainer(CreateContainer {
        container: "job".to_owned(),
        blueprint: Blueprint { body, networks },
        environment: environment.then_some(recorded),
    })
}

/// A project whose file says `lines`, each a service and its hash, and which should have these services.
fn project(bench: &Bench, lines: &str, services: &[&str]) -> ComposeProject {
    let directory = bench.path("shop");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("compose.yaml"), lines).unwrap();
    ComposeProject {
        form: ComposeForm::Standalone,
        name: "shop".to_owned(),
        directory,
        containers: services.iter().map(|service| format!("shop_{service}_1")).collect(),
        ..ComposeProject::default()
    }
}

fn compose(bench: &Bench, present: &[&str]) -> Change {
    for service in present {
        bench
            .docker
            .add(SimContainer::new(&format!("shop_{service}_1")).of_project("shop", service, "1").stopped());
    }
    Change::ComposeCreate(ComposeCreate { project: project(bench, "web 1\ndb 1\n", &["web", "db"]) })
}

fn aside(unless_as_in: Option<Service>) -> Change {
    Change::SetAside(SetAside {
        container: "shop_web_1".to_owned(),
        kept: "shop_web_1.old".to_owned(),
        unless_as_in,
    })
}

fn web(bench: &Bench) -> SimContainer {
    SimContainer::new("shop_web_1")
        .of_project("shop", "web", "1")
        .restart(Restart::Always)
        .with(&["PASSWORD=a\nsecret"], &["shop_default", "other"])
        .with_volume("app_data", &bench.docker.mountpoint("app_data"))
        .stopped()
}

pub fn needed() -> Vec<(&'static str, Make)> {
    vec![
        ("a new network", |_| network("fresh")),
        ("a network whose addresses another one took meanwhile", |bench| {
            bench.docker.create_network(&addressed("another")).unwrap();
            Change::CreateNetwork(CreateNetwork { spec: addressed("fresh"), asked_for: false })
        }),
        ("a container as it was recorded", |_| job(true)),
        ("a container whose environment nobody recorded", |_| job(false)),
        ("a project without containers", |bench| compose(bench, &[])),
        ("a project that lacks a container", |bench| compose(bench, &["web"])),
        ("a container that makes room", |bench| {
            bench.docker.add(web(bench));
            aside(None)
        }),
        ("a container that makes room with what it has written", |bench| {
            bench.docker.add(web(bench).written());
            aside(None)
        }),
        ("a container that was made of other files", |bench| {
            bench.docker.add(web(bench));
            let project = project(bench, "web 2\n", &["web"]);
            aside(Some(Service { project, name: "web".to_owned() }))
        }),
    ]
}

pub fn satisfied() -> Vec<(&'static str, Make)> {
    vec![
        ("a network that is there", |bench| {
            bench
                .docker
                .create_network(&NetworkSpec { name: "there".to_owned(), ..NetworkSpec::default() })
                .unwrap();
            network("there")
        }),
        ("a container that was made", |bench| {
            let Change::CreateContainer(create) = job(false) else { unreachable!() };
            bench.docker.create_container("job", &create.blueprint).unwrap();
            Change::CreateContainer(create)
        }),
        ("a project with all its containers", |bench| compose(bench, &["web", "db"])),
        ("a container that was made of the same files", |bench| {
            bench.docker.add(web(bench));
            let project = project(bench, "web 1\n", &["web"]);
            aside(Some(Service { project, name: "web".to_owned() }))
        }),
        ("a container that has made room", |bench| {
            bench.docker.add(SimContainer::new("shop_web_1.old").stopped());
            aside(None)
        }),
    ]
}

pub fn refused() -> Vec<(&'static str, &'static str, Make)> {
    vec![
        ("making a container where one is", "appeared since", |bench| {
            bench.docker.add(SimContainer::new("job"));
            job(false)
        }),
        ("setting no container aside", "is not there", |_| aside(None)),
        ("keeping a container as one that is there", "is in the way", |bench| {
            bench.docker.add(web(bench));
            bench.docker.add(SimContainer::new("shop_web_1.old").stopped());
            aside(None)
        }),
    ]
}

/// Makes the change; what undoes it.
fn made(bench: &Bench, change: &Change) -> Value {
    bench.meet(&Faults::none(), &Watcher::new(), |cx| {
        let Observed::Needed(before) = change.observe(cx).unwrap() else { panic!("it is there already") };
        change.apply(&before, cx).unwrap();
        change.made(&before, cx).unwrap()
    })
}

/// Undoes it; the warnings.
fn undone(bench: &Bench, change: &Change, before: &Value) -> Vec<String> {
    let watcher = Watcher::new();
    bench.meet(&Faults::none(), &watcher, |cx| change.undo(before, cx)).unwrap();
    watcher.warnings()
}

/// Somebody makes a volume and a network, which Compose would take for the project's.
fn somebody_makes(bench: &Bench, name: &str) {
    let labels: BTreeMap<_, _> = [("com.docker.compose.project".to_owned(), "shop".to_owned())].into();
    let spec = VolumeSpec { name: name.to_owned(), labels: labels.clone(), ..VolumeSpec::default() };
    bench.docker.create_volume(&spec).unwrap();
    fs::write(bench.docker.mountpoint(name).join("precious"), "written since").unwrap();
    let spec = NetworkSpec { name: name.to_owned(), labels, ..NetworkSpec::default() };
    bench.docker.create_network(&spec).unwrap();
}

fn has_network(bench: &Bench, name: &str) -> bool {
    bench.docker.described(ObjectKind::Network, name).unwrap().is_some()
}

#[test]
fn what_came_to_a_project_after_it_was_made_stays_when_that_is_undone() {
    let bench = Bench::new();
    let change = compose(&bench, &["web"]);
    somebody_makes(&bench, "shop_earlier");
    let before = made(&bench, &change);
    somebody_makes(&bench, "shop_later");
    assert!(undone(&bench, &change, &before).is_empty());
    for name in ["shop_earlier", "shop_later"] {
        let file = bench.docker.mountpoint(name).join("precious");
        assert_eq!(fs::read_to_string(file).unwrap(), "written since");
        assert!(has_network(&bench, name), "{name}");
    }
    // What it made itself is gone.
    assert!(bench.docker.volume("shop_cache").unwrap().is_none());
    assert!(!has_network(&bench, "shop_default"));
    assert!(bench.docker.container("shop_db_1").unwrap().is_none());
    assert!(bench.docker.container("shop_web_1").unwrap().is_some());
}

#[test]
fn a_container_of_another_origin_stays_though_it_has_the_name_of_one_that_was_made() {
    let bench = Bench::new();
    let change = compose(&bench, &["web"]);
    let before = made(&bench, &change);
    for stranger in
        [SimContainer::new("shop_db_1"), SimContainer::new("shop_db_1").of_project("another", "db", "1")]
    {
        bench.docker.add(stranger);
        assert_eq!(undone(&bench, &change, &before), ["warn-container-replaced"]);
        assert!(bench.docker.runs("shop_db_1"));
    }
}

#[test]
fn addresses_that_a_container_asks_for_are_not_exchanged_for_others() {
    let bench = Bench::new();
    bench.docker.create_network(&addressed("another")).unwrap();
    let change = Change::CreateNetwork(CreateNetwork { spec: addressed("fresh"), asked_for: true });
    let refused = bench.meet(&Faults::none(), &Watcher::new(), |cx| change.apply(&Value::Null, cx));
    assert!(refused.unwrap_err().to_string().contains("overlaps"));
    assert!(!has_network(&bench, "fresh"));
}

#[test]
fn a_network_that_a_stopped_container_is_in_stays_when_its_making_is_undone() {
    let bench = Bench::new();
    let change = network("fresh");
    let before = made(&bench, &change);
    bench.docker.add(SimContainer::new("since").with(&[], &["fresh"]).stopped());
    assert_eq!(undone(&bench, &change, &before), ["warn-network-in-use"]);
    assert!(has_network(&bench, "fresh"));
    bench.docker.remove("since");
    assert!(undone(&bench, &change, &before).is_empty());
    assert!(!has_network(&bench, "fresh"));
}

#[test]
fn a_container_is_put_back_in_its_networks_though_somebody_has_removed_them() {
    let bench = Bench::new();
    let labels: BTreeMap<_, _> = [("com.docker.compose.network".to_owned(), "default".to_owned())].into();
    let spec = NetworkSpec { name: "shop_default".to_owned(), labels, ..NetworkSpec::default() };
    bench.docker.create_network(&spec).unwrap();
    bench.docker.add(web(&bench));
    let was = bench.docker.in_words(&bench.root());
    let change = aside(None);
    let before = made(&bench, &change);
    assert!(bench.docker.remove_network("shop_default").unwrap());
    assert!(undone(&bench, &change, &before).is_empty());
    assert_eq!(bench.docker.in_words(&bench.root()), was);
}
