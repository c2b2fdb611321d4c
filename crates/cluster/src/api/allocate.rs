//! Addresses and ports of Services (kube-apiserver v1.37, `pkg/registry/core/service`).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_objects::FieldError;
use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value, array};

use crate::cluster::Cluster;
use crate::config::Config;
use crate::rng::Rng;

/// The API server's `--service-node-port-range`.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
/// Node ports kept for those who name one: KEP-3668.
const STATIC_NODE_PORTS: u16 = 86;

/// Which cluster IPs and node ports are taken.
#[derive(Clone, Debug)]
pub struct Allocators {
    range: Ipv4Net,
    addresses: Arc<BTreeSet<Ipv4Addr>>,
    node_ports: Arc<BTreeSet<u16>>,
}

impl Allocators {
    pub(crate) fn new(config: &Config) -> Allocators {
        Allocators {
            range: config.network.service_cidr,
            addresses: Arc::default(),
            node_ports: Arc::default(),
        }
    }

    /// A free address out of the upper part of the range: the lower is left to those who name one
    /// (KEP-3070). `None` when the range is full.
    fn address(&self, rng: &mut Rng) -> Option<Ipv4Addr> {
        let first = u32::from(self.range.network());
        let size = u64::from(u32::from(self.range.broadcast()) - first);
        let reserved = (size / 16).clamp(16, 256).min(size);
        let upper = size.saturating_sub(reserved);
        let random = reserved + rng.below(upper.max(1));
        let free = |offset: u64| {
            let address = Ipv4Addr::from(first.wrapping_add(offset as u32));
            (offset > 0 && offset < size && !self.addresses.contains(&address)).then_some(address)
        };
        (random..size)
            .chain(reserved..random)
            .chain(1..reserved)
            .find_map(free)
    }

    fn node_port(&self, rng: &mut Rng) -> Option<u16> {
        let first = NODE_PORTS.start() + STATIC_NODE_PORTS;
        let random = first + rng.below(u64::from(NODE_PORTS.end() - first) + 1) as u16;
        (random..=*NODE_PORTS.end())
            .chain(first..random)
            .chain(*NODE_PORTS.start()..first)
            .find(|port| !self.node_ports.contains(port))
    }
}

impl Cluster {
    /// Gives a Service the addresses and ports that it needs and does not have.
    pub(super) fn allocate(
        &mut self,
        resource: &Resource,
        object: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), Status> {
        if &*resource.id() != "services" {
            return Ok(());
        }
        let before = (self.allocators.clone(), self.rng.clone());
        let result = self.allocate_service(resource, object, old);
        if dry_run || result.is_err() {
            (self.allocators, self.rng) = before;
        }
        result
    }

    fn allocate_service(
        &mut self,
        resource: &Resource,
        service: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let name = service["metadata"]["name"].text();
        let refuse = |error: FieldError| Err(Status::invalid(&resource.kind, &name, &[error]));
        let none = Value::Null;
        let old = old.unwrap_or(&none);
        let kind = service["spec"]["type"].text();
        if &*kind == "ExternalName" {
            for field in [
                "clusterIP",
                "clusterIPs",
                "ipFamilies",
                "ipFamilyPolicy",
                "internalTrafficPolicy",
            ] {
                service["spec"].remove(&[field]);
            }
            let key = ObjectKey::new("services", old["metadata"]["namespace"].str(), &*name);
            self.release(&key, old);
            return Ok(());
        }
        let spec = &mut service["spec"];
        for field in [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "healthCheckNodePort",
        ] {
            if spec[field].is_empty()
                && !old["spec"][field].is_empty()
                && old["spec"]["type"].str() != "ExternalName"
            {
                spec[field] = old["spec"][field].clone();
            }
        }
        if spec["clusterIP"].is_empty() && !spec["clusterIPs"][0].is_empty() {
            spec["clusterIP"] = spec["clusterIPs"][0].clone();
        }
        match spec["clusterIP"].str() {
            "None" => {}
            "" => match self.allocators.address(&mut self.rng) {
                Some(address) => {
                    spec["clusterIP"] = address.to_string().into();
                    Arc::make_mut(&mut self.allocators.addresses).insert(address);
                }
                None => {
                    return Err(Status::internal(
                        "failed to allocate a serviceIP: range is full",
                    ));
                }
            },
            wanted if wanted != old["spec"]["clusterIP"].str() => {
                let range = self.allocators.range;
                let Ok(address) = wanted.parse::<Ipv4Addr>() else {
                    return refuse(FieldError::invalid(
                        "spec.clusterIPs[0]",
                        &spec["clusterIP"],
                        "must be a valid IP address",
                    ));
                };
                if !range.contains(&address) {
                    let detail = format!(
                        "failed to allocate IP {wanted}: the provided IP is not in the valid range. The range of valid IPs is {range}"
                    );
                    return refuse(FieldError::invalid(
                        "spec.clusterIPs",
                        array([wanted]),
                        detail,
                    ));
                }
                if !Arc::make_mut(&mut self.allocators.addresses).insert(address) {
                    let detail =
                        format!("failed to allocate IP {wanted}: provided IP is already allocated");
                    return refuse(FieldError::invalid(
                        "spec.clusterIPs",
                        array([wanted]),
                        detail,
                    ));
                }
            }
            _ => {}
        }
        if spec["clusterIPs"].is_empty() {
            spec["clusterIPs"] = array([&spec["clusterIP"]]);
        }
        if spec["ipFamilies"].is_empty() {
            spec["ipFamilies"] = array(["IPv4"]);
        }
        if spec["ipFamilyPolicy"].is_empty() {
            spec["ipFamilyPolicy"] = "SingleStack".into();
        }
        self.allocate_node_ports(resource, service, old)
    }

