//! Containers and networks that are made anew.

use std::fs;

use reprise_engine::{
    Change, ComposeCreate, CreateContainer, CreateNetwork, OPERATION_LABEL, RecordedTexts, Service, SetAside,
};
use reprise_host::{Blueprint, Command, ComposeForm, ComposeProject, Docker, NetworkSpec};
use reprise_testkit::{Bench, Restart, SimContainer};
use serde_json::json;

use crate::scenarios::Make;

/// What the backup tells of a container.
pub const RECORD: &str = r#"{"containers": [{"Config": {"Env": ["PASSWORD=a\nsecret", "B=2"]}}]}"#;

fn network(name: &str) -> Change {
    let labels = [("a label".to_owned(), "its value".to_owned())].into();
    Change::CreateNetwork(CreateNetwork {
        spec: NetworkSpec { name: name.to_owned(), labels, internal: true, ..NetworkSpec::default() },
    })
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
        underscores: false,
        name: "shop".to_owned(),
        directory,
        files: Vec::new(),
        services: Vec::new(),
        scale: Vec::new(),
        pull: false,
        containers: services.iter().map(|service| format!("shop_{service}_1")).collect(),
        serves: [].into(),
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
