//! The tables that `kubectl get` shows: what the API server's table printers show of each kind
//! (`pkg/printers/internalversion/printers.go`, v1.37).

mod cluster;
mod definition;
mod network;
pub mod pod;
mod policy;
mod storage;
mod workloads;

use crate::duration::human_duration;
use crate::{ObjectMeta, Resource, Selector, Value, time};

/// How objects of a kind are shown.
#[derive(Debug)]
pub struct Printer {
    /// What the cells are.
    pub columns: &'static [Column],
    /// A cell for each column.
    pub row: fn(&Value, &Context) -> Vec<String>,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands above it.
    pub name: &'static str,
    /// Whether only `-o wide` shows it (a priority of 1).
    pub wide: bool,
    /// What the API says is in its cells: `string`, `integer`, `boolean`.
    pub kind: &'static str,
    cell: Cell,
}

/// What the cells of a column are in JSON, which need not be what the API says of them.
#[derive(Clone, Copy, Debug)]
enum Cell {
    Text,
    Number,
    Bool,
}

impl Column {
    /// A cell of this column as JSON has it.
    pub fn value(&self, cell: String) -> Value {
        let value = match self.cell {
            Cell::Text => None,
            Cell::Number => cell.parse::<i64>().ok().map(Value::from),
            Cell::Bool => cell.parse::<bool>().ok().map(Value::from),
        };
        value.unwrap_or_else(|| cell.into())
    }
}

/// What a row depends on beside the object.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Seconds since the Unix epoch.
    pub now: i64,
    /// Whether all columns are wanted.
    pub wide: bool,
}

/// What `kubectl get` shows of a resource's objects: the columns' names, and each object's cells. Times are told from
/// `now`, in seconds since the Unix epoch.
pub fn table<'a>(
    resource: &Resource,
    objects: impl IntoIterator<Item = &'a Value>,
    now: i64,
) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let printer = of(resource);
    let context = Context { now, wide: false };
    let is_shown = |cells: Vec<String>| {
        let shown = cells.into_iter().zip(printer.columns);
        let shown = shown.filter(|(_, column)| !column.wide);
        shown.map(|(cell, _)| cell).collect()
    };
    let columns = printer.columns.iter().filter(|column| !column.wide);
    let rows = objects.into_iter();
    (
        columns.map(|column| column.name).collect(),
        rows.map(|object| is_shown((printer.row)(object, &context)))
            .collect(),
    )
}

/// A column that is always shown.
const fn column(name: &'static str) -> Column {
    Column {
        name,
        wide: false,
        kind: "string",
        cell: Cell::Text,
    }
}

/// A column that `-o wide` shows.
const fn wide(name: &'static str) -> Column {
    Column {
        wide: true,
        ..column(name)
    }
}

/// A column of whole numbers.
const fn count(name: &'static str) -> Column {
    Column {
        kind: "integer",
        ..amount(name)
    }
}

/// A column of whole numbers that the API calls strings.
const fn amount(name: &'static str) -> Column {
    Column {
        cell: Cell::Number,
        ..column(name)
    }
}

/// A column of `true` and `false`.
const fn truth(name: &'static str) -> Column {
    Column {
        kind: "boolean",
        cell: Cell::Bool,
        ..column(name)
    }
}

