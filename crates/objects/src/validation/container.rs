//! Containers: ports, environment, resources, probes, mounts.

use std::collections::BTreeSet;

use super::common::{Errors, has_dot_dot, items, keys, quantity};
use super::pod::{seccomp, user_id};
use crate::field_error::FieldError;
use crate::names;
use crate::value::Value;

/// All containers of a pod spec; `volumes` are the names of its volumes.
pub(super) fn containers(e: &mut Errors, path: &str, s: &Value, volumes: &BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    if s["containers"].items().is_empty() {
        e.required(format!("{path}.containers"), "");
    }
    for (p, c) in items(&s["containers"], &format!("{path}.containers")) {
        one(e, &p, c, s, volumes);
        name(e, &p, c, &mut seen);
        conflicts(e, &p, c, &mut host_ports);
        probes(e, &p, c);
    }
    for (p, c) in items(&s["initContainers"], &format!("{path}.initContainers")) {
        one(e, &p, c, s, volumes);
        name(e, &p, c, &mut seen);
        let sidecar = c["restartPolicy"].str() == "Always";
        if sidecar {
            conflicts(e, &p, c, &mut host_ports);
            probes(e, &p, c);
        } else {
            conflicts(e, &p, c, &mut BTreeSet::new());
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
        }
    }
    if !s["ephemeralContainers"].items().is_empty() {
        e.forbidden(
            format!("{path}.ephemeralContainers"),
            "cannot be set on create",
        );
    }
}

fn name<'a>(e: &mut Errors, path: &str, c: &'a Value, seen: &mut BTreeSet<&'a str>) {
    let name = c["name"].str();
    if name.is_empty() {
        return e.required(format!("{path}.name"), "");
    }
    e.names(format!("{path}.name"), name, names::dns1123_label(name));
    if !seen.insert(name) {
        e.duplicate(format!("{path}.name"), name);
    }
}

