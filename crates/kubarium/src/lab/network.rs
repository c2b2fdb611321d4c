//! Builds the network that a topology describes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use kubarium_cluster::cni::flannel_rules;
use kubarium_cluster::kube_proxy::{Caches, Config, Family, Mode, NodeInfo, State};
use kubarium_linux::{
    Address, Errno, LinkId, MAIN, Mac, NamespaceId, Neighbour, NeighbourState, Network, PortFlags,
    Protocol, Route, SegmentId, Time, tools,
};
use kubarium_objects::Value;

use super::topology::{Node, Pod, Server, Topology};

/// A network with its servers.
pub struct Lab {
    /// The network. Namespaces are called `node/NAME`, `pod/NAME`, `outside` and `gateway`.
    pub net: Network,
    /// When flows begin: long after all was set up.
    pub now: Time,
    /// What commands run by hand complained of.
    pub remarks: Vec<String>,
    servers: BTreeMap<NamespaceId, String>,
    segment: SegmentId,
}

/// The address range that flannel is told of where the topology names none.
const PODS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 42, 0, 0), 16);
/// Pods get their addresses some time after the nodes were set up.
const START: Time = Time::from_secs(1_000);

fn fails(what: impl std::fmt::Display) -> impl Fn(Errno) -> String {
    move |errno| format!("{what}: {errno}")
}

impl Lab {
    /// Builds everything: hosts, then flannel's and kube-proxy's rules, pods, and what was done by hand.
    ///
    /// # Errors
    /// What cannot be built, and why.
    pub fn build(topology: &Topology, objects: &[Value]) -> Result<Lab, String> {
        let mut net = Network::new();
        let segment = net.add_segment("network");
        let mut lab = Lab {
            net,
            now: START,
            remarks: Vec::new(),
            servers: BTreeMap::new(),
            segment,
        };
        lab.gateway(topology, objects)?;
        lab.outside(topology)?;
        let mut nodes = Vec::new();
        for (index, node) in topology.nodes.iter().enumerate() {
            let built = lab.node(topology, node);
            nodes.push(built.map_err(|error| format!("nodes[{index}] {}: {error}", node.name))?);
        }
        for (node, built) in topology.nodes.iter().zip(&nodes) {
            for peer in topology.nodes.iter().filter(|peer| peer.name != node.name) {
                let known = lab.peer(built, peer);
                known.map_err(|error| format!("{}: way to {}: {error}", node.name, peer.name))?;
            }
        }
        lab.rules(topology, &nodes, objects)?;
        for pod in &topology.pods {
            let at = topology.nodes.iter().position(|node| node.name == pod.node);
            let Some((node, built)) = at.and_then(|at| topology.nodes.get(at).zip(nodes.get(at)))
            else {
                return Err(format!("pod {}: there is no node {:?}", pod.name, pod.node));
            };
            let made = lab.pod(pod, node, built);
            made.map_err(|error| format!("pod {}: {error}", pod.name))?;
        }
        for (node, built) in topology.nodes.iter().zip(&nodes) {
            for command in &node.commands {
                lab.command(&node.name, built.id, command)?;
            }
        }
        Ok(lab)
    }

    /// What answers in a namespace is called so.
    pub fn server(&self, namespace: NamespaceId) -> String {
        let name = || self.net.namespace(namespace).map(|n| n.name.to_string());
        let named = self.servers.get(&namespace).cloned();
        named.or_else(name).unwrap_or_default()
    }

