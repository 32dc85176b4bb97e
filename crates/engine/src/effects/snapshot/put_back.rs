//! A directory made what another one is: put back as it is in a snapshot, or filled with what was restored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reprise_host::{Command, FileKind};

use super::{refused, shell};
use crate::effects::mirror::is_apart;
use crate::{Cx, Result};

/// Nobody but who runs this gets in meanwhile: the owner of `$2` could have links lead elsewhere. What a run that was cut off left
/// behind holds a lock on `$5`, and ends first. The directory `$6` is made, and on disk, before anything changes. Then everything
/// in `$2` goes, and everything in `$1` is copied there: blocks are shared where the file system can. With `$3`, it is a file
/// system of its own, and what Reprise keeps there and what mkfs made is left alone. Can be run again wherever it was cut off. A
/// file that was made immutable since would stop it half-way.
const PUT_BACK: &str = r#"set -e
from=$1 to=$2 mounted=$3 known=$4 lock=$5 mark=$6
[ -d "$from" ] || { echo 'Not a directory' >&2; exit 1; }
cd -- "$to"
[ "$(stat -c %D:%i .)" = "$known" ] || { echo 'Another directory is there now' >&2; exit 1; }
to=.
if [ -d "$lock" ] && command -v flock >/dev/null; then
  exec 9<"$lock"
  waited=0
  until flock -n 9; do
    [ $waited -lt 3600 ] || { echo 'An earlier attempt is still at work here: try again when it has ended' >&2; exit 1; }
    waited=$((waited + 1))
    sleep 1
  done
fi
[ -z "$mark" ] || { mkdir -p -m 700 -- "$mark"; sync -f -- "$mark"; }
chown "$(id -u):$(id -g)" .
chmod 700 .
names() {
  if [ -n "$mounted" ]; then find "$1" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name '.reprise-*' "$2" "$3"
  else find "$1" -mindepth 1 -maxdepth 1 "$2" "$3"; fi
}
names "$to" -printf '%p\0' | xargs -0 -r chattr -R -f -i -a -- 2>/dev/null || :
names "$to" -printf '%p\0' | xargs -0 -r rm -rf --one-file-system --
# In one go, or names of one file become files of their own: where they do not fit into one command line, by tar.
if names "$from" -printf '%p\0' | xargs -0 -r -x -n 2000000000 -s 1000000 true; then
  names "$from" -printf '%p\0' | xargs -0 -r -x -n 2000000000 -s 1000000 cp -a --preserve=xattr --reflink=auto -t "$to" --
else
  # A pipe tells only how its last command ended, and tar goes on with zeros for what cannot be read, and without attributes.
  said=$({
    {
      names "$from" -printf '%f\0' |
        tar -C "$from" --null --verbatim-files-from -T - --numeric-owner --acls --xattrs --xattrs-include='*' -S -cf - 2>&3 ||
        echo 'It could not be read' >&3
    } | tar -C "$to" --warning=no-timestamp --numeric-owner --acls --xattrs --xattrs-include='*' -S -xpf - 2>&3 || echo 'It could not be written' >&3
  } 3>&1)
  [ -z "$said" ] || { printf '%s\n' "$said" >&2; exit 1; }
fi
sync -f -- "$to""#;

/// Fails if something else than `root` is mounted in it: what is removed there would not come back from a copy. `is_mounted`: it is
/// a file system of its own.
pub(super) fn expect_alone(root: &Path, is_mounted: bool, cx: &Cx<'_>) -> Result<()> {
    let refuse = |what: String| {
        Err(refused(
            root,
            format!("holds {what} that was mounted or made there since"),
            "unmount it, or restore with --to",
        ))
    };
    if let Some(below) = cx.host.mounts_within(root)?.into_iter().find(|mount| mount != root) {
        return refuse(below.display().to_string());
    }
    // A subvolume is a file system, too, and no mount point.
    let find = r#"cd -- "$1" || exit 1
apart=; [ -z "$2" ] || apart=./
stat -c %d .
find . -xdev -mindepth 1 \( -path "${apart}lost+found" -o -path "${apart}.reprise-*" \) -prune -o -type d -printf '%D\n' | sort -u"#;
    let mounted = if is_mounted { "mounted" } else { "" };
    let listed = cx.host.ask(&shell(find, &[root]).arg(mounted))?.stdout;
    let listed = String::from_utf8_lossy(&listed);
    let mut devices = listed.lines();
    let own = devices.next();
    if devices.all(|device| Some(device) == own) { Ok(()) } else { refuse("a file system".to_owned()) }
}

