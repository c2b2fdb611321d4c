//! A container's environment and command line: what the pod says, put together as the kubelet and
//! the runtime do (kubelet v1.37, `pkg/kubelet/kubelet_pods.go`, makeEnvironmentVariables).

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{Text, Value};

use crate::cluster::Cluster;
use crate::images::Image;
use crate::kubelet::containers;
use crate::runtime::process::{base_name, is_shell};

/// Variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// A container's variables. In a namespace of a thousand Services seven thousand tell of those: they are
/// kept once for all containers that have the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    own: Variables,
    services: Arc<Variables>,
}

impl Environment {
    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.own.get(name).or_else(|| self.services.get(name))
    }

    /// All of them.
    pub fn variables(self) -> Variables {
        let mut all = (*self.services).clone();
        all.extend(self.own);
        all
    }
}

/// The environment of the container at that place.
///
/// # Errors
/// What keeps it from being created: `configmap "x" not found`.
pub(crate) fn of(
    cluster: &Cluster,
    node: &Text,
    uid: &str,
    pod: &Value,
    place: usize,
) -> Result<Environment, String> {
    static NULL: Value = Value::Null;
    let spec = containers(pod).nth(place).unwrap_or(&NULL);
    let mut env = Variables::new();
    let sandbox = cluster.sandbox(node, uid);
    let image = sandbox
        .and_then(|s| s.containers.get(place))
        .and_then(|c| image_of(cluster, node, &c.image));
    env.insert(
        "PATH".into(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
    );
    env.insert("HOSTNAME".into(), hostname(pod));
    env.insert("HOME".into(), "/root".into());
    for (name, value) in image.map_or(&[][..], |i| i.env) {
        env.insert((*name).into(), (*value).into());
    }
    // What Services there were is settled when the container is made.
    let made = sandbox
        .and_then(|s| s.containers.get(place))
        .and_then(|c| c.services.clone());
    let services = made.unwrap_or_default();
    for source in spec["envFrom"].items() {
        env_from(cluster, pod, source, &mut env)?;
    }
    let mut own = Variables::new();
    for variable in spec["env"].items() {
        let name = variable["name"].str();
        let value = match variable.get("valueFrom") {
            Some(source) => match value_from(cluster, node, uid, pod, spec, source)? {
                Some(value) => value,
                None => continue,
            },
            None => expand(variable["value"].str(), |name| {
                own.get(name)
                    .or_else(|| services.get(name))
                    .or_else(|| env.get(name))
                    .cloned()
            }),
        };
        own.insert(name.to_owned(), value);
    }
    env.extend(own);
    Ok(Environment { own: env, services })
}

/// The environment of a container that runs: as it was when it was made.
pub(crate) fn of_running(
    cluster: &Cluster,
    node: &Text,
    uid: &str,
    pod: &Value,
    place: usize,
) -> Environment {
    let container = cluster
        .sandbox(node, uid)
        .and_then(|s| s.containers.get(place));
    match container.and_then(|c| c.env.as_ref()) {
        Some(env) => (**env).clone(),
        None => of(cluster, node, uid, pod, place).unwrap_or_default(),
    }
}

/// Whether an environment comes from objects that may change while the container runs.
pub(super) fn may_change(spec: &Value) -> bool {
    !spec["envFrom"].items().is_empty()
        || spec["env"].items().iter().any(|variable| {
            let source = &variable["valueFrom"];
            let path = source["fieldRef"]["fieldPath"].str();
            !source["configMapKeyRef"].is_null()
                || !source["secretKeyRef"].is_null()
                || path.starts_with("metadata.labels")
                || path.starts_with("metadata.annotations")
        })
}

/// The command line of the container at that place.
pub(crate) fn argv(
    pod: &Value,
    place: usize,
    image: Option<&Image>,
    env: &Environment,
) -> Vec<String> {
    static NULL: Value = Value::Null;
    let spec = containers(pod).nth(place).unwrap_or(&NULL);
    let words = |list: &Value| -> Vec<String> {
        list.items()
            .iter()
            .map(|w| expand(w.str(), |name| env.get(name).cloned()))
            .collect()
    };
    let of_image =
        |list: &[&str]| -> Vec<String> { list.iter().map(|w| (*w).to_owned()).collect() };
    let (command, args) = (words(&spec["command"]), words(&spec["args"]));
    let (entrypoint, cmd) = image.map_or((&[][..], &[][..]), |i| (i.entrypoint, i.cmd));
    if !command.is_empty() {
        return command.into_iter().chain(args).collect();
    }
    let rest = if args.is_empty() { of_image(cmd) } else { args };
    match entrypoint.first() {
        Some(script) if script.ends_with("entrypoint.sh") => through_script(cmd, rest),
        _ => of_image(entrypoint).into_iter().chain(rest).collect(),
    }
}

/// What the usual entrypoint script of an image runs: its arguments as a command, or as options of
/// the image's own program where they are no command (`docker-entrypoint.sh` of the official
/// images, `entrypoint.sh` of curlimages/curl).
fn through_script(cmd: &[&str], args: Vec<String>) -> Vec<String> {
    let own = cmd.first().copied().unwrap_or_default();
    let is_command = |word: &str| {
        let name = base_name(word);
        cmd.contains(&word)
            || is_shell(name)
            || word.contains('/') && !word.contains("://")
            || kubarium_posix::tools::is_tool(name)
            || kubarium_posix::builtins().any(|b| b == name)
            || crate::programs::NAMES.contains(&name)
    };
    let takes_any = own == "curl" || own == "node";
    match args.first() {
        Some(first) if first.starts_with('-') || takes_any && !is_command(first) => {
            std::iter::once(own.to_owned()).chain(args).collect()
        }
        _ => args,
    }
}

/// The image that a container runs, if it is one of the catalogue.
pub(crate) fn image_of(cluster: &Cluster, node: &str, image: &str) -> Option<&'static Image> {
    cluster.machines.get(node)?.runtime.images.get(image)?.image
}

