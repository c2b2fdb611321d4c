//! The manifests that are being written, as far as they can be read, and the pods that they would make.

use kubarium_objects::{Text, Value, yaml};

/// A text's documents. The one with the line `cursor` (from 0) is read without that line where it cannot be read with it.
pub(crate) fn read(text: &str, cursor: usize) -> Vec<Value> {
    let (documents, broken) = yaml::parse_until_error(text);
    if broken.is_none() {
        return documents.into_iter().map(|d| d.value).collect();
    }
    let lines: Vec<&str> = text.lines().collect();
    let is_end = |line: &&str| line.trim_end() == "---";
    let mut all = Vec::new();
    let mut first = 0;
    for part in lines.split(is_end) {
        let mut found = yaml::parse_until_error(&part.join("\n"));
        if found.1.is_some() && (first..first + part.len()).contains(&cursor) {
            let without = part
                .iter()
                .enumerate()
                .map(|(at, line)| if first + at == cursor { "" } else { *line });
            found = yaml::parse_until_error(&without.collect::<Vec<_>>().join("\n"));
        }
        all.extend(found.0.into_iter().map(|d| d.value));
        first += part.len() + 1;
    }
    all
}

/// The namespace that a manifest goes to.
pub(crate) fn namespace(object: &Value, usual: &str) -> Text {
    match object["metadata"]["namespace"].str() {
        "" => usual.into(),
        named => named.into(),
    }
}

/// The pod of a manifest: where it stands in it, and itself; with `metadata` and `spec`.
pub(crate) fn pod(object: &Value) -> Option<(&'static str, &Value)> {
    let spec = &object["spec"];
    match object["kind"].str() {
        "Pod" => Some(("", object)),
        "Deployment"
        | "ReplicaSet"
        | "ReplicationController"
        | "StatefulSet"
        | "DaemonSet"
        | "Job" => Some(("spec.template", &spec["template"])),
        "CronJob" => Some((
            "spec.jobTemplate.spec.template",
            &spec["jobTemplate"]["spec"]["template"],
        )),
        _ => None,
    }
}

/// Every container of a pod's spec.
pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let all = spec["initContainers"].items().iter();
    all.chain(spec["containers"].items())
}
