//! The arguments of `reprise host`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reprise_host::Destination;

use crate::hosts::Name;

/// What can be said in examples about hosts.
pub const HELP: &str = "\
A host needs an ssh server, a POSIX shell, coreutils, findutils, util-linux, GNU
tar and docker; nothing of Reprise. Log in as root, or as a user who may use
sudo without a password.

Examples:
  reprise host add web1 root@10.0.0.5            makes a key, shows the host's, pins it
  reprise host check web1                        whether all is there that is needed
  reprise docker restore /backup::latest --host web1 --in-place --dry-run

Hosts may also be declared in reprise.toml ($REPRISE_CONFIG, else
/etc/reprise/reprise.toml and ~/.config/reprise/reprise.toml):
  [hosts.web1]
  address = \"reprise@10.0.0.5:2222\"
  identity = \"/root/.ssh/id_ed25519\"
  host_key = \"ssh-ed25519 AAAA…\"";

/// Arguments of `reprise host`.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<HostAction>,
    /// Do not ask
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done with hosts.
#[derive(Debug, Subcommand)]
pub enum HostAction {
    /// List them
    List,
    /// Add one: make a key for it, show its host key and pin it
    Add {
        /// What to call it
        name: Name,
        /// Where it is [default: as reprise.toml declares it]
        #[arg(value_name = "[USER@]ADDRESS[:PORT]")]
        destination: Option<Destination>,
        /// Log in with this private key [default: one that is made for this host]
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        /// The fingerprint its key must have; then nothing is asked
        #[arg(long, value_name = "SHA256:…")]
        fingerprint: Option<String>,
    },
    /// Log in and see what is there
    Check {
        /// Which
        name: Name,
    },
    /// Show one, with the key that it must let in
    Show {
        /// Which
        name: Name,
    },
    /// Forget one, its pinned key and the key pair made for it
    Remove {
        /// Which
        name: Name,
    },
}
