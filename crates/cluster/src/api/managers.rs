//! Who manages which fields of a stored object.
//!
//! A write notes who made it and keeps the object as it was then, which is shared with the log. The
//! sets of `metadata.managedFields` are computed from that when somebody looks at them or applies:
//! ten thousand pods that nobody asks about cost nothing.

use std::sync::{Arc, LazyLock};

use kubarium_objects::managed::{self, ManagedFields, Manager, Operation, Shape};
use kubarium_objects::schema::Resource;
use kubarium_objects::{ObjectKey, Schema, Text, Value};

use super::Subresource;
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::time::Time;

/// How many writes are kept before they are put together.
const WRITES_MAX: usize = 16;

/// Who makes a write, as field management sees it.
#[derive(Clone, Debug)]
pub(crate) enum Writer {
    /// Somebody whose fields are tracked: a name, and the part of the object.
    Update(Text, Subresource),
    /// The same for a new object, with the object as it was sent.
    Create(Text, Value),
    /// What an apply has computed.
    Applied(Box<ManagedFields>),
    /// The scheduler's binding of a pod, which is not tracked: the node, and that it is scheduled.
    Binding,
    /// Another write that is not tracked: the mark of a deletion.
    Untracked,
}

impl Writer {
    /// With the object as it was sent: what the API server adds to it is nobody's.
    pub(crate) fn with_sent(self, sent: Option<Value>) -> Writer {
        match (self, sent) {
            (Writer::Update(name, Subresource::None), Some(sent)) => Writer::Create(name, sent),
            (writer, _) => writer,
        }
    }

    /// A component's write.
    pub(crate) fn of(by: &Component, action: Action, key: &ObjectKey) -> Writer {
        let name = match by {
            Component::Controller(_) => "kube-controller-manager",
            // A binding is no update.
            Component::Scheduler if action == Action::Update && &*key.resource == "pods" => {
                return Writer::Binding;
            }
            Component::Process(_) => "curl",
            other => other.name(),
        };
        match action {
            Action::UpdateStatus => Writer::Update(manager(name), Subresource::Status),
            Action::Create | Action::Update => Writer::Update(manager(name), Subresource::None),
            _ => Writer::Untracked,
        }
    }
}

/// A manager's name; those of the components are kept once.
fn manager(name: &str) -> Text {
    static KNOWN: LazyLock<[Text; 3]> =
        LazyLock::new(|| ["kube-controller-manager", "kube-scheduler", "kubelet"].map(Text::from));
    let known = KNOWN.iter().find(|known| ***known == *name);
    known.cloned().unwrap_or_else(|| name.into())
}

#[derive(Clone, Debug)]
struct Write {
    /// None for a write that is not tracked.
    manager: Option<Text>,
    part: Subresource,
    at: Time,
    /// The object as it was stored.
    object: Value,
    /// Of many versions only the status is kept, here in the object's place: all else is as in the next write.
    status_only: bool,
    /// Whether that is a pod as it was bound: what was written at `at` did not name the node.
    bound: bool,
}

/// The writes of an object. They are shared between snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes(Option<Arc<Noted>>);

/// The writes of an object since its managers were last computed.
#[derive(Clone, Debug, Default)]
struct Noted {
    base: Option<Arc<ManagedFields>>,
    /// The object when `base` was computed; null for none.
    before: Value,
    since: Vec<Write>,
}

impl Write {
    /// Keeps no more of the object than differs in the next version.
    fn share(&mut self, next: &Value) {
        if differ_in_status(&self.object, next) {
            self.object = self.object["status"].clone();
            self.status_only = true;
        } else if same_metadata(&self.object["metadata"], &next["metadata"]) {
            self.object["metadata"] = next["metadata"].clone();
        }
    }

    /// The object, where `next` is what the next write has stored.
    fn whole(&self, next: &Value) -> Value {
        if !self.status_only {
            return self.object.clone();
        }
        let mut whole = next.clone();
        if whole["status"] != self.object {
            whole["status"] = self.object.clone();
        }
        whole
    }
}

impl Noted {
    /// The objects as the writes have stored them.
    fn versions(&self) -> Vec<Value> {
        let mut versions: Vec<Value> = Vec::new();
        for write in self.since.iter().rev() {
            let next = versions.last().unwrap_or(&Value::Null);
            versions.push(write.whole(next));
        }
        versions.reverse();
        versions
    }
}

