//! MutatingAdmissionPolicies: what their expressions make of an object before it is validated
//! (apiserver v0.37, `pkg/admission/plugin/policy/mutating`). A policy is not asked again for what
//! later ones change.

use kubarium_objects::custom::Expression;
use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{Value, managed, patch};

use super::policies::{self, Asked};
use super::rbac::User;
use crate::cluster::Cluster;

pub(super) const POLICIES: &str = "mutatingadmissionpolicies.admissionregistration.k8s.io";
const BINDINGS: &str = "mutatingadmissionpolicybindings.admissionregistration.k8s.io";

/// Lets all policies that are about the request change the object.
///
/// # Errors
/// 403 for an expression that fails, where the failure policy is `Fail`.
pub(super) fn apply(
    cluster: &Cluster,
    resource: &Resource,
    object: &mut Value,
    old: Option<&Value>,
    user: Option<&User>,
) -> Result<(), Status> {
    for (_, binding) in cluster.etcd.list(BINDINGS, None) {
        let name = binding["spec"]["policyName"].str();
        let Some(policy) = cluster.find(POLICIES, "", name) else {
            continue;
        };
        let changed = changed(cluster, resource, object, old, user, policy, binding);
        match changed {
            Ok(Some(new)) => *object = cluster.decode(&cluster.typed(resource, &new)?, false)?.1,
            Ok(None) => {}
            Err(_) if policy["spec"]["failurePolicy"].str() == "Ignore" => {}
            Err(why) => {
                let binding = binding["metadata"]["name"].str();
                let why = format!("policy '{name}' with binding '{binding}' denied request: {why}");
                let about = object["metadata"]["name"].str();
                return Err(Status::forbidden(&resource.id(), about, &why));
            }
        }
    }
    Ok(())
}

/// The object as one policy, bound once, would have it; none where it is not about it.
fn changed(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    user: Option<&User>,
    policy: &Value,
    binding: &Value,
) -> Result<Option<Value>, String> {
    let first = Asked {
        resource,
        object,
        old,
        user,
    };
    if first.is_exempt() || !policies::is_about(cluster, first, policy, binding) {
        return Ok(None);
    }
    let mut new = None;
    for params in policies::params(cluster, first, policy, binding)? {
        let asked = Asked {
            object: new.as_ref().unwrap_or(object),
            ..first
        };
        if let Some(next) = mutate(cluster, asked, &policy["spec"], params)? {
            new = Some(next);
        }
    }
    Ok(new)
}

/// What a policy's mutations make of an object, one after the other.
fn mutate(
    cluster: &Cluster,
    asked: Asked,
    spec: &Value,
    params: Value,
) -> Result<Option<Value>, String> {
    let Some(mut names) = policies::scope(cluster, asked, spec, params)? else {
        return Ok(None);
    };
    let mut object = asked.object.clone();
    for mutation in spec["mutations"].items() {
        let json = mutation["patchType"].str() == "JSONPatch";
        let field = if json {
            "jsonPatch"
        } else {
            "applyConfiguration"
        };
        let text = mutation[field]["expression"].str().trim();
        let failed = |why: String| format!("expression '{text}' resulted in error: {why}");
        let expression = Expression::parse(text)
            .map_err(|_| failed("something in it is not simulated yet".to_owned()))?;
        if let Some((_, seen)) = names.first_mut() {
            *seen = object.clone();
        }
        let value = expression.evaluate(&names).map_err(failed)?;
        object = if json {
            patch::json_patch(&object, &value).map_err(|why| failed(why.to_string()))?
        } else {
            managed::merge(cluster.shape(asked.resource), &object, &value)
        };
    }
    Ok(Some(object))
}
