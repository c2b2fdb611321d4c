//! root-ca-certificate-publisher-controller: every namespace has the cluster's certificate
//! authority in a ConfigMap (kubernetes v1.37, `pkg/controller/certificates/rootcacertpublisher`).

use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::{Controller, Outcome, small};
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const NAME: &str = "kube-root-ca.crt";

pub(super) const CONTROLLER: Controller = Controller {
    name: "root-ca-certificate-publisher-controller",
    observe,
    size: small,
    sync,
};

/// The work item is the namespace.
fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        "namespaces" if change.new.is_some() => vec![change.key.clone()],
        "configmaps" if &*change.key.name == NAME && change.old.is_some() => {
            vec![ObjectKey::new(
                "namespaces",
                "",
                change.key.namespace.clone(),
            )]
        }
        _ => Vec::new(),
    }
}

/// A certificate of the right form; nothing in the cluster verifies it.
pub(super) fn certificate() -> &'static str {
    "-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIBADAKBggqhkjOPQQDAjAXMRUwEwYDVQQDEwxLdWJhcml1\nbSBDQQo=\n-----END CERTIFICATE-----\n"
}

fn data() -> Value {
    object([("ca.crt", certificate().into())])
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    if cluster.etcd.get(key).is_none_or(ObjectMeta::is_deleting) {
        return Ok(());
    }
    if let Some(map) = cluster.find("configmaps", &key.name, NAME) {
        if map["data"].same(&data()) {
            return Ok(());
        }
        let mut map = map.clone();
        map["data"] = data();
        return cluster.update(by, map).map(drop);
    }
    let about = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
    let metadata = object([
        (
            "annotations",
            object([("kubernetes.io/description", about.into())]),
        ),
        ("name", NAME.into()),
        ("namespace", (&key.name).into()),
    ]);
    let map = object([
        ("apiVersion", "v1".into()),
        ("data", data()),
        ("kind", "ConfigMap".into()),
        ("metadata", metadata),
    ]);
    cluster.create(by, map).map(drop)
}
