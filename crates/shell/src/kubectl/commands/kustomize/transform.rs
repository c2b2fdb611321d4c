//! What a kustomization changes in all objects: namespaces, labels, images, names.

use kubarium_objects::{Schema, Value, array};

use super::Item;

pub(super) fn put_in_namespace(items: &mut [Item], namespace: &str) {
    let accounts: Vec<String> = items
        .iter()
        .filter(|i| i.kind() == "ServiceAccount")
        .flat_map(|i| i.names.clone())
        .collect();
    for item in items.iter_mut() {
        let o = &mut item.object;
        let resource = Schema::builtin().by_kind(o["apiVersion"].str(), o["kind"].str());
        if resource.is_none_or(|r| r.namespaced) {
            o["metadata"]["namespace"] = namespace.into();
        }
        let subjects: Vec<Value> = o["subjects"]
            .items()
            .iter()
            .map(|subject| {
                let mut subject = subject.clone();
                let name = subject["name"].str();
                let own = name == "default" || accounts.iter().any(|a| a == name);
                if subject["kind"].str() == "ServiceAccount" && own {
                    subject["namespace"] = namespace.into();
                }
                subject
            })
            .collect();
        if !subjects.is_empty() {
            o["subjects"] = array(subjects);
        }
    }
}

pub(super) fn add(map: &mut Value, path: &[&str], pairs: &Value) {
    for (key, value) in pairs.entries() {
        let mut path = path.to_vec();
        path.push(key);
        map.set(&path, value.clone());
    }
}

pub(super) fn is_workload(kind: &str) -> bool {
    matches!(
        kind,
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" | "ReplicationController"
    )
}

pub(super) fn label(o: &mut Value, pairs: &Value, selectors: bool, templates: bool) {
    if pairs.entries().is_empty() {
        return;
    }
    add(o, &["metadata", "labels"], pairs);
    let kind = o["kind"].str().to_owned();
    if templates {
        if is_workload(&kind) {
            add(o, &["spec", "template", "metadata", "labels"], pairs);
        }
        if kind == "CronJob" {
            add(o, &["spec", "jobTemplate", "metadata", "labels"], pairs);
            let path = [
                "spec",
                "jobTemplate",
                "spec",
                "template",
                "metadata",
                "labels",
            ];
            add(o, &path, pairs);
        }
    }
    if !selectors {
        return;
    }
    match kind.as_str() {
        "Service" | "ReplicationController" => add(o, &["spec", "selector"], pairs),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => {
            add(o, &["spec", "selector", "matchLabels"], pairs);
        }
        "Job" | "PodDisruptionBudget" if !o["spec"]["selector"]["matchLabels"].is_null() => {
            add(o, &["spec", "selector", "matchLabels"], pairs);
        }
        "NetworkPolicy" if !o["spec"]["podSelector"]["matchLabels"].is_null() => {
            add(o, &["spec", "podSelector", "matchLabels"], pairs);
        }
        _ => {}
    }
}

pub(super) fn annotate(o: &mut Value, pairs: &Value) {
    if pairs.entries().is_empty() {
        return;
    }
    add(o, &["metadata", "annotations"], pairs);
    let kind = o["kind"].str().to_owned();
    if is_workload(&kind) {
        add(o, &["spec", "template", "metadata", "annotations"], pairs);
    }
    if kind == "CronJob" {
        add(
            o,
            &["spec", "jobTemplate", "metadata", "annotations"],
            pairs,
        );
        let path = [
            "spec",
            "jobTemplate",
            "spec",
            "template",
            "metadata",
            "annotations",
        ];
        add(o, &path, pairs);
    }
}

/// The object with an image's name, tag or digest changed wherever containers have it.
pub(super) fn with_image(value: &Value, image: &Value, depth: usize) -> Value {
    if depth > 64 {
        return value.clone();
    }
    match value {
        Value::Array(items) => array(items.iter().map(|v| with_image(v, image, depth + 1))),
        Value::Object(map) => {
            let mut changed = value.clone();
            for (key, inner) in map.iter() {
                let containers = matches!(&**key, "containers" | "initContainers");
                if !containers {
                    if matches!(inner, Value::Array(_) | Value::Object(_)) {
                        changed[&**key] = with_image(inner, image, depth + 1);
                    }
                    continue;
                }
                changed[&**key] = array(inner.items().iter().map(|c| {
                    let mut c = c.clone();
                    if let Some(new) = renamed(c["image"].str(), image) {
                        c["image"] = new.into();
                    }
                    c
                }));
            }
            changed
        }
        other => other.clone(),
    }
}

