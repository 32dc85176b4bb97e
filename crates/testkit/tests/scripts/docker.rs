//! Scripts that stop and start containers and make volumes, with a stand-in for the `docker` program that
//! keeps one file per container and volume.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reprise_engine::{
    Change, CreateContainer, CreateNetwork, CreateVolume, Detail, MakeDir, RecordedTexts, Service, SetAside,
    StartContainer, StopContainer, script,
};
use reprise_host::{Blueprint, Command, ComposeProject, NetworkSpec, Subnet, VolumeSpec};
use reprise_model::Lang;
use reprise_testkit::{plan, scratch};

use crate::run::run_with;

const STAND_IN: &str = r#"#!/bin/bash
cd "$(dirname "$0")/state" || exit 9
name="${*: -1}"
# A file `id NAME` holds the name of the container whose id begins like that.
[ ! -e "id $name" ] || name=$(cat "id $name")
echo "$*" >> ../log
case "$1 $2" in
"container inspect")
    [ -e "container $name" ] || exit 1
    case $* in *.Name*) echo "/$name" ;; *) cat "container $name" ;; esac ;;
"container ls") [ ! -e ../users ] || cat ../users ;;
"compose version") echo 2.0.0 ;;
"compose --project-name") echo "web false" ;;
"stop -t") [ -e "container $name" ] && echo false > "container $name" ;;
"start --") [ -e "container $name" ] && echo true > "container $name" ;;
"volume inspect") [ -e "volume $name" ] ;;
"volume create") touch "volume $name" ;;
"volume rm") rm "volume $name" ;;
"network inspect") [ -e "network $name" ] && echo "$name" ;;
"network create")
    case $* in
    *" --subnet 10.1."*) echo "Pool overlaps with other one on this address space" >&2; exit 1 ;;
    *" --subnet 10.2."*) echo "something else is wrong" >&2; exit 1 ;;
    esac
    [ ! -e "network $name" ] && touch "network $name" ;;
"network rm") rm "network $name" ;;
"rm --volumes") rm "container $name" ;;
"system dial-stdio")
    read -r request
    while IFS=$'\r' read -r header && [ -n "$header" ]; do
        case $header in Content-Length:*) length=${header#*: } ;; esac
    done
    # Not to its end, which does not come before the answer.
    head -c "$length" > ../body
    request=${request#*name=}
    echo false > "container ${request% HTTP*}"
    printf 'HTTP/1.1 201 Created\r\n\r\n{}' ;;
*) echo "unknown: $*" >&2; exit 9 ;;
esac
"#;

struct StandIn(tempfile::TempDir);

impl StandIn {
    fn new(containers: &[(&str, bool)]) -> Self {
        let dir = scratch();
        let program = dir.path().join("docker");
        fs::write(&program, STAND_IN).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        for (name, running) in containers {
            fs::write(dir.path().join("state").join(format!("container {name}")), format!("{running}\n"))
                .unwrap();
        }
        Self(dir)
    }

    fn path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.0.path().display())
    }

    fn state(&self) -> Vec<(PathBuf, String)> {
        let entries = fs::read_dir(self.0.path().join("state")).unwrap();
        let mut state: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().into(), fs::read_to_string(path).unwrap()))
            .collect();
        state.sort();
        state
    }
}

