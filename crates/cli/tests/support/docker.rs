//! Docker, asked and looked at.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program::{run, wait_at_most};

/// What `docker ARGS` prints; it must succeed.
#[track_caller]
pub fn docker<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    run(Command::new("docker").args(args)).expect(0).stdout
}

pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

/// Waits until `condition` holds; fails the test after two minutes.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(Duration::from_mins(2), what, condition);
}

/// The containers, volumes and networks whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    /// Name to id, image, whether it runs, its health, its mounts.
    pub containers: BTreeMap<String, String>,
    /// Name to labels and mount point.
    pub volumes: BTreeMap<String, String>,
    /// Name to id.
    pub networks: BTreeMap<String, String>,
}

impl Objects {
    /// Those of the project `name`.
    pub fn of(name: &str) -> Self {
        let find = |list: &[&str]| {
            let filter = format!("name={name}");
            lines(&docker([list, &["-q", "--filter", &filter]].concat()))
        };
        let inspect = |kind: &str, ids: Vec<String>| -> Vec<Value> {
            if ids.is_empty() {
                return Vec::new();
            }
            let text = docker([kind.to_owned(), "inspect".to_owned()].into_iter().chain(ids));
            serde_json::from_str(&text).expect("docker prints JSON")
        };
        let named = |value: &Value| value["Name"].as_str().unwrap_or_default().trim_matches('/').to_owned();
        let containers = inspect("container", find(&["ps", "-a"])).into_iter().map(|container| {
            let state = &container["State"];
            // The volume's path, not what kind of mount it is called: that stays the same over engines.
            let mut mounts: Vec<String> = container["Mounts"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|mount| format!("{} on {}", mount["Source"], mount["Destination"]))
                .collect();
            mounts.sort();
            let text = format!(
                "{} {} running {} {} {}",
                container["Id"],
                container["Image"],
                state["Running"],
                state["Health"]["Status"],
                mounts.join(", ")
            );
            (named(&container), text)
        });
        let volumes = inspect("volume", find(&["volume", "ls"])).into_iter().map(|volume| {
            (named(&volume), format!("{} {} {}", volume["Mountpoint"], volume["Labels"], volume["Options"]))
        });
        let networks = inspect("network", find(&["network", "ls"]))
            .into_iter()
            .map(|network| (named(&network), network["Id"].to_string()));
        Self { containers: containers.collect(), volumes: volumes.collect(), networks: networks.collect() }
    }

    /// Fails the test unless `self`, how things were, is how they are now; containers get some time to be healthy.
    #[track_caller]
    pub fn expect_now(&self, name: &str) {
        self.expect_now_with(name, &[], &[]);
    }

    /// The same where `more` has come to it, and the containers `copies` may have been made anew.
    #[track_caller]
    pub fn expect_now_with(&self, name: &str, more: &[String], copies: &[String]) {
        let before = self.clone().without(&[], copies);
        let mut now = Self::of(name);
        let deadline = Instant::now() + Duration::from_secs(20);
        while (!now.has(more) || now.clone().without(more, copies) != before) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
            now = Self::of(name);
        }
        let same = now.has(more) && now.clone().without(more, copies) == before;
        assert!(same, "Docker's objects differ\nbefore: {self:#?}\nand: {more:#?}\nnow: {now:#?}");
    }

    fn has(&self, names: &[String]) -> bool {
        let [containers, volumes, networks] = [&self.containers, &self.volumes, &self.networks];
        names.iter().all(|name| {
            containers.contains_key(name) || volumes.contains_key(name) || networks.contains_key(name)
        })
    }

    /// The same without the things of these names, and without the ids of `copies`.
    fn without(mut self, names: &[String], copies: &[String]) -> Self {
        for all in [&mut self.containers, &mut self.volumes, &mut self.networks] {
            all.retain(|name, _| !names.contains(name));
        }
        for name in copies {
            if let Some(text) = self.containers.get_mut(name) {
                *text = text.split_once(' ').map_or_else(String::new, |(_, rest)| rest.to_owned());
            }
        }
        self
    }
}

/// What the engine that `docker HOST` talks to has whose names begin with `name`, one per line, as far as it is the same when it is
/// made anew: containers with the configuration that Compose has made them of and whether they run, volumes and networks with all
/// that was said of them. Of addresses only `range` counts, which was asked for: others may have taken what the engine chose.
pub fn made(host: &[&str], name: &str, range: &str) -> Vec<String> {
    let of_container =
        r#"{{.Name}} {{index .Config.Labels "com.docker.compose.config-hash"}} {{.State.Running}}"#;
    let of_volume = "{{.Name}} {{.Driver}} {{json .Options}} {{json .Labels}}";
    let of_network = "{{.Name}} {{.Driver}} {{.Internal}} {{json .Options}} {{json .Labels}} \
                      {{range .IPAM.Config}}{{if eq .Subnet \"RANGE\"}}{{.Subnet}}{{end}}{{end}}"
        .replace("RANGE", range);
    let kinds: [(&str, &[&str], &str); 3] = [
        ("container", &["ps", "-a"], of_container),
        ("volume", &["volume", "ls"], of_volume),
        ("network", &["network", "ls"], &of_network),
    ];
    let filter = format!("name={name}");
    let mut all = Vec::new();
    for (kind, list, format) in kinds {
        for id in lines(&docker([host, list, &["-q", "--filter", &filter]].concat())) {
            let told = docker([host, &[kind, "inspect", "-f", format, &id]].concat());
            all.push(format!("{kind} {told}"));
        }
    }
    all.sort_unstable();
    all
}
