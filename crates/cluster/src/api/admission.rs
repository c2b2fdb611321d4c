//! Admission: what the API server's plugins add to a request, or refuse, in their real order
//! (kube-apiserver v1.37, `pkg/kubeapiserver/options/plugins.go`).

use std::sync::LazyLock;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, array, custom, go, object};

use super::pod_security::Standard;
use super::{limit_range, pod_security, quota};

use crate::cluster::Cluster;

/// What was made a moment ago: the plugins wait a little for the account that every namespace gets,
/// and for the count of what a quota limits.
pub(super) fn wait(cluster: &mut Cluster, pod: &Value, namespace: Option<&str>) {
    let own = pod["metadata"]["namespace"].as_str();
    let namespace = own.or(namespace).unwrap_or("default").to_owned();
    quota::wait_for_count(cluster, &namespace);
    let name = pod["spec"]["serviceAccountName"].str();
    if pod["kind"].str() != "Pod" || !matches!(name, "" | "default") {
        return;
    }
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
    match &*resource.id() {
        "pods" => {
            limit_range::default(cluster, object);
            service_account(cluster, object)?;
            priority(cluster, object)?;
            default_tolerations(object);
            runtime_class(cluster, object)?;
        }
        "nodes" => taint_new_node(object),
        "persistentvolumeclaims" => {
            default_storage_class(cluster, object);
            protect(object, "kubernetes.io/pvc-protection");
        }
        "persistentvolumes" => protect(object, "kubernetes.io/pv-protection"),
        "ingresses.networking.k8s.io" => default_ingress_class(cluster, object)?,
        _ => {}
    }
    Ok(())
}

/// Admits an object once it is known to be valid, or refuses it; `old` is what it replaces.
pub(super) fn validate(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    match &*resource.id() {
        "pods" if old.is_none() => {
            limit_range::validate(cluster, resource, object)?;
            pod_security(cluster, object, None)?;
        }
        "pods" => pod_security(cluster, object, old)?,
        "persistentvolumeclaims" => limit_range::validate(cluster, resource, object)?,
        "namespaces" => pod_security_labels(object, old)?,
        PRIORITY_CLASSES => one_default(cluster, object, old)?,
        _ => {}
    }
    Ok(())
}

fn namespace_labels<'a>(cluster: &'a Cluster, object: &Value) -> &'a Value {
    static NONE: Value = Value::Null;
    let name = object["metadata"]["namespace"].str();
    let namespace = cluster.find("namespaces", "", name);
    namespace.map_or(&NONE, |n| &n["metadata"]["labels"])
}

/// PodSecurity: refuses a pod that its namespace does not allow.
fn pod_security(cluster: &Cluster, pod: &Value, old: Option<&Value>) -> Result<(), Status> {
    // Of what can be changed in a pod, only its images matter to the standards.
    if old.is_some_and(|old| old["spec"].same(&pod["spec"]) || same_images(old, pod)) {
        return Ok(());
    }
    let standard = Standard::of(namespace_labels(cluster, pod), "enforce");
    let Some(what) = standard.forbids(&pod["metadata"], &pod["spec"]) else {
        return Ok(());
    };
    let shown = standard.shown();
    let why = format!("violates PodSecurity {}: {what}", go::quote(&shown));
    Err(Status::forbidden(
        "pods",
        pod["metadata"]["name"].str(),
        &why,
    ))
}

fn same_images(a: &Value, b: &Value) -> bool {
    ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .all(|list| {
            let (a, b) = (a["spec"][*list].items(), b["spec"][*list].items());
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a["image"] == b["image"])
        })
}

/// PodSecurity: a namespace's labels must name standards.
fn pod_security_labels(namespace: &Value, old: Option<&Value>) -> Result<(), Status> {
    let labels = &namespace["metadata"]["labels"];
    if old.is_some_and(|old| old["metadata"]["labels"].same(labels)) {
        return Ok(());
    }
    let mut errors = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        errors.extend(pod_security::label_errors(labels, mode));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let name = namespace["metadata"]["name"].str();
    Err(Status::invalid("Namespace", name, &errors))
}

