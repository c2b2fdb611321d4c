//! kube-proxy's configuration: its own flags, and the fields of a `KubeProxyConfiguration`, one
//! table for both.
//!
//! Source: `cmd/kube-proxy/app/options.go`, `pkg/proxy/apis/config` (v1alpha1, validation and
//! defaults), Kubernetes v1.37.

use std::time::Duration;

use ipnet::IpNet;
use kubarium_objects::{Text, Value};

use super::address::{Family, parse_cidr};

/// How Services are carried out on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Rules of iptables.
    #[default]
    Iptables,
    /// A table of nftables.
    Nftables,
    /// IPVS virtual servers and ipsets.
    Ipvs,
}

/// How kube-proxy tells the pods of its own cluster (or node) from anyone else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetectLocalMode {
    /// By the source address: `clusterCIDR`.
    #[default]
    ClusterCidr,
    /// By the source address: the node's own pod CIDR.
    NodeCidr,
    /// By the incoming bridge.
    BridgeInterface,
    /// By the beginning of the incoming interface's name.
    InterfaceNamePrefix,
}

/// Everything that kube-proxy's flags and configuration file say, as far as rules depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `--proxy-mode`.
    pub mode: Mode,
    /// `--detect-local-mode`.
    pub detect_local_mode: DetectLocalMode,
    /// `--cluster-cidr`: at most one a family.
    pub cluster_cidrs: Vec<IpNet>,
    /// `--pod-bridge-interface`.
    pub pod_bridge_interface: Text,
    /// `--pod-interface-name-prefix`.
    pub pod_interface_name_prefix: Text,
    /// `--masquerade-all`: traffic to a cluster IP is masqueraded wherever it comes from.
    pub masquerade_all: bool,
    /// `--iptables-masquerade-bit`: the bit of the packet mark that asks for masquerading.
    pub masquerade_bit: u8,
    /// `--iptables-localhost-nodeports`: node ports answer on 127.0.0.1 too.
    pub localhost_node_ports: bool,
    /// `--nodeport-addresses`: CIDRs; empty: every local address of the node.
    pub node_port_addresses: Vec<IpNet>,
    /// `--nodeport-addresses=primary`: the node's own addresses only.
    pub node_port_primary: bool,
    /// `--iptables-sync-period`: how often the rules are looked after.
    pub sync_period: Duration,
    /// `--iptables-min-sync-period`: the least time between two syncs.
    pub min_sync_period: Duration,
    /// `--conntrack-tcp-be-liberal`: packets outside a connection's window are let through.
    pub tcp_be_liberal: bool,
    /// The field `nftables.masqueradeBit`, which has no flag.
    pub nftables_masquerade_bit: u8,
    /// `--nftables-sync-period`
    pub nftables_sync_period: Duration,
    /// `--nftables-min-sync-period`
    pub nftables_min_sync_period: Duration,
    /// The Services' networks: not a setting, but known from the cluster's ServiceCIDR objects.
    pub service_cidrs: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::default(),
            detect_local_mode: DetectLocalMode::default(),
            cluster_cidrs: Vec::new(),
            pod_bridge_interface: Text::from(""),
            pod_interface_name_prefix: Text::from(""),
            masquerade_all: false,
            masquerade_bit: 14,
            localhost_node_ports: true,
            node_port_addresses: Vec::new(),
            node_port_primary: false,
            sync_period: Duration::from_secs(30),
            min_sync_period: Duration::from_secs(1),
            tcp_be_liberal: false,
            nftables_masquerade_bit: 14,
            nftables_sync_period: Duration::from_secs(30),
            nftables_min_sync_period: Duration::from_secs(1),
            service_cidrs: Vec::new(),
        }
    }
}

/// One setting: its flag, its field in a `KubeProxyConfiguration`, and what it does.
struct Setting {
    flag: &'static str,
    field: &'static [&'static str],
    effect: Effect,
}

enum Effect {
    /// A boolean; the bare flag means true.
    Bool(fn(&mut Config, bool)),
    /// Any text.
    Text(fn(&mut Config, &str) -> Result<(), String>),
    /// Changes nothing that is simulated: metrics, logging, the client's rate.
    None,
    /// Has no effect on rules, and is a boolean.
    NoneBool,
    /// Would change what the simulation shows, and does not yet.
    NotSimulated,
}

