//! A catalogue tells what the items tell: from the archive, from a file, and of archives no Borg would write.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::forge::{CHAR, DIR, FILE, Forge, LINK, Value, bytes, item};
use common::{Bench, noise, open};
use reprise_borg::{Catalogue, Item, Kind, Node, Repository};
use reprise_model::Unobserved;

fn path(catalogue: &Catalogue, node: Node) -> String {
    let mut path = Vec::new();
    catalogue.path(node, &mut path);
    String::from_utf8_lossy(&path).into_owned()
}

/// Everything a catalogue tells, but for the items it decodes again.
fn told(catalogue: &Catalogue) -> Vec<String> {
    let count = u32::try_from(catalogue.node_count()).unwrap();
    let node = |index| {
        let node = catalogue.node(index).unwrap();
        let children: Vec<_> = catalogue.children(node).map(Node::index).collect();
        let entry = catalogue.entry(node);
        let parent = catalogue.parent(node).index();
        format!("{} {parent} {children:?} {entry:?}", path(catalogue, node))
    };
    (0..count).map(node).collect()
}

fn catalogue(repository: &Repository, cache: Option<&Path>) -> Catalogue {
    repository.archive("a").unwrap().catalogue(cache, &Unobserved).unwrap()
}

fn forged(bench: &Bench, items: &[Value]) -> Repository {
    Forge::new().finish(&bench.repo(), items);
    open(&bench.repo(), Path::new("/nowhere")).unwrap()
}

/// Where the catalogue of the archive "a" is kept.
fn kept(cache: &Path, repository: &Repository) -> PathBuf {
    let archive = repository.archive("a").unwrap().info().id;
    cache.join(repository.id().to_string()).join(archive.to_string())
}

#[test]
fn every_item_is_told_as_it_is() {
    let bench = Bench::with("repokey-blake2");
    let src = bench.src();
    for number in 0..3000 {
        let dir = src.join(format!("d{}/e{}", number % 7, number % 31));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("file-{number}")), noise(number, (number % 50) as usize)).unwrap();
    }
    fs::hard_link(src.join("d1/e1/file-1"), src.join("d2/again")).unwrap();
    fs::hard_link(src.join("d1/e1/file-1"), src.join("d3/and-again")).unwrap();
    std::os::unix::fs::symlink("d1", src.join("link")).unwrap();
    let script = "mkfifo pipe; mknod null c 1 3; setfattr -n user.x -v y d1/e1/file-1 2>/dev/null || true";
    let ended = std::process::Command::new("sh").args(["-ec", script]).current_dir(&src).status().unwrap();
    assert!(ended.success());
    bench.create("a", &["--atime"]);
    let repository = bench.open();
    let archive = repository.archive("a").unwrap();
    let catalogue = catalogue(&repository, None);

    let items: Vec<Item> = archive.items().collect::<Result<_, _>>().unwrap();
    assert_eq!(catalogue.len(), items.len());
    for (number, (node, item)) in catalogue.in_order().zip(&items).enumerate() {
        let entry = catalogue.entry(node);
        let mut own = Vec::new();
        catalogue.path(node, &mut own);
        assert_eq!(own, item.path);
        assert_eq!((entry.kind, entry.mode, entry.rdev), (item.kind(), item.mode, item.rdev));
        assert_eq!((entry.uid, entry.gid), (item.uid, item.gid));
        assert_eq!((entry.user, entry.group), (item.user.as_deref(), item.group.as_deref()));
        assert_eq!((entry.mtime, entry.ctime, entry.atime), (item.mtime, item.ctime, item.atime));
        assert_eq!(entry.symlink_target, item.symlink_target());
        assert_eq!(entry.has_xattrs, !item.xattrs.is_empty());
        let size = if item.kind() == Kind::File { item.content_size() } else { 0 };
        assert_eq!(entry.size, size);
        let mut first = Vec::new();
        let is_link = catalogue.link_target(node, &mut first);
        assert_eq!(is_link.then_some(first.as_slice()), item.hard_link_target());
        assert_eq!(catalogue.find(&item.path), Some(node));
        // Items are found again wherever in the stream they lie: at the seams of its chunks too.
        if number % 50 == 0 || is_link {
            let mut whole = catalogue.item(&repository, node).unwrap();
            if is_link {
                let first = entry.first.unwrap();
                assert_eq!(catalogue.entry(first).nlink, 3);
                assert!(whole.chunks.is_some(), "with the content of its first name");
                whole.chunks = None;
            }
            assert_eq!(whole, *item);
        }
    }
    let names: Vec<_> = catalogue.children(catalogue.root()).map(|node| catalogue.entry(node).name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    assert_eq!(names.len(), 10);
    let below: Vec<_> = catalogue.below(catalogue.find(b"d2/e2").unwrap()).collect();
    let expected = items.iter().filter(|item| item.path == b"d2/e2" || item.path.starts_with(b"d2/e2/"));
    assert_eq!(below.len(), expected.count());
}

