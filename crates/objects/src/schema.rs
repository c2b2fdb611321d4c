//! The schema of the Kubernetes API as data: resources (what discovery tells) and types (what
//! OpenAPI tells). A new kind or field is a change of data, not of code.
//!
//! The built-in data is `schema/builtin.txt`, made by `cargo xtask schema`. Its lines:
//! - `#Name package [apiVersion kind]`: a struct, numbered from 0 in order; its fields follow as
//!   `name type flags`. Types: `s` string (`s=v1.Protocol` a named one), `b` bool, `i` int32, `l`
//!   int64, `f` float, `o` IntOrString, `q` Quantity, `t` Time, `u` MicroTime, `y` bytes, `r` any
//!   JSON, `[T` list, `{T` map from strings, a number: that struct. Flags: `!` required, `z` a
//!   pointer in Go, `a` a struct by value in Go, `n` a zero is printed, `p=` patch
//!   strategy, `k=` patch merge key, `t=` list or map type, `m=` list map keys, `i=` the embedded Go
//!   struct that has the field;
//! - `%io.k8s.api.apps.v1`: what OpenAPI's names for the structs that follow begin with;
//! - `@plural singular apiVersion Kind scope verbs [s=short names] [c=categories]`: a resource;
//! - `/name apiVersion Kind verbs`: a subresource of the resource above.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::value::Text;

mod read;

/// The number of a type in its [`Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u32);

/// What a value may be. Names are those of the Go types, which decoding errors mention.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// A struct with known fields.
    Struct(Struct),
    /// A list of items of one type.
    List(TypeId),
    /// A map from strings to values of one type; with the name of the Go type if it has one
    /// (`v1.ResourceList`).
    Map(TypeId, Option<Text>),
    /// A string; the Go type is `string` or a named one such as `v1.Protocol`.
    String(Text),
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `float64`
    Float,
    /// `intstr.IntOrString`: a 32-bit number or a string.
    IntOrString,
    /// `resource.Quantity`: a number or a string such as `500m`.
    Quantity,
    /// `metav1.Time`: RFC 3339, seconds.
    Time,
    /// `metav1.MicroTime`: RFC 3339, microseconds.
    MicroTime,
    /// `metav1.Duration`: `1h0m0s`.
    Duration,
    /// `[]byte`: base64.
    Bytes,
    /// Anything: `RawExtension`, `FieldsV1`, JSON.
    RawJson,
}

/// A type with known fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct {
    /// The Go type's name: `DeploymentSpec`.
    pub name: Text,
    /// The Go package's name: `v1`.
    pub package: Text,
    /// What OpenAPI's name for it begins with: `io.k8s.api.apps.v1`; empty for one that is not built in.
    pub origin: Text,
    /// The fields, sorted by name.
    pub fields: Vec<Field>,
}

impl Struct {
    /// The field called `name` (case matters).
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self.fields.binary_search_by(|f| (*f.name).cmp(name)).ok()?;
        self.fields.get(at)
    }
}

/// A field of a [`Struct`].
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The JSON name.
    pub name: Text,
    /// The type.
    pub type_id: TypeId,
    /// Whether OpenAPI calls it required (client-side validation says so; decoding does not).
    pub required: bool,
    /// Whether a scalar is a pointer in Go: `0`, `false` and `""` differ from "not given".
    pub pointer: bool,
    /// Whether a struct is held by value in Go: it is there, if empty, even when not given.
    pub by_value: bool,
    /// Whether a scalar that is not required is printed even if it is zero.
    pub printed: bool,
    /// How strategic merge patches treat it.
    pub patch_strategy: PatchStrategy,
    /// By which key a merged list's items are told apart; none for lists of scalars.
    pub patch_merge_key: Option<Text>,
    /// `atomic`, `set` or `map` (for a map: `atomic` or `granular`), how server-side apply treats it.
    pub list_type: Option<Text>,
    /// The keys of a `map` list.
    pub list_map_keys: Vec<Text>,
    /// The struct that Go embeds the field from (`VolumeSource`).
    pub embedded: Option<Text>,
}

/// `x-kubernetes-patch-strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Lists are merged, item by item, instead of replaced.
    pub merge: bool,
    /// A patch names the fields that stay (`$retainKeys`), all others are cleared.
    pub retain_keys: bool,
}

