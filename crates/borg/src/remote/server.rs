//! Which repository on which server: Borg's two ways to write it.
//!
//! `ssh://[user@]host[:port]/path` and `[user@]host:path`. In the first, `/./path` is relative to where the login ends up and
//! `/~/path` to the home directory; the server resolves both. Borg 1.x, `helpers/parseformat.py`, `Location`.

use std::fmt;

/// A repository on a server, reached over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whom to log in as, if not as SSH decides.
    pub user: Option<String>,
    /// Name or address of the server, or its alias in SSH's configuration.
    pub host: String,
    /// Its port, if not SSH's own.
    pub port: Option<u16>,
    /// The repository there, as the server takes it.
    pub path: String,
    /// As it was written.
    text: String,
}

impl Server {
    /// What `text` names; nothing if it is a directory of this machine.
    ///
    /// # Errors
    /// Why it is no place on a server although it looks like one.
    pub fn parse(text: &str) -> Option<Result<Self, &'static str>> {
        if let Some(rest) = text.strip_prefix("ssh://") {
            return Some(Self::of_url(text, rest));
        }
        // What has a colon before its first slash is on another machine.
        let first = text.split('/').next().unwrap_or_default();
        if text.starts_with("file://") || !first.contains(':') {
            return None;
        }
        if text.contains("://") {
            return Some(Err("only ssh:// leads to repositories on other machines"));
        }
        Some(Self::of_scp(text))
    }

    fn of_url(text: &str, rest: &str) -> Result<Self, &'static str> {
        let slash = rest.find('/').ok_or("the path is missing: ssh://host/path")?;
        let (authority, path) = rest.split_at(slash);
        let (user, host) = user_and_rest(authority);
        let (host, port) = host_and_rest(host)?;
        let port = match port {
            "" => None,
            port => Some(port[1..].parse().map_err(|_| "the port is not a number up to 65535")?),
        };
        Self::checked(text, user, host, port, path)
    }

    fn of_scp(text: &str) -> Result<Self, &'static str> {
        let (user, rest) = user_and_rest(text);
        let (host, path) = host_and_rest(rest)?;
        Self::checked(text, user, host, None, path.get(1..).unwrap_or_default())
    }

    fn checked(
        text: &str,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<Self, &'static str> {
        if host.is_empty() {
            return Err("the host is missing: ssh://host/path");
        }
        if path.is_empty() {
            return Err("the path is missing: ssh://host/path");
        }
        // The program that connects would take it for an option.
        if user.unwrap_or(host).starts_with('-') || host.starts_with('-') {
            return Err("no host and no user begins with a hyphen");
        }
        if text.chars().any(char::is_control) {
            return Err("it holds control characters");
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    /// The host, with the user if there is one, as `ssh` takes it.
    pub(super) fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }
}

/// As it was written.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn user_and_rest(text: &str) -> (Option<&str>, &str) {
    match text.split_once('@') {
        Some((user, rest)) if !user.contains(['/', ':']) && !user.is_empty() => (Some(user), rest),
        _ => (None, text),
    }
}

/// The host, which may be an address in brackets, and what follows it with its colon.
fn host_and_rest(text: &str) -> Result<(&str, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
        return if rest.is_empty() || rest.starts_with(':') {
            Ok((address, rest))
        } else {
            Err("a port or a path follows an address in brackets")
        };
    }
    Ok(text.split_at(text.find(':').unwrap_or(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, String, Option<u16>, String) {
        let server = Server::parse(text).unwrap().unwrap();
        (server.user, server.host, server.port, server.path)
    }

    #[test]
    fn both_ways_to_write_a_place_are_read_as_borg_reads_them() {
        let of = |user: Option<&str>, host: &str, port, path: &str| {
            (user.map(str::to_owned), host.to_owned(), port, path.to_owned())
        };
        assert_eq!(parsed("ssh://me@host:22/srv/borg"), of(Some("me"), "host", Some(22), "/srv/borg"));
        assert_eq!(parsed("ssh://host/./borg"), of(None, "host", None, "/./borg"));
        assert_eq!(parsed("ssh://host/~/borg"), of(None, "host", None, "/~/borg"));
        assert_eq!(parsed("ssh://me@[::1]:22/a:b"), of(Some("me"), "::1", Some(22), "/a:b"));
        assert_eq!(parsed("me@host:borg"), of(Some("me"), "host", None, "borg"));
        assert_eq!(parsed("host:/srv/borg"), of(None, "host", None, "/srv/borg"));
        assert_eq!(parsed("[fe80::1]:~/borg"), of(None, "fe80::1", None, "~/borg"));
    }

    #[test]
    fn directories_of_this_machine_are_none() {
        for text in ["/backup/borg", "./a:b", "borg", "file:///backup", "/a:b", ""] {
            assert_eq!(Server::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_server_is_refused() {
        for text in [
            "ssh://host",
            "ssh:///srv",
            "ssh://host:port/a",
            "ssh://host:99999/a",
            "ssh://[::1/a",
            "ssh://[::1]x/a",
            "ssh://-oProxyCommand=x/a",
            "ssh://-l@host/a",
            "-oProxyCommand=x:a",
            "host:",
            "sftp://host/a",
            "ssh://ho\nst/a",
        ] {
            assert!(Server::parse(text).unwrap().is_err(), "{text}");
        }
    }
}
