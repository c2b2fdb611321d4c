//! The API server: the only counter at which anybody changes anything.
//!
//! Every write goes the real way: decode → admit → prepare → validate → store → watch. Reading is
//! free: components read the store as their informers would.

pub mod admission;
mod allocate;
mod delete;
mod evict;
pub mod rbac;
mod strategy;
mod write;

pub use allocate::Allocators;
pub use delete::{DeleteOptions, Propagation};
pub use write::{Patch, Subresource, WriteOptions};

use std::sync::Arc;

use kubarium_objects::schema::{Resource, Schema};
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Text, Value};

use crate::cluster::Cluster;

impl Cluster {
    /// The resource that serves a kind: `("apps/v1", "Deployment")`.
    pub fn resource_by_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        Schema::builtin().by_kind(api_version, kind).cloned()
    }

    /// The resource that a word names as kubectl reads it: `po`, `deploy`, `deployments.apps`.
    pub fn resource_by_name(&self, word: &str) -> Option<Arc<Resource>> {
        Schema::builtin().by_name(word).cloned()
    }

    /// The resource of a key's group-qualified plural: `deployments.apps`.
    pub fn resource_by_id(&self, id: &str) -> Option<Arc<Resource>> {
        Schema::builtin().by_id(id).cloned()
    }

    /// All resources that are served, in discovery's order.
    pub fn resources(&self) -> Vec<Arc<Resource>> {
        Schema::builtin().resources().to_vec()
    }

    /// The object under `key`. Errors: 404 NotFound.
    pub fn get(&self, key: &ObjectKey) -> Result<&Value, Status> {
        self.etcd
            .get(key)
            .ok_or_else(|| Status::not_found(&key.resource, &key.name))
    }

    /// The object of that resource, namespace and name, if there is one.
    pub fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.etcd.get(&ObjectKey::new(resource, namespace, name))
    }

    /// The key of an object by its apiVersion, kind and metadata; `None` for a kind that is not
    /// served.
    pub fn key_of(&self, object: &Value) -> Option<ObjectKey> {
        let resource = self.resource_by_kind(object["apiVersion"].str(), object["kind"].str())?;
        Some(key_in(&resource, object))
    }
}

/// The key of an object of a resource.
pub fn key_in(resource: &Resource, object: &Value) -> ObjectKey {
    let metadata = &object["metadata"];
    ObjectKey {
        resource: resource.id(),
        namespace: if resource.namespaced {
            metadata["namespace"].text()
        } else {
            Text::from("")
        },
        name: metadata["name"].text(),
    }
}
