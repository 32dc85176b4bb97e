//! Scripts that stop and start containers and make volumes, with a stand-in for the `docker` program that
//! keeps one file per container and volume.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reprise_engine::{
    Change, CreateContainer, CreateNetwork, CreateVolume, Detail, MakeDir, RecordedTexts, StartContainer,
    StopContainer,
};
use reprise_host::{Blueprint, Command, NetworkSpec, VolumeSpec};
use reprise_testkit::{plan, scratch};

use crate::run::run_with;

const STAND_IN: &str = r#"#!/bin/bash
cd "$(dirname "$0")/state" || exit 9
name="${*: -1}"
echo "$*" >> ../log
case "$1 $2" in
"container inspect") cat "container $name" ;;
"stop -t") [ -e "container $name" ] && echo false > "container $name" ;;
"start --") [ -e "container $name" ] && echo true > "container $name" ;;
"volume inspect") [ -e "volume $name" ] ;;
"volume create") touch "volume $name" ;;
"volume rm") rm "volume $name" ;;
"network inspect") [ -e "network $name" ] ;;
"network create") [ ! -e "network $name" ] && touch "network $name" ;;
"network rm") rm "network $name" ;;
"rm --volumes") rm "container $name" ;;
"system dial-stdio")
    read -r request
    cat > ../body
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
        let body = sent.split_once("\r\n\r\n").unwrap().1;
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
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
