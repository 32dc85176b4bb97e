//! Files, looked at and changed there.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use reprise_host::{Error, Exchange, Host, LocalHost, Tree};
use reprise_testkit::{Mounted, OnFile, fill, scratch};

use crate::There;

/// Names that a shell, a pattern or a list would stumble over.
pub const NAMES: [&[u8]; 9] = [
    b"plain",
    b"with blanks and 'quotes' \"both\"",
    b"-n",
    b"*",
    b"new\nline",
    b"$HOME `id`",
    b"\xff\xfe",
    b".dot",
    b"..two",
];

#[test]
fn what_is_seen_there_is_what_is_seen_here() {
    let (there, here, dir) = (There::new(), LocalHost::new(), scratch());
    let at = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
    for name in NAMES {
        fs::write(at(name), name).unwrap();
    }
    fs::create_dir(at(b"sub")).unwrap();
    symlink("sub", at(b"link")).unwrap();
    symlink("nowhere", at(b"dangling")).unwrap();
    symlink("loop", at(b"loop")).unwrap();
    let more: [&[u8]; 8] = [
        b"sub",
        b"link",
        b"dangling",
        b"loop",
        b"missing",
        b"missing/deep",
        b"plain/below",
        b"link/not/yet\n",
    ];
    for name in NAMES.iter().copied().chain(more) {
        let path = at(name);
        assert_eq!(there.host.stat(&path).unwrap(), here.stat(&path).unwrap(), "{}", path.display());
        let canonical = |host: &dyn Host| host.canonical(&path).ok();
        if name != b"loop" {
            assert_eq!(canonical(&there.host), canonical(&here), "{}", path.display());
        }
    }
    for path in [dir.path(), Path::new("/"), Path::new("/proc"), &at(b"not there")] {
        let (a, b) = (there.host.space(path).unwrap(), here.space(path).unwrap());
        assert_eq!((a.device, a.free_inodes == u64::MAX), (b.device, b.free_inodes == u64::MAX));
    }
    let mut names: Vec<OsString> = here.list(dir.path()).unwrap();
    names.sort();
    assert_eq!(there.host.list(dir.path()).unwrap(), names);
    assert_eq!(there.host.list(&at(b"sub")).unwrap(), Vec::<OsString>::new());
    for path in [at(b"missing"), at(b"plain")] {
        assert!(there.host.list(&path).is_err());
    }
    for name in NAMES {
        assert_eq!(there.host.read(&at(name), 100).unwrap(), name);
    }
    assert!(there.host.read(&at(b"plain"), 4).unwrap_err().to_string().contains("more than 4 bytes"));
    assert!(there.host.read(&at(b"missing"), 4).is_err());
    // Namespaces of mounts differ, so only what is in both.
    assert!(there.host.mounts_within(Path::new("/")).unwrap().contains(&PathBuf::from("/proc")));
}

#[test]
fn directories_are_made_and_removed_once_however_often_it_is_asked() {
    let (there, dir) = (There::new(), scratch());
    let path = dir.path().join("a new 'one'");
    for _ in 0..2 {
        there.host.make_dir(&path, 0o2750).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o2750);
    }
    fs::write(path.join("file"), "").unwrap();
    assert!(!there.host.remove_dir(&path).unwrap());
    fs::remove_file(path.join("file")).unwrap();
    for _ in 0..2 {
        assert!(there.host.remove_dir(&path).unwrap());
    }
    fs::write(&path, "a file").unwrap();
    let error = there.host.make_dir(&path, 0o755).unwrap_err();
    assert!(error.to_string().contains("host: cannot make directory"), "{error}");
}

#[test]
fn two_trees_exchange_their_places_in_every_way_there_is() {
    let mut ways = vec![vec![Exchange::Perl], vec![Exchange::Python]];
    let newer = std::process::Command::new("mv").arg("--help").output().unwrap().stdout;
    if String::from_utf8_lossy(&newer).contains("--exchange") {
        ways.push(vec![Exchange::Mv]);
    }
    for way in ways {
        let (there, dir) = (There::exchanging_with(&way), scratch());
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("a 'tree'")).unwrap();
        fs::write(at("b\n"), "b").unwrap();
        let before = there.host.stat(&at("b\n")).unwrap().unwrap().inode;
        there.host.exchange(&at("a 'tree'"), &at("b\n")).unwrap();
        assert_eq!(there.host.stat(&at("a 'tree'")).unwrap().unwrap().inode, before, "{way:?}");
        assert!(at("b\n").is_dir());

        there.host.rename(&at("b\n"), &at("c")).unwrap();
        assert!(at("c").is_dir() && !at("b\n").exists());
        let taken = there.host.rename(&at("c"), &at("a 'tree'")).unwrap_err();
        assert!(taken.to_string().contains("File exists"), "{taken}");
        assert!(there.host.exchange(&at("c"), &at("missing")).is_err());
    }
}

