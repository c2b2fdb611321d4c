//! Devices that a pod has claimed (kubelet v1.37, `pkg/kubelet/cm/dra`).
//!
//! The driver that has published a device is taken to be on the node and to do what it is asked. What it
//! would do to containers (files, environment) is not simulated.

use kubarium_objects::{ObjectMeta, Value};

use crate::cluster::Cluster;
use crate::scheduler::devices::{CLAIMS, claim_name, is_for, is_reserved_for};

/// Prepares the devices of a pod. Errors: a sentence, where the pod may not have them.
pub(super) fn prepare(cluster: &Cluster, pod: &Value) -> Result<(), String> {
    let (space, name) = (pod.namespace(), pod.name());
    for entry in pod["spec"]["resourceClaims"].items() {
        let Some((claim, generated)) = claim_name(pod, entry)? else {
            continue;
        };
        let Some(found) = cluster.find(CLAIMS, space, &claim) else {
            return Err(format!(
                "fetch ResourceClaim {claim}: resourceclaims.resource.k8s.io \"{claim}\" not found"
            ));
        };
        if generated && !is_for(found, pod) {
            return Err(format!(
                "ResourceClaim {space}/{claim} was not created for Pod {space}/{name} (Pod is not owner)"
            ));
        }
        if !is_reserved_for(found, pod) {
            return Err(format!(
                "pod {name} ({}) is not allowed to use ResourceClaim {claim} ({})",
                pod.uid(),
                found.uid()
            ));
        }
    }
    Ok(())
}
