//! Where a host is reached: `[USER@]ADDRESS[:PORT]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address of a host, and who to log in as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Destination {
    /// The user to log in as; root unless another is named.
    pub user: String,
    /// A name or an address, an IPv6 one without brackets.
    pub address: String,
    /// The port of its ssh server.
    pub port: u16,
}

/// Text that names no destination, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no destination: {reason}")]
pub struct BadDestination {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |reason| BadDestination { text: text.to_owned(), reason };
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (address, port) = match rest.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((address, "")) => (address, None),
                Some((address, rest)) => {
                    (address, Some(rest.strip_prefix(':').ok_or_else(|| bad("a port follows after `:`"))?))
                }
                None => return Err(bad("a `]` is missing")),
            },
            // Several colons without brackets are an IPv6 address.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest.split_once(':').map_or((rest, None), |(address, port)| (address, Some(port))),
        };
        let port = match port.map(str::parse) {
            None => 22,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err(bad("a port is a number from 1 to 65535")),
        };
        // What begins with a dash would be an option of ssh.
        let plain = |word: &str, more: &str| {
            !word.is_empty()
                && !word.starts_with('-')
                && word.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !plain(address, ".-_:%") {
            return Err(bad("an address consists of letters, digits, `.`, `-`, `_` and, in brackets, `:`"));
        }
        let user = user.unwrap_or("root");
        if !plain(user, ".-_$") {
            return Err(bad("a user consists of letters, digits, `.`, `-` and `_`"));
        }
        Ok(Self { user: user.to_owned(), address: address.to_owned(), port })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, address, port } = self;
        if address.contains(':') {
            write!(f, "{user}@[{address}]")?;
        } else {
            write!(f, "{user}@{address}")?;
        }
        if *port == 22 { Ok(()) } else { write!(f, ":{port}") }
    }
}

impl TryFrom<String> for Destination {
    type Error = BadDestination;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_and_written_alike() {
        for (text, again) in [
            ("web1.example.org", "root@web1.example.org"),
            ("reprise@10.0.0.5:2222", "reprise@10.0.0.5:2222"),
            ("[fe80::1%eth0]:22", "root@[fe80::1%eth0]"),
            ("fe80::1", "root@[fe80::1]"),
            ("ssh://admin@web1:23", "admin@web1:23"),
        ] {
            let read: Destination = text.parse().unwrap();
            assert_eq!(read.to_string(), again);
            assert_eq!(again.parse(), Ok(read));
        }
    }

    #[test]
    fn what_would_be_an_option_or_a_path_is_no_destination() {
        for text in [
            "",
            "@web",
            "-oProxyCommand=x",
            "-l@web",
            "web:0",
            "web:99999",
            "web:/srv",
            "a b",
            "[::1",
            "[::1]22",
        ] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
