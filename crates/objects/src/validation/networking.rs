//! Ingresses and NetworkPolicies.

use super::batch;
use super::common::{Errors, items};
use crate::names;
use crate::value::Value;

pub(super) fn ingress(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    if spec["defaultBackend"].is_null() && spec["rules"].items().is_empty() {
        e.invalid(
            "spec",
            Value::Null,
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    if !spec["defaultBackend"].is_null() {
        backend(e, "spec.defaultBackend", &spec["defaultBackend"]);
    }
    for (p, rule) in items(&spec["rules"], "spec.rules") {
        let name = rule["host"].str();
        host(e, format!("{p}.host"), name, true);
        if rule["http"].is_null() {
            continue;
        }
        if rule["http"]["paths"].items().is_empty() {
            e.required(format!("{p}.http.paths"), "");
        }
        for (q, path) in items(&rule["http"]["paths"], &format!("{p}.http.paths")) {
            http_path(e, &q, path);
        }
    }
    for (p, tls) in items(&spec["tls"], "spec.tls") {
        for (q, name) in items(&tls["hosts"], &format!("{p}.hosts")) {
            host(e, q, name.str(), false);
        }
        let secret = tls["secretName"].str();
        if !secret.is_empty() {
            e.names(
                format!("{p}.secretName"),
                secret,
                names::dns1123_subdomain(secret),
            );
        }
    }
    let class = &spec["ingressClassName"];
    if !class.is_null() {
        e.names(
            "spec.ingressClassName",
            class.str(),
            names::dns1123_subdomain(class.str()),
        );
    }
}

/// What a new Ingress may not be, though one that is there may: of two classes.
pub(super) fn ingress_created(e: &mut Errors, o: &Value) {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let (old, class) = (
        o["metadata"]["annotations"].get(CLASS),
        &o["spec"]["ingressClassName"],
    );
    if let Some(old) = old.filter(|old| !class.is_null() && *old != class) {
        e.invalid(
            format!("annotations.{CLASS}"),
            old,
            "must match `ingressClassName` when both are specified",
        );
    }
}

fn host(e: &mut Errors, path: String, name: &str, not_an_ip: bool) {
    if name.is_empty() {
        return;
    }
    if not_an_ip && name.parse::<std::net::IpAddr>().is_ok() {
        e.invalid(path.clone(), name, "must be a DNS name, not an IP address");
    }
    if name.contains('*') {
        e.names(path, name, names::wildcard_dns1123_subdomain(name));
    } else {
        e.names(path, name, names::dns1123_subdomain(name));
    }
}

fn http_path(e: &mut Errors, at: &str, path: &Value) {
    let (kind, text) = (&path["pathType"], path["path"].str());
    match kind.str() {
        "" => return e.required(format!("{at}.pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            let p = format!("{at}.path");
            if !text.starts_with('/') {
                e.invalid(p.clone(), text, "must be an absolute path");
            }
            if !text.is_empty() {
                for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                    if text.contains(bad) {
                        e.invalid(p.clone(), text, format!("must not contain '{bad}'"));
                    }
                }
                for bad in ["/..", "/."] {
                    if text.ends_with(bad) {
                        e.invalid(p.clone(), text, format!("cannot end with '{bad}'"));
                    }
                }
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                e.invalid(format!("{at}.path"), text, "must be an absolute path");
            }
        }
        _ => e.one_of(
            format!("{at}.pathType"),
            kind,
            &["Exact", "ImplementationSpecific", "Prefix"],
        ),
    }
    backend(e, &format!("{at}.backend"), &path["backend"]);
}

fn backend(e: &mut Errors, path: &str, b: &Value) {
    let (service, resource) = (&b["service"], &b["resource"]);
    match (service.is_null(), resource.is_null()) {
        (true, true) => return e.invalid(path, "", "resource or service backend is required"),
        (false, false) => {
            return e.invalid(path, "", "cannot set both resource and service backends");
        }
        (true, false) => {
            return reference(e, &format!("{path}.resource"), resource);
        }
        (false, true) => {}
    }
    let name = service["name"].str();
    if name.is_empty() {
        e.required(format!("{path}.service.name"), "");
    } else {
        e.names(
            format!("{path}.service.name"),
            name,
            names::dns1123_label(name),
        );
    }
    let (port_name, number) = (
        service["port"]["name"].str(),
        service["port"]["number"].as_i64().unwrap_or(0),
    );
    if !port_name.is_empty() && number != 0 {
        e.invalid(path, "", "cannot set both port name & port number");
    } else if !port_name.is_empty() {
        e.names(
            format!("{path}.service.port.name"),
            port_name,
            names::port_name(port_name),
        );
    } else if number != 0 {
        e.port(
            format!("{path}.service.port.number"),
            &service["port"]["number"],
        );
    } else {
        e.required(path, "port name or number is required");
    }
}

/// An object of some kind beside an Ingress or its class.
fn reference(e: &mut Errors, path: &str, r: &Value) {
    if let Some(group) = r["apiGroup"].as_str() {
        e.names(
            format!("{path}.apiGroup"),
            group,
            names::dns1123_subdomain(group),
        );
    }
    for field in ["kind", "name"] {
        let (at, text) = (format!("{path}.{field}"), r[field].str());
        if text.is_empty() {
            e.required(at, "");
        } else {
            e.names(at, text, names::path_segment(text));
        }
    }
}

pub(super) fn ingress_class(e: &mut Errors, o: &Value) {
    let controller = o["spec"]["controller"].str();
    if controller.len() > 250 {
        e.push(crate::FieldError::too_long("spec.controller", 250));
    }
    batch::names_path(e, "spec.controller", controller);
    let p = &o["spec"]["parameters"];
    if p.is_null() {
        return;
    }
    let at = "spec.parameters";
    reference(e, at, p);
    let (scope, namespace) = (&p["scope"], &p["namespace"]);
    let at_namespace = format!("{at}.namespace");
    e.required_one_of(format!("{at}.scope"), scope, &["Cluster", "Namespace"]);
    match scope.str() {
        "Namespace" => match namespace.as_str() {
            None => e.required(at_namespace, "`parameters.scope` is set to 'Namespace'"),
            Some(name) => e.names(at_namespace, name, names::dns1123_label(name)),
        },
        "Cluster" if !namespace.is_null() => {
            e.forbidden(at_namespace, "`parameters.scope` is set to 'Cluster'");
        }
        _ => {}
    }
}

/// A range of addresses of Services.
pub(super) fn service_cidr(e: &mut Errors, o: &Value) {
    let ranges = &o["spec"]["cidrs"];
    let at = "spec.cidrs";
    let all = ranges.items();
    if all.is_empty() {
        return e.required(at, "at least one CIDR required");
    }
    if all.len() > 2 {
        return e.invalid(at, ranges, "may only hold up to 2 values");
    }
    for (p, range) in items(ranges, at) {
        e.cidr(p, range.str());
    }
    let v6 = |v: &Value| v.str().contains(':');
    if let [first, second] = all
        && v6(first) == v6(second)
    {
        e.invalid(
            at,
            ranges,
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
        );
    }
}

/// An address that somebody has taken; its name is the address.
pub(super) fn ip_address(e: &mut Errors, o: &Value) {
    let parent = &o["spec"]["parentRef"];
    let at = "spec.parentRef";
    if parent.is_null() {
        return e.required(at, "");
    }
    for field in ["resource", "name"] {
        if parent[field].is_empty() {
            e.required(format!("{at}.{field}"), "");
        }
    }
}

pub(super) fn network_policy(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    e.selector("spec.podSelector", &spec["podSelector"]);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (p, rule) in items(&spec[rules], &format!("spec.{rules}")) {
            for (q, port) in items(&rule["ports"], &format!("{p}.ports")) {
                policy_port(e, &q, port);
            }
            for (q, peer) in items(&rule[peers], &format!("{p}.{peers}")) {
                policy_peer(e, &q, peer);
            }
        }
    }
    let types = &spec["policyTypes"];
    if types.items().len() > 2 {
        return e.invalid(
            "spec.policyTypes",
            types,
            "may not specify more than two policyTypes",
        );
    }
    for (p, kind) in items(types, "spec.policyTypes") {
        e.one_of(p, kind, &["Ingress", "Egress"]);
    }
}

fn policy_port(e: &mut Errors, path: &str, port: &Value) {
    e.one_of(
        format!("{path}.protocol"),
        &port["protocol"],
        &["TCP", "UDP", "SCTP"],
    );
    let (first, last) = (&port["port"], &port["endPort"]);
    if first.is_null() {
        if !last.is_null() {
            e.invalid(
                format!("{path}.endPort"),
                last,
                "may not be specified when `port` is not specified",
            );
        }
        return;
    }
    e.port_or_name(format!("{path}.port"), first);
    let Some(last) = last.as_i64() else { return };
    match first.as_i64() {
        None => e.invalid(
            format!("{path}.endPort"),
            last,
            "may not be specified when `port` is non-numeric",
        ),
        Some(first) => {
            let at = format!("{path}.endPort");
            if last < first {
                e.invalid(&*at, last, "must be greater than or equal to `port`");
            }
            e.port(at, &port["endPort"]);
        }
    }
}

fn policy_peer(e: &mut Errors, path: &str, peer: &Value) {
    let given = ["podSelector", "namespaceSelector", "ipBlock"]
        .into_iter()
        .filter(|f| !peer[*f].is_null());
    let given = given.count();
    for field in ["podSelector", "namespaceSelector"] {
        e.selector(&format!("{path}.{field}"), &peer[field]);
    }
    let block = &peer["ipBlock"];
    if !block.is_null() {
        ip_block(e, &format!("{path}.ipBlock"), block);
    }
    if given == 0 {
        e.required(path, "must specify a peer");
    } else if given > 1 && !block.is_null() {
        e.forbidden(path, "may not specify both ipBlock and another peer");
    }
}

fn ip_block(e: &mut Errors, path: &str, block: &Value) {
    let cidr = block["cidr"].str();
    if cidr.is_empty() {
        return e.required(format!("{path}.cidr"), "");
    }
    let whole = e.cidr(format!("{path}.cidr"), cidr);
    for (p, except) in items(&block["except"], &format!("{path}.except")) {
        let part = e.cidr(p.clone(), except.str());
        if let (Some(whole), Some(part)) = (whole, part)
            && !(whole.contains(&part) && whole.prefix_len() < part.prefix_len())
        {
            e.invalid(p, except, "must be a strict subset of `cidr`");
        }
    }
}
