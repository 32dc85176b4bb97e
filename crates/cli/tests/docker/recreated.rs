//! Containers and networks that are lost, or made of other files, come back with what is restored, and go again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Damage, OWNER_LABEL, Shop, docker, owner, run};

/// What the engine tells of a container, without what is new with every one that is made.
fn made_by(container: &str) -> Value {
    let mut told: Value = serde_json::from_str(&docker(["container", "inspect", container])).unwrap();
    let told = told[0].take();
    let mut config = told["Config"].clone();
    // Its id, unless it was given.
    config["Hostname"] = Value::Null;
    let networks = told["NetworkSettings"]["Networks"].as_object().unwrap().iter().map(|(name, network)| {
        let aliases = network["Aliases"].as_array().cloned().unwrap_or_default();
        let mut aliases: Vec<&str> = aliases.iter().map(|alias| alias.as_str().unwrap()).collect();
        aliases.retain(|alias| !told["Id"].as_str().unwrap().starts_with(alias));
        aliases.sort_unstable();
        (name.clone(), json!([aliases, network["IPAMConfig"]]))
    });
    let networks: serde_json::Map<String, Value> = networks.collect();
    json!([told["Name"], told["Image"], config, told["HostConfig"], networks, told["State"]["Running"]])
}

fn hash(container: &str) -> String {
    docker(["inspect", "-f", "{{index .Config.Labels \"com.docker.compose.config-hash\"}}", container])
}

/// Makes the containers of the project of another configuration than the backup knows.
pub fn reconfigured(shop: &Shop) {
    let file = shop.project.join("docker-compose.yml");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replace(
        "    image: reprise-test/web:1\n    volumes:",
        "    image: reprise-test/web:1\n    environment: {SECRET: \"xyzzy-two\\nlines\"}\n    volumes:",
    );
    assert_ne!(text, changed);
    fs::write(file, changed).unwrap();
}

#[test]
fn containers_made_of_another_compose_file_are_made_anew_and_a_rollback_makes_the_old_ones_again() {
    let shop = Shop::of_files();
    let back = format!("{}_back_1", shop.name);
    let archived = hash(&back);
    reconfigured(&shop);
    shop.compose(&["up", "-d"]);
    shop.now();
    let before = (made_by(&back), made_by(&format!("{}_front_1", shop.name)), shop.trees());
    assert_ne!(hash(&back), archived);

    let ended = shop.restore(&[]).expect(0);
    assert!(ended.stdout.contains("docker-compose.yml"), "the plan says why: {}", ended.stdout);
    assert!(!ended.stdout.contains("xyzzy-two"), "{}", ended.stdout);
    assert_eq!(hash(&back), archived);
    assert!(!docker(["inspect", "-f", "{{.Config.Env}}", &back]).contains("xyzzy-two"));
    assert!(shop.page("index.html").contains("The shop"));
    assert!(shop.record()["kept"].to_string().contains(&format!("container {back}.reprise-")));
    let log = shop.reprise(&["operations", "log", "latest", "--json"]).expect(0).stdout;
    assert!(!log.contains("xyzzy-two"), "a container's environment is in the journal");

    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    shop.now();
    let now = (made_by(&back), made_by(&format!("{}_front_1", shop.name)), shop.trees());
    assert_eq!(before, now);
    let all = docker(["container", "ls", "-a", "--format", "{{.Names}}"]);
    assert!(!all.contains(&format!("{back}.reprise-")), "{all}");
    shop.compose(&["up", "-d"]);
    assert_eq!(before.0, made_by(&back), "Compose takes it for what it made itself");
}

#[test]
fn from_inside_the_projects_directory_it_is_the_restored_files_that_count() {
    let shop = Shop::of_files();
    let back = format!("{}_back_1", shop.name);
    let archived = hash(&back);
    reconfigured(&shop);
    shop.compose(&["up", "-d"]);
    // Whoever stands there stands in the directory that is kept, once it has changed places.
    let archive = shop.archive("nightly");
    let mut restore = shop.command(&["docker", "restore", &archive, "--in-place", "--yes"]);
    run(restore.current_dir(&shop.project)).expect(0);
    assert_eq!(hash(&back), archived);
}

#[test]
fn containers_that_are_as_the_restored_files_say_are_only_started() {
    let shop = Shop::of_files();
    let id = || docker(["inspect", "-f", "{{.Id}}", &format!("{}_back_1", shop.name)]);
    let before = id();
    shop.damage(Damage(1));
    // A comment makes no container another.
    let file = shop.project.join("docker-compose.yml");
    let text = fs::read_to_string(&file).unwrap() + "# written later\n";
    fs::write(file, text).unwrap();
    shop.restore(&[]).expect(0);
    assert_eq!(before, id());
}

