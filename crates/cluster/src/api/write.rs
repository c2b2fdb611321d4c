//! Creating, updating and patching objects.

use std::sync::Arc;

use kubarium_objects::decode::{self, DecodeError};
use kubarium_objects::managed::ManagedFields;
use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{
    FieldError, ObjectKey, ObjectMeta, Schema, Text, Value, defaults, go, patch, validation,
};

use super::managers::Writer;
use super::rbac::{self, User};
use super::{admission, custom, key_in, managers, mutations, policies, quota, strategy};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::recorder::Note;

/// How a write is to be made.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Everything but the storing (`--dry-run=server`).
    pub dry_run: bool,
    /// Decode strictly first, as for text that a person wrote: wrong types and unknown fields are
    /// refused. Components send typed objects that cannot have them.
    pub strict: bool,
    /// The namespace of the request's path; an object that names another is refused.
    pub namespace: Option<Text>,
    /// Who makes the request; none for components, whose rights are not looked at.
    pub user: Option<User>,
    /// As what the fields are managed (`--field-manager`); none for the component's own name.
    pub manager: Option<Text>,
}

impl WriteOptions {
    /// For an object that a person wrote.
    pub fn strict() -> WriteOptions {
        WriteOptions {
            strict: true,
            ..WriteOptions::default()
        }
    }
}

/// The part of an object that a request may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subresource {
    /// The object itself, except its status.
    #[default]
    None,
    /// Its status only.
    Status,
    /// How many replicas there are to be.
    Scale,
    /// Whether a certificate is approved: a part of the status, with a permission of its own.
    Approval,
    /// The resources of a pod's containers only.
    Resize,
    /// The ephemeral containers of a pod only.
    EphemeralContainers,
}

impl Subresource {
    /// Its name in a path; empty for the object itself.
    pub fn name(self) -> &'static str {
        match self {
            Subresource::None => "",
            Subresource::Status => "status",
            Subresource::Scale => "scale",
            Subresource::Approval => "approval",
            Subresource::Resize => "resize",
            Subresource::EphemeralContainers => "ephemeralcontainers",
        }
    }

    /// Whether the object itself is written, or the number of its replicas: what admission looks at.
    fn is_whole(self) -> bool {
        matches!(self, Subresource::None | Subresource::Scale)
    }

    /// Whether only the status is written.
    pub fn is_status(self) -> bool {
        matches!(self, Subresource::Status | Subresource::Approval)
    }
}

/// A change described rather than a whole object.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' strategic merge patch, by the schema's merge keys.
    Strategic(Value),
}

/// A request as policies and webhooks see it.
fn asked<'a>(
    resource: &'a Resource,
    object: &'a Value,
    old: Option<&'a Value>,
    user: Option<&'a User>,
) -> policies::Asked<'a> {
    policies::Asked {
        resource,
        object,
        old,
        user,
    }
}

/// A write to one object.
struct Write<'a> {
    by: &'a Component,
    key: &'a ObjectKey,
    part: Subresource,
    options: &'a WriteOptions,
}

impl Cluster {
    /// Decodes what a person wrote into an object of the kind that it names: defaults are in,
    /// nulls are out. Errors: 400 for unknown kinds, wrong types, unknown fields.
    pub fn decode(&self, raw: &Value, strict: bool) -> Result<(Arc<Resource>, Value), Status> {
        let (api_version, kind) = (raw["apiVersion"].str(), raw["kind"].str());
        let resource = self.resource_by_kind(api_version, kind).ok_or_else(|| {
            Status::bad_request(format!(
                "no kind {kind:?} is registered for version {api_version:?}"
            ))
        })?;
        if let Some(version) = self.definitions.version(&resource) {
            let object = custom::decode(&resource, version, raw, strict)
                .map_err(|error| cannot_handle(&resource, &error))?;
            return Ok((resource, object));
        }
        let mut object = if strict {
            decode::decode(Schema::builtin(), resource.type_id, raw)
                .map_err(|error| cannot_handle(&resource, &error))?
        } else {
            raw.clone()
        };
        defaults::apply(&resource, &mut object);
        Ok((resource, object))
    }

