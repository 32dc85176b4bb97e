//! What another host tells of a tree that is to be compared with a backup, and how names move in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use reprise_host::{FileKind, Host, LocalHost, Move, Present, Seen, SshHost};
use reprise_testkit::{Mounted, Sshd, scratch};
use rustix::fs::XattrFlags;
use sha2::{Digest, Sha256};

use crate::{There, kill};

fn seen(host: &SshHost, root: &Path, except: &[PathBuf]) -> Vec<Seen> {
    match host.present(root, except, &|| false).unwrap() {
        Some(Present::There(seen)) => seen,
        other => panic!("it should have been looked at there: {other:?}"),
    }
}

#[test]
fn all_that_is_in_a_tree_is_told_whatever_it_is_called_but_for_what_is_passed_over() {
    let (there, dir) = (There::new(), scratch());
    let root = dir.path().join("tree");
    fs::create_dir_all(root.join("sub/*")).unwrap();
    fs::create_dir_all(root.join("[a]/kept")).unwrap();
    fs::create_dir(root.join("a")).unwrap();
    fs::write(root.join("sub/new\nline \\ \u{e9}"), "abc").unwrap();
    fs::hard_link(root.join("sub/new\nline \\ \u{e9}"), root.join("-name")).unwrap();
    symlink("to\n", root.join("link")).unwrap();
    for (name, value) in [("user.a=b", "1"), ("security.reprise", "2")] {
        rustix::fs::setxattr(root.join("-name"), name, value.as_bytes(), XattrFlags::empty()).unwrap();
    }
    let except = [PathBuf::from("[a]")];
    let all = seen(&there.host, &root, &except);
    let walked = LocalHost::new().walk(&root, &except).unwrap();
    assert_eq!(all.len(), walked.len());
    for seen in &all {
        assert!(walked.contains(&seen.found), "{seen:?}");
    }
    let of = |name: &str| all.iter().find(|seen| seen.found.path == Path::new(name)).expect(name);
    assert_eq!(of("link").target, "to\n");
    let name = of("-name");
    let names: Vec<&str> = name.attributes.xattrs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, name.found.names), (vec!["security.reprise", "user.a=b"], 2));
    assert_eq!(name.digest, Some(Sha256::digest("abc").into()));
    assert_eq!(all.iter().filter(|seen| seen.found.kind == FileKind::File).count(), 2);
}

#[test]
fn what_cannot_be_read_there_has_no_digest_and_keeps_nothing_else_from_being_told() {
    let failing = "cp \"$(command -v sha256sum)\" \"$DIR/real\" && \
                   printf '#!/bin/sh\\n[ $# -gt 1 ] || exec %s/real \"$@\"\\nfor a; do case $a in -*) ;; *bad) r=1 ;; *) %s/real -z -- \"$a\" ;; esac; done; exit $r\\n' \"$DIR\" \"$DIR\" >\"$DIR/sum\" && \
                   chmod 755 \"$DIR/sum\" && mount --bind \"$DIR/sum\" \"$(command -v sha256sum)\" && ";
    let (sshd, sockets) = (Sshd::behind(failing), tempfile::tempdir().unwrap());
    let host = SshHost::connect(sshd.settings(sockets.path())).unwrap();
    let dir = scratch();
    fs::write(dir.path().join("bad"), "1").unwrap();
    fs::write(dir.path().join("good"), "2").unwrap();
    let all = seen(&host, dir.path(), &[]);
    let digest = |name: &str| all.iter().find(|seen| seen.found.path == Path::new(name)).unwrap().digest;
    assert!(digest("bad").is_none() && digest("good").is_some(), "{all:?}");
}

#[test]
fn no_name_moves_through_a_link_or_where_something_is_mounted() {
    let (there, dir) = (There::new(), scratch());
    let (tree, store) = (dir.path().join("tree"), dir.path().join("store"));
    for path in ["tree/deep/er", "store/old", "others/er"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    fs::write(dir.path().join("others/er/file"), "theirs").unwrap();
    fs::write(tree.join("deep/er/file"), "ours").unwrap();
    symlink(dir.path().join("others"), tree.join("link")).unwrap();
    let out = |placed: &str| Move {
        stored: store.join("old/0"),
        placed: tree.join(placed),
        out: true,
        only_if: None,
    };
    let error = there.host.carry(&tree, &store, &[out("link/er/file")]).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(there.host.carry(&tree, &store, &[out("../others/er/file")]).is_err());
    assert_eq!(fs::read_to_string(dir.path().join("others/er/file")).unwrap(), "theirs");

    let mounted = Mounted::at(&tree.join("mounted"), 64);
    let error = there.host.carry(&tree, &store, &[out("deep/er/file")]).unwrap_err();
    drop(mounted);
    assert!(error.to_string().contains("is mounted"), "{error}");

    // Twice is once.
    for _ in 0..2 {
        there.host.carry(&tree, &store, &[out("deep/er/file")]).unwrap();
        assert_eq!(fs::read_to_string(store.join("old/0")).unwrap(), "ours");
    }
    let back = Move { out: false, ..out("deep/er/file") };
    for _ in 0..2 {
        there.host.carry(&tree, &store, std::slice::from_ref(&back)).unwrap();
        assert_eq!(fs::read_to_string(tree.join("deep/er/file")).unwrap(), "ours");
    }
}

#[test]
fn a_file_is_there_as_a_whole_also_when_the_connection_is_lost_while_it_comes() {
    let (there, dir) = (There::new(), scratch());
    let path = dir.path().join("record");
    let content = vec![b'x'; 200 << 20];
    let part = dir.path().join("record.part");
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| there.host.write(&path, &content));
        while !fs::metadata(&part).is_ok_and(|part| part.len() > 0) && !writing.is_finished() {
            std::thread::yield_now();
        }
        for pid in there.clients() {
            kill(pid);
        }
        while !writing.is_finished() {
            let found = fs::metadata(&path).map(|found| found.len());
            assert!(found.as_ref().is_err() || matches!(found, Ok(size) if size == content.len() as u64));
        }
        writing.join().unwrap().unwrap();
    });
    assert!(fs::read(&path).unwrap() == content);
    assert!(there.sshd.logins() > 1, "it was lost");
}
