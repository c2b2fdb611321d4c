//! Pods and pod templates.

use std::collections::BTreeSet;

use super::common::{Errors, items, quantity};
use super::{container, meta, scheduling, volume};
use crate::names;
use crate::value::{Value, object};

pub(super) fn pod(e: &mut Errors, o: &Value) {
    spec(e, "spec", &o["spec"]);
}

pub(super) fn template(e: &mut Errors, path: &str, t: &Value) {
    let m = &t["metadata"];
    e.labels(&format!("{path}.labels"), &m["labels"]);
    meta::annotations(e, &format!("{path}.annotations"), &m["annotations"]);
    spec(e, &format!("{path}.spec"), &t["spec"]);
}

fn spec(e: &mut Errors, path: &str, s: &Value) {
    let at = |field: &str| format!("{path}.{field}");
    let volumes = volume::volumes(e, &at("volumes"), &s["volumes"]);
    container::containers(e, path, s, &volumes);
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
    security_context(e, &at("securityContext"), s);
    scheduling::pod(e, path, s);
    for field in [
        "serviceAccountName",
        "nodeName",
        "priorityClassName",
        "runtimeClassName",
    ] {
        let name = s[field].str();
        if !name.is_empty() {
            e.names(at(field), name, names::dns1123_subdomain(name));
        }
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
    for (p, alias) in items(&s["hostAliases"], &at("hostAliases")) {
        e.ip(format!("{p}.ip"), alias["ip"].str());
        for (q, name) in items(&alias["hostnames"], &format!("{p}.hostnames")) {
            e.names(q, name.str(), names::dns1123_subdomain(name.str()));
        }
    }
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
    if s["shareProcessNamespace"].as_bool() == Some(true) && s["hostPID"].as_bool() == Some(true) {
        e.invalid(
            at("securityContext.shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    os(e, path, s);
    e.one_of(
        at("preemptionPolicy"),
        &s["preemptionPolicy"],
        &["PreemptLowerPriority", "Never"],
    );
}

fn os(e: &mut Errors, path: &str, s: &Value) {
    let os = &s["os"];
    if os.is_null() {
        return;
    }
    let name = &os["name"];
    if name.str().is_empty() {
        e.required(format!("{path}.os.name"), "cannot be empty");
    } else {
        e.one_of(format!("{path}.os.name"), name, &["linux", "windows"]);
    }
    if name.str() != "windows" {
        return;
    }
    for field in ["hostPID", "hostIPC"] {
        if s[field].as_bool() == Some(true) {
            e.forbidden(format!("{path}.{field}"), "cannot be set for a windows pod");
        }
    }
    for field in [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
    ] {
        if !s["securityContext"][field].is_null() {
            e.forbidden(
                format!("{path}.securityContext.{field}"),
                "cannot be set for a windows pod",
            );
        }
    }
}

pub(super) fn user_id(e: &mut Errors, path: String, value: &Value) {
    if value
        .as_i64()
        .is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id))
    {
        e.invalid(path, value, "must be between 0 and 2147483647, inclusive");
    }
}

pub(super) fn seccomp(e: &mut Errors, path: &str, profile: &Value) {
    if profile.is_null() {
        return;
    }
    e.required_one_of(
        format!("{path}.type"),
        &profile["type"],
        &["Localhost", "RuntimeDefault", "Unconfined"],
    );
    let local = profile["type"].str() == "Localhost";
    if local && profile["localhostProfile"].str().is_empty() {
        e.required(
            format!("{path}.localhostProfile"),
            "must be set when seccomp type is Localhost",
        );
    } else if !local && !profile["localhostProfile"].is_null() {
        e.invalid(
            format!("{path}.localhostProfile"),
            &profile["localhostProfile"],
            "can only be set when seccomp type is Localhost",
        );
    }
}

fn security_context(e: &mut Errors, path: &str, s: &Value) {
    let c = &s["securityContext"];
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        user_id(e, format!("{path}.{field}"), &c[field]);
    }
    for (p, group) in items(
        &c["supplementalGroups"],
        &format!("{path}.supplementalGroups"),
    ) {
        user_id(e, p, group);
    }
    e.one_of(
        format!("{path}.fsGroupChangePolicy"),
        &c["fsGroupChangePolicy"],
        &["Always", "OnRootMismatch"],
    );
    e.one_of(
        format!("{path}.supplementalGroupsPolicy"),
        &c["supplementalGroupsPolicy"],
        &["Merge", "Strict"],
    );
    seccomp(e, &format!("{path}.seccompProfile"), &c["seccompProfile"]);
    let mut names = BTreeSet::new();
    for (p, sysctl) in items(&c["sysctls"], &format!("{path}.sysctls")) {
        let name = sysctl["name"].str();
        let part = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        };
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else if !name.split(['.', '/']).all(part) {
            let form = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            e.invalid(format!("{p}.name"), name, form);
        } else if !names.insert(name) {
            e.duplicate(format!("{p}.name"), name);
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
            e.required(
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
    for (p, search) in items(&c["searches"], &format!("{path}.searches")) {
        let name = search.str().strip_suffix('.').unwrap_or(search.str());
        let name_for_check: String = name.replace('_', "-");
        if !name.is_empty() {
            e.names(p, search.str(), names::dns1123_subdomain(&name_for_check));
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
