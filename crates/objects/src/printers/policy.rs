//! Flow control, admission policies, and devices.

use crate::{ObjectMeta, Value};

use super::{Printer, age, amount, column, count, or, scalar};

pub(super) static FLOW_SCHEMA: Printer = Printer {
    columns: &[
        column("Name"),
        column("PriorityLevel"),
        amount("MatchingPrecedence"),
        column("DistinguisherMethod"),
        column("Age"),
        column("MissingPL"),
    ],
    row: |o, context| {
        let spec = &o["spec"];
        let conditions = o["status"]["conditions"].items();
        let dangling = conditions.iter().find(|c| c["type"].str() == "Dangling");
        vec![
            o.name().to_owned(),
            spec["priorityLevelConfiguration"]["name"].str().to_owned(),
            scalar(&spec["matchingPrecedence"]),
            or(&spec["distinguisherMethod"]["type"], "<none>"),
            age(o, context),
            dangling.map_or("?", |c| c["status"].str()).to_owned(),
        ]
    },
};

pub(super) static PRIORITY_LEVEL: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("NominalConcurrencyShares"),
        column("Queues"),
        column("HandSize"),
        column("QueueLengthLimit"),
        column("Age"),
    ],
    row: |o, context| {
        let limited = &o["spec"]["limited"];
        let queuing = &limited["limitResponse"]["queuing"];
        let number = |value: &Value| match value.is_null() {
            true => "<none>".to_owned(),
            false => scalar(value),
        };
        vec![
            o.name().to_owned(),
            o["spec"]["type"].str().to_owned(),
            number(&limited["nominalConcurrencyShares"]),
            number(&queuing["queues"]),
            number(&queuing["handSize"]),
            number(&queuing["queueLengthLimit"]),
            age(o, context),
        ]
    },
};

pub(super) static MUTATING_POLICY: Printer = Printer {
    columns: &[
        column("Name"),
        count("Mutations"),
        column("ParamKind"),
        column("Age"),
    ],
    row: |o, context| {
        let kind = &o["spec"]["paramKind"];
        vec![
            o.name().to_owned(),
            o["spec"]["mutations"].items().len().to_string(),
            match kind.is_null() {
                true => "<unset>".to_owned(),
                false => format!("{}/{}", kind["apiVersion"].str(), kind["kind"].str()),
            },
            age(o, context),
        ]
    },
};

pub(super) static POLICY_BINDING: Printer = Printer {
    columns: &[
        column("Name"),
        column("PolicyName"),
        column("ParamRef"),
        column("Age"),
    ],
    row: |o, context| {
        let reference = &o["spec"]["paramRef"];
        let name = reference["name"].str();
        vec![
            o.name().to_owned(),
            o["spec"]["policyName"].str().to_owned(),
            match name {
                "" => "<unset>".to_owned(),
                name => format!("{}/{name}", or(&reference["namespace"], "*")),
            },
            age(o, context),
        ]
    },
};

pub(super) static RESOURCE_CLAIM: Printer = Printer {
    columns: &[column("Name"), column("State"), column("Age")],
    row: |o, context| {
        let status = &o["status"];
        let allocated = !status["allocation"].is_null();
        let states = [
            (o.is_deleting(), "deleted"),
            (!allocated && !o.is_deleting(), "pending"),
            (allocated, "allocated"),
            (allocated && !status["reservedFor"].is_empty(), "reserved"),
        ];
        let states: Vec<&str> = states.iter().filter(|s| s.0).map(|s| s.1).collect();
        vec![o.name().to_owned(), states.join(","), age(o, context)]
    },
};

pub(super) static RESOURCE_SLICE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Node"),
        column("Driver"),
        column("Pool"),
        column("Age"),
    ],
    row: |o, context| {
        let spec = &o["spec"];
        vec![
            o.name().to_owned(),
            spec["nodeName"].str().to_owned(),
            spec["driver"].str().to_owned(),
            spec["pool"]["name"].str().to_owned(),
            age(o, context),
        ]
    },
};

/// Kinds of which only the age is told.
pub(super) static PLAIN: Printer = Printer {
    columns: &[column("Name"), column("Age")],
    row: |o, context| vec![o.name().to_owned(), age(o, context)],
};
