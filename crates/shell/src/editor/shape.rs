//! What may stand at a place of a manifest: by the schema of its kind, and by the core's own defaults and validation,
//! which are asked instead of told again.

use kubarium_cluster::Cluster;
use kubarium_objects::field_error::FieldErrorKind;
use kubarium_objects::schema::{Field, Type};
use kubarium_objects::{Resource, Schema, TypeId, Value, defaults, object, validation};

use super::place::Step;

/// What may stand somewhere.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A type of the built-in schema.
    Known(TypeId),
    /// A schema of a definition.
    Custom(Value),
}

/// A field, to be shown.
#[derive(Clone, Debug)]
pub(crate) struct FieldView {
    /// Its name.
    pub name: String,
    /// Its type as `kubectl explain` shows it: `[]Container`.
    pub type_name: String,
    /// Whether it must be given.
    pub required: bool,
    /// The struct that has it: `PodSpec`; empty for a definition's.
    pub owner: String,
    /// What a definition says of it.
    pub description: String,
    /// What may stand in it.
    pub shape: Shape,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// On the key's line.
    Scalar,
    /// Keys, indented below.
    Map,
    /// Items, indented below.
    List,
}

impl Shape {
    /// What the whole object of a resource may be.
    pub fn of(cluster: &Cluster, resource: &Resource) -> Shape {
        match cluster.definitions().version(resource) {
            Some(version) => Shape::Custom(version.schema.clone()),
            None => Shape::Known(resource.type_id),
        }
    }

    /// What may stand at the end of a way, and the field that led there.
    pub fn follow(self, path: &[Step]) -> Option<(Shape, Option<FieldView>)> {
        let mut here = (self, None);
        for (depth, step) in path.iter().enumerate() {
            here = here.0.step(step, depth == 0)?;
        }
        Some(here)
    }

    fn step(&self, step: &Step, first: bool) -> Option<(Shape, Option<FieldView>)> {
        match (self, step) {
            (Shape::Known(id), _) => match (Schema::builtin().get(*id), step) {
                (Type::Struct(s), Step::Key(key)) => {
                    let view = known(&s.name, s.field(key)?);
                    Some((view.shape.clone(), Some(view)))
                }
                (Type::List(of), Step::Item(_)) | (Type::Map(of, _), Step::Key(_)) => {
                    Some((Shape::Known(*of), None))
                }
                _ => None,
            },
            (Shape::Custom(_), Step::Key(key)) if first && key == "metadata" => {
                let any = Schema::builtin().by_kind("v1", "ConfigMap")?;
                Shape::Known(any.type_id).step(step, false)
            }
            (Shape::Custom(schema), Step::Key(key)) => {
                let found = schema["properties"].get(key);
                match found {
                    Some(property) => {
                        let view = custom(schema, key, property);
                        Some((view.shape.clone(), Some(view)))
                    }
                    None => {
                        let all = &schema["additionalProperties"];
                        all.as_object().map(|_| (Shape::Custom(all.clone()), None))
                    }
                }
            }
            (Shape::Custom(schema), Step::Item(_)) => {
                let items = &schema["items"];
                items
                    .as_object()
                    .map(|_| (Shape::Custom(items.clone()), None))
            }
        }
    }

    /// The fields that may stand in it.
    pub fn fields(&self, is_object: bool) -> Vec<FieldView> {
        match self {
            Shape::Known(id) => match Schema::builtin().get(*id) {
                Type::Struct(s) => s.fields.iter().map(|field| known(&s.name, field)).collect(),
                _ => Vec::new(),
            },
            Shape::Custom(schema) => {
                let own = schema["properties"].entries().iter();
                let mut all: Vec<FieldView> = own
                    .map(|(name, property)| custom(schema, name, property))
                    .collect();
                if is_object && let Some(any) = Schema::builtin().by_kind("v1", "ConfigMap") {
                    let common = Shape::Known(any.type_id).fields(true);
                    let missing = common.into_iter().filter(|field| {
                        matches!(&*field.name, "apiVersion" | "kind" | "metadata")
                            && all.iter().all(|f| f.name != field.name)
                    });
                    let missing: Vec<FieldView> = missing.collect();
                    all.extend(missing);
                }
                all
            }
        }
    }

