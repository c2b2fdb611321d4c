//! The dynamic value that every Kubernetes object is made of.
//!
//! A [`Value`] is JSON's data model with structure shared by reference: cloning is O(1), and a
//! changed copy shares all that did not change with the original. A stored object is never
//! changed; an update makes a new value.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::{Index, IndexMut};
use std::sync::{Arc, LazyLock};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A shared, immutable string: names, keys, label values.
pub type Text = Arc<str>;

/// One node of an object.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Absent or `null`: Kubernetes treats both alike in nearly every place.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, as Go's `int64`.
    Int(i64),
    /// Any other number, as Go's `float64`.
    Float(f64),
    /// A string.
    String(Text),
    /// A list.
    Array(Arc<Vec<Value>>),
    /// A map, sorted by key.
    Object(Arc<Map>),
}

/// A map from field names to values, sorted by key (the order in which kubectl prints YAML).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: Vec<(Text, Value)>,
}

static NULL: Value = Value::Null;

/// Up to this many entries a map is searched from its beginning.
const SMALL: usize = 12;

impl Value {
    /// An empty map. All empty maps are one until they are changed.
    pub fn new_object() -> Value {
        static EMPTY: LazyLock<Arc<Map>> = LazyLock::new(Arc::default);
        Value::Object(EMPTY.clone())
    }

    /// An empty list. All empty lists are one until they are changed.
    pub fn new_array() -> Value {
        static EMPTY: LazyLock<Arc<Vec<Value>>> = LazyLock::new(Arc::default);
        Value::Array(EMPTY.clone())
    }

    /// Whether this is `null` (or was not there at all).
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether this is `null`, `""`, `[]`, `{}`, `0` or `false`: what Go's `omitempty` leaves out.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::Bool(true) | Value::Int(_) => false,
            Value::Float(f) => *f == 0.0,
            Value::String(s) => s.is_empty(),
            Value::Array(a) => a.is_empty(),
            Value::Object(m) => m.is_empty(),
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The whole number, if it is one (a float without fraction counts).
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Float(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => Some(*f as i64),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    /// The string, or `""` for anything else: the way Go code reads an optional string field.
    pub fn str(&self) -> &str {
        self.as_str().unwrap_or("")
    }

    /// The string as a shared one, or an empty one.
    pub fn text(&self) -> Text {
        match self {
            Value::String(s) => s.clone(),
            _ => Text::default(),
        }
    }

    /// The list's items; empty for anything that is no list.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(a) => a,
            _ => &[],
        }
    }

    /// The map, if it is one.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(m) => Some(m),
            _ => None,
        }
    }

    /// The map's entries in key order; empty for anything that is no map.
    pub fn entries(&self) -> &[(Text, Value)] {
        match self {
            Value::Object(m) => &m.entries,
            _ => &[],
        }
    }

    /// The value under `key`, if this is a map that has it and it is not `null`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key).filter(|v| !v.is_null())
    }

    /// The value at the end of `path`; `Null` where the path does not lead anywhere.
    pub fn at(&self, path: &[&str]) -> &Value {
        path.iter().fold(self, |v, key| &v[*key])
    }

    /// Sets the value at the end of `path`, making maps on the way. What is no map on the way is
    /// replaced by one.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        let target = path.iter().fold(self, |v, key| &mut v[*key]);
        *target = value.into();
    }

    /// Removes the value at the end of `path`, and gives it back.
    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        self.at(parents).get_raw(last)?;
        let parent = parents.iter().fold(self, |v, key| &mut v[*key]);
        parent.object_mut().remove(last)
    }

    fn get_raw(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// Adds an item to the list, making one where there was none.
    pub fn push(&mut self, item: impl Into<Value>) {
        self.array_mut().push(item.into());
    }

    /// The map, to be changed; anything else becomes an empty map first.
    pub fn object_mut(&mut self) -> &mut Map {
        if !matches!(self, Value::Object(_)) {
            *self = Value::new_object();
        }
        match self {
            Value::Object(m) => Arc::make_mut(m),
            _ => unreachable!("made an object above"),
        }
    }

    /// The list, to be changed; anything else becomes an empty list first.
    pub fn array_mut(&mut self) -> &mut Vec<Value> {
        if !matches!(self, Value::Array(_)) {
            *self = Value::new_array();
        }
        match self {
            Value::Array(a) => Arc::make_mut(a),
            _ => unreachable!("made a list above"),
        }
    }

    /// Whether both are equal: at once where they share their memory, as unchanged parts do.
    pub fn same(&self, other: &Value) -> bool {
        self == other
    }

    /// Whether this is the very same part that another shares.
    pub(crate) fn is(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::String(a), Value::String(b)) => Arc::ptr_eq(a, b),
            (Value::Array(a), Value::Array(b)) => Arc::ptr_eq(a, b),
            (Value::Object(a), Value::Object(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Gives back the room that building has left over, in the parts that nobody shares yet. For
    /// values that are to be kept.
    pub fn shrink(&mut self) {
        match self {
            Value::Array(items) => {
                if let Some(items) = Arc::get_mut(items) {
                    fit(items);
                    items.iter_mut().for_each(Value::shrink);
                }
            }
            Value::Object(map) => {
                if let Some(map) = Arc::get_mut(map) {
                    fit(&mut map.entries);
                    map.entries.iter_mut().for_each(|(_, v)| v.shrink());
                }
            }
            _ => {}
        }
    }

    /// Compact JSON, keys sorted.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses JSON. Errors: serde_json's text with line and column.
    pub fn from_json(text: &str) -> Result<Value, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Moves items into as much room as they need: quicker than to cut off what is left over, which
/// allocators are slow at.
fn fit<T>(items: &mut Vec<T>) {
    if items.capacity() > items.len() {
        let mut exact = Vec::with_capacity(items.len());
        exact.append(items);
        *items = exact;
    }
}

impl Map {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        // In a small map most keys differ in length: comparing for equality is quicker than for order.
        if self.entries.len() <= SMALL {
            let first = key.as_bytes().first();
            return self
                .entries
                .iter()
                .find(|(k, _)| k.len() == key.len() && k.as_bytes().first() == first && **k == *key)
                .map(|(_, v)| v);
        }
        let at = self.find(key).ok()?;
        Some(&self.entries[at].1)
    }

    /// Sets the value under `key` and gives back the one that was there.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Removes `key` and gives back what was there.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.find(key).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// Whether `key` is there (even with `null`).
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// The entries in key order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Text, Value)> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps only the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries.retain_mut(|(k, v)| keep(k, v));
    }

    /// A map of entries in any order; of those with one key the last counts.
    fn from_entries(mut entries: Vec<(Text, Value)>) -> Map {
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(&mut later.1, &mut earlier.1);
                }
                same
            });
        }
        Map { entries }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(k, _)| (**k).cmp(key))
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Map {
        let entries = iter.into_iter().map(|(k, v)| (k.into(), v.into()));
        Map::from_entries(entries.collect())
    }
}