impl Cluster {
    /// What the API server warns of beside the object itself: pods (or templates of pods) that their
    /// namespace would not have, deprecated versions of custom resources, rules that are not checked.
    /// `old` is the object before.
    pub fn admission_warnings(
        &self,
        resource: &Resource,
        object: &Value,
        old: Option<&Value>,
    ) -> Vec<String> {
        let mut out = Vec::new();
        let id = resource.id();
        let template = match &*id {
            "pods" => Some((&object["metadata"], &object["spec"])),
            "cronjobs.batch" => {
                let template = &object["spec"]["jobTemplate"]["spec"]["template"];
                Some((&template["metadata"], &template["spec"]))
            }
            "podtemplates" => {
                let template = &object["template"];
                Some((&template["metadata"], &template["spec"]))
            }
            "replicationcontrollers"
            | "replicasets.apps"
            | "deployments.apps"
            | "statefulsets.apps"
            | "daemonsets.apps"
            | "jobs.batch" => {
                let template = &object["spec"]["template"];
                Some((&template["metadata"], &template["spec"]))
            }
            _ => None,
        };
        if let Some((metadata, spec)) = template.filter(|(_, spec)| !spec.is_null()) {
            let standard = Standard::of(namespace_labels(self, object), "warn");
            if let Some(what) = standard.forbids(metadata, spec) {
                let shown = go::quote(&standard.shown());
                out.push(format!("would violate PodSecurity {shown}: {what}"));
            }
        }
        if let (Some(old), "namespaces") = (old, &*id) {
            let name = object["metadata"]["name"].str();
            let pods = self.etcd.list("pods", Some(name)).map(|(_, pod)| pod);
            out.extend(pod_security::existing(name, object, old, pods));
        }
        if let Some(version) = self.definitions.version(resource)
            && !version.warning.is_empty()
        {
            out.push(version.warning.clone());
        }
        let asked = super::policies::Asked {
            resource,
            object,
            old,
            user: None,
        };
        out.extend(super::policies::warnings(self, asked));
        // No warnings of the real server: they are honest about what the simulator does not do.
        if template.is_some_and(|(_, spec)| !spec["resourceClaims"].items().is_empty()) {
            out.push("kubarium does not allocate devices: resourceClaims are kept, and nothing waits for them".to_owned());
        }
        if &*id == super::custom::DEFINITIONS {
            for version in object["spec"]["versions"].items() {
                let schema = &version["schema"]["openAPIV3Schema"];
                for rule in custom::unsupported_rules(schema) {
                    out.push(format!("kubarium does not check the rule {rule}"));
                }
            }
        }
        if matches!(&*id, super::policies::POLICIES | super::mutations::POLICIES) {
            let spec = &object["spec"];
            let lists = ["validations", "matchConditions", "variables"];
            let plain = lists.iter().flat_map(|list| spec[*list].items());
            let mutations = spec["mutations"].items().iter();
            let inner = mutations.flat_map(|m| [&m["applyConfiguration"], &m["jsonPatch"]]);
            for item in plain.chain(inner.filter(|m| !m.is_null())) {
                let text = item["expression"].str().trim();
                if custom::Expression::parse(text).is_err() {
                    out.push(format!("kubarium does not check the expression {text}"));
                }
            }
        }
        out
    }
}

/// TaintNodesByCondition: a new node takes no pods until it is ready. From one that comes with a
/// ready status the node lifecycle controller would take the taint at once.
fn taint_new_node(node: &mut Value) {
    let key = "node.kubernetes.io/not-ready";
    let conditions = node["status"]["conditions"].items();
    if conditions
        .iter()
        .any(|c| c["type"].str() == "Ready" && c["status"].str() == "True")
    {
        return;
    }
    let taints = node["spec"]["taints"].items();
    if taints
        .iter()
        .all(|t| t["key"].str() != key || t["effect"].str() != "NoSchedule")
    {
        node["spec"]["taints"].push(object([
            ("effect", "NoSchedule".into()),
            ("key", key.into()),
        ]));
    }
}

/// StorageObjectInUseProtection: what is in use stays until it is not.
fn protect(object: &mut Value, finalizer: &str) {
    let finalizers = object["metadata"]["finalizers"].items();
    if finalizers.iter().all(|f| f.str() != finalizer) {
        object["metadata"]["finalizers"].push(finalizer);
    }
}

/// Of the objects that an annotation marks as the default, the newest; of those, the first by name.
fn newest_default<'a>(cluster: &'a Cluster, resource: &str, annotation: &str) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = cluster
        .etcd
        .list(resource, None)
        .map(|(_, class)| class)
        .filter(|class| class["metadata"]["annotations"][annotation].str() == "true")
        .collect();
    all.sort_by(|a, b| {
        let made = |v: &Value| v["metadata"]["creationTimestamp"].text();
        let name = |v: &Value| v["metadata"]["name"].text();
        made(b).cmp(&made(a)).then_with(|| name(a).cmp(&name(b)))
    });
    all
}

/// DefaultStorageClass: a claim that names no class gets the default one.
fn default_storage_class(cluster: &Cluster, claim: &mut Value) {
    let named = !claim["spec"]["storageClassName"].is_null()
        || !claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].is_null();
    if named {
        return;
    }
    let annotation = "storageclass.kubernetes.io/is-default-class";
    let found = newest_default(cluster, "storageclasses.storage.k8s.io", annotation);
    if let Some(class) = found.first() {
        claim["spec"]["storageClassName"] = class["metadata"]["name"].clone();
    }
}

