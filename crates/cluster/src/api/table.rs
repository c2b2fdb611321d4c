//! Tables: what the API server makes of objects for those who ask for `as=Table`, kubectl above
//! all (kubernetes v1.37, `pkg/printers`; apiextensions-apiserver v0.37,
//! `pkg/registry/customresource/tableconvertor`).

use kubarium_objects::jsonpath::{self, Template};
use kubarium_objects::printers::{self, Context, Printer, since};
use kubarium_objects::{ObjectMeta, Resource, Value, go};

use crate::cluster::Cluster;

/// How objects of a resource are shown, be it built in or not.
#[derive(Clone, Debug)]
pub struct Table {
    /// A column for each cell of a row.
    pub columns: Vec<Column>,
    cells: Cells,
}

/// What is said of a column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// What stands above it.
    pub name: String,
    /// `string`, `integer`, …
    pub kind: String,
    /// `name` for the objects' names.
    pub format: String,
    /// What it is for. Of built-in kinds only the columns that all share say it.
    pub description: String,
    /// Above 0 only `-o wide` shows it.
    pub priority: i64,
}

#[derive(Clone, Debug)]
enum Cells {
    Builtin(&'static Printer),
    /// The types and paths behind the name.
    Custom(Vec<(String, Option<Template>)>),
}

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

impl Column {
    fn name() -> Column {
        Column {
            name: "Name".to_owned(),
            kind: "string".to_owned(),
            format: "name".to_owned(),
            description: NAME.to_owned(),
            priority: 0,
        }
    }

    fn builtin(column: &printers::Column) -> Column {
        let plain = Column {
            name: column.name.to_owned(),
            kind: column.kind.to_owned(),
            priority: i64::from(column.wide),
            ..Column::default()
        };
        match column.name {
            "Name" => Column {
                priority: plain.priority,
                ..Column::name()
            },
            "Age" => Column {
                description: CREATED.to_owned(),
                ..plain
            },
            "Created At" => Column {
                kind: "date".to_owned(),
                description: CREATED.to_owned(),
                ..plain
            },
            _ => plain,
        }
    }

    fn custom(column: &Value) -> Column {
        let text = |field: &str| column[field].str().to_owned();
        let description = match column["description"].str() {
            "" => format!(
                "Custom resource definition column (in JSONPath format): {}",
                column["jsonPath"].str()
            ),
            given => given.to_owned(),
        };
        Column {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description,
            priority: column["priority"].as_i64().unwrap_or(0),
        }
    }

    /// Whether only `-o wide` shows it.
    pub fn is_wide(&self) -> bool {
        self.priority > 0
    }
}

impl Table {
    /// The table of a resource.
    pub fn of(cluster: &Cluster, resource: &Resource) -> Table {
        let Some(version) = cluster.definitions().version(resource) else {
            let printer = printers::of(resource);
            return Table {
                columns: printer.columns.iter().map(Column::builtin).collect(),
                cells: Cells::Builtin(printer),
            };
        };
        let mut columns = vec![Column::name()];
        let mut cells = Vec::new();
        for column in version.columns.items() {
            columns.push(Column::custom(column));
            let path = jsonpath::relaxed(column["jsonPath"].str()).ok();
            cells.push((column["type"].str().to_owned(), path));
        }
        Table {
            columns,
            cells: Cells::Custom(cells),
        }
    }

    /// A cell for each column, as text.
    pub fn row(&self, object: &Value, context: &Context) -> Vec<String> {
        match &self.cells {
            Cells::Builtin(printer) => (printer.row)(object, context),
            Cells::Custom(_) => {
                let shown = |value: Value| match value {
                    Value::Null => String::new(),
                    value => go::print(&value),
                };
                let cells = self.cells(object, context.now);
                cells.into_iter().map(shown).collect()
            }
        }
    }

    /// A cell for each column, as JSON.
    pub fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        match &self.cells {
            Cells::Builtin(printer) => {
                let row = (printer.row)(object, &Context { now, wide: true });
                let columns = printer.columns.iter().zip(row);
                columns.map(|(column, cell)| column.value(cell)).collect()
            }
            Cells::Custom(cells) => {
                let mut row = vec![object.name().into()];
                row.extend(cells.iter().map(|(kind, path)| {
                    let found = path.as_ref().and_then(|p| p.find(object).ok());
                    let first = found.and_then(|values| values.into_iter().next());
                    first.map_or(Value::Null, |value| custom(kind, &value, now))
                }));
                row
            }
        }
    }
}

/// A value as a column of a type shows it; null where it is of another type.
fn custom(kind: &str, value: &Value, now: i64) -> Value {
    match (kind, value) {
        ("date", Value::String(_)) => match since(value, now) {
            age if age == "<unknown>" => "<invalid>".into(),
            age => age.into(),
        },
        ("string", value) => go::print(value).into(),
        ("integer", Value::Float(f)) => (*f as i64).into(),
        ("integer" | "number", Value::Int(_))
        | ("number", Value::Float(_))
        | ("boolean", Value::Bool(_)) => value.clone(),
        _ => Value::Null,
    }
}
