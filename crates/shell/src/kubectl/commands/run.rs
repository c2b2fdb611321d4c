//! `kubectl run`, `kubectl expose`, `kubectl autoscale`

use kubarium_objects::{Quantity, Value, array, go, object};

use crate::kubectl::command::{Command, DRY_RUN, FILES, PRINT, RECORD, SAVE_CONFIG, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::resource::{Info, not_registered};
use crate::kubectl::{DryRun, Kubectl};

const RUN_FLAGS: &[Flag] = &[
    flag(
        "annotations",
        Kind::Texts,
        "",
        "Annotations to apply to the pod.",
    ),
    switch(
        "attach",
        "If true, wait for the Pod to start running, and then attach to the Pod.",
    )
    .not_yet(),
    switch(
        "command",
        "If true and extra arguments are present, use them as the 'command' field in the container, rather than the 'args' field which is the default.",
    ),
    list("env", "Environment variables to set in the container."),
    switch(
        "expose",
        "If true, create a ClusterIP service associated with the pod. Requires `--port`.",
    ),
    text("image", "The image for the container to run.").required(),
    text(
        "image-pull-policy",
        "The image pull policy for the container.",
    ),
    text("labels", "Comma separated labels to apply to the pod.").short('l'),
    flag(
        "override-type",
        Kind::Text,
        "merge",
        "The method used to override the generated object: json, merge, or strategic.",
    ),
    text(
        "overrides",
        "An inline JSON override for the generated object.",
    ),
    text(
        "pod-running-timeout",
        "The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running",
    ),
    text("port", "The port that this container exposes."),
    switch(
        "privileged",
        "If true, run the container in privileged mode.",
    ),
    switch("quiet", "If true, suppress prompt messages.").short('q'),
    flag(
        "restart",
        Kind::Text,
        "Always",
        "The restart policy for this Pod.  Legal values [Always, OnFailure, Never].",
    ),
    switch("rm", "If true, delete the pod after it exits."),
    switch(
        "stdin",
        "Keep stdin open on the container in the pod, even if nothing is attached.",
    )
    .short('i'),
    switch("tty", "Allocate a TTY for the container in the pod.").short('t'),
];

pub(crate) const RUN: Command = Command::new(
    "run",
    "NAME --image=image [--env=\"key=value\"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- [COMMAND] [args...] [options]",
    "Run a particular image on the cluster",
    run,
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, SAVE_CONFIG, RUN_FLAGS])
.changing();

