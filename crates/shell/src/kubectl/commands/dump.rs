//! `kubectl cluster-info dump`: objects and logs of some namespaces, one document after another
//! (kubectl v1.37, `pkg/cmd/clusterinfo/clusterinfo_dump.go`).

use kubarium_objects::{Value, array, object};

use super::logs;
use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::Result;
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::output::Format;
use crate::kubectl::resource::{Info, Query};

const FLAGS: &[Flag] = &[
    switch(
        "all-namespaces",
        "If true, dump all namespaces.  If true, --namespaces is ignored.",
    )
    .short('A'),
    list(
        "namespaces",
        "A comma separated list of namespaces to dump.",
    ),
    flag("output", Kind::Text, "json", "Output format.").short('o'),
    text(
        "output-directory",
        "Where to output the files.  If empty or '-' uses stdout, otherwise creates a directory hierarchy in that directory",
    ),
    flag(
        "pod-running-timeout",
        Kind::Duration,
        "20s",
        "The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "dump",
    "[flags] [options]",
    "Dump relevant information for debugging and diagnosis",
    dump,
)
.flags(&[FLAGS])
.partly("it writes to standard output only");

/// The kinds, in their order.
const KINDS: [&str; 7] = [
    "events",
    "replicationcontrollers",
    "services",
    "daemonsets",
    "deployments",
    "replicasets",
    "pods",
];

fn dump(k: &mut Kubectl) -> Result {
    let format = match k.flags.str("output") {
        "yaml" => Format::Yaml,
        _ => Format::Json,
    };
    let nodes = list_of(k, "nodes", None)?;
    print(k, &format, "nodes", &nodes)?;
    let given = k.flags.list("namespaces").to_vec();
    let namespaces: Vec<String> = if k.flags.bool("all-namespaces") {
        list_of(k, "namespaces", None)?
            .into_iter()
            .map(|i| i.name.to_string())
            .collect()
    } else if given.is_empty() {
        vec![k.namespace().to_string(), "kube-system".to_owned()]
    } else {
        given
    };
    for namespace in namespaces {
        for kind in KINDS {
            let found = list_of(k, kind, Some(&namespace))?;
            print(k, &format, kind, &found)?;
            if kind != "pods" {
                continue;
            }
            for pod in found {
                for (container, _) in logs::container_names(&pod.object) {
                    let text = logs::text_of(k, &pod, &container, false).unwrap_or_default();
                    let of = format!("container {container} of pod {namespace}/{}", pod.name);
                    k.out(format!(
                        "==== START logs for {of} ====\n{text}==== END logs for {of} ====\n"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn list_of(k: &mut Kubectl, kind: &str, namespace: Option<&str>) -> Result<Vec<Info>> {
    let resource = k.mapping(kind)?;
    let query = Query {
        all_namespaces: true,
        ..Query::default()
    };
    let mut found = k.list(&resource, &query)?;
    found.retain(|i| namespace.is_none_or(|ns| *i.namespace == *ns));
    Ok(found)
}

fn print(k: &mut Kubectl, format: &Format, kind: &str, found: &[Info]) -> Result {
    let resource = k.mapping(kind)?;
    let items = found.iter().map(|info| {
        let mut object = info.object.clone();
        object.remove(&["apiVersion"]);
        object.remove(&["kind"]);
        object
    });
    let revision: Value = k.cluster().etcd.revision().to_string().into();
    let list = object([
        ("apiVersion", resource.api_version().into()),
        ("items", array(items)),
        ("kind", format!("{}List", resource.kind).into()),
        ("metadata", object([("resourceVersion", revision)])),
    ]);
    k.print_object(format, &list)
}
