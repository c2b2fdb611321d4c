//! Service ports: what kube-proxy keeps of a Service.
//!
//! Source: `newBaseServicePortInfo` of `pkg/proxy/serviceport.go` and the label selectors of
//! `cmd/kube-proxy/app/server.go`, Kubernetes v1.37.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use kubarium_objects::{Text, Value};

use super::address::{Family, parse_cidr, parse_ip};

/// A Service or EndpointSlice carrying this label belongs to another proxy (Services only: slices
/// with it are not skipped).
const SERVICE_PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// The transport protocol of a service port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, what an object means that names no protocol.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// From an object's field; `None` for a word that is no protocol.
    pub fn parse(text: &str) -> Option<Protocol> {
        match text {
            "" | "TCP" => Some(Protocol::Tcp),
            "UDP" => Some(Protocol::Udp),
            "SCTP" => Some(Protocol::Sctp),
            _ => None,
        }
    }

    /// As rules spell it: `tcp`, `udp`, `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

impl From<Protocol> for kubarium_linux::Protocol {
    fn from(protocol: Protocol) -> kubarium_linux::Protocol {
        match protocol {
            Protocol::Tcp => kubarium_linux::Protocol::TCP,
            Protocol::Udp => kubarium_linux::Protocol::UDP,
            Protocol::Sctp => kubarium_linux::Protocol::SCTP,
        }
    }
}

/// A namespace and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: Text,
    /// The name.
    pub name: Text,
}

impl NamespacedName {
    /// The key of an object.
    pub fn of(object: &Value) -> NamespacedName {
        NamespacedName {
            namespace: object.at(&["metadata", "namespace"]).text(),
            name: object.at(&["metadata", "name"]).text(),
        }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One port of one Service, as far as rules depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// `NAMESPACE/SERVICE`, and `:PORT` where the port has a name: the text in rules' comments.
    pub name: Text,
    /// The port's own name, by which EndpointSlices are matched; may be empty.
    pub port_name: Text,
    /// The protocol.
    pub protocol: Protocol,
    /// The cluster IP of this family.
    pub cluster_ip: IpAddr,
    /// The port at the cluster IP, the external IPs and the load balancer's IPs.
    pub port: u16,
    /// The node port, 0 for none.
    pub node_port: u16,
    /// `spec.externalIPs` of this family.
    pub external_ips: Vec<IpAddr>,
    /// The load balancer's addresses that nodes answer themselves (`ipMode` unset or `VIP`).
    pub load_balancer_vips: Vec<IpAddr>,
    /// Where load balancer traffic may come from; empty: from anywhere.
    pub source_ranges: Vec<IpNet>,
    /// `sessionAffinity: ClientIP` with its time-out, seconds.
    pub affinity_seconds: Option<u32>,
    /// Traffic from outside only goes to endpoints on the node that it reached.
    pub external_policy_local: bool,
    /// Traffic to the cluster IP only goes to endpoints on the client's node.
    pub internal_policy_local: bool,
    /// The port of the health check for load balancers, 0 for none.
    pub health_check_node_port: u16,
}

impl ServicePort {
    /// Whether anything outside the cluster can name this port.
    pub fn externally_accessible(&self) -> bool {
        self.node_port != 0 || !self.load_balancer_vips.is_empty() || !self.external_ips.is_empty()
    }

    /// Whether some traffic may go to endpoints on any node.
    pub fn uses_cluster_endpoints(&self) -> bool {
        !self.internal_policy_local || self.externally_accessible()
    }