fn run(k: &mut Kubectl) -> Result {
    let before_dash = k.flags.dash.unwrap_or(k.flags.args.len());
    let Some(name) = k.flags.args.first().cloned().filter(|_| before_dash > 0) else {
        return plain("NAME is required for run");
    };
    let image = k.flags.str("image").to_owned();
    if image.is_empty() {
        return plain("--image is required");
    }
    if let Some(why) = bad_reference(&image) {
        return plain(format!("invalid image name {}: {why}", go::quote(&image)));
    }
    let interactive = k.flags.bool("stdin") || k.flags.bool("tty") || k.flags.bool("rm");
    if k.flags.bool("rm") && !k.flags.bool("stdin") && !k.flags.bool("attach") {
        return plain("--rm should only be used for attached containers");
    }
    let restart = match k.flags.str("restart") {
        "" => "Always".to_owned(),
        given @ ("Always" | "OnFailure" | "Never") => given.to_owned(),
        other => {
            return plain(format!(
                "invalid restart policy: {other}, valid values are: Always, OnFailure, Never"
            ));
        }
    };
    let policy = k.flags.str("image-pull-policy");
    if !matches!(policy, "" | "Always" | "IfNotPresent" | "Never") {
        return plain(format!(
            "invalid image pull policy: {policy}, valid values are: Always, IfNotPresent, Never"
        ));
    }
    if interactive && k.dry_run()? != DryRun::None {
        return plain(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        );
    }
    let words: Vec<Value> = k
        .flags
        .args
        .iter()
        .skip(1)
        .map(|w| w.as_str().into())
        .collect();
    let mut container = object([
        ("image", image.into()),
        ("name", name.as_str().into()),
        ("resources", Value::new_object()),
    ]);
    if !words.is_empty() {
        container[if k.flags.bool("command") {
            "command"
        } else {
            "args"
        }] = array(words);
    }
    let env = environment(k.flags.list("env"))?;
    if !env.is_empty() {
        container["env"] = array(env);
    }
    if !k.flags.str("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = k.flags.str("image-pull-policy").into();
    }
    let port = k.flags.str("port").to_owned();
    if !port.is_empty() {
        let Ok(number) = port.parse::<i64>() else {
            return plain("--port must be a number");
        };
        container["ports"] = array([object([("containerPort", number.into())])]);
    } else if k.flags.bool("expose") {
        return plain("--port must be set when exposing a service");
    }
    if k.flags.bool("stdin") {
        container["stdin"] = true.into();
        container["stdinOnce"] = true.into();
    }
    if k.flags.bool("tty") {
        container["tty"] = true.into();
    }
    if k.flags.bool("privileged") {
        container.set(&["securityContext", "privileged"], true);
    }
    let mut labels = pairs(k.flags.str("labels"))?;
    if labels.is_empty() {
        labels["run"] = name.as_str().into();
    }
    let mut metadata = object([("labels", labels.clone()), ("name", name.as_str().into())]);
    for annotation in k.flags.list("annotations") {
        let (key, value) = annotation.split_once('=').unwrap_or((annotation, ""));
        metadata["annotations"][key] = value.into();
    }
    let mut pod = object([
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        ("metadata", metadata),
        (
            "spec",
            object([
                ("containers", array([container])),
                ("dnsPolicy", "ClusterFirst".into()),
                ("restartPolicy", restart.into()),
            ]),
        ),
        ("status", Value::new_object()),
    ]);
    pod = overridden(k, pod)?;
    if interactive {
        return super::exec::run_attached(k, pod);
    }
    k.generate(pod, "", "created")?;
    if k.flags.bool("expose") {
        let number: i64 = port.parse().unwrap_or(0);
        let port = object([
            ("port", number.into()),
            ("protocol", "TCP".into()),
            ("targetPort", number.into()),
        ]);
        let service = object([
            ("apiVersion", "v1".into()),
            ("kind", "Service".into()),
            ("metadata", object([("name", name.as_str().into())])),
            (
                "spec",
                object([("ports", array([port])), ("selector", labels)]),
            ),
            ("status", object([("loadBalancer", Value::new_object())])),
        ]);
        k.generate(service, "", "created")?;
    }
    Ok(())
}

/// What is wrong with an image's name, as `distribution/reference` says it.
pub(super) fn bad_reference(image: &str) -> Option<&'static str> {
    const BAD: Option<&str> = Some("invalid reference format");
    let (rest, digest) = image
        .split_once('@')
        .map_or((image, None), |(r, d)| (r, Some(d)));
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:");
        if !hex.is_some_and(|h| h.len() == 64 && h.chars().all(|c| c.is_ascii_hexdigit())) {
            return BAD;
        }
    }
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[last..].find(':') {
        Some(at) => (&rest[..last + at], Some(&rest[last + at + 1..])),
        None => (rest, None),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(tag) = tag {
        let fine = tag.len() <= 128
            && tag.starts_with(word)
            && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'));
        if !fine {
            return BAD;
        }
    }
    let parts: Vec<&str> = name.split('/').collect();
    let is_host = parts.len() > 1
        && (parts[0].contains(['.', ':'])
            || parts[0] == "localhost"
            || parts[0] != parts[0].to_lowercase());
    let path = &parts[usize::from(is_host)..];
    let fine = |part: &&str| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(edge)
            && part.ends_with(edge)
            && part
                .chars()
                .all(|c| edge(c) || matches!(c, '.' | '_' | '-'))
    };
    if path.iter().all(fine) {
        return None;
    }
    let lower = |part: &&str| fine(&part.to_lowercase().as_str());
    if path.iter().all(lower) && tag.is_none() && digest.is_none() {
        return Some("invalid reference format: repository name must be lowercase");
    }
    BAD
}

fn environment(pairs: &[String]) -> Result<Vec<Value>> {
    let mut env = Vec::new();
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return plain(format!("invalid env: {pair}"));
        };
        env.push(object([("name", name.into()), ("value", value.into())]));
    }
    Ok(env)
}

/// `a=1,b=2` as a map.
fn pairs(text: &str) -> Result<Value> {
    let mut labels = Value::new_object();
    for pair in text.split(',').filter(|p| !p.is_empty()) {
        let Some((key, value)) = pair.split_once('=').filter(|(_, v)| !v.contains('=')) else {
            return plain(format!("unexpected label spec: {pair}"));
        };
        if key.is_empty() {
            return plain("unexpected empty label key");
        }
        labels[key] = value.into();
    }
    Ok(labels)
}

