//! What we extract is what borg extracts, over every encryption and compression and every kind of item.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Bench, assert_same, assert_same_below, borg_1_4, locate, noise};
use reprise_borg::{Archive, Extraction, Item, Options, Owners, Tam};
use reprise_model::Unobserved;
use serde_json::Value;

fn run(cwd: &Path, command: &str) {
    let output = Command::new("sh").arg("-ec").arg(command).current_dir(cwd).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One of everything. Content is another for each seed: what a repository holds already is not compressed again.
fn build(src: &Path, seed: u64) {
    fs::create_dir_all(src.join("dir/sub")).unwrap();
    fs::write(src.join("dir/large"), noise(seed, 400_000)).unwrap();
    fs::write(src.join("dir/text"), format!("line {seed} again\n").repeat(60_000)).unwrap();
    let mut zeros = vec![0; 1_000_000];
    zeros[0] = seed as u8;
    fs::write(src.join("dir/zeros"), zeros).unwrap();
    fs::write(src.join("dir/empty"), "").unwrap();
    fs::write(src.join("dir/copy"), noise(seed, 400_000)).unwrap();
    for number in 0..20 {
        fs::write(src.join(format!("dir/sub/small-{number}")), noise(seed + number, 700)).unwrap();
    }
    fs::hard_link(src.join("dir/text"), src.join("dir/sub/text-again")).unwrap();
    fs::hard_link(src.join("dir/text"), src.join("another-name")).unwrap();
    symlink("dir/text", src.join("link")).unwrap();
    symlink("/nowhere/at/all", src.join("dangling")).unwrap();
    fs::write(src.join(std::ffi::OsStr::from_bytes(b"bytes-\xff\xfe")), "not UTF-8").unwrap();
    fs::write(src.join("\u{201e}quoted\u{201c}\nname"), "odd").unwrap();
    fs::write(src.join("n".repeat(255)), format!("long {seed}")).unwrap();
    fs::create_dir_all(src.join("deep/".repeat(60))).unwrap();
    run(
        src,
        "mkfifo pipe; ln pipe pipe-again; mknod null c 1 3; mknod disk b 7 200; ln null null-again
         chown 1234:5678 pipe null dir/empty; chown -h 4321:8765 link; chown 99:98 dir/sub
         setfattr -n user.comment -v hello dir/empty; setfattr -n user.nothing dir/empty
         setfattr -n user.dir -v yes dir/sub
         setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 dir/large
         setfacl -m u:1234:rwx,g:5678:r-x dir/empty; setfacl -d -m u:77:r-x,g:root:rwx dir/sub
         touch -d '1999-12-31 23:59:58.123456789Z' dir/empty; touch -h -d '2001-02-03 04:05:06.700000001Z' link
         touch -d '2037-12-01 00:00:00.000000001Z' pipe
         cp dir/empty setuid; chown 33:33 setuid; chmod 6755 setuid; chmod 1777 dir; chmod 0500 dir/sub
         chattr +d dir/copy
         touch -d '2010-10-10 10:10:10.101010101Z' dir/sub dir .",
    );
    fs::set_permissions(src.join("dir/text"), fs::Permissions::from_mode(0o000)).unwrap();
}

/// How much each writes in front of what it compressed. What does not get smaller, lz4 and zlib leave as it is.
const COMPRESSIONS: [(&str, [u8; 2]); 7] = [
    ("none", [0, 0]),
    ("lz4", [1, 0]),
    ("zstd,3", [3, 0]),
    ("zlib,6", [0x78, 0x9c]),
    ("lzma,0", [2, 0]),
    ("auto,zstd", [3, 0]),
    ("obfuscate,3,zstd,3", [4, 0]),
];

/// Every compression, in one repository: trees, lists and tar streams.
fn compare(encryption: &str) {
    compare_with("borg", encryption, &COMPRESSIONS);
}

fn compare_with(borg: &str, encryption: &str, compressions: &[(&str, [u8; 2])]) {
    let bench = Bench::of(borg, encryption);
    for (seed, (compression, mark)) in (1..).zip(compressions.iter().copied()) {
        let name = format!("a{seed}");
        let src = bench.empty(&format!("src{seed}"));
        build(&src, seed * 1000);
        // Borg skips sockets.
        let socket = UnixListener::bind(src.join("socket")).unwrap();
        run(&src, "touch -d '2010-10-10 10:10:10.101010101Z' .");
        let target = format!("{}::{name}", bench.repo().display());
        bench.borg_in(&src, &["create", "-C", compression, "--atime", &target, "."]);
        drop(socket);
        fs::remove_file(src.join("socket")).unwrap();
        run(&src, "touch -d '2010-10-10 10:10:10.101010101Z' .");

        let theirs = bench.borg_extract(&name, &format!("theirs{seed}"));
        let ours = bench.empty(&format!("ours{seed}"));
        let repository = bench.open();
        let archive = repository.archive(&name).unwrap();
        let options = Options { devices: true, ..Options::default() };
        let everything = Extraction::everything().with(options);
        let report = archive.extract(&everything, &ours, &Unobserved).unwrap();
        assert!(report.is_clean(), "{encryption} {compression}: {:?}", report.problems);
        assert_same_below(&ours, &theirs);
        assert_same(&ours, &src);
        same_list(&bench, &archive, &target);
        same_tar(&bench, &archive, &everything, &target);

        let text = archive.find(b"dir/text").unwrap().chunks.unwrap()[0];
        assert_eq!(text.stored < text.size, compression != "none", "{encryption} {compression}");
        if !repository.encryption().is_encrypted() {
            let (segment, at) = locate(&bench, text.id);
            assert_eq!(fs::read(segment).unwrap()[at + 1..at + 3], mark, "{compression}");
        }
    }
    assert!(!bench.repo().join("lock.roster").exists());
}

fn same_list(bench: &Bench, archive: &Archive<'_>, target: &str) {
    let format = "{path}{mode}{uid}{gid}{user}{group}{size}{num_chunks}{source}{linktarget}{healthy}";
    let listed = bench.borg(&["list", "--json-lines", "--format", format, target]).stdout;
    let listed: Vec<Value> = listed
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let items: Vec<Item> = archive.items().collect::<Result<_, _>>().unwrap();
    assert_eq!(items.len(), listed.len());
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    for (item, line) in items.iter().zip(&listed) {
        // What is no UTF-8, borg replaces.
        if let Ok(path) = std::str::from_utf8(&item.path) {
            assert_eq!(line["path"], path);
        }
        assert_eq!(line["mode"].as_str().unwrap(), mode(item), "{line}");
        assert_eq!(
            (line["uid"].as_u64(), line["gid"].as_u64()),
            (item.uid.map(u64::from), item.gid.map(u64::from))
        );
        assert_eq!(line["user"].as_str().map(str::to_owned), text(item.user.as_deref()), "{line}");
        assert_eq!(line["group"].as_str().map(str::to_owned), text(item.group.as_deref()), "{line}");
        assert_eq!(line["healthy"], !item.is_damaged());
        assert_eq!(
            line["linktarget"].as_str().unwrap_or_default(),
            text(item.source.as_deref()).unwrap_or_default()
        );
        if let Some(chunks) = &item.chunks {
            assert_eq!(line["num_chunks"], chunks.len(), "{line}");
            assert_eq!(line["size"], item.content_size(), "{line}");
        }
    }
}

/// As `ls -l` shows it; borg has an `h` for further names of a file.
fn mode(item: &Item) -> String {
    let kind = match item.mode >> 12 {
        _ if item.hard_link_target().is_some() => 'h',
        0o10 => '-',
        0o04 => 'd',
        0o12 => 'l',
        0o01 => 'p',
        0o02 => 'c',
        0o06 => 'b',
        other => panic!("{other:o}"),
    };
    let mut text: Vec<char> = std::iter::once(kind).chain("rwxrwxrwx".chars()).collect();
    for bit in 0..9 {
        if item.mode >> (8 - bit) & 1 == 0 {
            text[bit + 1] = '-';
        }
    }
    for (bit, at, with, without) in [(11, 3, 's', 'S'), (10, 6, 's', 'S'), (9, 9, 't', 'T')] {
        if item.mode >> bit & 1 == 1 {
            text[at] = if text[at] == 'x' { with } else { without };
        }
    }
    text.into_iter().collect()
}

fn same_tar(bench: &Bench, archive: &Archive<'_>, everything: &Extraction, target: &str) {
    let mut ours = Vec::new();
    assert!(archive.export_tar(everything, &mut ours, &Unobserved).unwrap().is_clean());
    let theirs = bench.borg(&["export-tar", target, "-"]).stdout;
    let by_name = Options { devices: true, owners: Owners::ByName, ..Options::default() };
    let mut named = Vec::new();
    archive.export_tar(&Extraction::everything().with(by_name), &mut named, &Unobserved).unwrap();
    assert_eq!(owners(&named), owners(&theirs), "who owns what, by name");
    let (ours, theirs) = (entries(&ours), entries(&theirs));
    for (path, entry) in &theirs {
        // Of pipes and devices with several names borg makes several pipes and devices.
        let has_two = ["pipe", "pipe-again", "null", "null-again"].iter().any(|name| path.ends_with(name));
        if !has_two {
            assert_eq!(ours.get(path), Some(entry), "{} (ours, then theirs)", path.display());
        }
    }
    assert!(ours.keys().eq(theirs.keys()), "the same names");
}

/// Users and groups of each path of a tar stream.
fn owners(stream: &[u8]) -> BTreeMap<PathBuf, (Option<String>, Option<String>)> {
    let mut archive = tar::Archive::new(stream);
    let each = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = |name: Result<Option<&str>, _>| name.unwrap().map(str::to_owned);
        let header = entry.header();
        (entry.path().unwrap().components().collect(), (name(header.username()), name(header.groupname())))
    });
    each.collect()
}

