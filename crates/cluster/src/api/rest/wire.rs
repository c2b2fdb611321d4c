//! How requests and answers look on the wire: queries, JSON in the order of Go's structs.

use kubarium_objects::status::Status;
use kubarium_objects::{Text, Value, go};

/// What stands behind a path's question mark.
#[derive(Clone, Copy)]
pub(super) struct Query<'a>(pub &'a str);

impl Query<'_> {
    /// A parameter, unescaped; empty where it is not given.
    pub fn text(self, name: &str) -> String {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(key, _)| *key == name);
        found.next().map_or(String::new(), |(_, v)| unescaped(v))
    }

    /// A parameter's values, one for each time that it is given.
    pub fn texts(self, name: &str) -> Vec<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.filter(|(key, _)| *key == name);
        found.map(|(_, v)| unescaped(v)).collect()
    }

    /// Whether a parameter is given at all: `?verbose`.
    pub fn has(self, name: &str) -> bool {
        let mut names = self.0.split('&').map(|pair| pair.split('=').next());
        names.any(|key| key == Some(name))
    }

    /// A truth: everything but `false` and `0`, once it is given
    /// (apimachinery, `runtime.Convert_Slice_string_To_bool`).
    pub fn bool(self, name: &str) -> bool {
        self.has(name) && !matches!(&*self.text(name).to_ascii_lowercase(), "false" | "0")
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn int(self, name: &str) -> Result<Option<i64>, Status> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |_| {
            let quoted = go::quote(&text);
            Status::bad_request(format!(
                "strconv.ParseInt: parsing {quoted}: invalid syntax"
            ))
        };
        text.parse().map(Some).map_err(wrong)
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |b: u8| char::from(b).to_digit(16);
        let escape = match byte {
            b'%' => {
                let mut ahead = rest.clone();
                let digits = (ahead.next().and_then(hex), ahead.next().and_then(hex));
                digits.0.zip(digits.1).map(|(a, b)| (a * 16 + b) as u8)
            }
            _ => None,
        };
        bytes.push(match (byte, escape) {
            (_, Some(meant)) => {
                rest.nth(1);
                meant
            }
            (b'+', None) => b' ',
            (byte, None) => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// JSON whose fields keep their order, as Go writes structs.
pub(super) enum Json {
    Value(Value),
    Object(Vec<(Text, Json)>),
    Array(Vec<Json>),
}

impl<T: Into<Value>> From<T> for Json {
    fn from(value: T) -> Json {
        Json::Value(value.into())
    }
}

impl Json {
    pub fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
        Json::Object(fields.map(|(name, json)| (name.into(), json)).into())
    }

    pub fn texts<T: AsRef<str>>(texts: &[T]) -> Json {
        Json::Array(texts.iter().map(|t| t.as_ref().into()).collect())
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &str, json: Json) {
        if let Json::Object(fields) = self {
            fields.push((name.into(), json));
        }
    }

    /// An object as its type's struct has it: what it is, then its metadata, then the rest.
    pub fn typed(object: Value) -> Json {
        let order: &[&str] = match object["kind"].str() {
            "Status" => &[
                "kind",
                "apiVersion",
                "metadata",
                "status",
                "message",
                "reason",
                "details",
            ],
            _ => &["kind", "apiVersion", "metadata"],
        };
        let mut fields = ordered(&object, order);
        if let Some((_, metadata)) = fields.iter_mut().find(|(name, _)| &**name == "metadata") {
            *metadata = Json::metadata(&object["metadata"]);
        }
        if let Some((_, items)) = fields.iter_mut().find(|(name, _)| &**name == "items") {
            let all = object["items"].items().iter().cloned();
            *items = Json::Array(all.map(Json::typed).collect());
        }
        Json::Object(fields)
    }

    /// Metadata in the order of its struct.
    fn metadata(metadata: &Value) -> Json {
        const ORDER: [&str; 15] = [
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "labels",
            "annotations",
            "ownerReferences",
            "finalizers",
            "managedFields",
        ];
        const MANAGER: [&str; 7] = [
            "manager",
            "operation",
            "apiVersion",
            "time",
            "fieldsType",
            "fieldsV1",
            "subresource",
        ];
        let mut fields = ordered(metadata, &ORDER);
        if let Some((_, managers)) = fields
            .iter_mut()
            .find(|(name, _)| &**name == "managedFields")
        {
            let all = metadata["managedFields"].items().iter();
            *managers = Json::Array(all.map(|m| Json::Object(ordered(m, &MANAGER))).collect());
        }
        Json::Object(fields)
    }

    /// On one line.
    pub fn compact(&self) -> String {
        match self {
            Json::Value(value) => go::json(value),
            Json::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(k, v)| format!("{}:{}", key(k), v.compact()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            Json::Array(items) => {
                let items: Vec<String> = items.iter().map(Json::compact).collect();
                format!("[{}]", items.join(","))
            }
        }
    }

    /// With two spaces for each level.
    pub fn pretty(&self) -> String {
        let inner = |json: &Json| json.pretty().replace('\n', "\n  ");
        match self {
            Json::Value(value) => go::json_indent(value, "  "),
            Json::Object(fields) if fields.is_empty() => "{}".to_owned(),
            Json::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(k, v)| format!("  {}: {}", key(k), inner(v)));
                format!("{{\n{}\n}}", fields.collect::<Vec<_>>().join(",\n"))
            }
            Json::Array(items) if items.is_empty() => "[]".to_owned(),
            Json::Array(items) => {
                let items: Vec<String> = items.iter().map(|i| format!("  {}", inner(i))).collect();
                format!("[\n{}\n]", items.join(",\n"))
            }
        }
    }
}

/// An object's fields in an order; those that are not in it come last.
fn ordered(object: &Value, order: &[&str]) -> Vec<(Text, Json)> {
    let place = |name: &str| order.iter().position(|o| *o == name).unwrap_or(order.len());
    let fields = object.entries().iter();
    let mut fields: Vec<(Text, Json)> = fields
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    fields.sort_by_key(|(name, _)| place(name));
    fields
}

fn key(name: &Text) -> String {
    go::json(&name.into())
}
