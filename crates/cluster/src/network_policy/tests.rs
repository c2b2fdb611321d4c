//! Truth tables of policies: who reaches whom among nine pods of three namespaces, after the cases
//! of Kubernetes' own tests of NetworkPolicy (`test/e2e/network/netpol`).

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use kubarium_linux::netfilter::restore;
use kubarium_linux::{Protocol, Verdict};
use kubarium_objects::yaml;

use super::Reach;
use crate::api::DeleteOptions;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::event::Component;
use crate::trace::TraceRequest;

const NAMESPACES: [&str; 3] = ["x", "u", "z"];
const PODS: [&str; 3] = ["a", "b", "c"];

fn create(cluster: &mut Cluster, text: &str) {
    for document in yaml::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")) {
        let made = cluster.create(&Component::Person, document.value);
        made.unwrap_or_else(|e| panic!("{text}: {e:?}"));
    }
}

/// Three namespaces with three pods each, on two nodes, and nothing that forbids anything.
fn cluster() -> Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let make = || {
        let config = "
apiVersion: kubarium/v1alpha1
kind: Cluster
nodes: [{name: w1}, {name: w2}]
dns: false
network: {policy: kube-router}
";
        let mut cluster = Cluster::new(Config::parse(config).expect("a configuration"));
        for namespace in NAMESPACES {
            create(
                &mut cluster,
                &format!(
                    "{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {{ns: {namespace}}}}}}}"
                ),
            );
        }
        cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
        for namespace in NAMESPACES {
            for pod in PODS {
                create(
                    &mut cluster,
                    &format!(
                        "
apiVersion: v1
kind: Pod
metadata: {{name: {pod}, namespace: {namespace}, labels: {{pod: {pod}}}}}
spec:
  containers:
  - name: serve
    image: example.org/team/serve:1
    args: [serve]
    ports:
    - {{name: serve-80-tcp, containerPort: 80}}
    - {{name: serve-81-tcp, containerPort: 81}}
    - {{name: serve-80-udp, containerPort: 80, protocol: UDP}}
"
                    ),
                );
            }
        }
        cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
        cluster
    };
    CLUSTER.get_or_init(make).clone()
}

/// Addresses of the pods, as `x/a`.
fn addresses(cluster: &Cluster) -> BTreeMap<String, String> {
    let ours = |namespace: &str| NAMESPACES.contains(&namespace);
    let pods = cluster.etcd.list("pods", None);
    pods.filter(|(key, _)| ours(&key.namespace))
        .map(|(key, pod)| {
            let name = format!("{}/{}", key.namespace, key.name);
            (name, pod["status"]["podIP"].str().to_owned())
        })
        .collect()
}

/// A policy in a namespace, as the inside of its spec; `<x/a>` is a pod's address.
fn policy(cluster: &mut Cluster, namespace: &str, name: &str, spec: &str) {
    let mut spec = spec.to_owned();
    for (pod, ip) in addresses(cluster) {
        spec = spec.replace(&format!("<{pod}>"), &ip);
    }
    create(
        cluster,
        &format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{{spec}}}}}"
        ),
    );
}

fn is(pattern: &str, pod: &str) -> bool {
    pattern == "*" || pattern == pod || pod.split('/').next() == Some(pattern)
}

/// `x`, `x/a` or `*`, each way: `-` forbids, `+` allows, the last word counts; a pod always reaches itself.
fn expected(rules: &str, from: &str, to: &str) -> bool {
    let mut allowed = true;
    for rule in rules.split(',').map(str::trim).filter(|r| !r.is_empty()) {
        let (sign, rest) = rule.split_at(1);
        let (client, server) = rest.split_once('>').expect("CLIENT>SERVER");
        if is(client, from) && is(server, to) {
            allowed = sign == "+";
        }
    }
    allowed || from == to
}

