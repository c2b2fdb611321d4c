//! Endpoints: what kube-proxy keeps of EndpointSlices, and which of them one node may use.
//!
//! Source: `pkg/proxy/endpointslicecache.go` and `CategorizeEndpoints` of `pkg/proxy/topology.go`,
//! Kubernetes v1.37.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kubarium_objects::{Text, Value};

use super::address::{Family, parse_ip, socket_text};
use super::service::{Protocol, ServicePort, port_number};

/// Slices of headless Services carry it; kube-proxy does not watch them.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Names the Service that a slice belongs to.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// One endpoint of one service port.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// `IP:PORT`, by which endpoints are told apart and ordered (as text).
    pub text: Text,
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
    /// The node that it runs on; empty where the slice does not say.
    pub node_name: Text,
    /// Condition `ready`: takes new connections.
    pub ready: bool,
    /// Condition `serving`: answers, though it may be terminating.
    pub serving: bool,
    /// Condition `terminating`: its pod is being deleted.
    pub terminating: bool,
    /// `hints.forZones`.
    pub zone_hints: Vec<Text>,
    /// `hints.forNodes`.
    pub node_hints: Vec<Text>,
}

/// The part of one EndpointSlice that rules depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    ports: Vec<SlicePort>,
    endpoints: Vec<SliceEndpoint>,
}

#[derive(Clone, Debug, PartialEq)]
struct SlicePort {
    name: Text,
    protocol: Protocol,
    port: u16,
}

#[derive(Clone, Debug, PartialEq)]
struct SliceEndpoint {
    ip: IpAddr,
    node_name: Text,
    ready: bool,
    serving: bool,
    terminating: bool,
    zone_hints: Vec<Text>,
    node_hints: Vec<Text>,
}

impl Slice {
    /// Reads an EndpointSlice. `None` where it does not concern this family's proxier.
    pub fn from_object(slice: &Value, family: Family) -> Option<Slice> {
        let labels = &slice["metadata"]["labels"];
        if labels.get(HEADLESS).is_some() || slice["addressType"].str() != family.as_str() {
            return None;
        }
        let ports = slice["ports"].items().iter().filter_map(slice_port);
        let endpoints = slice["endpoints"].items().iter();
        Some(Slice {
            ports: ports.collect(),
            endpoints: endpoints
                .filter_map(|e| slice_endpoint(e, family))
                .collect(),
        })
    }
}

/// A port without a name (`null`, not empty) or number is ignored.
fn slice_port(port: &Value) -> Option<SlicePort> {
    let number = port_number(&port["port"]);
    (number != 0).then_some(SlicePort {
        name: Text::from(port["name"].as_str()?),
        protocol: Protocol::parse(port["protocol"].str())?,
        port: number,
    })
}

/// Only the first address of an endpoint counts.
fn slice_endpoint(endpoint: &Value, family: Family) -> Option<SliceEndpoint> {
    let ip = parse_ip(endpoint["addresses"][0].str()).filter(|ip| Family::of(*ip) == family)?;
    let conditions = &endpoint["conditions"];
    let hints = |list: &str| -> Vec<Text> {
        let items = endpoint["hints"][list].items().iter();
        items.map(|hint| hint["name"].text()).collect()
    };
    Some(SliceEndpoint {
        ip,
        node_name: endpoint["nodeName"].text(),
        ready: conditions["ready"].as_bool().unwrap_or(true),
        serving: conditions["serving"].as_bool().unwrap_or(true),
        terminating: conditions["terminating"].as_bool().unwrap_or(false),
        zone_hints: hints("forZones"),
        node_hints: hints("forNodes"),
    })
}

