//! A selection is what borg makes of the same words.

mod common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use common::{Bench, assert_same_below};
use reprise_borg::{Extraction, Kind, Options, Placement, Selection};
use reprise_model::Unobserved;

/// A tree with names that patterns could get wrong.
fn prepared() -> Bench {
    let bench = Bench::with("none");
    let src = bench.src();
    for dir in ["etc/nginx/sites", "etc/nginx.d", "var/log/app", "var/lib/a b", "home/é/deep/deeper"] {
        fs::create_dir_all(src.join(dir)).unwrap();
    }
    for file in [
        "etc/nginx/nginx.conf",
        "etc/nginx/sites/[default]",
        "etc/nginx.d/x",
        "etc/^caret",
        "etc/a-b",
        "etc/back\\slash",
        "var/log/app/app.log",
        "var/log/app/app.log.1",
        "var/log/syslog",
        "var/lib/a b/c d",
        "home/é/ü.txt",
        "home/é/deep/deeper/file.txt",
        "home/é/line\nbreak.log",
        "top.log",
        "x.LOG",
    ] {
        fs::write(src.join(file), file).unwrap();
    }
    fs::write(src.join(OsStr::from_bytes(b"home/odd-\xff\xfe")), "odd").unwrap();
    fs::hard_link(src.join("etc/a-b"), src.join("var/lib/linked")).unwrap();
    fs::hard_link(src.join("etc/a-b"), src.join("var/lib/linked-again")).unwrap();
    let target = format!("{}::a", bench.repo().display());
    bench.borg_in(&src, &["create", &target, "etc", "home", "top.log", "var", "x.LOG"]);
    bench
}

/// Paths and exclusions.
const CASES: &[(&[&str], &[&str])] = &[
    (&[], &[]),
    (&["etc"], &[]),
    (&["/etc/nginx/"], &[]),
    (&["etc/nginx", "var/../var/log"], &["*.log"]),
    (&["etc/ngin"], &[]),
    (&[], &["*.log"]),
    (&[], &["*/"]),
    (&[], &["etc/"]),
    (&[], &["var/*/app*"]),
    (&[], &["sh:var/*/app"]),
    (&[], &["sh:**/*.log"]),
    (&[], &["sh:*.log"]),
    (&[], &["sh:**/deep/**/*.txt"]),
    (&[], &["sh:home/?/*.txt"]),
    (&[], &["sh:home/?"]),
    (&[], &["sh:home/??"]),
    (&[], &["sh:home/odd-??"]),
    (&[], &["fm:home/odd-?"]),
    (&[], &["sh:etc/"]),
    (&[], &["sh:etc/**/"]),
    (&[], &["fm:*[[]default]"]),
    (&[], &["sh:etc/[a-b]-[!a]", "sh:etc/[^x]caret"]),
    (&[], &["sh:etc/*[\\]*"]),
    (&[], &["fm:*[0-9]"]),
    (&[], &["fm:*[z-a]*"]),
    (&[], &["fm:[!a-z]*", "fm:*[]]"]),
    (&[], &["re:\\.log(\\.\\d)?$"]),
    (&[], &["re:^(etc|var)/l?"]),
    (&[], &["re:(?i)\\.log\\Z"]),
    (&[], &["re:line.break"]),
    (&[], &["pp:var/log/app", "pf:top.log"]),
    (&[], &["pf:var/log"]),
    (&["pf:etc", "sh:var/*/s*"], &[]),
    (&["re:nginx", "pf:etc/nginx/nginx.conf"], &["fm:*.conf"]),
    (&["fm:*.conf", "fm:*.log"], &["re:^var"]),
    (&["."], &[]),
    (&["/"], &["pp:etc"]),
];

