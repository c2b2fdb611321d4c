//! CustomResourceDefinitions: which resources they add, and what becomes of their objects
//! (apiextensions-apiserver v0.37, `pkg/controller/status`, `establish`, `finalizer` and
//! `pkg/apiserver/customresource_handler.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::decode::{self, DecodeError};
use kubarium_objects::schema::{Names, Resource, Subresource as Part};
use kubarium_objects::{
    FieldError, ObjectKey, Schema, Text, Value, array, custom, object, validation,
};

use super::aggregation;
use crate::cluster::{Change, Cluster};
use crate::event::{Action, Component};

/// The resource of the definitions themselves.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The resources that definitions have added.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    schema: Arc<Schema>,
    /// By group version and kind.
    versions: Arc<BTreeMap<(Text, Text), Version>>,
}

/// One version of a custom resource.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// The structural schema of the objects.
    pub schema: Value,
    /// `additionalPrinterColumns`; the age where the definition names none.
    pub columns: Value,
    /// `subresources.scale`: where the numbers of replicas are; null for none.
    pub scale: Value,
    /// What is said of a version that is deprecated; empty for one that is not.
    pub warning: String,
}

impl Definitions {
    /// The resources as a schema of their own.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What a definition says of a version of its resource; none for built-in resources.
    pub fn version(&self, resource: &Resource) -> Option<&Version> {
        let key = (Text::from(resource.api_version()), resource.kind.clone());
        self.versions.get(&key)
    }

    /// Whether any definition serves a group version.
    pub(super) fn serves(&self, api_version: &str) -> bool {
        let first = (Text::from(api_version), Text::default());
        let mut from = self.versions.range(first..);
        from.next()
            .is_some_and(|((found, _), _)| **found == *api_version)
    }

    /// Reads all definitions whose names are accepted anew.
    pub(crate) fn read<'a>(&mut self, all: impl Iterator<Item = &'a Value>) {
        let (mut schema, mut versions) = (Schema::default(), BTreeMap::new());
        for definition in all.filter(|d| is_established(d)) {
            let spec = &definition["spec"];
            let mut served: Vec<&Value> = spec["versions"]
                .items()
                .iter()
                .filter(|v| v["served"].as_bool() == Some(true))
                .collect();
            served.sort_by_key(|v| version_rank(v["name"].str()));
            for version in served {
                let resource = resource(spec, version, schema.any_type());
                let key = (Text::from(resource.api_version()), resource.kind.clone());
                versions.insert(key, read_version(&resource, spec, version));
                schema.add_resource(resource);
            }
        }
        *self = Definitions {
            schema: Arc::new(schema),
            versions: Arc::new(versions),
        };
    }
}

/// The order of versions: stable ones first, newer ones first (apimachinery v0.37,
/// `util/version`, CompareKubeAwareVersionStrings).
fn version_rank(name: &str) -> (u8, std::cmp::Reverse<u32>, std::cmp::Reverse<u32>, String) {
    let number = |text: &str| -> (u32, usize) {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        (text[..end].parse().unwrap_or(0), end)
    };
    let other = (
        3,
        std::cmp::Reverse(0),
        std::cmp::Reverse(0),
        name.to_owned(),
    );
    let Some(rest) = name.strip_prefix('v') else {
        return other;
    };
    let (major, end) = number(rest);
    let (stage, rest) = match &rest[end..] {
        "" => (0, ""),
        rest if rest.starts_with("beta") => (1, &rest[4..]),
        rest if rest.starts_with("alpha") => (2, &rest[5..]),
        _ => return other,
    };
    if end == 0 {
        return other;
    }
    let minor = number(rest).0;
    (
        stage,
        std::cmp::Reverse(major),
        std::cmp::Reverse(minor),
        String::new(),
    )
}

fn texts(list: &Value) -> Vec<Text> {
    list.items().iter().map(Value::text).collect()
}

fn resource(spec: &Value, version: &Value, any: kubarium_objects::TypeId) -> Resource {
    let names = &spec["names"];
    let part = |name: &str, api_version: String, kind: &str| Part {
        name: name.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        verbs: ["get", "patch", "update"].map(Text::from).to_vec(),
    };
    let mut parts = Vec::new();
    let group = spec["group"].str();
    if version["subresources"].get("status").is_some() {
        let api_version = format!("{group}/{}", version["name"].str());
        parts.push(part("status", api_version, names["kind"].str()));
    }
    if version["subresources"].get("scale").is_some() {
        parts.push(part("scale", "autoscaling/v1".to_owned(), "Scale"));
    }
    let singular = match names["singular"].str() {
        "" => names["kind"].str().to_lowercase(),
        singular => singular.to_owned(),
    };
    let names = Names {
        kind: names["kind"].text(),
        plural: names["plural"].text(),
        singular: singular.into(),
        short: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
    };
    let mut resource = Resource::custom(group, version["name"].str(), names, any);
    resource.namespaced = spec["scope"].str() == "Namespaced";
    resource.subresources = parts;
    resource
}

