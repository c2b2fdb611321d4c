//! ServiceAccounts, roles and bindings.

use kubarium_objects::{ObjectMeta, Value};

use super::{events, go_list, head, marks, or_none};
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
    let mut rows = rules(o);
    // By resource, the wildcard first; subresources before what they belong to.
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.2.cmp(&b.2)));
    for (line, _, _) in rows {
        w.line(1, line);
    }
}

/// A row for each resource of each rule, with what it is sorted by.
fn rules(o: &Value) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    for rule in o["rules"].items() {
        let (names, verbs) = (go_list(&rule["resourceNames"]), go_list(&rule["verbs"]));
        for group in rule["apiGroups"].items() {
            for resource in rule["resources"].items() {
                let (plural, part) = resource
                    .str()
                    .split_once('/')
                    .map_or((resource.str(), String::new()), |(p, s)| {
                        (p, format!("/{s}"))
                    });
                let shown = if group.str().is_empty() {
                    format!("{plural}{part}")
                } else {
                    format!("{plural}.{}{part}", group.str())
                };
                rows.push((
                    format!("{shown}\t[]\t{names}\t{verbs}"),
                    resource.str().to_owned(),
                    shown,
                ));
            }
        }
        for url in rule["nonResourceURLs"].items() {
            rows.push((
                format!("\t[{}]\t{names}\t{verbs}", url.str()),
                String::new(),
                url.str().to_owned(),
            ));
        }
    }
    rows
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
