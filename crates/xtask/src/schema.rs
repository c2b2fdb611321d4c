//! Makes `crates/objects/src/schema/builtin.txt`: the structure of the Kubernetes API (names, types,
//! list keys, patch strategies; no descriptions) from a real server's OpenAPI v2 document and its
//! discovery documents. The format is described where it is read, in `kubarium_objects::schema`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

/// Named Go types behind fields that OpenAPI calls strings, where the name is not simply that of
/// the field: (type or `*`, field, Go type). Source: k8s.io/api v0.37 type declarations.
const NAMED: &[(&str, &str, &str)] = &[
    ("*", "protocol", "Protocol"),
    ("*", "imagePullPolicy", "PullPolicy"),
    ("ImageVolumeSource", "pullPolicy", "PullPolicy"),
    ("HTTPGetAction", "scheme", "URIScheme"),
    ("HostPathVolumeSource", "type", "HostPathType"),
    (
        "NodeSelectorRequirement",
        "operator",
        "NodeSelectorOperator",
    ),
    (
        "ScopedResourceSelectorRequirement",
        "operator",
        "ScopeSelectorOperator",
    ),
    (
        "ScopedResourceSelectorRequirement",
        "scopeName",
        "ResourceQuotaScope",
    ),
    (
        "LabelSelectorRequirement",
        "operator",
        "LabelSelectorOperator",
    ),
    ("PodFailurePolicyRule", "action", "PodFailurePolicyAction"),
    (
        "PodFailurePolicyOnExitCodesRequirement",
        "operator",
        "PodFailurePolicyOnExitCodesOperator",
    ),
    ("*", "accessModes", "PersistentVolumeAccessMode"),
    ("*", "volumeMode", "PersistentVolumeMode"),
    (
        "StorageClass",
        "reclaimPolicy",
        "PersistentVolumeReclaimPolicy",
    ),
    ("StorageClass", "volumeBindingMode", "VolumeBindingMode"),
    ("ServiceSpec", "type", "ServiceType"),
    (
        "ServiceSpec",
        "externalTrafficPolicy",
        "ServiceExternalTrafficPolicy",
    ),
    (
        "ServiceSpec",
        "internalTrafficPolicy",
        "ServiceInternalTrafficPolicy",
    ),
    ("ServiceSpec", "ipFamilies", "IPFamily"),
    ("ServiceSpec", "ipFamilyPolicy", "IPFamilyPolicy"),
    ("ServiceSpec", "sessionAffinity", "ServiceAffinity"),
    ("*", "effect", "TaintEffect"),
    ("Toleration", "operator", "TolerationOperator"),
    (
        "TopologySpreadConstraint",
        "whenUnsatisfiable",
        "UnsatisfiableConstraintAction",
    ),
    ("*", "nodeAffinityPolicy", "NodeInclusionPolicy"),
    ("*", "nodeTaintsPolicy", "NodeInclusionPolicy"),
    ("VolumeMount", "mountPropagation", "MountPropagationMode"),
    ("PodSpec", "dnsPolicy", "DNSPolicy"),
    (
        "PodSecurityContext",
        "fsGroupChangePolicy",
        "PodFSGroupChangePolicy",
    ),
    ("SecurityContext", "procMount", "ProcMountType"),
    ("SeccompProfile", "type", "SeccompProfileType"),
    ("AppArmorProfile", "type", "AppArmorProfileType"),
    ("DeploymentStrategy", "type", "DeploymentStrategyType"),
    (
        "DaemonSetUpdateStrategy",
        "type",
        "DaemonSetUpdateStrategyType",
    ),
    (
        "StatefulSetUpdateStrategy",
        "type",
        "StatefulSetUpdateStrategyType",
    ),
    (
        "StatefulSetSpec",
        "podManagementPolicy",
        "PodManagementPolicyType",
    ),
    ("NetworkPolicySpec", "policyTypes", "PolicyType"),
    ("*", "failurePolicy", "FailurePolicyType"),
    ("*", "operations", "OperationType"),
    ("RuleWithOperations", "scope", "ScopeType"),
    ("NamedRuleWithOperations", "scope", "ScopeType"),
    ("CustomResourceDefinitionSpec", "scope", "ResourceScope"),
    ("*", "sideEffects", "SideEffectClass"),
    ("*", "matchPolicy", "MatchPolicyType"),
    ("*", "reinvocationPolicy", "ReinvocationPolicyType"),
    ("ResourceQuotaSpec", "scopes", "ResourceQuotaScope"),
    (
        "PodDisruptionBudgetSpec",
        "unhealthyPodEvictionPolicy",
        "UnhealthyPodEvictionPolicyType",
    ),
    ("CertificateSigningRequestSpec", "usages", "KeyUsage"),
    ("Capabilities", "add", "Capability"),
    ("Capabilities", "drop", "Capability"),
    ("LimitRangeItem", "type", "LimitType"),
    ("MetricTarget", "type", "MetricTargetType"),
    ("MetricSpec", "type", "MetricSourceType"),
    ("HPAScalingPolicy", "type", "HPAScalingPolicyType"),
    ("HPAScalingRules", "selectPolicy", "ScalingPolicySelect"),
    ("Secret", "type", "SecretType"),
    ("NamespaceSpec", "finalizers", "FinalizerName"),
];

