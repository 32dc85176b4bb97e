//! Ports: their short form `[[HOST_IP:]PUBLISHED:]TARGET[/PROTOCOL]`, and what they take of the host.

use std::ops::RangeInclusive;

use reprise_host::{PortBinding, Protocol};

use super::dotenv::Variables;
use super::interpolate::{Interpolated, interpolate};
use super::types::Port;

/// Reads a short port. A value whose variables are not known is taken apart as far as it shows.
pub(super) fn parse_short(raw: &str, variables: &Variables) -> Option<Port> {
    let whole = interpolate(raw, variables);
    // Known values are split after interpolation, as Compose does; others before, so that their parts
    // keep saying what is not known.
    let text = whole.known().unwrap_or(raw);
    let make = |part: &str| match whole.known() {
        Some(_) => Interpolated::literal(part),
        None => interpolate(part, variables),
    };
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, protocol)) if protocol.chars().all(|c| c.is_ascii_alphanumeric()) => {
            (rest, Some(protocol.to_owned()))
        }
        _ => (text, None),
    };
    let (rest, target) = cut_last(rest);
    if target.is_empty() {
        return None;
    }
    let (host_ip, published) = match rest {
        None => (None, None),
        Some(rest) => {
            let (host, published) = cut_last(rest);
            let host = host.map(|host| host.trim_start_matches('[').trim_end_matches(']'));
            (host.filter(|host| !host.is_empty()), Some(published).filter(|port| !port.is_empty()))
        }
    };
    Some(Port { host_ip: host_ip.map(make), published: published.map(make), target: make(target), protocol })
}

/// More of them in one line than anybody publishes, and each costs a process of its own; files of a backup may say anything.
const MOST_PORTS: usize = 20_000;

impl Port {
    /// The ports of the host that it takes, as far as they are known and fixed: where a range leads to a single port,
    /// the engine takes one that is free. Nothing of a range of more than [`MOST_PORTS`].
    pub fn bindings(&self) -> Vec<PortBinding> {
        let fixed = || {
            let protocol = Protocol::named(self.protocol.as_deref().unwrap_or("tcp"))?;
            let (published, target) = (range(self.published.as_ref()?)?, range(&self.target)?);
            let address = self.host_ip.as_ref().and_then(Interpolated::known).unwrap_or_default();
            let count = published.clone().count();
            let is_fixed = *published.start() > 0 && count == target.count() && count <= MOST_PORTS;
            let binding = move |port| PortBinding { address: address.to_owned(), port, protocol };
            is_fixed.then(|| published.map(binding).collect())
        };
        fixed().unwrap_or_default()
    }
}

/// A port, or a first and a last one.
fn range(text: &Interpolated) -> Option<RangeInclusive<u16>> {
    let text = text.known()?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

/// Cuts at the last colon outside `${…}` and `[…]`.
fn cut_last(text: &str) -> (Option<&str>, &str) {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'}' | b']' => depth += 1,
            b'{' | b'[' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => return (Some(&text[..at]), &text[at + 1..]),
            _ => {}
        }
    }
    (None, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ports_are_split() {
        let variables: Variables = [("PORT", "8443")].into_iter().collect();
        let show = |raw: &str| {
            let port = parse_short(raw, &variables).unwrap();
            let text = |part: Option<Interpolated>| part.map(|p| p.to_string()).unwrap_or_default();
            format!(
                "{}|{}|{}|{}",
                text(port.host_ip),
                text(port.published),
                port.target,
                port.protocol.unwrap_or_default()
            )
        };
        assert_eq!(show("80"), "||80|");
        assert_eq!(show("8080:80"), "|8080|80|");
        assert_eq!(show("127.0.0.1:8080:80/udp"), "127.0.0.1|8080|80|udp");
        assert_eq!(show("127.0.0.1::80"), "127.0.0.1||80|");
        assert_eq!(show("[::1]:6000-6005:7000-7005"), "::1|6000-6005|7000-7005|");
        assert_eq!(show("${PORT}:443"), "|8443|443|");
        assert_eq!(show("${NO:?x:y}:443"), "|${NO:?x:y}|443|");
    }

    #[test]
    fn ports_that_are_fixed_take_those_of_the_host() {
        let takes = |raw: &str| {
            let bindings = parse_short(raw, &Variables::default()).unwrap().bindings();
            let shown = bindings.iter().map(|it| format!("{}:{it}", it.address));
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(takes("8080:80"), ":8080");
        assert_eq!(takes("127.0.0.1:53:53/udp"), "127.0.0.1:53/udp");
        assert_eq!(takes("9000-9002:7000-7002"), ":9000 :9001 :9002");
        for open in [
            "80",
            "0:80",
            "9000-9010:80",
            "9000-9001:80-82",
            "${PORT}:80",
            "1:1/x",
            "9-8:9-8",
            "70000:80",
            "1-65535:1-65535",
        ] {
            assert_eq!(takes(open), "", "{open}");
        }
    }
}
