//! The API server: the only counter at which anybody changes anything.
//!
//! Every write goes the real way: decode → admit → prepare → validate → store → watch. Reading is
//! free: components read the store as their informers would.

pub(crate) mod addresses;
pub mod admission;
pub(crate) mod aggregation;
mod allocate;
mod apply;
pub mod custom;
mod delete;
mod evict;
mod fields;
pub(crate) mod flow_control;
mod limit_range;
mod logs;
pub(crate) mod managers;
mod mutations;
mod pod_security;
mod policies;
mod quota;
pub mod rbac;
pub mod rest;
mod scale;
mod strategy;
pub mod table;
pub mod watch;
mod write;

pub use allocate::Allocators;
pub use apply::Apply;
pub use delete::{DeleteOptions, Propagation};
pub use fields::fields_match;
pub use write::{Patch, Subresource, WriteOptions};

use std::sync::Arc;

use kubarium_objects::schema::{Resource, Schema};
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Text, Value};

use crate::cluster::Cluster;

impl Cluster {
    /// The resource that serves a kind: `("apps/v1", "Deployment")`.
    pub fn resource_by_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let builtin = Schema::builtin().by_kind(api_version, kind);
        let custom = || self.definitions.schema().by_kind(api_version, kind);
        builtin.or_else(custom).cloned()
    }

    /// The resource that a word names as kubectl reads it: `po`, `deploy`, `deployments.apps`.
    pub fn resource_by_name(&self, word: &str) -> Option<Arc<Resource>> {
        let builtin = Schema::builtin().by_name(word);
        let custom = || self.definitions.schema().by_name(word);
        builtin.or_else(custom).cloned()
    }

    /// The resource of a key's group-qualified plural: `deployments.apps`.
    pub fn resource_by_id(&self, id: &str) -> Option<Arc<Resource>> {
        let builtin = Schema::builtin().by_id(id);
        let custom = || self.definitions.schema().by_id(id);
        builtin.or_else(custom).cloned()
    }

    /// All resources that are served, in discovery's order.
    pub fn resources(&self) -> Vec<Arc<Resource>> {
        let custom = self.definitions.schema().resources();
        let builtin = Schema::builtin().resources();
        builtin.iter().chain(custom).cloned().collect()
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
