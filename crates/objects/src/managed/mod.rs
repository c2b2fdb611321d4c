//! Server-side apply: who manages which fields of an object, and what becomes of an object when
//! somebody applies to it (structured-merge-diff v6 `merge`; apimachinery v0.37
//! `util/managedfields`; KEP-555).

mod path;
mod shape;
mod typed;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use path::{Element, Set, shown};
pub use shape::Shape;
pub use typed::{Comparison, compare, merge, remove, to_set, validate};

use crate::go;
use crate::schema::{Schema, Type, TypeId};
use crate::status::Status;
use crate::value::{Map, Text, Value, array, object};

/// How a manager came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By applying.
    Apply,
    /// By any other write.
    Update,
}

/// Who manages fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// `kubectl-create`, `kube-controller-manager`
    pub name: Text,
    /// How.
    pub operation: Operation,
    /// `status`, `scale`; empty for the object itself.
    pub subresource: Text,
    /// The version in which the object was written.
    pub api_version: Text,
}

impl Manager {
    /// Whether both are one entry; an applier has one for all versions.
    fn is(&self, other: &Manager) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// `"kubectl-create" using apps/v1`
    fn shown(&self) -> String {
        let mut text = go::quote(&self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(
                " with subresource {}",
                go::quote(&self.subresource)
            ));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whose.
    pub manager: Manager,
    /// Which fields.
    pub fields: Set,
    /// When they last changed: RFC 3339.
    pub time: Text,
}

/// `metadata.managedFields`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManagedFields(pub Vec<Entry>);

/// A write, as field management sees it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The type of the object.
    pub shape: Shape<'a>,
    /// Who writes.
    pub by: &'a Manager,
    /// When: RFC 3339.
    pub time: &'a str,
    /// Fields that the write cannot set.
    pub ignored: &'a Set,
}

/// A conflict: somebody else manages the field.
type Conflicts = Vec<(Manager, Vec<Element>)>;