/// Equal content. Parts that share their memory are not looked into.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => Arc::ptr_eq(a, b) || a == b,
            (Value::Object(a), Value::Object(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

/// FNV-1a: for short names it is quicker than a hash that withstands attacks.
#[derive(Clone, Copy, Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A field's name as a shared string. The names of the API's own fields are kept once for all objects.
pub fn field_name(name: &str) -> Text {
    static KNOWN: LazyLock<HashSet<Text, BuildHasherDefault<Fnv>>> =
        LazyLock::new(|| crate::Schema::builtin().field_names().collect());
    KNOWN.get(name).cloned().unwrap_or_else(|| Text::from(name))
}

/// Makes a map value: `object([("name", "web".into()), ("replicas", 3.into())])`.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields
        .into_iter()
        .map(|(name, value)| (field_name(name), value));
    Map::from_entries(fields.collect()).into()
}

/// Makes a list value from anything that becomes a value.
pub fn array<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(Arc::new(items.into_iter().map(Into::into).collect()))
}

/// `value["spec"]["replicas"]`: `Null` where nothing is.
impl Index<&str> for Value {
    type Output = Value;
    fn index(&self, key: &str) -> &Value {
        self.as_object().and_then(|m| m.get(key)).unwrap_or(&NULL)
    }
}

/// `value[0]`: `Null` past the end.
impl Index<usize> for Value {
    type Output = Value;
    fn index(&self, at: usize) -> &Value {
        self.items().get(at).unwrap_or(&NULL)
    }
}

/// `value["status"]["replicas"] = 3.into()` makes the maps that are missing.
impl IndexMut<&str> for Value {
    fn index_mut(&mut self, key: &str) -> &mut Value {
        let map = self.object_mut();
        let at = match map.find(key) {
            Ok(at) => at,
            Err(at) => {
                map.entries.insert(at, (field_name(key), Value::Null));
                at
            }
        };
        &mut map.entries[at].1
    }
}