#[test]
fn what_no_borg_would_write_finds_its_place_or_none() {
    let bench = Bench::new();
    let mut forge = Forge::new();
    let content = forge.content(b"content");
    let linked = |to: &str| [("source", bytes(to))];
    let deep = "d/".repeat(2000) + "end";
    let items = [
        item("late", FILE, &linked("first")),
        item("first", FILE, &[("chunks", content.clone()), ("hardlink_master", Value::True)]),
        item("early", FILE, &linked("./first")),
        item("of-a-link", FILE, &linked("early")),
        item("to-nothing", FILE, &linked("nowhere")),
        item("to-a-directory", FILE, &linked("dir")),
        item("to-itself", FILE, &linked("to-itself")),
        item("/etc/passwd", FILE, &[]),
        item("a/../../b", FILE, &[]),
        item("nul\0byte", FILE, &[]),
        item("", DIR, &[]),
        item("x/./y//z/", DIR, &[]),
        item("both", FILE, &[("chunks", content)]),
        item("both/child", FILE, &[]),
        item("twice", LINK, &linked("target")),
        item("twice", DIR, &[]),
        item("dir/in", CHAR, &[("rdev", Value::Int(259))]),
        item("old", FILE, &[("birthtime", Value::Int(-5)), ("atime", bytes([0xff; 9]))]),
        item(&deep, FILE, &[]),
    ];
    forge.finish(&bench.repo(), &items);
    let repository = open(&bench.repo(), Path::new("/nowhere")).unwrap();
    let catalogue = catalogue(&repository, None);

    assert_eq!(catalogue.len(), items.len());
    let recorded: Vec<_> = repository.archive("a").unwrap().items().map(|item| item.unwrap().path).collect();
    let listed: Vec<_> = catalogue.in_order().map(|node| path(&catalogue, node).into_bytes()).collect();
    assert_eq!(listed, recorded);
    let at = |path: &str| catalogue.find(path.as_bytes()).map(|node| (node, catalogue.entry(node)));
    let first = at("first").unwrap();
    // Only names that come after the first are names of it, as in an extraction.
    assert_eq!(first.1.nlink, 3);
    for (name, leads) in [
        ("late", None),
        ("early", Some(first.0)),
        ("of-a-link", Some(first.0)),
        ("to-nothing", None),
        ("to-a-directory", None),
        ("to-itself", None),
    ] {
        let (node, entry) = at(name).unwrap();
        assert!(entry.is_link, "{name}");
        assert_eq!(entry.first, leads, "{name}");
        assert_eq!(catalogue.item(&repository, node).unwrap().chunks.is_some(), leads.is_some(), "{name}");
    }
    let mut target = Vec::new();
    assert!(catalogue.link_target(at("early").unwrap().0, &mut target));
    assert_eq!(target, b"./first", "as the archive tells it");

    for nowhere in ["etc", "etc/passwd", "b", "a", "nul\0byte", "/etc/passwd", "a/../../b", ".."] {
        assert!(at(nowhere).is_none(), "{nowhere}");
    }
    assert_eq!(at(".").unwrap().0, catalogue.root());
    assert!(!at("").unwrap().1.implicit);
    assert!(at("x").unwrap().1.implicit && at("x/y").unwrap().1.implicit && !at("x/y/z").unwrap().1.implicit);
    assert_eq!(path(&catalogue, at("x/y").unwrap().0), "x/y");
    assert_eq!(at("both").unwrap().1.kind, Kind::File);
    assert!(at("both/child").is_some());
    let twice = at("twice").unwrap();
    assert_eq!(twice.1.kind, Kind::Directory, "the last one counts");
    assert_eq!(catalogue.below(twice.0).count(), 2, "the list has both");
    assert_eq!(catalogue.in_order().filter(|node| !catalogue.is_placed(*node)).count(), 4);
    assert!(at("dir").unwrap().1.implicit);
    assert_eq!(at("dir/in").unwrap().1.rdev, 259);
    let (old, end) = (at("old").unwrap().1, at(&deep).unwrap().1);
    assert_eq!((old.birthtime, old.atime, end.name), (Some(-5), Some(-1), &b"end"[..]));
    assert_eq!(catalogue.item(&repository, at("x/y").unwrap().0).unwrap().path, b"x/y");
}

