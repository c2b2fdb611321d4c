//! Services, endpoints, ingresses, network policies.

use kubarium_objects::{ObjectMeta, Value};

use super::{annotations, events, head, labels, marks, or_none};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::{self, host_port, number, scalar};
use crate::kubectl::table::Lines;

fn slices(k: &Kubectl, namespace: &str, service: &str) -> Vec<Value> {
    let all = k
        .cluster()
        .etcd
        .list("endpointslices.discovery.k8s.io", Some(namespace))
        .map(|(_, s)| s);
    all.filter(|s| s.label("kubernetes.io/service-name") == Some(service))
        .cloned()
        .collect()
}

/// The ready addresses of a Service's port, three at the most (`formatEndpointSlices`).
fn endpoints_of(slices: &[Value], port: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let mut all: Vec<String> = Vec::new();
    for slice in slices {
        let ready = |e: &&Value| e["conditions"]["ready"].as_bool() != Some(false);
        let addresses = || {
            slice["endpoints"]
                .items()
                .iter()
                .filter(ready)
                .map(|e| e["addresses"][0].str())
        };
        if slice["ports"].items().is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for p in slice["ports"]
            .items()
            .iter()
            .filter(|p| p["name"].str() == port)
        {
            all.extend(addresses().map(|a| host_port(a, &number(&p["port"]).to_string())));
        }
    }
    some_of(&all)
}

fn some_of(all: &[String]) -> String {
    let shown = all[..all.len().min(3)].join(",");
    if all.len() > 3 {
        format!("{shown} + {} more...", all.len() - 3)
    } else {
        shown
    }
}

pub(super) fn service(k: &Kubectl, o: &Value, w: &mut Lines) {
    let spec = &o["spec"];
    head(w, o);
    labels(w, "", "Labels", o.labels());
    annotations(w, "Annotations", o.annotations());
    w.line(
        0,
        format!("Selector:\t{}", printers::labels(&spec["selector"])),
    );
    w.line(0, format!("Type:\t{}", spec["type"].str()));
    if !spec["ipFamilyPolicy"].is_null() {
        w.line(
            0,
            format!("IP Family Policy:\t{}", spec["ipFamilyPolicy"].str()),
        );
    }
    let list = |field: &str| -> String {
        let items: Vec<&str> = spec[field].items().iter().map(Value::str).collect();
        items.join(",")
    };
    w.line(0, format!("IP Families:\t{}", or_none(&list("ipFamilies"))));
    w.line(0, format!("IP:\t{}", spec["clusterIP"].str()));
    w.line(0, format!("IPs:\t{}", or_none(&list("clusterIPs"))));
    if !spec["externalIPs"].items().is_empty() {
        w.line(0, format!("External IPs:\t{}", list("externalIPs")));
    }
    if !spec["loadBalancerIP"].is_empty() {
        w.line(
            0,
            format!("Desired LoadBalancer IP:\t{}", spec["loadBalancerIP"].str()),
        );
    }
    let ingress = o["status"]["loadBalancer"]["ingress"].items();
    if !ingress.is_empty() {
        let shown: Vec<String> = ingress
            .iter()
            .map(|i| {
                let address = if i["ip"].is_empty() {
                    i["hostname"].str()
                } else {
                    i["ip"].str()
                };
                if i["ipMode"].is_empty() {
                    address.to_owned()
                } else {
                    format!("{address} ({})", i["ipMode"].str())
                }
            })
            .collect();
        w.line(0, format!("LoadBalancer Ingress:\t{}", shown.join(", ")));
    }
    if !spec["externalName"].is_empty() {
        w.line(0, format!("External Name:\t{}", spec["externalName"].str()));
    }
    let slices = slices(k, o.namespace(), o.name());
    for port in spec["ports"].items() {
        let name = if port["name"].is_empty() {
            "<unset>"
        } else {
            port["name"].str()
        };
        let protocol = port["protocol"].str();
        w.line(
            0,
            format!("Port:\t{name}\t{}/{protocol}", number(&port["port"])),
        );
        w.line(
            0,
            format!("TargetPort:\t{}/{protocol}", scalar(&port["targetPort"])),
        );
        if !port["appProtocol"].is_null() {
            w.line(0, format!("AppProtocol:\t{}", port["appProtocol"].str()));
        }
        if number(&port["nodePort"]) != 0 {
            w.line(
                0,
                format!(
                    "NodePort:\t{name}\t{}/{protocol}",
                    number(&port["nodePort"])
                ),
            );
        }
        w.line(
            0,
            format!("Endpoints:\t{}", endpoints_of(&slices, port["name"].str())),
        );
    }
    w.line(
        0,
        format!("Session Affinity:\t{}", spec["sessionAffinity"].str()),
    );
    for (field, title) in [
        ("externalTrafficPolicy", "External Traffic Policy"),
        ("internalTrafficPolicy", "Internal Traffic Policy"),
    ] {
        if !spec[field].is_empty() {
            w.line(0, format!("{title}:\t{}", spec[field].str()));
        }
    }
    if !spec["trafficDistribution"].is_empty() {
        w.line(
            0,
            format!(
                "Traffic Distribution:\t{}",
                spec["trafficDistribution"].str()
            ),
        );
    }
    if number(&spec["healthCheckNodePort"]) != 0 {
        w.line(
            0,
            format!(
                "HealthCheck NodePort:\t{}",
                number(&spec["healthCheckNodePort"])
            ),
        );
    }
    if !spec["loadBalancerSourceRanges"].items().is_empty() {
        w.line(
            0,
            format!(
                "LoadBalancer Source Ranges:\t{}",
                list("loadBalancerSourceRanges")
            ),
        );
    }
    events(k, o, w);
}