    /// How it is written.
    pub fn form(&self) -> Form {
        match self {
            Shape::Known(id) => match Schema::builtin().get(*id) {
                Type::Struct(_) | Type::Map(..) => Form::Map,
                Type::List(_) => Form::List,
                _ => Form::Scalar,
            },
            Shape::Custom(schema) => match schema["type"].str() {
                "object" => Form::Map,
                "array" => Form::List,
                _ => Form::Scalar,
            },
        }
    }

    /// Whether it is yes or no.
    pub fn is_bool(&self) -> bool {
        match self {
            Shape::Known(id) => matches!(Schema::builtin().get(*id), Type::Bool),
            Shape::Custom(schema) => schema["type"].str() == "boolean",
        }
    }

    fn type_name(&self) -> String {
        match self {
            Shape::Known(id) => shown(*id),
            Shape::Custom(schema) => {
                let of = |inner: &Value| Shape::Custom(inner.clone()).type_name();
                match schema["type"].str() {
                    "array" => format!("[]{}", of(&schema["items"])),
                    "object" if schema["additionalProperties"].as_object().is_some() => {
                        format!("map[string]{}", of(&schema["additionalProperties"]))
                    }
                    "object" | "" => "Object".to_owned(),
                    other => other.to_owned(),
                }
            }
        }
    }
}

fn known(owner: &str, field: &Field) -> FieldView {
    let shape = Shape::Known(field.type_id);
    FieldView {
        name: field.name.to_string(),
        type_name: shape.type_name(),
        required: field.required,
        owner: owner.to_owned(),
        description: String::new(),
        shape,
    }
}

fn custom(schema: &Value, name: &str, property: &Value) -> FieldView {
    let shape = Shape::Custom(property.clone());
    FieldView {
        name: name.to_owned(),
        type_name: shape.type_name(),
        required: schema["required"].items().iter().any(|r| r.str() == name),
        owner: String::new(),
        description: property["description"].str().to_owned(),
        shape,
    }
}

fn shown(id: TypeId) -> String {
    let schema = Schema::builtin();
    match schema.get(id) {
        Type::Struct(s) => s.name.to_string(),
        Type::List(item) => format!("[]{}", shown(*item)),
        Type::Map(item, _) => format!("map[string]{}", shown(*item)),
        Type::Bool => "boolean".to_owned(),
        Type::Int32 | Type::Int64 => "integer".to_owned(),
        Type::Float => "number".to_owned(),
        Type::IntOrString => "integer or string".to_owned(),
        Type::Quantity => "quantity".to_owned(),
        Type::Time | Type::MicroTime => "time".to_owned(),
        Type::Duration => "duration".to_owned(),
        Type::Bytes => "base64".to_owned(),
        Type::RawJson => "any".to_owned(),
        Type::String(_) => "string".to_owned(),
    }
}

/// Words that validation does not list where it refuses others, by the name of their type.
const WORDS: &[(&str, &[&str])] = &[
    (
        "v1.LabelSelectorOperator",
        &["In", "NotIn", "Exists", "DoesNotExist"],
    ),
    (
        "v1.NodeSelectorOperator",
        &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"],
    ),
    ("v1.TolerationOperator", &["Equal", "Exists"]),
    (
        "v1.TaintEffect",
        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
    ),
    (
        "v1.MountPropagationMode",
        &["None", "HostToContainer", "Bidirectional"],
    ),
    ("v1.DeploymentStrategyType", &["RollingUpdate", "Recreate"]),
    (
        "v1.StatefulSetUpdateStrategyType",
        &["RollingUpdate", "OnDelete"],
    ),
    (
        "v1.DaemonSetUpdateStrategyType",
        &["RollingUpdate", "OnDelete"],
    ),
    ("v1.PodManagementPolicyType", &["OrderedReady", "Parallel"]),
];

