//! What we list is what borg lists: archives, their descriptions, and their items.

mod common;

use std::fs;

use common::{Bench, noise};
use reprise_borg::{Error, Kind, Tam};
use reprise_model::Unobserved;
use serde_json::Value;

fn json(bench: &Bench, args: &[&str]) -> Value {
    serde_json::from_slice(&bench.borg(args).stdout).unwrap()
}

#[test]
fn archives_are_listed_and_described_as_borg_does() {
    let bench = Bench::with("repokey");
    let repo = bench.repo().display().to_string();
    fs::write(bench.src().join("a"), noise(1, 2_000_000)).unwrap();
    fs::write(bench.src().join("b"), "text ".repeat(10_000)).unwrap();
    bench.create("second", &["--timestamp", "2020-02-02T02:02:02", "--comment", "größer\nand longer"]);
    fs::write(bench.src().join("b"), noise(2, 300_000)).unwrap();
    bench.create("first", &["--timestamp", "2010-01-01T01:01:01"]);
    let repository = bench.open();

    let names: Vec<_> = repository.archives().iter().map(|archive| archive.name.as_str()).collect();
    assert_eq!(names, ["first", "second"], "oldest first");
    assert_eq!(repository.archives()[0].time, "2010-01-01T01:01:01.000000");
    assert!(repository.is_manifest_authenticated());
    assert_eq!(repository.encryption().name(), "repokey");
    let listed = json(&bench, &["list", "--json", &repo]);
    assert_eq!(listed["repository"]["id"], repository.id().to_string());

    for name in names {
        let described = json(&bench, &["info", "--json", &format!("{repo}::{name}")]);
        let described = &described["archives"][0];
        let archive = repository.archive(name).unwrap();
        let info = archive.info();
        let stats = info.stats.unwrap();
        assert_eq!(described["id"], info.id.to_string());
        assert_eq!(described["hostname"], info.hostname);
        assert_eq!(described["username"], info.username);
        assert_eq!(described["comment"], info.comment);
        assert_eq!(described["command_line"], serde_json::json!(info.command_line));
        // Borg shows local time (UTC here) without fractions.
        assert_eq!(described["start"].as_str().unwrap()[..19], info.start[..19]);
        assert_eq!(described["end"].as_str().unwrap()[..19], info.end[..19]);
        assert_eq!(described["stats"]["nfiles"], stats.nfiles);
        assert_eq!(described["stats"]["original_size"], stats.original);
        assert_eq!(described["stats"]["compressed_size"], stats.compressed);
        let deduplicated = archive.deduplicated_size(&Unobserved).unwrap();
        assert_eq!(described["stats"]["deduplicated_size"], deduplicated, "{name}");
        assert!(matches!(info.tam, Tam::Verified | Tam::Absent));
    }
    assert!(matches!(repository.archive("third"), Err(Error::NoSuchArchive { name }) if name == "third"));
}

#[test]
fn items_are_those_borg_lists() {
    let bench = Bench::with("repokey-blake2");
    let src = bench.src();
    for number in 0..3000 {
        let dir = src.join(format!("d{}", number % 37));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("file-{number}")), noise(number, (number % 50) as usize)).unwrap();
    }
    fs::hard_link(src.join("d1/file-1"), src.join("d2/again")).unwrap();
    std::os::unix::fs::symlink("d1", src.join("link")).unwrap();
    bench.create("a", &[]);

    let listed = bench.borg(&["list", "--json-lines", &format!("{}::a", bench.repo().display())]).stdout;
    let listed: Vec<Value> =
        listed.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let items: Vec<_> = archive.items().collect::<Result<_, _>>().unwrap();
    assert_eq!(items.len(), listed.len());
    for (item, line) in items.iter().zip(&listed) {
        assert_eq!(line["path"], *String::from_utf8_lossy(&item.path));
        assert_eq!(line["uid"], item.uid.unwrap());
        assert_eq!(line["gid"], item.gid.unwrap());
        assert_eq!(line["user"].as_str().map(str::as_bytes), item.user.as_deref());
        let kind = match item.kind() {
            Kind::File => "-",
            Kind::Directory => "d",
            Kind::Symlink => "l",
            other => panic!("{other:?}"),
        };
        assert_eq!(line["type"], kind);
        // For further names of a file borg lists no size.
        if item.kind() == Kind::File && item.hard_link_target().is_none() {
            assert_eq!(line["size"], item.content_size());
        }
    }
}

