//! Admission: what the API server's plugins add to a request, or refuse, in their real order
//! (kube-apiserver v1.37, `pkg/kubeapiserver/options/plugins.go`).

use std::sync::LazyLock;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value, array, object};

use crate::cluster::Cluster;

/// A pod in a namespace that was made a moment ago: the plugin waits a little for the account that
/// every namespace gets.
pub(super) fn wait_for_account(cluster: &mut Cluster, pod: &Value, namespace: Option<&str>) {
    let name = pod["spec"]["serviceAccountName"].str();
    if pod["kind"].str() != "Pod" || !matches!(name, "" | "default") {
        return;
    }
    let own = pod["metadata"]["namespace"].as_str();
    let namespace = own.or(namespace).unwrap_or("default").to_owned();
    let there = |c: &Cluster| c.find("serviceaccounts", &namespace, "default").is_some();
    if !there(cluster) && cluster.find("namespaces", "", &namespace).is_some() {
        cluster.run_while(std::time::Duration::from_secs(1), there);
    }
}

/// Admits a new object.
pub(super) fn create(
    cluster: &mut Cluster,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), Status> {
    namespace_lifecycle(cluster, resource, object)?;
    if &*resource.id() == "pods" {
        service_account(cluster, object)?;
        runtime_class(cluster, object)?;
        priority(cluster, object)?;
        default_tolerations(object);
    }
    Ok(())
}

/// Admits a changed object.
pub(super) fn update(
    _: &mut Cluster,
    resource: &Resource,
    object: &mut Value,
    _: &Value,
) -> Result<(), Status> {
    if &*resource.id() == "pods" {
        default_tolerations(object);
    }
    Ok(())
}

