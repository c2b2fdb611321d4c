//! Warnings that the API server sends with an accepted object: what is deprecated, or will not do
//! what it looks like. Source: kubernetes v1.37, `pkg/api/{pod,service,node,persistentvolume,
//! persistentvolumeclaim}/warnings.go` and the strategies' `WarningsOnCreate`.

mod overlap;
mod ports;

use crate::meta::ObjectMeta;
use crate::quantity::Quantity;
use crate::schema::Resource;
use crate::value::Value;
use crate::{base64, go, names};

/// The warnings about an object, defaults and all, in the order in which they are sent.
pub fn of(resource: &Resource, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let spec = &object["spec"];
    match (&*resource.group, &*resource.kind) {
        ("", "Pod") => {
            name(object, "the Pod's hostname", &mut found);
            pod("", object, &mut found);
        }
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet")
        | ("batch", "Job") => {
            if &*resource.kind != "StatefulSet" {
                name(object, "Pod names and hostnames", &mut found);
            }
            pod("spec.template", &spec["template"], &mut found);
            for (at, claim) in spec["volumeClaimTemplates"].items().iter().enumerate() {
                claim_warnings(
                    &format!("spec.volumeClaimTemplates[{at}]"),
                    claim,
                    &mut found,
                );
            }
        }
        ("apps", "DaemonSet") => pod("spec.template", &spec["template"], &mut found),
        ("", "PodTemplate") => pod("template", &object["template"], &mut found),
        ("batch", "CronJob") => {
            name(object, "Pod names and hostnames", &mut found);
            let template = &spec["jobTemplate"]["spec"]["template"];
            pod("spec.jobTemplate.spec.template", template, &mut found);
        }
        ("", "Service") => service(object, &mut found),
        ("", "Node") => {
            if !spec["configSource"].is_null() {
                found.push("spec.configSource: the feature is no longer supported".into());
            }
            if !spec["externalID"].is_empty() {
                found.push(
                    "spec.externalID: this field is deprecated, and is unused by Kubernetes".into(),
                );
            }
        }
        ("discovery.k8s.io", "EndpointSlice") if object["addressType"].str() == "FQDN" => {
            found.push("spec.addressType: FQDN endpoints are deprecated".into());
        }
        ("", "PersistentVolumeClaim") => claim_warnings("", object, &mut found),
        ("", "PersistentVolume") => volume(object, &mut found),
        ("", "Secret") if object["type"].str() == "kubernetes.io/tls" => tls(object, &mut found),
        ("networking.k8s.io", "Ingress")
            if object.annotation("kubernetes.io/ingress.class").is_some() =>
        {
            found.push("annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead".into());
        }
        _ => {}
    }
    found
}

/// `spec.x` under a path that may be empty.
fn under(path: &str, rest: &str) -> String {
    if path.is_empty() {
        rest.into()
    } else {
        format!("{path}.{rest}")
    }
}

fn name(object: &Value, used_in: &str, found: &mut Vec<String>) {
    let complaints = names::dns1123_label(object.name());
    if !complaints.is_empty() {
        found.push(format!(
            "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            complaints.join(" ")
        ));
    }
}

/// What stands in place of an old node label.
fn node_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

