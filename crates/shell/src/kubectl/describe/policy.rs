//! Disruption budgets and autoscalers.

use kubarium_objects::Value;

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
        let (target, current) = (
            &metric["resource"]["target"],
            &status["currentMetrics"][at]["resource"]["current"],
        );
        let name = metric["resource"]["name"].str();
        if target["averageValue"].is_null() {
            let now = match current["averageUtilization"].as_i64() {
                Some(percent) => format!("{percent}% ({})", scalar(&current["averageValue"])),
                None => "<unknown>".to_owned(),
            };
            let wanted = target["averageUtilization"]
                .as_i64()
                .map_or("<auto>".to_owned(), |n| format!("{n}%"));
            w.line(
                1,
                format!("resource {name} on pods  (as a percentage of request):\t{now} / {wanted}"),
            );
        } else {
            let now = if current["averageValue"].is_null() {
                "<unknown>".to_owned()
            } else {
                scalar(&current["averageValue"])
            };
            w.line(
                1,
                format!(
                    "resource {name} on pods:\t{now} / {}",
                    scalar(&target["averageValue"])
                ),
            );
        }
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