#[test]
fn expired_nothing_is_kept_of_containers_either() {
    let shop = Shop::of_files();
    reconfigured(&shop);
    shop.compose(&["up", "-d"]);
    let back = format!("{}_back_1", shop.name);
    docker(["exec", &back, "/bin/sh", "-c", "echo of its own > /written"]);
    shop.restore(&[]).expect(0);
    let kept =
        || docker(["container", "ls", "-a", "--format", "{{.Names}}"]).contains(&format!("{back}.reprise-"));
    let images = || docker(["image", "ls", "-q", "--filter", &format!("reference=reprise-kept:{back}*")]);
    assert!(kept() && !images().trim().is_empty());
    super::conflicts::let_hours_pass(&shop, 9);
    shop.reprise(&["operations", "expire"]).expect(0);
    assert!(!kept() && images().trim().is_empty());
}

#[test]
fn what_a_container_had_written_itself_is_back_after_a_rollback() {
    let shop = Shop::of_files();
    reconfigured(&shop);
    shop.compose(&["up", "-d"]);
    let back = format!("{}_back_1", shop.name);
    docker(["exec", &back, "/bin/sh", "-c", "echo of its own > /written"]);
    shop.restore(&[]).expect(0);
    assert_ne!(run(Command::new("docker").args(["exec", &back, "cat", "/written"])).code, 0);
    // It says that the container comes from an image of its own now.
    let ended = shop.reprise(&["operations", "rollback", "latest", "--yes"]);
    assert!(ended.code <= 1 && ended.stderr.contains("from an image that holds it"), "{ended:?}");
    assert_eq!(docker(["exec", &back, "cat", "/written"]).trim(), "of its own");
    let image = docker(["inspect", "-f", "{{.Config.Image}}", &back]);
    docker(["rm", "-f", &back]);
    docker(["image", "rm", image.trim()]);
}

/// A container of no project with all that is easily lost: a secret of two lines, networks and addresses, limits.
struct Single {
    name: String,
    networks: [String; 2],
    volume: String,
}

impl Single {
    fn new(shop: &Shop) -> Self {
        let name = format!("{}-single", shop.name);
        let networks = ["one", "two"].map(|tail| format!("{}-{tail}", shop.name));
        let volume = format!("{}-data", shop.name);
        let label = format!("{OWNER_LABEL}={}", owner());
        // An address range that no other test has.
        let octet = std::process::id() % 250 + 1;
        for (at, network) in networks.iter().enumerate() {
            let subnet = format!("10.{}.{octet}.0/24", 201 + at);
            let opt = "com.docker.network.driver.mtu=1400";
            docker(["network", "create", "--label", &label, "--subnet", &subnet, "--opt", opt, network]);
        }
        docker(["volume", "create", "--label", &label, "--label", "kind=precious", &volume]);
        let mount = format!("{volume}:/www");
        let address = format!("10.201.{octet}.9");
        docker([
            "create",
            "--name",
            &name,
            "--label",
            &label,
            "-e",
            "PASSWORD=xyzzy-first\nsecond line",
            "-e",
            "PLAIN=1",
            "--network",
            &networks[0],
            "--network-alias",
            "single",
            "--ip",
            &address,
            "-v",
            &mount,
            "--restart",
            "unless-stopped",
            "--cap-add",
            "NET_ADMIN",
            "--ulimit",
            "nofile=2048:4096",
            "--memory",
            "64m",
            "--log-opt",
            "max-size=1m",
            "--hostname",
            "single.example",
            "--add-host",
            "elsewhere:10.0.0.9",
            "--health-cmd",
            "test -e /www/alive",
            "--health-interval",
            "1s",
            "-w",
            "/www",
            "reprise-test/web:1",
        ]);
        docker(["network", "connect", "--alias", "other-name", &networks[1], &name]);
        let data = Path::new("/var/lib/docker/volumes").join(&volume).join("_data");
        fs::write(data.join("alive"), "yes\n").unwrap();
        docker(["start", &name]);
        Self { name, networks, volume }
    }

    fn lose(&self) {
        docker(["rm", "-f", &self.name]);
        docker(["network", "rm", &self.networks[0], &self.networks[1]]);
        docker(["volume", "rm", &self.volume]);
    }

