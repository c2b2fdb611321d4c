//! Kernel parameters of a network namespace: only what differs from Linux's defaults is stored.

use std::collections::BTreeMap;

/// Parameters with their default in a new network namespace (Linux 6.x). `*` stands for one device name, `all` or
/// `default`.
const DEFAULTS: &[(&str, &str)] = &[
    ("net.bridge.bridge-nf-call-arptables", "1"),
    ("net.bridge.bridge-nf-call-ip6tables", "1"),
    ("net.bridge.bridge-nf-call-iptables", "1"),
    ("net.bridge.bridge-nf-filter-pppoe-tagged", "0"),
    ("net.bridge.bridge-nf-filter-vlan-tagged", "0"),
    ("net.bridge.bridge-nf-pass-vlan-input-dev", "0"),
    ("net.core.somaxconn", "4096"),
    ("net.ipv4.conf.*.accept_local", "0"),
    ("net.ipv4.conf.*.accept_redirects", "1"),
    ("net.ipv4.conf.*.arp_announce", "0"),
    ("net.ipv4.conf.*.arp_filter", "0"),
    ("net.ipv4.conf.*.arp_ignore", "0"),
    ("net.ipv4.conf.*.forwarding", "0"),
    ("net.ipv4.conf.*.log_martians", "0"),
    ("net.ipv4.conf.*.proxy_arp", "0"),
    ("net.ipv4.conf.*.route_localnet", "0"),
    ("net.ipv4.conf.*.rp_filter", "0"),
    ("net.ipv4.conf.*.send_redirects", "1"),
    ("net.ipv4.icmp_echo_ignore_all", "0"),
    ("net.ipv4.icmp_ratelimit", "1000"),
    ("net.ipv4.ip_default_ttl", "64"),
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv4.ip_local_port_range", "32768\t60999"),
    ("net.ipv4.ip_nonlocal_bind", "0"),
    ("net.ipv4.ip_unprivileged_port_start", "1024"),
    ("net.ipv4.neigh.*.retrans_time_ms", "1000"),
    ("net.ipv4.tcp_syn_retries", "6"),
    ("net.ipv4.vs.conntrack", "0"),
    ("net.ipv6.conf.*.disable_ipv6", "0"),
    ("net.ipv6.conf.*.forwarding", "0"),
    ("net.netfilter.nf_conntrack_max", "262144"),
    ("net.netfilter.nf_conntrack_tcp_be_liberal", "0"),
    ("net.netfilter.nf_conntrack_tcp_loose", "1"),
    ("net.netfilter.nf_conntrack_tcp_timeout_close_wait", "60"),
    (
        "net.netfilter.nf_conntrack_tcp_timeout_established",
        "432000",
    ),
    ("net.netfilter.nf_conntrack_udp_timeout", "30"),
    ("net.netfilter.nf_conntrack_udp_timeout_stream", "120"),
];

/// The parameters of one namespace; what was never set has Linux's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sysctls {
    set: BTreeMap<Box<str>, Box<str>>,
}

/// `net.ipv4.conf.eth0.rp_filter` -> (`net.ipv4.conf.`, `eth0`, `.rp_filter`)
pub(crate) fn split_device(key: &str) -> Option<(&str, &str, &str)> {
    for family in ["net.ipv4.conf.", "net.ipv4.neigh.", "net.ipv6.conf."] {
        if let Some(rest) = key.strip_prefix(family) {
            let dot = rest.rfind('.')?;
            return Some((family, rest.get(..dot)?, rest.get(dot..)?));
        }
    }
    None
}

impl Sysctls {
    /// The value of a parameter, None if Linux has none of that name (or it is not modelled). A device's own setting
    /// falls back to `default`'s.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some(value) = self.set.get(key) {
            return Some(value);
        }
        match split_device(key) {
            Some((family, device, name)) => {
                if !matches!(device, "all" | "default")
                    && let Some(value) = self.set.get(format!("{family}default{name}").as_str())
                {
                    return Some(value);
                }
                DEFAULTS
                    .iter()
                    .find(|(k, _)| {
                        split_device(k).is_some_and(|(f, _, n)| f == family && n == name)
                    })
                    .map(|(_, v)| *v)
            }
            None => DEFAULTS.iter().find(|(k, _)| *k == key).map(|(_, v)| *v),
        }
    }

    /// The value as a number, 0 where it is none.
    #[must_use]
    pub fn number(&self, key: &str) -> i64 {
        self.get(key).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// Sets a parameter; false if Linux has none of that name (or it is not modelled). `net.ipv4.ip_forward` and
    /// `net.ipv4.conf.all.forwarding` are one parameter and set every device's, as in Linux.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        let forwarding = matches!(key, "net.ipv4.ip_forward" | "net.ipv4.conf.all.forwarding");
        if forwarding {
            self.set.retain(|k, _| {
                split_device(k).is_none_or(|(family, _, name)| {
                    family != "net.ipv4.conf." || name != ".forwarding"
                })
            });
            for twin in [
                "net.ipv4.ip_forward",
                "net.ipv4.conf.all.forwarding",
                "net.ipv4.conf.default.forwarding",
            ] {
                self.set.insert(twin.into(), value.into());
            }
        } else {
            self.set.insert(key.into(), value.into());
        }
        true
    }

    /// Whether a parameter of that very device was set.
    pub(crate) fn names(&self, device: &str) -> bool {
        let of = |key: &str| split_device(key).is_some_and(|(_, named, _)| named == device);
        self.set.keys().any(|key| of(key))
    }

    /// What was set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|(k, v)| (&**k, &**v))
    }

    /// Every parameter of a namespace that has these devices, by name, with its value.
    #[must_use]
    pub fn all(&self, devices: &[&str]) -> Vec<(String, String)> {
        let mut all = BTreeMap::new();
        for (key, _) in DEFAULTS {
            let names: Vec<String> = match split_device(key) {
                Some((family, _, name)) => ["all", "default"]
                    .iter()
                    .filter(|d| **d != "all" || family != "net.ipv4.neigh.")
                    .chain(devices)
                    .map(|d| format!("{family}{d}{name}"))
                    .collect(),
                None => vec![(*key).to_owned()],
            };
            for name in names {
                let value = self.get(&name).unwrap_or_default().to_owned();
                all.insert(name, value);
            }
        }
        all.into_iter().collect()
    }
}
