//! Snapshots of logical volumes, classic and thin.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_host::Command;
use serde::{Deserialize, Serialize};

use super::shell;
use crate::{Cx, Error, Result};

/// A snapshot of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lvm {
    /// The volume group.
    pub group: String,
    /// The logical volume.
    pub volume: String,
    /// The snapshot's name in the group.
    pub name: String,
    /// Room for what changes; nothing for a thin one, which takes it from the pool of its volume. When it is full, it is
    /// worth nothing any more.
    pub bytes: Option<u64>,
    /// Where the volume is mounted.
    pub mount: PathBuf,
    /// Its file system.
    pub file_system: String,
    /// What it is mounted with.
    pub options: String,
    /// A private place to look at the snapshot. Does not exist.
    pub at: PathBuf,
}

/// Unmounts, merges, mounts. Ends with 75 where the volume is in use, with everything as it was.
const MERGE: &str = r#"mount=$1 volume=$2 snapshot=$3 type=$4 options=$5 thin=$6
up() { mountpoint -q -- "$mount" || mount -t "$type" -o "$options" -- "/dev/$volume" "$mount"; }
if mountpoint -q -- "$mount"; then umount -- "$mount" 2>/dev/null || exit 75; fi
if [ "$(lvs --noheadings -o lv_device_open -- "$volume" | tr -d ' ')" = open ]; then up; exit 75; fi
[ -z "$thin" ] || lvchange -an -- "$volume" || { up; exit 75; }
lvconvert -y --merge -i 1 -- "$snapshot" || { lvchange -ay -- "$volume"; up; exit 1; }
lvchange -ay -- "$volume"
while lvs --noheadings -- "$snapshot" >/dev/null 2>&1; do sleep 0.2; done
up"#;

impl Lvm {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    fn of(&self) -> String {
        format!("{}/{}", self.group, self.volume)
    }

    pub(super) fn create(&self) -> Command {
        let create = Command::new("lvcreate").args(["-q", "-y", "-s", "-n"]).arg(self.name.clone());
        match self.bytes {
            Some(bytes) => create.arg("-L").arg(format!("{bytes}b")),
            // Otherwise a thin snapshot is not there until someone activates it.
            None => create.arg("-kn"),
        }
        .arg("--")
        .arg(self.of())
    }

    pub(super) fn remove(&self) -> Command {
        Command::new("lvremove").args(["-q", "-f", "-y", "--"]).arg(self.full_name())
    }

    pub(super) fn list(&self) -> Command {
        // One that is being merged is hidden, and so is not there.
        Command::new("lvs").args(["--noheadings", "-o", "full_name", "--"]).arg(self.group.clone())
    }

    fn asked(&self, what: &str, cx: &Cx<'_>) -> Result<String> {
        let ask = Command::new("lvs").args(["--noheadings", "-o", what, "--"]).arg(self.full_name());
        Ok(String::from_utf8_lossy(&cx.host.ask(&ask)?.stdout).trim().to_owned())
    }

    /// Fails when the snapshot has overflowed.
    pub(super) fn expect_valid(&self, cx: &Cx<'_>) -> Result<()> {
        if !self.asked("lv_snapshot_invalid", cx)?.contains("invalid") {
            return Ok(());
        }
        Err(Error::Refused {
            what: format!("the snapshot {}", self.full_name()),
            why: "is full, so it is worth nothing any more and there is no way back by it".to_owned(),
            hint: "what was restored stays; for what was there before, restore from an archive",
        })
    }

    /// How full it is, in hundredths; nothing where LVM does not tell.
    pub(super) fn fullness(&self, cx: &Cx<'_>) -> Result<Option<f64>> {
        Ok(self.asked("data_percent", cx)?.replace(',', ".").parse().ok())
    }

    /// Goes back to the snapshot as a whole. False where the volume is in use and cannot be.
    pub(super) fn merge(&self, cx: &Cx<'_>) -> Result<bool> {
        let thin = if self.bytes.is_none() { "thin" } else { "" };
        let command = shell(MERGE, &[&self.mount]).args([
            &self.of(),
            &self.full_name(),
            &self.file_system,
            &self.options,
            thin,
        ] as [&str; 5]);
        match cx.host.run(&command) {
            Ok(_) => Ok(true),
            Err(reprise_host::Error::Command { status, .. }) if status.ends_with(" 75") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// After a cut in the middle of a merge: it goes on by itself once the volume is active, and may have left it unmounted.
    pub(super) fn finish_merge(&self, cx: &Cx<'_>) -> Result<()> {
        if cx.host.mounts_within(&self.mount)?.contains(&self.mount) || cx.host.pretends() {
            return Ok(());
        }
        let script = r#"mount=$1 volume=$2 snapshot=$3 type=$4 options=$5
lvchange -ay -- "$volume"
while lvs -a --noheadings -o lv_merging -- "$snapshot" 2>/dev/null | grep -q merging; do sleep 0.2; done
mount -t "$type" -o "$options" -- "/dev/$volume" "$mount""#;
        let command = shell(script, &[&self.mount]);
        let command =
            command.args([&self.of(), &self.full_name(), &self.file_system, &self.options] as [&str; 4]);
        Ok(cx.host.run(&command).map(drop)?)
    }

    /// Lets `work` look at the snapshot, mounted where nobody else looks.
    pub(super) fn mounted(&self, cx: &Cx<'_>, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let down = r#"if mountpoint -q -- "$1"; then umount -- "$1"; fi; [ ! -d "$1" ] || rmdir -- "$1""#;
        let down = || cx.host.run(&shell(down, &[&self.at]).limit(Duration::from_mins(2)));
        down()?;
        // XFS takes a snapshot for a second mount of the same, and would like to write to its journal.
        let options = if self.file_system == "xfs" { "ro,nouuid,norecovery" } else { "ro" };
        let up = r#"mkdir -m 700 -- "$1" && mount -t "$2" -o "$3" -- "/dev/$4" "$1""#;
        let up = shell(up, &[&self.at]).args([&self.file_system, options, &self.full_name()] as [&str; 3]);
        cx.host.run(&up)?;
        let done = work(&self.at);
        let down = down();
        done?;
        Ok(down.map(drop)?)
    }
}
