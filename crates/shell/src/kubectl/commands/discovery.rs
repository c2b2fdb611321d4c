//! `kubectl api-resources`, `api-versions`, `version`, `cluster-info`, `explain`

use kubarium_objects::{ObjectMeta, Schema, Type, TypeId, go, object, yaml};

use crate::kubectl::command::Command;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::{Kubectl, table};

const API_FLAGS: &[Flag] = &[
    text(
        "api-group",
        "Limit to resources in the specified API group.",
    ),
    switch("cached", "Use the cached list of resources if available."),
    list(
        "categories",
        "Limit to resources that belong to the specified categories.",
    ),
    flag(
        "namespaced",
        Kind::Bool,
        "true",
        "If false, non-namespaced resources will be returned, otherwise returning namespaced resources by default.",
    ),
    switch(
        "no-headers",
        "When using the default or custom-column output format, don't print headers (default print headers).",
    ),
    text("output", "Output format. One of: (json, yaml, name, wide).").short('o'),
    text(
        "sort-by",
        "If non-empty, sort list of resources using specified field. The field can be either 'name' or 'kind'.",
    ),
    list(
        "verbs",
        "Limit to resources that support the specified verbs.",
    ),
];

pub(crate) const API_RESOURCES: Command = Command::new(
    "api-resources",
    "[options]",
    "Print the supported API resources on the server",
    api_resources,
)
.flags(&[API_FLAGS]);

fn api_resources(k: &mut Kubectl) -> Result {
    if !k.flags.args.is_empty() {
        return Err(k.usage(format!(
            "unexpected arguments: [{}]",
            k.flags.args.join(" ")
        )));
    }
    let output = k.flags.str("output").to_owned();
    if !matches!(output.as_str(), "" | "wide" | "name") {
        return plain(crate::registry::not_yet(
            &format!("kubectl api-resources -o {output}"),
            "use -o name or -o wide",
        ));
    }
    let sort = k.flags.str("sort-by").to_owned();
    if !matches!(sort.as_str(), "" | "name" | "kind") {
        return plain("--sort-by accepts only name or kind");
    }
    let mut seen = Vec::new();
    let mut found = k.cluster().resources();
    found.retain(|r| {
        let fits = (!k.flags.changed("api-group") || *r.group == *k.flags.str("api-group"))
            && (!k.flags.changed("namespaced") || r.namespaced == k.flags.bool("namespaced"))
            && k.flags.list("verbs").iter().all(|v| r.has_verb(v))
            && k.flags
                .list("categories")
                .iter()
                .all(|c| r.categories.iter().any(|own| **own == **c))
            && !seen.contains(&r.id());
        if fits {
            seen.push(r.id());
        }
        fits
    });
    match sort.as_str() {
        "name" => found.sort_by(|a, b| a.plural.cmp(&b.plural)),
        "kind" => found.sort_by(|a, b| a.kind.cmp(&b.kind)),
        _ => found.sort_by(|a, b| a.group.cmp(&b.group).then_with(|| a.plural.cmp(&b.plural))),
    }
    if output == "name" {
        let names: String = found.iter().map(|r| format!("{}\n", r.id())).collect();
        k.out(names);
        return Ok(());
    }
    let wide = output == "wide";
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !k.flags.bool("no-headers") {
        let mut head = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
        if wide {
            head.extend(["VERBS", "CATEGORIES"]);
        }
        rows.push(head.into_iter().map(str::to_owned).collect());
    }
    for r in found {
        let mut row = vec![
            r.plural.to_string(),
            r.short_names.join(","),
            r.api_version(),
            r.namespaced.to_string(),
            r.kind.to_string(),
        ];
        if wide {
            let mut verbs: Vec<&str> = r.verbs.iter().map(|v| &**v).collect();
            verbs.sort_unstable();
            row.extend([verbs.join(","), r.categories.join(",")]);
        }
        rows.push(row);
    }
    k.out(table::rows(&rows));
    Ok(())
}

pub(crate) const API_VERSIONS: Command = Command::new(
    "api-versions",
    "",
    "Print the supported API versions on the server, in the form of \"group/version\"",
    api_versions,
);

fn api_versions(k: &mut Kubectl) -> Result {
    let mut versions: Vec<String> = k
        .cluster()
        .resources()
        .iter()
        .map(|r| r.api_version())
        .collect();
    versions.sort();
    versions.dedup();
    k.out(versions.join("\n") + "\n");
    Ok(())
}

pub(crate) const VERSION: Command = Command::new(
    "version",
    "[options]",
    "Print the client and server version information",
    version,
)
.flags(&[&[
    switch(
        "client",
        "If true, shows client version only (no server required).",
    ),
    text("output", "One of 'yaml' or 'json'.").short('o'),
]]);

fn version(k: &mut Kubectl) -> Result {
    let client_only = k.flags.bool("client");
    let mut shown = object([
        ("clientVersion", super::raw::version(false)),
        ("kustomizeVersion", "v5.8.1".into()),
    ]);
    if !client_only {
        shown["serverVersion"] = super::raw::version(true);
    }
    let text = match k.flags.str("output") {
        "json" => go::json_indent(&shown, "  ") + "\n",
        "yaml" => yaml::to_yaml(&shown),
        "" if client_only => "Client Version: v1.37.2\nKustomize Version: v5.8.1\n".to_owned(),
        "" => "Client Version: v1.37.2\nKustomize Version: v5.8.1\nServer Version: v1.37.2\n"
            .to_owned(),
        _ => return plain("--output must be 'yaml' or 'json'"),
    };
    k.out(text);
    Ok(())
}

