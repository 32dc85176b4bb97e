//! The command line, as clap sees it.

mod host;
mod reader;
mod selection;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use reprise_model::{Adaptation, ItemRef, Protect, RestoreType};

use crate::hosts::Name;
use crate::repository::Location;
pub use host::{HostAction, HostArgs};
pub use reader::{
    ArchivesArgs, CatArgs, ContentsArgs, ExportTarArgs, ExtractArgs, FindArgs, InfoArgs, LsArgs, MountArgs,
    UmountArgs, VerifyArgs,
};
pub use selection::{RuleArg, RuleArgs, SelectionArgs};

/// Brings Docker environments back from the Borg backups you already have.
#[derive(Debug, Parser)]
#[command(name = "reprise", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// Where operations are recorded [default: /var/lib/reprise for root]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "DIR",
        env = "REPRISE_STATE_DIR",
        hide_env_values = true
    )]
    pub state_dir: Option<PathBuf>,

    /// Where catalogues of archives are kept [default: ~/.cache/reprise]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "DIR",
        env = "REPRISE_CACHE_DIR",
        hide_env_values = true
    )]
    pub cache_dir: Option<PathBuf>,

    /// Keep and use no catalogues
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_cache: bool,

    /// How long to wait for a backup to the repository to end [default: 1]
    #[arg(long, global = true, help_heading = "Global options", value_name = "SECONDS")]
    pub lock_wait: Option<u32>,

    /// Read without a lock: for media that cannot be written to; the result may be wrong if a backup runs
    /// meanwhile
    #[arg(long, global = true, help_heading = "Global options", conflicts_with = "lock_wait")]
    pub bypass_lock: bool,

    /// Language of messages [default: the locale's]
    #[arg(long, global = true, help_heading = "Global options", value_name = "LANG")]
    pub lang: Option<LangArg>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  reprise archives /backup/borg                  which archives there are
  reprise contents /backup/borg::latest          what is in the newest one
  reprise docker restore /backup/borg::latest    restore step by step, with questions
  reprise extract /backup/borg::latest etc       files of it, into this directory
  reprise verify /backup/borg                    whether all of it is sound
  reprise operations                             what was done, what can be undone
  reprise operations rollback latest             put back what was there before

The passphrase comes from BORG_PASSPHRASE, BORG_PASSCOMMAND or
BORG_PASSPHRASE_FD, else it is asked for.

Exit codes:
  0    done
  1    done with warnings
  2    error, nothing was changed
  3    failed and rolled back
  4    failed, and the rollback is incomplete
  130  cancelled and rolled back";

/// What `reprise` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the archives of a repository, oldest first
    Archives(ArchivesArgs),
    /// Show what an archive holds: volumes, Compose projects, configs
    Contents(ContentsArgs),
    /// List what is in an archive
    Ls(LsArgs),
    /// Find files in an archive by name
    Find(FindArgs),
    /// Print a file of an archive
    Cat(CatArgs),
    /// Extract files from an archive
    Extract(ExtractArgs),
    /// Write files of an archive as a tar stream
    ExportTar(ExportTarArgs),
    /// Verify all data of a repository or an archive
    Verify(VerifyArgs),
    /// Describe a repository or an archive
    Info(InfoArgs),
    /// Show an archive, or all of a repository, as a read-only directory
    Mount(MountArgs),
    /// Take away what `mount` has mounted
    Umount(UmountArgs),
    /// Restore Docker environments
    #[command(subcommand)]
    Docker(DockerCommand),
    /// Hosts that restores may go to, over SSH
    #[command(after_help = host::HELP)]
    Host(HostArgs),
    /// List, resume and roll back restores
    Operations(OperationsArgs),
    /// Print a completion script for your shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What can be done with Docker.
#[derive(Debug, Subcommand)]
pub enum DockerCommand {
    /// Restore volumes, Compose projects and configs from an archive
    #[command(after_help = RESTORE_HELP)]
    Restore(Box<RestoreArgs>),
    /// Write down what this host has of Docker, for a backup to take along
    #[command(after_help = INVENTORY_HELP)]
    Inventory(InventoryArgs),
}