/// Fields of structs that Go embeds: (type, embedded struct, its fields; with `!` first: all fields but those).
const INLINE: &[(&str, &str, &[&str])] = &[
    ("Volume", "VolumeSource", &["!", "name"]),
    (
        "EphemeralContainer",
        "EphemeralContainerCommon",
        &["!", "targetContainerName"],
    ),
    (
        "Probe",
        "ProbeHandler",
        &["exec", "httpGet", "tcpSocket", "grpc"],
    ),
    ("IngressRule", "IngressRuleValue", &["http"]),
    (
        "PersistentVolumeSpec",
        "PersistentVolumeSource",
        &[
            "!",
            "accessModes",
            "capacity",
            "claimRef",
            "mountOptions",
            "nodeAffinity",
            "persistentVolumeReclaimPolicy",
            "storageClassName",
            "volumeMode",
            "volumeAttributesClassName",
        ],
    ),
    ("ConfigMapKeySelector", "LocalObjectReference", &["name"]),
    ("SecretKeySelector", "LocalObjectReference", &["name"]),
    ("ConfigMapEnvSource", "LocalObjectReference", &["name"]),
    ("SecretEnvSource", "LocalObjectReference", &["name"]),
    ("ConfigMapVolumeSource", "LocalObjectReference", &["name"]),
    ("ConfigMapProjection", "LocalObjectReference", &["name"]),
    ("SecretProjection", "LocalObjectReference", &["name"]),
    (
        "RuleWithOperations",
        "Rule",
        &["apiGroups", "apiVersions", "resources", "scope"],
    ),
];