/// The endpoints of a service port out of its Service's slices (in name order): each `IP:PORT`
/// once, ordered as text. Of two entries for one `IP:PORT` the first counts, unless it is
/// terminating and the second is not.
pub(crate) fn endpoints_of<'a>(
    port: &ServicePort,
    slices: impl Iterator<Item = &'a Slice>,
) -> Vec<Endpoint> {
    let mut found: BTreeMap<String, Endpoint> = BTreeMap::new();
    for slice in slices {
        let ports = slice.ports.iter();
        for target in ports.filter(|p| *p.name == *port.port_name && p.protocol == port.protocol) {
            for endpoint in &slice.endpoints {
                let text = socket_text(endpoint.ip, target.port);
                if found
                    .get(&text)
                    .is_some_and(|old| !old.terminating || endpoint.terminating)
                {
                    continue;
                }
                let entry = Endpoint {
                    text: Text::from(&*text),
                    ip: endpoint.ip,
                    port: target.port,
                    node_name: endpoint.node_name.clone(),
                    ready: endpoint.ready,
                    serving: endpoint.serving,
                    terminating: endpoint.terminating,
                    zone_hints: endpoint.zone_hints.clone(),
                    node_hints: endpoint.node_hints.clone(),
                };
                found.insert(text, entry);
            }
        }
    }
    found.into_values().collect()
}

/// Which of a service port's endpoints one node uses; all lists hold indexes, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Categorized {
    /// For traffic with policy Cluster.
    pub cluster: Vec<u32>,
    /// For traffic with policy Local.
    pub local: Vec<u32>,
    /// Those in either list.
    pub all_reachable: Vec<u32>,
    /// Whether there is a usable endpoint on any node.
    pub has_any: bool,
}

/// What of a node decides which endpoints it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The node's name.
    pub node_name: Text,
    /// Its label `topology.kubernetes.io/zone`; empty: none.
    pub zone: Text,
}

/// Sorts the endpoints of a service port into those that this node uses for either policy.
pub fn categorize(port: &ServicePort, endpoints: &[Endpoint], node: &Topology) -> Categorized {
    let mut out = Categorized::default();
    if endpoints.is_empty() {
        return out;
    }
    let pick = |keep: &dyn Fn(&Endpoint) -> bool| -> Vec<u32> {
        (0u32..)
            .zip(endpoints)
            .filter(|(_, endpoint)| keep(endpoint))
            .map(|(index, _)| index)
            .collect()
    };
    let leaving = |e: &Endpoint| e.serving && e.terminating;
    if port.uses_cluster_endpoints() {
        let mode = topology_mode(endpoints, node);
        out.cluster = pick(&|e| e.ready && mode.allows(e, node));
        if out.cluster.is_empty() {
            out.cluster = pick(&leaving);
        }
        out.has_any = !out.cluster.is_empty();
    }
    if !port.uses_local_endpoints() {
        out.all_reachable = out.cluster.clone();
        return out;
    }
    let local = |e: &Endpoint| !e.node_name.is_empty() && e.node_name == node.node_name;
    out.local = pick(&|e| local(e) && e.ready);
    if out.local.is_empty() {
        out.local = pick(&|e| local(e) && leaving(e));
    }
    out.has_any |= endpoints.iter().any(|e| e.ready || leaving(e));
    out.all_reachable = if out.cluster.is_empty() {
        out.local.clone()
    } else {
        pick_union(&out.cluster, &out.local)
    };
    out
}

