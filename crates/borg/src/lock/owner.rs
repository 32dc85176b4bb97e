//! Who holds a lock: host, process and thread, named as Borg names them.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use dns_lookup::{AddrInfoHints, SockType};
use nix::ifaddrs::getifaddrs;

/// A holder. Borg's thread is always 0: its check for life treats any other as alive for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub host: String,
    pub process: u32,
    pub thread: u64,
}

impl Owner {
    pub fn this_process(host_id: Option<&str>) -> Self {
        // Asking for the full name may wait for a name server: once is enough.
        static THIS_HOST: LazyLock<String> = LazyLock::new(host_id_as_borg);
        let host = host_id.unwrap_or(&THIS_HOST).to_owned();
        Self { host, process: std::process::id(), thread: 0 }
    }

    /// The name of the file inside the exclusive lock.
    pub fn file_name(&self) -> String {
        format!("{}.{}-{:x}", self.host, self.process, self.thread)
    }

    fn parse(name: &str) -> Option<Self> {
        let (rest, thread) = name.rsplit_once('-')?;
        let (host, process) = rest.rsplit_once('.')?;
        Some(Self {
            host: host.to_owned(),
            process: process.parse().ok()?,
            thread: u64::from_str_radix(thread, 16).ok()?,
        })
    }

    /// Whether the holder may still run. Of other hosts nothing is known, so theirs do.
    pub fn may_be_alive(&self, this_host: &str) -> bool {
        self.host != this_host || self.thread != 0 || process_exists(self.process)
    }
}

fn process_exists(process: u32) -> bool {
    let Some(pid) = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    // Not being allowed to signal it proves that it exists.
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Removes the lock directory if all its holders are processes of this host that are gone.
pub(super) fn remove_stale(dir: &Path, this_host: &str) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    for entry in entries {
        let Ok(entry) = entry else { return false };
        let stale = entry
            .file_name()
            .to_str()
            .and_then(Owner::parse)
            .is_some_and(|owner| !owner.may_be_alive(this_host));
        if !stale || fs::remove_file(entry.path()).is_err() {
            return false;
        }
    }
    fs::remove_dir(dir).is_ok()
}

/// The holders of the lock directory, for showing.
pub(super) fn holders(dir: &Path) -> Option<String> {
    let names: Vec<String> = fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .map(|name| match Owner::parse(&name) {
            Some(owner) => format!("process {} on {}", owner.process, owner.host),
            None => name,
        })
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The host's name and number, as Borg would call it unless told otherwise: `fqdn@node`. Both are found the way
/// Python's `socket.getaddrinfo` and `uuid.getnode` do, so that Borg recognises what a crash of ours leaves behind.
fn host_id_as_borg() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hints =
        AddrInfoHints { socktype: SockType::DGram.into(), flags: AI_CANONNAME, ..AddrInfoHints::default() };
    let full = dns_lookup::getaddrinfo(Some(&name), None, Some(hints))
        .ok()
        .and_then(|found| found.flatten().find_map(|info| info.canonname))
        .unwrap_or(name);
    format!("{full}@{}", node())
}

/// `AI_CANONNAME` of `netdb.h`, the same on every Linux.
const AI_CANONNAME: i32 = 2;

/// The hardware address of the first interface that has one as well as an IPv4 address: what libuuid picks.
fn node() -> u64 {
    let Ok(interfaces) = getifaddrs().map(Iterator::collect::<Vec<_>>) else { return 0 };
    let hardware = |name: &str| {
        let address = interfaces
            .iter()
            .filter(|found| found.interface_name == name)
            .find_map(|found| found.address.as_ref()?.as_link_addr()?.addr())?;
        let number = address.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        (number != 0).then_some(number)
    };
    interfaces
        .iter()
        .filter(|found| found.address.as_ref().is_some_and(|address| address.as_sockaddr_in().is_some()))
        .find_map(|found| hardware(&found.interface_name))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn names_with_dots_and_dashes_are_read_back() {
        let owner = Owner { host: "db-1.example.org@12".into(), process: 77, thread: 0 };
        assert_eq!(Owner::parse(&owner.file_name()), Some(owner));
        assert_eq!(Owner::parse("nonsense"), None);
    }

    #[test]
    fn only_dead_processes_of_this_host_are_stale() {
        let dead = Owner { host: "here".into(), process: 0x7fff_fff0, thread: 0 };
        assert!(!dead.may_be_alive("here"));
        assert!(dead.may_be_alive("elsewhere"));
        assert!(Owner::this_process(Some("here")).may_be_alive("here"));
    }
}
