//! What else is on the host: other containers, other operations, or nothing of the shop any more.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;

use crate::support::{Damage, OWNER_LABEL, Shop, Tree, assert_same, docker, owner, run, start, wait_until};

#[test]
fn a_container_of_nobody_that_uses_the_volume_is_stopped_and_started_again() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let foreign = format!("{}-foreign", shop.name);
    let volume = format!("{}:/elsewhere", shop.volume);
    docker([
        "run",
        "-d",
        "--label",
        "reprise.test=1",
        "--name",
        &foreign,
        "-v",
        &volume,
        "reprise-test/web:1",
    ]);
    let started = || docker(["inspect", "-f", "{{.State.StartedAt}} {{.State.Running}}", &foreign]);
    let (before, first_start) = (shop.now(), started());
    let archived = shop.trees_of_archive("nightly");

    let ended = shop.restore(&[]).expect(0);
    assert!(ended.stdout.contains(&format!("Stop container {foreign}")), "{}", ended.stdout);
    assert_same(&archived.0, &shop.trees().0, "the volume is not as in the archive");
    before.objects.expect_now(&shop.name);
    assert!(started() != first_start && started().contains("true"), "{}", started());
    let page = docker(["exec", &foreign, "cat", "/elsewhere/page.html"]);
    assert!(page.contains("as it was backed up"), "it still sees the replaced tree");
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);
}

#[test]
fn a_container_that_gets_at_the_tree_by_a_volume_bound_to_it_is_stopped_as_well() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let (bound, foreign) = (format!("{}_bound", shop.name), format!("{}-foreign", shop.name));
    let device = format!("device={}", shop.project.join("site").display());
    let label = format!("{OWNER_LABEL}={}", owner());
    docker(["volume", "create", "--label", &label, "-o", "type=none", "-o", "o=bind", "-o", &device, &bound]);
    let mount = format!("{bound}:/elsewhere");
    docker(["run", "-d", "--label", &label, "--name", &foreign, "-v", &mount, "reprise-test/web:1"]);
    let item = format!("project:{}", shop.name);
    for how in [&[][..], &["--only-changed"]] {
        let ended = shop.restore(&[&["--item", &item][..], how].concat()).expect(0);
        assert!(ended.stdout.contains(&format!("Stop container {foreign}")), "{}", ended.stdout);
        let page = docker(["exec", &foreign, "cat", "/elsewhere/index.html"]);
        assert!(page.contains("The shop"), "it still sees the replaced tree: {page}");
        shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    }
    docker(["rm", "-f", &foreign]);
    docker(["volume", "rm", &bound]);
}

#[test]
fn what_does_not_use_what_is_restored_runs_on() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let container = format!("{}_front_1", shop.name);
    let started = || docker(["inspect", "-f", "{{.State.StartedAt}}", &container]);
    let back = format!("{}_back_1", shop.name);
    let (before, first_start) = (shop.now(), started());
    // The volume is what `back` uses, and `front` waits for `back`: both stop. The project is `front`'s alone.
    shop.restore(&["--item", &format!("project:{}", shop.name)]).expect(0);
    let record = shop.record();
    assert_eq!(
        record["stopped_containers"],
        serde_json::json!([container]),
        "{back} has nothing to do with it"
    );
    assert_ne!(started(), first_start);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);
}

#[test]
fn an_environment_that_is_lost_comes_back_from_nothing_and_goes_again() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    shop.compose(&["down", "--volumes"]);
    let project = shop.project.clone();
    fs::remove_dir_all(project.parent().unwrap()).unwrap();
    let gone = shop.objects();

    for undo in [true, false] {
        shop.restore(&[]).expect(0);
        let now = shop.trees();
        assert_same(&archived.0, &now.0, "the volume is not as in the archive");
        assert_same(&archived.1, &now.1, "the project is not as in the archive");
        let labels = docker(["volume", "inspect", "-f", "{{json .Labels}}", &shop.volume]);
        assert!(labels.contains(&format!("\"com.docker.compose.project\":\"{}\"", shop.name)), "{labels}");
        assert!(labels.contains("\"com.docker.compose.volume\":\"files\""), "{labels}");
        assert!(shop.page("index.html").contains("<h1>The shop</h1>"));
        if undo {
            shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
            assert!(!project.parent().unwrap().exists());
            assert_eq!(shop.objects(), gone);
            assert_eq!(shop.marked(), Vec::<String>::new());
        }
    }
    let served = docker(["exec", &format!("{}_back_1", shop.name), "cat", "/www/page.html"]);
    assert!(served.contains("as it was backed up"));
    let ids = || docker(["ps", "-q", "--filter", &format!("name={}_", shop.name)]);
    let made = ids();
    run(Command::new("docker-compose").args(["up", "-d"]).current_dir(&project)).expect(0);
    assert_eq!(made, ids(), "Compose takes them for its own");
}

