//! Webhook configurations and CustomResourceDefinitions.

use std::collections::{BTreeSet, HashSet};

use super::common::{Errors, items};
use super::definition;
use crate::custom::{self, Type};
use crate::field_error::FieldError;
use crate::go;
use crate::names;
use crate::value::Value;

pub(super) fn webhooks(e: &mut Errors, o: &Value) {
    let mut seen = BTreeSet::new();
    for (p, w) in items(&o["webhooks"], "webhooks") {
        let name = w["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else if name.split('.').count() < 3 || !names::dns1123_subdomain(name).is_empty() {
            let complaints = names::dns1123_subdomain(name);
            if complaints.is_empty() {
                e.invalid(
                    format!("{p}.name"),
                    name,
                    "should be a domain with at least three segments separated by dots",
                );
            }
            e.names(format!("{p}.name"), name, complaints);
        }
        if !name.is_empty() && !seen.insert(name) {
            e.duplicate(format!("{p}.name"), name);
        }
        let versions = &w["admissionReviewVersions"];
        if versions.items().is_empty() {
            e.required(
                format!("{p}.admissionReviewVersions"),
                "must specify one of v1, v1beta1",
            );
        } else if !versions
            .items()
            .iter()
            .any(|v| matches!(v.str(), "v1" | "v1beta1"))
        {
            e.invalid(
                format!("{p}.admissionReviewVersions"),
                versions,
                "must include at least one of v1, v1beta1",
            );
        }
        let mut known = BTreeSet::new();
        for (q, version) in items(versions, &format!("{p}.admissionReviewVersions")) {
            let version = version.str();
            if !known.insert(version) {
                e.invalid(&*q, version, "duplicate version");
            }
            e.names(q, version, names::dns1035_label(version));
        }
        for (q, rule) in items(&w["rules"], &format!("{p}.rules")) {
            self::rule(e, &q, rule);
        }
        e.one_of(
            format!("{p}.failurePolicy"),
            &w["failurePolicy"],
            &["Fail", "Ignore"],
        );
        e.one_of(
            format!("{p}.matchPolicy"),
            &w["matchPolicy"],
            &["Equivalent", "Exact"],
        );
        let effects = &w["sideEffects"];
        if effects.is_null() {
            e.required(
                format!("{p}.sideEffects"),
                "must specify one of None, NoneOnDryRun",
            );
        } else {
            e.one_of(
                format!("{p}.sideEffects"),
                effects,
                &["None", "NoneOnDryRun"],
            );
        }
        if w["timeoutSeconds"]
            .as_i64()
            .is_some_and(|n| !(1..=30).contains(&n))
        {
            e.invalid(
                format!("{p}.timeoutSeconds"),
                &w["timeoutSeconds"],
                "the timeout value must be between 1 and 30 seconds",
            );
        }
        e.one_of(
            format!("{p}.reinvocationPolicy"),
            &w["reinvocationPolicy"],
            &["IfNeeded", "Never"],
        );
        let at = format!("{p}.matchConditions");
        match_conditions(e, &at, &w["matchConditions"], &hook_scope());
        e.selector(&format!("{p}.namespaceSelector"), &w["namespaceSelector"]);
        e.selector(&format!("{p}.objectSelector"), &w["objectSelector"]);
        client_config(e, &format!("{p}.clientConfig"), &w["clientConfig"]);
    }
}

pub(super) fn policy(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let lacks = |field: &str| spec[field].items().is_empty();
    if lacks("validations") && lacks("auditAnnotations") {
        e.required(
            "spec.validations",
            "validations or auditAnnotations must be non-empty; at least one policy expression must be supplied",
        );
    }
    let constraints = &spec["matchConstraints"];
    let at = "spec.matchConstraints";
    if constraints.is_null() {
        e.required(at, "");
    } else if constraints["resourceRules"].items().is_empty() {
        e.required(format!("{at}.resourceRules"), "");
    }
    for (p, rule) in items(
        &constraints["resourceRules"],
        &format!("{at}.resourceRules"),
    ) {
        self::rule(e, &p, rule);
    }
    e.one_of(
        "spec.failurePolicy",
        &spec["failurePolicy"],
        &["Fail", "Ignore"],
    );
    let mut scope = policy_scope(spec);
    match_conditions(e, "spec.matchConditions", &spec["matchConditions"], &scope);
    let mut variables = Vec::new();
    for (p, variable) in items(&spec["variables"], "spec.variables") {
        expression(e, &p, variable, "");
        let at = format!("{p}.expression");
        let of = compiled(e, &at, &variable["expression"], &scope, &[]);
        let name = variable["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else if !is_identifier(name) {
            let why = "name is not a valid CEL identifier";
            e.invalid(format!("{p}.name"), name, why);
        }
        variables.push((name.to_owned(), of));
        scope.retain(|(name, _)| *name != "variables");
        scope.push(("variables", Type::Message(variables.clone())));
    }
    for (p, validation) in items(&spec["validations"], "spec.validations") {
        expression(e, &p, validation, "expression is not specified");
        let at = format!("{p}.expression");
        compiled(e, &at, &validation["expression"], &scope, &[Type::Bool]);
        said(e, &p, validation);
        let at = format!("{p}.messageExpression");
        compiled(
            e,
            &at,
            &validation["messageExpression"],
            &scope,
            &[Type::String],
        );
    }
    audit_annotations(e, o, &scope);
}

