//! etcd: the one place where objects are kept, each under its key, at a revision that only rises.
//!
//! Objects are shared by reference: a snapshot of the store costs one reference a table until the
//! table changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::{ObjectKey, Text, Value};

/// An object with etcd's own numbers.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object, with its resourceVersion set to `mod_revision`.
    pub object: Value,
    /// The revision that made the key.
    pub create_revision: u64,
    /// The revision that last wrote it.
    pub mod_revision: u64,
    /// How often it was written since it was made.
    pub version: u64,
}

type Table = BTreeMap<ObjectKey, Stored>;

/// The store: tables by resource, all under one revision counter.
#[derive(Clone, Debug, Default)]
pub struct Etcd {
    revision: u64,
    tables: BTreeMap<Text, Arc<Table>>,
}

impl Etcd {
    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object under `key` with its numbers.
    pub fn stored(&self, key: &ObjectKey) -> Option<&Stored> {
        self.tables.get(&key.resource)?.get(key)
    }

    /// The object under `key`.
    pub fn get(&self, key: &ObjectKey) -> Option<&Value> {
        self.stored(key).map(|s| &s.object)
    }

    /// The objects of a resource in the order of their keys; of one namespace, or of all.
    pub fn list<'a>(
        &'a self,
        resource: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> + use<'a> {
        let (table, first) = match self.tables.get_key_value(resource) {
            Some((resource, table)) => {
                let first = ObjectKey {
                    resource: resource.clone(),
                    namespace: Text::from(namespace.unwrap_or("")),
                    name: Text::from(""),
                };
                (Some(table), Some(first))
            }
            None => (None, None),
        };
        let within = namespace.map(Text::from);
        table
            .into_iter()
            .zip(first)
            .flat_map(|(table, first)| table.range(first..))
            .take_while(move |(key, _)| within.as_ref().is_none_or(|ns| key.namespace == *ns))
            .map(|(key, stored)| (key, &stored.object))
    }

    /// How many objects of a resource there are.
    pub fn count(&self, resource: &str) -> usize {
        self.tables.get(resource).map_or(0, |table| table.len())
    }

    /// The resources that have (or had) objects.
    pub fn resources(&self) -> impl Iterator<Item = &Text> {
        self.tables.keys()
    }

    /// Writes `object` at the next revision, which becomes its resourceVersion. Gives back the
    /// object as stored.
    pub(crate) fn put(&mut self, key: &ObjectKey, mut object: Value) -> &Value {
        self.revision += 1;
        let revision = self.revision;
        object.set(&["metadata", "resourceVersion"], revision.to_string());
        let table = Arc::make_mut(self.tables.entry(key.resource.clone()).or_default());
        let stored = table
            .entry(key.clone())
            .and_modify(|s| s.version += 1)
            .or_insert_with(|| Stored {
                object: Value::Null,
                create_revision: revision,
                mod_revision: revision,
                version: 1,
            });
        stored.mod_revision = revision;
        stored.object = object;
        &stored.object
    }

    /// Removes the key at the next revision. Gives back what was there.
    pub(crate) fn delete(&mut self, key: &ObjectKey) -> Option<Value> {
        let table = Arc::make_mut(self.tables.get_mut(&key.resource)?);
        let stored = table.remove(key)?;
        self.revision += 1;
        Some(stored.object)
    }
}

/// The key under which kube-apiserver stores an object, as `etcdctl get --keys-only` shows it
/// (kube-apiserver v1.37: `pkg/registry/*/*/storage`, `pkg/kubeapiserver/default_storage_factory_builder.go`).
pub fn path(key: &ObjectKey, namespaced: bool, custom: bool) -> String {
    let resource: &str = &key.resource;
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let directory = match resource {
        "services" => "services/specs".to_owned(),
        "endpoints" => "services/endpoints".to_owned(),
        "nodes" => "minions".to_owned(),
        "replicationcontrollers" => "controllers".to_owned(),
        "ingresses.networking.k8s.io" => "ingress".to_owned(),
        _ if custom || matches!(group, "apiextensions.k8s.io" | "apiregistration.k8s.io") => {
            format!("{group}/{plural}")
        }
        _ => plural.to_owned(),
    };
    if namespaced {
        format!("/registry/{directory}/{}/{}", key.namespace, key.name)
    } else {
        format!("/registry/{directory}/{}", key.name)
    }
}