/// What a tar stream says of each path.
fn entries(stream: &[u8]) -> BTreeMap<PathBuf, String> {
    let mut archive = tar::Archive::new(stream);
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header().clone();
        let kind = header.entry_type();
        let path: PathBuf = entry.path().unwrap().components().collect();
        let devices = if kind.is_character_special() || kind.is_block_special() {
            (header.device_major().unwrap(), header.device_minor().unwrap())
        } else {
            (None, None)
        };
        let facts = format!(
            "{kind:?} mode {:o} owner {}:{} mtime {} to {:?} device {devices:?} size {} content {:08x}",
            header.mode().unwrap() & 0o7777,
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap(),
            entry.link_name().unwrap(),
            content.len(),
            crc32fast::hash(&content),
        );
        found.insert(path, facts);
    }
    found
}

#[test]
fn none() {
    compare("none");
}

#[test]
fn authenticated() {
    compare("authenticated");
}

#[test]
fn authenticated_blake2() {
    compare("authenticated-blake2");
}

#[test]
fn repokey() {
    compare("repokey");
}

#[test]
fn repokey_blake2() {
    compare("repokey-blake2");
}

#[test]
fn keyfile() {
    compare("keyfile");
}

#[test]
fn keyfile_blake2() {
    compare("keyfile-blake2");
}

#[test]
fn borg_1_4_with_every_encryption() {
    let borg = borg_1_4();
    let encryptions = [
        "none",
        "authenticated",
        "authenticated-blake2",
        "repokey",
        "repokey-blake2",
        "keyfile",
        "keyfile-blake2",
    ];
    // One compression each, so that all have their turn.
    for (encryption, compression) in encryptions.iter().zip(COMPRESSIONS) {
        compare_with(&borg, encryption, &[compression]);
    }
}

#[test]
fn archives_of_borg_1_4_are_authenticated_each_on_its_own() {
    for encryption in ["none", "repokey-blake2"] {
        let bench = Bench::of(&borg_1_4(), encryption);
        fs::write(bench.src().join("a"), "content").unwrap();
        bench.create("a", &[]);
        let repository = bench.open();
        assert_eq!(repository.archive("a").unwrap().info().tam, Tam::Verified, "{encryption}");
        assert!(repository.is_manifest_authenticated());
    }
}
