//! Nodes, namespaces, events, configuration, rights.

use crate::{ObjectMeta, Value};

use super::{Column, Printer, age, amount, column, count, number, or, scalar, since, truth, wide};

pub(super) static NODE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Roles"),
        column("Age"),
        column("Version"),
        wide("Internal-IP"),
        wide("External-IP"),
        wide("OS-Image"),
        wide("Kernel-Version"),
        wide("Container-Runtime"),
    ],
    row: |o, c| {
        let info = &o["status"]["nodeInfo"];
        let address = |kind: &str| {
            let found = o["status"]["addresses"]
                .items()
                .iter()
                .find(|a| a["type"].str() == kind);
            found.map_or("<none>".to_owned(), |a| a["address"].str().to_owned())
        };
        let roles = roles(o);
        vec![
            o.name().to_owned(),
            node_status(o),
            if roles.is_empty() {
                "<none>".to_owned()
            } else {
                roles.join(",")
            },
            age(o, c),
            info["kubeletVersion"].str().to_owned(),
            address("InternalIP"),
            address("ExternalIP"),
            or(&info["osImage"], "<unknown>"),
            or(&info["kernelVersion"], "<unknown>"),
            or(&info["containerRuntimeVersion"], "<unknown>"),
        ]
    },
};

fn node_status(node: &Value) -> String {
    let ready = node["status"]["conditions"]
        .items()
        .iter()
        .find(|c| c["type"].str() == "Ready");
    let mut status = match ready {
        Some(condition) if condition["status"].str() == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"]["unschedulable"].as_bool() == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

/// A node's roles, by its labels (`findNodeRoles`).
pub fn roles(node: &Value) -> Vec<String> {
    let mut roles = Vec::new();
    for (key, value) in node.labels().entries() {
        if let Some(role) = key
            .strip_prefix("node-role.kubernetes.io/")
            .filter(|r| !r.is_empty())
        {
            roles.push(role.to_owned());
        } else if &**key == "kubernetes.io/role" && !value.is_empty() {
            roles.push(value.str().to_owned());
        }
    }
    roles.sort();
    roles.dedup();
    roles
}

pub(super) static NAMESPACE: Printer = Printer {
    columns: &[column("Name"), column("Status"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["status"]["phase"].str().to_owned(),
            age(o, c),
        ]
    },
};

pub(super) static EVENT: Printer = Printer {
    columns: &[
        column("Last Seen"),
        column("Type"),
        column("Reason"),
        column("Object"),
        wide("Subobject"),
        wide("Source"),
        column("Message"),
        wide("First Seen"),
        Column {
            wide: true,
            ..amount("Count")
        },
        wide("Name"),
    ],
    row: |o, c| {
        let involved = if o["regarding"].is_null() {
            &o["involvedObject"]
        } else {
            &o["regarding"]
        };
        let kind = involved["kind"].str().to_lowercase();
        let target = if involved["name"].is_empty() {
            kind
        } else {
            format!("{kind}/{}", involved["name"].str())
        };
        let message = if o["note"].is_null() {
            &o["message"]
        } else {
            &o["note"]
        };
        vec![
            last_seen(o, c.now),
            o["type"].str().to_owned(),
            o["reason"].str().to_owned(),
            target,
            involved["fieldPath"].str().to_owned(),
            event_source(o),
            message.str().trim().to_owned(),
            first_seen(o, c.now),
            event_count(o).to_string(),
            o.name().to_owned(),
        ]
    },
};

/// How often an event was seen.
pub fn event_count(event: &Value) -> i64 {
    let series = event["series"]["count"].as_i64();
    series.unwrap_or(number(&event["count"]).max(1))
}

/// Who reported an event: `kubelet, worker-1`.
pub fn event_source(event: &Value) -> String {
    let component = or(
        &event["source"]["component"],
        event["reportingComponent"].str(),
    );
    let host = event["source"]["host"].str();
    if host.is_empty() {
        component
    } else {
        format!("{component}, {host}")
    }
}

pub fn first_seen(event: &Value, now: i64) -> String {
    let first = if event["firstTimestamp"].is_null() {
        &event["eventTime"]
    } else {
        &event["firstTimestamp"]
    };
    since(first, now)
}

pub fn last_seen(event: &Value, now: i64) -> String {
    let series = &event["series"]["lastObservedTime"];
    if !series.is_null() {
        return since(series, now);
    }
    match &event["lastTimestamp"] {
        Value::Null => first_seen(event, now),
        at => since(at, now),
    }
}

pub(super) static COMPONENT_STATUS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Message"),
        column("Error"),
    ],
    row: |o, _| {
        let healthy = o["conditions"]
            .items()
            .iter()
            .find(|c| c["type"].str() == "Healthy");
        let (status, message, error) = match healthy {
            Some(c) if c["status"].str() == "True" => {
                ("Healthy", c["message"].str(), c["error"].str())
            }
            Some(c) => ("Unhealthy", c["message"].str(), c["error"].str()),
            None => ("Unknown", "", ""),
        };
        vec![
            o.name().to_owned(),
            status.to_owned(),
            message.to_owned(),
            error.to_owned(),
        ]
    },
};

pub(super) static CONFIG_MAP: Printer = Printer {
    columns: &[column("Name"), amount("Data"), column("Age")],
    row: |o, c| {
        let count = o["data"].entries().len() + o["binaryData"].entries().len();
        vec![o.name().to_owned(), count.to_string(), age(o, c)]
    },
};

pub(super) static SECRET: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        amount("Data"),
        column("Age"),
    ],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["type"].str().to_owned(),
            o["data"].entries().len().to_string(),
            age(o, c),
        ]
    },
};