use Effect::{Bool, None as Nothing, NoneBool, NotSimulated, Text as Word};

const fn setting(flag: &'static str, field: &'static [&'static str], effect: Effect) -> Setting {
    Setting {
        flag,
        field,
        effect,
    }
}

#[rustfmt::skip]
static SETTINGS: &[Setting] = &[
    setting("proxy-mode", &["mode"], Word(set_mode)),
    setting("detect-local-mode", &["detectLocalMode"], Word(set_detect_local_mode)),
    setting("cluster-cidr", &["clusterCIDR"], Word(set_cluster_cidr)),
    setting("pod-bridge-interface", &["detectLocal", "bridgeInterface"], Word(|c, v| { c.pod_bridge_interface = v.into(); Ok(()) })),
    setting("pod-interface-name-prefix", &["detectLocal", "interfaceNamePrefix"], Word(|c, v| { c.pod_interface_name_prefix = v.into(); Ok(()) })),
    setting("masquerade-all", &["iptables", "masqueradeAll"], Bool(|c, v| c.masquerade_all = v)),
    setting("iptables-masquerade-bit", &["iptables", "masqueradeBit"], Word(set_masquerade_bit)),
    setting("iptables-localhost-nodeports", &["iptables", "localhostNodePorts"], Bool(|c, v| c.localhost_node_ports = v)),
    setting("nodeport-addresses", &["nodePortAddresses"], Word(set_node_port_addresses)),
    setting("iptables-sync-period", &["iptables", "syncPeriod"], Word(|c, v| { c.sync_period = duration(v)?; Ok(()) })),
    setting("iptables-min-sync-period", &["iptables", "minSyncPeriod"], Word(|c, v| { c.min_sync_period = duration(v)?; Ok(()) })),
    setting("conntrack-tcp-be-liberal", &["conntrack", "tcpBeLiberal"], Bool(|c, v| c.tcp_be_liberal = v)),
    setting("bind-address", &["bindAddress"], NotSimulated),
    setting("cleanup", &[], NotSimulated),
    setting("config", &[], NotSimulated),
    setting("feature-gates", &["featureGates"], NotSimulated),
    setting("init-only", &[], NotSimulated),
    setting("write-config-to", &[], NotSimulated),
    setting("bind-address-hard-fail", &["bindAddressHardFail"], NoneBool),
    setting("config-sync-period", &["configSyncPeriod"], Nothing),
    setting("conntrack-max-per-core", &["conntrack", "maxPerCore"], Nothing),
    setting("conntrack-min", &["conntrack", "min"], Nothing),
    setting("conntrack-tcp-timeout-close-wait", &["conntrack", "tcpCloseWaitTimeout"], Nothing),
    setting("conntrack-tcp-timeout-established", &["conntrack", "tcpEstablishedTimeout"], Nothing),
    setting("conntrack-udp-timeout", &["conntrack", "udpTimeout"], Nothing),
    setting("conntrack-udp-timeout-stream", &["conntrack", "udpStreamTimeout"], Nothing),
    setting("healthz-bind-address", &["healthzBindAddress"], Nothing),
    setting("healthz-port", &[], Nothing),
    setting("hostname-override", &["hostnameOverride"], Nothing),
    setting("kube-api-burst", &["clientConnection", "burst"], Nothing),
    setting("kube-api-content-type", &["clientConnection", "contentType"], Nothing),
    setting("kube-api-qps", &["clientConnection", "qps"], Nothing),
    setting("kubeconfig", &["clientConnection", "kubeconfig"], Nothing),
    setting("log-flush-frequency", &["logging", "flushFrequency"], Nothing),
    setting("logging-format", &["logging", "format"], Nothing),
    setting("master", &[], Nothing),
    setting("metrics-bind-address", &["metricsBindAddress"], Nothing),
    setting("metrics-port", &[], Nothing),
    setting("oom-score-adj", &["oomScoreAdj"], Nothing),
    setting("profiling", &["enableProfiling"], NoneBool),
    setting("show-hidden-metrics-for-version", &["showHiddenMetricsForVersion"], Nothing),
    setting("v", &["logging", "verbosity"], Nothing),
    setting("vmodule", &["logging", "vmodule"], Nothing),
    setting("nftables-min-sync-period", &["nftables", "minSyncPeriod"], Word(|c, v| { c.nftables_min_sync_period = duration(v)?; Ok(()) })),
    setting("nftables-sync-period", &["nftables", "syncPeriod"], Word(|c, v| { c.nftables_sync_period = duration(v)?; Ok(()) })),
    setting("", &["nftables", "masqueradeBit"], Word(|c, v| { c.nftables_masquerade_bit = bit(v)?; Ok(()) })),
    setting("", &["nftables", "masqueradeAll"], Bool(|c, v| c.masquerade_all |= v)),
    setting("ipvs-exclude-cidrs", &["ipvs", "excludeCIDRs"], Nothing),
    setting("ipvs-min-sync-period", &["ipvs", "minSyncPeriod"], Nothing),
    setting("ipvs-scheduler", &["ipvs", "scheduler"], Nothing),
    setting("ipvs-strict-arp", &["ipvs", "strictARP"], NoneBool),
    setting("ipvs-sync-period", &["ipvs", "syncPeriod"], Nothing),
    setting("ipvs-tcp-timeout", &["ipvs", "tcpTimeout"], Nothing),
    setting("ipvs-tcpfin-timeout", &["ipvs", "tcpFinTimeout"], Nothing),
    setting("ipvs-udp-timeout", &["ipvs", "udpTimeout"], Nothing),
];

impl Config {
    /// Reads flags as kube-proxy does: `--flag=value`, `--flag value`, one dash or two.
    ///
    /// # Errors
    /// A line that says which flag is wrong and why, worded as the real program does where it has
    /// words for it.
    pub fn apply_flags<'a>(
        &mut self,
        flags: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut flags = flags.into_iter();
        while let Some(word) = flags.next() {
            let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                return Err(format!("unknown command {word:?} for \"kube-proxy\""));
            };
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (body, None),
            };
            let setting = SETTINGS
                .iter()
                .find(|s| s.flag == name && !name.is_empty())
                .ok_or_else(|| format!("unknown flag: --{name}"))?;
            let value = match value {
                Some(value) => value,
                None if matches!(setting.effect, Bool(_) | NoneBool) => "true",
                None => flags
                    .next()
                    .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
            };
            setting.apply(self, value).map_err(|why| {
                format!("invalid argument {value:?} for \"--{name}\" flag: {why}")
            })?;
        }
        self.validate()
    }

    /// Reads the fields of a `KubeProxyConfiguration` that rules depend on.
    ///
    /// # Errors
    /// The field's path and what is wrong with it.
    pub fn apply_object(&mut self, configuration: &Value) -> Result<(), String> {
        for setting in SETTINGS.iter().filter(|s| !s.field.is_empty()) {
            let value = configuration.at(setting.field);
            let text = match value {
                Value::Null => continue,
                Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
                other => plain(other),
            };
            if text.is_empty() || matches!(setting.effect, NotSimulated) {
                continue;
            }
            setting.apply(self, &text).map_err(|why| {
                format!(
                    "KubeProxyConfiguration.{}: Invalid value: {text:?}: {why}",
                    setting.field.join(".")
                )
            })?;
        }
        self.validate()
    }

    fn validate(&self) -> Result<(), String> {
        let invalid =
            |field: &str, why: &str| Err(format!("KubeProxyConfiguration.{field}: {why}"));
        let needs = |mode, name: &Text| self.detect_local_mode == mode && name.is_empty();
        if self.sync_period().is_zero() {
            return invalid(
                "SyncPeriod",
                "Invalid value: \"0s\": must be greater than 0",
            );
        }
        if self.min_sync_period() > self.sync_period() {
            return invalid(
                "SyncPeriod",
                "Invalid value: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod",
            );
        }
        if needs(DetectLocalMode::BridgeInterface, &self.pod_bridge_interface) {
            return invalid(
                "DetectLocal.InterfaceName",
                "Invalid value: \"\": must be non-empty when DetectLocalMode is BridgeInterface (--pod-bridge-interface)",
            );
        }
        if needs(
            DetectLocalMode::InterfaceNamePrefix,
            &self.pod_interface_name_prefix,
        ) {
            return invalid(
                "DetectLocal.InterfacePrefix",
                "Invalid value: \"\": must be non-empty when DetectLocalMode is InterfaceNamePrefix (--pod-interface-name-prefix)",
            );
        }
        Ok(())
    }

    /// The packet mark that asks for masquerading.
    pub fn masquerade_mark(&self) -> u32 {
        1u32.checked_shl(self.masquerade_bit.into()).unwrap_or(0)
    }

    /// The same in the nftables mode.
    pub fn nftables_masquerade_mark(&self) -> u32 {
        1u32.checked_shl(self.nftables_masquerade_bit.into())
            .unwrap_or(0)
    }

    /// How often rules are looked after in the mode that is on, and how long a failed sync waits.
    pub fn sync_period(&self) -> Duration {
        match self.mode {
            Mode::Nftables => self.nftables_sync_period,
            Mode::Iptables | Mode::Ipvs => self.sync_period,
        }
    }

    /// The least time between two syncs in the mode that is on.
    pub fn min_sync_period(&self) -> Duration {
        match self.mode {
            Mode::Nftables => self.nftables_min_sync_period,
            Mode::Iptables | Mode::Ipvs => self.min_sync_period,
        }
    }

    /// The first cluster CIDR of a family.
    pub fn cluster_cidr(&self, family: Family) -> Option<IpNet> {
        let mut all = self.cluster_cidrs.iter();
        all.find(|cidr| Family::of(cidr.addr()) == family).copied()
    }
}