/// One kind of one group version, as discovery lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: Text,
    /// `v1`
    pub version: Text,
    /// `Deployment`
    pub kind: Text,
    /// `deployments`
    pub plural: Text,
    /// `deployment`
    pub singular: Text,
    /// `deploy`
    pub short_names: Vec<Text>,
    /// `all`
    pub categories: Vec<Text>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// `create`, `delete`, `get`, …
    pub verbs: Vec<Text>,
    /// `status`, `scale`, `log`, …
    pub subresources: Vec<Subresource>,
    /// The type of the objects.
    pub type_id: TypeId,
    id: Text,
}

/// A part of a resource with a path of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Subresource {
    /// `scale`
    pub name: Text,
    /// `autoscaling/v1`
    pub api_version: Text,
    /// `Scale`
    pub kind: Text,
    /// `get`, `patch`, `update`
    pub verbs: Vec<Text>,
}

impl Resource {
    /// The group-qualified plural, the same for all versions: `pods`, `deployments.apps`.
    pub fn id(&self) -> Text {
        self.id.clone()
    }

    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether there is a subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| &*s.name == name)
    }

    /// Whether the resource has the verb.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| &**v == verb)
    }

    /// A resource that is not built in (of a CustomResourceDefinition): with all verbs.
    pub fn custom(group: &str, version: &str, names: Names, type_id: TypeId) -> Resource {
        let verbs = [
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "create",
            "update",
            "watch",
        ];
        Resource {
            id: qualified(&names.plural, group),
            group: group.into(),
            version: version.into(),
            kind: names.kind,
            plural: names.plural,
            singular: names.singular,
            short_names: names.short,
            categories: names.categories,
            namespaced: false,
            verbs: verbs.into_iter().map(Text::from).collect(),
            subresources: Vec::new(),
            type_id,
        }
    }
}

/// What a resource is called.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// `CronTab`
    pub kind: Text,
    /// `crontabs`
    pub plural: Text,
    /// `crontab`
    pub singular: Text,
    /// `ct`
    pub short: Vec<Text>,
    /// `all`
    pub categories: Vec<Text>,
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_string()
    } else {
        format!("{group}/{version}")
    }
}

fn qualified(plural: &str, group: &str) -> Text {
    if group.is_empty() {
        plural.into()
    } else {
        format!("{plural}.{group}").into()
    }
}

/// Resources and types.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    types: Vec<Type>,
    kinds: BTreeMap<(Text, Text), TypeId>,
    resources: Vec<Arc<Resource>>,
    by_kind: BTreeMap<(Text, Text), usize>,
    by_id: BTreeMap<Text, usize>,
    /// Plural, singular, short name and lower-case kind, in kubectl's order of preference.
    by_name: BTreeMap<Text, Vec<usize>>,
}

static BUILTIN: LazyLock<Schema> = LazyLock::new(|| read::read(include_str!("schema/builtin.txt")));