const NULL_SELECTOR: &str = "a null labelSelector results in matching no pod";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A pod or a pod template at `path`.
fn pod(path: &str, object: &Value, found: &mut Vec<String>) {
    let spec = &object["spec"];
    let at = |rest: &str| under(path, &format!("spec.{rest}"));
    for (key, _) in spec["nodeSelector"].entries() {
        if let Some(why) = node_label(key) {
            found.push(format!("{}: {why}", at(&format!("nodeSelector[{key}]"))));
        }
    }
    node_affinity(
        &spec["affinity"]["nodeAffinity"],
        &at("affinity.nodeAffinity"),
        found,
    );
    for (i, constraint) in spec["topologySpreadConstraints"].items().iter().enumerate() {
        let here = at(&format!("topologySpreadConstraints[{i}]"));
        let key = constraint["topologyKey"].str();
        if let Some(why) = node_label(key) {
            found.push(format!("{here}.topologyKey: {key} is {why}"));
        }
        if constraint["labelSelector"].is_null() {
            found.push(format!("{here}.labelSelector: {NULL_SELECTOR}"));
        }
    }
    annotations(path, object, found);
    for (i, volume) in spec["volumes"].items().iter().enumerate() {
        sources(&at(&format!("volumes[{i}]")), volume, found);
    }
    overlap::volumes(&spec["volumes"], found);
    let aliases = spec["hostAliases"].items();
    for (i, alias) in aliases.iter().enumerate() {
        if aliases[..i].iter().any(|a| a["ip"] == alias["ip"]) {
            found.push(format!(
                "{}: duplicate ip {}",
                at(&format!("hostAliases[{i}].ip")),
                go::quote(alias["ip"].str())
            ));
        }
    }
    let secrets = spec["imagePullSecrets"].items();
    for (i, secret) in secrets.iter().enumerate() {
        if secrets[..i]
            .iter()
            .any(|s| s["name"].str() == secret["name"].str())
        {
            found.push(format!(
                "{}: duplicate name {}",
                at(&format!("imagePullSecrets[{i}].name")),
                go::quote(secret["name"].str())
            ));
        }
    }
    for (i, secret) in secrets.iter().enumerate() {
        if secret["name"].is_empty() {
            found.push(format!(
                "{}: invalid empty name \"\"",
                at(&format!("imagePullSecrets[{i}].name"))
            ));
        }
    }
    for resource in ["memory", "ephemeral-storage"] {
        let place = at(&format!("overhead[{resource}]"));
        fraction(&spec["overhead"][resource], &place, found);
    }
    seccomp_of_pod(path, object, found);
    ports::containers(path, object, &at, found);
    if spec["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|s| s < 0)
    {
        found.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            at("terminationGracePeriodSeconds")
        ));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (i, term) in spec["affinity"][kind][REQUIRED].items().iter().enumerate() {
            if term["labelSelector"].is_null() {
                found.push(format!(
                    "{}: {NULL_SELECTOR}",
                    at(&format!("affinity.{kind}.{REQUIRED}[{i}].labelSelector"))
                ));
            }
        }
        for (i, term) in spec["affinity"][kind][PREFERRED].items().iter().enumerate() {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                found.push(format!(
                    "{}: {NULL_SELECTOR}",
                    at(&format!(
                        "affinity.{kind}.{PREFERRED}[{i}].podAffinityTerm.labelSelector"
                    ))
                ));
            }
        }
    }
}

fn node_affinity(affinity: &Value, path: &str, found: &mut Vec<String>) {
    let mut terms = Vec::new();
    for (i, term) in affinity[REQUIRED]["nodeSelectorTerms"]
        .items()
        .iter()
        .enumerate()
    {
        terms.push((format!("{path}.{REQUIRED}.nodeSelectorTerms[{i}]"), term));
    }
    for (i, term) in affinity[PREFERRED].items().iter().enumerate() {
        terms.push((
            format!("{path}.{PREFERRED}[{i}].preference"),
            &term["preference"],
        ));
    }
    for (path, term) in terms {
        for (j, expression) in term["matchExpressions"].items().iter().enumerate() {
            if let Some(why) = node_label(expression["key"].str()) {
                found.push(format!(
                    "{path}.matchExpressions[{j}].key: {} is {why}",
                    expression["key"].str()
                ));
            }
        }
    }
}

/// Annotations that no longer do anything, or whose fields are better.
fn annotations(path: &str, object: &Value, found: &mut Vec<String>) {
    for (key, why) in [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/unsafe-sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
    ] {
        if object.annotation(key).is_some() {
            annotation(path, key, why, found);
        }
    }
}

fn annotation(path: &str, key: &str, why: &str, found: &mut Vec<String>) {
    let at = under(path, &format!("metadata.annotations[{key}]"));
    found.push(format!("{at}: {why}"));
}

