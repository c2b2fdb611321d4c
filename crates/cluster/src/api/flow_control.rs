//! API priority and fairness as objects: the levels and flow schemas that every API server makes
//! (apiserver v0.37, `pkg/apis/flowcontrol/bootstrap`), and whether a schema's level exists
//! (`pkg/util/flowcontrol`, presyncFlowSchemaStatus). No request ever waits here for others: the
//! simulated API server is never too busy.

use kubarium_objects::{ObjectKey, Value, array, go, object};

use super::Subresource;
use crate::cluster::Cluster;
use crate::event::Component;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const SCHEMAS: &str = "flowschemas.flowcontrol.apiserver.k8s.io";
const LEVELS: &str = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io";

/// A level with limits: its name, its shares, how many of a hundred others may borrow, and its
/// queues with their hand size, if requests wait.
type Limited = (&'static str, i64, i64, Option<(i64, i64)>);

const LIMITED: [Limited; 7] = [
    ("catch-all", 5, 0, None),
    ("global-default", 20, 50, Some((128, 6))),
    ("leader-election", 10, 0, Some((16, 4))),
    ("node-high", 40, 25, Some((64, 6))),
    ("system", 30, 33, Some((64, 6))),
    ("workload-high", 40, 50, Some((128, 6))),
    ("workload-low", 100, 90, Some((128, 6))),
];

/// Name, level, precedence, what tells flows apart, subjects (`g:` groups, `u:` users, `s:` service
/// accounts of kube-system), rules: `VERBS;GROUP;RESOURCES;NAMESPACED` or `VERBS;URLS`; all that can
/// be asked where there are none.
const FLOWS: &str = "\
catch-all catch-all 10000 ByUser g:system:unauthenticated,g:system:authenticated
exempt exempt 1 - g:system:masters
global-default global-default 9900 ByUser g:system:unauthenticated,g:system:authenticated
kube-controller-manager workload-high 800 ByNamespace u:system:kube-controller-manager
kube-scheduler workload-high 800 ByNamespace u:system:kube-scheduler
kube-system-service-accounts workload-high 900 ByNamespace s:*
probes exempt 2 - g:system:unauthenticated,g:system:authenticated get;/healthz,/readyz,/livez
service-accounts workload-low 9000 ByUser g:system:serviceaccounts
system-leader-election leader-election 100 ByUser u:system:kube-controller-manager,u:system:kube-scheduler,s:* get,create,update;coordination.k8s.io;leases;yes
system-node-high node-high 400 ByUser g:system:nodes *;;nodes,nodes/status;no *;coordination.k8s.io;leases;yes
system-nodes system 500 ByUser g:system:nodes";

/// The objects that are there from the start, levels first.
pub(crate) fn objects(now: &Value) -> Vec<Value> {
    let mut all: Vec<Value> = LIMITED.iter().map(limited).collect();
    let none = object([
        ("lendablePercent", 0.into()),
        ("nominalConcurrencyShares", 0.into()),
    ]);
    let spec = object([("exempt", none), ("type", "Exempt".into())]);
    all.push(new("PriorityLevelConfiguration", "exempt", spec));
    all.extend(FLOWS.lines().map(|line| flow(line, now)));
    all
}

fn new(kind: &str, name: &str, spec: Value) -> Value {
    let annotations = object([("apf.kubernetes.io/autoupdate-spec", "true".into())]);
    let metadata = object([
        ("annotations", annotations),
        ("generation", 1.into()),
        ("name", name.into()),
    ]);
    object([
        ("apiVersion", format!("{GROUP}/v1").into()),
        ("kind", kind.into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", Value::new_object()),
    ])
}

fn limited((name, shares, lendable, queues): &Limited) -> Value {
    let response = match queues {
        None => object([("type", "Reject".into())]),
        Some((queues, hand)) => {
            let queuing = object([
                ("handSize", (*hand).into()),
                ("queueLengthLimit", 50.into()),
                ("queues", (*queues).into()),
            ]);
            object([("queuing", queuing), ("type", "Queue".into())])
        }
    };
    let limited = object([
        ("lendablePercent", (*lendable).into()),
        ("limitResponse", response),
        ("nominalConcurrencyShares", (*shares).into()),
    ]);
    let spec = object([("limited", limited), ("type", "Limited".into())]);
    new("PriorityLevelConfiguration", name, spec)
}

fn list(words: &str) -> Value {
    array(words.split(','))
}

fn flow(line: &str, now: &Value) -> Value {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or("");
    let (name, level, precedence, method, subjects) = (next(), next(), next(), next(), next());
    let mut rule = object([("subjects", array(subjects.split(',').map(subject)))]);
    let rules: Vec<&str> = words.collect();
    let all = ["*;*;*;no", "*;*"];
    for asked in if rules.is_empty() { &all } else { &rules[..] } {
        add_rule(&mut rule, asked);
    }
    let mut spec = object([
        (
            "matchingPrecedence",
            precedence.parse().unwrap_or(1000_i64).into(),
        ),
        (
            "priorityLevelConfiguration",
            object([("name", level.into())]),
        ),
        ("rules", array([rule])),
    ]);
    if method != "-" {
        spec.set(&["distinguisherMethod", "type"], method);
    }
    let mut schema = new("FlowSchema", name, spec);
    let mut condition = dangling(level, true);
    condition["lastTransitionTime"] = now.clone();
    schema["status"] = object([("conditions", array([condition]))]);
    schema
}

fn subject(word: &str) -> Value {
    let (kind, name) = word.split_at(2);
    let named = object([("name", name.into())]);
    match kind {
        "g:" => object([("group", named), ("kind", "Group".into())]),
        "u:" => object([("kind", "User".into()), ("user", named)]),
        _ => {
            let account = object([("name", name.into()), ("namespace", "kube-system".into())]);
            object([
                ("kind", "ServiceAccount".into()),
                ("serviceAccount", account),
            ])
        }
    }
}

fn add_rule(rule: &mut Value, asked: &str) {
    let words: Vec<&str> = asked.split(';').collect();
    if let [verbs, urls] = words[..] {
        let urls = object([("nonResourceURLs", list(urls)), ("verbs", list(verbs))]);
        rule["nonResourceRules"].push(urls);
    }
    if let [verbs, group, resources, namespaced] = words[..] {
        let mut asked = object([
            ("apiGroups", list(group)),
            ("namespaces", list("*")),
            ("resources", list(resources)),
            ("verbs", list(verbs)),
        ]);
        if namespaced == "no" {
            asked["clusterScope"] = true.into();
        }
        rule["resourceRules"].push(asked);
    }
}

/// Whether a schema's level is missing.
fn dangling(level: &str, exists: bool) -> Value {
    let (reason, status, end) = match exists {
        true => ("Found", "False", "and it exists"),
        false => ("NotFound", "True", "but there is no such object"),
    };
    let level = go::quote(level);
    object([
        (
            "message",
            format!("This FlowSchema references the PriorityLevelConfiguration object named {level} {end}").into(),
        ),
        ("reason", reason.into()),
        ("status", status.into()),
        ("type", "Dangling".into()),
    ])
}

/// Looks for the levels of all schemas again, when a schema or a level has changed.
pub(crate) fn changed(cluster: &mut Cluster, key: &ObjectKey) {
    if !matches!(&*key.resource, SCHEMAS | LEVELS) {
        return;
    }
    let mut due = Vec::new();
    for (key, schema) in cluster.etcd.list(SCHEMAS, None) {
        let level = schema["spec"]["priorityLevelConfiguration"]["name"].str();
        let exists = cluster
            .etcd
            .get(&ObjectKey::new(LEVELS, "", level))
            .is_some();
        let mut condition = dangling(level, exists);
        let known = &schema["status"]["conditions"][0];
        if known["message"] != condition["message"] {
            condition["lastTransitionTime"] = cluster.now.rfc3339().into();
            due.push((key.clone(), condition));
        }
    }
    for (key, condition) in due {
        // It may be gone by now.
        let _ = cluster.modify(&Component::ApiServer, &key, Subresource::Status, |schema| {
            schema.set(&["status", "conditions"], array([condition]));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_make_the_objects_of_a_real_cluster() {
        let all = objects(&"2026-01-01T00:00:00Z".into());
        let count = |kind: &str| all.iter().filter(|o| o["kind"].str() == kind).count();
        assert_eq!(count("PriorityLevelConfiguration"), 8);
        assert_eq!(count("FlowSchema"), 11);
        let named = |name: &str| {
            let mut schemas = all.iter().filter(|o| o["kind"].str() == "FlowSchema");
            let found = schemas.find(|o| o["metadata"]["name"].str() == name);
            found.unwrap()["spec"]["rules"][0].to_json()
        };
        assert_eq!(
            named("probes"),
            r#"{"nonResourceRules":[{"nonResourceURLs":["/healthz","/readyz","/livez"],"verbs":["get"]}],"subjects":[{"group":{"name":"system:unauthenticated"},"kind":"Group"},{"group":{"name":"system:authenticated"},"kind":"Group"}]}"#
        );
        assert_eq!(
            named("kube-system-service-accounts"),
            r#"{"nonResourceRules":[{"nonResourceURLs":["*"],"verbs":["*"]}],"resourceRules":[{"apiGroups":["*"],"clusterScope":true,"namespaces":["*"],"resources":["*"],"verbs":["*"]}],"subjects":[{"kind":"ServiceAccount","serviceAccount":{"name":"*","namespace":"kube-system"}}]}"#
        );
    }
}