fn changes() -> Vec<Change> {
    let name = |name: &str| name.to_owned();
    let volume = |it: &str| VolumeSpec {
        name: name(it),
        labels: [(name("a b"), name("$c"))].into(),
        ..VolumeSpec::default()
    };
    vec![
        Change::CreateVolume(CreateVolume { spec: volume("new") }),
        Change::CreateVolume(CreateVolume { spec: volume("there") }),
        Change::CreateNetwork(CreateNetwork {
            spec: NetworkSpec {
                name: name("net"),
                labels: [(name("a b"), name("$c"))].into(),
                ..NetworkSpec::default()
            },
            asked_for: false,
        }),
        Change::CreateContainer(CreateContainer {
            container: name("made"),
            blueprint: Blueprint { body: serde_json::json!({ "Image": "it's $1" }), networks: [].into() },
            environment: Some(RecordedTexts {
                file: name("record"),
                pointer: name("/a list/0/Env"),
                by_hand: Command::new("printf")
                    .args(["%s", r#"{"a list": [{"Env": ["A=secret\nof two lines"]}]}"#]),
            }),
        }),
        Change::StopContainer(StopContainer { container: name("web") }),
        Change::StopContainer(StopContainer { container: name("idle") }),
        Change::StartContainer(StartContainer { container: name("job") }),
        Change::StartContainer(StartContainer { container: name("busy") }),
    ]
}

fn stand_in() -> StandIn {
    let it = StandIn::new(&[("web", true), ("idle", false), ("job", false), ("busy", true)]);
    fs::write(it.0.path().join("state/volume there"), "").unwrap();
    it
}

#[test]
fn containers_and_volumes_end_as_the_plan_says() {
    for detail in [Detail::Explained, Detail::Complete] {
        let docker = stand_in();
        let ran = run_with(&plan("bash", changes()), detail, &docker.path());
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let wanted =
            [("busy", "true"), ("idle", "false"), ("job", "true"), ("made", "false"), ("web", "false")]
                .map(|(name, running)| (PathBuf::from(format!("container {name}")), format!("{running}\n")));
        let volumes =
            ["network net", "volume new", "volume there"].map(|name| (PathBuf::from(name), String::new()));
        assert_eq!(docker.state(), [&wanted[..], &volumes[..]].concat(), "{detail:?}");
        let sent = fs::read_to_string(docker.0.path().join("body")).unwrap();
        let body: serde_json::Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(body, serde_json::json!({ "Image": "it's $1", "Env": ["A=secret\nof two lines"] }));
    }
}

#[test]
fn what_had_nothing_to_do_is_not_undone() {
    let docker = stand_in();
    let before = docker.state();
    let mut changes = changes();
    changes.push(Change::MakeDir(MakeDir { path: Path::new("/no/such").into(), mode: 0o755 }));
    let ran = run_with(&plan("bash", changes), Detail::Complete, &docker.path());
    assert_eq!(ran.status, Some(3), "{}", ran.stderr);
    assert_eq!(docker.state(), before, "{}", fs::read_to_string(docker.0.path().join("log")).unwrap());
}

#[test]
fn a_container_whose_id_begins_like_a_name_is_left_alone() {
    let container = || "cafe".to_owned();
    for (change, running) in [
        (Change::StopContainer(StopContainer { container: container() }), true),
        (Change::StartContainer(StartContainer { container: container() }), false),
    ] {
        let docker = StandIn::new(&[("other", running)]);
        fs::write(docker.0.path().join("state/id cafe"), "other").unwrap();
        let before = docker.state();
        for detail in [Detail::Explained, Detail::Complete] {
            let ran = run_with(&plan("bash", vec![change.clone()]), detail, &docker.path());
            assert_ne!(ran.status, Some(0), "{detail:?}");
            assert!(ran.stderr.contains("there is no container cafe"), "{}", ran.stderr);
            assert_eq!(docker.state(), before);
        }
    }
}

fn addressed(subnet: &str) -> Change {
    let subnets = vec![Subnet { subnet: subnet.to_owned(), ..Subnet::default() }];
    let spec = NetworkSpec { name: "net".to_owned(), subnets, ..NetworkSpec::default() };
    Change::CreateNetwork(CreateNetwork { spec, asked_for: false })
}

#[test]
fn a_network_gets_other_addresses_only_where_its_own_are_taken() {
    for detail in [Detail::Explained, Detail::Complete] {
        let docker = StandIn::new(&[]);
        let ran = run_with(&plan("bash", vec![addressed("10.2.0.0/24")]), detail, &docker.path());
        assert_ne!(ran.status, Some(0));
        assert!(ran.stderr.contains("something else is wrong"), "{}", ran.stderr);
        assert!(docker.state().is_empty());
        let ran = run_with(&plan("bash", vec![addressed("10.1.0.0/24")]), detail, &docker.path());
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert_eq!(docker.state(), [(PathBuf::from("network net"), String::new())]);
    }
}

#[test]
fn a_network_that_a_container_is_in_stays_when_a_script_fails() {
    for (users, stays) in [("", false), ("0123456789ab\n", true)] {
        let docker = StandIn::new(&[]);
        fs::write(docker.0.path().join("users"), users).unwrap();
        let fails = Change::MakeDir(MakeDir { path: Path::new("/no/such").into(), mode: 0o755 });
        let ran =
            run_with(&plan("bash", vec![addressed("10.3.0.0/24"), fails]), Detail::Complete, &docker.path());
        assert_eq!(ran.status, Some(3), "{}", ran.stderr);
        assert_eq!(!docker.state().is_empty(), stays);
    }
}

/// Sets the container `web` aside unless it is as the files say of `service`.
fn aside(service: &str) -> Change {
    let project = ComposeProject {
        name: "shop".to_owned(),
        directory: "/srv/shop".into(),
        containers: vec!["web".to_owned()],
        ..ComposeProject::default()
    };
    Change::SetAside(SetAside {
        container: "web".to_owned(),
        kept: "web.old".to_owned(),
        unless_as_in: Some(Service { project, name: service.to_owned() }),
    })
}

#[test]
fn a_service_is_found_by_its_name_and_no_name_is_run() {
    let docker = StandIn::new(&[("web", false)]);
    let before = docker.state();
    let ran = run_with(&plan("bash", vec![aside("web")]), Detail::Complete, &docker.path());
    assert_eq!(ran.status, Some(0), "it is as the files say: {}", ran.stderr);
    assert_eq!(docker.state(), before);
    let hurt = docker.0.path().join("hurt");
    let service = format!("x//;e touch {}\ns/x", hurt.display());
    let ran = run_with(&plan("bash", vec![aside(&service)]), Detail::Complete, &docker.path());
    assert_ne!(ran.status, Some(0), "the files say nothing of it");
    assert!(!hurt.exists());
}

#[test]
fn a_script_sees_to_it_first_that_what_it_calls_is_there() {
    let text = script(&plan("bash", vec![aside("web"), aside("db")]), Detail::Complete, Lang::En);
    for needed in ["jq --version > /dev/null\n", "docker compose version --short > /dev/null\n"] {
        assert_eq!(text.matches(needed).count(), 1, "{needed}");
    }
}