#[test]
fn a_port_that_something_else_has_is_told_before_anything_changes() {
    let shop = Shop::of_files_unsaved();
    let compose = shop.project.join("docker-compose.yml");
    let text = fs::read_to_string(&compose).unwrap();
    // Below what the kernel gives to who asks for any (32768 and above, unless told otherwise): there it may be a client.
    let (first, last, socket) = (0..5_000)
        .find_map(|number| {
            let first = 20_000 + u16::try_from((std::process::id() + number) % 5_000).unwrap() * 2;
            let last = first + 1;
            drop(UdpSocket::bind(("127.0.0.1", first)).ok()?);
            UdpSocket::bind(("127.0.0.1", last)).ok().map(|socket| (first, last, socket))
        })
        .expect("two ports of UDP that come one after the other");
    let web = "      - \"127.0.0.1:${WEB_PORT}:80\"\n";
    let range = format!("{web}      - \"127.0.0.1:{first}-{last}:70-71/udp\"\n");
    fs::write(&compose, text.replace(web, &range)).unwrap();
    shop.back_up("nightly");
    shop.compose(&["down", "--volumes"]);
    fs::remove_dir_all(shop.project.parent().unwrap()).unwrap();
    let gone = shop.objects();

    let front = format!("{}_front_1", shop.name);
    let refused = shop.restore(&[]).expect(2).says(&[
        "on which another program listens",
        &format!("{last}/udp"),
        &front,
    ]);
    assert!(!refused.stderr.contains(&format!("{first}/udp")), "{}", refused.stderr);
    drop(socket);
    let holder = format!("{}-holder", shop.name);
    let label = format!("{OWNER_LABEL}={}", owner());
    let hold = |protocol: &str| {
        let port = format!("127.0.0.1:{first}:9/{protocol}");
        docker(["run", "-d", "--name", &holder, "--label", &label, "-p", &port, "reprise-test/web:1"]);
    };
    hold("udp");
    shop.restore(&[]).expect(2).says(&[&format!("{first}/udp"), &holder]);
    docker(["rm", "-f", &holder]);
    shop.expect_nothing_begun();
    // TCP has ports of its own.
    hold("tcp");
    shop.restore(&[]).expect(0);
    assert!(shop.page("index.html").contains("<h1>The shop</h1>"));
    let ports = docker(["port", &front]);
    assert!(ports.contains(&format!("71/udp -> 127.0.0.1:{last}")), "{ports}");
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    docker(["rm", "-f", &holder]);
    assert_eq!(shop.objects(), gone);
}

#[test]
fn an_archive_without_volumes_or_without_projects_is_restored_as_well() {
    let shop = Shop::of_files_unsaved();
    let (data, project) = (shop.data(), shop.project.clone());
    shop.borg(&["create", "::project", project.to_str().unwrap()]);
    shop.borg(&["create", "::volume", data.to_str().unwrap()]);
    shop.borg(&["create", "::neither", "/etc/hostname"]);
    let (volume_then, project_then) = shop.trees();
    for archive in ["project", "volume"] {
        shop.damage(Damage(1));
        let before = shop.now();
        let name = shop.archive(archive);
        shop.reprise(&["docker", "restore", &name, "--in-place", "--yes"]).expect(0);
        let now = shop.trees();
        let (volume, project) = if archive == "volume" {
            (&volume_then, &before.trees.1)
        } else {
            (&before.trees.0, &project_then)
        };
        assert_same(volume, &now.0, archive);
        assert_same(project, &now.1, archive);
        shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
        shop.expect_as_before(&before);
    }
    let before = shop.now();
    for (archive, asked) in [("project", "volumes"), ("volume", "compose"), ("neither", "full")] {
        let name = shop.archive(archive);
        let args = ["docker", "restore", &name, "--in-place", "--yes", "--type", asked];
        shop.reprise(&args).expect(2).says(&[archive, "reprise contents"]);
    }
    shop.expect_as_before(&before);
}

