//! Namespaces, configuration, quotas, limits.

use kubarium_objects::{ObjectMeta, Value, base64};

use super::{events, head, labels, marks};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::{number, scalar};
use crate::kubectl::table::Lines;

pub(super) fn namespace(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    w.line(0, format!("Status:\t{}", o["status"]["phase"].str()));
    if !o["status"]["conditions"].items().is_empty() {
        w.line(
            0,
            "Conditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage",
        );
        w.line(1, "----\t------\t------------------\t------\t-------");
        for c in o["status"]["conditions"].items() {
            w.line(
                1,
                format!(
                    "{}\t{}\t{}\t{}\t{}",
                    c["type"].str(),
                    c["status"].str(),
                    super::date(&c["lastTransitionTime"]),
                    c["reason"].str(),
                    c["message"].str()
                ),
            );
        }
    }
    let list = |resource: &str| -> Vec<Value> {
        k.cluster()
            .etcd
            .list(resource, Some(o.name()))
            .map(|(_, v)| v.clone())
            .collect()
    };
    w.line(0, "");
    let quotas = list("resourcequotas");
    w.line(
        0,
        if quotas.is_empty() {
            "No resource quota."
        } else {
            "Resource Quotas"
        },
    );
    for quota in &quotas {
        w.line(1, format!("Name:\t{}", quota.name()));
        scopes(quota, w, 1);
        w.line(1, "Resource\tUsed\tHard");
        w.line(1, "--------\t---\t---");
        quota_rows(quota, w, 1);
    }
    w.line(0, "");
    let limits = list("limitranges");
    if limits.is_empty() {
        w.line(0, "No LimitRange resource.");
        return;
    }
    w.line(0, "Resource Limits\n Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio");
    w.line(
        0,
        " ----\t--------\t---\t---\t---------------\t-------------\t-----------------------",
    );
    limits.iter().for_each(|l| limit_rows(l, w, " "));
}

fn quota_rows(quota: &Value, w: &mut Lines, level: usize) {
    for (name, hard) in quota["status"]["hard"].entries() {
        let used = scalar(&quota["status"]["used"][&**name]);
        w.line(
            level,
            format!(
                "{name}\t{}\t{}",
                if used.is_empty() { "0" } else { &used },
                scalar(hard)
            ),
        );
    }
}

pub(super) fn quota(o: &Value, w: &mut Lines) {
    head(w, o);
    scopes(o, w, 0);
    w.line(0, "Resource\tUsed\tHard");
    w.line(0, "--------\t----\t----");
    quota_rows(o, w, 0);
}

/// `Scopes:`, with what each means.
fn scopes(o: &Value, w: &mut Lines, level: usize) {
    let mut scopes: Vec<&str> = o["spec"]["scopes"].items().iter().map(Value::str).collect();
    if scopes.is_empty() {
        return;
    }
    scopes.sort_unstable();
    w.line(level, format!("Scopes:\t{}", scopes.join(", ")));
    let blank = if level == 0 { " " } else { "" };
    for scope in scopes {
        let means = match scope {
            "Terminating" => {
                "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
            }
            "NotTerminating" => {
                "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
            }
            "BestEffort" => {
                "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
            }
            "NotBestEffort" => {
                "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
            }
            _ => continue,
        };
        w.line(level, format!("{blank}* {means}"));
    }
}

pub(super) fn limit_range(o: &Value, w: &mut Lines) {
    head(w, o);
    w.line(
        0,
        "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio",
    );
    w.line(
        0,
        "----\t--------\t---\t---\t---------------\t-------------\t-----------------------",
    );
    limit_rows(o, w, "");
}

fn limit_rows(o: &Value, w: &mut Lines, prefix: &str) {
    const FIELDS: [&str; 5] = [
        "min",
        "max",
        "defaultRequest",
        "default",
        "maxLimitRequestRatio",
    ];
    for limit in o["spec"]["limits"].items() {
        let mut names: Vec<&str> = FIELDS
            .iter()
            .flat_map(|f| limit[*f].entries())
            .map(|(name, _)| &**name)
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let cells: Vec<String> = FIELDS
                .iter()
                .map(|field| match scalar(&limit[*field][name]) {
                    empty if empty.is_empty() => "-".to_owned(),
                    value => value,
                })
                .collect();
            w.line(
                0,
                format!(
                    "{prefix}{}\t{name}\t{}",
                    limit["type"].str(),
                    cells.join("\t")
                ),
            );
        }
    }
}

pub(super) fn config_map(k: &Kubectl, o: &Value, w: &mut Lines) {
    head(w, o);
    marks(w, o);
    w.line(0, "\nData\n====");
    for (key, value) in o["data"].entries() {
        w.line(0, format!("{key}:\n----\n{}\n", value.str()));
    }
    w.line(0, "\nBinaryData\n====");
    for (key, value) in o["binaryData"].entries() {
        let length = base64::decode(value.str()).map_or(0, |b| b.len());
        w.line(0, format!("{key}: {length} bytes"));
    }
    w.line(0, "");
    events(k, o, w);
}

pub(super) fn secret(o: &Value, w: &mut Lines) {
    head(w, o);
    labels(w, "", "Labels", o.labels());
    super::annotations(w, "Annotations", o.annotations());
    w.line(0, format!("\nType:\t{}", o["type"].str()));
    w.line(0, "\nData\n====");
    for (key, value) in o["data"].entries() {
        let bytes = base64::decode(value.str()).unwrap_or_default();
        if &**key == "token" && o["type"].str() == "kubernetes.io/service-account-token" {
            w.line(0, format!("{key}:\t{}", String::from_utf8_lossy(&bytes)));
        } else {
            w.line(0, format!("{key}:\t{} bytes", bytes.len()));
        }
    }
}

pub(super) fn priority_class(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    w.line(0, format!("Value:\t{}", number(&o["value"])));
    w.line(
        0,
        format!(
            "GlobalDefault:\t{}",
            o["globalDefault"].as_bool() == Some(true)
        ),
    );
    if !o["preemptionPolicy"].is_empty() {
        w.line(
            0,
            format!("PreemptionPolicy:\t{}", o["preemptionPolicy"].str()),
        );
    }
    w.line(0, format!("Description:\t{}", o["description"].str()));
    w.line(
        0,
        format!("Annotations:\t{}", super::storage::joined(o.annotations())),
    );
    events(k, o, w);
}
