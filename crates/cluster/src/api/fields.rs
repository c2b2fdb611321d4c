//! Field selectors: by which fields lists can be asked for.

use kubarium_objects::schema::Resource;
use kubarium_objects::{FieldSelector, Value};

use crate::cluster::Cluster;

/// Fields that a list can be asked for by, beside a name and a namespace (kube-apiserver v1.37,
/// `pkg/apis/*/v1/conversion.go`).
const SELECTABLE: &[(&str, &[&str])] = &[
    (
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    (
        "events.events.k8s.io",
        &[
            "reason",
            "regarding.apiVersion",
            "regarding.fieldPath",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
            "regarding.resourceVersion",
            "regarding.uid",
            "reportingController",
            "type",
        ],
    ),
    ("nodes", &["spec.unschedulable"]),
    ("namespaces", &["status.phase"]),
    ("secrets", &["type"]),
    ("services", &["spec.clusterIP", "spec.type"]),
    ("replicationcontrollers", &["status.replicas"]),
    ("replicasets.apps", &["status.replicas"]),
    ("jobs.batch", &["status.successful"]),
    (
        "certificatesigningrequests.certificates.k8s.io",
        &["spec.signerName"],
    ),
];

impl Cluster {
    /// Why a list cannot be asked for by a field; none where it can.
    pub fn why_not_selectable(&self, resource: &Resource, field: &str) -> Option<String> {
        if self.is_selectable(resource, field) {
            return None;
        }
        let id = resource.id();
        let has_own = SELECTABLE.iter().any(|(r, _)| **r == *id);
        Some(match &*id {
            "jobs.batch" => format!("field label {field:?} not supported for Job"),
            _ if has_own || self.is_custom(resource) => {
                format!("field label not supported: {field}")
            }
            // What the scheme says of all others (`DefaultMetaV1FieldSelectorConversion`).
            _ => format!(
                "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ),
        })
    }

    /// Whether a list can be asked for by a field.
    fn is_selectable(&self, resource: &Resource, field: &str) -> bool {
        if matches!(field, "metadata.name" | "metadata.namespace") {
            return true;
        }
        let id = resource.id();
        if let Some((_, own)) = SELECTABLE.iter().find(|(r, _)| **r == *id) {
            return own.contains(&field);
        }
        self.is_custom(resource) && self.custom_field(&id, &resource.version, field)
    }

    /// Whether a definition lets its objects be asked for by a field (`selectableFields`).
    fn custom_field(&self, id: &str, version: &str, field: &str) -> bool {
        let definition = self.find(super::custom::DEFINITIONS, "", id);
        let Some(definition) = definition else {
            return false;
        };
        let versions = definition["spec"]["versions"].items();
        let version = versions.iter().find(|v| v["name"].str() == version);
        let fields = version.map_or(&[][..], |v| v["selectableFields"].items());
        fields
            .iter()
            .any(|f| f["jsonPath"].str().strip_prefix('.') == Some(field))
    }
}

/// Whether a field selector lets an object through.
pub fn fields_match(selector: &FieldSelector, object: &Value) -> bool {
    selector
        .terms
        .iter()
        .all(|(path, equal, value)| (field(object, path) == **value) == *equal)
}

/// A field's value as field selectors compare it.
fn field(object: &Value, path: &str) -> String {
    let path = match path {
        "source" => "source.component",
        "status.successful" => "status.succeeded",
        "status.podIPs" => "status.podIP",
        other => other,
    };
    let steps: Vec<&str> = path.split('.').collect();
    match object.at(&steps) {
        Value::String(s) => s.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Bool(b) => b.to_string(),
        _ => match path {
            "spec.unschedulable" | "spec.hostNetwork" => "false".to_owned(),
            "status.replicas" | "status.succeeded" => "0".to_owned(),
            _ => String::new(),
        },
    }
}