pub(crate) const CLUSTER_INFO: Command = Command::new(
    "cluster-info",
    "[flags] [options]",
    "Display cluster information",
    cluster_info,
)
.commands(&[Command::not_yet(
    "dump",
    "Dump relevant information for debugging and diagnosis",
    "",
)]);

fn cluster_info(k: &mut Kubectl) -> Result {
    let server = k.session.kubeconfig.server.clone();
    let mut text = format!("Kubernetes control plane is running at {server}\n");
    let services: Vec<_> = k
        .cluster()
        .etcd
        .list("services", Some("kube-system"))
        .map(|(_, s)| s.clone())
        .collect();
    for service in services
        .iter()
        .filter(|s| s.label("kubernetes.io/cluster-service") == Some("true"))
    {
        let name = service
            .label("kubernetes.io/name")
            .unwrap_or(service.name());
        let port = &service["spec"]["ports"][0]["name"];
        let link = if port.is_empty() {
            service.name().to_owned()
        } else {
            format!("{}:{}", service.name(), port.str())
        };
        text.push_str(&format!(
            "{name} is running at {server}/api/v1/namespaces/kube-system/services/{link}/proxy\n"
        ));
    }
    text.push_str(
        "\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n",
    );
    k.out(text);
    Ok(())
}

pub(crate) const EXPLAIN: Command = Command::new("explain", "TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2] [options]", "Get documentation for a resource", explain)
    .flags(&[&[
        text("api-version", "Use given api-version (group/version) of the resource."),
        flag("output", Kind::Text, "plaintext", "Format in which to render the schema."),
        switch("recursive", "When true, print the name of all the fields recursively."),
    ]])
    .partly("it prints fields and types without their descriptions");

fn explain(k: &mut Kubectl) -> Result {
    let path = match &k.flags.args[..] {
        [] => {
            return plain(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
            );
        }
        [one] => one.clone(),
        _ => return Err(k.usage("We accept only this format: explain RESOURCE")),
    };
    let (word, fields) = path.split_once('.').unwrap_or((&path, ""));
    let mut resource = k.mapping(word)?;
    let version = k.flags.str("api-version").to_owned();
    if !version.is_empty() {
        match k.cluster().resource_by_kind(&version, &resource.kind) {
            Some(found) => resource = found,
            None => {
                return plain(format!(
                    "couldn't find resource for {}",
                    go::quote(&format!("{version}, Kind={}", resource.kind))
                ));
            }
        }
    }
    if let Some(version) = k.cluster().definitions().version(&resource) {
        let deep = k.flags.bool("recursive");
        let text = super::explain_custom::explain(&resource, &version.schema, fields, deep)?;
        k.out(text);
        return Ok(());
    }
    let schema = Schema::builtin();
    let mut here = resource.type_id;
    let mut last = None;
    for step in fields.split('.').filter(|s| !s.is_empty()) {
        let field = inner(schema, here)
            .and_then(|id| schema.get_struct(id))
            .and_then(|s| s.field(step));
        let Some(field) = field else {
            return plain(format!("field {} does not exist", go::quote(step)));
        };
        (here, last) = (field.type_id, Some(field.clone()));
    }
    let mut text = String::new();
    if !resource.group.is_empty() {
        text.push_str(&format!("GROUP:      {}\n", resource.group));
    }
    text.push_str(&format!(
        "KIND:       {}\nVERSION:    {}\n\n",
        resource.kind, resource.version
    ));
    if let Some(field) = &last {
        text.push_str(&format!(
            "FIELD: {} <{}>{}\n\n",
            field.name,
            shown(schema, field.type_id),
            required(field.required)
        ));
    }
    text.push_str("DESCRIPTION:\n    (descriptions are not simulated yet)\n    \n");
    if let Some(id) = inner(schema, here) {
        text.push_str("FIELDS:\n");
        let deep = k.flags.bool("recursive");
        write_fields(schema, id, 1, deep, &mut text);
    }
    text.push('\n');
    k.out(text);
    Ok(())
}

fn required(is: bool) -> &'static str {
    if is { " -required-" } else { "" }
}

/// The struct that a type is made of.
fn inner(schema: &Schema, id: TypeId) -> Option<TypeId> {
    match schema.get(id) {
        Type::Struct(_) => Some(id),
        Type::List(item) | Type::Map(item, _) => inner(schema, *item),
        _ => None,
    }
}

/// A type as explain shows it: `[]Container`, `map[string]string`, `integer`.
fn shown(schema: &Schema, id: TypeId) -> String {
    match schema.get(id) {
        Type::Struct(s) => s.name.to_string(),
        Type::List(item) => format!("[]{}", shown(schema, *item)),
        Type::Map(item, _) => format!("map[string]{}", shown(schema, *item)),
        Type::Bool => "boolean".to_owned(),
        Type::Int32 | Type::Int64 => "integer".to_owned(),
        Type::Float => "number".to_owned(),
        Type::IntOrString => "IntOrString".to_owned(),
        Type::Quantity => "Quantity".to_owned(),
        Type::RawJson => "Object".to_owned(),
        _ => "string".to_owned(),
    }
}

const EXPLAIN_DEPTH_MAX: usize = 12;

fn write_fields(schema: &Schema, id: TypeId, level: usize, deep: bool, text: &mut String) {
    let Some(fields) = schema.get_struct(id).map(|s| &s.fields) else {
        return;
    };
    for field in fields {
        text.push_str(&format!(
            "{}{}\t<{}>{}\n",
            "  ".repeat(level),
            field.name,
            shown(schema, field.type_id),
            required(field.required)
        ));
        if !deep {
            text.push('\n');
        } else if level < EXPLAIN_DEPTH_MAX
            && text.len() < 1 << 20
            && let Some(id) = inner(schema, field.type_id)
        {
            write_fields(schema, id, level + 1, deep, text);
        }
    }
}