const INVENTORY_HELP: &str = "\
Run it before each backup, and back the file up with the rest: a restore then
knows what was meant to be in the archive, and how containers, volumes and
networks were made. It holds the environment of containers, so keep it private.

Example:
  reprise docker inventory --output /var/backups/reprise-backup.json
  borg create ::{hostname}-{now} /var/backups/reprise-backup.json \\
      /var/lib/docker/volumes /srv";

/// Arguments of `reprise docker inventory`.
#[derive(Debug, Args)]
pub struct InventoryArgs {
    /// Write it to this file, which is replaced [default: standard output]; restores look for the name
    /// reprise-backup.json
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Of this host instead of this machine (see `reprise host`)
    #[arg(long, value_name = "NAME")]
    pub host: Option<Name>,
}

const RESTORE_HELP: &str = "\
In place, everything is extracted beside its target while services run. Then
containers stop, the trees change places, and containers start again. What was
there is kept for 8 hours: `reprise operations rollback ID` puts it back.
A failure or Ctrl+C undoes everything.

Examples, all beginning with: reprise docker restore /backup/borg::latest
  --in-place --dry-run                       show the plan, change nothing
  --in-place                                 restore, after you agreed
  --express                                  the newest sound archive, all of it in place, one question
  --to /opt/restored --adapt auto-modify     beside what runs, ready to start
  --in-place --item volume:shop_db           one volume
  --in-place --host web1                     onto another machine, over SSH
  --in-place --script complete > restore.sh  the same as a script";

/// Arguments of `reprise docker restore`.
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("destination").args(["in_place", "to", "express"]))]
pub struct RestoreArgs {
    /// The archive; `latest` names the newest
    #[arg(value_name = "REPO::ARCHIVE")]
    pub location: Location,
    /// Which items to restore [default: full, or custom with --item]
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub restore_type: Option<TypeArg>,
    /// Restore this item (may be repeated): volume:NAME, project:NAME or config:NAME
    #[arg(long = "item", value_name = "KIND:NAME")]
    pub items: Vec<ItemRef>,
    /// Restore onto this host instead of this machine (see `reprise host`)
    #[arg(long, value_name = "NAME")]
    pub host: Option<Name>,
    /// Restore to where everything came from
    #[arg(long)]
    pub in_place: bool,
    /// Restore below this directory
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// In place: write only what differs from the archive, by content; the same in the end
    #[arg(long, conflicts_with_all = ["to", "express"])]
    pub only_changed: bool,
    /// In place: put in what is missing or differs, remove nothing
    #[arg(long, conflicts_with_all = ["to", "express", "only_changed"])]
    pub merge: bool,
    /// In place: what makes the restore undoable
    #[arg(long, value_enum, value_name = "HOW", default_value_t = ProtectArg::Auto, conflicts_with_all = ["to", "express"])]
    pub protect: ProtectArg,
    /// In place: back up what is there now first, here or on the host, into the same repository; kept as long as all else that is kept
    #[arg(long, conflicts_with = "to")]
    pub backup_before: bool,
    /// How compose files are changed below --to
    #[arg(long, value_enum, value_name = "HOW", default_value_t = AdaptArg::None, conflicts_with_all = ["in_place", "express"])]
    pub adapt: AdaptArg,
    /// Leave the stopped containers stopped
    #[arg(long)]
    pub no_restart: bool,
    /// Make no containers, networks or volumes anew, whatever is missing or differs
    #[arg(long, conflicts_with = "pull")]
    pub no_recreate: bool,
    /// Let Compose pull images that are missing
    #[arg(long)]
    pub pull: bool,
    /// How long a started container may take to become healthy [default: 120]
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_restart", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub health_timeout: Option<u64>,
    /// Undo everything when it is not done after so long [default: none]
    #[arg(long, value_name = "SECONDS", conflicts_with = "script", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub time_limit: Option<u64>,
    /// Keep what was restored also where a container does not become healthy, and warn
    #[arg(long, conflicts_with = "no_restart")]
    pub keep_on_unhealthy: bool,
    /// Show the plan and rehearse it; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the plan as a bash script and change nothing
    #[arg(long, value_enum, value_name = "DETAIL")]
    pub script: Option<ScriptArg>,
    /// For an emergency: everything, in place, one question
    #[arg(long, conflicts_with_all = ["restore_type", "items"])]
    pub express: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `--type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TypeArg {
    /// Everything
    Full,
    /// Volumes alone
    Volumes,
    /// Compose projects alone
    Compose,
    /// The items named with --item
    Custom,
}

impl From<TypeArg> for RestoreType {
    fn from(arg: TypeArg) -> Self {
        match arg {
            TypeArg::Full => Self::Full,
            TypeArg::Volumes => Self::VolumesOnly,
            TypeArg::Compose => Self::ComposeOnly,
            TypeArg::Custom => Self::Custom,
        }
    }
}

/// `--adapt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AdaptArg {
    /// As they were
    None,
    /// Rewritten to the restored paths
    AutoModify,
    /// Rewritten, the original kept beside as .original
    GenerateNew,
}

impl From<AdaptArg> for Adaptation {
    fn from(arg: AdaptArg) -> Self {
        match arg {
            AdaptArg::None => Self::None,
            AdaptArg::AutoModify => Self::AutoModify,
            AdaptArg::GenerateNew => Self::GenerateNew,
        }
    }
}

/// `--protect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtectArg {
    /// What is replaced is kept on its file system
    Auto,
    /// A snapshot of the file system: LVM or btrfs
    Snapshot,
}

