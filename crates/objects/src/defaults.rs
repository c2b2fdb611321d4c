//! The defaults that the API server fills in when it decodes an object.
//! Source: Kubernetes v1.37, pkg/apis/*/v*/defaults.go.
//!
//! What depends on the cluster (addresses, ports, service account volumes, tolerations, priorities)
//! is the API server's, not here.

use crate::schema::Resource;
use crate::value::Value;

mod core;
mod pod;
mod registration;
mod resource;
mod workload;

pub use pod::image_tag_is_latest;

/// Fills in what a decoded object of `resource` leaves open. Applying it twice changes nothing more.
pub fn apply(resource: &Resource, object: &mut Value) {
    let o = object;
    match (&*resource.group, &*resource.kind) {
        ("", "Pod") => pod::pod(o),
        ("", "PodTemplate") => pod::template(&mut o["template"]),
        ("", "ReplicationController") => workload::replication_controller(o),
        ("", "Service") => core::service(o),
        ("", "Endpoints") => core::endpoints(o),
        ("", "Secret") => core::secret(o),
        ("", "Namespace") => core::namespace(o),
        ("", "Node") => core::node(o),
        ("", "PersistentVolume") => core::persistent_volume(o),
        ("", "PersistentVolumeClaim") => core::persistent_volume_claim(o),
        ("", "LimitRange") => core::limit_range(o),
        ("", "ResourceQuota") => core::resource_quota(o),
        ("apps", "Deployment") => workload::deployment(o),
        ("apps", "ReplicaSet") => workload::replica_set(o),
        ("apps", "StatefulSet") => workload::stateful_set(o),
        ("apps", "DaemonSet") => workload::daemon_set(o),
        ("batch", "Job") => workload::job(o),
        ("batch", "CronJob") => workload::cron_job(o),
        ("autoscaling", "HorizontalPodAutoscaler") => workload::autoscaler(o, &resource.version),
        ("discovery.k8s.io", "EndpointSlice") => core::endpoint_slice(o),
        ("networking.k8s.io", "NetworkPolicy") => core::network_policy(o),
        ("networking.k8s.io", "IngressClass") => core::ingress_class(o),
        ("storage.k8s.io", "StorageClass") => core::storage_class(o),
        ("resource.k8s.io", "ResourceClaim") => resource::claim(&mut o["spec"]),
        ("resource.k8s.io", "ResourceClaimTemplate") => resource::claim(&mut o["spec"]["spec"]),
        ("apiregistration.k8s.io", "APIService") => {
            let service = &mut o["spec"]["service"];
            if service.as_object().is_some() && service["port"].is_null() {
                service["port"] = 443.into();
            }
        }
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => {
            default(&mut o["spec"], "matchingPrecedence", 1000)
        }
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => {
            registration::priority_level(&mut o["spec"])
        }
        ("storage.k8s.io", "CSIDriver") => core::csi_driver(o),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => registration::role(o),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            registration::binding(o)
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            default(o, "preemptionPolicy", "PreemptLowerPriority")
        }
        ("node.k8s.io", "RuntimeClass") => core::runtime_class(o),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            registration::webhooks(o, false)
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            registration::webhooks(o, true)
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => registration::custom_resource(o),
        _ => {}
    }
}

/// Sets a field that is not given.
fn default(v: &mut Value, key: &str, value: impl Into<Value>) {
    if v.get(key).is_none() {
        v[key] = value.into();
    }
}

/// Does something with each item of a list, if there is one. A list in which nothing changes stays shared.
fn each(v: &mut Value, key: &str, mut f: impl FnMut(&mut Value)) {
    for at in 0..v[key as &str].items().len() {
        let before = &v[key as &str][at];
        let mut item = before.clone();
        f(&mut item);
        if !item.is(before) {
            v[key].array_mut()[at] = item;
        }
    }
}

/// Does something with a field, if it is given.
fn with(v: &mut Value, key: &str, f: impl FnOnce(&mut Value)) {
    if v.get(key).is_some() {
        f(&mut v[key]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[track_caller]
    fn defaulted(api_version: &str, kind: &str, given: &str, path: &[&str], want: &str) {
        let resource = Schema::builtin().by_kind(api_version, kind).unwrap();
        let mut v = crate::decode::decode(
            Schema::builtin(),
            resource.type_id,
            &Value::from_json(given).unwrap(),
        )
        .unwrap();
        apply(resource, &mut v);
        assert_eq!(v.at(path).to_json(), want);
        let once = v.clone();
        apply(resource, &mut v);
        assert_eq!(v, once, "the second time changed something");
    }

    #[test]
    fn defaults_are_those_of_the_api_server() {
        defaulted(
            "apps/v1",
            "Deployment",
            "{}",
            &["spec", "strategy"],
            r#"{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"},"type":"RollingUpdate"}"#,
        );
        defaulted(
            "v1",
            "Service",
            r#"{"spec":{"ports":[{"port":80}]}}"#,
            &["spec", "ports"],
            r#"[{"port":80,"protocol":"TCP","targetPort":80}]"#,
        );
        defaulted(
            "v1",
            "Pod",
            r#"{"spec":{"containers":[{"name":"a","image":"nginx","resources":{"limits":{"cpu":"0.5"}}}]}}"#,
            &["spec", "containers"],
            r#"[{"image":"nginx","imagePullPolicy":"Always","name":"a","resources":{"limits":{"cpu":"500m"},"requests":{"cpu":"500m"}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}]"#,
        );
        defaulted(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            r#"{"spec":{"egress":[{}]}}"#,
            &["spec", "policyTypes"],
            r#"["Ingress","Egress"]"#,
        );
        for (image, latest) in [
            ("nginx", true),
            ("nginx:1", false),
            ("a:5000/b", true),
            ("a@sha256:00", false),
            ("a:latest", true),
        ] {
            assert_eq!(image_tag_is_latest(image), latest, "{image}");
        }
    }
}
