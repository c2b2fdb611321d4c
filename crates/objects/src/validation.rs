//! Validation of whole objects, as by the API server, after decoding and defaulting.
//! Source: Kubernetes v1.37, pkg/apis/*/validation and the strategies in pkg/registry.
//!
//! Kinds without a validation of their own here get that of their metadata.

use crate::decode;
use crate::field_error::FieldError;
use crate::schema::{Resource, Schema};
use crate::value::{Value, object};

mod action;
mod aggregation;
mod batch;
mod certificates;
mod common;
mod config;
mod container;
mod cron;
mod definition;
mod flow_control;
mod frozen;
mod gates;
mod meta;
mod mount;
mod networking;
mod pod;
mod policy;
mod registration;
mod resources;
mod scheduling;
mod security;
mod service;
mod storage;
mod update;
mod volume;
mod workload;

pub use cron::{Schedule, parse as parse_cron};
pub use service::addresses as service_addresses;

/// What the API server's strategy does to a new object before validation: status is reset, generation
/// starts, and such.
pub fn prepare_for_create(resource: &Resource, o: &mut Value) {
    let fresh = |o: &mut Value| {
        let status = Schema::builtin()
            .get_struct(resource.type_id)
            .and_then(|s| s.field("status"));
        if let Some(field) = status {
            o["status"] = decode::zero(Schema::builtin(), field.type_id);
        }
    };
    gates::drop_disabled(resource, o);
    let counts_generations = match (&*resource.group, &*resource.kind) {
        ("", "Pod") => {
            o["status"] = object([
                ("phase", "Pending".into()),
                ("qosClass", pod::qos_class(&o["spec"]).into()),
            ]);
            pod::app_armor_fields(o);
            true
        }
        ("", "Namespace") => {
            let finalizers = o["spec"]["finalizers"].array_mut();
            if finalizers.iter().all(|f| f.str() != "kubernetes") {
                finalizers.push("kubernetes".into());
            }
            o["status"] = object([("phase", "Active".into())]);
            false
        }
        ("", "Service") => {
            fresh(o);
            let spec = &mut o["spec"];
            if !spec["clusterIP"].is_empty() && spec["clusterIPs"].is_empty() {
                spec["clusterIPs"] = crate::array([&spec["clusterIP"]]);
            }
            false
        }
        ("", "PersistentVolume" | "PersistentVolumeClaim") => {
            storage::data_sources(&mut o["spec"]);
            o["status"] = object([("phase", "Pending".into())]);
            false
        }
        ("", "ServiceAccount") if !o["secrets"].is_empty() => {
            for secret in o["secrets"].array_mut().iter_mut() {
                *secret = match &secret["name"] {
                    Value::Null => Value::new_object(),
                    name => object([("name", name.clone())]),
                };
            }
            false
        }
        ("", "ResourceQuota") => {
            fresh(o);
            false
        }
        ("", "Node") => {
            pod_ranges(o);
            false
        }
        ("apps", "DaemonSet") => {
            fresh(o);
            o.set(
                &[
                    "metadata",
                    "annotations",
                    "deprecated.daemonset.template.generation",
                ],
                "1",
            );
            true
        }
        ("apps" | "batch" | "policy", _)
        | ("autoscaling", "HorizontalPodAutoscaler")
        | ("", "ReplicationController") => {
            fresh(o);
            true
        }
        ("networking.k8s.io", "Ingress") => {
            fresh(o);
            true
        }
        ("flowcontrol.apiserver.k8s.io", _) => {
            fresh(o);
            true
        }
        ("networking.k8s.io", "ServiceCIDR" | "IPAddress") => false,
        (
            "networking.k8s.io"
            | "discovery.k8s.io"
            | "admissionregistration.k8s.io"
            | "apiextensions.k8s.io",
            _,
        )
        | ("", "PodTemplate")
        | ("resource.k8s.io", "DeviceClass" | "DeviceTaintRule" | "ResourceSlice") => true,
        ("scheduling.k8s.io", "PriorityClass") => {
            if o["value"].is_null() {
                o["value"] = 0.into();
            }
            true
        }
        _ => false,
    };
    if (&*resource.group, &*resource.kind) == ("batch", "Job") {
        batch::generate_selector(o);
    }
    if !resource.namespaced {
        o.remove(&["metadata", "namespace"]);
    }
    if counts_generations {
        o.set(&["metadata", "generation"], 1);
    } else {
        o.remove(&["metadata", "generation"]);
    }
    o.remove(&["metadata", "deletionTimestamp"]);
    o.remove(&["metadata", "deletionGracePeriodSeconds"]);
}

