//! The `host-local` IPAM plugin: addresses of a node's network, one after the other
//! (containernetworking/plugins v1.x, `plugins/ipam/host-local`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_objects::Text;

/// What the plugin keeps on its node's disk.
#[derive(Clone, Debug, Default)]
pub struct HostLocal {
    reserved: BTreeMap<Ipv4Addr, Text>,
    last: Option<Ipv4Addr>,
}

impl HostLocal {
    /// The next free address after the last one given, from the beginning after the end; the
    /// network's first is the gateway's.
    pub(crate) fn add(&mut self, net: Ipv4Net, sandbox: &Text) -> Option<Ipv4Addr> {
        let (first, end) = (u32::from(net.network()) + 2, u32::from(net.broadcast()));
        let size = end.checked_sub(first).filter(|size| *size > 0)?;
        let start = match self.last.map(u32::from) {
            Some(last) if (first..end).contains(&last) => last + 1 - first,
            _ => 0,
        };
        let mut addresses = (0..size).map(|n| Ipv4Addr::from(first + (start + n) % size));
        let free = addresses.find(|a| !self.reserved.contains_key(a))?;
        self.reserved.insert(free, sandbox.clone());
        self.last = Some(free);
        Some(free)
    }

    pub(crate) fn remove(&mut self, address: Ipv4Addr) {
        self.reserved.remove(&address);
    }

    /// The addresses in use, with the sandbox of each.
    pub fn reserved(&self) -> impl Iterator<Item = (Ipv4Addr, &Text)> {
        self.reserved.iter().map(|(a, s)| (*a, s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_on_after_the_last_one() {
        let net = "10.42.1.0/29".parse().expect("a network");
        let mut ipam = HostLocal::default();
        let mut next = || ipam.add(net, &"s".into()).map(|a| a.octets()[3]);
        assert_eq!([next(), next()], [Some(2), Some(3)]);
        ipam.remove(Ipv4Addr::new(10, 42, 1, 2));
        let mut next = || ipam.add(net, &"s".into()).map(|a| a.octets()[3]);
        assert_eq!(
            [next(), next(), next(), next(), next()],
            [Some(4), Some(5), Some(6), Some(2), None]
        );
    }
}
