//! Services and endpoints.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::common::{Errors, items};
use crate::field_error::FieldError;
use crate::names;
use crate::value::Value;

pub(super) fn service(e: &mut Errors, o: &Value) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    let spec = &o["spec"];
    let annotations = &o["metadata"]["annotations"];
    if let (Some(mode), Some(hints)) = (annotations.get(MODE), annotations.get(HINTS))
        && mode != hints
    {
        e.invalid(
            format!("metadata.annotations[{MODE}]"),
            mode,
            format!("must match annotations[{HINTS}] when both are specified"),
        );
    }
    let kind = spec["type"].str();
    let headless = spec["clusterIP"].str() == "None";
    let ports = &spec["ports"];
    if ports.items().is_empty() && !headless && kind != "ExternalName" {
        e.required("spec.ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            e.invalid(
                "spec.clusterIPs[0]",
                "None",
                format!("may not be set to 'None' for {kind} services"),
            );
        }
        "ExternalName" => {
            if !spec["clusterIPs"].items().is_empty() || !spec["clusterIP"].str().is_empty() {
                e.forbidden(
                    "spec.clusterIPs",
                    "may not be set for ExternalName services",
                );
            }
            let name = spec["externalName"].str();
            let name_checked = name.strip_suffix('.').unwrap_or(name);
            if name_checked.is_empty() {
                e.required("spec.externalName", "");
            } else {
                e.names(
                    "spec.externalName",
                    name_checked,
                    names::dns1123_subdomain(name_checked),
                );
            }
        }
        _ => {}
    }
    service_ports(e, ports, headless);
    e.labels("spec.selector", &spec["selector"]);
    e.required_one_of(
        "spec.sessionAffinity",
        &spec["sessionAffinity"],
        &["ClientIP", "None"],
    );
    session_affinity(e, spec);
    e.required_one_of(
        "spec.type",
        &spec["type"],
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    for (p, ip) in items(&spec["externalIPs"], "spec.externalIPs") {
        if e.ip(p.clone(), ip.str()).is_some() {
            special_ip(e, &p, ip.str());
        }
    }
    if kind == "ExternalName" {
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if !spec[field].is_empty() {
                e.forbidden(
                    format!("spec.{field}"),
                    "may not be set for ExternalName services",
                );
            }
        }
    }
    for error in addresses(o, None) {
        e.push(error);
    }
    node_ports(e, spec, kind);
    load_balancer(e, o, kind);
    traffic(e, spec, kind);
}

