//! What is given once in kinds that are seldom changed.

use super::common::Errors;
use super::update::{IMMUTABLE, field, unnamed};
use super::workload;
use crate::field_error::FieldError;
use crate::internal;
use crate::schema::Resource;
use crate::value::Value;

pub(super) fn kind(e: &mut Errors, resource: &Resource, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let of_spec =
        |e: &mut Errors, name: &str| field(e, &format!("spec.{name}"), &n[name], &o[name]);
    match (&*resource.group, &*resource.kind) {
        ("storage.k8s.io", "CSIDriver") => {
            // The API server's own name for it.
            let path = "spec.attachedRequired";
            field(e, path, &n["attachRequired"], &o["attachRequired"]);
            of_spec(e, "volumeLifecycleModes");
        }
        ("storage.k8s.io", "CSINode") => csi_drivers(e, n, o),
        ("storage.k8s.io", "CSIStorageCapacity") => {
            if new["nodeTopology"] != old["nodeTopology"] {
                let shown = workload::shown(&new["nodeTopology"]);
                e.push(FieldError::invalid_shown("nodeTopology", shown, IMMUTABLE));
            }
            let name = "storageClassName";
            field(e, name, &new[name], &old[name]);
        }
        ("storage.k8s.io", "VolumeAttributesClass") => {
            for name in ["driverName", "parameters"] {
                if new[name] != old[name] {
                    e.forbidden(name, format!("updates to {name} are forbidden."));
                }
            }
        }
        ("storage.k8s.io", "VolumeAttachment") | ("resource.k8s.io", "ResourceClaim") => {
            unnamed(e, "spec", n, o);
        }
        ("resource.k8s.io", "ResourceClaimTemplate")
        | ("storagemigration.k8s.io", "StorageVersionMigration") => field(e, "spec", n, o),
        ("resource.k8s.io", "ResourceSlice") => {
            field(e, "spec.pool.name", &n["pool"]["name"], &o["pool"]["name"]);
            of_spec(e, "driver");
            of_spec(e, "nodeName");
        }
        ("networking.k8s.io", "IPAddress") => {
            unnamed(e, "spec.parentRef", &n["parentRef"], &o["parentRef"]);
        }
        ("networking.k8s.io", "ServiceCIDR") => ranges(e, &n["cidrs"], &o["cidrs"]),
        ("apps", "ControllerRevision") => field(e, "data", &new["data"], &old["data"]),
        ("certificates.k8s.io", "ClusterTrustBundle") => of_spec(e, "signerName"),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(e, new, old),
        _ => {}
    }
}

/// A driver that stays on a machine changes only how many volumes it takes.
fn csi_drivers(e: &mut Errors, new: &Value, old: &Value) {
    for was in old["drivers"].items() {
        let same = new["drivers"].items().iter();
        for is in same.filter(|is| is["name"] == was["name"]) {
            let (mut is, mut was) = (is.clone(), was.clone());
            is.remove(&["allocatable"]);
            was.remove(&["allocatable"]);
            if is != was {
                let shown = internal::json("CSINodeDriver", &is);
                e.push(FieldError::invalid_shown("spec.drivers", shown, IMMUTABLE));
            }
        }
    }
}

/// A range stays; a second one may come.
fn ranges(e: &mut Errors, new: &Value, old: &Value) {
    let (is, was) = (new.items(), old.items());
    if is.len() != was.len() && (was.len(), is.len()) != (1, 2) {
        return e.invalid("spec.cidrs", new, IMMUTABLE);
    }
    for (at, (is, was)) in is.iter().zip(was).enumerate() {
        field(e, &format!("spec.cidrs[{at}]"), is, was);
    }
}

fn definition(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let mut conditions = old["status"]["conditions"].items().iter();
    if conditions.any(|c| c["type"].str() == "Established" && c["status"].str() == "True") {
        field(e, "spec.scope", &n["scope"], &o["scope"]);
        let kind = |spec: &Value| spec["names"]["kind"].clone();
        field(e, "spec.names.kind", &kind(n), &kind(o));
    }
    field(e, "spec.group", &n["group"], &o["group"]);
    let plural = |spec: &Value| spec["names"]["plural"].clone();
    field(e, "spec.names.plural", &plural(n), &plural(o));
    let served = |name: &str| {
        let mut versions = n["versions"].items().iter();
        versions.any(|v| v["name"].str() == name)
    };
    for (at, version) in new["status"]["storedVersions"].items().iter().enumerate() {
        let name = version.str();
        if !served(name) {
            e.invalid(
                format!("status.storedVersions[{at}]"),
                version,
                format!("missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"),
            );
        }
    }
}

/// The note that a pod mirrors one of its machine's neither comes nor goes
/// (`ValidatePodSpecificAnnotationUpdates`).
pub(super) fn mirror(e: &mut Errors, new: &Value, old: &Value) {
    const NOTE: &str = "kubernetes.io/config.mirror";
    let of = |pod: &Value| pod["metadata"]["annotations"][NOTE].clone();
    let what = match (of(old), of(new)) {
        (was, is) if was == is => return,
        (Value::Null, _) => "add",
        _ => "remove or update",
    };
    let path = format!("metadata.annotations[{NOTE}]");
    e.forbidden(path, format!("may not {what} mirror pod annotation"));
}