impl Writes {
    /// Notes a write.
    pub(crate) fn note(&mut self, writer: Writer, at: Time, object: &Value) {
        let noted = || Noted::default().into();
        let (manager, part) = match writer {
            Writer::Update(name, part) => (Some(name), part),
            Writer::Binding => {
                if let Some(created) = self.created() {
                    created.object = object.clone();
                    created.bound = true;
                    return;
                }
                (None, Subresource::None)
            }
            Writer::Untracked => (None, Subresource::None),
            Writer::Create(name, sent) => {
                Arc::make_mut(self.0.get_or_insert_with(noted))
                    .since
                    .push(Write {
                        manager: Some(name),
                        part: Subresource::None,
                        at,
                        object: sent,
                        status_only: false,
                        bound: false,
                    });
                (None, Subresource::None)
            }
            Writer::Applied(managed) => {
                self.0 = Some(Arc::new(Noted {
                    base: Some(Arc::new(*managed)),
                    before: object.clone(),
                    since: Vec::new(),
                }));
                return;
            }
        };
        let write = Write {
            manager,
            part,
            at,
            object: object.clone(),
            status_only: false,
            bound: false,
        };
        let since = &mut Arc::make_mut(self.0.get_or_insert_with(noted)).since;
        match since.as_mut_slice() {
            // What one manager writes twice in a row is his either way.
            [before @ .., last] if last.manager == write.manager && last.part == part => {
                if let Some(before) = before.last_mut().filter(|before| before.status_only)
                    && !differ_in_status(&last.object, object)
                {
                    before.object = before.whole(&last.object);
                    before.status_only = false;
                }
                *last = write;
            }
            writes => {
                if let Some(last) = writes.last_mut() {
                    last.share(object);
                }
                since.reserve_exact(1);
                since.push(write);
            }
        }
    }

    /// The write that made the object, if there has been no other.
    fn created(&mut self) -> Option<&mut Write> {
        let noted = self.0.as_mut()?;
        if noted.base.is_some() || noted.since.len() != 1 {
            return None;
        }
        let only = Arc::make_mut(noted).since.first_mut();
        only.filter(|write| write.part == Subresource::None && !write.bound)
    }

    /// Whether it is time to compute the managers.
    pub(crate) fn are_many(&self) -> bool {
        self.0.as_ref().is_some_and(|n| n.since.len() > WRITES_MAX)
    }

    fn managers(&self, resource: &Resource, shape: Shape) -> ManagedFields {
        let Some(noted) = &self.0 else {
            return ManagedFields::default();
        };
        let mut managers = noted.base.as_deref().cloned().unwrap_or_default();
        let empty = empty_object(resource, shape);
        let mut before = if noted.before.is_null() {
            &empty
        } else {
            &noted.before
        };
        let has_status = resource.subresource("status").is_some();
        let is_pod = &*resource.id() == "pods";
        let versions = noted.versions();
        for (write, object) in noted.since.iter().zip(&versions) {
            let new_pod = (is_pod
                && before
                    .get("spec")
                    .is_none_or(|s| s["containers"].is_empty()))
            .then(|| as_sent(object, write.bound));
            let after = new_pod.as_ref().unwrap_or(object);
            if let Some(name) = &write.manager {
                let subresource = write.part.name();
                let by = Manager {
                    name: name.clone(),
                    operation: Operation::Update,
                    subresource: subresource.into(),
                    api_version: object["apiVersion"].text(),
                };
                let ignored = managed::reset_fields(has_status, subresource);
                let time = write.at.rfc3339();
                let what = managed::Write {
                    shape,
                    by: &by,
                    time: &time,
                    ignored: &ignored,
                };
                managers.update(before, after, &what);
            }
            before = object;
        }
        managers
    }
}

/// The object as it was sent, where the API server adds to it. Pods are many: of them what was added is
/// known without it ([`as_sent`]).
pub(super) fn sent(resource: &Resource, object: &Value) -> Option<Value> {
    let adds = matches!(
        &*resource.id(),
        "services"
            | "persistentvolumeclaims"
            | "persistentvolumes"
            | "jobs.batch"
            | "nodes"
            | "ingresses.networking.k8s.io"
            | "namespaces"
    );
    adds.then(|| object.clone())
}

/// Whether two versions' metadata differ in the resourceVersion only, which nobody manages.
fn same_metadata(earlier: &Value, later: &Value) -> bool {
    let (old, new) = (earlier.entries(), later.entries());
    let alike = |((a, old), (b, new)): (&(Text, Value), &(Text, Value))| {
        a == b && (&**a == "resourceVersion" || old.same(new))
    };
    old.len() == new.len() && old.iter().zip(new).all(alike)
}

/// Whether two versions of an object differ in nothing but their status.
fn differ_in_status(earlier: &Value, later: &Value) -> bool {
    let (old, new) = (earlier.entries(), later.entries());
    let alike = |((a, old), (b, new)): (&(Text, Value), &(Text, Value))| {
        a == b
            && match &**a {
                "status" => true,
                "metadata" => same_metadata(old, new),
                _ => old.same(new),
            }
    };
    old.len() == new.len() && old.iter().zip(new).all(alike)
}

