//! The short form of a port: `[[HOST_IP:]PUBLISHED:]TARGET[/PROTOCOL]`.

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
}
