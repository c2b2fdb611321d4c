//! `kubarium kube-proxy`: the rules that kube-proxy makes of objects on one node.

use std::collections::BTreeMap;

use ipnet::IpNet;
use kubarium_cluster::Time;
use kubarium_cluster::kube_proxy::{
    Config, Family, Memory, Mode, NftChainsCache, NftSync, NodeInfo, ServiceChainsCache, State,
    Sync, TABLE, ensure_canary, parse_cidr, parse_ip,
};
use kubarium_linux::netfilter::{Netfilter, nft, restore};
use kubarium_objects::{Value, yaml};

/// What `kubarium kube-proxy --help` says.
pub const USAGE: &str = "\
Usage: kubarium kube-proxy --node NODE [--mode iptables|nftables|ipvs] [kube-proxy's own flags] < objects.yaml

Prints what iptables-save (nftables mode: nft list table ip kube-proxy) prints on that node after one full sync of the Services,
EndpointSlices and Nodes in objects.yaml. A KubeProxyConfiguration among them counts like
kube-proxy's own configuration file; flags have the last word. The node's interface
addresses are those of loopback, the node and the first of each pod CIDR, unless a ConfigMap
kube-system/proxy-case-environment lists them in the key interfaces.json
({\"eth0\": [\"172.18.0.3/24\"]}). The Services' networks are those of ServiceCIDR objects, else
10.43.0.0/16.
";

/// Runs the command on its arguments and its standard input, which is read only if needed.
///
/// # Errors
/// The message for standard error; the exit status is then 1.
pub fn run(
    args: &[String],
    input: impl FnOnce() -> Result<String, String>,
) -> Result<String, String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(USAGE.to_owned());
    }
    let (own, flags) = own_options(args)?;
    let node_name = own
        .node
        .ok_or_else(|| format!("--node is missing\n\n{USAGE}"))?;
    let objects = objects(&input()?)?;
    let mut config = Config::default();
    let of_kind = |kind: &'static str| objects.iter().filter(move |o| o["kind"].str() == kind);
    for file in of_kind("KubeProxyConfiguration") {
        config.apply_object(file)?;
    }
    config.apply_flags(flags)?;
    if let Some(mode) = own.mode {
        config.apply_flags([&*format!("--proxy-mode={mode}")])?;
    }
    if config.mode == Mode::Ipvs {
        return Err("--mode ipvs: not simulated yet".to_owned());
    }
    let node = of_kind("Node").find(|node| node.at(&["metadata", "name"]).str() == node_name);
    let Some(node) = node else {
        return Err(format!(
            "no Node {node_name:?} among the objects: add it, or name another with --node"
        ));
    };
    let mut node = NodeInfo::from_object(node);
    if let Some(interfaces) = interfaces(&objects)? {
        node.interface_addresses = interfaces;
    }
    let state = State::from_objects(Family::Ipv4, objects.iter());
    let mut tables = Netfilter::default();
    if config.mode == Mode::Nftables {
        config.service_cidrs = service_cidrs(&objects);
        return nftables(&config, &node, &state, &mut tables);
    }
    ensure_canary(&mut tables);
    let mut sync = Sync {
        config: &config,
        node: &node,
        state: &state,
        cache: &mut ServiceChainsCache::default(),
        remove_stale: true,
    };
    sync.full(&mut tables).map_err(|error| error.to_string())?;
    Ok(restore::save(&tables, None, false, ""))
}

/// The table of the nftables mode, as `nft list` prints it.
fn nftables(
    config: &Config,
    node: &NodeInfo,
    state: &State,
    tables: &mut Netfilter,
) -> Result<String, String> {
    let mut sync = NftSync {
        config,
        node,
        state,
        cache: &mut NftChainsCache::default(),
        memory: &mut Memory::default(),
        at: Time(0),
    };
    sync.full(tables).map_err(|error| error.to_string())?;
    let words = ["list", "table", "ip", TABLE].map(str::to_owned);
    let output = nft::run(tables, &[], &words, "", kubarium_linux::Time::ZERO);
    if output.status == 0 {
        Ok(output.stdout)
    } else {
        Err(output.stderr)
    }
}

