//! The signers of kube-controller-manager: approved requests get a certificate (kubernetes v1.37,
//! `pkg/controller/certificates/signer`). Its form is the real one, its signature is not: that is a
//! digest of the content and of the cluster's seed.

use kubarium_objects::certificate::Request;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, base64, object};
use sha2::{Digest, Sha256};

use super::{Controller, Outcome, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

pub(super) const CONTROLLER: Controller = Controller {
    name: "certificatesigningrequest-signing-controller",
    observe,
    size: small,
    sync,
};

const REQUESTS: &str = "certificatesigningrequests.certificates.k8s.io";
/// How long a certificate is good at the most (`--cluster-signing-duration`), in seconds.
const DURATION: i64 = 365 * 24 * 3600;
/// A certificate is good from a little earlier on, for clocks that are late.
const BACKDATE: i64 = 300;

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        REQUESTS if change.new.is_some() => vec![change.key.clone()],
        _ => Vec::new(),
    }
}

fn has(request: &Value, kind: &str) -> bool {
    let mut conditions = request["status"]["conditions"].items().iter();
    conditions.any(|c| c["type"].str() == kind && c["status"].str() != "False")
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(request) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let status = &request["status"];
    if !has(&request, "Approved") || has(&request, "Failed") || !status["certificate"].is_empty() {
        return Ok(());
    }
    let spec = &request["spec"];
    let pem = base64::decode(spec["request"].str()).unwrap_or_default();
    let Ok(read) = Request::read(&String::from_utf8_lossy(&pem)) else {
        return Ok(());
    };
    let usages: Vec<&str> = spec["usages"].items().iter().map(Value::str).collect();
    match recognizes(spec["signerName"].str(), &read, &usages) {
        None => return Ok(()),
        Some(Err(why)) => return fail(cluster, by, key, &why),
        Some(Ok(())) => {}
    }
    let now = cluster.now.unix_seconds();
    let asked = spec["expirationSeconds"].as_i64().unwrap_or(DURATION);
    let (seed, uid) = (cluster.config.seed, request.uid().to_owned());
    let certificate = read.sign(now - BACKDATE, now + asked.min(DURATION), &usages, |of| {
        let mut digest = Sha256::new();
        digest.update(seed.to_be_bytes());
        digest.update(&uid);
        digest.update(of);
        digest.finalize().into()
    });
    let certificate = base64::encode(certificate.as_bytes());
    cluster
        .modify(by, key, Subresource::Status, |request| {
            request["status"]["certificate"] = certificate.into();
        })
        .map(drop)
}

/// Whether a signer of that name is here, and what it has against a request.
fn recognizes(signer: &str, request: &Request, usages: &[&str]) -> Option<Result<(), String>> {
    let only = |auth: &str| {
        usages.contains(&auth)
            && usages
                .iter()
                .all(|u| *u == auth || matches!(*u, "digital signature" | "key encipherment"))
    };
    let of_node = || {
        let organizations: Vec<&str> = request.organizations().collect();
        if organizations != ["system:nodes"] {
            return Err("subject organization is not system:nodes".to_owned());
        }
        match request.common_name().starts_with("system:node:") {
            true => Ok(()),
            false => Err("subject common name does not begin with system:node:".to_owned()),
        }
    };
    let (auth, checked) = match signer.strip_prefix("kubernetes.io/")? {
        "kube-apiserver-client" => ("client auth", Ok(())),
        "kube-apiserver-client-kubelet" => ("client auth", of_node()),
        "kubelet-serving" => ("server auth", of_node()),
        _ => return None,
    };
    Some(checked.and_then(|()| match only(auth) {
        true => Ok(()),
        false => Err(format!("usages did not match [{auth}]")),
    }))
}

/// Notes that a request cannot be signed.
fn fail(cluster: &mut Cluster, by: &Component, key: &ObjectKey, why: &str) -> Outcome {
    let now = cluster.now.rfc3339();
    let condition = object([
        ("lastTransitionTime", now.as_str().into()),
        ("lastUpdateTime", now.as_str().into()),
        ("message", why.into()),
        ("reason", "SignerValidationFailure".into()),
        ("status", "True".into()),
        ("type", "Failed".into()),
    ]);
    cluster
        .modify(by, key, Subresource::Status, |request| {
            request["status"]["conditions"].push(condition);
        })
        .map(drop)
}