#[test]
fn without_any_way_to_exchange_it_says_so_and_still_renames() {
    let (there, dir) = (There::exchanging_with(&[]), scratch());
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("a")).unwrap();
    fs::create_dir(at("b")).unwrap();
    assert!(matches!(there.host.exchange(&at("a"), &at("b")), Err(Error::CannotExchange(_))));
    assert!(there.host.rename(&at("a"), &at("b")).is_err(), "it must not replace or go below");
    there.host.rename(&at("a"), &at("c")).unwrap();
    assert!(at("c").is_dir() && at("b").is_dir() && !at("a").exists());
    let _other = Mounted::at(&at("mounted"), 64);
}

#[test]
fn a_tree_is_removed_whatever_is_in_it_and_no_file_system_is_left() {
    let (there, dir) = (There::new(), tempfile::tempdir_in("/var/tmp").unwrap());
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    for name in NAMES {
        fs::write(tree.join("a").join(OsStr::from_bytes(name)), "").unwrap();
    }
    let attributes =
        std::process::Command::new("chattr").arg("+i").arg(tree.join("a/plain")).status().unwrap();
    assert!(attributes.success());
    for _ in 0..2 {
        there.host.remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}

#[test]
fn an_edit_follows_no_link_out_of_the_tree() {
    let (there, dir) = (There::new(), scratch());
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/docker-compose.yml"), "old").unwrap();
    fs::set_permissions(tree.join("sub/docker-compose.yml"), fs::Permissions::from_mode(0o640)).unwrap();
    let edit = |file: &str, original: Option<&str>| {
        there.host.edit(&tree, Path::new(file), b"new 'text'\n", original.map(OsStr::new))
    };
    edit("sub/docker-compose.yml", Some("kept")).unwrap();
    assert_eq!(fs::read_to_string(tree.join("sub/docker-compose.yml")).unwrap(), "new 'text'\n");
    assert_eq!(fs::read_to_string(tree.join("sub/kept")).unwrap(), "old");
    assert_eq!(tree.join("sub/kept").metadata().unwrap().permissions().mode() & 0o777, 0o640);

    fs::write(dir.path().join("outside"), "precious").unwrap();
    symlink("../outside", tree.join("link")).unwrap();
    symlink("..", tree.join("up")).unwrap();
    for file in ["link", "up/outside", "../outside", "sub", "missing"] {
        assert!(edit(file, None).is_err(), "{file}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "precious");
}

#[test]
fn a_stream_that_does_not_fit_says_why() {
    let (there, dir) = (There::new(), scratch());
    let mounted = Mounted::at(&dir.path().join("small"), 64);
    let Tree::Elsewhere(mut tree) = there.host.tree(&dir.path().join("small/tree")).unwrap() else {
        panic!("its files are elsewhere");
    };
    let big = dir.path().join("tree");
    fs::write(&big, vec![7; 1 << 20]).unwrap();
    let tar =
        std::process::Command::new("tar").args(["-c", "-C"]).arg(dir.path()).arg("tree").output().unwrap();
    let _ = tree.write_all(&tar.stdout);
    let error = tree.finish().unwrap_err();
    drop(mounted);
    assert!(error.to_string().contains("host: cannot unpack"), "{error}");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn an_attribute_that_the_disk_has_no_room_for_is_no_mere_warning_and_one_that_is_too_large_is() {
    let (there, source) = (There::new(), OnFile::with("ext4", &["-b", "4096"], 8));
    // Half of it is for root alone, which tar there is: it is not full when that is all that is left.
    let options = ["-b", "1024", "-I", "128", "-m", "50", "-O", "^has_journal"];
    let disk = OnFile::with("ext4", &options, 4);
    fs::write(disk.path().join("half"), vec![1; 2 << 20]).unwrap();
    let unpacked = |size: usize| {
        let file = source.path().join("tree");
        fs::write(&file, "").unwrap();
        let value = vec![b'x'; size];
        rustix::fs::setxattr(&file, "user.a", &value, rustix::fs::XattrFlags::empty()).unwrap();
        let mut tar = std::process::Command::new("tar");
        let tar = tar.args(["--xattrs", "-c", "-C"]).arg(source.path()).arg("tree").output().unwrap();
        let Tree::Elsewhere(mut tree) = there.host.tree(&disk.path().join("tree")).unwrap() else {
            panic!("its files are elsewhere");
        };
        tree.write_all(&tar.stdout).unwrap();
        tree.finish()
    };
    let done = unpacked(3500).unwrap();
    assert!(done.warnings.iter().any(|warning| warning.contains("user.a")), "{done:?}");
    fs::remove_file(disk.path().join("tree")).unwrap();
    fill(disk.path());
    let error = unpacked(500).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
}