/// The object with `--overrides` merged in.
fn overridden(k: &Kubectl, object: Value) -> Result<Value> {
    use kubarium_objects::{Schema, patch};
    let text = k.flags.str("overrides");
    if text.is_empty() {
        return Ok(object);
    }
    let change = match kubarium_objects::yaml::parse(text) {
        Ok(mut documents) if !documents.is_empty() => documents.remove(0).value,
        Ok(_) => return Ok(object),
        Err(_) => return plain("Invalid JSON Patch"),
    };
    match k.flags.str("override-type") {
        "json" => patch::json_patch(&object, &change).map_err(|e| Error::Plain(e.to_string())),
        "strategic" => {
            let resource = k
                .cluster()
                .resource_by_kind(object["apiVersion"].str(), object["kind"].str());
            let Some(resource) = resource else {
                return Ok(object);
            };
            patch::strategic_merge(Schema::builtin(), resource.type_id, &object, &change)
                .map_err(|e| Error::Plain(e.to_string()))
        }
        "merge" | "" => Ok(patch::merge(&object, &change)),
        other => plain(format!("invalid override type: {other}")),
    }
}

const EXPOSE_FLAGS: &[Flag] = &[
    text("cluster-ip", "ClusterIP to be assigned to the service."),
    text(
        "external-ip",
        "Additional external IP address (not managed by Kubernetes) to accept for the service.",
    ),
    text(
        "labels",
        "Labels to apply to the service created by this call.",
    )
    .short('l'),
    text("load-balancer-ip", "IP to assign to the LoadBalancer."),
    text("name", "The name for the newly created object."),
    flag(
        "override-type",
        Kind::Text,
        "merge",
        "The method used to override the generated object: json, merge, or strategic.",
    ),
    text(
        "overrides",
        "An inline JSON override for the generated object.",
    ),
    text("port", "The port that the service should serve on."),
    text(
        "protocol",
        "The network protocol for the service to be created. Default is 'TCP'.",
    ),
    text("selector", "A label selector to use for this service."),
    text(
        "session-affinity",
        "If non-empty, set the session affinity for the service to this; legal values: 'None', 'ClientIP'.",
    ),
    text(
        "target-port",
        "Name or number for the port on the container that the service should direct traffic to.",
    ),
    text(
        "type",
        "Type for this service: ClusterIP, NodePort, LoadBalancer, or ExternalName. Default is 'ClusterIP'.",
    ),
];

pub(crate) const EXPOSE: Command = Command::new(
    "expose",
    "(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type] [options]",
    "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
    expose,
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, SAVE_CONFIG, EXPOSE_FLAGS])
.changing();

fn expose(k: &mut Kubectl) -> Result {
    // Here --selector is the new Service's.
    let mut query = super::query(k);
    query.selector = None;
    let infos = if k.flags.list("filename").is_empty() {
        k.select(&query)?.all()?
    } else {
        super::infos(k)?
    };
    for info in infos {
        let service = service_for(k, &info)?;
        let service = overridden(k, service)?;
        k.generate(service, "", "exposed")?;
    }
    Ok(())
}

fn service_for(k: &Kubectl, info: &Info) -> Result<Value> {
    let o = &info.object;
    let kind = &*info.resource.kind;
    if k.is_custom(&info.resource) {
        return Err(not_registered(&info.resource));
    }
    if !matches!(
        kind,
        "Pod" | "Service" | "ReplicationController" | "Deployment" | "ReplicaSet"
    ) {
        return plain(format!("cannot expose a {}", info.resource.kind));
    }
    let selector = match k.flags.str("selector") {
        "" => selector_of(kind, o)?,
        given => pairs(given)?,
    };
    let name = match k.flags.str("name") {
        "" => info.name.chars().take(63).collect::<String>(),
        name => name.to_owned(),
    };
    let mut labels = o["metadata"]["labels"].clone();
    if !k.flags.str("labels").is_empty() {
        labels = pairs(k.flags.str("labels"))?;
    }
    let ports = ports_of(k, kind, o)?;
    let mut metadata = object([("name", name.into())]);
    if !labels.is_empty() {
        metadata["labels"] = labels;
    }
    let mut spec = object([("ports", array(ports)), ("selector", selector)]);
    for (flag, field) in [
        ("type", "type"),
        ("session-affinity", "sessionAffinity"),
        ("load-balancer-ip", "loadBalancerIP"),
        ("cluster-ip", "clusterIP"),
    ] {
        if !k.flags.str(flag).is_empty() {
            spec[field] = k.flags.str(flag).into();
        }
    }
    if !k.flags.str("external-ip").is_empty() {
        spec["externalIPs"] = array([k.flags.str("external-ip")]);
    }
    Ok(object([
        ("apiVersion", "v1".into()),
        ("kind", "Service".into()),
        ("metadata", metadata),
        ("spec", spec),
        ("status", object([("loadBalancer", Value::new_object())])),
    ]))
}

