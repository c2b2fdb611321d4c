//! What server-side apply must know of a type: which lists and maps are one value, which are merged,
//! and by which keys (kube-openapi `schemaconv`, structured-merge-diff v6 `schema`).

use crate::schema::{Field, Schema, Type, TypeId};
use crate::value::{Text, Value};

/// Structs that are one value (`x-kubernetes-map-type: atomic` on the type).
const ATOMIC: &[&str] = &[
    "ConfigMapKeySelector",
    "CrossVersionObjectReference",
    "EndpointAddress",
    "EndpointPort",
    "EvictionResponder",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "MatchResources",
    "NamedRuleWithOperations",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ParamKind",
    "ParamRef",
    "ResourceFieldSelector",
    "RoleRef",
    "ScopeSelector",
    "SecretKeySelector",
    "SecretReference",
    "ServiceBackendPort",
    "Subject",
    "TopologySelectorTerm",
    "TypedLocalObjectReference",
    "Variable",
];

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// A type of the schema; with the field that holds it.
    Builtin(&'a Schema, TypeId, Option<&'a Field>),
    /// A structural schema of a custom resource.
    OpenApi(&'a Value),
    /// The schema of a whole custom resource: its metadata are as everybody's.
    Custom(&'a Value),
    /// Nothing is known: maps are merged, all else is one value.
    Deduced,
}

/// How values of a shape are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar(Scalar),
    /// A list or map that is one value.
    AtomicList,
    AtomicMap,
    /// A list of scalars without order.
    Set,
    /// A list whose items have these keys.
    Keyed(Vec<Text>),
    Map,
    /// As the value has it.
    Deduced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    String,
    Number,
    Bool,
    Any,
}

impl<'a> Shape<'a> {
    /// The shape of a built-in kind.
    pub fn builtin(type_id: TypeId) -> Shape<'static> {
        Shape::Builtin(Schema::builtin(), type_id, None)
    }

    pub(super) fn kind(&self, value: Option<&Value>) -> Kind {
        match self {
            Shape::Builtin(schema, id, field) => builtin_kind(schema, *id, *field),
            Shape::OpenApi(schema) | Shape::Custom(schema) => open_api_kind(schema),
            Shape::Deduced => match value {
                Some(Value::Object(_)) => Kind::Map,
                Some(Value::Array(_)) => Kind::AtomicList,
                _ => Kind::Scalar(Scalar::Any),
            },
        }
    }

    /// The shape of a map's or struct's field; none where there is no such field.
    pub(super) fn child(&self, name: &str) -> Option<Shape<'a>> {
        match self {
            Shape::Builtin(schema, id, _) => match schema.get(*id) {
                Type::Struct(s) => {
                    let field = s.field(name)?;
                    Some(Shape::Builtin(schema, field.type_id, Some(field)))
                }
                Type::Map(of, _) => Some(Shape::Builtin(schema, *of, None)),
                _ => None,
            },
            Shape::Custom(_) if name == "metadata" => {
                let schema = Schema::builtin();
                let any = schema.by_kind("v1", "ConfigMap")?;
                let metadata = schema.field(any.type_id, &["metadata"])?;
                Some(Shape::Builtin(schema, metadata.type_id, None))
            }
            Shape::Custom(_) if matches!(name, "apiVersion" | "kind") => Some(Shape::Deduced),
            Shape::OpenApi(schema) | Shape::Custom(schema) => {
                if let Some(field) = schema["properties"].get(name) {
                    return Some(Shape::OpenApi(field));
                }
                match &schema["additionalProperties"] {
                    other @ Value::Object(_) => Some(Shape::OpenApi(other)),
                    Value::Bool(true) => Some(Shape::Deduced),
                    _ if keeps_unknown(schema) => Some(Shape::Deduced),
                    _ => None,
                }
            }
            Shape::Deduced => Some(Shape::Deduced),
        }
    }

    /// Whether a name is that of a field which the schema declares, not a key of a map.
    pub(super) fn is_named(&self, name: &str) -> bool {
        match self {
            Shape::Builtin(schema, id, _) => schema
                .get_struct(*id)
                .is_some_and(|s| s.field(name).is_some()),
            Shape::Custom(_) if matches!(name, "apiVersion" | "kind" | "metadata") => true,
            Shape::OpenApi(schema) | Shape::Custom(schema) => {
                schema["properties"].get(name).is_some()
            }
            Shape::Deduced => false,
        }
    }

    /// The shape of a list's items.
    pub(super) fn item(&self) -> Option<Shape<'a>> {
        match self {
            Shape::Builtin(schema, id, _) => match schema.get(*id) {
                Type::List(item) => Some(Shape::Builtin(schema, *item, None)),
                _ => None,
            },
            Shape::OpenApi(schema) | Shape::Custom(schema) => {
                schema.get("items").map(Shape::OpenApi)
            }
            Shape::Deduced => Some(Shape::Deduced),
        }
    }

    /// The value that an item has for a key that it does not give.
    pub(super) fn key_default(&self, key: &str) -> Option<Value> {
        match self {
            Shape::Builtin(..) if key == "protocol" => Some("TCP".into()),
            Shape::OpenApi(schema) => schema["properties"][key].get("default").cloned(),
            _ => None,
        }
    }
}

fn keeps_unknown(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"].as_bool() == Some(true)
}

fn builtin_kind(schema: &Schema, id: TypeId, field: Option<&Field>) -> Kind {
    let list_type = field.and_then(|f| f.list_type.as_deref());
    match schema.get(id) {
        Type::Struct(s) => {
            let atomic = ATOMIC.contains(&&*s.name) && list_type != Some("granular");
            if atomic || list_type == Some("atomic") {
                Kind::AtomicMap
            } else {
                Kind::Map
            }
        }
        Type::Map(..) if list_type == Some("atomic") => Kind::AtomicMap,
        Type::Map(..) => Kind::Map,
        Type::List(_) => match (list_type, field) {
            (Some("set"), _) => Kind::Set,
            (Some("map"), Some(field)) => Kind::Keyed(field.list_map_keys.clone()),
            _ => Kind::AtomicList,
        },
        Type::String(_) | Type::Bytes | Type::Duration => Kind::Scalar(Scalar::String),
        Type::Bool => Kind::Scalar(Scalar::Bool),
        Type::Int32 | Type::Int64 | Type::Float => Kind::Scalar(Scalar::Number),
        Type::IntOrString | Type::Quantity | Type::Time | Type::MicroTime => {
            Kind::Scalar(Scalar::Any)
        }
        Type::RawJson => Kind::Deduced,
    }
}

fn open_api_kind(schema: &Value) -> Kind {
    if schema["x-kubernetes-int-or-string"].as_bool() == Some(true) {
        return Kind::Scalar(Scalar::Any);
    }
    match schema["type"].str() {
        "object" => {
            let known =
                schema.get("properties").is_some() || schema.get("additionalProperties").is_some();
            if schema["x-kubernetes-map-type"].str() == "atomic" {
                Kind::AtomicMap
            } else if known || keeps_unknown(schema) {
                Kind::Map
            } else {
                Kind::Deduced
            }
        }
        "array" => match schema["x-kubernetes-list-type"].str() {
            "set" => Kind::Set,
            "map" => {
                let keys = schema["x-kubernetes-list-map-keys"].items();
                Kind::Keyed(keys.iter().map(Value::text).collect())
            }
            _ => Kind::AtomicList,
        },
        "string" => Kind::Scalar(Scalar::String),
        "boolean" => Kind::Scalar(Scalar::Bool),
        "integer" | "number" => Kind::Scalar(Scalar::Number),
        _ => Kind::Deduced,
    }
}
