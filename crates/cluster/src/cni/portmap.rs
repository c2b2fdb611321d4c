//! The `portmap` plugin: a container's hostPort, by chains of its own in the node's nat table
//! (containernetworking/plugins v1.x, `plugins/meta/portmap`).

use kubarium_objects::{ObjectKey, Text, Value};
use sha2::{Digest, Sha512};

use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::kube_proxy;
use crate::kubelet::containers;

/// What all mapped ports share.
const SHARED: &[&str] = &[
    "-N CNI-HOSTPORT-SETMARK",
    "-A CNI-HOSTPORT-SETMARK -m comment --comment portfwd-mark -j MARK --set-xmark 0x2000/0x2000",
    "-N CNI-HOSTPORT-MASQ",
    "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
    "-A POSTROUTING -m comment --comment portfwd-masq -j CNI-HOSTPORT-MASQ",
    "-N CNI-HOSTPORT-DNAT",
    "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
];

/// One mapped port.
struct Mapping {
    protocol: String,
    host_ip: String,
    host_port: i64,
    port: i64,
}

fn mappings(pod: &Value) -> Vec<Mapping> {
    let ports = containers(pod).flat_map(|c| c["ports"].items());
    ports
        .filter_map(|port| {
            let host_port = port["hostPort"]
                .as_i64()
                .filter(|p| (1..65536).contains(p))?;
            let protocol = port["protocol"].as_str().unwrap_or("TCP").to_lowercase();
            let host_ip = match port["hostIP"].str() {
                "0.0.0.0" => "",
                ip => ip,
            };
            Some(Mapping {
                protocol,
                host_ip: host_ip.to_owned(),
                host_port,
                port: port["containerPort"].as_i64()?,
            })
        })
        .collect()
}

/// The chain of one sandbox's mappings (`utils.MustFormatChainNameWithPrefix`).
fn chain(sandbox: &str) -> String {
    let hash = Sha512::digest(format!("cbr0{sandbox}").as_bytes());
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    format!("CNI-DN-{}", &hex[..21])
}

fn run(cluster: &mut Cluster, node: &str, words: &[String]) {
    let Some(netns) = cluster.machines.get(node).map(|m| m.netns) else {
        return;
    };
    let argv: Vec<String> = ["iptables", "-w", "-t", "nat"]
        .map(str::to_owned)
        .into_iter()
        .chain(words.iter().cloned())
        .collect();
    let now = kubarium_linux::Time(cluster.now.0);
    kubarium_linux::tools::run(&mut cluster.net, netns, &argv, now);
}

fn words(text: &str) -> Vec<String> {
    text.split(' ')
        .map(|word| match word {
            "portfwd-mark" => "CNI portfwd masquerade mark".to_owned(),
            "portfwd-masq" => "CNI portfwd requiring masquerade".to_owned(),
            word => word.to_owned(),
        })
        .collect()
}

/// ADD: the pod's host ports lead to it.
pub(crate) fn add(cluster: &mut Cluster, node: &Text, pod: &ObjectKey, uid: &Text, object: &Value) {
    let mappings = mappings(object);
    let Some(sandbox) = cluster
        .sandbox(node, uid)
        .filter(|s| !s.host_network)
        .cloned()
    else {
        return;
    };
    let Some(machine) = cluster.machines.get(node).filter(|_| !mappings.is_empty()) else {
        return;
    };
    let (netns, Some(own)) = (machine.netns, machine.pod_net) else {
        return;
    };
    kube_proxy::bring_up_to_date(cluster, node);
    let has = |cluster: &Cluster| {
        let nat = kubarium_linux::netfilter::TableKind::Nat;
        cluster
            .net
            .namespace(netns)
            .is_some_and(|ns| ns.netfilter.chain(nat, "CNI-HOSTPORT-DNAT").is_some())
    };
    if !has(cluster) {
        for line in SHARED {
            run(cluster, node, &words(line));
        }
    }
    // Its own addresses on the way in and out: connections from the node itself come back.
    let _ = cluster
        .net
        .set_sysctl(netns, "net.ipv4.conf.cbr0.route_localnet", "1");
    let chain = chain(&sandbox.id);
    run(cluster, node, &words(&format!("-N {chain}")));
    for m in &mappings {
        let to = if m.host_ip.is_empty() {
            String::new()
        } else {
            format!(" -d {}", m.host_ip)
        };
        let (protocol, port) = (&m.protocol, m.host_port);
        for source in [own.to_string(), "127.0.0.1".to_owned()] {
            run(
                cluster,
                node,
                &words(&format!(
                    "-A {chain} -s {source}{to} -p {protocol} --dport {port} -j CNI-HOSTPORT-SETMARK"
                )),
            );
        }
        run(
            cluster,
            node,
            &words(&format!(
                "-A {chain}{to} -p {protocol} --dport {port} -j DNAT --to-destination {}:{}",
                sandbox.ip, m.port
            )),
        );
        let mut entry = words(&format!(
            "-A CNI-HOSTPORT-DNAT -p {protocol} -m comment --comment"
        ));
        entry.push(format!("dnat name: \"cbr0\" id: \"{}\"", sandbox.id));
        entry.extend(words(&format!("-m multiport --dports {port} -j {chain}")));
        run(cluster, node, &entry);
    }
    let ports: Vec<String> = mappings
        .iter()
        .map(|m| format!("{} to {}/{}", m.host_port, m.port, m.protocol))
        .collect();
    cluster.log(
        &Component::Cni(node.clone()),
        Action::Cni,
        Some(pod),
        format!("ADD portmap: host port {}", ports.join(", ")),
    );
}

/// DEL: they lead nowhere again.
pub(crate) fn del(cluster: &mut Cluster, node: &Text, uid: &Text) {
    let Some(sandbox) = cluster.sandbox(node, uid).filter(|s| !s.host_network) else {
        return;
    };
    let chain = chain(&sandbox.id);
    let Some(netns) = cluster.machines.get(node).map(|m| m.netns) else {
        return;
    };
    let nat = kubarium_linux::netfilter::TableKind::Nat;
    let exists = cluster
        .net
        .namespace(netns)
        .is_some_and(|ns| ns.netfilter.chain(nat, &chain).is_some());
    if !exists {
        return;
    }
    kube_proxy::bring_up_to_date(cluster, node);
    let entries = |cluster: &Cluster| -> Option<usize> {
        let table = cluster
            .net
            .namespace(netns)?
            .netfilter
            .chain(nat, "CNI-HOSTPORT-DNAT")?;
        let leads = |rule: &kubarium_linux::netfilter::Rule| {
            crate::iptables::jump_target(rule).is_some_and(|t| t.as_str() == chain)
        };
        table.rules.iter().position(leads)
    };
    while let Some(at) = entries(cluster) {
        run(
            cluster,
            node,
            &words(&format!("-D CNI-HOSTPORT-DNAT {}", at + 1)),
        );
        if entries(cluster) == Some(at) {
            break;
        }
    }
    run(cluster, node, &words(&format!("-F {chain}")));
    run(cluster, node, &words(&format!("-X {chain}")));
}