pub(super) fn renamed(given: &str, image: &Value) -> Option<String> {
    let (rest, mut digest) = match given.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.to_owned())),
        None => (given, None),
    };
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, mut tag) = match rest[last..].find(':') {
        Some(at) => (&rest[..last + at], Some(rest[last + at + 1..].to_owned())),
        None => (rest, None),
    };
    if name != image["name"].str() {
        return None;
    }
    let name = match image["newName"].str() {
        "" => name,
        new => new,
    };
    let of = |field: &str| match &image[field] {
        Value::Null => None,
        Value::String(s) if s.is_empty() => None,
        other => Some(crate::kubectl::printers::scalar(other)),
    };
    if let Some(new) = of("newTag") {
        (tag, digest) = (Some(new), None);
    }
    if let Some(new) = of("digest") {
        (tag, digest) = (None, Some(new));
    }
    let mut text = name.to_owned();
    if let Some(tag) = tag {
        text.push_str(&format!(":{tag}"));
    }
    if let Some(digest) = digest {
        text.push_str(&format!("@{digest}"));
    }
    Some(text)
}

// --- Names ------------------------------------------------------------------------------------

/// Lets objects speak of one another by their present names.
pub(super) fn refer(items: &mut [Item]) {
    let names: Vec<(String, Vec<String>)> = items
        .iter()
        .filter(|i| i.names.len() > 1)
        .map(|i| (i.kind().to_owned(), i.names.clone()))
        .collect();
    if names.is_empty() {
        return;
    }
    let now = |kind: &str, name: &str| -> Option<Value> {
        let (_, names) = names
            .iter()
            .find(|(k, names)| k == kind && names.iter().any(|n| n == name))?;
        names.last().map(|n| n.as_str().into())
    };
    for item in items.iter_mut() {
        let metadata = item.object["metadata"].clone();
        item.object = referring(&item.object, &now, 0);
        item.object["metadata"] = metadata;
    }
}

pub(super) type Now<'a> = &'a dyn Fn(&str, &str) -> Option<Value>;

/// A value with the names in it changed: where a name stands tells what kind it means.
pub(super) fn referring(value: &Value, now: Now, depth: usize) -> Value {
    if depth > 64 {
        return value.clone();
    }
    match value {
        Value::Array(items) => array(items.iter().map(|v| referring(v, now, depth + 1))),
        Value::Object(map) => {
            let mut changed = value.clone();
            for (key, inner) in map.iter() {
                let key: &str = key;
                if let Value::String(name) = inner {
                    let kind = match key {
                        "secretName" => "Secret",
                        "serviceAccountName" | "serviceAccount" => "ServiceAccount",
                        "claimName" => "PersistentVolumeClaim",
                        "serviceName" => "Service",
                        "priorityClassName" => "PriorityClass",
                        "storageClassName" => "StorageClass",
                        "ingressClassName" => "IngressClass",
                        "runtimeClassName" => "RuntimeClass",
                        _ => continue,
                    };
                    if let Some(name) = now(kind, name) {
                        changed[key] = name;
                    }
                    continue;
                }
                changed[key] = referring(inner, now, depth + 1);
                let one = |kind: &str, o: &Value| -> Value {
                    let mut o = o.clone();
                    if let Some(name) = now(kind, o["name"].str()) {
                        o["name"] = name;
                    }
                    o
                };
                match key {
                    "configMapKeyRef" | "configMapRef" | "configMap" => {
                        changed[key] = one("ConfigMap", &changed[key].clone());
                    }
                    "secretKeyRef" | "secretRef" | "secret" => {
                        changed[key] = one("Secret", &changed[key].clone());
                    }
                    "service" => changed[key] = one("Service", &changed[key].clone()),
                    "imagePullSecrets" => {
                        let all: Vec<Value> =
                            inner.items().iter().map(|o| one("Secret", o)).collect();
                        changed[key] = array(all);
                    }
                    "roleRef" | "scaleTargetRef" => {
                        let kind = inner["kind"].str().to_owned();
                        changed[key] = one(&kind, &changed[key].clone());
                    }
                    "subjects" => {
                        let all: Vec<Value> = inner
                            .items()
                            .iter()
                            .map(|o| one(o["kind"].str(), o))
                            .collect();
                        changed[key] = array(all);
                    }
                    _ => {}
                }
            }
            changed
        }
        other => other.clone(),
    }
}
