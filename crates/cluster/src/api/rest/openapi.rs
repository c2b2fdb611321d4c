//! OpenAPI: what the API server tells of its paths and types, made from the schema when it is asked for
//! (kube-openapi; apiserver v0.37, `endpoints/openapi`). Descriptions, the parameters of queries and the
//! old watch paths are left out, which the documents say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use kubarium_objects::schema::{Field, Resource, Schema, Type, TypeId};
use kubarium_objects::status::Status;
use kubarium_objects::{Text, Value, go};
use sha2::{Digest, Sha256};

use crate::cluster::Cluster;
use crate::kubelet::node_status::VERSION;

const LEFT_OUT: &str = "Descriptions, allowed values, the parameters of queries and watch paths are left out of the simulation.";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Which of the two formats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    V2,
    V3,
}

impl Format {
    /// Where a named type is defined.
    fn reference(self, name: &str) -> String {
        match self {
            Format::V2 => format!("{{\"$ref\":\"#/definitions/{name}\"}}"),
            Format::V3 => format!("{{\"$ref\":\"#/components/schemas/{name}\"}}"),
        }
    }

    /// What is answered or sent: an object of a type.
    fn content(self, name: &str) -> String {
        let schema = self.reference(name);
        match self {
            Format::V2 => format!("\"schema\":{schema}"),
            Format::V3 => format!("\"content\":{{\"application/json\":{{\"schema\":{schema}}}}}"),
        }
    }
}

/// Types that are no structs and have a name all the same, in both formats.
fn named(of: &Type) -> Option<(&'static str, &'static str, &'static str)> {
    let text = "{\"type\":\"string\"}";
    let date = "{\"type\":\"string\",\"format\":\"date-time\"}";
    Some(match of {
        Type::IntOrString => (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
            "{\"type\":\"string\",\"format\":\"int-or-string\"}",
            "{\"format\":\"int-or-string\",\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}",
        ),
        Type::Quantity => (
            "io.k8s.apimachinery.pkg.api.resource.Quantity",
            text,
            "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}",
        ),
        Type::Time => ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", date, date),
        Type::MicroTime => ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", date, date),
        Type::Duration => ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", text, text),
        Type::RawJson => {
            let any = "{\"type\":\"object\"}";
            ("io.k8s.apimachinery.pkg.runtime.RawExtension", any, any)
        }
        _ => return None,
    })
}

/// A document being made.
struct Document<'a> {
    cluster: &'a Cluster,
    format: Format,
    definitions: BTreeMap<String, String>,
    seen: BTreeSet<TypeId>,
    /// What is referred to and not defined yet.
    waiting: Vec<TypeId>,
    paths: BTreeMap<String, String>,
}