#[test]
fn checkpoints_are_marked_and_parts_of_files_hidden() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("big"), noise(3, 30_000_000)).unwrap();
    bench.create("web.checkpoint", &[]);
    let target = format!("{}::web", bench.repo().display());
    // A rate limit makes it slow enough for checkpoints to be due.
    bench.borg_in(
        &bench.src(),
        &["create", "--checkpoint-interval", "1", "--upload-ratelimit", "20000", &target, "."],
    );
    let repository = bench.open();
    let checkpoints: Vec<_> =
        repository.archives().iter().map(|archive| (archive.name.as_str(), archive.checkpoint)).collect();
    assert_eq!(checkpoints, [("web.checkpoint", true), ("web", false)]);
    let items = repository.archive("web").unwrap().items().map(|item| item.unwrap().path);
    assert_eq!(items.collect::<Vec<_>>(), [b".".to_vec(), b"big".to_vec()]);
}

#[test]
fn single_files_are_read_whole_or_in_part_up_to_a_limit() {
    let bench = Bench::with("repokey");
    let content = noise(5, 6_000_000);
    fs::write(bench.src().join("large"), &content).unwrap();
    fs::hard_link(bench.src().join("large"), bench.src().join("z-other-name")).unwrap();
    fs::write(bench.src().join("compose.yaml"), "services: {}\n").unwrap();
    bench.create("a", &["--chunker-params", "buzhash,16,20,18,4095"]);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();

    let compose = archive.find(b"compose.yaml").unwrap();
    assert_eq!(archive.read_all(&compose, 1 << 20).unwrap(), b"services: {}\n");
    let large = archive.find(b"large").unwrap();
    assert!(large.chunks.as_ref().unwrap().len() > 5, "several chunks");
    assert!(matches!(archive.read_all(&large, 1000), Err(Error::TooLarge { size: 6_000_000, limit: 1000 })));
    for (from, to) in
        [(0, 1), (5_999_999, 6_000_000), (1_234_567, 4_567_890), (0, 0), (77, 77), (5_000_000, 9_000_000)]
    {
        let end = (to as usize).min(content.len());
        assert_eq!(archive.read(&large, from..to).unwrap(), content[from as usize..end], "{from}..{to}");
    }
    assert_eq!(archive.read(&large, 7_000_000..8_000_000).unwrap(), b"");

    // A further name of a file has its content, found with or without help.
    let other = archive.find(b"z-other-name").unwrap();
    assert_eq!(archive.read_all(&other, u64::MAX).unwrap(), content);
    let bare = archive.items().map(Result::unwrap).find(|item| item.path == b"z-other-name").unwrap();
    assert_eq!(archive.read(&bare, 10..20).unwrap(), content[10..20]);

    let dir = archive.find(b".").unwrap();
    assert!(matches!(archive.read(&dir, 0..1), Err(Error::Invalid { .. })));
    assert!(matches!(archive.find(b"nothing"), Err(Error::NoSuchPath { path }) if path == b"nothing"));
}

#[test]
fn directories_tell_what_they_hold_and_what_is_theirs_alone() {
    let bench = Bench::with("repokey");
    let src = bench.src();
    fs::create_dir_all(src.join("www/cache")).unwrap();
    fs::create_dir_all(src.join("empty")).unwrap();
    fs::write(src.join("www/old"), noise(1, 400_000)).unwrap();
    fs::hard_link(src.join("www/old"), src.join("www/same")).unwrap();
    bench.create("before", &[]);
    fs::write(src.join("www/cache/new"), noise(2, 300_000)).unwrap();
    fs::write(src.join("top"), noise(2, 300_000)).unwrap();
    bench.create("a", &[]);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();

    let told = |depth| {
        let all = archive.directories(depth, &Unobserved).unwrap();
        let facts = all.into_iter().map(|size| {
            (
                String::from_utf8(size.path).unwrap(),
                size.files,
                size.original,
                size.stored > size.original,
                size.unique,
            )
        });
        facts.collect::<Vec<_>>()
    };
    let all = told(2);
    let paths: Vec<_> =
        all.iter().map(|(path, files, original, ..)| (path.as_str(), *files, *original)).collect();
    assert_eq!(
        paths,
        [("", 4, 1_000_000), ("empty", 0, 0), ("www", 3, 700_000), ("www/cache", 1, 300_000)],
        "with what is below"
    );
    // Noise takes a little more than its size; what both new files hold is there once.
    assert!(all[0].3);
    assert!((300_000..310_000).contains(&all[0].4), "{all:?}");
    let in_one_place = all[3].4;
    assert!(in_one_place == 0 || in_one_place == all[0].4, "{all:?}");
    assert_eq!(told(1).len(), 3);
    assert_eq!(told(0), all[..1]);
}
