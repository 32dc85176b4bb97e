//! Trees to begin with.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::attributes;

/// Makes a tree at `root` with the kinds of things that trees hold: files, directories, links (one of them
/// to nowhere), odd modes, owners and names, an extended attribute. `flavour` is in every file, so that two
/// trees differ in each. Its times are fixed: planted anew, it is the same to the nanosecond.
pub fn plant(root: &Path, flavour: &str) {
    let write = |name: &str, mode: u32| {
        let path = root.join(name);
        fs::write(&path, format!("{name} of {flavour}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    };
    fs::create_dir_all(root.join("sub/deep")).expect("directories");
    fs::create_dir(root.join("empty")).expect("a directory");
    write("settings.conf", 0o644);
    write("sub/deep/data.bin", 0o600);
    write("odd 'name' $HOME\n\"-x", 0o4755);
    chown(root.join("sub/deep/data.bin"), Some(999), Some(998)).expect("an owner; the tests run as root");
    fs::set_permissions(root.join("sub"), fs::Permissions::from_mode(0o750)).expect("a mode");
    symlink("../settings.conf", root.join("sub/link")).expect("a link");
    symlink("nowhere", root.join("dangling")).expect("a link");
    let name = "user.flavour".into();
    attributes::set_xattr(&root.join("settings.conf"), &name, flavour.as_bytes()).expect("an attribute");
    settle(root);
}

/// Gives `path` and all below it fixed times, as if it had long been there.
pub fn settle(path: &Path) {
    if fs::symlink_metadata(path).expect("something to settle").is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            settle(&entry.expect("an entry").path());
        }
    }
    attributes::set_modified(path, 1_700_000_000, 123_456_789).expect("a time");
}
