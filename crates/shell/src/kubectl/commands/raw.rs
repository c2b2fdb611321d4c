//! `--raw`: requests to the API server by their address

use std::sync::Arc;

use kubarium_cluster::api::rbac::Attributes;
use kubarium_objects::{ObjectKey, Resource, Status, Value, array, go, object};
use sha2::{Digest, Sha256};

use crate::kubectl::Kubectl;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::request::{DeleteOptions, Propagation, Subresource};
use crate::kubectl::resource::{Info, Query};

/// A request with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Post,
    Put,
    Delete,
}

pub(super) fn run(k: &mut Kubectl) -> Result {
    let raw = k.flags.str("raw").to_owned();
    if !k.flags.args.is_empty() {
        return plain("arguments may not be passed when --raw is specified");
    }
    if !raw.starts_with('/') {
        return plain(format!(
            "--raw must be a valid URL path: parse {}: invalid URI for request",
            go::quote(&raw)
        ));
    }
    let path = raw.split('?').next().unwrap_or("").to_owned();
    let user = k.user()?;
    if !path.starts_with("/api/") && !path.starts_with("/apis/") {
        let attributes = Attributes {
            verb: "get",
            path: &path,
            ..Attributes::default()
        };
        k.cluster().authorize(&user, &attributes)?;
    }
    let text = answer(k, &raw)?;
    k.out(text);
    Ok(())
}

/// `kubectl create --raw`, `replace --raw` and `delete --raw`.
pub(crate) fn send(k: &mut Kubectl, method: Method) -> Result {
    let raw = k.flags.str("raw").to_owned();
    let files = k.flags.list("filename").to_vec();
    if files.len() > 1 || (files.is_empty() && method != Method::Delete) {
        return plain("--raw can only use a single local file or stdin");
    }
    if files
        .iter()
        .any(|f| f.starts_with("http://") || f.starts_with("https://"))
    {
        return plain("--raw cannot read from a url");
    }
    if k.flags.bool("recursive") {
        return plain("--raw and --recursive are mutually exclusive");
    }
    if k.flags.changed("output") {
        return plain("--raw and --output are mutually exclusive");
    }
    if !raw.starts_with('/') {
        return plain(format!(
            "--raw must be a valid URL path: parse {}: invalid URI for request",
            go::quote(&raw)
        ));
    }
    let body = match files.first().map(String::as_str) {
        None => String::new(),
        Some("-") => String::from_utf8_lossy(&std::mem::take(&mut k.stdin)).into_owned(),
        Some(name) => {
            let path = k.session.absolute(&k.cwd, name);
            match k.session.read_file(&path) {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => return plain(format!("open {name}: no such file or directory")),
            }
        }
    };
    let path = raw.split('?').next().unwrap_or("");
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let (api_version, rest) = match parts[..] {
        ["api", version, ref rest @ ..] => (version.to_owned(), rest),
        ["apis", group, version, ref rest @ ..] => (format!("{group}/{version}"), rest),
        _ => return Err(Status::no_such_resource().into()),
    };
    let (resource, namespace, rest) = located(k, &api_version, rest)?;
    let namespace = namespace.unwrap_or("").to_owned();
    let text = match (method, rest) {
        (Method::Post, []) => {
            let object = parsed(&body)?;
            let made = k.create(&resource, &namespace, object, Some(false))?;
            go::json(&made) + "\n"
        }
        (Method::Put, [name] | [name, "status"]) => {
            let object = parsed(&body)?;
            let part = match rest {
                [_, "status"] => Subresource::Status,
                _ => Subresource::None,
            };
            let info = Info {
                resource,
                namespace: namespace.as_str().into(),
                name: (*name).into(),
                object: Value::Null,
                source: String::new(),
            };
            let made = k.replace(&info, object, part)?;
            go::json(&made) + "\n"
        }
        (Method::Delete, [name]) => {
            let options = if body.trim().is_empty() {
                Value::new_object()
            } else {
                parsed(&body)?
            };
            let key = ObjectKey::new(resource.id(), namespace.as_str(), *name);
            let options = DeleteOptions {
                grace_seconds: options["gracePeriodSeconds"].as_i64(),
                propagation: match options["propagationPolicy"].str() {
                    "Orphan" => Propagation::Orphan,
                    "Foreground" => Propagation::Foreground,
                    _ => Propagation::Background,
                },
                ..DeleteOptions::default()
            };
            let last = k.delete(&key, &options)?;
            if k.current(&key).is_some() {
                go::json(&last) + "\n"
            } else {
                let mut details = vec![("name", go::json(&(*name).into()))];
                if !resource.group.is_empty() {
                    details.push(("group", go::json(&(&resource.group).into())));
                }
                details.push(("kind", go::json(&(&resource.plural).into())));
                details.push(("uid", go::json(&last["metadata"]["uid"])));
                document(&[
                    ("kind", "\"Status\"".to_owned()),
                    ("apiVersion", "\"v1\"".to_owned()),
                    ("metadata", "{}".to_owned()),
                    ("status", "\"Success\"".to_owned()),
                    ("details", document(&details).trim_end().to_owned()),
                ])
            }
        }
        _ => return Err(Status::method_not_allowed(&resource.id(), "create").into()),
    };
    k.out(text);
    Ok(())
}