/// A pod's host name.
pub(crate) fn hostname(pod: &Value) -> String {
    if pod["spec"]["hostNetwork"].as_bool() == Some(true) {
        return pod["spec"]["nodeName"].str().to_owned();
    }
    let name = pod["spec"]["hostname"]
        .as_str()
        .unwrap_or(pod["metadata"]["name"].str());
    name.chars()
        .take(63)
        .collect::<String>()
        .trim_end_matches(['-', '.'])
        .to_owned()
}

/// `$(NAME)` is replaced where NAME is known; `$$` is `$` (`third_party/forked/golang/expansion`).
fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match value(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}

/// The variables that tell of Services, by namespace (and `""` for the API server's own alone):
/// containers that are made while no Service changes share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceVariables(BTreeMap<Text, Arc<Variables>>);

impl ServiceVariables {
    /// A Service has changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The variables that tell a pod of Services (`pkg/kubelet/envvars`).
pub(crate) fn services(cluster: &mut Cluster, pod: &Value) -> Arc<Variables> {
    let links = pod["spec"]["enableServiceLinks"].as_bool() != Some(false);
    let namespace = if links {
        pod["metadata"]["namespace"].text()
    } else {
        Text::from("")
    };
    if let Some(known) = cluster.ground.services.0.get(&namespace) {
        return known.clone();
    }
    let made = Arc::new(services_of(cluster, &namespace, links));
    cluster.ground.services.0.insert(namespace, made.clone());
    made
}

/// Those of a namespace's Services, and of the API server's own.
fn services_of(cluster: &Cluster, namespace: &str, links: bool) -> Variables {
    let mut env = Variables::new();
    let master = cluster.find("services", "default", "kubernetes");
    let own = cluster
        .etcd
        .list("services", Some(namespace))
        .map(|(_, s)| s)
        .filter(|_| links);
    for service in master.into_iter().chain(own) {
        let address = service["spec"]["clusterIP"].str();
        if matches!(address, "" | "None") {
            continue;
        }
        let name = service["metadata"]["name"]
            .str()
            .to_uppercase()
            .replace('-', "_");
        let ports = service["spec"]["ports"].items();
        env.insert(format!("{name}_SERVICE_HOST"), address.to_owned());
        let text = |v: &Value| v.as_i64().unwrap_or(0).to_string();
        for (at, port) in ports.iter().enumerate() {
            let (number, protocol) = (
                text(&port["port"]),
                port["protocol"].as_str().unwrap_or("TCP"),
            );
            let lower = protocol.to_lowercase();
            if at == 0 {
                env.insert(format!("{name}_SERVICE_PORT"), number.clone());
                env.insert(
                    format!("{name}_PORT"),
                    format!("{lower}://{address}:{number}"),
                );
            }
            if let Some(port_name) = port["name"].as_str().filter(|n| !n.is_empty()) {
                let port_name = port_name.to_uppercase().replace('-', "_");
                env.insert(format!("{name}_SERVICE_PORT_{port_name}"), number.clone());
            }
            let prefix = format!("{name}_PORT_{number}_{protocol}");
            env.insert(prefix.clone(), format!("{lower}://{address}:{number}"));
            env.insert(format!("{prefix}_PROTO"), lower);
            env.insert(format!("{prefix}_PORT"), number);
            env.insert(format!("{prefix}_ADDR"), address.to_owned());
        }
    }
    env
}

fn env_from(
    cluster: &Cluster,
    pod: &Value,
    source: &Value,
    env: &mut Variables,
) -> Result<(), String> {
    let prefix = source["prefix"].str();
    for (field, resource) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
        let Some(reference) = source.get(field) else {
            continue;
        };
        let Some(data) = data(cluster, pod, resource, reference)? else {
            continue;
        };
        for (key, value) in data {
            env.insert(
                format!("{prefix}{key}"),
                String::from_utf8_lossy(&value).into_owned(),
            );
        }
    }
    Ok(())
}

