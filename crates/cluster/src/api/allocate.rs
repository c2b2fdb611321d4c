//! Addresses and ports of Services (kube-apiserver v1.37, `pkg/registry/core/service`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_objects::FieldError;
use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value, array, go, validation};

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
    fn address(&self, range: Ipv4Net, rng: &mut Rng) -> Option<Ipv4Addr> {
        let first = u32::from(range.network());
        let size = u64::from(u32::from(range.broadcast()) - first);
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

/// Whether a Service has (or is to have) cluster IPs; `None` counts as one.
fn needs_cluster_ip(service: &Value) -> bool {
    matches!(
        service["spec"]["type"].str(),
        "ClusterIP" | "NodePort" | "LoadBalancer"
    )
}

/// Whether its ports may have node ports, given or allocated (`strategy.go`).
fn needs_node_port(service: &Value) -> bool {
    matches!(service["spec"]["type"].str(), "NodePort" | "LoadBalancer")
}

/// Whether ports without a node port get one (`alloc.go`, shouldAllocateNodePorts).
fn allocates_node_ports(service: &Value) -> bool {
    match service["spec"]["type"].str() {
        "NodePort" => true,
        "LoadBalancer" => service["spec"]["allocateLoadBalancerNodePorts"].as_bool() != Some(false),
        _ => false,
    }
}

fn needs_health_check_port(service: &Value) -> bool {
    service["spec"]["type"].str() == "LoadBalancer"
        && service["spec"]["externalTrafficPolicy"].str() == "Local"
}

impl Cluster {
    /// Gives a Service the addresses and ports that it needs and does not have, before it is validated
    /// (`storage.go`, beginCreate and beginUpdate). What was given is taken back by
    /// [`Cluster::take_back`] if the write fails.
    pub(super) fn allocate(
        &mut self,
        resource: &Resource,
        service: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), Status> {
        if &*resource.id() != "services" {
            return Ok(());
        }
        let none = Value::Null;
        let before = old.unwrap_or(&none);
        if old.is_some() {
            keep_allocated(service, before);
        }
        sync_cluster_ips(service, old);
        self.address_families(resource, service, before)?;
        self.allocate_cluster_ips(resource, service, before, dry_run)?;
        self.allocate_node_ports(resource, service, before)?;
        self.allocate_health_check_port(service, before)?;
        if old.is_some() {
            drop_dependent(service, before);
        }
        Ok(())
    }

    /// What the allocators are before a write, for the case that it fails.
    pub(super) fn allocation(&self, resource: &Resource) -> Option<(Allocators, Rng)> {
        let is_service = &*resource.id() == "services";
        is_service.then(|| (self.allocators.clone(), self.rng.clone()))
    }

    /// Takes back what a failed write was given.
    pub(super) fn take_back(&mut self, before: Option<(Allocators, Rng)>) {
        if let Some(before) = before {
            (self.allocators, self.rng) = before;
        }
    }

    /// `ipFamilyPolicy` and `ipFamilies`; the cluster has one family, IPv4.
    fn address_families(
        &mut self,
        resource: &Resource,
        service: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let spec = &mut service["spec"];
        if spec["type"].str() == "ExternalName" {
            return Ok(());
        }
        let headless_by_hand = spec["clusterIP"].str() == "None" && spec["selector"].is_empty();
        if spec["ipFamilyPolicy"].is_empty() {
            spec["ipFamilyPolicy"] = if !old["spec"]["ipFamilyPolicy"].is_empty() {
                old["spec"]["ipFamilyPolicy"].clone()
            } else if headless_by_hand {
                "RequireDualStack".into()
            } else {
                "SingleStack".into()
            };
        }
        let name = service["metadata"]["name"].text();
        let refuse = |errors: &[FieldError]| Err(Status::invalid(&resource.kind, &name, errors));
        let old = (!old.is_null()).then_some(old);
        let errors = validation::service_addresses(service, old);
        if !errors.is_empty() {
            return refuse(&errors);
        }
        let spec = &mut service["spec"];
        let single = spec["ipFamilyPolicy"].str() == "SingleStack";
        let mut errors = Vec::new();
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if single && spec[field].items().len() == 2 {
                errors.push(FieldError::invalid(
                    "spec.ipFamilyPolicy",
                    "SingleStack",
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"),
                ));
            }
        }
        let given = spec["ipFamilies"].items().len();
        for at in 0..spec["clusterIPs"].items().len() {
            let ip = spec["clusterIPs"][at].text();
            if &*ip == "None" {
                break;
            }
            if at < given {
                continue;
            }
            if ip.contains(':') {
                errors.push(FieldError::invalid(
                    format!("spec.clusterIPs[{at}]"),
                    &spec["clusterIPs"],
                    "IPv6 is not configured on this cluster",
                ));
            } else {
                spec["ipFamilies"].push("IPv4");
            }
        }
        if !errors.is_empty() {
            return refuse(&errors);
        }
        if headless_by_hand {
            if spec["ipFamilies"].is_empty() {
                spec["ipFamilies"] = array(["IPv4"]);
            }
            if spec["ipFamilies"].items().len() < 2 && !single {
                let other = match spec["ipFamilies"][0].str() {
                    "IPv4" => "IPv6",
                    _ => "IPv4",
                };
                spec["ipFamilies"].push(other);
            }
            return Ok(());
        }
        if spec["ipFamilyPolicy"].str() == "RequireDualStack" {
            errors.push(FieldError::invalid(
                "spec.ipFamilyPolicy",
                &spec["ipFamilyPolicy"],
                "this cluster is not configured for dual-stack services",
            ));
        }
        for (at, family) in spec["ipFamilies"].items().iter().enumerate() {
            if family.str() != "IPv4" {
                errors.push(FieldError::invalid(
                    format!("spec.ipFamilies[{at}]"),
                    family,
                    "not configured on this cluster",
                ));
            }
        }
        if !errors.is_empty() {
            return refuse(&errors);
        }
        if spec["ipFamilies"].is_empty() {
            spec["ipFamilies"] = array(["IPv4"]);
        }
        Ok(())
    }

    fn allocate_cluster_ips(
        &mut self,
        resource: &Resource,
        service: &mut Value,
        old: &Value,
        dry_run: bool,
    ) -> Result<(), Status> {
        let spec = &mut service["spec"];
        let external = spec["type"].str() == "ExternalName";
        let was_external = old.is_null() || old["spec"]["type"].str() == "ExternalName";
        if external && !was_external {
            self.release_address(old);
        }
        if external || !was_external || spec["clusterIPs"][0].str() == "None" {
            return Ok(());
        }
        let wanted = spec["clusterIPs"][0].text();
        if wanted.is_empty() {
            let own = self.allocators.range;
            let mut found = self.allocators.address(own, &mut self.rng);
            if found.is_none() {
                let mut further = self.further_ranges().into_iter();
                found = further.find_map(|range| self.allocators.address(range, &mut self.rng));
            }
            let Some(address) = found else {
                let name = service["metadata"]["name"].str();
                return Err(Status::internal(format!(
                    "failed to allocate a serviceIP for Service {}: range is full",
                    go::quote(name)
                )));
            };
            Arc::make_mut(&mut self.allocators.addresses).insert(address);
            let text = address.to_string();
            spec["clusterIP"] = text.as_str().into();
            spec["clusterIPs"] = array([text]);
            return Ok(());
        }
        let range = self.allocators.range;
        let address = wanted.parse::<Ipv4Addr>().ok();
        let why = match address {
            // A dry run asks one range's allocator, which looks at the range alone
            // (`ipallocator`, MetaAllocator.DryRun).
            Some(address) if !range.contains(&address) && dry_run => format!(
                "the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {range}"
            ),
            Some(address)
                if !range.contains(&address)
                    && !self.further_ranges().iter().any(|r| r.contains(&address)) =>
            {
                "the provided network does not match the current range".to_owned()
            }
            Some(_) if dry_run => return Ok(()),
            Some(address) if !Arc::make_mut(&mut self.allocators.addresses).insert(address) => {
                "provided IP is already allocated".to_owned()
            }
            Some(_) => return Ok(()),
            None => {
                return Err(Status::internal(format!(
                    "failed to parse service IP {}",
                    go::quote(&wanted)
                )));
            }
        };
        let error = FieldError::invalid(
            "spec.clusterIPs",
            &spec["clusterIPs"],
            format!("failed to allocate IP {wanted}: {why}"),
        );
        let name = service["metadata"]["name"].str();
        Err(Status::invalid(&resource.kind, name, &[error]))
    }

    /// Takes a port that somebody names.
    fn take_port(&mut self, wanted: u16) -> Result<(), &'static str> {
        if !NODE_PORTS.contains(&wanted) {
            return Err(
                "provided port is not in the valid range. The range of valid ports is 30000-32767",
            );
        }
        if Arc::make_mut(&mut self.allocators.node_ports).insert(wanted) {
            Ok(())
        } else {
            Err("provided port is already allocated")
        }
    }

    fn any_port(&mut self) -> Result<u16, Status> {
        let Some(free) = self.allocators.node_port(&mut self.rng) else {
            return Err(Status::internal(
                "failed to allocate a nodePort: range is full",
            ));
        };
        Arc::make_mut(&mut self.allocators.node_ports).insert(free);
        Ok(free)
    }

    fn allocate_node_ports(
        &mut self,
        resource: &Resource,
        service: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let name = service["metadata"]["name"].text();
        let refuse = |at: usize, port: u16, why: &str| {
            let field = format!("spec.ports[{at}].nodePort");
            let error = FieldError::invalid(field, port, why);
            Err(Status::invalid(&resource.kind, &name, &[error]))
        };
        let had: BTreeSet<u16> = ports_of(old).collect();
        let external = needs_node_port(service);
        if external {
            let allocates = allocates_node_ports(service);
            let creates = old.is_null();
            // The same number serves TCP and UDP of one port.
            let mut of_port: BTreeMap<i64, u16> = BTreeMap::new();
            let mut taken: BTreeSet<u16> = BTreeSet::new();
            for at in 0..service["spec"]["ports"].items().len() {
                let own = &service["spec"]["ports"][at];
                let (number, wanted) = (own["port"].as_i64().unwrap_or(0), port(own));
                if wanted == 0 && !allocates {
                    continue;
                }
                let shared = of_port.get(&number).copied().filter(|_| creates);
                let chosen = match (shared, wanted) {
                    (Some(shared), 0) => shared,
                    (Some(shared), wanted) if shared == wanted => wanted,
                    (_, 0) => {
                        // A number that a later entry of the port names serves this one as well.
                        let all = service["spec"]["ports"].items();
                        let named = all
                            .iter()
                            .filter(|_| creates)
                            .find(|p| p["port"].as_i64() == Some(number) && port(p) != 0)
                            .map(port);
                        match named {
                            Some(named) => match self.take_port(named) {
                                Ok(()) => named,
                                Err(why) => return refuse(at, named, why),
                            },
                            None => self.any_port()?,
                        }
                    }
                    (_, wanted) => {
                        let known = had.contains(&wanted) || !creates && taken.contains(&wanted);
                        if !known && let Err(why) = self.take_port(wanted) {
                            return refuse(at, wanted, why);
                        }
                        wanted
                    }
                };
                taken.insert(chosen);
                of_port.entry(number).or_insert(chosen);
                service["spec"]["ports"][at]["nodePort"] = chosen.into();
            }
        }
        let now: BTreeSet<u16> = ports_of(service).filter(|_| external).collect();
        let ports = Arc::make_mut(&mut self.allocators.node_ports);
        had.difference(&now).for_each(|p| _ = ports.remove(p));
        Ok(())
    }

    fn allocate_health_check_port(
        &mut self,
        service: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let health = |v: &Value| {
            let port = v["spec"]["healthCheckNodePort"].as_i64();
            port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0)
        };
        let (needed, needs) = (
            needs_health_check_port(old),
            needs_health_check_port(service),
        );
        if needs && !needed {
            let chosen = match health(service) {
                Some(wanted) => self.take_port(wanted).map(|()| wanted).map_err(|why| {
                    Status::internal(format!(
                        "failed to allocate requested HealthCheck NodePort {wanted}: {why}"
                    ))
                })?,
                None => self.any_port()?,
            };
            service["spec"]["healthCheckNodePort"] = chosen.into();
        } else if needed
            && !needs
            && let Some(port) = health(old)
        {
            Arc::make_mut(&mut self.allocators.node_ports).remove(&port);
        }
        Ok(())
    }

    fn release_address(&mut self, service: &Value) {
        if let Ok(address) = service["spec"]["clusterIP"].str().parse::<Ipv4Addr>() {
            Arc::make_mut(&mut self.allocators.addresses).remove(&address);
        }
    }

    /// Gives back what a Service that goes had been given.
    pub(super) fn release(&mut self, key: &ObjectKey, object: &Value) {
        if &*key.resource != "services" {
            return;
        }
        self.release_address(object);
        let health = object["spec"]["healthCheckNodePort"].as_i64();
        let health = health.and_then(|p| u16::try_from(p).ok());
        let ports = Arc::make_mut(&mut self.allocators.node_ports);
        ports_of(object)
            .chain(health)
            .for_each(|p| _ = ports.remove(&p));
    }
}