fn parsed(body: &str) -> Result<Value> {
    let (documents, broken) = kubarium_objects::yaml::parse_until_error(body);
    match documents.into_iter().next() {
        Some(document) if broken.is_none() => Ok(document.value),
        _ => Err(Status::bad_request(
            "the object provided is unrecognized (must be of type Object): couldn't get version/kind; json parse error",
        )
        .into()),
    }
}

/// A JSON object with its fields in this order.
fn document(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    format!("{{{}}}\n", fields.join(","))
}

fn texts<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|t| go::json(&t.as_ref().into())).collect();
    format!("[{}]", items.join(","))
}

/// What `/healthz`, `/livez` and `/readyz` check, in this order.
const CHECKS: &[&str] = &[
    "ping",
    "log",
    "etcd",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

fn health(kind: &str, verbose: bool) -> String {
    if !verbose {
        return "ok".to_owned();
    }
    let mut text = String::new();
    for check in CHECKS {
        text.push_str(&format!("[+]{check} ok\n"));
        if *check == "etcd" && kind == "readyz" {
            text.push_str("[+]etcd-readiness ok\n[+]informer-sync ok\n");
        }
    }
    if kind == "readyz" {
        text.push_str("[+]shutdown ok\n");
    }
    text + kind + " check passed\n"
}

fn answer(k: &mut Kubectl, raw: &str) -> Result<String> {
    let (path, question) = raw.split_once('?').unwrap_or((raw, ""));
    let asked = Asked::of(question);
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    match parts[..] {
        [kind @ ("healthz" | "livez" | "readyz")] => Ok(health(
            kind,
            question.split('&').any(|q| q.starts_with("verbose")),
        )),
        ["healthz" | "livez" | "readyz", ref check @ ..]
            if CHECKS.contains(&check.join("/").as_str()) =>
        {
            Ok("ok".to_owned())
        }
        ["version"] => Ok(version_text()),
        [] => {
            let mut paths = vec![
                "/.well-known/openid-configuration".to_owned(),
                "/api".to_owned(),
                "/api/v1".to_owned(),
                "/apis".to_owned(),
            ];
            for (group, versions) in groups(k) {
                paths.push(format!("/apis/{group}"));
                paths.extend(versions.iter().map(|v| format!("/apis/{group}/{v}")));
            }
            for kind in ["healthz", "livez"] {
                paths.push(format!("/{kind}"));
                paths.extend(CHECKS.iter().map(|c| format!("/{kind}/{c}")));
            }
            paths.push("/metrics".to_owned());
            paths.extend(["/openapi/v2", "/openapi/v3"].map(str::to_owned));
            paths.push("/readyz".to_owned());
            paths.extend(CHECKS.iter().map(|c| format!("/readyz/{c}")));
            paths.push("/version".to_owned());
            paths.sort();
            Ok(go::json_indent(&object([("paths", array(paths))]), "  "))
        }
        ["api"] => {
            let address = k.session.kubeconfig.server.clone();
            let address = address.strip_prefix("https://").unwrap_or(&address);
            Ok(document(&[
                ("kind", "\"APIVersions\"".to_owned()),
                ("versions", "[\"v1\"]".to_owned()),
                (
                    "serverAddressByClientCIDRs",
                    format!("[{{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":\"{address}\"}}]"),
                ),
            ]))
        }
        ["apis"] => {
            let all: Vec<String> = groups(k)
                .iter()
                .map(|(group, versions)| api_group(group, versions, false).trim_end().to_owned())
                .collect();
            Ok(document(&[
                ("kind", "\"APIGroupList\"".to_owned()),
                ("apiVersion", "\"v1\"".to_owned()),
                ("groups", format!("[{}]", all.join(","))),
            ]))
        }
        ["apis", group] => match groups(k).iter().find(|(name, _)| name == group) {
            Some((group, versions)) => Ok(api_group(group, versions, true)),
            None => Err(Status::no_such_resource().into()),
        },
        ["api", "v1"] => Ok(resource_list(k, "v1")),
        ["apis", group, version] => {
            let served = groups(k)
                .iter()
                .any(|(g, versions)| g == group && versions.iter().any(|v| v == version));
            if !served {
                return Err(Status::no_such_resource().into());
            }
            Ok(resource_list(k, &format!("{group}/{version}")))
        }
        ["api", "v1", ref rest @ ..] => objects(k, "v1", rest, &asked),
        ["apis", "metrics.k8s.io", ..] => Err(Status::no_such_resource().into()),
        ["apis", group, version, ref rest @ ..] => {
            objects(k, &format!("{group}/{version}"), rest, &asked)
        }
        ["metrics" | "openapi", ..] => plain(crate::registry::not_yet(
            &format!("kubectl get --raw {path}"),
            "",
        )),
        _ => Err(Status::no_such_resource().into()),
    }
}

/// What a request's address asks for behind the question mark.
#[derive(Default)]
struct Asked {
    labels: Option<String>,
    fields: Option<String>,
    limit: usize,
}

impl Asked {
    fn of(question: &str) -> Asked {
        let mut asked = Asked::default();
        for pair in question.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescaped(value);
            match name {
                "labelSelector" => asked.labels = Some(value),
                "fieldSelector" => asked.fields = Some(value),
                "limit" => asked.limit = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        asked
    }
}

/// `%3D` and `+` as they are meant.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        let hex = |b: Option<u8>| char::from(b?).to_digit(16);
        match b {
            b'+' => bytes.push(b' '),
            b'%' => match (hex(rest.next()), hex(rest.next())) {
                (Some(a), Some(b)) => bytes.push((a * 16 + b) as u8),
                _ => bytes.push(b'%'),
            },
            b => bytes.push(b),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The named groups with their versions, in the order in which they are preferred.
fn groups(k: &Kubectl) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for r in k.cluster().resources() {
        if r.group.is_empty() {
            continue;
        }
        let at = match found.iter().position(|(g, _)| **g == *r.group) {
            Some(at) => at,
            None => {
                found.push((r.group.to_string(), Vec::new()));
                found.len() - 1
            }
        };
        let versions = &mut found[at].1;
        if !versions.iter().any(|v| **v == *r.version) {
            versions.push(r.version.to_string());
        }
    }
    let place = |group: &str| GROUPS.iter().position(|g| *g == group);
    found.sort_by_key(|(group, _)| place(group).unwrap_or(GROUPS.len()));
    found
}

/// The built-in groups in the order in which the API server lists them.
const GROUPS: &[&str] = &[
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "storagemigration.k8s.io",
];

fn api_group(group: &str, versions: &[String], alone: bool) -> String {
    let version = |v: &String| format!("{{\"groupVersion\":\"{group}/{v}\",\"version\":\"{v}\"}}");
    let all: Vec<String> = versions.iter().map(version).collect();
    let mut fields = Vec::new();
    if alone {
        fields.push(("kind", "\"APIGroup\"".to_owned()));
        fields.push(("apiVersion", "\"v1\"".to_owned()));
    }
    fields.push(("name", go::json(&group.into())));
    fields.push(("versions", format!("[{}]", all.join(","))));
    fields.push((
        "preferredVersion",
        versions.first().map(version).unwrap_or_default(),
    ));
    document(&fields)
}

/// What `/version` answers, in its order.
const VERSION: &[(&str, &str)] = &[
    ("major", "1"),
    ("minor", "37"),
    ("emulationMajor", "1"),
    ("emulationMinor", "37"),
    ("minCompatibilityMajor", "1"),
    ("minCompatibilityMinor", "36"),
    ("gitVersion", "v1.37.2"),
    ("gitCommit", "0000000000000000000000000000000000000000"),
    ("gitTreeState", "clean"),
    ("buildDate", "1970-01-01T00:00:00Z"),
    ("goVersion", "go1.26.8"),
    ("compiler", "gc"),
    ("platform", "linux/amd64"),
];

fn version_text() -> String {
    let lines: Vec<String> = VERSION
        .iter()
        .map(|(name, value)| format!("  \"{name}\": \"{value}\""))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// What `/version` answers; of a client, without the versions that it is compatible with.
pub(super) fn version(server: bool) -> Value {
    let mut info = Value::new_object();
    for (name, value) in VERSION {
        let of_servers = name.starts_with("emulation") || name.starts_with("minCompat");
        if server || !of_servers {
            info[*name] = (*value).into();
        }
    }
    info
}

fn resource_list(k: &Kubectl, api_version: &str) -> String {
    let mut resources = Vec::new();
    for r in k
        .cluster()
        .resources()
        .into_iter()
        .filter(|r| r.api_version() == api_version)
    {
        let mut entry = vec![
            ("name", go::json(&(&r.plural).into())),
            ("singularName", go::json(&(&r.singular).into())),
            ("namespaced", r.namespaced.to_string()),
            ("kind", go::json(&(&r.kind).into())),
            ("verbs", texts(&r.verbs)),
        ];
        if !r.short_names.is_empty() {
            entry.push(("shortNames", texts(&r.short_names)));
        }
        if !r.categories.is_empty() {
            entry.push(("categories", texts(&r.categories)));
        }
        if r.has_verb("watch") {
            let hashed = Sha256::digest(format!("{}/{}/{}", r.group, r.version, r.kind));
            let hash = kubarium_objects::base64::encode(&hashed[..8]);
            entry.push(("storageVersionHash", go::json(&hash.into())));
        }
        resources.push(document(&entry).trim_end().to_owned());
        for sub in &r.subresources {
            let mut entry = vec![
                (
                    "name",
                    go::json(&format!("{}/{}", r.plural, sub.name).into()),
                ),
                ("singularName", "\"\"".to_owned()),
                ("namespaced", r.namespaced.to_string()),
            ];
            if *sub.api_version != *api_version
                && let Some((group, version)) = sub.api_version.split_once('/')
            {
                entry.push(("group", go::json(&group.into())));
                entry.push(("version", go::json(&version.into())));
            }
            entry.push(("kind", go::json(&(&sub.kind).into())));
            entry.push(("verbs", texts(&sub.verbs)));
            resources.push(document(&entry).trim_end().to_owned());
        }
    }
    let mut fields = vec![("kind", "\"APIResourceList\"".to_owned())];
    if api_version != "v1" {
        fields.push(("apiVersion", "\"v1\"".to_owned()));
    }
    fields.push(("groupVersion", go::json(&api_version.into())));
    fields.push(("resources", format!("[{}]", resources.join(","))));
    document(&fields)
}

type Located<'a> = (Arc<Resource>, Option<&'a str>, &'a [&'a str]);

/// The resource, namespace and rest of a path behind its group and version.
fn located<'a>(k: &Kubectl, api_version: &str, rest: &'a [&'a str]) -> Result<Located<'a>> {
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..]
            if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) =>
        {
            (Some(*namespace), rest)
        }
        rest => (None, rest),
    };
    let Some((plural, rest)) = rest.split_first() else {
        return Err(Status::no_such_resource().into());
    };
    let mut resources = k.cluster().resources().into_iter();
    match resources.find(|r| r.api_version() == api_version && *r.plural == **plural) {
        Some(resource) => Ok((resource, namespace, rest)),
        None => Err(Status::no_such_resource().into()),
    }
}