#[test]
fn operations_on_the_same_thing_are_undone_in_the_opposite_order_only() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before_first = shop.now();
    shop.restore(&[]).expect(0);
    let first = shop.record()["id"].as_str().unwrap().to_owned();
    shop.damage(Damage(2));
    let trees = shop.trees();
    shop.restore(&[]).expect(0);
    let second = shop.record()["id"].as_str().unwrap().to_owned();
    let after_second = (shop.trees(), shop.objects(), shop.marked());

    shop.reprise(&["operations", "rollback", &first, "--yes"])
        .expect(2)
        .says(&[&second, "roll that back first"]);
    assert_eq!(after_second, (shop.trees(), shop.objects(), shop.marked()));
    shop.reprise(&["operations", "rollback", &second, "--yes"]).expect(0);
    assert_eq!(shop.trees(), trees);
    // A second time there is nothing to do, which is no error.
    shop.reprise(&["operations", "rollback", &second, "--yes"]).expect(0);
    assert_eq!(shop.trees(), trees);
    shop.reprise(&["operations", "rollback", &first, "--yes"]).expect(0);
    shop.expect_as_before(&before_first);
}

#[test]
fn an_unfinished_operation_and_one_under_way_keep_others_out() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    let before = shop.now();
    let restore = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    super::killed::killed_at(&restore, "renameat2", 2);
    assert_eq!(shop.record()["status"], "interrupted");
    shop.restore(&[]).expect(2).says(&["cut off", "operations resume"]);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);

    let mut under_way = shop.command(&["docker", "restore", &shop.archive("nightly"), "--in-place", "--yes"]);
    let child = start(&mut under_way);
    wait_until("it is under way", || shop.marked().len() > 1);
    shop.restore(&[]).expect(2).says(&["another process", "wait"]);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.expect_as_before(&before);
}

/// Moves everything that is recorded so many hours back.
pub fn let_hours_pass(shop: &Shop, hours: i64) {
    for operation in fs::read_dir(shop.state.join("operations")).unwrap().flatten() {
        let path = operation.path().join("journal.jsonl");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let moved = text.lines().map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
            let at: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            event["at"] = (at - jiff::SignedDuration::from_hours(hours)).to_string().into();
            format!("{event}\n")
        });
        fs::write(&path, moved.collect::<String>()).unwrap();
    }
}

#[test]
fn when_the_window_has_closed_there_is_no_rollback_and_what_was_kept_goes() {
    let shop = Shop::of_files();
    shop.damage(Damage(1));
    shop.restore(&[]).expect(0);
    let (after, objects) = (shop.trees(), shop.objects());
    let kept = shop.marked();
    let_hours_pass(&shop, 7);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!(shop.marked(), kept, "an hour before the end");

    let_hours_pass(&shop, 2);
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(2).says(&["window", "restore again"]);
    assert_eq!((shop.trees(), shop.objects(), shop.marked()), (after.clone(), objects.clone(), kept));
    shop.reprise(&["operations", "expire"]).expect(0);
    assert_eq!((shop.trees(), shop.objects(), shop.marked()), (after, objects, Vec::new()));
    let record = shop.record();
    assert_eq!((&record["expired"], &record["kept"]), (&true.into(), &serde_json::json!([])));
    shop.reprise(&["operations", "rollback", "latest", "--yes"])
        .expect(2)
        .says(&["removed", "restore again"]);
    shop.reprise(&["operations", "expire"]).expect(0);
}

#[test]
fn a_project_directory_that_is_a_link_is_restored_where_it_leads() {
    let shop = Shop::of_files();
    let archived = shop.trees_of_archive("nightly");
    let real = shop.sandbox.dir.join("real").join(&shop.name);
    fs::create_dir(real.parent().unwrap()).unwrap();
    shop.compose(&["stop"]);
    fs::rename(&shop.project, &real).unwrap();
    std::os::unix::fs::symlink(&real, &shop.project).unwrap();
    shop.compose(&["start"]);
    shop.damage(Damage(1));
    let before = Tree::of(&real);
    shop.restore(&[]).expect(0);
    assert_eq!(fs::read_link(&shop.project).unwrap(), real);
    assert_same(&archived.1, &Tree::of(&real), "what the link leads to");
    assert!(shop.page("index.html").contains("<h1>The shop</h1>"));
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert_same(&before, &Tree::of(&real), "what the link leads to");
    assert_eq!(fs::read_dir(real.parent().unwrap()).unwrap().count(), 1);
}
