//! In what form objects are sent: what the `Accept` header asks for (apiserver v0.37,
//! `endpoints/handlers/negotiation`, `endpoints/handlers/response.go`).

use std::sync::Arc;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{Value, array, go, object};

use super::wire::{Json, Query};
use crate::api::table::{Column, Table};
use crate::cluster::Cluster;
use crate::time::Time;

/// In what form objects are sent.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Whole,
    Yaml,
    /// Their metadata only (`PartialObjectMetadata`).
    Metadata,
    Table(Rows),
}

/// Objects as a `Table`.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    table: Arc<Table>,
    /// `meta.k8s.io/v1`
    api_version: String,
    include: Include,
    /// Whether the columns are told: only once in a watch.
    with_columns: bool,
    now: i64,
}

/// What a row has beside its cells (`includeObject`).
#[derive(Clone, Copy, Debug)]
enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Form {
    /// What the `Accept` header asks for.
    ///
    /// # Errors
    /// 406 where there is nothing that the server can give.
    pub fn of(
        cluster: &Cluster,
        resource: &Resource,
        accept: &str,
        query: Query,
    ) -> Result<Form, Status> {
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or("");
            let parameter = |name: &str| {
                let mut all = range.split(';').map(str::trim);
                all.find_map(|p| p.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or("")
            };
            if !matches!(
                media,
                "" | "*/*" | "application/*" | "application/json" | "application/yaml"
            ) {
                continue;
            }
            let version = parameter("v");
            let of_meta = parameter("g") == "meta.k8s.io" && matches!(version, "v1" | "v1beta1");
            match parameter("as") {
                "" if media == "application/yaml" => return Ok(Form::Yaml),
                "" => return Ok(Form::Whole),
                "PartialObjectMetadata" | "PartialObjectMetadataList" if of_meta => {
                    return Ok(Form::Metadata);
                }
                "Table" if of_meta => {
                    return Ok(Form::Table(Rows {
                        table: Arc::new(Table::of(cluster, resource)),
                        api_version: format!("meta.k8s.io/{version}"),
                        include: Include::of(query)?,
                        with_columns: true,
                        now: cluster.now.unix_seconds(),
                    }));
                }
                _ => {}
            }
        }
        Err(Status::not_acceptable(
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ))
    }

    /// An object in this form.
    pub fn one(&self, object: Value) -> Json {
        match self {
            Form::Metadata => Json::typed(partial(&object)),
            Form::Table(rows) => rows.document(&object, std::slice::from_ref(&object)),
            _ => Json::typed(object),
        }
    }

    /// A list in this form.
    pub fn list(&self, list: Value) -> Json {
        match self {
            Form::Metadata => Json::typed(object([
                ("apiVersion", "meta.k8s.io/v1".into()),
                ("items", array(list["items"].items().iter().map(partial))),
                ("kind", "PartialObjectMetadataList".into()),
                ("metadata", list["metadata"].clone()),
            ])),
            Form::Table(rows) => rows.document(&list, list["items"].items()),
            _ => Json::typed(list),
        }
    }

    /// An object of a watch in this form.
    pub fn next(&mut self, object: Value, now: Time) -> Json {
        if let Form::Table(rows) = self {
            rows.now = now.unix_seconds();
        }
        let sent = self.one(object);
        if let Form::Table(rows) = self {
            rows.with_columns = false;
        }
        sent
    }
}

impl Include {
    fn of(query: Query) -> Result<Include, Status> {
        match query.text("includeObject").as_str() {
            "" | "Metadata" => Ok(Include::Metadata),
            "None" => Ok(Include::Nothing),
            "Object" => Ok(Include::Object),
            other => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Unsupported value: {}: must be 'Metadata', 'Object', 'None', or empty",
                go::quote(other)
            ))),
        }
    }
}

impl Rows {
    fn document(&self, whole: &Value, objects: &[Value]) -> Json {
        let mut metadata = Json::object([]);
        for field in ["resourceVersion", "continue", "remainingItemCount"] {
            let value = &whole["metadata"][field];
            if !value.is_empty() {
                metadata.push(field, value.clone().into());
            }
        }
        let columns = match self.with_columns {
            true => Json::Array(self.table.columns.iter().map(column).collect()),
            false => Value::Null.into(),
        };
        Json::object([
            ("kind", "Table".into()),
            ("apiVersion", self.api_version.as_str().into()),
            ("metadata", metadata),
            ("columnDefinitions", columns),
            (
                "rows",
                Json::Array(objects.iter().map(|o| self.row(o)).collect()),
            ),
        ])
    }

    fn row(&self, o: &Value) -> Json {
        let cells = self.table.cells(o, self.now);
        let cells = cells.into_iter().map(Json::Value).collect();
        let mut row = Json::object([("cells", Json::Array(cells))]);
        if let Some(condition) = completed(o) {
            row.push("conditions", Json::Array(vec![condition]));
        }
        row.push(
            "object",
            match self.include {
                Include::Nothing => Value::Null.into(),
                Include::Metadata => Json::typed(partial(o)),
                Include::Object => Json::typed(o.clone()),
            },
        );
        row
    }
}

/// What is said of a pod's row once it has ended (`printPod`).
fn completed(o: &Value) -> Option<Json> {
    if o["kind"].str() != "Pod" || o["apiVersion"].str() != "v1" {
        return None;
    }
    let (reason, message) = match o["status"]["phase"].str() {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(Json::object([
        ("type", "Completed".into()),
        ("status", "True".into()),
        ("reason", reason.into()),
        ("message", message.into()),
    ]))
}

fn column(column: &Column) -> Json {
    Json::object([
        ("name", column.name.as_str().into()),
        ("type", column.kind.as_str().into()),
        ("format", column.format.as_str().into()),
        ("description", column.description.as_str().into()),
        ("priority", column.priority.into()),
    ])
}

/// Only an object's metadata.
fn partial(o: &Value) -> Value {
    object([
        ("apiVersion", "meta.k8s.io/v1".into()),
        ("kind", "PartialObjectMetadata".into()),
        ("metadata", o["metadata"].clone()),
    ])
}
