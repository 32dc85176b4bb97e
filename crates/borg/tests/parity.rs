//! What we extract is what borg extracts, over every encryption and compression and every kind of item.

mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{Bench, assert_same, assert_same_below, noise};
use reprise_borg::{Extraction, Options};
use reprise_model::Unobserved;

fn run(cwd: &Path, command: &str) {
    let output = Command::new("sh").arg("-ec").arg(command).current_dir(cwd).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One of everything.
fn build(src: &Path) {
    fs::create_dir_all(src.join("dir/sub")).unwrap();
    fs::write(src.join("dir/large"), noise(1, 3_000_000)).unwrap();
    fs::write(src.join("dir/text"), "the same line again\n".repeat(60_000)).unwrap();
    fs::write(src.join("dir/zeros"), vec![0; 9_000_000]).unwrap();
    fs::write(src.join("dir/empty"), "").unwrap();
    fs::write(src.join("dir/copy"), noise(1, 3_000_000)).unwrap();
    for number in 0..50 {
        fs::write(src.join(format!("dir/sub/small-{number}")), noise(number, 700)).unwrap();
    }
    fs::hard_link(src.join("dir/text"), src.join("dir/sub/text-again")).unwrap();
    fs::hard_link(src.join("dir/text"), src.join("another-name")).unwrap();
    symlink("dir/text", src.join("link")).unwrap();
    symlink("/nowhere/at/all", src.join("dangling")).unwrap();
    fs::write(src.join(std::ffi::OsStr::from_bytes(b"bytes-\xff\xfe")), "not UTF-8").unwrap();
    fs::write(src.join("\u{201e}quoted\u{201c}\nname"), "odd").unwrap();
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

fn compare(encryption: &str, compressions: &[&str]) {
    let bench = Bench::with(encryption);
    build(&bench.src());
    for (number, compression) in compressions.iter().enumerate() {
        let name = format!("a{number}");
        bench.create(&name, &["-C", compression, "--atime"]);
        let theirs = bench.borg_extract(&name, &format!("theirs{number}"));
        let ours = bench.empty(&format!("ours{number}"));
        let repository = bench.open();
        let options = Options { devices: true, ..Options::default() };
        let report = repository
            .archive(&name)
            .unwrap()
            .extract(&Extraction::everything().with(options), &ours, &Unobserved)
            .unwrap();
        assert!(report.is_clean(), "{encryption} {compression}: {:?}", report.problems);
        assert_same_below(&ours, &theirs);
        assert_same(&ours, &bench.src());
    }
    assert!(!bench.repo().join("lock.roster").exists());
}

#[test]
fn none() {
    compare("none", &["none", "lz4", "zstd,3", "zlib,6", "lzma,0", "auto,zstd", "obfuscate,3,zstd,3"]);
}

#[test]
fn repokey() {
    compare("repokey", &["lz4", "zstd"]);
}

#[test]
fn repokey_blake2() {
    compare("repokey-blake2", &["none", "lz4"]);
}

#[test]
fn keyfile() {
    compare("keyfile", &["lz4"]);
}

#[test]
fn keyfile_blake2() {
    compare("keyfile-blake2", &["zlib"]);
}

#[test]
fn authenticated() {
    compare("authenticated", &["lz4"]);
    compare("authenticated-blake2", &["lz4"]);
}
