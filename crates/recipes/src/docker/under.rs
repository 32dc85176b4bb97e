//! What lies under a path, as far as it can take snapshots.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_host::{BTRFS_SUBVOLUME, Command, Error, Host};
use serde::Deserialize;

/// A file system, by what can take a snapshot of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// A btrfs subvolume.
    Btrfs {
        /// Where it is.
        subvolume: PathBuf,
    },
    /// A logical volume.
    Lvm {
        /// Its group.
        group: String,
        /// Its name.
        volume: String,
        /// Whether it is a thin one.
        thin: bool,
        /// Its size in bytes.
        size: u64,
        /// Bytes free for a snapshot: in the group, or in the pool of a thin one.
        free: u64,
        /// Bytes used by files.
        used: u64,
        /// Where it is mounted.
        mount: PathBuf,
        /// The file system on it.
        file_system: String,
        /// What it is mounted with.
        options: String,
    },
    /// Something else, in words.
    Other(String),
}

#[derive(Deserialize)]
struct Mounts {
    filesystems: Vec<Mount>,
}

#[derive(Deserialize)]
struct Mount {
    source: String,
    fstype: String,
    options: String,
    target: PathBuf,
    /// A number or a text, as versions differ.
    #[serde(default)]
    used: serde_json::Value,
}

/// The first btrfs subvolume below the directory `path`, if it lies on btrfs and there is one.
pub(super) fn nested_subvolume(host: &dyn Host, path: &Path) -> Result<Option<PathBuf>, Error> {
    let script = |text: &str| {
        let command = Command::new("sh").args(["-c", text, "sh"]).limit(Duration::from_hours(1));
        command.arg(path.to_string_lossy().into_owned())
    };
    if host.ask(&script("stat -f -c %T -- \"$1\""))?.stdout.trim_ascii() != b"btrfs" {
        return Ok(None);
    }
    let Some(own) = host.stat(path)?.map(|stat| stat.device) else { return Ok(None) };
    // What goes while it is looked at is no reason to stop; a directory on another device is listed, and not entered.
    let find = format!(
        "find \"$1\" -xdev -mindepth 1 -type d -inum {BTRFS_SUBVOLUME} -printf '%D %p\\0' 2>/dev/null; :"
    );
    let answer = host.ask(&script(&find))?.stdout;
    let mut found = answer.split(|byte| *byte == 0).filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        let device: u64 = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
        (device != own).then(|| PathBuf::from(OsStr::from_bytes(&line[at + 1..])))
    });
    Ok(found.next())
}

/// The first file at or below the directory `path` whose flags forbid moving it; for a snapshot, which is put back by
/// copying, one with any flag that a copy does not have. Where nothing tells flags, there are none.
pub(super) fn flagged(host: &dyn Host, path: &Path, for_copy: bool) -> Result<Option<PathBuf>, Error> {
    // What a file system sets by itself is none: extents, indexed directories, inline data, encryption.
    let flags = if for_copy { "[acdijmstuACDPST]" } else { "[ai]" };
    // A name may hold the end of a line: what follows does not begin with a path below the target then.
    let script = r#"LC_ALL=C target=$1 flags=$2; export LC_ALL target flags
{ lsattr -d -- "$1"; lsattr -aR -- "$1"; } 2>/dev/null | awk '
{ path = substr($0, index($0, " ") + 1) }
$1 ~ ENVIRON["flags"] && $1 ~ /^[-a-zA-Z]+$/ && index(path, ENVIRON["target"]) == 1 && path !~ /\/\.\.?$/ { print path; exit }'; :"#;
    let command = Command::new("sh").args(["-c", script, "sh"]).limit(Duration::from_hours(1));
    let answer = host.ask(&command.arg(path.to_string_lossy().into_owned()).arg(flags))?.stdout;
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok((!line.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(line))))
}

