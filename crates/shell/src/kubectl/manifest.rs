//! Objects from files (`-f`): read, checked and mapped as kubectl does before it asks the server.

use std::sync::Arc;

use kubarium_objects::{Resource, Schema, Text, Value, decode, go, yaml};

use super::Kubectl;
use super::error::{Error, Result, plain};
use super::resource::Info;

/// What files hold: the objects that could be read, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub infos: Vec<Info>,
    pub errors: Vec<Error>,
}

/// What `--validate` says about fields that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    Strict,
    Warn,
    Ignore,
}

const NESTED_MAX: usize = 8;

impl Kubectl<'_> {
    /// What `--validate` says.
    pub fn validation(&self) -> Result<Validation> {
        match self.flags.str("validate") {
            "strict" | "true" | "" => Ok(Validation::Strict),
            "warn" => Ok(Validation::Warn),
            "ignore" | "false" => Ok(Validation::Ignore),
            other => plain(format!(
                "invalid - validate option {}; must be one of: strict (or true), warn, ignore (or false)",
                go::quote(other)
            )),
        }
    }

    /// Reads the files that `-f` names.
    pub fn manifests(&mut self) -> Result<Manifests> {
        self.manifests_of(self.flags.list("filename").to_vec())
    }

    /// Reads files, `-` being standard input.
    pub fn manifests_of(&mut self, names: Vec<String>) -> Result<Manifests> {
        let mut found = Manifests::default();
        let mut files = Vec::new();
        for name in &names {
            self.collect_files(name, &mut files)?;
        }
        for (source, bytes) in files {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.read_text(&text, &source, &mut found);
        }
        Ok(found)
    }

    fn collect_files(&mut self, name: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result {
        if name == "-" {
            let input = std::mem::take(&mut self.stdin);
            files.push(("STDIN".to_owned(), input));
            return Ok(());
        }
        if let Some((directory, text)) = &self.kustomized
            && directory == name
        {
            files.push((name.to_owned(), text.clone().into_bytes()));
            return Ok(());
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            return plain(crate::registry::not_yet(
                "reading manifests from a URL",
                "save the file and give its name to -f",
            ));
        }
        let path = self.session.absolute(&self.cwd, name);
        if self.session.is_directory(&path) {
            let deep = self.flags.bool("recursive");
            let below = self.session.files_below(&path, deep);
            let wanted = |p: &str| {
                [".json", ".yaml", ".yml"]
                    .iter()
                    .any(|end| p.ends_with(end))
            };
            let before = files.len();
            for file in below.into_iter().filter(|p| wanted(p)) {
                let shown = format!(
                    "{}{}",
                    name.trim_end_matches('/'),
                    file.strip_prefix(path.trim_end_matches('/'))
                        .unwrap_or(&file)
                );
                if let Some(bytes) = self.session.read_file(&file) {
                    files.push((shown, bytes));
                }
            }
            if files.len() == before {
                return plain(format!(
                    "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
                ));
            }
            return Ok(());
        }
        match self.session.read_file(&path) {
            Some(bytes) => {
                files.push((name.to_owned(), bytes));
                Ok(())
            }
            None => plain(format!("the path {} does not exist", go::quote(name))),
        }
    }

    fn read_text(&mut self, text: &str, source: &str, found: &mut Manifests) {
        let (documents, broken) = yaml::parse_until_error(text);
        for document in documents {
            match check_kind(&document.value) {
                Ok(()) => self.add(document.value, source, found, 0),
                Err(why)
                    if self.flags.str("validate").is_empty()
                        || matches!(self.validation(), Ok(Validation::Strict)) =>
                {
                    let text = format!(
                        "error validating {}: error validating data: {why}; if you choose to ignore these errors, turn validation off with --validate=false",
                        go::quote(source)
                    );
                    // kubectl reads no further in this file.
                    found.errors.push(Error::Plain(text));
                    return;
                }
                Err(_) => self.add(document.value, source, found, 0),
            }
        }
        if let Some(broken) = broken {
            found.errors.push(Error::Plain(format!(
                "error parsing {source}: {}",
                broken.message
            )));
        }
    }

    fn add(&mut self, object: Value, source: &str, found: &mut Manifests, depth: usize) {
        match self.info(object, source) {
            Ok(Mapped::One(info)) => found.infos.push(info),
            Ok(Mapped::List(items)) if depth < NESTED_MAX => {
                for item in items {
                    self.add(item, source, found, depth + 1);
                }
            }
            Ok(Mapped::List(_)) => found
                .errors
                .push(Error::Plain("lists are nested too deeply".to_owned())),
            Err(error) => found.errors.push(error),
        }
    }

    /// `mapper.infoForData`, then the namespace.
    fn info(&mut self, mut object: Value, source: &str) -> Result<Mapped> {
        let unable =
            |why: String| Error::Plain(format!("unable to decode {}: {why}", go::quote(source)));
        if object["kind"].str().is_empty() {
            return Err(unable(format!(
                "Object 'Kind' is missing in '{}'",
                go::json(&object)
            )));
        }
        if object["apiVersion"].str().is_empty() {
            return Err(unable(format!(
                "Object 'apiVersion' is missing in '{}'",
                go::json(&object)
            )));
        }
        check_metadata(&object).map_err(unable)?;
        if object["kind"].str().ends_with("List") && matches!(object["items"], Value::Array(_)) {
            return Ok(Mapped::List(items_of(&object)));
        }
        let Some(resource) = self.served(object["apiVersion"].str(), object["kind"].str()) else {
            let (name, namespace) = (
                object["metadata"]["name"].str(),
                object["metadata"]["namespace"].str(),
            );
            return plain(format!(
                "resource mapping not found for name: {} namespace: {} from {}: no matches for kind {} in version {}\nensure CRDs are installed first",
                go::quote(name),
                go::quote(namespace),
                go::quote(source),
                go::quote(object["kind"].str()),
                go::quote(object["apiVersion"].str()),
            ));
        };
        // A file's object has no place of its own before a server is asked.
        let namespace = match self.is_local() {
            true => object["metadata"]["namespace"].text(),
            false => self.place(&resource, &mut object)?,
        };
        let name = object["metadata"]["name"].text();
        Ok(Mapped::One(Info {
            resource,
            namespace,
            name,
            object,
            source: source.to_owned(),
        }))
    }

    /// The kind that a manifest names. kubectl also knows kinds in lower case; the API server does
    /// not, and says so.
    fn served(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let cluster = self.cluster();
        let exact = cluster.resource_by_kind(api_version, kind);
        let lower = || {
            cluster
                .resources()
                .into_iter()
                .find(|r| r.api_version() == api_version && r.kind.to_lowercase() == kind)
        };
        exact.or_else(lower)
    }

    /// `SetNamespace` and `RequireNamespace`.
    pub fn place(&self, resource: &Resource, object: &mut Value) -> Result<Text> {
        if !resource.namespaced {
            return Ok("".into());
        }
        let wanted = self.namespace();
        let named = object["metadata"]["namespace"].text();
        if named.is_empty() {
            object.set(&["metadata", "namespace"], &wanted);
            return Ok(wanted);
        }
        if self.namespace_is_given() && *named != *wanted {
            return plain(format!(
                "the namespace from the provided object {} does not match the namespace {}. You must pass '--namespace={named}' to perform this operation.",
                go::quote(&named),
                go::quote(&wanted),
            ));
        }
        Ok(named)
    }

    /// The object as it is sent: with `--validate=warn` or `ignore` unknown fields do no harm.
    pub fn lenient(&mut self, resource: &Resource, object: Value) -> Result<Value> {
        let validation = self.validation()?;
        if validation == Validation::Strict {
            return Ok(object);
        }
        let schema = Schema::builtin();
        if validation == Validation::Warn
            && let Err(decode::DecodeError::Unknown(paths)) =
                decode::decode(schema, resource.type_id, &object)
        {
            for path in paths {
                self.warn(&format!("unknown field {}", go::quote(&path)));
            }
        }
        Ok(decode::decode_lenient(schema, resource.type_id, &object).unwrap_or(object))
    }
}

