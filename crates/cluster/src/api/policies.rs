//! Admission that cluster admins write themselves: ValidatingAdmissionPolicies with their bindings, and
//! webhooks (apiserver v0.37, `pkg/admission/plugin/policy/validating`, `pkg/admission/plugin/webhook`).
//!
//! No program in the cluster speaks the webhooks' protocol: a webhook fails as one fails whose server
//! cannot be reached, and its failure policy decides.

use kubarium_objects::custom::Expression;
use kubarium_objects::schema::Resource;
use kubarium_objects::status::{Cause, Status};
use kubarium_objects::{Selector, Value, array, go, object};

use super::rbac::User;
use crate::cluster::Cluster;

pub(super) const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";
const BINDINGS: &str = "validatingadmissionpolicybindings.admissionregistration.k8s.io";
const VALIDATING: &str = "validatingwebhookconfigurations.admissionregistration.k8s.io";
const MUTATING: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io";

/// A request that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub resource: &'a Resource,
    pub object: &'a Value,
    pub old: Option<&'a Value>,
    pub user: Option<&'a User>,
}

impl Asked<'_> {
    fn operation(&self) -> &'static str {
        match self.old {
            Some(_) => "UPDATE",
            None => "CREATE",
        }
    }

    /// Whether the request is about the admission itself, which nothing may lock out.
    pub(super) fn is_exempt(&self) -> bool {
        &*self.resource.group == "admissionregistration.k8s.io"
    }
}

/// What a policy says of a request that it does not like.
struct Complaint {
    policy: String,
    binding: String,
    message: String,
    reason: String,
    actions: Vec<String>,
}

/// Asks policies and webhooks whether a valid object may be stored.
///
/// # Errors
/// As [`check_policies`] and [`call_webhooks`].
pub(super) fn check(cluster: &Cluster, asked: Asked) -> Result<(), Status> {
    if asked.old.is_some() {
        call_webhooks(cluster, asked, Hooks::Mutating)?;
    }
    check_policies(cluster, asked)?;
    call_webhooks(cluster, asked, Hooks::Validating)
}

/// Asks the policies.
///
/// # Errors
/// What the first policy says that denies the request: 422, or as its `reason` says.
fn check_policies(cluster: &Cluster, asked: Asked) -> Result<(), Status> {
    let denied = complaints(cluster, asked)
        .into_iter()
        .find(|c| c.actions.iter().any(|a| a == "Deny"));
    let Some(complaint) = denied else {
        return Ok(());
    };
    let message = format!(
        "ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {}",
        complaint.policy, complaint.binding, complaint.message
    );
    let name = asked.object["metadata"]["name"].str();
    let mut status = Status::forbidden(&asked.resource.id(), name, &message);
    let (reason, code) = match complaint.reason.as_str() {
        "Forbidden" => ("Forbidden", 403),
        "Unauthorized" => ("Unauthorized", 401),
        "RequestEntityTooLarge" => ("RequestEntityTooLarge", 413),
        _ => ("Invalid", 422),
    };
    status.code = code;
    status.reason = reason.into();
    status.details.causes.push(Cause {
        reason: "".into(),
        message,
        field: String::new(),
    });
    Err(status)
}

/// What policies warn of that only warn.
pub(super) fn warnings(cluster: &Cluster, asked: Asked) -> Vec<String> {
    let warn = |c: &Complaint| c.actions.iter().any(|a| a == "Warn");
    let all = complaints(cluster, asked);
    all.iter()
        .filter(|c| warn(c))
        .map(|c| {
            format!(
                "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                c.policy, c.binding, c.message
            )
        })
        .collect()
}

