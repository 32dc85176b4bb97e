//! The commands that read archives: as Borg has them, and with its meaning.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::{RuleArgs, SelectionArgs};
use crate::repository::{Location, Place};

const ARCHIVES_HELP: &str = "\
Examples:
  reprise archives /backup/borg
  reprise archives ssh://backup@nas/./borg --deduplicated
  reprise archives /mnt/rescued/borg --bypass-lock      on a disk mounted read-only";

/// Arguments of `reprise archives`.
#[derive(Debug, Args)]
#[command(after_help = ARCHIVES_HELP)]
pub struct ArchivesArgs {
    /// The repository: a directory, or `ssh://user@host/path` [default: `$BORG_REPO`]
    #[arg(value_name = "REPO")]
    pub repository: Option<Place>,
    /// Also show what deleting each archive alone would free (reads all metadata)
    #[arg(long)]
    pub deduplicated: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const CONTENTS_HELP: &str = "\
Examples:
  reprise contents /backup/borg::latest
  reprise contents /backup/borg::web-2026-11-24 --json | jq .items";

/// Arguments of `reprise contents`.
#[derive(Debug, Args)]
#[command(after_help = CONTENTS_HELP)]
pub struct ContentsArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const LS_HELP: &str = "\
Examples:
  reprise ls /backup/borg::latest                    what is at the top
  reprise ls /backup/borg::latest etc/nginx          what is in a directory
  reprise ls /backup/borg::latest --recursive        everything, in the order of the backup";

/// Arguments of `reprise ls`.
#[derive(Debug, Args)]
#[command(after_help = LS_HELP)]
pub struct LsArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// A directory or file in the archive [default: its top]
    #[arg(value_name = "PATH")]
    pub path: Option<OsString>,
    /// Also what is below directories
    #[arg(long, short)]
    pub recursive: bool,
    /// What to leave out
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const FIND_HELP: &str = "\
A pattern without a slash is compared with names, others with whole paths; * and
? stay within a name, **/ stands for any directories. With a style it is one of
Borg's patterns (fm: sh: re: pp: pf:), which match what is below as well; re: has no look-around
and no backreferences.

Examples:
  reprise find /backup/borg::latest 'docker-compose.y*ml'
  reprise find /backup/borg::latest 'var/lib/docker/volumes/*/_data'
  reprise find /backup/borg::latest 're:\\.(sql|dump)(\\.gz)?$'";

/// Arguments of `reprise find`.
#[derive(Debug, Args)]
#[command(after_help = FIND_HELP)]
pub struct FindArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// What to look for
    #[arg(value_name = "PATTERN")]
    pub pattern: OsString,
    /// What to leave out
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const EXTRACT_HELP: &str = "\
What is there under the same name is replaced; nothing is removed that the archive
does not have. With --only-changed, files are read and compared with the archive;
one that differs is made anew beside the old one, from unchanged parts of it and
the rest from the archive, and takes its place in one step. A damaged file is left out and
named; all others are extracted. Exit codes: 0 done, 1 something is damaged, was
left out or matched nothing, 2 error, 130 cancelled; what was extracted stays.

Examples:
  reprise extract /backup/borg::latest                        into this directory
  reprise extract /backup/borg::latest etc --to /tmp/old      one directory
  reprise extract /backup/borg::latest var/lib/docker/volumes/shop_db/_data \\
      --strip-components 6 --to /tmp/db
  reprise extract /backup/borg::latest --exclude '*.log' --dry-run
  reprise extract /backup/borg::latest --pattern '+ home/*/keep' --pattern '- home/*/*'
  reprise extract /backup/borg::latest --patterns-from rules.lst     one rule a line
  reprise extract /backup/borg::latest srv --to / --only-changed";

/// Arguments of `reprise extract`.
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Debug, Args)]
#[command(after_help = EXTRACT_HELP)]
pub struct ExtractArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// What to extract
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Where to; made if it is not there [default: this directory]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Read and verify everything, write nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Leave alone what is right already: compares content, attributes and links with
    /// what is there; with --dry-run, lists what would change
    #[arg(long)]
    pub only_changed: bool,
    /// Make holes where content is zeros
    #[arg(long)]
    pub sparse: bool,
    /// Owners by number, not by name
    #[arg(long)]
    pub numeric_ids: bool,
    /// Also make device nodes, which needs root
    #[arg(long)]
    pub devices: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

const EXPORT_HELP: &str = "\
The stream is POSIX tar (pax), with times to the nanosecond, extended attributes
and ACLs, not compressed.

Examples:
  reprise export-tar /backup/borg::latest web.tar srv/web
  reprise export-tar /backup/borg::latest - | zstd > all.tar.zst
  reprise export-tar /backup/borg::latest - etc | tar -t

A damaged file is left out; where that shows only farther than 64 MiB into it, what is lost
is zeros. Either is named, and the exit code is 1.";

/// Arguments of `reprise export-tar`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_HELP)]
pub struct ExportTarArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// The file to make, or - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What to export
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Print the result as JSON; not with - as the file
    #[arg(long)]
    pub json: bool,
}

const CAT_HELP: &str = "\
Examples:
  reprise cat /backup/borg::latest etc/hostname
  reprise cat /backup/borg::latest srv/db.sql --range 0-4096     the first 4 KiB
  reprise cat /backup/borg::latest var/log/syslog --range 1000-  all but the first 1000 bytes";