    /// Whether some traffic may only go to endpoints on this node.
    pub fn uses_local_endpoints(&self) -> bool {
        self.internal_policy_local || (self.external_policy_local && self.externally_accessible())
    }
}

/// Whether kube-proxy is concerned with this Service at all: not with headless ones, external
/// names, or those that another proxy claims by label.
pub fn is_proxied(service: &Value) -> bool {
    let spec = &service["spec"];
    let cluster_ip = spec["clusterIP"].str();
    !cluster_ip.is_empty()
        && cluster_ip != "None"
        && spec["type"].str() != "ExternalName"
        && service["metadata"]["labels"]
            .get(SERVICE_PROXY_NAME)
            .is_none()
}

/// The service ports of a Service for one family, in the order of its ports. Empty for a Service
/// that is not proxied or has no cluster IP of this family.
pub fn service_ports(service: &Value, family: Family) -> Vec<ServicePort> {
    let Some(cluster_ip) = is_proxied(service)
        .then(|| cluster_ip(&service["spec"], family))
        .flatten()
    else {
        return Vec::new();
    };
    let spec = &service["spec"];
    let kind = match spec["type"].str() {
        "" => "ClusterIP",
        kind => kind,
    };
    let of_family = |ip: &IpAddr| Family::of(*ip) == family;
    let external_ips: Vec<IpAddr> = spec["externalIPs"]
        .items()
        .iter()
        .filter_map(|ip| parse_ip(ip.str()))
        .filter(of_family)
        .collect();
    let external_local = spec["externalTrafficPolicy"].str() == "Local";
    let has_external_destinations = match kind {
        "NodePort" | "LoadBalancer" => true,
        _ => !spec["externalIPs"].items().is_empty(),
    };
    let shared = ServicePort {
        name: Text::from(""),
        port_name: Text::from(""),
        protocol: Protocol::Tcp,
        cluster_ip,
        port: 0,
        node_port: 0,
        external_ips,
        load_balancer_vips: load_balancer_vips(&service["status"])
            .filter(of_family)
            .collect(),
        source_ranges: source_ranges(spec, family),
        affinity_seconds: affinity_seconds(spec),
        external_policy_local: external_local && has_external_destinations,
        internal_policy_local: spec["internalTrafficPolicy"].str() == "Local",
        health_check_node_port: if external_local && kind == "LoadBalancer" {
            port_number(&spec["healthCheckNodePort"])
        } else {
            0
        },
    };
    let key = NamespacedName::of(service);
    let ports = spec["ports"].items().iter();
    ports
        .filter_map(|port| {
            let port_name = port["name"].text();
            let name = match &*port_name {
                "" => key.to_string(),
                port_name => format!("{key}:{port_name}"),
            };
            Some(ServicePort {
                name: name.into(),
                port_name,
                protocol: Protocol::parse(port["protocol"].str())?,
                port: port_number(&port["port"]),
                node_port: port_number(&port["nodePort"]),
                ..shared.clone()
            })
        })
        .collect()
}

/// The cluster IP of a family: from `clusterIPs`, else `clusterIP`.
fn cluster_ip(spec: &Value, family: Family) -> Option<IpAddr> {
    let many = spec["clusterIPs"].items().iter();
    many.chain(std::iter::once(&spec["clusterIP"]))
        .filter_map(|ip| parse_ip(ip.str()))
        .find(|ip| Family::of(*ip) == family)
}

fn load_balancer_vips(status: &Value) -> impl Iterator<Item = IpAddr> + '_ {
    let ingress = status["loadBalancer"]["ingress"].items().iter();
    ingress
        .filter(|point| matches!(point["ipMode"].str(), "" | "VIP"))
        .filter_map(|point| parse_ip(point["ip"].str()))
}

/// The source ranges of a family. A range of everything means that there is no restriction.
fn source_ranges(spec: &Value, family: Family) -> Vec<IpNet> {
    let ranges: Vec<IpNet> = spec["loadBalancerSourceRanges"]
        .items()
        .iter()
        .filter_map(|range| parse_cidr(range.str().trim()))
        .filter(|range| Family::of(range.addr()) == family)
        .collect();
    if ranges.iter().any(|range| range.prefix_len() == 0) {
        return Vec::new();
    }
    ranges
}

fn affinity_seconds(spec: &Value) -> Option<u32> {
    /// `DefaultClientIPServiceAffinitySeconds` of the API, which the API server fills in.
    const DEFAULT: i64 = 10800;
    let timeout = spec.at(&["sessionAffinityConfig", "clientIP", "timeoutSeconds"]);
    (spec["sessionAffinity"].str() == "ClientIP")
        .then(|| u32::try_from(timeout.as_i64().unwrap_or(DEFAULT)).ok())
        .flatten()
}

