//! What the scheduler reads out of a pod, once (kubernetes v1.37, `pkg/scheduler/framework/types.go`,
//! `staging/src/k8s.io/component-helpers/resource`).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use kubarium_objects::quantity::Quantity;
use kubarium_objects::selector::Selector;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

use crate::controllers::pods;
use crate::time::Time;

/// Amounts of resources: thousandths of processors, bytes, and all others by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resources {
    pub cpu: i64,
    pub memory: i64,
    pub ephemeral: i64,
    pub others: BTreeMap<Text, i64>,
}

/// What the scorers assume of a container that does not say what it needs.
const DEFAULT_CPU: i64 = 100;
const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

impl Resources {
    /// Reads a ResourceList.
    pub fn read(list: &Value) -> Resources {
        let mut found = Resources::default();
        for (name, amount) in list.entries() {
            let text = match amount {
                Value::Int(i) => i.to_string(),
                other => other.str().to_owned(),
            };
            let Ok(quantity) = text.parse::<Quantity>() else {
                continue;
            };
            match &**name {
                "cpu" => found.cpu = quantity.milli_value(),
                "memory" => found.memory = quantity.value(),
                "ephemeral-storage" => found.ephemeral = quantity.value(),
                "pods" => {}
                _ => drop(found.others.insert(name.clone(), quantity.value())),
            }
        }
        found
    }

    /// Adds `other`, `sign` times.
    pub fn add(&mut self, other: &Resources, sign: i64) {
        self.cpu += sign * other.cpu;
        self.memory += sign * other.memory;
        self.ephemeral += sign * other.ephemeral;
        for (name, amount) in &other.others {
            *self.others.entry(name.clone()).or_default() += sign * amount;
        }
    }

    fn most(&mut self, other: &Resources) {
        self.cpu = self.cpu.max(other.cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral = self.ephemeral.max(other.ephemeral);
        for (name, amount) in &other.others {
            let own = self.others.entry(name.clone()).or_default();
            *own = (*own).max(*amount);
        }
    }

    /// Whether nothing is asked for.
    pub fn is_zero(&self) -> bool {
        self.cpu == 0 && self.memory == 0 && self.ephemeral == 0 && self.others.is_empty()
    }
}

/// What a pod needs: of its containers together and of its init containers the most, sidecars
/// counted with those that run beside them; the pod's own level overrides; the overhead on top.
/// `defaults`: processors and memory for containers that name none.
fn requests(pod: &Value, defaults: (Option<i64>, Option<i64>)) -> Resources {
    let container = |c: &Value| {
        let list = &c["resources"]["requests"];
        let mut needs = Resources::read(list);
        if let Some(cpu) = defaults.0.filter(|_| list.get("cpu").is_none()) {
            needs.cpu = cpu;
        }
        if let Some(memory) = defaults.1.filter(|_| list.get("memory").is_none()) {
            needs.memory = memory;
        }
        needs
    };
    let spec = &pod["spec"];
    let mut sum = Resources::default();
    for c in spec["containers"].items() {
        sum.add(&container(c), 1);
    }
    let (mut sidecars, mut most) = (Resources::default(), Resources::default());
    for c in spec["initContainers"].items() {
        let mut needs = container(c);
        if c["restartPolicy"].str() == "Always" {
            sum.add(&needs, 1);
            sidecars.add(&needs, 1);
            needs = sidecars.clone();
        } else {
            needs.add(&sidecars, 1);
        }
        most.most(&needs);
    }
    sum.most(&most);
    let own = &spec["resources"]["requests"];
    let level = Resources::read(own);
    if own.get("cpu").is_some() {
        sum.cpu = level.cpu;
    }
    if own.get("memory").is_some() {
        sum.memory = level.memory;
    }
    for (name, amount) in level.others {
        sum.others.insert(name, amount);
    }
    sum.add(&Resources::read(&spec["overhead"]), 1);
    sum.others.retain(|_, amount| *amount != 0);
    sum
}

/// A port on the node: address, protocol, number.
pub(super) type HostPort = (Text, Text, i64);

/// Whether two pods cannot have both ports: the same number of the same protocol, and one of them
/// on all addresses.
pub(super) fn ports_conflict(a: &HostPort, b: &HostPort) -> bool {
    let all = |ip: &str| ip == "0.0.0.0";
    a.1 == b.1 && a.2 == b.2 && (all(&a.0) || all(&b.0) || a.0 == b.0)
}

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub selector: Selector,
    pub namespaces: Vec<Text>,
    pub namespace_selector: Selector,
    pub topology_key: Text,
    /// Equal for equal terms.
    pub id: Text,
}

