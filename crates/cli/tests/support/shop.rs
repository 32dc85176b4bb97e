//! A Compose project that runs, has a backup, and can be damaged.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use reprise_testkit::OnFile;
use serde_json::Value;

use super::docker::{Objects, docker};
use super::fill::{every_kind_of_file, noise};
use super::program::{Ended, run, run_in};
use super::sandbox::{OWNER_LABEL, Sandbox, owner};
use super::tree::{Tree, assert_same};

/// The repository's. Nothing may ever show it.
pub const PASSPHRASE: &str = "xyzzy-UNSPEAKABLE-9f3b";

/// Where the engine keeps volumes.
const VOLUMES: &str = "/var/lib/docker/volumes";

const COMPOSE: &str = "\
# This comment, the order of the keys and the blank lines survive a restore.

services:
  back:
    image: reprise-test/web:1
    volumes:
      - files:/www   # the named volume
    healthcheck: &check
      test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1/health.txt\"]
      interval: 1s
      timeout: 5s
      retries: 60
    labels: &labels
      reprise.test: \"1\"
      reprise.test.owner: ${OWNER}

  front:
    image: reprise-test/web:1
    entrypoint: [\"/bin/sh\", \"-c\", \"! grep -q crash /etc/front.conf && exec /usr/bin/serve\"]
    depends_on:
      back:
        condition: service_healthy
    ports:
      - \"127.0.0.1:${WEB_PORT}:80\"
    volumes:
      - ./site:/www:ro
      - ./front.conf:/etc/front.conf:ro
    healthcheck: *check
    labels: *labels

volumes:
  files:
    labels: *labels

networks:
  default:
    labels: *labels
";

/// What lies on the host: the volume's files and the project's.
pub type Trees = (Tree, Tree);

/// What people do to a shop.
#[derive(Debug, Clone, Copy)]
pub struct Damage(pub u32);

/// A Compose project of its own name, up, with an encrypted repository beside it.
#[derive(Debug)]
pub struct Shop {
    /// Where all of it lies.
    pub sandbox: Sandbox,
    /// The project's name.
    pub name: String,
    /// The project's directory.
    pub project: PathBuf,
    /// The named volume.
    pub volume: String,
    /// The repository.
    pub repository: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// The port of the host that leads to the web server.
    pub port: u16,
}

impl Shop {
    /// Two web servers, of which `front` waits for `back` to be healthy: one serves a named volume with files of
    /// every kind, the other a directory of the project. Nothing in them writes, so running or not, what lies on the
    /// disk can be compared to the byte. Backed up as the archive `nightly`.
    pub fn of_files() -> Self {
        let shop = Self::of_files_unsaved();
        shop.back_up("nightly");
        shop
    }

    /// The same without a backup.
    pub fn of_files_unsaved() -> Self {
        Self::of_files_in(Self::prepared("files"))
    }

    /// The same for faults: without a backup, the project on a file system of 16 MB, and containers that look at
    /// themselves and are unhealthy while they have a `/run/sick`, which no restart leaves.
    pub fn for_faults() -> Self {
        let shop = Self::prepared("files");
        shop.sandbox.mounted("srv", "16m");
        let wget = "[\"CMD\", \"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1/health.txt\"]";
        let test = "\"test ! -e /run/sick && wget -q -O /dev/null http://127.0.0.1/health.txt\"";
        let compose =
            COMPOSE.replace(wget, test).replace("    healthcheck: ", "    tmpfs: /run\n    healthcheck: ");
        Self::of_files_as(shop, &compose)
    }

    /// The same with the project on a small file system of `size`, filled by `fill`, and a backup.
    pub fn of_files_on(size: &str, fill: impl Fn(&Path)) -> Self {
        let shop = Self::prepared("files");
        shop.sandbox.mounted("srv", size);
        fill(&shop.project);
        let shop = Self::of_files_in(shop);
        shop.back_up("nightly");
        shop
    }

    fn of_files_in(shop: Self) -> Self {
        Self::of_files_as(shop, COMPOSE)
    }

    fn of_files_as(shop: Self, compose: &str) -> Self {
        let project = &shop.project;
        fs::create_dir_all(project).unwrap();
        fs::write(project.join("docker-compose.yml"), compose).unwrap();
        let dot_env =
            format!("COMPOSE_PROJECT_NAME={}\nWEB_PORT={}\nOWNER={}\n", shop.name, shop.port, owner());
        fs::write(project.join(".env"), dot_env).unwrap();
        fs::create_dir(project.join("site")).unwrap();
        fs::write(project.join("site/health.txt"), "fine\n").unwrap();
        fs::write(project.join("site/index.html"), "<h1>The shop</h1>\n").unwrap();
        fs::write(project.join("front.conf"), "colour=blue\n").unwrap();
        fs::set_permissions(project.join("front.conf"), Permissions::from_mode(0o640)).unwrap();
        // As Compose itself would make it, but sooner.
        let label = |key: &str, value: &str| format!("--label={key}={value}");
        let labels = [
            label("com.docker.compose.project", &shop.name),
            label("com.docker.compose.volume", "files"),
            label("reprise.test", "1"),
            label(OWNER_LABEL, &owner()),
        ];
        docker(["volume", "create", &shop.volume].into_iter().chain(labels.iter().map(String::as_str)));
        every_kind_of_file(&shop.data());
        shop.compose(&["up", "-d"]);
        shop
    }

    /// Nothing but a sandbox and an empty repository.
    pub fn unbuilt() -> Self {
        Self::prepared("files")
    }

    /// A `PostgreSQL` on a named volume, with 1000 orders, and a web server: the demo's project with little in it.
    pub fn of_rows() -> Self {
        let shop = Self::prepared("db");
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/project");
        run_in(&shop.sandbox.dir, "cp", ["-a", demo.to_str().unwrap(), shop.project.to_str().unwrap()]);
        let sql = "CREATE TABLE orders (id integer PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 1000);";
        fs::remove_dir_all(shop.project.join("db")).unwrap();
        fs::create_dir(shop.project.join("db")).unwrap();
        fs::write(shop.project.join("db/10-orders.sql"), sql).unwrap();
        let dot_env = format!(
            "COMPOSE_PROJECT_NAME={}\nWEB_PORT={}\nPOSTGRES_PASSWORD=secret\n\
             POSTGRES_IMAGE=reprise-test/postgres:15\nWEB_IMAGE=reprise-test/web:1\nFIXTURE=test\n",
            shop.name, shop.port
        );
        fs::write(shop.project.join(".env"), dot_env).unwrap();
        let labels = format!("labels: {{reprise.test: \"1\", {OWNER_LABEL}: \"{}\"}}", owner());
        let more = format!(
            "services:\n  db:\n    {labels}\n  web:\n    {labels}\nvolumes:\n  db:\n    {labels}\n\
             networks:\n  default:\n    {labels}\n"
        );
        fs::write(shop.project.join("docker-compose.override.yml"), more).unwrap();
        shop.compose(&["up", "-d"]);
        shop.compose(&["stop"]);
        shop.back_up("nightly");
        shop.compose(&["start"]);
        shop.wait_for_rows();
        shop
    }

    /// The names, the directories and the empty repository of a shop.
    fn prepared(volume_key: &str) -> Self {
        let sandbox = Sandbox::new();
        let name = sandbox.name.clone();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shop = Self {
            project: sandbox.dir.join("srv").join(&name),
            volume: format!("{name}_{volume_key}"),
            repository: sandbox.dir.join("repository"),
            state: sandbox.dir.join("state"),
            name,
            port,
            sandbox,
        };
        fs::create_dir(shop.sandbox.dir.join("srv")).unwrap();
        shop.borg(&["init", "--encryption=repokey-blake2"]);
        shop
    }

    /// Puts the volume, and what is beside its data, on a file system of its own, of that kind.
    pub fn volume_on(&self, kind: &str) -> OnFile {
        self.compose(&["stop"]);
        let disk = self.put_on(self.data().parent().unwrap(), kind);
        self.compose(&["start"]);
        disk
    }

    /// Puts the project on a file system of its own, root's alone, while it is down.
    pub fn project_on(&self, kind: &str) -> OnFile {
        self.compose(&["stop"]);
        let disk = self.put_on(&self.project, kind);
        self.compose(&["start"]);
        disk
    }

    /// Puts the volume's data alone on a file system of its own, of that kind, in which its container writes.
    pub fn data_on(&self, kind: &str) -> OnFile {
        self.compose(&["stop"]);
        let disk = self.put_on(&self.data(), kind);
        self.compose(&["start"]);
        disk
    }

    /// Puts a directory on a file system of its own.
    fn put_on(&self, directory: &Path, kind: &str) -> OnFile {
        let aside = self.sandbox.dir.join("aside");
        let copy = |from: &Path, to: &Path| {
            run(Command::new("cp").arg("-aT").arg(from).arg(to)).expect(0);
        };
        copy(directory, &aside);
        let disk = OnFile::at(directory, kind, 128);
        copy(&aside, directory);
        fs::remove_dir_all(&aside).unwrap();
        disk
    }

    /// The volume's directory.
    pub fn data(&self) -> PathBuf {
        Path::new(VOLUMES).join(&self.volume).join("_data")
    }

    /// `reprise`'s name for an archive.
    pub fn archive(&self, name: &str) -> String {
        format!("{}::{name}", self.repository.display())
    }

    /// Backs up the project and the volume, as most people do: with everything running.
    pub fn back_up(&self, archive: &str) {
        let volume = self.data();
        let (project, volume) = (self.project.to_str().unwrap(), volume.parent().unwrap().to_str().unwrap());
        self.borg(&["create", "--compression=zstd", &format!("::{archive}"), project, volume]);
    }

    /// Runs the real `borg` on the repository.
    #[track_caller]
    pub fn borg(&self, args: &[&str]) -> String {
        self.borg_in(&self.sandbox.dir, args)
    }

    /// The same in `directory`, to which it extracts.
    #[track_caller]
    pub fn borg_in(&self, directory: &Path, args: &[&str]) -> String {
        let mut command = Command::new("borg");
        self.environment(&mut command).current_dir(directory).args(args);
        // Warnings are fine: of a socket or a pipe, say.
        let ended = run(&mut command);
        if ended.code == 1 { ended.stdout } else { ended.expect(0).stdout }
    }

    /// Runs Compose on the project.
    #[track_caller]
    pub fn compose(&self, args: &[&str]) -> String {
        run_in(&self.project, "docker-compose", args)
    }

    /// Sets what the program and `borg` need.
    pub fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for name in ["BORG_PASSCOMMAND", "BORG_PASSPHRASE_FD", "DOCKER_HOST", "LC_MESSAGES"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.sandbox.dir.join("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("BORG_BASE_DIR", self.sandbox.dir.join("borg"))
            .env("BORG_REPO", &self.repository)
            .env("BORG_PASSPHRASE", PASSPHRASE)
            .env("REPRISE_STATE_DIR", &self.state)
    }

    /// The program with `args`, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reprise"));
        self.environment(&mut command).args(args).current_dir(&self.sandbox.dir);
        command
    }

    /// Runs the program.
    pub fn reprise(&self, args: &[&str]) -> Ended {
        run(&mut self.command(args))
    }

    /// `reprise docker restore` of the archive `nightly`, in place, without a question.
    pub fn restore(&self, more: &[&str]) -> Ended {
        let archive = self.archive("nightly");
        self.reprise(&[&["docker", "restore", &archive, "--in-place", "--yes"], more].concat())
    }

    /// What is recorded of the newest operation.
    #[track_caller]
    pub fn record(&self) -> Value {
        self.reprise(&["operations", "show", "latest", "--json"]).expect(0).json()
    }

    /// Changes, removes and adds files in the volume and in the project, each time others.
    pub fn damage(&self, damage: Damage) {
        let Damage(number) = damage;
        let (data, site) = (self.data(), self.project.join("site"));
        let _ = fs::remove_file(data.join("setuid"));
        let _ = fs::remove_dir_all(data.join("a/b/c"));
        fs::write(data.join("page.html"), format!("<h1>damaged {number}</h1>\n")).unwrap();
        fs::write(data.join(format!("newer-{number}")), noise(5000, number.into())).unwrap();
        fs::set_permissions(data.join("group"), Permissions::from_mode(0o600)).unwrap();
        fs::write(site.join("index.html"), format!("<h1>Damaged {number}</h1>\n")).unwrap();
        fs::create_dir_all(site.join("newer/and/deeper")).unwrap();
        fs::write(site.join("newer/and/deeper/file"), "not in the backup").unwrap();
    }

    /// What lies on the host now.
    #[track_caller]
    pub fn trees(&self) -> Trees {
        (Tree::of(&self.data()), Tree::of(&self.project))
    }

    /// What the archive `name` holds, as the real `borg` extracts it.
    pub fn trees_of_archive(&self, name: &str) -> Trees {
        let to = self.sandbox.dir.join(format!("extracted-{name}"));
        fs::create_dir_all(&to).unwrap();
        self.borg_in(&to, &["extract", "--numeric-ids", &format!("::{name}")]);
        let below = |path: &Path| to.join(path.strip_prefix("/").unwrap());
        let trees = (Tree::of(&below(&self.data())), Tree::of(&below(&self.project)));
        fs::remove_dir_all(&to).unwrap();
        trees
    }

    /// Docker's objects of the project now.
    pub fn objects(&self) -> Objects {
        Objects::of(&self.name)
    }

    /// Everything on the host that carries an operation's mark: trees beside what is restored, and mounts.
    pub fn marked(&self) -> Vec<String> {
        let volume = self.data();
        let places =
            [volume.parent().unwrap(), Path::new(VOLUMES), self.project.parent().unwrap(), &self.project];
        let mut found: Vec<String> = places
            .iter()
            .filter_map(|place| fs::read_dir(place).ok())
            .flatten()
            .map(|entry| entry.unwrap().path().display().to_string())
            .filter(|path| path.contains(".reprise-") && path.contains(&self.name))
            .collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let of_ours = |mount: &&str| mount.contains(".reprise-") && mount.contains(&self.name);
        found.extend(mounts.lines().filter(of_ours).map(ToOwned::to_owned));
        found.sort();
        found
    }

    /// No operation was begun, and nothing else recorded but which repository was read.
    #[track_caller]
    pub fn expect_nothing_begun(&self) {
        for entry in fs::read_dir(&self.state).into_iter().flatten() {
            assert_eq!(entry.unwrap().file_name(), "repositories", "more was recorded");
        }
    }

    /// Fails the test unless everything is as `before`, and nothing of an operation is left over.
    #[track_caller]
    pub fn expect_as_before(&self, before: &Before) {
        self.expect_as_before_but_for_copies(before, &[]);
    }

    /// The same where the containers `copies` may have been made anew.
    #[track_caller]
    pub fn expect_as_before_but_for_copies(&self, before: &Before, copies: &[String]) {
        let now = self.trees();
        assert_same(&before.trees.0, &now.0, "the volume is not as before");
        assert_same(&before.trees.1, &now.1, "the project is not as before");
        before.objects.expect_now_with(&self.name, &[], copies);
        assert_eq!(self.marked(), Vec::<String>::new(), "something is left over");
    }

    /// How everything is now.
    #[track_caller]
    pub fn now(&self) -> Before {
        Before { trees: self.trees(), objects: self.settled() }
    }

    /// Docker's objects once no container is starting any more.
    #[track_caller]
    fn settled(&self) -> Objects {
        let mut objects = self.objects();
        super::docker::wait_until("containers have started", || {
            objects = self.objects();
            !objects.containers.values().any(|container| container.contains("\"starting\""))
        });
        objects
    }

    /// What `PostgreSQL` answers.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> String {
        let container = format!("{}_db_1", self.name);
        let args = ["exec", &container, "psql", "-qAt", "-h", "127.0.0.1", "-U", "shop", "-d", "shop"];
        docker(args.into_iter().chain(["-c", statement])).trim().to_owned()
    }

    /// Waits until `PostgreSQL` answers.
    pub fn wait_for_rows(&self) {
        self.settled();
    }

    /// The page at `path` of the web server.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        page(self.port, path)
    }
}

/// The page at `path` of the web server on `port`, once there is one.
#[track_caller]
pub fn page(port: u16, path: &str) -> String {
    let mut page = String::new();
    super::docker::wait_until("the page is served", || {
        let ended = run(Command::new("curl").args(["-sf", &format!("http://127.0.0.1:{port}/{path}")]));
        page = ended.stdout;
        ended.code == 0
    });
    page
}

/// How everything was.
#[derive(Debug, Clone)]
pub struct Before {
    /// Files.
    pub trees: Trees,
    /// Docker's objects.
    pub objects: Objects,
}
