//! Deleting objects: grace, finalizers, what becomes of dependents.

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Text, Value};

use super::custom::DEFINITIONS;
use crate::cluster::Cluster;
use crate::event::{Action, Component};

/// What becomes of the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// The garbage collector deletes them afterwards.
    #[default]
    Background,
    /// They go first; the owner waits for them.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds of grace; `None`: what the object says.
    pub grace_seconds: Option<i64>,
    /// What becomes of dependents.
    pub propagation: Propagation,
    /// Only if the object still has this uid.
    pub uid: Option<Text>,
    /// Everything but the deleting.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// At once, without grace.
    pub fn now() -> DeleteOptions {
        DeleteOptions {
            grace_seconds: Some(0),
            ..DeleteOptions::default()
        }
    }
}

/// Namespaces that admission keeps (apiserver v0.37, `admission/plugin/namespace/lifecycle`).
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

impl Cluster {
    /// Deletes an object, or marks it when it has grace, finalizers or dependents to wait for.
    /// Gives back the object as it is (or was last).
    ///
    /// # Errors
    /// 404; 409 when the uid is another.
    pub fn delete(
        &mut self,
        by: &Component,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<Value, Status> {
        if let Some(error) = self.api_error(by) {
            return Err(error);
        }
        let old = self.get(key)?.clone();
        if options
            .uid
            .as_ref()
            .is_some_and(|uid| **uid != *old["metadata"]["uid"].str())
        {
            let why = format!(
                "the UID in the precondition ({}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                options.uid.as_deref().unwrap_or(""),
                old["metadata"]["uid"].str()
            );
            return Err(Status::conflict(&key.resource, &key.name, &why));
        }
        if &*key.resource == "namespaces" && IMMORTAL.contains(&&*key.name) {
            let why = "this namespace may not be deleted";
            return Err(Status::forbidden(&key.resource, &key.name, why));
        }
        if options.dry_run {
            return Ok(old);
        }
        if &*key.resource == DEFINITIONS {
            return self.delete_definition(by, key, old);
        }
        let grace = grace(&old, options);
        let mut object = old.clone();
        let finalizer = match options.propagation {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        };
        let dependents = self
            .index
            .dependents(old["metadata"]["uid"].str())
            .next()
            .is_some();
        if let Some(finalizer) = finalizer.filter(|_| dependents)
            && !object["metadata"]["finalizers"]
                .items()
                .iter()
                .any(|f| f.str() == finalizer)
        {
            object["metadata"]["finalizers"].push(finalizer);
        }
        let waits = grace > 0
            || !object["metadata"]["finalizers"].items().is_empty()
            || !object["spec"]["finalizers"].items().is_empty();
        if !waits {
            self.remove(by, key, Text::from(""));
            return Ok(old);
        }
        mark(self, &mut object, grace);
        if object.same(&old) {
            return Ok(old);
        }
        let stored = self.commit(by, Action::MarkDeleted, key, Some(object), Text::from(""));
        Ok(stored.unwrap_or_default())
    }

    fn delete_definition(
        &mut self,
        by: &Component,
        key: &ObjectKey,
        old: Value,
    ) -> Result<Value, Status> {
        let mut definition = old.clone();
        self.clean_up(by, key, &mut definition);
        if definition["metadata"]["finalizers"].is_empty() {
            self.remove(by, key, Text::from(""));
            return Ok(old);
        }
        mark(self, &mut definition, 0);
        let none = Text::from("");
        let stored = self.commit(by, Action::MarkDeleted, key, Some(definition), none);
        Ok(stored.unwrap_or_default())
    }

    /// Takes an object out of the store.
    pub(super) fn remove(&mut self, by: &Component, key: &ObjectKey, text: Text) {
        if let Some(old) = self.etcd.get(key).cloned() {
            self.release(key, &old);
        }
        self.commit(by, Action::Delete, key, None, text);
        if self.definitions.schema().by_id(&key.resource).is_some() {
            self.finish_clean_up(by, &key.resource);
        }
    }
}

/// Seconds that a pod has left; other kinds have no grace (kube-apiserver v1.37,
/// `pkg/registry/core/pod/strategy.go`, CheckGracefulDelete).
fn grace(object: &Value, options: &DeleteOptions) -> i64 {
    if object["kind"].str() != "Pod" {
        return 0;
    }
    let unscheduled = object["spec"]["nodeName"].is_empty();
    let over = matches!(object["status"]["phase"].str(), "Failed" | "Succeeded");
    if unscheduled || over {
        return 0;
    }
    let asked = options
        .grace_seconds
        .or(object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30)
        .max(0);
    // A pod that is being deleted already can only lose time.
    match object["metadata"]["deletionGracePeriodSeconds"].as_i64() {
        Some(left) if !object["metadata"]["deletionTimestamp"].is_null() => asked.min(left),
        _ => asked,
    }
}

fn mark(cluster: &Cluster, object: &mut Value, grace: i64) {
    let metadata = &mut object["metadata"];
    let marked = !metadata["deletionTimestamp"].is_null();
    if marked && metadata["deletionGracePeriodSeconds"].as_i64() == Some(grace) {
        return;
    }
    let end = cluster.now + std::time::Duration::from_secs(grace.unsigned_abs());
    metadata["deletionTimestamp"] = end.rfc3339().into();
    metadata["deletionGracePeriodSeconds"] = grace.into();
    if let Some(generation) = metadata["generation"].as_i64().filter(|_| !marked) {
        metadata["generation"] = (generation + 1).into();
    }
    if object["kind"].str() == "Namespace" {
        object.set(&["status", "phase"], "Terminating");
    }
}