impl Term {
    fn read(term: &Value, pod: &Value) -> Term {
        let namespaces: Vec<Text> = term["namespaces"].items().iter().map(Value::text).collect();
        let mut selector = pods::selector(&term["labelSelector"]);
        // What the API server merges into the selector when it admits the pod; doing so again
        // changes nothing.
        for (keys, positive) in [("matchLabelKeys", true), ("mismatchLabelKeys", false)] {
            if !term["labelSelector"].is_null() {
                selector = selector.and(by_keys(&term[keys], pod, positive));
            }
        }
        let own = namespaces.is_empty() && term["namespaceSelector"].is_null();
        let mut found = Term {
            selector,
            namespaces: if own {
                vec![pod["metadata"]["namespace"].text()]
            } else {
                namespaces
            },
            namespace_selector: pods::selector(&term["namespaceSelector"]),
            topology_key: term["topologyKey"].text(),
            id: Text::default(),
        };
        let any = if found.namespace_selector.is_nothing() {
            "-".to_owned()
        } else {
            found.namespace_selector.to_string()
        };
        let nothing = if found.selector.is_nothing() { "!" } else { "" };
        found.id = format!(
            "{}|{any}|{nothing}{}|{}",
            found.namespaces.join(","),
            found.selector,
            found.topology_key
        )
        .into();
        found
    }

    /// Whether the term means a pod; `namespace_labels` are those of the pod's namespace.
    pub fn matches(&self, pod: &PodInfo, namespace_labels: &Value) -> bool {
        (self.namespaces.contains(&pod.key.namespace)
            || self.namespace_selector.matches(namespace_labels))
            && self.selector.matches(&pod.labels)
    }
}

/// The requirement that labels have the pod's own values under these keys (or others).
pub(super) fn by_keys(keys: &Value, pod: &Value, positive: bool) -> Selector {
    let operator = if positive {
        kubarium_objects::selector::Operator::In
    } else {
        kubarium_objects::selector::Operator::NotIn
    };
    let requirement = |key: &Value| {
        let value = pod["metadata"]["labels"].get(key.str())?.text();
        Some(kubarium_objects::selector::Requirement {
            key: key.text(),
            operator,
            values: vec![value],
        })
    };
    Selector::of(keys.items().iter().filter_map(requirement).collect())
}

/// What a pod needs of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Needs {
    /// Resources.
    pub request: Resources,
    /// Processors and memory, with defaults for what no container names.
    pub nonzero: (i64, i64),
    /// What LeastAllocated takes the incoming pod's needs to be: with those defaults, unless the
    /// pod's own level says something.
    pub scored: (i64, i64),
    pub ports: Vec<HostPort>,
}

/// A pod as the scheduler sees it.
#[derive(Clone, Debug)]
pub(super) struct PodInfo {
    pub key: ObjectKey,
    pub labels: Value,
    pub needs: Arc<Needs>,
    pub priority: i64,
    pub deleting: bool,
    /// When it was started.
    pub started: Option<Time>,
    /// What it says of other pods.
    pub terms: Arc<Terms>,
    /// The object.
    pub object: Value,
}

/// What a pod says of others: to be near them, or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub affinity: Vec<Term>,
    pub anti_affinity: Vec<Term>,
    pub preferred: Vec<(i64, Term)>,
    pub preferred_anti: Vec<(i64, Term)>,
}

impl Terms {
    /// Most pods say nothing: all of those share one.
    fn read(pod: &Value) -> Arc<Terms> {
        static NOTHING: LazyLock<Arc<Terms>> = LazyLock::new(Arc::default);
        let affinity = &pod["spec"]["affinity"];
        if affinity["podAffinity"].is_null() && affinity["podAntiAffinity"].is_null() {
            return NOTHING.clone();
        }
        let required = |kind: &str| -> Vec<Term> {
            let list = &affinity[kind]["requiredDuringSchedulingIgnoredDuringExecution"];
            list.items().iter().map(|t| Term::read(t, pod)).collect()
        };
        let weighted = |kind: &str| -> Vec<(i64, Term)> {
            let list = &affinity[kind]["preferredDuringSchedulingIgnoredDuringExecution"];
            let term = |t: &Value| {
                (
                    t["weight"].as_i64().unwrap_or(0),
                    Term::read(&t["podAffinityTerm"], pod),
                )
            };
            list.items().iter().map(term).collect()
        };
        Arc::new(Terms {
            affinity: required("podAffinity"),
            anti_affinity: required("podAntiAffinity"),
            preferred: weighted("podAffinity"),
            preferred_anti: weighted("podAntiAffinity"),
        })
    }

