//! Onto another host, over a real ssh server: the same as here, whatever happens to the connection.

use std::fs;
use std::path::Path;
use std::process::Command;

use reprise_testkit::Sshd;
use rustix::process::{Pid, Signal, kill_process};

use super::recreated::record_in;
use crate::support::{Damage, PASSPHRASE, Shop, Tree, assert_same, docker, made, start, wait_until};

/// Makes `sshd` known to the programs of `shop`, as the host `other`.
pub fn declare(shop: &Shop, sshd: &Sshd) {
    let config = shop.sandbox.dir.join("home/.config/reprise");
    fs::create_dir_all(&config).unwrap();
    // This name is what the key is pinned under.
    let text = format!(
        "[hosts.other]\naddress = \"{}\"\nidentity = \"{}\"\nhost_key = \"{}\"\n",
        sshd.destination(),
        sshd.identity().display(),
        sshd.host_key()
    );
    fs::write(config.join("reprise.toml"), text).unwrap();
}

const THERE: [&str; 2] = ["--host", "other"];

/// The ssh clients that talk to `sshd`.
pub fn clients(sshd: &Sshd) -> Vec<Pid> {
    let port = sshd.destination().port.to_string();
    let of_ours = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"ssh\0") && line.split(|byte| *byte == 0).any(|arg| arg == port.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_ours);
    pids.filter_map(Pid::from_raw).collect()
}

/// Waits until the journal of the only operation says that the first step of this kind has had `event`.
pub fn reached(shop: &Shop, effect: &str, event: &str) {
    wait_until(&format!("{effect} is {event}"), || {
        let operations = fs::read_dir(shop.state.join("operations")).into_iter().flatten().flatten();
        let text: String = operations
            .filter_map(|entry| fs::read_to_string(entry.path().join("journal.jsonl")).ok())
            .collect();
        let lines: Vec<serde_json::Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let Some(steps) = lines.first().and_then(|first| first["plan"]["steps"].as_array()) else {
            return false;
        };
        let step = steps.iter().position(|step| step["change"]["effect"] == effect);
        lines.iter().any(|line| line["event"] == event && line["step"] == serde_json::json!(step))
    });
}

#[test]
fn in_place_over_ssh_every_file_is_as_in_the_archive_and_a_rollback_goes_back_there_by_itself() {
    let (shop, sshd) = (Shop::of_files(), Sshd::start());
    declare(&shop, &sshd);
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(1));
    let before = shop.now();

    let restored = shop.restore(&["--json", "--host", "other"]).expect(0).json();
    assert_eq!((&restored["status"], &restored["host"]), (&"completed".into(), &"other".into()));
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    before.objects.expect_now(&shop.name);
    assert!(shop.page("index.html").contains("The shop"));
    assert_eq!(sshd.logins(), 1);

    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert_eq!(sshd.logins(), 2);
    shop.expect_as_before(&before);
    assert!(!sshd.log().contains(PASSPHRASE));
    assert!(clients(&sshd).is_empty());
}

#[test]
fn a_connection_that_is_killed_at_any_step_is_made_anew() {
    let (shop, sshd) = (Shop::of_files(), Sshd::start());
    declare(&shop, &sshd);
    let archived = shop.trees_of_archive("nightly");
    for (effect, event) in [("stage", "started"), ("stop_container", "done"), ("start_container", "started")]
    {
        shop.damage(Damage(2));
        let archive = shop.archive("nightly");
        let restore = [&["docker", "restore", &archive, "--in-place", "--yes"][..], &THERE].concat();
        let child = start(&mut shop.command(&restore));
        reached(&shop, effect, event);
        for client in clients(&sshd) {
            let _ = kill_process(client, Signal::KILL);
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{effect}: {}", String::from_utf8_lossy(&output.stderr));
        let now = shop.trees();
        assert_same(&archived.0, &now.0, "the volume is not as in the archive");
        assert_same(&archived.1, &now.1, "the project is not as in the archive");
        shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
        fs::remove_dir_all(shop.state.join("operations")).unwrap();
    }
}

#[test]
fn killed_or_cancelled_a_restore_over_ssh_reaches_either_end() {
    let (shop, sshd) = (Shop::of_files(), Sshd::start());
    declare(&shop, &sshd);
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(3));
    let before = shop.now();
    let archive = shop.archive("nightly");
    let restore = [&["docker", "restore", &archive, "--in-place", "--yes"][..], &THERE].concat();

    let child = start(&mut shop.command(&restore));
    reached(&shop, "stop_container", "done");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    shop.expect_as_before(&before);
    fs::remove_dir_all(shop.state.join("operations")).unwrap();

    for action in ["rollback", "resume"] {
        let mut child = start(&mut shop.command(&restore));
        reached(&shop, "stop_container", "done");
        child.kill().unwrap();
        child.wait().unwrap();
        shop.reprise(&["operations", action, "latest", "--yes"]).expect(0);
        if action == "rollback" {
            shop.expect_as_before(&before);
            fs::remove_dir_all(shop.state.join("operations")).unwrap();
        }
    }
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    wait_until("nothing of it is left", || clients(&sshd).is_empty());
}

