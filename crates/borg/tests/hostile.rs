//! Archives made to do harm: nothing outside the root is touched, nothing panics, and what is refused is told.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use common::forge::{BLOCK, CHAR, DIR, FILE, Forge, LINK, Value, bytes, chunk, item};
use common::{Bench, snapshot};
use reprise_borg::{Archive, Error, Extraction, Options, Placement, ProblemKind, Report, Repository};
use reprise_model::Unobserved;

/// A root to extract to, with a neighbour that must not change.
struct Scene {
    bench: Bench,
    root: PathBuf,
    outside: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::new();
        let outside = bench.empty("outside");
        fs::write(outside.join("victim"), "untouched").unwrap();
        fs::create_dir(outside.join("dir")).unwrap();
        let root = bench.empty("root");
        Self { bench, root, outside }
    }

    fn repository(&self) -> Repository {
        common::open(&self.bench.repo(), &self.bench.path("none")).unwrap()
    }

    /// Extracts everything, and asserts that nothing changed outside the root.
    fn extract(&self, forge: Forge, items: &[Value]) -> Report {
        forge.finish(&self.bench.repo(), items);
        self.extract_as(&Extraction::everything()).unwrap()
    }

    fn extract_as(&self, extraction: &Extraction) -> Result<Report, Error> {
        let before = (snapshot(&self.outside), inode_times(&self.outside));
        let repository = self.repository();
        let report = repository.archive("a").unwrap().extract(extraction, &self.root, &Unobserved);
        assert!(before == (snapshot(&self.outside), inode_times(&self.outside)), "the outside has changed");
        let mut names: Vec<_> =
            fs::read_dir(self.bench.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["outside", "repo", "root", "src"], "nothing new beside the root");
        report
    }
}

/// Times of change: they tell even changes that were undone or changed nothing.
fn inode_times(path: &std::path::Path) -> Vec<(i64, i64)> {
    let names = ["", "victim", "dir"];
    let all = names.map(|name| fs::metadata(path.join(name)).unwrap());
    all.iter().map(|data| (data.ctime(), data.ctime_nsec())).collect()
}

fn refused(report: &Report) -> Vec<String> {
    let of = report.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::Refused { .. }));
    of.map(|problem| String::from_utf8_lossy(&problem.path).into_owned()).collect()
}

#[test]
fn paths_that_lead_out_are_refused() {
    let scene = Scene::new();
    let mut forge = Forge::new();
    let content = [("chunks", forge.content(b"evil"))];
    let absolute = scene.outside.join("new").display().to_string();
    let paths = ["../outside/new", absolute.as_str(), "a/../../outside/new", "a/..", "..", "b\0c", "/"];
    let mut items: Vec<_> = paths.iter().map(|path| item(path, FILE, &content)).collect();
    items.extend(paths.iter().map(|path| item(path, DIR, &[])));
    items.push(item("good", FILE, &content));
    let report = scene.extract(forge, &items);
    assert_eq!(refused(&report), [paths, paths].concat());
    assert_eq!(report.items, 1);
    assert_eq!(fs::read(scene.root.join("good")).unwrap(), b"evil");
}