    /// Creates an object on behalf of a component.
    ///
    /// # Errors
    /// The Status that the API server answers with: 400, 403, 404 (namespace), 409, 422.
    pub fn create(&mut self, by: &Component, object: Value) -> Result<Value, Status> {
        self.create_with(by, object, &WriteOptions::default())
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Cluster::create`].
    pub fn create_with(
        &mut self,
        by: &Component,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        if let Some(error) = self.api_error(by) {
            return Err(error);
        }
        if *by == Component::Person {
            admission::wait(self, &object, options.namespace.as_deref());
        }
        let result = self.create_applied(by, object, options, None);
        self.log_refusal(by, options, &result);
        result
    }

    /// Creates an object; `managers` are those that an apply has computed.
    pub(super) fn create_applied(
        &mut self,
        by: &Component,
        object: Value,
        options: &WriteOptions,
        managers: Option<ManagedFields>,
    ) -> Result<Value, Status> {
        let (resource, mut object) = self.decode(&object, options.strict)?;
        place(&resource, &mut object, options)?;
        let allocation = self.allocation(&resource);
        let result = self.create_decoded(by, &resource, object, options, managers);
        if result.is_err() || options.dry_run {
            self.take_back(allocation);
        }
        result
    }

    fn create_decoded(
        &mut self,
        by: &Component,
        resource: &Arc<Resource>,
        mut object: Value,
        options: &WriteOptions,
        managers: Option<ManagedFields>,
    ) -> Result<Value, Status> {
        let sent = managers::sent(resource, &object);
        admission::create(self, resource, &mut object)?;
        let user = options.user.as_ref();
        mutations::apply(self, resource, &mut object, None, user)?;
        let hooks = policies::Hooks::Mutating;
        policies::call_webhooks(self, asked(resource, &object, None, user), hooks)?;
        if let Some(user) = &options.user {
            rbac::check_escalation(self, user, resource, &object, None)?;
        }
        strategy::prepare_create(self, resource, &mut object);
        if &*resource.kind == "CertificateSigningRequest" {
            strategy::note_requester(&mut object, options.user.as_ref());
        }
        self.allocate(resource, &mut object, None, options.dry_run)?;
        let errors = match self.definitions.version(resource) {
            Some(version) => custom::validate(resource, version, &object, None),
            None => validation::create(resource, &object),
        };
        if !errors.is_empty() {
            return Err(Status::invalid(
                &qualified_kind(resource),
                &named(&object),
                &errors,
            ));
        }
        admission::validate(self, resource, &object, None)?;
        policies::check(self, asked(resource, &object, None, user))?;
        let key = key_in(resource, &object);
        let charges = quota::check(self, resource, &key, &object, None)?;
        if self.etcd.get(&key).is_some() {
            return Err(Status::already_exists(&key.resource, &key.name));
        }
        if options.dry_run {
            return Ok(object);
        }
        quota::charge(self, charges);
        let writer = Writer::of(by, Action::Create, &key);
        let writer = named_writer(writer, options, managers).with_sent(sent);
        let none = Text::from("");
        let stored = self.commit_by(by, Action::Create, &key, Some(object), none, writer);
        Ok(stored.unwrap_or_default())
    }

    /// Replaces an object (or its status) on behalf of a component. A resourceVersion in it must
    /// be the stored one.
    ///
    /// # Errors
    /// 404, 409 Conflict, 422.
    pub fn update(&mut self, by: &Component, object: Value) -> Result<Value, Status> {
        self.update_with(by, object, Subresource::None, &WriteOptions::default())
    }

    /// Replaces an object's status on behalf of a component.
    ///
    /// # Errors
    /// As [`Cluster::update`].
    pub fn update_status(&mut self, by: &Component, object: Value) -> Result<Value, Status> {
        self.update_with(by, object, Subresource::Status, &WriteOptions::default())
    }

    /// Changes an object as a controller does: reads it, changes it, writes it. Nothing is written
    /// when nothing differs.
    ///
    /// # Errors
    /// As [`Cluster::update`].
    pub fn modify(
        &mut self,
        by: &Component,
        key: &ObjectKey,
        part: Subresource,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Status> {
        let mut object = self.get(key)?.clone();
        change(&mut object);
        self.update_with(by, object, part, &WriteOptions::default())
    }

    /// Replaces an object or its status.
    ///
    /// # Errors
    /// As [`Cluster::update`].
    pub fn update_with(
        &mut self,
        by: &Component,
        object: Value,
        part: Subresource,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        if let Some(error) = self.api_error(by) {
            return Err(error);
        }
        let result = self.update_applied(by, object, part, options, None);
        self.log_refusal(by, options, &result);
        result
    }

    /// Replaces an object or its status; `managers` are those that an apply has computed.
    pub(super) fn update_applied(
        &mut self,
        by: &Component,
        object: Value,
        part: Subresource,
        options: &WriteOptions,
        managers: Option<ManagedFields>,
    ) -> Result<Value, Status> {
        let (resource, mut object) = match part {
            // A component's status is typed, and all of the rest is taken from what is stored.
            Subresource::Status if !options.strict => {
                let (api_version, kind) = (object["apiVersion"].str(), object["kind"].str());
                let resource = self.resource_by_kind(api_version, kind);
                let unknown = || {
                    Status::bad_request(format!(
                        "no kind {kind:?} is registered for version {api_version:?}"
                    ))
                };
                (resource.ok_or_else(unknown)?, object)
            }
            _ => self.decode(&object, options.strict)?,
        };
        place(&resource, &mut object, options)?;
        let key = key_in(&resource, &object);
        let old = self.get(&key)?.clone();
        let uid = object["metadata"]["uid"].str();
        if !uid.is_empty() && uid != old.uid() {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                crate::etcd::path(
                    &key,
                    resource.namespaced,
                    self.definitions.version(&resource).is_some()
                ),
                old.uid()
            );
            return Err(Status::conflict(&key.resource, &key.name, &why));
        }
        let version = object["metadata"]["resourceVersion"].str();
        if !version.is_empty() && version != old["metadata"]["resourceVersion"].str() {
            return Err(Status::modified(&key.resource, &key.name));
        }
        if part.is_whole() {
            admission::update(self, &resource, &mut object, &old)?;
            let user = options.user.as_ref();
            mutations::apply(self, &resource, &mut object, Some(&old), user)?;
            if let Some(user) = &options.user {
                rbac::check_escalation(self, user, &resource, &object, Some(&old))?;
            }
        }
        if part == Subresource::Approval
            && let Some(user) = &options.user
        {
            rbac::check_approval(self, user, &old)?;
        }
        strategy::prepare_update(&resource, &mut object, &old, part);
        // Who manages the fields is part of the object.
        let managers = reset(&mut object).or(managers);
        let allocation = self.allocation(&resource);
        let write = Write {
            by,
            key: &key,
            part,
            options,
        };
        let result = self.update_decoded(&write, &resource, object, old, managers);
        if result.is_err() || options.dry_run {
            self.take_back(allocation);
        }
        result
    }

    fn update_decoded(
        &mut self,
        write: &Write,
        resource: &Resource,
        mut object: Value,
        old: Value,
        managers: Option<ManagedFields>,
    ) -> Result<Value, Status> {
        let Write {
            by,
            key,
            part,
            options,
        } = *write;
        if part.is_whole() {
            self.allocate(resource, &mut object, Some(&old), options.dry_run)?;
        }
        if object.same(&old) && managers.is_none() {
            return Ok(old);
        }
        let mut charges = Vec::new();
        if !part.is_status() {
            let errors = match self.definitions.version(resource) {
                Some(version) => custom::validate(resource, version, &object, Some(&old)),
                None if part == Subresource::Resize => validation::resize(resource, &object, &old),
                None => validation::update(resource, &object, &old),
            };
            if !errors.is_empty() {
                return Err(Status::invalid(
                    &qualified_kind(resource),
                    &named(&object),
                    &errors,
                ));
            }
            admission::validate(self, resource, &object, Some(&old))?;
            if part.is_whole() {
                let user = options.user.as_ref();
                policies::check(self, asked(resource, &object, Some(&old), user))?;
            }
            charges = quota::check(self, resource, key, &object, Some(&old))?;
        }
        if options.dry_run {
            return Ok(object);
        }
        if strategy::is_finished(&object) {
            self.remove(by, key, Text::from("last finalizer removed"));
            return Ok(object);
        }
        let action = if part.is_status() {
            Action::UpdateStatus
        } else {
            Action::Update
        };
        quota::charge(self, charges);
        let writer = match Writer::of(by, action, key) {
            Writer::Update(name, Subresource::None) => Writer::Update(name, part),
            writer => writer,
        };
        let writer = named_writer(writer, options, managers);
        let none = Text::from("");
        let stored = self.commit_by(by, action, key, Some(object), none, writer);
        Ok(stored.unwrap_or_default())
    }

    /// Applies a patch to an object or its status.
    ///
    /// # Errors
    /// 404, 409, 400 for a patch that cannot be applied, 422.
    pub fn patch(
        &mut self,
        by: &Component,
        key: &ObjectKey,
        change: &Patch,
        part: Subresource,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        let resource = self
            .resource_by_id(&key.resource)
            .ok_or_else(|| Status::not_found(&key.resource, &key.name))?;
        let old = self.get(key)?;
        let new = match change {
            // A list of operations that do not fit is answered without a word of why.
            Patch::Json(operations) => {
                patch::json_patch(old, operations).map_err(|_| rejected())?
            }
            Patch::Merge(value) => patch::merge(old, value),
            Patch::Strategic(_) if self.is_custom(&resource) => {
                return Err(Status::unsupported_media_type(
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            Patch::Strategic(value) => {
                patch::strategic_merge(Schema::builtin(), resource.type_id, old, value)
                    .map_err(|error| Status::bad_request(error.to_string()))?
            }
        };
        let name = new["metadata"]["name"].str();
        if name != &*key.name {
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                key.name
            )));
        }
        // What does not exist is left out; whoever patches may be warned of it.
        if self.is_custom(&resource) {
            let lenient = WriteOptions {
                strict: false,
                ..options.clone()
            };
            return self.update_with(by, new, part, &lenient);
        }
        let typed = decode::decode_lenient(Schema::builtin(), resource.type_id, &new);
        let typed = typed.map_err(|error| unfit(change, &new, &error.to_string()))?;
        self.update_with(by, typed, part, options)
    }

    /// Stores an Event that a component has recorded. Such are complete and valid as they come, so
    /// that little of a request's way is left; where more is to be decided, it goes the whole.
    pub(crate) fn write_note(
        &mut self,
        by: &Component,
        key: &ObjectKey,
        note: impl FnOnce(u64, (u64, u64)) -> Note,
    ) {
        let namespace = ObjectKey {
            resource: "namespaces".into(),
            namespace: Text::default(),
            name: key.namespace.clone(),
        };
        let is_open = |namespace: &Value| namespace["metadata"]["deletionTimestamp"].is_null();
        let limited = self
            .etcd
            .list("resourcequotas", Some(&key.namespace))
            .count()
            > 0;
        if self.etcd.get(&namespace).is_some_and(is_open) && !limited {
            let uid = self.rng.uuid_bits();
            self.commit_note(by, Action::Create, key, |revision| note(revision, uid));
        } else {
            // A refusal is in the log.
            let _ = self.create(by, note(0, (0, 0)).object().clone());
        }
    }

    pub(super) fn log_refusal(
        &mut self,
        by: &Component,
        options: &WriteOptions,
        result: &Result<Value, Status>,
    ) {
        if let Err(status) = result
            && !options.dry_run
        {
            let text = Text::from(status.message.as_str());
            self.log(by, Action::Refuse, None, text);
        }
    }
}

/// As whose a write is noted.
fn named_writer(writer: Writer, options: &WriteOptions, managers: Option<ManagedFields>) -> Writer {
    if let Some(managers) = managers {
        return Writer::Applied(Box::new(managers));
    }
    match (&options.manager, writer) {
        (Some(name), Writer::Update(_, part)) => Writer::Update(name.clone(), part),
        (_, writer) => writer,
    }
}

/// Takes `managedFields` out of an object: they are kept beside it. A list that is empty, or has one
/// empty item, forgets all managers.
fn reset(object: &mut Value) -> Option<ManagedFields> {
    let given = object.remove(&["metadata", "managedFields"])?;
    let empty = match given.items() {
        [] => true,
        [one] => one.is_empty(),
        _ => false,
    };
    empty.then(ManagedFields::default)
}

/// `errors.NewGenericServerResponse` of 422 (apimachinery v0.37).
fn rejected() -> Status {
    Status {
        code: 422,
        reason: "Invalid".into(),
        message: "the server rejected our request due to an error in our request".into(),
        details: Box::default(),
    }
}

/// A patch that leads to no object of its kind (apiserver v0.37, `endpoints/handlers/patch.go`).
fn unfit(change: &Patch, patched: &Value, why: &str) -> Status {
    let (shown, why) = match change {
        Patch::Strategic(change) => (go::print(change), unconverted(why)),
        _ => (go::json(patched), why.to_owned()),
    };
    Status::invalid("", "", &[FieldError::invalid("patch", shown, why)])
}

/// What Go's JSON decoder complains of, in the words of the conversion that strategic patches go
/// through (apimachinery v0.37, `runtime/converter.go`).
fn unconverted(why: &str) -> String {
    let words: Vec<&str> = why.split(' ').collect();
    let (["json:", "cannot", "unmarshal", given, ..], Some(wanted)) = (&words[..], words.last())
    else {
        return why.to_owned();
    };
    let from = match *given {
        "number" => "int64",
        "object" => "map",
        "array" => "slice",
        other => other,
    };
    let is_struct = wanted.split_once('.').is_some_and(|(_, name)| {
        let mut names = Schema::builtin().struct_names();
        names.any(|known| &**known == name)
    });
    match wanted.split_once('.') {
        _ if wanted.starts_with("[]") => format!("cannot restore slice from {from}"),
        _ if wanted.starts_with("map[") => format!("cannot restore map from {from}"),
        _ if is_struct => format!("cannot restore struct from: {from}"),
        // Go takes a number for the one letter of a string.
        _ if from == "int64" && (*wanted == "string" || wanted.contains('.')) => {
            format!("cannot convert int64 to {wanted}")
        }
        Some(_) => "unrecognized type: string".to_owned(),
        None => format!("unrecognized type: {wanted}"),
    }
}

/// `Pod`, `Deployment.apps`
fn qualified_kind(resource: &Resource) -> String {
    match &*resource.group {
        "" => resource.kind.to_string(),
        group => format!("{}.{group}", resource.kind),
    }
}

/// The answer to an object that cannot be decoded (apimachinery v0.37, `runtime.NewStrictDecodingError`
/// and `endpoints/handlers/create.go`).
fn cannot_handle(resource: &Resource, error: &DecodeError) -> Status {
    let Resource { kind, version, .. } = resource;
    Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {error}"
    ))
}

/// Puts the object into the request's namespace.
pub(super) fn place(
    resource: &Resource,
    object: &mut Value,
    options: &WriteOptions,
) -> Result<(), Status> {
    if !resource.namespaced {
        object.remove(&["metadata", "namespace"]);
        return Ok(());
    }
    let wanted = options
        .namespace
        .clone()
        .unwrap_or_else(|| Text::from("default"));
    let named = object["metadata"]["namespace"].str();
    if named.is_empty() {
        object.set(&["metadata", "namespace"], wanted);
    } else if options.namespace.is_some() && named != &*wanted {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The name by which an error speaks of an object.
fn named(object: &Value) -> Text {
    match object["metadata"]["name"].str() {
        "" => object["metadata"]["generateName"].text(),
        name => Text::from(name),
    }
}