const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

fn seccomp_of_pod(path: &str, object: &Value, found: &mut Vec<String>) {
    let key = "seccomp.security.alpha.kubernetes.io/pod";
    let has_field = !object["spec"]["securityContext"]["seccompProfile"].is_null();
    if !has_field && object.annotation(key).is_some() {
        annotation(path, key, SECCOMP, found);
    }
}

/// What annotations say of one container.
fn container_annotations(path: &str, object: &Value, c: &Value, found: &mut Vec<String>) {
    let context = &c["securityContext"];
    let key = format!(
        "container.seccomp.security.alpha.kubernetes.io/{}",
        c["name"].str()
    );
    if context["seccompProfile"].is_null() && object.annotation(&key).is_some() {
        annotation(path, &key, SECCOMP, found);
    }
    let key = format!(
        "container.apparmor.security.beta.kubernetes.io/{}",
        c["name"].str()
    );
    let profile = object.annotation(&key);
    // A pod's annotations have become fields before it is looked at.
    let has_field = !path.is_empty() && !context["appArmorProfile"].is_null();
    if profile.is_some_and(|p| !p.is_empty()) && !has_field {
        let why = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
        annotation(path, &key, why, found);
    }
}

/// Kinds of volumes that no longer work.
fn sources(path: &str, volume: &Value, found: &mut Vec<String>) {
    for (field, why) in [
        (
            "gitRepo",
            "deprecated in v1.11, and disabled by default in v1.33+",
        ),
        ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
        ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
        ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
        (
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ] {
        if !volume[field].is_null() {
            let shown = if field == "storageos" {
                "storageOS"
            } else {
                field
            };
            found.push(format!("{path}.{shown}: {why}"));
        }
    }
    if !volume["ephemeral"].is_null() {
        claim_warnings(
            &format!("{path}.ephemeral.volumeClaimTemplate"),
            &volume["ephemeral"]["volumeClaimTemplate"],
            found,
        );
    }
}

fn fraction(value: &Value, path: &str, found: &mut Vec<String>) {
    if let Ok(quantity) = value.str().parse::<Quantity>()
        && !quantity.is_whole()
    {
        found.push(format!(
            "{path}: fractional byte value {} is invalid, must be an integer",
            go::quote(&quantity.to_string())
        ));
    }
}

fn service(object: &Value, found: &mut Vec<String>) {
    let spec = &object["spec"];
    if object
        .annotation("service.kubernetes.io/topology-aware-hints")
        .is_some()
    {
        found.push("annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead".into());
    }
    let kind = spec["type"].str();
    if kind == "ClusterIP" && spec["clusterIP"].str() == "None" {
        for (field, shown) in [
            ("loadBalancerIP", "spec.loadBalancerIP"),
            ("externalIPs", "spec.externalIPs"),
        ] {
            if !spec[field].is_empty() {
                found.push(format!("{shown} is ignored for headless services"));
            }
        }
        if spec["sessionAffinity"].str() != "None" {
            found.push("spec.SessionAffinity is ignored for headless services".into());
        }
    } else if !spec["externalIPs"].is_empty() && kind != "ExternalName" {
        found.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
                .into(),
        );
    }
    if !spec["externalIPs"].is_empty() && kind == "ExternalName" {
        found.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if !spec["externalName"].is_empty() && kind != "ExternalName" {
        found.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if spec["trafficDistribution"].str() == "PreferClose" {
        found.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""
                .into(),
        );
    }
}

const STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

fn claim_warnings(path: &str, claim: &Value, found: &mut Vec<String>) {
    // Templates of claims are looked at for their specs only.
    if path.is_empty() && claim.annotation(STORAGE_CLASS).is_some() {
        found.push(format!(
            "{}: deprecated since v1.8; use \"storageClassName\" attribute instead",
            under(path, &format!("metadata.annotations[{STORAGE_CLASS}]"))
        ));
    }
    fraction(
        &claim["spec"]["resources"]["requests"]["storage"],
        &under(path, "spec.resources.requests[storage]"),
        found,
    );
}

fn volume(object: &Value, found: &mut Vec<String>) {
    let spec = &object["spec"];
    for (key, why) in [
        (
            STORAGE_CLASS,
            "deprecated since v1.8; use \"storageClassName\" attribute instead",
        ),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ] {
        if object.annotation(key).is_some() {
            annotation("", key, why, found);
        }
    }
    if spec["persistentVolumeReclaimPolicy"].str() == "Recycle" {
        found.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".into());
    }
    let terms = &spec["nodeAffinity"]["required"]["nodeSelectorTerms"];
    for (i, term) in terms.items().iter().enumerate() {
        for (j, expression) in term["matchExpressions"].items().iter().enumerate() {
            let key = expression["key"].str();
            if let Some(why) = node_label(key) {
                found.push(format!("spec.nodeAffinity.required.nodeSelectorTerms[{i}].matchExpressions[{j}].key: {key} is {why}"));
            }
        }
    }
    // Nobody warns of the other kinds that no longer work.
    let warned = [
        "cephfs",
        "photonPersistentDisk",
        "scaleIO",
        "storageos",
        "glusterfs",
        "rbd",
    ];
    let mut kinds = Value::new_object();
    for kind in warned {
        kinds[kind] = spec[kind].clone();
    }
    sources("spec", &kinds, found);
}

/// Go's `tls.X509KeyPair`, as far as its first complaints.
fn tls(object: &Value, found: &mut Vec<String>) {
    let pem = |key: &str| {
        let bytes = base64::decode(object["data"][key].str()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains("-----BEGIN ")
    };
    if !pem("tls.crt") {
        found.push("tls: failed to find any PEM data in certificate input".into());
    } else if !pem("tls.key") {
        found.push("tls: failed to find any PEM data in key input".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[track_caller]
    fn warns(api_version: &str, kind: &str, json: &str, want: &[&str]) {
        let resource = Schema::builtin().by_kind(api_version, kind).unwrap();
        assert_eq!(of(resource, &Value::from_json(json).unwrap()), want);
    }

    #[test]
    fn what_is_deprecated_or_odd_is_said() {
        warns(
            "v1",
            "Pod",
            r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c"}]}}"#,
            &[],
        );
        warns(
            "v1",
            "Pod",
            r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","resources":{"requests":{"memory":"64m"}},"env":[{"name":"A"},{"name":"A"}]}]}}"#,
            &[
                "spec.containers[0].resources.requests[memory]: fractional byte value \"64m\" is invalid, must be an integer",
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            ],
        );
        warns(
            "v1",
            "Pod",
            r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","env":[{"name":"A"},{"name":"A","value":"$(A)b"}],"ports":[{"name":"w","containerPort":80,"hostIP":"1.1.1.1","protocol":"TCP"},{"name":"w","containerPort":80,"hostPort":8,"protocol":"TCP"}]}],"imagePullSecrets":[{"name":"s"},{"name":"s"}],"volumes":[{"name":"v","configMap":{"name":"m","items":[{"path":"a"},{"path":"a/b"}]}}]}}"#,
            &[
                "volume \"v\" (ConfigMap \"m\"): overlapping paths: \"a/b\" with \"a\"",
                "spec.imagePullSecrets[1].name: duplicate name \"s\"",
                "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:w HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}",
                "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[1]: duplicate port name \"w\" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]",
            ],
        );
        warns(
            "apps/v1",
            "DaemonSet",
            r#"{"metadata":{"name":"a"},"spec":{"template":{"spec":{"nodeSelector":{"beta.kubernetes.io/os":"linux"}}}}}"#,
            &[
                "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            ],
        );
        warns(
            "v1",
            "Service",
            r#"{"spec":{"type":"ClusterIP","externalName":"x"}}"#,
            &["spec.externalName is ignored when spec.type is not \"ExternalName\""],
        );
    }
}