/// Scalars that are pointers in Go, so that `false`, `0` and `""` differ from "not given":
/// (type or `*`, fields).
const POINTERS: &[(&str, &str)] = &[
    (
        "*",
        "automountServiceAccountToken enableServiceLinks shareProcessNamespace setHostnameAsFQDN hostUsers optional runAsNonRoot",
    ),
    (
        "*",
        "privileged readOnlyRootFilesystem allowPrivilegeEscalation allocateLoadBalancerNodePorts suspend immutable controller",
    ),
    (
        "*",
        "blockOwnerDeletion manualSelector allowVolumeExpansion attachRequired podInfoOnMount storageCapacity requiresRepublish",
    ),
    (
        "*",
        "seLinuxMount hostProcess completions parallelism backoffLimit backoffLimitPerIndex maxFailedIndexes activeDeadlineSeconds",
    ),
    (
        "*",
        "ttlSecondsAfterFinished revisionHistoryLimit progressDeadlineSeconds terminationGracePeriodSeconds priority runAsUser",
    ),
    (
        "*",
        "runAsGroup fsGroup defaultMode mode tolerationSeconds expirationSeconds partition minReplicas averageUtilization",
    ),
    (
        "*",
        "targetCPUUtilizationPercentage currentCPUUtilizationPercentage stabilizationWindowSeconds successfulJobsHistoryLimit",
    ),
    (
        "*",
        "failedJobsHistoryLimit startingDeadlineSeconds minDomains leaseDurationSeconds leaseTransitions deletionGracePeriodSeconds",
    ),
    (
        "*",
        "gracePeriodSeconds endPort volumeMode ipFamilyPolicy internalTrafficPolicy loadBalancerClass trafficDistribution",
    ),
    (
        "*",
        "ingressClassName runtimeClassName preemptionPolicy appProtocol zone holderIdentity procMount fsGroupChangePolicy timeZone",
    ),
    (
        "*",
        "reclaimPolicy volumeBindingMode volumeAttributesClassName selectPolicy supplementalGroupsPolicy failurePolicy matchPolicy",
    ),
    (
        "*",
        "sideEffects mountPropagation recursiveReadOnly nodeAffinityPolicy nodeTaintsPolicy completionMode podReplacementPolicy",
    ),
    (
        "*",
        "managedBy secretNamespace localhostProfile terminatingReplicas",
    ),
    ("DeploymentSpec", "replicas"),
    ("ReplicaSetSpec", "replicas"),
    ("StatefulSetSpec", "replicas"),
    ("ReplicationControllerSpec", "replicas"),
    ("JobStatus", "ready terminating"),
    ("EndpointConditions", "ready serving terminating"),
    ("AzureDiskVolumeSource", "readOnly fsType cachingMode kind"),
    ("ContainerStatus", "started"),
    ("ClientIPConfig", "timeoutSeconds"),
    ("ValidatingWebhook", "timeoutSeconds"),
    ("MutatingWebhook", "timeoutSeconds"),
    ("ServiceReference", "port path"),
    ("WebhookClientConfig", "url"),
    ("GRPCAction", "service"),
    ("HostPathVolumeSource", "type"),
    ("PersistentVolumeClaimSpec", "storageClassName"),
    ("EndpointPort", "name port protocol"),
    ("NetworkPolicyPort", "protocol"),
    ("Endpoint", "hostname nodeName"),
    ("EndpointAddress", "nodeName"),
    ("TypedLocalObjectReference", "apiGroup"),
    ("TypedObjectReference", "apiGroup"),
    ("PodDNSConfigOption", "value"),
    ("CSIPersistentVolumeSource", "nodeExpandSecretRef"),
    (
        "JSONSchemaProps",
        "minimum maximum multipleOf minLength maxLength minItems maxItems minProperties maxProperties x-kubernetes-preserve-unknown-fields",
    ),
];

/// Structs that Go holds by value, so that they are there, if empty, even when not given:
/// (type, fields). Beside these: `metadata`, `spec` and `status` of every kind.
const BY_VALUE: &[(&str, &str)] = &[
    ("Container", "resources"),
    ("EphemeralContainer", "resources"),
    ("PodTemplateSpec", "metadata spec"),
    ("JobTemplateSpec", "metadata spec"),
    ("PersistentVolumeClaimTemplate", "metadata spec"),
    ("DeploymentSpec", "strategy template"),
    ("DaemonSetSpec", "updateStrategy template"),
    ("StatefulSetSpec", "updateStrategy template"),
    ("ReplicaSetSpec", "template"),
    ("JobSpec", "template"),
    ("CronJobSpec", "jobTemplate"),
    ("PersistentVolumeClaimSpec", "resources"),
    ("HTTPIngressPath", "backend"),
    ("NetworkPolicySpec", "podSelector"),
    ("ServiceStatus", "loadBalancer"),
    ("IngressStatus", "loadBalancer"),
    ("NodeStatus", "daemonEndpoints nodeInfo"),
    ("NodeDaemonEndpoints", "kubeletEndpoint"),
    ("ContainerStatus", "state lastState"),
    ("Endpoint", "conditions"),
    ("HorizontalPodAutoscalerSpec", "scaleTargetRef"),
    ("ResourceMetricSource", "target"),
    ("PodsMetricSource", "target metric"),
    ("ObjectMetricSource", "target metric describedObject"),
    ("ExternalMetricSource", "target metric"),
    ("ContainerResourceMetricSource", "target"),
    ("RoleBinding", "roleRef"),
    ("ClusterRoleBinding", "roleRef"),
    ("CustomResourceDefinitionSpec", "names"),
    ("CustomResourceDefinitionStatus", "acceptedNames"),
    ("ValidatingWebhook", "clientConfig"),
    ("MutatingWebhook", "clientConfig"),
];