#[test]
fn as_a_user_with_sudo_it_is_as_with_root() {
    // As docs/hosts.md has it.
    let sshd = Sshd::with_sudo("reprise-test ALL=(root) NOPASSWD: /usr/bin/sh, /bin/sh");
    let shop = Shop::of_files();
    declare(&shop, &sshd);
    let archived = shop.trees_of_archive("nightly");
    shop.damage(Damage(1));
    let before = shop.now();
    shop.restore(&THERE).expect(0);
    let now = shop.trees();
    assert_same(&archived.0, &now.0, "the volume is not as in the archive");
    assert_same(&archived.1, &now.1, "the project is not as in the archive");
    before.objects.expect_now(&shop.name);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);
}

/// Another host for `shop`: a Docker engine of its own, in a network of its own, that has the images if `has_images`; a home
/// for the project; and no repository.
fn another_host(shop: &Shop, has_images: bool) -> Sshd {
    let dir = shop.sandbox.dir.join("other");
    for name in ["docker", "run", "srv", "empty"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    let (at, sandbox) = (dir.display(), shop.sandbox.dir.display());
    let images = if has_images {
        docker(["save", "-o", dir.join("images").to_str().unwrap(), "reprise-test/web:1"]);
        format!("docker load -qi {at}/images >/dev/null && ")
    } else {
        String::new()
    };
    Sshd::behind(&format!(
        "mount --bind {at}/docker /var/lib/docker && mount --bind {at}/run /run && mkdir -p /run/sshd && \
         mount --bind {at}/empty {sandbox}/repository && mount --bind {at}/srv {sandbox}/srv && \
         {{ unshare --net sh -c 'ip link set lo up && exec dockerd' >/run/dockerd.log 2>&1 & }} && \
         until docker info >/dev/null 2>&1; do sleep 0.1; done && {images}"
    ))
}

#[test]
fn a_host_that_is_gone_runs_again_on_another_with_its_networks_volumes_and_containers() {
    let shop = Shop::of_files_unsaved();
    let inventory = record_in(&shop, |_| true);
    let (project, volume) = (shop.project.clone(), shop.data().parent().unwrap().to_owned());
    let all = [&project, &volume, &inventory].map(|path| path.to_str().unwrap());
    shop.borg(&[&["create", "::nightly"], &all[..]].concat());
    let archived = shop.trees_of_archive("nightly");
    let of = |host: &[&str]| {
        let health = |name: &str| {
            let container = format!("{}_{name}_1", shop.name);
            docker([host, &["inspect", "-f", "{{.State.Health.Status}}", &container]].concat())
        };
        (made(host, &shop.name, ""), ["back", "front"].map(health))
    };
    shop.now();
    let before = of(&[]);
    shop.compose(&["down", "--volumes"]);
    fs::remove_dir_all(&shop.project).unwrap();

    let sshd = another_host(&shop, true);
    declare(&shop, &sshd);
    let ended = shop.restore(&THERE);
    assert!(ended.code <= 1, "{}\n{}", ended.stdout, ended.stderr);
    let there = |path: &Path| sshd.root().join(path.strip_prefix("/").unwrap());
    assert_same(&archived.0, &Tree::of(&there(&shop.data())), "the volume there is not as in the archive");
    assert_same(&archived.1, &Tree::of(&there(&shop.project)), "the project there is not as in the archive");
    let socket = format!("unix://{}/run/docker.sock", sshd.root().display());
    let host = ["-H", &socket];
    assert_eq!(before, of(&host), "{}\n{}", ended.stdout, ended.stderr);
    let front = format!("{}_front_1", shop.name);
    let page = ["exec", &front, "wget", "-qO-", "http://127.0.0.1/index.html"];
    assert!(docker([&host[..], &page].concat()).contains("The shop"));

    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert!(!there(&shop.data()).exists() && !there(&shop.project).exists());
    assert_eq!(made(&host, &shop.name, ""), Vec::<String>::new(), "something is left over");
}

#[test]
fn from_one_host_to_another_that_has_nothing_and_cannot_reach_the_repository() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    let sshd = another_host(&shop, false);
    declare(&shop, &sshd);
    let before = shop.now();

    let ended = shop.restore(&["--json", "--host", "other"]);
    assert!(ended.code <= 1, "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.json()["status"], "completed");
    let there = |path: &Path| sshd.root().join(path.strip_prefix("/").unwrap());
    assert_same(&archived.0, &Tree::of(&there(&shop.data())), "the volume there is not as in the archive");
    assert_same(&archived.1, &Tree::of(&there(&shop.project)), "the project there is not as in the archive");
    assert_eq!(fs::read_dir(there(&shop.repository)).unwrap().count(), 0, "there is no repository there");
    shop.expect_as_before(&before);

    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert!(!there(&shop.data()).exists() && !there(&shop.project).exists());
    shop.expect_as_before(&before);
}

#[test]
fn two_state_directories_do_not_work_on_the_same_thing_at_once() {
    let (shop, sshd) = (Shop::of_files(), Sshd::start());
    declare(&shop, &sshd);
    shop.damage(Damage(4));
    let archive = shop.archive("nightly");
    let restore = [&["docker", "restore", &archive, "--in-place", "--yes"][..], &THERE].concat();
    let child = start(&mut shop.command(&restore));
    reached(&shop, "stage", "started");
    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
    let mut second = shop.command(&["docker", "restore", &archive, "--in-place", "--yes"]);
    second.env("REPRISE_STATE_DIR", shop.sandbox.dir.join("another state"));
    let refused = crate::support::run(&mut second);
    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
    refused.expect(2).says(&["operation", "root@", "since", &shop.name]);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn hosts_are_added_checked_and_forgotten_and_what_is_wrong_is_said() {
    let (shop, sshd) = (Shop::unbuilt(), Sshd::start());
    let address = sshd.destination().to_string();
    let fingerprint = sshd.host_key().parse::<reprise_host::HostKey>().unwrap().fingerprint;
    shop.reprise(&["host", "add", "web1", &address, "--yes"])
        .expect(2)
        .says(&["--fingerprint", &fingerprint]);
    shop.reprise(&["host", "add", "web1", &address, "--fingerprint", "SHA256:abc"])
        .expect(2)
        .says(&[&fingerprint]);
    let add = ["host", "add", "web1", &address, "--fingerprint", &fingerprint, "--json"];
    let added = shop.reprise(&add).expect(0).json();
    assert!(added["public_key"].as_str().unwrap().starts_with("ssh-ed25519 "));
    shop.reprise(&add).expect(2);
    shop.reprise(&["host", "check", "web1"]).expect(2).says(&["web1", "login is refused"]);
    let authorized = sshd.identity().with_file_name("authorized_keys");
    fs::write(authorized, added["public_key"].as_str().unwrap()).unwrap();
    let checked = shop.reprise(&["host", "check", "web1", "--json"]).expect(0).json();
    assert_eq!((&checked["ready"], &checked["exchange"]), (&true.into(), &"perl".into()));
    assert!(checked["docker_version"].is_string());
    assert_eq!(shop.reprise(&["host", "--json"]).expect(0).json().as_array().unwrap().len(), 1);
    let inventory = shop.reprise(&["docker", "inventory", "--host", "web1"]);
    // Other tests' volumes may have drivers of their own, which is a warning.
    assert!(inventory.code <= 1, "{inventory:?}");
    let left_out = inventory.json()["left_out"].clone();
    assert!(left_out.as_array().unwrap().iter().all(|it| it["reason"] == "driver"), "{left_out:#}");
    let hostname = run_hostname();
    assert_eq!(inventory.json()["host"], hostname.as_str());

    // Another machine at the same address.
    let known = shop.state.join("hosts/web1/known_hosts");
    let other = Sshd::start().host_key();
    fs::write(&known, format!("web1 {other}\n")).unwrap();
    shop.reprise(&["host", "check", "web1"]).expect(2).says(&["web1", "not the one that was pinned"]);
    shop.reprise(&["host", "remove", "web1", "--yes"]).expect(0);
    shop.reprise(&["host", "check", "web1"]).expect(2).says(&["there is no host `web1`"]);
    assert!(!known.exists());
}

fn run_hostname() -> String {
    let output = Command::new("uname").arg("-n").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
