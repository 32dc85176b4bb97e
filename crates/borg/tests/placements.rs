//! Parts of archives, in other places, in other forms.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Bench, assert_same, assert_same_below, noise};
use reprise_borg::{Attribute, Extraction, Options, Owners, Placement, ProblemKind, Report};
use reprise_model::Unobserved;

const VOLUME: &str = "var/lib/docker/volumes/x/_data";

/// A machine in small: a volume, and beside it something that shares files with it.
fn prepared() -> Bench {
    let bench = Bench::with("repokey");
    let src = bench.src();
    let volume = src.join(VOLUME);
    fs::create_dir_all(volume.join("db")).unwrap();
    fs::create_dir_all(src.join("etc")).unwrap();
    fs::write(src.join("etc/compose.yaml"), "services: {}\n").unwrap();
    fs::write(src.join("etc/shared"), noise(1, 300_000)).unwrap();
    fs::write(volume.join("db/rows"), noise(2, 1_000_000)).unwrap();
    fs::hard_link(src.join("etc/shared"), volume.join("one")).unwrap();
    fs::hard_link(src.join("etc/shared"), volume.join("two")).unwrap();
    fs::create_dir(src.join("var/lib/docker/volumes/x/_data-not-this")).unwrap();
    symlink("db/rows", volume.join("link")).unwrap();
    chown(&volume, Some(999), Some(998)).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o2750)).unwrap();
    setfattr(&volume, "user.of", "the volume");
    let touched = Command::new("touch").args(["-d", "2011-11-11 11:11:11.111111111Z"]).arg(&volume).status();
    assert!(touched.unwrap().success());
    bench.create("a", &[]);
    bench
}

fn setfattr(path: &Path, name: &str, value: &str) {
    let set = Command::new("setfattr").args(["-n", name, "-v", value]).arg(path).status();
    assert!(set.expect("install attr").success());
}

fn extract(bench: &Bench, root: &Path, extraction: &Extraction) -> Report {
    let repository = bench.open();
    repository.archive("a").unwrap().extract(extraction, root, &Unobserved).unwrap()
}

#[test]
fn a_volume_is_staged_beside_itself() {
    let bench = prepared();
    let root = bench.empty("root");
    fs::create_dir_all(root.join("var/lib/docker/volumes/x")).unwrap();
    let staged = format!("{VOLUME}.reprise-abc.new");
    let report = extract(&bench, &root, &Extraction::of([Placement::new(VOLUME, staged.as_str())]));
    assert!(report.is_clean(), "{:?}", report.problems);
    // The first name of the shared file lies outside: its content comes with the first name inside.
    let [one, two] = ["one", "two"].map(|name| fs::metadata(root.join(&staged).join(name)).unwrap());
    assert_eq!((one.ino(), one.nlink(), one.size()), (two.ino(), 2, 300_000));
    fs::remove_file(bench.src().join("etc/shared")).unwrap();
    assert_same(&root.join(&staged), &bench.src().join(VOLUME));
    let beside = fs::read_dir(root.join("var/lib/docker/volumes/x")).unwrap().count();
    assert_eq!(beside, 1, "nothing but what was asked for");
}

#[test]
fn several_placements_are_extracted_in_one_go() {
    let bench = prepared();
    let root = bench.empty("root");
    let extraction = Extraction::of([
        Placement::new(VOLUME, "stage/volume"),
        Placement::new("etc/compose.yaml", "project/compose.yaml"),
        Placement::new("etc", "conf"),
        Placement::new(format!("{VOLUME}/link"), "a-link"),
        Placement::new("not/in/it", "nowhere"),
    ]);
    let report = extract(&bench, &root, &extraction);
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(fs::read_to_string(root.join("project/compose.yaml")).unwrap(), "services: {}\n");
    assert_eq!(fs::read_link(root.join("a-link")).unwrap(), Path::new("db/rows"));
    assert!(!root.join("nowhere").exists());
    // What was one file in two places becomes a copy in each.
    let [conf, one] = ["conf/shared", "stage/volume/one"].map(|name| fs::metadata(root.join(name)).unwrap());
    assert_eq!((conf.nlink(), one.nlink()), (1, 2));
    assert_eq!(fs::read(root.join("conf/shared")).unwrap(), noise(1, 300_000));
    assert_eq!(fs::read(root.join("stage/volume/two")).unwrap(), noise(1, 300_000));
}

#[test]
fn extracting_again_over_an_earlier_result_replaces_it() {
    let bench = prepared();
    let root = bench.empty("root");
    for _ in 0..2 {
        assert!(extract(&bench, &root, &Extraction::everything()).is_clean());
        assert_same(&root, &bench.src());
        fs::remove_file(root.join("etc/compose.yaml")).unwrap();
        fs::create_dir(root.join("etc/compose.yaml")).unwrap();
        fs::write(root.join(VOLUME).join("db/rows"), "changed").unwrap();
    }
}

