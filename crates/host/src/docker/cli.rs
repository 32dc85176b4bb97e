//! Docker driven by its own command line, so that the same commands run here, over SSH and in scripts. What only looks takes a
//! shorter way where there is one ([`Lines`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::{self, Answer, Request};
use super::line::Lines;
use super::{
    Blueprint, Compose, ComposeForm, ComposeProject, Container, Docker, Endpoint, Engine, NetworkSpec,
    ObjectKind, Volume, VolumeSpec, commands, inspect, may_be_id, reachable, text,
};
use crate::command::Dialogue;
use crate::{Command, Error, Output, Result, both};

/// Runs commands on the machine whose engine is meant.
pub trait Run: Send + Sync {
    /// Runs `command` to its end; fails when it fails.
    fn run(&self, command: &Command) -> Result<Output>;

    /// Begins `command`, for as long as the answer is held.
    fn begin(&self, command: &Command) -> Result<Dialogue>;
}

/// A Docker engine behind the `docker` program.
#[derive(Debug, Clone)]
pub struct DockerCli<R> {
    run: R,
    lines: Arc<Lines>,
}

impl<R: Run> DockerCli<R> {
    /// The engine that `docker` reaches where `run` runs commands.
    pub fn new(run: R) -> Self {
        Self { run, lines: Arc::default() }
    }

    fn docker(&self, command: &Command) -> Result<Output> {
        self.run.run(command).map_err(|error| match error {
            Error::Command { message, .. } if unreachable(&message) => Error::DockerUnreachable(message),
            other => other,
        })
    }

    fn parsed<T: DeserializeOwned>(&self, command: &Command) -> Result<T> {
        let output = self.docker(command)?;
        understood(&output.stdout, command)
    }

    /// The engine's answer to `request`; `None` where it can only be asked by `docker`'s commands.
    fn get<T: DeserializeOwned>(&self, request: &Request) -> Result<Option<T>> {
        let answers = self.lines.look(&self.run, std::slice::from_ref(request))?;
        // What every engine has is not found by something that stands before it.
        let answer = answers.into_iter().flatten().find(|answer| answer.status != 404);
        answer.map(|answer| understood(&answer.success(&request.to_string())?.body, request)).transpose()
    }

    fn info(&self) -> Result<inspect::Info> {
        match self.get(&Request::get("/info"))? {
            Some(info) => Ok(info),
            None => self.parsed(&Command::new("docker").args(["info", "--format", "{{json .}}"])),
        }
    }

    /// The ids of everything of that kind, or the names of volumes, each once: an image with several tags is listed with each.
    fn list(&self, kind: ObjectKind) -> Result<BTreeSet<String>> {
        let request = Request::list(kind);
        if let Some(answer) = self.get::<Value>(&request)? {
            let (all, key) = match kind {
                ObjectKind::Volume => (answer.get("Volumes"), "/Name"),
                _ => (Some(&answer), "/Id"),
            };
            let odd =
                |reason: &str| Error::Answer { command: request.to_string(), reason: reason.to_owned() };
            let all = match all {
                Some(Value::Array(all)) => &all[..],
                Some(Value::Null) => &[],
                _ => return Err(odd("it is no list")),
            };
            let named = |one| match text(one, key) {
                "" => Err(odd("something in it has no name")),
                name => Ok(name.to_owned()),
            };
            return all.iter().map(named).collect();
        }
        let everything: &[&str] = match kind {
            ObjectKind::Container => &["-aq", "--no-trunc"],
            ObjectKind::Network | ObjectKind::Image => &["-q", "--no-trunc"],
            ObjectKind::Volume => &["-q"],
        };
        let list = Command::new("docker").args([kind.as_str(), "ls"]).args(everything.iter().copied());
        let listed = self.docker(&list)?;
        Ok(String::from_utf8_lossy(&listed.stdout).lines().map(ToOwned::to_owned).collect())
    }

    /// What `docker inspect` says of everything of that kind.
    fn all<T: DeserializeOwned>(&self, kind: ObjectKind) -> Result<Vec<T>> {
        for _ in 0..5 {
            let names = Vec::from_iter(self.list(kind)?);
            if names.is_empty() {
                return Ok(Vec::new());
            }
            if let Some(found) = self.looked_at(kind, &names)? {
                return Ok(found.into_iter().flatten().collect());
            }
            // One of them may have gone since, and the command fails for all: ask again.
            if let Some(answers) = self.inspect_by_command(kind, &names)? {
                return Ok(answers);
            }
        }
        Err(Error::Answer {
            command: format!("docker {} ls", kind.as_str()),
            reason: "they come and go faster than they can be listed".to_owned(),
        })
    }

