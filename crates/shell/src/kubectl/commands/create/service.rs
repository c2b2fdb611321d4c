//! `kubectl create service|ingress`

use kubarium_objects::{Value, array, go, names, object};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, DRY_RUN, PRINT, SAVE_CONFIG, VALIDATE};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, text};

const TCP: &[Flag] = &[list(
    "tcp",
    "Port pairs can be specified as '<port>:<targetPort>'.",
)];

pub(crate) const SERVICE: Command = Command {
    run: None,
    ..Command::new("service", "[flags] [options]", "Create a service using a specified subcommand", |_| Ok(()))
}
.aliases(&["svc"])
.commands(&[
    Command::new("clusterip", "NAME [--tcp=<port>:<targetPort>] [options]", "Create a ClusterIP service", |k| service(k, "ClusterIP"))
        .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, TCP, &[text("clusterip", "Assign your own ClusterIP or set to 'None' for a 'headless' service (no loadbalancing).")]])
        .changing(),
    Command::new("externalname", "NAME --external-name external.name [options]", "Create an ExternalName service", |k| service(k, "ExternalName"))
        .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, TCP, &[text("external-name", "External name of service").required()]])
        .changing(),
    Command::new("loadbalancer", "NAME [--tcp=port:targetPort] [options]", "Create a LoadBalancer service", |k| service(k, "LoadBalancer"))
        .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, TCP])
        .changing(),
    Command::new("nodeport", "NAME [--tcp=port:targetPort] [options]", "Create a NodePort service", |k| service(k, "NodePort"))
        .flags(&[PRINT, DRY_RUN, SAVE_CONFIG, VALIDATE, TCP, &[flag("node-port", Kind::Int, "0", "Port used to expose the service on each node in a cluster.")]])
        .changing(),
]);

/// A number, or a port's name.
fn target_port(text: &str) -> Value {
    text.parse::<i64>().map_or(Value::from(text), Value::from)
}

fn port(pair: &str) -> Result<Value> {
    let mut parts = pair.split(':');
    let (port, target) = (parts.next().unwrap_or(""), parts.next());
    let number: i64 = match port.parse::<u16>() {
        Ok(number) => number.into(),
        Err(e) => {
            let out_of_range = matches!(e.kind(), std::num::IntErrorKind::PosOverflow);
            return plain(format!(
                "strconv.ParseUint: parsing {}: {}",
                go::quote(port),
                if out_of_range {
                    "value out of range"
                } else {
                    "invalid syntax"
                }
            ));
        }
    };
    let target = target.map_or(Value::from(number), target_port);
    let complaints = match target.as_i64() {
        Some(n) if n == number => Vec::new(),
        Some(n) => names::port_number(n),
        None => names::port_name(target.str()),
    };
    if !complaints.is_empty() {
        return plain(complaints.join(","));
    }
    Ok(object([
        ("name", pair.replace(':', "-").into()),
        ("port", number.into()),
        ("protocol", "TCP".into()),
        ("targetPort", target),
    ]))
}

fn service(k: &mut Kubectl, kind: &str) -> Result {
    let name = k.name_argument()?;
    let tcp = k.flags.list("tcp").to_vec();
    let cluster_ip = k.flags.str("clusterip").to_owned();
    if tcp.is_empty() && kind != "ExternalName" && cluster_ip != "None" {
        return plain("at least one tcp port specifier must be provided");
    }
    let external = k.flags.str("external-name");
    if kind == "ExternalName" && !names::dns1123_subdomain(external).is_empty() {
        return plain(format!("invalid service external name {external}"));
    }
    let mut ports = Vec::new();
    for pair in &tcp {
        ports.push(port(pair)?);
    }
    let labels = object([("app", name.as_str().into())]);
    let mut spec = object([("selector", labels.clone()), ("type", kind.into())]);
    let node_port = k.flags.int("node-port");
    if node_port != 0 {
        ports
            .iter_mut()
            .for_each(|p| p["nodePort"] = node_port.into());
    }
    if !ports.is_empty() {
        spec["ports"] = array(ports);
    }
    if !cluster_ip.is_empty() {
        spec["clusterIP"] = cluster_ip.into();
    }
    if kind == "ExternalName" {
        spec["externalName"] = k.flags.str("external-name").into();
    }
    let made = object([
        ("apiVersion", "v1".into()),
        ("kind", "Service".into()),
        (
            "metadata",
            object([("labels", labels), ("name", name.as_str().into())]),
        ),
        ("spec", spec),
        ("status", object([("loadBalancer", Value::new_object())])),
    ]);
    k.generate(
        made,
        &format!("failed to create {kind} service: "),
        "created",
    )
}

pub(crate) const INGRESS: Command = Command::new(
    "ingress",
    "NAME --rule=host/path=service:port[,tls[=secret]] [options]",
    "Create an ingress with the specified name",
    ingress,
)
.flags(&[
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    &[
        flag(
            "annotation",
            Kind::Texts,
            "",
            "Annotation to insert in the ingress object, in the format annotation=value",
        ),
        text("class", "Ingress Class to be used"),
        text(
            "default-backend",
            "Default service for backend, in format of svcname:port",
        ),
        flag(
            "rule",
            Kind::Texts,
            "",
            "Rule in format host/path=service:port[,tls=secretname].",
        ),
    ],
])
.aliases(&["ing"])
.changing();