#[test]
fn nothing_is_written_through_symbolic_links() {
    let scene = Scene::new();
    let mut forge = Forge::new();
    let content = [("chunks", forge.content(b"evil"))];
    let to = |target: &std::path::Path| [("source", bytes(target.to_str().unwrap()))];
    let attribute = [("xattrs", Value::Named(vec![(b"user.evil".to_vec(), bytes("1"))]))];
    let items = [
        item("link", LINK, &to(&scene.outside)),
        item("link/new", FILE, &content),
        item("link/dir2", DIR, &[]),
        item("link/pipe", 0o010_644, &[]),
        item("link/sub/deep", FILE, &content),
        item("link/dir", DIR, &attribute),
        item("link/sym", LINK, &to(&scene.outside)),
        // A link is replaced, not followed, by a later file or directory of its name.
        item("victim", LINK, &to(&scene.outside.join("victim"))),
        item("victim", FILE, &content),
        item("dir", LINK, &to(&scene.outside.join("dir"))),
        item("dir", 0o040_777, &attribute),
        // The kernel's own links to open files are none to follow either.
        item("proc", LINK, &[("source", bytes("/proc/self/root"))]),
        item("proc/tmp/evil-of-borg-test", FILE, &content),
        item("relative", LINK, &[("source", bytes("../outside"))]),
        item("relative/new", FILE, &content),
    ];
    let report = scene.extract(forge, &items);
    let through: Vec<_> = [
        "link/new",
        "link/dir2",
        "link/pipe",
        "link/sub/deep",
        "link/dir",
        "link/sym",
        "proc/tmp/evil-of-borg-test",
        "relative/new",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut told = refused(&report);
    told.sort();
    let mut expected = through;
    expected.sort();
    assert_eq!(told, expected, "{:?}", report.problems);
    assert!(scene.root.join("dir").symlink_metadata().unwrap().is_dir());
}

#[test]
fn symbolic_links_that_were_there_before_are_not_followed() {
    let scene = Scene::new();
    symlink(&scene.outside, scene.root.join("a")).unwrap();
    let mut forge = Forge::new();
    let content = [("chunks", forge.content(b"evil"))];
    let report = scene.extract(forge, &[item("a/new", FILE, &content), item("a/victim", FILE, &content)]);
    assert_eq!(refused(&report), ["a/new", "a/victim"]);
    // Nor where the caller's own placement leads.
    let into = Extraction::of([Placement::new("a", "a/b")]);
    let report = scene.extract_as(&into).unwrap();
    assert_eq!(report.problems.len(), 2);
}

#[test]
fn hard_links_reach_only_what_was_extracted() {
    let scene = Scene::new();
    fs::write(scene.root.join("already-here"), "not from the archive").unwrap();
    let mut forge = Forge::new();
    let content = [("chunks", forge.content(b"evil")), ("hardlink_master", Value::True)];
    let to = |target: &str| [("source", bytes(target))];
    let outside = scene.outside.join("victim").display().to_string();
    let items = [
        item("h1", FILE, &to("../outside/victim")),
        item("h2", FILE, &to(&outside)),
        item("d", LINK, &[("source", bytes(scene.outside.to_str().unwrap()))]),
        item("h3", FILE, &to("d/victim")),
        item("h4", FILE, &to("x/../../outside/victim")),
        item("h5", FILE, &to("already-here")),
        // First names that were themselves refused.
        item("d/victim", FILE, &content),
        item("h6", FILE, &to("d/victim")),
        item("../outside/victim", FILE, &content),
        item("h7", FILE, &to("../outside/victim")),
        // Into a directory that is a link.
        item("real", FILE, &content),
        item("d/h8", FILE, &to("real")),
        item("h9", FILE, &to("real")),
    ];
    let report = scene.extract(forge, &items);
    assert_eq!(fs::metadata(scene.outside.join("victim")).unwrap().nlink(), 1);
    assert_eq!(fs::metadata(scene.root.join("already-here")).unwrap().nlink(), 1);
    for name in ["h1", "h2", "h3", "h4", "h5", "h6", "h7"] {
        assert!(!scene.root.join(name).exists(), "{name}");
        assert!(report.problems.iter().any(|problem| problem.path == name.as_bytes()), "{name} was told");
    }
    assert_eq!(fs::metadata(scene.root.join("real")).unwrap().nlink(), 2);
}

#[test]
fn a_hard_link_to_a_path_where_nothing_was_made_does_not_catch_what_else_is_there() {
    let scene = Scene::new();
    fs::create_dir_all(scene.root.join("private")).unwrap();
    fs::write(scene.root.join("private/secret"), "of the host").unwrap();
    let mut forge = Forge::new();
    // The first name has content that is not there, so it never comes to be.
    let missing = Value::List(vec![chunk([7; 32], 5)]);
    let items = [
        item("private/null", CHAR, &[("rdev", Value::Int(259)), ("hardlink_master", Value::True)]),
        item("caught", CHAR, &[("source", bytes("private/null"))]),
        item("private/secret", FILE, &[("chunks", missing), ("hardlink_master", Value::True)]),
        item("shared", FILE, &[("source", bytes("private/secret"))]),
        item("x", FILE, &[("chunks", forge.content(b"x"))]),
    ];
    fs::write(scene.root.join("private/null"), "of the host").unwrap();
    let report = scene.extract(forge, &items);
    assert!(!scene.root.join("caught").exists() && !scene.root.join("shared").exists());
    assert_eq!(report.problems.len(), 4, "{:?}", report.problems);
}

#[test]
fn device_nodes_are_made_only_if_wanted() {
    let scene = Scene::new();
    let items = [
        item("null", CHAR, &[("rdev", Value::Int(259))]),
        item("disk", BLOCK, &[("rdev", Value::Int(2048))]),
        item("odd", 0o000_644, &[]),
        item("socket", 0o140_644, &[]),
    ];
    let report = scene.extract(Forge::new(), &items);
    let devices = report.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::Device));
    assert_eq!(devices.count(), 2);
    assert_eq!(report.problems.len(), 4);
    assert_eq!(fs::read_dir(&scene.root).unwrap().count(), 0);

    let options = Options { devices: true, ..Options::default() };
    let report = scene.extract_as(&Extraction::everything().with(options)).unwrap();
    assert_eq!(report.problems.len(), 2);
    assert_eq!(fs::metadata(scene.root.join("null")).unwrap().rdev(), 259);
}