/// What never belongs to anybody.
static STRIPPED: LazyLock<Set> = LazyLock::new(|| {
    Set::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// How many managers by updates an object keeps; the oldest become one.
const UPDATERS_MAX: usize = 10;

/// The fields of an object that a write to the object itself, or to its status, cannot set and does
/// not own (`GetResetFields` of the strategies).
pub fn reset_fields(has_status: bool, subresource: &str) -> Set {
    match (subresource, has_status) {
        ("status", _) => Set::of_fields(&[&["spec"]]),
        ("", true) => Set::of_fields(&[&["status"]]),
        _ => Set::default(),
    }
}

/// An object of a built-in type before anything is set: what Go prints of its zero value.
pub fn empty_object(schema: &Schema, type_id: TypeId) -> Value {
    let Type::Struct(s) = schema.get(type_id) else {
        return Value::Null;
    };
    let mut out = Map::default();
    for field in &s.fields {
        let of = schema.get(field.type_id);
        match of {
            Type::Struct(_) if field.by_value => {
                out.insert(field.name.clone(), empty_object(schema, field.type_id));
            }
            Type::List(_) | Type::Map(..) if field.required => {
                out.insert(field.name.clone(), Value::Null);
            }
            _ => {}
        }
    }
    out.into()
}

impl ManagedFields {
    /// From `metadata.managedFields`.
    pub fn from_value(value: &Value) -> ManagedFields {
        let entry = |v: &Value| Entry {
            manager: Manager {
                name: v["manager"].text(),
                operation: if v["operation"].str() == "Apply" {
                    Operation::Apply
                } else {
                    Operation::Update
                },
                subresource: v["subresource"].text(),
                api_version: v["apiVersion"].text(),
            },
            fields: Set::from_value(&v["fieldsV1"]),
            time: v["time"].text(),
        };
        ManagedFields(value.items().iter().map(entry).collect())
    }

    /// `metadata.managedFields`, in the API server's order.
    pub fn to_value(&self) -> Value {
        let mut entries: Vec<&Entry> = self.0.iter().collect();
        entries.sort_by(|a, b| {
            let key = |e: &Entry| (e.manager.operation, e.time.clone());
            let rest = |e: &Entry| {
                let m = &e.manager;
                (m.name.clone(), m.api_version.clone(), m.subresource.clone())
            };
            key(a).cmp(&key(b)).then_with(|| rest(a).cmp(&rest(b)))
        });
        array(entries.into_iter().map(|e| {
            let mut out = object([
                ("apiVersion", (&e.manager.api_version).into()),
                ("fieldsType", "FieldsV1".into()),
                ("fieldsV1", e.fields.to_value()),
                ("manager", (&e.manager.name).into()),
                (
                    "operation",
                    match e.manager.operation {
                        Operation::Apply => "Apply",
                        Operation::Update => "Update",
                    }
                    .into(),
                ),
            ]);
            if !e.manager.subresource.is_empty() {
                out["subresource"] = (&e.manager.subresource).into();
            }
            if !e.time.is_empty() {
                out["time"] = (&e.time).into();
            }
            out
        }))
    }

    fn of(&self, manager: &Manager) -> Option<&Entry> {
        self.0.iter().find(|e| e.manager.is(manager))
    }

    fn put(&mut self, manager: &Manager, fields: Set, time: &str) {
        let entry = Entry {
            manager: manager.clone(),
            fields,
            time: time.into(),
        };
        match self.0.iter_mut().find(|e| e.manager.is(manager)) {
            Some(old) => *old = entry,
            None => self.0.push(entry),
        }
    }

    /// Takes a write into account: what changed belongs to its manager now.
    pub fn update(&mut self, old: &Value, new: &Value, write: &Write) {
        let Write {
            shape,
            by,
            time,
            ignored,
        } = *write;
        let change = filtered(compare(shape, old, new), ignored);
        let taken = change.modified.union(&change.added);
        let gone = taken.union(&change.removed);
        for entry in &mut self.0 {
            entry.fields = entry.fields.difference(&gone);
        }
        let taken = taken.difference(&STRIPPED);
        if !taken.is_empty() {
            let own = self.of(by).map(|e| e.fields.union(&taken));
            self.put(by, own.unwrap_or(taken), time);
        }
        self.0.retain(|e| !e.fields.is_empty());
        self.cap();
    }

    /// Puts the oldest updaters together where there are too many (`capUpdateManagers`).
    fn cap(&mut self) {
        let updates = |e: &&Entry| e.manager.operation == Operation::Update;
        while self.0.iter().filter(updates).count() > UPDATERS_MAX {
            let mut order: Vec<usize> = (0..self.0.len())
                .filter(|at| self.0[*at].manager.operation == Operation::Update)
                .collect();
            order.sort_by_key(|at| (self.0[*at].time.clone(), self.0[*at].manager.name.clone()));
            let second = self.0.remove(order[1]);
            let first = order[0] - usize::from(order[1] < order[0]);
            let first = &mut self.0[first];
            first.fields = first.fields.union(&second.fields);
            first.time = second.time;
            first.manager.name = "ancient-changes".into();
            first.manager.subresource = "".into();
        }
    }

    /// Applies a configuration to the object as it is, and gives the object as it is to be.
    ///
    /// # Errors
    /// 409 with the fields that others manage, unless `force`.
    pub fn apply(
        &mut self,
        live: &Value,
        config: &Value,
        write: &Write,
        force: bool,
    ) -> Result<Value, Status> {
        let mut managed = self.clone();
        match managed.try_apply(live, config, write, force) {
            Ok(object) => {
                *self = managed;
                Ok(object)
            }
            Err(conflicts) => {
                // kubectl's own client-side apply is no stranger to its server-side apply.
                let by = write.by;
                let allowed = if &*by.name == "kubectl" {
                    last_applied(write.shape, live, &by.api_version)
                } else {
                    Set::default()
                };
                let rest: Conflicts = conflicts
                    .into_iter()
                    .filter(|(_, path)| !allowed.contains(path))
                    .collect();
                if !rest.is_empty() {
                    return Err(refusal(&rest));
                }
                let object = self.try_apply(live, config, write, true);
                object.map_err(|conflicts| refusal(&conflicts))
            }
        }
    }

    fn try_apply(
        &mut self,
        live: &Value,
        config: &Value,
        write: &Write,
        force: bool,
    ) -> Result<Value, Conflicts> {
        let Write {
            shape,
            by,
            time,
            ignored,
        } = *write;
        let merged = merge(shape, live, config);
        let set = to_set(shape, config).without_trees(ignored);
        let last = self.of(by).cloned();
        let old_time = last.as_ref().map_or(Text::from(""), |e| e.time.clone());
        self.put(by, set, &old_time);
        let new = match last.filter(|e| !e.fields.is_empty()) {
            Some(last) => self.prune(shape, &merged, &last.fields),
            None => merged,
        };
        let change = filtered(compare(shape, live, &new), ignored);
        let changed = change.modified.union(&change.added);
        let mut conflicts = Conflicts::new();
        for entry in self.0.iter().filter(|e| !e.manager.is(by)) {
            let paths = entry.fields.intersection(&changed).paths();
            conflicts.extend(paths.into_iter().map(|p| (entry.manager.clone(), p)));
        }
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        let gone = changed.union(&change.removed);
        for entry in self.0.iter_mut().filter(|e| !e.manager.is(by)) {
            entry.fields = entry.fields.difference(&gone);
        }
        if let Some(own) = self.0.iter_mut().find(|e| e.manager.is(by)) {
            own.fields = own.fields.difference(&STRIPPED);
            own.time = time.into();
        }
        self.0.retain(|e| !e.fields.is_empty());
        Ok(new)
    }

    /// Takes away what the manager applied last time and does not now, unless somebody else owns it.
    fn prune(&self, shape: Shape, merged: &Value, last: &Set) -> Value {
        let named = |set: &Set| set.with_named_fields(shape);
        let last = named(last);
        let pruned = remove(shape, merged, &last);
        let all = named(&to_set(shape, merged));
        let managed = self
            .0
            .iter()
            .fold(Set::default(), |all, e| all.union(&e.fields));
        let kept = named(&to_set(shape, &pruned)).union(&named(&managed));
        let pruned = remove(shape, merged, &all.difference(&kept));
        let left = named(&to_set(shape, &pruned));
        remove(shape, merged, &all.difference(&left).intersection(&last))
    }

    /// Whether somebody has applied a field.
    pub fn is_applied(&self, path: &[&str]) -> bool {
        let path = Set::of_fields(&[path]);
        self.0.iter().any(|e| {
            e.manager.operation == Operation::Apply && path.difference(&e.fields).is_empty()
        })
    }

    /// Gives the fields of managers by update that own a path to an applier, as kubectl does when a
    /// person turns from its client-side apply to the server's (client-go v0.37, `csaupgrade`).
    /// Whether there were such managers.
    pub fn upgrade(&mut self, owned: &Set, to: &Manager) -> bool {
        let is_old = |e: &Entry| {
            e.manager.operation == Operation::Update
                && e.manager.subresource.is_empty()
                && owned.difference(&e.fields).is_empty()
        };
        let old: Vec<Entry> = self.0.iter().filter(|e| is_old(e)).cloned().collect();
        self.0.retain(|e| !is_old(e));
        for entry in &old {
            let own = self.of(to).cloned();
            let fields = own
                .as_ref()
                .map_or_else(|| entry.fields.clone(), |e| e.fields.union(&entry.fields));
            let time = own.map_or_else(|| entry.time.clone(), |e| e.time);
            self.put(to, fields, &time);
        }
        !old.is_empty()
    }
}

fn filtered(change: Comparison, ignored: &Set) -> Comparison {
    Comparison {
        removed: change.removed.without_trees(ignored),
        modified: change.modified.without_trees(ignored),
        added: change.added.without_trees(ignored),
    }
}

/// The annotation with the last manifest of a client-side apply.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The fields that a client-side apply has set and nobody has changed since.
fn last_applied(shape: Shape, live: &Value, api_version: &str) -> Set {
    let text = live["metadata"]["annotations"][LAST_APPLIED].str();
    let Ok(applied) = Value::from_json(text) else {
        return Set::default();
    };
    if applied["apiVersion"].str() != api_version {
        return Set::default();
    }
    let change = compare(shape, &applied, live);
    to_set(shape, &applied)
        .difference(&change.modified)
        .difference(&change.added)
        .difference(&change.removed)
}

fn refusal(conflicts: &Conflicts) -> Status {
    let text = match &conflicts[..] {
        [(manager, path)] => format!(
            "1 conflict: conflict with {}: {}",
            manager.shown(),
            shown(path)
        ),
        many => {
            let mut managers: Vec<&Manager> = Vec::new();
            for (manager, _) in many {
                if !managers.iter().any(|m| m.is(manager)) {
                    managers.push(manager);
                }
            }
            managers.sort_by_key(|m| m.shown());
            let mut lines = Vec::new();
            for manager in managers {
                lines.push(format!("conflicts with {}:", manager.shown()));
                let own = many.iter().filter(|(m, _)| m.is(manager));
                lines.extend(own.map(|(_, path)| format!("- {}", shown(path))));
            }
            format!("{} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let causes = conflicts
        .iter()
        .map(|(manager, path)| (format!("conflict with {}", manager.shown()), shown(path)));
    Status::apply_conflict(format!("Apply failed with {text}"), causes)
}
