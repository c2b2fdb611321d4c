//! Connections that a real kernel was seen to make through kube-proxy's rules, made again here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::lab::{Lab, ip};
use kubarium_linux::{Protocol, Route};
use serde_json::Value;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn build(dir: &Path, topology: &Value) -> Lab {
    let mut lab = Lab::new();
    lab.host("gateway", "172.18.0.1", None);
    let gateway = lab.id("gateway");
    let objects = std::fs::read_to_string(dir.join("objects.yaml")).expect("objects");
    for port in objects
        .lines()
        .filter_map(|l| {
            l.trim()
                .strip_prefix("- ")
                .unwrap_or(l.trim())
                .strip_prefix("port: ")?
                .parse()
                .ok()
        })
        .filter(|p: &u16| (23000..24000).contains(p))
        .collect::<BTreeSet<_>>()
    {
        lab.serve(gateway, "gateway", port);
    }
    let outside = &topology["outside"];
    let (id, eth0) = lab.host("outside", text(outside, "ip"), Some("172.18.0.1"));
    for route in list(outside, "routes") {
        lab.route(
            id,
            Route::via(
                text(route, "to").parse().expect("net"),
                ip(text(route, "via")),
                eth0,
            ),
        );
    }
    for server in list(outside, "servers") {
        for port in list(server, "ports") {
            lab.serve(
                id,
                text(server, "name"),
                port.as_u64().expect("port") as u16,
            );
        }
    }
    let nodes = list(topology, "nodes");
    let number = |node: &Value| {
        text(node, "podCIDR")
            .split('.')
            .nth(2)
            .and_then(|n| n.parse::<u8>().ok())
            .expect("a pod CIDR")
    };
    for node in nodes {
        let name = text(node, "name");
        let id = lab.node(
            name,
            text(node, "ip"),
            number(node),
            node["bridge"]["mtu"].as_u64().expect("mtu") as u32,
        );
        for (key, value) in node["sysctls"].as_object().expect("sysctls") {
            lab.net
                .set_sysctl(id, key, &value.to_string())
                .unwrap_or_else(|e| panic!("{key}: {e}"));
        }
        for peer in nodes.iter().filter(|p| text(p, "name") != name) {
            lab.peer(name, number(peer), text(peer, "ip"));
        }
        for server in list(node, "servers") {
            for port in list(server, "ports") {
                lab.serve(
                    id,
                    text(server, "name"),
                    port.as_u64().expect("port") as u16,
                );
            }
        }
        let rules =
            std::fs::read_to_string(dir.join(format!("{name}.iptables-save.txt"))).expect("rules");
        lab.restore(name, &rules, false);
    }
    for pod in list(topology, "pods") {
        let node = nodes
            .iter()
            .find(|n| n["name"] == pod["node"])
            .expect("its node");
        let hairpin = node["bridge"]["hairpin"].as_bool().unwrap_or(true);
        let name = text(pod, "name");
        let id = lab.pod(
            name,
            text(pod, "node"),
            text(pod, "ip"),
            pod["mtu"].as_u64().expect("mtu") as u32,
            hairpin,
        );
        for port in list(pod, "ports") {
            lab.serve(id, name, port.as_u64().expect("port") as u16);
        }
    }
    for node in nodes {
        for command in list(node, "commands")
            .iter()
            .filter_map(Value::as_str)
            .filter(|c| c.starts_with("ip ") || c.starts_with("bridge "))
        {
            let printed = lab.run(text(node, "name"), command);
            assert_eq!(printed, "", "{command}");
        }
    }
    lab
}

/// What a scorer compares: verdict, and server and source where there are any.
fn observed(flow: &Value) -> BTreeSet<String> {
    let one = |o: &Value| match text(o, "verdict") {
        verdict @ ("connected" | "stalled") => {
            format!("{verdict} {} {}", text(o, "server"), text(o, "source"))
        }
        verdict => verdict.to_owned(),
    };
    list(flow, "observed").iter().map(one).collect()
}

#[test]
fn flows_end_as_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/oracle/kube-proxy-random/flows");
    let Ok(entries) = std::fs::read_dir(&root) else {
        println!("skipped: no recordings at {}", root.display());
        return;
    };
    let mut dirs: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    dirs.sort();
    let (mut right, mut all) = (0, 0);
    for dir in dirs {
        let topology = std::fs::read_to_string(dir.join("topology.yaml")).expect("topology");
        let topology: Value = serde_yaml::from_str(&topology).expect("YAML");
        if topology["mode"] != "iptables" {
            continue;
        }
        let lab = build(&dir, &topology);
        let flows = std::fs::read_to_string(dir.join("flows.jsonl")).expect("flows");
        for flow in flows.lines() {
            let flow: Value = serde_json::from_str(flow).expect("JSON");
            if !flow["suspect"].is_null() {
                continue;
            }
            let from = text(&flow, "from").rsplit('/').next().expect("a client");
            let protocol = if flow["protocol"] == "UDP" {
                Protocol::UDP
            } else {
                Protocol::TCP
            };
            let mut request = lab.request(from, text(&flow, "to"), protocol);
            if let Some(bytes) = flow["bytes"].as_u64() {
                request.request = bytes as u32;
            }
            let mut got: BTreeMap<String, f64> = BTreeMap::new();
            for fate in lab.net.fates(&request, lab.now) {
                *got.entry(lab.outcome(&fate.connection)).or_default() += fate.probability;
            }
            let seen = observed(&flow);
            let any = |verdict: &str| seen.iter().any(|s| s.starts_with(&format!("{verdict} ?")));
            let missing = seen
                .iter()
                .filter(|s| !got.contains_key(*s) && !s.contains(" ?"))
                .count();
            // What is rare, or was tried too seldom, need not have been seen.
            let tries = flow["repeats"].as_f64().unwrap_or(1.0);
            let likely = |p: f64| (1.0 - p).powf(tries) < 0.01;
            let contradicted = got
                .iter()
                .filter(|(g, p)| {
                    !seen.contains(*g)
                        && likely(**p)
                        && !any(g.split(' ').next().unwrap_or_default())
                })
                .count();
            all += 1;
            if missing == 0 && contradicted == 0 {
                right += 1;
            } else {
                println!(
                    "{}/{} {} -> {} {} ({}):\n  seen {seen:?}\n  got  {got:?}",
                    dir.file_name().unwrap_or_default().to_string_lossy(),
                    flow["id"],
                    flow["from"],
                    flow["to"],
                    flow["protocol"],
                    flow["what"]
                );
            }
        }
    }
    println!("{right} of {all} flows as recorded");
    assert!(all > 0 && right * 100 >= all * 99, "{right} of {all}");
}
