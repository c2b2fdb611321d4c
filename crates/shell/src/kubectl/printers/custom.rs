//! The tables of custom resources: the columns that their definition names
//! (apiextensions-apiserver v0.37, `pkg/registry/customresource/tableconvertor`).

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectMeta, Resource, Value};

use super::{Context, Printer, since};
use crate::kubectl::jsonpath::{self, Template};

/// How objects of a resource are shown, be it built in or not.
pub(crate) struct Table {
    /// The columns' names, and whether only `-o wide` shows them.
    pub columns: Vec<(String, bool)>,
    cells: Cells,
}

enum Cells {
    Builtin(&'static Printer),
    /// The types and paths behind the name.
    Custom(Vec<(String, Option<Template>)>),
}

impl Table {
    /// The table of a resource.
    pub fn of(cluster: &Cluster, resource: &Resource) -> Table {
        let Some(version) = cluster.definitions().version(resource) else {
            let printer = super::of(resource);
            let columns = printer.columns.iter().map(|c| (c.0.to_owned(), c.1));
            return Table {
                columns: columns.collect(),
                cells: Cells::Builtin(printer),
            };
        };
        let mut columns = vec![("Name".to_owned(), false)];
        let mut cells = Vec::new();
        for column in version.columns.items() {
            let wide = column["priority"].as_i64().unwrap_or(0) > 0;
            columns.push((column["name"].str().to_owned(), wide));
            let path = jsonpath::relaxed(column["jsonPath"].str()).ok();
            cells.push((column["type"].str().to_owned(), path));
        }
        Table {
            columns,
            cells: Cells::Custom(cells),
        }
    }

    /// A cell for each column.
    pub fn row(&self, object: &Value, context: &Context) -> Vec<String> {
        match &self.cells {
            Cells::Builtin(printer) => (printer.row)(object, context),
            Cells::Custom(cells) => {
                let mut row = vec![object.name().to_owned()];
                row.extend(cells.iter().map(|(kind, path)| {
                    let found = path.as_ref().and_then(|p| p.find(object).ok());
                    let first = found.and_then(|values| values.into_iter().next());
                    first.map_or_else(String::new, |value| cell(kind, &value, context))
                }));
                row
            }
        }
    }
}

/// A value as a column of a type shows it; empty where it is of another type.
fn cell(kind: &str, value: &Value, context: &Context) -> String {
    match (kind, value) {
        ("date", Value::String(_)) => match since(value, context.now) {
            age if age == "<unknown>" => "<invalid>".to_owned(),
            age => age,
        },
        ("string", value) => jsonpath::go_print(value),
        ("integer", Value::Float(f)) => (*f as i64).to_string(),
        ("integer", Value::Int(_)) | ("number", Value::Int(_) | Value::Float(_)) => {
            jsonpath::go_print(value)
        }
        ("boolean", Value::Bool(b)) => b.to_string(),
        _ => String::new(),
    }
}