    /// A host on the nodes' network.
    fn host(&mut self, topology: &Topology, name: &str, ip: Ipv4Addr) -> Result<Host, String> {
        let network = &topology.network;
        let id = self.net.add_namespace(name);
        let fails = fails("eth0");
        let eth0 = self.net.add_physical(id, "eth0").map_err(&fails)?;
        self.net.plug(eth0, self.segment).map_err(&fails)?;
        self.net.set_mtu(eth0, network.mtu).map_err(&fails)?;
        self.net.set_up(eth0, true).map_err(&fails)?;
        let own = Ipv4Net::new_assert(ip, network.cidr.prefix_len());
        self.net
            .add_address(eth0, Address::new(own))
            .map_err(&fails)?;
        if let Some(gateway) = network.gateway.as_ref().filter(|g| g.ip != ip) {
            let all = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
            self.route(id, Route::via(all, gateway.ip, eth0));
        }
        Ok(Host { id, eth0 })
    }

    fn route(&mut self, id: NamespaceId, route: Route) {
        if let Some(ns) = self.net.namespace_mut(id) {
            ns.table_mut(MAIN).replace(route);
        }
    }

    fn serve(&mut self, id: NamespaceId, name: &str, ports: &[u16]) -> Result<(), String> {
        self.servers.insert(id, name.to_owned());
        for port in ports {
            for protocol in [Protocol::TCP, Protocol::UDP] {
                let any = Ipv4Addr::UNSPECIFIED;
                self.net
                    .listen(id, protocol, any, *port, 0)
                    .map_err(fails(format!("server {name}: port {port}")))?;
            }
        }
        Ok(())
    }

    fn serve_all(&mut self, id: NamespaceId, servers: &[Server]) -> Result<(), String> {
        servers
            .iter()
            .try_for_each(|server| self.serve(id, &server.name, &server.ports))
    }

    /// The default gateway, with the API server: the endpoints that the objects give it.
    fn gateway(&mut self, topology: &Topology, objects: &[Value]) -> Result<(), String> {
        let Some(gateway) = &topology.network.gateway else {
            return Ok(());
        };
        let host = self.host(topology, "gateway", gateway.ip)?;
        let forward = gateway.ip_forward.to_string();
        self.net
            .set_sysctl(host.id, "net.ipv4.ip_forward", &forward)
            .map_err(fails("net.ipv4.ip_forward"))?;
        let own = gateway.ip.to_string();
        let mut ports: Vec<u16> = Vec::new();
        for slice in objects
            .iter()
            .filter(|o| o["kind"].str() == "EndpointSlice")
        {
            let mut endpoints = slice["endpoints"].items().iter();
            if endpoints.any(|e| e["addresses"].items().iter().any(|a| a.str() == own)) {
                let numbers = slice["ports"].items().iter();
                ports.extend(numbers.filter_map(|p| u16::try_from(p["port"].as_i64()?).ok()));
            }
        }
        ports.sort_unstable();
        ports.dedup();
        self.serve(host.id, "gateway", &ports)
    }

    fn outside(&mut self, topology: &Topology) -> Result<(), String> {
        let Some(outside) = &topology.outside else {
            return Ok(());
        };
        let built = self.host(topology, "outside", outside.ip);
        let host = built.map_err(|error| format!("outside: {error}"))?;
        for route in &outside.routes {
            self.route(host.id, Route::via(route.to, route.via, host.eth0));
        }
        self.servers.insert(host.id, outside.name.clone());
        self.serve_all(host.id, &outside.servers)
    }