fn compare(table: &Reach, rules: &str, about: &str) {
    let mut wrong = Vec::new();
    let ours = |name: &str| NAMESPACES.iter().any(|ns| is(ns, name));
    for (from, row) in table.pods.iter().zip(&table.verdicts) {
        for (to, verdict) in table.pods.iter().zip(row) {
            if !ours(from) || !ours(to) {
                continue;
            }
            let want = if expected(rules, from, to) {
                Verdict::Connected
            } else {
                Verdict::Refused
            };
            if *verdict != want {
                wrong.push(format!("{from} -> {to}: {verdict:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{about}: {wrong:#?}");
}

/// The policies (namespace and spec), what is tried, and who reaches whom then.
fn table(policies: &[(&str, &str)], tried: &[(&str, &str)]) {
    let mut cluster = cluster();
    for (n, (namespace, spec)) in policies.iter().enumerate() {
        policy(&mut cluster, namespace, &format!("p{n}"), spec);
    }
    for (port, rules) in tried {
        let (protocol, number) = port.split_once(' ').expect("PROTOCOL PORT");
        let protocol = Protocol::parse(protocol).expect("a protocol");
        let reach = cluster.reach(None, protocol, number.parse().expect("a port"));
        compare(
            &reach.expect("few pods"),
            rules,
            &format!("{policies:?} {port}"),
        );
    }
}

#[test]
fn without_policies_all_reach_all() {
    table(&[], &[("tcp 80", ""), ("tcp 81", ""), ("udp 80", "")]);
}

#[test]
fn whole_namespaces() {
    let all = "podSelector: {}";
    for (spec, want) in [
        ("policyTypes: [Ingress]", "-*>x"),
        ("policyTypes: [Egress]", "-x>*"),
        ("policyTypes: [Ingress, Egress]", "-*>x, -x>*"),
        ("policyTypes: [Ingress], ingress: [{}]", ""),
        ("policyTypes: [Egress], egress: [{}]", ""),
        ("ingress: [{from: [{podSelector: {}}]}]", "-*>x, +x>x"),
        ("ingress: [{from: [{namespaceSelector: {}}]}]", ""),
        (
            "ingress: [{from: [{namespaceSelector: {matchLabels: {ns: u}}}]}]",
            "-*>x, +u>x",
        ),
        (
            "ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [x, u]}]}}]}]",
            "-*>x, +z>x",
        ),
        (
            "policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]",
            "-x>*, +x>x",
        ),
    ] {
        let spec = format!("{all}, {spec}");
        table(&[("x", &spec)], &[("tcp 80", want), ("udp 80", want)]);
    }
}

#[test]
fn selectors_of_pods() {
    let a = "podSelector: {matchLabels: {pod: a}}";
    for (spec, want) in [
        (
            "ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]",
            "-*>x/a, +x/b>x/a",
        ),
        (
            "ingress: [{from: [{podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, c]}]}}]}]",
            "-*>x/a, +x/b>x/a, +x/c>x/a",
        ),
        (
            "ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}, {namespaceSelector: {matchLabels: {ns: u}}}]}]",
            "-*>x/a, +x/b>x/a, +u>x/a",
        ),
        (
            "ingress: [{from: [{podSelector: {matchLabels: {pod: b}}, namespaceSelector: {matchLabels: {ns: u}}}]}]",
            "-*>x/a, +u/b>x/a",
        ),
        (
            "ingress: [{from: [{podSelector: {matchExpressions: [{key: pod, operator: NotIn, values: [a]}]}, namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [x]}]}}]}]",
            "-*>x/a, +u/b>x/a, +u/c>x/a, +z/b>x/a, +z/c>x/a",
        ),
        (
            "ingress: [{from: [{podSelector: {matchExpressions: [{key: pod, operator: Exists}]}, namespaceSelector: {matchLabels: {nobody: 'no'}}}]}]",
            "-*>x/a",
        ),
        (
            "ingress: [{from: [{namespaceSelector: {matchLabels: {ns: u}}}]}, {from: [{namespaceSelector: {matchLabels: {ns: z}}}]}]",
            "-*>x/a, +u>x/a, +z>x/a",
        ),
        (
            "policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {pod: b}}, namespaceSelector: {}}]}]",
            "-x/a>*, +x/a>x/b, +x/a>u/b, +x/a>z/b",
        ),
        (
            "policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}], egress: [{to: [{podSelector: {matchLabels: {pod: c}}}]}]",
            "-*>x/a, -x/a>*, +x/b>x/a, +x/a>x/c",
        ),
    ] {
        let spec = format!("{a}, {spec}");
        table(&[("x", &spec)], &[("tcp 80", want), ("udp 80", want)]);
    }
}

#[test]
fn ports_and_protocols() {
    let a = "podSelector: {matchLabels: {pod: a}}";
    for (spec, tcp80, tcp81, udp80) in [
        ("ingress: [{ports: [{port: 81}]}]", "-*>x/a", "", "-*>x/a"),
        (
            "ingress: [{ports: [{port: 80}, {port: 81}]}]",
            "",
            "",
            "-*>x/a",
        ),
        (
            "ingress: [{ports: [{port: 79, endPort: 80}]}]",
            "",
            "-*>x/a",
            "-*>x/a",
        ),
        (
            "ingress: [{ports: [{port: 80, endPort: 90, protocol: UDP}]}]",
            "-*>x/a",
            "-*>x/a",
            "",
        ),
        (
            "ingress: [{ports: [{protocol: UDP}]}]",
            "-*>x/a",
            "-*>x/a",
            "",
        ),
        (
            "ingress: [{ports: [{port: 80, protocol: SCTP}]}]",
            "-*>x/a",
            "-*>x/a",
            "-*>x/a",
        ),
        (
            "ingress: [{ports: [{port: serve-81-tcp}]}]",
            "-*>x/a",
            "",
            "-*>x/a",
        ),
        (
            "ingress: [{ports: [{port: serve-80-udp, protocol: UDP}]}]",
            "-*>x/a",
            "-*>x/a",
            "",
        ),
        (
            "ingress: [{ports: [{port: serve-80-udp}]}]",
            "-*>x/a",
            "-*>x/a",
            "-*>x/a",
        ),
        (
            "ingress: [{ports: [{port: no-such-port}]}]",
            "-*>x/a",
            "-*>x/a",
            "-*>x/a",
        ),
        (
            "ingress: [{from: [{namespaceSelector: {matchLabels: {ns: u}}}], ports: [{port: 80}]}]",
            "-*>x/a, +u>x/a",
            "-*>x/a",
            "-*>x/a",
        ),
        (
            "ingress: [{from: [{namespaceSelector: {matchLabels: {ns: u}}}], ports: [{port: serve-80-tcp}]}, {ports: [{port: 81}]}]",
            "-*>x/a, +u>x/a",
            "",
            "-*>x/a",
        ),
        (
            "policyTypes: [Egress], egress: [{ports: [{port: 80}]}]",
            "",
            "-x/a>*",
            "-x/a>*",
        ),
        (
            "policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]",
            "",
            "-x/a>*",
            "-x/a>*",
        ),
        (
            "policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: u}}}], ports: [{port: serve-81-tcp}]}]",
            "-x/a>*",
            "-x/a>*, +x/a>u",
            "-x/a>*",
        ),
    ] {
        let spec = format!("{a}, {spec}");
        let tried = [("tcp 80", tcp80), ("tcp 81", tcp81), ("udp 80", udp80)];
        table(&[("x", &spec)], &tried);
    }
}

#[test]
fn blocks_of_addresses() {
    let a = "podSelector: {matchLabels: {pod: a}}";
    for (spec, want) in [
        (
            "ingress: [{from: [{ipBlock: {cidr: <u/b>/32}}]}]",
            "-*>x/a, +u/b>x/a",
        ),
        ("ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", ""),
        (
            "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [<u/b>/32]}}]}]",
            "-u/b>x/a",
        ),
        (
            "ingress: [{from: [{ipBlock: {cidr: 10.42.0.0/16, except: [<u/b>/32, <z/c>/32]}}]}]",
            "-u/b>x/a, -z/c>x/a",
        ),
        (
            "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: <u/b>/32}}]}]",
            "-x/a>*, +x/a>u/b",
        ),
        (
            "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.42.0.0/16, except: [<u/b>/32]}}]}]",
            "-x/a>u/b",
        ),
        (
            "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.42.0.0/16, except: [<u/b>/32]}}]}, {to: [{ipBlock: {cidr: <u/b>/32}}]}]",
            "",
        ),
    ] {
        let spec = format!("{a}, {spec}");
        table(&[("x", &spec)], &[("tcp 80", want)]);
    }
}

#[test]
fn policies_add_up() {
    let deny = "podSelector: {}, policyTypes: [Ingress, Egress]";
    let allow = "podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]";
    table(&[("x", deny), ("x", allow)], &[("tcp 80", "")]);
    let from_y = "podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: u}}}], ports: [{port: 80}]}]";
    let from_z = "podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: z}}}], ports: [{port: 81}]}]";
    table(
        &[("x", from_y), ("x", from_z)],
        &[("tcp 80", "-*>x/a, +u>x/a"), ("tcp 81", "-*>x/a, +z>x/a")],
    );
    // Both ends must allow it.
    let out_of_y = "podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: x}}}]}]";
    table(
        &[("x", from_y), ("u", out_of_y)],
        &[
            ("tcp 80", "-*>x/a, +u>x/a, -u/a>*, +u/a>x"),
            ("tcp 81", "-*>x/a, -u/a>*, +u/a>x/b, +u/a>x/c"),
        ],
    );
}

#[test]
fn changes_are_followed() {
    let mut cluster = cluster();
    policy(
        &mut cluster,
        "x",
        "deny",
        "podSelector: {}, policyTypes: [Ingress]",
    );
    let reach = cluster.reach(None, Protocol::TCP, 80);
    compare(&reach.expect("few pods"), "-*>x", "denied");
    let from = TraceRequest {
        from: "pod/b.u".to_owned(),
        to: format!("{}:80", addresses(&cluster)["x/a"]),
        udp: false,
    };
    let trace = cluster.trace(&from).expect("a trace");
    assert!(
        trace
            .reason
            .contains("no NetworkPolicy lets it in to pod x/a")
            && trace.reason.contains("x/deny"),
        "{}",
        trace.reason
    );
    policy(
        &mut cluster,
        "x",
        "allow",
        "podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {role: client}}, namespaceSelector: {}}]}]",
    );
    let key = kubarium_objects::ObjectKey::new("pods", "u", "b");
    let mut labels = cluster.etcd.get(&key).expect("the pod").clone();
    labels.set(&["metadata", "labels", "role"], "client");
    cluster
        .update(&Component::Person, labels)
        .expect("labelled");
    let reach = cluster.reach(None, Protocol::TCP, 80);
    compare(&reach.expect("few pods"), "-*>x, +u/b>x/a", "labelled");
}

#[test]
fn the_rules_are_kube_routers() {
    let mut cluster = cluster();
    policy(
        &mut cluster,
        "x",
        "web",
        "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]",
    );
    crate::kube_proxy::bring_all_up_to_date(&mut cluster);
    let netns = cluster.machines["w1"].netns;
    let namespace = cluster.net.namespace(netns).expect("a node");
    let saved = restore::save(&namespace.netfilter, None, false, "");
    for want in [
        "-A INPUT -m comment --comment \"kube-router netpol - ",
        "-A KUBE-ROUTER-INPUT -d 10.43.0.0/16 -m comment --comment \"allow traffic to primary/secondary cluster IP range - ",
        "-A KUBE-ROUTER-FORWARD -m comment --comment \"rule to explicitly ACCEPT traffic that comply to network policies\" -m mark --mark 0x20000/0x20000 -j ACCEPT",
        "-A KUBE-NWPLCY-COMMON -m comment --comment \"rule for stateful firewall for pod\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A KUBE-NWPLCY-DEFAULT -m comment --comment \"rule to mark traffic matching a network policy\" -j MARK --set-xmark 0x10000/0x10000",
        "--comment \"rule to ACCEPT traffic from specified ipBlocks to dest pods selected by policy name: web namespace x\" -m set --match-set KUBE-SRC-",
        "-m tcp --dport 80:90 -j MARK --set-xmark 0x10000/0x10000",
        "-m mark ! --mark 0x10000/0x10000 -j REJECT --reject-with icmp-port-unreachable",
    ] {
        assert!(saved.contains(want), "{want} is missing in\n{saved}");
    }
    let nomatch = namespace.netfilter.sets().flat_map(|(_, set)| set.iter());
    assert_eq!(nomatch.filter(|entry| entry.nomatch).count(), 1);
    // Nothing of it stays when the policy is gone, but for the chains of pods.
    let key = kubarium_objects::ObjectKey::new("networkpolicies.networking.k8s.io", "x", "web");
    cluster
        .delete(&Component::Person, &key, &DeleteOptions::default())
        .expect("deleted");
    crate::kube_proxy::bring_all_up_to_date(&mut cluster);
    let namespace = cluster.net.namespace(netns).expect("a node");
    let saved = restore::save(&namespace.netfilter, None, false, "");
    assert!(!saved.contains("policy name: web"), "{saved}");
    assert_eq!(namespace.netfilter.sets().count(), 0);
}

#[test]
fn without_an_engine_policies_do_nothing() {
    let config = Config::parse(
        "apiVersion: kubarium/v1alpha1\nkind: Cluster\nnodes: [{name: w1}]\ndns: false\n",
    );
    let mut cluster = Cluster::new(config.expect("a configuration"));
    policy(
        &mut cluster,
        "default",
        "deny",
        "podSelector: {}, policyTypes: [Ingress]",
    );
    crate::kube_proxy::bring_all_up_to_date(&mut cluster);
    let netns = cluster.machines["w1"].netns;
    let saved = restore::save(
        &cluster.net.namespace(netns).expect("a node").netfilter,
        None,
        false,
        "",
    );
    assert!(!saved.contains("KUBE-ROUTER"), "{saved}");
}