/// Panics past the end, like a slice: check the length first.
impl IndexMut<usize> for Value {
    fn index_mut(&mut self, at: usize) -> &mut Value {
        &mut self.array_mut()[at]
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Value {
        Value::Int(i)
    }
}
impl From<i32> for Value {
    fn from(i: i32) -> Value {
        Value::Int(i.into())
    }
}
impl From<u16> for Value {
    fn from(i: u16) -> Value {
        Value::Int(i.into())
    }
}
impl From<u32> for Value {
    fn from(i: u32) -> Value {
        Value::Int(i.into())
    }
}
impl From<usize> for Value {
    fn from(i: usize) -> Value {
        Value::Int(i64::try_from(i).unwrap_or(i64::MAX))
    }
}
impl From<f64> for Value {
    fn from(f: f64) -> Value {
        Value::Float(f)
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::String(s.into())
    }
}
impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::String(s.into())
    }
}
impl From<Text> for Value {
    fn from(s: Text) -> Value {
        Value::String(s)
    }
}
impl From<&Text> for Value {
    fn from(s: &Text) -> Value {
        Value::String(s.clone())
    }
}
impl From<&Value> for Value {
    fn from(v: &Value) -> Value {
        v.clone()
    }
}
impl From<Map> for Value {
    fn from(m: Map) -> Value {
        Value::Object(Arc::new(m))
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        array(items)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// Compact JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_unit(),
            Value::Bool(b) => s.serialize_bool(*b),
            Value::Int(i) => s.serialize_i64(*i),
            Value::Float(f) => s.serialize_f64(*f),
            Value::String(t) => s.serialize_str(t),
            Value::Array(items) => {
                let mut seq = s.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Object(map) => {
                let mut out = s.serialize_map(Some(map.len()))?;
                for (k, v) in map.iter() {
                    out.serialize_entry(&**k, v)?;
                }
                out.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Value, D::Error> {
        d.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }
    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(Value::Int(i))
    }
    fn visit_u64<E>(self, i: u64) -> Result<Value, E> {
        Ok(i64::try_from(i).map_or(Value::Float(i as f64), Value::Int))
    }
    fn visit_f64<E>(self, f: f64) -> Result<Value, E> {
        Ok(Value::Float(f))
    }
    fn visit_str<E>(self, s: &str) -> Result<Value, E> {
        Ok(Value::String(s.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1024));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(Arc::new(items)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            entries.push((field_name(&key), value));
        }
        Ok(Map::from_entries(entries).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_copy_leaves_the_original_alone() {
        let a = Value::from_json(r#"{"spec":{"replicas":1,"template":{"x":[1,2]}}}"#).unwrap();
        let mut b = a.clone();
        b.set(&["spec", "replicas"], 3);
        assert_eq!(a["spec"]["replicas"].as_i64(), Some(1));
        assert_eq!(
            b.to_json(),
            r#"{"spec":{"replicas":3,"template":{"x":[1,2]}}}"#
        );
        match (&a["spec"]["template"], &b["spec"]["template"]) {
            (Value::Object(x), Value::Object(y)) => assert!(Arc::ptr_eq(x, y), "not shared"),
            _ => panic!("not maps"),
        }
    }

    #[test]
    fn shrinking_leaves_no_room_and_shared_parts_alone() {
        let mut v = Value::Null;
        for name in ["a", "b", "c"] {
            v[name] = array([1]);
            v[name].push(2);
        }
        let shared = v["a"].clone();
        v.shrink();
        let room = |v: &Value| match v {
            Value::Array(items) => items.capacity(),
            _ => 0,
        };
        assert_eq!((room(&v["b"]), room(&v["a"]) > 2), (2, true));
        assert_eq!(v["a"], shared);
        assert_eq!(v.as_object().map(|m| m.entries.capacity()), Some(3));
    }

    #[test]
    fn of_entries_with_one_key_the_last_counts() {
        let entries = [("b", 1), ("a", 2), ("b", 3), ("b", 4), ("a", 5)];
        let map: Map = entries.into_iter().collect();
        assert_eq!(Value::from(map).to_json(), r#"{"a":5,"b":4}"#);
    }

    #[test]
    fn a_missing_path_reads_as_null_and_is_made_on_writing() {
        let mut v = Value::Null;
        assert!(v["a"]["b"][3].is_null());
        v["a"]["b"] = 1.into();
        assert_eq!(v.to_json(), r#"{"a":{"b":1}}"#);
        assert_eq!(v.remove(&["a", "x"]), None);
        assert_eq!(v.remove(&["a", "b"]), Some(Value::Int(1)));
        assert_eq!(v.to_json(), r#"{"a":{}}"#);
    }
}