    fn made_by(&self) -> Value {
        let network = |name: &String| {
            let mut told: Value = serde_json::from_str(&docker(["network", "inspect", name])).unwrap();
            let told = told[0].take();
            json!([
                told["Name"],
                told["Driver"],
                told["Options"],
                told["Labels"],
                told["IPAM"],
                told["Internal"]
            ])
        };
        let mut container = made_by(&self.name);
        container[2]["Labels"].as_object_mut().unwrap().remove("reprise.operation");
        let volume: Value = serde_json::from_str(&docker(["volume", "inspect", &self.volume])).unwrap();
        json!([container, self.networks.each_ref().map(network), volume[0]["Labels"]])
    }
}

/// Writes down what there is of Docker that is `shop`'s, with those of its items whose names are `wanted`.
pub fn record_in(shop: &Shop, wanted: impl Fn(&str) -> bool) -> PathBuf {
    let file = shop.sandbox.dir.join("reprise-backup.json");
    let all = shop.reprise(&["docker", "inventory", "-o", file.to_str().unwrap()]);
    assert!(all.code <= 1, "{all:?}");
    // Other tests' things are not this archive's.
    let mut inventory: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let ours = |it: &Value, key: &str| it[key].as_str().unwrap().contains(&shop.name);
    let items = inventory["actual_backed_up_items"].as_array_mut().unwrap();
    items.retain(|item| ours(item, "name") && wanted(item["name"].as_str().unwrap()));
    inventory["containers"].as_array_mut().unwrap().retain(|container| ours(container, "Name"));
    fs::write(&file, inventory.to_string()).unwrap();
    file
}

/// Backs up the volume `of`, and what there is of Docker.
fn back_up_with_inventory(shop: &Shop, volume: &str) {
    let file = record_in(shop, |name| name == volume);
    let data = PathBuf::from(format!("/var/lib/docker/volumes/{volume}"));
    shop.borg(&["create", "::nightly", file.to_str().unwrap(), data.to_str().unwrap()]);
}

#[test]
fn a_container_of_no_project_comes_back_as_it_was_with_its_networks_its_volume_and_its_secrets() {
    let shop = Shop::unbuilt();
    let single = Single::new(&shop);
    back_up_with_inventory(&shop, &single.volume);
    crate::support::wait_until("it is healthy", || {
        docker(["inspect", "-f", "{{.State.Health.Status}}", &single.name]).trim() == "healthy"
    });
    let before = single.made_by();
    single.lose();
    let gone = shop.objects();

    let archive = shop.archive("nightly");
    for show in
        [&["--dry-run"][..], &["--dry-run", "--json"], &["--script", "complete"], &["--script", "explained"]]
    {
        let shown = shop.reprise(&[&["docker", "restore", &archive, "--in-place"], show].concat()).expect(0);
        let all = shown.stdout + &shown.stderr;
        assert!(
            all.contains(&single.name) && !all.contains("xyzzy-first") && !all.contains("second line"),
            "{all}"
        );
    }
    shop.restore(&[]).expect(0);
    assert_eq!(before, single.made_by());
    let log = shop.reprise(&["operations", "log", "latest", "--json"]).expect(0).stdout;
    assert!(!log.contains("xyzzy-first"));
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert_eq!(shop.objects(), gone);

    // And so does the script.
    let script = shop.sandbox.dir.join("restore.sh");
    let text =
        shop.reprise(&["docker", "restore", &archive, "--in-place", "--script", "complete"]).expect(0).stdout;
    fs::write(&script, text).unwrap();
    run(Command::new("shellcheck").arg(&script)).expect(0);
    run(shop.environment(&mut Command::new("bash")).arg(&script).current_dir("/")).expect(0);
    assert_eq!(before, single.made_by());
}

#[test]
fn a_script_makes_containers_anew_as_the_program_does() {
    let shop = Shop::of_files();
    let back = format!("{}_back_1", shop.name);
    let archived = hash(&back);
    reconfigured(&shop);
    shop.compose(&["up", "-d"]);
    shop.now();
    let before = made_by(&back);
    let archive = shop.archive("nightly");
    let text =
        shop.reprise(&["docker", "restore", &archive, "--in-place", "--script", "complete"]).expect(0).stdout;
    let script = shop.sandbox.dir.join("restore.sh");
    fs::write(&script, &text).unwrap();
    run(Command::new("shellcheck").arg(&script)).expect(0);
    let by_hand = || run(shop.environment(&mut Command::new("bash")).arg(&script).current_dir("/"));
    // One whose last step fails leaves the containers of before.
    fs::write(&script, text.replace("await_healthy() {", "await_healthy() {\n    return 1")).unwrap();
    by_hand().expect(3);
    shop.now();
    assert_eq!(before, made_by(&back));
    fs::write(&script, &text).unwrap();
    by_hand().expect(0);
    assert_eq!(hash(&back), archived);
}

