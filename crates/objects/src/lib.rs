//! Kubernetes objects as data: values, the schema of the API, YAML with positions, defaults and
//! validation. Nothing here knows a cluster.

pub mod meta;
pub mod schema;
pub mod value;

pub use meta::{ObjectKey, ObjectMeta};
pub use schema::{Resource, Schema, Type, TypeId};
pub use value::{Map, Text, Value, array, object};