#[test]
fn what_is_selected_is_what_borg_selects() {
    let bench = prepared();
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let target = format!("{}::a", bench.repo().display());
    for (paths, excludes) in CASES {
        let excluded: Vec<String> = excludes.iter().map(|pattern| format!("--exclude={pattern}")).collect();
        let mut args = vec!["list", "--format", "{path}{NUL}"];
        args.extend(excluded.iter().map(String::as_str));
        args.push(&target);
        args.extend_from_slice(paths);
        let theirs = bench.borg(&args).stdout;
        // Borg shows bytes that are no UTF-8 as question marks.
        let show = |path: &[u8]| String::from_utf8_lossy(path).replace('\u{fffd}', "?");
        let theirs: BTreeSet<String> =
            theirs.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(show).collect();
        let selection = Selection::parse(paths, excludes).unwrap();
        let ours: BTreeSet<String> = archive
            .items()
            .map(|item| item.unwrap().path)
            .filter(|path| selection.includes(path))
            .map(|path| show(&path))
            .collect();
        assert_eq!(ours, theirs, "{paths:?} without {excludes:?} (ours, then theirs)");
    }
}

#[test]
fn what_is_extracted_is_what_borg_extracts() {
    let bench = prepared();
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let target = format!("{}::a", bench.repo().display());
    let cases: [(&[&str], &[&str], usize); 5] = [
        // Both names of a file but not the first.
        (&["var/lib"], &[], 0),
        (&["var/lib", "home"], &["sh:**/deep"], 1),
        (&[], &["*.log"], 2),
        // The first name is stripped away, the others are not.
        (&[], &["etc/nginx*"], 2),
        (&["etc/a-b", "var/lib/linked-again"], &[], 0),
    ];
    for (number, (paths, excludes, strip)) in cases.iter().enumerate() {
        let ours = bench.empty(&format!("ours{number}"));
        let theirs = bench.empty(&format!("theirs{number}"));
        let strip_arg = strip.to_string();
        let excluded: Vec<String> = excludes.iter().map(|pattern| format!("--exclude={pattern}")).collect();
        let mut args = vec!["extract", "--numeric-ids", "--strip-components", &strip_arg];
        args.extend(excluded.iter().map(String::as_str));
        args.push(&target);
        args.extend_from_slice(paths);
        bench.borg_in(&theirs, &args);
        let selection = Selection::parse(paths, excludes).unwrap();
        let extraction = Extraction::of([Placement::of(selection).strip_components(*strip)]);
        let report = archive.extract(&extraction, &ours, &Unobserved).unwrap();
        assert!(report.is_clean() && report.unmatched.is_empty(), "{report:?}");
        // Directories that no item describes get their times from the moment.
        let only_wanted = |root: &std::path::Path| {
            let mut found = common::snapshot(root);
            found.retain(|path, _| {
                let path = root.join(OsStr::from_bytes(path));
                !path.symlink_metadata().unwrap().is_dir() || *strip == 0 && paths.is_empty()
            });
            found
        };
        common::assert_alike(&only_wanted(&ours), &only_wanted(&theirs));
        // Read without being written, it is as much.
        let checked = archive.check(&extraction, &Unobserved).unwrap();
        assert_eq!((checked.items, checked.bytes), (report.items, report.bytes));
    }
}

#[test]
fn everything_selected_by_words_is_everything() {
    let bench = prepared();
    let theirs = bench.borg_extract("a", "theirs");
    let ours = bench.empty("ours");
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let extraction = Extraction::of([Placement::of(Selection::parse(&["re:."], &[]).unwrap())]);
    assert!(archive.extract(&extraction, &ours, &Unobserved).unwrap().is_clean());
    assert_same_below(&ours, &theirs);
}

#[test]
fn paths_that_match_nothing_are_named() {
    let bench = prepared();
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let selection = Selection::parse(&["etc", "etcetera", "sh:*.nothing"], &[]).unwrap();
    let extraction = Extraction::of([Placement::of(selection)]).with(Options::default());
    let missing = ["etcetera", "sh:*.nothing"];
    assert_eq!(archive.check(&extraction, &Unobserved).unwrap().unmatched, missing);
    assert_eq!(archive.extract(&extraction, &bench.empty("out"), &Unobserved).unwrap().unmatched, missing);
    assert_eq!(archive.export_tar(&extraction, std::io::sink(), &Unobserved).unwrap().unmatched, missing);
    let files = archive.items().filter(|item| item.as_ref().unwrap().kind() == Kind::File).count();
    let checked = archive.check(&Extraction::everything(), &Unobserved).unwrap();
    assert!(checked.items > files as u64 && checked.is_clean());
}