/// Fields that Go prints even if they are zero (or nil), though OpenAPI does not call them required.
const PRINTED: &[(&str, &str)] = &[
    ("AzureFilePersistentVolumeSource", "secretNamespace"),
    ("HorizontalPodAutoscalerStatus", "currentMetrics"),
    ("TypedLocalObjectReference", "apiGroup"),
    ("TypedObjectReference", "apiGroup"),
    ("StatefulSetStatus", "availableReplicas"),
    ("StatefulSetSpec", "serviceName"),
    ("CustomResourceDefinitionVersion", "served storage"),
    (
        "PodDisruptionBudgetStatus",
        "currentHealthy desiredHealthy disruptionsAllowed expectedPods",
    ),
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Reads the two documents in `source`; writes the schema to `target` and what it says of the types that
/// people learn with to `described`.
pub fn generate(source: &Path, target: &Path, described: &Path) -> Result<()> {
    let openapi = read(&source.join("openapi-v2.json"))?;
    let discovery = read(&source.join("discovery.json"))?;
    let definitions = openapi["definitions"]
        .as_object()
        .ok_or("no definitions in the OpenAPI document")?;
    let text = Types::new(definitions).print(&discovery)?;
    std::fs::write(target, &text)?;
    println!("{}: {} bytes", target.display(), text.len());
    let text = descriptions(definitions);
    std::fs::write(described, &text)?;
    println!("{}: {} bytes", described.display(), text.len());
    Ok(())
}

/// The types that people learn with, whose descriptions `kubectl explain` shows. All of them would be ten
/// times the schema.
const DESCRIBED: &str = "Affinity ClusterRole ClusterRoleBinding ConfigMap Container ContainerPort CronJob CronJobSpec DaemonSet DaemonSetSpec Deployment DeploymentSpec DeploymentStatus DeploymentStrategy EnvVar EnvVarSource ExecAction HTTPGetAction HorizontalPodAutoscaler HorizontalPodAutoscalerSpec Ingress IngressSpec Job JobSpec LabelSelector LimitRange Namespace NamespaceSpec NetworkPolicy NetworkPolicySpec Node NodeAffinity NodeSpec ObjectMeta PersistentVolume PersistentVolumeClaim PersistentVolumeClaimSpec Pod PodDisruptionBudget PodDisruptionBudgetSpec PodSpec PodStatus PodTemplateSpec Probe ReplicaSet ReplicaSetSpec ResourceQuota ResourceQuotaSpec ResourceRequirements Role RoleBinding RollingUpdateDeployment Secret SecurityContext Service ServiceAccount ServicePort ServiceSpec StatefulSet StatefulSetSpec StorageClass TCPSocketAction Toleration TopologySpreadConstraint Volume VolumeMount";

/// What the API's own document says of types and fields: `#TYPE PACKAGE<tab>text`, then for each field
/// `FIELD<tab>allowed,values<tab>text`. The document is Kubernetes' own, under the Apache License 2.0.
fn descriptions(definitions: &Map<String, Value>) -> String {
    let wanted: Vec<&str> = DESCRIBED.split(' ').collect();
    let line = |v: &Value| text(v).replace('\\', "\\\\").replace('\n', "\\n");
    let mut out = String::from(
        "# Made by `cargo xtask schema` from a Kubernetes API server's own documents (Apache License 2.0). Do not edit.\n",
    );
    for (name, d) in definitions {
        let (package, short) = go_name(name);
        let newest = if short.starts_with("HorizontalPodAutoscaler") {
            "v2"
        } else {
            "v1"
        };
        if package != newest || !wanted.contains(&short) {
            continue;
        }
        let _ = writeln!(out, "#{short} {package}\t{}", line(&d["description"]));
        for (field, p) in d["properties"].as_object().into_iter().flatten() {
            let allowed = p["enum"].as_array().into_iter().flatten().map(text);
            let allowed: Vec<&str> = allowed.collect();
            let _ = writeln!(
                out,
                "{field}\t{}\t{}",
                allowed.join(","),
                line(&p["description"])
            );
        }
    }
    out
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

struct Types<'a> {
    definitions: &'a Map<String, Value>,
    index: BTreeMap<&'a str, usize>,
}

impl<'a> Types<'a> {
    fn new(definitions: &'a Map<String, Value>) -> Types<'a> {
        let structs = definitions
            .iter()
            .filter(|(name, d)| scalar(name).is_none() && !is_list(d));
        let index = structs
            .enumerate()
            .map(|(i, (name, _))| (name.as_str(), i))
            .collect();
        Types { definitions, index }
    }

    fn print(&self, discovery: &Value) -> Result<String> {
        let mut out = String::from(
            "# Made by `cargo xtask schema` from a Kubernetes API server's own documents. Do not edit.\n",
        );
        let mut package = "";
        for name in self.index.keys() {
            let own = name.rsplit_once('.').map_or("", |(package, _)| package);
            if own != package {
                writeln!(out, "%{own}")?;
                package = own;
            }
            self.print_struct(&mut out, name, &self.definitions[*name])?;
        }
        let groups = discovery["/apis"]["groups"]
            .as_array()
            .into_iter()
            .flatten();
        let versions = groups.flat_map(|g| g["versions"].as_array().into_iter().flatten());
        let paths = versions
            .filter_map(|v| v["groupVersion"].as_str())
            .map(|v| format!("/apis/{v}"));
        for path in std::iter::once("/api/v1".to_string()).chain(paths) {
            self.print_resources(&mut out, &discovery[&path])?;
        }
        Ok(out)
    }

    fn print_struct(&self, out: &mut String, name: &str, d: &Value) -> Result<()> {
        let (package, short) = go_name(name);
        write!(out, "#{short} {package}")?;
        if let Some(gvk) = d["x-kubernetes-group-version-kind"]
            .as_array()
            .and_then(|a| a.first())
        {
            let (group, version, kind) = (
                text(&gvk["group"]),
                text(&gvk["version"]),
                text(&gvk["kind"]),
            );
            write!(out, " {} {kind}", api_version(group, version))?;
        }
        out.push('\n');
        let required: Vec<&str> = d["required"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        for (field, p) in d["properties"].as_object().into_iter().flatten() {
            write!(out, "{field} {}", self.type_code(short, package, field, p)?)?;
            if required.contains(&field.as_str()) {
                out.push_str(" !");
            }
            if listed(POINTERS, short, field) {
                out.push_str(" z");
            }
            if listed(PRINTED, short, field) {
                out.push_str(" n");
            }
            let of_kind = !d["x-kubernetes-group-version-kind"].is_null()
                && matches!(field.as_str(), "metadata" | "spec" | "status");
            if !p["$ref"].is_null() && (of_kind || listed(BY_VALUE, short, field)) {
                out.push_str(" a");
            }
            for (letter, key) in [
                ('p', "x-kubernetes-patch-strategy"),
                ('k', "x-kubernetes-patch-merge-key"),
                ('t', "x-kubernetes-list-type"),
                ('t', "x-kubernetes-map-type"),
            ] {
                if let Some(value) = p[key].as_str() {
                    write!(out, " {letter}={value}")?;
                }
            }
            if let Some(keys) = p["x-kubernetes-list-map-keys"].as_array() {
                let keys: Vec<&str> = keys.iter().map(text).collect();
                write!(out, " m={}", keys.join(","))?;
            }
            if let Some(embedded) = inline(short, field) {
                write!(out, " i={embedded}")?;
            }
            out.push('\n');
        }
        Ok(())
    }

    fn type_code(&self, owner: &str, package: &str, field: &str, p: &Value) -> Result<String> {
        if let Some(reference) = p["$ref"].as_str() {
            let name = reference.trim_start_matches("#/definitions/");
            return match scalar(name) {
                Some(code) => Ok(code.to_string()),
                None => Ok(self
                    .index
                    .get(name)
                    .ok_or_else(|| format!("no definition {name}"))?
                    .to_string()),
            };
        }
        Ok(match (text(&p["type"]), text(&p["format"])) {
            ("string", "byte") => "y".into(),
            ("string", _) => match named(owner, field, !p["enum"].is_null()) {
                Some(name) => format!("s={package}.{name}"),
                None => "s".into(),
            },
            ("boolean", _) => "b".into(),
            ("integer", "int32") => "i".into(),
            ("integer", _) => "l".into(),
            ("number", _) => "f".into(),
            ("array", _) => format!("[{}", self.type_code(owner, package, field, &p["items"])?),
            ("object", _) => {
                let value = self.type_code(owner, package, field, &p["additionalProperties"])?;
                let list = if value == "q" { "=v1.ResourceList" } else { "" };
                format!("{{{value}{list}")
            }
            _ => "r".into(),
        })
    }

    fn print_resources(&self, out: &mut String, list: &Value) -> Result<()> {
        let group_version = text(&list["groupVersion"]);
        for r in list["resources"].as_array().into_iter().flatten() {
            let (name, kind) = (text(&r["name"]), text(&r["kind"]));
            let words = |key: &str| {
                r[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(text)
                    .collect::<Vec<_>>()
                    .join(",")
            };
            if let Some((_, subresource)) = name.split_once('/') {
                let version = match (r["group"].as_str(), r["version"].as_str()) {
                    (Some(g), Some(v)) => api_version(g, v),
                    _ => group_version.to_string(),
                };
                writeln!(out, "/{subresource} {version} {kind} {}", words("verbs"))?;
                continue;
            }
            let scope = if r["namespaced"] == true { "n" } else { "c" };
            write!(
                out,
                "@{name} {} {group_version} {kind} {scope} {}",
                text(&r["singularName"]),
                words("verbs")
            )?;
            for (letter, key) in [('s', "shortNames"), ('c', "categories")] {
                if !r[key].is_null() {
                    write!(out, " {letter}={}", words(key))?;
                }
            }
            out.push('\n');
        }
        Ok(())
    }
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or("")
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_string()
    } else {
        format!("{group}/{version}")
    }
}

/// `io.k8s.api.core.v1.PodSpec` -> (`v1`, `PodSpec`)
fn go_name(name: &str) -> (&str, &str) {
    let (path, short) = name.rsplit_once('.').unwrap_or(("", name));
    (path.rsplit('.').next().unwrap_or(""), short)
}

/// The code of a definition that Go decodes by a method of its own.
fn scalar(name: &str) -> Option<&'static str> {
    Some(match go_name(name).1 {
        "IntOrString" => "o",
        "Quantity" => "q",
        "Time" => "t",
        "MicroTime" => "u",
        "FieldsV1"
        | "RawExtension"
        | "Patch"
        | "JSON"
        | "JSONSchemaPropsOrArray"
        | "JSONSchemaPropsOrBool"
        | "JSONSchemaPropsOrStringArray" => "r",
        _ => return None,
    })
}

/// `PodList` and its like: their structure is the same for all.
fn is_list(d: &Value) -> bool {
    let p = &d["properties"];
    !p["items"].is_null() && text(&p["metadata"]["$ref"]).ends_with(".ListMeta")
}

fn listed(table: &[(&str, &str)], owner: &str, field: &str) -> bool {
    let of = |o: &str| o == owner || o == "*";
    table
        .iter()
        .any(|(o, fields)| of(o) && fields.split(' ').any(|f| f == field))
}

fn named(owner: &str, field: &str, is_enum: bool) -> Option<String> {
    let exact = NAMED.iter().find(|(o, f, _)| (*o, *f) == (owner, field));
    let any = || {
        NAMED
            .iter()
            .find(|(o, f, _)| *o == "*" && *f == field && (is_enum || field == "accessModes"))
    };
    if let Some((_, _, name)) = exact.or_else(any) {
        return Some((*name).to_string());
    }
    let mut letters = field.chars();
    let first = letters.next()?.to_ascii_uppercase();
    is_enum.then(|| format!("{first}{}", letters.as_str()))
}

fn inline(owner: &str, field: &str) -> Option<&'static str> {
    if field == "apiVersion" || field == "kind" {
        return None;
    }
    let (_, embedded, fields) = INLINE.iter().find(|(o, ..)| *o == owner)?;
    let listed = fields.contains(&field);
    let all_but = fields.first() == Some(&"!");
    (listed != all_but).then_some(*embedded)
}