#[test]
fn a_directory_can_have_very_many_children() {
    let bench = Bench::new();
    // Backwards, so that sorting has something to do.
    let items: Vec<_> = (0..30_000).rev().map(|n| item(format!("all/{n:05}"), FILE, &[])).collect();
    let repository = forged(&bench, &items);
    let catalogue = catalogue(&repository, None);
    let all = catalogue.find(b"all").unwrap();
    assert!(catalogue.children(all).map(|child| catalogue.entry(child).name).is_sorted());
    assert_eq!(catalogue.children(all).len(), 30_000);
    let child = catalogue.child(all, b"12345").unwrap();
    assert_eq!((path(&catalogue, child).as_str(), catalogue.parent(child)), ("all/12345", all));
    assert_eq!(catalogue.child(all, b"123456"), None);
}

#[test]
fn a_kept_catalogue_is_used_only_if_every_bit_is_right() {
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("file"), "content").unwrap();
    bench.create("a", &[]);
    bench.create("b", &["--comment", "another"]);
    let repository = bench.open();
    let cache = bench.path("cache");
    let fresh = told(&catalogue(&repository, Some(&cache)));
    let file = kept(&cache, &repository);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(&cache), 0o700);
    let sound = fs::read(&file).unwrap();
    assert!(!sound.windows(4).any(|bytes| bytes == b"file"), "names are as secret as in the repository");

    // A sound one is used: it is not written again.
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let before = inode(&file);
    assert_eq!(told(&catalogue(&repository, Some(&cache))), fresh);
    assert_eq!(inode(&file), before);

    let is_made_again = |content: &[u8], what: &str| {
        fs::write(&file, content).unwrap();
        assert_eq!(told(&catalogue(&repository, Some(&cache))), fresh, "{what}");
        assert_ne!(fs::read(&file).unwrap(), content, "{what}");
    };
    for at in 0..sound.len() {
        let mut flipped = sound.clone();
        flipped[at] ^= 1 << (at % 8);
        is_made_again(&flipped, &format!("flipped at {at}"));
    }
    for length in [0, 1, 30, 31, sound.len() / 2, sound.len() - 1] {
        is_made_again(&sound[..length], &format!("cut at {length}"));
    }
    is_made_again(&[&sound[..], b"x"].concat(), "with more at its end");
    let other = repository.archive("b").unwrap();
    other.catalogue(Some(&cache), &Unobserved).unwrap();
    let other = fs::read(file.with_file_name(other.info().id.to_string())).unwrap();
    is_made_again(&other, "that of another archive");
    let bench = Bench::with("repokey");
    fs::write(bench.src().join("file"), "content").unwrap();
    bench.create("a", &[]);
    let elsewhere = bench.open();
    catalogue(&elsewhere, Some(&cache));
    is_made_again(&fs::read(kept(&cache, &elsewhere)).unwrap(), "sealed with another key");
}