fn complaints(cluster: &Cluster, asked: Asked) -> Vec<Complaint> {
    let mut out = Vec::new();
    if asked.is_exempt() {
        return out;
    }
    for (_, binding) in cluster.etcd.list(BINDINGS, None) {
        let name = binding["spec"]["policyName"].str();
        let Some(policy) = cluster.find(POLICIES, "", name) else {
            continue;
        };
        if !is_about(cluster, asked, policy, binding) {
            continue;
        }
        let mut complain = |message: String, reason: &str| {
            let actions = binding["spec"]["validationActions"].items();
            out.push(Complaint {
                policy: name.to_owned(),
                binding: binding["metadata"]["name"].str().to_owned(),
                message,
                reason: reason.to_owned(),
                actions: actions.iter().map(|a| a.str().to_owned()).collect(),
            });
        };
        let params = match params(cluster, asked, policy, binding) {
            Ok(params) => params,
            Err(why) => {
                complain(why, "");
                continue;
            }
        };
        for params in params {
            evaluate(cluster, asked, policy, params, &mut complain);
        }
    }
    out
}

/// Whether a policy, as a binding narrows it, is about a request.
pub(super) fn is_about(cluster: &Cluster, asked: Asked, policy: &Value, binding: &Value) -> bool {
    let narrowed = &binding["spec"]["matchResources"];
    matches(cluster, asked, &policy["spec"]["matchConstraints"])
        && (narrowed.is_null() || matches(cluster, asked, narrowed))
}

/// What a policy's expressions can name, `object` first; none where its conditions leave the request
/// out.
///
/// # Errors
/// What a condition fails with.
pub(super) fn scope(
    cluster: &Cluster,
    asked: Asked,
    spec: &Value,
    params: Value,
) -> Result<Option<Vec<(&'static str, Value)>>, String> {
    let mut names = vec![
        ("object", asked.object.clone()),
        ("oldObject", asked.old.cloned().unwrap_or_default()),
        ("request", request(asked)),
        ("params", params),
        ("namespaceObject", namespace(cluster, asked).clone()),
        ("variables", Value::new_object()),
    ];
    for condition in spec["matchConditions"].items() {
        let Ok(expression) = Expression::parse(condition["expression"].str()) else {
            continue;
        };
        if expression.evaluate(&names)? != Value::Bool(true) {
            return Ok(None);
        }
    }
    for variable in spec["variables"].items() {
        let value = Expression::parse(variable["expression"].str())
            .ok()
            .and_then(|e| e.evaluate(&names).ok());
        if let (Some(value), Some((_, all))) = (value, names.last_mut()) {
            all[variable["name"].str()] = value;
        }
    }
    Ok(Some(names))
}

/// One policy with one set of parameters.
fn evaluate(
    cluster: &Cluster,
    asked: Asked,
    policy: &Value,
    params: Value,
    complain: &mut dyn FnMut(String, &str),
) {
    let spec = &policy["spec"];
    let strict = spec["failurePolicy"].str() != "Ignore";
    let names = match scope(cluster, asked, spec, params) {
        Ok(Some(names)) => names,
        Ok(None) => return,
        Err(why) => {
            if strict {
                complain(why, "");
            }
            return;
        }
    };
    for validation in spec["validations"].items() {
        let text = validation["expression"].str().trim();
        let Ok(expression) = Expression::parse(text) else {
            continue;
        };
        let message = match expression.evaluate(&names) {
            Ok(Value::Bool(true)) => continue,
            Ok(_) => {
                let own = Expression::parse(validation["messageExpression"].str())
                    .ok()
                    .and_then(|e| e.evaluate(&names).ok())
                    .map(|v| v.str().trim().to_owned())
                    .filter(|text| !text.is_empty());
                match (own, validation["message"].str().trim()) {
                    (Some(own), _) => own,
                    (None, "") => format!("failed expression: {text}"),
                    (None, message) => message.to_owned(),
                }
            }
            Err(_) if !strict => continue,
            Err(why) => format!("expression '{text}' resulted in error: {why}"),
        };
        complain(message, validation["reason"].str());
    }
}

