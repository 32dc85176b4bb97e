//! Items that are easily got wrong: several names of one file in parts of an archive, times, owners without names, attributes that a
//! file system refuses, fields of old programs. See README.md beside this for borg's own tests of these.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::forge::{DIR, FILE, Forge, Value, bytes, item};
use common::mounted::Mounted;
use common::{Bench, assert_same_below, noise};
use reprise_borg::{
    Attribute, Error, Extraction, Options, Owners, Placement, ProblemKind, Report, Selection,
};
use reprise_model::Unobserved;

fn forged(bench: &Bench, forge: Forge, items: &[Value]) -> (PathBuf, Report) {
    forge.finish(&bench.repo(), items);
    let root = bench.empty("root");
    let repository = common::open(&bench.repo(), &bench.path("none")).unwrap();
    let archive = repository.archive("a").unwrap();
    let report = archive.extract(&Extraction::everything(), &root, &Unobserved).unwrap();
    (root, report)
}

/// Files with several names, in directories of which the first name of some is in none of the others.
fn linked(src: &Path) {
    for dir in ["a", "b", "b/deep", "c"] {
        fs::create_dir_all(src.join(dir)).unwrap();
    }
    fs::write(src.join("a/first"), noise(1, 100_000)).unwrap();
    for name in ["a/second", "b/third", "b/deep/fourth", "c/fifth"] {
        fs::hard_link(src.join("a/first"), src.join(name)).unwrap();
    }
    fs::write(src.join("b/own"), "other content").unwrap();
    fs::hard_link(src.join("b/own"), src.join("c/own-too")).unwrap();
    fs::write(src.join("c/alone"), "alone").unwrap();
    symlink("first", src.join("a/symbolic")).unwrap();
}

#[test]
fn several_names_of_a_file_come_out_as_borg_has_them_whatever_part_is_taken() {
    let bench = Bench::with("repokey");
    linked(&bench.src());
    bench.create("a", &[]);
    let target = format!("{}::a", bench.repo().display());
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let parts: [(&[&str], &[&str]); 6] = [
        (&[], &[]),
        (&["b"], &[]),
        (&["a/second", "c/own-too"], &[]),
        (&[], &["pp:a/first"]),
        (&[], &["sh:*/own*", "pp:a"]),
        (&["c", "b/third"], &["pp:c/alone"]),
    ];
    for (number, (paths, excludes)) in parts.into_iter().enumerate() {
        for strip in [0, 1] {
            let theirs = bench.empty(&format!("theirs{number}-{strip}"));
            let mut args = vec!["extract".to_owned(), "--strip-components".into(), strip.to_string()];
            args.extend(excludes.iter().flat_map(|exclude| ["--exclude".to_owned(), (*exclude).to_owned()]));
            args.push(target.clone());
            args.extend(paths.iter().map(|path| (*path).to_owned()));
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            bench.borg_in(&theirs, &args);
            let ours = bench.empty(&format!("ours{number}-{strip}"));
            let selection = Selection::parse(paths, excludes).unwrap();
            let extraction = Extraction::of([Placement::of(selection).strip_components(strip)]);
            let report = archive.extract(&extraction, &ours, &Unobserved).unwrap();
            assert!(report.is_clean(), "{paths:?} {excludes:?} {strip}: {:?}", report.problems);
            // Directories that are not asked for themselves have the time at which they were made.
            let [ours, theirs] = [&ours, &theirs].map(|root| {
                let mut found = common::snapshot(root);
                for facts in found.values_mut().filter(|facts| facts.starts_with("mode 40")) {
                    "a directory".clone_into(facts);
                }
                found
            });
            common::assert_alike(&ours, &theirs);
        }
    }
}

#[test]
fn what_was_backed_up_twice_in_one_archive_comes_out_once() {
    let bench = Bench::with("none");
    linked(&bench.src());
    let target = format!("{}::a", bench.repo().display());
    bench.borg_in(&bench.src(), &["create", &target, "a", "b", "a", "b/third"]);
    let theirs = bench.borg_extract("a", "theirs");
    let ours = bench.empty("ours");
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    for _ in 0..2 {
        // Over what the first time left, too.
        let report = archive.extract(&Extraction::everything(), &ours, &Unobserved).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        assert_same_below(&ours, &theirs);
    }
}

#[test]
fn capabilities_and_set_id_bits_survive_a_change_of_owner() {
    let bench = Bench::with("none");
    let src = bench.src();
    fs::write(src.join("tool"), "#!/bin/sh").unwrap();
    chown(src.join("tool"), Some(1234), Some(5678)).unwrap();
    let script =
        "chmod 6755 tool; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 tool";
    assert!(Command::new("sh").args(["-ec", script]).current_dir(&src).status().unwrap().success());
    bench.create("a", &[]);
    let theirs = bench.borg_extract("a", "theirs");
    let ours = bench.empty("ours");
    let report =
        bench.open().archive("a").unwrap().extract(&Extraction::everything(), &ours, &Unobserved).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_same_below(&ours, &theirs);
    let shown = common::snapshot(&ours);
    assert!(
        shown[&b"tool"[..]].contains("security.capability") && shown[&b"tool"[..]].contains("mode 106755")
    );
}

