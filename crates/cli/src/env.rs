//! What the environment says, read once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reprise_borg::Lock;
use reprise_model::Lang;

use crate::args::{Cli, LangArg};

/// Settings from the environment and the global flags.
#[derive(Debug, Clone)]
pub struct Env {
    /// Where operations are recorded.
    pub state_dir: PathBuf,
    /// Where catalogues of archives are kept; nowhere without.
    pub cache_dir: Option<PathBuf>,
    /// Where hosts may be declared; a later file goes before an earlier one.
    pub config: Vec<PathBuf>,
    /// Where sockets may lie: a directory with a short path.
    pub scratch: PathBuf,
    /// How repositories are locked.
    pub lock: Lock,
    /// The language of messages.
    pub lang: Lang,
    /// `BORG_REPO`.
    pub borg_repo: Option<PathBuf>,
    /// Key files and directories that Borg would look at.
    pub borg_keys: Vec<PathBuf>,
    /// `BORG_HOST_ID`.
    pub borg_host_id: Option<String>,
    /// `BORG_RSH`: the program that reaches servers, and its arguments.
    pub borg_rsh: Option<Vec<String>>,
    /// `BORG_REMOTE_PATH`: what Borg is called on servers.
    pub borg_remote_path: Option<String>,
    /// Set once somebody asks to stop.
    pub stop: Arc<AtomicBool>,
}

impl Env {
    /// Reads it.
    pub fn read(cli: &Cli) -> Self {
        let lang = match cli.lang {
            Some(LangArg::En) => Lang::En,
            Some(LangArg::Fr) => Lang::Fr,
            // The order of POSIX: the first that is set and not empty.
            None => ["LC_ALL", "LC_MESSAGES", "LANG"]
                .iter()
                .filter_map(|name| std::env::var(name).ok())
                .find(|value| !value.is_empty())
                .map_or(Lang::En, |locale| Lang::from_locale(&locale)),
        };
        Self {
            state_dir: cli.state_dir.clone().map_or_else(default_state_dir, absolute),
            cache_dir: if cli.no_cache {
                None
            } else {
                cli.cache_dir.clone().map(absolute).or_else(default_cache_dir)
            },
            lock: match (cli.bypass_lock, cli.lock_wait) {
                (true, _) => Lock::Bypass,
                (false, Some(seconds)) => Lock::Shared { wait: Duration::from_secs(seconds.into()) },
                (false, None) => Lock::default(),
            },
            config: config(),
            scratch: scratch(),
            lang,
            borg_repo: path("BORG_REPO"),
            borg_keys: borg_keys(),
            borg_host_id: text("BORG_HOST_ID"),
            borg_rsh: text("BORG_RSH").and_then(|command| shlex::split(&command)).filter(|c| !c.is_empty()),
            borg_remote_path: text("BORG_REMOTE_PATH"),
            stop: Arc::default(),
        }
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
}

fn home() -> PathBuf {
    path("HOME").unwrap_or_else(|| PathBuf::from("/root"))
}

fn config() -> Vec<PathBuf> {
    if let Some(file) = path("REPRISE_CONFIG") {
        return vec![file];
    }
    let user = path("XDG_CONFIG_HOME").unwrap_or_else(|| home().join(".config"));
    vec![PathBuf::from("/etc/reprise/reprise.toml"), user.join("reprise/reprise.toml")]
}

/// A socket's path has room for about a hundred bytes.
fn scratch() -> PathBuf {
    path("TMPDIR")
        .filter(|dir| dir.is_dir() && dir.as_os_str().len() < 50)
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// What is mounted in the background leaves the directory it was started in.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn default_state_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/lib/reprise")
    } else {
        path("XDG_STATE_HOME").unwrap_or_else(|| home().join(".local/state")).join("reprise")
    }
}

fn default_cache_dir() -> Option<PathBuf> {
    let cache = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?;
    // A relative one says nothing: it would be another one in every directory.
    Some(cache.join("reprise")).filter(|dir| dir.is_absolute())
}

/// Where Borg 1.x looks for keys: `BORG_KEY_FILE`, else `BORG_KEYS_DIR`, else below its configuration.
fn borg_keys() -> Vec<PathBuf> {
    if let Some(file) = path("BORG_KEY_FILE") {
        return vec![file];
    }
    let config = || {
        let base = path("BORG_BASE_DIR").map(|base| base.join(".config"));
        let config = base.or_else(|| path("XDG_CONFIG_HOME")).unwrap_or_else(|| home().join(".config"));
        path("BORG_CONFIG_DIR").unwrap_or_else(|| config.join("borg"))
    };
    vec![path("BORG_KEYS_DIR").unwrap_or_else(|| config().join("keys"))]
}