/// NamespaceLifecycle: nothing is made in a namespace that is not there or is going.
fn namespace_lifecycle(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
) -> Result<(), Status> {
    if !resource.namespaced {
        return Ok(());
    }
    let name = object["metadata"]["namespace"].str();
    let Some(namespace) = cluster.find("namespaces", "", name) else {
        return Err(Status::not_found("namespaces", name));
    };
    if namespace["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let detail =
        format!("unable to create new content in namespace {name} because it is being terminated");
    Err(Status::forbidden(
        &resource.id(),
        object["metadata"]["name"].str(),
        &detail,
    ))
}

/// ServiceAccount: every pod runs as one, with its token mounted into every container.
fn service_account(cluster: &mut Cluster, pod: &mut Value) -> Result<(), Status> {
    let mirror = !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
    if mirror {
        return Ok(());
    }
    if pod["spec"]["serviceAccountName"].is_empty() {
        pod["spec"]["serviceAccountName"] = "default".into();
    }
    let name = pod["spec"]["serviceAccountName"].text();
    pod["spec"]["serviceAccount"] = (&name).into();
    let namespace = pod["metadata"]["namespace"].text();
    let key = ObjectKey::new("serviceaccounts", &*namespace, &*name);
    let Some(account) = cluster.etcd.get(&key) else {
        let detail = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(Status::forbidden(
            "pods",
            pod["metadata"]["name"].str(),
            &detail,
        ));
    };
    let mount = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or(account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    if mount {
        mount_token(cluster, pod);
    }
    Ok(())
}

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn mount_token(cluster: &mut Cluster, pod: &mut Value) {
    let given = pod["spec"]["volumes"]
        .items()
        .iter()
        .find(|v| v["name"].str().starts_with("kube-api-access-"));
    let volume = match given {
        Some(volume) => volume["name"].text(),
        None => format!("kube-api-access-{}", cluster.rng.name(5)).into(),
    };
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for at in 0..pod["spec"][list].items().len() {
            let container = &mut pod["spec"][list][at];
            if container["volumeMounts"]
                .items()
                .iter()
                .any(|m| m["mountPath"].str() == TOKEN_PATH)
            {
                continue;
            }
            container["volumeMounts"].push(object([
                ("mountPath", TOKEN_PATH.into()),
                ("name", (&volume).into()),
                ("readOnly", true.into()),
            ]));
            mounted = true;
        }
    }
    if mounted
        && pod["spec"]["volumes"]
            .items()
            .iter()
            .all(|v| *v["name"].str() != *volume)
    {
        pod["spec"]["volumes"].push(object([
            ("name", volume.into()),
            ("projected", token_sources()),
        ]));
    }
}

/// The same for every pod, and kept once.
fn token_sources() -> Value {
    static SOURCES: LazyLock<Value> = LazyLock::new(make_token_sources);
    SOURCES.clone()
}

fn make_token_sources() -> Value {
    let token = object([("expirationSeconds", 3607.into()), ("path", "token".into())]);
    let ca = object([
        (
            "items",
            array([object([
                ("key", "ca.crt".into()),
                ("path", "ca.crt".into()),
            ])]),
        ),
        ("name", "kube-root-ca.crt".into()),
    ]);
    let field = object([
        ("apiVersion", "v1".into()),
        ("fieldPath", "metadata.namespace".into()),
    ]);
    let downward = object([(
        "items",
        array([object([("fieldRef", field), ("path", "namespace".into())])]),
    )]);
    let sources = array([
        object([("serviceAccountToken", token)]),
        object([("configMap", ca)]),
        object([("downwardAPI", downward)]),
    ]);
    object([("defaultMode", 420.into()), ("sources", sources)])
}

/// RuntimeClass: what the class costs and where it runs goes into the pod.
fn runtime_class(cluster: &Cluster, pod: &mut Value) -> Result<(), Status> {
    let name = pod["spec"]["runtimeClassName"].text();
    if name.is_empty() {
        return Ok(());
    }
    let Some(class) = cluster.find("runtimeclasses.node.k8s.io", "", &name) else {
        let detail = format!("pod rejected: RuntimeClass {name:?} not found");
        return Err(Status::forbidden(
            "pods",
            pod["metadata"]["name"].str(),
            &detail,
        ));
    };
    if let Some(overhead) = class["overhead"].get("podFixed") {
        pod["spec"]["overhead"] = overhead.clone();
    }
    for (key, value) in class["scheduling"]["nodeSelector"].entries() {
        pod["spec"]["nodeSelector"][&**key] = value.clone();
    }
    for toleration in class["scheduling"]["tolerations"].items() {
        if !pod["spec"]["tolerations"].items().contains(toleration) {
            pod["spec"]["tolerations"].push(toleration);
        }
    }
    Ok(())
}

/// Priority: the class's number goes into the pod.
fn priority(cluster: &Cluster, pod: &mut Value) -> Result<(), Status> {
    let class = pod["spec"]["priorityClassName"].text();
    let found = if class.is_empty() {
        cluster
            .etcd
            .list("priorityclasses.scheduling.k8s.io", None)
            .map(|(_, class)| class)
            .filter(|class| class["globalDefault"].as_bool() == Some(true))
            .min_by_key(|class| class["value"].as_i64())
    } else {
        let found = cluster.find("priorityclasses.scheduling.k8s.io", "", &class);
        if found.is_none() {
            let detail = format!("no PriorityClass with name {class} was found");
            return Err(Status::forbidden(
                "pods",
                pod["metadata"]["name"].str(),
                &detail,
            ));
        }
        found
    };
    let (value, policy) = match found {
        Some(class) => {
            pod["spec"]["priorityClassName"] = class["metadata"]["name"].clone();
            (
                class["value"].as_i64().unwrap_or(0),
                class["preemptionPolicy"].clone(),
            )
        }
        None => (0, Value::Null),
    };
    pod["spec"]["priority"] = value.into();
    if pod["spec"]["preemptionPolicy"].is_empty() {
        pod["spec"]["preemptionPolicy"] = if policy.is_empty() {
            "PreemptLowerPriority".into()
        } else {
            policy
        };
    }
    Ok(())
}

/// DefaultTolerationSeconds: five minutes on a node that fails.
fn default_tolerations(pod: &mut Value) {
    for (at, key) in FAILING.into_iter().enumerate() {
        let tolerated = pod["spec"]["tolerations"].items().iter().any(|t| {
            matches!(t["key"].str(), k if k == key || k.is_empty())
                && matches!(t["effect"].str(), "NoExecute" | "")
        });
        if !tolerated {
            pod["spec"]["tolerations"].push(&TOLERATIONS[at]);
        }
    }
}

/// Those that pods are given, kept once.
static TOLERATIONS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    FAILING.map(|key| {
        object([
            ("effect", "NoExecute".into()),
            ("key", key.into()),
            ("operator", "Exists".into()),
            ("tolerationSeconds", 300.into()),
        ])
    })
});

const FAILING: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];