/// `request` as expressions see it.
fn request(asked: Asked) -> Value {
    let r = asked.resource;
    let metadata = &asked.object["metadata"];
    let mut info = object([("username", "".into())]);
    if let Some(user) = asked.user {
        info = object([
            ("groups", array(user.groups.iter().map(String::as_str))),
            ("uid", user.uid.as_str().into()),
            ("username", user.name.as_str().into()),
        ]);
    }
    let of = |last: &str, value: &kubarium_objects::Text| {
        object([
            ("group", (&r.group).into()),
            ("version", (&r.version).into()),
            (last, value.into()),
        ])
    };
    object([
        ("dryRun", false.into()),
        ("kind", of("kind", &r.kind)),
        ("name", metadata["name"].str().into()),
        ("namespace", metadata["namespace"].str().into()),
        ("operation", asked.operation().into()),
        ("resource", of("resource", &r.plural)),
        ("userInfo", info),
    ])
}

/// The namespace of what is asked about; for a namespace itself the namespace.
fn namespace<'a>(cluster: &'a Cluster, asked: Asked<'a>) -> &'a Value {
    static NONE: Value = Value::Null;
    if &*asked.resource.id() == "namespaces" {
        return asked.object;
    }
    let name = asked.object["metadata"]["namespace"].str();
    cluster.find("namespaces", "", name).unwrap_or(&NONE)
}

