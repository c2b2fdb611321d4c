//! What is wrong with manifests while they are being written, for an editor.

use kubarium_cluster::Cluster;
use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::event::Component;
use kubarium_objects::yaml::{self, Positions};
use kubarium_objects::{
    Diagnostic, Resource, Schema, Severity, Status, Value, decode, go, warnings,
};

use crate::kubectl::manifest;
use crate::session::Session;

const DEPTH_MAX: usize = 8;

impl Session {
    /// What kubectl and the API server would say of a text of manifests, each message at its place,
    /// with a hint where one helps. Nothing is changed.
    pub fn diagnose(&self, text: &str) -> Vec<Diagnostic> {
        let (documents, broken) = yaml::parse_until_error(text);
        let mut found = Vec::new();
        for document in &documents {
            found.extend(document.warnings.iter().cloned());
            self.check(&document.value, &document.positions, 0, &mut found);
        }
        found.extend(broken);
        found
    }

    fn check(
        &self,
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
                    self.check(item, place, depth + 1, found);
                }
            }
            return;
        }
        let cluster = &self.simulation.cluster;
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
        match self.dry_run(&resource, object) {
            Ok(accepted) => found.extend(
                warnings::of(&resource, &accepted)
                    .into_iter()
                    .map(|w| warning(positions, w)),
            ),
            Err(status) => refused(&status, positions, found),
        }
    }

    /// What the API server answers to the creation of an object.
    fn dry_run(&self, resource: &Resource, object: &Value) -> Result<Value, Status> {
        let mut cluster = self.simulation.cluster.clone();
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
            dry_run: true,
            strict: true,
            namespace: resource.namespaced.then_some(namespace),
            ..WriteOptions::default()
        };
        match cluster.create_with(&Component::Person, object.clone(), &options) {
            // It is there already: applying changes it.
            Err(status) if status.is("AlreadyExists") => Ok(object),
            answer => answer,
        }
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
            String::new(),
        ));
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

#[cfg(test)]
mod tests {
    use crate::tests::session;

    #[track_caller]
    fn says(text: &str, want: &[&str]) {
        let found: Vec<String> = session()
            .diagnose(text)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, want);
    }

    #[test]
    fn messages_stand_where_the_mistake_is() {
        says(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
            &[],
        );
        says(
            "kind: Pod\n",
            &["line 1, column 1: apiVersion not set (an object begins with apiVersion and kind)"],
        );
        says(
            "apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n",
            &[
                "line 2, column 7: no matches for kind \"Deployment\" in version \"v1\" (Deployment is served as apiVersion: apps/v1)",
            ],
        );
        says(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  container: []\n",
            &["line 5, column 3: unknown field \"spec.container\" (did you mean \"containers\"?)"],
        );
        says(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: A_b\nspec:\n  containers:\n  - name: c\n    image: x\n",
            &[
                "line 4, column 9: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ],
        );
        says(
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  externalName: x.y\n  ports: [{port: 80}]\n",
            &[
                "line 5, column 17: spec.externalName is ignored when spec.type is not \"ExternalName\"",
            ],
        );
        says(
            "a: b: c\n",
            &[
                "line 1, column 5: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
            ],
        );
    }
}