fn backend(text: &str) -> Value {
    let (service, port) = text.split_once(':').unwrap_or((text, ""));
    let port = match port.parse::<i64>() {
        Ok(number) => object([("number", number.into())]),
        Err(_) => object([("name", port.into())]),
    };
    object([(
        "service",
        object([("name", service.into()), ("port", port)]),
    )])
}

fn ingress(k: &mut Kubectl) -> Result {
    let name = k.name_argument()?;
    let rules = k.flags.list("rule").to_vec();
    let default = k.flags.str("default-backend").to_owned();
    if rules.is_empty() && default.is_empty() {
        return plain(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
        );
    }
    let mut parsed = Vec::new();
    for rule in &rules {
        parsed.push(Rule::parse(rule)?);
    }
    if !default.is_empty() && default.split(':').filter(|p| !p.is_empty()).count() != 2 {
        return plain("default-backend should be in format servicename:serviceport");
    }
    let mut metadata = object([("name", name.as_str().into())]);
    for annotation in k.flags.list("annotation").to_vec() {
        let Some((key, value)) = annotation.split_once('=') else {
            return plain(format!(
                "annotation {annotation} is invalid and should be in format key=[value]"
            ));
        };
        metadata["annotations"][key] = value.into();
    }
    let mut spec = Value::new_object();
    if !default.is_empty() {
        spec["defaultBackend"] = backend(&default);
    }
    if !k.flags.str("class").is_empty() {
        spec["ingressClassName"] = k.flags.str("class").into();
    }
    if !parsed.is_empty() {
        spec["rules"] = rules_of(&parsed);
    }
    let tls = tls_of(&parsed);
    if !tls.items().is_empty() {
        spec["tls"] = tls;
    }
    let made = object([
        ("apiVersion", "networking.k8s.io/v1".into()),
        ("kind", "Ingress".into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", object([("loadBalancer", Value::new_object())])),
    ]);
    k.generate(made, "failed to create ingress: ", "created")
}

/// `host/path=service:port[,tls[=secret]]`
struct Rule {
    host: String,
    path: String,
    prefix: bool,
    backend: String,
    tls: Option<String>,
}

impl Rule {
    fn parse(text: &str) -> Result<Rule> {
        let bad = || {
            plain(format!(
                "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
            ))
        };
        let (main, tls) = match text.split_once(',') {
            Some((main, tls)) => (main, Some(tls)),
            None => (text, None),
        };
        let Some((address, service)) = main.split_once('=') else {
            return bad();
        };
        let Some((host, path)) = address.split_once('/') else {
            return bad();
        };
        if service
            .split_once(':')
            .is_none_or(|(name, port)| name.is_empty() || port.is_empty())
        {
            return bad();
        }
        let tls = match tls {
            None => None,
            Some("tls") => Some(String::new()),
            // What follows a rule and is nothing of this is not looked at.
            Some(tls) => tls.strip_prefix("tls=").map(str::to_owned),
        };
        let path = format!("/{path}");
        let prefix = path.ends_with('*');
        let path = if prefix {
            path.trim_end_matches('*').to_owned()
        } else {
            path
        };
        Ok(Rule {
            host: host.to_owned(),
            path,
            prefix,
            backend: service.to_owned(),
            tls,
        })
    }
}

fn rules_of(rules: &[Rule]) -> Value {
    let mut hosts: Vec<(String, Vec<Value>)> = Vec::new();
    for rule in rules {
        let path = object([
            ("backend", backend(&rule.backend)),
            ("path", rule.path.as_str().into()),
            (
                "pathType",
                if rule.prefix { "Prefix" } else { "Exact" }.into(),
            ),
        ]);
        match hosts.iter_mut().find(|(host, _)| *host == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((rule.host.clone(), vec![path])),
        }
    }
    array(hosts.into_iter().map(|(host, paths)| {
        let mut rule = object([("http", object([("paths", array(paths))]))]);
        if !host.is_empty() {
            rule["host"] = host.into();
        }
        rule
    }))
}

fn tls_of(rules: &[Rule]) -> Value {
    let mut secrets: Vec<(String, Vec<String>)> = Vec::new();
    for rule in rules {
        let Some(secret) = &rule.tls else { continue };
        match secrets.iter_mut().find(|(name, _)| name == secret) {
            Some((_, hosts)) => {
                if !hosts.contains(&rule.host) {
                    hosts.push(rule.host.clone());
                }
            }
            None => secrets.push((secret.clone(), vec![rule.host.clone()])),
        }
    }
    array(secrets.into_iter().map(|(secret, hosts)| {
        let hosts: Vec<String> = hosts.into_iter().filter(|h| !h.is_empty()).collect();
        let mut tls = Value::new_object();
        if !hosts.is_empty() {
            tls["hosts"] = array(hosts);
        }
        if !secret.is_empty() {
            tls["secretName"] = secret.into();
        }
        tls
    }))
}
