//! Addresses as kube-proxy reads them: tolerantly, printed canonically, and of one family at a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The address family that one proxier serves. A dual-stack kube-proxy runs one of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `iptables`, table family `ip`.
    #[default]
    Ipv4,
    /// `ip6tables`, table family `ip6`.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// The family's name in Service and EndpointSlice objects: `IPv4` or `IPv6`.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        }
    }

    /// The network of every address: `0.0.0.0/0` or `::/0`.
    pub fn everything(self) -> IpNet {
        net(self.unspecified(), 0)
    }

    /// The network of one address: `/32` or `/128`.
    pub fn host(ip: IpAddr) -> IpNet {
        net(ip, if ip.is_ipv4() { 32 } else { 128 })
    }

    /// The loopback network that rules name: `127.0.0.0/8` or `::1/128`.
    pub fn loopback(self) -> IpNet {
        match self {
            Family::Ipv4 => net(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            Family::Ipv6 => net(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        }
    }

    fn unspecified(self) -> IpAddr {
        match self {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

/// A network from parts that are known to fit.
fn net(ip: IpAddr, prefix: u8) -> IpNet {
    IpNet::new_assert(ip, prefix)
}

/// Reads an address as Go's `ParseIPSloppy` of `k8s.io/utils/net` does: leading zeros of IPv4 parts
/// are decimal and dropped, an IPv4-mapped IPv6 address is an IPv4 address.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    if !text.contains(':') {
        return parse_ipv4(text).map(IpAddr::V4);
    }
    let v6: Ipv6Addr = text.parse().ok()?;
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = decimal(parts.next()?)?.try_into().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// A decimal number up to 65535, leading zeros allowed, no sign.
fn decimal(text: &str) -> Option<u16> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Reads a CIDR as Go's `ParseCIDRSloppy` does, masked to its network: `203.0.113.000/025` is
/// `203.0.113.0/25`.
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    let (ip, prefix) = text.split_once('/')?;
    let (ip, prefix) = (parse_ip(ip)?, u8::try_from(decimal(prefix)?).ok()?);
    Some(IpNet::new(ip, prefix).ok()?.trunc())
}

/// `IP:PORT`, an IPv6 address in brackets.
pub fn socket_text(ip: IpAddr, port: u16) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str, want: &str) {
        let got = parse_ip(text).map_or("none".to_owned(), |ip| ip.to_string());
        assert_eq!(got, want, "{text}");
    }

    fn cidr(text: &str, want: &str) {
        let got = parse_cidr(text).map_or("none".to_owned(), |net| net.to_string());
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn addresses_are_read_tolerantly() {
        ip("172.30.0.041", "172.30.0.41");
        ip("010.010.0.1", "10.10.0.1");
        ip("::ffff:1.2.3.4", "1.2.3.4");
        ip("2001:DB8::0:1", "2001:db8::1");
        ip("1.2.3", "none");
        ip("1.2.3.4.5", "none");
        ip("1.2.3.256", "none");
        ip("1.2.3.+4", "none");
        ip("", "none");
        ip("host", "none");
    }

    #[test]
    fn networks_are_masked() {
        cidr("203.0.113.000/025", "203.0.113.0/25");
        cidr("10.1.2.3/8", "10.0.0.0/8");
        cidr("2001:db8::5/64", "2001:db8::/64");
        cidr("10.0.0.0/33", "none");
        cidr("10.0.0.0", "none");
        cidr("10.0.0.0/", "none");
    }
}
