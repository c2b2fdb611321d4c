//! What makes pods: Deployments, Jobs and their like.

use crate::duration::human_duration;
use crate::{ObjectMeta, Value, time};

use super::{
    Printer, age, amount, column, condition, containers, count, labels, number, or, scalar,
    selector, since, truth, wide,
};

pub(super) static DEPLOYMENT: Printer = Printer {
    columns: &[
        column("Name"),
        column("Ready"),
        amount("Up-to-date"),
        amount("Available"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    row: |o, c| {
        let status = &o["status"];
        let (names, images) = containers(&o["spec"]["template"]["spec"]);
        vec![
            o.name().to_owned(),
            format!(
                "{}/{}",
                number(&status["readyReplicas"]),
                number(&o["spec"]["replicas"])
            ),
            number(&status["updatedReplicas"]).to_string(),
            number(&status["availableReplicas"]).to_string(),
            age(o, c),
            names,
            images,
            selector(&o["spec"]["selector"]),
        ]
    },
};

pub(super) static REPLICA_SET: Printer = Printer {
    columns: &[
        column("Name"),
        count("Desired"),
        count("Current"),
        count("Ready"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    row: |o, c| {
        let (names, images) = containers(&o["spec"]["template"]["spec"]);
        let selects = match o.kind() {
            "ReplicationController" => labels(&o["spec"]["selector"]),
            _ => selector(&o["spec"]["selector"]),
        };
        vec![
            o.name().to_owned(),
            number(&o["spec"]["replicas"]).to_string(),
            number(&o["status"]["replicas"]).to_string(),
            number(&o["status"]["readyReplicas"]).to_string(),
            age(o, c),
            names,
            images,
            selects,
        ]
    },
};

pub(super) static DAEMON_SET: Printer = Printer {
    columns: &[
        column("Name"),
        count("Desired"),
        count("Current"),
        count("Ready"),
        count("Up-to-date"),
        count("Available"),
        column("Node Selector"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    row: |o, c| {
        let status = &o["status"];
        let count = |field: &str| number(&status[field]).to_string();
        let (names, images) = containers(&o["spec"]["template"]["spec"]);
        vec![
            o.name().to_owned(),
            count("desiredNumberScheduled"),
            count("currentNumberScheduled"),
            count("numberReady"),
            count("updatedNumberScheduled"),
            count("numberAvailable"),
            labels(&o["spec"]["template"]["spec"]["nodeSelector"]),
            age(o, c),
            names,
            images,
            selector(&o["spec"]["selector"]),
        ]
    },
};

pub(super) static STATEFUL_SET: Printer = Printer {
    columns: &[
        column("Name"),
        column("Ready"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
    ],
    row: |o, c| {
        let (names, images) = containers(&o["spec"]["template"]["spec"]);
        let ready = format!(
            "{}/{}",
            number(&o["status"]["readyReplicas"]),
            number(&o["spec"]["replicas"])
        );
        vec![o.name().to_owned(), ready, age(o, c), names, images]
    },
};

pub(super) static CONTROLLER_REVISION: Printer = Printer {
    columns: &[
        column("Name"),
        column("Controller"),
        amount("Revision"),
        column("Age"),
    ],
    row: |o, c| {
        let controller = o.controller_ref().map(|owner| {
            let kind = owner.kind().to_lowercase();
            match owner.api_version().split_once('/') {
                Some((group, _)) => format!("{kind}.{group}/{}", owner.name()),
                None => format!("{kind}/{}", owner.name()),
            }
        });
        vec![
            o.name().to_owned(),
            controller.unwrap_or_else(|| "<none>".to_owned()),
            number(&o["revision"]).to_string(),
            age(o, c),
        ]
    },
};

pub(super) static POD_TEMPLATE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Containers"),
        column("Images"),
        column("Pod Labels"),
    ],
    row: |o, _| {
        let (names, images) = containers(&o["template"]["spec"]);
        vec![
            o.name().to_owned(),
            names,
            images,
            labels(&o["template"]["metadata"]["labels"]),
        ]
    },
};

pub(super) static JOB: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Completions"),
        column("Duration"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    row: |o, c| {
        let (names, images) = containers(&o["spec"]["template"]["spec"]);
        vec![
            o.name().to_owned(),
            job_status(o).to_owned(),
            completions(o),
            job_duration(o, c.now),
            age(o, c),
            names,
            images,
            selector(&o["spec"]["selector"]),
        ]
    },
};

fn job_status(job: &Value) -> &'static str {
    if condition(job, "Complete") {
        "Complete"
    } else if condition(job, "Failed") {
        "Failed"
    } else if job.is_deleting() {
        "Terminating"
    } else if condition(job, "Suspended") {
        "Suspended"
    } else if condition(job, "FailureTarget") {
        "FailureTarget"
    } else if condition(job, "SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(&job["status"]["succeeded"]);
    let parallelism = number(&job["spec"]["parallelism"]);
    match job["spec"]["completions"].as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    }
}

fn job_duration(job: &Value, now: i64) -> String {
    let at = |field: &str| job["status"][field].as_str().and_then(time::parse_seconds);
    match at("startTime") {
        Some(start) => human_duration(at("completionTime").unwrap_or(now) - start),
        None => String::new(),
    }
}

pub(super) static CRON_JOB: Printer = Printer {
    columns: &[
        column("Name"),
        column("Schedule"),
        column("Timezone"),
        truth("Suspend"),
        count("Active"),
        column("Last Schedule"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    row: |o, c| {
        let (names, images) = containers(&o["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
        let suspend = match o["spec"]["suspend"].as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        };
        let last = &o["status"]["lastScheduleTime"];
        vec![
            o.name().to_owned(),
            o["spec"]["schedule"].str().to_owned(),
            or(&o["spec"]["timeZone"], "<none>"),
            suspend.to_owned(),
            o["status"]["active"].items().len().to_string(),
            if last.is_null() {
                "<none>".to_owned()
            } else {
                since(last, c.now)
            },
            age(o, c),
            names,
            images,
            selector(&o["spec"]["jobTemplate"]["spec"]["selector"]),
        ]
    },
};

pub(super) static AUTOSCALER: Printer = Printer {
    columns: &[
        column("Name"),
        column("Reference"),
        column("Targets"),
        column("MinPods"),
        amount("MaxPods"),
        amount("Replicas"),
        column("Age"),
    ],
    row: |o, c| {
        let target = &o["spec"]["scaleTargetRef"];
        vec![
            o.name().to_owned(),
            format!("{}/{}", target["kind"].str(), target["name"].str()),
            metrics(o),
            o["spec"]["minReplicas"]
                .as_i64()
                .map_or("<unset>".to_owned(), |n| n.to_string()),
            number(&o["spec"]["maxReplicas"]).to_string(),
            number(&o["status"]["currentReplicas"]).to_string(),
            age(o, c),
        ]
    },
};

/// `cpu: 10%/60%` (`formatHPAMetrics`)
fn metrics(hpa: &Value) -> String {
    let specs = hpa["spec"]["metrics"].items();
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let shown: Vec<String> = specs
        .iter()
        .enumerate()
        .map(|(at, spec)| metric(spec, &hpa["status"]["currentMetrics"][at]))
        .collect();
    let text = shown[..shown.len().min(2)].join(", ");
    if shown.len() > 2 {
        format!("{text} + {} more...", shown.len() - 2)
    } else {
        text
    }
}

fn metric(spec: &Value, status: &Value) -> String {
    let source = match spec["type"].str() {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&spec[source]["target"], &status[source]["current"]);
    let name = match source {
        "resource" | "containerResource" => format!("{}: ", spec[source]["name"].str()),
        _ => String::new(),
    };
    let unknown = |v: &Value| {
        if v.is_null() {
            "<unknown>".to_owned()
        } else {
            scalar(v)
        }
    };
    let percent = |v: &Value, none: &str| v.as_i64().map_or(none.to_owned(), |n| format!("{n}%"));
    if !target["averageValue"].is_null() {
        let average = if matches!(source, "object" | "external") {
            " (avg)"
        } else {
            ""
        };
        return format!(
            "{name}{}/{}{average}",
            unknown(&current["averageValue"]),
            scalar(&target["averageValue"])
        );
    }
    if matches!(source, "object" | "external" | "pods") {
        return format!(
            "{name}{}/{}",
            unknown(&current["value"]),
            scalar(&target["value"])
        );
    }
    format!(
        "{name}{}/{}",
        percent(&current["averageUtilization"], "<unknown>"),
        percent(&target["averageUtilization"], "<auto>")
    )
}

pub(super) static DISRUPTION_BUDGET: Printer = Printer {
    columns: &[
        column("Name"),
        column("Min Available"),
        column("Max Unavailable"),
        count("Allowed Disruptions"),
        column("Age"),
    ],
    row: |o, c| {
        let limit = |v: &Value| {
            if v.is_null() {
                "N/A".to_owned()
            } else {
                scalar(v)
            }
        };
        vec![
            o.name().to_owned(),
            limit(&o["spec"]["minAvailable"]),
            limit(&o["spec"]["maxUnavailable"]),
            number(&o["status"]["disruptionsAllowed"]).to_string(),
            age(o, c),
        ]
    },
};
