//! The hosts there are: declared in `reprise.toml`, or added by `reprise host add`.
//!
//! What was added lies below the state directory, `hosts/NAME/`: `host.toml`, the pinned host key in `known_hosts`, and
//! the key pair made for it. A host of `reprise.toml` has its pinned key there, too, unless the file gives it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reprise_host::{Destination, Exchange, HERE, Host, HostKey, LocalHost, Settings, SshHost, pin};
use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::failure::Failure;
use crate::ui::one_line;

/// What a host is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if text == HERE {
            Err(format!("`{HERE}` is this machine"))
        } else if !plain || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || text.len() > 63 {
            Err("a name has letters, digits, `-`, `_` and `.`, 63 at most, and begins with a letter or digit"
                .into())
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host as a file declares it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Where it is, and who to be there.
    pub address: Destination,
    /// The private key to log in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
    /// Its public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
}

/// `reprise.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    hosts: BTreeMap<Name, Declared>,
}

/// A host, and where it is declared.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it is called.
    pub name: Name,
    /// What is declared of it.
    pub declared: Declared,
    /// The file that does.
    pub file: PathBuf,
    /// Whether `reprise host add` wrote that file.
    pub added: bool,
}

/// All hosts there are, by name.
pub fn all(env: &Env) -> Result<Vec<Known>, Failure> {
    let mut known = BTreeMap::new();
    for entry in fs::read_dir(env.state_dir.join("hosts")).into_iter().flatten().flatten() {
        let file = entry.path().join("host.toml");
        let name = entry.file_name().to_str().and_then(|name| name.parse::<Name>().ok());
        if let (Some(name), Some(declared)) = (name, read::<Declared>(&file)?) {
            known.insert(name.clone(), Known { name, declared, file, added: true });
        }
    }
    for file in &env.config {
        for (name, declared) in read::<Config>(file)?.unwrap_or_default().hosts {
            known.insert(name.clone(), Known { name, declared, file: file.clone(), added: false });
        }
    }
    Ok(known.into_values().collect())
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<Option<T>, Failure> {
    let what = one_line(&file.display().to_string());
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::new(format!("cannot read {what}: {error}"))),
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        Failure::new(format!("{what}: {}", error.to_string().trim()))
            .hint("`reprise host --help` shows how hosts are declared")
    })
}

/// The host called `name`.
pub fn find(name: &Name, env: &Env) -> Result<Known, Failure> {
    all(env)?.into_iter().find(|known| known.name == *name).ok_or_else(|| {
        Failure::new(format!("there is no host `{name}`")).hint(format!(
            "`reprise host list` shows the ones there are, `reprise host add {name} …` adds it"
        ))
    })
}

/// This machine, or the host called `name`, logged in to.
pub fn open(name: Option<&Name>, env: &Env) -> Result<Box<dyn Host>, Failure> {
    match name {
        None => Ok(Box::new(LocalHost::new())),
        Some(name) => Ok(Box::new(SshHost::connect(settings(&find(name, env)?, env)?)?)),
    }
}

/// The host that a plan names.
pub fn of_plan(host: &str, env: &Env) -> Result<Box<dyn Host>, Failure> {
    if host == HERE {
        return open(None, env);
    }
    let name =
        host.parse().map_err(|reason| Failure::new(format!("the plan names the host `{host}`: {reason}")))?;
    open(Some(&name), env)
}

/// How `known` is reached.
pub fn settings(known: &Known, env: &Env) -> Result<Settings, Failure> {
    let dir = directory(&known.name, env);
    let known_hosts = dir.join("known_hosts");
    if let Some(key) = &known.declared.host_key {
        make(&dir)?;
        pin(&known_hosts, &known.name.0, &key.parse::<HostKey>()?)?;
    }
    let own = dir.join("id_ed25519");
    Ok(Settings {
        name: known.name.to_string(),
        destination: known.declared.address.clone(),
        identity: known.declared.identity.clone().or_else(|| Some(own).filter(|own| own.exists())),
        known_hosts,
        scratch: env.scratch.clone(),
        exchange: Exchange::ALL.to_vec(),
    })
}

/// Where what is known of a host is kept.
pub fn directory(name: &Name, env: &Env) -> PathBuf {
    env.state_dir.join("hosts").join(&name.0)
}

/// Makes the directory of a host, for nobody else to look into.
pub fn make(dir: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        Failure::new(format!("cannot make {}: {error}", one_line(&dir.display().to_string())))
            .hint("the state directory must be writable; --state-dir names another")
    })
}

/// The key that is pinned for a host, if one is.
pub fn pinned(name: &Name, env: &Env) -> Option<HostKey> {
    let text = fs::read_to_string(directory(name, env).join("known_hosts")).ok()?;
    text.split_once(' ')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths_and_no_options() {
        for name in ["", "..", "a/b", "-x", "localhost", "ü", "a b", &"a".repeat(64)] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
        assert_eq!("web-1.example_a".parse::<Name>().unwrap().to_string(), "web-1.example_a");
    }

    #[test]
    fn a_declaration_with_a_slip_is_not_half_read() {
        let config = "[hosts.web]\naddress = \"a:22\"\nidentiy = \"/x\"\n";
        assert!(toml::from_str::<Config>(config).unwrap_err().to_string().contains("identiy"));
        assert!(toml::from_str::<Config>("[hosts.\"a/b\"]\naddress = \"a\"\n").is_err());
        assert!(toml::from_str::<Config>("[hosts.web]\naddress = \"-oX\"\n").is_err());
    }
}