/// A new pod without what admission has added to it, and what its binding has if it is bound.
fn as_sent(pod: &Value, bound: bool) -> Value {
    let mut sent = pod.clone();
    let spec = &mut sent["spec"];
    if bound {
        spec.remove(&["nodeName"]);
    }
    for field in ["priority", "preemptionPolicy", "overhead"] {
        spec.remove(&[field]);
    }
    if spec["serviceAccountName"].str() == "default" {
        spec.remove(&["serviceAccountName"]);
        spec.remove(&["serviceAccount"]);
    }
    let keep = |v: &Value, own: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        v.items().iter().filter(|i| !own(i)).cloned().collect()
    };
    let set = |spec: &mut Value, field: &str, rest: Vec<Value>| {
        if rest.is_empty() {
            spec.remove(&[field]);
        } else {
            spec[field] = rest.into();
        }
    };
    let added = |t: &Value| {
        t["tolerationSeconds"].as_i64() == Some(300)
            && matches!(
                t["key"].str(),
                "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"
            )
    };
    let tolerations = keep(&spec["tolerations"], &added);
    set(spec, "tolerations", tolerations);
    let token = |v: &Value| v["name"].str().starts_with("kube-api-access-");
    let volumes = keep(&spec["volumes"], &token);
    set(spec, "volumes", volumes);
    for list in ["initContainers", "containers"] {
        for at in 0..spec[list].items().len() {
            let container = &mut spec[list][at];
            let mounts = keep(&container["volumeMounts"], &token);
            set(container, "volumeMounts", mounts);
        }
    }
    sent
}

/// An object of the resource before anything is set.
pub(super) fn empty_object(resource: &Resource, shape: Shape) -> Value {
    match shape {
        Shape::Builtin(..) => managed::empty_object(Schema::builtin(), resource.type_id),
        _ => Value::new_object(),
    }
}

impl Cluster {
    /// Who manages which fields of an object.
    pub fn managed_fields(&self, key: &ObjectKey) -> ManagedFields {
        let stored = self.etcd.stored(key);
        let resource = self.resource_by_id(&key.resource);
        match (stored, resource) {
            (Some(stored), Some(resource)) => {
                stored.writes.managers(&resource, self.shape(&resource))
            }
            _ => ManagedFields::default(),
        }
    }

    /// What field management must know of a resource's objects.
    pub(super) fn shape(&self, resource: &Resource) -> Shape<'_> {
        match self.definitions.version(resource) {
            Some(version) => Shape::Custom(&version.schema),
            None => Shape::builtin(resource.type_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod's versions, without what nobody manages.
    fn versions(writes: &Writes) -> Vec<String> {
        let noted = writes.0.as_deref().expect("writes");
        let bare = |mut object: Value| {
            object.remove(&["metadata", "resourceVersion"]);
            object.to_json()
        };
        noted.versions().into_iter().map(bare).collect()
    }

    #[test]
    fn of_a_version_no_more_is_kept_than_differs() {
        let version = |revision: u32, labels: &str, node: &str, phase: &str| {
            let text = format!(
                r#"{{"metadata":{{"labels":"{labels}","resourceVersion":"{revision}"}},"spec":"{node}","status":"{phase}"}}"#
            );
            Value::from_json(&text).expect("JSON")
        };
        let [made, runs, named, moved] = [
            version(1, "a", "n1", "Pending"),
            version(2, "a", "n1", "Running"),
            version(3, "b", "n1", "Running"),
            version(4, "b", "n2", "Running"),
        ];
        let told = |objects: &[&Value]| -> Vec<String> {
            let bare = |object: &&Value| {
                let mut object = Value::clone(object);
                object.remove(&["metadata", "resourceVersion"]);
                object.to_json()
            };
            objects.iter().map(bare).collect()
        };
        let status = || Writer::Update("kubelet".into(), Subresource::Status);
        let (mut writes, now) = (Writes::default(), Time::default());
        writes.note(
            Writer::Update("kubectl".into(), Subresource::None),
            now,
            &made,
        );
        writes.note(status(), now, &runs);
        let kept = |writes: &Writes| -> Vec<bool> {
            let noted = writes.0.as_deref().expect("writes");
            noted.since.iter().map(|write| write.status_only).collect()
        };
        assert_eq!(kept(&writes), [true, false]);
        assert_eq!(versions(&writes), told(&[&made, &runs]));
        // The write that takes the place of the last one changes more than the status.
        writes.note(status(), now, &named);
        assert_eq!(kept(&writes), [false, false]);
        assert_eq!(versions(&writes), told(&[&made, &named]));
        writes.note(Writer::Untracked, now, &moved);
        assert_eq!(versions(&writes), told(&[&made, &named, &moved]));
    }
}
