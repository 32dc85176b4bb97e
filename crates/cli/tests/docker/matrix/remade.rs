//! What of Docker a broken restore makes anew: the containers of a project that is lost, one of no project with its
//! network, and one that was made of other files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::recreated::record_in;
use crate::support::{OWNER_LABEL, Shop, docker, owner, run_in};

/// As containers of a shop for faults: they look at themselves, and are sick while they have a file.
const CHECK: &str = "test ! -e /run/sick && wget -q -O /dev/null http://127.0.0.1/";

fn lost(shop: &Shop) -> String {
    format!("{}-other", shop.name)
}

/// A project that runs, in a directory that nothing else needs.
pub fn project(shop: &Shop) -> PathBuf {
    let directory = shop.sandbox.dir.join("srv/gone/deeper").join(lost(shop));
    fs::create_dir_all(&directory).unwrap();
    let labels = format!("labels: {{{OWNER_LABEL}: \"{}\"}}", owner());
    let compose = format!(
        "version: \"2.4\"\nservices:\n  a:\n    image: reprise-test/web:1\n    tmpfs: /run\n    volumes: [.:/www:ro]\n    \
         {labels}\n    healthcheck: {{test: \"{CHECK}index.html\", interval: 1s, timeout: 5s, retries: 60}}\n\
         networks:\n  default:\n    {labels}\n"
    );
    fs::write(directory.join("docker-compose.yml"), compose).unwrap();
    fs::write(directory.join("index.html"), "the other\n").unwrap();
    run_in(&directory, "docker-compose", ["up", "-d"]);
    directory
}

/// A container of no project, in a network of its own.
pub fn single(shop: &Shop) {
    let (name, network) = (format!("{}-single", shop.name), format!("{}-net", shop.name));
    let label = format!("{OWNER_LABEL}={}", owner());
    docker(["network", "create", "--label", &label, &network]);
    let site = format!("{}:/www:ro", shop.project.join("site").display());
    let check = format!("{CHECK}health.txt");
    let make = ["run", "-d", "--name", &name, "--label", &label, "--network", &network, "-e", "SECRET=xyzzy"];
    let checked = ["--tmpfs", "/run", "-v", &site, "--health-cmd", &check, "--health-interval", "1s"];
    docker(make.into_iter().chain(checked).chain(["--health-retries", "60", "reprise-test/web:1"]));
}

/// Writes down what there is, and returns where.
pub fn recorded(shop: &Shop) -> String {
    record_in(shop, |_| true).display().to_string()
}

/// Containers and networks go, but for the shop's own.
pub fn lose(shop: &Shop, project: &Path) {
    run_in(project, "docker-compose", ["down"]);
    docker(["rm", "-f", &format!("{}-single", shop.name)]);
    docker(["network", "rm", &format!("{}-net", shop.name)]);
}

/// The container that makes room.
pub fn set_aside(shop: &Shop) -> String {
    format!("{}_back_1", shop.name)
}

/// Names of what the operation `id` makes.
pub fn made(shop: &Shop, id: &str) -> Vec<String> {
    let name = &shop.name;
    vec![
        format!("{}_a_1", lost(shop)),
        format!("{}_default", lost(shop)),
        format!("{name}-single"),
        format!("{name}-net"),
        format!("{}.reprise-{id}.old", set_aside(shop)),
    ]
}
