//! Kubernetes objects as data: values, the schema of the API, YAML with positions, defaults and
//! validation. Nothing here knows a cluster.

pub mod base64;
pub mod certificate;
pub mod custom;
pub mod decode;
pub mod defaults;
pub mod diagnostic;
pub mod duration;
pub mod field_error;
pub mod go;
mod internal;
pub mod jsonpath;
pub mod managed;
pub mod meta;
pub mod names;
pub mod patch;
pub mod printers;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod similar;
pub mod status;
pub mod time;
pub mod validation;
pub mod value;
pub mod warnings;
pub mod yaml;

pub use diagnostic::{Diagnostic, Severity};
pub use field_error::FieldError;
pub use meta::{ObjectKey, ObjectMeta};
pub use quantity::Quantity;
pub use schema::{Resource, Schema, Type, TypeId};
pub use selector::{FieldSelector, Selector};
pub use status::Status;
pub use value::{Map, Text, Value, array, object};