pub(super) fn endpoints(k: &Kubectl, o: &Value, w: &mut Lines) {
    head(w, o);
    marks(w, o);
    w.line(0, "Subsets:");
    for subset in o["subsets"].items() {
        let list = |field: &str| -> String {
            let all: Vec<&str> = subset[field]
                .items()
                .iter()
                .map(|a| a["ip"].str())
                .collect();
            all.join(",")
        };
        w.line(0, format!("  Addresses:\t{}", or_none(&list("addresses"))));
        w.line(
            0,
            format!(
                "  NotReadyAddresses:\t{}",
                or_none(&list("notReadyAddresses"))
            ),
        );
        if !subset["ports"].items().is_empty() {
            w.line(
                0,
                "  Ports:\n    Name\tPort\tProtocol\n    ----\t----\t--------",
            );
        }
        for port in subset["ports"].items() {
            let name = if port["name"].is_empty() {
                "<unset>"
            } else {
                port["name"].str()
            };
            w.line(
                0,
                format!(
                    "    {name}\t{}\t{}",
                    number(&port["port"]),
                    port["protocol"].str()
                ),
            );
        }
        w.line(0, "");
    }
    events(k, o, w);
}

pub(super) fn endpoint_slice(k: &Kubectl, o: &Value, w: &mut Lines) {
    head(w, o);
    marks(w, o);
    w.line(0, format!("AddressType:\t{}", o["addressType"].str()));
    if o["ports"].items().is_empty() {
        w.line(0, "Ports: <unset>");
    } else {
        w.line(0, "Ports:\n  Name\tPort\tProtocol\n  ----\t----\t--------");
        for port in o["ports"].items() {
            let name = if port["name"].is_empty() {
                "<unset>"
            } else {
                port["name"].str()
            };
            let number = port["port"]
                .as_i64()
                .map_or("<unset>".to_owned(), |n| n.to_string());
            w.line(1, format!("{name}\t{number}\t{}", port["protocol"].str()));
        }
    }
    let endpoints = o["endpoints"].items();
    w.line(
        0,
        if endpoints.is_empty() {
            "Endpoints: <none>"
        } else {
            "Endpoints:"
        },
    );
    for e in endpoints {
        let addresses: Vec<&str> = e["addresses"].items().iter().map(Value::str).collect();
        w.line(1, format!("- Addresses:\t{}", addresses.join(", ")));
        w.line(2, "Conditions:");
        let flag = |field: &str| {
            e["conditions"][field]
                .as_bool()
                .map_or("<unset>".to_owned(), |b| b.to_string())
        };
        w.line(3, format!("Ready:\t{}", flag("ready")));
        w.line(
            2,
            format!(
                "Hostname:\t{}",
                if e["hostname"].is_empty() {
                    "<unset>"
                } else {
                    e["hostname"].str()
                }
            ),
        );
        if !e["targetRef"].is_null() {
            w.line(
                2,
                format!(
                    "TargetRef:\t{}/{}",
                    e["targetRef"]["kind"].str(),
                    e["targetRef"]["name"].str()
                ),
            );
        }
        w.line(
            2,
            format!(
                "NodeName:\t{}",
                if e["nodeName"].is_empty() {
                    "<unset>"
                } else {
                    e["nodeName"].str()
                }
            ),
        );
        w.line(
            2,
            format!(
                "Zone:\t{}",
                if e["zone"].is_empty() {
                    "<unset>"
                } else {
                    e["zone"].str()
                }
            ),
        );
    }
    events(k, o, w);
}