fn objects(k: &mut Kubectl, api_version: &str, rest: &[&str], asked: &Asked) -> Result<String> {
    let (resource, namespace, rest) = located(k, api_version, rest)?;
    match rest {
        [] => list(k, &resource, namespace, asked),
        [name] => {
            let object = k.read(&resource, namespace.unwrap_or(""), name)?;
            let custom = k.cluster().is_custom(&resource);
            Ok(as_sent(&object, custom))
        }
        [name, "log"] if &*resource.id() == "pods" => {
            let object = k.read(&resource, namespace.unwrap_or(""), name)?;
            let info = Info {
                resource,
                namespace: namespace.unwrap_or("").into(),
                name: (*name).into(),
                object,
                source: String::new(),
            };
            let container = info.object["spec"]["containers"][0]["name"].str();
            Ok(super::logs::text_of(k, &info, container, false).unwrap_or_default())
        }
        [name, "scale"] => {
            let object = k.read(&resource, namespace.unwrap_or(""), name)?;
            let info = Info {
                resource,
                namespace: namespace.unwrap_or("").into(),
                name: (*name).into(),
                object,
                source: String::new(),
            };
            Ok(as_sent(&super::scale::scale_of(&info)?, false))
        }
        [name, "status"] if resource.subresource("status").is_some() => {
            let object = k.read(&resource, namespace.unwrap_or(""), name)?;
            let custom = k.cluster().is_custom(&resource);
            Ok(as_sent(&object, custom))
        }
        _ => Err(Status::no_such_resource().into()),
    }
}

