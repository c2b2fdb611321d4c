//! Which tracked UDP flows a sync forgets: those that a Service's rules sent to an endpoint that
//! serves no more. (A TCP connection to a dead endpoint is reset or times out by itself.)
//!
//! Source: `CleanStaleEntries` and `conntrackFilter` of `pkg/proxy/conntrack`, Kubernetes v1.37, and what was recorded
//! of a cluster: the flows of a Service that lost its last endpoint are forgotten too.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::service::Protocol;
use super::state::{PortEntry, State};

/// The filter that a sync applies to the node's tracked connections.
#[derive(Debug)]
pub struct StaleFlows<'a> {
    by_address: BTreeMap<(IpAddr, u16), &'a PortEntry>,
    by_node_port: BTreeMap<u16, &'a PortEntry>,
}

impl<'a> StaleFlows<'a> {
    /// The filter of a state. Without a serving endpoint, every flow of a Service is forgotten.
    pub fn new(state: &'a State) -> StaleFlows<'a> {
        let mut flows = StaleFlows {
            by_address: BTreeMap::new(),
            by_node_port: BTreeMap::new(),
        };
        for (_, entry) in state.ports() {
            let port = &entry.port;
            if port.protocol != Protocol::Udp {
                continue;
            }
            let vips = port.load_balancer_vips.iter();
            for ip in vips.chain(&port.external_ips).chain([&port.cluster_ip]) {
                flows.by_address.insert((*ip, port.port), entry);
            }
            if port.node_port != 0 {
                flows.by_node_port.insert(port.node_port, entry);
            }
        }
        flows
    }

    /// Whether a UDP flow is forgotten: by the destination of its original direction and the
    /// source of its reply direction.
    pub fn is_stale(
        &self,
        original_destination: (IpAddr, u16),
        reply_source: (IpAddr, u16),
    ) -> bool {
        let leads_nowhere = |entry: &&PortEntry| {
            let serves = |e: &super::Endpoint| e.serving && (e.ip, e.port) == reply_source;
            !entry.endpoints.iter().any(serves)
        };
        self.by_address
            .get(&original_destination)
            .is_some_and(leads_nowhere)
            || self
                .by_node_port
                .get(&original_destination.1)
                .is_some_and(leads_nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Family, parse_ip};
    use super::*;
    use kubarium_objects::Value;

    fn state() -> State {
        let objects = [
            r#"{"kind":"Service","metadata":{"namespace":"ns","name":"dns"},"spec":{"clusterIP":"10.43.0.10","externalIPs":["192.0.2.1"],
                "ports":[{"name":"dns","port":53,"protocol":"UDP","nodePort":30053},{"name":"tcp","port":53}]}}"#,
            r#"{"kind":"Service","metadata":{"namespace":"ns","name":"empty"},"spec":{"clusterIP":"10.43.0.11","ports":[{"port":53,"protocol":"UDP"}]}}"#,
            r#"{"kind":"EndpointSlice","addressType":"IPv4","metadata":{"namespace":"ns","name":"dns-1","labels":{"kubernetes.io/service-name":"dns"}},
                "endpoints":[{"addresses":["10.42.1.2"]},{"addresses":["10.42.1.3"],"conditions":{"ready":false,"serving":false}},
                             {"addresses":["10.42.1.4"],"conditions":{"ready":false,"serving":true,"terminating":true}}],
                "ports":[{"name":"dns","port":5353,"protocol":"UDP"},{"name":"tcp","port":53}]}"#,
        ]
        .map(|text| Value::from_json(text).unwrap());
        State::from_objects(Family::Ipv4, objects.iter())
    }

    fn flow(to: (&str, u16), from: (&str, u16), stale: bool) {
        let state = state();
        let address = |(ip, port): (&str, u16)| (parse_ip(ip).unwrap(), port);
        let got = StaleFlows::new(&state).is_stale(address(to), address(from));
        assert_eq!(got, stale, "{to:?} answered by {from:?}");
    }

    #[test]
    fn flows_of_serving_endpoints_stay() {
        flow(("10.43.0.10", 53), ("10.42.1.2", 5353), false);
        flow(("10.43.0.10", 53), ("10.42.1.2", 53), true);
        flow(("10.43.0.10", 53), ("10.42.1.3", 5353), true);
        flow(("10.43.0.10", 53), ("10.42.1.4", 5353), false);
        flow(("10.43.0.10", 53), ("10.43.0.10", 53), true);
        flow(("192.0.2.1", 53), ("10.42.9.9", 5353), true);
        flow(("172.18.0.3", 30053), ("10.42.9.9", 5353), true);
        flow(("172.18.0.3", 30054), ("10.42.9.9", 5353), false);
    }

    #[test]
    fn a_service_without_endpoints_forgets_all() {
        flow(("10.43.0.11", 53), ("10.42.9.9", 53), true);
    }
}