/// DefaultIngressClass: an Ingress that names no class gets the default one.
fn default_ingress_class(cluster: &Cluster, ingress: &mut Value) -> Result<(), Status> {
    let named = !ingress["spec"]["ingressClassName"].is_null()
        || !ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_null();
    if named {
        return Ok(());
    }
    let annotation = "ingressclass.kubernetes.io/is-default-class";
    let found = newest_default(cluster, "ingressclasses.networking.k8s.io", annotation);
    if let Some(class) = found.first() {
        ingress["spec"]["ingressClassName"] = class["metadata"]["name"].clone();
    }
    Ok(())
}

/// Admits a changed object.
pub(super) fn update(
    _: &mut Cluster,
    resource: &Resource,
    object: &mut Value,
    old: &Value,
) -> Result<(), Status> {
    if &*resource.id() == "pods" {
        default_tolerations(object);
        // Priority: what the class once gave stays.
        for field in ["priority", "preemptionPolicy"] {
            if object["spec"][field].is_null() && !old["spec"][field].is_null() {
                object["spec"][field] = old["spec"][field].clone();
            }
        }
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
    let secrets = account["imagePullSecrets"].clone();
    if pod["spec"]["imagePullSecrets"].is_empty() && !secrets.is_empty() {
        pod["spec"]["imagePullSecrets"] = secrets;
    }
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
    let refuse = |pod: &Value, why: &str| {
        let name = pod["metadata"]["name"].str();
        Err(Status::forbidden("pods", name, why))
    };
    match class["overhead"].get("podFixed") {
        Some(overhead) => {
            let own = &pod["spec"]["overhead"];
            if !own.is_empty() && own != overhead {
                return refuse(
                    pod,
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
                );
            }
            pod["spec"]["overhead"] = overhead.clone();
        }
        None if !pod["spec"]["overhead"].is_empty() => {
            return refuse(
                pod,
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            );
        }
        None => {}
    }
    for (key, value) in class["scheduling"]["nodeSelector"].entries() {
        let own = pod["spec"]["nodeSelector"].get(key);
        if let Some(own) = own.filter(|own| *own != value) {
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}",
                value.str(),
                own.str()
            );
            return refuse(pod, &why);
        }
        pod["spec"]["nodeSelector"][&**key] = value.clone();
    }
    for toleration in class["scheduling"]["tolerations"].items() {
        if !pod["spec"]["tolerations"].items().contains(toleration) {
            pod["spec"]["tolerations"].push(toleration);
        }
    }
    Ok(())
}

const PRIORITY_CLASSES: &str = "priorityclasses.scheduling.k8s.io";

/// The class of pods that name none: the lowest, where there are several.
fn default_priority_class(cluster: &Cluster) -> Option<&Value> {
    let classes = cluster.etcd.list(PRIORITY_CLASSES, None);
    let defaults = classes.filter(|(_, class)| class["globalDefault"].as_bool() == Some(true));
    let defaults = defaults.map(|(_, class)| class);
    defaults.min_by_key(|class| class["value"].as_i64())
}

/// Priority: a second class is not made the default.
fn one_default(cluster: &Cluster, class: &Value, old: Option<&Value>) -> Result<(), Status> {
    if class["globalDefault"].as_bool() != Some(true) {
        return Ok(());
    }
    match default_priority_class(cluster) {
        Some(known) if old.is_none() || known.name() != class.name() => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                known.name()
            );
            Err(Status::forbidden(PRIORITY_CLASSES, class.name(), &why))
        }
        _ => Ok(()),
    }
}

/// Priority: the class's number goes into the pod.
fn priority(cluster: &Cluster, pod: &mut Value) -> Result<(), Status> {
    let class = pod["spec"]["priorityClassName"].text();
    let found = if class.is_empty() {
        default_priority_class(cluster)
    } else {
        let found = cluster.find(PRIORITY_CLASSES, "", &class);
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
    let refuse = |what: &str, given: &str, computed: &str| {
        let why = format!(
            "the {what} ({given}) must not be provided in pod spec; priority admission controller computed {computed} from the given PriorityClass name"
        );
        let name = pod["metadata"]["name"].str();
        Err(Status::forbidden("pods", name, &why))
    };
    if let Some(own) = pod["spec"]["priority"].as_i64().filter(|own| *own != value) {
        return refuse(
            "integer value of priority",
            &own.to_string(),
            &value.to_string(),
        );
    }
    let policy = if policy.is_empty() {
        "PreemptLowerPriority".into()
    } else {
        policy
    };
    let own = pod["spec"]["preemptionPolicy"].text();
    if !own.is_empty() && *own != *policy.str() {
        return refuse("string value of PreemptionPolicy", &own, policy.str());
    }
    pod["spec"]["priority"] = value.into();
    pod["spec"]["preemptionPolicy"] = policy;
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
