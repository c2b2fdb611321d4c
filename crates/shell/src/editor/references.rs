//! The fields by which one object names another.

use kubarium_objects::Value;

/// A field that names an object.
pub(crate) struct Field {
    /// The last keys on the way to it.
    pub path: &'static [&'static str],
    /// The resource of what it names.
    pub resource: &'static str,
    /// What comes of it when there is no such object.
    pub without: &'static str,
}

const fn field(
    path: &'static [&'static str],
    resource: &'static str,
    without: &'static str,
) -> Field {
    Field {
        path,
        resource,
        without,
    }
}

const WAITS: &str = "its pods do not start before it is there";
const NO_POD: &str = "no pod is made before it is there";

/// The fields that name objects. Of two that fit the first counts.
pub(crate) const FIELDS: &[Field] = &[
    field(
        &["metadata", "namespace"],
        "namespaces",
        "create the namespace first",
    ),
    field(&["serviceAccountName"], "serviceaccounts", NO_POD),
    field(
        &["storageClassName"],
        "storageclasses.storage.k8s.io",
        "the claim stays Pending",
    ),
    field(
        &["priorityClassName"],
        "priorityclasses.scheduling.k8s.io",
        NO_POD,
    ),
    field(&["runtimeClassName"], "runtimeclasses.node.k8s.io", NO_POD),
    field(
        &["ingressClassName"],
        "ingressclasses.networking.k8s.io",
        "no controller carries it out",
    ),
    field(&["nodeName"], "nodes", "its pods are removed again"),
    field(&["configMapKeyRef", "name"], "configmaps", WAITS),
    field(&["configMapRef", "name"], "configmaps", WAITS),
    field(&["configMap", "name"], "configmaps", WAITS),
    field(&["secretKeyRef", "name"], "secrets", WAITS),
    field(&["secretRef", "name"], "secrets", WAITS),
    field(&["secret", "secretName"], "secrets", WAITS),
    field(&["secret", "name"], "secrets", WAITS),
    field(
        &["tls", "secretName"],
        "secrets",
        "there is no certificate to show",
    ),
    field(
        &["imagePullSecrets", "name"],
        "secrets",
        "images are pulled without it",
    ),
    field(
        &["persistentVolumeClaim", "claimName"],
        "persistentvolumeclaims",
        "its pods stay Pending",
    ),
    field(
        &["volumeName"],
        "persistentvolumes",
        "the claim stays Pending",
    ),
    field(
        &["backend", "service", "name"],
        "services",
        "requests are answered with 503",
    ),
    field(
        &["defaultBackend", "service", "name"],
        "services",
        "requests are answered with 503",
    ),
    field(
        &["spec", "serviceName"],
        "services",
        "the pods have no DNS names of their own",
    ),
];

/// The field at the end of a way of keys.
pub(crate) fn at(keys: &[&str]) -> Option<&'static Field> {
    FIELDS.iter().find(|field| keys.ends_with(field.path))
}

/// A name that was found.
pub(crate) struct Reference<'a> {
    /// Where: `spec.containers[0].env[1].valueFrom.configMapKeyRef.name`.
    pub path: String,
    /// The name.
    pub name: &'a str,
    /// What kind of field it is.
    pub field: &'static Field,
    /// The map that it stands in.
    pub within: &'a Value,
}

const DEPTH_MAX: usize = 24;

/// All names of objects in a manifest.
pub(crate) fn all(object: &Value) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    walk(object, &mut Vec::new(), String::new(), &mut found);
    found
}

fn walk<'a>(
    node: &'a Value,
    keys: &mut Vec<&'a str>,
    path: String,
    found: &mut Vec<Reference<'a>>,
) {
    if keys.len() > DEPTH_MAX {
        return;
    }
    for (number, item) in node.items().iter().enumerate() {
        walk(item, keys, format!("{path}[{number}]"), found);
    }
    for (key, value) in node.entries() {
        if path.is_empty() && &**key == "status" {
            continue;
        }
        keys.push(key);
        let path = if path.is_empty() {
            key.to_string()
        } else {
            format!("{path}.{key}")
        };
        match value.as_str() {
            Some(name) if !name.is_empty() => {
                if let Some(field) = at(keys) {
                    found.push(Reference {
                        path,
                        name,
                        field,
                        within: node,
                    });
                }
            }
            _ => walk(value, keys, path, found),
        }
        keys.pop();
    }
}
