//! What an editor of manifests asks while somebody writes: what is wrong and what could be meant, what could stand at
//! the cursor, what stands there, and what applying would change.

mod diagnose;
mod drafts;
mod hints;
mod names;
mod place;
mod preview;
mod references;
mod shape;
mod words;

use kubarium_objects::{Resource, Value, go};
use std::sync::Arc;

use crate::session::Session;
use names::{Scope, Words};
use place::{Place, Role, Step};
use shape::{FieldView, Form, Shape};

pub use preview::{Change, Effect, Preview};

/// Something that could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// What is shown.
    pub label: String,
    /// What takes the word's place.
    pub insert: String,
    /// Its type, or where it comes from.
    pub detail: String,
    /// A sentence on it; may be empty.
    pub words: String,
    /// Whether it must be there.
    pub required: bool,
}

/// What could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The columns of the word whose place it takes, from 1; characters of the cursor's line.
    pub from: usize,
    /// The column before which that word ends.
    pub to: usize,
    /// In order.
    pub offers: Vec<Offer>,
}

/// What stands at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The columns of its key, from 1.
    pub from: usize,
    /// The column before which it ends.
    pub to: usize,
    /// `spec.template.spec.restartPolicy`
    pub path: String,
    /// Its type.
    pub type_name: String,
    /// Whether it must be there.
    pub required: bool,
    /// A sentence on it; may be empty.
    pub words: String,
    /// What the API server fills in where it is left open; may be empty.
    pub default: String,
    /// The words that are allowed, where they are few.
    pub allowed: Vec<String>,
}

/// More are of no use to anybody.
const OFFERS_MAX: usize = 200;

/// What is known of the manifest at the cursor.
struct Manifest {
    place: Place,
    resource: Option<Arc<Resource>>,
    drafts: Vec<Value>,
    own: Value,
    api_version: String,
    kind: String,
}

impl Session {
    fn manifest(
        &self,
        text: &str,
        beside: &[String],
        line: usize,
        column: usize,
    ) -> Option<Manifest> {
        let place = place::find(text, line.checked_sub(1)?, column.checked_sub(1)?)?;
        let word = |key: &str| {
            let lines = text
                .lines()
                .skip(place.document.start)
                .take(place.document.len());
            let mut values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            let value = values.next().unwrap_or_default();
            let value = value.split(" #").next().unwrap_or_default();
            value.trim().trim_matches(['"', '\'']).to_owned()
        };
        let (api_version, kind) = (word("apiVersion"), word("kind"));
        let cluster = &self.simulation.cluster;
        let mut drafts = drafts::read(text, place.line);
        // The documents before this one that hold an object.
        let before: String = text
            .lines()
            .take(place.document.start)
            .flat_map(|line| [line, "\n"])
            .collect();
        let own = drafts
            .get(drafts::read(&before, usize::MAX).len())
            .cloned()
            .unwrap_or_default();
        drafts.extend(
            beside
                .iter()
                .flat_map(|text| drafts::read(text, usize::MAX)),
        );
        Some(Manifest {
            resource: cluster.resource_by_kind(&api_version, &kind),
            own: if own["kind"].str() == kind {
                own
            } else {
                Value::Null
            },
            place,
            drafts,
            api_version,
            kind,
        })
    }

    /// What could stand at the cursor of a text of manifests, its line and column from 1; `beside` are the other texts
    /// that are being written.
    pub fn offers(&self, text: &str, beside: &[String], line: usize, column: usize) -> Offers {
        let Some(manifest) = self.manifest(text, beside, line, column) else {
            return Offers::default();
        };
        let place = &manifest.place;
        let keys: Vec<&str> = keys(&place.path);
        let mut offers = match (place.role, &keys[..]) {
            (Role::Value, ["apiVersion"]) => self.api_versions(&manifest.kind),
            (Role::Value, ["kind"]) => self.kinds(&manifest.api_version),
            (Role::Value, _) => self.values(&manifest, &keys),
            (Role::Key, _) => self.fields(&manifest, &keys),
        };
        let prefix = place.prefix.trim_start_matches(['"', '\'']).to_lowercase();
        offers.retain(|offer| fits(&offer.label, &prefix));
        offers.sort_by_key(|offer| !offer.label.to_lowercase().starts_with(&prefix));
        offers.truncate(OFFERS_MAX);
        if place.tight {
            offers
                .iter_mut()
                .for_each(|offer| offer.insert.insert(0, ' '));
        }
        Offers {
            from: place.word.start + 1,
            to: place.word.end + 1,
            offers,
        }
    }