/// What the Service had been given and the client does not know stays (`patchAllocatedValues`).
fn keep_allocated(service: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && needs_cluster_ip(service) {
        for field in ["clusterIP", "clusterIPs"] {
            if service["spec"][field].is_empty() && !old["spec"][field].is_empty() {
                service["spec"][field] = old["spec"][field].clone();
            }
        }
    }
    if needs_node_port(old) && needs_node_port(service) {
        let new: BTreeSet<u16> = ports_of(service).collect();
        let used: BTreeSet<u16> = ports_of(old).filter(|p| new.contains(p)).collect();
        for at in 0..service["spec"]["ports"].items().len() {
            let own = &service["spec"]["ports"][at];
            let named = old["spec"]["ports"].items().iter().rev();
            let earlier = named
                .filter(|p| p["name"].str() == own["name"].str())
                .map(port)
                .next()
                .unwrap_or(0);
            if port(own) == 0 && earlier != 0 && !used.contains(&earlier) {
                service["spec"]["ports"][at]["nodePort"] = earlier.into();
            }
        }
    }
    let health = &old["spec"]["healthCheckNodePort"];
    if needs_health_check_port(old)
        && needs_health_check_port(service)
        && service["spec"]["healthCheckNodePort"].is_empty()
        && !health.is_empty()
    {
        service["spec"]["healthCheckNodePort"] = health.clone();
    }
}

