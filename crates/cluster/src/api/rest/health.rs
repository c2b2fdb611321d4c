//! Whether the API server is well, which one it is, what it counts (apiserver v0.37,
//! `server/healthz`, `pkg/version`).

use std::fmt::Write as _;

use kubarium_objects::status::Status;

use super::wire::{Json, Query};
use super::{Answer, TEXT};
use crate::cluster::Cluster;
use crate::kubelet::node_status::VERSION as NUMBER;

/// What `/version` answers, in its order.
pub const VERSION: &[(&str, &str)] = &[
    ("major", "1"),
    ("minor", "37"),
    ("emulationMajor", "1"),
    ("emulationMinor", "37"),
    ("minCompatibilityMajor", "1"),
    ("minCompatibilityMinor", "36"),
    ("gitVersion", NUMBER),
    ("gitCommit", "0000000000000000000000000000000000000000"),
    ("gitTreeState", "clean"),
    ("buildDate", "1970-01-01T00:00:00Z"),
    ("goVersion", "go1.26.8"),
    ("compiler", "gc"),
    ("platform", "linux/amd64"),
];

/// What `/healthz`, `/livez` and `/readyz` check, in this order.
const CHECKS: &[&str] = &[
    "ping",
    "log",
    "etcd",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

fn text(body: String) -> Answer {
    Answer {
        content_type: TEXT,
        ..Answer::new(200, body)
    }
}

/// `/version`, indented for everybody.
pub(super) fn version() -> Answer {
    let fields = VERSION
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    Answer::new(200, Json::Object(fields.collect()).pretty())
}

/// What one of the three checks.
pub(super) fn checks(kind: &str) -> Vec<&'static str> {
    let mut checks = CHECKS.to_vec();
    if kind == "readyz" {
        let after = checks
            .iter()
            .position(|c| *c == "etcd")
            .map_or(0, |at| at + 1);
        checks.splice(after..after, ["etcd-readiness", "informer-sync"]);
        checks.push("shutdown");
    }
    checks
}

/// `/readyz?verbose&exclude=etcd`, `/livez/ping`.
pub(super) fn health(kind: &str, check: &[&str], query: Query) -> Result<Answer, Status> {
    let check = check.join("/");
    let checks = checks(kind);
    if !check.is_empty() {
        return match checks.contains(&check.as_str()) {
            true => Ok(text("ok".to_owned())),
            false => Err(Status::no_such_resource()),
        };
    }
    if !query.has("verbose") {
        return Ok(text("ok".to_owned()));
    }
    let excluded = query.texts("exclude");
    let mut body = String::new();
    for check in &checks {
        let left_out = excluded.iter().any(|e| e == check);
        let how = if left_out { "excluded: ok" } else { "ok" };
        let _ = writeln!(body, "[+]{check} {how}");
    }
    let unknown: Vec<&str> = excluded
        .iter()
        .map(String::as_str)
        .filter(|e| !checks.contains(e))
        .collect();
    if !unknown.is_empty() {
        let quoted: Vec<String> = unknown.iter().map(|e| format!("\"{e}\"")).collect();
        let _ = writeln!(
            body,
            "warn: some health checks cannot be excluded: no matches for {}",
            quoted.join(",")
        );
    }
    Ok(text(format!("{body}{kind} check passed\n")))
}

/// `/metrics`: those of the API server's counts that the simulation has.
pub(super) fn metrics(cluster: &Cluster) -> Answer {
    let mut body = String::from(
        "# The other metrics of kube-apiserver are not simulated yet.\n\
         # HELP apiserver_resource_objects [ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.\n\
         # TYPE apiserver_resource_objects gauge\n",
    );
    for id in cluster.etcd.resources() {
        let (resource, group) = id.split_once('.').unwrap_or((id, ""));
        let count = cluster.etcd.count(id);
        let _ = writeln!(
            body,
            "apiserver_resource_objects{{group=\"{group}\",resource=\"{resource}\"}} {count}"
        );
    }
    let of = |name: &str| {
        VERSION
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, v)| v)
    };
    let _ = write!(
        body,
        "# HELP kubernetes_build_info [ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.\n\
         # TYPE kubernetes_build_info gauge\n\
         kubernetes_build_info{{build_date=\"{}\",compiler=\"{}\",git_commit=\"{}\",git_tree_state=\"{}\",git_version=\"{}\",go_version=\"{}\",major=\"{}\",minor=\"{}\",platform=\"{}\"}} 1\n",
        of("buildDate"),
        of("compiler"),
        of("gitCommit"),
        of("gitTreeState"),
        of("gitVersion"),
        of("goVersion"),
        of("major"),
        of("minor"),
        of("platform"),
    );
    text(body)
}