/// What a policy notes for the audit log.
fn audit_annotations(e: &mut Errors, o: &Value, scope: &[(&str, Type)]) {
    let (list, at) = (&o["spec"]["auditAnnotations"], "spec.auditAnnotations");
    if list.items().len() > 20 {
        e.invalid(at, list, "must not have more than 20 auditAnnotations");
    }
    let name = o["metadata"]["name"].str();
    let mut seen = HashSet::new();
    for (p, annotation) in items(list, at) {
        let key = annotation["key"].str();
        let at = format!("{p}.key");
        if name.is_empty() {
            e.invalid(&*at, key, "requires metadata.name be non-empty");
        } else {
            let whole = format!("{name}/{key}");
            e.names(&*at, &whole, names::qualified_name(&whole));
        }
        let value = &annotation["valueExpression"];
        let at_value = format!("{p}.valueExpression");
        if value.str().trim().is_empty() {
            e.required(at_value, "valueExpression is not specified");
        } else if value.str().trim().len() > 5 << 10 {
            e.required(at_value, "must not exceed 5120 bytes in length");
        } else {
            compiled(e, &at_value, value, scope, &[Type::String, Type::Null]);
        }
        if !key.is_empty() && !seen.insert(key) {
            e.duplicate(at, key);
        }
    }
}

/// What the expressions of a policy can name.
fn policy_scope(spec: &Value) -> Vec<(&'static str, Type)> {
    let mut scope = hook_scope();
    scope.push(("namespaceObject", Type::Any));
    if !spec["paramKind"].is_null() {
        scope.push(("params", Type::Dyn));
    }
    scope
}

/// What the conditions of a webhook can name.
fn hook_scope() -> Vec<(&'static str, Type)> {
    vec![
        ("object", Type::Dyn),
        ("oldObject", Type::Dyn),
        ("request", custom::request_type()),
        ("authorizer", Type::Any),
    ]
}

/// An expression must compile, and to one of some types; none for any. An empty one is right.
fn compiled(
    e: &mut Errors,
    path: &str,
    given: &Value,
    scope: &[(&str, Type)],
    wanted: &[Type],
) -> Type {
    let text = given.str();
    if text.trim().is_empty() {
        return Type::Any;
    }
    let of = match custom::compile(text.trim(), scope) {
        Ok(of) => of,
        Err(why) => {
            e.invalid(path, text, format!("compilation failed: {why}"));
            return Type::Any;
        }
    };
    if !wanted.is_empty() && of != Type::Any && !wanted.contains(&of) {
        let why = match wanted {
            [one] => format!("must evaluate to {one} but got {of}"),
            _ => format!("must evaluate to one of [string null_type] but got {of}"),
        };
        e.invalid(path, text, why);
    }
    of
}

/// What a policy says to a request that it refuses.
fn said(e: &mut Errors, path: &str, validation: &Value) {
    let at = |field: &str| format!("{path}.{field}");
    for field in ["messageExpression", "message"] {
        let Some(text) = validation[field].as_str() else {
            continue;
        };
        if !text.is_empty() && text.trim().is_empty() {
            e.invalid(at(field), text, "must be non-empty if specified");
        } else if field == "message" && text.contains('\n') {
            e.invalid(at(field), text, "must not contain line breaks");
        }
    }
    e.one_of(
        at("reason"),
        &validation["reason"],
        &[
            "Forbidden",
            "Invalid",
            "RequestEntityTooLarge",
            "Unauthorized",
        ],
    );
}

fn expression(e: &mut Errors, path: &str, of: &Value, why: &str) {
    if of["expression"].str().trim().is_empty() {
        e.required(format!("{path}.expression"), why);
    }
}