fn list(
    k: &mut Kubectl,
    resource: &Arc<Resource>,
    namespace: Option<&str>,
    asked: &Asked,
) -> Result<String> {
    let infos = k.list(
        resource,
        &Query {
            all_namespaces: true,
            selector: asked.labels.clone(),
            field_selector: asked.fields.clone(),
            ..Query::default()
        },
    )?;
    let mut infos: Vec<Info> = infos
        .into_iter()
        .filter(|i| namespace.is_none_or(|ns| *i.namespace == *ns))
        .collect();
    if asked.limit > 0 {
        infos.truncate(asked.limit);
    }
    let custom = k.cluster().is_custom(resource);
    let items = infos.into_iter().map(|mut i| {
        if !custom {
            i.object.remove(&["apiVersion"]);
            i.object.remove(&["kind"]);
        }
        i.object
    });
    let list = object([
        ("apiVersion", resource.api_version().into()),
        ("items", array(items)),
        ("kind", format!("{}List", resource.kind).into()),
        (
            "metadata",
            object([(
                "resourceVersion",
                k.cluster().etcd.revision().to_string().into(),
            )]),
        ),
    ]);
    Ok(as_sent(&list, custom))
}

/// A document as the API server sends it: that of a built-in type in its struct's order, any other with
/// its fields sorted.
fn as_sent(document: &Value, custom: bool) -> String {
    if custom {
        return go::json(document) + "\n";
    }
    let first = ["kind", "apiVersion", "metadata"];
    let all = document.entries();
    let known = first
        .iter()
        .filter_map(|f| all.iter().find(|(k, _)| **k == **f));
    let rest = all.iter().filter(|(k, _)| !first.contains(&&**k));
    let fields: Vec<String> = known
        .chain(rest)
        .map(|(k, v)| format!("{}:{}", go::json(&k.into()), go::json(v)))
        .collect();
    format!("{{{}}}\n", fields.join(","))
}
