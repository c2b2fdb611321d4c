//! Pods and pod templates.

use std::collections::BTreeSet;

use super::common::{Errors, items, quantity};
use super::{container, meta, resources, scheduling, security, volume};
use crate::meta::ObjectMeta;
use crate::names;
use crate::value::{Value, object};

pub(super) fn pod(e: &mut Errors, o: &Value) {
    annotations(e, "metadata.annotations", o);
    spec(e, "spec", &o["spec"], Some(o.name()));
}

/// What a new pod may not be, though one that is there may.
pub(super) fn created(e: &mut Errors, o: &Value) {
    let s = &o["spec"];
    if !s["ephemeralContainers"].items().is_empty() {
        e.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
    if !s["nodeName"].is_empty() && !s["schedulingGates"].items().is_empty() {
        e.forbidden(
            "spec.nodeName",
            "cannot be set until all schedulingGates have been cleared",
        );
    }
    security::old_annotations(e, o);
}

pub(super) fn template(e: &mut Errors, path: &str, t: &Value) {
    let m = &t["metadata"];
    e.labels(&format!("{path}.labels"), &m["labels"]);
    let at = format!("{path}.annotations");
    meta::annotations(e, &at, &m["annotations"]);
    annotations(e, &at, t);
    spec(e, &format!("{path}.spec"), &t["spec"], None);
    if !t["spec"]["ephemeralContainers"].items().is_empty() {
        e.forbidden(
            format!("{path}.spec.ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Annotations that mean something to Kubernetes.
fn annotations(e: &mut Errors, path: &str, o: &Value) {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
    let (given, s) = (&o["metadata"]["annotations"], &o["spec"]);
    if let Some(mirror) = given.get(MIRROR)
        && s["nodeName"].is_empty()
    {
        e.invalid(
            format!("{path}[{MIRROR}]"),
            mirror,
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    if let Some(cost) = given.get(COST) {
        let text = cost.str();
        let first = text.strip_prefix('-').unwrap_or(text);
        let plain = text == "0" || first.starts_with(|c: char| matches!(c, '1'..='9'));
        if !plain || text.parse::<i32>().is_err() {
            e.invalid(format!("{path}[{COST}]"), cost, "must be a 32bit integer");
        }
    }
    for (key, profile) in given.entries() {
        if security::is_of_seccomp(key) {
            security::seccomp_annotation(e, &format!("{path}.{key}"), profile.str());
        }
        let Some(name) = key.strip_prefix(APP_ARMOR) else {
            continue;
        };
        let at = format!("{path}[{key}]");
        if !security::containers(s, "spec").any(|(_, c)| c["name"].str() == name) {
            e.invalid(at.clone(), name, "container not found");
        }
        let profile = profile.str();
        let known = matches!(profile, "" | "runtime/default" | "unconfined");
        if !known && !profile.starts_with("localhost/") {
            let shown = crate::go::quote(profile);
            e.invalid(
                at,
                profile,
                format!("invalid AppArmor profile name: {shown}"),
            );
        }
    }
}

/// `name` is that of the pod; none for a template.
fn spec(e: &mut Errors, path: &str, s: &Value, name: Option<&str>) {
    let at = |field: &str| format!("{path}.{field}");
    let volumes = volume::volumes(e, &at("volumes"), &s["volumes"], name);
    resource_claims(e, &at("resourceClaims"), &s["resourceClaims"]);
    container::containers(e, path, s, &volumes, name.is_some());
    resources::of_pod(e, &at("resources"), s);
    e.required_one_of(
        at("restartPolicy"),
        &s["restartPolicy"],
        &["Always", "OnFailure", "Never"],
    );
    e.required_one_of(
        at("dnsPolicy"),
        &s["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    e.labels(&at("nodeSelector"), &s["nodeSelector"]);
    security::of_pod(e, &at("securityContext"), s);
    scheduling::pod(e, path, s);
    dns_config(e, &at("dnsConfig"), s);
    for (p, gate) in items(&s["readinessGates"], &at("readinessGates")) {
        let kind = gate["conditionType"].str();
        e.names(
            format!("{p}.conditionType"),
            kind,
            names::qualified_name(kind),
        );
    }
    let mut gates = BTreeSet::new();
    for (p, gate) in items(&s["schedulingGates"], &at("schedulingGates")) {
        let name = gate["name"].str();
        e.names(p.clone(), name, names::qualified_name(name));
        if !gates.insert(name) {
            e.duplicate(p, name);
        }
    }
    security::host_process(e, path, s);
    host_users(e, path, s);
    for field in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = s[field].str();
        if !name.is_empty() {
            e.names(at(field), name, names::dns1123_subdomain(name));
        }
    }
    if let Some(class) = s["runtimeClassName"].as_str() {
        e.names(
            at("runtimeClassName"),
            class,
            names::dns1123_subdomain(class),
        );
    }
    if let Some(seconds) = s["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        e.invalid(
            at("activeDeadlineSeconds"),
            seconds,
            "must be between 1 and 2147483647, inclusive",
        );
    }
    for field in ["hostname", "subdomain"] {
        let name = s[field].str();
        if !name.is_empty() {
            e.names(at(field), name, names::dns1123_label(name));
        }
    }
    hostname_override(e, path, s);
    for (p, alias) in items(&s["hostAliases"], &at("hostAliases")) {
        e.ip(format!("{p}.ip"), alias["ip"].str());
        for (q, name) in items(&alias["hostnames"], &format!("{p}.hostnames")) {
            e.names(q, name.str(), names::dns1123_subdomain(name.str()));
        }
    }
    if let Some(policy) = s["preemptionPolicy"].as_str() {
        e.required_one_of(
            at("preemptionPolicy"),
            &policy.into(),
            &["PreemptLowerPriority", "Never"],
        );
    }
    if !s["overhead"].is_null() {
        resources::overhead(e, &at("overhead"), &s["overhead"]);
    }
    security::os(e, path, s);
}

/// A hostname that takes the place of the usual one.
fn hostname_override(e: &mut Errors, path: &str, s: &Value) {
    let name = s["hostnameOverride"].str();
    if name.is_empty() {
        return;
    }
    let at = format!("{path}.hostnameOverride");
    if name.len() > 64 {
        e.push(crate::FieldError::too_long(&*at, 64));
    }
    e.names(&*at, name, names::dns1123_subdomain(name));
    for field in ["setHostnameAsFQDN", "hostNetwork"] {
        if s[field].as_bool() == Some(true) {
            let why = format!("may not be specified when `{field}` is true");
            e.forbidden(&*at, why);
        }
    }
}

/// A user namespace of its own does not go with the host's other namespaces.
fn host_users(e: &mut Errors, path: &str, s: &Value) {
    if s["hostUsers"].as_bool() != Some(false) {
        return;
    }
    for (field, shown) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if s[field].as_bool() == Some(true) {
            e.forbidden(format!("{path}.{shown}"), "when `hostUsers` is false");
        }
    }
}

fn resource_claims(e: &mut Errors, path: &str, claims: &Value) {
    let mut seen = BTreeSet::new();
    for (p, claim) in items(claims, path) {
        let name = claim["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else if !seen.insert(name) {
            e.duplicate(format!("{p}.name"), name);
        } else {
            e.names(format!("{p}.name"), name, names::dns1123_label(name));
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let given = sources.iter().filter(|f| !claim[**f].is_null()).count();
        let why = match given {
            0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            2 => {
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            }
            _ => "",
        };
        if !why.is_empty() {
            let shown = crate::internal::json("PodResourceClaim", claim);
            e.push(crate::FieldError::invalid_shown(&*p, shown, why));
        }
        for field in sources {
            if let Some(name) = claim[field].as_str() {
                e.names(format!("{p}.{field}"), name, names::dns1123_subdomain(name));
            }
        }
    }
}

fn dns_config(e: &mut Errors, path: &str, s: &Value) {
    let c = &s["dnsConfig"];
    if s["dnsPolicy"].str() == "None" {
        if c.is_null() {
            return e.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if c["nameservers"].items().is_empty() {
            return e.required(
                format!("{path}.nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
        }
    }
    if c["nameservers"].items().len() > 3 {
        e.invalid(
            format!("{path}.nameservers"),
            &c["nameservers"],
            "must not have more than 3 nameservers",
        );
    }
    for (p, server) in items(&c["nameservers"], &format!("{path}.nameservers")) {
        e.ip(p, server.str());
    }
    if c["searches"].items().len() > 32 {
        e.invalid(
            format!("{path}.searches"),
            &c["searches"],
            "must not have more than 32 search paths",
        );
    }
    let length = |list: &[Value]| list.iter().map(|s| s.str().len() + 1).sum::<usize>();
    if length(c["searches"].items()) > 2049 {
        e.invalid(
            format!("{path}.searches"),
            &c["searches"],
            "must not have more than 2048 characters (including spaces) in the search list",
        );
    }
    for (p, search) in items(&c["searches"], &format!("{path}.searches")) {
        let name = search.str().strip_suffix('.').unwrap_or(search.str());
        if search.str() != "." {
            e.names(p, name, names::dns1123_subdomain_with_underscore(name));
        }
    }
    for (p, option) in items(&c["options"], &format!("{path}.options")) {
        if option["name"].str().is_empty() {
            e.required(p, "must not be empty");
        }
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
/// Source: Kubernetes v1.37, pkg/apis/core/helper/qos, ComputePodQOS.
pub fn qos_class(spec: &Value) -> &'static str {
    let mut given = false;
    let mut guaranteed = true;
    for list in ["initContainers", "containers"] {
        for c in spec[list].items() {
            for name in ["cpu", "memory"] {
                let (request, limit) = (
                    quantity(&c["resources"]["requests"][name]),
                    quantity(&c["resources"]["limits"][name]),
                );
                given |= !request.is_zero() || !limit.is_zero();
                guaranteed &= !limit.is_zero() && request == limit;
            }
        }
    }
    match (given, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// AppArmor profiles in the old annotations are fields as well (`applyAppArmorVersionSkew`).
pub(super) fn app_armor_fields(pod: &mut Value) {
    const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
    let annotations = pod["metadata"]["annotations"].clone();
    if pod["spec"]["os"]["name"].str() == "windows"
        || !annotations
            .entries()
            .iter()
            .any(|(k, _)| k.starts_with(PREFIX))
    {
        return;
    }
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for at in 0..pod["spec"][list].items().len() {
            let container = &mut pod["spec"][list][at];
            let name = format!("{PREFIX}{}", container["name"].str());
            let profile = match annotations[name.as_str()].str() {
                "runtime/default" => object([("type", "RuntimeDefault".into())]),
                "unconfined" => object([("type", "Unconfined".into())]),
                other => match other.strip_prefix("localhost/") {
                    Some(file) if !file.trim().is_empty() => object([
                        ("localhostProfile", file.into()),
                        ("type", "Localhost".into()),
                    ]),
                    _ => continue,
                },
            };
            let own = !container["securityContext"]["appArmorProfile"].is_null();
            if !own && profile != of_pod {
                container["securityContext"]["appArmorProfile"] = profile;
            }
        }
    }
}