enum Mapped {
    One(Info),
    List(Vec<Value>),
}

/// A list's items. Those of a list of one kind need not say what they are (apimachinery v0.37,
/// `apis/meta/v1/unstructured`, decodeToList).
fn items_of(list: &Value) -> Vec<Value> {
    let kind = list["kind"].str().trim_end_matches("List");
    let mut items = list["items"].items().to_vec();
    for item in items.iter_mut().filter(|_| !kind.is_empty()) {
        if item["kind"].is_empty() && item["apiVersion"].is_empty() {
            item["kind"] = kind.into();
            item["apiVersion"] = list["apiVersion"].clone();
        }
    }
    items
}

/// `getObjectKind` of kubectl's validation.
pub(crate) fn check_kind(object: &Value) -> std::result::Result<(), String> {
    if object.as_object().is_none() {
        return Err("invalid object to validate".to_owned());
    }
    let mut problems = Vec::new();
    for field in ["apiVersion", "kind"] {
        match &object[field] {
            Value::Null => problems.push(format!("{field} not set")),
            Value::String(s) if s.is_empty() => problems.push(format!("{field} not set")),
            Value::String(_) => {}
            _ => problems.push(format!("{field} isn't string type")),
        }
    }
    let version = object["apiVersion"].str();
    match &problems[..] {
        [] if version.matches('/').count() > 1 => {
            Err(format!("unexpected GroupVersion string: {version}"))
        }
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

/// kubectl decodes the metadata, and only that, by its type.
fn check_metadata(object: &Value) -> std::result::Result<(), String> {
    let schema = Schema::builtin();
    let Some(any) = schema.by_kind("v1", "ConfigMap") else {
        return Ok(());
    };
    let mut only = Value::new_object();
    only["metadata"] = object["metadata"].clone();
    match decode::decode_lenient(schema, any.type_id, &only) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().replace(
            "field ConfigMap.metadata",
            "field metadataOnlyObject.metadata",
        )),
    }
}