/// Arguments of `reprise cat`.
#[derive(Debug, Args)]
#[command(after_help = CAT_HELP)]
pub struct CatArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// A file in it
    #[arg(value_name = "PATH")]
    pub path: OsString,
    /// Only these bytes: from FROM up to but without TO, counted from 0
    #[arg(long, value_name = "FROM-TO", default_value = "-", hide_default_value = true)]
    pub range: ByteRange,
    /// Print the content within JSON, up to 16 MiB
    #[arg(long)]
    pub json: bool,
}

const VERIFY_HELP: &str = "\
Everything is read, authenticated, decompressed and compared with its id. Damage
is named by segment, and by archive, file and bytes. Nothing is changed.
Exit codes: 0 sound, 1 damaged, 2 error, 130 cancelled.

Examples:
  reprise verify /backup/borg                 the repository with all archives
  reprise verify /backup/borg::latest         what one archive needs";

/// Arguments of `reprise verify`.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub struct VerifyArgs {
    /// The repository, or one archive of it [default: `$BORG_REPO`]
    #[arg(value_name = "REPO[::ARCHIVE]", default_value = "", hide_default_value = true)]
    pub location: Location,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

const INFO_HELP: &str = "\
Examples:
  reprise info /backup/borg
  reprise info /backup/borg::latest --deduplicated
  reprise info /backup/borg::latest --directories --depth 2   what takes the space";

/// Arguments of `reprise info`.
#[derive(Debug, Args)]
#[command(after_help = INFO_HELP)]
pub struct InfoArgs {
    /// The repository, or one archive of it [default: `$BORG_REPO`]
    #[arg(value_name = "REPO[::ARCHIVE]", default_value = "", hide_default_value = true)]
    pub location: Location,
    /// Also what deleting the archive alone would free (reads all metadata)
    #[arg(long)]
    pub deduplicated: bool,
    /// Also what each directory of an archive holds, and what of it no other archive has (reads all metadata)
    #[arg(long)]
    pub directories: bool,
    /// How many levels of directories
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "directories")]
    pub depth: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Bytes of a file: from the first number up to but without the second, either of which may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange(pub std::ops::Range<u64>);

impl FromStr for ByteRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || format!("`{text}` is not a range; write FROM-TO, FROM- or -TO");
        let (from, to) = text.split_once('-').ok_or_else(malformed)?;
        let number = |text: &str, default| {
            if text.is_empty() { Ok(default) } else { text.parse().map_err(|_| malformed()) }
        };
        let range = number(from, 0)?..number(to, u64::MAX)?;
        if range.start <= range.end {
            Ok(Self(range))
        } else {
            Err("a range cannot run backwards".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteRange;

    #[test]
    fn ranges_may_be_open_at_either_end() {
        let range = |text: &str| text.parse::<ByteRange>().map(|range| range.0);
        assert_eq!(range("3-7"), Ok(3..7));
        assert_eq!(range("3-"), Ok(3..u64::MAX));
        assert_eq!(range("-7"), Ok(0..7));
        assert_eq!(range("-"), Ok(0..u64::MAX));
        for bad in ["7-3", "3", "a-b", "1--2", ""] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}

const MOUNT_HELP: &str = "\
Without an archive, each archive is a directory of its own. What is read is
verified; what is damaged is an input/output error, and the rest can be read.
Which file and which bytes of it that was is told in a log, with --foreground on
standard error.
As with `borg mount`, the repository stays locked: backups to it wait until it
is unmounted.

Examples:
  reprise mount /backup/borg::latest /mnt/backup     the newest archive
  reprise mount /backup/borg /mnt/backup             all of them
  reprise umount /mnt/backup                         when you are done";

/// Arguments of `reprise mount`.
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Debug, Args)]
#[command(after_help = MOUNT_HELP)]
pub struct MountArgs {
    /// The archive (`latest` names the newest), or a repository
    #[arg(value_name = "REPO[::ARCHIVE]")]
    pub location: Location,
    /// An empty directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Stay here until it is unmounted, or Ctrl+C
    #[arg(long, short)]
    pub foreground: bool,
    /// Mebibytes of content to keep in memory
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub cache: u32,
    /// Let other users in, too
    #[arg(long)]
    pub allow_other: bool,
    /// Let files be read whose lost content `borg check --repair` replaced with zeros
    #[arg(long)]
    pub allow_damaged_files: bool,
    /// Owners by number, not by name
    #[arg(long)]
    pub numeric_ids: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Serve, and leave the terminal once mounted: what the program calls itself with
    #[arg(long, hide = true, conflicts_with = "foreground")]
    pub serve: bool,
}

const UMOUNT_HELP: &str = "\
Examples:
  reprise umount /mnt/backup
  reprise umount --lazy /mnt/backup      although somebody still uses it";

/// Arguments of `reprise umount`.
#[derive(Debug, Args)]
#[command(after_help = UMOUNT_HELP)]
pub struct UmountArgs {
    /// Where it is mounted
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Out of sight at once, even if somebody uses it; it ends with the last of them
    #[arg(long, short)]
    pub lazy: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