#[test]
fn placements_cannot_lead_out_either() {
    let scene = Scene::new();
    Forge::new().finish(&scene.bench.repo(), &[item("a", DIR, &[])]);
    for (subtree, destination) in [("a", "../x"), ("a", "/x"), ("../a", "x"), ("a", "b/../../x")] {
        let result = scene.extract_as(&Extraction::of([Placement::new(subtree, destination)]));
        assert!(matches!(result, Err(Error::Invalid { .. })), "{destination}");
    }
}

#[test]
fn tar_streams_carry_no_hostile_names() {
    let scene = Scene::new();
    let mut forge = Forge::new();
    let content = [("chunks", forge.content(b"evil"))];
    let items = [
        item("../x", FILE, &content),
        item("/etc/x", FILE, &content),
        item("a/../../x", DIR, &[]),
        item("hard", FILE, &[("source", bytes("../x"))]),
        item("null", CHAR, &[("rdev", Value::Int(259))]),
        item("good", FILE, &content),
    ];
    forge.finish(&scene.bench.repo(), &items);
    let repository = scene.repository();
    let mut stream = Vec::new();
    let archive = repository.archive("a").unwrap();
    let report = archive.export_tar(&Extraction::everything(), &mut stream, &Unobserved).unwrap();
    assert_eq!(report.problems.len(), 5);
    let mut read = tar::Archive::new(stream.as_slice());
    let names: Vec<_> =
        read.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
    assert_eq!(names, [PathBuf::from("good")]);
}

#[test]
fn lies_about_sizes_are_found_out_without_allocating_for_them() {
    let scene = Scene::new();
    let mut forge = Forge::new();
    let real = forge.chunk(b"four");
    let lists = [
        vec![chunk(real, 5)],
        vec![chunk(real, 3)],
        vec![chunk(real, i64::from(u32::MAX) - 3)],
        vec![chunk(real, 4), chunk(real, 0)],
        vec![chunk([9; 32], 4), chunk(real, 4)],
    ];
    let mut items: Vec<_> = (0..)
        .zip(&lists)
        .map(|(number, list)| item(format!("f{number}"), FILE, &[("chunks", Value::List(list.clone()))]))
        .collect();
    let right = Value::List(vec![chunk(real, 4)]);
    items.push(item("size", FILE, &[("chunks", right.clone()), ("size", Value::Int(77))]));
    items.push(item("good", FILE, &[("chunks", right), ("size", Value::Int(4))]));
    let report = scene.extract(forge, &items);
    assert_eq!(report.losses().count(), 6, "{:?}", report.problems);
    let names: Vec<_> = fs::read_dir(&scene.root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["good"]);
}

#[test]
fn malformed_item_streams_are_errors() {
    for stream in [
        &[0xdf, 0xff, 0xff, 0xff, 0xff][..],
        &[0xc1],
        &[0x80],
        &[0x81, 0xa4, b'p', b'a', b't', b'h', 0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0x91; 5000],
    ] {
        let scene = Scene::new();
        Forge::new().finish_stream(&scene.bench.repo(), stream, &[]);
        let repository = scene.repository();
        let archive = repository.archive("a").unwrap();
        assert!(matches!(archive.items().last().unwrap(), Err(Error::Archive { .. })));
        assert!(scene.extract_as(&Extraction::everything()).is_err());
    }
}

#[test]
fn a_repository_that_needs_unknown_features_is_refused() {
    let scene = Scene::new();
    let mandatory = |name| Value::Map(vec![("mandatory", Value::List(vec![bytes(name)]))]);
    let flags = |operation, name| [("feature_flags", Value::Map(vec![(operation, mandatory(name))]))];
    Forge::new().finish_stream(&scene.bench.repo(), &[], &flags("write", "for writers"));
    assert_eq!(scene.repository().archives().len(), 1);
    Forge::new().finish_stream(&scene.bench.repo(), &[], &flags("read", "time travel"));
    let error = common::open(&scene.bench.repo(), &scene.root).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("time travel")), "{error}");
}

#[test]
fn an_old_bigint_time_is_understood() {
    let scene = Scene::new();
    let mut old = item("old", FILE, &[("chunks", Value::List(vec![]))]);
    if let Value::Map(fields) = &mut old {
        fields.retain(|(name, _)| *name != "mtime");
        fields.push(("mtime", bytes((-1_500_000_000_i64).to_le_bytes())));
    }
    assert!(scene.extract(Forge::new(), &[old]).is_clean());
    let data = fs::metadata(scene.root.join("old")).unwrap();
    assert_eq!((data.mtime(), data.mtime_nsec()), (-2, 500_000_000));
}

#[allow(dead_code, reason = "asserts at compile time")]
fn repositories_are_shared_among_threads(repository: Repository, archive: Archive<'_>) {
    fn shared<T: Send + Sync>(_: T) {}
    shared(repository);
    shared(archive);
}