    /// Whether the container `name` is what `blueprint` makes, by its image and all of its labels.
    fn is_made(&self, name: &str, blueprint: &Blueprint) -> Result<bool> {
        let labels = blueprint.labels();
        let found = self.container(name)?;
        Ok(!labels.is_empty()
            && found.is_some_and(|found| {
                found.image == blueprint.image()
                    && labels.iter().all(|(key, value)| found.labels.get(key) == Some(value))
            }))
    }

    /// Fails unless a container or network that would be acted on as `name` is the one of that name.
    fn expect_named(&self, kind: ObjectKind, name: &str) -> Result<()> {
        if !may_be_id(name) || self.described(kind, name)?.is_some() {
            return Ok(());
        }
        Err(Error::Command {
            command: format!("docker {} inspect -- {name}", kind.as_str()),
            status: "exit status 1".to_owned(),
            message: format!("No such {}: {name}", kind.as_str()),
        })
    }

    /// Has `command` act on the container or network `name`.
    fn act(&self, kind: ObjectKind, name: &str, command: &Command) -> Result<Output> {
        self.expect_named(kind, name)?;
        self.docker(command)
    }

    /// What `docker inspect` says of each of `names`, nothing of one that does not exist; `None` where they can only be asked for by
    /// `docker`'s commands.
    fn looked_at<T: DeserializeOwned>(
        &self,
        kind: ObjectKind,
        names: &[String],
    ) -> Result<Option<Vec<Option<T>>>> {
        let requests: Option<Vec<Request>> = names.iter().map(|name| Request::inspect(kind, name)).collect();
        let Some(requests) = requests else { return Ok(None) };
        let Some(answers) = self.lines.look(&self.run, &requests)? else { return Ok(None) };
        let found = requests.iter().zip(answers).map(|(request, answer)| {
            match answer.success(&request.to_string()) {
                Ok(answer) => understood(&answer.body, request).map(Some),
                Err(Error::Command { message, .. }) if absent(&message) => Ok(None),
                Err(other) => Err(other),
            }
        });
        found.collect::<Result<_>>().map(Some)
    }

    /// What `docker inspect` says of `names`, or nothing where one of them does not exist.
    fn inspect<T: DeserializeOwned>(&self, kind: ObjectKind, names: &[String]) -> Result<Option<Vec<T>>> {
        match self.looked_at(kind, names)? {
            Some(found) => Ok(found.into_iter().collect()),
            None => self.inspect_by_command(kind, names),
        }
    }

