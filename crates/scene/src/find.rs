//! What is looked for on the map: by words, by a label selector, by namespace and kind.

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, ObjectMeta, Selector, Value};
use kubarium_snapshot::map::pod_id;
use kubarium_snapshot::message::Found;

/// What a text looks for.
enum Wanted {
    Words(String),
    Labels(Selector),
}

impl Wanted {
    /// A text is a selector where it has an operator of one.
    fn read(text: &str) -> Result<Wanted, String> {
        let text = text.trim();
        let is_selector = text.contains(['=', '!', '(']);
        if !is_selector {
            return Ok(Wanted::Words(text.to_lowercase()));
        }
        let selector = Selector::parse(text).map_err(|error| error.to_string())?;
        Ok(Wanted::Labels(selector))
    }

    fn fits<'a>(&self, object: &'a Value, words: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Wanted::Labels(selector) => selector.matches(&object["metadata"]["labels"]),
            Wanted::Words(text) if text.is_empty() => true,
            Wanted::Words(text) => {
                let labels = object["metadata"]["labels"].entries();
                let labels = labels.iter().flat_map(|(key, value)| [key, value.str()]);
                let mut all = words.chain(labels);
                all.any(|word| word.to_lowercase().contains(text.as_str()))
            }
        }
    }
}

/// The ids of the pods, Services and nodes that fit.
pub fn find(cluster: &Cluster, text: &str, namespace: &str, kind: &str) -> Found {
    let wanted = match Wanted::read(text) {
        Ok(wanted) => wanted,
        Err(wrong) => {
            return Found {
                wrong,
                ..Found::default()
            };
        }
    };
    let here = |key: &ObjectKey| namespace.is_empty() || *key.namespace == *namespace;
    let mut found = Found::default();
    if !matches!(kind, "services" | "nodes") {
        for (key, pod) in cluster.etcd.list("pods", None).filter(|(key, _)| here(key)) {
            let status = &pod["status"];
            let words = [
                &*key.name,
                status["podIP"].str(),
                status["phase"].str(),
                pod["spec"]["nodeName"].str(),
            ];
            let containers = pod["spec"]["containers"].items();
            let images = containers.iter().map(|c| c["image"].str());
            let of_kind = matches!(kind, "" | "pods") || is_under(cluster, pod, kind);
            if of_kind && wanted.fits(pod, words.into_iter().chain(images)) {
                found.ids.push(pod_id(&key.namespace, &key.name));
            }
        }
    }
    found.pods = found.ids.len();
    if matches!(kind, "" | "services") {
        let services = cluster.etcd.list("services", None);
        for (key, service) in services.filter(|(key, _)| here(key)) {
            let spec = &service["spec"];
            let words = [&*key.name, spec["clusterIP"].str(), spec["type"].str()];
            if wanted.fits(service, words.into_iter()) {
                let id = format!("service:{}/{}", key.namespace, key.name);
                found.ids.push(id);
            }
        }
    }
    // A node is in no namespace.
    if kind == "nodes" || kind.is_empty() && namespace.is_empty() && !text.is_empty() {
        for (key, node) in cluster.etcd.list("nodes", None) {
            let addresses = node["status"]["addresses"].items();
            let addresses = addresses.iter().map(|a| a["address"].str());
            if wanted.fits(node, addresses.chain([&*key.name])) {
                found.ids.push(format!("node:{}", key.name));
            }
        }
    }
    found
}

/// Whether an object of that resource stands above a pod: its owner, or its owner's.
fn is_under(cluster: &Cluster, pod: &Value, resource: &str) -> bool {
    let mut at = pod.clone();
    for _ in 0..4 {
        let owners = at["metadata"]["ownerReferences"].items();
        let Some(owner) = owners
            .iter()
            .find(|o| o["controller"].as_bool() == Some(true))
        else {
            return false;
        };
        let known = cluster.resource_by_kind(owner["apiVersion"].str(), owner["kind"].str());
        let Some(known) = known else { return false };
        if *known.id() == *resource {
            return true;
        }
        let namespace = at.namespace().to_owned();
        let Some(above) = cluster.find(&known.id(), &namespace, owner["name"].str()) else {
            return false;
        };
        at = above.clone();
    }
    false
}
