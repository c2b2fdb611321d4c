//! What the kubelet does to containers: probes and the hooks of their lives.

use super::common::{Errors, items};
use crate::value::Value;

/// The probes of a container.
pub(super) fn probes(e: &mut Errors, path: &str, c: &Value) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let p = &c[kind];
        if p.is_null() {
            continue;
        }
        let at = format!("{path}.{kind}");
        handler(e, &at, p, &["exec", "httpGet", "tcpSocket", "grpc"], None);
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            e.non_negative(format!("{at}.{field}"), &p[field]);
        }
        let (grace, at_grace) = (
            &p["terminationGracePeriodSeconds"],
            format!("{at}.terminationGracePeriodSeconds"),
        );
        if grace.as_i64().is_some_and(|n| n <= 0) {
            e.invalid(at_grace.clone(), grace, "must be greater than 0");
        }
        if kind == "readinessProbe" {
            if !grace.is_null() {
                e.invalid(at_grace, grace, "must not be set for readinessProbes");
            }
        } else if p["successThreshold"].as_i64().is_some_and(|n| n != 1) {
            e.invalid(
                format!("{at}.successThreshold"),
                &p["successThreshold"],
                "must be 1",
            );
        }
    }
}

/// `lifecycle` of a container; `grace` is how long its pod takes to end.
pub(super) fn lifecycle(e: &mut Errors, path: &str, c: &Value, spec: &Value) {
    let grace = spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    for kind in ["postStart", "preStop"] {
        let h = &c["lifecycle"][kind];
        if !h.is_null() {
            let at = format!("{path}.lifecycle.{kind}");
            let kinds = ["exec", "httpGet", "tcpSocket", "sleep"];
            handler(e, &at, h, &kinds, Some(grace));
        }
    }
}

fn handler(e: &mut Errors, path: &str, h: &Value, kinds: &[&str], grace: Option<i64>) {
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
        "httpGet" => http_get(e, &at, action),
        "tcpSocket" => e.port_or_name(format!("{at}.port"), &action["port"]),
        "grpc" => e.port(format!("{at}.port"), &action["port"]),
        "sleep" => {
            let (seconds, grace) = (
                action["seconds"].as_i64().unwrap_or(0),
                grace.unwrap_or(i64::MAX),
            );
            if seconds < 0 || seconds > grace {
                let why = format!(
                    "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                );
                e.invalid(at, seconds, why);
            }
        }
        _ => {}
    }
}

fn http_get(e: &mut Errors, path: &str, action: &Value) {
    if action["path"].str().is_empty() {
        e.required(format!("{path}.path"), "");
    }
    e.port_or_name(format!("{path}.port"), &action["port"]);
    e.one_of(
        format!("{path}.scheme"),
        &action["scheme"],
        &["HTTP", "HTTPS"],
    );
    let at = format!("{path}.httpHeaders");
    for (_, header) in items(&action["httpHeaders"], &at) {
        let name = header["name"].str();
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.is_empty() || !name.bytes().all(fine) {
            let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            e.invalid(at.clone(), name, why);
        }
    }
}