/// The name of the ConfigMap or Secret that a reference or a volume's source means.
pub(super) fn source_name(reference: &Value) -> &str {
    match reference["name"].str() {
        "" => reference["secretName"].str(),
        name => name,
    }
}

/// The content of a ConfigMap or Secret by key; `None` where it is missing and optional.
pub(crate) fn data(
    cluster: &Cluster,
    pod: &Value,
    resource: &str,
    reference: &Value,
) -> Result<Option<BTreeMap<Text, Vec<u8>>>, String> {
    let namespace = pod["metadata"]["namespace"].str();
    let name = source_name(reference);
    let Some(object) = cluster.find(resource, namespace, name) else {
        if reference["optional"].as_bool() == Some(true) {
            return Ok(None);
        }
        return Err(format!(
            "{} {name:?} not found",
            resource.trim_end_matches('s')
        ));
    };
    Ok(Some(content(object, resource)))
}

/// The content of a ConfigMap or Secret by key.
pub(super) fn content(object: &Value, resource: &str) -> BTreeMap<Text, Vec<u8>> {
    let secret = resource == "secrets";
    let plain = object["data"].entries().iter().map(|(k, v)| {
        let bytes = if secret {
            base64(v.str())
        } else {
            v.str().as_bytes().to_vec()
        };
        (k.clone(), bytes)
    });
    let binary = object["binaryData"]
        .entries()
        .iter()
        .map(|(k, v)| (k.clone(), base64(v.str())));
    plain.chain(binary).collect()
}

/// Decodes base64 (RFC 4648); what is not of its alphabet is passed over.
fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

