//! What rules are: broken down, compared, put together again (component-helpers v0.37,
//! `auth/rbac/validation`; kubernetes v1.37, `pkg/registry/rbac/validation`).

use kubarium_objects::{Value, array, go, object};

/// Whether a rule's URL (`/healthz/*`) means a path.
pub(super) fn url_covers(owner: &str, path: &str) -> bool {
    owner == "*"
        || owner == path
        || owner.ends_with('*') && path.starts_with(owner.trim_end_matches('*'))
}

/// A rule as rules with one group, one resource, one verb and at most one name each.
pub fn breakdown(rule: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    let one = |v: &Value| array([v]);
    for group in rule["apiGroups"].items() {
        for resource in rule["resources"].items() {
            for verb in rule["verbs"].items() {
                let plain = object([
                    ("apiGroups", one(group)),
                    ("resources", one(resource)),
                    ("verbs", one(verb)),
                ]);
                let names = rule["resourceNames"].items();
                if names.is_empty() {
                    out.push(plain.clone());
                }
                for name in names {
                    let mut named = plain.clone();
                    named["resourceNames"] = one(name);
                    out.push(named);
                }
            }
        }
    }
    for url in rule["nonResourceURLs"].items() {
        for verb in rule["verbs"].items() {
            out.push(object([
                ("nonResourceURLs", one(url)),
                ("verbs", one(verb)),
            ]));
        }
    }
    out
}

/// Puts rules together that differ only in their verbs.
pub fn compact(rules: Vec<Value>) -> Vec<Value> {
    let mut others = Vec::new();
    let mut simple: Vec<Value> = Vec::new();
    for rule in rules {
        let single = |field: &str| rule[field].items().len() == 1;
        let is_simple = rule["nonResourceURLs"].is_empty()
            && rule["resourceNames"].items().len() <= 1
            && single("apiGroups")
            && single("resources");
        if !is_simple {
            others.push(rule);
            continue;
        }
        let same = simple.iter_mut().find(|s| {
            ["apiGroups", "resources", "resourceNames"]
                .iter()
                .all(|f| s[*f] == rule[*f])
        });
        match same {
            Some(same) => rule["verbs"]
                .items()
                .iter()
                .for_each(|v| same["verbs"].push(v)),
            None => simple.push(rule),
        }
    }
    others.extend(simple);
    others
}

/// The rules of `wanted`, broken down, that no rule of `held` covers.
pub(super) fn missing(held: &[Value], wanted: &[Value]) -> Vec<Value> {
    wanted
        .iter()
        .flat_map(breakdown)
        .filter(|rule| !held.iter().any(|owner| covers(owner, rule)))
        .collect()
}

/// Whether a rule covers one that is broken down.
fn covers(owner: &Value, rule: &Value) -> bool {
    let has = |list: &str, wanted: &str| owner[list].items().iter().any(|v| v.str() == wanted);
    let all = |list: &str| has(list, "*") || rule[list].items().iter().all(|v| has(list, v.str()));
    if !all("verbs") {
        return false;
    }
    let urls = rule["nonResourceURLs"].items();
    if !urls.is_empty() {
        let owned = owner["nonResourceURLs"].items();
        return urls
            .iter()
            .all(|url| owned.iter().any(|o| url_covers(o.str(), url.str())));
    }
    let of_subresources = || {
        rule["resources"].items().iter().all(|r| {
            let sub = r.str().split_once('/').map(|(_, sub)| format!("*/{sub}"));
            has("resources", r.str()) || sub.is_some_and(|sub| has("resources", &sub))
        })
    };
    let names = rule["resourceNames"].items();
    let named = owner["resourceNames"].is_empty()
        || !names.is_empty() && names.iter().all(|n| has("resourceNames", n.str()));
    all("apiGroups") && (all("resources") || of_subresources()) && named
}

/// `{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}`
pub(super) fn compact_string(rule: &Value) -> String {
    let parts: Vec<String> = [
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("ResourceNames", "resourceNames"),
        ("Verbs", "verbs"),
    ]
    .iter()
    .filter(|(_, field)| !rule[*field].is_empty())
    .map(|(shown, field)| {
        let values: Vec<String> = rule[*field]
            .items()
            .iter()
            .map(|v| go::quote(v.str()))
            .collect();
        format!("{shown}:[{}]", values.join(" "))
    })
    .collect();
    format!("{{{}}}", parts.join(", "))
}

/// A list of strings as Go prints it: `[get list]`.
pub fn go_strings(list: &Value) -> String {
    let values: Vec<&str> = list.items().iter().map(Value::str).collect();
    format!("[{}]", values.join(" "))
}

/// A rule as Go prints the struct; kubectl sorts by it.
pub fn go_rule(rule: &Value) -> String {
    format!(
        "&PolicyRule{{Verbs:{},APIGroups:{},Resources:{},ResourceNames:{},NonResourceURLs:{},}}",
        go_strings(&rule["verbs"]),
        go_strings(&rule["apiGroups"]),
        go_strings(&rule["resources"]),
        go_strings(&rule["resourceNames"]),
        go_strings(&rule["nonResourceURLs"]),
    )
}