/// What lies under `path`, which exists.
pub(super) fn under(host: &dyn Host, path: &Path) -> Result<Under, Error> {
    let find = Command::new("findmnt").args(["-J", "-b", "-o", "SOURCE,FSTYPE,OPTIONS,TARGET,USED", "-T"]);
    let find = find.arg(path.to_string_lossy().into_owned());
    let answer = host.ask(&find)?.stdout;
    let unreadable = |reason: String| Error::Answer { command: find.to_string(), reason };
    let mounts: Mounts = serde_json::from_slice(&answer).map_err(|error| unreadable(error.to_string()))?;
    let Some(mount) = mounts.filesystems.into_iter().next() else {
        return Err(unreadable("it names no file system".to_owned()));
    };
    match mount.fstype.as_str() {
        "btrfs" => {
            for above in path.ancestors().take_while(|above| above.starts_with(&mount.target)) {
                if host.stat(above)?.is_some_and(|stat| stat.is_subvolume()) {
                    return Ok(Under::Btrfs { subvolume: above.to_owned() });
                }
            }
            Ok(Under::Other(format!("btrfs on {}, mounted without its subvolume's top", mount.source)))
        }
        _ => Ok(lvm(host, mount)),
    }
}

fn lvm(host: &dyn Host, mount: Mount) -> Under {
    let list = Command::new("lvs").args(["--noheadings", "--units", "b", "--nosuffix", "--separator", "|"]);
    let list = list.args(["-o", "vg_name,lv_name,pool_lv,lv_size,vg_free", "--"]).arg(mount.source.clone());
    // Without LVM there, or with something else under it, there is none.
    let answer = host.ask(&list).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let words: Vec<String> =
        answer.unwrap_or_default().trim().split('|').map(|word| word.trim().to_owned()).collect();
    let known = match words.as_slice() {
        [group, volume, pool, size, free] => {
            size.parse().ok().zip(free.parse().ok()).map(|(size, free)| Under::Lvm {
                group: group.clone(),
                volume: volume.clone(),
                thin: !pool.is_empty(),
                size,
                free: if pool.is_empty() { free } else { free_in_pool(host, group, pool) },
                // Where it is not told, everything may be.
                used: number(&mount.used).unwrap_or(size).min(size),
                mount: mount.target,
                file_system: mount.fstype.clone(),
                options: mount.options,
            })
        }
        _ => None,
    };
    known.unwrap_or_else(|| Under::Other(format!("{} on {}", mount.fstype, mount.source)))
}

fn number(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Bytes that the thin pool has left; none where it does not tell.
fn free_in_pool(host: &dyn Host, group: &str, pool: &str) -> u64 {
    let list = Command::new("lvs").args(["--noheadings", "--units", "b", "--nosuffix", "--separator", "|"]);
    let list = list.args(["-o", "lv_size,data_percent", "--"]).arg(format!("{group}/{pool}"));
    let Ok(answer) = host.ask(&list) else { return 0 };
    free_of(&String::from_utf8_lossy(&answer.stdout)).unwrap_or(0)
}

/// What `SIZE|PERCENT` leaves.
fn free_of(answer: &str) -> Option<u64> {
    let (size, percent) = answer.trim().split_once('|')?;
    let size: u64 = size.trim().parse().ok()?;
    let percent: f64 = percent.trim().replace(',', ".").parse().ok()?;
    Some((size as f64 * (100.0 - percent.clamp(0.0, 100.0)) / 100.0) as u64)
}

/// For the description of what cannot take snapshots.
impl std::fmt::Display for Under {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Btrfs { subvolume } => write!(f, "btrfs subvolume {}", subvolume.display()),
            Self::Lvm { group, volume, .. } => write!(f, "logical volume {group}/{volume}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pool_has_left_is_read_from_what_lvs_says() {
        assert_eq!(free_of("  1000|25.00\n"), Some(750));
        assert_eq!(free_of("  1000|25,00\n"), Some(750));
        assert_eq!(free_of(""), None);
        assert_eq!(number(&serde_json::json!("12")).zip(number(&serde_json::json!(12))), Some((12, 12)));
    }
}