pub(super) fn ingress(k: &Kubectl, o: &Value, w: &mut Lines) {
    let spec = &o["spec"];
    w.line(0, format!("Name:\t{}", o.name()));
    labels(w, "", "Labels", o.labels());
    w.line(0, format!("Namespace:\t{}", o.namespace()));
    w.line(
        0,
        format!(
            "Address:\t{}",
            printers::load_balancer(&o["status"]["loadBalancer"], true)
        ),
    );
    w.line(
        0,
        format!(
            "Ingress Class:\t{}",
            or_none(spec["ingressClassName"].str())
        ),
    );
    let default = &spec["defaultBackend"];
    let shown = |backend: &Value| backend_of(k, o.namespace(), backend);
    w.line(
        0,
        format!(
            "Default backend:\t{}",
            if default.is_null() {
                "<default>".to_owned()
            } else {
                shown(default)
            }
        ),
    );
    if !spec["tls"].items().is_empty() {
        w.line(0, "TLS:");
    }
    for tls in spec["tls"].items() {
        let hosts: Vec<&str> = tls["hosts"].items().iter().map(Value::str).collect();
        let hosts = hosts.join(",");
        if tls["secretName"].is_empty() {
            w.line(1, format!("SNI routes {hosts}"));
        } else {
            w.line(1, format!("{} terminates {hosts}", tls["secretName"].str()));
        }
    }
    w.line(0, "Rules:\n  Host\tPath\tBackends");
    w.line(1, "----\t----\t--------");
    let mut count = 0;
    for rule in spec["rules"].items() {
        if rule["http"].is_null() {
            continue;
        }
        count += 1;
        let host = if rule["host"].is_empty() {
            "*"
        } else {
            rule["host"].str()
        };
        w.line(1, format!("{host}\t"));
        for path in rule["http"]["paths"].items() {
            w.line(
                2,
                format!("\t{} \t{}", path["path"].str(), shown(&path["backend"])),
            );
        }
    }
    if count == 0 {
        let text = if default.is_null() {
            "<default>".to_owned()
        } else {
            shown(default)
        };
        w.line(1, format!("*\t*\t{text}"));
    }
    annotations(w, "Annotations", o.annotations());
    events(k, o, w);
}

fn backend_of(k: &Kubectl, namespace: &str, backend: &Value) -> String {
    let resource = &backend["resource"];
    if !resource.is_null() {
        return format!(
            "APIGroup: {}, Kind: {}, Name: {}",
            resource["apiGroup"].str(),
            resource["kind"].str(),
            resource["name"].str()
        );
    }
    let (name, port) = (
        backend["service"]["name"].str(),
        &backend["service"]["port"],
    );
    let shown = if port["name"].is_empty() {
        number(&port["number"]).to_string()
    } else {
        port["name"].str().to_owned()
    };
    let Some(service) = k.cluster().find("services", namespace, name) else {
        return format!("{name}:{shown} (<error: services \"{name}\" not found>)");
    };
    let ports = service["spec"]["ports"].items().iter();
    let found = ports.into_iter().find(|p| {
        if port["name"].is_empty() {
            number(&p["port"]) == number(&port["number"])
        } else {
            p["name"] == port["name"]
        }
    });
    let addresses = endpoints_of(
        &slices(k, namespace, name),
        found.map_or("", |p| p["name"].str()),
    );
    format!("{name}:{shown} ({addresses})")
}

