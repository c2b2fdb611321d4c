//! The servers of kube-proxy itself: its own health, its mode, and for every Service that a load balancer asks about by
//! a health check node port, whether this node has endpoints of it.
//!
//! Source: `pkg/proxy/healthcheck/service_health.go` and `proxy_health.go`, `cmd/kube-proxy/app/server.go`, Kubernetes
//! v1.37.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use kubarium_linux::{NamespaceId, Network, Protocol};

use super::config::Mode;
use super::state::State;
use crate::cluster::Cluster;
use crate::machine::{Machine, daemon};
use crate::time::Time;

/// Where `/healthz` and `/livez` are answered (`--healthz-bind-address`).
const HEALTHZ: u16 = 10256;
/// Where `/proxyMode` is answered, on the loopback address only (`--metrics-bind-address`).
const METRICS: u16 = 10249;
/// kube-proxy is ill when its last change is not carried out after twice its sync period.
const TIMEOUT_PERIODS: u32 = 2;

/// An answer: status, headers beside those of every answer, and text.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Opens the servers that every kube-proxy has.
pub(super) fn open(net: &mut Network, netns: NamespaceId) {
    let servers = [
        (Ipv4Addr::UNSPECIFIED, HEALTHZ),
        (Ipv4Addr::LOCALHOST, METRICS),
    ];
    for (address, port) in servers {
        // A port that somebody has taken stays with them; kube-proxy tries again and again.
        let _ = net.listen(netns, Protocol::TCP, address, port, daemon::KUBE_PROXY);
    }
}

/// Closes all of a node's.
pub(super) fn close(net: &mut Network, netns: NamespaceId) {
    net.close(netns, daemon::KUBE_PROXY);
    for port in open_ports(net, netns) {
        net.close(netns, daemon::service_health(port));
    }
}

/// The health check node ports that are open on a machine.
fn open_ports(net: &Network, netns: NamespaceId) -> BTreeSet<u16> {
    let listeners = net.namespace(netns).map(|ns| ns.listeners());
    let own = listeners.unwrap_or_default().iter();
    own.filter(|l| l.token == daemon::service_health(l.port))
        .map(|l| l.port)
        .collect()
}

/// Opens and closes health check node ports as a state says.
pub(super) fn sync_services(state: &State, net: &mut Network, netns: NamespaceId) {
    let open = open_ports(net, netns);
    if open.is_empty() && state.health_check_ports().is_empty() {
        return;
    }
    for port in &open {
        if !state.health_check_ports().contains_key(port) {
            net.close(netns, daemon::service_health(*port));
        }
    }
    for port in state.health_check_ports().keys() {
        if !open.contains(port) {
            let token = daemon::service_health(*port);
            let any = Ipv4Addr::UNSPECIFIED;
            let _ = net.listen(netns, Protocol::TCP, any, *port, token);
        }
    }
}

fn machine_of(cluster: &Cluster, netns: NamespaceId) -> Option<&Machine> {
    let mut machines = cluster.machines.values();
    machines.find(|m| m.netns == netns).map(|m| &**m)
}

/// Whether the kube-proxy of a machine has carried out what it was told.
fn is_healthy(cluster: &Cluster, machine: &Machine) -> bool {
    let Ok(config) = cluster.proxies.config() else {
        return false;
    };
    let limit = config.sync_period() * TIMEOUT_PERIODS;
    let failing = machine.kube_proxy.failing_since();
    failing.is_none_or(|since| cluster.now - since < limit)
}

/// What one of these servers answers; `None` for another server's token.
pub(crate) fn answer(
    cluster: &Cluster,
    netns: NamespaceId,
    token: u64,
    path: &str,
) -> Option<Answer> {
    let port = daemon::service_health_port(token);
    if token != daemon::KUBE_PROXY && port.is_none() {
        return None;
    }
    let machine = machine_of(cluster, netns)?;
    Some(match port {
        Some(port) => service(cluster, machine, port),
        None => own(cluster, machine, path),
    })
}

fn service(cluster: &Cluster, machine: &Machine, port: u16) -> Answer {
    let healthy = is_healthy(cluster, machine);
    let state = machine.kube_proxy.state();
    let name = state.and_then(|state| state.health_check_ports().get(&port));
    let entry = state
        .zip(name)
        .and_then(|(state, name)| state.service(name));
    let endpoints = entry.into_iter().flat_map(|entry| &entry.ports);
    let endpoints = endpoints.flat_map(|port| &port.endpoints);
    let local = endpoints.filter(|e| e.ready && *e.node_name == *machine.name);
    let count = local.map(|e| e.ip).collect::<BTreeSet<_>>().len();
    let (namespace, name) = name.map_or(("", ""), |n| (&*n.namespace, &*n.name));
    Answer {
        status: if count > 0 && healthy { 200 } else { 503 },
        headers: vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("X-Load-Balancing-Endpoint-Weight", count.to_string()),
        ],
        body: format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
        ),
    }
}

fn own(cluster: &Cluster, machine: &Machine, path: &str) -> Answer {
    let plain = |status, body: String| Answer {
        status,
        headers: vec![("Content-Type", "text/plain; charset=utf-8".to_owned())],
        body,
    };
    match path {
        "/healthz" | "/livez" => {
            let healthy = is_healthy(cluster, machine);
            let updated = match machine.kube_proxy.failing_since() {
                Some(since) if !healthy => since,
                _ => cluster.now,
            };
            let (now, updated) = (nanos(cluster.now), nanos(updated));
            // A node that is being deleted is none that load balancers may use.
            let key = kubarium_objects::ObjectKey::new("nodes", "", machine.name.clone());
            let eligible = cluster.etcd.get(&key).is_some_and(|node| {
                node["metadata"].get("deletionTimestamp").is_none()
                    && !node["spec"]["taints"]
                        .items()
                        .iter()
                        .any(|taint| taint["key"].str() == "ToBeDeletedByClusterAutoscaler")
            });
            let fine = healthy && (eligible || path == "/livez");
            let node = if path == "/healthz" {
                format!("\"nodeEligible\":{eligible},")
            } else {
                String::new()
            };
            let one = format!("{{\"lastUpdated\":\"{updated}\",\"healthy\":{healthy}}}");
            Answer {
                status: if fine { 200 } else { 503 },
                headers: vec![
                    ("Content-Type", "application/json".to_owned()),
                    ("X-Content-Type-Options", "nosniff".to_owned()),
                ],
                body: format!(
                    "{{\"lastUpdated\":\"{updated}\",\"currentTime\":\"{now}\",{node}\"healthy\":{healthy},\"status\":{{\"IPv4\":{one},\"IPv6\":{one}}}}}"
                ),
            }
        }
        "/proxyMode" => {
            let mode = cluster
                .proxies
                .config()
                .map_or("", |config| match config.mode {
                    Mode::Iptables => "iptables",
                    Mode::Nftables => "nftables",
                    Mode::Ipvs => "ipvs",
                });
            plain(200, mode.to_owned())
        }
        _ => plain(404, "404 page not found\n".to_owned()),
    }
}

/// As Go's `time.Time` is written in JSON.
fn nanos(time: Time) -> String {
    let seconds = time.rfc3339();
    let fraction = format!("{:09}", time.since(Time(0)).subsec_nanos());
    let fraction = fraction.trim_end_matches('0');
    let seconds = seconds.trim_end_matches('Z');
    if fraction.is_empty() {
        format!("{seconds}Z")
    } else {
        format!("{seconds}.{fraction}Z")
    }
}
