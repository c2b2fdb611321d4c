//! `kubectl auth reconcile`: roles and bindings get what a file has and they lack
//! (kubectl v1.37, `pkg/cmd/auth/reconcile.go`, component-helpers' `auth/rbac/reconciliation`).

use kubarium_objects::{Value, array};

use crate::kubectl::command::{Command, DRY_RUN, FILES, PRINT};
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, switch};
use crate::kubectl::request::Subresource;
use crate::kubectl::resource::Info;
use crate::kubectl::{DryRun, Kubectl};

const FLAGS: &[Flag] = &[
    switch(
        "remove-extra-permissions",
        "If true, removes extra permissions added to roles",
    ),
    switch(
        "remove-extra-subjects",
        "If true, removes extra subjects added to rolebindings",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "reconcile",
    "-f FILENAME [options]",
    "Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects",
    reconcile,
)
.flags(&[FILES, PRINT, DRY_RUN, FLAGS])
.changing();

/// What a list of the object is called, and what a switch may remove of it.
fn list_of(kind: &str) -> Option<(&'static str, &'static str)> {
    match kind {
        "Role" | "ClusterRole" => Some(("rules", "remove-extra-permissions")),
        "RoleBinding" | "ClusterRoleBinding" => Some(("subjects", "remove-extra-subjects")),
        _ => None,
    }
}

fn reconcile(k: &mut Kubectl) -> Result {
    if k.flags.list("filename").is_empty() {
        return plain("must specify one of -f and -k");
    }
    let format = k.format()?;
    let manifests = k.manifests()?;
    crate::kubectl::error::Error::aggregate(manifests.errors)?;
    for info in manifests.infos {
        let Some((list, switch)) = list_of(&info.resource.kind) else {
            k.err(format!("skipping {}\n", info.resource.kind));
            continue;
        };
        one(k, info, list, switch, &format)?;
    }
    Ok(())
}

fn one(
    k: &mut Kubectl,
    mut info: Info,
    list: &str,
    switch: &str,
    format: &crate::kubectl::output::Format,
) -> Result {
    let wanted = info.object[list].items().to_vec();
    let now = k.current(&info.key());
    let has = now
        .as_ref()
        .map_or(Vec::new(), |o| o[list].items().to_vec());
    let lacks = |all: &[Value], one: &Value| match list {
        "rules" => !covered(all, one),
        _ => !all.contains(one),
    };
    let missing: Vec<Value> = wanted.iter().filter(|w| lacks(&has, w)).cloned().collect();
    let extra: Vec<Value> = has.iter().filter(|h| lacks(&wanted, h)).cloned().collect();
    let removes = k.flags.bool(switch);
    let dry = k.dry_run()? != DryRun::None;
    let operation = match &now {
        None => "create",
        Some(old) if list == "subjects" && old["roleRef"] != info.object["roleRef"] => "recreate",
        Some(_) if !missing.is_empty() || removes && !extra.is_empty() => "update",
        Some(_) => "",
    };
    match (operation, now) {
        (_, _) if dry => {}
        ("create", _) => {
            info.object = k.create(&info.resource, &info.namespace, info.object.clone(), None)?;
        }
        ("recreate", _) => {
            k.delete(
                &info.key(),
                &crate::kubectl::request::DeleteOptions::default(),
            )?;
            info.object = k.create(&info.resource, &info.namespace, info.object.clone(), None)?;
        }
        ("update", Some(mut object)) => {
            let kept = if removes {
                wanted
            } else {
                has.into_iter().chain(missing.clone()).collect()
            };
            object[list] = array(kept);
            info.object = k.replace(&info, object, Subresource::None)?;
        }
        (_, Some(object)) => info.object = object,
        (_, None) => {}
    }
    k.report(format, &info, "reconciled")?;
    if operation.is_empty() {
        return Ok(());
    }
    k.err(format!("\treconciliation required {operation}\n"));
    let left = if removes { "removed" } else { "unaffected" };
    for (what, all) in [
        (format!("missing {list} added"), missing),
        (format!("extra {list} {left}"), extra),
    ] {
        if !all.is_empty() {
            k.err(format!("\t{what}:\n"));
            for one in all {
                k.err(format!("\t\t{}\n", shown(list, &one)));
            }
        }
    }
    Ok(())
}

/// Whether rules allow all that another one does.
fn covered(rules: &[Value], wanted: &Value) -> bool {
    let has = |rule: &Value, field: &str, value: &str| {
        let items = rule[field].items();
        items
            .iter()
            .any(|v| matches!(v.str(), "*") || v.str() == value)
    };
    let each = |field: &str| -> Vec<String> {
        let items = wanted[field].items();
        match items.is_empty() {
            true => vec![String::new()],
            false => items.iter().map(|v| v.str().to_owned()).collect(),
        }
    };
    let resources = !wanted["resources"].items().is_empty();
    each("verbs").iter().all(|verb| {
        if !resources {
            return each("nonResourceURLs").iter().all(|url| {
                rules
                    .iter()
                    .any(|r| has(r, "verbs", verb) && has(r, "nonResourceURLs", url))
            });
        }
        each("apiGroups").iter().all(|group| {
            each("resources").iter().all(|resource| {
                each("resourceNames").iter().all(|name| {
                    rules.iter().any(|r| {
                        has(r, "verbs", verb)
                            && has(r, "apiGroups", group)
                            && has(r, "resources", resource)
                            && (r["resourceNames"].items().is_empty()
                                || has(r, "resourceNames", name))
                    })
                })
            })
        })
    })
}

/// A rule or a subject as Go prints its struct.
fn shown(list: &str, one: &Value) -> String {
    let words = |field: &str| {
        let all: Vec<&str> = one[field].items().iter().map(Value::str).collect();
        format!("[{}]", all.join(" "))
    };
    match list {
        "rules" => {
            let fields = [
                "verbs",
                "apiGroups",
                "resources",
                "resourceNames",
                "nonResourceURLs",
            ];
            format!("{{{}}}", fields.map(words).join(" "))
        }
        _ => {
            let fields = ["kind", "apiGroup", "name", "namespace"];
            let all = fields.map(|f| one[f].str().to_owned());
            format!("{{{}}}", all.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_cover_rules() {
        let rule = |text: &str| kubarium_objects::yaml::parse(text).unwrap().remove(0).value;
        let all = [rule(
            "{verbs: [get, list], apiGroups: [''], resources: [pods, services]}",
        )];
        let covers = |text: &str| covered(&all, &rule(text));
        assert!(covers("{verbs: [get], apiGroups: [''], resources: [pods]}"));
        assert!(covers(
            "{verbs: [get], apiGroups: [''], resources: [pods], resourceNames: [a]}"
        ));
        assert!(!covers(
            "{verbs: [get, delete], apiGroups: [''], resources: [pods]}"
        ));
        assert!(!covers(
            "{verbs: [get], apiGroups: [apps], resources: [pods]}"
        ));
        assert!(!covers("{verbs: [get], nonResourceURLs: [/healthz]}"));
        let one = &all[0];
        assert_eq!(shown("rules", one), "{[get list] [] [pods services] [] []}");
    }
}
