//! APIServices (kube-aggregator v0.37, `pkg/apis/apiregistration/validation`).

use super::common::Errors;
use crate::base64;
use crate::go;
use crate::names;
use crate::value::Value;

pub(super) fn api_service(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let (group, version) = (spec["group"].str(), spec["version"].str());
    let (name, wanted) = (o["metadata"]["name"].str(), format!("{version}.{group}"));
    if name != wanted && names::path_segment(name).is_empty() {
        let why = format!(
            "must be `spec.version+\".\"+spec.group`: {}",
            go::quote(&wanted)
        );
        e.invalid("metadata.name", name, why);
    }
    match group {
        "" if version != "v1" => e.required(
            "spec.group",
            "only v1 may have an empty group and it better be legacy kube",
        ),
        "" => {}
        group => e.names("spec.group", group, names::dns1123_subdomain(group)),
    }
    e.names("spec.version", version, names::dns1035_label(version));
    for (field, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
        let priority = spec[field].as_i64().unwrap_or(0);
        if !(1..=most).contains(&priority) {
            let why = format!("must be positive and less than {most}");
            e.invalid(format!("spec.{field}"), priority, why);
        }
    }
    let (insecure, bundle) = (
        spec["insecureSkipTLSVerify"].as_bool() == Some(true),
        spec["caBundle"].str(),
    );
    let skips = "spec.insecureSkipTLSVerify";
    let service = &spec["service"];
    if service.is_null() {
        if !bundle.is_empty() {
            let size = base64::decode(bundle).map_or(0, |bytes| bytes.len());
            let why = "local APIServices may not have a caBundle";
            e.invalid("spec.caBundle", format!("{size} bytes"), why);
        }
        if insecure {
            let why = "local APIServices may not have insecureSkipTLSVerify";
            e.invalid(skips, true, why);
        }
        return;
    }
    for field in ["namespace", "name"] {
        if service[field].is_empty() {
            e.required(format!("spec.service.{field}"), "");
        }
    }
    let port = service["port"].as_i64().unwrap_or(0);
    let wrong = names::port_number(port);
    if !wrong.is_empty() {
        let why = format!("port is not valid: {}", wrong.join(", "));
        e.invalid("spec.service.port", port, why);
    }
    if insecure && !bundle.is_empty() {
        e.invalid(skips, true, "may not be true if caBundle is present");
    }
}
