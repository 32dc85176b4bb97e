//! Files of every kind for a volume, so that a comparison means something.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};

fn set(path: &Path, mode: u32, owner: (u32, u32), modified: Duration) {
    chown(path, Some(owner.0), Some(owner.1)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let time = SystemTime::UNIX_EPOCH + modified;
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// `length` bytes that no compression makes much smaller, the same for the same `seed`.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    // Never 0, which would stay so; and each seed's own, as what is the same twice is in a backup once.
    let mut state = 2 * seed + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// Fills `root` with files of every kind, mode and name, and pages that its web server shows.
pub(super) fn every_kind_of_file(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::write(at("health.txt"), "fine\n").unwrap();
    fs::write(at("page.html"), "<h1>as it was backed up</h1>\n").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("large"), noise(3 << 20, 7)).unwrap();
    fs::write(at("-rf name with blanks\nand a line's end"), "1").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not UTF-8 \xff\xfe")), "2").unwrap();

    fs::create_dir_all(at("a/b/c")).unwrap();
    fs::write(at("a/b/c/deep"), "deep").unwrap();
    fs::write(at("a/first-name"), "several names").unwrap();
    fs::hard_link(at("a/first-name"), at("a/b/second-name")).unwrap();
    fs::hard_link(at("a/first-name"), at("third-name")).unwrap();

    symlink("a/b", at("relative-link")).unwrap();
    symlink("/etc/passwd", at("absolute-link")).unwrap();
    symlink("nowhere", at("dangling-link")).unwrap();
    lchown(at("dangling-link"), Some(4321), Some(8765)).unwrap();
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();

    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 500_000).unwrap();

    for (name, mode, owner) in
        [("setuid", 0o4755, (0, 0)), ("closed", 0, (1234, 5678)), ("group", 0o2664, (33, 33))]
    {
        fs::write(at(name), name).unwrap();
        set(&at(name), mode, owner, Duration::new(1_234_567_890, 123_456_789));
    }
    fs::create_dir(at("sticky")).unwrap();
    fs::write(at("sticky/old"), "old").unwrap();
    set(&at("sticky/old"), 0o600, (999, 999), Duration::new(1, 1));

    attribute(&at("page.html"), "user.note", b"of the page\0with a zero");
    attribute(&at("a"), "user.directory", b"of the directory");
    // A capability, cap_net_bind_service+ep, and an access list that lets user 1234 read.
    attribute(
        &at("setuid"),
        "security.capability",
        &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    let access: [(u16, u16, u32); 5] = [(1, 6, !0), (2, 4, 1234), (4, 4, !0), (16, 4, !0), (32, 0, !0)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in access {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    attribute(&at("a/first-name"), "system.posix_acl_access", &list);
    // Last, for what is made inside changes them.
    set(&at("sticky"), 0o1777, (1234, 0), Duration::new(2_000_000_000, 5));
    set(&at("a/b"), 0o750, (0, 33), Duration::new(1_000_000_000, 999_999_999));
}