    fn inspect_by_command<T: DeserializeOwned>(
        &self,
        kind: ObjectKind,
        names: &[String],
    ) -> Result<Option<Vec<T>>> {
        let command = Command::new("docker").args([kind.as_str(), "inspect", "--"]).args(names);
        match self.parsed(&command) {
            Ok(answers) => Ok(Some(answers)),
            Err(Error::Command { message, .. }) if absent(&message) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// What `answer` to `asked` tells.
fn understood<T: DeserializeOwned>(answer: &[u8], asked: &impl ToString) -> Result<T> {
    serde_json::from_slice(answer)
        .map_err(|error| Error::Answer { command: asked.to_string(), reason: error.to_string() })
}

/// Whether `found` is what was asked for by `name`: the engine takes the beginning of an id, too, where nothing of that
/// kind has that name. An image is also named by such a beginning, and made use of by it.
fn is_meant(kind: ObjectKind, name: &str, found: &Value) -> bool {
    match kind {
        ObjectKind::Image => true,
        ObjectKind::Container => {
            text(found, "/Name").trim_start_matches('/') == name || text(found, "/Id") == name
        }
        ObjectKind::Network | ObjectKind::Volume => {
            text(found, "/Name") == name || text(found, "/Id") == name
        }
    }
}

/// The client's words for an engine that is not there, over its versions.
fn unreachable(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "cannot connect to the docker daemon",
        "error during connect",
        "dial unix",
        "failed to connect to the docker api",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The engine's words for something that is not there, over its versions.
fn absent(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("no such") || message.contains("not found")
}

impl<R: Run> Docker for DockerCli<R> {
    fn engine(&self) -> Result<Engine> {
        let context =
            Command::new("docker").args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
        // Old clients know no contexts; theirs is the local one unless DOCKER_HOST says otherwise.
        let endpoint = || self.docker(&context).map(|output| output.stdout).unwrap_or_default();
        // What only looks does without `docker`'s other commands. Whether the engine takes them is to be known before it matters.
        let version = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]);
        let ((endpoint, taken), info) = both(|| both(endpoint, || self.docker(&version)), || self.info());
        let info = info?;
        taken?;
        // With no engine, newer clients still exit 0 and answer with errors and empty fields.
        if info.root.as_os_str().is_empty() {
            return Err(Error::DockerUnreachable(info.errors.join("; ")));
        }
        let endpoint = String::from_utf8_lossy(&endpoint).trim().to_owned();
        Ok(Engine { version: info.version, root: info.root, endpoint })
    }

    fn inspected(&self, kind: ObjectKind) -> Result<Vec<Value>> {
        self.all(kind)
    }

    fn containers(&self) -> Result<Vec<Container>> {
        Ok(self.all::<inspect::Container>(ObjectKind::Container)?.into_iter().map(Container::from).collect())
    }

    fn container(&self, name: &str) -> Result<Option<Container>> {
        let answers = self.inspect::<inspect::Container>(ObjectKind::Container, &[name.to_owned()])?;
        let found = answers.and_then(|all| all.into_iter().next()).map(Container::from);
        Ok(found.filter(|found| found.is_called(name)))
    }

    fn stop(&self, name: &str, grace: Duration) -> Result<()> {
        self.act(ObjectKind::Container, name, &commands::stop(name, grace)).map(drop)
    }

    fn start(&self, name: &str) -> Result<()> {
        self.act(ObjectKind::Container, name, &commands::start(name)).map(drop)
    }

    fn volumes(&self, names: &[String]) -> Result<Vec<Volume>> {
        let answers = match self.inspect::<inspect::Volume>(ObjectKind::Volume, names)? {
            Some(answers) => answers,
            None if names.len() == 1 => Vec::new(),
            // One of them is gone, and the command fails.
            None => self.all(ObjectKind::Volume)?,
        };
        Ok(answers.into_iter().map(Volume::from).filter(|volume| names.contains(&volume.name)).collect())
    }

    fn create_volume(&self, spec: &VolumeSpec) -> Result<()> {
        self.docker(&commands::create_volume(spec)).map(drop)
    }

    fn remove_volume(&self, name: &str) -> Result<()> {
        match self.docker(&commands::remove_volume(name)) {
            Err(Error::Command { message, .. }) if absent(&message) => Ok(()),
            other => other.map(drop),
        }
    }

    fn described(&self, kind: ObjectKind, name: &str) -> Result<Option<Value>> {
        let answers = self.inspect(kind, &[name.to_owned()])?;
        let found = answers.and_then(|all: Vec<Value>| all.into_iter().next());
        Ok(found.filter(|found| is_meant(kind, name, found)))
    }

    fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.docker(&commands::create_network(spec)).map(drop)
    }

    fn remove_network(&self, name: &str) -> Result<bool> {
        match self.act(ObjectKind::Network, name, &commands::remove_network(name)) {
            Err(Error::Command { message, .. }) if absent(&message) => Ok(true),
            Err(Error::Command { message, .. }) if message.contains("active endpoints") => Ok(false),
            other => other.map(|_| true),
        }
    }

    fn create_container(&self, name: &str, blueprint: &Blueprint) -> Result<()> {
        let what = format!("docker create {name}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !name.chars().all(plain) {
            let message = "its name is none that Docker takes".to_owned();
            return Err(Error::Answer { command: what, reason: message });
        }
        let create = api::post(&format!("/containers/create?name={name}"), &blueprint.body);
        let said = self.docker(&create)?.stdout;
        let unanswered = |_| Error::DockerUnreachable(format!("no answer to `{what}`"));
        let answer = Answer::read(&mut &said[..]).map_err(unanswered)?;
        match answer.success(&what).map(drop) {
            // The answer to an earlier request was lost with the connection.
            Err(Error::Command { status, .. })
                if status.ends_with(" 409") && self.is_made(name, blueprint)? =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn connect(&self, network: &str, container: &str, endpoint: &Endpoint) -> Result<()> {
        self.expect_named(ObjectKind::Network, network)?;
        let connect = commands::connect(network, container, endpoint);
        self.act(ObjectKind::Container, container, &connect).map(drop)
    }

    fn remove_container(&self, name: &str, volumes: bool) -> Result<()> {
        match self.act(ObjectKind::Container, name, &commands::remove_container(name, volumes)) {
            Err(Error::Command { message, .. }) if absent(&message) => Ok(()),
            other => other.map(drop),
        }
    }

    fn has_written(&self, container: &str) -> Result<bool> {
        let described = self.described(ObjectKind::Container, container)?.unwrap_or_default();
        let mounts = described.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        // Those of `--tmpfs` are no mounts in the engine's words.
        let tmpfs = described.pointer("/HostConfig/Tmpfs").and_then(Value::as_object).into_iter().flatten();
        let mounts: Vec<&Path> = mounts
            .map(|mount| Path::new(text(mount, "/Destination")))
            .chain(tmpfs.map(|(place, _)| Path::new(place.as_str())))
            .collect();
        let diff = Command::new("docker").args(["diff", "--", container]);
        let output = self.act(ObjectKind::Container, container, &diff)?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().any(|line| written(line, &mounts)))
    }

    fn commit(&self, container: &str, image: &str) -> Result<()> {
        let command = Command::new("docker").args(["commit", "--", container, image]);
        self.act(ObjectKind::Container, container, &command.limit(Duration::from_mins(30))).map(drop)
    }

    fn remove_image(&self, image: &str) -> Result<()> {
        match self.docker(&Command::new("docker").args(["image", "rm", "--", image])) {
            Err(Error::Command { message, .. }) if absent(&message) || message.contains("conflict") => Ok(()),
            other => other.map(drop),
        }
    }

    fn answers(&self, address: &str, port: u16) -> Result<Option<bool>> {
        // What only forwards connections takes every one, and closes it at once where there is nothing behind.
        const PROBE: &str = "exec 3<> \"/dev/tcp/$1/$2\" && IFS= read -r -t 0.5 -n 1 _ <&3";
        let port = port.to_string();
        let probe = Command::new("bash").args(["-c", PROBE, "bash", reachable(address), &port]);
        match self.run.run(&probe.limit(Duration::from_secs(5))) {
            Ok(_) => Ok(Some(true)),
            Err(Error::Command { status, .. }) => {
                let status = status.rsplit(' ').next().and_then(|status| status.parse::<u16>().ok());
                // Nothing was said in time: it waits for us to speak.
                Ok(Some(status.is_some_and(|status| status > 128)))
            }
            Err(Error::TimedOut { .. }) => Ok(Some(false)),
            Err(Error::Start { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn exec(&self, container: &str, command: &[String]) -> Result<Option<bool>> {
        let exec = Command::new("docker").args(["exec", "--", container]).args(command);
        match self.act(ObjectKind::Container, container, &exec.limit(Duration::from_secs(20))) {
            Ok(_) => Ok(Some(true)),
            Err(Error::Command { status, .. }) if status.ends_with(" 126") || status.ends_with(" 127") => {
                Ok(None)
            }
            // Over SSH, what the shell would say of a program of its own.
            Err(Error::Start { program, .. }) if program == "docker" => Ok(None),
            Err(Error::Command { .. } | Error::TimedOut { .. }) => Ok(Some(false)),
            Err(other) => Err(other),
        }
    }

    fn compose(&self) -> Result<Option<Compose>> {
        for form in [ComposeForm::Plugin, ComposeForm::Standalone] {
            match self.run.run(&form.version()) {
                Ok(output) => {
                    let version = String::from_utf8_lossy(&output.stdout);
                    let version = version.trim().trim_start_matches('v').to_owned();
                    // Version 2 goes by either name.
                    let form = if version.starts_with("1.") { ComposeForm::Standalone } else { form };
                    return Ok(Some(Compose { form, version }));
                }
                Err(Error::Command { .. } | Error::Start { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(None)
    }

    fn compose_hashes(&self, project: &ComposeProject) -> Result<Option<BTreeMap<String, String>>> {
        let output = self.docker(&project.hashes())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Ok(Some(lines.map(|(service, hash)| (service.to_owned(), hash.trim().to_owned())).collect()))
    }

    fn compose_create(&self, project: &ComposeProject) -> Result<()> {
        self.docker(&project.create()).map(drop)
    }
}

/// Whether a line of `docker diff` tells of something that the container wrote: not of what the engine made so that
/// something could be mounted there.
fn written(line: &str, mounts: &[&Path]) -> bool {
    let Some((_, path)) = line.split_once(' ') else { return false };
    let by_engine =
        ["/dev", "/proc", "/sys", "/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    let by_engine = by_engine.iter().map(Path::new);
    !mounts.iter().copied().chain(by_engine).any(|place| place.starts_with(path))
        && !mounts.iter().any(|mount| Path::new(path).starts_with(mount))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine with one container and one network, which it finds by any beginning of their ids, as Docker does.
    struct OfIds;

    const ID: &str = "cafe0123456789abcafe0123456789abcafe0123456789abcafe0123456789ab";

    impl Run for OfIds {
        fn begin(&self, command: &Command) -> Result<Dialogue> {
            Err(Error::Start {
                program: command.program().to_owned(),
                source: std::io::ErrorKind::NotFound.into(),
            })
        }

        fn run(&self, command: &Command) -> Result<Output> {
            let words: Vec<&str> = command.words().collect();
            let asked = *words.last().expect("a name");
            let (found, stdout) = match words[1] {
                "container" => (
                    asked == "shop",
                    format!(r#"[{{"Id": "{ID}", "Name": "/shop", "State": {{}}, "Config": {{}}}}]"#),
                ),
                "network" => (asked == "net", format!(r#"[{{"Id": "{ID}", "Name": "net"}}]"#)),
                _ => (asked == "shop", String::new()),
            };
            if found || ID.starts_with(asked) {
                return Ok(Output { stdout: stdout.into_bytes(), stderr: String::new() });
            }
            Err(Error::Command {
                command: command.to_string(),
                status: "exit status 1".to_owned(),
                message: format!("No such object: {asked}"),
            })
        }
    }

    #[test]
    fn the_beginning_of_an_id_is_no_name() {
        let docker = DockerCli::new(OfIds);
        let described = |kind, name: &str| docker.described(kind, name).unwrap().is_some();
        for name in ["cafe", "cafe0", "none"] {
            assert!(docker.container(name).unwrap().is_none(), "{name}");
            assert!(
                !described(ObjectKind::Container, name) && !described(ObjectKind::Network, name),
                "{name}"
            );
        }
        for name in ["shop", ID] {
            assert_eq!(docker.container(name).unwrap().unwrap().name, "shop");
            assert!(described(ObjectKind::Container, name));
        }
        assert!(described(ObjectKind::Network, "net"));
    }

    #[test]
    fn nothing_is_done_to_what_only_has_an_id_that_begins_like_a_name() {
        let docker = DockerCli::new(OfIds);
        for name in ["shop", ID] {
            docker.start(name).unwrap();
            docker.stop(name, Duration::from_secs(1)).unwrap();
        }
        for refused in [
            docker.start("cafe"),
            docker.stop("cafe", Duration::from_secs(1)),
            docker.connect("net", "cafe", &Endpoint::default()),
            docker.connect("cafe", "shop", &Endpoint::default()),
        ] {
            assert!(refused.unwrap_err().to_string().contains("No such"), "it was done");
        }
        // Gone is as good as removed.
        docker.remove_container("cafe", true).unwrap();
        assert!(docker.remove_network("cafe").unwrap());
    }

    /// An engine that lists two containers, of which one is being removed.
    struct Removing;

    impl Run for Removing {
        fn begin(&self, _: &Command) -> Result<Dialogue> {
            let script = r#"say() { printf 'HTTP/1.1 %s\r\nContent-Length: %s\r\n\r\n%s' "$1" ${#2} "$2"; }
                while IFS= read -r line; do case $line in
                "GET /containers/json"*) say '200 OK' '[{"Id": "a1"}, {"Id": "b2"}]' ;;
                "GET /containers/a1/"*) say '200 OK' '{"Id": "a1", "Name": "/shop", "State": {}, "Config": {}}' ;;
                GET*) say '404 Not Found' '{"message": "No such container: b2"}' ;;
                esac; done"#;
            crate::command::begin_local(&Command::new("sh").args(["-c", script]))
        }

        fn run(&self, command: &Command) -> Result<Output> {
            panic!("{command} is not asked")
        }
    }

    #[test]
    fn what_goes_between_two_questions_is_not_there_and_all_else_is() {
        let docker = DockerCli::new(Removing);
        let names: Vec<String> = docker.containers().unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["shop"]);
        assert!(docker.container("shop").unwrap().is_none(), "it answers to its id alone");
        assert!(docker.described(ObjectKind::Container, "b2").unwrap().is_none());
    }

    #[test]
    fn where_something_is_mounted_nothing_was_written() {
        let mounts = [Path::new("/etc/front.conf"), Path::new("/www")];
        for line in ["C /etc", "A /etc/front.conf", "A /www", "C /"] {
            assert!(!written(line, &mounts), "{line}");
        }
        for line in ["A /etc/front.conf.d", "C /tmp", "D /usr/bin/x"] {
            assert!(written(line, &mounts), "{line}");
        }
    }
}
