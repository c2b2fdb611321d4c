//! Rights, webhooks, custom resources.

use super::{default, each, with};
use crate::value::{Value, array};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Rules are printed even when there are none.
pub(super) fn role(o: &mut Value) {
    default(o, "rules", Value::Null);
}

pub(super) fn binding(o: &mut Value) {
    default(&mut o["roleRef"], "apiGroup", RBAC);
    each(o, "subjects", |s| {
        if matches!(s["kind"].str(), "User" | "Group") {
            default(s, "apiGroup", RBAC);
        }
    });
}

pub(super) fn priority_level(spec: &mut Value) {
    for (field, shares) in [("exempt", 0), ("limited", 30)] {
        with(spec, field, |of| {
            default(of, "nominalConcurrencyShares", shares);
            default(of, "lendablePercent", 0);
            with(of, "limitResponse", |response| {
                with(response, "queuing", |queuing| {
                    default(queuing, "handSize", 8);
                    default(queuing, "queues", 64);
                    default(queuing, "queueLengthLimit", 50);
                });
            });
        });
    }
}

pub(super) fn webhooks(o: &mut Value, mutating: bool) {
    each(o, "webhooks", |w| {
        default(w, "failurePolicy", "Fail");
        default(w, "matchPolicy", "Equivalent");
        default(w, "namespaceSelector", Value::new_object());
        default(w, "objectSelector", Value::new_object());
        default(w, "timeoutSeconds", 10);
        if mutating {
            default(w, "reinvocationPolicy", "Never");
        }
        each(w, "rules", |r| default(r, "scope", "*"));
        with(&mut w["clientConfig"], "service", |s| {
            default(s, "port", 443)
        });
    });
}

pub(super) fn custom_resource(o: &mut Value) {
    let spec = &mut o["spec"];
    let names = &mut spec["names"];
    let kind = names["kind"].text();
    if !kind.is_empty() {
        default(names, "singular", kind.to_lowercase());
        default(names, "listKind", format!("{kind}List"));
    }
    default(&mut spec["conversion"], "strategy", "None");
    let stored = spec["versions"]
        .items()
        .iter()
        .find(|v| v["storage"].as_bool() == Some(true));
    let stored = stored.map(|v| v["name"].clone());
    let status = &mut o["status"];
    if let Some(name) = stored {
        default(status, "storedVersions", array([name]));
    }
    default(status, "conditions", Value::Null);
}
