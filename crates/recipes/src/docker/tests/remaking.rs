//! What is made anew, and what is waited for.

use reprise_engine::{AwaitHealthy, Change};
use reprise_host::{Compose, ComposeForm, ComposeProject, PortBinding, Protocol};
use reprise_model::Severity;
use serde_json::json;

use super::super::recreate::External;
use super::super::{Project, Record, State, Wellbeing};
use super::*;

impl Shop {
    /// The project, its containers `state`.
    fn project(&mut self, state: State) {
        let names = ["shop_db_1", "shop_web_1"];
        let service = |name: &str| name.split('_').nth(1).unwrap_or_default().to_owned();
        self.facts.compose = Some(Compose { form: ComposeForm::Standalone, version: "1.29.2".to_owned() });
        self.facts.making.projects = vec![Project {
            item: "shop".to_owned(),
            state,
            compose: ComposeProject {
                form: ComposeForm::Standalone,
                name: "shop".to_owned(),
                directory: "/srv/shop".into(),
                containers: names.map(str::to_owned).to_vec(),
                ..ComposeProject::default()
            },
            services: names.iter().map(|name| ((*name).to_owned(), service(name))).collect(),
            waits: self.facts.dependencies.clone(),
            ports: vec![(PortBinding::tcp("", 8080), "shop_web_1".to_owned())],
            missing_images: Vec::new(),
            volumes_elsewhere: std::collections::BTreeSet::new(),
            unknown_variables: std::collections::BTreeSet::new(),
            external: External::default(),
            images: BTreeMap::from([("shop_db_1".to_owned(), "postgres:15".to_owned())]),
            mounts: BTreeMap::from([("shop_db_1".to_owned(), vec!["/var/lib/postgresql/data".to_owned()])]),
            resting: std::collections::BTreeSet::new(),
        }];
    }

    fn lost(&mut self) {
        self.project(State::Lost);
        self.facts.containers.retain(|container| container.name == "other_1");
        self.facts.dependencies.clear();
    }

    /// A container of no project that the backup recorded, with a secret.
    fn recorded(&mut self) {
        let container = json!({
            "Id": "0123456789abcdef", "Name": "/single", "Image": "sha256:1", "State": { "Running": true },
            "Config": { "Image": "redis:7", "Env": ["PASSWORD=xyzzy"], "Labels": {} },
            "HostConfig": { "NetworkMode": "own", "PortBindings": { "6379/tcp": [{ "HostPort": "6379" }] } },
            "NetworkSettings": { "Networks": { "own": {} } },
            "Mounts": [{ "Type": "volume", "Name": "cache", "Destination": "/data" }],
        });
        let record = json!({
            "containers": [container], "networks": [{ "Name": "own", "Driver": "bridge" }],
            "images": [{ "id": "sha256:1", "digests": ["redis@sha256:2"] }],
        });
        let mut record: Record = serde_json::from_value(record).unwrap();
        "etc/reprise-backup.json".clone_into(&mut record.path);
        self.facts.making.record = Some(record);
        self.facts.making.images = BTreeMap::from([("redis:7".to_owned(), "sha256:1".to_owned())]);
    }

    fn awaited(&self, name: &str) -> AwaitHealthy {
        let awaited = self.plan().steps.into_iter().find_map(|step| match step.change {
            Change::AwaitHealthy(it) if it.container == name => Some(it),
            _ => None,
        });
        awaited.unwrap()
    }
}

