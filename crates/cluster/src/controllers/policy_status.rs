//! validatingadmissionpolicy-status-controller: what the types of the objects that a policy is about
//! say of its expressions (kubernetes v1.37, `pkg/controller/validatingadmissionpolicystatus`;
//! apiserver v0.37, `admission/plugin/policy/validating/typechecking.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::custom::{self, Type};
use kubarium_objects::schema::Resource;
use kubarium_objects::{ObjectKey, Value, object};

use super::{Controller, Outcome, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const RESOURCE: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";

/// Policies are checked for so many kinds at the most.
const KINDS_MAX: usize = 10;

pub(super) const CONTROLLER: Controller = Controller {
    name: "validatingadmissionpolicy-status-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE => vec![change.key.clone()],
        _ => Vec::new(),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(policy) = cluster.etcd.get(key) else {
        return Ok(());
    };
    let generation = policy["metadata"]["generation"].clone();
    if policy["status"]["observedGeneration"] == generation {
        return Ok(());
    }
    let warnings = check(cluster, policy);
    let mut checking = Value::new_object();
    if !warnings.is_empty() {
        checking["expressionWarnings"] = warnings.into();
    }
    cluster
        .modify(by, key, Subresource::Status, |policy| {
            policy["status"]["observedGeneration"] = generation;
            policy["status"]["typeChecking"] = checking;
        })
        .map(|_| ())
}

/// What is to be said of each expression of a policy.
fn check(cluster: &Cluster, policy: &Value) -> Vec<Value> {
    let kinds = kinds(cluster, policy);
    let mut warnings = Vec::new();
    for (at, validation) in policy["spec"]["validations"].items().iter().enumerate() {
        for field in ["expression", "messageExpression"] {
            let text = validation[field].str();
            let said: Vec<String> = kinds
                .iter()
                .filter_map(|kind| warning(cluster, policy, kind, text))
                .collect();
            if !text.is_empty() && !said.is_empty() {
                warnings.push(object([
                    ("fieldRef", format!("spec.validations[{at}].{field}").into()),
                    ("warning", said.join("\n").into()),
                ]));
            }
        }
    }
    warnings
}

/// The kinds that a policy names, in the order of group, version and kind; none by `*`.
fn kinds(cluster: &Cluster, policy: &Value) -> Vec<Arc<Resource>> {
    let mut found = BTreeMap::new();
    for rule in policy["spec"]["matchConstraints"]["resourceRules"].items() {
        let words = |field: &str| -> Vec<String> {
            let all = rule[field].items().iter().map(|v| v.str().to_owned());
            let plain: Vec<String> = all.filter(|v| !v.contains(['*', '/'])).collect();
            match plain.len() == rule[field].items().len() {
                true => plain,
                false => Vec::new(),
            }
        };
        let (groups, versions) = (words("apiGroups"), words("apiVersions"));
        for resource in cluster.resources() {
            let named = groups.iter().any(|g| **g == *resource.group)
                && versions.iter().any(|v| **v == *resource.version)
                && words("resources").iter().any(|r| **r == *resource.plural);
            if named {
                let key = (
                    resource.group.clone(),
                    resource.version.clone(),
                    resource.kind.clone(),
                );
                found.insert(key, resource);
            }
        }
    }
    found.into_values().take(KINDS_MAX).collect()
}

fn warning(cluster: &Cluster, policy: &Value, kind: &Resource, text: &str) -> Option<String> {
    let of = |resource: &Resource| match cluster.definitions().version(resource) {
        Some(version) => custom::type_of(&version.schema),
        None => custom::type_of_kind(resource),
    };
    let param = &policy["spec"]["paramKind"];
    let mut scope = vec![
        ("object", of(kind)),
        ("oldObject", of(kind)),
        ("request", custom::request_type()),
        ("authorizer", Type::Any),
        ("namespaceObject", Type::Any),
    ];
    if !param.is_null() {
        let found = cluster.resource_by_kind(param["apiVersion"].str(), param["kind"].str());
        scope.push(("params", found.map_or(Type::Dyn, |r| of(&r))));
    }
    let mut variables = Vec::new();
    for variable in policy["spec"]["variables"].items() {
        let made = custom::compile(variable["expression"].str(), &scope);
        variables.push((variable["name"].str().to_owned(), made.unwrap_or(Type::Any)));
        scope.retain(|(name, _)| *name != "variables");
        scope.push(("variables", Type::Message(variables.clone())));
    }
    let why = custom::compile(text.trim(), &scope).err()?;
    let version = match &*kind.group {
        "" => format!("/{}", kind.version),
        group => format!("{group}/{}", kind.version),
    };
    Some(format!("{version}, Kind={}: {why}\n", kind.kind))
}