fn is_identifier(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// When a webhook or a policy is asked at all.
fn match_conditions(e: &mut Errors, path: &str, list: &Value, scope: &[(&str, Type)]) {
    let many = list.items().len();
    if many > 64 {
        e.push(FieldError::too_many(path, many, 64));
    }
    let mut seen = HashSet::new();
    for (p, condition) in items(list, path) {
        expression(e, &p, condition, "");
        let at = format!("{p}.expression");
        compiled(e, &at, &condition["expression"], scope, &[Type::Bool]);
        let (at, name) = (format!("{p}.name"), condition["name"].str());
        if name.is_empty() {
            e.required(at, "");
            continue;
        }
        e.names(&*at, name, names::qualified_name(name));
        if !seen.insert(name) {
            e.duplicate(at, name);
        }
    }
}

/// A policy that changes objects.
pub(super) fn mutating_policy(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let at = "spec.mutations";
    if spec["mutations"].items().is_empty() {
        e.required(at, "mutations must contain at least one item");
    }
    for (p, mutation) in items(&spec["mutations"], at) {
        let kinds = ["ApplyConfiguration", "JSONPatch"];
        e.required_one_of(format!("{p}.patchType"), &mutation["patchType"], &kinds);
        for (kind, field) in kinds.iter().zip(["applyConfiguration", "jsonPatch"]) {
            let text = mutation[field]["expression"].str();
            if mutation["patchType"].str() == *kind && text.trim().is_empty() {
                e.required(format!("{p}.{field}.expression"), "");
            }
        }
    }
    let scope = policy_scope(spec);
    match_conditions(e, "spec.matchConditions", &spec["matchConditions"], &scope);
    let at = "spec.matchConstraints";
    if spec["matchConstraints"].is_null() {
        e.required(at, "");
    }
    let rules = &spec["matchConstraints"]["resourceRules"];
    for (p, rule) in items(rules, &format!("{at}.resourceRules")) {
        self::rule(e, &p, rule);
    }
    e.one_of(
        "spec.failurePolicy",
        &spec["failurePolicy"],
        &["Fail", "Ignore"],
    );
    let again = &spec["reinvocationPolicy"];
    e.required_one_of("spec.reinvocationPolicy", again, &["IfNeeded", "Never"]);
}

pub(super) fn policy_binding(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    if spec["policyName"].is_empty() {
        e.required("spec.policyName", "");
    }
    let (at, actions) = ("spec.validationActions", &spec["validationActions"]);
    if actions.items().is_empty() {
        e.required(at, "");
    }
    let mut seen = HashSet::new();
    for (p, action) in items(actions, at) {
        e.one_of(&*p, action, &["Audit", "Deny", "Warn"]);
        if !seen.insert(action.str()) {
            e.duplicate(p, action);
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        e.invalid(
            at,
            actions,
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        );
    }
}

/// What a webhook or a policy is about: operations on resources.
pub(super) fn rule(e: &mut Errors, path: &str, rule: &Value) {
    for (field, what) in [
        ("operations", "operations"),
        ("apiGroups", "API groups"),
        ("apiVersions", "API versions"),
    ] {
        let (at, list) = (format!("{path}.{field}"), &rule[field]);
        if list.items().is_empty() {
            e.required(&*at, "");
        }
        if list.items().len() > 1 && list.items().iter().any(|v| v.str() == "*") {
            let why = format!("if '*' is present, must not specify other {what}");
            e.invalid(at, list, why);
        }
    }
    for (p, operation) in items(&rule["operations"], &format!("{path}.operations")) {
        e.one_of(
            p,
            operation,
            &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"],
        );
    }
    for (p, version) in items(&rule["apiVersions"], &format!("{path}.apiVersions")) {
        if version.is_empty() {
            e.required(p, "");
        }
    }
    rule_resources(e, &format!("{path}.resources"), &rule["resources"]);
    e.one_of(
        format!("{path}.scope"),
        &rule["scope"],
        &["*", "Cluster", "Namespaced"],
    );
}

fn rule_resources(e: &mut Errors, path: &str, list: &Value) {
    if list.items().is_empty() {
        e.required(path, "");
    }
    let (mut whole, mut everywhere) = (Vec::new(), Vec::new());
    let mut plain = false;
    for (p, item) in items(list, path) {
        let name = item.str();
        if name.is_empty() {
            e.required(p, "");
            continue;
        }
        let Some((resource, part)) = name.split_once('/') else {
            plain |= name != "*";
            continue;
        };
        if whole.contains(&resource) {
            let why = format!("if '{resource}/*' is present, must not specify {name}");
            e.invalid(&*p, item, why);
        }
        if everywhere.contains(&part) {
            let why = format!("if '*/{part}' is present, must not specify {name}");
            e.invalid(p, item, why);
        }
        if part == "*" {
            whole.push(resource);
        }
        if resource == "*" {
            everywhere.push(part);
        }
    }
    let has = |name: &str| list.items().iter().any(|v| v.str() == name);
    if list.items().len() > 1 && has("*/*") {
        e.invalid(
            path,
            list,
            "if '*/*' is present, must not specify other resources",
        );
    }
    if has("*") && plain {
        e.invalid(
            path,
            list,
            "if '*' is present, must not specify other resources without subresources",
        );
    }
}

fn client_config(e: &mut Errors, path: &str, c: &Value) {
    let (url, service) = (&c["url"], &c["service"]);
    if url.is_null() == service.is_null() {
        return e.required(path, "exactly one of url or service is required");
    }
    if service.is_null() {
        return webhook_url(e, &format!("{path}.url"), url.str());
    }
    for field in ["name", "namespace"] {
        if service[field].str().is_empty() {
            e.required(
                format!("{path}.service.{field}"),
                format!("service {field} is required"),
            );
        }
    }
    webhook_path(e, &format!("{path}.service.path"), service["path"].str());
    let port = service["port"].as_i64().unwrap_or(443);
    for why in names::port_number(port) {
        e.invalid(
            format!("{path}.service.port"),
            port,
            format!("port is not valid: {why}"),
        );
    }
}

fn webhook_url(e: &mut Errors, path: &str, url: &str) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
    if scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{FORM}");
        e.invalid(path, scheme, why);
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.split('/').next().unwrap_or("");
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        e.invalid(path, "", format!("host must be specified{FORM}"));
    }
    for (part, why) in [
        (user, "user information is not permitted in the URL"),
        (fragment, "fragments are not permitted in the URL"),
        (query, "query parameters are not permitted in the URL"),
    ] {
        if !part.is_empty() {
            e.invalid(path, part, why);
        }
    }
}