    fn scope<'a>(&'a self, manifest: &'a Manifest, namespace: &'a str) -> Scope<'a> {
        Scope {
            cluster: &self.simulation.cluster,
            namespace,
            drafts: &manifest.drafts,
            own: &manifest.own,
        }
    }

    fn namespace_of(&self, manifest: &Manifest) -> String {
        drafts::namespace(&manifest.own, self.kubeconfig.namespace("")).to_string()
    }

    fn api_versions(&self, kind: &str) -> Vec<Offer> {
        let mut offers: Vec<Offer> = Vec::new();
        for resource in self.simulation.cluster.resources() {
            let label = resource.api_version();
            let serves = !kind.is_empty() && *resource.kind == *kind;
            match offers.iter_mut().find(|offer| offer.label == label) {
                Some(offer) => offer.required |= serves,
                None => offers.push(Offer {
                    insert: label.clone(),
                    required: serves,
                    label,
                    ..Offer::default()
                }),
            }
        }
        if offers.iter().any(|offer| offer.required) {
            offers.retain(|offer| offer.required);
        }
        for offer in &mut offers {
            if std::mem::take(&mut offer.required) {
                offer.detail = format!("serves {kind}");
            }
        }
        offers
    }

    fn kinds(&self, api_version: &str) -> Vec<Offer> {
        let all = self.simulation.cluster.resources();
        let known = all
            .iter()
            .any(|resource| resource.api_version() == api_version);
        let wanted = all.iter().filter(|resource| {
            resource.has_verb("create") && (!known || resource.api_version() == api_version)
        });
        let offer = |resource: &Arc<Resource>| Offer {
            label: resource.kind.to_string(),
            insert: resource.kind.to_string(),
            detail: resource.api_version(),
            words: words::of(&resource.kind).to_owned(),
            required: false,
        };
        let mut offers: Vec<Offer> = wanted.map(offer).collect();
        offers.sort_by(|a, b| a.label.cmp(&b.label));
        offers
    }

    fn values(&self, manifest: &Manifest, keys: &[&str]) -> Vec<Offer> {
        let Some(resource) = &manifest.resource else {
            return Vec::new();
        };
        let path = &manifest.place.path;
        let shape = Shape::of(&self.simulation.cluster, resource).follow(path);
        let mut offers = Vec::new();
        if let Some((shape, _)) = &shape {
            let words = if shape.is_bool() {
                vec!["true".to_owned(), "false".to_owned()]
            } else {
                shape::allowed(resource, shape, path, Some(&manifest.own))
            };
            let default = shape::default(resource, path, Some(&manifest.own));
            let offer = |word: String| {
                let is_default = default.as_ref() == Some(&word);
                Offer {
                    detail: if is_default { "default" } else { "" }.to_owned(),
                    insert: word.clone(),
                    label: word,
                    ..Offer::default()
                }
            };
            offers.extend(words.into_iter().map(offer));
            offers.sort_by_key(|offer| offer.detail.is_empty());
        }
        if offers.is_empty() {
            let namespace = self.namespace_of(manifest);
            let found = self.scope(manifest, &namespace).values(keys, path);
            let is_text = !matches!(keys, [.., "targetPort" | "port" | "number"]);
            offers = listed(found, |name| if is_text { scalar(&name) } else { name });
        }
        offers
    }

    fn fields(&self, manifest: &Manifest, keys: &[&str]) -> Vec<Offer> {
        let place = &manifest.place;
        let whole = place.key.is_some();
        let Some(resource) = &manifest.resource else {
            return if place.path.is_empty() {
                first_keys(place, whole)
            } else {
                Vec::new()
            };
        };
        let root = Shape::of(&self.simulation.cluster, resource);
        let Some((shape, _)) = root.follow(&place.path) else {
            return Vec::new();
        };
        if shape.form() == Form::Scalar && matches!(place.path.last(), Some(Step::Item(_))) {
            return self.values(manifest, keys);
        }
        let mut fields = shape.fields(place.path.is_empty());
        fields.retain(|field| {
            !place.siblings.contains(&field.name) && !is_the_servers(&place.path, &field.name)
        });
        // What must be there comes first.
        fields.sort_by_key(|field| !field.required);
        let mut offers: Vec<Offer> = fields
            .iter()
            .map(|field| key(field, place, whole))
            .collect();
        if offers.is_empty() && shape.form() == Form::Map {
            let namespace = self.namespace_of(manifest);
            let mut found = self.scope(manifest, &namespace).keys(keys);
            found.retain(|name, _| !place.siblings.contains(name));
            offers = listed(found, |name| if whole { name } else { format!("{name}: ") });
        }
        offers
    }

    /// What stands at a place of a text of manifests, its line and column from 1: of the key there, or whose value it is.
    pub fn told(&self, text: &str, line: usize, column: usize) -> Option<Told> {
        let manifest = self.manifest(text, &[], line, column)?;
        let place = &manifest.place;
        let mut path = place.path.clone();
        let key = place.key.clone()?;
        if place.role == Role::Key {
            path.push(Step::Key(key.clone()));
        }
        let resource = manifest.resource.as_ref()?;
        let written: Vec<char> = text.lines().nth(place.line)?.chars().collect();
        let length = key.chars().count();
        let from = (0..written.len())
            .find(|at| written[*at..].iter().take(length).copied().eq(key.chars()))?;
        let mut told = Told {
            from: from + 1,
            to: from + length + 1,
            path: shape::dotted(&path),
            ..Told::default()
        };
        if keys(&path) == ["kind"] {
            told.words = words::of(&resource.kind).to_owned();
            told.type_name = format!("{} of {}", resource.plural, resource.api_version());
            return Some(told);
        }
        let root = Shape::of(&self.simulation.cluster, resource);
        let (shape, field) = root.follow(&path)?;
        match field {
            Some(field) => {
                told.words = sentence(&field);
                told.type_name = field.type_name;
                told.required = field.required;
            }
            None => told.type_name = "string".to_owned(),
        }
        told.allowed = shape::allowed(resource, &shape, &path, Some(&manifest.own));
        told.default = shape::default(resource, &path, Some(&manifest.own)).unwrap_or_default();
        Some(told)
    }
}

