//! What all objects have: names, labels, owners.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::value::{Text, Value};

/// What identifies a stored object: its resource's id (`deployments.apps`), namespace (empty for
/// cluster-scoped objects) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// [`crate::Resource::id`]
    pub resource: Text,
    /// Empty for cluster-scoped objects.
    pub namespace: Text,
    /// The object's name.
    pub name: Text,
}

/// By resource, namespace and name. Parts that share their memory are not compared.
impl Ord for ObjectKey {
    fn cmp(&self, other: &ObjectKey) -> Ordering {
        let compare = |a: &Text, b: &Text| match Arc::ptr_eq(a, b) {
            true => Ordering::Equal,
            false => a.cmp(b),
        };
        compare(&self.resource, &other.resource)
            .then_with(|| compare(&self.namespace, &other.namespace))
            .then_with(|| compare(&self.name, &other.name))
    }
}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &ObjectKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(
        resource: impl Into<Text>,
        namespace: impl Into<Text>,
        name: impl Into<Text>,
    ) -> ObjectKey {
        ObjectKey {
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// `pods default/web`, `nodes worker-1`
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.resource, self.name),
            namespace => write!(f, "{} {}/{}", self.resource, namespace, self.name),
        }
    }
}

/// One of `metadata.ownerReferences`.
#[derive(Clone, Copy, Debug)]
pub struct OwnerReference<'a>(&'a Value);

impl<'a> OwnerReference<'a> {
    /// `apps/v1`
    pub fn api_version(&self) -> &'a str {
        self.0["apiVersion"].str()
    }
    /// `ReplicaSet`
    pub fn kind(&self) -> &'a str {
        self.0["kind"].str()
    }
    /// The owner's name.
    pub fn name(&self) -> &'a str {
        self.0["name"].str()
    }
    /// The owner's uid.
    pub fn uid(&self) -> &'a str {
        self.0["uid"].str()
    }
    /// Whether the owner is the managing controller.
    pub fn is_controller(&self) -> bool {
        self.0["controller"].as_bool() == Some(true)
    }
    /// Whether foreground deletion of the owner waits for this object.
    pub fn blocks_deletion(&self) -> bool {
        self.0["blockOwnerDeletion"].as_bool() == Some(true)
    }
    /// The reference as it is in the object.
    pub fn value(&self) -> &'a Value {
        self.0
    }
}

/// Fields that every object has. Missing strings read as `""`.
pub trait ObjectMeta {
    /// The object as a value.
    fn object(&self) -> &Value;

    /// `apiVersion`
    fn api_version(&self) -> &str {
        self.object()["apiVersion"].str()
    }
    /// `kind`
    fn kind(&self) -> &str {
        self.object()["kind"].str()
    }
    /// `metadata`
    fn metadata(&self) -> &Value {
        &self.object()["metadata"]
    }
    /// `metadata.name`
    fn name(&self) -> &str {
        self.metadata()["name"].str()
    }
    /// `metadata.namespace`
    fn namespace(&self) -> &str {
        self.metadata()["namespace"].str()
    }
    /// `metadata.uid`
    fn uid(&self) -> &str {
        self.metadata()["uid"].str()
    }
    /// `metadata.labels`
    fn labels(&self) -> &Value {
        &self.metadata()["labels"]
    }
    /// The label of that key.
    fn label(&self, key: &str) -> Option<&str> {
        self.labels().get(key)?.as_str()
    }
    /// `metadata.annotations`
    fn annotations(&self) -> &Value {
        &self.metadata()["annotations"]
    }
    /// The annotation of that key.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations().get(key)?.as_str()
    }
    /// `metadata.generation`, 0 where there is none.
    fn generation(&self) -> i64 {
        self.metadata()["generation"].as_i64().unwrap_or(0)
    }
    /// `metadata.resourceVersion`, 0 where there is none.
    fn resource_version(&self) -> u64 {
        self.metadata()["resourceVersion"]
            .str()
            .parse()
            .unwrap_or(0)
    }
    /// `metadata.creationTimestamp`
    fn creation_timestamp(&self) -> Option<&str> {
        self.metadata().get("creationTimestamp")?.as_str()
    }
    /// `metadata.deletionTimestamp`: set once the object is being deleted.
    fn deletion_timestamp(&self) -> Option<&str> {
        self.metadata().get("deletionTimestamp")?.as_str()
    }
    /// Whether the object is being deleted.
    fn is_deleting(&self) -> bool {
        self.deletion_timestamp().is_some()
    }
    /// `metadata.finalizers`
    fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.metadata()["finalizers"].items().iter().map(Value::str)
    }
    /// `metadata.ownerReferences`
    fn owner_references(&self) -> impl Iterator<Item = OwnerReference<'_>> {
        self.metadata()["ownerReferences"]
            .items()
            .iter()
            .map(OwnerReference)
    }
    /// The owner that manages the object, if one does.
    fn controller_ref(&self) -> Option<OwnerReference<'_>> {
        self.owner_references().find(OwnerReference::is_controller)
    }
}

impl ObjectMeta for Value {
    fn object(&self) -> &Value {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accessors_read_what_is_there() {
        let pod = Value::from_json(
            r#"{"kind":"Pod","metadata":{"name":"web","namespace":"d","labels":{"app":"web"},"resourceVersion":"12",
            "ownerReferences":[{"kind":"A","uid":"1"},{"kind":"ReplicaSet","name":"rs","uid":"2","controller":true}]}}"#,
        )
        .unwrap();
        assert_eq!(
            (
                pod.name(),
                pod.namespace(),
                pod.label("app"),
                pod.label("x")
            ),
            ("web", "d", Some("web"), None)
        );
        assert_eq!((pod.resource_version(), pod.is_deleting()), (12, false));
        assert_eq!(pod.controller_ref().map(|o| o.name()), Some("rs"));
        assert_eq!(ObjectKey::new("pods", "d", "web").to_string(), "pods d/web");
        assert_eq!(ObjectKey::new("nodes", "", "n1").to_string(), "nodes n1");
    }
}
