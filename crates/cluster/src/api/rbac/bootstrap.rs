//! The roles and bindings that every API server makes (kubernetes v1.37,
//! `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`), as data.
//!
//! Lines of `bootstrap.txt`: `C NAME` a ClusterRole (`>x`: it is aggregated to x, `<x`: what is
//! aggregated to x is aggregated here), `R NAMESPACE/NAME` a Role, each followed by its rules ` VERBS
//! GROUPS RESOURCES [NAMES]` (`-` for the core group) or ` VERBS URLS`; `B NAME ROLE SUBJECTS` a
//! ClusterRoleBinding, `b NAMESPACE/NAME KIND/ROLE SUBJECTS` a RoleBinding; subjects are `g:` groups,
//! `u:` users, `s:` service accounts. The role of a controller, `system:controller:NAME`, is bound to
//! the service account NAME without a line.

use std::sync::LazyLock;

use kubarium_objects::{Value, array, object};

static TEXT: &str = include_str!("bootstrap.txt");
const GROUP: &str = "rbac.authorization.k8s.io";
const CONTROLLER: &str = "system:controller:";

/// The objects, as they are stored but for what makes each one single (uid, time).
pub(crate) static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(read);

fn read() -> Vec<Value> {
    let mut roles: Vec<Value> = Vec::new();
    let mut bindings = Vec::new();
    for line in TEXT.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [..] if line.starts_with(' ') => {
                if let Some(role) = roles.last_mut() {
                    role["rules"].push(rule(&words));
                }
            }
            ["C", name, ref aggregation @ ..] => {
                roles.push(cluster_role(name, aggregation));
                if let Some(account) = name.strip_prefix(CONTROLLER) {
                    let subject = format!("s:kube-system/{account}");
                    bindings.push(binding(name, "ClusterRole", name, &[&subject]));
                }
            }
            ["R", name] => roles.push(new("Role", name)),
            ["B", name, role, ref subjects @ ..] => {
                bindings.push(binding(name, "ClusterRole", role, subjects));
            }
            ["b", name, role, ref subjects @ ..] => {
                let (kind, role) = role.split_once('/').unwrap_or(("Role", role));
                bindings.push(binding(name, kind, role, subjects));
            }
            _ => {}
        }
    }
    roles.extend(bindings);
    roles
}

fn new(kind: &str, name: &str) -> Value {
    let mut metadata = object([
        (
            "annotations",
            object([("rbac.authorization.kubernetes.io/autoupdate", "true".into())]),
        ),
        (
            "labels",
            object([("kubernetes.io/bootstrapping", "rbac-defaults".into())]),
        ),
    ]);
    match name.split_once('/') {
        Some((namespace, name)) => {
            metadata["namespace"] = namespace.into();
            metadata["name"] = name.into();
        }
        None => metadata["name"] = name.into(),
    }
    object([
        ("apiVersion", format!("{GROUP}/v1").into()),
        ("kind", kind.into()),
        ("metadata", metadata),
    ])
}

fn cluster_role(name: &str, aggregation: &[&str]) -> Value {
    let mut role = new("ClusterRole", name);
    for word in aggregation {
        let label = format!("{GROUP}/aggregate-to-{}", &word[1..]);
        if word.starts_with('>') {
            role["metadata"]["labels"][label.as_str()] = "true".into();
        } else {
            let labels = object([(label.as_str(), "true".into())]);
            role["aggregationRule"]["clusterRoleSelectors"].push(object([("matchLabels", labels)]));
        }
    }
    role
}

fn rule(words: &[&str]) -> Value {
    let list = |word: &str| {
        let items = word.split(',').map(|w| if w == "-" { "" } else { w });
        array(items.collect::<Vec<_>>())
    };
    match words {
        [verbs, groups, resources] if !groups.starts_with('/') => object([
            ("apiGroups", list(groups)),
            ("resources", list(resources)),
            ("verbs", list(verbs)),
        ]),
        [verbs, groups, resources, names] => object([
            ("apiGroups", list(groups)),
            ("resourceNames", list(names)),
            ("resources", list(resources)),
            ("verbs", list(verbs)),
        ]),
        [verbs, urls, ..] => object([("nonResourceURLs", list(urls)), ("verbs", list(verbs))]),
        _ => Value::new_object(),
    }
}

fn binding(name: &str, kind: &str, role: &str, subjects: &[&str]) -> Value {
    let of = if name.contains('/') {
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    };
    let mut binding = new(of, name);
    binding["roleRef"] = object([
        ("apiGroup", GROUP.into()),
        ("kind", kind.into()),
        ("name", role.into()),
    ]);
    for subject in subjects {
        let (sort, name) = subject.split_at(2);
        binding["subjects"].push(match (sort, name.split_once('/')) {
            ("s:", Some((namespace, name))) => object([
                ("kind", "ServiceAccount".into()),
                ("name", name.into()),
                ("namespace", namespace.into()),
            ]),
            (sort, _) => object([
                ("apiGroup", GROUP.into()),
                ("kind", if sort == "g:" { "Group" } else { "User" }.into()),
                ("name", name.into()),
            ]),
        });
    }
    binding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_the_roles_and_bindings_of_a_real_cluster() {
        let count = |kind: &str| OBJECTS.iter().filter(|o| o["kind"].str() == kind).count();
        assert_eq!(count("ClusterRole"), COUNTS.0);
        assert_eq!(count("ClusterRoleBinding"), COUNTS.1);
        assert_eq!((count("Role"), count("RoleBinding")), (7, 7));
        let admin = &OBJECTS[0];
        assert_eq!(
            admin["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"].to_json(),
            r#"{"rbac.authorization.k8s.io/aggregate-to-admin":"true"}"#
        );
    }

    const COUNTS: (usize, usize) = (73, 54);
}