/// The Services' networks: those of the ServiceCIDR objects, else this project's own default.
fn service_cidrs(objects: &[Value]) -> Vec<IpNet> {
    let objects = objects.iter().filter(|o| o["kind"].str() == "ServiceCIDR");
    let named: Vec<IpNet> = objects
        .flat_map(|object| object["spec"]["cidrs"].items())
        .filter_map(|cidr| parse_cidr(cidr.str()))
        .collect();
    if named.is_empty() {
        let network = kubarium_cluster::config::Config::default().network;
        return vec![network.service_cidr.into()];
    }
    named
}

/// The options that are not kube-proxy's own.
#[derive(Default)]
struct OwnOptions<'a> {
    node: Option<&'a str>,
    mode: Option<&'a str>,
}

/// Takes `--node` and `--mode` out; the rest are kube-proxy's own flags.
fn own_options(args: &[String]) -> Result<(OwnOptions<'_>, Vec<&str>), String> {
    let mut own = OwnOptions::default();
    let mut rest = Vec::new();
    let mut args = args.iter().map(String::as_str);
    while let Some(word) = args.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let option = match name {
            "--node" => &mut own.node,
            "--mode" => &mut own.mode,
            _ => {
                rest.push(word);
                continue;
            }
        };
        let value = value.or_else(|| args.next());
        *option = Some(value.ok_or_else(|| format!("flag needs an argument: {name}"))?);
    }
    Ok((own, rest))
}

/// The objects of a text, lists unpacked, namespaced ones without a namespace in `default`.
pub(crate) fn objects(input: &str) -> Result<Vec<Value>, String> {
    let documents = yaml::parse(input).map_err(|error| format!("objects: {error}"))?;
    let mut objects = Vec::new();
    for document in documents {
        let value = document.value;
        if value["kind"].str().ends_with("List") && value.get("items").is_some() {
            objects.extend_from_slice(value["items"].items());
        } else {
            objects.push(value);
        }
    }
    for object in &mut objects {
        let namespaced = matches!(object["kind"].str(), "Service" | "EndpointSlice");
        if namespaced && object.at(&["metadata", "namespace"]).is_empty() {
            object.set(&["metadata", "namespace"], "default");
        }
    }
    Ok(objects)
}

/// The interface addresses that the environment's ConfigMap lists, if there is one.
fn interfaces(objects: &[Value]) -> Result<Option<Vec<std::net::IpAddr>>, String> {
    let is_environment = |object: &&Value| {
        object["kind"].str() == "ConfigMap"
            && object.at(&["metadata", "name"]).str() == "proxy-case-environment"
    };
    let Some(environment) = objects.iter().find(is_environment) else {
        return Ok(None);
    };
    let Some(text) = environment["data"].get("interfaces.json") else {
        return Ok(None);
    };
    let listed: BTreeMap<String, Vec<String>> = serde_json::from_str(text.str())
        .map_err(|error| format!("ConfigMap data[interfaces.json]: {error}"))?;
    let addresses = listed.values().flatten();
    Ok(Some(
        addresses
            .filter_map(|address| parse_ip(address.split('/').next()?))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTS: &str = "
kind: List
items:
- kind: Node
  metadata: {name: worker-1}
  status: {addresses: [{type: InternalIP, address: 172.18.0.3}]}
- kind: Service
  metadata: {name: web}
  spec: {clusterIP: 10.43.0.9, ports: [{port: 80}]}
";

    fn run_line(line: &str, input: &str) -> Result<String, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        run(&args, || Ok(input.to_owned()))
    }

    fn prints(line: &str, want: &str) {
        let text = run_line(line, OBJECTS).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(text.contains(want), "{text}");
    }

    fn refused(line: &str, input: &str, want: &str) {
        let error = run_line(line, input).expect_err(line);
        assert!(error.contains(want), "{error}");
    }

    #[test]
    fn rules_are_printed() {
        prints("--help", "Usage: kubarium kube-proxy");
        prints("--node worker-1", "default/web has no endpoints");
        prints(
            "--node=worker-1 --mode iptables --iptables-masquerade-bit=0",
            "0x1/0x1",
        );
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        refused("", OBJECTS, "--node is missing");
        refused("--node", OBJECTS, "flag needs an argument: --node");
        refused("--node worker-9", OBJECTS, "no Node \"worker-9\"");
        refused("--node worker-1 --mode ipvs", OBJECTS, "not simulated yet");
        refused("--node worker-1 --frobnicate", OBJECTS, "unknown flag");
        refused("--node worker-1", "a: [", "line");
    }
}
