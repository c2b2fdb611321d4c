//! `kubectl api-resources`, `api-versions`, `version`, `cluster-info`

use std::sync::Arc;

use kubarium_objects::{ObjectMeta, Resource, Value, array, go, object, yaml};

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
    k.no_arguments()?;
    let output = k.flags.str("output").to_owned();
    if !matches!(
        output.as_str(),
        "" | "wide" | "name" | "json" | "yaml" | "kyaml"
    ) {
        return plain(format!(
            "unable to match a printer suitable for the output format {}, allowed formats are: json,kyaml,name,wide,yaml",
            go::quote(&output)
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
    if matches!(output.as_str(), "json" | "yaml" | "kyaml") {
        let text = resource_list(&found, &output);
        k.out(text);
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
    k.no_arguments()?;
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
    if !k.flags.args.is_empty() {
        return plain(format!("extra arguments: [{}]", k.flags.args.join(" ")));
    }
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

/// The resources as one list; as JSON in the order of the struct's fields, as YAML sorted.
fn resource_list(found: &[Arc<Resource>], format: &str) -> String {
    let mut items = Vec::new();
    for r in found {
        let mut fields = vec![
            ("name", Value::from(&r.plural)),
            ("singularName", Value::from(&r.singular)),
            ("namespaced", r.namespaced.into()),
            ("group", Value::from(&r.group)),
            ("version", Value::from(&r.version)),
            ("kind", Value::from(&r.kind)),
            ("verbs", array(r.verbs.iter())),
            ("shortNames", array(r.short_names.iter())),
            ("categories", array(r.categories.iter())),
        ];
        fields.retain(|(name, value)| {
            !value.is_empty() || !matches!(*name, "group" | "shortNames" | "categories")
        });
        items.push(fields);
    }
    if format != "json" {
        let mut list = object([
            ("apiVersion", "v1".into()),
            ("groupVersion", "".into()),
            ("kind", "APIResourceList".into()),
            ("resources", Value::new_array()),
        ]);
        for fields in items {
            let mut item = Value::new_object();
            for (name, value) in fields {
                item[name] = value;
            }
            list["resources"].push(item);
        }
        return match format {
            "kyaml" => crate::kubectl::kyaml::print(&list),
            _ => yaml::to_yaml(&list),
        };
    }
    let mut text = String::from(
        "{\n    \"kind\": \"APIResourceList\",\n    \"apiVersion\": \"v1\",\n    \"groupVersion\": \"\",\n    \"resources\": [\n",
    );
    let items: Vec<String> = items
        .iter()
        .map(|fields| {
            let lines: Vec<String> = fields
                .iter()
                .map(|(name, value)| {
                    let value = go::json_indent(value, "    ").replace('\n', "\n            ");
                    format!("            {}: {value}", go::quote(name))
                })
                .collect();
            format!("        {{\n{}\n        }}", lines.join(",\n"))
        })
        .collect();
    text.push_str(&items.join(",\n"));
    text.push_str("\n    ]\n}\n");
    text
}

pub(crate) const CLUSTER_INFO: Command = Command::new(
    "cluster-info",
    "[flags] [options]",
    "Display cluster information",
    cluster_info,
)
.commands(&[super::dump::COMMAND]);

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
