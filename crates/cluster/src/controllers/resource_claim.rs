//! resourceclaim-controller: makes the claims that pods want from templates, and takes devices back
//! from claims that nobody uses (kubernetes v1.37, `pkg/controller/resourceclaim`).

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::scheduler::devices::{CLAIMS, FINALIZER, claim_name, consumer, is_for, is_reserved_for};

const TEMPLATES: &str = "resourceclaimtemplates.resource.k8s.io";
/// By this a claim says for which of its pod's claims it was made.
const POD_CLAIM: &str = "resource.kubernetes.io/pod-claim-name";
/// The longest start of a claim's name.
const BASE_MAX: usize = 57;

pub(super) const CONTROLLER: Controller = Controller {
    name: "resourceclaim-controller",
    observe,
    size: small,
    sync,
};

/// The work items are pods and claims.
fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let object = change.object();
    match &*change.key.resource {
        "pods" if !object["spec"]["resourceClaims"].items().is_empty() => {
            if change.new.is_none() || is_done(object) {
                return claim_keys(object);
            }
            let works = !object.is_deleting() && needs_work(cluster, object);
            works.then(|| change.key.clone()).into_iter().collect()
        }
        CLAIMS => {
            let owner = object.controller_ref().filter(|_| change.new.is_none());
            let owner = owner.map(|owner| ObjectKey::new("pods", object.namespace(), owner.name()));
            owner.into_iter().chain([change.key.clone()]).collect()
        }
        TEMPLATES if change.old.is_none() => {
            let pods = cluster.index.pods_with_device_claim(&change.key);
            pods.cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a pod will not run (any more).
fn is_done(pod: &Value) -> bool {
    pods::is_over(pod) || pod.is_deleting() && pod["spec"]["nodeName"].is_empty()
}

/// The claims that a pod uses, those that it names and those that were made for it.
fn claim_keys(pod: &Value) -> Vec<ObjectKey> {
    let entries = pod["spec"]["resourceClaims"].items().iter();
    let names = entries.filter_map(|entry| claim_name(pod, entry).ok().flatten());
    names
        .map(|(name, _)| ObjectKey::new(CLAIMS, pod.namespace(), name))
        .collect()
}

/// Whether a pod lacks a claim, or a claim lacks its reservation for the pod (`podNeedsWork`).
fn needs_work(cluster: &Cluster, pod: &Value) -> bool {
    let entries = pod["spec"]["resourceClaims"].items().iter();
    entries
        .map(|entry| (entry, claim_name(pod, entry)))
        .any(|(entry, name)| match name {
            Err(_) => true,
            Ok(None) => false,
            Ok(Some((name, _))) => match cluster.find(CLAIMS, pod.namespace(), &name) {
                None => !entry["resourceClaimTemplateName"].is_empty(),
                Some(claim) => lacks_reservation(claim, pod),
            },
        })
}

/// Whether a pod that somebody else than the scheduler has bound uses a claim that does not know.
fn lacks_reservation(claim: &Value, pod: &Value) -> bool {
    !pod["spec"]["nodeName"].is_empty()
        && !claim["status"]["allocation"].is_null()
        && !is_reserved_for(claim, pod)
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(object) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    match &*key.resource {
        CLAIMS => sync_claim(cluster, by, key, &object),
        // A pod that will not run needs no claim any more.
        _ if object.is_deleting() || is_done(&object) => Ok(()),
        _ => sync_pod(cluster, by, key, &object),
    }
}

fn sync_pod(cluster: &mut Cluster, by: &Component, key: &ObjectKey, pod: &Value) -> Outcome {
    let mut statuses = pod["status"]["resourceClaimStatuses"].items().to_vec();
    let before = statuses.len();
    for entry in pod["spec"]["resourceClaims"].items() {
        let name = entry["name"].text();
        let made = match make(cluster, by, pod, entry) {
            Ok(made) => made,
            Err(status) => {
                let why = &status.message;
                let message = format!("PodResourceClaim {name}: {why}");
                cluster.warn(by, pod, "FailedResourceClaimCreation", &message);
                return Err(status);
            }
        };
        if let Some(claim) = made {
            statuses.retain(|status| status["name"].str() != &*name);
            statuses.push(object([
                ("name", name.into()),
                ("resourceClaimName", claim.into()),
            ]));
        }
    }
    statuses.sort_by_key(|status| status["name"].text());
    if statuses.len() != before || statuses != pod["status"]["resourceClaimStatuses"].items() {
        cluster.modify(by, key, Subresource::Status, |pod| {
            pod["status"]["resourceClaimStatuses"] = statuses.into();
        })?;
    }
    for claim in claim_keys(cluster.etcd.get(key).unwrap_or(pod)) {
        let lacks = |object: &Value| lacks_reservation(object, pod);
        if cluster.etcd.get(&claim).is_some_and(lacks) {
            cluster.modify(by, &claim, Subresource::Status, |claim| {
                claim["status"]["reservedFor"].push(consumer(pod));
            })?;
        }
    }
    Ok(())
}

/// Makes the claim that a pod wants from a template, if it has none; gives back its name
/// (`handleClaim`).
fn make(
    cluster: &mut Cluster,
    by: &Component,
    pod: &Value,
    entry: &Value,
) -> Result<Option<Text>, Status> {
    let template = entry["resourceClaimTemplateName"].text();
    let known = claim_name(pod, entry).ok().flatten();
    let has = |name: &Text| {
        let claim = cluster.find(CLAIMS, pod.namespace(), name);
        claim.is_some_and(|claim| is_for(claim, pod))
    };
    if template.is_empty() || known.as_ref().is_some_and(|(name, _)| has(name)) {
        return Ok(None);
    }
    if let Some(claim) = orphan(cluster, pod, entry["name"].str()) {
        return Ok(Some(claim));
    }
    let Some(template) = cluster.find(TEMPLATES, pod.namespace(), &template).cloned() else {
        let resource = "resourceclaimtemplate.resource.k8s.io";
        let mut missing = Status::not_found(resource, &template);
        missing.message = format!(
            "resource claim template \"{template}\": {}",
            missing.message
        );
        return Err(missing);
    };
    let spec = &template["spec"];
    let mut metadata = object([
        ("annotations", spec["metadata"]["annotations"].clone()),
        (
            "generateName",
            base_name(pod.name(), entry["name"].str()).into(),
        ),
        ("namespace", pod.namespace().into()),
        ("ownerReferences", vec![owner(pod)].into()),
    ]);
    metadata["annotations"][POD_CLAIM] = entry["name"].clone();
    if !spec["metadata"]["labels"].is_empty() {
        metadata["labels"] = spec["metadata"]["labels"].clone();
    }
    let claim = object([
        ("apiVersion", "resource.k8s.io/v1".into()),
        ("kind", "ResourceClaim".into()),
        ("metadata", metadata),
        ("spec", spec["spec"].clone()),
    ]);
    let claim = cluster.create(by, claim)?;
    Ok(Some(claim["metadata"]["name"].text()))
}

/// A claim that was made for a pod, of which the pod does not know.
fn orphan(cluster: &Cluster, pod: &Value, entry: &str) -> Option<Text> {
    let owned = cluster.index.dependents(pod.uid());
    let claims = owned.filter(|key| &*key.resource == CLAIMS);
    let mut claims = claims.filter_map(|key| Some((key, cluster.etcd.get(key)?)));
    let found = claims.find(|(_, claim)| claim.annotation(POD_CLAIM) == Some(entry));
    found.map(|(key, _)| key.name.clone())
}

fn owner(pod: &Value) -> Value {
    let mut owner = pods::controller_ref(pod);
    owner.remove(&["blockOwnerDeletion"]);
    owner
}

/// `<pod>-<claim>-`, both parts cut in proportion where that is too long.
fn base_name(pod: &str, claim: &str) -> String {
    let whole = format!("{pod}-{claim}-");
    if whole.len() <= BASE_MAX {
        return whole;
    }
    let cut = |text: &str| {
        text.chars()
            .take(text.len() * BASE_MAX / whole.len())
            .collect::<String>()
    };
    format!("{}-{}", cut(pod), cut(claim))
}

/// Who does not use a claim any more is taken out of its reservations; with the last of them goes what
/// it has (`syncClaim`).
fn sync_claim(cluster: &mut Cluster, by: &Component, key: &ObjectKey, claim: &Value) -> Outcome {
    let reserved = claim["status"]["reservedFor"].items();
    let stays = |reserved: &&Value| {
        let is_pod = reserved["apiGroup"].is_empty() && reserved["resource"].str() == "pods";
        let pod = cluster.find("pods", &key.namespace, reserved["name"].str());
        !is_pod || pod.is_some_and(|pod| pod.uid() == reserved["uid"].str() && !is_done(pod))
    };
    let remaining: Vec<Value> = reserved.iter().filter(stays).cloned().collect();
    let is_protected = claim["metadata"]["finalizers"]
        .items()
        .iter()
        .any(|f| f.str() == FINALIZER);
    let (unused, fewer) = (remaining.is_empty(), remaining.len() < reserved.len());
    let frees = unused && is_protected && (fewer || claim.is_deleting());
    if fewer || frees && !claim["status"]["allocation"].is_null() {
        cluster.modify(by, key, Subresource::Status, |claim| {
            match unused {
                true => drop(claim.remove(&["status", "reservedFor"])),
                false => claim["status"]["reservedFor"] = remaining.into(),
            }
            if frees {
                claim.remove(&["status", "allocation"]);
            }
        })?;
    }
    if frees {
        cluster.modify(by, key, Subresource::None, |claim| {
            let finalizers = claim["metadata"]["finalizers"].array_mut();
            finalizers.retain(|finalizer| finalizer.str() != FINALIZER);
            if finalizers.is_empty() {
                claim.remove(&["metadata", "finalizers"]);
            }
        })?;
    }
    if !unused {
        return Ok(());
    }
    // One that was made for a pod which will not run is not needed.
    let owner = claim.controller_ref().filter(|owner| owner.kind() == "Pod");
    let useless = owner.is_some_and(|owner| {
        let pod = cluster.find("pods", &key.namespace, owner.name());
        pod.is_some_and(|pod| pod.uid() != owner.uid() || is_done(pod))
    });
    if useless && !claim.is_deleting() {
        return match cluster.delete(by, key, &DeleteOptions::default()) {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        };
    }
    Ok(())
}