fn group_version_kind(group: &str, version: &str, kind: &str) -> String {
    format!("{{\"group\":\"{group}\",\"kind\":\"{kind}\",\"version\":\"{version}\"}}")
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

impl Document<'_> {
    fn make(cluster: &Cluster, format: Format, resources: &[Arc<Resource>]) -> String {
        let mut document = Document {
            cluster,
            format,
            definitions: BTreeMap::new(),
            seen: BTreeSet::new(),
            waiting: Vec::new(),
            paths: BTreeMap::new(),
        };
        for resource in resources {
            document.resource(resource);
        }
        let schema = Schema::builtin();
        for kind in ["Status", "DeleteOptions"] {
            document.waiting.extend(schema.type_of_kind("v1", kind));
        }
        while let Some(id) = document.waiting.pop() {
            document.define(id);
        }
        document.written()
    }

    fn written(self) -> String {
        let pairs = |map: BTreeMap<String, String>| {
            joined(
                map.into_iter()
                    .map(|(name, text)| format!("\"{name}\":{text}")),
            )
        };
        let (paths, definitions) = (pairs(self.paths), pairs(self.definitions));
        let info = format!(
            "\"info\":{{\"title\":\"Kubernetes\",\"version\":\"{VERSION}\",\"description\":\"{LEFT_OUT}\"}},\"paths\":{{{paths}}}"
        );
        let token = "{\"BearerToken\":{\"type\":\"apiKey\",\"description\":\"Bearer Token authentication\",\"name\":\"authorization\",\"in\":\"header\"}}";
        match self.format {
            Format::V2 => format!(
                "{{\"swagger\":\"2.0\",{info},\"definitions\":{{{definitions}}},\"securityDefinitions\":{token},\"security\":[{{\"BearerToken\":[]}}]}}"
            ),
            Format::V3 => format!(
                "{{\"openapi\":\"3.0.0\",{info},\"components\":{{\"schemas\":{{{definitions}}},\"securitySchemes\":{token}}}}}"
            ),
        }
    }

    /// The name under which objects of a resource are defined; that of a custom one begins with its
    /// group turned round.
    fn name_of(&self, resource: &Resource) -> String {
        if let Some(of) = Schema::builtin().get_struct(resource.type_id) {
            return format!("{}.{}", of.origin, of.name);
        }
        let group: Vec<&str> = resource.group.rsplit('.').collect();
        format!("{}.{}.{}", group.join("."), resource.version, resource.kind)
    }

    fn resource(&mut self, resource: &Resource) {
        let Resource {
            group,
            version,
            kind,
            ..
        } = resource;
        let name = self.name_of(resource);
        let version_of = self.cluster.definitions().version(resource);
        match version_of.map(|of| of.schema.clone()) {
            Some(schema) => self.define_custom(resource, &name, schema),
            None => self.waiting.push(resource.type_id),
        }
        if resource.has_verb("list") {
            let of = group_version_kind(group, version, &format!("{kind}List"));
            let (item, meta) = (
                self.format.reference(&name),
                self.format.reference(&format!("{META}.ListMeta")),
            );
            let list = format!(
                "{{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{{\"apiVersion\":{{\"type\":\"string\"}},\"items\":{{\"type\":\"array\",\"items\":{item}}},\"kind\":{{\"type\":\"string\"}},\"metadata\":{meta}}},\"x-kubernetes-group-version-kind\":[{of}]}}"
            );
            self.definitions.insert(format!("{name}List"), list);
            let text = "\"type\":\"string\"";
            self.definitions.insert(format!("{META}.ListMeta"), format!("{{\"type\":\"object\",\"properties\":{{\"continue\":{{{text}}},\"remainingItemCount\":{{\"type\":\"integer\",\"format\":\"int64\"}},\"resourceVersion\":{{{text}}},\"selfLink\":{{{text}}}}}}}"));
        }
        self.describe_paths(resource, &name);
    }

    fn define_custom(&mut self, resource: &Resource, name: &str, mut schema: Value) {
        for field in ["apiVersion", "kind"] {
            schema["properties"][field]["type"] = "string".into();
        }
        let meta = format!("{META}.ObjectMeta");
        let meta = Value::from_json(&self.format.reference(&meta));
        schema["properties"]["metadata"] = meta.unwrap_or_default();
        let mut text = go::json(&schema);
        let meta = Schema::builtin().by_kind("v1", "ConfigMap");
        let meta = meta.and_then(|any| Schema::builtin().field(any.type_id, &["metadata"]));
        self.waiting.extend(meta.map(|field| field.type_id));
        let of = group_version_kind(&resource.group, &resource.version, &resource.kind);
        text.truncate(text.len().saturating_sub(1));
        let _ = write!(text, ",\"x-kubernetes-group-version-kind\":[{of}]}}");
        self.definitions.insert(name.to_owned(), text);
    }

    /// A type where it is used.
    fn used(&mut self, id: TypeId) -> String {
        let schema = Schema::builtin();
        let of = schema.get(id);
        if let Some((name, v2, v3)) = named(of) {
            let text = if self.format == Format::V2 { v2 } else { v3 };
            self.definitions.insert(name.to_owned(), text.to_owned());
            return self.format.reference(name);
        }
        match of {
            Type::Struct(of) => {
                self.waiting.push(id);
                self.format.reference(&format!("{}.{}", of.origin, of.name))
            }
            Type::List(item) => format!("{{\"type\":\"array\",\"items\":{}}}", self.used(*item)),
            Type::Map(of, _) => {
                let of = self.used(*of);
                format!("{{\"type\":\"object\",\"additionalProperties\":{of}}}")
            }
            Type::Bool => "{\"type\":\"boolean\"}".to_owned(),
            Type::Int32 => "{\"type\":\"integer\",\"format\":\"int32\"}".to_owned(),
            Type::Int64 => "{\"type\":\"integer\",\"format\":\"int64\"}".to_owned(),
            Type::Float => "{\"type\":\"number\",\"format\":\"double\"}".to_owned(),
            Type::Bytes => "{\"type\":\"string\",\"format\":\"byte\"}".to_owned(),
            _ => "{\"type\":\"string\"}".to_owned(),
        }
    }

    fn field(&mut self, field: &Field) -> String {
        let mut text = self.used(field.type_id);
        if self.format == Format::V3 && text.starts_with("{\"$ref\"") {
            // Beside a reference nothing may stand.
            text = format!("{{\"allOf\":[{text}]}}");
        }
        text.truncate(text.len().saturating_sub(1));
        let mut add = |name: &str, value: &str| {
            let _ = write!(text, ",\"x-kubernetes-{name}\":{value}");
        };
        if !field.list_map_keys.is_empty() {
            let keys = field.list_map_keys.iter().map(|key| go::quote(key));
            add("list-map-keys", &format!("[{}]", joined(keys)));
        }
        if let Some(kind) = &field.list_type {
            let is_map = matches!(Schema::builtin().get(field.type_id), Type::Map(..));
            let name = if is_map { "map-type" } else { "list-type" };
            add(name, &go::quote(kind));
        }
        if let Some(key) = &field.patch_merge_key {
            add("patch-merge-key", &go::quote(key));
        }
        let strategy = match (field.patch_strategy.merge, field.patch_strategy.retain_keys) {
            (true, true) => "merge,retainKeys",
            (true, false) => "merge",
            (false, true) => "retainKeys",
            (false, false) => "",
        };
        if !strategy.is_empty() {
            add("patch-strategy", &go::quote(strategy));
        }
        text + "}"
    }

    fn define(&mut self, id: TypeId) {
        let schema = Schema::builtin();
        let Some(of) = schema.get_struct(id).filter(|_| self.seen.insert(id)) else {
            return;
        };
        let mut text = "{\"type\":\"object\"".to_owned();
        let required = of.fields.iter().filter(|field| field.required);
        let required = joined(required.map(|field| go::quote(&field.name)));
        if !required.is_empty() {
            let _ = write!(text, ",\"required\":[{required}]");
        }
        let fields: Vec<String> = of
            .fields
            .iter()
            .map(|field| format!("{}:{}", go::quote(&field.name), self.field(field)))
            .collect();
        if !fields.is_empty() {
            let _ = write!(text, ",\"properties\":{{{}}}", fields.join(","));
        }
        let kinds = schema.kinds_of(id).map(|(api_version, kind)| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            group_version_kind(group, version, kind)
        });
        let kinds = joined(kinds);
        if !kinds.is_empty() {
            let _ = write!(text, ",\"x-kubernetes-group-version-kind\":[{kinds}]");
        }
        self.definitions
            .insert(format!("{}.{}", of.origin, of.name), text + "}");
    }

    /// The paths of a resource and of its parts.
    fn describe_paths(&mut self, resource: &Resource, name: &str) {
        let api_version = resource.api_version();
        let (root, namespace) = (
            match &*resource.group {
                "" => format!("/api/{api_version}"),
                _ => format!("/apis/{api_version}"),
            },
            if resource.namespaced {
                "/namespaces/{namespace}"
            } else {
                ""
            },
        );
        let all = format!("{root}{namespace}/{}", resource.plural);
        let one = format!("{all}/{{name}}");
        let own = |path: &str, operations: &'static [Operation], end: &str| Place {
            path: path.to_owned(),
            verbs: &resource.verbs,
            operations,
            kind: group_version_kind(&resource.group, &resource.version, &resource.kind),
            name: name.to_owned(),
            end: end.to_owned(),
        };
        self.path(resource, &own(&all, &COLLECTION, ""));
        self.path(resource, &own(&one, &ITEM, ""));
        if resource.namespaced {
            let everywhere = format!("{root}/{}", resource.plural);
            self.path(resource, &own(&everywhere, &LIST, "ForAllNamespaces"));
        }
        for part in &resource.subresources {
            let (group, version) = part
                .api_version
                .split_once('/')
                .unwrap_or(("", &part.api_version));
            let of = Schema::builtin().type_of_kind(&part.api_version, &part.kind);
            let of = of.filter(|_| *part.kind != *resource.kind);
            self.waiting.extend(of);
            let of = of.and_then(|id| Schema::builtin().get_struct(id));
            let place = Place {
                path: format!("{one}/{}", part.name),
                verbs: &part.verbs,
                operations: &PART,
                kind: group_version_kind(group, version, &part.kind),
                name: of.map_or(name.to_owned(), |of| format!("{}.{}", of.origin, of.name)),
                end: title(&part.name),
            };
            self.path(resource, &place);
        }
    }

    fn path(&mut self, resource: &Resource, place: &Place) {
        let served = place.operations.iter();
        let served = served.filter(|o| place.verbs.iter().any(|verb| **verb == *o.verb));
        let mut served: Vec<String> = served
            .map(|o| format!("\"{}\":{}", o.method, self.operation(resource, *o, place)))
            .collect();
        if served.is_empty() {
            return;
        }
        let parameters = ["name", "namespace"]
            .into_iter()
            .filter(|parameter| place.path.contains(&format!("{{{parameter}}}")));
        let parameters = joined(parameters.map(|parameter| {
            let kind = match self.format {
                Format::V2 => "\"type\":\"string\"",
                Format::V3 => "\"schema\":{\"type\":\"string\"}",
            };
            format!("{{\"name\":\"{parameter}\",\"in\":\"path\",\"required\":true,{kind}}}")
        }));
        if !parameters.is_empty() {
            served.push(format!("\"parameters\":[{parameters}]"));
        }
        let served = format!("{{{}}}", served.join(","));
        self.paths.insert(place.path.clone(), served);
    }

    fn operation(&self, resource: &Resource, mut operation: Operation, place: &Place) -> String {
        let connects = matches!(&*place.end, "Exec" | "Attach" | "Portforward" | "Proxy");
        let of = match connects {
            true => title(operation.method),
            false => operation.of.to_owned(),
        };
        if connects {
            (operation.id, operation.action) = ("connect", "connect");
        }
        let Place {
            kind, name, end, ..
        } = place;
        let own_group = match resource.group.trim_end_matches(".k8s.io") {
            "" => "core",
            group => group,
        };
        let own_version = &resource.version;
        let tag = format!("{}_{own_version}", own_group.replace(['.', '-'], "_"));
        let scope = if resource.namespaced && end != "ForAllNamespaces" {
            "Namespaced"
        } else {
            ""
        };
        let id = format!(
            "{}{}{}{}{scope}{}{end}",
            operation.id,
            title(own_group),
            title(own_version),
            of,
            resource.kind
        );
        let answer = match operation.verb {
            "list" => format!("{name}List"),
            "delete" | "deletecollection" => format!("{META}.Status"),
            _ => name.clone(),
        };
        let body = match (operation.verb, self.format) {
            _ if connects => String::new(),
            ("create" | "update", Format::V2) => {
                let content = self.format.content(name);
                format!(
                    "\"parameters\":[{{\"name\":\"body\",\"in\":\"body\",\"required\":true,{content}}}],"
                )
            }
            ("create" | "update", Format::V3) => {
                format!(
                    "\"requestBody\":{{{},\"required\":true}},",
                    self.format.content(name)
                )
            }
            _ => String::new(),
        };
        let answer = match connects || end == "Log" {
            true => "\"schema\":{\"type\":\"string\"}".to_owned(),
            false => self.format.content(&answer),
        };
        format!(
            "{{\"tags\":[\"{tag}\"],\"operationId\":\"{id}\",{body}\"responses\":{{\"200\":{{\"description\":\"OK\",{answer}}},\"401\":{{\"description\":\"Unauthorized\"}}}},\"x-kubernetes-action\":\"{}\",\"x-kubernetes-group-version-kind\":{kind}}}",
            operation.action
        )
    }
}

