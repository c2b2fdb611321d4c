//! Services and what belongs to them.

use crate::{ObjectMeta, Value};

use super::{Printer, age, column, labels, number, or, selector, some_of, wide};

pub(super) static SERVICE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("Cluster-IP"),
        column("External-IP"),
        column("Port(s)"),
        column("Age"),
        wide("Selector"),
    ],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["spec"]["type"].str().to_owned(),
            or(&o["spec"]["clusterIPs"][0], "<none>"),
            external_ip(o, c.wide),
            ports(&o["spec"]["ports"]),
            age(o, c),
            labels(&o["spec"]["selector"]),
        ]
    },
};

fn ports(ports: &Value) -> String {
    let shown: Vec<String> = ports
        .items()
        .iter()
        .map(|p| match number(&p["nodePort"]) {
            0 => format!("{}/{}", number(&p["port"]), p["protocol"].str()),
            node => format!("{}:{node}/{}", number(&p["port"]), p["protocol"].str()),
        })
        .collect();
    if shown.is_empty() {
        "<none>".to_owned()
    } else {
        shown.join(",")
    }
}

fn external_ip(service: &Value, wide: bool) -> String {
    let external: Vec<String> = service["spec"]["externalIPs"]
        .items()
        .iter()
        .map(|ip| ip.str().to_owned())
        .collect();
    match service["spec"]["type"].str() {
        "ClusterIP" | "NodePort" if external.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => external.join(","),
        "LoadBalancer" => {
            let balanced = load_balancer(&service["status"]["loadBalancer"], wide);
            let mut all: Vec<String> = balanced
                .split(',')
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect();
            all.extend(external);
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => service["spec"]["externalName"].str().to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses of a load balancer, cut at 16 characters where there is no room.
pub fn load_balancer(status: &Value, wide: bool) -> String {
    let mut found: Vec<&str> = Vec::new();
    for ingress in status["ingress"].items() {
        let address = if ingress["ip"].is_empty() {
            ingress["hostname"].str()
        } else {
            ingress["ip"].str()
        };
        if !address.is_empty() && !found.contains(&address) {
            found.push(address);
        }
    }
    let text = found.join(",");
    if !wide && text.chars().count() > 16 {
        return text.chars().take(13).collect::<String>() + "...";
    }
    text
}

pub(super) static ENDPOINTS: Printer = Printer {
    columns: &[column("Name"), column("Endpoints"), column("Age")],
    row: |o, c| vec![o.name().to_owned(), endpoints(o), age(o, c)],
};

fn endpoints(object: &Value) -> String {
    let subsets = object["subsets"].items();
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let addresses = || subset["addresses"].items().iter().map(|a| a["ip"].str());
        if subset["ports"].items().is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in subset["ports"].items() {
            all.extend(addresses().map(|ip| host_port(ip, &number(&port["port"]).to_string())));
        }
    }
    some_of(&all, 3)
}

/// `10.42.1.3:80`, `[::1]:80`
pub fn host_port(host: &str, port: &str) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

pub(super) static ENDPOINT_SLICE: Printer = Printer {
    columns: &[
        column("Name"),
        column("AddressType"),
        column("Ports"),
        column("Endpoints"),
        column("Age"),
    ],
    row: |o, c| {
        let unset = |text: String| {
            if text.is_empty() {
                "<unset>".to_owned()
            } else {
                text
            }
        };
        let port = |p: &Value| match p["port"].as_i64() {
            Some(port) => port.to_string(),
            None => or(&p["name"], "*"),
        };
        let ports: Vec<String> = o["ports"].items().iter().map(port).collect();
        let addresses = o["endpoints"]
            .items()
            .iter()
            .flat_map(|e| e["addresses"].items());
        let addresses: Vec<String> = addresses.map(|a| a.str().to_owned()).collect();
        vec![
            o.name().to_owned(),
            o["addressType"].str().to_owned(),
            unset(some_of(&ports, 3)),
            unset(some_of(&addresses, 3)),
            age(o, c),
        ]
    },
};

pub(super) static INGRESS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Class"),
        column("Hosts"),
        column("Address"),
        column("Ports"),
        column("Age"),
    ],
    row: |o, c| {
        let rules = o["spec"]["rules"].items();
        let hosts: Vec<String> = rules
            .iter()
            .map(|r| r["host"].str())
            .filter(|h| !h.is_empty())
            .map(str::to_owned)
            .collect();
        vec![
            o.name().to_owned(),
            or(&o["spec"]["ingressClassName"], "<none>"),
            if hosts.is_empty() {
                "*".to_owned()
            } else {
                some_of(&hosts, 3)
            },
            load_balancer(&o["status"]["loadBalancer"], c.wide),
            if o["spec"]["tls"].items().is_empty() {
                "80"
            } else {
                "80, 443"
            }
            .to_owned(),
            age(o, c),
        ]
    },
};

pub(super) static INGRESS_CLASS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Controller"),
        column("Parameters"),
        column("Age"),
    ],
    row: |o, c| {
        let default = o.annotation("ingressclass.kubernetes.io/is-default-class") == Some("true");
        let parameters = &o["spec"]["parameters"];
        let shown = match (parameters["kind"].str(), parameters["apiGroup"].str()) {
            ("", _) => "<none>".to_owned(),
            (kind, "") => format!("{kind}/{}", parameters["name"].str()),
            (kind, group) => format!("{kind}.{group}/{}", parameters["name"].str()),
        };
        let name = if default {
            format!("{} (default)", o.name())
        } else {
            o.name().to_owned()
        };
        vec![
            name,
            o["spec"]["controller"].str().to_owned(),
            shown,
            age(o, c),
        ]
    },
};

pub(super) static NETWORK_POLICY: Printer = Printer {
    columns: &[column("Name"), column("Pod-Selector"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            selector(&o["spec"]["podSelector"]),
            age(o, c),
        ]
    },
};

pub(super) static SERVICE_CIDR: Printer = Printer {
    columns: &[column("Name"), column("CIDRs"), column("Age")],
    row: |o, c| {
        let ranges: Vec<&str> = o["spec"]["cidrs"].items().iter().map(Value::str).collect();
        vec![o.name().to_owned(), ranges.join(","), age(o, c)]
    },
};

pub(super) static IP_ADDRESS: Printer = Printer {
    columns: &[column("Name"), column("ParentRef"), column("Age")],
    row: |o, c| {
        let parent = &o["spec"]["parentRef"];
        let resource = match parent["group"].str() {
            "" => parent["resource"].str().to_owned(),
            group => format!("{}.{group}", parent["resource"].str()),
        };
        let parts = [
            resource.as_str(),
            parent["namespace"].str(),
            parent["name"].str(),
        ];
        let shown: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        vec![o.name().to_owned(), shown.join("/"), age(o, c)]
    },
};