/// The first range under its old name is the first of all: a node's `podCIDR` (kubernetes v1.37,
/// `pkg/apis/core/v1/conversion.go`).
pub fn pod_ranges(node: &mut Value) {
    let first = node["spec"]["podCIDR"].clone();
    if !first.is_empty() && node["spec"]["podCIDRs"][0] != first {
        node["spec"]["podCIDRs"] = crate::array([first]);
    }
}

/// The quality-of-service class of a pod's spec.
pub fn qos_class(spec: &Value) -> &'static str {
    pod::qos_class(spec)
}

/// What is wrong with a new object.
pub fn create(resource: &Resource, o: &Value) -> Vec<FieldError> {
    let mut e = common::Errors::default();
    meta::object(&mut e, resource, o);
    kind(&mut e, resource, o);
    match &*resource.id() {
        "pods" => pod::created(&mut e, o),
        "ingresses.networking.k8s.io" => networking::ingress_created(&mut e, o),
        _ => {}
    }
    e.into_list()
}

/// What is wrong with an object that shall take the place of `old`: the object itself, and what may
/// not be changed.
pub fn update(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut e = common::Errors::default();
    meta::object(&mut e, resource, new);
    meta::immutable(&mut e, new, old);
    kind(&mut e, resource, new);
    update::kind(&mut e, resource, new, old);
    e.into_list()
}

/// What is wrong with a pod whose containers' resources shall change.
pub fn resize(resource: &Resource, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut e = common::Errors::default();
    kind(&mut e, resource, new);
    update::resize(&mut e, new, old);
    e.into_list()
}