/// Makes `to` what `from` is; it is a file system of its own or not. `lock` is a private directory, `mark` one that is made before
/// anything changes.
pub(in crate::effects) fn put_back(
    from: &Path,
    to: &Path,
    is_mounted: bool,
    lock: &Path,
    mark: Option<&Path>,
    cx: &Cx<'_>,
) -> Result<()> {
    expect_alone(to, is_mounted, cx)?;
    // Whoever may write above it could have a link there meanwhile: the shell looks whether it came to the same directory.
    let known = match cx.host.stat(to)? {
        Some(stat) if stat.kind == FileKind::Directory => format!("{:x}:{}", stat.device, stat.inode.number),
        _ => {
            return Err(refused(
                to,
                "is no directory any more",
                "find out who changed that, and put it back",
            ));
        }
    };
    let mounted = if is_mounted { "mounted" } else { "" };
    let script = shell(PUT_BACK, &[from, to]).args([mounted, &known]);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    cx.run_long(&script.args([text(lock), mark.map(text).unwrap_or_default()]))?;
    expect_same(from, to, is_mounted, cx)?;
    cx.host.set_attributes(to, Path::new(""), &cx.host.attributes(from)?)?;
    synced(to, cx)
}

/// What was done at `path` is on disk when this returns.
pub(super) fn synced(path: &Path, cx: &Cx<'_>) -> Result<()> {
    let sync = Command::new("sync").args(["-f", "--"]).arg(path.to_string_lossy().into_owned());
    Ok(cx.host.run(&sync.limit(std::time::Duration::from_hours(1))).map(drop)?)
}

/// Fails unless `to`, a copy of `from`, has as many names, files and bytes. `is_mounted`: one of the two is a file system of its
/// own.
pub(super) fn expect_same(from: &Path, to: &Path, is_mounted: bool, cx: &Cx<'_>) -> Result<()> {
    let count = |root: &Path| -> Result<(usize, u64, usize)> {
        let names = cx.host.list(root)?.into_iter().map(PathBuf::from);
        let except: Vec<PathBuf> = names.filter(|name| is_mounted && is_apart(name)).collect();
        let found = cx.host.walk(root, &except)?;
        let files: BTreeSet<u64> = found.iter().map(|found| found.inode).collect();
        Ok((found.len(), found.iter().map(|found| found.size).sum(), files.len()))
    };
    let (there, here) = (count(from)?, count(to)?);
    if there == here {
        return Ok(());
    }
    let why = format!(
        "holds {} names of {} files and {} bytes, and {}, of which it is a copy, {} of {} and {}",
        here.0,
        here.2,
        here.1,
        from.display(),
        there.0,
        there.2,
        there.1
    );
    Err(refused(
        to,
        why,
        "does something write there that is no container, or can something there not be copied?",
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::process::{Command, Output};
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Runs the script with the programs of `path`.
    fn put_back(from: &Path, to: &Path, path: &str) -> Output {
        let known = fs::metadata(to).unwrap();
        let known = format!("{:x}:{}", known.dev(), known.ino());
        let mut sh = Command::new("sh");
        sh.args(["-c", PUT_BACK, "sh"]).args([from, to]).args(["", &known, "", ""]).env("PATH", path);
        sh.output().unwrap()
    }

    #[test]
    fn more_names_than_a_command_line_takes_are_put_back_and_a_failure_to_read_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to, bin] = ["from", "to", "bin"].map(|name| dir.path().join(name));
        for made in [&from, &to, &bin] {
            fs::create_dir(made).unwrap();
        }
        let name = |number: u32| format!("{number:0>250}");
        for number in 0..4500 {
            fs::write(from.join(name(number)), format!("{number}")).unwrap();
        }
        fs::hard_link(from.join(name(0)), from.join("one more")).unwrap();
        // Of a clock that is wrong, or of somebody who likes others to wonder: that is no failure.
        let future = SystemTime::now() + Duration::from_hours(24 * 365 * 70);
        fs::File::open(from.join(name(1))).unwrap().set_modified(future).unwrap();
        fs::write(to.join("other"), "").unwrap();
        let path = std::env::var("PATH").unwrap();

        let done = put_back(&from, &to, &path);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(fs::read_dir(&to).unwrap().count(), 4501);
        assert_eq!(fs::metadata(to.join("one more")).unwrap().nlink(), 2);
        assert_eq!(fs::read_to_string(to.join(name(4499))).unwrap(), "4499");

        // One that ends like that of a file that could not be read to its end.
        let tar = "#!/bin/sh\nPATH=${PATH#*:}\ntar \"$@\" || exit\ncase $* in *-cf*) exit 2 ;; esac\n";
        fs::write(bin.join("tar"), tar).unwrap();
        fs::set_permissions(bin.join("tar"), fs::Permissions::from_mode(0o755)).unwrap();
        let failed = put_back(&from, &to, &format!("{}:{path}", bin.display()));
        assert!(!failed.status.success());
        assert!(String::from_utf8_lossy(&failed.stderr).contains("It could not be read"), "{failed:?}");
    }
}
