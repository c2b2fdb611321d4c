//! Containers, volumes, and the pod templates that have them.

use kubarium_objects::{Quantity, Value, go};

use super::{annotations, date, labels, or_none};
use crate::kubectl::printers::scalar;
use crate::kubectl::table::Lines;

/// A pod template on its own, as `rollout history --revision` shows it.
pub(crate) fn pod_template(template: &Value) -> String {
    let mut w = Lines::default();
    describe_template(template, &mut w);
    w.finish()
}

/// `Pod Template:`
pub(super) fn describe_template(template: &Value, w: &mut Lines) {
    w.line(0, "Pod Template:");
    labels(w, "  ", "Labels", &template["metadata"]["labels"]);
    if !template["metadata"]["annotations"].is_empty() {
        annotations(w, "  Annotations", &template["metadata"]["annotations"]);
    }
    let spec = &template["spec"];
    if !spec["serviceAccountName"].is_empty() {
        w.line(
            0,
            format!("  Service Account:\t{}", spec["serviceAccountName"].str()),
        );
    }
    if !spec["initContainers"].items().is_empty() {
        containers(
            "Init Containers",
            &spec["initContainers"],
            &Value::Null,
            &Value::Null,
            w,
            "  ",
        );
    }
    containers(
        "Containers",
        &spec["containers"],
        &Value::Null,
        &Value::Null,
        w,
        "  ",
    );
    volumes(&spec["volumes"], w, "  ");
    spread_constraints(spec, w, "  ");
    if !spec["priorityClassName"].is_empty() {
        w.line(
            0,
            format!(
                "  Priority Class Name:\t{}",
                spec["priorityClassName"].str()
            ),
        );
    }
    labels(w, "  ", "Node-Selectors", &spec["nodeSelector"]);
    tolerations(&spec["tolerations"], w, "  ");
}

/// `Containers:`; `statuses` and `pod` are null for a template.
pub(super) fn containers(
    title: &str,
    containers: &Value,
    statuses: &Value,
    pod: &Value,
    w: &mut Lines,
    space: &str,
) {
    let none = if containers.items().is_empty() {
        " <none>"
    } else {
        ""
    };
    w.line(0, format!("{space}{title}:{none}"));
    let indent = if space.is_empty() { "" } else { " " };
    for container in containers.items() {
        let status = statuses
            .items()
            .iter()
            .find(|s| s["name"] == container["name"]);
        w.line(1, format!("{indent}{}:", container["name"].str()));
        if let Some(status) = status {
            w.line(2, format!("Container ID:\t{}", status["containerID"].str()));
        }
        w.line(2, format!("Image:\t{}", container["image"].str()));
        if let Some(status) = status {
            w.line(2, format!("Image ID:\t{}", status["imageID"].str()));
        }
        ports(container, w);
        for (field, title) in [("command", "Command"), ("args", "Args")] {
            if !container[field].items().is_empty() {
                w.line(2, format!("{title}:"));
                let lines = container[field]
                    .items()
                    .iter()
                    .flat_map(|word| word.str().split('\n'));
                lines.for_each(|line| w.line(3, line));
            }
        }
        if let Some(status) = status {
            state("State", &status["state"], w);
            if !status["lastState"]["terminated"].is_null() {
                state("Last State", &status["lastState"], w);
            }
            let ready = status["ready"].as_bool() == Some(true);
            w.line(
                2,
                format!("Ready:\t{}", if ready { "True" } else { "False" }),
            );
            w.line(
                2,
                format!(
                    "Restart Count:\t{}",
                    status["restartCount"].as_i64().unwrap_or(0)
                ),
            );
        }
        resources(&container["resources"], w, 2);
        for (field, title) in [
            ("livenessProbe", "Liveness"),
            ("readinessProbe", "Readiness"),
            ("startupProbe", "Startup"),
        ] {
            if !container[field].is_null() {
                w.line(2, format!("{title}:\t{}", probe(&container[field])));
            }
        }
        env_from(container, w);
        env(container, pod, w);
        mounts(container, w);
    }
}