impl Setting {
    fn apply(&self, config: &mut Config, value: &str) -> Result<(), String> {
        let boolean = || match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(format!(
                "strconv.ParseBool: parsing {value:?}: invalid syntax"
            )),
        };
        match self.effect {
            Bool(set) => set(config, boolean()?),
            Word(set) => set(config, value)?,
            Nothing => {}
            NoneBool => drop(boolean()?),
            NotSimulated => return Err("not simulated yet".to_owned()),
        }
        Ok(())
    }
}

/// A scalar as it would stand in a flag.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_json(), str::to_owned)
}

fn set_mode(config: &mut Config, value: &str) -> Result<(), String> {
    config.mode = match value {
        "" | "iptables" => Mode::Iptables,
        "nftables" => Mode::Nftables,
        "ipvs" => Mode::Ipvs,
        _ => return Err("must be iptables, ipvs, nftables or blank (blank means the best-available proxy [currently iptables])".to_owned()),
    };
    Ok(())
}

fn set_detect_local_mode(config: &mut Config, value: &str) -> Result<(), String> {
    config.detect_local_mode = match value {
        "" | "ClusterCIDR" => DetectLocalMode::ClusterCidr,
        "NodeCIDR" => DetectLocalMode::NodeCidr,
        "BridgeInterface" => DetectLocalMode::BridgeInterface,
        "InterfaceNamePrefix" => DetectLocalMode::InterfaceNamePrefix,
        _ => return Err("must be BridgeInterface, ClusterCIDR, InterfaceNamePrefix, NodeCIDR or blank (blank means ClusterCIDR)".to_owned()),
    };
    Ok(())
}

