//! Nobody gives away rights that they do not have (kubernetes v1.37,
//! `pkg/registry/rbac/*/policybased`).

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{Value, go};

use super::{Attributes, User, rules};
use crate::cluster::Cluster;

/// Checks a role or a binding that a user makes or changes.
pub(in crate::api) fn check(
    cluster: &Cluster,
    user: &User,
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if &*resource.group != "rbac.authorization.k8s.io" || user.is_master() {
        return Ok(());
    }
    let namespace = object["metadata"]["namespace"].str();
    let name = object["metadata"]["name"].str();
    let same = |field: &str| old.is_some_and(|old| old[field].same(&object[field]));
    let may = |verb: &str, plural: &str, name: &str| {
        let attributes = Attributes {
            verb,
            group: &resource.group,
            resource: plural,
            namespace,
            name,
            ..Attributes::default()
        };
        cluster.decide(user, &attributes).allowed
    };
    let granted: &[Value] = match &*resource.plural {
        "roles" | "clusterroles" => {
            if same("rules") && same("aggregationRule") {
                return Ok(());
            }
            let verb = if old.is_some() { name } else { "" };
            if may("escalate", &resource.plural, verb) {
                return Ok(());
            }
            let everything = object["aggregationRule"].as_object().is_some();
            if everything && !same("aggregationRule") {
                let all = [
                    kubarium_objects::object([
                        ("apiGroups", kubarium_objects::array(["*"])),
                        ("resources", kubarium_objects::array(["*"])),
                        ("verbs", kubarium_objects::array(["*"])),
                    ]),
                    kubarium_objects::object([
                        ("nonResourceURLs", kubarium_objects::array(["*"])),
                        ("verbs", kubarium_objects::array(["*"])),
                    ]),
                ];
                let held = cluster.rules_for(user, namespace);
                let missing = rules::missing(&held, &all);
                if !missing.is_empty() {
                    let why = format!(
                        "must have cluster-admin privileges to use an aggregationRule: {}",
                        refusal(user, missing)
                    );
                    return Err(Status::forbidden(&resource.id(), name, &why));
                }
            }
            object["rules"].items()
        }
        "rolebindings" | "clusterrolebindings" => {
            if same("subjects") && same("roleRef") {
                return Ok(());
            }
            let reference = &object["roleRef"];
            let plural = match reference["kind"].str() {
                "Role" => "roles",
                _ => "clusterroles",
            };
            if may("bind", plural, reference["name"].str()) {
                return Ok(());
            }
            match cluster.referenced_rules(reference, namespace) {
                Ok(rules) => rules,
                Err(_) => {
                    let id = format!("{plural}.{}", resource.group);
                    return Err(Status::not_found(&id, reference["name"].str()));
                }
            }
        }
        _ => return Ok(()),
    };
    let held = cluster.rules_for(user, namespace);
    let missing = rules::missing(&held, granted);
    if missing.is_empty() {
        return Ok(());
    }
    let why = refusal(user, missing);
    Err(Status::forbidden(&resource.id(), name, &why))
}

fn refusal(user: &User, missing: Vec<Value>) -> String {
    let groups: Vec<String> = user.groups.iter().map(|g| go::quote(g)).collect();
    let mut lines: Vec<String> = rules::compact(missing)
        .iter()
        .map(rules::compact_string)
        .collect();
    lines.sort();
    lines.dedup();
    format!(
        "user {} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        go::quote(&user.name),
        groups.join(" "),
        lines.join("\n")
    )
}