pub(super) fn ingress_class(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    w.line(0, format!("Controller:\t{}", o["spec"]["controller"].str()));
    let parameters = &o["spec"]["parameters"];
    if !parameters.is_null() {
        w.line(0, "Parameters:");
        if !parameters["apiGroup"].is_empty() {
            w.line(1, format!("APIGroup:\t{}", parameters["apiGroup"].str()));
        }
        w.line(1, format!("Kind:\t{}", parameters["kind"].str()));
        w.line(1, format!("Name:\t{}", parameters["name"].str()));
    }
    events(k, o, w);
}

pub(super) fn policy(o: &Value, w: &mut Lines) {
    let spec = &o["spec"];
    head(w, o);
    let created = o
        .creation_timestamp()
        .unwrap_or("")
        .replace('T', " ")
        .replace('Z', " +0000 UTC");
    w.line(0, format!("Created on:\t{created}"));
    marks(w, o);
    w.line(0, "Spec:");
    let selector = printers::selector(&spec["podSelector"]);
    let everything = if selector == "<none>" {
        " (Allowing the specific traffic to all pods in this namespace)"
    } else {
        ""
    };
    // The describer's own alignment: it writes blanks here.
    w.line(1, format!("PodSelector:     {selector}{everything}"));
    let types: Vec<&str> = spec["policyTypes"].items().iter().map(Value::str).collect();
    for (kind, field, peers, direction) in [
        ("Ingress", "ingress", "from", "From"),
        ("Egress", "egress", "to", "To"),
    ] {
        let lower = kind.to_lowercase();
        if !types.contains(&kind) {
            w.line(1, format!("Not affecting {lower} traffic"));
            continue;
        }
        w.line(1, format!("Allowing {lower} traffic:"));
        let rules = spec[field].items();
        if rules.is_empty() {
            w.line(
                2,
                format!("<none> (Selected pods are isolated for {lower} connectivity)"),
            );
        }
        for (at, rule) in rules.iter().enumerate() {
            policy_rule(rule, peers, direction, w);
            if at + 1 < rules.len() {
                w.line(2, "----------");
            }
        }
    }
    w.line(1, format!("Policy Types: {}", types.join(", ")));
}

fn policy_rule(rule: &Value, peers: &str, direction: &str, w: &mut Lines) {
    let ports = rule["ports"].items();
    if ports.is_empty() {
        w.line(2, "To Port: <any> (traffic allowed to all ports)");
    }
    for port in ports {
        let protocol = if port["protocol"].is_empty() {
            "TCP"
        } else {
            port["protocol"].str()
        };
        let shown = scalar(&port["port"]);
        if port["endPort"].is_null() {
            w.line(
                2,
                format!(
                    "To Port: {}/{protocol}",
                    if shown.is_empty() { "<any>" } else { &shown }
                ),
            );
        } else {
            w.line(
                2,
                format!(
                    "To Port Range: {shown}-{}/{protocol}",
                    number(&port["endPort"])
                ),
            );
        }
    }
    let all = rule[peers].items();
    if all.is_empty() {
        let source = if direction == "From" {
            "source"
        } else {
            "destination"
        };
        w.line(
            2,
            format!("{direction}: <any> (traffic not restricted by {source})"),
        );
    }
    for peer in all {
        w.line(2, format!("{direction}:"));
        for (field, title) in [
            ("namespaceSelector", "NamespaceSelector"),
            ("podSelector", "PodSelector"),
        ] {
            if !peer[field].is_null() {
                w.line(3, format!("{title}: {}", printers::selector(&peer[field])));
            }
        }
        let block = &peer["ipBlock"];
        if !block.is_null() {
            let except: Vec<&str> = block["except"].items().iter().map(Value::str).collect();
            w.line(3, "IPBlock:");
            w.line(4, format!("CIDR: {}", block["cidr"].str()));
            w.line(4, format!("Except: {}", except.join(", ")));
        }
    }
}
