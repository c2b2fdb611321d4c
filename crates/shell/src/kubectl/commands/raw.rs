//! `kubectl get --raw`

use std::sync::Arc;

use kubarium_cluster::api::rbac::Attributes;
use kubarium_objects::{Resource, Status, Value, array, go, object};

use crate::kubectl::Kubectl;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::resource::{Info, Query};

pub(super) fn run(k: &mut Kubectl) -> Result {
    let raw = k.flags.str("raw").to_owned();
    if !k.flags.args.is_empty() {
        return plain("arguments may not be passed when --raw is specified");
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
    let text = answer(k, &path)?;
    k.out(text);
    Ok(())
}

fn answer(k: &mut Kubectl, path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    match parts[..] {
        ["healthz" | "livez" | "readyz"] => Ok("ok".to_owned()),
        ["version"] => Ok(go::json_indent(&version(), "  ")),
        ["api"] => {
            let list = object([("kind", "APIVersions".into()), ("versions", array(["v1"]))]);
            Ok(go::json(&list) + "\n")
        }
        ["api", "v1"] => Ok(resource_list(k, "v1")),
        ["apis", group, version]
            if !k
                .cluster()
                .resources()
                .iter()
                .any(|r| *r.group == *group && *r.version == *version) =>
        {
            Err(Status::no_such_resource().into())
        }
        ["apis", group, version] => Ok(resource_list(k, &format!("{group}/{version}"))),
        ["api", "v1", ref rest @ ..] => objects(k, "v1", rest),
        ["apis", group, version, ref rest @ ..] => objects(k, &format!("{group}/{version}"), rest),
        ["metrics" | "openapi" | "apis", ..] => plain(crate::registry::not_yet(
            &format!("kubectl get --raw {path}"),
            "",
        )),
        _ => Err(Status::no_such_resource().into()),
    }
}

/// What `/version` answers.
pub(super) fn version() -> Value {
    object([
        ("compiler", "gc".into()),
        ("gitVersion", "v1.37.2".into()),
        ("major", "1".into()),
        ("minor", "37".into()),
        ("platform", "linux/amd64".into()),
    ])
}

fn resource_list(k: &Kubectl, api_version: &str) -> String {
    let mut resources = Vec::new();
    for r in k
        .cluster()
        .resources()
        .into_iter()
        .filter(|r| r.api_version() == api_version)
    {
        let mut entry = object([
            ("kind", (&r.kind).into()),
            ("name", (&r.plural).into()),
            ("namespaced", r.namespaced.into()),
            ("singularName", (&r.singular).into()),
            ("verbs", array(r.verbs.iter())),
        ]);
        if !r.short_names.is_empty() {
            entry["shortNames"] = array(r.short_names.iter());
        }
        if !r.categories.is_empty() {
            entry["categories"] = array(r.categories.iter());
        }
        resources.push(entry);
        for sub in &r.subresources {
            resources.push(object([
                ("kind", (&sub.kind).into()),
                ("name", format!("{}/{}", r.plural, sub.name).into()),
                ("namespaced", r.namespaced.into()),
                ("singularName", "".into()),
                ("verbs", array(sub.verbs.iter())),
            ]));
        }
    }
    let list = object([
        ("apiVersion", "v1".into()),
        ("groupVersion", api_version.into()),
        ("kind", "APIResourceList".into()),
        ("resources", array(resources)),
    ]);
    go::json(&list) + "\n"
}

fn objects(k: &mut Kubectl, api_version: &str, rest: &[&str]) -> Result<String> {
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
    let found = k
        .cluster()
        .resources()
        .into_iter()
        .find(|r| r.api_version() == api_version && *r.plural == **plural);
    let Some(resource) = found else {
        return Err(Status::no_such_resource().into());
    };
    match rest {
        [] => list(k, &resource, namespace),
        [name] => {
            let object = k.read(&resource, namespace.unwrap_or(""), name)?;
            Ok(go::json(&object) + "\n")
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
            Ok(go::json(&super::scale::scale_of(&info)?) + "\n")
        }
        [name, "status"] if resource.subresource("status").is_some() => {
            let object = k.read(&resource, namespace.unwrap_or(""), name)?;
            Ok(go::json(&object) + "\n")
        }
        _ => Err(Status::no_such_resource().into()),
    }
}

fn list(k: &mut Kubectl, resource: &Arc<Resource>, namespace: Option<&str>) -> Result<String> {
    let infos = k.list(
        resource,
        &Query {
            all_namespaces: true,
            ..Query::default()
        },
    )?;
    let items = infos
        .into_iter()
        .filter(|i| namespace.is_none_or(|ns| *i.namespace == *ns))
        .map(|mut i| {
            i.object.remove(&["apiVersion"]);
            i.object.remove(&["kind"]);
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
    Ok(go::json(&list) + "\n")
}