fn value_from(
    cluster: &Cluster,
    node: &Text,
    uid: &str,
    pod: &Value,
    spec: &Value,
    source: &Value,
) -> Result<Option<String>, String> {
    for (field, resource) in [
        ("configMapKeyRef", "configmaps"),
        ("secretKeyRef", "secrets"),
    ] {
        let Some(reference) = source.get(field) else {
            continue;
        };
        let Some(data) = data(cluster, pod, resource, reference)? else {
            return Ok(None);
        };
        let key = reference["key"].str();
        return match data.get(key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
            None if reference["optional"].as_bool() == Some(true) => Ok(None),
            None => {
                let kind = if resource == "secrets" {
                    "Secret"
                } else {
                    "ConfigMap"
                };
                Err(format!(
                    "couldn't find key {key} in {kind} {}/{}",
                    pod["metadata"]["namespace"].str(),
                    reference["name"].str()
                ))
            }
        };
    }
    if let Some(reference) = source.get("fieldRef") {
        return Ok(Some(field(
            cluster,
            node,
            uid,
            pod,
            reference["fieldPath"].str(),
        )));
    }
    if let Some(reference) = source.get("resourceFieldRef") {
        return Ok(Some(resource_field(cluster, node, spec, reference)));
    }
    Ok(None)
}

/// A field of the pod, as the downward API gives it.
pub(crate) fn field(cluster: &Cluster, node: &Text, uid: &str, pod: &Value, path: &str) -> String {
    let metadata = &pod["metadata"];
    let map = |map: &Value| -> String {
        map.entries()
            .iter()
            .map(|(k, v)| format!("{k}={:?}", v.str()))
            .collect::<Vec<_>>()
            .join("\n")
    };
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        return metadata[map.trim_start_matches("metadata.")][key]
            .str()
            .to_owned();
    }
    match path {
        "metadata.name" => metadata["name"].str().to_owned(),
        "metadata.namespace" => metadata["namespace"].str().to_owned(),
        "metadata.uid" => uid.to_owned(),
        "metadata.labels" => map(&metadata["labels"]),
        "metadata.annotations" => map(&metadata["annotations"]),
        "spec.nodeName" => node.to_string(),
        "spec.serviceAccountName" => pod["spec"]["serviceAccountName"].str().to_owned(),
        "status.hostIP" | "status.hostIPs" => cluster
            .machines
            .get(node)
            .map_or_else(String::new, |m| m.address.to_string()),
        "status.podIP" | "status.podIPs" => cluster
            .sandbox(node, uid)
            .map_or_else(String::new, |s| s.ip.to_string()),
        _ => String::new(),
    }
}

/// A container's resource, in units of the divisor, rounded up.
pub(crate) fn resource_field(
    cluster: &Cluster,
    node: &str,
    spec: &Value,
    reference: &Value,
) -> String {
    let (kind, resource) = reference["resource"]
        .str()
        .split_once('.')
        .unwrap_or(("", ""));
    let own = spec["resources"][kind][resource].as_str();
    let machine = cluster.machines.get(node).map(|m| &m.config);
    let all = machine.map(|m| match resource {
        "cpu" => &*m.cpu,
        "memory" => &*m.memory,
        _ => "0",
    });
    let quantity = |text: &str| text.parse::<Quantity>().ok();
    // What has no limit has the node's capacity as its limit.
    let amount = own
        .or(all.filter(|_| kind == "limits"))
        .and_then(quantity)
        .map_or(0, |q| q.milli_value());
    let divisor = reference["divisor"]
        .as_str()
        .and_then(quantity)
        .filter(|q| !q.is_zero())
        .map_or(1000, |q| q.milli_value());
    let divisor = divisor.max(1);
    amount
        .div_euclid(divisor)
        .saturating_add(i64::from(amount.rem_euclid(divisor) > 0))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded() {
        let value = |name: &str| (name == "A").then(|| "1".to_owned());
        for (text, expected) in [
            ("$(A)", "1"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("x$", "x$"),
            ("$A", "$A"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(expand(text, value), expected, "{text}");
        }
    }

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("aGVsbG8="), b"hello");
        assert_eq!(base64(""), b"");
    }
}