fn ports(container: &Value, w: &mut Lines) {
    let of = |field: &str| -> String {
        let ports = container["ports"].items().iter();
        let shown: Vec<String> = ports
            .map(|p| {
                let name = if !p["name"].is_empty() {
                    format!(" ({})", p["name"].str())
                } else {
                    String::new()
                };
                let protocol = if p["protocol"].is_empty() {
                    "TCP"
                } else {
                    p["protocol"].str()
                };
                format!("{}/{protocol}{name}", p[field].as_i64().unwrap_or(0))
            })
            .collect();
        shown.join(", ")
    };
    for (field, title) in [("containerPort", "Port"), ("hostPort", "Host Port")] {
        let shown = of(field);
        let plural = if shown.contains(',') { "s" } else { "" };
        w.line(2, format!("{title}{plural}:\t{}", or_none(&shown)));
    }
}

fn state(title: &str, state: &Value, w: &mut Lines) {
    let (running, waiting, ended) = (&state["running"], &state["waiting"], &state["terminated"]);
    if !running.is_null() {
        w.line(2, format!("{title}:\tRunning"));
        w.line(3, format!("Started:\t{}", date(&running["startedAt"])));
    } else if !ended.is_null() {
        w.line(2, format!("{title}:\tTerminated"));
        for (field, name) in [("reason", "Reason"), ("message", "Message")] {
            if !ended[field].is_empty() {
                w.line(3, format!("{name}:\t{}", ended[field].str()));
            }
        }
        w.line(
            3,
            format!("Exit Code:\t{}", ended["exitCode"].as_i64().unwrap_or(0)),
        );
        if ended["signal"].as_i64().unwrap_or(0) > 0 {
            w.line(
                3,
                format!("Signal:\t{}", ended["signal"].as_i64().unwrap_or(0)),
            );
        }
        w.line(3, format!("Started:\t{}", date(&ended["startedAt"])));
        w.line(3, format!("Finished:\t{}", date(&ended["finishedAt"])));
    } else {
        w.line(2, format!("{title}:\tWaiting"));
        if !waiting["reason"].is_empty() {
            w.line(3, format!("Reason:\t{}", waiting["reason"].str()));
        }
    }
}

/// `Limits:` and `Requests:`
pub(super) fn resources(resources: &Value, w: &mut Lines, level: usize) {
    for (field, title) in [("limits", "Limits"), ("requests", "Requests")] {
        if !resources[field].is_empty() {
            w.line(level, format!("{title}:"));
        }
        for (name, quantity) in resources[field].entries() {
            w.line(level + 1, format!("{name}:\t{}", scalar(quantity)));
        }
    }
}

/// `http-get http://:80/ delay=0s timeout=1s period=10s #success=1 #failure=3`
fn probe(probe: &Value) -> String {
    let number = |field: &str| probe[field].as_i64().unwrap_or(0);
    let rest = format!(
        "delay={}s timeout={}s period={}s successThreshold={} failureThreshold={}",
        number("initialDelaySeconds"),
        number("timeoutSeconds"),
        number("periodSeconds"),
        number("successThreshold"),
        number("failureThreshold")
    );
    let (http, tcp, grpc, exec) = (
        &probe["httpGet"],
        &probe["tcpSocket"],
        &probe["grpc"],
        &probe["exec"],
    );
    if !exec.is_null() {
        format!("exec {} {rest}", super::go_list(&exec["command"]))
    } else if !http.is_null() {
        let path = http["path"].str();
        let slash = if path.starts_with('/') || path.is_empty() {
            ""
        } else {
            "/"
        };
        let scheme = if http["scheme"].is_empty() {
            "http".to_owned()
        } else {
            http["scheme"].str().to_lowercase()
        };
        format!(
            "http-get {scheme}://{}:{}{slash}{path} {rest}",
            http["host"].str(),
            scalar(&http["port"])
        )
    } else if !tcp.is_null() {
        format!(
            "tcp-socket {}:{} {rest}",
            tcp["host"].str(),
            scalar(&tcp["port"])
        )
    } else if !grpc.is_null() {
        format!(
            "grpc <pod>:{} {} {rest}",
            scalar(&grpc["port"]),
            grpc["service"].str()
        )
    } else {
        format!("unknown {rest}")
    }
}