pub(super) static SERVICE_ACCOUNT: Printer = Printer {
    columns: &[column("Name"), column("Age")],
    row: |o, c| vec![o.name().to_owned(), age(o, c)],
};

pub(super) static QUOTA: Printer = Printer {
    columns: &[
        column("Name"),
        column("Request"),
        column("Limit"),
        column("Age"),
    ],
    row: |o, c| {
        let (mut requests, mut limits) = (Vec::new(), Vec::new());
        for (name, hard) in o["status"]["hard"].entries() {
            let used = or(&o["status"]["used"][&**name], "0");
            let list = if name.starts_with("limits.") {
                &mut limits
            } else {
                &mut requests
            };
            list.push(format!("{name}: {used}/{}", scalar(hard)));
        }
        vec![
            o.name().to_owned(),
            requests.join(", "),
            limits.join(", "),
            age(o, c),
        ]
    },
};

pub(super) static PRIORITY_CLASS: Printer = Printer {
    columns: &[
        column("Name"),
        count("Value"),
        truth("Global-Default"),
        column("Age"),
        column("PreemptionPolicy"),
    ],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            number(&o["value"]).to_string(),
            (o["globalDefault"].as_bool() == Some(true)).to_string(),
            age(o, c),
            o["preemptionPolicy"].str().to_owned(),
        ]
    },
};

pub(super) static RUNTIME_CLASS: Printer = Printer {
    columns: &[column("Name"), column("Handler"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["handler"].str().to_owned(),
            age(o, c),
        ]
    },
};

pub(super) static LEASE: Printer = Printer {
    columns: &[column("Name"), column("Holder"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["spec"]["holderIdentity"].str().to_owned(),
            age(o, c),
        ]
    },
};

pub(super) static ROLE_BINDING: Printer = Printer {
    columns: &[
        column("Name"),
        column("Role"),
        column("Age"),
        wide("Users"),
        wide("Groups"),
        wide("ServiceAccounts"),
    ],
    row: |o, c| {
        let of = |kind: &str| {
            let subjects = o["subjects"]
                .items()
                .iter()
                .filter(|s| s["kind"].str() == kind);
            let names: Vec<String> = subjects
                .map(|s| match kind {
                    "ServiceAccount" => format!("{}/{}", s["namespace"].str(), s["name"].str()),
                    _ => s["name"].str().to_owned(),
                })
                .collect();
            names.join(", ")
        };
        let role = format!(
            "{}/{}",
            o["roleRef"]["kind"].str(),
            o["roleRef"]["name"].str()
        );
        vec![
            o.name().to_owned(),
            role,
            age(o, c),
            of("User"),
            of("Group"),
            of("ServiceAccount"),
        ]
    },
};

pub(super) static API_SERVICE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Service"),
        column("Available"),
        column("Age"),
    ],
    row: |o, c| {
        let service = &o["spec"]["service"];
        let shown = if service.is_null() {
            "Local".to_owned()
        } else {
            format!("{}/{}", service["namespace"].str(), service["name"].str())
        };
        let available = o["status"]["conditions"]
            .items()
            .iter()
            .find(|c| c["type"].str() == "Available");
        let available = available.map_or("Unknown".to_owned(), |a| match a["status"].str() {
            "True" => "True".to_owned(),
            status => format!("{status} ({})", a["reason"].str()),
        });
        vec![o.name().to_owned(), shown, available, age(o, c)]
    },
};

pub(super) static SIGNING_REQUEST: Printer = Printer {
    columns: &[
        column("Name"),
        column("Age"),
        column("SignerName"),
        column("Requestor"),
        column("RequestedDuration"),
        column("Condition"),
    ],
    row: |o, c| {
        let seconds = o["spec"]["expirationSeconds"].as_i64();
        vec![
            o.name().to_owned(),
            age(o, c),
            or(&o["spec"]["signerName"], "<none>"),
            o["spec"]["username"].str().to_owned(),
            seconds.map_or("<none>".to_owned(), crate::duration::human_duration),
            request_status(o),
        ]
    },
};

/// `Pending`, `Approved,Issued`: how far a certificate signing request has come.
pub fn request_status(request: &Value) -> String {
    let status = &request["status"];
    let conditions = status["conditions"].items();
    let has = |kind: &str| conditions.iter().any(|c| c["type"].str() == kind);
    let mut text = match (has("Approved"), has("Denied")) {
        (_, true) => "Denied",
        (true, _) => "Approved",
        _ => "Pending",
    }
    .to_owned();
    if has("Failed") {
        text.push_str(",Failed");
    }
    if !status["certificate"].is_empty() {
        text.push_str(",Issued");
    }
    text
}

pub(super) static WEBHOOKS: Printer = Printer {
    columns: &[column("Name"), count("Webhooks"), column("Age")],
    row: |o, c| {
        vec![
            o.name().to_owned(),
            o["webhooks"].items().len().to_string(),
            age(o, c),
        ]
    },
};

pub(super) static ADMISSION_POLICY: Printer = Printer {
    columns: &[
        column("Name"),
        count("Validations"),
        column("ParamKind"),
        column("Age"),
    ],
    row: |o, c| {
        let kind = &o["spec"]["paramKind"];
        let shown = if kind.is_null() {
            "<unset>".to_owned()
        } else {
            format!("{}/{}", kind["apiVersion"].str(), kind["kind"].str())
        };
        vec![
            o.name().to_owned(),
            o["spec"]["validations"].items().len().to_string(),
            shown,
            age(o, c),
        ]
    },
};