fn selector_of(kind: &str, o: &Value) -> Result<Value> {
    let (selector, what) = match kind {
        "Pod" => (
            &o["metadata"]["labels"],
            "the pod has no labels and cannot be exposed",
        ),
        "Service" => (
            &o["spec"]["selector"],
            "the service has no pod selector set",
        ),
        "ReplicationController" => (
            &o["spec"]["selector"],
            "the replication controller has no pod selector set",
        ),
        _ => {
            if !o["spec"]["selector"]["matchExpressions"].items().is_empty() {
                return plain(format!(
                    "couldn't convert expressions - \"{}\" to map-based selector format",
                    crate::kubectl::printers::selector(&o["spec"]["selector"])
                ));
            }
            (
                &o["spec"]["selector"]["matchLabels"],
                "invalid deployment: no selectors, therefore cannot be exposed",
            )
        }
    };
    if selector.is_empty() {
        plain(format!(
            "couldn't retrieve selectors via --selector flag or introspection: {what}"
        ))
    } else {
        Ok(selector.clone())
    }
}

fn ports_of(k: &Kubectl, kind: &str, o: &Value) -> Result<Vec<Value>> {
    let containers = match kind {
        "Pod" => o["spec"]["containers"].items(),
        _ => o["spec"]["template"]["spec"]["containers"].items(),
    };
    let mut known: Vec<(i64, String)> = Vec::new();
    if kind == "Service" {
        known.extend(o["spec"]["ports"].items().iter().map(|p| {
            (
                p["port"].as_i64().unwrap_or(0),
                p["protocol"].str().to_owned(),
            )
        }));
    }
    for port in containers.iter().flat_map(|c| c["ports"].items()) {
        known.push((
            port["containerPort"].as_i64().unwrap_or(0),
            port["protocol"].str().to_owned(),
        ));
    }
    let mut wanted: Vec<i64> = Vec::new();
    for part in k.flags.str("port").split(',').filter(|p| !p.is_empty()) {
        match part.parse() {
            Ok(number) => wanted.push(number),
            Err(_) => {
                return plain(format!(
                    "strconv.Atoi: parsing {}: invalid syntax",
                    go::quote(part)
                ));
            }
        }
    }
    if wanted.is_empty() {
        wanted = known.iter().map(|(port, _)| *port).collect();
    }
    if wanted.is_empty() {
        return plain("couldn't find port via --port flag or introspection");
    }
    let target = k.flags.str("target-port");
    let several = wanted.len() > 1;
    let port = |(at, number): (usize, &i64)| {
        let protocol = match k.flags.str("protocol") {
            "" => known
                .iter()
                .find(|(port, _)| port == number)
                .map_or("TCP".to_owned(), |(_, p)| p.clone()),
            given => given.to_uppercase(),
        };
        let target: Value = match target {
            "" => (*number).into(),
            given => given.parse::<i64>().map_or(given.into(), Value::from),
        };
        let mut made = object([
            ("port", (*number).into()),
            (
                "protocol",
                if protocol.is_empty() {
                    "TCP".into()
                } else {
                    protocol.into()
                },
            ),
            ("targetPort", target),
        ]);
        if several {
            made["name"] = format!("port-{}", at + 1).into();
        }
        made
    };
    Ok(wanted.iter().enumerate().map(port).collect())
}

const AUTOSCALE_FLAGS: &[Flag] = &[
    text("cpu", "Target CPU utilization over all the pods."),
    flag("cpu-percent", Kind::Int, "-1", "The target average CPU utilization (represented as a percent of requested CPU) over all the pods.")
        .deprecated("Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for milliCPU)."),
    flag("max", Kind::Int, "-1", "The upper limit for the number of pods that can be set by the autoscaler. Required.").required(),
    text("memory", "Target memory utilization over all the pods."),
    flag("min", Kind::Int, "-1", "The lower limit for the number of pods that can be set by the autoscaler."),
    text("name", "The name for the newly created object. If not specified, the name of the input resource will be used."),
];