/// The path below a Service: names between slashes.
fn webhook_path(e: &mut Errors, at: &str, path: &str) {
    if matches!(path, "" | "/") {
        return;
    }
    if path == "//" {
        return e.invalid(at, path, "segment[0] may not be empty");
    }
    if !path.starts_with('/') {
        e.invalid(at, path, "must start with a '/'");
    }
    let inner = path.get(1..).unwrap_or("");
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    for (n, step) in inner.split('/').enumerate() {
        if step.is_empty() {
            e.invalid(at, path, format!("segment[{n}] may not be empty"));
        } else {
            for why in names::dns1123_subdomain(step) {
                e.invalid(at, path, format!("segment[{n}]: {why}"));
            }
        }
    }
}

pub(super) fn custom_resource(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let (group, plural) = (spec["group"].str(), spec["names"]["plural"].str());
    // Each of both names is looked at where it is given.
    for field in ["generateName", "name"] {
        let name = o["metadata"][field].str();
        if !name.is_empty() && name != format!("{plural}.{group}") {
            let why = "must be spec.names.plural+\".\"+spec.group";
            e.invalid(format!("metadata.{field}"), name, why);
        }
    }
    if group.is_empty() {
        e.required("spec.group", "");
    } else if !names::dns1123_subdomain(group).is_empty() {
        e.names("spec.group", group, names::dns1123_subdomain(group));
    } else if !group.contains('.') {
        e.invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        );
    }
    e.required_one_of("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]);
    for (p, version) in items(&spec["versions"], "spec.versions") {
        if version["schema"]["openAPIV3Schema"].is_null() {
            e.required(format!("{p}.schema.openAPIV3Schema"), "");
        }
    }
    let mut known = HashSet::new();
    let mut unique = true;
    for (p, version) in items(&spec["versions"], "spec.versions") {
        let name = version["name"].str();
        unique &= known.insert(name);
        joined(e, format!("{p}.name"), name, "", names::dns1035_label(name));
    }
    // The first version is the one of the older form as well.
    let first = spec["versions"][0]["name"].str();
    if !first.is_empty() {
        joined(
            e,
            "spec.version".to_owned(),
            first,
            "",
            names::dns1035_label(first),
        );
    }
    definition::versions(e, spec);
    let stored = spec["versions"]
        .items()
        .iter()
        .filter(|v| v["storage"].as_bool() == Some(true))
        .count();
    let shown: Vec<String> = spec["versions"].items().iter().map(shown_version).collect();
    let shown = match &spec["versions"] {
        Value::Null => "null".to_string(),
        _ => format!("[{}]", shown.join(",")),
    };
    let mut versions = |why: &str| {
        e.push(FieldError::invalid_shown("spec.versions", &*shown, why));
    };
    if !unique {
        versions("must contain unique version names");
    }
    if stored != 1 {
        versions("must have exactly one version marked as storage version");
    }
    if spec["preserveUnknownFields"].as_bool() == Some(true) {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        e.invalid("spec.preserveUnknownFields", true, why);
        let strategy = &spec["conversion"]["strategy"];
        if !matches!(strategy.str(), "" | "None") {
            let why = "must be None if spec.preserveUnknownFields is true";
            e.invalid("spec.conversion.strategy", strategy, why);
        }
    }
    resource_names(e, &spec["names"]);
    definition::top(e, spec);
    conversion(e, &spec["conversion"]);
    if stored == 0 {
        e.invalid(
            "status.storedVersions",
            Value::Null,
            "must have at least one stored version",
        );
    }
    let protected = group.ends_with(".k8s.io")
        || group.ends_with(".kubernetes.io")
        || group == "k8s.io"
        || group == "kubernetes.io";
    let approval = "api-approved.kubernetes.io";
    if protected && o["metadata"]["annotations"][approval].str().is_empty() {
        let detail = format!(
            "protected groups must have approval annotation \"{approval}\", see https://github.com/kubernetes/enhancements/pull/1111"
        );
        e.required(format!("metadata.annotations[{approval}]"), detail);
    }
}