/// A port number; 0 for what is none.
pub(crate) fn port_number(value: &Value) -> u16 {
    value
        .as_i64()
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ports of a Service with this spec (JSON), in one line each.
    fn ports(spec: &str) -> Vec<String> {
        let text = format!(
            r#"{{"metadata":{{"namespace":"ns","name":"svc"}},"spec":{spec},
               "status":{{"loadBalancer":{{"ingress":[{{"ip":"1.2.3.4"}},{{"ip":"5.6.7.8","ipMode":"Proxy"}},{{"hostname":"x"}}]}}}}}}"#
        );
        service_ports(&Value::from_json(&text).unwrap(), Family::Ipv4)
            .iter()
            .map(|p| {
                format!(
                    "{} {} {}:{} np={} ext={:?} vip={:?} ranges={:?} aff={:?} eTP={} iTP={} hc={}",
                    p.name,
                    p.protocol.as_str(),
                    p.cluster_ip,
                    p.port,
                    p.node_port,
                    p.external_ips,
                    p.load_balancer_vips,
                    p.source_ranges,
                    p.affinity_seconds,
                    p.external_policy_local,
                    p.internal_policy_local,
                    p.health_check_node_port
                )
            })
            .collect()
    }

    fn one(spec: &str, want: &str) {
        let got = ports(spec);
        assert_eq!(got.len(), usize::from(!want.is_empty()), "{spec}: {got:?}");
        assert!(got.iter().all(|line| line.contains(want)), "{got:?}");
    }

    #[test]
    fn a_service_without_a_cluster_ip_of_this_family_has_no_ports() {
        one(r#"{"clusterIP":"None","ports":[{"port":80}]}"#, "");
        one(r#"{"ports":[{"port":80}]}"#, "");
        one(r#"{"clusterIP":"fd00::1","ports":[{"port":80}]}"#, "");
        one(
            r#"{"type":"ExternalName","clusterIP":"10.0.0.1","ports":[{"port":80}]}"#,
            "",
        );
        one(
            r#"{"clusterIP":"fd00::1","clusterIPs":["fd00::1","10.0.0.9"],"ports":[{"port":80}]}"#,
            "10.0.0.9:80",
        );
    }

    #[test]
    fn a_port_says_what_rules_need() {
        one(
            r#"{"clusterIP":"10.0.0.041","ports":[{"name":"p","port":80,"protocol":"UDP","nodePort":30000}]}"#,
            "ns/svc:p udp 10.0.0.41:80 np=30000 ext=[] vip=[1.2.3.4]",
        );
        one(
            r#"{"clusterIP":"10.0.0.1","externalIPs":["192.0.2.1","fd00::2","x"],"ports":[{"port":80}]}"#,
            "ns/svc tcp 10.0.0.1:80 np=0 ext=[192.0.2.1]",
        );
        one(
            r#"{"clusterIP":"10.0.0.1","loadBalancerSourceRanges":[" 203.0.113.0/25","fd00::/8"],"ports":[{"port":80}]}"#,
            "ranges=[203.0.113.0/25]",
        );
        one(
            r#"{"clusterIP":"10.0.0.1","loadBalancerSourceRanges":["203.0.113.0/25","0.0.0.0/0"],"ports":[{"port":80}]}"#,
            "ranges=[]",
        );
        one(
            r#"{"clusterIP":"10.0.0.1","sessionAffinity":"ClientIP","ports":[{"port":80}]}"#,
            "aff=Some(10800)",
        );
    }

    #[test]
    fn local_policies_count_only_where_they_mean_something() {
        let spec = |kind: &str, more: &str| {
            format!(
                r#"{{"clusterIP":"10.0.0.1","type":"{kind}","externalTrafficPolicy":"Local","healthCheckNodePort":31000{more},"ports":[{{"port":80}}]}}"#
            )
        };
        one(&spec("ClusterIP", ""), "eTP=false iTP=false hc=0");
        one(
            &spec("ClusterIP", r#","externalIPs":["192.0.2.1"]"#),
            "eTP=true iTP=false hc=0",
        );
        one(&spec("NodePort", ""), "eTP=true iTP=false hc=0");
        one(&spec("LoadBalancer", ""), "eTP=true iTP=false hc=31000");
        one(
            &spec("ClusterIP", r#","internalTrafficPolicy":"Local""#),
            "eTP=false iTP=true hc=0",
        );
    }
}