#[test]
fn a_lost_project_is_made_by_compose_and_started_in_its_order() {
    let mut shop = Shop::new();
    shop.lost();
    insta::assert_snapshot!(shop.steps()[2..].join("\n"), @r"
    Put the restored /var/lib/docker/volumes/shop_db/_data in place, keep the present one
    Put the restored /srv/shop in place, keep the present one
    Have Compose make the missing containers of project shop in /srv/shop
    Start container shop_db_1
    Wait until container shop_db_1 is healthy
    Start container shop_web_1
    Wait until container shop_web_1 is healthy
    ");
    assert!(shop.codes().contains(&"project-lost".to_owned()));
}

#[test]
fn containers_of_other_files_make_room_after_the_swap() {
    let mut shop = Shop::new();
    shop.project(State::Changed(vec!["compose.yaml".to_owned()]));
    let steps = shop.steps();
    let at = |words: &str| steps.iter().position(|step| step.starts_with(words)).unwrap();
    assert!(at("Stop container shop_db_1") < at("Put the restored /srv/shop"));
    assert!(at("Put the restored /srv/shop") < at("Set container shop_db_1 aside"));
    assert!(at("Set container shop_web_1 aside") < at("Have Compose make"));
    assert!(at("Have Compose make") < at("Start container shop_db_1"));
    let warned =
        shop.plan().findings.into_iter().find(|finding| finding.code() == "project-changed").unwrap();
    assert!(warned.message.in_lang(Lang::En).contains("compose.yaml"));
}

#[test]
fn containers_of_the_same_files_are_only_started() {
    let mut shop = Shop::new();
    shop.project(State::Same);
    assert_eq!(shop.steps(), Shop::new().steps());
}

#[test]
fn without_its_image_or_when_asked_nothing_is_made() {
    let mut without_image = Shop::new();
    without_image.lost();
    without_image.facts.making.projects[0].missing_images = vec![("postgres:15".to_owned(), false)];
    let mut unasked = Shop::new();
    unasked.lost();
    unasked.facts.making.recreating.allowed = false;
    for (shop, code) in [(&without_image, "image-missing"), (&unasked, "project-not-running")] {
        assert!(shop.codes().contains(&code.to_owned()), "{:?}", shop.codes());
        assert!(shop.steps().iter().all(|step| !step.starts_with("Have Compose")), "{code}");
        assert_eq!(shop.plan().blockers().count(), 0);
    }
    // Compose can get what a registry has, but not what is to be built.
    without_image.facts.making.recreating.pull = true;
    assert!(without_image.steps().iter().any(|step| step.starts_with("Have Compose")));
    without_image.facts.making.projects[0].missing_images[0].1 = true;
    assert!(without_image.steps().iter().all(|step| !step.starts_with("Have Compose")));
}

#[test]
fn a_port_that_something_else_has_forbids_making_its_container() {
    let mut shop = Shop::new();
    shop.lost();
    let at = PortBinding::tcp;
    shop.facts.making.listening = vec![at("127.0.0.1", 8080)];
    assert_eq!(shop.codes()[0], "port-listening");
    shop.facts.containers[0].ports = vec![at("", 8080)];
    assert_eq!(shop.codes()[0], "port-taken");
    // Another address, or another port, is somebody else's business.
    shop.facts.making.projects[0].ports[0].0 = at("192.0.2.1", 8080);
    shop.facts.containers[0].ports = vec![at("192.0.2.2", 8080), at("", 8081)];
    assert_eq!(shop.plan().blockers().count(), 0);
    // So is the same one of another protocol.
    let of_udp = |address| PortBinding { protocol: Protocol::Udp, ..at(address, 8080) };
    shop.facts.making.listening = vec![of_udp("192.0.2.1")];
    assert_eq!(shop.plan().blockers().count(), 0);
    let mut udp = shop.facts.making.projects[0].ports.clone();
    udp[0].0 = of_udp("192.0.2.1");
    shop.facts.making.projects[0].ports.extend(udp);
    assert_eq!(shop.codes()[0], "port-listening");
    assert!(shop.plan().blockers().any(|it| format!("{it:?}").contains("8080/udp")));
    // A client that waits for an answer looks like that, too.
    shop.facts.making.given = Some((8000, 9000));
    let plan = shop.plan();
    assert_eq!(plan.blockers().count(), 0);
    assert!(plan.findings.iter().any(|it| it.code() == "port-listening" && it.severity == Severity::Warning));
    shop.facts.making.projects[0].ports.pop();
    // A range is one finding.
    let range = (9000..9100).map(|port| (at("", port), "shop_web_1".to_owned()));
    let mut ranging = Shop::new();
    ranging.lost();
    ranging.facts.making.projects[0].ports = range.clone().collect();
    ranging.facts.containers[0].ports = range.map(|(port, _)| port).collect();
    let plan = ranging.plan();
    let [taken] = &plan.blockers().collect::<Vec<_>>()[..] else { panic!("one: {:?}", plan.findings) };
    assert!(taken.message.in_lang(Lang::En).contains("9000, 9001, 9002, … (100)"), "{taken:?}");
    shop.facts.making.listening.push(at("::", 8080));
    assert_eq!(shop.codes()[0], "port-listening");
    // Present containers have theirs already.
    let mut present = Shop::new();
    present.project(State::Same);
    present.facts.making.listening = vec![at("", 8080)];
    assert_eq!(present.plan().blockers().count(), 0);
    // With other files they may get others, but for those they have.
    present.project(State::Changed(vec!["compose.yaml".to_owned()]));
    assert_eq!(present.codes()[0], "port-listening");
    let web = present.facts.containers.iter_mut().find(|it| it.name == "shop_web_1").unwrap();
    web.ports = vec![at("", 8080)];
    assert_eq!(present.plan().blockers().count(), 0);
}

#[test]
fn a_recorded_container_is_made_with_its_network_and_its_secrets_stay_in_the_backup() {
    let mut shop = Shop::new();
    shop.recorded();
    let plan = shop.plan();
    let steps = shop.steps();
    assert_eq!(steps[0], "Create network own");
    let at = |words: &str| steps.iter().position(|step| step.starts_with(words)).unwrap();
    assert!(
        at("Make container single as it was recorded, from image redis:7") < at("Start container single")
    );
    assert!(!serde_json::to_string(&plan).unwrap().contains("xyzzy"));
    for detail in [reprise_engine::Detail::Explained, reprise_engine::Detail::Complete] {
        let script = reprise_engine::script(&plan, detail, Lang::En);
        assert!(!script.contains("xyzzy") && script.contains("pp:etc/reprise-backup.json"), "{script}");
    }
    assert_eq!(shop.awaited("single").ask[0][0], "redis-cli");
    // Without data it may be somebody who only asks one.
    let record = shop.facts.making.record.as_mut().unwrap();
    record.containers[0]["Mounts"][0]["Name"] = json!("0".repeat(64));
    assert!(shop.awaited("single").ask.is_empty());
    // One that is there is left alone.
    shop.facts.containers.push(container("single", "single", "/nowhere"));
    assert!(shop.steps().iter().all(|step| !step.contains("recorded")));
}

#[test]
fn an_image_that_is_another_or_missing_is_pointed_out() {
    let mut shop = Shop::new();
    shop.recorded();
    shop.facts.making.images = BTreeMap::from([("redis:7".to_owned(), "sha256:9".to_owned())]);
    assert!(shop.codes().contains(&"image-changed".to_owned()));
    // By its digest it is the right one.
    shop.facts.making.images.insert("redis@sha256:2".to_owned(), "sha256:1".to_owned());
    assert!(!shop.codes().contains(&"image-changed".to_owned()));
    assert!(shop.steps().iter().any(|step| step.ends_with("from image redis@sha256:2")));
    shop.facts.making.images.clear();
    let plan = shop.plan();
    let finding = plan.findings.iter().find(|finding| finding.code() == "image-missing").unwrap();
    assert!(finding.advice.as_ref().unwrap().in_lang(Lang::En).contains("docker pull redis@sha256:2"));
}

#[test]
fn without_what_its_files_expect_to_be_there_a_project_is_not_made() {
    let mut shop = Shop::new();
    shop.lost();
    shop.facts.making.projects[0].external = External {
        networks: ["proxy".to_owned()].into(),
        volumes: ["media".to_owned(), "shop_db".to_owned()].into(),
    };
    let made = |shop: &Shop| shop.steps().iter().any(|step| step.starts_with("Have Compose"));
    let codes = shop.codes();
    let told = |code: &str| codes.iter().filter(|it| *it == code).count();
    assert_eq!((told("network-missing"), told("volume-missing")), (1, 1), "{codes:?}");
    assert!(told("project-not-running") == 1 && !made(&shop));
    // One that was recorded is made; a volume would be empty.
    shop.facts.making.projects[0].external.volumes.clear();
    let record = json!({ "networks": [{ "Name": "proxy", "Driver": "bridge" }] });
    shop.facts.making.record = Some(serde_json::from_value(record).unwrap());
    assert!(made(&shop) && shop.steps()[0] == "Create network proxy", "{:#?}", shop.steps());
}

#[test]
fn what_could_not_be_brought_back_or_is_another_ones_is_left_alone() {
    let changed = || {
        let mut shop = Shop::new();
        shop.project(State::Changed(vec!["compose.yaml".to_owned()]));
        shop
    };
    let at = |shop: &Shop, name: &str| shop.facts.containers.iter().position(|it| it.name == name).unwrap();
    assert!(changed().steps().iter().any(|step| step.starts_with("Set container")));

    let mut anonymous = changed();
    let web = at(&anonymous, "shop_web_1");
    anonymous.facts.containers[web].mounts[0].volume = Some("0123456789abcdef".repeat(4));
    let mut joined = changed();
    let (web, other) = (at(&joined, "shop_web_1"), at(&joined, "other_1"));
    joined.facts.containers[other].joins = vec![joined.facts.containers[web].id.clone()];
    let mut foreign = changed();
    foreign.facts.containers[web].labels.clear();
    let mut unknown = changed();
    unknown.facts.making.projects[0].unknown_variables.insert("SECRET".to_owned());
    let expected = [
        (anonymous, "volume-anonymous"),
        (joined, "container-joined"),
        (foreign, "name-taken"),
        (unknown, "variables-unknown"),
    ];
    for (shop, code) in expected {
        let codes = shop.codes();
        assert!(codes.contains(&code.to_owned()) && codes.contains(&"project-stays".to_owned()), "{codes:?}");
        let made = ["Set container", "Have Compose"];
        assert!(!shop.steps().iter().any(|step| made.iter().any(|words| step.starts_with(words))), "{code}");
    }
}

#[test]
fn what_docker_would_remove_when_it_stops_forbids_the_restore() {
    let mut shop = Shop::new();
    shop.facts.containers.iter_mut().for_each(|container| container.auto_removes = true);
    assert_eq!(shop.codes()[0], "container-passing");
}

#[test]
fn a_record_made_while_everything_was_stopped_does_not_say_that_nothing_should_run() {
    let mut shop = Shop::new();
    shop.recorded();
    let starts = |shop: &Shop| shop.steps().iter().any(|step| step == "Start container single");
    assert!(starts(&shop));
    let stopped = |record: &mut Record| record.containers[0]["State"]["Running"] = json!(false);
    stopped(shop.facts.making.record.as_mut().unwrap());
    assert!(starts(&shop), "nothing ran at all");
    let record = shop.facts.making.record.as_mut().unwrap();
    record.containers.push(json!({ "Name": "/another", "State": { "Running": true },
        "Config": { "Labels": { "com.docker.swarm.service.id": "1" } } }));
    assert!(!starts(&shop), "it alone did not run");
}

#[test]
fn what_a_recorded_container_may_do_to_the_host_is_told() {
    let mut shop = Shop::new();
    shop.recorded();
    assert!(!shop.codes().contains(&"container-powers".to_owned()));
    let container = &mut shop.facts.making.record.as_mut().unwrap().containers[0];
    container["HostConfig"]["Privileged"] = json!(true);
    container["Mounts"] = json!([{ "Type": "bind", "Source": "/", "Destination": "/host", "RW": true }]);
    let told = shop.plan().findings.into_iter().find(|finding| finding.code() == "container-powers").unwrap();
    let text = told.message.in_lang(Lang::En);
    assert!(text.contains("--privileged") && text.contains("-v /"), "{text}");
    // One that shares anything of another cannot be made without it.
    let container = &mut shop.facts.making.record.as_mut().unwrap().containers[0];
    container["HostConfig"]["VolumesFrom"] = json!(["data:ro"]);
    assert!(shop.codes().contains(&"container-shares".to_owned()));
}

#[test]
fn addresses_that_another_network_has_by_now_are_given_up_unless_a_container_asks_for_them() {
    for (asked, code) in
        [(json!(null), "network-readdressed"), (json!({ "IPv4Address": "172.30.0.9" }), "network-overlaps")]
    {
        let mut shop = Shop::new();
        shop.recorded();
        let network = |name: &str| json!({ "Name": name, "Driver": "bridge", "IPAM": { "Config": [{ "Subnet": "172.30.0.0/16" }] } });
        let mut container = shop.facts.making.record.as_ref().unwrap().containers[0].clone();
        container["NetworkSettings"]["Networks"]["own"] = json!({ "IPAMConfig": asked });
        let record = json!({ "containers": [container], "networks": [network("own")] });
        shop.facts.making.record = Some(serde_json::from_value(record).unwrap());
        let there = reprise_host::NetworkSpec::of(&network("another"));
        shop.facts.making.networks.insert(there.name.clone(), there);
        assert!(shop.codes().contains(&code.to_owned()), "{:?}", shop.codes());
    }
}

#[test]
fn a_volume_whose_data_lay_elsewhere_is_not_filled() {
    let mut shop = Shop::new();
    shop.facts.sites[0].volume = None;
    let record =
        json!({ "volumes": [{ "Name": "shop_db", "Driver": "local", "Options": { "type": "nfs" } }] });
    shop.facts.making.record = Some(serde_json::from_value(record).unwrap());
    assert_eq!(shop.codes()[0], "volume-driver");
    // Where nothing was recorded, the compose file knows.
    let mut shop = Shop::new();
    shop.facts.sites[0].volume = None;
    shop.project(State::Same);
    assert!(!shop.codes().contains(&"volume-driver".to_owned()));
    shop.facts.making.projects[0].volumes_elsewhere.insert("shop_db".to_owned());
    assert_eq!(shop.codes()[0], "volume-driver");
}

#[test]
fn what_answered_before_is_asked_again_and_what_was_not_well_is_only_told() {
    let mut shop = Shop::new();
    let port = PortBinding::tcp("127.0.0.1", 8080);
    let well = Wellbeing { ports: vec![port.clone()], ..Wellbeing::default() };
    shop.facts.making.wellbeing.insert("shop_web_1".to_owned(), well);
    let unwell = Wellbeing { unhealthy: true, ..Wellbeing::default() };
    shop.facts.making.wellbeing.insert("shop_db_1".to_owned(), unwell);
    let (web, db) = (shop.awaited("shop_web_1"), shop.awaited("shop_db_1"));
    assert_eq!((web.ports, web.only_warn), (vec![port], false));
    assert!(db.only_warn && db.limit_seconds < web.limit_seconds);
    let plan = shop.plan();
    let told = plan.findings.iter().find(|finding| finding.code() == "container-unhealthy").unwrap();
    assert_eq!(told.severity, Severity::Warning);
}

#[test]
fn data_that_are_newer_than_the_archive_are_told_by_their_place() {
    let mut shop = Shop::new();
    let made: Timestamp = "2026-11-21T01:00:00Z".parse().unwrap();
    shop.facts.making.newest =
        [("/srv/shop".into(), made.as_second() - 1), ("/data".into(), made.as_second() + 60)].into();
    let codes = shop.codes();
    assert!(
        codes.contains(&"data-newer".to_owned()) && !codes.contains(&"newer-data".to_owned()),
        "{codes:?}"
    );
    assert_eq!(codes.iter().filter(|code| *code == "data-newer").count(), 1);
}