fn env_from(container: &Value, w: &mut Lines) {
    if container["envFrom"].items().is_empty() {
        return;
    }
    w.line(2, "Environment Variables from:");
    for source in container["envFrom"].items() {
        let (kind, reference) = if source["configMapRef"].is_null() {
            ("Secret", &source["secretRef"])
        } else {
            ("ConfigMap", &source["configMapRef"])
        };
        let optional = reference["optional"].as_bool() == Some(true);
        let prefix = match source["prefix"].str() {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        w.line(
            3,
            format!(
                "{}\t{kind}{prefix}\tOptional: {optional}",
                reference["name"].str()
            ),
        );
    }
}

fn env(container: &Value, pod: &Value, w: &mut Lines) {
    let none = if container["env"].items().is_empty() {
        "\t<none>"
    } else {
        ""
    };
    w.line(2, format!("Environment:{none}"));
    for e in container["env"].items() {
        let (name, from) = (e["name"].str(), &e["valueFrom"]);
        if from.is_null() {
            for (at, line) in e["value"].str().split('\n').enumerate() {
                w.line(
                    3,
                    if at == 0 {
                        format!("{name}:\t{line}")
                    } else {
                        format!("\t{line}")
                    },
                );
            }
            continue;
        }
        let (field, resource, secret, config) = (
            &from["fieldRef"],
            &from["resourceFieldRef"],
            &from["secretKeyRef"],
            &from["configMapKeyRef"],
        );
        if !field.is_null() {
            let version = if field["apiVersion"].is_empty() {
                "v1"
            } else {
                field["apiVersion"].str()
            };
            w.line(
                3,
                format!(
                    "{name}:\t{} ({version}:{})",
                    field_value(pod, field["fieldPath"].str()),
                    field["fieldPath"].str()
                ),
            );
        } else if !resource.is_null() {
            let which = resource["resource"].str();
            let value = match (resource_value(container, resource).as_str(), which) {
                ("0", "limits.cpu" | "limits.memory") => "node allocatable".to_owned(),
                (value, _) => value.to_owned(),
            };
            w.line(3, format!("{name}:\t{value} ({which})"));
        } else if !secret.is_null() {
            let optional = secret["optional"].as_bool() == Some(true);
            w.line(
                3,
                format!(
                    "{name}:\t<set to the key '{}' in secret '{}'>\tOptional: {optional}",
                    secret["key"].str(),
                    secret["name"].str()
                ),
            );
        } else if !config.is_null() {
            let optional = config["optional"].as_bool() == Some(true);
            w.line(
                3,
                format!(
                    "{name}:\t<set to the key '{}' of config map '{}'>\tOptional: {optional}",
                    config["key"].str(),
                    config["name"].str()
                ),
            );
        }
    }
}

/// A pod's field, as far as describe resolves it: metadata only.
fn field_value(pod: &Value, path: &str) -> String {
    match path {
        "metadata.name" => pod["metadata"]["name"].str().to_owned(),
        "metadata.namespace" => pod["metadata"]["namespace"].str().to_owned(),
        "metadata.uid" => pod["metadata"]["uid"].str().to_owned(),
        _ => String::new(),
    }
}

/// A container's resource in units of the divisor, rounded up.
fn resource_value(container: &Value, reference: &Value) -> String {
    let (list, name) = reference["resource"]
        .str()
        .split_once('.')
        .unwrap_or(("", ""));
    let quantity = scalar(&container["resources"][list][name]).parse::<Quantity>();
    let divisor = scalar(&reference["divisor"])
        .parse::<Quantity>()
        .ok()
        .filter(|d| !d.is_zero());
    let Ok(quantity) = quantity else {
        return "0".to_owned();
    };
    let divisor = divisor.map_or(1.0, |d| d.as_f64());
    format!("{}", (quantity.as_f64() / divisor).ceil() as i64)
}

fn mounts(container: &Value, w: &mut Lines) {
    let none = if container["volumeMounts"].items().is_empty() {
        "\t<none>"
    } else {
        ""
    };
    w.line(2, format!("Mounts:{none}"));
    let mut mounts: Vec<&Value> = container["volumeMounts"].items().iter().collect();
    mounts.sort_by_key(|m| m["mountPath"].str());
    for mount in mounts {
        let mut flags = if mount["readOnly"].as_bool() == Some(true) {
            "ro"
        } else {
            "rw"
        }
        .to_owned();
        if !mount["subPath"].is_empty() {
            flags.push_str(&format!(",path={}", go::quote(mount["subPath"].str())));
        }
        w.line(
            3,
            format!(
                "{} from {} ({flags})",
                mount["mountPath"].str(),
                mount["name"].str()
            ),
        );
    }
    if !container["volumeDevices"].items().is_empty() {
        w.line(2, "Devices:");
        for device in container["volumeDevices"].items() {
            w.line(
                3,
                format!(
                    "{} from {}",
                    device["devicePath"].str(),
                    device["name"].str()
                ),
            );
        }
    }
}

/// `Volumes:`
pub(super) fn volumes(volumes: &Value, w: &mut Lines, space: &str) {
    if volumes.items().is_empty() {
        w.line(0, format!("{space}Volumes:\t<none>"));
        return;
    }
    w.line(0, format!("{space}Volumes:"));
    let indent = if space.is_empty() { "" } else { " " };
    for volume in volumes.items() {
        w.line(1, format!("{indent}{}:", volume["name"].str()));
        source(volume, w);
    }
}

/// What a volume is made of; PersistentVolumes have the same sources.
pub(super) fn source(volume: &Value, w: &mut Lines) {
    let found = volume
        .entries()
        .iter()
        .find(|(key, value)| &**key != "name" && !value.is_null() && value.as_object().is_some());
    let Some((kind, source)) = found else {
        w.line(2, "<unknown>");
        return;
    };
    let mut put = |text: &str| w.line(2, text);
    let text = |field: &str| source[field].str();
    let optional = |s: &Value| s["optional"].as_bool() == Some(true);
    let flag = |field: &str| source[field].as_bool() == Some(true);
    match &**kind {
        "hostPath" => {
            put("Type:\tHostPath (bare host directory volume)");
            put(&format!("Path:\t{}", text("path")));
            put(&format!("HostPathType:\t{}", text("type")));
        }
        "emptyDir" => {
            put("Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)");
            put(&format!("Medium:\t{}", text("medium")));
            let limit = scalar(&source["sizeLimit"]);
            put(&format!(
                "SizeLimit:\t{}",
                if limit.is_empty() { "<unset>" } else { &limit }
            ));
        }
        "secret" => {
            put("Type:\tSecret (a volume populated by a Secret)");
            put(&format!("SecretName:\t{}", text("secretName")));
            put(&format!("Optional:\t{}", optional(source)));
        }
        "configMap" => {
            put("Type:\tConfigMap (a volume populated by a ConfigMap)");
            put(&format!("Name:\t{}", text("name")));
            put(&format!("Optional:\t{}", optional(source)));
        }
        "persistentVolumeClaim" => {
            put(
                "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
            );
            put(&format!("ClaimName:\t{}", text("claimName")));
            put(&format!("ReadOnly:\t{}", flag("readOnly")));
        }
        "nfs" => {
            put("Type:\tNFS (an NFS mount that lasts the lifetime of a pod)");
            put(&format!("Server:\t{}", text("server")));
            put(&format!("Path:\t{}", text("path")));
            put(&format!("ReadOnly:\t{}", flag("readOnly")));
        }
        "local" => {
            put("Type:\tLocalVolume (a persistent volume backed by local storage on a node)");
            put(&format!("Path:\t{}", text("path")));
        }
        "csi" => {
            put("Type:\tCSI (a Container Storage Interface (CSI) volume source)");
            put(&format!("Driver:\t{}", text("driver")));
            put(&format!("FSType:\t{}", text("fsType")));
            // Volumes have a handle, a pod's inline volumes have none.
            let attributes = &source["volumeAttributes"];
            if !source["volumeHandle"].is_null() {
                put(&format!("VolumeHandle:\t{}", text("volumeHandle")));
            }
            put(&format!("ReadOnly:\t{}", flag("readOnly")));
            if !source["volumeHandle"].is_null() || !attributes.is_empty() {
                put(&format!("VolumeAttributes:\t{}", attributes_of(attributes)));
            }
        }
        "downwardAPI" => {
            put("Type:\tDownwardAPI (a volume populated by information about the pod)");
            put("Items:");
            for item in source["items"].items() {
                let from = if item["fieldRef"].is_null() {
                    &item["resourceFieldRef"]["resource"]
                } else {
                    &item["fieldRef"]["fieldPath"]
                };
                w.line(3, format!("{} -> {}", from.str(), item["path"].str()));
            }
        }
        "projected" => {
            put("Type:\tProjected (a volume that contains injected data from multiple sources)");
            for part in source["sources"].items() {
                let (secret, config, token) = (
                    &part["secret"],
                    &part["configMap"],
                    &part["serviceAccountToken"],
                );
                if !secret.is_null() {
                    put(&format!("SecretName:\t{}", secret["name"].str()));
                    put(&format!("Optional:\t{}", optional(secret)));
                } else if !part["downwardAPI"].is_null() {
                    put("DownwardAPI:\ttrue");
                } else if !config.is_null() {
                    put(&format!("ConfigMapName:\t{}", config["name"].str()));
                    put(&format!("Optional:\t{}", optional(config)));
                } else if !token.is_null() {
                    put(&format!(
                        "TokenExpirationSeconds:\t{}",
                        token["expirationSeconds"].as_i64().unwrap_or(0)
                    ));
                }
            }
        }
        "ephemeral" => put(
            "Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        ),
        "image" => {
            put("Type:\tImage (a container image or OCI artifact)");
            put(&format!("Reference:\t{}", text("reference")));
            put(&format!("PullPolicy:\t{}", text("pullPolicy")));
        }
        _ => put("<unknown>"),
    }
}

/// `Topology Spread Constraints:`
pub(super) fn spread_constraints(spec: &Value, w: &mut Lines, space: &str) {
    let mut all: Vec<&Value> = spec["topologySpreadConstraints"].items().iter().collect();
    all.sort_by_key(|c| c["topologyKey"].str());
    if all.is_empty() {
        return;
    }
    w.raw(&format!("{space}Topology Spread Constraints:\t"));
    for (at, constraint) in all.into_iter().enumerate() {
        if at > 0 {
            w.raw(&format!("{space}\t"));
        }
        let selector = &constraint["labelSelector"];
        let of = if selector.is_null() {
            String::new()
        } else {
            format!(
                " for selector {}",
                crate::kubectl::printers::selector(selector)
            )
        };
        w.raw(&format!(
            "{}:{} when max skew {} is exceeded{of}\n",
            constraint["topologyKey"].str(),
            constraint["whenUnsatisfiable"].str(),
            constraint["maxSkew"].as_i64().unwrap_or(0)
        ));
    }
}

/// `Tolerations:`
pub(super) fn tolerations(tolerations: &Value, w: &mut Lines, space: &str) {
    w.raw(&format!("{space}Tolerations:\t"));
    let mut all: Vec<&Value> = tolerations.items().iter().collect();
    if all.is_empty() {
        w.raw("<none>\n");
    }
    all.sort_by_key(|t| t["key"].str());
    for (at, t) in all.into_iter().enumerate() {
        if at > 0 {
            w.raw(&format!("{space}\t"));
        }
        let mut text = t["key"].str().to_owned();
        if !t["value"].is_empty() {
            text.push_str(&format!("={}", t["value"].str()));
        }
        if !t["effect"].is_empty() {
            text.push_str(&format!(":{}", t["effect"].str()));
        }
        if t["operator"].str() == "Exists" {
            text.push_str(if text.is_empty() {
                "op=Exists"
            } else {
                " op=Exists"
            });
        }
        if let Some(seconds) = t["tolerationSeconds"].as_i64() {
            text.push_str(&format!(" for {seconds}s"));
        }
        w.raw(&(text + "\n"));
    }
}

/// A CSI volume's attributes, one a line.
fn attributes_of(attributes: &Value) -> String {
    let lines: Vec<String> = attributes
        .entries()
        .iter()
        .map(|(key, v)| format!("{key}={}", v.str()))
        .collect();
    if lines.is_empty() {
        return "<none>".to_owned();
    }
    lines.join("\n    \t")
}
