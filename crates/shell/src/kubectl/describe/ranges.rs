//! Services' addresses and the ranges that they come from.

use kubarium_objects::{ObjectMeta, Value};

use super::{date, events, marks};
use crate::kubectl::Kubectl;
use crate::kubectl::table::Lines;

pub(super) fn range(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    let ranges: Vec<&str> = o["spec"]["cidrs"].items().iter().map(Value::str).collect();
    w.line(0, format!("CIDRs:\t{}", ranges.join(", ")));
    let conditions = o["status"]["conditions"].items();
    if !conditions.is_empty() {
        w.line(0, "Status:");
        w.line(0, "Conditions:");
        w.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
        w.line(1, "----\t------\t------------------\t------\t-------");
    }
    for c in conditions {
        let at = date(&c["lastTransitionTime"]);
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|field| c[field].str());
        w.line(1, format!("{kind}\t{status}\t{at}\t{reason}\t{message}"));
    }
    events(k, o, w);
}

pub(super) fn address(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    let parent = &o["spec"]["parentRef"];
    if !parent.is_null() {
        w.line(0, "Parent Reference:");
        for (title, field) in [
            ("Group", "group"),
            ("Resource", "resource"),
            ("Namespace", "namespace"),
            ("Name", "name"),
        ] {
            w.line(1, format!("{title}:\t{}", parent[field].str()));
        }
    }
    events(k, o, w);
}
