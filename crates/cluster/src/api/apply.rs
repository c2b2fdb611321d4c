//! Server-side apply (apiserver v0.37, `endpoints/handlers/patch.go`, applyPatcher).

use std::sync::Arc;

use kubarium_objects::managed::{self, LAST_APPLIED, ManagedFields, Manager, Operation};
use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Text, Value, decode, go};

use super::managers::empty_object;
use super::{Subresource, WriteOptions};
use crate::cluster::Cluster;
use crate::event::Component;

/// What is applied.
#[derive(Clone, Debug)]
pub struct Apply {
    /// The manifest.
    pub config: Value,
    /// Takes fields from others.
    pub force: bool,
}

impl Cluster {
    /// Applies a manifest to an object, or makes it. The manager is the options'.
    ///
    /// # Errors
    /// 409 for fields that others manage; what [`Cluster::create`] and [`Cluster::update`] answer.
    pub fn server_side_apply(
        &mut self,
        by: &Component,
        resource: &Arc<Resource>,
        apply: &Apply,
        part: Subresource,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        if let Some(error) = self.api_error(by) {
            return Err(error);
        }
        if *by == Component::Person {
            super::admission::wait(self, &apply.config, options.namespace.as_deref());
        }
        let result = self.try_apply(by, resource, apply, part, options);
        self.log_refusal(by, options, &result);
        result
    }

    fn try_apply(
        &mut self,
        by: &Component,
        resource: &Arc<Resource>,
        apply: &Apply,
        part: Subresource,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        let mut config = apply.config.clone();
        super::write::place(resource, &mut config, options)?;
        let key = super::key_in(resource, &config);
        let api_version = resource.api_version();
        if config["apiVersion"].str() != api_version {
            return Err(Status::bad_request(format!(
                "Incorrect version specified in apply patch. Specified patch version: {}, expected: {api_version}",
                config["apiVersion"].str()
            )));
        }
        if !config["metadata"]["managedFields"].is_null() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let shape = self.shape(resource);
        let errors = managed::validate(shape, &config);
        if !errors.is_empty() {
            return Err(untyped(resource, &key, &errors));
        }
        let live = self.etcd.get(&key).cloned();
        let version = config["metadata"]["resourceVersion"].str();
        match &live {
            Some(live)
                if !version.is_empty() && version != live["metadata"]["resourceVersion"].str() =>
            {
                return Err(Status::modified(&key.resource, &key.name));
            }
            None if !config["metadata"]["uid"].is_empty() => {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    config["metadata"]["uid"].str()
                );
                return Err(Status::conflict(&key.resource, &key.name, &why));
            }
            _ => {}
        }
        let subresource = part.name();
        let who = Manager {
            name: options.manager.clone().unwrap_or_else(|| "unknown".into()),
            operation: Operation::Apply,
            subresource: subresource.into(),
            api_version: api_version.into(),
        };
        let has_status = resource.subresource("status").is_some();
        let ignored = managed::reset_fields(has_status, subresource);
        let before = self.managed_fields(&key);
        let mut managers = before.clone();
        let time = self.now.rfc3339();
        let write = managed::Write {
            shape,
            by: &who,
            time: &time,
            ignored: &ignored,
        };
        let old = live
            .clone()
            .unwrap_or_else(|| empty_object(resource, shape));
        if live.is_some() && managers.0.is_empty() {
            let unknown = Manager {
                name: "before-first-apply".into(),
                operation: Operation::Update,
                ..who.clone()
            };
            let empty = empty_object(resource, shape);
            managers.update(
                &empty,
                &old,
                &managed::Write {
                    by: &unknown,
                    ..write
                },
            );
        }
        let mut object = managers.apply(&old, &config, &write, apply.force)?;
        if &*who.name == "kubectl" && !object["metadata"]["annotations"][LAST_APPLIED].is_empty() {
            let mut applied = config.clone();
            applied.remove(&["metadata", "annotations", LAST_APPLIED]);
            object["metadata"]["annotations"][LAST_APPLIED] = (go::json(&applied) + "\n").into();
        }
        let object = self.typed(resource, &object)?;
        let options = WriteOptions {
            strict: false,
            ..options.clone()
        };
        if live.is_none() {
            return self.create_applied(by, object, &options, Some(managers));
        }
        // An entry that differs in its time alone is no change.
        let same = without_times(&before) == without_times(&managers);
        let managers = (!same).then_some(managers);
        self.update_applied(by, object, part, &options, managers)
    }

    /// The object with the types of its kind.
    pub(super) fn typed(&self, resource: &Resource, object: &Value) -> Result<Value, Status> {
        if self.is_custom(resource) {
            return Ok(object.clone());
        }
        decode::decode_lenient(
            kubarium_objects::Schema::builtin(),
            resource.type_id,
            object,
        )
        .map_err(|error| Status::bad_request(error.to_string()))
    }

    /// Turns what kubectl's client-side apply manages into what its server-side apply manages; whether
    /// there was something to turn (kubectl v0.37, `cmd/apply`, migrateToSSAIfNecessary).
    pub fn upgrade_managers(&mut self, by: &Component, key: &ObjectKey, to: &str) -> bool {
        let Some(object) = self.etcd.get(key).cloned() else {
            return false;
        };
        let mut managers = self.managed_fields(key);
        let owned = managed::Set::of_fields(&[&["metadata", "annotations", LAST_APPLIED]]);
        let to = Manager {
            name: to.into(),
            operation: Operation::Apply,
            subresource: Text::from(""),
            api_version: object["apiVersion"].text(),
        };
        if !managers.upgrade(&owned, &to) {
            return false;
        }
        self.commit_by(
            by,
            crate::event::Action::Update,
            key,
            Some(object),
            Text::from(""),
            super::managers::Writer::Applied(Box::new(managers)),
        );
        true
    }
}

fn without_times(managers: &ManagedFields) -> ManagedFields {
    let mut out = managers.clone();
    out.0.iter_mut().for_each(|e| e.time = Text::from(""));
    out.0.sort_by(|a, b| {
        let key = |m: &Manager| {
            (
                m.operation,
                m.name.clone(),
                m.subresource.clone(),
                m.api_version.clone(),
            )
        };
        key(&a.manager).cmp(&key(&b.manager))
    });
    out
}

fn untyped(resource: &Resource, key: &ObjectKey, errors: &[String]) -> Status {
    let version = match &*resource.group {
        "" => format!("/{}", resource.version),
        group => format!("{group}/{}", resource.version),
    };
    let what = match errors {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Status::unnamed(format!(
        "failed to create typed patch object ({}/{}; {version}, Kind={}): {what}",
        key.namespace, key.name, resource.kind
    ))
}