fn joined(e: &mut Errors, path: String, name: &str, before: &str, complaints: Vec<String>) {
    if !complaints.is_empty() {
        e.invalid(path, name, format!("{before}{}", complaints.join(",")));
    }
}

fn conversion(e: &mut Errors, conversion: &Value) {
    let (at, strategy) = ("spec.conversion", conversion["strategy"].str());
    if conversion.is_null() {
        return;
    }
    e.required_one_of(
        format!("{at}.strategy"),
        &conversion["strategy"],
        &["None", "Webhook"],
    );
    let webhook = &conversion["webhook"];
    let client = format!("{at}.webhookClientConfig");
    if strategy != "Webhook" {
        if !webhook["clientConfig"].is_null() {
            e.forbidden(
                client,
                "should not be set when strategy is not set to Webhook",
            );
        }
        if !webhook["conversionReviewVersions"].is_null() {
            let why = "should not be set when strategy is not set to Webhook";
            e.forbidden(format!("{at}.conversionReviewVersions"), why);
        }
    } else if webhook["clientConfig"].is_null() {
        e.required(client, "required when strategy is set to Webhook");
    } else {
        client_config(e, &client, &webhook["clientConfig"]);
    }
    if strategy != "Webhook" {
        return;
    }
    let (versions, at) = (
        &webhook["conversionReviewVersions"],
        format!("{at}.conversionReviewVersions"),
    );
    let known = |v: &Value| matches!(v.str(), "v1" | "v1beta1");
    if versions.items().is_empty() {
        e.required(&*at, "");
    } else if !versions.items().iter().any(known) {
        e.invalid(&*at, versions, "must include at least one of v1, v1beta1");
    }
    for (p, version) in items(versions, &at) {
        e.names(p, version.str(), names::dns1035_label(version.str()));
    }
}

/// A version as the API server's internal type prints.
fn shown_version(v: &Value) -> String {
    let name = go::json(&v["name"]);
    let flag = |field: &str| v[field].as_bool() == Some(true);
    format!(
        "{{\"Name\":{name},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":null,\"Schema\":null,\"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
        flag("served"),
        flag("storage"),
        flag("deprecated")
    )
}

fn resource_names(e: &mut Errors, n: &Value) {
    let fields = ["plural", "singular", "kind", "listKind"];
    let at = |field: &str| format!("spec.names.{field}");
    for field in fields.iter().filter(|f| n[**f].str().is_empty()) {
        e.required(at(field), "");
    }
    for field in fields.iter().filter(|f| !n[**f].str().is_empty()) {
        let name = n[*field].str();
        let (form, before) = match *field {
            "kind" | "listKind" => (
                name.to_lowercase(),
                "may have mixed case, but should otherwise match: ",
            ),
            _ => (name.to_owned(), ""),
        };
        joined(e, at(field), name, before, names::dns1035_label(&form));
    }
    for list in ["shortNames", "categories"] {
        for (p, name) in items(&n[list], &at(list)) {
            joined(e, p, name.str(), "", names::dns1035_label(name.str()));
        }
        if list == "shortNames" && !n["kind"].str().is_empty() && n["kind"] == n["listKind"] {
            let why = "kind and listKind may not be the same";
            e.invalid(at("listKind"), &n["listKind"], why);
        }
    }
}