impl From<ProtectArg> for Protect {
    fn from(arg: ProtectArg) -> Self {
        match arg {
            ProtectArg::Auto => Self::Auto,
            ProtectArg::Snapshot => Self::Snapshot,
        }
    }
}

/// `--script`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScriptArg {
    /// Short, a comment under each step
    Explained,
    /// With everything that undoes a failure
    Complete,
}

/// `--lang`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// English
    En,
    /// Français
    Fr,
}

/// Arguments of `reprise operations`.
#[derive(Debug, Args)]
pub struct OperationsArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<OperationsAction>,
    /// Do not ask
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done with operations. An ID may be shortened to a unique beginning; `latest` is the newest.
#[derive(Debug, Subcommand)]
pub enum OperationsAction {
    /// List them, newest first
    List,
    /// Show one with its steps
    Show {
        /// Which
        id: String,
    },
    /// Go on with one that was cut off
    Resume {
        /// Which
        id: String,
    },
    /// Put back what was there before it
    Rollback {
        /// Which
        id: String,
    },
    /// Show everything recorded of one
    Log {
        /// Which
        id: String,
    },
    /// Remove what was kept for rollbacks whose window has closed
    #[command(after_help = EXPIRE_HELP)]
    Expire,
}

const EXPIRE_HELP: &str = "\
Kept trees and snapshots go, of all hosts that can be reached; a rollback is then
no longer possible. Nothing goes before its window has closed. Run it by hand, or
every hour by a timer (docs/systemd has both files):

  # /etc/systemd/system/reprise-expire.service
  [Service]
  Type=oneshot
  ExecStart=/usr/local/bin/reprise operations expire
  SuccessExitStatus=1

  # /etc/systemd/system/reprise-expire.timer
  [Timer]
  OnCalendar=hourly
  Persistent=true
  [Install]
  WantedBy=timers.target

  systemctl enable --now reprise-expire.timer";

impl Cli {
    /// Whether standard output is for a program.
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Command::Archives(args) => args.json,
            Command::Contents(args) => args.json,
            Command::Ls(args) => args.json,
            Command::Find(args) => args.json,
            Command::Cat(args) => args.json,
            Command::Mount(args) => args.json,
            Command::Umount(args) => args.json,
            Command::Extract(args) => args.json,
            Command::ExportTar(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Info(args) => args.json,
            Command::Docker(DockerCommand::Restore(args)) => args.json,
            Command::Host(args) => args.json,
            Command::Operations(args) => args.json,
            Command::Docker(DockerCommand::Inventory(_)) | Command::Completions { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
