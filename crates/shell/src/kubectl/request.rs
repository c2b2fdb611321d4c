//! Single requests to the API server, as client-go makes them.

use std::sync::Arc;

use kubarium_cluster::Cluster;
use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::api::custom::Version;
use kubarium_cluster::api::rbac::{Attributes, User};
use kubarium_objects::{
    ObjectKey, Resource, Schema, Status, Text, Value, array, custom, decode, go, object, patch,
    warnings,
};

use super::error::{Error, Result};
use super::resource::Info;
use super::{DryRun, Kubectl};

pub(crate) use kubarium_cluster::api::{DeleteOptions, Patch, Propagation, Subresource};
use kubarium_cluster::event::Component;

/// Who a person's requests come from.
pub(crate) const PERSON: Component = Component::Person;

const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

impl Kubectl<'_> {
    /// Who makes the requests: the kubeconfig's user, or whom `--as` names.
    pub fn user(&self) -> Result<User> {
        let (name, uid) = (self.flags.str("as"), self.flags.str("as-uid"));
        let groups = self.flags.list("as-group");
        if !name.is_empty() {
            return Ok(User::impersonated(name, uid, groups));
        }
        if uid.is_empty() && groups.is_empty() {
            return self.own_user();
        }
        super::error::plain(format!(
            "requesting uid, groups or user-extra for {} without impersonating a user",
            self.auth_info_name()
        ))
    }

    /// Who the kubeconfig or `--token` says we are.
    fn own_user(&self) -> Result<User> {
        self.check_configuration()?;
        let entry = self.auth_info();
        let token = match self.global("token") {
            "" => entry["token"].str(),
            given => given,
        };
        if !token.is_empty() {
            return self
                .cluster()
                .authenticate(token)
                .ok_or_else(|| Status::unauthorized().into());
        }
        if !entry["client-certificate-data"].is_empty() {
            return Ok(User::admin());
        }
        if !entry["username"].is_empty() {
            return Err(Status::unauthorized().into());
        }
        Ok(User::impersonated("system:anonymous", "", &[]))
    }

    /// Whether the user may make a request; `subresource` and `name` are empty for none.
    ///
    /// # Errors
    /// 403 Forbidden.
    pub fn authorize(
        &self,
        verb: &str,
        resource: &Resource,
        subresource: &str,
        namespace: &str,
        name: &str,
    ) -> Result {
        let user = self.user()?;
        let namespace = match &*resource.id() {
            // The path of a namespace is a path within it.
            "namespaces" => name,
            _ if resource.namespaced => namespace,
            _ => "",
        };
        let attributes = Attributes {
            verb,
            group: &resource.group,
            resource: &resource.plural,
            subresource,
            namespace,
            name,
            path: "",
        };
        Ok(self.cluster().authorize(&user, &attributes)?)
    }

    /// How a person's object is written.
    pub fn write_options(&self, resource: &Resource, namespace: &str) -> Result<WriteOptions> {
        Ok(WriteOptions {
            dry_run: self.dry_run()? == DryRun::Server,
            strict: true,
            namespace: resource.namespaced.then(|| Text::from(namespace)),
            user: Some(self.user()?),
            manager: Some(self.manager().into()),
        })
    }

    /// As what the command manages the fields that it writes: `--field-manager`, or its own name.
    pub fn manager(&self) -> String {
        let given = self.flags.str("field-manager");
        if !given.is_empty() {
            return given.to_owned();
        }
        let mut words = self.path.split(' ').skip(1);
        match words.next() {
            Some("apply") if self.flags.bool("server-side") => "kubectl".to_owned(),
            Some("apply") if words.next().is_none() => "kubectl-client-side-apply".to_owned(),
            Some(
                word @ ("create" | "run" | "expose" | "autoscale" | "label" | "annotate" | "patch"
                | "replace" | "edit" | "set" | "rollout" | "taint"),
            ) => format!("kubectl-{word}"),
            _ => "kubectl".to_owned(),
        }
    }

    /// The warning that comes with every request to a deprecated kind.
    pub fn warn_deprecated(&mut self, resource: &Resource) {
        match (&*resource.group, &*resource.kind) {
            ("", "Endpoints") => self.warn(
                "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
            ),
            ("", "ComponentStatus") => self.warn("v1 ComponentStatus is deprecated in v1.19+"),
            _ => {
                let version = self.cluster().definitions().version(resource);
                if let Some(text) = version.map(|v| v.warning.clone()).filter(|t| !t.is_empty()) {
                    self.warn(&text);
                }
            }
        }
    }

    /// Objects of kinds that the API server computes instead of storing.
    pub fn computed(&self, resource: &Resource) -> Option<Vec<Value>> {
        if &*resource.id() != "componentstatuses" {
            return None;
        }
        let healthy = |name: &str| {
            let condition = object([
                ("message", "ok".into()),
                ("status", "True".into()),
                ("type", "Healthy".into()),
            ]);
            object([
                ("apiVersion", "v1".into()),
                ("conditions", array([condition])),
                ("kind", "ComponentStatus".into()),
                ("metadata", object([("name", name.into())])),
            ])
        };
        Some(
            ["etcd-0", "controller-manager", "scheduler"]
                .map(healthy)
                .to_vec(),
        )
    }

    /// The object as the API server gives it in a version.
    pub fn as_version(&self, resource: &Arc<Resource>, mut object: Value) -> Value {
        if object["apiVersion"].is_null() || object["kind"].is_null() {
            object["apiVersion"] = resource.api_version().into();
            object["kind"] = (&resource.kind).into();
        }
        object
    }

    /// The command line as `--record` notes it (`genericclioptions/record_flags.go`).
    pub fn command_line(&self) -> String {
        let mut text = self.path.clone();
        for word in &self.flags.args {
            text.push_str(&format!(" {word}"));
        }
        for flag in self.flags.given() {
            for value in self.flags.list(flag.name) {
                text.push_str(&format!(" --{}={value}", flag.name));
            }
        }
        text
    }

    fn recorded(&self, mut object: Value) -> Value {
        if let Some(cause) = &self.cause {
            object.set(&["metadata", "annotations", CHANGE_CAUSE], cause.as_str());
        }
        object
    }

    /// POST.
    pub fn create(
        &mut self,
        resource: &Arc<Resource>,
        namespace: &str,
        object: Value,
        strict: Option<bool>,
    ) -> Result<Value> {
        let object = self.recorded(object);
        self.warn_deprecated(resource);
        check_kind(resource, &object)?;
        let mut options = self.write_options(resource, namespace)?;
        options.strict = strict.unwrap_or(true);
        self.authorize("create", resource, "", namespace, "")?;
        let sent = object.clone();
        let made = self.change(|cluster| cluster.create_with(&PERSON, object, &options));
        match &made {
            Ok(made) => self.warn_about(resource, made),
            // Quotas are looked at last: by then the warnings are given.
            Err(status) if status.message.contains(" quota: ") => {
                let mut object = sent;
                object.set(&["metadata", "namespace"], namespace);
                self.warn_about(resource, &object);
            }
            Err(_) => {}
        }
        Ok(made?)
    }

    /// Prints what the API server warns of about an accepted object.
    pub fn warn_about(&mut self, resource: &Resource, object: &Value) {
        self.warn_of_change(resource, object, None);
    }

    fn warn_of_change(&mut self, resource: &Resource, object: &Value, old: Option<&Value>) {
        for warning in self.cluster().admission_warnings(resource, object, old) {
            self.warn(&warning);
        }
        for warning in warnings::of(resource, object) {
            self.warn(&warning);
        }
    }

    /// PUT.
    pub fn replace(&mut self, info: &Info, object: Value, part: Subresource) -> Result<Value> {
        let object = self.recorded(object);
        self.warn_deprecated(&info.resource);
        check_kind(&info.resource, &object)?;
        let options = self.write_options(&info.resource, &info.namespace)?;
        self.authorize(
            "update",
            &info.resource,
            part.name(),
            &info.namespace,
            &info.name,
        )?;
        let made = self.change(|cluster| cluster.update_with(&PERSON, object, part, &options))?;
        self.warn_about(&info.resource, &made);
        Ok(made)
    }

    /// PATCH.
    pub fn patch(
        &mut self,
        resource: &Arc<Resource>,
        namespace: &str,
        name: &str,
        patch: &Patch,
        part: Subresource,
    ) -> Result<Value> {
        self.warn_deprecated(resource);
        let options = self.write_options(resource, namespace)?;
        self.authorize("patch", resource, part.name(), namespace, name)?;
        let key = ObjectKey::new(resource.id(), namespace, name);
        let old = self.current(&key);
        let recorded = match patch {
            Patch::Merge(change) => Patch::Merge(self.recorded(change.clone())),
            Patch::Strategic(change) => Patch::Strategic(self.recorded(change.clone())),
            Patch::Json(operations) => Patch::Json(operations.clone()),
        };
        let patch = &recorded;
        let change = |cluster: &mut Cluster| cluster.patch(&PERSON, &key, patch, part, &options);
        let made = self.change(change)?;
        self.warn_of_change(resource, &made, old.as_ref());
        Ok(made)
    }

    /// DELETE.
    pub fn delete(
        &mut self,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> std::result::Result<Value, Status> {
        if let Some(resource) = self.cluster().resource_by_id(&key.resource)
            && let Err(Error::Status(status)) =
                self.authorize("delete", &resource, "", &key.namespace, &key.name)
        {
            return Err(*status);
        }
        self.change(|cluster| cluster.delete(&PERSON, key, options))
    }

    /// What the API server says of fields that a patch brings and that do not exist.
    pub fn unknown_fields(
        &self,
        resource: &Resource,
        current: &Value,
        patch: &Patch,
    ) -> Option<decode::DecodeError> {
        let definition = self.cluster().definitions().version(resource);
        unknown_fields(definition, resource, current, patch)
    }

    /// The object as it is now, if it is there.
    pub fn current(&self, key: &ObjectKey) -> Option<Value> {
        self.cluster().etcd.get(key).cloned()
    }
}