    fn node(&mut self, topology: &Topology, node: &Node) -> Result<BuiltNode, String> {
        let host = self.host(topology, &format!("node/{}", node.name), node.ip)?;
        let id = host.id;
        for (key, value) in &node.sysctls {
            let value = sysctl_text(value).ok_or_else(|| format!("sysctl {key}: not a number"))?;
            self.net
                .set_sysctl(id, key, &value)
                .map_err(fails(format!("sysctl {key}")))?;
        }
        let mut built = BuiltNode {
            id,
            eth0: host.eth0,
            bridge: None,
            tunnel: None,
        };
        if let Some(bridge) = &node.bridge {
            let fails = fails(format!("bridge {}", bridge.name));
            let link = self.net.add_bridge(id, &bridge.name).map_err(&fails)?;
            self.net.set_mtu(link, bridge.mtu).map_err(&fails)?;
            self.net.set_up(link, true).map_err(&fails)?;
            self.net
                .add_address(link, Address::new(bridge.ip))
                .map_err(&fails)?;
            built.bridge = Some(link);
        }
        if let Some(vxlan) = &node.vxlan {
            let fails = fails(format!("device {}", vxlan.device));
            let tunnel = kubarium_linux::Vxlan {
                vni: vxlan.vni,
                local: vxlan.local,
                port: vxlan.port,
                lower: Some(host.eth0),
                learning: vxlan.learning,
                fdb: BTreeMap::new(),
            };
            let mac = mac(&vxlan.mac)?;
            let link = self
                .net
                .add_vxlan(id, &vxlan.device, tunnel)
                .map_err(&fails)?;
            self.net.set_mac(link, mac).map_err(&fails)?;
            self.net.set_mtu(link, vxlan.mtu).map_err(&fails)?;
            self.net.set_up(link, true).map_err(&fails)?;
            self.net
                .add_address(link, Address::new(vxlan.address))
                .map_err(&fails)?;
            built.tunnel = Some(link);
        }
        self.servers.insert(id, node.name.clone());
        self.serve_all(id, &node.servers)?;
        Ok(built)
    }

    /// The way from a node to another one's pods, as flannel makes it.
    fn peer(&mut self, at: &BuiltNode, peer: &Node) -> Result<(), String> {
        let Some(pods) = peer.pod_cidr else {
            return Ok(());
        };
        let (Some(tunnel), Some(vxlan)) = (at.tunnel, &peer.vxlan) else {
            self.route(at.id, Route::via(pods, peer.ip, at.eth0));
            return Ok(());
        };
        let gateway = vxlan.address.addr();
        let route = Route {
            onlink: true,
            ..Route::via(pods, gateway, tunnel)
        };
        self.route(at.id, route);
        let mac = mac(&vxlan.mac)?;
        self.net
            .add_fdb(tunnel, mac, Some(vxlan.local))
            .map_err(fails("forwarding entry"))?;
        if let Some(ns) = self.net.namespace_mut(at.id) {
            let neighbour = Neighbour {
                mac: Some(mac),
                state: NeighbourState::Permanent,
                since: Time::ZERO,
            };
            ns.set_neighbour(tunnel, gateway, neighbour);
        }
        Ok(())
    }

    /// Flannel's rules and kube-proxy's on every node.
    fn rules(
        &mut self,
        topology: &Topology,
        nodes: &[BuiltNode],
        objects: &[Value],
    ) -> Result<(), String> {
        proxy_config(topology, "")?;
        let pods = topology.cluster_cidr.unwrap_or(PODS);
        let state = State::from_objects(Family::Ipv4, objects.iter());
        let mut cache = Caches::default();
        for (node, built) in topology.nodes.iter().zip(nodes) {
            let config = proxy_config(topology, &node.name)?;
            let object = objects.iter().find(|o| {
                o["kind"].str() == "Node" && o.at(&["metadata", "name"]).str() == node.name
            });
            let mut info = NodeInfo::from_object(object.unwrap_or(&Value::default()));
            info.topology.node_name = node.name.as_str().into();
            if info.node_ips.is_empty() {
                info.node_ips = vec![IpAddr::V4(node.ip)];
            }
            if info.pod_cidrs.is_empty() {
                info.pod_cidrs = node.pod_cidr.into_iter().map(Into::into).collect();
            }
            info.interface_addresses = self
                .net
                .links_of(built.id)
                .flat_map(|link| &link.addresses)
                .map(|address| IpAddr::V4(address.net.addr()))
                .collect();
            if let (true, Some(own), Some(ns)) = (
                node.flannel_rules,
                node.pod_cidr,
                self.net.namespace_mut(built.id),
            ) {
                flannel_rules::ensure(&mut ns.netfilter, pods, own);
            }
            kubarium_cluster::kube_proxy::run_once(
                &config,
                &info,
                &state,
                &mut cache,
                &mut self.net,
                built.id,
            )
            .map_err(|error| format!("kube-proxy on {}: {error}", node.name))?;
        }
        Ok(())
    }