/// How long a client stays with its endpoint.
fn session_affinity(e: &mut Errors, spec: &Value) {
    let (at, config) = ("spec.sessionAffinityConfig", &spec["sessionAffinityConfig"]);
    match spec["sessionAffinity"].str() {
        "ClientIP" => {
            let when = "when session affinity type is ClientIP";
            if config.is_null() {
                return e.required(at, when);
            }
            if config["clientIP"].is_null() {
                return e.required(format!("{at}.clientIP"), when);
            }
            let at = format!("{at}.clientIP.timeoutSeconds");
            match config["clientIP"]["timeoutSeconds"].as_i64() {
                None => e.required(at, when),
                Some(n) if !(1..=86400).contains(&n) => {
                    e.invalid(at, n, "must be greater than 0 and less than 86400");
                }
                Some(_) => {}
            }
        }
        "None" if !config.is_null() => {
            e.forbidden(at, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

fn service_ports(e: &mut Errors, ports: &Value, headless: bool) {
    let several = ports.items().len() > 1;
    let mut seen = BTreeSet::new();
    for (p, port) in items(ports, "spec.ports") {
        let name = port["name"].str();
        if name.is_empty() {
            if several {
                e.required(format!("{p}.name"), "");
            }
        } else {
            e.names(format!("{p}.name"), name, names::dns1123_label(name));
            if !seen.insert(name) {
                e.duplicate(format!("{p}.name"), name);
            }
        }
        e.port(format!("{p}.port"), &port["port"]);
        e.required_one_of(
            format!("{p}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
        // A headless Service's target port that is the port itself has been complained about above.
        if !(headless && port["targetPort"] == port["port"])
            || port["targetPort"].as_str().is_some()
        {
            e.port_or_name(format!("{p}.targetPort"), &port["targetPort"]);
        }
        app_protocol(e, &p, port);
    }
    for (i, (p, port)) in items(ports, "spec.ports").enumerate() {
        let twin = |o: &&Value| o["port"] == port["port"] && o["protocol"] == port["protocol"];
        if ports.items()[..i].iter().find(twin).is_some() {
            let key = crate::value::object([
                ("port", port["port"].clone()),
                ("protocol", port["protocol"].clone()),
                ("targetPort", 0.into()),
            ]);
            let mut error = crate::FieldError::duplicate(p, "");
            error.value = Some(crate::internal::json("ServicePort", &key));
            e.push(error);
        }
    }
}

fn app_protocol(e: &mut Errors, path: &str, port: &Value) {
    if let Some(app) = port["appProtocol"].as_str() {
        e.names(
            format!("{path}.appProtocol"),
            app,
            names::qualified_name(app),
        );
    }
}

/// Addresses that nothing outside a host can have.
fn special_ip(e: &mut Errors, path: &str, text: &str) {
    let Ok(ip) = text.parse::<IpAddr>() else {
        return;
    };
    if ip.is_unspecified() {
        e.invalid(path, text, format!("may not be unspecified ({text})"));
    }
    if ip.is_loopback() {
        e.invalid(
            path,
            text,
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        );
    }
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local {
        e.invalid(
            path,
            text,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        );
    }
    let link_multicast = match ip {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    };
    if link_multicast {
        e.invalid(
            path,
            text,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        );
    }
}

/// What is wrong with a Service's cluster IPs and address families
/// (`ValidateServiceClusterIPsRelatedFields`); `old` is the Service before.
pub fn addresses(service: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut e = Errors::default();
    let spec = &service["spec"];
    if spec["type"].str() == "ExternalName" {
        return Vec::new();
    }
    let (one, list) = (spec["clusterIP"].str(), &spec["clusterIPs"]);
    let all = list.items();
    match (one.is_empty(), all) {
        (false, []) => e.required("spec.clusterIPs", ""),
        (false, [first, ..]) if first.str() != one => e.invalid(
            "spec.clusterIPs",
            list,
            "first value must match `clusterIP`",
        ),
        (true, [_, ..]) => e.invalid(
            "spec.clusterIPs",
            list,
            "must be empty when `clusterIP` is not specified",
        ),
        _ => {}
    }
    let mut families = BTreeSet::new();
    for (p, family) in items(&spec["ipFamilies"], "spec.ipFamilies") {
        e.one_of(p.clone(), family, &["IPv4", "IPv6"]);
        if !families.insert(family.str()) {
            e.duplicate(p, family);
        }
    }
    e.one_of(
        "spec.ipFamilyPolicy",
        &spec["ipFamilyPolicy"],
        &["PreferDualStack", "RequireDualStack", "SingleStack"],
    );
    let existing = old.map_or(&[][..], |old| old["spec"]["clusterIPs"].items());
    let mut wrong = false;
    for (at, ip) in all.iter().enumerate() {
        if at == 0 && ip.str() == "None" {
            if all.len() > 1 {
                wrong = true;
                e.invalid(
                    "spec.clusterIPs",
                    list,
                    "'None' must be the first and only value",
                );
            }
            continue;
        }
        if ip.str().parse::<std::net::IpAddr>().is_err() && !existing.contains(ip) {
            wrong = true;
            e.ip(format!("spec.clusterIPs[{at}]"), ip.str());
        }
    }
    if all.len() > 2 {
        e.invalid("spec.clusterIPs", list, "may only hold up to 2 values");
    }
    if wrong {
        return e.into_list();
    }
    let is_v6 = |ip: &Value| ip.str().contains(':');
    if all.len() > 1 && (all.iter().all(is_v6) || !all.iter().any(is_v6)) {
        e.invalid(
            "spec.clusterIPs",
            list,
            "may specify no more than one IP for each IP family",
        );
    }
    if one != "None" {
        for (at, (ip, family)) in all.iter().zip(spec["ipFamilies"].items()).enumerate() {
            let expected = match (family.str(), is_v6(ip)) {
                ("IPv4", true) => "an IPv4",
                ("IPv6", false) => "an IPv6",
                _ => continue,
            };
            e.invalid(
                format!("spec.clusterIPs[{at}]"),
                ip,
                format!("expected {expected} value as indicated by `ipFamilies[{at}]`"),
            );
        }
    }
    e.into_list()
}

fn node_ports(e: &mut Errors, spec: &Value, kind: &str) {
    let mut seen = BTreeSet::new();
    for (p, port) in items(&spec["ports"], "spec.ports") {
        let number = port["nodePort"].as_i64().unwrap_or(0);
        if number == 0 {
            continue;
        }
        if kind == "ClusterIP" {
            e.forbidden(
                format!("{p}.nodePort"),
                "may not be used when `type` is 'ClusterIP'",
            );
        } else if !seen.insert((number, port["protocol"].str())) {
            e.duplicate(format!("{p}.nodePort"), number);
        }
    }
}

fn load_balancer(e: &mut Errors, o: &Value, kind: &str) {
    const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let spec = &o["spec"];
    let is = kind == "LoadBalancer";
    let only = "may only be used when `type` is 'LoadBalancer'";
    let ranges = &spec["loadBalancerSourceRanges"];
    if !ranges.items().is_empty() {
        if !is {
            e.forbidden("spec.LoadBalancerSourceRanges", only);
        }
        for (p, range) in items(ranges, "spec.LoadBalancerSourceRanges") {
            e.cidr(p, range.str().trim());
        }
    }
    if let Some(given) = o["metadata"]["annotations"].get(RANGES)
        && ranges.items().is_empty()
    {
        let at = format!("metadata.annotations[{RANGES}]");
        if !is {
            e.forbidden(at.clone(), only);
        }
        if !given.str().trim().is_empty() {
            for range in given.str().split(',') {
                e.cidr(at.clone(), range.trim());
            }
        }
    }
    if !is && !spec["allocateLoadBalancerNodePorts"].is_null() {
        e.forbidden("spec.allocateLoadBalancerNodePorts", only);
    }
    if is && spec["allocateLoadBalancerNodePorts"].is_null() {
        e.required("spec.allocateLoadBalancerNodePorts", "");
    }
    let class = &spec["loadBalancerClass"];
    if !class.is_null() {
        if is {
            e.names(
                "spec.loadBalancerClass",
                class.str(),
                names::qualified_name(class.str()),
            );
        } else {
            e.forbidden("spec.loadBalancerClass", only);
        }
    }
}

fn traffic(e: &mut Errors, spec: &Value, kind: &str) {
    let external = &spec["externalTrafficPolicy"];
    let outside = matches!(kind, "LoadBalancer" | "NodePort")
        || (kind == "ClusterIP" && !spec["externalIPs"].items().is_empty());
    if outside {
        e.required_one_of(
            "spec.externalTrafficPolicy",
            external,
            &["Cluster", "Local"],
        );
    } else if !external.str().is_empty() {
        e.invalid(
            "spec.externalTrafficPolicy",
            external,
            "may only be set for externally-accessible services",
        );
    }
    let check = spec["healthCheckNodePort"].as_i64().unwrap_or(0);
    let needs_check = kind == "LoadBalancer" && external.str() == "Local";
    if check != 0 && !needs_check {
        e.invalid(
            "spec.healthCheckNodePort",
            check,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        );
    }
    let internal = &spec["internalTrafficPolicy"];
    if internal.is_null() && matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer") {
        e.required("spec.internalTrafficPolicy", "");
    }
    e.one_of(
        "spec.internalTrafficPolicy",
        internal,
        &["Cluster", "Local"],
    );
    e.one_of(
        "spec.trafficDistribution",
        &spec["trafficDistribution"],
        &["PreferClose", "PreferSameZone", "PreferSameNode"],
    );
}

pub(super) fn endpoints(e: &mut Errors, o: &Value) {
    for (p, subset) in items(&o["subsets"], "subsets") {
        if subset["addresses"].items().is_empty() && subset["notReadyAddresses"].items().is_empty()
        {
            e.required(p.clone(), "must specify `addresses` or `notReadyAddresses`");
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (q, address) in items(&subset[list], &format!("{p}.{list}")) {
                let ip = address["ip"].str();
                let at = format!("{q}.ip");
                if e.ip(at.clone(), ip).is_some() {
                    special_ip(e, &at, ip);
                } else if super::common::parse_ip(ip) != Err("must not have leading 0s") {
                    // What tells special addresses has no words for what is none.
                    e.invalid(at, ip, "must be a valid IP address");
                }
                let host = address["hostname"].str();
                if !host.is_empty() {
                    e.names(format!("{q}.hostname"), host, names::dns1123_label(host));
                }
                if let Some(node) = address["nodeName"].as_str() {
                    e.names(
                        format!("{q}.nodeName"),
                        node,
                        names::dns1123_subdomain(node),
                    );
                }
            }
        }
        let several = subset["ports"].items().len() > 1;
        for (q, port) in items(&subset["ports"], &format!("{p}.ports")) {
            let name = port["name"].str();
            if !name.is_empty() {
                e.names(format!("{q}.name"), name, names::dns1123_label(name));
            } else if several {
                e.required(format!("{q}.name"), "");
            }
            e.port(format!("{q}.port"), &port["port"]);
            e.required_one_of(
                format!("{q}.protocol"),
                &port["protocol"],
                &["SCTP", "TCP", "UDP"],
            );
            app_protocol(e, &q, port);
        }
    }
}

fn at_most(e: &mut Errors, path: &str, list: &Value, most: usize) {
    let many = list.items().len();
    if many > most {
        e.push(FieldError::too_many(path, many, most));
    }
}

/// Where an endpoint is best asked from.
fn hints(e: &mut Errors, path: &str, hints: &Value) {
    for field in ["forZones", "forNodes"] {
        let at = format!("{path}.{field}");
        at_most(e, &at, &hints[field], 8);
        let mut seen = BTreeSet::new();
        for (p, hint) in items(&hints[field], &at) {
            let name = hint["name"].str();
            if !seen.insert(name) {
                e.duplicate(format!("{p}.name"), name);
            }
            let complaints = match field {
                "forZones" => names::label_value(name),
                _ => names::dns1123_subdomain(name),
            };
            e.names(format!("{p}.name"), name, complaints);
        }
    }
}

/// A name of a host in full (apimachinery, IsFullyQualifiedDomainName).
fn domain(e: &mut Errors, path: &str, name: &str) {
    let name = name.strip_suffix('.').unwrap_or(name);
    let complaints = names::dns1123_subdomain(name);
    if name.is_empty() {
        e.required(path, "");
    } else if !complaints.is_empty() {
        e.invalid(path, name, complaints.join(","));
    } else if !name.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        e.invalid(path, name, why);
    }
}

pub(super) fn endpoint_slice(e: &mut Errors, o: &Value) {
    let kind = &o["addressType"];
    e.required_one_of("addressType", kind, &["FQDN", "IPv4", "IPv6"]);
    at_most(e, "endpoints", &o["endpoints"], 1000);
    for (p, endpoint) in items(&o["endpoints"], "endpoints") {
        let at = format!("{p}.addresses");
        if endpoint["addresses"].items().is_empty() {
            e.required(&*at, "");
        }
        at_most(e, &at, &endpoint["addresses"], 100);
        for (q, address) in items(&endpoint["addresses"], &format!("{p}.addresses")) {
            let text = address.str();
            match kind.str() {
                "IPv4" | "IPv6" => {
                    if let Some(ip) = e.ip(q.clone(), text) {
                        match (kind.str(), ip) {
                            ("IPv4", IpAddr::V6(_)) => {
                                e.invalid(&*at, text, "must be an IPv4 address")
                            }
                            ("IPv6", IpAddr::V4(_)) => {
                                e.invalid(&*at, text, "must be an IPv6 address")
                            }
                            _ => special_ip(e, &q, text),
                        }
                    }
                }
                "FQDN" => domain(e, &q, text),
                _ => {}
            }
        }
        hints(e, &format!("{p}.hints"), &endpoint["hints"]);
        let host = &endpoint["hostname"];
        if !host.is_null() {
            e.names(
                format!("{p}.hostname"),
                host.str(),
                names::dns1123_label(host.str()),
            );
        }
        let node = &endpoint["nodeName"];
        if !node.is_null() {
            e.names(
                format!("{p}.nodeName"),
                node.str(),
                names::dns1123_subdomain(node.str()),
            );
        }
    }
    at_most(e, "ports", &o["ports"], 20_000);
    let mut seen = BTreeSet::new();
    for (p, port) in items(&o["ports"], "ports") {
        let name = port["name"].str();
        if !name.is_empty() {
            e.names(format!("{p}.name"), name, names::dns1123_label(name));
        }
        if !seen.insert(name) {
            e.duplicate(format!("{p}.name"), name);
        }
        e.required_one_of(
            format!("{p}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
        app_protocol(e, &p, port);
    }
}
