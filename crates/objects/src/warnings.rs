//! Warnings that the API server sends with an accepted object: what is deprecated, or will not do
//! what it looks like. Source: kubernetes v1.37, `pkg/api/{pod,service,node,persistentvolume,
//! persistentvolumeclaim}/warnings.go` and the strategies' `WarningsOnCreate`.

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
        if let Some(why) = node_label(constraint["topologyKey"].str()) {
            found.push(format!("{here}.topologyKey: {why}"));
        }
        if constraint["labelSelector"].is_null() {
            found.push(format!("{here}.labelSelector: {NULL_SELECTOR}"));
        }
    }
    annotations(path, object, found);
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
    for (i, volume) in spec["volumes"].items().iter().enumerate() {
        sources(&at(&format!("volumes[{i}]")), volume, found);
    }
    for (i, secret) in spec["imagePullSecrets"].items().iter().enumerate() {
        if secret["name"].is_empty() {
            found.push(format!(
                "{}: invalid empty name \"\"",
                at(&format!("imagePullSecrets[{i}].name"))
            ));
        }
    }
    containers(spec, &at, found);
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

fn annotations(path: &str, object: &Value, found: &mut Vec<String>) {
    for (key, value) in object.annotations().entries() {
        let container = |prefix: &str| {
            let name = key.strip_prefix(prefix)?;
            let all = ["containers", "initContainers"];
            all.iter()
                .flat_map(|l| object["spec"][*l].items())
                .find(|c| c["name"].str() == name)
        };
        let why = if &**key == "scheduler.alpha.kubernetes.io/critical-pod" {
            "non-functional in v1.16+; use the \"priorityClassName\" field instead"
        } else if &**key == "seccomp.security.alpha.kubernetes.io/pod"
            || container("container.seccomp.security.alpha.kubernetes.io/").is_some()
        {
            "non-functional in v1.27+; use the \"seccompProfile\" field instead"
        } else if key.starts_with("container.apparmor.security.beta.kubernetes.io/")
            && !value.is_empty()
        {
            "deprecated since v1.30; use the \"appArmorProfile\" field instead"
        } else {
            continue;
        };
        found.push(format!(
            "{}: {why}",
            under(path, &format!("metadata.annotations[{key}]"))
        ));
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
            found.push(format!("{path}.{field}: {why}"));
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

fn containers(spec: &Value, at: &impl Fn(&str) -> String, found: &mut Vec<String>) {
    let mut ports: Vec<(&Value, String)> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in spec[list].items().iter().enumerate() {
            let path = at(&format!("{list}[{i}]"));
            for (field, resource) in [
                ("limits", "memory"),
                ("requests", "memory"),
                ("limits", "ephemeral-storage"),
                ("requests", "ephemeral-storage"),
            ] {
                fraction(
                    &container["resources"][field][resource],
                    &format!("{path}.resources.{field}[{resource}]"),
                    found,
                );
            }
            let env = container["env"].items();
            for (j, e) in env.iter().enumerate() {
                if env[..j].iter().any(|earlier| earlier["name"] == e["name"]) {
                    found.push(format!("{path}.env[{j}]: hides previous definition of {}, which may be dropped when using apply", go::quote(e["name"].str())));
                }
            }
            if list == "initContainers" {
                continue;
            }
            for (j, port) in container["ports"].items().iter().enumerate() {
                let here = format!("{path}.ports[{j}]");
                let same = |p: &Value| {
                    ["containerPort", "protocol", "hostPort", "hostIP"]
                        .iter()
                        .all(|f| p[*f] == port[*f])
                };
                if let Some((_, first)) = ports.iter().find(|(p, _)| same(p)) {
                    found.push(format!("{here}: duplicate port definition with {first}"));
                }
                ports.push((port, here));
            }
        }
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
    if spec["clusterIP"].str() == "None" {
        for (field, shown) in [
            ("loadBalancerIP", "spec.loadBalancerIP"),
            ("externalIPs", "spec.externalIPs"),
        ] {
            if !spec[field].is_empty() {
                found.push(format!("{shown} is ignored for headless services"));
            }
        }
        if spec["sessionAffinity"].str() == "ClientIP" {
            found.push("spec.SessionAffinity is ignored for headless services".into());
        }
    } else if !spec["externalIPs"].is_empty() {
        found.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
                .into(),
        );
    }
    if !spec["externalName"].is_empty() && spec["type"].str() != "ExternalName" {
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
    for (i, term) in spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
        .items()
        .iter()
        .enumerate()
    {
        for (j, expression) in term["matchExpressions"].items().iter().enumerate() {
            if let Some(why) = node_label(expression["key"].str()) {
                found.push(format!("spec.nodeAffinity.required.nodeSelectorTerms[{i}].matchExpressions[{j}].key: {} is {why}", expression["key"].str()));
            }
        }
    }
    if object.annotation(STORAGE_CLASS).is_some() {
        found.push(format!("metadata.annotations[{STORAGE_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"));
    }
    if spec["persistentVolumeReclaimPolicy"].str() == "Recycle" {
        found.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".into());
    }
    sources("spec", spec, found);
    fraction(
        &spec["capacity"]["storage"],
        "spec.capacity[storage]",
        found,
    );
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