/// `clusterIP` and `clusterIPs` say the same (`normalizeClusterIPs`).
fn sync_cluster_ips(service: &mut Value, old: Option<&Value>) {
    let spec = &mut service["spec"];
    let Some(old) = old.map(|old| &old["spec"]) else {
        if !spec["clusterIP"].is_empty() && spec["clusterIPs"].is_empty() {
            spec["clusterIPs"] = array([&spec["clusterIP"]]);
        }
        return;
    };
    let same = spec["clusterIP"].str() == old["clusterIP"].str();
    if spec["clusterIPs"].is_empty() && same && !old["clusterIPs"].is_empty() {
        spec["clusterIPs"] = old["clusterIPs"].clone();
    }
    if !same && spec["clusterIPs"] == old["clusterIPs"] {
        if spec["clusterIP"].is_empty() {
            spec.remove(&["clusterIPs"]);
        } else {
            spec["clusterIPs"] = array([&spec["clusterIP"]]);
        }
    }
}

/// Fields that the new type does not have go, where the client did not change them
/// (`dropTypeDependentFields`).
fn drop_dependent(service: &mut Value, old: &Value) {
    let same = |service: &Value, field: &str| service["spec"][field] == old["spec"][field];
    let mut gone: Vec<&str> = Vec::new();
    if needs_cluster_ip(old) && !needs_cluster_ip(service) {
        if same(service, "clusterIP") && same(service, "clusterIPs") {
            gone.extend(["clusterIP", "clusterIPs"]);
        }
        let rest = ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];
        gone.extend(rest.into_iter().filter(|f| same(service, f)));
    }
    if needs_node_port(old) && !needs_node_port(service) {
        let numbers = |s: &Value| ports_of(s).collect::<BTreeSet<u16>>();
        if numbers(old) == numbers(service) {
            for at in 0..service["spec"]["ports"].items().len() {
                service["spec"]["ports"][at].remove(&["nodePort"]);
            }
        }
    }
    if needs_health_check_port(old) && !needs_health_check_port(service) {
        gone.push("healthCheckNodePort");
    }
    let balanced = |s: &Value| s["spec"]["type"].str() == "LoadBalancer";
    if balanced(old) && !balanced(service) {
        gone.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    let external = |s: &Value| {
        balanced(s)
            || s["spec"]["type"].str() == "NodePort"
            || needs_cluster_ip(s) && !s["spec"]["externalIPs"].is_empty()
    };
    if external(old) && !external(service) {
        gone.push("externalTrafficPolicy");
    }
    for field in gone {
        if same(service, field) {
            service["spec"].remove(&[field]);
        }
    }
    if !balanced(service) && !service["status"]["loadBalancer"].is_empty() {
        service.set(&["status", "loadBalancer"], Value::new_object());
    }
}

fn port(port: &Value) -> u16 {
    port["nodePort"]
        .as_i64()
        .and_then(|p| u16::try_from(p).ok())
        .unwrap_or(0)
}

/// The node ports of a Service's ports.
fn ports_of(service: &Value) -> impl Iterator<Item = u16> + '_ {
    let ports = service["spec"]["ports"].items().iter();
    ports.map(port).filter(|p| *p != 0)
}