pub(crate) const AUTOSCALE: Command = Command::new(
    "autoscale",
    "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu=CPU] [--memory=MEMORY] [options]",
    "Auto-scale a deployment, replica set, stateful set, or replication controller",
    autoscale,
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, SAVE_CONFIG, SELECTOR, AUTOSCALE_FLAGS])
.changing();

fn autoscale(k: &mut Kubectl) -> Result {
    let (min, max) = (k.flags.int("min"), k.flags.int("max"));
    if max < 1 {
        return plain(format!(
            "--max=MAXPODS is required and must be at least 1, max: {max}"
        ));
    }
    if max < min {
        return plain(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"
        ));
    }
    let mut metrics = Vec::new();
    let percent = k.flags.int("cpu-percent");
    if percent > 0 && !k.flags.str("cpu").is_empty() {
        return plain("--cpu-percent and --cpu are mutually exclusive");
    }
    let cpu = if percent > 0 {
        format!("{percent}%")
    } else {
        k.flags.str("cpu").to_owned()
    };
    for (name, value) in [("cpu", cpu), ("memory", k.flags.str("memory").to_owned())] {
        if !value.is_empty() {
            metrics.push(metric(name, &value)?);
        }
    }
    for info in super::infos(k)? {
        if info.resource.subresource("scale").is_none() {
            return plain(format!(
                "cannot autoscale a {}: could not find scale subresource for {}, Resource={} in discovery information",
                info.resource.kind,
                if info.resource.group.is_empty() {
                    format!("/{}", info.resource.version)
                } else {
                    info.resource.api_version()
                },
                info.resource.plural
            ));
        }
        let name = match k.flags.str("name") {
            "" => info.name.to_string(),
            name => name.to_owned(),
        };
        let target = object([
            ("apiVersion", info.resource.api_version().into()),
            ("kind", (&info.resource.kind).into()),
            ("name", (&info.name).into()),
        ]);
        let mut spec = object([("maxReplicas", max.into()), ("scaleTargetRef", target)]);
        if min > 0 {
            spec["minReplicas"] = min.into();
        }
        if !metrics.is_empty() {
            spec["metrics"] = array(metrics.clone());
        }
        let made = object([
            ("apiVersion", "autoscaling/v2".into()),
            ("kind", "HorizontalPodAutoscaler".into()),
            ("metadata", object([("name", name.into())])),
            ("spec", spec),
            (
                "status",
                object([
                    ("currentMetrics", Value::Null),
                    ("desiredReplicas", 0.into()),
                ]),
            ),
        ]);
        let mut result = k.generate(made, "", "autoscaled");
        // Where autoscaling/v2 refuses, kubectl tries v1, which knows no other metric than the CPU's.
        if let Err(error) = &result {
            let (cpu, memory) = (k.flags.str("cpu"), k.flags.str("memory"));
            let incompatible = match cpu {
                "" => Some("empty input"),
                cpu if cpu.ends_with('%') && memory.is_empty() => None,
                // What Go prints of an error that is none.
                _ => Some("%!w(<nil>)"),
            };
            result = match incompatible {
                Some(why) => plain(format!(
                    "failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1: {why}"
                )),
                None => Err(error.clone()),
            };
        }
        result?;
    }
    Ok(())
}

fn metric(name: &str, value: &str) -> Result<Value> {
    let target = match value.strip_suffix('%') {
        Some(percent) => match percent.parse::<i32>() {
            Ok(percent) if percent >= 0 => object([
                ("averageUtilization", percent.into()),
                ("type", "Utilization".into()),
            ]),
            _ => return plain(format!("invalid percentage value: {percent}")),
        },
        None => {
            // A bare number is thousandths of a CPU, or mebibytes.
            let unit = if name == "cpu" { "m" } else { "Mi" };
            let given = match value.parse::<f64>() {
                Ok(number) => format!("{number}{unit}"),
                Err(_) => value.to_owned(),
            };
            let Ok(quantity) = given.parse::<Quantity>() else {
                return plain(format!("invalid resource {name} value: {value}"));
            };
            object([
                ("averageValue", quantity.to_string().into()),
                ("type", "AverageValue".into()),
            ])
        }
    };
    Ok(object([
        (
            "resource",
            object([("name", name.into()), ("target", target)]),
        ),
        ("type", "Resource".into()),
    ]))
}
