//! What the kubelet answers over HTTP to whoever shows the API server's certificate (kubernetes v1.37,
//! `pkg/kubelet/server`).

use kubarium_linux::NamespaceId;
use kubarium_objects::{Value, array, object};

use super::http::{Reply, Response, plain};
use crate::cluster::Cluster;

/// Paths that the real one serves and this one does not.
const UNKNOWN: [&str; 9] = [
    "attach",
    "checkpoint",
    "configz",
    "containerLogs",
    "exec",
    "logs",
    "metrics",
    "run",
    "stats",
];

pub(super) fn answer(cluster: &Cluster, netns: NamespaceId, path: &str) -> Reply {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts[..] {
        ["healthz", ..] => plain(200, "ok"),
        ["pods"] => pods(cluster, netns, |_| true),
        ["runningpods"] => pods(cluster, netns, |pod| {
            let mut states = pod["status"]["containerStatuses"].items().iter();
            states.any(|status| !status["state"]["running"].is_null())
        }),
        [first, ..] if UNKNOWN.contains(&first) => plain(
            501,
            "not simulated yet: a kubelet answers /healthz, /pods and /runningpods\n",
        ),
        _ => plain(404, "404 page not found\n"),
    }
}

/// The pods of the machine, as the kubelet knows them.
fn pods(cluster: &Cluster, netns: NamespaceId, shown: fn(&Value) -> bool) -> Reply {
    let mut machines = cluster.machines.iter();
    let node = machines.find(|(_, machine)| machine.netns == netns);
    let keys = node.map(|(name, _)| cluster.index.pods_on(name));
    let pods = keys.into_iter().flatten();
    let pods = pods.filter_map(|key| cluster.etcd.get(key));
    let items: Vec<Value> = pods.filter(|pod| shown(pod)).cloned().collect();
    let list = object([
        ("kind", "PodList".into()),
        ("apiVersion", "v1".into()),
        ("metadata", Value::new_object()),
        ("items", array(items)),
    ]);
    Reply::Response(Response::new(200, "application/json", list.to_json()))
}