fn read_version(resource: &Resource, spec: &Value, version: &Value) -> Version {
    let mut columns = version["additionalPrinterColumns"].clone();
    if columns.items().is_empty() {
        columns = array([object([
            ("jsonPath", ".metadata.creationTimestamp".into()),
            ("name", "Age".into()),
            ("type", "date".into()),
        ])]);
    }
    let own = version["deprecationWarning"].str();
    let warning = match (version["deprecated"].as_bool(), own) {
        (Some(true), "") => {
            let text = format!("{} {} is deprecated", resource.api_version(), resource.kind);
            match successor(spec, version) {
                Some(newer) => format!("{text}; use {}/{newer} {}", resource.group, resource.kind),
                None => text,
            }
        }
        (Some(true), own) => own.to_owned(),
        _ => String::new(),
    };
    Version {
        schema: version["schema"]["openAPIV3Schema"].clone(),
        columns,
        scale: version["subresources"]["scale"].clone(),
        warning,
    }
}

/// The newest version that may be used instead of a deprecated one (apiextensions-apiserver v0.37,
/// `pkg/apiserver`, defaultDeprecationWarning).
fn successor<'a>(spec: &'a Value, deprecated: &Value) -> Option<&'a str> {
    let rank = version_rank(deprecated["name"].str());
    let is = |version: &Value, field: &str| version[field].as_bool() == Some(true);
    let versions = spec["versions"].items().iter();
    let usable = versions.filter(|v| is(v, "served") && !is(v, "deprecated"));
    let newer = usable.map(|v| v["name"].str());
    newer
        .filter(|name| version_rank(name) < rank)
        .min_by_key(|name| version_rank(name))
}

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = definition["status"]["conditions"].items();
    all.iter().find(|c| c["type"].str() == kind)
}

fn is_established(definition: &Value) -> bool {
    condition(definition, "Established").is_some_and(|c| c["status"].str() == "True")
}

/// What the API server's own controllers do when a definition has changed: they accept its names,
/// and serve its resource.
pub(crate) fn changed(cluster: &mut Cluster, change: &Change) {
    if &*change.key.resource != DEFINITIONS {
        return;
    }
    accept(cluster, &change.key);
    aggregation::register(cluster, change.old.as_ref(), change.new.as_ref());
}

fn accept(cluster: &mut Cluster, key: &ObjectKey) {
    if let Some(definition) = cluster.etcd.get(key).cloned() {
        let status = status(cluster, key, &definition);
        if definition["metadata"]["deletionTimestamp"].is_null() && status != definition["status"] {
            let mut updated = definition;
            updated["status"] = status;
            let by = Component::ApiServer;
            // Comes back here with nothing left to do but to read.
            cluster.commit(
                &by,
                Action::UpdateStatus,
                key,
                Some(updated),
                Text::from(""),
            );
            return;
        }
    }
    let mut definitions = std::mem::take(&mut cluster.definitions);
    let all = cluster.etcd.list(DEFINITIONS, None).map(|(_, d)| d);
    definitions.read(all);
    cluster.definitions = definitions;
}

fn status(cluster: &Cluster, key: &ObjectKey, definition: &Value) -> Value {
    let mut status = definition["status"].clone();
    let spec = &definition["spec"];
    let names = &spec["names"];
    let conflict = conflict(cluster, key, spec);
    let now: Value = cluster.now.rfc3339().into();
    if conflict.is_none() {
        status["acceptedNames"] = names.clone();
    }
    let was = is_established(definition);
    let (names_accepted, established) = match &conflict {
        None => (
            ("True", "NoConflicts", "no conflicts found".to_owned()),
            (
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted".to_owned(),
            ),
        ),
        Some((reason, name)) => (
            (
                "False",
                *reason,
                format!("{} is already in use", kubarium_objects::go::quote(name)),
            ),
            if was {
                (
                    "True",
                    "InitialNamesAccepted",
                    "the initial names have been accepted".to_owned(),
                )
            } else {
                (
                    "False",
                    "NotAccepted",
                    "not all names are accepted".to_owned(),
                )
            },
        ),
    };
    for (kind, (state, reason, message)) in [
        ("NamesAccepted", names_accepted),
        ("Established", established),
    ] {
        let same = condition(definition, kind)
            .is_some_and(|c| c["status"].str() == state && c["reason"].str() == reason);
        if same {
            continue;
        }
        let new = object([
            ("lastTransitionTime", now.clone()),
            ("message", message.into()),
            ("reason", reason.into()),
            ("status", state.into()),
            ("type", kind.into()),
        ]);
        let mut all = status["conditions"].items().to_vec();
        match all.iter_mut().find(|c| c["type"].str() == kind) {
            Some(old) => *old = new,
            None => all.push(new),
        }
        status["conditions"] = all.into();
    }
    status
}

