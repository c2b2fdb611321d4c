//! A watch: what happens to the objects of one kind that selectors let through, write by write
//! (apiserver v0.37, `storage/cacher`). It is a place in the event log, so it costs nothing until
//! it is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{FieldSelector, ObjectKey, Selector, Text, Value};

use super::fields_match;
use crate::cluster::Cluster;
use crate::event::{Action, Event, EventId};

/// What a watch says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new, or the selectors let it through now.
    Added,
    /// It was changed.
    Modified,
    /// It is gone, or the selectors do not let it through any more.
    Deleted,
}

impl Kind {
    /// As the API has it: `ADDED`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Added => "ADDED",
            Kind::Modified => "MODIFIED",
            Kind::Deleted => "DELETED",
        }
    }
}

/// Which objects somebody asks for.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Their resource.
    pub resource: Arc<Resource>,
    /// One namespace only.
    pub namespace: Option<Text>,
    /// One name only.
    pub name: Option<Text>,
    /// By their labels.
    pub labels: Selector,
    /// By their fields.
    pub fields: FieldSelector,
}

impl Filter {
    /// Whether the object under a key is meant.
    pub fn matches(&self, key: &ObjectKey, object: &Value) -> bool {
        self.covers(key)
            && self.labels.matches(&object["metadata"]["labels"])
            && fields_match(&self.fields, object)
    }

    fn covers(&self, key: &ObjectKey) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|ns| key.namespace == *ns)
            && self.name.as_ref().is_none_or(|name| key.name == *name)
    }
}

/// A watch request that was accepted.
#[derive(Clone, Debug)]
pub struct Watch {
    filter: Filter,
    next: EventId,
    /// The keys that whoever watches knows of.
    told: BTreeSet<ObjectKey>,
}

impl Watch {
    /// A watch that begins now, where whoever watches knows of `told`.
    pub fn now(cluster: &Cluster, filter: Filter, told: BTreeSet<ObjectKey>) -> Watch {
        Watch {
            filter,
            next: end(cluster),
            told,
        }
    }

    /// A watch of what has happened since a revision.
    ///
    /// # Errors
    /// 410 where the history does not go back that far.
    pub fn since(cluster: &Cluster, filter: Filter, revision: u64) -> Result<Watch, Status> {
        let next = cluster.log.after_revision(revision).or_else(|oldest| {
            match revision < cluster.etcd.revision() {
                true => Err(Status::expired(format!(
                    "too old resource version: {revision} ({})",
                    oldest.unwrap_or(cluster.etcd.revision())
                ))),
                false => Ok(end(cluster)),
            }
        })?;
        let mut told: BTreeSet<ObjectKey> = cluster
            .etcd
            .list(&filter.resource.id(), filter.namespace.as_deref())
            .filter(|(key, object)| filter.matches(key, object))
            .map(|(key, _)| key.clone())
            .collect();
        // As it was at that revision: what has changed since then is seen from its first change.
        let mut changed = BTreeSet::new();
        for event in writes(cluster, next, &filter) {
            let Some(key) = &event.object else { continue };
            if !changed.insert(key.clone()) {
                continue;
            }
            if event.action == Action::Create {
                told.remove(key);
            } else if filter.covers(key) && was_told(cluster, &filter, key, event) {
                told.insert(key.clone());
            }
        }
        Ok(Watch { filter, next, told })
    }

    /// Of what it tells.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.filter.resource
    }

    /// What has happened since it was last asked.
    pub fn take(&mut self, cluster: &Cluster) -> Vec<(Kind, ObjectKey, Value)> {
        let mut found = Vec::new();
        // The history may have gone back in the meantime.
        self.next = self.next.min(end(cluster));
        for event in writes(cluster, self.next, &self.filter) {
            let (Some(key), Some(object)) = (&event.object, cluster.log.stored(event.id)) else {
                continue;
            };
            let fits = event.action != Action::Delete && self.filter.matches(key, object);
            let kind = match (self.told.contains(key), fits) {
                (false, true) => Kind::Added,
                (true, true) => Kind::Modified,
                (true, false) => Kind::Deleted,
                (false, false) => continue,
            };
            match kind {
                Kind::Added => drop(self.told.insert(key.clone())),
                Kind::Deleted => drop(self.told.remove(key)),
                Kind::Modified => {}
            }
            let mut object = object.clone();
            if object["kind"].is_null() {
                object["apiVersion"] = self.filter.resource.api_version().into();
                object["kind"] = (&self.filter.resource.kind).into();
            }
            if let (Kind::Deleted, Some(revision)) = (kind, event.revision) {
                object["metadata"]["resourceVersion"] = revision.to_string().into();
            }
            found.push((kind, key.clone(), object));
        }
        self.next = end(cluster);
        found
    }
}

/// The number of the next event.
fn end(cluster: &Cluster) -> EventId {
    EventId(u32::try_from(cluster.log.len()).unwrap_or(u32::MAX))
}

/// The writes of a filter's kind, whatever the object.
fn writes<'a>(
    cluster: &'a Cluster,
    from: EventId,
    filter: &Filter,
) -> impl Iterator<Item = &'a Event> + use<'a> {
    let id = filter.resource.id();
    cluster.log.since(from).filter(move |event| {
        event.revision.is_some() && event.object.as_ref().is_some_and(|key| key.resource == id)
    })
}

/// Whether an object was let through before an event; one whose earlier state is not kept any more
/// counts as it is.
fn was_told(cluster: &Cluster, filter: &Filter, key: &ObjectKey, event: &Event) -> bool {
    let before = cluster.log.stored_before(key, event.id);
    let object = before.or_else(|| cluster.log.stored(event.id));
    object.is_some_and(|object| filter.matches(key, object))
}
