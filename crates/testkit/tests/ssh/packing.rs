//! Trees that are read there as a whole, as a tar stream.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reprise_host::{Files, Host, Packed, SshHost};
use reprise_testkit::scratch;

use crate::files::NAMES;
use crate::{There, kill, processes, wait_until};

fn pack<'h>(host: &'h SshHost, paths: &[PathBuf], except: &[PathBuf]) -> Packed<'h> {
    let Files::Elsewhere(packed) = host.pack(paths, except).unwrap() else {
        panic!("its files are elsewhere");
    };
    packed
}

/// Reads all of `packed`, and unpacks it in a directory of its own.
fn unpacked(mut packed: Packed<'_>) -> (tempfile::TempDir, Vec<String>) {
    let dir = scratch();
    let mut tar = Command::new("tar");
    let tar = tar.args(["-x", "-p", "--numeric-owner", "-f", "-", "-C"]).arg(dir.path());
    let mut tar = tar.stdin(Stdio::piped()).spawn().unwrap();
    std::io::copy(&mut packed.stream, tar.stdin.as_mut().unwrap()).unwrap();
    drop(tar.stdin.take());
    assert!(tar.wait().unwrap().success());
    (dir, packed.packing.finish().unwrap())
}

/// `path` below `dir`, under its whole name.
fn within(dir: &Path, path: &Path) -> PathBuf {
    dir.join(path.strip_prefix("/").unwrap())
}

/// A file with a tebibyte of nothing in it, which nobody reads to its end.
fn endless(dir: &Path) -> PathBuf {
    let path = dir.join("endless");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    path
}

#[test]
fn all_that_is_there_comes_under_its_whole_name_whatever_it_is_called() {
    let (there, dir) = (There::new(), scratch());
    let tree = dir.path().join("-a tree [x]*");
    let at = |name: &[u8]| tree.join(OsStr::from_bytes(name));
    fs::create_dir_all(tree.join("sub/.store")).unwrap();
    let long = [b'n'; 200];
    for name in NAMES.iter().copied().chain([&b"back\\slash\\101"[..], &long]) {
        fs::write(at(name), name).unwrap();
    }
    fs::hard_link(at(b"plain"), at(b"second name")).unwrap();
    symlink("../not/there", at(b"link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at(b"pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o640),
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(at(b"socket")).unwrap();
    std::os::unix::fs::chown(at(b"plain"), Some(3_000_000_000), Some(999)).unwrap();
    fs::set_permissions(at(b"plain"), fs::Permissions::from_mode(0o4751)).unwrap();
    // What is left out is left out as it is called, and nothing that is only like it.
    fs::write(tree.join("sub/.store/kept"), "kept").unwrap();
    fs::write(tree.join("sub/xstore"), "not that").unwrap();
    let other = dir.path().join("a file");
    fs::write(&other, "alone").unwrap();
    let not_packed = dir.path().join("-a tree x");
    fs::create_dir(&not_packed).unwrap();

    let packed = pack(&there.host, &[tree.clone(), other.clone()], &[tree.join("sub/.store")]);
    let (got, warnings) = unpacked(packed);
    assert_eq!(warnings, Vec::<String>::new(), "a socket is not worth a word");
    let got_tree = within(got.path(), &tree);
    let names = |of: &Path| {
        let mut names: Vec<_> = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let mut expected = names(&tree);
    expected.retain(|name| name != "socket");
    assert_eq!(names(&got_tree), expected);
    assert_eq!(names(&got_tree.join("sub")), ["xstore"]);
    assert_eq!(fs::read_to_string(within(got.path(), &other)).unwrap(), "alone");
    assert!(!within(got.path(), &not_packed).exists());
    for name in expected {
        let (one, other) = (tree.join(&name), got_tree.join(&name));
        let known = |path: &Path| {
            let meta = path.symlink_metadata().unwrap();
            let content = meta.is_file().then(|| fs::read(path).unwrap());
            let times = (meta.mtime(), meta.mtime_nsec());
            (meta.mode(), meta.uid(), meta.gid(), times, content, fs::read_link(path).ok())
        };
        assert_eq!(known(&one), known(&other), "{}", name.display());
    }
    let inode = |name: &str| got_tree.join(name).metadata().unwrap().ino();
    assert_eq!(inode("plain"), inode("second name"));
}

#[test]
fn what_is_not_there_is_an_error_although_the_stream_has_an_end() {
    let (there, dir) = (There::new(), scratch());
    fs::write(dir.path().join("file"), "content").unwrap();
    let paths = [dir.path().join("file"), dir.path().join("missing")];
    let mut packed = pack(&there.host, &paths, &[]);
    packed.stream.read_to_end(&mut Vec::new()).unwrap();
    let error = packed.packing.finish().unwrap_err().to_string();
    assert!(error.contains("host: cannot read all of") && error.contains("No such file"), "{error}");
}

#[test]
fn what_changes_while_it_is_read_is_told() {
    let (there, dir) = (There::new(), scratch());
    let file = dir.path().join("file");
    fs::write(&file, vec![7; 64 << 20]).unwrap();
    let mut packed = pack(&there.host, std::slice::from_ref(&file), &[]);
    packed.stream.read_exact(&mut [0; 2048]).unwrap();
    // More than what is on its way, so it is still being read.
    fs::File::options().write(true).open(&file).unwrap().set_len(48 << 20).unwrap();
    std::io::copy(&mut packed.stream, &mut std::io::sink()).unwrap();
    let warnings = packed.packing.finish().unwrap();
    assert!(warnings.iter().any(|it| it.contains("file")), "{warnings:?}");
}

#[test]
fn a_stream_whose_connection_is_killed_ends_and_is_not_whole() {
    let (there, dir) = (There::new(), scratch());
    let mut packed = pack(&there.host, &[endless(dir.path())], &[]);
    packed.stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    there.clients().into_iter().for_each(kill);
    std::io::copy(&mut packed.stream, &mut std::io::sink()).unwrap();
    let error = packed.packing.finish().unwrap_err();
    assert!(error.is_connection_lost(), "{error}");
}

#[test]
fn one_that_is_given_up_ends_there_and_here() {
    let (there, dir) = (There::new(), scratch());
    let path = endless(dir.path());
    let name = path.strip_prefix("/").unwrap().to_str().unwrap().to_owned();
    let Packed { mut stream, packing } = pack(&there.host, std::slice::from_ref(&path), &[]);
    stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    assert_eq!(processes(&["tar", &name]).len(), 1);
    std::thread::scope(|scope| {
        // Who reads meanwhile sees its end.
        scope.spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        drop(packing);
    });
    wait_until("tar is gone there", || processes(&["tar", &name]).is_empty());
    // Of one that nobody reads any more nothing is left either.
    drop(pack(&there.host, std::slice::from_ref(&path), &[]));
    wait_until("tar is gone there", || processes(&["tar", &name]).is_empty());
    assert!(there.host.stat(&path).unwrap().is_some(), "the connection is as good as before");
    assert_eq!(there.sshd.logins(), 1);
}