#[test]
fn attributes_that_cannot_be_set_are_told_and_the_file_is_whole() {
    let bench = Bench::new();
    let mut forge = Forge::new();
    let xattrs = Value::Named(vec![
        (b"user.fine".to_vec(), bytes("1")),
        (b"user.large".to_vec(), bytes(vec![1; 70_000])),
        (b"nonsense".to_vec(), bytes("no namespace")),
        (vec![b'x'; 300], bytes("a long name")),
        (b"".to_vec(), bytes("no name")),
        (b"user.also-fine".to_vec(), Value::Nil),
    ]);
    let acl = bytes("user::rw-\nuser:nobody-of-this-name:rwx\n");
    let fields = [("chunks", forge.content(b"whole")), ("xattrs", xattrs), ("acl_access", acl)];
    let (root, report) = forged(&bench, forge, &[item("f", FILE, &fields), item("after", FILE, &[])]);
    assert_eq!(fs::read(root.join("f")).unwrap(), b"whole");
    assert!(root.join("after").exists());
    let mut told: Vec<_> = report
        .problems
        .iter()
        .map(|problem| match &problem.kind {
            ProblemKind::Attribute { attribute: Attribute::Xattr(name), .. } => name.len(),
            ProblemKind::Attribute { attribute: Attribute::Acl, .. } => 1000,
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [0, "nonsense".len(), "user.large".len(), 300, 1000]);
    assert_eq!(report.losses().count(), 0, "no content is lost");
    let shown = common::snapshot(&root);
    assert!(shown[&b"f"[..]].contains(r#"("user.also-fine", []), ("user.fine", [49])"#), "{shown:?}");
}

/// Takes all the room in `directory`, down to the last block.
fn fill(directory: &Path) {
    let mut filler = fs::File::create(directory.join("filler")).unwrap();
    for size in [1 << 16, 1 << 10] {
        while filler.write_all(&vec![1; size]).and_then(|()| filler.sync_data()).is_ok() {}
    }
}

#[test]
fn no_space_for_an_attribute_ends_the_extraction_and_one_too_large_for_the_file_system_does_not() {
    let bench = Bench::new();
    let with = |name: &str, size| {
        let xattrs = Value::Named(vec![(b"user.a".to_vec(), bytes(vec![b'x'; size]))]);
        item(name, FILE, &[("xattrs", xattrs)])
    };
    Forge::new().finish(&bench.repo(), &[with("large", 5000), with("small", 500)]);
    let repository = common::open(&bench.repo(), &bench.path("none")).unwrap();
    let archive = repository.archive("a").unwrap();
    // Without room for attributes in its inodes, and without a journal: what was removed is free at once.
    let make = ["mkfs.ext4", "-qb", "1024", "-I", "128", "-m", "0", "-O", "^has_journal"];
    let disk = Mounted::made(&bench, &make, 4);

    let report = archive.extract(&Extraction::everything(), &disk.0, &Unobserved).unwrap();
    let told: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["large: the extended attribute user.a cannot be set: it is too large for this file system"]
    );

    for name in ["large", "small"] {
        let there = disk.0.join(name);
        let extract = |only_changed| {
            let options = Options { only_changed, ..Options::default() };
            let only = Extraction::of([Placement::of(Selection::parse(&[name], &[]).unwrap())]).with(options);
            let ended = archive.extract(&only, &disk.0, &Unobserved);
            let error = ended.expect_err(&format!("{name}, only what changed: {only_changed}"));
            assert!(matches!(error, Error::DestinationFull { .. }), "{error}");
        };
        // With the same attribute it would share its block.
        let _ = fs::remove_file(disk.0.join("filler"));
        fs::remove_file(&there).unwrap();
        fs::write(&there, "what was there").unwrap();
        fill(&disk.0);
        extract(true);
        assert_eq!(fs::read_to_string(&there).unwrap(), "what was there");
        fs::remove_file(&there).unwrap();
        fill(&disk.0);
        extract(false);
    }
}

#[test]
fn what_is_mounted_read_only_below_the_target_is_told_and_the_rest_is_set() {
    let bench = Bench::new();
    let root = bench.empty("root");
    let dirs = ["app", "cd", "other"].map(|name| item(name, DIR, &[]));
    Forge::new().finish(&bench.repo(), &dirs);
    fs::create_dir(root.join("cd")).unwrap();
    let _disk = Mounted::at(&root.join("cd"), &["-t", "tmpfs", "-o", "ro", "none"]);
    let repository = common::open(&bench.repo(), &bench.path("none")).unwrap();
    let archive = repository.archive("a").unwrap();
    let report = archive.extract(&Extraction::everything(), &root, &Unobserved).unwrap();
    assert!(!report.is_clean());
    assert!(report.problems.iter().all(|problem| problem.path == b"cd" && !problem.is_loss()), "{report:?}");
    for name in ["app", "other"] {
        assert_eq!(fs::metadata(root.join(name)).unwrap().mtime(), 1, "{name}");
    }
}

#[test]
fn owners_without_names_are_taken_by_number() {
    let bench = Bench::new();
    let nameless =
        [("user", Value::Nil), ("group", Value::Nil), ("uid", Value::Int(1234)), ("gid", Value::Int(5678))];
    // Numbers that Linux cannot set leave whom it is extracted by.
    let beyond = [("user", Value::Nil), ("uid", Value::Int(-1)), ("gid", Value::Int(1 << 40))];
    let odd = [("user", bytes(b"\xff\xfe")), ("group", bytes("")), ("uid", Value::Int(1))];
    // The later of two fields of a name counts.
    let items = [item("n", FILE, &nameless), item("b", FILE, &beyond), item("o", FILE, &odd)];
    Forge::new().finish(&bench.repo(), &items);
    let repository = common::open(&bench.repo(), &bench.path("none")).unwrap();
    let archive = repository.archive("a").unwrap();
    for owners in [Owners::ByName, Owners::Numeric] {
        let root = bench.empty(&format!("{owners:?}"));
        let options = Options { owners, ..Options::default() };
        let report = archive.extract(&Extraction::everything().with(options), &root, &Unobserved).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        let owner = |name: &str| {
            let data = fs::metadata(root.join(name)).unwrap();
            (data.uid(), data.gid())
        };
        assert_eq!((owner("n"), owner("b"), owner("o")), ((1234, 5678), (0, 0), (1, 0)), "{owners:?}");
    }
    let listed: Vec<_> = archive.items().map(Result::unwrap).map(|item| (item.uid, item.user)).collect();
    assert_eq!(listed[0], (Some(1234), None));
    assert_eq!(listed[1], (None, None));
    assert_eq!(listed[2], (Some(1), Some(b"\xff\xfe".to_vec())));
}

#[test]
fn times_of_access_and_birth_are_told_and_restored_as_far_as_linux_can() {
    let bench = Bench::new();
    let times = [
        ("atime", Value::Int(5_000_000_007)),
        ("ctime", Value::Int(6_000_000_000)),
        ("birthtime", Value::Int(-7_000_000_001)),
    ];
    let mut forge = Forge::new();
    let content = ("chunks", forge.content(b"x"));
    let before_1970 = [content.clone(), ("atime", bytes((-1_i64).to_le_bytes()))];
    let (root, report) = forged(
        &bench,
        forge,
        &[
            item("d", DIR, &times),
            item("d/f", FILE, &[&times[..], &[content]].concat()),
            item("old", FILE, &before_1970),
        ],
    );
    assert!(report.is_clean(), "{:?}", report.problems);
    for name in ["d", "d/f"] {
        let data = fs::symlink_metadata(root.join(name)).unwrap();
        assert_eq!((data.atime(), data.atime_nsec(), data.mtime()), (5, 7, 1), "{name}");
    }
    let old = fs::symlink_metadata(root.join("old")).unwrap();
    assert_eq!((old.atime(), old.atime_nsec()), (-1, 999_999_999));
    let repository = common::open(&bench.repo(), &bench.path("none")).unwrap();
    let told = repository.archive("a").unwrap().find(b"d/f").unwrap();
    assert_eq!(
        (told.atime, told.ctime, told.birthtime),
        (Some(5_000_000_007), Some(6_000_000_000), Some(-7_000_000_001))
    );
}

#[test]
fn fields_of_old_and_later_programs_are_passed_over() {
    let bench = Bench::new();
    let mut forge = Forge::new();
    let fields = [
        // Attic 0.13 wrote ACLs under this name, of which borg warns and makes nothing.
        ("acl", bytes("user::rwx\nuser:1234:rwx:1234\n")),
        ("something-new", Value::Map(vec![("a", Value::List(vec![Value::True, Value::Nil]))])),
        ("chunks", forge.content(b"x")),
    ];
    let (root, report) = forged(&bench, forge, &[item("f", FILE, &fields)]);
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(fs::read(root.join("f")).unwrap(), b"x");
    assert!(common::snapshot(&root)[&b"f"[..]].contains("xattrs []"), "no ACL");
}