    fn allocate_node_ports(
        &mut self,
        resource: &Resource,
        service: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let name = service["metadata"]["name"].text();
        let spec = &mut service["spec"];
        let wants = match spec["type"].str() {
            "NodePort" => true,
            "LoadBalancer" => spec["allocateLoadBalancerNodePorts"].as_bool() != Some(false),
            _ => false,
        };
        let mut had: BTreeSet<u16> = node_ports(old).collect();
        let external = matches!(spec["type"].str(), "NodePort" | "LoadBalancer");
        for at in 0..spec["ports"].items().len() {
            if !external {
                // Switching back to ClusterIP gives up the ports that nobody asked for again.
                if had.contains(&port(&spec["ports"][at])) {
                    spec["ports"][at].remove(&["nodePort"]);
                }
                continue;
            }
            let wanted = port(&spec["ports"][at]);
            let earlier = old["spec"]["ports"].items().iter().find(|p| {
                p["port"] == spec["ports"][at]["port"]
                    && p["protocol"] == spec["ports"][at]["protocol"]
            });
            let kept = if wanted == 0 {
                earlier.map_or(0, port)
            } else {
                wanted
            };
            let chosen = if kept != 0 && had.remove(&kept) {
                kept
            } else if wanted != 0 {
                if !NODE_PORTS.contains(&wanted) {
                    let detail = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                    return Err(Status::invalid(
                        &resource.kind,
                        &name,
                        &[FieldError::invalid(
                            format!("spec.ports[{at}].nodePort"),
                            wanted,
                            detail,
                        )],
                    ));
                }
                // The same number serves TCP and UDP of one Service.
                let own = (0..at).any(|i| port(&spec["ports"][i]) == wanted);
                if !Arc::make_mut(&mut self.allocators.node_ports).insert(wanted) && !own {
                    let detail = "provided port is already allocated";
                    return Err(Status::invalid(
                        &resource.kind,
                        &name,
                        &[FieldError::invalid(
                            format!("spec.ports[{at}].nodePort"),
                            wanted,
                            detail,
                        )],
                    ));
                }
                wanted
            } else if wants {
                let Some(free) = self.allocators.node_port(&mut self.rng) else {
                    return Err(Status::internal(
                        "failed to allocate a nodePort: range is full",
                    ));
                };
                Arc::make_mut(&mut self.allocators.node_ports).insert(free);
                free
            } else {
                continue;
            };
            spec["ports"][at]["nodePort"] = chosen.into();
        }
        let local =
            spec["externalTrafficPolicy"].str() == "Local" && spec["type"].str() == "LoadBalancer";
        if local && spec["healthCheckNodePort"].is_empty() {
            let Some(free) = self.allocators.node_port(&mut self.rng) else {
                return Err(Status::internal(
                    "failed to allocate a nodePort: range is full",
                ));
            };
            Arc::make_mut(&mut self.allocators.node_ports).insert(free);
            spec["healthCheckNodePort"] = free.into();
        } else if !local && !spec["healthCheckNodePort"].is_empty() {
            spec.remove(&["healthCheckNodePort"]);
        }
        let now: BTreeSet<u16> = node_ports(service).collect();
        let given_up = node_ports(old).filter(|p| !now.contains(p));
        let ports = Arc::make_mut(&mut self.allocators.node_ports);
        given_up.for_each(|p| _ = ports.remove(&p));
        Ok(())
    }

    /// Gives back what a Service that goes had been given.
    pub(super) fn release(&mut self, key: &ObjectKey, object: &Value) {
        if &*key.resource != "services" {
            return;
        }
        if let Ok(address) = object["spec"]["clusterIP"].str().parse::<Ipv4Addr>() {
            Arc::make_mut(&mut self.allocators.addresses).remove(&address);
        }
        let ports = Arc::make_mut(&mut self.allocators.node_ports);
        node_ports(object).for_each(|p| _ = ports.remove(&p));
    }
}

fn port(port: &Value) -> u16 {
    port["nodePort"]
        .as_i64()
        .and_then(|p| u16::try_from(p).ok())
        .unwrap_or(0)
}

fn node_ports(service: &Value) -> impl Iterator<Item = u16> + '_ {
    let health = service["spec"]["healthCheckNodePort"]
        .as_i64()
        .and_then(|p| u16::try_from(p).ok());
    service["spec"]["ports"]
        .items()
        .iter()
        .map(port)
        .chain(health)
        .filter(|p| *p != 0)
}
