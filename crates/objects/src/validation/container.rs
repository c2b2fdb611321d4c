//! Containers: names, images, ports, environment.

use std::collections::BTreeSet;

use super::common::{Errors, items};
use super::mount::{self, Volumes};
use super::{action, resources, security};
use crate::field_error::FieldError;
use crate::internal;
use crate::names;
use crate::quantity::Quantity;
use crate::value::Value;

/// All containers of a pod spec; `volumes` are those of the pod. A pod itself is looked at more closely
/// than a template of pods.
pub(super) fn containers(e: &mut Errors, path: &str, s: &Value, volumes: &Volumes, of_pod: bool) {
    let mut seen = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    if s["containers"].items().is_empty() {
        e.required(format!("{path}.containers"), "");
    }
    for (p, c) in items(&s["containers"], &format!("{path}.containers")) {
        one(e, &p, c, s, volumes, of_pod);
        restart_rules(e, &p, c, false);
        unique(e, &p, c, &mut seen);
        conflicts(e, &p, c, &mut host_ports);
        host_network(e, &p, c, s, of_pod);
        action::lifecycle(e, &p, c, s);
        action::probes(e, &p, c);
    }
    for (p, c) in items(&s["initContainers"], &format!("{path}.initContainers")) {
        one(e, &p, c, s, volumes, of_pod);
        restart_rules(e, &p, c, true);
        unique(e, &p, c, &mut seen);
        // Each is looked at by itself, and the API server's path says so.
        let alone = format!("{path}.initContainers[0]");
        conflicts(e, &alone, c, &mut BTreeSet::new());
        if c["restartPolicy"].str() == "Always" {
            action::lifecycle(e, &p, c, s);
            action::probes(e, &p, c);
            continue;
        }
        for field in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if !c[field].is_null() {
                e.forbidden(
                    format!("{p}.{field}"),
                    "may not be set for init containers without restartPolicy=Always",
                );
            }
        }
        if !c["resizePolicy"].items().is_empty() {
            let shown = internal::json("[ContainerResizePolicy", &c["resizePolicy"]);
            e.push(FieldError::invalid_shown(
                format!("{p}.resizePolicy"),
                shown,
                "must not be set for init containers",
            ));
        }
    }
    ephemeral(e, path, s, volumes);
}

/// Containers that are put into a running pod to look at it (`validateEphemeralContainers`).
fn ephemeral(e: &mut Errors, path: &str, s: &Value, volumes: &Volumes) {
    let why = "cannot be set for an Ephemeral Container";
    let all = s["containers"]
        .items()
        .iter()
        .chain(s["initContainers"].items());
    let others: BTreeSet<&str> = all.map(|c| c["name"].str()).collect();
    let mut seen = others.clone();
    for (p, c) in items(
        &s["ephemeralContainers"],
        &format!("{path}.ephemeralContainers"),
    ) {
        one(e, &p, c, s, volumes, true);
        if !seen.insert(c["name"].str()) {
            e.duplicate(format!("{p}.name"), c["name"].str());
        }
        let target = c["targetContainerName"].str();
        if !target.is_empty() && !others.contains(target) {
            e.not_found(format!("{p}.targetContainerName"), target);
        }
        for field in [
            "ports",
            "resources",
            "resizePolicy",
            "restartPolicy",
            "restartPolicyRules",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ] {
            let given = match field {
                "resources" => !c[field].is_empty(),
                _ => !c[field].is_null(),
            };
            if given {
                e.forbidden(format!("{p}.{field}"), why);
            }
        }
        for (q, mount) in items(&c["volumeMounts"], &format!("{p}.volumeMounts")) {
            for field in ["subPath", "subPathExpr"] {
                if !mount[field].is_empty() {
                    e.forbidden(format!("{q}.{field}"), why);
                }
            }
        }
    }
}

fn unique<'a>(e: &mut Errors, path: &str, c: &'a Value, seen: &mut BTreeSet<&'a str>) {
    let name = c["name"].str();
    if !name.is_empty() && !seen.insert(name) {
        e.duplicate(format!("{path}.name"), name);
    }
}