fn cidrs(value: &str) -> Result<Vec<IpNet>, String> {
    let words = value
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            parse_cidr(word).ok_or_else(|| {
                format!("{word:?} must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)")
            })
        })
        .collect()
}

fn set_cluster_cidr(config: &mut Config, value: &str) -> Result<(), String> {
    let cidrs = cidrs(value)?;
    let of = |family| {
        cidrs
            .iter()
            .filter(|c| Family::of(c.addr()) == family)
            .count()
    };
    if of(Family::Ipv4) > 1 || of(Family::Ipv6) > 1 {
        return Err("only one CIDR allowed or a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)".to_owned());
    }
    config.cluster_cidrs = cidrs;
    Ok(())
}

fn set_node_port_addresses(config: &mut Config, value: &str) -> Result<(), String> {
    config.node_port_primary = value == "primary";
    config.node_port_addresses = if config.node_port_primary {
        Vec::new()
    } else {
        cidrs(value)?
    };
    Ok(())
}

fn set_masquerade_bit(config: &mut Config, value: &str) -> Result<(), String> {
    config.masquerade_bit = bit(value)?;
    Ok(())
}

fn bit(value: &str) -> Result<u8, String> {
    let bit = value.parse().ok().filter(|bit| *bit <= 31);
    bit.ok_or_else(|| "must be within the range [0, 31]".to_owned())
}