/// The keys of a way, without the numbers.
fn keys(path: &[Step]) -> Vec<&str> {
    path.iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Item(_) => None,
        })
        .collect()
}

/// Whether a word fits what is written: it begins so, or a part of it does.
fn fits(label: &str, prefix: &str) -> bool {
    label.to_lowercase().contains(prefix)
}

fn sentence(field: &FieldView) -> String {
    if field.owner.is_empty() {
        return field.description.clone();
    }
    words::of(&format!("{}.{}", field.owner, field.name)).to_owned()
}

/// What only the API server writes.
fn is_the_servers(path: &[Step], field: &str) -> bool {
    match keys(path)[..] {
        [] => field == "status",
        [.., "metadata"] => matches!(
            field,
            "creationTimestamp"
                | "deletionGracePeriodSeconds"
                | "deletionTimestamp"
                | "generation"
                | "managedFields"
                | "resourceVersion"
                | "selfLink"
                | "uid"
        ),
        _ => false,
    }
}

fn listed(found: Words, insert: impl Fn(String) -> String) -> Vec<Offer> {
    let offer = |(label, detail): (String, String)| Offer {
        insert: insert(label.clone()),
        label,
        detail,
        ..Offer::default()
    };
    found.into_iter().map(offer).collect()
}

/// A text as a plain scalar, or in quotes where YAML would take it for something else.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let odd = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
    );
    if plain && !odd && !word {
        text.to_owned()
    } else {
        go::quote(text)
    }
}

/// A field as it is written: with what follows begun.
fn key(field: &FieldView, place: &Place, whole: bool) -> Offer {
    let name = &field.name;
    let insert = match (field.shape.form(), place.column) {
        _ if whole => name.clone(),
        (Form::Scalar, _) => format!("{name}: "),
        (Form::Map, None) => format!("{name}: {{"),
        (Form::List, None) => format!("{name}: ["),
        (Form::Map, Some(column)) => format!("{name}:\n{}", " ".repeat(column + 2)),
        (Form::List, Some(column)) => format!("{name}:\n{}- ", " ".repeat(column + 2)),
    };
    Offer {
        label: name.clone(),
        insert,
        detail: field.type_name.clone(),
        words: sentence(field),
        required: field.required,
    }
}

/// What a manifest begins with.
fn first_keys(place: &Place, whole: bool) -> Vec<Offer> {
    let first = ["apiVersion", "kind", "metadata"];
    let first = first
        .into_iter()
        .filter(|key| place.siblings.iter().all(|have| have != key));
    let offer = |key: &str| Offer {
        label: key.to_owned(),
        insert: match key {
            key if whole => key.to_owned(),
            "metadata" => "metadata:\n  name: ".to_owned(),
            key => format!("{key}: "),
        },
        detail: if key == "metadata" {
            "ObjectMeta"
        } else {
            "string"
        }
        .to_owned(),
        required: true,
        ..Offer::default()
    };
    first.map(offer).collect()
}

#[cfg(test)]
mod tests;