impl Kubectl<'_> {
    /// POST of an Eviction: a delete, if the pod's disruption budgets allow it.
    pub fn evict(
        &mut self,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> std::result::Result<Value, Status> {
        if let Some(resource) = self.cluster().resource_by_id(&key.resource)
            && let Err(Error::Status(status)) =
                self.authorize("create", &resource, "eviction", &key.namespace, &key.name)
        {
            return Err(*status);
        }
        self.change(|cluster| cluster.evict(&PERSON, key, options))
    }
}

/// kubectl also maps kinds in lower case; the API server knows no such kind.
fn check_kind(resource: &Resource, object: &Value) -> Result {
    let (kind, version) = (object["kind"].str(), &resource.version);
    if kind == &*resource.kind {
        return Ok(());
    }
    let api_version = go::quote(object["apiVersion"].str());
    Err(Status::bad_request(format!(
        "{kind} in version {} cannot be handled as a {}: no kind {} is registered for version {api_version} in scheme \"pkg/runtime/scheme.go:111\"",
        go::quote(version),
        resource.kind,
        go::quote(kind),
    ))
    .into())
}

/// What the API server says of fields that a patch brings and that do not exist; `None` where there
/// are none.
fn unknown_fields(
    definition: Option<&Version>,
    resource: &Resource,
    current: &Value,
    patch: &Patch,
) -> Option<decode::DecodeError> {
    let schema = Schema::builtin();
    let patched = match patch {
        Patch::Json(operations) => patch::json_patch(current, operations),
        Patch::Merge(change) => Ok(patch::merge(current, change)),
        Patch::Strategic(change) => {
            patch::strategic_merge(schema, resource.type_id, current, change)
        }
    };
    if let Some(definition) = definition {
        let unknown = custom::prune(&definition.schema, &mut patched.ok()?);
        return (!unknown.is_empty()).then_some(decode::DecodeError::Unknown(unknown));
    }
    match decode::decode(schema, resource.type_id, &patched.ok()?) {
        Err(unknown @ decode::DecodeError::Unknown(_)) => Some(unknown),
        _ => None,
    }
}