/// The parameters that a binding names; one null where the policy takes none.
pub(super) fn params(
    cluster: &Cluster,
    asked: Asked,
    policy: &Value,
    binding: &Value,
) -> Result<Vec<Value>, String> {
    let (kind, reference) = (&policy["spec"]["paramKind"], &binding["spec"]["paramRef"]);
    if kind.is_null() || reference.is_null() {
        return Ok(vec![Value::Null]);
    }
    let resource = cluster
        .resource_by_kind(kind["apiVersion"].str(), kind["kind"].str())
        .ok_or_else(|| {
            format!(
                "failed to configure policy: failed to find resource referenced by paramKind: '{}, Kind={}'",
                kind["apiVersion"].str(),
                kind["kind"].str()
            )
        })?;
    let own = asked.object["metadata"]["namespace"].str();
    let place = match reference["namespace"].str() {
        "" if resource.namespaced => own,
        given => given,
    };
    let selector = Selector::from_label_selector(&reference["selector"]).ok();
    let name = reference["name"].str();
    let found: Vec<Value> = cluster
        .etcd
        .list(&resource.id(), (!place.is_empty()).then_some(place))
        .map(|(_, o)| o)
        .filter(|o| match (name, &selector) {
            ("", Some(selector)) => selector.matches(&o["metadata"]["labels"]),
            (name, _) => o["metadata"]["name"].str() == name,
        })
        .cloned()
        .collect();
    if found.is_empty() && reference["parameterNotFoundAction"].str() != "Allow" {
        return Err("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found)
}

/// Whether rules and selectors are about the request (`matching.Matcher`).
fn matches(cluster: &Cluster, asked: Asked, constraints: &Value) -> bool {
    let any = |list: &str| {
        let rules = constraints[list].items();
        rules.iter().any(|rule| fits(asked, rule))
    };
    let rules = constraints["resourceRules"].items().is_empty() || any("resourceRules");
    rules && !any("excludeResourceRules") && selected(cluster, asked, constraints)
}

fn selected(cluster: &Cluster, asked: Asked, of: &Value) -> bool {
    let picks = |selector: &Value, labels: &Value| {
        selector.is_null()
            || Selector::from_label_selector(selector).is_ok_and(|s| s.matches(labels))
    };
    let labels = |o: &Value| o["metadata"]["labels"].clone();
    let in_namespace = asked.resource.namespaced || &*asked.resource.id() == "namespaces";
    let before = asked.old.map(labels).unwrap_or_default();
    (!in_namespace || picks(&of["namespaceSelector"], &labels(namespace(cluster, asked))))
        && (picks(&of["objectSelector"], &labels(asked.object))
            || asked.old.is_some() && picks(&of["objectSelector"], &before))
}

/// Whether a rule names the operation and the resource.
fn fits(asked: Asked, rule: &Value) -> bool {
    let r = asked.resource;
    let names = |field: &str, value: &str| {
        let items = rule[field].items();
        items
            .iter()
            .any(|v| matches!(v.str(), "*") || v.str() == value)
    };
    let resources = rule["resources"].items();
    let named = resources
        .iter()
        .any(|v| matches!(v.str(), "*" | "*/*") || *v.str() == *r.plural);
    let only = rule["resourceNames"].items();
    let name = &asked.object["metadata"]["name"];
    let scope = match rule["scope"].str() {
        "Cluster" => !r.namespaced,
        "Namespaced" => r.namespaced,
        _ => true,
    };
    names("operations", asked.operation())
        && names("apiGroups", &r.group)
        && names("apiVersions", &r.version)
        && named
        && scope
        && (only.is_empty() || only.contains(name))
}

/// Which webhooks are meant.
#[derive(Clone, Copy)]
pub(super) enum Hooks {
    Mutating,
    Validating,
}

/// Calls the webhooks.
///
/// # Errors
/// 500 for a webhook that cannot be reached and whose failure policy is `Fail`.
pub(super) fn call_webhooks(cluster: &Cluster, asked: Asked, hooks: Hooks) -> Result<(), Status> {
    if asked.is_exempt() {
        return Ok(());
    }
    let kind = match hooks {
        Hooks::Mutating => MUTATING,
        Hooks::Validating => VALIDATING,
    };
    for (_, configuration) in cluster.etcd.list(kind, None) {
        for hook in configuration["webhooks"].items() {
            let meant = hook["rules"].items().iter().any(|rule| fits(asked, rule));
            if !meant || !selected(cluster, asked, hook) || hook["failurePolicy"].str() == "Ignore"
            {
                continue;
            }
            let name = go::quote(hook["name"].str());
            let (address, why) = unreachable(cluster, hook);
            let address = go::quote(&address);
            return Err(Status::internal(format!(
                "failed calling webhook {name}: failed to call webhook: Post {address}: {why}"
            )));
        }
    }
    Ok(())
}

/// Where a webhook is, and why nobody answers there.
fn unreachable(cluster: &Cluster, hook: &Value) -> (String, String) {
    let (client, seconds) = (
        &hook["clientConfig"],
        hook["timeoutSeconds"].as_i64().unwrap_or(10),
    );
    let service = &client["service"];
    if service.is_null() {
        let url = client["url"].str();
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or("");
        return (
            format!("{url}?timeout={seconds}s"),
            format!("dial tcp: lookup {host}: no such host"),
        );
    }
    let (name, place) = (service["name"].str(), service["namespace"].str());
    let port = service["port"].as_i64().unwrap_or(443);
    let path = match service["path"].str() {
        "" => "/",
        path => path,
    };
    let address = format!("https://{name}.{place}.svc:{port}{path}?timeout={seconds}s");
    let Some(found) = cluster.find("services", place, name) else {
        return (address, format!("service {} not found", go::quote(name)));
    };
    let ready = cluster
        .etcd
        .list("endpointslices.discovery.k8s.io", Some(place))
        .filter(|(_, s)| s["metadata"]["labels"]["kubernetes.io/service-name"].str() == name)
        .flat_map(|(_, s)| s["endpoints"].items())
        .any(|e| e["conditions"]["ready"].as_bool() == Some(true));
    if !ready {
        let why = format!("no endpoints available for service {}", go::quote(name));
        return (address, why);
    }
    let ip = found["spec"]["clusterIP"].str();
    let why = format!("dial tcp {ip}:{port}: connect: connection refused");
    (address, why)
}