/// The words that are allowed at a place: those of a definition, or those that validation names when it is given
/// another.
pub(crate) fn allowed(
    resource: &Resource,
    shape: &Shape,
    path: &[Step],
    written: Option<&Value>,
) -> Vec<String> {
    let id = match shape {
        Shape::Custom(schema) => {
            let listed = schema["enum"].items().iter();
            return listed
                .map(|v| v.as_str().map_or_else(|| v.to_json(), str::to_owned))
                .collect();
        }
        Shape::Known(id) => *id,
    };
    let Type::String(name) = Schema::builtin().get(id) else {
        return Vec::new();
    };
    if let Some((_, words)) = WORDS.iter().find(|(of, _)| **of == **name) {
        return words.iter().map(|w| (*w).to_owned()).collect();
    }
    // A type of its own, or a plain string that has a list after all.
    let skeleton = skeleton(resource);
    for base in written.into_iter().chain([&skeleton]) {
        let mut probe = base.clone();
        if !put(&mut probe, path, "?".into()) {
            continue;
        }
        defaults::apply(resource, &mut probe);
        let field = dotted(path);
        let refused = validation::create(resource, &probe).into_iter();
        let found = refused
            .filter(|error| error.kind == FieldErrorKind::NotSupported && error.field == field)
            .find_map(|error| {
                let list = error.detail.strip_prefix("supported values: ")?.to_owned();
                let words = list
                    .split(", ")
                    .map(|word| word.trim_matches('"').to_owned());
                Some(words.collect::<Vec<String>>())
            });
        if let Some(words) = found {
            return words;
        }
    }
    Vec::new()
}

/// What the API server fills in at a place that is left open.
pub(crate) fn default(
    resource: &Resource,
    path: &[Step],
    written: Option<&Value>,
) -> Option<String> {
    let mut probe = written.cloned().unwrap_or_else(|| skeleton(resource));
    let (last, above) = path.split_last()?;
    let Step::Key(last) = last else { return None };
    if above.is_empty()
        || matches!(&above[0], Step::Key(key) if key == "metadata" || key == "status")
    {
        return None;
    }
    let parent = reach(&mut probe, above)?;
    if parent.is_null() {
        *parent = Value::new_object();
    }
    parent.as_object()?;
    parent.object_mut().remove(last);
    defaults::apply(resource, &mut probe);
    let parent = reach(&mut probe, above)?;
    match parent.get(last)? {
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        Value::String(text) => Some(text.to_string()),
        other => Some(other.to_json()),
    }
}

fn skeleton(resource: &Resource) -> Value {
    object([
        ("apiVersion", resource.api_version().into()),
        ("kind", (&resource.kind).into()),
        (
            "metadata",
            object([("name", "x".into()), ("namespace", "default".into())]),
        ),
    ])
}

/// The longest list that is filled up to reach an item.
const ITEMS_MAX: usize = 64;

/// The node at the end of a way, made where it is not there; none where something else is in the way.
fn reach<'a>(root: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    let mut here = root;
    for step in path {
        match step {
            Step::Key(key) => {
                if here.is_null() {
                    *here = Value::new_object();
                }
                here.as_object()?;
                here = &mut here[key.as_str()];
            }
            Step::Item(number) => {
                if here.is_null() {
                    *here = Value::new_array();
                }
                if !matches!(here, Value::Array(_)) || *number >= ITEMS_MAX {
                    return None;
                }
                let items = here.array_mut();
                while items.len() <= *number {
                    items.push(Value::Null);
                }
                here = items.get_mut(*number)?;
            }
        }
    }
    Some(here)
}

fn put(root: &mut Value, path: &[Step], value: Value) -> bool {
    match reach(root, path) {
        Some(node) => {
            *node = value;
            true
        }
        None => false,
    }
}

/// `spec.containers[0].image`
pub(crate) fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Item(number) => text.push_str(&format!("[{number}]")),
        }
    }
    text
}