#[test]
fn catalogues_of_archives_that_are_gone_go_too() {
    let bench = Bench::with("none");
    fs::write(bench.src().join("file"), "content").unwrap();
    bench.create("a", &[]);
    let cache = bench.path("cache");
    let gone = {
        let repository = bench.open();
        catalogue(&repository, Some(&cache));
        kept(&cache, &repository)
    };
    bench.borg(&["delete", &format!("{}::a", bench.repo().display())]);
    fs::write(bench.src().join("file"), "other content").unwrap();
    bench.create("a", &[]);
    let unfinished = gone.with_extension("0123.new");
    fs::write(&unfinished, "half").unwrap();
    let repository = bench.open();
    catalogue(&repository, Some(&cache));
    assert!(kept(&cache, &repository).exists());
    assert!(!gone.exists());
    assert!(unfinished.exists(), "somebody may be at work on it");
}

#[test]
fn a_cache_that_others_can_write_to_is_left_alone() {
    let bench = Bench::new();
    let repository = forged(&bench, &[item("file", FILE, &[])]);
    let open_to_all = bench.empty("open");
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o777)).unwrap();
    let foreign = bench.empty("foreign");
    std::os::unix::fs::chown(&foreign, Some(12345), None).unwrap();
    let link = bench.path("link");
    fs::create_dir(bench.path("linked")).unwrap();
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink(bench.path("linked"), link.join(repository.id().to_string())).unwrap();
    let in_foreign = foreign.join("cache");
    for cache in [&open_to_all, &foreign, &in_foreign, &bench.path("linked/file/no/directory"), &link] {
        if cache.starts_with(bench.path("linked")) {
            fs::write(bench.path("linked/file"), "").unwrap();
        }
        assert_eq!(catalogue(&repository, Some(cache)).len(), 1);
        assert!(!kept(cache, &repository).exists());
    }
    assert_eq!(fs::read_dir(&open_to_all).unwrap().count() + fs::read_dir(&foreign).unwrap().count(), 0);
}

#[test]
fn only_a_directory_can_be_the_root() {
    let bench = Bench::new();
    let forged = forged(&bench, &[item("d/file", FILE, &[]), item(".", FILE, &[]), item("./", CHAR, &[])]);
    let catalogue = catalogue(&forged, None);
    let root = catalogue.entry(catalogue.root());
    assert_eq!(root.kind, Kind::Directory);
    assert!(root.implicit);
    let file = catalogue.find(b"d/file").map(|node| catalogue.entry(node).kind);
    assert_eq!(file, Some(Kind::File));
    assert_eq!(catalogue.len(), 3, "what is refused is listed all the same");
}

#[test]
fn many_at_once_keep_one_whole_catalogue() {
    let bench = Bench::new();
    let items: Vec<_> = (0..5000).map(|n| item(format!("d{}/f{n}", n % 9), FILE, &[])).collect();
    let repository = forged(&bench, &items);
    let cache = bench.path("cache");
    let fresh = told(&catalogue(&repository, None));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(told(&catalogue(&repository, Some(&cache))), fresh));
        }
    });
    let files = fs::read_dir(kept(&cache, &repository).parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1);
    assert_eq!(told(&catalogue(&repository, Some(&cache))), fresh);
}

#[test]
fn lost_metadata_is_told_and_such_a_catalogue_is_not_kept() {
    let bench = Bench::with("none");
    // So much metadata that it cannot be one chunk, which is half a megabyte at most.
    let padding = "x".repeat(200);
    for number in 0..3000 {
        fs::write(bench.src().join(format!("file-{number:04}-{padding}")), "").unwrap();
    }
    bench.create("a", &["--compression", "none"]);
    let order: Vec<_> = {
        let repository = bench.open();
        let items = repository.archive("a").unwrap().items();
        items.map(|item| item.unwrap().path).collect()
    };
    let damaged = &order[order.len() - 10];
    let found = fs::read_dir(bench.repo().join("data/0")).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let mut content = fs::read(&path).unwrap();
        let at = content.windows(damaged.len()).position(|window| window == *damaged)?;
        content[at] ^= 1;
        fs::write(&path, content).unwrap();
        Some(())
    });
    assert!(found.is_some());
    let repository = bench.open();
    let cache = bench.path("cache");
    let catalogue = catalogue(&repository, Some(&cache));
    assert_eq!(catalogue.lost().len(), 1);
    assert!(catalogue.find(&order[10]).is_some(), "what is left is there");
    assert!(catalogue.find(damaged).is_none());
    assert!(!kept(&cache, &repository).exists());
}
