//! Claims of devices (`pkg/apis/resource/v1/defaults.go`).

use super::{default, each, with};
use crate::value::Value;

/// A claim's spec.
pub(super) fn claim(spec: &mut Value) {
    with(spec, "devices", |devices| {
        each(devices, "requests", |request| {
            with(request, "exactly", exact);
            each(request, "firstAvailable", exact);
        });
    });
}

fn exact(request: &mut Value) {
    default(request, "allocationMode", "ExactCount");
    if request["allocationMode"].str() == "ExactCount"
        && request["count"].as_i64().unwrap_or(0) == 0
    {
        request["count"] = 1.into();
    }
}