/// A path with what may be done there.
struct Place<'a> {
    path: String,
    verbs: &'a [Text],
    operations: &'static [Operation],
    /// What is spoken of, and the name under which it is defined.
    kind: String,
    name: String,
    /// How the operations' names end.
    end: String,
}

/// A name as a part of an operation's: `RbacAuthorization`.
fn title(text: &str) -> String {
    let words = text.split(['.', '-']).map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

/// What may be done at a path: the verb, the method, how the operation's name begins, what stands
/// before the kind in it, and what it is called.
#[derive(Clone, Copy)]
struct Operation {
    verb: &'static str,
    method: &'static str,
    id: &'static str,
    of: &'static str,
    action: &'static str,
}

const fn operation([verb, method, id, of, action]: [&'static str; 5]) -> Operation {
    Operation {
        verb,
        method,
        id,
        of,
        action,
    }
}

const COLLECTION: [Operation; 3] = [
    operation(["list", "get", "list", "", "list"]),
    operation(["create", "post", "create", "", "post"]),
    operation([
        "deletecollection",
        "delete",
        "delete",
        "Collection",
        "deletecollection",
    ]),
];
const LIST: [Operation; 1] = [COLLECTION[0]];
const ITEM: [Operation; 4] = [
    operation(["get", "get", "read", "", "get"]),
    operation(["update", "put", "replace", "", "put"]),
    operation(["patch", "patch", "patch", "", "patch"]),
    operation(["delete", "delete", "delete", "", "delete"]),
];
const PART: [Operation; 5] = [ITEM[0], ITEM[1], ITEM[2], ITEM[3], COLLECTION[1]];

impl Cluster {
    /// `/openapi/v2`, `/openapi/v3` and what is below it.
    pub(super) fn openapi(&self, parts: &[&str]) -> Result<String, Status> {
        let all = self.resources();
        let root = |r: &Resource| match &*r.group {
            "" => format!("api/{}", r.version),
            group => format!("apis/{group}/{}", r.version),
        };
        match *parts {
            ["v2"] => return Ok(Document::make(self, Format::V2, &all)),
            ["v3"] => {
                let roots: BTreeSet<String> = all.iter().map(|r| root(r)).collect();
                let paths = roots.into_iter().map(|path| {
                    let mut state = Sha256::new_with_prefix(VERSION);
                    let of_path = all.iter().filter(|r| root(r) == path);
                    of_path.for_each(|r| state.update(self.served_as(r)));
                    let hash: String = state
                        .finalize()
                        .iter()
                        .map(|b| format!("{b:02X}"))
                        .collect();
                    format!(
                        "\"{path}\":{{\"serverRelativeURL\":\"/openapi/v3/{path}?hash={hash}\"}}"
                    )
                });
                return Ok(format!("{{\"paths\":{{{}}}}}", joined(paths)));
            }
            _ => {}
        }
        let path = parts.get(1..).unwrap_or(&[]).join("/");
        let of_path: Vec<Arc<Resource>> = all.into_iter().filter(|r| root(r) == path).collect();
        match parts.first() {
            Some(&"v3") if !of_path.is_empty() => Ok(Document::make(self, Format::V3, &of_path)),
            _ => Err(Status::no_such_resource()),
        }
    }

    /// What a resource's part of a document depends on.
    fn served_as(&self, resource: &Resource) -> String {
        let version = self.definitions().version(resource);
        let schema = version.map_or(String::new(), |version| version.schema.to_json());
        format!("{}{schema}", resource.kind)
    }
}
