//! What is wrong with manifests while they are being written.

use kubarium_cluster::Cluster;
use kubarium_cluster::api::{Subresource, WriteOptions};
use kubarium_cluster::event::Component;
use kubarium_objects::yaml::{self, Positions};
use kubarium_objects::{
    Diagnostic, ObjectKey, Resource, Schema, Severity, Status, Value, decode, go, warnings,
};

use super::{drafts, hints};
use crate::kubectl::{self, manifest};
use crate::session::Session;

const DEPTH_MAX: usize = 8;

impl Session {
    /// What kubectl and the API server would say of a text of manifests, each message at its place,
    /// with a hint where one helps; and what is hardly meant so, beside what the other texts that are
    /// being written and the cluster have. Nothing is changed.
    pub fn diagnose(&self, text: &str, beside: &[String]) -> Vec<Diagnostic> {
        let (documents, broken) = yaml::parse_until_error(text);
        let others: Vec<Value> = (beside.iter())
            .flat_map(|text| drafts::read(text, usize::MAX))
            .collect();
        // Each is tried where those before it, and the other texts, have been applied.
        let mut copy = self.simulation.cluster.clone();
        for object in &others {
            let resource = copy.resource_by_kind(object["apiVersion"].str(), object["kind"].str());
            if let Some(resource) = resource {
                // What is wrong with them is told where they are shown.
                let _ = self.try_out(&mut copy, &resource, object);
            }
        }
        let mut found = Vec::new();
        for document in &documents {
            found.extend(document.warnings.iter().cloned());
            self.check(
                &mut copy,
                &document.value,
                &document.positions,
                0,
                &mut found,
            );
        }
        let cluster = &self.simulation.cluster;
        let usual = self.kubeconfig.namespace("");
        found.extend(hints::hints(cluster, usual, &documents, &others));
        found.extend(broken);
        found
    }

    fn check(
        &self,
        cluster: &mut Cluster,
        object: &Value,
        positions: &Positions,
        depth: usize,
        found: &mut Vec<Diagnostic>,
    ) {
        if let Err(why) = manifest::check_kind(object) {
            let hint = "an object begins with apiVersion and kind".to_owned();
            found.push(at(positions.value, "", why, hint));
            return;
        }
        let (api_version, kind) = (object["apiVersion"].str(), object["kind"].str());
        if kind.ends_with("List") && matches!(object["items"], Value::Array(_)) && depth < DEPTH_MAX
        {
            let items = positions.child("items");
            for (number, item) in object["items"].items().iter().enumerate() {
                if let Some(place) = items.and_then(|p| p.child(&number.to_string())) {
                    self.check(cluster, item, place, depth + 1, found);
                }
            }
            return;
        }
        let Some(resource) = cluster.resource_by_kind(api_version, kind) else {
            let message = format!(
                "no matches for kind {} in version {}",
                go::quote(kind),
                go::quote(api_version)
            );
            found.push(at(
                positions.nearest("kind").value,
                "kind",
                message,
                kind_hint(cluster, api_version, kind),
            ));
            return;
        };
        if let Err(error) = decode::decode(Schema::builtin(), resource.type_id, object) {
            found.extend(decode::diagnose(
                Schema::builtin(),
                resource.type_id,
                &error,
                positions,
            ));
            return;
        }
        match self.try_out(cluster, &resource, object) {
            Ok(accepted) => found.extend(
                warnings::of(&resource, &accepted)
                    .into_iter()
                    .map(|w| warning(positions, w)),
            ),
            Err(status) => refused(&status, positions, found),
        }
    }

    /// What the API server answers when an object is applied to a copy of the cluster.
    fn try_out(
        &self,
        cluster: &mut Cluster,
        resource: &Resource,
        object: &Value,
    ) -> Result<Value, Status> {
        let mut object = object.clone();
        let named = object["metadata"]["namespace"].text();
        let namespace = if named.is_empty() {
            self.kubeconfig.namespace("").into()
        } else {
            named
        };
        if object["metadata"]["name"].is_empty() && object["metadata"]["generateName"].is_empty() {
            object.set(&["metadata", "name"], "");
        }
        let options = WriteOptions {
            strict: true,
            namespace: resource.namespaced.then_some(namespace),
            ..WriteOptions::default()
        };
        let made = cluster.create_with(&Component::Person, object.clone(), &options);
        let taken = matches!(&made, Err(status) if status.is("AlreadyExists"));
        if !taken {
            return made;
        }
        // It is there already: applying changes it.
        let key = ObjectKey {
            resource: resource.id(),
            namespace: options.namespace.clone().unwrap_or_default(),
            name: object["metadata"]["name"].text(),
        };
        let live = cluster.etcd.get(&key).cloned().unwrap_or_default();
        let Ok(patch) = kubectl::apply_patch(resource, &live, &object) else {
            return Ok(object);
        };
        cluster.patch(
            &Component::Person,
            &key,
            &patch,
            Subresource::None,
            &options,
        )
    }
}

fn at(place: (u32, u32), path: &str, message: String, hint: String) -> Diagnostic {
    Diagnostic {
        path: path.to_owned(),
        hint,
        ..Diagnostic::error(place.0 as usize, place.1 as usize, message)
    }
}

fn refused(status: &Status, positions: &Positions, found: &mut Vec<Diagnostic>) {
    if status.details.causes.is_empty() {
        let path = if status.is("NotFound") {
            "metadata.namespace"
        } else {
            "metadata.name"
        };
        let hint = if status.is("NotFound") {
            "create the namespace first".to_owned()
        } else {
            String::new()
        };
        found.push(at(
            positions.nearest(path).value,
            path,
            status.message.to_string(),
            hint,
        ));
    }
    for cause in &status.details.causes {
        let place = positions.nearest(&cause.field);
        // A field that is missing has no place of its own: its parent's key is shown.
        let place = if cause.message.starts_with("Required value") {
            place.key
        } else {
            place.value
        };
        found.push(at(
            place,
            &cause.field,
            format!("{}: {}", cause.field, cause.message),
            cause_hint(&cause.message).to_owned(),
        ));
    }
}

/// What to do about a field that is refused.
fn cause_hint(message: &str) -> &'static str {
    if message.contains("`selector` does not match template `labels`") {
        "give the template the labels that spec.selector asks for"
    } else if message.ends_with("field is immutable") {
        "delete the object and create it anew, or take the change back"
    } else {
        ""
    }
}

/// `spec.volumes[0].gitRepo: deprecated …` at its field.
fn warning(positions: &Positions, text: String) -> Diagnostic {
    let path = text.split([':', ' ']).next().unwrap_or("").to_owned();
    let place = positions.nearest(&path).value;
    Diagnostic {
        path,
        severity: Severity::Warning,
        ..Diagnostic::warning(place.0 as usize, place.1 as usize, text)
    }
}

/// What may have been meant by a kind that is not served.
fn kind_hint(cluster: &Cluster, api_version: &str, kind: &str) -> String {
    let all = cluster.resources();
    if let Some(resource) = all.iter().find(|r| *r.kind == *kind) {
        return format!("{kind} is served as apiVersion: {}", resource.api_version());
    }
    let near = all
        .iter()
        .find(|r| r.kind.eq_ignore_ascii_case(kind) || r.plural.eq_ignore_ascii_case(kind));
    match near {
        Some(resource) => format!(
            "did you mean kind: {} of apiVersion: {}?",
            resource.kind,
            resource.api_version()
        ),
        None if all.iter().any(|r| r.api_version() == api_version) => String::new(),
        None => "kubectl api-versions lists what is served".to_owned(),
    }
}
