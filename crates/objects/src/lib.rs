//! Kubernetes objects as data: values, the schema of the API, YAML with positions, defaults and
//! validation. Nothing here knows a cluster.

pub mod value;

pub use value::{Map, Text, Value, array, object};