    fn pod(&mut self, pod: &Pod, node: &Node, built: &BuiltNode) -> Result<(), String> {
        let (Some(bridge), Some(settings)) = (built.bridge, &node.bridge) else {
            return Err(format!("node {} has no bridge", node.name));
        };
        let id = self.net.add_namespace(&format!("pod/{}", pod.name));
        let fails = fails("eth0");
        let host_end = format!("veth{}", id.0);
        let (eth0, veth) = self
            .net
            .add_veth((id, "eth0"), (built.id, &host_end))
            .map_err(&fails)?;
        for link in [eth0, veth] {
            self.net.set_mtu(link, pod.mtu).map_err(&fails)?;
            self.net.set_up(link, true).map_err(&fails)?;
        }
        self.net.set_master(veth, Some(bridge)).map_err(&fails)?;
        let flags = PortFlags {
            hairpin: settings.hairpin,
            ..PortFlags::default()
        };
        self.net.set_port(veth, flags).map_err(&fails)?;
        let own = Ipv4Net::new_assert(pod.ip, settings.ip.prefix_len());
        self.net
            .add_address(eth0, Address::new(own).with_broadcast())
            .map_err(&fails)?;
        let all = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
        self.route(id, Route::via(all, settings.ip.addr(), eth0));
        self.serve(id, &pod.name, &pod.ports)
    }

    /// What somebody typed on a node.
    fn command(&mut self, node: &str, id: NamespaceId, command: &str) -> Result<(), String> {
        let words: Vec<String> = command.split_whitespace().map(unquoted).collect();
        let output = tools::run(&mut self.net, id, &words, self.now);
        let said = output.stderr.trim();
        if said.ends_with("not simulated yet") {
            return Err(format!("{node}: {command}: {said}"));
        }
        if output.status != 0 {
            self.remarks.push(format!("{node}: {command}: {said}"));
        }
        Ok(())
    }
}

struct Host {
    id: NamespaceId,
    eth0: LinkId,
}

struct BuiltNode {
    id: NamespaceId,
    eth0: LinkId,
    bridge: Option<LinkId>,
    tunnel: Option<LinkId>,
}

/// kube-proxy's configuration on a node: the topology's mode, then its flags.
fn proxy_config(topology: &Topology, node: &str) -> Result<Config, String> {
    let mut config = Config::default();
    let mode = topology.mode.as_deref().unwrap_or("iptables");
    let mode = format!("--proxy-mode={mode}");
    let flags =
        (topology.kube_proxy_flags.iter()).map(|flag| flag.replace("=NODE", &format!("={node}")));
    let flags: Vec<String> = std::iter::once(mode).chain(flags).collect();
    config.service_cidrs = topology.service_cidr.map(Into::into).into_iter().collect();
    let applied = config.apply_flags(flags.iter().map(String::as_str));
    applied.map_err(|error| format!("kube-proxy: {error}"))?;
    match config.mode {
        Mode::Iptables | Mode::Nftables => Ok(config),
        Mode::Ipvs => Err("kube-proxy in ipvs mode: not simulated yet".to_owned()),
    }
}

fn sysctl_text(value: &serde_yaml::Value) -> Option<String> {
    match value {
        serde_yaml::Value::Number(number) => Some(number.to_string()),
        serde_yaml::Value::String(text) => Some(text.clone()),
        serde_yaml::Value::Bool(on) => Some(u8::from(*on).to_string()),
        _ => None,
    }
}

fn mac(text: &str) -> Result<Mac, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no Ethernet address"))
}

fn unquoted(word: &str) -> String {
    word.trim_matches(['\'', '"']).to_owned()
}