fn kind(e: &mut common::Errors, resource: &Resource, o: &Value) {
    match (&*resource.group, &*resource.kind) {
        ("", "Pod") => pod::pod(e, o),
        ("", "PodTemplate") => pod::template(e, "template", &o["template"]),
        ("", "ReplicationController") => workload::replication_controller(e, o),
        ("", "Service") => service::service(e, o),
        ("", "Endpoints") => service::endpoints(e, o),
        ("", "Namespace") => config::namespace(e, o),
        ("", "ConfigMap") => config::config_map(e, o),
        ("", "Secret") => config::secret(e, o),
        ("", "Node") => config::node(e, o),
        ("", "ResourceQuota") => config::resource_quota(e, o),
        ("", "LimitRange") => config::limit_range(e, o),
        ("", "PersistentVolume") => storage::persistent_volume(e, o),
        ("", "PersistentVolumeClaim") => storage::claim_spec(e, "spec", &o["spec"]),
        ("apps", "Deployment") => workload::deployment(e, o),
        ("apps", "ReplicaSet") => workload::replica_set(e, o),
        ("apps", "StatefulSet") => workload::stateful_set(e, o),
        ("apps", "DaemonSet") => workload::daemon_set(e, o),
        ("certificates.k8s.io", "CertificateSigningRequest") => certificates::request(e, o),
        ("batch", "Job") => batch::job(e, o),
        ("batch", "CronJob") => batch::cron_job(e, o),
        ("discovery.k8s.io", "EndpointSlice") => service::endpoint_slice(e, o),
        ("networking.k8s.io", "Ingress") => networking::ingress(e, o),
        ("networking.k8s.io", "IngressClass") => networking::ingress_class(e, o),
        ("networking.k8s.io", "NetworkPolicy") => networking::network_policy(e, o),
        ("networking.k8s.io", "ServiceCIDR") => networking::service_cidr(e, o),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow_control::flow_schema(e, o),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => {
            flow_control::priority_level(e, o);
        }
        ("apiregistration.k8s.io", "APIService") => aggregation::api_service(e, o),
        ("networking.k8s.io", "IPAddress") => networking::ip_address(e, o),
        ("autoscaling", "HorizontalPodAutoscaler") => policy::autoscaler(e, o, &resource.version),
        ("policy", "PodDisruptionBudget") => policy::disruption_budget(e, o),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            policy::role(e, o, &*resource.kind == "ClusterRole")
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            policy::binding(e, o)
        }
        ("scheduling.k8s.io", "PriorityClass") => policy::priority_class(e, o),
        ("node.k8s.io", "RuntimeClass") => policy::runtime_class(e, o),
        ("coordination.k8s.io", "Lease") => policy::lease(e, o),
        ("storage.k8s.io", "StorageClass") => storage::storage_class(e, o),
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => registration::webhooks(e, o),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => registration::policy(e, o),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => {
            registration::mutating_policy(e, o);
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            registration::policy_binding(e, o);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => registration::custom_resource(e, o),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(api_version: &str, kind: &str, old: &str, new: &str, want: &str) {
        let resource = Schema::builtin().by_kind(api_version, kind).unwrap();
        let read = |text: &str| {
            let given = crate::yaml::parse(text).unwrap().remove(0).value;
            let mut v = decode::decode(Schema::builtin(), resource.type_id, &given).unwrap();
            crate::defaults::apply(resource, &mut v);
            v
        };
        let (old, new) = (read(old), read(new));
        assert_eq!(update(resource, &old, &old), [], "unchanged");
        let found: Vec<String> = update(resource, &new, &old)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found.join("\n"), want);
    }

    #[test]
    fn what_is_immutable_stays() {
        let meta = "metadata: {name: a, namespace: d}";
        let workload = |label: &str| {
            format!(
                "{{{}, spec: {{selector: {{matchLabels: {{app: {label}}}}}, template: {{metadata: {{labels: {{app: {label}}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}}}}}",
                meta
            )
        };
        let (web, api) = (workload("web"), workload("api"));
        refuses(
            "apps/v1",
            "Deployment",
            &web,
            &api,
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"api\"}}: field is immutable",
        );
        let map = |immutable: bool, data: &str| {
            format!("{{{meta}, immutable: {immutable}, data: {{a: {data}}}}}")
        };
        let frozen = "field is immutable when `immutable` is set";
        refuses(
            "v1",
            "ConfigMap",
            &map(true, "b"),
            &map(true, "c"),
            &format!("data: Forbidden: {frozen}"),
        );
        refuses(
            "v1",
            "ConfigMap",
            &map(true, "b"),
            &map(false, "b"),
            &format!("immutable: Forbidden: {frozen}"),
        );
        let service = |ip: &str| {
            format!(
                "{{{meta}, spec: {{clusterIP: {ip}, clusterIPs: [{ip}], ports: [{{port: 80}}]}}}}"
            )
        };
        refuses(
            "v1",
            "Service",
            &service("10.43.0.7"),
            &service("10.43.0.8"),
            "spec.clusterIPs[0]: Invalid value: [\"10.43.0.8\"]: may not change once set",
        );
    }

    /// One field of a spec changes from one text to another.
    #[track_caller]
    fn frozen(kind: &str, spec: &str, old: &str, new: &str, want: &str) {
        let (api_version, kind) = kind.split_once(' ').unwrap();
        let object = |given: &str| {
            let spec = spec.replace('@', given);
            format!("{{metadata: {{name: v1.a.b, namespace: d}}, {spec}}}")
        };
        refuses(api_version, kind, &object(old), &object(new), want);
    }

    #[test]
    fn what_is_given_once_stays() {
        let immutable = "field is immutable";
        frozen(
            "storage.k8s.io/v1 CSIDriver",
            "spec: {attachRequired: @}",
            "true",
            "false",
            &format!("spec.attachedRequired: Invalid value: false: {immutable}"),
        );
        frozen(
            "storage.k8s.io/v1 CSINode",
            "spec: {drivers: [{name: d, nodeID: @, allocatable: {count: 3}}]}",
            "m1",
            "m2",
            &format!(
                "spec.drivers: Invalid value: {{\"Name\":\"d\",\"NodeID\":\"m2\",\"TopologyKeys\":null,\"Allocatable\":null}}: {immutable}"
            ),
        );
        frozen(
            "storage.k8s.io/v1 CSINode",
            "spec: {drivers: [{name: d, nodeID: m, allocatable: {count: @}}]}",
            "3",
            "4",
            "",
        );
        frozen(
            "storage.k8s.io/v1 VolumeAttributesClass",
            "driverName: d, parameters: {a: @}",
            "b",
            "c",
            "parameters: Forbidden: updates to parameters are forbidden.",
        );
        frozen(
            "storage.k8s.io/v1 VolumeAttachment",
            "spec: {attacher: a, nodeName: @, source: {persistentVolumeName: p}}",
            "m1",
            "m2",
            &format!("spec: Invalid value: null: {immutable}"),
        );
        frozen(
            "networking.k8s.io/v1 ServiceCIDR",
            "spec: {cidrs: [@]}",
            "10.1.0.0/24",
            "10.2.0.0/24",
            &format!("spec.cidrs[0]: Invalid value: \"10.2.0.0/24\": {immutable}"),
        );
        frozen(
            "discovery.k8s.io/v1 EndpointSlice",
            "addressType: @, endpoints: []",
            "IPv4",
            "IPv6",
            &format!("addressType: Invalid value: null: {immutable}"),
        );
        frozen(
            "v1 Node",
            "spec: {providerID: @}",
            "a",
            "b",
            "spec.providerID: Invalid value: null: field cannot be modified once set",
        );
        frozen(
            "apiregistration.k8s.io/v1 APIService",
            "spec: {group: a.b, version: v1, versionPriority: 9, groupPriorityMinimum: @}",
            "1000",
            "20001",
            "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
        );
    }

    #[test]
    fn a_job_at_rest_takes_other_resources() {
        let job = |suspended: bool, resources: &str, image: &str| {
            format!(
                "{{metadata: {{name: a, namespace: d}}, spec: {{suspend: {suspended}, manualSelector: true, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{restartPolicy: Never, containers: [{{name: c, image: {image}, resources: {resources}}}]}}}}}}}}"
            )
        };
        let (old, new) = (job(true, "{}", "i"), job(true, "{requests: {cpu: 1}}", "i"));
        refuses("batch/v1", "Job", &old, &new, "");
        let resource = Schema::builtin().by_kind("batch/v1", "Job").unwrap();
        let changed = |old: &str, new: &str| {
            let read = |text: &str| {
                let mut v = crate::yaml::parse(text).unwrap().remove(0).value;
                crate::defaults::apply(resource, &mut v);
                v
            };
            let errors = update(resource, &read(new), &read(old));
            let fields = errors.iter().map(|e| e.field.clone());
            fields.collect::<Vec<_>>().join(" ")
        };
        let (running, other) = (
            job(false, "{}", "i"),
            job(false, "{requests: {cpu: 1}}", "i"),
        );
        assert_eq!(changed(&running, &other), "spec.template");
        assert_eq!(changed(&old, &job(true, "{}", "j")), "spec.template.spec");
    }
}