fn one(e: &mut Errors, path: &str, c: &Value, spec: &Value, volumes: &BTreeSet<String>) {
    let image = c["image"].str();
    if image.is_empty() {
        e.required(format!("{path}.image"), "");
    } else if image.trim() != image {
        e.invalid(
            format!("{path}.image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
    e.required_one_of(
        format!("{path}.imagePullPolicy"),
        &c["imagePullPolicy"],
        &["Always", "IfNotPresent", "Never"],
    );
    e.required_one_of(
        format!("{path}.terminationMessagePolicy"),
        &c["terminationMessagePolicy"],
        &["File", "FallbackToLogsOnError"],
    );
    ports(e, path, c, spec);
    environment(e, path, c);
    mounts(e, path, c, volumes);
    resources(
        e,
        &format!("{path}.resources"),
        &c["resources"],
        Some(&spec["resourceClaims"]),
    );
    lifecycle(e, path, c, spec);
    security(e, &format!("{path}.securityContext"), c, spec);
}

fn ports(e: &mut Errors, path: &str, c: &Value, spec: &Value) {
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
        if spec["hostNetwork"].as_bool() == Some(true)
            && host != 0
            && host != port["containerPort"].as_i64().unwrap_or(0)
        {
            e.invalid(
                format!("{p}.hostPort"),
                host,
                "must match `containerPort` when `hostNetwork` is true",
            );
        }
        e.required_one_of(
            format!("{p}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
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
                e.names(
                    format!("{p}.{kind}.name"),
                    name,
                    names::dns1123_subdomain(name),
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

const POD_FIELDS: [&str; 8] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
];

/// The fields that the downward API converts at all.
fn is_pod_field(path: &str) -> bool {
    let more = [
        "status.podIPs",
        "status.phase",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.hostNetwork",
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
            "fieldRef" => field_ref(e, &at, source),
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

fn field_ref(e: &mut Errors, path: &str, r: &Value) {
    let field = r["fieldPath"].str();
    let at = format!("{path}.fieldPath");
    if field.is_empty() {
        return e.required(at, "");
    }
    if let Some((base, key)) = field.strip_suffix("']").and_then(|f| f.split_once("['")) {
        match base {
            "metadata.labels" | "metadata.annotations" => {
                e.names(at, key, names::qualified_name(&key.to_lowercase()))
            }
            _ => e.invalid(at, field, format!("{base} does not support subscript")),
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
    let mut supported = POD_FIELDS.to_vec();
    supported.push("status.podIPs");
    supported.sort_unstable();
    e.one_of(at, &r["fieldPath"], &supported);
}

pub(super) fn resource_field_ref(e: &mut Errors, path: &str, r: &Value) {
    let resource = &r["resource"];
    let at = format!("{path}.resource");
    if resource.str().is_empty() {
        e.required(at, "");
    } else if !resource.str().contains("hugepages-") {
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
}

fn mounts(e: &mut Errors, path: &str, c: &Value, volumes: &BTreeSet<String>) {
    let mut points = BTreeSet::new();
    for (p, m) in items(&c["volumeMounts"], &format!("{path}.volumeMounts")) {
        let name = m["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        }
        if !volumes.contains(name) {
            e.not_found(format!("{p}.name"), name);
        }
        let point = m["mountPath"].str();
        if point.is_empty() {
            e.required(format!("{p}.mountPath"), "");
        }
        if !points.insert(point) {
            e.invalid(format!("{p}.mountPath"), point, "must be unique");
        }
        for field in ["subPath", "subPathExpr"] {
            let sub = m[field].str();
            if sub.starts_with('/') {
                e.invalid(
                    format!("{path}.volumeMounts.{field}"),
                    sub,
                    "must be a relative path",
                );
            } else if has_dot_dot(sub) {
                e.invalid(
                    format!("{path}.volumeMounts.{field}"),
                    sub,
                    "must not contain '..'",
                );
            }
        }
        if !m["subPath"].str().is_empty() && !m["subPathExpr"].str().is_empty() {
            e.invalid(
                format!("{p}.subPathExpr"),
                &m["subPathExpr"],
                "subPathExpr and subPath are mutually exclusive",
            );
        }
        e.one_of(
            format!("{p}.mountPropagation"),
            &m["mountPropagation"],
            &["Bidirectional", "HostToContainer", "None"],
        );
    }
}

/// Whether a resource is one that Kubernetes itself knows for containers.
pub(super) fn is_standard_container_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Whether requests may differ from limits.
fn may_overcommit(name: &str) -> bool {
    !name.contains('/') && !name.starts_with("hugepages-") || name.starts_with("kubernetes.io/")
}

pub(super) fn resources(e: &mut Errors, path: &str, r: &Value, claims: Option<&Value>) {
    for list in ["limits", "requests"] {
        for (p, name, amount) in keys(&r[list], &format!("{path}.{list}")) {
            e.names(p.clone(), name, names::qualified_name(name));
            if !name.contains('/') && !is_standard_container_resource(name) {
                e.invalid(
                    p.clone(),
                    &**name,
                    "must be a standard resource for containers",
                );
            }
            let q = quantity(amount);
            if q.sign() < 0 {
                e.invalid(
                    p.clone(),
                    q.to_string(),
                    "must be greater than or equal to 0",
                );
            }
            if name.contains('/') && !q.is_whole() {
                e.invalid(p.clone(), q.to_string(), "must be an integer");
            }
            if let Some(size) = name.strip_prefix("hugepages-") {
                let size = size.parse().unwrap_or(crate::Quantity::ZERO).value();
                if size > 0 && q.value() % size != 0 {
                    e.invalid(
                        p,
                        q.to_string(),
                        format!("{q} is not positive integer multiple of {name}"),
                    );
                }
            }
        }
    }
    for (_, name, amount) in keys(&r["requests"], path) {
        let at = format!("{path}.requests");
        let request = quantity(amount);
        match r["limits"].get(name).map(quantity) {
            Some(limit) if !may_overcommit(name) && request != limit => {
                e.invalid(
                    at,
                    request.to_string(),
                    format!("must be equal to {name} limit of {limit}"),
                );
            }
            Some(limit) if request > limit => {
                e.invalid(
                    at,
                    request.to_string(),
                    format!("must be less than or equal to {name} limit of {limit}"),
                );
            }
            None if !may_overcommit(name) => e.required(
                format!("{path}.limits"),
                "Limit must be set for non overcommitable resources",
            ),
            _ => {}
        }
    }
    let Some(known) = claims else { return };
    for (p, claim) in items(&r["claims"], &format!("{path}.claims")) {
        let name = claim["name"].str();
        if known.items().iter().any(|k| k["name"].str() == name) {
            continue;
        }
        let empty = if known.items().is_empty() {
            " which is empty"
        } else {
            ""
        };
        let detail = format!("must be one of the names in pod.spec.resourceClaims{empty}");
        e.push(FieldError {
            detail,
            ..FieldError::not_found(p, name)
        });
    }
}

fn probes(e: &mut Errors, path: &str, c: &Value) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let p = &c[kind];
        if p.is_null() {
            continue;
        }
        let at = format!("{path}.{kind}");
        handler(e, &at, p, &["exec", "httpGet", "tcpSocket", "grpc"]);
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            e.non_negative(format!("{at}.{field}"), &p[field]);
        }
        if kind != "readinessProbe" && p["successThreshold"].as_i64().is_some_and(|n| n != 1) {
            e.invalid(
                format!("{at}.successThreshold"),
                &p["successThreshold"],
                "must be 1",
            );
        }
        let grace = &p["terminationGracePeriodSeconds"];
        if kind == "readinessProbe" && !grace.is_null() {
            e.invalid(
                format!("{at}.terminationGracePeriodSeconds"),
                grace,
                "must not be set for readinessProbes",
            );
        } else if grace.as_i64().is_some_and(|n| n <= 0) {
            e.invalid(
                format!("{at}.terminationGracePeriodSeconds"),
                grace,
                "must be greater than 0",
            );
        }
    }
}

fn handler(e: &mut Errors, path: &str, h: &Value, kinds: &[&str]) {
    let given: Vec<&str> = kinds.iter().copied().filter(|k| !h[*k].is_null()).collect();
    for kind in given.iter().skip(1) {
        e.forbidden(
            format!("{path}.{kind}"),
            "may not specify more than 1 handler type",
        );
    }
    let Some(kind) = given.first() else {
        return e.required(path, "must specify a handler type");
    };
    let (at, action) = (format!("{path}.{kind}"), &h[*kind]);
    match *kind {
        "exec" if action["command"].items().is_empty() => e.required(format!("{at}.command"), ""),
        "httpGet" => {
            if action["path"].str().is_empty() {
                e.required(format!("{at}.path"), "");
            }
            e.port_or_name(format!("{at}.port"), &action["port"]);
            e.one_of(
                format!("{at}.scheme"),
                &action["scheme"],
                &["HTTP", "HTTPS"],
            );
            for (p, header) in items(&action["httpHeaders"], &format!("{at}.httpHeaders")) {
                let name = header["name"].str();
                let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                if name.is_empty() || !name.bytes().all(fine) {
                    let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
                    e.invalid(p, name, detail);
                }
            }
        }
        "tcpSocket" => e.port_or_name(format!("{at}.port"), &action["port"]),
        "grpc" => e.port(format!("{at}.port"), &action["port"]),
        _ => {}
    }
}

fn lifecycle(e: &mut Errors, path: &str, c: &Value, spec: &Value) {
    for kind in ["postStart", "preStop"] {
        let h = &c["lifecycle"][kind];
        if h.is_null() {
            continue;
        }
        let at = format!("{path}.lifecycle.{kind}");
        handler(e, &at, h, &["exec", "httpGet", "tcpSocket", "sleep"]);
        let grace = spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
        if let Some(seconds) = h["sleep"]["seconds"].as_i64()
            && (seconds < 0 || seconds > grace)
        {
            let detail = format!(
                "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            );
            e.invalid(format!("{at}.sleep"), seconds, detail);
        }
    }
}

fn security(e: &mut Errors, path: &str, c: &Value, spec: &Value) {
    let s = &c["securityContext"];
    for field in ["runAsUser", "runAsGroup"] {
        user_id(e, format!("{path}.{field}"), &s[field]);
    }
    seccomp(e, &format!("{path}.seccompProfile"), &s["seccompProfile"]);
    e.one_of(
        format!("{path}.procMount"),
        &s["procMount"],
        &["Default", "Unmasked"],
    );
    if s["procMount"].str() == "Unmasked" && spec["hostUsers"].as_bool() != Some(false) {
        e.invalid(
            format!("{path}.procMount"),
            "Unmasked",
            "`hostUsers` must be false to use `Unmasked`",
        );
    }
    if s["allowPrivilegeEscalation"].as_bool() == Some(false) {
        let admin = s["capabilities"]["add"]
            .items()
            .iter()
            .any(|c| c.str() == "CAP_SYS_ADMIN");
        if s["privileged"].as_bool() == Some(true) {
            e.invalid(
                path,
                Value::Null,
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        } else if admin {
            e.invalid(path, Value::Null, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
        }
    }
}
