//! The table of definitions of custom resources
//! (apiextensions-apiserver v0.37, `pkg/registry/customresourcedefinition/tableconvertor`).

use crate::{ObjectMeta, Value};

use super::{Printer, column, wide};

pub(super) static DEFINITION: Printer = Printer {
    columns: &[
        column("Name"),
        column("Scope"),
        column("Versions"),
        column("Created At"),
        wide("Group"),
        wide("Kind"),
        wide("ShortNames"),
        wide("Established"),
    ],
    row: |o, _| {
        let spec = &o["spec"];
        let of_version = |version: &Value| match version["storage"].as_bool() {
            Some(true) => format!("{}(storage)", version["name"].str()),
            _ => version["name"].str().to_owned(),
        };
        let served = |version: &&Value| version["served"].as_bool() == Some(true);
        let versions = spec["versions"].items().iter().filter(served);
        let mut versions: Vec<String> = versions.map(of_version).collect();
        versions.sort();
        let short = spec["names"]["shortNames"].items().iter().map(Value::str);
        let established = o["status"]["conditions"].items().iter().any(|condition| {
            condition["type"].str() == "Established" && condition["status"].str() == "True"
        });
        vec![
            o.name().to_owned(),
            spec["scope"].str().to_owned(),
            versions.join(","),
            o.creation_timestamp().unwrap_or("<unknown>").to_owned(),
            spec["group"].str().to_owned(),
            spec["names"]["kind"].str().to_owned(),
            short.collect::<Vec<_>>().join(","),
            established.to_string(),
        ]
    },
};