#[test]
fn a_rollback_makes_networks_again_that_went_meanwhile_and_keeps_the_bridge() {
    let shop = Shop::of_files();
    let back = format!("{}_back_1", shop.name);
    reconfigured(&shop);
    shop.compose(&["up", "-d"]);
    docker(["network", "connect", "bridge", &back]);
    shop.now();
    let told = || {
        let made = made_by(&back);
        json!([made[2], made[4], made[5]])
    };
    let network = || {
        let name = format!("{}_default", shop.name);
        docker([
            "network",
            "inspect",
            "-f",
            "{{json .Labels}} {{json .IPAM.Config}} {{json .Options}}",
            &name,
        ])
    };
    let (before, made_in) = (told(), network());
    assert!(before[1].get("bridge").is_some(), "{before}");

    shop.restore(&[]).expect(0);
    // The kept container is none of the project's: it stays.
    shop.compose(&["down"]);
    // It says that the other container is gone.
    let ended = shop.reprise(&["operations", "rollback", "latest", "--yes"]);
    assert!(ended.code <= 1, "{ended:?}");
    shop.now();
    assert_eq!(before, told());
    assert_eq!(made_in, network());
}

#[test]
fn a_container_that_keeps_data_in_a_volume_without_a_name_is_left_alone() {
    let shop = Shop::of_files();
    let back = format!("{}_back_1", shop.name);
    let file = shop.project.join("docker-compose.yml");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replace("      - files:/www ", "      - /nameless\n      - files:/www ");
    assert_ne!(text, changed);
    fs::write(file, changed).unwrap();
    shop.compose(&["up", "-d"]);
    shop.now();
    let id = || docker(["inspect", "-f", "{{.Id}}", &back]);
    let before = id();
    let told = shop.restore(&[]).expect(0).stdout;
    assert!(told.contains("a volume without a name"), "{told}");
    assert_eq!(before, id(), "it is the same container, on what was restored");
    docker(["rm", "-f", "-v", &back]);
}

#[test]
fn a_rollback_leaves_what_came_to_the_project_since() {
    let shop = Shop::of_files();
    shop.compose(&["down"]);
    let gone = shop.objects();
    shop.restore(&[]).expect(0);
    let later = format!("{}_later", shop.name);
    let project = format!("com.docker.compose.project={}", shop.name);
    let label = format!("{OWNER_LABEL}={}", owner());
    docker(["volume", "create", "--label", &project, "--label", &label, &later]);
    let precious = Path::new("/var/lib/docker/volumes").join(&later).join("_data/precious");
    fs::write(&precious, "written since").unwrap();
    shop.reprise(&["operations", "rollback", "latest", "--yes"]).expect(0);
    assert_eq!(fs::read_to_string(precious).unwrap(), "written since");
    docker(["volume", "rm", &later]);
    assert_eq!(shop.objects(), gone, "all else is gone again");
}

/// The directory in which `docker` finds Compose in its second version.
fn with_plugin() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/docker");
    assert!(tools.join("cli-plugins/docker-compose").exists(), "run scripts/setup test");
    tools.canonicalize().unwrap()
}

#[test]
fn with_compose_as_a_plugin_it_is_the_same() {
    let shop = Shop::of_files_unsaved();
    shop.compose(&["down"]);
    let plugin = with_plugin();
    let compose = |args: &[&str]| {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_CONFIG", &plugin).arg("compose").args(args).current_dir(&shop.project);
        run(&mut docker).expect(0)
    };
    let restore = |archive: &str| {
        let archive = shop.archive(archive);
        let mut command = shop.command(&["docker", "restore", &archive, "--in-place", "--yes"]);
        run(command.env("DOCKER_CONFIG", &plugin)).expect(0)
    };
    let roll_back = || {
        let mut command = shop.command(&["operations", "rollback", "latest", "--yes"]);
        run(command.env("DOCKER_CONFIG", &plugin)).expect(0)
    };
    compose(&["up", "-d"]);
    shop.back_up("nightly");
    let back = format!("{}-back-1", shop.name);
    let archived = hash(&back);

    reconfigured(&shop);
    compose(&["up", "-d"]);
    shop.now();
    let before = made_by(&back);
    restore("nightly");
    assert_eq!(hash(&back), archived);
    roll_back();
    shop.now();
    assert_eq!(before, made_by(&back));

    compose(&["down"]);
    let gone = shop.objects();
    restore("nightly");
    assert_eq!(hash(&back), archived);
    assert!(shop.page("index.html").contains("The shop"));
    roll_back();
    assert_eq!(shop.objects(), gone);
}