fn pick_union(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut all: Vec<u32> = a.iter().chain(b).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether endpoints' hints decide which of them a node uses.
#[derive(Clone, Copy, PartialEq)]
enum TopologyMode {
    None,
    SameZone,
    SameNode,
}

impl TopologyMode {
    fn allows(self, endpoint: &Endpoint, node: &Topology) -> bool {
        match self {
            TopologyMode::None => true,
            TopologyMode::SameZone => endpoint.zone_hints.contains(&node.zone),
            TopologyMode::SameNode => endpoint.node_hints.contains(&node.node_name),
        }
    }
}

/// Hints count when every ready endpoint has them and one at least names this node or zone.
fn topology_mode(endpoints: &[Endpoint], node: &Topology) -> TopologyMode {
    let ready = || endpoints.iter().filter(|e| e.ready);
    let all_have = |hints: fn(&Endpoint) -> &Vec<Text>| ready().all(|e| !hints(e).is_empty());
    let any = |mode: TopologyMode| ready().any(|e| mode.allows(e, node));
    if all_have(|e| &e.node_hints) && any(TopologyMode::SameNode) {
        TopologyMode::SameNode
    } else if all_have(|e| &e.zone_hints) && !node.zone.is_empty() && any(TopologyMode::SameZone) {
        TopologyMode::SameZone
    } else {
        TopologyMode::None
    }
}

/// Whether different nodes may use different endpoints of this service port.
pub(crate) fn depends_on_node(port: &ServicePort, endpoints: &[Endpoint]) -> bool {
    port.uses_local_endpoints()
        || endpoints
            .iter()
            .any(|e| !e.zone_hints.is_empty() || !e.node_hints.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::{Family, State};
    use kubarium_objects::Value;

    /// The endpoints of `ns/svc`'s port `p` out of EndpointSlices' `endpoints` and labels (JSON).
    fn endpoints(slices: &[(&str, &str)]) -> String {
        let service = r#"{"kind":"Service","metadata":{"namespace":"ns","name":"svc"},
            "spec":{"clusterIP":"10.43.0.1","ports":[{"name":"p","port":80}]}}"#;
        let slice = |(n, (endpoints, labels)): (usize, &(&str, &str))| {
            format!(
                r#"{{"kind":"EndpointSlice","addressType":"IPv4","endpoints":[{endpoints}],
                    "metadata":{{"namespace":"ns","name":"s{n}","labels":{{"kubernetes.io/service-name":"svc"{labels}}}}},
                    "ports":[{{"name":"p","port":8080}},{{"name":"q","port":9090}},{{"port":7070}}]}}"#
            )
        };
        let slices = slices.iter().enumerate().map(slice);
        let objects: Vec<Value> = slices
            .chain([service.to_owned()])
            .map(|text| Value::from_json(&text).unwrap())
            .collect();
        let state = State::from_objects(Family::Ipv4, objects.iter());
        let list = state.ports().flat_map(|(_, entry)| &entry.endpoints);
        let text = list.map(|e| {
            let flag = |on, letter| if on { letter } else { "-" };
            let flags = [(e.ready, "r"), (e.serving, "s"), (e.terminating, "t")];
            let flags: String = flags
                .iter()
                .map(|(on, letter)| flag(*on, *letter))
                .collect();
            format!("{} {flags}", e.text)
        });
        text.collect::<Vec<_>>().join(", ")
    }

    fn one(slice: &str, want: &str) {
        assert_eq!(endpoints(&[(slice, "")]), want, "{slice}");
    }

    #[test]
    fn endpoints_are_ordered_as_text() {
        let three =
            r#"{"addresses":["10.0.2.1"]},{"addresses":["10.0.10.1"]},{"addresses":["10.0.2.1"]}"#;
        one(three, "10.0.10.1:8080 rs-, 10.0.2.1:8080 rs-");
    }

    #[test]
    fn only_the_first_address_of_this_family_counts() {
        one(
            r#"{"addresses":["010.0.0.1","10.0.0.2"]}"#,
            "10.0.0.1:8080 rs-",
        );
        one(r#"{"addresses":["fd00::1","10.0.0.2"]}"#, "");
        one(r#"{"addresses":[]}"#, "");
    }

    #[test]
    fn conditions_that_are_not_there_mean_ready_and_serving() {
        one(
            r#"{"addresses":["10.0.0.1"],"conditions":{"ready":false,"terminating":true}}"#,
            "10.0.0.1:8080 -st",
        );
    }

    #[test]
    fn of_two_entries_the_one_that_stays_counts() {
        let leaving =
            r#"{"addresses":["10.0.0.1"],"conditions":{"ready":false,"terminating":true}}"#;
        let ready = r#"{"addresses":["10.0.0.1"]}"#;
        let stays = "10.0.0.1:8080 rs-";
        assert_eq!(endpoints(&[(leaving, ""), (ready, "")]), stays);
        assert_eq!(endpoints(&[(ready, ""), (leaving, "")]), stays);
    }

    #[test]
    fn slices_of_headless_services_are_not_watched() {
        let ready = r#"{"addresses":["10.0.0.1"]}"#;
        let headless = r#","service.kubernetes.io/headless":"""#;
        let other_proxy = r#","service.kubernetes.io/service-proxy-name":"mine""#;
        assert_eq!(endpoints(&[(ready, headless)]), "");
        assert_eq!(endpoints(&[(ready, other_proxy)]), "10.0.0.1:8080 rs-");
    }
}
