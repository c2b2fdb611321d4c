//! legacy-serviceaccount-token-controller: Secrets of the type that asks for a service account's token
//! get one, which does not expire (kubernetes v1.37,
//! `pkg/controller/serviceaccount/tokens_controller.go`).

use kubarium_objects::{ObjectKey, ObjectMeta, Value, base64};

use super::{Controller, Outcome, root_ca, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const SECRETS: &str = "secrets";
const TYPE: &str = "kubernetes.io/service-account-token";
const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

pub(super) const CONTROLLER: Controller = Controller {
    name: "legacy-serviceaccount-token-controller",
    observe,
    size: small,
    sync,
};

fn is_token(secret: &Value) -> bool {
    secret["type"].str() == TYPE
}

/// The work item is the Secret.
fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let key = &change.key;
    match &*key.resource {
        SECRETS if change.new.as_ref().is_some_and(is_token) => vec![key.clone()],
        // An account that comes or goes: what its Secrets say is looked at again.
        "serviceaccounts" if change.old.is_none() || change.new.is_none() => {
            let secrets = cluster.etcd.list(SECRETS, Some(&key.namespace));
            let of = |secret: &Value| secret.annotation(NAME) == Some(&*key.name);
            secrets
                .filter(|(_, secret)| is_token(secret) && of(secret))
                .map(|(key, _)| key.clone())
                .collect()
        }
        _ => Vec::new(),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(secret) = cluster.etcd.get(key).filter(|s| is_token(s)).cloned() else {
        return Ok(());
    };
    let name = secret.annotation(NAME).unwrap_or_default();
    let account = cluster
        .find("serviceaccounts", &key.namespace, name)
        .cloned();
    let own = |account: &&Value| {
        let uid = secret.annotation(UID).unwrap_or_default();
        uid.is_empty() || uid == account.uid()
    };
    let Some(account) = account.as_ref().filter(own) else {
        // A token outlives its account for no moment.
        return match cluster.delete(by, key, &DeleteOptions::default()) {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        };
    };
    let data = &secret["data"];
    let missing = |field: &str| data[field].is_empty();
    if !(missing("token") || missing("ca.crt") || missing("namespace")) {
        return Ok(());
    }
    let token = cluster.secret_token(&secret, account);
    let certificate = root_ca::certificate();
    let uid = account.uid().to_owned();
    cluster
        .modify(by, key, Subresource::None, |secret| {
            secret["metadata"]["annotations"][UID] = uid.into();
            let texts = [
                ("ca.crt", certificate),
                ("namespace", &*key.namespace),
                ("token", &*token),
            ];
            for (field, text) in texts {
                secret["data"][field] = base64::encode(text.as_bytes()).into();
            }
        })
        .map(drop)
}
