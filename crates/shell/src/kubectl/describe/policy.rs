//! Disruption budgets and autoscalers.

use kubarium_objects::{Value, go};

use super::{date, events, head, marks};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::{self, number, scalar};
use crate::kubectl::table::Lines;

pub(super) fn budget(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    if !spec["minAvailable"].is_null() {
        w.line(
            0,
            format!("Min available:\t{}", scalar(&spec["minAvailable"])),
        );
    } else if !spec["maxUnavailable"].is_null() {
        w.line(
            0,
            format!("Max unavailable:\t{}", scalar(&spec["maxUnavailable"])),
        );
    }
    let selector = if spec["selector"].is_null() {
        "<unset>".to_owned()
    } else {
        printers::selector(&spec["selector"])
    };
    w.line(0, format!("Selector:\t{selector}"));
    w.line(0, "Status:");
    for (field, title) in [
        ("disruptionsAllowed", "Allowed disruptions"),
        ("currentHealthy", "Current"),
        ("desiredHealthy", "Desired"),
        ("expectedPods", "Total"),
    ] {
        w.line(2, format!("{title}:\t{}", number(&status[field])));
    }
    events(k, o, w);
}

pub(super) fn autoscaler(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    marks(w, o);
    w.line(
        0,
        format!(
            "CreationTimestamp:\t{}",
            date(&o["metadata"]["creationTimestamp"])
        ),
    );
    w.line(
        0,
        format!(
            "Reference:\t{}/{}",
            spec["scaleTargetRef"]["kind"].str(),
            spec["scaleTargetRef"]["name"].str()
        ),
    );
    w.line(0, "Metrics:\t( current / target )");
    for (at, metric) in spec["metrics"].items().iter().enumerate() {
        w.line(1, metric_line(metric, &status["currentMetrics"][at]));
    }
    w.line(
        0,
        format!(
            "Min replicas:\t{}",
            spec["minReplicas"]
                .as_i64()
                .map_or("<unset>".to_owned(), |n| n.to_string())
        ),
    );
    w.line(
        0,
        format!("Max replicas:\t{}", number(&spec["maxReplicas"])),
    );
    if !spec["behavior"].is_null() {
        w.line(0, "Behavior:");
        direction(w, "Scale Up", &spec["behavior"]["scaleUp"]);
        direction(w, "Scale Down", &spec["behavior"]["scaleDown"]);
    }
    w.line(
        0,
        format!(
            "{} pods:\t{} current / {} desired",
            spec["scaleTargetRef"]["kind"].str(),
            number(&status["currentReplicas"]),
            number(&status["desiredReplicas"])
        ),
    );
    if !status["conditions"].items().is_empty() {
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tReason\tMessage");
        w.line(1, "----\t------\t------\t-------");
        for c in status["conditions"].items() {
            w.line(
                1,
                format!(
                    "{}\t{}\t{}\t{}",
                    c["type"].str(),
                    c["status"].str(),
                    c["reason"].str(),
                    c["message"].str()
                ),
            );
        }
    }
    events(k, o, w);
}

/// A metric with its current value and its target.
fn metric_line(metric: &Value, status: &Value) -> String {
    let known = |value: &Value| match value {
        Value::Null => "<unknown>".to_owned(),
        value => scalar(value),
    };
    let resource = |field: &str, title: String| {
        let (target, current) = (&metric[field]["target"], &status[field]["current"]);
        if !target["averageValue"].is_null() {
            return format!(
                "{title}:\t{} / {}",
                known(&current["averageValue"]),
                scalar(&target["averageValue"])
            );
        }
        let now = match current["averageUtilization"].as_i64() {
            Some(percent) => format!("{percent}% ({})", scalar(&current["averageValue"])),
            None => "<unknown>".to_owned(),
        };
        let wanted = target["averageUtilization"]
            .as_i64()
            .map_or("<auto>".to_owned(), |n| format!("{n}%"));
        format!("{title}  (as a percentage of request):\t{now} / {wanted}")
    };
    match metric["type"].str() {
        "Resource" => resource(
            "resource",
            format!("resource {} on pods", metric["resource"]["name"].str()),
        ),
        "ContainerResource" => {
            let of = &metric["containerResource"];
            let title = format!(
                "resource {} of container \"{}\" on pods",
                of["name"].str(),
                of["container"].str()
            );
            resource("containerResource", title)
        }
        "Pods" => format!(
            "{} on pods:\t{} / {}",
            go::quote(metric["pods"]["metric"]["name"].str()),
            known(&status["pods"]["current"]["averageValue"]),
            scalar(&metric["pods"]["target"]["averageValue"])
        ),
        "Object" => {
            let of = &metric["object"];
            let (field, title) = match of["target"]["type"].str() {
                "AverageValue" => ("averageValue", "target average value"),
                _ => ("value", "target value"),
            };
            format!(
                "\"{}\" on {}/{} ({title}):\t{} / {}",
                of["metric"]["name"].str(),
                of["describedObject"]["kind"].str(),
                of["describedObject"]["name"].str(),
                known(&status["object"]["current"][field]),
                scalar(&of["target"][field])
            )
        }
        "External" => {
            let of = &metric["external"];
            let (field, title) = if of["target"]["averageValue"].is_null() {
                ("value", "target value")
            } else {
                ("averageValue", "target average value")
            };
            format!(
                "{} ({title}):\t{} / {}",
                go::quote(of["metric"]["name"].str()),
                known(&status["external"]["current"][field]),
                scalar(&of["target"][field])
            )
        }
        other => format!("<unknown metric type {}>", go::quote(other)),
    }
}

/// How a HorizontalPodAutoscaler scales in one direction.
fn direction(w: &mut Lines, title: &str, rules: &Value) {
    if rules.is_null() {
        return;
    }
    w.line(1, format!("{title}:"));
    if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
        w.line(2, format!("Stabilization Window: {seconds} seconds"));
    }
    if rules["policies"].items().is_empty() {
        return;
    }
    let select = match rules["selectPolicy"].str() {
        "" => "Max",
        select => select,
    };
    w.line(2, format!("Select Policy: {select}"));
    w.line(2, "Policies:");
    for policy in rules["policies"].items() {
        w.line(
            3,
            format!(
                "- Type: {}\tValue: {}\tPeriod: {} seconds",
                policy["type"].str(),
                number(&policy["value"]),
                number(&policy["periodSeconds"])
            ),
        );
    }
}