/// The first of the definition's names that another resource of the group has.
fn conflict(cluster: &Cluster, key: &ObjectKey, spec: &Value) -> Option<(&'static str, String)> {
    let group = spec["group"].str();
    let names = &spec["names"];
    let others: Vec<Arc<Resource>> = cluster
        .resources()
        .into_iter()
        .filter(|r| &*r.group == group && *r.id() != *key.name)
        .collect();
    let taken = |name: &str| {
        others.iter().any(|r| {
            &*r.plural == name || &*r.singular == name || r.short_names.iter().any(|s| **s == *name)
        })
    };
    for (field, reason) in [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
    ] {
        let name = names[field].str();
        if !name.is_empty() && taken(name) {
            return Some((reason, name.to_owned()));
        }
    }
    let short = names["shortNames"].items().iter().find(|n| taken(n.str()));
    if let Some(name) = short {
        return Some(("ShortNamesConflict", name.str().to_owned()));
    }
    let kind = names["kind"].str();
    let same = others.iter().any(|r| &*r.kind == kind);
    same.then(|| ("KindConflict", kind.to_owned()))
}

/// A custom object in the shape of its schema: unknown fields are out, defaults are in.
pub(super) fn decode(
    resource: &Resource,
    version: &Version,
    raw: &Value,
    strict: bool,
) -> Result<Value, DecodeError> {
    let mut object = raw.clone();
    let mut unknown = Vec::new();
    let schema = Schema::builtin();
    if let Some(any) = schema.by_kind("v1", "ConfigMap") {
        let only = object_of_metadata(&raw["metadata"]);
        let metadata = match decode::decode(schema, any.type_id, &only) {
            Err(DecodeError::Unknown(paths)) => {
                unknown = paths;
                decode::decode_lenient(schema, any.type_id, &only)
            }
            other => other,
        };
        let metadata = metadata.map_err(|error| match error {
            DecodeError::Mismatch(path, text) => DecodeError::Mismatch(
                path,
                text.replace("ConfigMap.metadata", "ObjectMeta.metadata"),
            ),
            other => other,
        })?;
        object["metadata"] = metadata["metadata"].clone();
    }
    unknown.extend(custom::prune(&version.schema, &mut object));
    if strict && !unknown.is_empty() {
        return Err(DecodeError::Unknown(unknown));
    }
    let mut object = custom::drop_nulls(&version.schema, &object);
    custom::default(&version.schema, &mut object);
    object["apiVersion"] = resource.api_version().into();
    Ok(object)
}

fn object_of_metadata(metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    if !metadata["managedFields"].is_null() {
        metadata.remove(&["managedFields"]);
    }
    object([("metadata", metadata)])
}

/// What is wrong with a custom object.
pub(super) fn validate(
    resource: &Resource,
    version: &Version,
    object: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let mut errors = match old {
        Some(old) => validation::update(resource, object, old),
        None => validation::create(resource, object),
    };
    errors.extend(match old {
        Some(old) => custom::update(&version.schema, object, old),
        None => custom::create(&version.schema, object),
    });
    errors
}

impl Cluster {
    /// The resources that definitions have added.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Whether a definition made the resource.
    pub fn is_custom(&self, resource: &Resource) -> bool {
        self.definitions.version(resource).is_some()
    }

    /// Deletes all objects of a definition that goes. The definition waits for those that stay.
    pub(super) fn clean_up(&mut self, by: &Component, key: &ObjectKey, definition: &mut Value) {
        let resource = &key.name;
        let keys: Vec<ObjectKey> = self
            .etcd
            .list(resource, None)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            // What cannot be deleted now holds the definition.
            let _ = self.delete(by, &key, &super::DeleteOptions::now());
        }
        let waits = self.etcd.count(resource) > 0;
        let finalizers = definition["metadata"]["finalizers"].items();
        if waits && finalizers.iter().all(|f| f.str() != FINALIZER) {
            definition["metadata"]["finalizers"].push(FINALIZER);
        }
    }

    /// Lets a definition go that waited for the last of its objects.
    pub(super) fn finish_clean_up(&mut self, by: &Component, resource: &str) {
        if self.etcd.count(resource) > 0 {
            return;
        }
        let key = ObjectKey::new(DEFINITIONS, "", resource);
        let Some(definition) = self.etcd.get(&key) else {
            return;
        };
        if definition["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let mut definition = definition.clone();
        let kept: Vec<Value> = definition["metadata"]["finalizers"]
            .items()
            .iter()
            .filter(|f| f.str() != FINALIZER)
            .cloned()
            .collect();
        if kept.is_empty() {
            self.remove(by, &key, Text::from("last object removed"));
        } else {
            definition["metadata"]["finalizers"] = kept.into();
            self.commit(by, Action::Update, &key, Some(definition), Text::from(""));
        }
    }
}