fn one(e: &mut Errors, path: &str, c: &Value, spec: &Value, volumes: &Volumes, of_pod: bool) {
    let (name, image) = (c["name"].str(), c["image"].str());
    if name.is_empty() {
        e.required(format!("{path}.name"), "");
    } else {
        e.names(format!("{path}.name"), name, names::dns1123_label(name));
    }
    if image.is_empty() {
        e.required(format!("{path}.image"), "");
    } else if of_pod && image.trim() != image {
        e.invalid(
            format!("{path}.image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
    e.required_one_of(
        format!("{path}.terminationMessagePolicy"),
        &c["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
    );
    ports(e, path, c);
    environment(e, path, c);
    mount::all(e, path, c, volumes);
    e.required_one_of(
        format!("{path}.imagePullPolicy"),
        &c["imagePullPolicy"],
        &["Always", "IfNotPresent", "Never"],
    );
    resources::of_container(
        e,
        &format!("{path}.resources"),
        &c["resources"],
        &spec["resourceClaims"],
    );
    resources::resize_policy(
        e,
        &format!("{path}.resizePolicy"),
        &c["resizePolicy"],
        &spec["restartPolicy"],
    );
    security::of_container(e, &format!("{path}.securityContext"), c, spec);
}

/// When a container is started again, where it does not follow its pod's policy.
fn restart_rules(e: &mut Errors, path: &str, c: &Value, is_init: bool) {
    let (policy, rules) = (&c["restartPolicy"], &c["restartPolicyRules"]);
    let at = format!("{path}.restartPolicyRules");
    if policy.is_null() && !rules.items().is_empty() {
        e.required(
            format!("{path}.restartPolicy"),
            "must specify restartPolicy when restart rules are used",
        );
        if is_init {
            return;
        }
    }
    e.one_of(
        format!("{path}.restartPolicy"),
        policy,
        &["Always", "Never", "OnFailure"],
    );
    if rules.items().len() > 20 {
        e.push(FieldError::too_many(&*at, rules.items().len(), 20));
    }
    for (p, rule) in items(rules, &at) {
        e.one_of(
            format!("{p}.action"),
            &rule["action"],
            &["Restart", "RestartAllContainers"],
        );
        let codes = &rule["exitCodes"];
        if codes.is_null() {
            e.required(format!("{p}.exitCodes"), "must be specified");
            continue;
        }
        let operator = codes["operator"].text();
        if !matches!(&*operator, "In" | "NotIn") {
            let at = format!("{p}.exitCodes.operator");
            e.push(FieldError::not_supported(at, operator, &["In", "NotIn"]));
        }
        let many = codes["values"].items().len();
        if many > 255 {
            e.push(FieldError::too_many(
                format!("{p}.exitCodes.values"),
                many,
                255,
            ));
        }
    }
}

fn ports(e: &mut Errors, path: &str, c: &Value) {
    let mut seen = BTreeSet::new();
    for (p, port) in items(&c["ports"], &format!("{path}.ports")) {
        let name = port["name"].str();
        if !name.is_empty() {
            e.names(format!("{p}.name"), name, names::port_name(name));
            if !seen.insert(name) && names::port_name(name).is_empty() {
                e.duplicate(format!("{p}.name"), name);
            }
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => e.required(format!("{p}.containerPort"), ""),
            Some(_) => e.port(format!("{p}.containerPort"), &port["containerPort"]),
        }
        let host = port["hostPort"].as_i64().unwrap_or(0);
        if host != 0 {
            e.port(format!("{p}.hostPort"), &port["hostPort"]);
        }
        e.required_one_of(
            format!("{p}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
    }
}

/// On the host's network a container's port is the host's: a pod's is set, a template's may be left out.
fn host_network(e: &mut Errors, path: &str, c: &Value, spec: &Value, of_pod: bool) {
    if spec["hostNetwork"].as_bool() != Some(true) {
        return;
    }
    for (p, port) in items(&c["ports"], &format!("{path}.ports")) {
        let of = |field: &str| port[field].as_i64().unwrap_or(0);
        let host = of("hostPort");
        if (of_pod || host != 0) && host != of("containerPort") {
            e.invalid(
                format!("{p}.hostPort"),
                host,
                "must match `containerPort` when `hostNetwork` is true",
            );
        }
    }
}

fn conflicts(e: &mut Errors, path: &str, c: &Value, seen: &mut BTreeSet<String>) {
    for (p, port) in items(&c["ports"], &format!("{path}.ports")) {
        let host = port["hostPort"].as_i64().unwrap_or(0);
        let key = format!("{}/{}/{host}", port["protocol"].str(), port["hostIP"].str());
        if host != 0 && !seen.insert(key.clone()) {
            e.duplicate(format!("{p}.hostPort"), key);
        }
    }
}

fn environment(e: &mut Errors, path: &str, c: &Value) {
    for (p, variable) in items(&c["env"], &format!("{path}.env")) {
        let name = variable["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else {
            e.names(format!("{p}.name"), name, names::env_var_name(name));
        }
        value_from(e, &format!("{p}.valueFrom"), variable);
    }
    for (p, from) in items(&c["envFrom"], &format!("{path}.envFrom")) {
        let prefix = from["prefix"].str();
        if !prefix.is_empty() {
            e.names(format!("{p}.prefix"), prefix, names::env_var_name(prefix));
        }
        let given: Vec<&str> = ["configMapRef", "secretRef"]
            .into_iter()
            .filter(|k| !from[*k].is_null())
            .collect();
        for kind in &given {
            let name = from[*kind]["name"].str();
            if name.is_empty() {
                e.required(format!("{p}.{kind}.name"), "");
            } else {
                // As the start of a name: it may end with a dash.
                e.names(
                    format!("{p}.{kind}.name"),
                    name,
                    names::dns1123_subdomain(&names::masked_dash(name)),
                );
            }
        }
        match given.len() {
            0 => e.invalid(
                format!("{path}.envFrom"),
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            ),
            1 => {}
            _ => e.invalid(
                format!("{path}.envFrom"),
                "",
                "may not have more than one field specified at a time",
            ),
        }
    }
}

/// What an environment variable can have of its pod.
const POD_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// The fields that the downward API converts at all (`ConvertDownwardAPIFieldLabel`).
fn is_pod_field(path: &str) -> bool {
    let more = [
        "status.phase",
        "spec.restartPolicy",
        "spec.schedulerName",
        "metadata.labels",
        "metadata.annotations",
    ];
    POD_FIELDS.contains(&path) || more.contains(&path)
}

fn value_from(e: &mut Errors, path: &str, variable: &Value) {
    let from = &variable["valueFrom"];
    if from.is_null() {
        return;
    }
    let mut given = 0;
    for (kind, source) in from.entries() {
        given += 1;
        let at = format!("{path}.{kind}");
        match &**kind {
            "fieldRef" => field_ref(e, &at, source, &POD_FIELDS),
            "resourceFieldRef" => resource_field_ref(e, &at, source),
            "configMapKeyRef" | "secretKeyRef" => {
                // The name may be empty for historical reasons, the form may not be wrong.
                let name = source["name"].str();
                e.names(format!("{at}.name"), name, names::dns1123_subdomain(name));
                let key = source["key"].str();
                if key.is_empty() {
                    e.required(format!("{at}.key"), "");
                } else {
                    e.names(format!("{at}.key"), key, names::config_map_key(key));
                }
            }
            "fileKeyRef" => file_key_ref(e, &at, source),
            _ => {}
        }
    }
    if !variable["value"].str().is_empty() && given > 0 {
        e.invalid(path, "", "may not be specified when `value` is not empty");
    } else if given > 1 {
        e.invalid(
            path,
            "",
            "may not have more than one field specified at a time",
        );
    } else if given == 0 {
        e.invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
    }
}

/// A variable from a file in a volume.
fn file_key_ref(e: &mut Errors, path: &str, r: &Value) {
    let (volume, key, file) = (r["volumeName"].str(), r["key"].str(), r["path"].str());
    if volume.is_empty() {
        e.required(format!("{path}.volumeName"), "");
    } else {
        let at = format!("{path}.volumeName");
        e.names(at, volume, names::dns1123_label(volume));
    }
    if key.is_empty() {
        e.required(format!("{path}.key"), "");
    } else {
        e.names(format!("{path}.key"), key, names::env_var_name(key));
    }
    if file.is_empty() {
        e.required(format!("{path}.path"), "");
    } else {
        mount::descending(e, &format!("{path}.path"), file);
    }
}

/// A field of the pod itself; `supported` are those that may be had here.
pub(super) fn field_ref(e: &mut Errors, path: &str, r: &Value, supported: &[&str]) {
    let field = r["fieldPath"].str();
    let at = format!("{path}.fieldPath");
    if field.is_empty() {
        return e.required(at, "");
    }
    let subscript = field.strip_suffix("']").and_then(|f| f.split_once("['"));
    if let Some((base, key)) = subscript.filter(|(base, _)| !base.is_empty()) {
        match base {
            "metadata.labels" => e.names(path, key, names::qualified_name(key)),
            "metadata.annotations" => {
                let key = key.to_lowercase();
                e.names(path, &key, names::qualified_name(&key));
            }
            _ => e.invalid(
                at,
                field,
                format!(
                    "error converting fieldPath: field label does not support subscript: {field}"
                ),
            ),
        }
        return;
    }
    if !is_pod_field(field) {
        return e.invalid(
            at,
            field,
            format!("error converting fieldPath: field label not supported: {field}"),
        );
    }
    e.one_of(at, &r["fieldPath"], supported);
}

pub(super) fn resource_field_ref(e: &mut Errors, path: &str, r: &Value) {
    let resource = &r["resource"];
    let at = format!("{path}.resource");
    let huge_pages = |name: &str| {
        name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-")
    };
    if resource.str().is_empty() {
        e.required(at, "");
    } else if !huge_pages(resource.str()) {
        let supported = [
            "limits.cpu",
            "limits.ephemeral-storage",
            "limits.memory",
            "requests.cpu",
            "requests.ephemeral-storage",
            "requests.memory",
        ];
        e.one_of(at, resource, &supported);
    }
    divisor(e, path, r);
}

/// What an amount may be divided by.
pub(super) fn divisor(e: &mut Errors, path: &str, r: &Value) {
    const SIZES: &str = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
    let by = r["divisor"].str().parse().unwrap_or(Quantity::ZERO);
    if by.is_zero() {
        return;
    }
    let (resource, by) = (r["resource"].str(), by.to_string());
    let (supported, of) = match resource {
        "limits.cpu" | "requests.cpu" => ("1m, 1", "cpu"),
        "limits.memory" | "requests.memory" => (SIZES, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (SIZES, "local ephemeral storage")
        }
        other if other.contains(".hugepages-") => (SIZES, "hugepages"),
        _ => return,
    };
    if !supported.split(", ").any(|s| s == by) {
        let list = supported.replace("1m, 1", "1m and 1");
        e.invalid(
            format!("{path}.divisor"),
            resource,
            format!("only divisor's values {list} are supported with the {of} resource"),
        );
    }
}