impl Schema {
    /// The kinds of Kubernetes v1.37.
    pub fn builtin() -> &'static Schema {
        &BUILTIN
    }

    /// All resources in discovery's order (core group first).
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// The resource of `apiVersion` and `kind` as a manifest gives them.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        // Text has no borrowed pair, and a lookup that allocates twice is cheap enough here.
        let at = self
            .by_kind
            .get(&(Text::from(api_version), Text::from(kind)))?;
        self.resources.get(*at)
    }

    /// The resource of an id as [`Resource::id`] gives it, in its preferred version.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Resource>> {
        self.resources.get(*self.by_id.get(id)?)
    }

    /// The resource that a person means by `po`, `pods`, `Pod`, `deployment.apps`,
    /// `deployments.v1.apps`: kubectl's resolution (discovery order, preferred versions first).
    pub fn by_name(&self, name: &str) -> Option<&Arc<Resource>> {
        let lower = name.to_ascii_lowercase();
        let (head, rest) = lower.split_once('.').unwrap_or((&lower, ""));
        let mut found = self.named(head);
        if rest.is_empty() {
            return found.next();
        }
        // RESOURCE.VERSION.GROUP goes before RESOURCE.GROUP; a group may be abbreviated.
        let (version, group) = rest.split_once('.').unwrap_or((rest, ""));
        let all: Vec<_> = found.collect();
        let exact = all
            .iter()
            .find(|r| *r.version == *version && *r.group == *group);
        let of_group = || all.iter().find(|r| *r.group == *rest);
        let prefix = || all.iter().find(|r| r.group.starts_with(rest));
        exact.or_else(of_group).or_else(prefix).copied()
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Resource>> {
        let found = self.by_name.get(name).into_iter().flatten();
        found.filter_map(|at| self.resources.get(*at))
    }

    /// The resources of a category (`all`), in discovery's order.
    pub fn by_category(&self, category: &str) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources
            .iter()
            .filter(move |r| r.categories.iter().any(|c| &**c == category))
    }

    /// The type of a kind, also of those that are no resource (`Scale`, `Eviction`, `DeleteOptions`).
    pub fn type_of_kind(&self, api_version: &str, kind: &str) -> Option<TypeId> {
        self.kinds
            .get(&(Text::from(api_version), Text::from(kind)))
            .copied()
    }

    /// The kinds that a type is, with their `apiVersion`.
    pub fn kinds_of(&self, id: TypeId) -> impl Iterator<Item = (&str, &str)> {
        let of = self.kinds.iter().filter(move |(_, of)| **of == id);
        of.map(|((api_version, kind), _)| (&**api_version, &**kind))
    }

    /// The names of all structs.
    pub fn struct_names(&self) -> impl Iterator<Item = &Text> {
        self.types.iter().filter_map(|t| match t {
            Type::Struct(s) => Some(&s.name),
            _ => None,
        })
    }

    /// The names of all types' fields, each as often as it occurs.
    pub(crate) fn field_names(&self) -> impl Iterator<Item = Text> {
        let structs = self.types.iter().filter_map(|t| match t {
            Type::Struct(s) => Some(s),
            _ => None,
        });
        structs.flat_map(|s| s.fields.iter().map(|f| f.name.clone()))
    }

    /// The type of that number.
    pub fn get(&self, id: TypeId) -> &Type {
        self.types.get(id.0 as usize).unwrap_or(&Type::RawJson)
    }

    /// The struct of that number, if it is one.
    pub fn get_struct(&self, id: TypeId) -> Option<&Struct> {
        match self.get(id) {
            Type::Struct(s) => Some(s),
            _ => None,
        }
    }

    /// The field at the end of a path of field names, through lists and maps (whose items take no
    /// step): `["spec", "containers", "ports"]`.
    pub fn field(&self, of: TypeId, path: &[&str]) -> Option<&Field> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(of, |id, name| {
            Some(self.item_struct(id)?.field(name)?.type_id)
        })?;
        self.item_struct(parent)?.field(last)
    }

    /// The struct that a list or map (of lists or maps) is made of.
    fn item_struct(&self, id: TypeId) -> Option<&Struct> {
        match self.get(id) {
            Type::Struct(s) => Some(s),
            Type::List(item) | Type::Map(item, _) => self.item_struct(*item),
            _ => None,
        }
    }

    /// The Go type as decoding errors print it: `[]v1.Container`, `map[string]string`, `int32`.
    pub fn go_type(&self, id: TypeId) -> String {
        match self.get(id) {
            Type::Struct(s) => format!("{}.{}", s.package, s.name),
            Type::List(item) => format!("[]{}", self.go_type(*item)),
            Type::Map(_, Some(name)) => name.to_string(),
            Type::Map(value, None) => format!("map[string]{}", self.go_type(*value)),
            Type::String(name) => name.to_string(),
            Type::Bool => "bool".into(),
            Type::Int32 => "int32".into(),
            Type::Int64 => "int64".into(),
            Type::Float => "float64".into(),
            Type::IntOrString => "intstr.IntOrString".into(),
            Type::Quantity => "resource.Quantity".into(),
            Type::Time => "v1.Time".into(),
            Type::MicroTime => "v1.MicroTime".into(),
            Type::Duration => "v1.Duration".into(),
            Type::Bytes => "[]uint8".into(),
            Type::RawJson => "runtime.RawExtension".into(),
        }
    }

    /// Adds a type and gives its number.
    pub fn add_type(&mut self, new: Type) -> TypeId {
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.types.push(new);
        id
    }

    /// The number of the type that takes any JSON.
    pub fn any_type(&self) -> TypeId {
        TypeId(u32::MAX)
    }

    /// Adds a resource; one of the same group, version and kind is replaced.
    pub fn add_resource(&mut self, resource: Resource) {
        let key = (Text::from(resource.api_version()), resource.kind.clone());
        match self.by_kind.get(&key) {
            Some(&at) => self.resources[at] = Arc::new(resource),
            None => self.resources.push(Arc::new(resource)),
        }
        self.index();
    }

    /// Takes all versions of a resource away.
    pub fn remove_resource(&mut self, id: &str) {
        self.resources.retain(|r| *r.id != *id);
        self.index();
    }

    fn index(&mut self) {
        self.by_kind.clear();
        self.by_id.clear();
        self.by_name.clear();
        for (at, r) in self.resources.iter().enumerate() {
            self.by_kind
                .insert((r.api_version().into(), r.kind.clone()), at);
            self.by_id.entry(r.id.clone()).or_insert(at);
            let kind = Text::from(r.kind.to_ascii_lowercase());
            let mut names = vec![&r.plural, &r.singular, &kind];
            names.extend(&r.short_names);
            names.sort();
            names.dedup();
            for name in names {
                self.by_name.entry(name.clone()).or_default().push(at);
            }
        }
        // Whole names go before short names: `kubectl get ev` is no plural of anything.
        for (name, found) in &mut self.by_name {
            found.sort_by_key(|at| self.resources[*at].short_names.contains(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn named(name: &str, id: &str, version: &str) {
        let r = Schema::builtin()
            .by_name(name)
            .unwrap_or_else(|| panic!("nothing called {name}"));
        assert_eq!((&*r.id(), &*r.version), (id, version), "{name}");
    }

    #[test]
    fn names_are_resolved_as_kubectl_does() {
        named("po", "pods", "v1");
        named("Pod", "pods", "v1");
        named("deploy", "deployments.apps", "v1");
        named("deployment.apps", "deployments.apps", "v1");
        named("deployments.v1.apps", "deployments.apps", "v1");
        named("hpa", "horizontalpodautoscalers.autoscaling", "v2");
        named(
            "hpa.v1.autoscaling",
            "horizontalpodautoscalers.autoscaling",
            "v1",
        );
        named("events", "events", "v1");
        named("events.events.k8s.io", "events.events.k8s.io", "v1");
        named("ev", "events", "v1");
        named("ing", "ingresses.networking.k8s.io", "v1");
        named("svc", "services", "v1");
        named("pvc", "persistentvolumeclaims", "v1");
        assert!(Schema::builtin().by_name("pod.apps").is_none());
        assert!(Schema::builtin().by_name("nosuch").is_none());
    }

    #[test]
    fn types_are_those_of_go() {
        let s = Schema::builtin();
        let r = s.by_kind("apps/v1", "Deployment").unwrap();
        let containers = s
            .field(r.type_id, &["spec", "template", "spec", "containers"])
            .unwrap();
        assert_eq!(s.go_type(containers.type_id), "[]v1.Container");
        assert_eq!(containers.patch_merge_key.as_deref(), Some("name"));
        assert!(containers.patch_strategy.merge && containers.required);
        let ports = s.field(containers.type_id, &["ports"]).unwrap();
        assert_eq!(
            ports.list_map_keys,
            ["containerPort".into(), "protocol".into()]
        );
        let requests = s
            .field(containers.type_id, &["resources", "requests"])
            .unwrap();
        assert_eq!(s.go_type(requests.type_id), "v1.ResourceList");
        let http = s
            .field(containers.type_id, &["livenessProbe", "httpGet"])
            .unwrap();
        assert_eq!(http.embedded.as_deref(), Some("ProbeHandler"));
        assert!(r.subresource("scale").is_some());
        assert_eq!(
            s.by_category("all").next().map(|r| r.id()).as_deref(),
            Some("pods")
        );
        assert!(s.type_of_kind("autoscaling/v1", "Scale").is_some());
    }

    #[test]
    fn every_resource_has_a_type() {
        let s = Schema::builtin();
        let without: Vec<_> = s
            .resources()
            .iter()
            .filter(|r| s.get_struct(r.type_id).is_none())
            .map(|r| r.id())
            .collect();
        assert!(without.is_empty(), "{without:?}");
        assert!(s.resources().len() > 60);
    }
}
