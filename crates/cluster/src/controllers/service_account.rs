//! serviceaccount-controller: every namespace has a ServiceAccount `default`
//! (kubernetes v1.37, `pkg/controller/serviceaccount`).

use kubarium_objects::{ObjectKey, ObjectMeta, object};

use super::{Controller, Outcome, small};
use crate::cluster::{Change, Cluster};
use crate::event::Component;

pub(super) const CONTROLLER: Controller = Controller {
    name: "serviceaccount-controller",
    observe,
    size: small,
    sync,
};

/// The work item is the namespace.
fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        "namespaces" if change.new.is_some() => vec![change.key.clone()],
        "serviceaccounts" if change.new.is_none() && &*change.key.name == "default" => {
            vec![ObjectKey::new(
                "namespaces",
                "",
                change.key.namespace.clone(),
            )]
        }
        _ => Vec::new(),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let going = cluster.etcd.get(key).is_none_or(ObjectMeta::is_deleting);
    if going
        || cluster
            .find("serviceaccounts", &key.name, "default")
            .is_some()
    {
        return Ok(());
    }
    let account = object([
        ("apiVersion", "v1".into()),
        ("kind", "ServiceAccount".into()),
        (
            "metadata",
            object([
                ("name", "default".into()),
                ("namespace", (&key.name).into()),
            ]),
        ),
    ]);
    cluster.create(by, account).map(drop)
}