/// A Go duration: `100ms`, `1m30s`, `1.5h`, `0`.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-6),
        ("us", 1e-3),
        ("µs", 1e-3),
        ("ms", 1.0),
        ("s", 1e3),
        ("m", 6e4),
        ("h", 3.6e6),
    ];
    let invalid = || format!("time: invalid duration {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        total += number * scale.ok_or_else(invalid)?.1;
        rest = next;
    }
    if text.is_empty() {
        return Err(invalid());
    }
    Duration::try_from_secs_f64(total / 1e3).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Result<Config, String> {
        let mut config = Config::default();
        config.apply_flags(line.split_whitespace())?;
        Ok(config)
    }

    fn ok(line: &str, check: impl Fn(&Config) -> bool) {
        assert!(
            flags(line).as_ref().is_ok_and(check),
            "{line}: {:?}",
            flags(line)
        );
    }

    fn refused(line: &str, want: &str) {
        let error = flags(line).expect_err(line);
        assert!(error.contains(want), "{error}");
    }

    #[test]
    fn flags_are_read() {
        ok("", |c| *c == Config::default());
        ok("--masquerade-all", |c| c.masquerade_all);
        ok("--masquerade-all=false", |c| !c.masquerade_all);
        ok("--iptables-masquerade-bit 3 --v=2", |c| {
            c.masquerade_mark() == 8
        });
        ok("--cluster-cidr=10.42.0.0/16,fd00::/48", |c| {
            c.cluster_cidrs.len() == 2
        });
        ok("--iptables-min-sync-period=100ms", |c| {
            c.min_sync_period == Duration::from_millis(100)
        });
        ok("--iptables-sync-period=1m30s", |c| {
            c.sync_period == Duration::from_secs(90)
        });
        ok("--nodeport-addresses=primary", |c| c.node_port_primary);
        ok(
            "--detect-local-mode=BridgeInterface --pod-bridge-interface=cbr0",
            |c| c.detect_local_mode == DetectLocalMode::BridgeInterface,
        );
    }

    #[test]
    fn wrong_flags_are_refused() {
        refused("--nope", "unknown flag: --nope");
        refused("extra", "unknown command \"extra\"");
        refused("--v", "flag needs an argument: --v");
        refused("--masquerade-all=maybe", "strconv.ParseBool");
        refused("--iptables-masquerade-bit=32", "[0, 31]");
        refused("--cluster-cidr=10.0.0.0", "valid CIDR block");
        refused("--cluster-cidr=10.0.0.0/8,11.0.0.0/8", "only one CIDR");
        refused("--iptables-sync-period=fast", "invalid duration");
        refused(
            "--iptables-sync-period=1s --iptables-min-sync-period=2s",
            "greater than or equal",
        );
        refused("--detect-local-mode=BridgeInterface", "non-empty");
        refused("--proxy-mode=userspace", "must be iptables");
        refused("--cleanup=true", "not simulated yet");
    }

    #[test]
    fn a_configuration_file_says_the_same() {
        let object = Value::from_json(
            r#"{"clusterCIDR":"10.0.0.0/8","nodePortAddresses":["192.168.0.0/24"],"conntrack":{"tcpBeLiberal":true},
               "iptables":{"masqueradeAll":true,"masqueradeBit":2,"syncPeriod":"0s"}}"#,
        )
        .unwrap();
        let mut config = Config::default();
        assert!(
            config
                .apply_object(&object)
                .unwrap_err()
                .contains("SyncPeriod")
        );
        assert!(config.masquerade_all && config.tcp_be_liberal && config.masquerade_bit == 2);
        assert_eq!(config.node_port_addresses.len(), 1);
    }
}