#[test]
fn holes_are_made_if_wanted() {
    let bench = Bench::with("none");
    let mut content = vec![0; 40 << 20];
    content[20 << 20] = 1;
    fs::write(bench.src().join("image"), &content).unwrap();
    fs::write(bench.src().join("end"), vec![0; 20 << 20]).unwrap();
    bench.create("a", &["--chunker-params", "fixed,65536"]);
    let root = bench.empty("root");
    let options = Options { sparse: true, ..Options::default() };
    let report = extract(&bench, &root, &Extraction::everything().with(options));
    assert_eq!(report.bytes, 60 << 20);
    assert!(fs::read(root.join("image")).unwrap() == content);
    assert_eq!(fs::metadata(root.join("end")).unwrap().size(), 20 << 20);
    assert!(fs::metadata(root.join("image")).unwrap().blocks() * 512 < 1 << 20);
    assert!(fs::metadata(root.join("end")).unwrap().blocks() * 512 < 1 << 20);
}

#[test]
fn owners_are_found_by_name_if_wanted() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("f"), "").unwrap();
    chown(bench.src().join("f"), Some(1), Some(1)).unwrap();
    fs::write(bench.src().join("unknown"), "").unwrap();
    chown(bench.src().join("unknown"), Some(54321), Some(54322)).unwrap();
    bench.create("a", &[]);
    let root = bench.empty("root");
    let options = Options { owners: Owners::ByName, ..Options::default() };
    assert!(extract(&bench, &root, &Extraction::everything().with(options)).is_clean());
    assert_same(&root, &bench.src());
    let item = bench.open().archive("a").unwrap().find(b"f").unwrap();
    assert_eq!((item.user.as_deref(), item.uid), (Some(&b"daemon"[..]), Some(1)));
}

#[test]
fn a_tar_stream_unpacks_to_the_same_tree() {
    let bench = prepared();
    let src = bench.src();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    fs::create_dir(src.join("d".repeat(120))).unwrap();
    fs::write(src.join(&long), noise(7, 5000)).unwrap();
    symlink("t".repeat(150), src.join("long-link")).unwrap();
    fs::write(src.join("exactly-512"), noise(8, 512)).unwrap();
    fs::write(src.join("empty"), "").unwrap();
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"odd-\xff");
    fs::write(src.join(odd), "odd").unwrap();
    let script = "mkfifo pipe; mknod null c 1 3; setfacl -m u:1234:rwx,g:77:r-x empty; setfacl -d -m u:7:rwx etc
        setfattr -n user.binary -v 0x00ff0a3d empty; chown 3000000:3000001 exactly-512; chmod 6755 exactly-512
        setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 empty
        touch -d '2001-01-01 01:01:01.123456789Z' empty long-link . pipe; touch -h -d '2002-02-02 02:02:02.2Z' long-link";
    assert!(Command::new("sh").args(["-ec", script]).current_dir(&src).status().unwrap().success());
    bench.create("b", &[]);

    let repository = bench.open();
    let archive = repository.archive("b").unwrap();
    let untar = |name: &str, extraction: &Extraction| {
        let out = bench.empty(name);
        let mut tar = Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-xpf", "-"])
            .current_dir(&out)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let report = archive.export_tar(extraction, tar.stdin.take().unwrap(), &Unobserved).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        assert!(tar.wait().unwrap().success());
        out
    };
    let options = Options { devices: true, ..Options::default() };
    let out = untar("all", &Extraction::everything().with(options));
    assert_same_below(&out, &src);

    let out = untar("volume", &Extraction::of([Placement::new(VOLUME, "stage/new")]));
    let theirs = bench.borg_extract("b", "theirs");
    fs::remove_file(theirs.join("etc/shared")).unwrap();
    assert_same(&out.join("stage/new"), &theirs.join(VOLUME));
}

#[test]
fn without_root_owners_are_reported_and_the_rest_is_restored() {
    let bench = prepared();
    // This test runs itself again as another user, in a place that user may write to.
    let root = bench.empty("root");
    chown(&root, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(bench.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = bench.path("program");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let status = Command::new("chown").args(["-R", "65534:65534"]).arg(bench.repo()).status().unwrap();
    assert!(status.success());
    let output = Command::new(copy)
        .args(["--exact", "--ignored", "as_nobody", "--nocapture"])
        .env("EXTRACT_FROM", bench.repo())
        .env("EXTRACT_TO", &root)
        .current_dir(&root)
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(root.join("etc/shared")).unwrap(), noise(1, 300_000));
    let data = fs::metadata(root.join(VOLUME)).unwrap();
    assert_eq!((data.uid(), data.mode() & 0o777), (65534, 0o750));
}

#[test]
#[ignore = "a part of the test above, which runs it as another user"]
fn as_nobody() {
    let [from, to] = ["EXTRACT_FROM", "EXTRACT_TO"].map(|name| std::env::var_os(name).unwrap());
    let repository = common::open(from.as_ref(), Path::new("/nonexistent")).unwrap();
    let archive = repository.archive("a").unwrap();
    let report = archive.extract(&Extraction::everything(), to.as_ref(), &Unobserved).unwrap();
    assert_eq!(report.losses().count(), 0);
    let owners = report.problems.iter().filter(|problem| {
        matches!(&problem.kind, ProblemKind::Attribute { attribute: Attribute::Owner, .. })
    });
    assert_eq!(owners.count(), report.problems.len());
    assert!(!report.problems.is_empty());
}
