//! ServiceAccounts, roles and bindings.

use kubarium_cluster::api::rbac;
use kubarium_objects::{ObjectMeta, Value};

use super::{events, head, marks, or_none};
use crate::kubectl::Kubectl;
use crate::kubectl::table::Lines;

pub(super) fn service_account(k: &Kubectl, o: &Value, w: &mut Lines) {
    head(w, o);
    marks(w, o);
    let secrets: Vec<&str> = o["imagePullSecrets"]
        .items()
        .iter()
        .map(|s| s["name"].str())
        .collect();
    w.line(
        0,
        format!("Image pull secrets:\t{}", or_none(&secrets.join("\n\t"))),
    );
    events(k, o, w);
}

pub(super) fn role(o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    w.line(0, "PolicyRule:");
    w.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    w.line(1, "---------\t-----------------\t--------------\t-----");
    let broken = o["rules"]
        .items()
        .iter()
        .flat_map(rbac::breakdown)
        .collect();
    let mut rules = rbac::compact(broken);
    rules.sort_by_key(rbac::go_rule);
    for rule in &rules {
        w.line(
            1,
            format!(
                "{}\t{}\t{}\t{}",
                combined(rule),
                rbac::go_strings(&rule["nonResourceURLs"]),
                rbac::go_strings(&rule["resourceNames"]),
                rbac::go_strings(&rule["verbs"]),
            ),
        );
    }
}

/// `deployments.apps/scale`
fn combined(rule: &Value) -> String {
    let (resource, group) = (rule["resources"][0].str(), rule["apiGroups"][0].str());
    match (group, resource.split_once('/')) {
        ("", _) => resource.to_owned(),
        (group, Some((resource, part))) => format!("{resource}.{group}/{part}"),
        (group, None) if !resource.is_empty() => format!("{resource}.{group}"),
        _ => String::new(),
    }
}

pub(super) fn role_binding(o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    w.line(0, "Role:");
    w.line(1, format!("Kind:\t{}", o["roleRef"]["kind"].str()));
    w.line(1, format!("Name:\t{}", o["roleRef"]["name"].str()));
    w.line(0, "Subjects:");
    w.line(1, "Kind\tName\tNamespace");
    w.line(1, "----\t----\t---------");
    for s in o["subjects"].items() {
        w.line(
            1,
            format!(
                "{}\t{}\t{}",
                s["kind"].str(),
                s["name"].str(),
                s["namespace"].str()
            ),
        );
    }
}