    /// Whether it names other pods at all.
    pub fn any(&self) -> bool {
        !(self.affinity.is_empty()
            && self.anti_affinity.is_empty()
            && self.preferred.is_empty()
            && self.preferred_anti.is_empty())
    }
}

impl Needs {
    fn read(pod: &Value) -> Needs {
        let spec = &pod["spec"];
        let level = &spec["resources"]["requests"];
        let default = |name: &str, amount: i64| level.get(name).is_none().then_some(amount);
        let defaults = (
            default("cpu", DEFAULT_CPU),
            default("memory", DEFAULT_MEMORY),
        );
        let resized = resized(pod);
        let sized = resized.as_ref().unwrap_or(pod);
        let nonzero = requests(sized, defaults);
        let nonzero = (nonzero.cpu, nonzero.memory);
        let request = requests(sized, (None, None));
        Needs {
            scored: if level.is_empty() {
                nonzero
            } else {
                (request.cpu, request.memory)
            },
            request,
            nonzero,
            ports: host_ports(spec),
        }
    }
}

impl PodInfo {
    pub fn new(key: &ObjectKey, pod: &Value) -> PodInfo {
        PodInfo {
            key: key.clone(),
            labels: pod["metadata"]["labels"].clone(),
            needs: Arc::new(Needs::read(pod)),
            priority: pod["spec"]["priority"].as_i64().unwrap_or(0),
            deleting: pod.is_deleting(),
            started: Time::parse(pod["status"]["startTime"].str()),
            terms: Terms::read(pod),
            object: pod.clone(),
        }
    }
}

/// A pod that was resized, with what counts for the scheduler: of what is wanted, what the node has
/// granted and what the containers have, the most (component-helpers, `UseStatusResources`).
fn resized(pod: &Value) -> Option<Value> {
    if pod.generation() < 2 || pod["spec"]["nodeName"].is_empty() {
        return None;
    }
    let infeasible =
        pods::condition(pod, "PodResizePending").is_some_and(|c| c["reason"].str() == "Infeasible");
    let mut sized = pod.clone();
    for (list, statuses) in [
        ("containers", "containerStatuses"),
        ("initContainers", "initContainerStatuses"),
    ] {
        for at in 0..pod["spec"][list].items().len() {
            let name = pod["spec"][list][at]["name"].str();
            let status = pods::container_status(pod, statuses, name);
            for name in ["cpu", "memory"] {
                let wanted = &pod["spec"][list][at]["resources"]["requests"][name];
                let told = [
                    &status["allocatedResources"][name],
                    &status["resources"]["requests"][name],
                ];
                let wanted = (!infeasible || told[0].is_null()).then_some(wanted);
                let amount =
                    |q: &&Value| q.str().parse::<Quantity>().map_or(0, |q| q.milli_value());
                let all = wanted.into_iter().chain(told).filter(|q| !q.is_null());
                if let Some(most) = all.max_by_key(amount) {
                    sized["spec"][list][at]["resources"]["requests"][name] = most.clone();
                }
            }
        }
    }
    Some(sized)
}

fn host_ports(spec: &Value) -> Vec<HostPort> {
    let sidecars = spec["initContainers"]
        .items()
        .iter()
        .filter(|c| c["restartPolicy"].str() == "Always");
    let mut ports = Vec::new();
    for port in spec["containers"]
        .items()
        .iter()
        .chain(sidecars)
        .flat_map(|c| c["ports"].items())
    {
        let Some(number) = port["hostPort"].as_i64().filter(|n| *n > 0) else {
            continue;
        };
        let or = |value: &Value, default: &str| {
            if value.is_empty() {
                Text::from(default)
            } else {
                value.text()
            }
        };
        ports.push((
            or(&port["hostIP"], "0.0.0.0"),
            or(&port["protocol"], "TCP"),
            number,
        ));
    }
    ports
}