/// The printer of a kind.
pub fn of(resource: &Resource) -> &'static Printer {
    match &*resource.id() {
        "pods" => &pod::POD,
        "podtemplates" => &workloads::POD_TEMPLATE,
        "deployments.apps" => &workloads::DEPLOYMENT,
        "replicasets.apps" | "replicationcontrollers" => &workloads::REPLICA_SET,
        "daemonsets.apps" => &workloads::DAEMON_SET,
        "statefulsets.apps" => &workloads::STATEFUL_SET,
        "controllerrevisions.apps" => &workloads::CONTROLLER_REVISION,
        "jobs.batch" => &workloads::JOB,
        "cronjobs.batch" => &workloads::CRON_JOB,
        "horizontalpodautoscalers.autoscaling" => &workloads::AUTOSCALER,
        "poddisruptionbudgets.policy" => &workloads::DISRUPTION_BUDGET,
        "services" => &network::SERVICE,
        "endpoints" => &network::ENDPOINTS,
        "endpointslices.discovery.k8s.io" => &network::ENDPOINT_SLICE,
        "ingresses.networking.k8s.io" => &network::INGRESS,
        "ingressclasses.networking.k8s.io" => &network::INGRESS_CLASS,
        "networkpolicies.networking.k8s.io" => &network::NETWORK_POLICY,
        "servicecidrs.networking.k8s.io" => &network::SERVICE_CIDR,
        "ipaddresses.networking.k8s.io" => &network::IP_ADDRESS,
        "persistentvolumes" => &storage::VOLUME,
        "persistentvolumeclaims" => &storage::CLAIM,
        "storageclasses.storage.k8s.io" => &storage::STORAGE_CLASS,
        "volumeattributesclasses.storage.k8s.io" => &storage::ATTRIBUTES_CLASS,
        "volumeattachments.storage.k8s.io" => &storage::ATTACHMENT,
        "csinodes.storage.k8s.io" => &storage::CSI_NODE,
        "csidrivers.storage.k8s.io" => &storage::CSI_DRIVER,
        "nodes" => &cluster::NODE,
        "namespaces" => &cluster::NAMESPACE,
        "events" | "events.events.k8s.io" => &cluster::EVENT,
        "componentstatuses" => &cluster::COMPONENT_STATUS,
        "configmaps" => &cluster::CONFIG_MAP,
        "secrets" => &cluster::SECRET,
        "serviceaccounts" => &cluster::SERVICE_ACCOUNT,
        "resourcequotas" => &cluster::QUOTA,
        "priorityclasses.scheduling.k8s.io" => &cluster::PRIORITY_CLASS,
        "runtimeclasses.node.k8s.io" => &cluster::RUNTIME_CLASS,
        "leases.coordination.k8s.io" => &cluster::LEASE,
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => &cluster::ROLE_BINDING,
        "apiservices.apiregistration.k8s.io" => &cluster::API_SERVICE,
        "certificatesigningrequests.certificates.k8s.io" => &cluster::SIGNING_REQUEST,
        "validatingwebhookconfigurations.admissionregistration.k8s.io"
        | "mutatingwebhookconfigurations.admissionregistration.k8s.io" => &cluster::WEBHOOKS,
        "validatingadmissionpolicies.admissionregistration.k8s.io" => &cluster::ADMISSION_POLICY,
        "mutatingadmissionpolicies.admissionregistration.k8s.io" => &policy::MUTATING_POLICY,
        "validatingadmissionpolicybindings.admissionregistration.k8s.io"
        | "mutatingadmissionpolicybindings.admissionregistration.k8s.io" => &policy::POLICY_BINDING,
        "flowschemas.flowcontrol.apiserver.k8s.io" => &policy::FLOW_SCHEMA,
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io" => &policy::PRIORITY_LEVEL,
        "resourceclaims.resource.k8s.io" => &policy::RESOURCE_CLAIM,
        "resourceslices.resource.k8s.io" => &policy::RESOURCE_SLICE,
        "deviceclasses.resource.k8s.io" | "resourceclaimtemplates.resource.k8s.io" => {
            &policy::PLAIN
        }
        "customresourcedefinitions.apiextensions.k8s.io" => &definition::DEFINITION,
        _ => &DEFAULT,
    }
}

/// Kinds without a printer of their own (`registry/rest/table.go`).
static DEFAULT: Printer = Printer {
    columns: &[column("Name"), column("Created At")],
    row: |o, _| {
        vec![
            o.name().to_owned(),
            o.creation_timestamp().unwrap_or("<unknown>").to_owned(),
        ]
    },
};

/// How long ago a time of the API was: `3m`, `<unknown>` for none.
pub fn since(at: &Value, now: i64) -> String {
    match at.as_str().and_then(time::parse_seconds) {
        Some(at) => human_duration(now - at),
        None => "<unknown>".to_owned(),
    }
}

/// The object's age.
pub fn age(object: &Value, context: &Context) -> String {
    since(&object["metadata"]["creationTimestamp"], context.now)
}

/// `a=1,b=2`, or `<none>` (`labels.FormatLabels`).
pub fn labels(map: &Value) -> String {
    let pairs: Vec<String> = map
        .entries()
        .iter()
        .map(|(k, v)| format!("{k}={}", v.str()))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

/// A label selector as text (`metav1.FormatLabelSelector`).
pub fn selector(value: &Value) -> String {
    match Selector::from_label_selector(value) {
        Ok(_) if value.is_null() => "<none>".to_owned(),
        Ok(selector) if selector.is_everything() => "<none>".to_owned(),
        Ok(selector) => selector.to_string(),
        Err(_) => "<error>".to_owned(),
    }
}

/// A number, 0 where there is none.
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The text, or something else where it is empty.
pub fn or(value: &Value, otherwise: &str) -> String {
    match value.str() {
        "" => otherwise.to_owned(),
        text => text.to_owned(),
    }
}

/// A quantity, number or IntOrString as it is printed.
pub fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => s.to_string(),
        Value::Null => String::new(),
        other => crate::go::print(other),
    }
}

/// The names and the images of containers.
fn containers(pod_spec: &Value) -> (String, String) {
    let column = |field: &str| {
        let cells: Vec<&str> = pod_spec["containers"]
            .items()
            .iter()
            .map(|c| c[field].str())
            .collect();
        cells.join(",")
    };
    (column("name"), column("image"))
}

/// Up to `max` items, and how many more there are.
fn some_of(items: &[String], max: usize) -> String {
    let shown = items[..items.len().min(max)].join(",");
    match items.len().checked_sub(max) {
        Some(more) if more > 0 => format!("{shown} + {more} more..."),
        _ => shown,
    }
}

/// Whether a condition of that type is `True`.
pub fn condition(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"]
        .items()
        .iter()
        .any(|c| c["type"].str() == kind && c["status"].str() == "True")
}

/// When an event was seen: `8s (x2 over 9s)`, `12s`.
pub fn event_interval(event: &Value, now: i64) -> String {
    match cluster::event_count(event) {
        count if count > 1 => format!(
            "{} (x{count} over {})",
            cluster::last_seen(event, now),
            cluster::first_seen(event, now)
        ),
        _ => cluster::first_seen(event, now),
    }
}

pub use cluster::{request_status, roles};
pub use network::{host_port, load_balancer};
pub use storage::{access_modes, class};
