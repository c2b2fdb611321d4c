//! etcd: the one place where objects are kept, each under its key, at a revision that only rises.
//!
//! Objects are shared by reference: a snapshot of the store costs one reference a table, and a write
//! after it the chunk that it changes.

use std::sync::Arc;

use kubarium_objects::managed::ManagedFields;
use kubarium_objects::{ObjectKey, Text, Value};

use crate::api::managers::{Writer, Writes};
use crate::recorder::Note;
use crate::shared_map::SharedMap;
use crate::time::Time;

/// An object with etcd's own numbers.
#[derive(Clone, Debug)]
pub struct Stored {
    content: Content,
    /// The revision that made the key.
    pub create_revision: u64,
    /// The revision that last wrote it.
    pub mod_revision: u64,
    /// How often it was written since it was made.
    pub version: u64,
    /// Who wrote it, for `metadata.managedFields`.
    pub(crate) writes: Writes,
}

/// Most objects are kept as they are. The Events that components record are many and seldom read:
/// they are kept as short notes, and become objects when somebody looks.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Object(Value),
    Note(Arc<Note>),
}

impl Content {
    /// The object.
    pub fn object(&self) -> &Value {
        match self {
            Content::Object(object) => object,
            Content::Note(note) => note.object(),
        }
    }
}

impl Stored {
    /// The object, with its resourceVersion set to `mod_revision`.
    pub fn object(&self) -> &Value {
        self.content.object()
    }
}

type Table = SharedMap<ObjectKey, Stored>;

/// The store: tables by resource, all under one revision counter.
#[derive(Clone, Debug, Default)]
pub struct Etcd {
    revision: u64,
    tables: SharedMap<Text, Table>,
    /// What was sent to make the newest object: a controller sends the same again and again.
    sent: Value,
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
        self.stored(key).map(Stored::object)
    }

    /// The note under `key`, where an Event is still as it was recorded.
    pub(crate) fn note(&self, key: &ObjectKey) -> Option<&Arc<Note>> {
        match &self.stored(key)?.content {
            Content::Note(note) => Some(note),
            Content::Object(_) => None,
        }
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
                    name: Text::default(),
                };
                (Some(table), Some(first))
            }
            None => (None, None),
        };
        let within = namespace.map(Text::from);
        table
            .into_iter()
            .zip(first)
            .flat_map(|(table, first)| table.since(&first))
            .take_while(move |(key, _)| within.as_ref().is_none_or(|ns| key.namespace == *ns))
            .map(|(key, stored)| (key, stored.object()))
    }

    /// How many objects of a resource there are.
    pub fn count(&self, resource: &str) -> usize {
        self.tables.get(resource).map_or(0, SharedMap::len)
    }

    /// The resources that have (or had) objects.
    pub fn resources(&self) -> impl Iterator<Item = &Text> {
        self.tables.keys()
    }

    /// Writes `object` at the next revision, which becomes its resourceVersion. Gives back the
    /// object as stored.
    pub(crate) fn put(
        &mut self,
        key: &ObjectKey,
        mut object: Value,
        mut writer: Writer,
        at: Time,
    ) -> Value {
        if let Writer::Create(_, sent) = &mut writer {
            match sent.same(&self.sent) {
                true => *sent = self.sent.clone(),
                false => self.sent = sent.clone(),
            }
        }
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        object.shrink();
        let content = Content::Object(object.clone());
        self.write(key, content, |writes| writes.note(writer, at, &object));
        object
    }

    /// Whether it is time to compute who manages an object's fields.
    pub(crate) fn has_many_writes(&self, key: &ObjectKey) -> bool {
        self.stored(key).is_some_and(|s| s.writes.are_many())
    }

    /// Puts an object's writes together: these are the managers of its fields now.
    pub(crate) fn set_managers(&mut self, key: &ObjectKey, managers: ManagedFields) {
        let table = self.tables.get_mut(&key.resource);
        if let Some(stored) = table.and_then(|table| table.get_mut(key)) {
            let writer = Writer::Applied(Box::new(managers));
            let object = stored.object().clone();
            stored.writes.note(writer, Time::default(), &object);
        }
    }

    /// Writes an Event as a note at the next revision.
    pub(crate) fn put_note(
        &mut self,
        key: &ObjectKey,
        note: impl FnOnce(u64) -> Note,
    ) -> Arc<Note> {
        self.revision += 1;
        let note = Arc::new(note(self.revision));
        self.write(key, Content::Note(note.clone()), |_| {});
        note
    }

    fn write(&mut self, key: &ObjectKey, content: Content, by: impl FnOnce(&mut Writes)) {
        let revision = self.revision;
        let table = self
            .tables
            .get_or_insert_with(&key.resource, Table::default);
        let stored = table.get_or_insert_with(key, || Stored {
            content: Content::Object(Value::Null),
            create_revision: revision,
            mod_revision: revision,
            version: 0,
            writes: Writes::default(),
        });
        stored.content = content;
        stored.mod_revision = revision;
        stored.version += 1;
        by(&mut stored.writes);
    }

    /// Removes the key at the next revision; whether there was anything.
    pub(crate) fn delete(&mut self, key: &ObjectKey) -> bool {
        let table = self.tables.get_mut(&key.resource);
        let was_there = table.is_some_and(|table| table.remove(key).is_some());
        self.revision += u64::from(was_there);
        was_there
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
